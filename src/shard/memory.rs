//! What a shard takes of the store's memory, and how it tells the one who divides it.
//!
//! ```text
//!   worker: a job begins or ends --> Shared::adjust --> Adjust (the store's budget) --> Pool::resize
//! ```
//!
//! I1. A job that needs memory reserves it before it allocates, on the thread of the worker or the compactor:
//!     the writer never waits for a pool that shrinks.
//! I2. Memtables that only readers hold still count, as long as they live.

use super::Shared;
use crate::base::ShardId;
use crate::memtable::Memtable;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Divides the memory of a store anew when a shard's share of it changes.
pub trait Adjust: fmt::Debug + Send + Sync {
    /// `shard` takes `memory` now. Called from shards' workers; may take as long as a pool takes to
    /// shrink.
    fn adjust(&self, shard: ShardId, memory: ShardMemory);
}

/// Memory that a shard takes, beside its rings and groups, which are fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardMemory {
    /// Memtables that wait for their flush or are being flushed.
    pub sealed: usize,
    /// Bytes of the memtables of the current view.
    pub memtable_bytes: usize,
    /// Bytes of memtables that are segments by now, and that readers still hold.
    pub held_bytes: usize,
    /// Bytes of filters, page tables and tombstones of the segments.
    pub segment_bytes: usize,
    /// Bytes reserved for jobs under way.
    pub working_bytes: usize,
}

/// A shard's own account.
#[derive(Default)]
pub(super) struct Account {
    working_bytes: AtomicUsize,
    /// Memtables that were sealed and may still live.
    sealed: Mutex<Vec<Weak<Memtable>>>,
}

/// Bytes set aside for a job, until it is dropped.
#[must_use = "the memory is set aside as long as this lives"]
pub(super) struct Reserved {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Shared {
    /// Tells the budget what the shard takes now.
    pub(super) fn adjust(&self) {
        if let Some(adjust) = &self.config.adjust {
            adjust.adjust(self.config.shard, self.memory());
        }
    }

    /// Sets `bytes` aside; when this returns, the pool has made room (I1).
    pub(super) fn reserve(self: &Arc<Shared>, bytes: usize) -> Reserved {
        self.account.working_bytes.fetch_add(bytes, Relaxed);
        self.adjust();
        Reserved { shared: self.clone(), bytes }
    }

    /// What the shard takes now.
    pub(super) fn memory(&self) -> ShardMemory {
        let view = self.published.view();
        ShardMemory {
            sealed: view.sealed.len(),
            memtable_bytes: view.memtables().map(|m| m.bytes_used()).sum(),
            held_bytes: self.account.held(&view.sealed),
            segment_bytes: view.segments.iter().map(|live| live.memory_bytes()).sum(),
            working_bytes: self.account.working_bytes.load(Relaxed),
        }
    }
}

impl Account {
    /// Takes note of the memtables that are sealed now; bytes of those that were and still live (I2).
    fn held(&self, sealed: &[Arc<Memtable>]) -> usize {
        let mut noted = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        noted.retain(|memtable| {
            let memtable = memtable.upgrade().filter(|m| !sealed.iter().any(|s| Arc::ptr_eq(s, m)));
            bytes += memtable.as_ref().map_or(0, |m| m.bytes_used());
            memtable.is_some()
        });
        noted.extend(sealed.iter().map(Arc::downgrade));
        bytes
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shared.account.working_bytes.fetch_sub(self.bytes, Relaxed);
        self.shared.adjust();
    }
}
