//! A segment's pages in the pool before anybody asks for them: of one that takes the place of others.
//!
//! ```text
//!   [ bodies, oldest first ][ columns ][ id index ][ terms and postings ][ filters ]
//!                 <------------------ warm from here, so many pages ----|
//! ```
//!
//! The last pages before the filters are the indexes, and before them the newest bodies: what is asked for most.

use super::Segment;
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

    /// Brings `pages` into memory, as long as `go_on` says, which is told after each read how many pages it was for. Ends
    /// where no frame is to be had or a page cannot be read: that is left to who asks for it. With `keep` they stay as if
    /// they had been used.
    pub fn warm(&self, mut pages: Range<u32>, keep: bool, mut go_on: impl FnMut(u32) -> bool) {
        while !pages.is_empty() {
            let Ok(rest) = self.pages().warm(pages.clone(), keep) else { return };
            if !go_on((pages.len() - rest.len()) as u32) {
                return;
            }
            pages = rest;
        }
    }
}
