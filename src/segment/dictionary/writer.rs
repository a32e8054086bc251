//! Writes the dictionary, bottom-up, in one pass over ascending terms.
//!
//! ```text
//!   add -> [leaf] --full--> page --(separator, page)--> [level 1] --full--> page --> [level 2] ...
//! ```
//!
//! Memory is one page for each level.

use super::node::{InteriorBuilder, LeafBuilder, common};
use crate::base::limits::TERM_BYTES_MAX;
use crate::base::{Error, Result, hash64};
use crate::segment::pages::PageWriter;
use crate::segment::postings::Postings;

/// Where a finished dictionary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its top page; 0 of an empty dictionary.
    pub page: u32,
    /// Its levels; 0 of an empty dictionary.
    pub levels: u8,
}

/// A dictionary being written.
#[derive(Default)]
pub struct DictionaryWriter {
    leaf: LeafBuilder,
    /// What tells the leaf in hand from the one before it.
    separator: Vec<u8>,
    levels: Vec<InteriorBuilder>,
    hashes: Vec<u64>,
    postings: u64,
    tail: Vec<u8>,
    last: Vec<u8>,
}

impl DictionaryWriter {
    /// The `hash64` of each term, for the filter.
    pub fn take_hashes(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.hashes)
    }

    /// Postings of all terms so far.
    pub fn postings(&self) -> u64 {
        self.postings
    }

    /// Checks that `term` may come next.
    ///
    /// # Errors
    /// `Invalid` if it is empty, too long or does not ascend.
    pub fn check(&self, term: &[u8]) -> Result<()> {
        if !(1..=TERM_BYTES_MAX).contains(&term.len()) {
            return Err(Error::invalid("term", format!("it has {} bytes", term.len())));
        }
        if !self.hashes.is_empty() && *self.last >= *term {
            return Err(Error::invalid("term", "terms do not ascend"));
        }
        Ok(())
    }

    /// Adds the next term.
    ///
    /// # Errors
    /// As `check` and [`PageWriter::reserve`].
    pub fn add(&mut self, out: &mut PageWriter, term: &[u8], postings: &Postings) -> Result<()> {
        self.check(term)?;
        self.tail.clear();
        postings.write(&mut self.tail);
        let room = out.payload_bytes();
        if !self.leaf.push(term, &self.tail, room) {
            let separator = term[..common(self.leaf.last(), term) + 1].to_vec();
            let page = self.leaf.flush(out)?;
            let before = std::mem::replace(&mut self.separator, separator);
            self.push(out, 0, before, page)?;
            let fits = self.leaf.push(term, &self.tail, room);
            assert!(fits, "a page has room for one entry");
        }
        self.last.clear();
        self.last.extend_from_slice(term);
        self.hashes.push(hash64(term));
        self.postings += u64::from(postings.count());
        Ok(())
    }

    /// Adds a finished page to `levels[level]`, and the pages that this finishes to those above.
    fn push(
        &mut self,
        out: &mut PageWriter,
        level: usize,
        mut separator: Vec<u8>,
        mut page: u32,
    ) -> Result<()> {
        let room = out.payload_bytes();
        for level in level.. {
            if level == self.levels.len() {
                self.levels.push(InteriorBuilder::default());
            }
            let interior = &mut self.levels[level];
            if interior.push(&separator, page, room) {
                break;
            }
            let done = interior.flush(out, level as u8 + 1)?;
            let fits = interior.push(&separator, page, room);
            assert!(fits, "a page has room for one child");
            (separator, page) = done;
        }
        Ok(())
    }

    /// Writes what is in hand and says where the root is.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn finish(&mut self, out: &mut PageWriter) -> Result<Root> {
        if self.leaf.is_empty() {
            return Ok(Root { page: 0, levels: 0 });
        }
        let page = self.leaf.flush(out)?;
        let separator = std::mem::take(&mut self.separator);
        self.push(out, 0, separator, page)?;
        let mut level = 0;
        loop {
            let top = level + 1 == self.levels.len();
            if let Some(page) = self.levels[level].only_child().filter(|_| top) {
                return Ok(Root { page, levels: level as u8 + 1 });
            }
            if self.levels[level].count() > 0 {
                let (separator, page) = self.levels[level].flush(out, level as u8 + 1)?;
                self.push(out, level + 1, separator, page)?;
            }
            level += 1;
        }
    }
}
