//! What a shard stored and removed, read back from its log: in its order, as far as the log reaches, over restarts.
//!
//! ```text
//!   position                  published end
//!   v                         v
//!   [block: entry entry ...][block] ...        log files, recycled once segments hold what they do
//! ```
//!
//! I1. Only what is published is read: every entry is as durable as its insert's answer said.
//! I2. The end of a file that is not the last is what the next file's header says. A position behind it names what a crash
//!     took back.
//! I3. A file that was recycled has no block of its old number, so that an old position is never mistaken for a new one.
//!
//! Errors: `ChangesGone` if the log no longer reaches back to the position, or never came to it; `Corrupt`, `Io`.

use super::Shared;
use super::format::{Entry, read_entry};
use super::work::log_files;
use crate::base::{Error, Lsn, Result};
use crate::wal::scan::{self, LogFile};
use crate::wal::{FileInfo, Files};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A place between two entries of a shard's log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LogPosition {
    /// Where a block begins, or the log ends.
    pub block: Lsn,
    /// How many of the block's entries are before this place.
    pub entry: u32,
}

/// Reads a shard's log from a position on.
pub struct ChangeReader {
    shared: Arc<Shared>,
    files: Files,
    at: LogPosition,
}

impl ChangeReader {
    pub(super) fn new(shared: Arc<Shared>, at: LogPosition) -> ChangeReader {
        let files = log_files(&shared.config, &shared);
        ChangeReader { shared, files, at }
    }

    /// The place behind the entry that was visited last.
    pub fn position(&self) -> LogPosition {
        self.at
    }

    /// Calls `visit` with each entry from the position on, and with the place behind it, until it breaks off or all that
    /// is published was read. Returns whether there may be more. Opens a file and lists a directory: some 50 us beside the
    /// reading.
    ///
    /// # Errors
    /// `ChangesGone`, `Corrupt`, `Io`; the position stays behind the last entry visited.
    pub fn read(
        &mut self,
        visit: &mut dyn FnMut(Entry<'_>, LogPosition) -> ControlFlow<()>,
    ) -> Result<bool> {
        let end = self.shared.published.log_end();
        if self.at.block > end || self.at.block == end && self.at.entry > 0 {
            return Err(self.gone());
        }
        while self.at.block != end {
            let (info, limit) = self.file(end)?;
            if self.at.block > limit {
                return Err(self.gone());
            }
            if self.walk(&info, limit, visit)?.is_break() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The file that the position is in, and where the log leaves it, or `end`. Moves a position at the end of a file to
    /// the next one.
    fn file(&mut self, end: Lsn) -> Result<(FileInfo, Lsn)> {
        let chain = match scan::chain(&self.files, self.at.block.file()) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
            chain => chain?,
        };
        // The last one counts: a crash may have left others without a block of the log.
        let next = chain.iter().rposition(|info| info.prev_end == self.at.block);
        let (info, later) = match (next, &chain[..]) {
            (Some(next), chain) => {
                let info = chain[next];
                let block = Lsn::new(info.number, info.grain as u32);
                self.at = LogPosition { block, entry: 0 };
                (info, &chain[next + 1..])
            }
            (None, [first, later @ ..]) if first.number == self.at.block.file() => (*first, later),
            _ => return Err(self.gone()),
        };
        if later.iter().any(|later| later.prev_end.file() < info.number) {
            return Err(self.gone()); // the log went on without this file
        }
        let left = later.iter().map(|later| later.prev_end);
        let left = left.filter(|left| left.file() == info.number).min(); // I2
        match left.map_or(end, |left| left.min(end)) {
            limit if limit.file() == info.number => Ok((info, limit)),
            _ => Err(self.gone()),
        }
    }

    fn walk(
        &mut self,
        info: &FileInfo,
        limit: Lsn,
        visit: &mut dyn FnMut(Entry<'_>, LogPosition) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut file = match LogFile::open(&self.files, info.number) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(self.gone());
            }
            file => file?,
        };
        file.end_at(limit.offset()); // I1
        while self.at.block < limit {
            let offset = self.at.block.offset();
            let Some(block) = file.block(u64::from(offset), info.grain)? else {
                return Err(self.gone()); // I3
            };
            if self.at.entry > block.info.entries {
                return Err(self.gone());
            }
            let damaged = |what| Error::corrupt(self.files.path(info.number), offset.into(), what);
            for entry in block.entries().skip(self.at.entry as usize) {
                let entry = read_entry(entry.map_err(damaged)?).map_err(damaged)?;
                self.at.entry += 1;
                if visit(entry, self.at).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            let behind = offset + block.bytes.len() as u32;
            self.at = LogPosition { block: Lsn::new(info.number, behind), entry: 0 };
        }
        Ok(ControlFlow::Continue(()))
    }

    fn gone(&self) -> Error {
        Error::ChangesGone { shard: self.shared.config.shard, position: self.at.block }
    }
}
