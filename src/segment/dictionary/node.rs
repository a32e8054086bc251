//! The pages of the dictionary's B+Tree, as they are written and as they are read.
//!
//! ```text
//!   leaf      | 'L' | u8 prefix bytes | u16 entries | prefix | u16 slots, one more than entries | entries
//!   entry     | u8 suffix bytes | suffix | tail: count and place of the postings (see `postings`)
//!   interior  | 'N' | u8 level | u16 children | u32 pages | u16 slots, one more | separators
//! ```
//!
//! A slot is the offset of its entry or separator in the payload; the last one is where they end. All
//! terms of a leaf begin with its prefix, which is kept once. Child `i` holds the terms from separator
//! `i` on; separator 0 is empty. Separators are the shortest strings that tell two leaves apart.
//!
//! Invariant N1: whatever the bytes, every offset is checked when it is used.

use crate::base::{Result, limits::TERM_BYTES_MAX};
use crate::segment::format::{Decoded, get_u16, get_u32, kind};
use crate::segment::pages::PageWriter;
use std::cmp::Ordering;

const LEAF: u8 = b'L';
const INTERIOR: u8 = b'N';
const HEAD_BYTES: usize = 4;
const SLOT_BYTES: usize = 2;
const CHILD_BYTES: usize = 4;

const _: () = assert!(TERM_BYTES_MAX <= u8::MAX as usize);

/// Length of the longest common prefix.
pub fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// A leaf being filled.
#[derive(Default)]
pub struct LeafBuilder {
    /// Terms and tails in a row, and where each term and its tail end.
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
    prefix: usize,
    page: Vec<u8>,
}

impl LeafBuilder {
    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The last term.
    pub fn last(&self) -> &[u8] {
        self.ends.len().checked_sub(1).map_or(&[], |i| self.entry(i).0)
    }

    fn entry(&self, i: usize) -> (&[u8], &[u8]) {
        let start = i.checked_sub(1).map_or(0, |p| self.ends[p].1);
        let (term_end, end) = self.ends[i];
        (&self.bytes[start..term_end], &self.bytes[term_end..end])
    }

    /// Adds a term above all before it, unless the leaf would then be over `room` bytes.
    pub fn push(&mut self, term: &[u8], tail: &[u8], room: usize) -> bool {
        let prefix = match self.ends.first() {
            Some(_) => common(&self.entry(0).0[..self.prefix], term),
            None => term.len(),
        };
        let count = self.ends.len() + 1;
        let entries = self.bytes.len() + term.len() + tail.len() + count - count * prefix;
        if HEAD_BYTES + prefix + SLOT_BYTES * (count + 1) + entries > room {
            return false;
        }
        self.prefix = prefix;
        self.bytes.extend_from_slice(term);
        let term_end = self.bytes.len();
        self.bytes.extend_from_slice(tail);
        self.ends.push((term_end, self.bytes.len()));
        true
    }

    /// Writes the leaf and empties the builder.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn flush(&mut self, out: &mut PageWriter) -> Result<u32> {
        let mut page = std::mem::take(&mut self.page);
        page.clear();
        page.extend_from_slice(&[LEAF, self.prefix as u8]);
        page.extend_from_slice(&(self.ends.len() as u16).to_le_bytes());
        if !self.is_empty() {
            page.extend_from_slice(&self.entry(0).0[..self.prefix]);
        }
        let mut offset = page.len() + SLOT_BYTES * (self.ends.len() + 1);
        for i in 0..self.ends.len() {
            page.extend_from_slice(&(offset as u16).to_le_bytes());
            let (term, tail) = self.entry(i);
            offset += 1 + term.len() - self.prefix + tail.len();
        }
        page.extend_from_slice(&(offset as u16).to_le_bytes());
        for i in 0..self.ends.len() {
            let (term, tail) = self.entry(i);
            page.push((term.len() - self.prefix) as u8);
            page.extend_from_slice(&term[self.prefix..]);
            page.extend_from_slice(tail);
        }
        let number = out.append(kind::LEAF, &page)?;
        self.page = page;
        self.bytes.clear();
        self.ends.clear();
        Ok(number)
    }
}

/// A leaf as it lies in a page.
#[derive(Clone, Copy)]
pub struct Leaf<'a> {
    payload: &'a [u8],
    prefix: &'a [u8],
    slots: &'a [u8],
    count: usize,
}

impl<'a> Leaf<'a> {
    /// The leaf in `payload`; has at least one entry, so that a walk over a damaged tree ends.
    pub fn parse(payload: &'a [u8]) -> Decoded<Leaf<'a>> {
        let prefix = match payload {
            [LEAF, prefix, ..] => usize::from(*prefix),
            _ => return Err("a leaf of the dictionary is none"),
        };
        let count = usize::from(get_u16(payload, 2)?);
        if count == 0 {
            return Err("a leaf of the dictionary is empty");
        }
        let start = HEAD_BYTES + prefix;
        let slots = payload.get(start..start + SLOT_BYTES * (count + 1));
        let slots = slots.ok_or("a leaf's slots are cut off")?;
        Ok(Leaf { payload, prefix: &payload[HEAD_BYTES..start], slots, count })
    }

    /// Entries in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What all its terms begin with.
    pub fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// Suffix and tail of entry `i`.
    pub fn entry(&self, i: usize) -> Decoded<(&'a [u8], &'a [u8])> {
        let entry = slotted(self.payload, self.slots, i)?;
        let (&len, rest) = entry.split_first().ok_or("a dictionary entry is empty")?;
        rest.split_at_checked(usize::from(len)).ok_or("a term lies outside its entry")
    }

    /// The index of the first entry whose term is `term` or above; `count` if there is none.
    pub fn lower_bound(&self, term: &[u8]) -> Decoded<usize> {
        let Some(suffix) = term.strip_prefix(self.prefix) else {
            return Ok(if self.prefix < term { self.count } else { 0 });
        };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 < suffix { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The tail of the entry of `term`, if the leaf has it.
    pub fn find(&self, term: &[u8]) -> Decoded<Option<&'a [u8]>> {
        let Some(suffix) = term.strip_prefix(self.prefix) else { return Ok(None) };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, tail) = self.entry(middle)?;
            match found.cmp(suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(tail)),
            }
        }
        Ok(None)
    }
}

fn slotted<'a>(payload: &'a [u8], slots: &[u8], i: usize) -> Decoded<&'a [u8]> {
    let start = usize::from(get_u16(slots, i * SLOT_BYTES)?);
    let end = usize::from(get_u16(slots, (i + 1) * SLOT_BYTES)?);
    payload.get(start..end).ok_or("a slot points outside its page")
}

/// An interior page being filled.
#[derive(Default)]
pub struct InteriorBuilder {
    children: Vec<u32>,
    /// Separators in a row, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// What tells the page's first child from the one before it; kept by the parent.
    first: Vec<u8>,
}

impl InteriorBuilder {
    /// Children in it.
    pub fn count(&self) -> usize {
        self.children.len()
    }

    /// The only child, if there is one.
    pub fn only_child(&self) -> Option<u32> {
        if let [child] = self.children[..] { Some(child) } else { None }
    }

    /// Adds a child unless the page would then be over `room` bytes.
    pub fn push(&mut self, separator: &[u8], child: u32, room: usize) -> bool {
        let count = self.count() + 1;
        let head = HEAD_BYTES + CHILD_BYTES * count + SLOT_BYTES * (count + 1);
        if count == 1 {
            self.first = separator.to_vec();
        } else if head + self.bytes.len() + separator.len() > room {
            return false;
        } else {
            self.bytes.extend_from_slice(separator);
        }
        self.children.push(child);
        self.ends.push(self.bytes.len());
        true
    }

    /// Writes the page, empties the builder and returns the page's separator and number.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn flush(&mut self, out: &mut PageWriter, level: u8) -> Result<(Vec<u8>, u32)> {
        let mut page = vec![INTERIOR, level];
        page.extend_from_slice(&(self.count() as u16).to_le_bytes());
        self.children.iter().for_each(|c| page.extend_from_slice(&c.to_le_bytes()));
        let start = page.len() + SLOT_BYTES * (self.count() + 1);
        page.extend_from_slice(&(start as u16).to_le_bytes());
        for end in &self.ends {
            page.extend_from_slice(&((start + end) as u16).to_le_bytes());
        }
        page.extend_from_slice(&self.bytes);
        let number = out.append(kind::INTERIOR, &page)?;
        let done = std::mem::take(self);
        Ok((done.first, number))
    }
}

/// An interior page as it lies in the file.
#[derive(Clone, Copy)]
pub struct Interior<'a> {
    payload: &'a [u8],
    children: &'a [u8],
    slots: &'a [u8],
    count: usize,
}

impl<'a> Interior<'a> {
    /// The interior page of `level` in `payload`; has at least one child.
    pub fn parse(payload: &'a [u8], level: u8) -> Decoded<Interior<'a>> {
        if payload.get(..2) != Some(&[INTERIOR, level]) {
            return Err("an interior page of the dictionary is none, or of another level");
        }
        let count = usize::from(get_u16(payload, 2)?);
        let slots = HEAD_BYTES + CHILD_BYTES * count;
        let end = slots + SLOT_BYTES * (count + 1);
        if count == 0 || end > payload.len() {
            return Err("an interior page's slots are cut off");
        }
        let (children, slots) = (&payload[HEAD_BYTES..slots], &payload[slots..end]);
        Ok(Interior { payload, children, slots, count })
    }

    /// Children in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The page of child `i`.
    pub fn child(&self, i: usize) -> Decoded<u32> {
        get_u32(self.children, i * CHILD_BYTES)
    }

    /// The index of the child that has `term` if any has.
    pub fn find(&self, term: &[u8]) -> Decoded<usize> {
        let (mut low, mut high) = (1, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if slotted(self.payload, self.slots, middle)? <= term {
                low = middle + 1
            } else {
                high = middle
            }
        }
        Ok(low - 1)
    }
}
