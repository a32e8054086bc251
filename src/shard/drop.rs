//! Dropping whole segments: how the oldest part of a store goes, with no work for each record.
//!
//! ```text
//!   1 shard's thread: are all that are named in the view?  no --> answer "none", nothing has changed
//!   2 view without them, in one step for readers
//!   3 worker: manifest durable, twice (checkpoint)        --> answer "done"
//!   4 compactor: files removed; who has an older snapshot still has them open
//! ```
//!
//! D1. All that one call names go at one moment, or none does: a merge may have put others in their place.
//! D2. Nothing brings their records back. The log that replay reads begins, in every manifest, behind the last
//!     record of any segment: `log_start` is the end of the log of the newest memtable that was *flushed*, memtables
//!     are flushed in their order, and a merge makes segments of segments only. So a record of a segment stands in no
//!     part of the log that is replayed, whichever manifest counts; a manifest names the segment, or it is gone. Both
//!     manifests that are kept do without it before the answer and before its file is removed. What an entry that is
//!     replayed killed in it is looked for and not found, which replay takes for done.
//! D3. A merge that reads one of them is given up; if it has ended meanwhile, what it made is not installed
//!     (`compactor`). Its other inputs are as they were, and will be chosen again.
//! D4. What died by a record that goes stays dead: its death is in the manifest with the segment that it died in.
//! D5. With them a mark is given: a number that their owner wants kept when its records are gone, such as the last one that
//!     it has given to any of them. It is in every manifest from then on, and never goes down.
//!
//! Readers see the segments go at step 2: who looks between that and a power cut before step 3 sees them come back,
//! as nobody was answered yet.

use super::write::{Core, DROP};
use super::{Outcome, Shard};
use crate::base::limits::DROPS_MAX;
use crate::base::{Error, Result, SegmentId, planted};
use crate::shard::view::View;
use std::sync::atomic::Ordering::Relaxed;

/// Who waits for the manifest that does without what was dropped.
pub(super) struct DropWaiter {
    generation: u64,
    ticket: u32,
}

impl Shard {
    /// Drops these segments with all their records, durably, if each of them is there; false, and nothing is
    /// changed, if one is not (any more). `mark` is kept (D5).
    ///
    /// # Errors
    /// `Full` if there are more than `DROPS_MAX`; `Poisoned`, `Closed`.
    pub(crate) fn drop_segments(&self, segments: &[SegmentId], mark: u64) -> Result<bool> {
        if segments.len() > DROPS_MAX {
            return Err(Error::Full { what: "segments of one drop", limit: DROPS_MAX as u64 });
        }
        let mut ids: Vec<[u8; 16]> = segments.iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(self.ask(DROP, &[&mark.to_le_bytes(), ids.as_flattened()])? == Outcome::Done)
    }

    /// The highest mark that came with a drop, 0 if none did.
    pub(crate) fn mark(&self) -> u64 {
        self.shared().mark.load(Relaxed)
    }
}

impl Core {
    /// Steps 1 to 3; `ticket` is answered when they are done.
    pub(super) fn drop_segments(&mut self, ticket: u32, message: &[u8]) {
        // 1
        let (mark, ids) = message.split_first_chunk::<8>().expect("a drop has a mark");
        let (mark, ids) = (u64::from_le_bytes(*mark), ids.as_chunks::<16>().0);
        let view = self.shared.published.view();
        let is_named = |id: SegmentId| ids.binary_search(&id.0).is_ok();
        let (mut gone, mut segments) = (Vec::new(), Vec::new());
        for live in &view.segments {
            let is_going = is_named(live.segment.info().id);
            if is_going { &mut gone } else { &mut segments }.push(live.clone());
        }
        let is_new = mark > self.shared.mark.load(Relaxed);
        if gone.len() != ids.len() || gone.is_empty() && !is_new {
            let none = if ids.is_empty() { Outcome::Done } else { Outcome::Removed { records: 0 } };
            self.shared.inbox.tickets.answer(ticket, Ok(none)); // D1
            return;
        }
        self.shared.mark.fetch_max(mark, Relaxed); // D5
        self.compactions.give_up(is_named); // D3
        // 2
        let (active, sealed) = (view.active.clone(), view.sealed.clone());
        self.shared.published.install(View { active, sealed, segments });
        let lived = gone.iter().map(|live| u64::from(live.segment.records() - live.dead.count()));
        self.shared.stats.removed.fetch_add(lived.sum(), Relaxed);
        self.compactions.changed();
        // 3
        self.checkpoint(gone.iter().map(|live| live.segment.path().to_path_buf()).collect());
        let generation = if planted!(DropComesBack) { 0 } else { self.generation };
        self.drop_waiters.push_back(DropWaiter { generation, ticket });
        if planted!(DropComesBack) {
            self.answer_drops(0);
        }
    }

    /// Answers who waits for a manifest up to `generation`.
    pub(super) fn answer_drops(&mut self, generation: u64) {
        while self.drop_waiters.front().is_some_and(|first| first.generation <= generation) {
            let Some(waiter) = self.drop_waiters.pop_front() else { return };
            self.shared.inbox.tickets.answer(waiter.ticket, Ok(Outcome::Done));
        }
    }

    /// The tickets of all who wait, who will not be answered by a manifest any more.
    pub(super) fn take_drop_waiters(&mut self) -> impl Iterator<Item = u32> + use<> {
        std::mem::take(&mut self.drop_waiters).into_iter().map(|waiter| waiter.ticket)
    }
}
