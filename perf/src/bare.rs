//! One synced write of 4 KiB, in each way in which a program can ask for it: what a durable insert is measured against.
//!
//! ```text
//!   pwrite + fdatasync     two calls            ring, fdatasync    a write and a linked fdatasync, one call
//!   pwrite, RWF_DSYNC      one call             ring, RWF_DSYNC    one entry, one call
//! ```
//!
//! All with O_DIRECT into one file that was written in full before, by the thread that measures. Which is the fastest
//! depends on kernel and device, so that a ratio names the way it is against.

use crate::Result;
use crate::clock::Meter;
use crate::publish::O_DIRECT;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, opcode, squeue};
use ratite::bench::device::{BLOCK_BYTES, Device};
use ratite::io::{Backend, Buf, system};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE_BYTES: u64 = 64 << 20;

/// How it is written.
#[derive(Clone, Copy)]
enum Way {
    Pwrite,
    PwriteDsync,
    Ring,
    RingDsync,
}

const WAYS: [(&str, Way); 4] = [
    ("pwrite 4 KiB + fdatasync", Way::Pwrite),
    ("pwrite 4 KiB, RWF_DSYNC", Way::PwriteDsync),
    ("ring 4 KiB, linked fdatasync", Way::Ring),
    ("ring 4 KiB, RWF_DSYNC", Way::RingDsync),
];

/// The file, and what each way has taken.
pub struct Bare {
    /// Also writes groups, for who wants these.
    pub device: Device,
    file: File,
    ring: IoUring,
    block: Buf,
    at: u64,
    pub ways: Vec<(&'static str, Meter)>,
}

impl Bare {
    /// Makes the file.
    pub fn create(path: &Path) -> Result<Bare> {
        let device = Device::create(&system(Backend::Posix)?.disk, path, FILE_BYTES)?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(O_DIRECT).open(path)?;
        let mut block = Buf::zeroed(BLOCK_BYTES, BLOCK_BYTES);
        ratite::io::Rng::new(2).fill(&mut block);
        let mut bare =
            Bare { device, file, ring: IoUring::new(4)?, block, at: 0, ways: Vec::new() };
        bare.forget();
        Ok(bare)
    }

    /// What was measured so far was to warm up.
    pub fn forget(&mut self) {
        self.ways = WAYS.iter().map(|(name, _)| (*name, Meter::new())).collect();
    }

    /// So many writes of each way, one way after the other.
    pub fn turn(&mut self, writes: usize) -> Result<()> {
        for (i, (_, way)) in WAYS.iter().enumerate() {
            let mut meter = std::mem::take(&mut self.ways[i].1);
            for _ in 0..writes {
                meter.time(|| self.write(*way))?;
            }
            self.ways[i].1 = meter;
        }
        Ok(())
    }

    /// The way whose median is the least.
    pub fn fastest(&self) -> &(&'static str, Meter) {
        let p50 = |way: &&(&str, Meter)| way.1.wall.value_at_quantile(0.5);
        self.ways.iter().min_by_key(p50).unwrap_or_else(|| unreachable!("there are four"))
    }

    fn write(&mut self, way: Way) -> Result<u64> {
        let fd = self.file.as_raw_fd();
        let at = self.at;
        self.at = (at + BLOCK_BYTES as u64) % FILE_BYTES;
        let part = libc::iovec { iov_base: self.block.as_mut_ptr().cast(), iov_len: BLOCK_BYTES };
        match way {
            Way::Pwrite => return Ok(self.device.write(BLOCK_BYTES)?),
            Way::PwriteDsync => {
                // SAFETY: the one part lies within the block, which lives across the call.
                let wrote = unsafe { libc::pwritev2(fd, &part, 1, at as i64, libc::RWF_DSYNC) };
                if wrote != BLOCK_BYTES as isize {
                    return Err(std::io::Error::last_os_error().into());
                }
            }
            Way::Ring => {
                let sync = opcode::Fsync::new(Fd(fd)).flags(FsyncFlags::DATASYNC).build();
                let write = self.entry(at, 0).flags(squeue::Flags::IO_LINK);
                self.through(&[write, sync])?;
            }
            Way::RingDsync => self.through(&[self.entry(at, libc::RWF_DSYNC)])?,
        }
        Ok(1)
    }

    fn entry(&self, at: u64, flags: i32) -> squeue::Entry {
        let write = opcode::Write::new(Fd(self.file.as_raw_fd()), self.block.as_ptr(), 4096);
        write.offset(at).rw_flags(flags).build()
    }

    /// Pushes these and waits for all of them.
    fn through(&mut self, entries: &[squeue::Entry]) -> Result<()> {
        // SAFETY: file and block are fields, and all entries have completed when this returns without an error; with one
        // the program ends.
        unsafe { self.ring.submission().push_multiple(entries) }?;
        let mut done = 0;
        while done < entries.len() {
            self.ring.submit_and_wait(1)?;
            for completed in self.ring.completion() {
                if completed.result() < 0 {
                    return Err(std::io::Error::from_raw_os_error(-completed.result()).into());
                }
                done += 1;
            }
        }
        Ok(())
    }
}
