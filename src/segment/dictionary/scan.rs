//! A walk over all terms in order, for compaction and verification.
//!
//! The walk keeps page numbers and not pages, so that a compaction that walks many segments pins
//! nothing between two steps.
//!
//! Invariant S1: terms come strictly ascending, or the walk ends with `Corrupt`.

use super::Dictionary;
use super::node::{Entry, GROUP, Interior, Leaf};
use crate::base::Result;
use crate::base::limits::TERM_BYTES_MAX;
use crate::segment::format::Decoded;
use crate::segment::pages::Pages;
use crate::segment::postings::Postings;
use crate::segment::reader::Segment;
use std::sync::Arc;

/// The terms of a segment, ascending, each with its posting list.
pub struct TermScan {
    segment: Arc<Segment>,
    walk: Walk,
}

impl TermScan {
    pub(in crate::segment) fn new(segment: Arc<Segment>) -> TermScan {
        let walk = Walk::new(*segment.dictionary());
        TermScan { segment, walk }
    }

    pub(in crate::segment) fn from(segment: Arc<Segment>, term: &[u8]) -> Result<TermScan> {
        let mut scan = TermScan::new(segment);
        scan.walk.seek(scan.segment.pages(), term)?;
        Ok(scan)
    }

    /// The next term and its postings; `None` behind the last.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; `Corrupt` if terms do not ascend.
    #[expect(
        clippy::should_implement_trait,
        reason = "the term is lent, which Iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], Postings)>> {
        self.walk.next(self.segment.pages())
    }
}

/// The position of a scan, without what keeps the segment.
pub struct Walk {
    dictionary: Dictionary,
    /// From the root down: a page, and the index of the child or entry that comes next.
    path: Vec<(u32, usize)>,
    /// Where the leaf's next entry begins in its group.
    within: usize,
    term: Vec<u8>,
    /// Memory for the next term.
    next: Vec<u8>,
    /// Terms below this are stepped over.
    from: Vec<u8>,
}

/// What stands at a position.
enum Step {
    Child(u32),
    Term(Postings),
    End,
}

impl Walk {
    /// Before the first term.
    pub fn new(dictionary: Dictionary) -> Walk {
        let path = if dictionary.levels == 0 { Vec::new() } else { vec![(dictionary.root, 0)] };
        Walk { dictionary, path, within: 0, term: Vec::new(), next: Vec::new(), from: Vec::new() }
    }

    /// Stands before the first term that is `term` or above. A page for each level.
    ///
    /// # Errors
    /// As [`TermScan::next`].
    pub fn seek(&mut self, pages: &Pages, term: &[u8]) -> Result<()> {
        self.path.clear();
        self.term.clear();
        if self.dictionary.levels == 0 {
            return Ok(());
        }
        let mut number = self.dictionary.root;
        for level in (1..self.dictionary.levels).rev() {
            let page = self.dictionary.page(pages, number, level)?;
            let found = Interior::parse(&page, level).and_then(|interior| {
                let i = interior.find(term)?;
                Ok((i, interior.child(i)?))
            });
            let (i, child) = found.map_err(|what| pages.corrupt(number, what))?;
            self.path.push((number, i + 1));
            number = child;
        }
        self.path.push((number, 0));
        self.from = term.to_vec();
        Ok(())
    }

    /// The next term and its postings; `None` behind the last.
    ///
    /// # Errors
    /// As [`TermScan::next`].
    pub fn next(&mut self, pages: &Pages) -> Result<Option<(&[u8], Postings)>> {
        while let Some(&(number, i)) = self.path.last() {
            let level = self.dictionary.levels - self.path.len() as u8;
            let page = self.dictionary.page(pages, number, level)?;
            let step = if level > 0 { child(&page, level, i) } else { self.entry(&page, i) };
            let step = step.map_err(|what| pages.corrupt(number, what))?;
            if let Some(top) = self.path.last_mut() {
                top.1 += 1;
            }
            match step {
                Step::Child(page) => self.path.push((page, 0)),
                Step::Term(_) if self.term < self.from => {}
                Step::Term(postings) => return Ok(Some((&self.term, postings))),
                Step::End => drop(self.path.pop()),
            }
        }
        Ok(None)
    }

    fn entry(&mut self, page: &[u8], i: usize) -> Decoded<Step> {
        let leaf = Leaf::parse(page)?;
        if i >= leaf.count() {
            return Ok(Step::End);
        }
        if i.is_multiple_of(GROUP) {
            self.within = 0;
        }
        let group = leaf.group(i / GROUP)?;
        let left = group.get(self.within..).ok_or("a group of a leaf is cut off")?;
        let (entry, rest) = Entry::split(left)?;
        self.within = group.len() - rest.len();
        let shared = match i.is_multiple_of(GROUP) {
            true => &[],
            false => self.term.get(leaf.prefix().len()..).unwrap_or(&[]),
        };
        let shared = shared.get(..entry.shared).ok_or("a term shares more than there is")?;
        self.next.clear();
        [leaf.prefix(), shared, entry.suffix].iter().for_each(|p| self.next.extend_from_slice(p));
        if !(1..=TERM_BYTES_MAX).contains(&self.next.len()) || self.next <= self.term {
            return Err("terms do not ascend, or one is too long"); // S1
        }
        std::mem::swap(&mut self.term, &mut self.next);
        Postings::parse(entry.tail, self.dictionary.records).map(Step::Term)
    }
}

fn child(page: &[u8], level: u8, i: usize) -> Decoded<Step> {
    let interior = Interior::parse(page, level)?;
    if i < interior.count() { interior.child(i).map(Step::Child) } else { Ok(Step::End) }
}
