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

//! The entries are generic so that `state/tests.rs` runs this very code under loom.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{self, Acquire, Release};

/// The atomic operations on an entry.
pub(super) trait Entry {
    fn new(entry: u32) -> Self;
    fn load(&self, order: Ordering) -> u32;
    fn store(&self, entry: u32, order: Ordering);
}

/// Makes an atomic type an `Entry`.
macro_rules! entry {
    ($atomic:ty) => {
        impl Entry for $atomic {
            fn new(entry: u32) -> Self {
                <$atomic>::new(entry)
            }
            fn load(&self, order: Ordering) -> u32 {
                <$atomic>::load(self, order)
            }
            fn store(&self, entry: u32, order: Ordering) {
                <$atomic>::store(self, entry, order);
            }
        }
    };
}

entry!(AtomicU32);
#[cfg(test)]
entry!(loom::sync::atomic::AtomicU32);

/// Set in entries without a frame.
pub(super) const ABSENT: u32 = 1 << 31;

/// A page that is in no frame and did not leave lately.
pub(super) const NEVER: u32 = u32::MAX;

/// The entries of a file's pages.
pub(super) struct PageTable<E = AtomicU32>(Box<[E]>);

impl<E: Entry> PageTable<E> {
    /// All pages absent.
    pub fn new(pages: u32) -> PageTable<E> {
        PageTable((0..pages).map(|_| E::new(NEVER)).collect())
    }

    pub fn pages(&self) -> u32 {
        self.0.len() as u32
    }

    /// The frame of page `number`; `None` also past the end.
    pub fn frame(&self, number: u32) -> Option<u32> {
        let entry = self.0.get(number as usize)?.load(Acquire);
        (entry & ABSENT == 0).then_some(entry)
    }

    /// The entry of page `number`; `NEVER` past the end.
    pub fn entry(&self, number: u32) -> u32 {
        self.0.get(number as usize).map_or(NEVER, |e| e.load(Acquire))
    }

    /// Sets the entry of a page of the file.
    pub fn set(&self, number: u32, entry: u32) {
        self.0[number as usize].store(entry, Release);
    }

    /// Sets the entry of page `number` to `mark` if it names `frame`.
    pub fn clear(&self, number: u32, frame: u32, mark: u32) {
        if self.frame(number) == Some(frame) {
            self.set(number, mark);
        }
    }
}
