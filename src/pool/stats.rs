//! What the pool counts.
//!
//! Hits are counted per group of threads, so that counting costs no cache line that another core
//! writes; all else is counted on paths that take a lock or a read anyway.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The pool at one moment, and its counts since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// Frames in all.
    pub frames: usize,
    /// Frames that hold a page.
    pub resident: usize,
    /// Frames that hold a page which is pinned.
    pub pinned: usize,
    /// Pages found in memory.
    pub hits: u64,
    /// Pages read by the thread that asked for them.
    pub misses: u64,
    /// Pages handed to a `Fetch` to be read ahead.
    pub prefetched: u64,
    /// Pages that left for others.
    pub evictions: u64,
    /// Requests that waited for another's read of the same page.
    pub waits: u64,
}

const GROUPS: usize = 16;

#[derive(Default)]
pub(super) struct Counters {
    hits: [CachePadded<AtomicU64>; GROUPS],
    pub misses: AtomicU64,
    pub prefetched: AtomicU64,
    pub evictions: AtomicU64,
    pub waits: AtomicU64,
}

impl Counters {
    pub fn hit(&self) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static GROUP: usize = THREADS.fetch_add(1, Ordering::Relaxed) % GROUPS;
        }
        // A thread that is ending has no group any more.
        let group = GROUP.try_with(|g| *g).unwrap_or(0);
        self.hits[group].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts; the frames are the caller's to add.
    pub fn snapshot(&self) -> PoolStats {
        PoolStats {
            hits: self.hits.iter().map(|h| h.load(Ordering::Relaxed)).sum(),
            misses: self.misses.load(Ordering::Relaxed),
            prefetched: self.prefetched.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
            ..PoolStats::default()
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
