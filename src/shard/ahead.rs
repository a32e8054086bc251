//! A file read from front to back in large pieces, for who reads all of it once.
//!
//! ```text
//!   page reads of a merge --> [ piece of 256 KiB ] x 8 --> file
//! ```
//!
//! A merge walks several regions of a file at the same time, each from front to back, so a few pieces serve all
//! its reads, and the device sees reads of the size that it likes best. Beside the pool, which keeps what
//! queries use: a merge would push that out for pages that nobody asks for again.

use crate::base::Result;
use crate::io::{Buf, File};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a piece: the device is near its full rate from here on.
const PIECE_BYTES: u64 = 256 << 10;

/// Pieces kept: one for each region that is walked, and two to spare.
const PIECES: usize = 8;

/// Bytes of memory that it takes.
pub(super) const BUFFER_BYTES: usize = PIECES * PIECE_BYTES as usize;

/// A file behind a few large read buffers. Reads only.
#[derive(Debug)]
pub(super) struct Ahead {
    file: Arc<dyn File>,
    /// The last used first.
    pieces: Mutex<Vec<(u64, Buf)>>,
}

impl Ahead {
    /// Reads `file`, which does not change, in pieces.
    pub(super) fn over(file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Ahead { file, pieces: Mutex::default() })
    }

    /// Copies from the piece that begins at `start`, which is read if it is not here.
    fn copy(&self, start: u64, within: usize, out: &mut [u8]) -> Result<()> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = pieces.iter().position(|(at, _)| *at == start) {
            pieces[..=i].rotate_right(1);
        } else {
            let bytes = (self.file.len() - start).min(PIECE_BYTES) as usize;
            let spare = if pieces.len() == PIECES { pieces.pop() } else { None };
            let mut buf = match spare {
                Some((_, buf)) if buf.len() == bytes => buf,
                _ => Buf::zeroed(bytes, self.file.align()),
            };
            self.file.read_at(start, &mut buf)?;
            pieces.insert(0, (start, buf));
        }
        let piece = &pieces[0].1;
        out.copy_from_slice(&piece[within..within + out.len()]);
        Ok(())
    }
}

impl File for Ahead {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn align(&self) -> usize {
        self.file.align()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.file.len()) {
            return self.file.read_at(offset, buf);
        }
        let (mut at, mut out) = (offset, buf);
        while !out.is_empty() {
            let (start, within) = (at / PIECE_BYTES * PIECE_BYTES, (at % PIECE_BYTES) as usize);
            let now = out.len().min(PIECE_BYTES as usize - within);
            let (head, rest) = out.split_at_mut(now);
            self.copy(start, within, head)?;
            (at, out) = (at + now as u64, rest);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.file.write_at(offset, buf)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim::Faults;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// A file that counts the reads of it.
    #[derive(Debug)]
    struct Counted(Arc<dyn File>, AtomicUsize);

    impl File for Counted {
        fn path(&self) -> &Path {
            self.0.path()
        }
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn align(&self) -> usize {
            self.0.align()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            self.1.fetch_add(1, Relaxed);
            self.0.read_at(offset, buf)
        }
        fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
            self.0.write_at(offset, buf)
        }
        fn sync(&self) -> Result<()> {
            self.0.sync()
        }
    }

    #[test]
    fn it_gives_what_the_file_gives() {
        let (env, _disk, _clock) = crate::io::simulated(1, Faults::default());
        env.disk.create_dir(Path::new("/d")).unwrap();
        let file = env.disk.create(Path::new("/d/f"), 0).unwrap();
        let bytes = (3 * PIECE_BYTES + 8192) as usize;
        let mut content = Buf::zeroed(bytes, file.align());
        content.iter_mut().enumerate().for_each(|(i, b)| *b = (i % 251) as u8);
        file.write_at(0, &content).unwrap();
        let ahead = Ahead::over(file.clone());
        for at in (0..bytes - 4096).step_by(4096).chain((0..bytes - 4096).rev().step_by(40_960)) {
            let at = at / 512 * 512;
            let mut got = Buf::zeroed(4096, file.align());
            ahead.read_at(at as u64, &mut got).unwrap();
            assert_eq!(got[..], content[at..at + 4096], "at {at}");
        }
        let mut all = Buf::zeroed(bytes, file.align());
        ahead.read_at(0, &mut all).unwrap();
        assert_eq!(all[..], content[..]);
        let mut beyond = Buf::zeroed(8192, file.align());
        assert!(ahead.read_at(bytes as u64 - 4096, &mut beyond).is_err());
    }

    #[test]
    fn eight_regions_side_by_side_are_read_a_piece_at_a_time_and_once() {
        let (env, disk, _clock) = crate::io::simulated(1, Faults::default());
        env.disk.create_dir(Path::new("/d")).unwrap();
        let file = env.disk.create(Path::new("/d/f"), 0).unwrap();
        env.disk.sync_dir(Path::new("/d")).unwrap();
        // The last piece of all is a short one.
        let (region, short) = (3 * PIECE_BYTES as usize, 4096);
        let mut content = Buf::zeroed(PIECES * region - short, file.align());
        content.iter_mut().enumerate().for_each(|(i, b)| *b = (i / 4096 % 251) as u8);
        let ahead = Ahead::over(file);
        ahead.write_at(0, &content).unwrap();
        ahead.sync().unwrap();
        disk.power_loss();
        let file = env.disk.open(Path::new("/d/f")).unwrap();
        let file = Arc::new(Counted(file, AtomicUsize::new(0)));
        let ahead = Ahead::over(file.clone());
        assert_eq!((ahead.len(), ahead.align()), (content.len() as u64, file.align()));
        assert_eq!(ahead.path(), Path::new("/d/f"));
        for round in 1..=2 {
            for step in 0..region / 4096 {
                for start in (0..PIECES).map(|i| i * region + step * 4096) {
                    let mut got = Buf::zeroed(4096, file.align());
                    if start < content.len() {
                        ahead.read_at(start as u64, &mut got).unwrap();
                        assert_eq!(got[..], content[start..start + 4096], "at {start}");
                    }
                }
            }
            assert_eq!(file.1.load(Relaxed), round * PIECES * 3);
        }
        let mut all = Buf::zeroed(content.len(), file.align());
        ahead.read_at(0, &mut all).unwrap();
        assert!(all[..] == content[..]);
    }
}
