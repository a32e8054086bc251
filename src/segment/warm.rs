//! A segment's pages in the pool before anybody asks for them: of one that takes the place of others.
//!
//! ```text
//!   [ bodies, oldest first ][ columns ][ id index ][ terms and postings ][ filters ]
//!                 <------------------ warm from here, so many pages ----|
//! ```
//!
//! The last pages before the filters are the indexes, and before them the newest bodies: what is asked for most.

use super::Segment;
use crate::base::Result;
use std::ops::Range;

impl Segment {
    /// Pages of it that are in memory.
    pub fn resident_pages(&self) -> u32 {
        self.pages().resident()
    }

    /// The `count` pages of it that are asked for most: its indexes, then its newest bodies.
    pub fn likely_pages(&self, count: u32) -> Range<u32> {
        let end = self.filter_region().first;
        end.saturating_sub(count).max(1)..end
    }

    /// Brings a piece of `pages` into memory by one read and returns the rest; empty when no frame is to be had.
    /// With `keep` they stay as if they had been used.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if a page is not what was written.
    pub fn warm(&self, pages: Range<u32>, keep: bool) -> Result<Range<u32>> {
        self.pages().warm(pages, keep)
    }
}
