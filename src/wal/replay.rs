//! Reads a log back after a crash, and tells a torn tail from rot.
//!
//! ```text
//!   from                 prev_end of N+1 == where N's blocks end            end
//!    v                                    v                                  v
//!   [N: blocks .......................... ]   [N+1: blocks .................]? torn, or clean
//! ```
//!
//! 1. The files with a valid header for their number are the chain; others were only prepared.
//! 2. In every file but the last, valid blocks reach exactly to where the next file says that the log
//!    ended. If they do not, acknowledged data is damaged: `Corrupt`.
//! 3. In the last file the log ends at the first block that is not valid. If a block behind it was
//!    written when the log was already durable beyond that place (`durable_to`), acknowledged data is
//!    damaged: `Corrupt`. Otherwise it was never acknowledged as durable, and is a torn tail.
//! 4. The end that was found is made durable, so that no later crash can move it. What is not known to
//!    be durable is written again, the same bytes to the same place, and synced: after a sync that
//!    failed, another one proves nothing about what was written before it.
//!
//! A torn tail is left as it is: the caller goes on in a new file, `next_number`, whose header says where
//! the log ended. Rule 3 sees a torn tail wherever damage and an interrupted write look the same: in
//! the last write of a log, and after power loss in what was written and never synced.
//!
//! Decoding terminates, since each step moves on by at least a sector; reads are up to a file long.

use super::files::Files;
use super::format::{self, BLOCK_HEADER_BYTES, BlockInfo, FileInfo, GRAIN_BYTES_MAX, SECTOR_BYTES};
use crate::base::{Error, Lsn, Result};
use crate::io::{Buf, File};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read at once: the device's full rate is reached well below.
const READ_BYTES: u64 = 1024 * 1024;

/// What a replay found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// Where the log ends: `prev_end` of the file in which it goes on.
    pub end: Lsn,
    /// Above the number of every file there is: the file in which the log goes on.
    pub next_number: u32,
    /// Blocks visited.
    pub blocks: u64,
    /// Entries visited.
    pub entries: u64,
    /// Bytes of those entries.
    pub bytes: u64,
    /// Whether traces of writes that never became part of the log were found behind its end. A write of
    /// which no header reached the disk leaves none.
    pub torn: bool,
}

/// Visits every entry of the log from the block at `from` on, in order, with the LSN at which its block
/// begins. `from` is the `start` or `end` of a group once placed, up to which the log was made durable
/// before anything relied on it; `Lsn(0)` is the start of a log whose first file is still there.
/// Blocks its thread: it reads the log once, and the headers of what lies behind its end, and writes at
/// most its last file.
///
/// # Errors
/// `Corrupt` where acknowledged data is damaged or missing: a part of the log may have been visited then;
/// `WrongVersion` and `Mismatch` for files of another version, store or shard; `Full` if no file number
/// is left; `Io`; and whatever `visit` returns.
pub fn replay(
    files: &Files,
    from: Lsn,
    visit: &mut dyn FnMut(Lsn, &[u8]) -> Result<()>,
) -> Result<Replayed> {
    let numbers = files.list()?;
    let Some(next_number) = numbers.last().map_or(Some(1), |last| last.checked_add(1)) else {
        return Err(Error::Full { what: "log file numbers", limit: u64::from(u32::MAX) });
    };
    let mut found =
        Replayed { end: from, next_number, blocks: 0, entries: 0, bytes: 0, torn: false };
    let mut durable_to = from;

    // 1. The chain.
    let mut chain = Vec::new();
    for &number in numbers.iter().filter(|&&number| number >= from.file()) {
        chain.extend(Reader::open(files, number)?.header()?);
    }
    check_start(files, from, &numbers, &chain)?;

    // 2. Its blocks.
    for (i, info) in chain.iter().enumerate() {
        let next = chain.get(i + 1).map(|next| (next.number, next.prev_end));
        walk(files, info, next, visit, &mut found, &mut durable_to)?;
    }

    // 3. What lies behind its end: the rest of its last file, and the files that were only prepared.
    let last = chain.last();
    let behind = last.map_or(from.file(), |info| info.number);
    for &number in numbers.iter().filter(|&&number| number >= behind) {
        let (at, step) = match last.filter(|info| info.number == number) {
            Some(info) => (u64::from(found.end.offset()), info.grain),
            None => (0, SECTOR_BYTES),
        };
        for_traces(files, number, at, step, &mut |block| {
            found.torn = true;
            check_trace(files, found.end, block)
        })?;
    }

    // 4. Durable, as the next file will say.
    if let Some(info) = last {
        settle(files, info, durable_to, found.end)?;
    }
    Ok(found)
}

/// Whether the log that begins with `chain` is one that continues at `from`.
fn check_start(files: &Files, from: Lsn, numbers: &[u32], chain: &[FileInfo]) -> Result<()> {
    let corrupt = |number, offset: u32, what: String| {
        Err(Error::corrupt(files.path(number), u64::from(offset), what))
    };
    match chain.first() {
        Some(first) if first.number == from.file() => {
            let grain = first.grain as u32;
            if from.offset() < grain || !from.offset().is_multiple_of(grain) {
                return corrupt(first.number, from.offset(), "no block can begin here".into());
            }
            Ok(())
        }
        // The file of `from` may be gone or unused if nothing of the log was left in it.
        Some(first) if first.prev_end == from => Ok(()),
        Some(first) if from == Lsn(0) => {
            let what = format!("it continues the log from LSN {}, not from 0", first.prev_end);
            corrupt(first.number, 0, what)
        }
        Some(_) => {
            corrupt(from.file(), 0, format!("no such file of the log, yet {from} lies here"))
        }
        None if from == Lsn(0) => Ok(()),
        // A file never begun, at its first block; further in, a block in front proves a header.
        None if numbers.contains(&from.file())
            && Reader::open(files, from.file())?.first_block() == from.offset() =>
        {
            Ok(())
        }
        None => corrupt(from.file(), 0, format!("no such file of the log, yet {from} lies here")),
    }
}

/// Visits the blocks of one file of the chain; `next` is the following file and where that says the log
/// ended. Leaves the end that was reached in `found`, and up to where it is known to be durable.
fn walk(
    files: &Files,
    info: &FileInfo,
    next: Option<(u32, Lsn)>,
    visit: &mut dyn FnMut(Lsn, &[u8]) -> Result<()>,
    found: &mut Replayed,
    durable_to: &mut Lsn,
) -> Result<()> {
    if let Some((number, prev_end)) = next.filter(|(_, end)| end.file() != info.number) {
        let between = (info.number..number).contains(&prev_end.file());
        let damaged = if between { prev_end.file() } else { number };
        let what = format!("file {number} goes on from LSN {prev_end}, found is {}", info.number);
        return Err(Error::corrupt(files.path(damaged), 0, what));
    }
    let mut reader = Reader::open(files, info.number)?;
    let starts_here = found.end.file() == info.number;
    let mut at = if starts_here { u64::from(found.end.offset()) } else { info.grain as u64 };
    let stop = next.map(|(_, prev_end)| u64::from(prev_end.offset()));
    if at > reader.len {
        return Err(reader.corrupt(at, "the file ends before this place"));
    }
    while stop.is_none_or(|stop| at < stop) {
        let Some((block, payload)) = reader.block(at, info.grain)? else { break };
        let mut rest = payload;
        for _ in 0..block.entries {
            let Some(entry) = format::take_entry(&mut rest) else {
                return Err(reader.corrupt(at, "the block has fewer entries than it says"));
            };
            visit(block.lsn, entry)?;
            found.entries += 1;
            found.bytes += entry.len() as u64;
        }
        if !rest.is_empty() {
            return Err(reader.corrupt(at, "the block has more bytes than its entries"));
        }
        found.blocks += 1;
        *durable_to = block.durable_to.max(*durable_to);
        at += format::block_bytes(block.payload_bytes, info.grain) as u64;
    }
    if let Some(stop) = stop.filter(|&stop| stop != at) {
        let what = format!("no valid block that leads to byte {stop}, where the log went on");
        return Err(reader.corrupt(at, what));
    }
    found.end = Lsn::new(info.number, at as u32);
    Ok(())
}

/// Calls `visit` for each block of this log and round, whole or torn, that has its header at a multiple
/// of `step` from `at` on.
fn for_traces(
    files: &Files,
    number: u32,
    mut at: u64,
    step: usize,
    visit: &mut dyn FnMut(&BlockInfo) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::open(files, number)?;
    while let Some(block) = reader.bytes(at, BLOCK_HEADER_BYTES)? {
        let lsn = Lsn::new(number, at as u32);
        if let Some(block) = format::read_block_header(block, files.identity(), lsn) {
            visit(&block)?;
        }
        at += step as u64;
    }
    Ok(())
}

/// Whether a block behind the log's end leaves that end in peace.
fn check_trace(files: &Files, end: Lsn, block: &BlockInfo) -> Result<()> {
    if block.durable_to <= end {
        return Ok(());
    }
    // The damage is where the log breaks off, or in the header of a file that should have followed.
    let proven = block.durable_to;
    let at = if proven.file() == end.file() { end } else { Lsn::new(proven.file(), 0) };
    let (lsn, offset) = (block.lsn, u64::from(at.offset()));
    let what =
        format!("not valid, though the block at LSN {lsn} found the log durable to {proven}");
    Err(Error::corrupt(files.path(at.file()), offset, what))
}

/// Makes the log durable from `durable_to` to `end`, in the file where it ends.
fn settle(files: &Files, info: &FileInfo, durable_to: Lsn, end: Lsn) -> Result<()> {
    let mut reader = Reader::open(files, info.number)?;
    // From the header on, if not even that is known to be durable.
    let known = durable_to.file() == info.number;
    let mut at = if known { u64::from(durable_to.offset()) } else { 0 };
    let end = u64::from(end.offset());
    while at < end {
        reader.fill(at, end.min(at + READ_BYTES))?;
        reader.file.write_at(reader.start, &reader.window)?;
        at = reader.start + reader.window.len() as u64;
    }
    reader.file.sync()
}

/// A file seen through a window that moves in large aligned reads.
struct Reader<'a> {
    files: &'a Files,
    number: u32,
    file: Arc<dyn File>,
    /// Bytes that can be read and addressed: whole units of alignment.
    len: u64,
    window: Buf,
    /// The file's byte at which the window begins.
    start: u64,
}

impl<'a> Reader<'a> {
    fn open(files: &'a Files, number: u32) -> Result<Reader<'a>> {
        let file = files.disk.open(&files.path(number))?;
        let len = file.len().min(u64::from(u32::MAX));
        let len = len - len % file.align().max(1) as u64;
        Ok(Reader { files, number, file, len, window: Buf::zeroed(0, 1), start: 0 })
    }

    /// The file's header, if it was written under its number.
    fn header(&mut self) -> Result<Option<FileInfo>> {
        let path = self.path();
        let len = self.len.min(GRAIN_BYTES_MAX as u64);
        self.fill(0, len)?;
        format::read_file_header(&self.window, self.files.identity(), self.number, &path)
    }

    /// Where the first block of a file written on this machine begins.
    fn first_block(&self) -> u32 {
        format::grain(self.file.align()) as u32
    }

    /// The block at `at` and its payload, if all of it is whole and of this log and round.
    fn block(&mut self, at: u64, grain: usize) -> Result<Option<(BlockInfo, &[u8])>> {
        let (of, lsn) = (self.files.identity(), Lsn::new(self.number, at as u32));
        let Some(header) = self.bytes(at, BLOCK_HEADER_BYTES)? else { return Ok(None) };
        let Some(block) = format::read_block_header(header, of, lsn) else { return Ok(None) };
        let bytes = format::block_bytes(block.payload_bytes, grain);
        let Some(whole) = self.bytes(at, bytes)? else { return Ok(None) };
        Ok(block.payload(whole).map(|payload| (block, payload)))
    }

    /// `count` bytes at `at`, if the file has them.
    fn bytes(&mut self, at: u64, count: usize) -> Result<Option<&[u8]>> {
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
    fn fill(&mut self, from: u64, to: u64) -> Result<()> {
        let align = self.file.align().max(1) as u64;
        self.start = from - from % align;
        let bytes = (to.next_multiple_of(align).min(self.len) - self.start) as usize;
        if self.window.capacity() < bytes {
            self.window = Buf::zeroed(bytes, self.file.align());
        }
        self.window.set_len(bytes);
        if bytes == 0 { Ok(()) } else { self.file.read_at(self.start, &mut self.window) }
    }

    fn path(&self) -> PathBuf {
        self.files.path(self.number)
    }

    fn corrupt(&self, at: u64, what: impl Into<String>) -> Error {
        Error::corrupt(self.path(), at, what)
    }
}
