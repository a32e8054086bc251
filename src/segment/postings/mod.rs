//! Posting lists: the ascending ordinals of the records under one term.
//!
//! ```text
//!   count small    : gaps inline in the dictionary's leaf                 no page of its own
//!   one run        : at an offset of a posting page shared with others    one page
//!   longer         : consecutive exclusive pages, each a head and a run   log2(pages) heads, one page
//! ```
//!
//! The tail of a dictionary entry is `varint(count * 4 + place)`, then by place:
//!
//! | place | then |
//! | ---: | --- |
//! | 0 | the gaps, up to `INLINE_BYTES` |
//! | 1 | varint page, varint offset in its payload |
//! | 2 | varint first page, varint pages |
//!
//! Invariant P1: ordinals are strictly ascending and below the segment's record count.

pub mod block;
mod cursor;
pub mod run;
mod writer;

pub use cursor::Cursor;
pub(super) use writer::ListWriter;

use self::block::{BLOCK, get_gaps};
use super::format::Decoded;
use super::reader::Segment;
use crate::base::{Ordinal, Result, get_varint, put_varint};
use std::sync::Arc;

/// Bytes of gaps that still go into the dictionary: a few postings, of which most terms have one.
pub const INLINE_BYTES: usize = 24;

/// Where one posting list is, and how long it is. Copied out of the dictionary; holds no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Postings {
    count: u32,
    place: Place,
}

/// Where the ordinals are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    /// In a page shared with other lists.
    Shared { page: u32, offset: u16 },
    /// In pages of their own.
    Exclusive { page: u32, pages: u32 },
}

impl Postings {
    pub(super) fn new(count: u32, place: Place) -> Postings {
        Postings { count, place }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// How many records stand under the term, removed ones included. At least one.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Pages that the list stands on, the dictionary's aside.
    pub fn pages(&self) -> u32 {
        match self.place {
            Place::Inline { .. } => 0,
            Place::Shared { .. } => 1,
            Place::Exclusive { pages, .. } => pages,
        }
    }

    /// The page on which a walk from `ordinal` on begins, most likely, of a segment of `records` records.
    pub(super) fn page_near(&self, ordinal: Ordinal, records: u32) -> Option<u32> {
        match self.place {
            Place::Inline { .. } => None,
            Place::Shared { page, .. } => Some(page),
            Place::Exclusive { page, pages } => {
                // As a cursor guesses: the list is spread evenly over the segment.
                let near = u64::from(ordinal) * u64::from(pages) / u64::from(records.max(1));
                Some(page.saturating_add(near.min(u64::from(pages) - 1) as u32))
            }
        }
    }

    /// A cursor over the list; reads nothing yet.
    pub fn cursor(&self, segment: &Arc<Segment>) -> Cursor {
        Cursor::new(segment.clone(), *self)
    }

    /// How many postings are below `ordinal`. Reads one page, or the heads of a long list on the way
    /// to one, and decodes one block.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn rank(&self, segment: &Arc<Segment>, ordinal: Ordinal) -> Result<u32> {
        self.cursor(segment).rank(ordinal)
    }

    /// Appends the tail of a dictionary entry.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let tag = match self.place {
            Place::Inline { .. } => 0,
            Place::Shared { .. } => 1,
            Place::Exclusive { .. } => 2,
        };
        put_varint(out, u64::from(self.count) << 2 | tag);
        match self.place {
            Place::Inline { len, bytes } => out.extend_from_slice(&bytes[..usize::from(len)]),
            Place::Shared { page, offset } => {
                put_varint(out, u64::from(page));
                put_varint(out, u64::from(offset));
            }
            Place::Exclusive { page, pages } => {
                put_varint(out, u64::from(page));
                put_varint(out, u64::from(pages));
            }
        }
    }

    /// Bytes of the tail at the start of `bytes`: up to the end of the last number that its head speaks of.
    pub(super) fn tail_bytes(bytes: &[u8]) -> Decoded<usize> {
        const SHORT: &str = "a dictionary entry is cut off";
        let mut rest = bytes;
        let head = get_varint(&mut rest).ok_or(SHORT)?;
        let mut left = if head & 3 == 0 { (head >> 2).max(1) } else { 2 };
        for (i, &byte) in rest.iter().enumerate() {
            left -= u64::from(byte < 0x80);
            if left == 0 {
                return Ok(bytes.len() - rest.len() + i + 1);
            }
        }
        Err(SHORT)
    }

    /// Decodes an inline list and returns its length; nothing of a list that is elsewhere.
    pub(super) fn decode_inline(&self, out: &mut [u32; BLOCK]) -> Decoded<usize> {
        let Place::Inline { len, bytes } = &self.place else { return Ok(0) };
        let mut input = bytes.get(..usize::from(*len)).unwrap_or(&[]);
        let out = out.get_mut(..self.count as usize).ok_or("inline postings are too many")?;
        get_gaps(None, &mut input, out)?;
        if input.is_empty() { Ok(out.len()) } else { Err("inline postings have bytes left over") }
    }

    /// Reads the tail of a dictionary entry, all of it, in a segment of `records` records.
    pub(super) fn parse(mut tail: &[u8], records: u32) -> Decoded<Postings> {
        const SHORT: &str = "a dictionary entry is cut off";
        let head = get_varint(&mut tail).ok_or(SHORT)?;
        let count = u32::try_from(head >> 2).unwrap_or(u32::MAX);
        if count == 0 || count > records {
            return Err("a term's posting count is impossible");
        }
        let mut numbers = tail;
        let mut number = || -> Decoded<u64> { get_varint(&mut numbers).ok_or(SHORT) };
        let place = match head & 3 {
            0 => {
                let mut bytes = [0; INLINE_BYTES];
                let len = tail.len();
                let room = bytes.get_mut(..len).ok_or("inline postings are too long")?;
                room.copy_from_slice(tail);
                let list = Postings { count, place: Place::Inline { len: len as u8, bytes } };
                let mut values = [0; BLOCK];
                let count = list.decode_inline(&mut values)?;
                if values[..count].last().is_none_or(|&last| last >= records) {
                    return Err("inline postings are beyond the last record");
                }
                return Ok(list);
            }
            1 => {
                let (page, offset) = (number()?, number()?);
                let page = u32::try_from(page).map_err(|_| "a page number is over 32 bits")?;
                let offset = u16::try_from(offset).map_err(|_| "an offset is over 16 bits")?;
                Place::Shared { page, offset }
            }
            2 => {
                let (page, pages) = (number()?, number()?);
                let page = u32::try_from(page).map_err(|_| "a page number is over 32 bits")?;
                let pages = u32::try_from(pages).ok().filter(|&p| p > 0);
                Place::Exclusive { page, pages: pages.ok_or("a list's page count is impossible")? }
            }
            _ => return Err("a posting list is in no known place"),
        };
        if !numbers.is_empty() {
            return Err("a dictionary entry has bytes left over");
        }
        Ok(Postings { count, place })
    }
}

#[cfg(test)]
mod tests;
