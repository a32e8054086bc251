//! What a reader sees of a shard: its memtables and segments as of one sequence number.
//!
//! ```text
//!   View: active memtable | sealed memtables, newest first | segments, newest first
//!   Snapshot = View + the sequence number up to which records and removals count
//! ```
//!
//! I1. A view's segments hold only records published before the view was.
//! I2. A snapshot's number was read while its view was the current one, so that no removal that it
//!     should see is recorded only in a later view's `Dead`.

use super::Dead;
use crate::base::{Lsn, Ordinal, Seq};
use crate::memtable::Memtable;
use crate::segment::Segment;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A segment with its tombstones.
#[derive(Clone)]
pub struct LiveSegment {
    /// The immutable file.
    pub segment: Arc<Segment>,
    /// What has died in it.
    pub dead: Arc<Dead>,
}

impl LiveSegment {
    /// Bytes of memory that stay with it: filters, page table, tombstones.
    pub(super) fn memory_bytes(&self) -> usize {
        self.segment.memory_bytes() as usize + self.segment.records() as usize / 8
    }
}

/// One arrangement of memtables and segments.
pub struct View {
    /// Where new records go.
    pub active: Arc<Memtable>,
    /// Full memtables that wait for their flush, newest first.
    pub sealed: Vec<Arc<Memtable>>,
    /// Segments by their latest record, newest first.
    pub segments: Vec<LiveSegment>,
}

impl View {
    /// All memtables, newest first.
    pub fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.sealed)
    }
}

/// The current view and watermark of a shard.
pub(super) struct Published {
    view: ArcSwap<View>,
    seq: AtomicU64,
    /// Behind the last block of the log whose records are published.
    log_end: AtomicU64,
}

impl Published {
    pub(super) fn new(view: View, seq: Seq) -> Published {
        Published {
            view: ArcSwap::from_pointee(view),
            seq: AtomicU64::new(seq),
            log_end: AtomicU64::new(0),
        }
    }

    /// The records and removals up to `seq` are durable as promised: readers may see them.
    pub(super) fn advance(&self, seq: Seq) {
        self.seq.store(seq, Release);
    }

    /// The log up to `end` is published: said after `advance`, so that who reads this end and takes a snapshot then has
    /// all of it.
    pub(super) fn log_to(&self, end: Lsn) {
        self.log_end.fetch_max(end.0, AcqRel);
    }

    pub(super) fn log_end(&self) -> Lsn {
        Lsn(self.log_end.load(Acquire))
    }

    pub(super) fn seq(&self) -> Seq {
        self.seq.load(Acquire)
    }

    pub(super) fn install(&self, view: View) {
        self.view.store(Arc::new(view));
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// What is published now (I2).
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut view = self.view.load_full();
        loop {
            let at = self.seq();
            let again = self.view.load();
            if Arc::ptr_eq(&view, &again) {
                return Snapshot { view, at };
            }
            view = arc_swap::Guard::into_inner(again);
        }
    }
}

/// A consistent state of one shard; holding it keeps its memory and files.
#[derive(Clone)]
pub struct Snapshot {
    /// The memtables and segments.
    pub view: Arc<View>,
    /// The last sequence number that counts.
    pub at: Seq,
}

impl Snapshot {
    /// How many of `memtable`'s records exist for this snapshot.
    pub fn visible(&self, memtable: &Memtable) -> Ordinal {
        (self.at.saturating_sub(memtable.base())).min(u64::from(memtable.len())) as Ordinal
    }
}
