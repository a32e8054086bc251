//! The bytes of a segment file: its header page, its regions and what every page of them holds.
//!
//! ```text
//!   page 0   header (written last)
//!   BODIES   a byte stream: each body, or block of bodies, u32 length and whether it is packed, then its bytes; may
//!            cross pages
//!   ZDICT    a byte stream, twice, each from a page's beginning: the compression dictionary
//!   TIMES    time of each ordinal less the lowest    fixed-width items, none crosses a page
//!   IDS      32 bytes of each ordinal, or number     "
//!   LOCATIONS offset of each body in BODIES, or      "
//!            first ordinal and offset of each block
//!   IDINDEX  (first 4 bytes of the id as a big-endian number, ordinal) sorted by id, 8 bytes each
//!   TERMS    leaves and interior pages of the dictionary, and posting pages, in order of completion
//!   FILTER   a byte stream: the two filters
//!   MARKS    the mark of each ordinal, if the model marks its records
//!   last     a copy of the header
//! ```
//!
//! Items of TIMES and LOCATIONS take 4 bytes if all of a segment's fit, else 8; the header says which. Those of blocks
//! take 12. Items of IDS take 4 or 8 if the store makes the ids itself (`Ids::Own`): the first 8 bytes as a big-endian
//! number, less the lowest. There is no IDINDEX then, and no filter of ids. Items of MARKS take 4.
//!
//! A page is `page size - PAGE_TRAILER_BYTES` bytes of payload and the pool's trailer, which names the
//! segment, the page's number and its kind. All numbers are little-endian.
//!
//! Header page:
//!
//! | offset | bytes | field |
//! | ---: | ---: | --- |
//! | 0 | 8 | magic `RATSEGM1` |
//! | 8 | 4 | format version |
//! | 12 | 4 | page bytes |
//! | 16 | 16 | store id |
//! | 32 | 16 | segment id |
//! | 48 | 2 | shard |
//! | 50 | 1 | bytes of the model's name |
//! | 51 | 1 | levels of the dictionary, 0 if it is empty |
//! | 52 | 4 | model version |
//! | 56 | 32 | model name, zero-padded |
//! | 88 | 4 | records |
//! | 92 | 4 | pages of the file, this one included |
//! | 96 | 8 | lowest time (0 without records) |
//! | 104 | 8 | highest time (0 without records) |
//! | 112 | 8 | bytes in BODIES |
//! | 120 | 8 | terms |
//! | 128 | 8 | postings of all terms |
//! | 136 | 8 | bytes in FILTER |
//! | 144 | 4 | page of the dictionary's root |
//! | 148 | 1 | compression: 0 none, 1 zstd, 2 and 3 zstd by block |
//! | 149 | 1 | bytes of an item of TIMES |
//! | 150 | 1 | bytes of an item of LOCATIONS |
//! | 151 | 1 | bytes of an item of IDS: 32 (whole), or 4 or 8 (numbers) |
//! | 152 | 8 | bytes of all bodies, unpacked |
//! | 160 | 4 | bytes of the compression dictionary |
//! | 164 | 4 | blocks of bodies; 0 if each is for itself |
//! | 168 | 64 | the first eight regions in the order above: u32 first page, u32 pages |
//! | 232 | 8 | lowest number in IDS, 0 if ids are whole |
//! | 240 | 8 | the region MARKS, zeroes if there is none |
//!
//! Version 3 has no MARKS, and zeroes where they are spoken of; else it is the same, and is read.
//!
//! Invariants, checked when a segment is opened:
//! F1. Regions lie one behind the other without gaps and end a page before the file ends.
//! F2. A region has exactly the pages that its items need; the root lies in TERMS.
//! F3. A width of 4 is one that the range of times, or the bytes in BODIES, fit; ids are 32, 8 or 4 bytes wide.
//! F4. There are blocks if and only if bodies go by block and there are any, and no more than records.

use super::numbers::{WIDE_BYTES, is_width, width_for};
use super::{Compression, NewSegment, SegmentInfo};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Ids, SegmentId};
use crate::pool::format::PAGE_TRAILER_BYTES;
use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a segment.
pub const MAGIC: [u8; 8] = *b"RATSEGM1";
/// The version this program writes.
pub const VERSION: u32 = 4;
/// The oldest version that it reads.
pub const VERSION_MIN: u32 = 3;
/// Bytes kept for the model's name.
pub const MODEL_NAME_BYTES: usize = 32;
/// Levels that a dictionary may have. Four children a page already reach 2^32 pages with 16.
pub const LEVELS_MAX: u8 = 16;
/// Bytes of an item of IDS, if they are whole.
pub const ID_BYTES: usize = 32;
/// Bytes of an item of IDINDEX.
pub const ID_ENTRY_BYTES: usize = 8;
/// Bytes of an item of MARKS.
pub const MARK_BYTES: usize = 4;
/// Bytes before a body in BODIES.
pub const BODY_HEAD_BYTES: usize = 4;
/// In a body's head: what follows is packed. The other bits are its length.
pub const BODY_PACKED: u32 = 1 << 31;
/// Bytes of a block's bodies and their lengths, beyond which it takes no more of them. Four times as much saves a seventh
/// of the bodies' space, and triples the time of every read that wants one record of a block.
pub const BLOCK_BYTES: usize = 16 * 1024;
/// Bytes of an unpacked block at most: one body, its length and a count of one, or what `BLOCK_BYTES` allows.
pub const BLOCK_BYTES_MAX: usize = RECORD_BYTES_MAX + 16;
/// Bytes of an item of LOCATIONS for a block: `u32` first ordinal, `u64` offset.
pub const BLOCK_ENTRY_BYTES: usize = 12;
/// Bytes of a compression dictionary at most.
pub const ZDICT_BYTES_MAX: usize = 64 * 1024;
/// Records that a segment may hold, so that `Ordinal::MAX` stays a sentinel.
pub const RECORDS_MAX: u32 = u32::MAX - 1;

/// Kinds of pages, kept in their trailers.
pub mod kind {
    /// The header.
    pub const HEADER: u32 = 0x10;
    /// Part of the stream of bodies.
    pub const BODIES: u32 = 0x11;
    /// Times.
    pub const TIMES: u32 = 0x12;
    /// Ids.
    pub const IDS: u32 = 0x13;
    /// Locations.
    pub const LOCATIONS: u32 = 0x14;
    /// The id index.
    pub const ID_INDEX: u32 = 0x15;
    /// A leaf of the dictionary.
    pub const LEAF: u32 = 0x16;
    /// An interior page of the dictionary.
    pub const INTERIOR: u32 = 0x17;
    /// Posting lists.
    pub const POSTINGS: u32 = 0x18;
    /// Part of the stream of filters.
    pub const FILTER: u32 = 0x19;
    /// Part of the compression dictionary.
    pub const ZDICT: u32 = 0x1a;
    /// The header once more.
    pub const HEADER_COPY: u32 = 0x1b;
    /// Marks.
    pub const MARKS: u32 = 0x1c;
}

/// A range of pages.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct RawRegion {
    /// Its first page.
    pub first: U32,
    /// How many there are.
    pub pages: U32,
}

/// The header as it lies in page 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// `MAGIC`.
    pub magic: [u8; 8],
    /// `VERSION`.
    pub version: U32,
    /// Bytes of a page.
    pub page_bytes: U32,
    /// The store it belongs to.
    pub store: [u8; 16],
    /// Its own name.
    pub segment: [u8; 16],
    /// The shard it belongs to.
    pub shard: U16,
    /// Bytes of `model` that count.
    pub model_len: u8,
    /// Levels of the dictionary.
    pub levels: u8,
    /// The model's version.
    pub model_version: U32,
    /// The model's name.
    pub model: [u8; MODEL_NAME_BYTES],
    /// Records.
    pub records: U32,
    /// Pages of the file.
    pub pages: U32,
    /// Lowest time.
    pub time_min: U64,
    /// Highest time.
    pub time_max: U64,
    /// Bytes in BODIES.
    pub body_bytes: U64,
    /// Terms.
    pub terms: U64,
    /// Postings of all terms.
    pub postings: U64,
    /// Bytes in FILTER.
    pub filter_bytes: U64,
    /// The dictionary's root page.
    pub root: U32,
    /// How bodies are packed.
    pub compression: u8,
    /// Bytes of an item of TIMES.
    pub time_width: u8,
    /// Bytes of an item of LOCATIONS.
    pub location_width: u8,
    /// Bytes of an item of IDS.
    pub id_width: u8,
    /// Bytes of all bodies, unpacked.
    pub raw_bytes: U64,
    /// Bytes of the compression dictionary.
    pub zdict_bytes: U32,
    /// Blocks of bodies.
    pub blocks: U32,
    /// The regions but MARKS.
    pub regions: [RawRegion; 8],
    /// What the numbers in IDS are counted from.
    pub id_base: U64,
    /// The region MARKS.
    pub marks: RawRegion,
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = size_of::<Header>();

const _: () = assert!(HEADER_BYTES == 248);
const _: () = assert!(offset_of!(Header, page_bytes) == 12);
const _: () = assert!(offset_of!(Header, shard) == 48);
const _: () = assert!(offset_of!(Header, model) == 56);
const _: () = assert!(offset_of!(Header, time_min) == 96);
const _: () = assert!(offset_of!(Header, root) == 144);
const _: () = assert!(offset_of!(Header, raw_bytes) == 152);
const _: () = assert!(offset_of!(Header, regions) == 168);
const _: () = assert!(offset_of!(Header, id_base) == 232);
const _: () = assert!(offset_of!(Header, marks) == 240);
const _: () = assert!(BLOCK_BYTES_MAX < BODY_PACKED as usize);
const _: () = assert!(BLOCK_BYTES + 16 <= BLOCK_BYTES_MAX);
const _: () = assert!(HEADER_BYTES + PAGE_TRAILER_BYTES <= 4096);

/// A range of pages: `first .. first + pages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first page.
    pub first: u32,
    /// How many there are.
    pub pages: u32,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    /// The stream of bodies.
    pub bodies: Region,
    /// The compression dictionary, twice.
    pub zdict: Region,
    /// Times.
    pub times: Region,
    /// Ids.
    pub ids: Region,
    /// Locations.
    pub locations: Region,
    /// The id index.
    pub id_index: Region,
    /// The dictionary and the posting lists.
    pub terms: Region,
    /// The filters.
    pub filter: Region,
    /// Marks; without pages if there are none.
    pub marks: Region,
}

impl Regions {
    fn list(&self) -> [Region; 8] {
        let Regions { bodies, zdict, times, ids, locations, id_index, terms, filter, .. } = *self;
        [bodies, zdict, times, ids, locations, id_index, terms, filter]
    }

    /// Writes them to `header`.
    pub fn write(self, header: &mut Header) {
        let raw = |r: Region| RawRegion { first: r.first.into(), pages: r.pages.into() };
        header.regions = self.list().map(raw);
        header.marks = raw(self.marks);
    }
}

/// What decoders say: the value, or what does not hold. The caller adds file and offset.
pub type Decoded<T> = std::result::Result<T, &'static str>;

/// Payload bytes of a page.
pub const fn payload_bytes(page_bytes: usize) -> usize {
    page_bytes - PAGE_TRAILER_BYTES
}

/// Pages that `items` of `width` bytes take if none crosses a page.
pub fn pages_for(items: u64, width: usize, payload: usize) -> u64 {
    items.div_ceil((payload / width) as u64)
}

impl Header {
    /// The header of a segment about to be described; counts and regions are the caller's.
    pub fn new(new: &NewSegment) -> Header {
        let mut header = Header::read_from_bytes(&[0; HEADER_BYTES])
            .unwrap_or_else(|_| unreachable!("the size is the struct's own"));
        let name = new.model.0.as_bytes();
        header.magic = MAGIC;
        header.version = VERSION.into();
        header.page_bytes = (new.page.bytes() as u32).into();
        header.store = new.store.0;
        header.segment = new.id.0;
        header.shard = new.shard.into();
        header.model_len = name.len() as u8;
        header.model[..name.len()].copy_from_slice(name);
        header.model_version = new.model.1.into();
        header.compression = new.compression as u8;
        (header.time_width, header.location_width) = (WIDE_BYTES as u8, WIDE_BYTES as u8);
        header.id_width = match new.ids {
            Ids::Foreign => ID_BYTES as u8,
            Ids::Own => WIDE_BYTES as u8,
        };
        header
    }

    /// The header at the start of a page's payload; only its length is checked.
    pub fn parse(payload: &[u8]) -> Decoded<Header> {
        Header::read_from_prefix(payload).map(|(h, _)| h).map_err(|_| "the header is cut off")
    }

    /// The model's name.
    pub fn model_name(&self) -> Decoded<&str> {
        let name = self.model.get(..usize::from(self.model_len));
        name.and_then(|n| std::str::from_utf8(n).ok()).ok_or("the model's name is not text")
    }

    /// The counts in it.
    pub fn info(&self) -> SegmentInfo {
        let pages = self.pages.get();
        SegmentInfo {
            id: SegmentId(self.segment),
            records: self.records.get(),
            bytes: u64::from(pages) * u64::from(self.page_bytes.get()),
            pages,
            time_min: self.time_min.get(),
            time_max: self.time_max.get(),
            terms: self.terms.get(),
            postings: self.postings.get(),
            body_bytes: self.body_bytes.get(),
            raw_bytes: self.raw_bytes.get(),
            compression: Compression::of(self.compression).unwrap_or_default(),
        }
    }

    /// Checks the counts against one another and returns the regions (F1, F2, F3).
    pub fn regions(&self, payload: usize) -> Decoded<Regions> {
        let mut next = 1u64;
        let marks = Some(&self.marks).filter(|marks| marks.pages.get() > 0);
        for r in self.regions.iter().chain(marks) {
            if u64::from(r.first.get()) != next {
                return Err("a region does not begin where the one before it ends");
            }
            next += u64::from(r.pages.get());
        }
        if next + 1 != u64::from(self.pages.get()) {
            return Err("the regions do not fill the file");
        }
        let region = |raw: &RawRegion| Region { first: raw.first.get(), pages: raw.pages.get() };
        let at = |i: usize| region(&self.regions[i]);
        let regions = Regions {
            bodies: at(0),
            zdict: at(1),
            times: at(2),
            ids: at(3),
            locations: at(4),
            id_index: at(5),
            terms: at(6),
            filter: at(7),
            marks: region(&self.marks),
        };
        self.check_counts(&regions)?;
        let records = u64::from(self.records.get());
        let needed = [
            self.body_bytes.get().div_ceil(payload as u64),
            2 * u64::from(self.zdict_bytes.get()).div_ceil(payload as u64),
            pages_for(records, usize::from(self.time_width), payload),
            pages_for(records, usize::from(self.id_width), payload),
            pages_for(self.locations().into(), usize::from(self.location_width), payload),
            pages_for(if self.has_own_ids() { 0 } else { records }, ID_ENTRY_BYTES, payload),
            u64::from(regions.terms.pages),
            self.filter_bytes.get().div_ceil(payload as u64),
        ];
        let marks = u64::from(regions.marks.pages);
        let wrong_marks = marks != 0 && marks != pages_for(records, MARK_BYTES, payload);
        if wrong_marks || regions.list().iter().zip(needed).any(|(r, n)| u64::from(r.pages) != n) {
            return Err("a region's pages are not what its items need");
        }
        Ok(regions)
    }

    fn check_counts(&self, regions: &Regions) -> Decoded<()> {
        let root = self.root.get();
        if self.records.get() > RECORDS_MAX || self.time_min.get() > self.time_max.get() {
            return Err("the header's counts or times are impossible");
        }
        self.check_widths()?;
        if self.levels == 0 && self.terms.get() == 0 && root == 0 {
            return Ok(());
        }
        if self.levels > LEVELS_MAX || self.terms.get() == 0 || !regions.terms.contains(root) {
            return Err("the dictionary's root is impossible");
        }
        Ok(())
    }
}

impl Header {
    /// Whether IDS has numbers ([`Ids::Own`]).
    pub fn has_own_ids(&self) -> bool {
        usize::from(self.id_width) != ID_BYTES
    }

    /// Items in LOCATIONS.
    pub fn locations(&self) -> u32 {
        match Compression::of(self.compression) {
            Some(by) if by.is_by_block() => self.blocks.get(),
            _ => self.records.get(),
        }
    }

    fn check_widths(&self) -> Decoded<()> {
        let own = self.has_own_ids();
        if own && !is_width(self.id_width) || !own && self.id_base.get() != 0 {
            return Err("the width of ids is impossible"); // F3
        }
        let by = Compression::of(self.compression);
        let by = by.ok_or("the header's compression is impossible")?;
        let fits = |width: u8, range: u64| is_width(width) && width_for(range) <= width;
        let range = self.time_max.get() - self.time_min.get();
        let locations_fit = match by.is_by_block() {
            true => usize::from(self.location_width) == BLOCK_ENTRY_BYTES,
            false => fits(self.location_width, self.body_bytes.get()),
        };
        if !fits(self.time_width, range) || !locations_fit {
            return Err("a column is too narrow for what the header says"); // F3
        }
        let (blocks, records) = (self.blocks.get(), self.records.get());
        let possible = match by.is_by_block() {
            true => blocks <= records && (blocks > 0) == (records > 0),
            false => blocks == 0,
        };
        let zdict_bytes = self.zdict_bytes.get() as usize;
        let zdict_bytes_max = if by == Compression::Zstd { ZDICT_BYTES_MAX } else { 0 };
        if !possible || zdict_bytes > zdict_bytes_max {
            return Err("the header's blocks or compression dictionary are impossible"); // F4
        }
        Ok(())
    }
}

impl Region {
    /// Whether page `page` belongs to it.
    pub fn contains(&self, page: u32) -> bool {
        page >= self.first && page - self.first < self.pages
    }
}

/// The regions' names, in their order in the file. For tools.
pub fn region_names() -> [&'static str; 9] {
    ["bodies", "zdict", "times", "ids", "locations", "id-index", "terms", "filter", "marks"]
}

/// The name of a kind of pages. For tools.
pub fn kind_name(kind: u32) -> &'static str {
    match kind {
        kind::HEADER => "header",
        kind::BODIES => "bodies",
        kind::TIMES => "times",
        kind::IDS => "ids",
        kind::LOCATIONS => "locations",
        kind::ID_INDEX => "id-index",
        kind::LEAF => "leaf",
        kind::INTERIOR => "interior",
        kind::POSTINGS => "postings",
        kind::FILTER => "filter",
        kind::ZDICT => "zdict",
        kind::HEADER_COPY => "header-copy",
        kind::MARKS => "marks",
        _ => "unknown",
    }
}

/// Whether there are pages of this kind. For tools.
pub fn is_kind(kind: u32) -> bool {
    (kind::HEADER..=kind::MARKS).contains(&kind)
}

/// The `u16` at `at`.
pub fn get_u16(bytes: &[u8], at: usize) -> Decoded<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

/// The `u32` at `at`.
pub fn get_u32(bytes: &[u8], at: usize) -> Decoded<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

/// The `u64` at `at`.
pub fn get_u64(bytes: &[u8], at: usize) -> Decoded<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

/// The `N` bytes at `at`.
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> Decoded<[u8; N]> {
    let rest = bytes.get(at..).ok_or("a field lies outside its page")?;
    rest.first_chunk().copied().ok_or("a field lies outside its page")
}
