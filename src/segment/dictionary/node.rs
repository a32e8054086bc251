//! The pages of the dictionary's B+Tree, as they are written and as they are read.
//!
//! ```text
//!   leaf      | 'L' | u8 prefix bytes | u16 entries | prefix | u16 slots, one more than groups | entries
//!   entry     | u8 shared | u8 suffix bytes | suffix | tail: count and place of the postings (`postings`)
//!   interior  | 'N' | u8 level | u16 children | u32 pages | u16 slots, one more | separators
//! ```
//!
//! A slot is the offset of its group or separator in the payload; the last one is where they end. All
//! terms of a leaf begin with its prefix, which is kept once. Behind it a term is the first `shared` bytes
//! of the one before and its suffix; a group is 8 entries, and its first shares nothing. Child `i` holds
//! the terms from separator `i` on; separator 0 is empty. Separators are the shortest strings that tell
//! two leaves apart.
//!
//! Invariant N1: whatever the bytes, every offset is checked when it is used.

use crate::base::{Result, limits::TERM_BYTES_MAX};
use crate::segment::format::{Decoded, get_u16, get_u32, kind};
use crate::segment::pages::PageWriter;
use crate::segment::postings::Postings;
use std::cmp::Ordering;

const LEAF: u8 = b'L';
const INTERIOR: u8 = b'N';
const HEAD_BYTES: usize = 4;
const SLOT_BYTES: usize = 2;
const CHILD_BYTES: usize = 4;
/// Bytes of an entry before its suffix.
const ENTRY_HEAD_BYTES: usize = 2;
/// Entries of a group. A look-up halves groups and then walks one; 16 take 1 % less room and a third longer.
pub const GROUP: usize = 8;

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
    /// Bytes of the entries if the prefix were empty.
    entries: usize,
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
        let (index, shared) = (self.ends.len(), common(self.last(), term));
        let prefix = if index == 0 { term.len() } else { self.prefix.min(shared) };
        let kept = if index.is_multiple_of(GROUP) { 0 } else { shared };
        let entries = self.entries + ENTRY_HEAD_BYTES + term.len() - kept + tail.len();
        let groups = index / GROUP + 1;
        let page = HEAD_BYTES + prefix + SLOT_BYTES * (groups + 1) + entries - groups * prefix;
        if page > room {
            return false;
        }
        (self.prefix, self.entries) = (prefix, entries);
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
        let mut slot = page.len();
        page.resize(slot + SLOT_BYTES * (self.ends.len().div_ceil(GROUP) + 1), 0);
        let mut last: &[u8] = &[];
        for i in 0..self.ends.len() {
            let (term, tail) = self.entry(i);
            let mut shared = common(last, term);
            if i.is_multiple_of(GROUP) {
                let offset = (page.len() as u16).to_le_bytes();
                page[slot..slot + SLOT_BYTES].copy_from_slice(&offset);
                slot += SLOT_BYTES;
                shared = self.prefix;
            }
            page.extend_from_slice(&[(shared - self.prefix) as u8, (term.len() - shared) as u8]);
            page.extend_from_slice(&term[shared..]);
            page.extend_from_slice(tail);
            last = term;
        }
        let end = (page.len() as u16).to_le_bytes();
        page[slot..slot + SLOT_BYTES].copy_from_slice(&end);
        let number = out.append(kind::LEAF, &page)?;
        self.page = page;
        self.bytes.clear();
        self.ends.clear();
        self.entries = 0;
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

/// An entry of a leaf.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Bytes behind the leaf's prefix that it has from the entry before it.
    pub shared: usize,
    /// What follows them.
    pub suffix: &'a [u8],
    /// Count and place of its postings.
    pub tail: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`, and the rest.
    pub fn split(bytes: &'a [u8]) -> Decoded<(Entry<'a>, &'a [u8])> {
        let [shared, len, rest @ ..] = bytes else { return Err("a dictionary entry is cut off") };
        let split = rest.split_at_checked(usize::from(*len));
        let (suffix, rest) = split.ok_or("a term lies outside its entry")?;
        let (tail, rest) = rest.split_at(Postings::tail_bytes(rest)?);
        Ok((Entry { shared: usize::from(*shared), suffix, tail }, rest))
    }
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
        let slots = payload.get(start..start + SLOT_BYTES * (count.div_ceil(GROUP) + 1));
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

    /// The bytes of group `i`.
    pub fn group(&self, i: usize) -> Decoded<&'a [u8]> {
        slotted(self.payload, self.slots, i)
    }

    /// What the first term of group `i` has behind the prefix. Its tail is left alone.
    fn first(&self, i: usize) -> Decoded<&'a [u8]> {
        match self.group(i)? {
            [0, len, rest @ ..] => rest.get(..usize::from(*len)).ok_or("a term lies outside it"),
            _ => Err("a group of a leaf does not begin with a whole term"),
        }
    }

    /// The tail of the entry of `term`, if the leaf has it.
    pub fn find(&self, term: &[u8]) -> Decoded<Option<&'a [u8]>> {
        let Some(wanted) = term.strip_prefix(self.prefix) else { return Ok(None) };
        let (mut low, mut high) = (0, self.count.div_ceil(GROUP));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first(middle)? <= wanted { low = middle + 1 } else { high = middle }
        }
        let Some(group) = low.checked_sub(1) else { return Ok(None) };
        let entries = (self.count - group * GROUP).min(GROUP);
        find_in_group(self.group(group)?, entries, wanted)
    }
}

/// The tail of the entry whose term is `wanted` behind the prefix.
fn find_in_group<'a>(
    mut group: &'a [u8],
    entries: usize,
    wanted: &[u8],
) -> Decoded<Option<&'a [u8]>> {
    // Bytes that the entry before, which is below `wanted`, has in common with it.
    let mut matched = 0;
    for _ in 0..entries {
        let (entry, rest) = Entry::split(group)?;
        group = rest;
        match entry.shared.cmp(&matched) {
            // It has the byte that made the one before it too low.
            Ordering::Greater => continue,
            // It is above the one before it where that agrees with `wanted`.
            Ordering::Less => return Ok(None),
            Ordering::Equal => {}
        }
        let wanted = wanted.get(matched..).unwrap_or(&[]);
        match entry.suffix.cmp(wanted) {
            Ordering::Less => matched += common(entry.suffix, wanted),
            Ordering::Equal => return Ok(Some(entry.tail)),
            Ordering::Greater => return Ok(None),
        }
    }
    Ok(None)
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

/// The level of an interior page, whatever else it says.
pub fn level_of(payload: &[u8]) -> u8 {
    payload.get(1).copied().unwrap_or(0)
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

    /// What the terms of child `i` are not below; nothing of the first.
    pub fn separator(&self, i: usize) -> Decoded<&'a [u8]> {
        slotted(self.payload, self.slots, i)
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
