//! Segments: immutable, self-contained, time-sorted files of records and their indexes.
//!
//! ```text
//!   Builder: add, add, ... finish ------> <uuid>.seg ------> Segment::open
//!                                                             |- bounds, time, key      columns
//!     bodies    columns   id index                            |- find                   id index, filter
//!     [......][..][..][..][..][ terms and postings ][.]       |- term -> Postings -> Cursor
//!                                                  filters    `- body                   bodies
//! ```
//!
//! An open reads the header and no more; `Segment::load_filters` brings in the filters when there is time,
//! and until then every answer is right and some are slower.
//!
//! An ordinal is a record's rank in ascending key order, so that a posting list is a sorted list of
//! integers in time order, and union, intersection, limit and resumption are walks over such lists.
//!
//! Invariants:
//! I1. A file is written once, in one pass, and never changed; it counts only once somebody refers to it
//!     after `Builder::finish` and a sync of its directory.
//! I2. Ordinals are dense, ascending with the key, and below the record count.
//! I3. No byte sequence in a file makes a reader panic, loop or allocate more than the file's size and a
//!     body's limit.
//! I4. What a damaged page takes along is what stands in it: the header and the compression dictionary are
//!     there twice, and without its filters a segment is slower.
//!
//! Errors: `Corrupt` carries the file and the offset of the page that does not hold.
//! Bytes: `format`, and `postings`, `dictionary::node` and `filter` for what stands in their pages.

mod bodies;
mod body_writer;
mod builder;
mod columns;
mod compression;
mod dictionary;
mod entries;
mod filter;
pub mod format;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod header;
mod id_column;
mod ids;
mod invert;
pub mod look;
mod mask;
mod numbers;
mod pages;
mod postings;
mod reader;
mod warm;

pub use bodies::{BlockInfo, Body, PageReads};
pub use builder::Builder;
pub use compression::Compression;
pub use dictionary::TermScan;
pub use entries::Entry;
pub use mask::Mask;
pub use postings::{Cursor, Postings};
pub use reader::{Expect, Segment};

use crate::base::{Ids, PageSize, SegmentId, ShardId, StoreId};

/// What a segment about to be written is and belongs to.
#[derive(Clone, Copy, Debug)]
pub struct NewSegment {
    /// Its name.
    pub id: SegmentId,
    /// The store it belongs to.
    pub store: StoreId,
    /// The shard it belongs to.
    pub shard: ShardId,
    /// The store's page size.
    pub page: PageSize,
    /// Name and version of the model whose bodies and terms it holds.
    pub model: (&'static str, u32),
    /// Who makes the ids: of the model.
    pub ids: Ids,
    /// What marks records, by their bodies, if anything does: of the model.
    pub mark: Option<fn(&[u8]) -> u32>,
    /// Whether its bodies are compressed, and how: one by one not what is read soon and often.
    pub compression: Compression,
}

/// What is known of a segment without reading its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its name.
    pub id: SegmentId,
    /// Records, removed ones included.
    pub records: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Pages of the file.
    pub pages: u32,
    /// Lowest time of a record; 0 without records.
    pub time_min: u64,
    /// Highest time of a record; 0 without records.
    pub time_max: u64,
    /// Distinct terms.
    pub terms: u64,
    /// Postings of all terms.
    pub postings: u64,
    /// Bytes of all bodies with their lengths, as they are stored.
    pub body_bytes: u64,
    /// Bytes of all bodies, unpacked.
    pub raw_bytes: u64,
    /// Whether bodies are compressed.
    pub compression: Compression,
}

/// The name of a segment's file.
pub fn file_name(id: SegmentId) -> String {
    format!("{id}.seg")
}

/// The segment whose file has this name, if it is a segment's.
pub fn parse_file_name(name: &str) -> Option<SegmentId> {
    name.strip_suffix(".seg").and_then(SegmentId::parse)
}

#[cfg(test)]
mod tests;
