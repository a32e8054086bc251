//! Bodies: a byte stream in one of two shapes, and a column that says where things are in it.
//!
//! ```text
//!   each     LOCATIONS[ordinal] ------------------> | head | body | head | body | ...
//!   blocks   LOCATIONS, halved for the ordinal ---> | head | block of many bodies, packed | head | ...
//! ```
//!
//! A body alone is borrowed from its page where it can be. A block is unpacked once and handed along from body to body, so
//! that a walk in either order unpacks each block once: that is what a [`Body`] is for beside its bytes.
//!
//! Invariants: Y1. a length over its limit (`RECORD_BYTES_MAX`, `BLOCK_BYTES_MAX`) or beyond the stream is `Corrupt`, so
//! that no damage allocates more; Y2. bodies stand in ordinal order.
//! Written by `body_writer`; what packed bytes are is `compression`'s to say.

mod block;
mod blocks;
mod each;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;
mod stream;

pub use block::BlockBuilder;
pub use blocks::{BlockInfo, Blocks, to_item};
pub use each::Each;

use super::entries::Entry;
use super::format::{BLOCK_BYTES_MAX, BODY_HEAD_BYTES};
use super::pages::Pages;
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Ordinal, Result};
use crate::pool::HeldPage;
use block::Block;
use std::fmt;
use std::ops::{Deref, Range};

/// Pages that one call asks for ahead; more would push one another out of a small pool.
const PREFETCH_PAGES_MAX: usize = 512;

/// A record's body: a part of a page that stays pinned while it lives, a part of an unpacked block, or a copy. The default
/// is empty. Handed to the next read, it gives what the two have in common, and its memory.
#[derive(Default)]
pub struct Body {
    held: Held,
    /// The copy, or memory for a later one.
    copy: Vec<u8>,
}

#[derive(Default)]
enum Held {
    #[default]
    Copy,
    Page(HeldPage, Range<usize>),
    Block(Box<Block>, Range<usize>),
}

#[cfg(test)]
impl Body {
    /// Whether it is a copy of its own.
    pub fn is_copy(&self) -> bool {
        matches!(self.held, Held::Copy)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.held {
            Held::Copy => &self.copy,
            Held::Page(page, range) => &page[range.clone()],
            Held::Block(block, range) => &block.contents()[range.clone()],
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// How many pages something reads if none is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageReads {
    /// If bodies are as long as they are on average.
    pub about: u64,
    /// Whatever they are.
    pub most: u64,
}

/// The bodies of an open segment.
pub enum Bodies {
    /// Each alone.
    Each(Each),
    /// Many together.
    Blocks(Blocks),
}

impl Bodies {
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Bodies::Each(each) => each.memory_bytes(),
            Bodies::Blocks(_) => 0,
        }
    }

    /// Pages that are read for the bodies of `count` of `records` records, beside a page of a column for each: about so
    /// many if they are of average length; at most so many whatever their lengths are.
    pub fn pages_of(&self, count: u64, records: u32, payload: usize) -> PageReads {
        let (stream, among, longest, others) = match self {
            Bodies::Each(each) => (each.stream(), records, RECORD_BYTES_MAX, each.zdict_pages()),
            Bodies::Blocks(all) => (all.stream(), all.count(), BLOCK_BYTES_MAX, all.index_pages()),
        };
        let (among, payload) = (u64::from(among), payload as u64);
        let count = count.min(among);
        // What all others take at the least is not among these.
        let left = stream.bytes.saturating_sub((among - count) * BODY_HEAD_BYTES as u64);
        let bytes = left.min(count.saturating_mul((longest + BODY_HEAD_BYTES) as u64));
        // One begins and ends within a page that is not all its own.
        let most = (2 * count + bytes / payload).min(stream.region.pages.into());
        let about = count * (2 + stream.bytes / among.max(1) / payload);
        PageReads { about, most: most + if count > 0 { u64::from(others) } else { 0 } }
    }

    /// What says where the body of `ordinal` is, if that is known without a search: its page, and the byte of it.
    pub fn place_of(&self, ordinal: Ordinal) -> Option<(u32, usize)> {
        match self {
            Bodies::Each(each) => Some(each.place_of(ordinal)),
            Bodies::Blocks(_) => None,
        }
    }

    /// Hands `ordinals` to `f`, each with where its body is: what an [`Entry`] keeps.
    ///
    /// # Errors
    /// As `get`; `f` has then had some of them.
    pub fn locations(
        &self,
        pages: &Pages,
        ordinals: &[Ordinal],
        f: impl FnMut(Ordinal, u64),
    ) -> Result<()> {
        match self {
            Bodies::Each(each) => each.locations(pages, ordinals, f),
            Bodies::Blocks(blocks) => blocks.locations(pages, ordinals, f),
        }
    }

    /// The body of `ordinal`.
    ///
    /// # Errors
    /// `Invalid` beyond the last record; `Io` and `Corrupt` as a page read says.
    pub fn get(&self, pages: &Pages, ordinal: Ordinal, previous: Body) -> Result<Body> {
        match self {
            Bodies::Each(each) => each.get(pages, ordinal, previous),
            Bodies::Blocks(blocks) => blocks.get(pages, ordinal, previous),
        }
    }

    /// The body that `entry` leads to, an entry of this segment. `previous` gives its page or its block, if it is the
    /// same one, and its memory.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn read(&self, pages: &Pages, entry: &Entry, previous: Body) -> Result<Body> {
        match self {
            Bodies::Each(each) => each.read(pages, entry.at, previous),
            Bodies::Blocks(blocks) => blocks.read(pages, entry.at as u32, entry.ordinal, previous),
        }
    }

    /// Asks for the pages of `ordinals` in one batch, best effort: whatever fails here is reported
    /// where the body is read. Returns how many pages were asked for.
    pub fn prefetch(&self, pages: &Pages, ordinals: &[Ordinal]) -> usize {
        match self {
            Bodies::Each(each) => each.prefetch(pages, ordinals),
            Bodies::Blocks(blocks) => blocks.prefetch(pages, ordinals),
        }
    }
}
