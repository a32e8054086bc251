//! Sealing: what is in memory becomes segments, when asked, and by size, count and age.
//!
//! ```text
//!   size    store::Options::memtable_bytes     the engine, when a memtable is full
//!   count   LogOptions::seal_records           likewise
//!   age     LogOptions::seal_age               a thread, or whoever calls seal_due
//! ```
//!
//! Nothing is lost by not sealing: what is not sealed is in the log, and replayed at the next opening, however many
//! memtables it was.
//!
//! I1. The age of what is not sealed counts from when it was first seen with a record in it, on the clock that never
//!     jumps: times of records are the callers', and may be of any year.

use super::segments::of_segment;
use super::{LogStore, SegmentMeta};
use crate::base::{Error, Result, SegmentId, Seq, ShardId};
use crate::io::threads::{self, Thread};
use crate::store::Store;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How often the thread looks, at most and at least.
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);

impl LogStore {
    /// Makes segments of all that is in memory, durably. Returns the segments that hold it, in order of time; none if
    /// nothing was in memory, and then nothing is written. A merge that ended just then may have put older records with
    /// it.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`.
    pub fn seal(&self) -> Result<Vec<SegmentMeta>> {
        let shards = (0..self.store.shard_count() as u16).collect::<Vec<ShardId>>();
        seal(&self.store, &shards)
    }

    /// Seals what is older than `LogOptions::seal_age`, as the store's thread does every now and then: for a store
    /// without threads. Returns what [`LogStore::seal`] does.
    ///
    /// # Errors
    /// As [`LogStore::seal`].
    pub fn seal_due(&self) -> Result<Vec<SegmentMeta>> {
        self.sealer.as_ref().map_or(Ok(Vec::new()), |sealer| sealer.ages.seal_due(&self.store))
    }
}

fn seal(store: &Store, shards: &[ShardId]) -> Result<Vec<SegmentMeta>> {
    let mut sealed = Vec::new();
    for &shard in shards {
        let of_shard = || store.snapshot().shards()[usize::from(shard)].clone();
        let before = of_shard();
        if before.view.memtables().all(|memtable| before.visible(memtable) == 0) {
            continue;
        }
        let ids = before.view.segments.iter().map(|live| live.segment.info().id);
        let before: HashSet<SegmentId> = ids.collect();
        store.flush_shard(shard)?;
        let after = of_shard();
        let after = after.view.segments.iter().map(|live| of_segment(shard, live));
        sealed.extend(after.filter(|meta| !before.contains(&meta.id)));
    }
    sealed.sort_unstable_by_key(|meta| (meta.start, meta.id));
    Ok(sealed)
}

/// Seals by age. Dropping it ends its thread, if it has one.
pub(super) struct Sealer {
    ages: Arc<Ages>,
    // Dropped before the thread, which it ends.
    _wake: Option<Sender<()>>,
    _thread: Option<Thread<()>>,
}

/// Since when there is something in each shard that is not sealed.
struct Ages {
    age: Duration,
    /// Where the active memtable of each shard begins, and when it was first seen with a record in it.
    seen: Mutex<Vec<Option<(Seq, u64)>>>,
}

impl Sealer {
    /// Seals what is older than `age`; on a thread of its own, or when it is asked to.
    pub(super) fn start(store: &Arc<Store>, age: Duration, with_thread: bool) -> Sealer {
        let seen = Mutex::new(vec![None; store.shard_count()]);
        let ages = Arc::new(Ages { age, seen });
        if !with_thread {
            return Sealer { ages, _wake: None, _thread: None };
        }
        let (wake, woken) = bounded(0);
        let (store, of_thread) = (Arc::downgrade(store), ages.clone());
        let thread = threads::spawn("ratite-seal", move || of_thread.run(&store, &woken));
        Sealer { ages, _wake: Some(wake), _thread: Some(thread) }
    }
}

impl Ages {
    fn run(&self, store: &Weak<Store>, woken: &Receiver<()>) {
        let look = (self.age / 4).clamp(LOOK_MIN, LOOK_MAX);
        // The store is kept only while it is looked at, so that dropping it elsewhere ends it.
        while let Some(store) = store.upgrade() {
            match self.seal_due(&store) {
                Ok(sealed) if sealed.is_empty() => {}
                Ok(sealed) => tracing::debug!(segments = sealed.len(), "sealed by age"),
                Err(Error::Closed | Error::Poisoned { .. }) => return,
                // The shard has said so, and flushes when there is space.
                Err(error) if error.is_disk_full() => {}
                Err(error) => tracing::warn!(code = error.code(), "sealing by age: {error}"),
            }
            drop(store);
            match woken.recv_timeout(look) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    fn seal_due(&self, store: &Store) -> Result<Vec<SegmentMeta>> {
        seal(store, &self.due(store))
    }

    /// The shards whose active memtable is over the age (I1).
    fn due(&self, store: &Store) -> Vec<ShardId> {
        let now = store.env().clock.monotonic_nanos();
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for ((shard, snapshot), seen) in (0..).zip(store.snapshot().shards()).zip(&mut *seen) {
            let active = &snapshot.view.active;
            let base = active.base();
            *seen = match *seen {
                _ if snapshot.visible(active) == 0 => None,
                Some((of, since)) if of == base => Some((of, since)),
                _ => Some((base, now)),
            };
            if seen.is_some_and(|(_, since)| now - since >= age) {
                due.push(shard);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests;
