//! Reads a log without writing to it: a closed one, or one that another process is writing.
//!
//! ```text
//!   LogFile   one file: header, block at an offset, traces        replay, inspection
//!   follow    the log from an LSN on, block by block, as far as it is whole      backup
//! ```
//!
//! S1. What is handed out is whole: its checksums hold, and it is of this log, this file and this round.
//!     A block that is being written while it is read is not whole yet, and a file that is recycled
//!     under the reader's hands has no more blocks of its old number.
//! S2. What `follow` visits is a prefix of the log from its start, and reaches at least as far as the log
//!     did when it was called.
//! S3. Nothing is written. Every step moves on by a sector at least; a read is up to a file long.
//!
//! Errors: `Corrupt` with file and offset where the log breaks off and is proven to have gone on, or is
//! not there at all. Of a log in use that may also mean that it moved on: look again, from the newest
//! manifest.

use super::files::Files;
use super::format::{self, BLOCK_HEADER_BYTES, BlockInfo, FileInfo, GRAIN_BYTES_MAX, SECTOR_BYTES};
use crate::base::limits::GROUP_BYTES_MAX;
use crate::base::{Error, Lsn, Result};
use crate::io::{Buf, File};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read at once: the device's full rate is reached well below.
pub(super) const READ_BYTES: u64 = 1024 * 1024;

/// How far behind its end a log in use is looked at for proof that it went on: a block, and the next one,
/// which says so, each of `GROUP_BYTES_MAX`; and as much again for syncs that lag behind.
const PROOF_BYTES: u64 = 4 * GROUP_BYTES_MAX as u64;

/// A whole block.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'a> {
    /// What its header says.
    pub info: BlockInfo,
    /// Its bytes as they lie in the file, header and padding included.
    pub bytes: &'a [u8],
    /// Its entries.
    pub payload: &'a [u8],
}

impl<'a> Scanned<'a> {
    /// The entries, in order. An `Err` ends them and says what does not hold, which for a whole block
    /// means that it was written so.
    pub fn entries(
        &self,
    ) -> impl Iterator<Item = std::result::Result<&'a [u8], &'static str>> + use<'a> {
        let (mut rest, mut left) = (self.payload, self.info.entries);
        std::iter::from_fn(move || match (left, rest.is_empty()) {
            (0, true) => None,
            (0, false) => {
                rest = &[];
                Some(Err("the block has more bytes than its entries"))
            }
            _ => {
                left -= 1;
                let entry = format::take_entry(&mut rest);
                if entry.is_none() {
                    (left, rest) = (0, &[]);
                }
                Some(entry.ok_or("the block has fewer entries than it says"))
            }
        })
    }
}

/// A log file seen through a window that moves in large aligned reads.
pub struct LogFile<'a> {
    files: &'a Files,
    number: u32,
    pub(super) file: Arc<dyn File>,
    /// Bytes that can be read and addressed: whole units of alignment.
    len: u64,
    pub(super) window: Buf,
    /// The file's byte at which the window begins.
    pub(super) start: u64,
}

impl<'a> LogFile<'a> {
    /// Opens file `number`.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(files: &'a Files, number: u32) -> Result<LogFile<'a>> {
        let file = files.disk.open(&files.path(number))?;
        let len = file.len().min(u64::from(u32::MAX));
        let len = len - len % file.align().max(1) as u64;
        Ok(LogFile { files, number, file, len, window: Buf::zeroed(0, 1), start: 0 })
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.files.path(self.number)
    }

    /// Bytes that can be read.
    pub fn bytes_len(&self) -> u64 {
        self.len
    }

    /// What the file's header says, if the file was written under its number.
    ///
    /// # Errors
    /// `WrongVersion`; `Mismatch` if it is another store's or shard's; `Io`.
    pub fn header(&mut self) -> Result<Option<FileInfo>> {
        let path = self.path();
        let len = self.len.min(GRAIN_BYTES_MAX as u64);
        self.fill(0, len)?;
        format::read_file_header(&self.window, self.files.identity(), self.number, &path)
    }

    /// Takes the file for one that ends at `to`, so that no read goes beyond.
    pub fn end_at(&mut self, to: u32) {
        let align = self.file.align().max(1) as u64;
        self.len = self.len.min(u64::from(to).next_multiple_of(align));
    }

    /// Where the first block of a file written on this machine begins.
    pub fn first_block(&self) -> Lsn {
        Lsn::new(self.number, format::grain(self.file.align()) as u32)
    }

    /// The block at `at`, if all of it is whole and of this log and round.
    ///
    /// # Errors
    /// `Io`.
    pub fn block(&mut self, at: u64, grain: usize) -> Result<Option<Scanned<'_>>> {
        let (of, lsn) = (self.files.identity(), Lsn::new(self.number, at as u32));
        let Some(header) = self.bytes(at, BLOCK_HEADER_BYTES)? else { return Ok(None) };
        let Some(info) = format::read_block_header(header, of, lsn) else { return Ok(None) };
        let count = format::block_bytes(info.payload_bytes, grain);
        let Some(bytes) = self.bytes(at, count)? else { return Ok(None) };
        Ok(info.payload(bytes).map(|payload| Scanned { info, bytes, payload }))
    }

    /// Calls `visit` for each block of this log and round, whole or torn, that has its header at a multiple
    /// of `step` in `at..to`.
    ///
    /// # Errors
    /// `Io`, and whatever `visit` returns.
    pub fn traces(
        &mut self,
        mut at: u64,
        to: u64,
        step: usize,
        visit: &mut dyn FnMut(&BlockInfo) -> Result<()>,
    ) -> Result<()> {
        let (of, number) = (self.files.identity(), self.number);
        while at < to {
            let Some(block) = self.bytes(at, BLOCK_HEADER_BYTES)? else { break };
            if let Some(block) = format::read_block_header(block, of, Lsn::new(number, at as u32)) {
                visit(&block)?;
            }
            at += step as u64;
        }
        Ok(())
    }

    /// `count` bytes at `at`, if the file has them.
    pub(super) fn bytes(&mut self, at: u64, count: usize) -> Result<Option<&[u8]>> {
        let end = at.saturating_add(count as u64);
        if end > self.len {
            return Ok(None);
        }
        if at < self.start || end > self.start + self.window.len() as u64 {
            self.fill(at, end.max(at + READ_BYTES).min(self.len))?;
        }
        let first = (at - self.start) as usize;
        Ok(self.window.get(first..first + count))
    }

    /// Moves the window to `from..to`, or a little more.
    pub(super) fn fill(&mut self, from: u64, to: u64) -> Result<()> {
        let align = self.file.align().max(1) as u64;
        self.start = from - from % align;
        let bytes = (to.next_multiple_of(align).min(self.len) - self.start) as usize;
        if self.window.capacity() < bytes {
            self.window = Buf::zeroed(bytes, self.file.align());
        }
        self.window.set_len(bytes);
        if bytes == 0 { Ok(()) } else { self.file.read_at(self.start, &mut self.window) }
    }

    /// Forgets what was read, so that it is read again.
    fn forget(&mut self) {
        self.window.set_len(0);
    }

    pub(super) fn corrupt(&self, at: u64, what: impl Into<String>) -> Error {
        Error::corrupt(self.path(), at, what)
    }
}

/// The files from number `from` on that were written under their numbers, ascending: the chain.
///
/// # Errors
/// As [`LogFile::header`].
pub fn chain(files: &Files, from: u32) -> Result<Vec<FileInfo>> {
    let mut chain = Vec::new();
    for number in files.list()?.into_iter().filter(|&number| number >= from) {
        chain.extend(LogFile::open(files, number)?.header()?);
    }
    Ok(chain)
}

/// What [`follow`] comes by, in the order of the log.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// A file, and its header's bytes, padding included.
    File(FileInfo, &'a [u8]),
    /// A block of the file before.
    Block(Scanned<'a>),
}

/// What a walk along a log found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Where the whole log ended, or was left: it may have grown meanwhile.
    pub end: Lsn,
    /// The files that hold it, ascending.
    pub files: Vec<u32>,
    /// Blocks visited.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Visits the log from `from` on, where a manifest says that replay begins, as far as it is whole now. It
/// may be in use: what was written before the call is visited (S2), what comes later may be.
///
/// # Errors
/// `Corrupt` (see the module), `WrongVersion`, `Mismatch`, `Io`, also if a file is recycled meanwhile;
/// and whatever `visit` returns.
pub fn follow(
    files: &Files,
    from: Lsn,
    visit: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<Followed> {
    // Taken first: when the last of these was begun, those before it were complete, and the log of this
    // moment ends in it. Following newer ones could go on for as long as somebody writes.
    let chain = chain(files, from.file())?;
    let mut found = Followed { end: from, files: Vec::new(), blocks: 0, bytes: 0 };
    for (i, info) in chain.iter().enumerate() {
        let mut file = LogFile::open(files, info.number)?;
        if info.number != from.file() {
            if info.prev_end != found.end {
                let (prev, end) = (info.prev_end, found.end);
                let what =
                    format!("it goes on from LSN {prev}, but what leads there ends at {end}");
                return Err(file.corrupt(0, what));
            }
            found.end = Lsn::new(info.number, info.grain as u32);
        } else if from.offset() < info.grain as u32 {
            return Err(file.corrupt(u64::from(from.offset()), "no block can begin here"));
        } else if u64::from(from.offset()) > file.bytes_len() {
            let what = "the file ends before this place";
            return Err(file.corrupt(u64::from(from.offset()), what));
        }
        found.files.push(info.number);
        let Some(header) = file.bytes(0, info.grain)? else {
            return Err(file.corrupt(0, "the file ends within its header"));
        };
        visit(Piece::File(*info, header))?;
        let stop = chain.get(i + 1).map(|next| u64::from(next.prev_end.offset()));
        walk(&mut file, info, stop, visit, &mut found)?;
        if stop.is_none() {
            prove_end(files, &mut file, info, visit, &mut found)?;
        }
    }
    if chain.is_empty() && from != Lsn(0) {
        // As replay has it: a file never begun, at its first block.
        if files.list()?.contains(&from.file())
            && LogFile::open(files, from.file())?.first_block() == from
        {
            found.files.push(from.file());
            return Ok(found);
        }
        let what = format!("no such file of the log, yet {from} lies here");
        return Err(Error::corrupt(files.path(from.file()), 0, what));
    }
    Ok(found)
}

/// Visits the whole blocks of `file` from the end that was found to `stop`, or to the first that is not.
fn walk(
    file: &mut LogFile<'_>,
    info: &FileInfo,
    stop: Option<u64>,
    visit: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    found: &mut Followed,
) -> Result<()> {
    let mut at = u64::from(found.end.offset());
    while stop.is_none_or(|stop| at < stop) {
        let Some(block) = file.block(at, info.grain)? else { break };
        at += block.bytes.len() as u64;
        found.blocks += 1;
        found.bytes += block.bytes.len() as u64;
        visit(Piece::Block(block))?;
    }
    found.end = Lsn::new(info.number, at as u32);
    Ok(())
}

/// Whether the log may end where it was found to: a block behind that which was written when the log was
/// durable beyond this place proves that a block here is damaged, or has become whole meanwhile.
fn prove_end(
    files: &Files,
    file: &mut LogFile<'_>,
    info: &FileInfo,
    visit: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    found: &mut Followed,
) -> Result<()> {
    loop {
        let end = found.end;
        let mut proof = None;
        let mut look = |block: &BlockInfo| {
            if block.durable_to > end {
                proof.get_or_insert(block.lsn);
            }
            Ok(())
        };
        let at = u64::from(end.offset());
        file.traces(at, at + PROOF_BYTES, info.grain, &mut look)?;
        for number in files.list()?.into_iter().filter(|&number| number > info.number) {
            // A file whose header is lost was not followed; one that was begun since is not ours.
            let mut later = LogFile::open(files, number)?;
            if later.header()?.is_none() {
                later.traces(0, 2 * GRAIN_BYTES_MAX as u64, SECTOR_BYTES, &mut look)?;
            }
        }
        let Some(proof) = proof else { return Ok(()) };
        file.forget();
        walk(file, info, None, visit, found)?;
        if found.end == end {
            let what =
                format!("not valid, though the block at LSN {proof} found the log durable here");
            return Err(file.corrupt(at, what));
        }
    }
}
