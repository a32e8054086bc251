//! The term dictionary: a static B+Tree from terms to posting lists.
//!
//! ```text
//!                      [ root: separators ]                level 2
//!              [ separators ]      [ separators ]          level 1
//!      [ leaf ]  [ leaf ]  [ leaf ]   [ leaf ]  [ leaf ]   level 0: term -> count, postings or place
//! ```
//!
//! It is written in one pass over ascending terms, a page at a time: a leaf when it is full, an
//! interior page when its last child is known. Leaves fill completely, as nothing is ever inserted.
//!
//! Invariants: T1. terms are unique and ascending over all leaves; T2. a child is one level below its
//! page, so that a descent ends even in a damaged tree.
//! Costs: a look-up reads as many pages as there are levels and allocates nothing.

mod batch;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;
pub(super) mod node;
mod scan;
mod writer;

pub use scan::TermScan;
pub(super) use writer::DictionaryWriter;

use super::format::{Region, kind};
use super::pages::Pages;
use super::postings::Postings;
use crate::base::Result;
use crate::pool::Page;
use node::{Interior, Leaf};

/// The dictionary of an open segment.
#[derive(Clone, Copy, Debug)]
pub struct Dictionary {
    region: Region,
    root: u32,
    levels: u8,
    records: u32,
}

impl Dictionary {
    /// The tree of `levels` levels below `root`, whose pages lie in `region`.
    pub fn new(region: Region, root: u32, levels: u8, records: u32) -> Dictionary {
        Dictionary { region, root, levels, records }
    }

    /// Levels of the tree: pages that a look-up reads.
    pub fn levels(&self) -> u8 {
        self.levels
    }

    /// A page of the tree.
    fn page<'p>(&self, pages: &'p Pages, number: u32, level: u8) -> Result<Page<'p>> {
        if !self.region.contains(number) {
            return Err(pages.corrupt(self.root, "the dictionary refers to a page outside it"));
        }
        pages.page(number, if level == 0 { kind::LEAF } else { kind::INTERIOR })
    }

    /// The posting list of `term`.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn find(&self, pages: &Pages, term: &[u8]) -> Result<Option<Postings>> {
        if self.levels == 0 {
            return Ok(None);
        }
        let mut number = self.root;
        for level in (1..self.levels).rev() {
            let page = self.page(pages, number, level)?;
            let child = Interior::parse(&page, level).and_then(|p| p.child(p.find(term)?));
            number = child.map_err(|what| pages.corrupt(number, what))?;
        }
        let page = self.page(pages, number, 0)?;
        let found = Leaf::parse(&page).and_then(|leaf| {
            leaf.find(term)?.map(|tail| Postings::parse(tail, self.records)).transpose()
        });
        found.map_err(|what| pages.corrupt(number, what))
    }
}

#[cfg(test)]
mod tests;
