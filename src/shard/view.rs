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
use super::published::Published;
use crate::base::{Ordinal, Seq};
use crate::memtable::Memtable;
use crate::segment::Segment;
use std::sync::Arc;

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

impl Published<View> {
    /// What is published now (I2).
    pub(super) fn snapshot(&self) -> Snapshot {
        let (view, at) = self.consistent();
        Snapshot { view, at }
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
