//! The device below the store: a file of noise, written and read past the page cache, with nothing in between.
//!
//! ```text
//!   write          pwrite and fdatasync, one after the other, by the thread that measures
//!   read           pread of a random block, one after the other
//!   read_for       random blocks with so many under way, through a ring where there is one
//! ```
//!
//! What this gives is the limit of what a store on the same device can. The file is written in full before anything is
//! measured, and never grows: no write allocates.

use super::{Going, clock, for_nanos};
use crate::base::Result;
use crate::io::{Buf, Disk, File, Op, Rng, Wait};
use std::path::Path;
use std::sync::Arc;

/// The usual unit: what one small durable insert writes.
pub const BLOCK_BYTES: usize = 4096;

/// The largest write.
const CHUNK_BYTES: usize = 1 << 20;

/// A file that is written and read directly.
pub struct Device {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    bytes: u64,
    /// Where the next write goes.
    at: u64,
    noise: Buf,
    block: Buf,
    rng: Rng,
}

/// Reads of some time.
#[derive(Clone, Copy, Default, Debug)]
pub struct Reads {
    /// How many.
    pub count: u64,
    /// The time that they took together.
    pub nanos: u64,
}

impl Reads {
    /// Reads a second.
    pub fn per_second(&self) -> f64 {
        self.count as f64 * 1e9 / self.nanos.max(1) as f64
    }
}

impl Device {
    /// Makes the file, of `bytes` rounded up to MiB. Noise, since some devices do not write zeros.
    ///
    /// # Errors
    /// `Io`, `Full` where the disk is.
    pub fn create(disk: &Arc<dyn Disk>, path: &Path, bytes: u64) -> Result<Device> {
        let bytes = bytes.max(1).next_multiple_of(CHUNK_BYTES as u64);
        let file = disk.create(path, bytes)?;
        let mut rng = Rng::new(1);
        let mut noise = Buf::zeroed(CHUNK_BYTES, BLOCK_BYTES.max(file.align()));
        for at in (0..bytes).step_by(CHUNK_BYTES) {
            rng.fill(&mut noise);
            file.write_at(at, &noise)?;
        }
        file.sync()?;
        let block = Buf::zeroed(BLOCK_BYTES, BLOCK_BYTES.max(file.align()));
        Ok(Device { disk: disk.clone(), file, bytes, at: 0, noise, block, rng })
    }

    /// One synced write of `bytes`, up to a MiB, behind the one before; from the start again at the end. Gives 1.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, bytes: usize) -> Result<u64> {
        let bytes = bytes.min(CHUNK_BYTES);
        if self.at + bytes as u64 > self.bytes {
            self.at = 0;
        }
        self.file.write_at(self.at, &self.noise[..bytes])?;
        self.file.sync()?;
        self.at += bytes as u64;
        Ok(1)
    }

    /// So many synced writes as `groups`, of `bytes` together, as a log writes them; the nanoseconds that they took, and
    /// the share of them that were written, if it was told to end.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_groups(&mut self, groups: u64, bytes: u64, going: &Going) -> Result<(u64, f64)> {
        let each = (bytes / groups.max(1)).next_multiple_of(BLOCK_BYTES as u64) as usize;
        let (began, mut written) = (clock::wall(), 0);
        while written < groups && (written == 0 || going()) {
            written += self.write(each)?;
        }
        Ok((clock::wall() - began, written as f64 / groups.max(1) as f64))
    }

    /// Reads a random block. Gives 1.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&mut self) -> Result<u64> {
        let offset = self.random_offset();
        self.file.read_at(offset, &mut self.block)?;
        Ok(1)
    }

    /// Reads random blocks for so long, with `depth` under way at every moment.
    ///
    /// # Errors
    /// `Io`.
    pub fn read_for(&mut self, nanos: u64, depth: usize, going: &Going) -> Result<Reads> {
        let mut queue = self.disk.queue(depth)?;
        let align = BLOCK_BYTES.max(self.file.align());
        let mut idle: Vec<Buf> = (0..depth).map(|_| Buf::zeroed(BLOCK_BYTES, align)).collect();
        let (mut done, mut count) = (Vec::new(), 0);
        let going = for_nanos(nanos, going);
        let began = clock::wall();
        loop {
            while let Some(buf) = idle.pop_if(|_| going()) {
                let (file, offset) = (self.file.clone(), self.random_offset());
                // There is room: no more buffers than the queue is deep.
                let _pushed = queue.push(0, Op::Read { file, offset, buf });
            }
            if queue.in_flight() == 0 {
                return Ok(Reads { count, nanos: clock::wall() - began });
            }
            queue.wait(Wait::Forever, &mut done)?;
            for done in done.drain(..) {
                done.result?;
                count += 1;
                idle.extend(done.buf);
            }
        }
    }

    fn random_offset(&mut self) -> u64 {
        self.rng.below(self.bytes / BLOCK_BYTES as u64) * BLOCK_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::always;
    use crate::io::{Backend, system};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn everything_is_read_and_written_within_the_file_whichever_way() {
        for backend in [Backend::Auto, Backend::Posix] {
            let dir = tempfile::tempdir().unwrap();
            let (path, disk) = (dir.path().join("device"), system(backend).unwrap().disk);
            let mut device = Device::create(&disk, &path, 1).unwrap();
            let noise = std::fs::read(&path).unwrap();
            assert!(
                noise.len() == CHUNK_BYTES
                    && noise.chunks(BLOCK_BYTES).all(|b| b != [0; BLOCK_BYTES])
            );
            // Round and round, and never beyond the end.
            let (_, share) = device.write_groups(7, 7 * 300_000, &always()).unwrap();
            assert_eq!(share, 1.0);
            assert_eq!(device.read().unwrap(), 1);
            let reads = device.read_for(20_000_000, 32, &always()).unwrap();
            assert!(reads.count > 0 && reads.per_second() > 0.0, "{reads:?}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), CHUNK_BYTES as u64);
            assert!(Device::create(&disk, &path, 1).is_err(), "it is there");
        }
    }

    #[test]
    fn who_is_told_to_end_does_and_says_how_far_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let disk = system(Backend::Posix).unwrap().disk;
        let mut device = Device::create(&disk, &dir.path().join("device"), 1).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let going: Going = Arc::new(move || steps.fetch_add(1, Relaxed) < 2);
        let (_, share) = device.write_groups(12, 12 * 4096, &going).unwrap();
        assert_eq!(share, 0.25);
        assert_eq!(device.read_for(u64::MAX / 2, 4, &going).unwrap().count, 0);
    }
}
