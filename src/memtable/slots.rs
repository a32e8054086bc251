//! A column: an array that grows by chunks and never moves, so that readers keep plain references.
//!
//! ```text
//!   table (fixed)   [ o | o | o | o | - | - | - ]      one OnceLock for each chunk
//!                     |   |   |   +--> 64 KiB          then 64 KiB each
//!                     |   |   +--> 16 KiB
//!                     |   +--> 8 KiB                   sizes double ...
//!                     +--> 4 KiB                       ... from here
//! ```
//!
//! Items are made of atomics and start as their default (zero). Safe code throughout.
//!
//! Invariants:
//! I1. A chunk, once there, stays at its address until the column is dropped.
//! I2. A reader that was led to an index by a published value finds its chunk: the chunk is set
//!     (release, in `OnceLock`) before anything in it can be written, let alone published.
//! I3. Only one thread calls `make`.

use super::sync::chunk_bits;
use std::mem::size_of;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A growing array of `T` that many threads read and one extends.
pub(super) struct Column<T> {
    chunks: Box<[OnceLock<Box<[T]>>]>,
    /// Bytes allocated, table included. A figure for budgets; nothing is published by it, hence
    /// `std`'s own atomic even under loom.
    bytes: AtomicUsize,
}

impl<T: Default> Column<T> {
    /// An empty column for indexes below `items` (at least one). Allocates its table only.
    pub(super) fn new(items: usize) -> Column<T> {
        let (chunk, _) = locate::<T>(items.max(1) - 1);
        let chunks: Box<[_]> = (0..=chunk).map(|_| OnceLock::new()).collect();
        let bytes = AtomicUsize::new(size_of_val(&*chunks));
        Column { chunks, bytes }
    }

    /// The item at `index`, unless its chunk was never made.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (chunk, offset) = locate::<T>(index as usize);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    /// The item at an index that was published.
    ///
    /// # Panics
    /// If its chunk was never made: then nothing led here (I2).
    pub(super) fn at(&self, index: u32) -> &T {
        let Some(item) = self.get(index) else { panic!("item {index} of a column was never made") };
        item
    }

    /// The chunk that holds a published index, and the place of that index in it.
    ///
    /// # Panics
    /// As `at`.
    pub(super) fn chunk_of(&self, index: u32) -> (&[T], usize) {
        let (chunk, offset) = locate::<T>(index as usize);
        let Some(items) = self.chunks.get(chunk).and_then(OnceLock::get) else {
            panic!("item {index} of a column was never made")
        };
        (items, offset)
    }

    /// The item at `index`, whose chunk is allocated if need be. Writer only (I3).
    ///
    /// # Panics
    /// If `index` is beyond the items that the column was created for.
    pub(super) fn make(&self, index: u32) -> &T {
        let (chunk, offset) = locate::<T>(index as usize);
        let Some(cell) = self.chunks.get(chunk) else {
            panic!("item {index} is beyond a column of {} chunks", self.chunks.len())
        };
        let items = cell.get_or_init(|| {
            let items: Box<[T]> = (0..chunk_len::<T>(chunk)).map(|_| T::default()).collect();
            self.bytes.fetch_add(size_of_val(&*items), Relaxed);
            items
        });
        &items[offset]
    }

    /// Bytes allocated, the table included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Bytes that `make` of every index below `end` may add to `bytes`.
    pub(super) fn growth(&self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        let (chunk, offset) = locate::<T>(end - 1);
        let items = end - 1 - offset + chunk_len::<T>(chunk);
        (size_of_val(&*self.chunks) + items * size_of::<T>()).saturating_sub(self.bytes())
    }
}

/// The first index behind the chunk of `index`.
pub(super) fn chunk_end<T>(index: u32) -> u32 {
    let (chunk, offset) = locate::<T>(index as usize);
    (index as usize - offset + chunk_len::<T>(chunk)) as u32
}

/// Chunk number and place in the chunk of an index. Shifted up by the length of the first chunk, the
/// doubling chunks begin at powers of two.
pub(super) fn locate<T>(index: usize) -> (usize, usize) {
    let (first, last) = chunk_bits::<T>();
    let shifted = index + (1 << first);
    let top = shifted.ilog2();
    if top < last {
        return ((top - first) as usize, shifted - (1 << top));
    }
    let beyond = shifted - (1 << last);
    ((last - first) as usize + (beyond >> last), beyond & ((1 << last) - 1))
}

/// Items of a chunk.
pub(super) fn chunk_len<T>(chunk: usize) -> usize {
    let (first, last) = chunk_bits::<T>();
    1 << (first as usize + chunk).min(last as usize)
}
