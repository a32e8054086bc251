//! The log of a shard on its way into another directory: block by block, only what is whole.
//!
//! ```text
//!   wal-0000002a   [file header]......[block][block][block]~torn~      source, in use
//!   ....02a.part   [file header]000000[block][block][block]            target: same bytes, same places
//!                                 ^ where the manifest says that replay begins
//! ```
//!
//! I1. A copy does not count before it is whole and synced: replay would take blocks of an unsynced write that
//!     reached the medium out of order for damage.

use super::target::part_of;
use crate::base::{Error, Lsn, Result};
use crate::io::{Buf, DISK_BLOCK_BYTES, File};
use crate::wal::scan::{Followed, LogFile, Piece, follow};
use crate::wal::{FileInfo, Files};
use std::path::Path;
use std::sync::Arc;

/// Bytes gathered before they are written.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies the log of `source` from `from` on, as far as it is whole, into parts of `target`, which has none, and
/// syncs them. Their names are durable after a sync of the directory.
///
/// # Errors
/// As [`follow`]; `Invalid` if the target's own log goes further.
pub(super) fn copy_log(source: &Files, target: &Files, from: Lsn) -> Result<Followed> {
    let mut out: Option<Out> = None;
    let followed = follow(source, from, &mut |piece| match piece {
        Piece::File(info, header) => {
            if let Some(done) = out.take() {
                done.finish(from)?;
            }
            out = Some(Out::open(target, info, header)?);
            Ok(())
        }
        Piece::Block(block) => match &mut out {
            Some(out) => out.put(u64::from(block.info.lsn.offset()), block.bytes),
            None => Ok(()),
        },
    })?;
    match (out, followed.files.first()) {
        (Some(last), _) => last.finish(from)?,
        // A file that nothing was written to: replay wants to see it, up to its first block.
        (None, Some(number)) => {
            let file = target.disk.create(&part_of(&target.path(*number)), 0)?;
            let bytes = (from.offset() as usize).next_multiple_of(unit_of(&*file));
            file.write_at(0, &Buf::zeroed(bytes, file.align()))?;
            file.sync()?;
        }
        (None, None) => {}
    }
    let last = followed.files.last().copied().unwrap_or_else(|| from.file());
    for number in target.list()?.into_iter().filter(|&number| number > last) {
        if LogFile::open(target, number)?.header()?.is_some() {
            return Err(written_to(&target.path(number)));
        }
    }
    Ok(followed)
}

/// The target has a life of its own.
pub(super) fn written_to(path: &Path) -> Error {
    let path = path.display();
    let why = format!(
        "{path} is no earlier copy of what the store has: the backup was opened as a store and written \
         to, or the store was put back to an older state; use another directory"
    );
    Error::invalid("backup directory", why)
}

/// What a copy is written in whole units of, so that it can be read on any disk.
fn unit_of(file: &dyn File) -> usize {
    file.align().max(DISK_BLOCK_BYTES)
}

/// A log file that is written block by block.
struct Out {
    file: Arc<dyn File>,
    number: u32,
    /// Bytes gathered for `start..`, of which `used` are filled.
    buf: Buf,
    start: u64,
    used: usize,
}

impl Out {
    fn open(target: &Files, info: FileInfo, header: &[u8]) -> Result<Out> {
        let file = target.disk.create(&part_of(&target.path(info.number)), 0)?;
        let buf = Buf::zeroed(CHUNK_BYTES.next_multiple_of(unit_of(&*file)), file.align());
        let mut out = Out { file, number: info.number, buf, start: 0, used: 0 };
        out.put(0, header)?;
        Ok(out)
    }

    fn put(&mut self, at: u64, mut bytes: &[u8]) -> Result<()> {
        if at != self.start + self.used as u64 {
            self.flush()?;
            self.begin(at)?;
        }
        while !bytes.is_empty() {
            if self.used == self.buf.len() {
                let next = self.start + self.used as u64;
                self.flush()?;
                self.begin(next)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.buf.len() - self.used));
            self.buf[self.used..self.used + now.len()].copy_from_slice(now);
            self.used += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Gathers for what begins at `at`, behind what the file has in the same unit.
    fn begin(&mut self, at: u64) -> Result<()> {
        let unit = unit_of(&*self.file);
        self.start = at - at % unit as u64;
        self.used = (at - self.start) as usize;
        self.buf[..unit].fill(0);
        if self.used > 0 && self.start + unit as u64 <= self.file.len() {
            self.file.read_at(self.start, &mut self.buf[..unit])?;
        }
        Ok(())
    }

    /// Writes what is gathered, padded with zeroes.
    fn flush(&mut self) -> Result<()> {
        let bytes = self.used.next_multiple_of(unit_of(&*self.file));
        self.buf[self.used..bytes].fill(0);
        if self.used > 0 { self.file.write_at(self.start, &self.buf[..bytes]) } else { Ok(()) }
    }

    /// Writes what is left and makes it durable. `from` is where replay begins.
    fn finish(mut self, from: Lsn) -> Result<()> {
        self.flush()?;
        let unit = unit_of(&*self.file);
        let whole = u64::from(from.offset()).next_multiple_of(unit as u64);
        if self.number == from.file() && self.file.len() < whole {
            // Nothing lies behind that place, and what is before it was not copied; yet it must be there.
            let zeroes = Buf::zeroed(unit, self.file.align());
            self.file.write_at(whole - unit as u64, &zeroes)?;
        }
        self.file.sync()
    }
}
