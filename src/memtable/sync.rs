//! What the lock-free parts of the memtable take from outside, so that loom can stand in for it.
//!
//! `arena.rs`, `records.rs`, `slots.rs`, `postings.rs` and `index.rs` name only `super::sync`. The loom models
//! (`model.rs`) include those very files a second time beneath another `sync`, whose chunks and slices are small enough
//! to be explored, and which tells loom of the arena's bytes.

pub(super) use std::sync::OnceLock;
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of the arena's first chunk; the last are 16 times as long.
pub(super) const CHUNK_BYTES_FIRST: usize = 16 * 1024;

/// Slots of the longest slice of a posting list. At most the smallest chunk of a column of `u32`.
pub(super) const SLICE_SLOTS_MAX: u32 = 1024;

/// Binary logarithms of the lengths of a column's first and last chunks: from 4 KiB, so that a young
/// memtable is small, to 64 KiB, which is zeroed in some 5 us and so stalls no append.
pub(super) const fn chunk_bits<T>() -> (u32, u32) {
    let item = size_of::<T>().next_power_of_two().ilog2();
    (12 - item, 16 - item)
}

const _: () = assert!(SLICE_SLOTS_MAX == 1 << chunk_bits::<AtomicU32>().0);

/// Who touches which bytes of a chunk: for loom to see. Nothing here.
pub(super) struct Accesses;

impl Accesses {
    pub(super) fn new(_bytes: usize) -> Accesses {
        Accesses
    }

    #[inline(always)]
    pub(super) fn read(&self, _offset: usize, _len: usize) {}

    #[inline(always)]
    pub(super) fn write(&self, _offset: usize, _len: usize) {}
}
