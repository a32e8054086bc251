//! The bytes of a log file: the only code that knows them.
//!
//! ```text
//!   0            A                      A multiple of A
//!   [file header][block: header|entries][block: header|entries] ... zeroes or an older round
//! ```
//!
//! `A`, the grain, is the larger of the file's alignment and a sector of 512 bytes, which is all that
//! the device is trusted to write whole; no header crosses one. All numbers are little-endian.
//!
//! File header, padded with zeroes to `A` bytes, written together with the file's first block:
//!
//! | offset | bytes | field | |
//! | --- | --- | --- | --- |
//! | 0 | 8 | magic | `ratitlog` |
//! | 8 | 4 | version | 1; magic, version and number keep their places in every version |
//! | 12 | 4 | number | of this file, as in its name |
//! | 16 | 16 | store | the store's id |
//! | 32 | 2 | shard | |
//! | 34 | 2 | - | zero |
//! | 36 | 4 | grain | `A` |
//! | 40 | 8 | prev_end | LSN at which the log ended before this file; 0 in a log's first file |
//! | 48 | 8 | crc | CRC64 of the `A` bytes without this field |
//!
//! Block header, followed by the payload, padded with zeroes to a multiple of `A`:
//!
//! | offset | bytes | field | |
//! | --- | --- | --- | --- |
//! | 0 | 4 | magic | `rblk` |
//! | 4 | 4 | payload_bytes | multiple of 8 |
//! | 8 | 4 | entries | how many the payload holds |
//! | 12 | 4 | - | zero |
//! | 16 | 8 | lsn | of this block: file number and offset, so an old round is never taken for the new |
//! | 24 | 8 | durable_to | LSN up to which the log was durable when this block was written |
//! | 32 | 8 | body_crc | CRC64 of all that follows the header, padding included |
//! | 40 | 8 | header_crc | CRC64 of store, shard (2 bytes) and the 40 bytes above |
//!
//! Entry, at a multiple of 8 in the payload: length (4 bytes), that many bytes, zeroes up to a
//! multiple of 8.
//!
//! The header has a checksum of its own so that a whole header proves `durable_to` even where the
//! body behind it is torn; through `body_crc` it covers the body too.

use super::survey::Header;
use crate::base::{Crc64, Error, Lsn, Result, ShardId, StoreId, check_same, crc64, planted};
use std::path::Path;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version that this program writes and reads.
pub const VERSION: u32 = 1;

/// What the device writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// Largest grain: alignments above are refused by `Files::prepare`.
pub const GRAIN_BYTES_MAX: usize = 4096;

pub const FILE_MAGIC: [u8; 8] = *b"ratitlog";
pub const BLOCK_MAGIC: [u8; 4] = *b"rblk";

/// Entries begin at multiples of this.
const ENTRY_ALIGN: usize = 8;

/// Bytes of an entry's length.
const ENTRY_HEADER_BYTES: usize = 4;

/// Bytes of a block header.
pub const BLOCK_HEADER_BYTES: usize = size_of::<BlockHeader>();

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: U32,
    number: U32,
    store: [u8; 16],
    shard: U16,
    zero: [u8; 2],
    grain: U32,
    prev_end: U64,
    crc: U64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct BlockHeader {
    magic: [u8; 4],
    payload_bytes: U32,
    entries: U32,
    zero: [u8; 4],
    lsn: U64,
    durable_to: U64,
    body_crc: U64,
    header_crc: U64,
}

const FILE_CRC: usize = std::mem::offset_of!(FileHeader, crc);
const HEADER_CRC: usize = std::mem::offset_of!(BlockHeader, header_crc);

const _: () = assert!(size_of::<FileHeader>() == 56 && FILE_CRC == 48);
const _: () = assert!(std::mem::offset_of!(FileHeader, store) == 16);
const _: () = assert!(std::mem::offset_of!(FileHeader, shard) == 32);
const _: () = assert!(std::mem::offset_of!(FileHeader, grain) == 36);
const _: () = assert!(std::mem::offset_of!(FileHeader, prev_end) == 40);
const _: () = assert!(size_of::<BlockHeader>() == 48 && HEADER_CRC == 40);
const _: () = assert!(std::mem::offset_of!(BlockHeader, lsn) == 16);
const _: () = assert!(std::mem::offset_of!(BlockHeader, durable_to) == 24);
const _: () = assert!(std::mem::offset_of!(BlockHeader, body_crc) == 32);
// No header crosses a sector, and entries behind a header are aligned.
const _: () = assert!(size_of::<FileHeader>() <= SECTOR_BYTES);
const _: () = assert!(BLOCK_HEADER_BYTES <= SECTOR_BYTES);
const _: () = assert!(BLOCK_HEADER_BYTES.is_multiple_of(ENTRY_ALIGN));
const _: () = assert!(GRAIN_BYTES_MAX.is_multiple_of(SECTOR_BYTES));

/// Whose log it is; every checksum is bound to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The store.
    pub store: StoreId,
    /// The shard of that store.
    pub shard: ShardId,
}

/// What a file header says beside whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// Number of the file.
    pub number: u32,
    /// Blocks begin at multiples of this.
    pub grain: usize,
    /// Where the log ended before this file.
    pub prev_end: Lsn,
}

/// What a block header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Bytes of entries.
    pub payload_bytes: usize,
    /// Entries in the payload.
    pub entries: u32,
    /// Where the block is.
    pub lsn: Lsn,
    /// The log was durable up to here when the block was written.
    pub durable_to: Lsn,
    /// Checksum of payload and padding.
    body_crc: u64,
}

/// The grain for files of this alignment.
pub fn grain(align: usize) -> usize {
    align.max(SECTOR_BYTES).next_power_of_two()
}

/// Bytes that an entry of `bytes` bytes takes in a payload.
pub fn entry_bytes(bytes: usize) -> usize {
    (ENTRY_HEADER_BYTES + bytes).next_multiple_of(ENTRY_ALIGN)
}

/// Bytes that a block with a payload of `payload_bytes` takes in a file.
pub fn block_bytes(payload_bytes: usize, grain: usize) -> usize {
    (BLOCK_HEADER_BYTES + payload_bytes).next_multiple_of(grain)
}

/// Writes the entry made of `parts`, `bytes` bytes together, over `out`, whose length is
/// `entry_bytes(bytes)`.
pub fn put_entry(out: &mut [u8], bytes: u32, parts: &[&[u8]]) {
    let (length, mut rest) = out.split_at_mut(ENTRY_HEADER_BYTES);
    length.copy_from_slice(&bytes.to_le_bytes());
    for part in parts {
        let (here, behind) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = behind;
    }
    rest.fill(0);
}

/// Takes the first entry off `payload`; `None` if there is no whole one.
pub fn take_entry<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = payload.split_first_chunk::<ENTRY_HEADER_BYTES>()?;
    let bytes = u32::from_le_bytes(*length) as usize;
    let entry = rest.get(..bytes)?;
    *payload = payload.get(entry_bytes(bytes)..)?;
    Some(entry)
}

/// Writes a file header over `area`, which is one grain long.
pub fn put_file_header(area: &mut [u8], of: Identity, info: FileInfo) {
    let mut header = FileHeader {
        magic: FILE_MAGIC,
        version: VERSION.into(),
        number: info.number.into(),
        store: of.store.0,
        shard: of.shard.into(),
        zero: [0; 2],
        grain: (info.grain as u32).into(),
        prev_end: info.prev_end.0.into(),
        crc: 0.into(),
    };
    let (front, padding) = area.split_at_mut(size_of::<FileHeader>());
    padding.fill(0);
    header.crc = file_crc(header.as_bytes(), padding).into();
    front.copy_from_slice(header.as_bytes());
}

/// Reads the header of the file called `number` from its first `GRAIN_BYTES_MAX` bytes, or fewer if it
/// has fewer. `None` if the file was never written under that number.
///
/// # Errors
/// `WrongVersion`, and `Mismatch` if it is another store's or shard's file of that number.
pub fn read_file_header(
    area: &[u8],
    of: Identity,
    number: u32,
    path: &Path,
) -> Result<Option<FileInfo>> {
    let Ok((header, _)) = FileHeader::ref_from_prefix(area) else { return Ok(None) };
    if header.magic != FILE_MAGIC || header.number.get() != number {
        return Ok(None);
    }
    if header.version.get() != VERSION {
        let found = header.version.get();
        return Err(Error::WrongVersion { path: path.into(), found, supported: VERSION });
    }
    let grain = header.grain.get() as usize;
    let grain_fits = grain.is_power_of_two() && (SECTOR_BYTES..=GRAIN_BYTES_MAX).contains(&grain);
    let Some(area) = area.get(..grain).filter(|_| grain_fits) else { return Ok(None) };
    let (front, padding) = area.split_at(size_of::<FileHeader>());
    if file_crc(front, padding) != header.crc.get() {
        return Ok(None);
    }
    check_same(path, "store id", StoreId(header.store), of.store)?;
    check_same(path, "shard", header.shard.get(), of.shard)?;
    Ok(Some(FileInfo { number, grain, prev_end: Lsn(header.prev_end.get()) }))
}

/// What a file header says, whole or not; `None` if `area` does not begin like one. For tools.
pub fn look_at_header(area: &[u8]) -> Option<Header> {
    let (header, _) = FileHeader::ref_from_prefix(area).ok()?;
    let grain = header.grain.get();
    let familiar = header.magic == FILE_MAGIC || header.version.get() == VERSION;
    let whole = area.get(..grain as usize).filter(|area| area.len() >= SECTOR_BYTES);
    let whole = whole.is_some_and(|area| {
        let (front, padding) = area.split_at(size_of::<FileHeader>());
        header.magic == FILE_MAGIC && file_crc(front, padding) == header.crc.get()
    });
    // One damaged field still leaves it recognisable.
    familiar.then(|| Header {
        store: StoreId(header.store),
        shard: header.shard.get(),
        number: header.number.get(),
        version: header.version.get(),
        grain,
        prev_end: Lsn(header.prev_end.get()),
        whole,
    })
}

/// Whether `bytes` look like the header of a block of this round that is not whole. For tools.
pub fn looks_begun(bytes: &[u8], of: Identity, lsn: Lsn) -> bool {
    let Ok((header, _)) = BlockHeader::ref_from_prefix(bytes) else { return false };
    let whole = header_crc(header.as_bytes(), of) == header.header_crc.get();
    header.lsn.get() == lsn.0 || header.magic == BLOCK_MAGIC && !whole
}

/// Checksum of a file header and the padding behind it, without the field that holds it.
fn file_crc(header: &[u8], padding: &[u8]) -> u64 {
    Crc64::new().update(&header[..FILE_CRC]).update(padding).finish()
}

/// Writes the header of the block that fills `block`, whose payload and padding are in place.
pub fn put_block_header(
    block: &mut [u8],
    of: Identity,
    lsn: Lsn,
    durable_to: Lsn,
    payload_bytes: usize,
    entries: u32,
) {
    let (front, body) = block.split_at_mut(BLOCK_HEADER_BYTES);
    let mut header = BlockHeader {
        magic: BLOCK_MAGIC,
        payload_bytes: (payload_bytes as u32).into(),
        entries: entries.into(),
        zero: [0; 4],
        lsn: lsn.0.into(),
        durable_to: durable_to.0.into(),
        body_crc: crc64(body).into(),
        header_crc: 0.into(),
    };
    header.header_crc = header_crc(header.as_bytes(), of).into();
    front.copy_from_slice(header.as_bytes());
}

/// Reads the header of the block at `lsn` from its first bytes; `None` if none of this log and this
/// round is whole there.
pub fn read_block_header(bytes: &[u8], of: Identity, lsn: Lsn) -> Option<BlockInfo> {
    let (header, _) = BlockHeader::ref_from_prefix(bytes).ok()?;
    let durable_to = Lsn(header.durable_to.get());
    let same_place = Lsn(header.lsn.get()).offset() == lsn.offset();
    let valid = header.magic == BLOCK_MAGIC
        && (header.lsn.get() == lsn.0 || same_place && planted!(RecycledWithoutGeneration))
        && durable_to <= lsn
        && header_crc(header.as_bytes(), of) == header.header_crc.get();
    valid.then(|| BlockInfo {
        payload_bytes: header.payload_bytes.get() as usize,
        entries: header.entries.get(),
        lsn,
        durable_to,
        body_crc: header.body_crc.get(),
    })
}

/// Checksum of a block header, bound to its log, without the field that holds it.
fn header_crc(header: &[u8], of: Identity) -> u64 {
    let mut crc = Crc64::new();
    crc.update(&of.store.0).update(&of.shard.to_le_bytes()).update(&header[..HEADER_CRC]);
    crc.finish()
}

impl BlockInfo {
    /// The payload of the block that fills `block`, header included, if its body is whole.
    pub fn payload<'a>(&self, block: &'a [u8]) -> Option<&'a [u8]> {
        let body = block.get(BLOCK_HEADER_BYTES..)?;
        let payload = body.get(..self.payload_bytes)?;
        (planted!(NoCrcOnEntries) || crc64(body) == self.body_crc).then_some(payload)
    }
}
