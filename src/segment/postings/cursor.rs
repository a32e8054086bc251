//! A cursor over one posting list: seeks in both directions, one decoded block at a time.
//!
//! ```text
//!   before |  v0 v1 ... v(len-1)  |           targets in (before, v(len-1)] are answered from the
//!          `---- loaded block ----'           block in hand, beyond the list's end too
//! ```
//!
//! Invariants: C1. an answer of `seek_ge` is never below its target, of `seek_le` never above, so
//! that a walk always ends; C2. a seek decodes at most one block; C3. values are below the segment's
//! record count (P1).
//! Errors: `Corrupt` names the page in which the list contradicts itself.

use super::block::BLOCK;
use super::run::{HEAD_BYTES, Head, Run};
use super::{Place, Postings};
use crate::base::{Ordinal, Result};
use crate::pool::Page;
use crate::segment::format::{Decoded, kind};
use crate::segment::pages::Pages;
use crate::segment::reader::Segment;
use std::sync::Arc;

/// A position in one posting list of one segment. Holds no page between calls.
pub struct Cursor {
    segment: Arc<Segment>,
    list: List,
}

impl Cursor {
    pub(super) fn new(segment: Arc<Segment>, postings: Postings) -> Cursor {
        Cursor { segment, list: List::new(postings) }
    }

    /// The list's length.
    pub fn count(&self) -> u32 {
        self.list.postings.count()
    }

    /// The lowest ordinal not below `target`.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn seek_ge(&mut self, target: Ordinal) -> Result<Option<Ordinal>> {
        self.list.seek_ge(self.segment.pages(), self.segment.records(), target)
    }

    /// The highest ordinal not above `target`.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn seek_le(&mut self, target: Ordinal) -> Result<Option<Ordinal>> {
        self.list.seek_le(self.segment.pages(), self.segment.records(), target)
    }

    /// How many ordinals of the list are below `target`.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn rank(&mut self, target: Ordinal) -> Result<u32> {
        self.list.rank(self.segment.pages(), self.segment.records(), target)
    }
}

/// A list and its block in hand, without what keeps the segment.
pub(super) struct List {
    postings: Postings,
    /// Which of the list's pages the block is from.
    page: u32,
    /// Postings before the block, and the last of them.
    rank: u32,
    before: Option<u32>,
    /// Whether the list ends with the block.
    end: bool,
    /// Ordinals in `values`; 0 before the first load and after a failed one.
    len: usize,
    /// How many of them were not above the last target of `seek_le`.
    upto: usize,
    values: [u32; BLOCK],
}

impl List {
    pub(super) fn new(postings: Postings) -> List {
        let values = [0; BLOCK];
        List { postings, page: 0, rank: 0, before: None, end: false, len: 0, upto: 0, values }
    }

    pub(super) fn seek_ge(
        &mut self,
        pages: &Pages,
        records: u32,
        target: u32,
    ) -> Result<Option<u32>> {
        self.load(pages, records, target)?;
        let values = &self.values[..self.len];
        Ok(values.get(values.partition_point(|&v| v < target)).copied())
    }

    pub(super) fn seek_le(
        &mut self,
        pages: &Pages,
        records: u32,
        target: u32,
    ) -> Result<Option<u32>> {
        self.load(pages, records, target)?;
        let values = &self.values[..self.len];
        // A walk that takes each comes to the one before.
        let next = self.upto.wrapping_sub(1);
        let is_next = values.get(next).is_some_and(|&v| v > target)
            && next.checked_sub(1).is_none_or(|i| values[i] <= target);
        let at = if is_next { next } else { values.partition_point(|&v| v <= target) };
        self.upto = at;
        Ok(at.checked_sub(1).map_or(self.before, |i| Some(values[i])))
    }

    pub(super) fn rank(&mut self, pages: &Pages, records: u32, target: u32) -> Result<u32> {
        self.load(pages, records, target)?;
        let at = self.values[..self.len].partition_point(|&v| v < target);
        Ok(self.rank + at as u32)
    }

    fn covers(&self, target: u32) -> bool {
        self.len > 0
            && self.before.is_none_or(|b| b < target)
            && (self.end || target <= self.values[self.len - 1])
    }

    /// Takes the block that holds the lowest ordinal not below `target`, or the list's last block.
    fn load(&mut self, pages: &Pages, records: u32, target: u32) -> Result<()> {
        if self.covers(target) {
            return Ok(());
        }
        let fresh = self.len == 0;
        self.len = 0;
        let (page, taken) = match *self.postings.place() {
            // Page 0: where an inline list stood is not known here, but it was checked there.
            Place::Inline { .. } => (0, self.take_inline(records)),
            Place::Shared { page, offset } => {
                let payload = pages.page(page, kind::POSTINGS)?;
                (page, self.take_shared(&payload, offset, records, target))
            }
            Place::Exclusive { page: first, pages: count } => {
                if fresh {
                    // Where it would be if the list were spread evenly over the segment.
                    let guess = u64::from(target) * u64::from(count) / u64::from(records.max(1));
                    self.page = guess.min(u64::from(count)) as u32;
                }
                let (at, head, payload) = self.locate(pages, first, count, target)?;
                self.page = at;
                let page = first.saturating_add(at);
                (page, self.take_exclusive(&payload, head, at + 1 == count, records, target))
            }
        };
        if taken.is_ok() && !self.covers(target) {
            self.len = 0;
            return Err(pages.corrupt(page, "the heads of a posting list contradict one another"));
        }
        taken.map_err(|what| pages.corrupt(page, what))
    }

    fn take_inline(&mut self, records: u32) -> Decoded<()> {
        self.len = self.postings.decode_inline(&mut self.values)?;
        (self.rank, self.before, self.end) = (0, None, true);
        self.check(records, None)
    }

    fn take_shared(
        &mut self,
        payload: &[u8],
        offset: u16,
        records: u32,
        target: u32,
    ) -> Decoded<()> {
        let bytes = payload.get(usize::from(offset)..);
        let bytes = bytes.ok_or("a posting list lies outside its page")?;
        let run = Run::parse(bytes, self.postings.count())?;
        let block = run.find(target);
        self.len = run.decode(block, &mut self.values)?;
        self.rank = (block * BLOCK) as u32;
        self.before = run.before(block);
        self.end = block + 1 == run.blocks();
        self.check(records, None)
    }

    fn take_exclusive(
        &mut self,
        payload: &[u8],
        head: Head,
        last_page: bool,
        records: u32,
        target: u32,
    ) -> Decoded<()> {
        if last_page && head.rank + head.count != self.postings.count() {
            return Err("a posting list's pages do not add up to its count");
        }
        let run = Run::parse(payload.get(HEAD_BYTES..).unwrap_or(&[]), head.count)?;
        let block = run.find(target);
        self.len = run.decode(block, &mut self.values)?;
        self.rank = head.rank + (block * BLOCK) as u32;
        self.before = run.before(block).or(head.before);
        let last_block = block + 1 == run.blocks();
        self.end = last_page && last_block;
        self.check(records, last_block.then_some(head.last))
    }

    /// Drops a block that cannot be (C1, C3).
    fn check(&mut self, records: u32, last: Option<u32>) -> Decoded<()> {
        let values = &self.values[..self.len];
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return Err("a posting block is empty");
        };
        if high >= records
            || self.before.is_some_and(|b| b >= low)
            || last.is_some_and(|l| l != high)
        {
            self.len = 0;
            return Err("a posting block contradicts its list");
        }
        Ok(())
    }

    /// The exclusive page whose last ordinal is the first not below `target`, or the last page.
    /// Gallops either way from the page in hand, so that a walk touches the next page and no other.
    fn locate<'p>(
        &self,
        pages: &'p Pages,
        first: u32,
        count: u32,
        target: u32,
    ) -> Result<(u32, Head, Page<'p>)> {
        // Pages below `low` end below the target, pages above `high` begin above it.
        let (mut low, mut high, mut probe, mut step) = (0, count - 1, self.page, 1u32);
        let (mut up, mut down) = (false, false);
        loop {
            let at = probe.clamp(low, high);
            let page = first.saturating_add(at);
            let payload = pages.page(page, kind::POSTINGS)?;
            let head = Head::parse(&payload, self.postings.count());
            let head = head.map_err(|what| pages.corrupt(page, what))?;
            if (at == 0) != head.before.is_none() {
                return Err(pages.corrupt(page, "a posting page is not where its head says"));
            }
            if head.last < target && at < high {
                (low, up) = (at + 1, true);
            } else if head.before.is_some_and(|b| b >= target) && at > low {
                (high, down) = (at - 1, true);
            } else {
                return Ok((at, head, payload));
            }
            probe = match (up, down) {
                (true, false) => at.saturating_add(step),
                (false, _) => at.saturating_sub(step),
                (true, true) => low + (high - low) / 2,
            };
            step = step.saturating_mul(2);
        }
    }
}
