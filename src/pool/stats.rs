//! What the pool counts.
//!
//! Hits are counted per group of threads, so that counting costs no cache line that another core
//! writes; all else is counted on paths that take a lock or a read anyway. Hits and misses are counted
//! by what the page is for, which the one who asks for it knows: the pool itself treats all alike.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a page is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// None of the others: headers, filters.
    Other,
    /// Bodies of records.
    Bodies,
    /// Times, ids and places of records, by ordinal.
    Columns,
    /// The way from an id to its record.
    IdIndex,
    /// The way from a term to its posting list.
    Dictionary,
    /// Posting lists.
    Postings,
}

impl Part {
    /// All parts, in the order of [`PoolStats::parts`].
    pub const ALL: [Part; 6] =
        [Part::Other, Part::Bodies, Part::Columns, Part::IdIndex, Part::Dictionary, Part::Postings];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Part::Other => "other",
            Part::Bodies => "bodies",
            Part::Columns => "columns",
            Part::IdIndex => "id_index",
            Part::Dictionary => "dictionary",
            Part::Postings => "postings",
        }
    }
}

const PARTS: usize = Part::ALL.len();

/// The requests for pages of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PartStats {
    /// Pages found in memory, also those that were read ahead.
    pub hits: u64,
    /// Pages read by the thread that asked for them.
    pub misses: u64,
}

impl PartStats {
    /// The share of requests that were hits, 0 to 1; `None` if there was none.
    pub fn hit_rate(self) -> Option<f64> {
        let all = self.hits + self.misses;
        (all > 0).then(|| self.hits as f64 / all as f64)
    }
}

/// The pool at one moment, and its counts since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// Frames that may be used.
    pub frames: usize,
    /// Frames that hold a page.
    pub resident: usize,
    /// Frames that hold a page which is pinned.
    pub pinned: usize,
    /// Pages found in memory.
    pub hits: u64,
    /// Pages read by the thread that asked for them.
    pub misses: u64,
    /// The same two by what the page is for, in the order of [`Part::ALL`].
    pub parts: [PartStats; PARTS],
    /// Pages handed to a `Fetch` to be read ahead.
    pub prefetched: u64,
    /// Pages that left for others, or because the pool shrank.
    pub evictions: u64,
    /// Requests that waited for another's read of the same page.
    pub waits: u64,
}

const GROUPS: usize = 16;

#[derive(Default)]
pub(super) struct Counters {
    hits: [CachePadded<[AtomicU64; PARTS]>; GROUPS],
    misses: [AtomicU64; PARTS],
    pub prefetched: AtomicU64,
    pub evictions: AtomicU64,
    pub waits: AtomicU64,
}

impl Counters {
    pub fn hit(&self, part: Part) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static GROUP: usize = THREADS.fetch_add(1, Ordering::Relaxed) % GROUPS;
        }
        // A thread that is ending has no group any more.
        let group = GROUP.try_with(|g| *g).unwrap_or(0);
        count(&self.hits[group][part as usize]);
    }

    pub fn miss(&self, part: Part) {
        count(&self.misses[part as usize]);
    }

    /// The counts; the frames are the caller's to add.
    pub fn snapshot(&self) -> PoolStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let parts = Part::ALL.map(|part| PartStats {
            hits: self.hits.iter().map(|group| load(&group[part as usize])).sum(),
            misses: load(&self.misses[part as usize]),
        });
        PoolStats {
            hits: parts.iter().map(|part| part.hits).sum(),
            misses: parts.iter().map(|part| part.misses).sum(),
            parts,
            prefetched: load(&self.prefetched),
            evictions: load(&self.evictions),
            waits: load(&self.waits),
            ..PoolStats::default()
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
