//! A log file as it lies there, damaged or not: what a tool sees that must not write.
//!
//! ```text
//!   [header: whole | damaged | never written under this number]
//!   [block: whole][block: body damaged][ no header ... looked through a sector at a time ][block: whole]
//! ```
//!
//! I1. A block is found by its own header, which carries its LSN and a checksum bound to the log: what is
//!     damaged in front of it does not hide it.
//! I2. Whether what is found is part of the log is the caller's to decide (rules 2 and 3 of `replay`).

use super::format::{self, BLOCK_HEADER_BYTES, GRAIN_BYTES_MAX, Identity, SECTOR_BYTES};
use crate::base::{Lsn, Result, ShardId, StoreId};
use crate::io::{Buf, Disk, File};
use std::path::Path;
use std::sync::Arc;

/// The version of log files that this program reads.
pub const VERSION: u32 = format::VERSION;
/// First bytes of a log file.
pub const FILE_MAGIC: [u8; 8] = format::FILE_MAGIC;
/// Where the first block of a file begins at the latest.
pub const FIRST_BLOCK_MAX: u64 = GRAIN_BYTES_MAX as u64;

/// What blocks may begin at multiples of.
const GRAINS: [usize; 4] = [512, 1024, 2048, 4096];

/// Bytes read at once.
const READ_BYTES: u64 = 1 << 20;

/// What the header of a log file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store it belongs to.
    pub store: StoreId,
    /// The shard it belongs to.
    pub shard: ShardId,
    /// Its number, which is that of its name once it was written under that.
    pub number: u32,
    /// Version of its format.
    pub version: u32,
    /// Blocks begin at multiples of this.
    pub grain: u32,
    /// Where the log ended before this file.
    pub prev_end: Lsn,
    /// Whether its checksum holds.
    pub whole: bool,
}

/// A block header that is whole, and what became of the body behind it.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Where it begins.
    pub lsn: Lsn,
    /// The byte of the file behind it.
    pub end: u32,
    /// Entries in it.
    pub entries: u32,
    /// The log was durable up to here when the block was written.
    pub durable_to: Lsn,
    /// The entries, if the body is whole.
    pub payload: Option<&'a [u8]>,
}

/// A log file opened for a look.
pub struct Survey {
    file: Arc<dyn File>,
    number: u32,
    /// Bytes that can be read: whole units of alignment.
    len: u64,
    window: Buf,
    start: u64,
}

impl Survey {
    /// Opens the log file `number` at `path`, for reading only.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(disk: &dyn Disk, path: &Path, number: u32) -> Result<Survey> {
        let file = disk.open_read(path)?;
        let len = file.len().min(u64::from(u32::MAX));
        let len = len - len % file.align() as u64;
        Ok(Survey { file, number, len, window: Buf::zeroed(0, 1), start: 0 })
    }

    /// Bytes of the file that can be read.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Where the first block of a file written on this machine begins.
    pub fn first_block(&self) -> u32 {
        format::grain(self.file.align()) as u32
    }

    /// The header, whole or not; `None` if the file does not begin like a log file.
    ///
    /// # Errors
    /// `Io`.
    pub fn header(&mut self) -> Result<Option<Header>> {
        self.fill(0, self.len.min(GRAIN_BYTES_MAX as u64))?;
        Ok(format::look_at_header(&self.window))
    }

    /// Hands every block of this file's number that has its header at or behind `from` to `visit`, in
    /// order, until it says `false`. `grain` is the header's, if that is known.
    ///
    /// # Errors
    /// `Io`, and what `visit` says.
    pub fn blocks(
        &mut self,
        of: Identity,
        grain: Option<u32>,
        from: u32,
        visit: &mut dyn FnMut(Block<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut at = u64::from(from).next_multiple_of(SECTOR_BYTES as u64);
        loop {
            let lsn = Lsn::new(self.number, at as u32);
            let Some(header) = self.view(at, BLOCK_HEADER_BYTES)? else { return Ok(()) };
            let Some(block) = format::read_block_header(header, of, lsn) else {
                at += SECTOR_BYTES as u64;
                continue;
            };
            // A file whose header is lost has the grain with which a body is whole.
            let known = grain.map(|g| g as usize);
            let grains = GRAINS.into_iter().filter(|&g| known.is_none_or(|k| k == g));
            let sizes: Vec<usize> =
                grains.map(|g| format::block_bytes(block.payload_bytes, g)).collect();
            let mut whole = None;
            for &bytes in &sizes {
                let body = self.view(at, bytes)?;
                if body.is_some_and(|body| block.payload(body).is_some()) {
                    whole = Some(bytes);
                    break;
                }
            }
            // The header is whole, so its length is, and no sector is written twice in a round.
            let least = sizes.first().copied().unwrap_or(SECTOR_BYTES);
            let end = at + whole.unwrap_or(least) as u64;
            let (entries, durable_to) = (block.entries, block.durable_to);
            let body = match whole {
                Some(bytes) => self.view(at, bytes)?,
                None => None,
            };
            let payload = body.and_then(|body| block.payload(body));
            let end = u32::try_from(end).unwrap_or(u32::MAX);
            if !visit(Block { lsn, end, entries, durable_to, payload })? {
                return Ok(());
            }
            at = u64::from(end);
        }
    }

    /// Whether a block of this round was begun at `at` and is not whole: an interrupted write, or damage
    /// that looks like one.
    ///
    /// # Errors
    /// `Io`.
    pub fn begun(&mut self, of: Identity, at: u32) -> Result<bool> {
        let lsn = Lsn::new(self.number, at);
        let header = self.view(u64::from(at), BLOCK_HEADER_BYTES)?;
        Ok(header.is_some_and(|header| format::looks_begun(header, of, lsn)))
    }

    /// `count` bytes at `at`, if the file has them.
    fn view(&mut self, at: u64, count: usize) -> Result<Option<&[u8]>> {
        let end = at.saturating_add(count as u64);
        if end > self.len {
            return Ok(None);
        }
        if at < self.start || end > self.start + self.window.len() as u64 {
            self.fill(at, end.max(at + READ_BYTES))?;
        }
        let start = (at - self.start) as usize;
        Ok(self.window.get(start..start + count))
    }

    fn fill(&mut self, from: u64, to: u64) -> Result<()> {
        let align = self.file.align() as u64;
        self.start = from - from % align;
        let bytes = (to.next_multiple_of(align).min(self.len) - self.start) as usize;
        if self.window.capacity() < bytes {
            self.window = Buf::zeroed(bytes, self.file.align());
        }
        self.window.set_len(bytes);
        if bytes == 0 { Ok(()) } else { self.file.read_at(self.start, &mut self.window) }
    }
}

/// The entries of a block, `None` at the first that is cut off or if bytes are left over.
pub fn entries<'a>(block: &Block<'a>) -> Option<Vec<&'a [u8]>> {
    let mut rest = block.payload?;
    // An entry takes 8 bytes at least, so a lying count allocates no more than the payload.
    let mut found = Vec::with_capacity((block.entries as usize).min(rest.len() / 8));
    for _ in 0..block.entries {
        found.push(format::take_entry(&mut rest)?);
    }
    rest.is_empty().then_some(found)
}

/// Whether a block's first bytes stand where the first block of a log file may begin, of which `start` is the beginning.
pub fn begins_a_block(start: &[u8]) -> bool {
    let mut grains = GRAINS.into_iter();
    grains.any(|at| start.get(at..).is_some_and(|rest| rest.starts_with(&format::BLOCK_MAGIC)))
}

/// The number in a log file's name.
pub fn number_of(path: &Path) -> Option<u32> {
    super::files::number_of(path.file_name()?.to_str()?)
}
