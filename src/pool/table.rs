//! The page table of one file: an array with one entry a page, the frame it is in or when it left.
//!
//! ```text
//!   0 .. 2^31       the frame that holds the page, or into which it is being loaded
//!   ABSENT | n      in no frame; left with eviction number n (see `eviction`)
//!   NEVER           in no frame, and no ghost
//! ```
//!
//! T1. Entries are written under the pool's mutex only, and read without it.
//! T2. An entry may be stale as soon as it is read: a reader that follows one compares the frame's owner
//!     once it has a pin (S3 of `state`), and whoever may not be wrong looks again under the mutex.

use std::sync::atomic::{AtomicU32, Ordering};

/// Set in entries without a frame.
pub(super) const ABSENT: u32 = 1 << 31;

/// A page that is in no frame and did not leave lately.
pub(super) const NEVER: u32 = u32::MAX;

/// The entries of a file's pages.
pub(super) struct PageTable(Box<[AtomicU32]>);

impl PageTable {
    /// All pages absent.
    pub fn new(pages: u32) -> PageTable {
        PageTable((0..pages).map(|_| AtomicU32::new(NEVER)).collect())
    }

    pub fn pages(&self) -> u32 {
        self.0.len() as u32
    }

    /// The frame of page `number`; `None` also past the end.
    pub fn frame(&self, number: u32) -> Option<u32> {
        let entry = self.0.get(number as usize)?.load(Ordering::Acquire);
        (entry & ABSENT == 0).then_some(entry)
    }

    /// The entry of page `number`; `NEVER` past the end.
    pub fn entry(&self, number: u32) -> u32 {
        self.0.get(number as usize).map_or(NEVER, |e| e.load(Ordering::Acquire))
    }

    /// Sets the entry of a page of the file.
    pub fn set(&self, number: u32, entry: u32) {
        self.0[number as usize].store(entry, Ordering::Release);
    }

    /// Sets the entry of page `number` to `mark` if it names `frame`.
    pub fn clear(&self, number: u32, frame: u32, mark: u32) {
        if self.frame(number) == Some(frame) {
            self.set(number, mark);
        }
    }
}
