//! The write path, second half: from a group to the log, and from its completion to the answers.
//!
//! ```text
//!   commit    no group in flight: place the open one, push its write; rotate the log file first if full
//!   seal      between two groups: a new memtable, the old one waits for its flush
//!   complete  publish, answer, tell the tails; or, after a failure, poison
//! ```
//!
//! The invariants are those of `write`.

use super::reads::FIRST_TOKEN;
use super::view::View;
use super::work::Job;
use super::write::{Batch, Core, Sealed, memtable_config};
use super::{Outcome, SyncMode};
use crate::base::Error;
use crate::base::limits::MEMTABLES_SEALED_MAX;
#[cfg(test)]
use crate::base::planted;
use crate::io::{Done, Op};
use crate::memtable;
use crate::wal::Group;
use std::sync::atomic::Ordering::Relaxed;

const TOKEN_COMMIT: u64 = 1;
pub(super) const TOKEN_SYNC: u64 = 2;
const TOKEN_ROTATE: u64 = 3;
const _: () = assert!(TOKEN_ROTATE < FIRST_TOKEN);

impl Core {
    /// Sends the open group to the log if none is in flight.
    pub(super) fn commit(&mut self) {
        if self.flying.is_some() || self.rotating || self.shared.poison.get().is_some() {
            return;
        }
        let Some(group) = self.group.take_if(|g| !g.is_empty()) else {
            // Nothing to write: everything these answers speak of is durable already (I5).
            let answers = std::mem::take(&mut self.open.answers);
            self.answer_all(Batch { answers, ..Batch::default() });
            return;
        };
        if self.must_sync_first() {
            self.group = Some(group);
            return;
        }
        if !self.log.fits(&group) && !self.rotate() {
            self.group = Some(group);
            return;
        }
        let durable = self.shared.config.sync == SyncMode::Always;
        let placed = self.log.place(group, durable);
        let bytes = match &placed.op {
            Op::Write { file, buf, .. } => {
                self.note_unsynced(durable, file, buf.len() as u64);
                buf.len() as u64
            }
            Op::Read { .. } | Op::Sync { .. } => 0,
        };
        self.shared.stats.commits.fetch_add(1, Relaxed);
        self.shared.stats.log_bytes.fetch_add(bytes, Relaxed);
        let is_alone = durable && self.is_alone();
        self.open.end = placed.end;
        self.flying = Some(std::mem::take(&mut self.open));
        self.group = self.spare_group.take();
        self.measure_group();
        if is_alone {
            let (result, buf) = placed.op.carry_out();
            self.committed(Done { token: TOKEN_COMMIT, result, buf });
        } else {
            self.push(TOKEN_COMMIT, placed.op);
        }
    }

    /// Whether the open group is one answer and the shard has nothing else to do while it is written: then this
    /// thread waits for the device itself, which is sooner by the kernel's worker that a ring hands a sync to.
    fn is_alone(&self) -> bool {
        let is_one = self.open.answers.len() == 1 && self.held.is_none();
        let is_idle = self.queue.in_flight() == 0 && self.reads.is_idle();
        is_one && is_idle && self.drainer.as_ref().is_some_and(|drainer| !drainer.is_ready())
    }

    /// How much the open group may take (I7).
    pub(super) fn measure_group(&mut self) {
        let has_next = !self.spares.is_empty();
        let room = if has_next { self.group_bytes_max } else { self.log.room() };
        self.group_room = room.min(self.group_bytes_max);
    }

    /// Ends the log with a block without entries, which says that nothing stands behind it; false if that is
    /// there already, or need not be.
    pub(super) fn close_log(&mut self) -> bool {
        let written = self.shared.stats.commits.load(Relaxed) > 0;
        if !written || self.log_closed || self.rotating {
            return false;
        }
        self.log_closed = true;
        let Some(group) = self.group.take_if(|g| g.is_empty() && self.log.fits(g)) else {
            return false;
        };
        let placed = self.log.place(group, true);
        self.push(TOKEN_COMMIT, placed.op);
        self.flying = Some(Batch::default());
        true
    }

    pub(super) fn push(&mut self, token: u64, op: Op) {
        let pushed = self.queue.push(token, op);
        assert!(pushed.is_ok(), "places in the ring are reserved for the log");
    }

    /// Moves on to the next prepared log file; false if it cannot be written yet.
    pub(super) fn rotate(&mut self) -> bool {
        let Some((number, file)) = self.spares.pop_front() else { return false };
        self.send(Job::PrepareLog);
        if let Some(sync) = self.log.rotate(file, number) {
            self.push(TOKEN_ROTATE, sync);
            self.rotating = true;
        }
        self.measure_group();
        !self.rotating
    }

    /// Seals the active memtable between two groups (I6).
    pub(super) fn seal_if_wanted(&mut self) {
        let between = self.group.as_ref().is_none_or(|g| g.is_empty());
        let room = self.sealed.len() < MEMTABLES_SEALED_MAX;
        // In this order: every turn comes by, and few want to seal.
        if self.seal_wanted && between && room && !self.is_behind() {
            self.seal_wanted = false;
            self.seal();
        }
    }

    /// Whether there are so many segments that more would do harm, and a merge is about to make them fewer.
    fn is_behind(&self) -> bool {
        self.compactions.is_running() && {
            let view = self.shared.published.view();
            let records = view.segments.iter().map(|live| live.segment.info().records);
            self.shared.config.compaction.is_behind(records)
        }
    }

    /// Answers who asked for a flush, once every memtable before them is a segment, durably.
    pub(super) fn answer_flush_waiters(&mut self) {
        if self.flush_waiters.is_empty() {
            return;
        }
        let is_busy = !self.is_settled();
        let idle = !self.seal_wanted && self.sealed.is_empty() && self.jobs_out == 0 && !is_busy;
        let oldest = self.sealed.front().map_or(&self.memtable, |sealed| &sealed.memtable);
        let (in_segments, newest, durable) =
            (oldest.memtable().base(), self.generation, self.durable);
        let tickets = &self.shared.inbox.tickets;
        self.flush_waiters.retain_mut(|waiter| {
            // Under writes without a pause the shard is never idle.
            let is_flushed = is_busy
                && waiter.upto <= in_segments
                && *waiter.manifest.get_or_insert(newest) <= durable;
            if idle || is_flushed {
                tickets.answer(waiter.ticket, Ok(Outcome::Done));
            }
            !(idle || is_flushed)
        });
    }

    pub(super) fn seal(&mut self) {
        let config = memtable_config(self.shared.config.memtable_bytes, &*self.shared.model);
        let (writer, active) = memtable::new(config, self.next_seq - 1);
        let mut old = std::mem::replace(&mut self.memtable, writer);
        old.end();
        old.memtable().set_next(active.clone());
        let view = self.shared.published.view();
        let sealed = std::iter::once(old.memtable()).chain(&view.sealed).cloned().collect();
        self.shared.published.install(View { active, sealed, segments: view.segments.clone() });
        let log_end = self.log.end();
        self.sealed.push_back(Sealed { memtable: old, log_end, flushing: false });
        self.flush_if_ready();
    }

    pub(super) fn completed(&mut self, done: Done) {
        match done.token {
            TOKEN_COMMIT => self.committed(done),
            TOKEN_SYNC => {
                self.syncing -= 1;
                match done.result {
                    Ok(()) if self.syncing == 0 => {
                        self.in_sync.clear();
                        self.in_sync_bytes = 0;
                        self.log.synced(self.sync_to);
                    }
                    Ok(()) => {}
                    Err(error) => self.poison("a sync of the log", &error),
                }
            }
            TOKEN_ROTATE => {
                self.rotating = false;
                if let Err(error) = done.result {
                    self.poison("the sync of a full log file", &error);
                }
            }
            _ => self.reads.completed(done),
        }
    }

    pub(super) fn committed(&mut self, done: Done) {
        let Some(batch) = self.flying.take() else { return };
        #[cfg(test)]
        let done = self.after_a_second_sync(done);
        if let Err(error) = done.result {
            self.flying = Some(batch);
            self.poison("a write of the log", &error);
            return;
        }
        if let Some(buf) = done.buf {
            let group = Group::reuse(buf);
            if self.group.is_none() {
                self.group = Some(group)
            } else {
                self.spare_group = Some(group)
            }
        }
        self.answer_all(batch);
        self.flush_if_ready();
    }

    /// The bug of a sync that is tried again, if it is planted.
    #[cfg(test)]
    fn after_a_second_sync(&self, done: Done) -> Done {
        match self.log.sync() {
            Op::Sync { file } if planted!(FailedSyncRetried) => {
                Done { result: done.result.or_else(|_| file.sync()), ..done }
            }
            _ => done,
        }
    }

    pub(super) fn answer_all(&mut self, batch: Batch) {
        if let Some(last) = batch.last {
            self.shared.published.advance(last);
            self.shared.published.log_to(batch.end);
        }
        for (ticket, answer) in batch.answers {
            self.shared.inbox.tickets.answer(ticket, answer);
        }
        self.shared.inbox.made_room();
        if batch.last.is_some() {
            self.wake_tails();
        }
    }

    pub(super) fn wake_tails(&self) {
        let tails = self.shared.tails.lock();
        let mut tails = tails.unwrap_or_else(std::sync::PoisonError::into_inner);
        tails.retain(|tail| tail.upgrade().map(|t| t.wake()).is_some());
    }

    /// The tickets of all who wait for segments and manifests.
    pub(super) fn take_waiters(&mut self) -> impl Iterator<Item = u32> + use<> {
        let flushes = std::mem::take(&mut self.flush_waiters).into_iter().map(|w| w.ticket);
        flushes.chain(self.compactions.take_waiters()).chain(self.take_drop_waiters())
    }

    /// Stops writes for good: nothing that is not durable yet is answered as stored.
    pub(super) fn poison(&mut self, stage: &'static str, error: &Error) {
        tracing::error!(
            shard = self.shared.config.shard,
            code = error.code(),
            "{stage} failed: {error}; the shard takes no more writes until the store is reopened"
        );
        let why = match error {
            Error::Poisoned { why, .. } => why.clone(),
            other => other.to_string(),
        };
        // Only the first failure is kept: it is the cause.
        let _first = self.shared.poison.set((stage, why));
        self.refusing = true;
        // Its records were never written and never will be; a shard that closes must not wait for them.
        self.group = None;
        let held: Vec<u32> = self.held.take().map(|(tag, _)| tag as u32).into_iter().collect();
        let held = held.into_iter().chain(self.take_waiters());
        let batches = [self.flying.take(), Some(std::mem::take(&mut self.open))];
        let tickets = batches.into_iter().flatten().flat_map(|b| b.answers).map(|(t, _)| t);
        for ticket in tickets.chain(held) {
            let error = self.shared.poisoned().unwrap_or(Error::Closed);
            self.shared.inbox.tickets.answer(ticket, Err(error));
        }
    }
}
