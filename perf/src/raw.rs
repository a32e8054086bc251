//! Raw reads of a store's segments: random pages, O_DIRECT, a fixed number in flight. What the device gives.
//!
//! ```text
//!   ring(depth)      one thread, one io_uring, `depth` reads in flight at every moment
//!   pread(threads)   so many threads, one read in flight each
//! ```
//!
//! Nothing is done with what is read, not even a checksum. Also here: what the kernel counted of the device.

use crate::Result;
use crate::publish::O_DIRECT;
use io_uring::{IoUring, opcode, types};
use ratite::io::{Buf, Rng};
use std::fs::{File, OpenOptions, read_dir, read_to_string};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// The segment files of a store.
pub struct Raw {
    files: Vec<(File, u64)>,
    page_bytes: usize,
    seed: u64,
}

/// Reads of one slice.
#[derive(Clone, Copy, Default)]
pub struct Reads {
    pub count: u64,
    pub seconds: f64,
}

impl Reads {
    pub fn add(&mut self, more: Reads) {
        self.count += more.count;
        self.seconds += more.seconds;
    }

    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds.max(1e-9)
    }
}

impl Raw {
    /// The segments below `dir`.
    pub fn open(dir: &Path, page_bytes: usize) -> Result<Raw> {
        let mut files = Vec::new();
        for shard in read_dir(dir)?.flatten().filter(|entry| entry.path().is_dir()) {
            for entry in read_dir(shard.path())?.flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "seg") {
                    let file =
                        OpenOptions::new().read(true).custom_flags(O_DIRECT).open(entry.path())?;
                    let pages = file.metadata()?.len() / page_bytes as u64;
                    files.push((file, pages));
                }
            }
        }
        if files.is_empty() {
            return Err("the store has no segments to read".into());
        }
        Ok(Raw { files, page_bytes, seed: 1 })
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, pages)| pages * self.page_bytes as u64).sum()
    }

    /// A page, each as likely as any other.
    fn pick(&self, rng: &mut Rng) -> (&File, u64) {
        let mut page = rng.below(self.bytes() / self.page_bytes as u64);
        for (file, pages) in &self.files {
            if page < *pages {
                return (file, page * self.page_bytes as u64);
            }
            page -= pages;
        }
        unreachable!("the page was drawn from their sum")
    }

    /// Reads for `slice` with `depth` in flight.
    pub fn ring(&mut self, depth: usize, slice: Duration) -> Result<Reads> {
        self.seed += 1;
        let mut rng = Rng::new(self.seed);
        let mut ring = IoUring::new(depth.next_power_of_two() as u32)?;
        let mut bufs: Vec<Buf> =
            (0..depth).map(|_| Buf::zeroed(self.page_bytes, self.page_bytes)).collect();
        let mut idle: Vec<usize> = (0..depth).collect();
        let (started, mut count, mut failed) = (Instant::now(), 0, None);
        loop {
            if started.elapsed() < slice && failed.is_none() {
                while let Some(place) = idle.pop() {
                    let (file, offset) = self.pick(&mut rng);
                    let buf = bufs[place].as_mut_ptr();
                    let read =
                        opcode::Read::new(types::Fd(file.as_raw_fd()), buf, self.page_bytes as u32)
                            .offset(offset)
                            .build()
                            .user_data(place as u64);
                    // SAFETY: file and buffer outlive the read, which is waited for below before this returns,
                    // and no place has two reads at once.
                    unsafe { ring.submission().push(&read) }?;
                }
            } else if idle.len() == depth {
                break;
            }
            // A signal is no reason to leave while the kernel still writes to the buffers.
            if let Err(error) = ring.submit_and_wait(1)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                // Buffers with reads under way are given up rather than freed.
                std::mem::forget(bufs);
                return Err(error.into());
            }
            for done in ring.completion() {
                idle.push(done.user_data() as usize);
                count += 1;
                if done.result() != self.page_bytes as i32 {
                    failed = Some(done.result());
                }
            }
        }
        match failed {
            Some(result) => Err(format!("a raw read gave {result}").into()),
            None => Ok(Reads { count, seconds: started.elapsed().as_secs_f64() }),
        }
    }

    /// Reads for `slice` on `threads` threads.
    pub fn pread(&mut self, threads: usize, slice: Duration) -> Result<Reads> {
        self.seed += threads as u64;
        let (started, base) = (Instant::now(), self.seed * 1_000);
        let one = &|seed: u64| -> Result<u64> {
            let (mut rng, mut buf) =
                (Rng::new(seed), Buf::zeroed(self.page_bytes, self.page_bytes));
            let mut count = 0;
            while started.elapsed() < slice {
                let (file, offset) = self.pick(&mut rng);
                file.read_exact_at(&mut buf, offset)?;
                count += 1;
            }
            Ok(count)
        };
        let counts = std::thread::scope(|scope| {
            let reading: Vec<_> =
                (0..threads as u64).map(|t| scope.spawn(move || one(base + t))).collect();
            reading
                .into_iter()
                .map(|r| r.join().map_err(|_| "a thread panicked")?)
                .sum::<Result<u64>>()
        });
        Ok(Reads { count: counts?, seconds: started.elapsed().as_secs_f64() })
    }
}

/// What the kernel has counted of the device that a directory is on, all processes together.
#[derive(Clone, Copy, Default)]
pub struct Device {
    /// Reads as the device got them: of neighbouring pages the kernel may have made one.
    pub reads: u64,
    pub bytes: u64,
    pub read_ms: u64,
}

impl Device {
    /// The counts now; none where the file system has no device of its own.
    pub fn of(dir: &Path) -> Option<Device> {
        let dev = dir.metadata().ok()?.dev();
        let (major, minor) = (dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xfff00);
        let stats = read_to_string("/proc/diskstats").ok()?;
        let fields = stats.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let number = |text: &str| text.parse::<u64>().ok();
        let ours = |f: &Vec<&str>| {
            f.len() > 6 && number(f[0]) == Some(major) && number(f[1]) == Some(minor)
        };
        let found = fields.into_iter().find(ours)?;
        Some(Device {
            reads: number(found[3])?,
            bytes: number(found[5])? * 512,
            read_ms: number(found[6])?,
        })
    }
}
