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
//! 3. In the last file the log ends behind a block without entries, which is what a log that was closed ends with,
//!    or at the first block that is not valid. If a block behind it was
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
use super::format::{BlockInfo, FileInfo, GRAIN_BYTES_MAX, SECTOR_BYTES};
use super::scan::{LogFile, READ_BYTES, chain};
use crate::base::{Error, Lsn, Result, planted};

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
    /// Whether the log ends with a block without entries, as one does that was closed.
    pub closed: bool,
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
    let mut found = Replayed {
        end: from,
        next_number,
        blocks: 0,
        entries: 0,
        bytes: 0,
        torn: false,
        closed: false,
    };
    let mut durable_to = from;

    // 1. The chain.
    let chain = chain(files, from.file())?;
    check_start(files, from, &numbers, &chain)?;

    // 2. Its blocks.
    for (i, info) in chain.iter().enumerate() {
        let next = chain.get(i + 1).map(|next| (next.number, next.prev_end));
        walk(files, info, next, visit, &mut found, &mut durable_to)?;
    }

    // 3. What lies behind its end: the rest of its last file, and the files that were only prepared. A log that
    //    was closed went on in no other place of its last file, and a file that lost its header shows its first
    //    block.
    let last = chain.last();
    let behind = last.map_or(from.file(), |info| info.number);
    for &number in numbers.iter().filter(|&&number| number >= behind) {
        let is_last = last.filter(|info| info.number == number);
        let (at, to, step) = match is_last {
            Some(_) if found.closed => continue,
            Some(info) => (u64::from(found.end.offset()), u64::MAX, info.grain),
            None if found.closed => (0, 2 * GRAIN_BYTES_MAX as u64, SECTOR_BYTES),
            None => (0, u64::MAX, SECTOR_BYTES),
        };
        LogFile::open(files, number)?.traces(at, to, step, &mut |block| {
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
            && LogFile::open(files, from.file())?.first_block() == from =>
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
    let mut reader = LogFile::open(files, info.number)?;
    let starts_here = found.end.file() == info.number;
    let mut at = if starts_here { u64::from(found.end.offset()) } else { info.grain as u64 };
    let stop = next.map(|(_, prev_end)| u64::from(prev_end.offset()));
    if at > reader.bytes_len() {
        return Err(reader.corrupt(at, "the file ends before this place"));
    }
    found.closed = false;
    while stop.is_none_or(|stop| at < stop) {
        let Some(block) = reader.block(at, info.grain)? else {
            if planted!(TornTailReadOn) && stop.is_none() && at < reader.bytes_len() {
                at += info.grain as u64;
                continue;
            }
            break;
        };
        let skipped = planted!(ReplaySkipsEntry) && block.info.entries > 2;
        for entry in block.entries().skip(usize::from(skipped)) {
            let entry = entry.map_err(|what| Error::corrupt(files.path(info.number), at, what))?;
            visit(block.info.lsn, entry)?;
            found.entries += 1;
            found.bytes += entry.len() as u64;
        }
        found.blocks += 1;
        found.closed = block.info.entries == 0;
        *durable_to = block.info.durable_to.max(*durable_to);
        at += block.bytes.len() as u64;
    }
    if let Some(stop) = stop.filter(|&stop| stop != at) {
        let what = format!("no valid block that leads to byte {stop}, where the log went on");
        return Err(reader.corrupt(at, what));
    }
    found.end = Lsn::new(info.number, at as u32);
    Ok(())
}

/// Whether a block behind the log's end leaves that end in peace.
fn check_trace(files: &Files, end: Lsn, block: &BlockInfo) -> Result<()> {
    if block.durable_to <= end || planted!(ProofNotLookedAt) {
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
    if planted!(RecoveryNotSynced) {
        return Ok(());
    }
    let mut reader = LogFile::open(files, info.number)?;
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
