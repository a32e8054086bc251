//! Where the next block goes, and the write that puts it there. No I/O happens here.
//!
//! ```text
//!   file N   [file header][block][block][ position ...........]      rotate: N+1 continues at `end`
//!             written with ^ the first
//! ```
//!
//! Invariants:
//! I1. A sector that was written is never written again in the same round: each block begins at the
//!     next grain.
//! I2. A block names the LSN up to which the log was durable before it. Replay takes that as proof that
//!     what is missing below was lost by the medium, not by a crash. Therefore the write of one
//!     [`Placed`] must have completed, well, before the next is pushed; a failed one ends the log.
//! I3. A file's header says where the log ended before, which therefore has to be durable: the
//!     operation that [`Writer::rotate`] returns must have completed, well, before the next write is
//!     pushed.

use super::files::Files;
use super::format::{self, FileInfo, Identity};
use super::group::Group;
use crate::base::{Lsn, planted};
use crate::io::{File, Op};
use std::sync::Arc;

/// The tail of a log.
#[derive(Debug)]
pub struct Writer {
    /// `None` until the first one is there.
    file: Option<Arc<dyn File>>,
    number: u32,
    identity: Identity,
    grain: usize,
    /// Bytes of each file.
    file_bytes: u32,
    /// Where the next block begins in the file; past the header from the start.
    offset: u32,
    /// Whether the file has a block, and with it its header.
    begun: bool,
    /// Where the log ended before this file.
    prev_end: Lsn,
    /// Where the log is known to be durable up to.
    durable_to: Lsn,
}

/// A group with its place in the log.
#[derive(Debug)]
pub struct Placed {
    /// The write that puts it there.
    pub op: Op,
    /// LSN of its block: replay from here sees this group first.
    pub start: Lsn,
    /// LSN behind it: replay from here sees what was placed after it.
    pub end: Lsn,
}

impl Writer {
    /// A writer at the start of `file`, prepared under `number` and never written under it, of a log
    /// that ended, durably, at `prev_end`: `Replayed::end`, `Lsn(0)` for a new log.
    pub fn new(files: &Files, file: Arc<dyn File>, number: u32, prev_end: Lsn) -> Writer {
        let grain = format::grain(file.align());
        let waiting = Writer::waiting(files, number, prev_end);
        Writer { file: Some(file), grain, offset: grain as u32, ..waiting }
    }

    /// A writer of such a log that has no file yet, and so no room: the first one will have a number above `number`.
    pub fn waiting(files: &Files, number: u32, prev_end: Lsn) -> Writer {
        Writer {
            file: None,
            number,
            identity: files.identity(),
            grain: format::GRAIN_BYTES_MAX,
            file_bytes: files.file_bytes,
            offset: files.file_bytes,
            begun: false,
            prev_end,
            durable_to: prev_end,
        }
    }

    /// Where the next block will begin, if it fits this file.
    pub fn position(&self) -> Lsn {
        Lsn::new(self.number, self.offset)
    }

    /// Where the log ends: behind the last block placed. Unlike `position` it never lies in a file
    /// without blocks, so it is what a checkpoint of everything so far records, once it is durable.
    pub fn end(&self) -> Lsn {
        if self.begun { self.position() } else { self.prev_end }
    }

    /// Whether the group fits the rest of this file; if not, rotate.
    pub fn fits(&self, group: &Group) -> bool {
        let block = format::block_bytes(group.bytes(), self.grain);
        self.offset as usize + block <= self.file_bytes as usize
    }

    /// Payload bytes of the largest group that fits the rest of this file.
    pub fn room(&self) -> usize {
        let rest = self.file_bytes.saturating_sub(self.offset) as usize;
        (rest / self.grain * self.grain).saturating_sub(format::BLOCK_HEADER_BYTES)
    }

    /// Goes on in `file`, prepared under the higher `number`. Returns the sync of the old file if any of
    /// it was not written durably (I3).
    ///
    /// # Panics
    /// If the number is not higher.
    #[must_use = "the old file has to be durable before the new one is written"]
    pub fn rotate(&mut self, file: Arc<dyn File>, number: u32) -> Option<Op> {
        assert!(number > self.number, "log file {number} after {}", self.number);
        self.prev_end = self.end();
        let unsynced = self.durable_to < self.prev_end;
        self.grain = format::grain(file.align());
        let old = self.file.replace(file);
        self.number = number;
        self.offset = self.grain as u32;
        self.begun = false;
        self.durable_to = self.prev_end;
        old.filter(|_| unsynced).map(|file| Op::Sync { file })
    }

    /// Gives the group its place and makes the write of it; a durable one is synced with all before it.
    ///
    /// # Panics
    /// If it does not fit: ask `fits` first.
    pub fn place(&mut self, group: Group, durable: bool) -> Placed {
        assert!(self.fits(&group), "{} bytes at {}", group.bytes(), self.position());
        let (payload_bytes, entries) = (group.bytes(), group.entries());
        let block_bytes = format::block_bytes(payload_bytes, self.grain);
        let front = if self.begun { 0 } else { self.grain };
        let start = self.position();

        let mut buf = group.into_block(front, block_bytes);
        let (header, block) = buf.split_at_mut(front);
        let of = self.identity;
        format::put_block_header(block, of, start, self.durable_to, payload_bytes, entries);
        if !self.begun {
            let info = FileInfo { number: self.number, grain: self.grain, prev_end: self.prev_end };
            format::put_file_header(header, of, info);
        }

        self.begun = true;
        self.offset += block_bytes as u32;
        let end = self.position();
        if durable {
            self.durable_to = end;
        }
        let offset = u64::from(start.offset()) - front as u64;
        let durable = durable && !planted!(AckBeforeSync);
        let op = Op::Write { file: self.file(), offset, buf, durable };
        Placed { op, start, end }
    }

    /// The next block says of nothing before it that it was durable: where all of it counts together, or not at all.
    pub fn prove_nothing(&mut self) {
        self.durable_to = Lsn(0);
    }

    /// Takes note that a sync which began after the completion of all writes up to `to` succeeded.
    pub fn synced(&mut self, to: Lsn) {
        self.durable_to = self.durable_to.max(to).min(self.end());
    }

    /// The sync of the file at hand, for [`Writer::synced`]; the last durable write needs none.
    pub fn sync(&self) -> Op {
        Op::Sync { file: self.file() }
    }

    fn file(&self) -> Arc<dyn File> {
        self.file.clone().expect("without a file there is no room, and nothing to sync")
    }
}

/// The bug of a tail that is not ended, if it is planted: `log` as one that goes on where the torn one broke off.
#[cfg(test)]
pub fn go_on_in_the_torn_file(
    files: &Files,
    log: Writer,
    replayed: &super::Replayed,
) -> crate::base::Result<Writer> {
    if !planted!(TornTailNotEnded) || !replayed.torn || replayed.end.offset() == 0 {
        return Ok(log);
    }
    let (number, offset) = (replayed.end.file(), replayed.end.offset());
    let file = files.disk.open(&files.path(number))?;
    Ok(Writer { begun: true, offset, ..Writer::new(files, file, number, replayed.end) })
}
