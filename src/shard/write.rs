//! The write path: the shard's own thread, from the ring to the answers.
//!
//! ```text
//!   turn:  1 wait      completions of the log, page reads, results of the worker, a wake
//!          2 fill      ring -> probe -> decide -> memtable + group (not yet visible)
//!          3 commit    group -> one log block -> one write (and sync), while 2 goes on
//!          4 complete  publish, answer, tell the tails
//! ```
//!
//! One group is in flight while the next one fills, so that groups form by themselves: the write is
//! the batching window. After group commit as in every log-structured store since Gray.
//!
//! Invariants, with those of `shard`:
//! I5. An answer belongs to a group, and waits for it, also when it is `Duplicate`: what it repeats
//!     may be in that group.
//! I6. A memtable is sealed between two groups, so that the log from its first record on is the log
//!     from a block on.

use super::format::{entry_head, read_message};
use super::reads::{FIRST_TOKEN, InFlight};
use super::view::{LiveSegment, View};
use super::work::{Finished, Job};
use super::{Outcome, Shared, SyncMode};
use crate::base::limits::{KILLS_PER_RECORD_MAX, MEMTABLES_SEALED_MAX, RING_DEPTH};
use crate::base::{Error, Key, Lsn, Ordinal, Result, Seq, Terms};
use crate::io::{Done, File, Op, Queue, Wait};
use crate::memtable::{self, Memtable};
use crate::model::{Decision, Record};
use crate::wal::{self, Drainer, Group};
use crossbeam::channel::{Receiver, Sender};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Tag bit of a ring message that asks for a flush and carries no record.
pub(super) const FLUSH: u64 = 1 << 32;

const TOKEN_COMMIT: u64 = 1;
const TOKEN_SYNC: u64 = 2;
const TOKEN_ROTATE: u64 = 3;
/// What a log entry takes beside its own bytes, at most: its length and its padding.
const ENTRY_SLACK: usize = 16;
const _: () = assert!(TOKEN_ROTATE < FIRST_TOKEN);

/// Messages taken from the ring in one turn: bounds the time to the next look at the completions.
const MESSAGES_PER_TURN: usize = 4096;

/// A sealed memtable and where the log of what follows it begins.
pub(super) struct Sealed {
    pub(super) memtable: memtable::Writer,
    /// Where the log of the next memtable begins: what replay needs once this one is a segment.
    pub(super) log_end: Lsn,
    pub(super) flushing: bool,
}

/// Records and answers that travel together.
#[derive(Default)]
struct Batch {
    answers: Vec<(u32, Result<Outcome>)>,
    last: Option<Seq>,
}

/// A place of a live record, newest state.
enum Place {
    Memtable(Arc<Memtable>, Ordinal),
    Segment(LiveSegment, Ordinal),
}

/// A live record that a probe found.
struct Hit {
    key: Key,
    body: Vec<u8>,
    place: Place,
}

enum Applied {
    Answer(Result<Outcome>),
    GroupFull,
    MemtableFull,
}

/// The single writer of a shard.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    queue: Box<dyn Queue>,
    /// Taken out while it is drained.
    drainer: Option<Drainer>,
    done: Vec<Done>,
    reads: InFlight,
    /// A message that did not fit, to be tried again first.
    held: Option<(u64, Vec<u8>)>,
    pub(super) memtable: memtable::Writer,
    pub(super) next_seq: Seq,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) seal_wanted: bool,
    log: wal::Writer,
    /// The old log file is being synced before the new one may be written.
    rotating: bool,
    group_bytes_max: usize,
    group: Option<Group>,
    spare_group: Option<Group>,
    open: Batch,
    flying: Option<Batch>,
    /// Log files with writes that no sync has covered, oldest first.
    pub(super) unsynced: Vec<Arc<dyn File>>,
    /// Log files whose sync is under way.
    pub(super) in_sync: Vec<Arc<dyn File>>,
    unsynced_bytes: u64,
    unsynced_since: u64,
    syncing: usize,
    /// Where the log ended when the sync under way began.
    sync_to: Lsn,
    /// Where replay would begin if the segments of the current view were the durable ones.
    pub(super) log_start: Lsn,
    /// Who waits for everything before them to be in segments.
    flush_waiters: Vec<u32>,
    pub(super) jobs: Sender<Job>,
    results: Receiver<Finished>,
    pub(super) jobs_out: usize,
    /// Prepared log files, by number.
    pub(super) spares: VecDeque<(u32, Arc<dyn File>)>,
    pub(super) generation: u64,
    terms: Terms,
    probes: Terms,
}

/// What recovery hands to the writer.
pub(super) struct Start {
    pub(super) drainer: Drainer,
    pub(super) memtable: memtable::Writer,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) log: wal::Writer,
    pub(super) log_align: usize,
    pub(super) group_bytes_max: usize,
    pub(super) log_start: Lsn,
    pub(super) generation: u64,
}

impl Core {
    /// Builds the writer on the thread that will run it: the queue belongs to this thread. An inline
    /// one carries out no reads for others: nobody would run it while they wait.
    pub(super) fn new(
        shared: Arc<Shared>,
        start: Start,
        jobs: Sender<Job>,
        results: Receiver<Finished>,
        inline: bool,
    ) -> Result<Core> {
        let queue = shared.env.disk.queue(RING_DEPTH)?;
        shared.inbox.set_wake(queue.waker());
        if !inline {
            shared.reads.serve(queue.waker());
        }
        let group = || Some(Group::new(start.group_bytes_max, start.log_align));
        let (group, spare_group) = (group(), group());
        let next_seq = start.memtable.memtable().base() + u64::from(start.memtable.memtable().len()) + 1;
        let reads = InFlight::new(shared.reads.clone());
        Ok(Core {
            queue,
            drainer: Some(start.drainer),
            done: Vec::new(),
            reads,
            held: None,
            memtable: start.memtable,
            next_seq,
            sealed: start.sealed,
            seal_wanted: false,
            log: start.log,
            rotating: false,
            group_bytes_max: start.group_bytes_max,
            group,
            spare_group,
            open: Batch::default(),
            flying: None,
            unsynced: Vec::new(),
            in_sync: Vec::new(),
            unsynced_bytes: 0,
            unsynced_since: 0,
            syncing: 0,
            sync_to: Lsn(0),
            log_start: start.log_start,
            flush_waiters: Vec::new(),
            jobs,
            results,
            jobs_out: 0,
            spares: VecDeque::new(),
            generation: start.generation,
            terms: Terms::new(),
            probes: Terms::new(),
            shared,
        })
    }

    /// One round. `wait` bounds its sleep; it sleeps only when there is nothing to do.
    pub(super) fn turn(&mut self, wait: Wait) -> Result<()> {
        self.reads.push_to(&mut *self.queue);
        let wait = self.how_long(wait);
        let waited = self.queue.wait(wait, &mut self.done);
        self.shared.inbox.awake();
        if let Err(error) = waited {
            self.poison("the ring", &error);
            return Err(error);
        }
        let mut done = std::mem::take(&mut self.done);
        done.drain(..).for_each(|done| self.completed(done));
        self.done = done;
        while let Ok(finished) = self.results.try_recv() {
            self.jobs_out -= 1;
            self.installed(finished);
        }
        self.fill();
        self.sync_if_due();
        self.commit();
        self.seal_if_wanted();
        self.answer_flush_waiters();
        Ok(())
    }

    /// How long this turn may sleep: not at all with work at hand, to the next sync in `Batch`.
    fn how_long(&self, wait: Wait) -> Wait {
        if wait == Wait::No || self.can_fill() && self.held.is_some() {
            return Wait::No;
        }
        let closing = self.shared.inbox.is_closing() && self.jobs_out > 0;
        let asleep = if self.flying.is_some() || !self.can_fill() || closing {
            // The completion, or the worker's result, wakes us; the ring need not.
            true
        } else {
            self.shared.inbox.going_idle()
        };
        match (asleep, self.until_sync()) {
            (false, _) => Wait::No,
            (true, None) => wait,
            (true, Some(left)) => match wait {
                Wait::For(limit) => Wait::For(limit.min(left)),
                _ => Wait::For(left),
            },
        }
    }

    // --- 2 fill ---

    /// Whether records can be taken in now.
    fn can_fill(&self) -> bool {
        self.shared.poison.get().is_some() || self.group.is_some() && !self.seal_wanted
    }

    fn fill(&mut self) {
        if let Some((tag, message)) = self.held.take()
            && (!self.can_fill() || self.take(tag, &message).is_break())
        {
            self.held = Some((tag, message));
            return;
        }
        if !self.can_fill() {
            return;
        }
        let Some(mut drainer) = self.drainer.take() else { return };
        let taken = drainer.drain(MESSAGES_PER_TURN, &mut |tag, message| {
            let flow = self.take(tag, message);
            if flow.is_break() {
                self.held = Some((tag, message.to_vec()));
            }
            flow
        });
        self.drainer = Some(drainer);
        if taken > 0 {
            self.shared.inbox.made_room();
        }
    }

    /// Takes one record in; breaks if it has to wait.
    fn take(&mut self, tag: u64, message: &[u8]) -> ControlFlow<()> {
        let ticket = tag as u32;
        if let Some(error) = self.shared.poisoned() {
            self.shared.inbox.tickets.answer(ticket, Err(error));
            return ControlFlow::Continue(());
        }
        if tag & FLUSH != 0 {
            self.flush_waiters.push(ticket);
            self.seal_wanted = self.memtable.memtable().len() > 0;
            return ControlFlow::Continue(());
        }
        match self.apply(read_message(message)) {
            Applied::Answer(answer) => {
                self.open.answers.push((ticket, answer));
                ControlFlow::Continue(())
            }
            Applied::GroupFull => ControlFlow::Break(()),
            Applied::MemtableFull => {
                self.seal_wanted = true;
                ControlFlow::Break(())
            }
        }
    }

    fn apply(&mut self, record: Record<'_>) -> Applied {
        match self.decide(record) {
            Ok(Ok(hits)) => self.store(record, hits),
            Ok(Err(outcome)) => {
                let stats = &self.shared.stats;
                let counter =
                    if outcome == Outcome::Duplicate { &stats.duplicates } else { &stats.refused };
                counter.fetch_add(1, Relaxed);
                Applied::Answer(Ok(outcome))
            }
            Err(error) => Applied::Answer(Err(error)),
        }
    }

    /// Looks up what the rules ask for and lets them decide: the hits to kill, or the refusal.
    fn decide(&mut self, record: Record<'_>) -> Result<std::result::Result<Vec<Hit>, Outcome>> {
        let shared = self.shared.clone();
        if is_live(&shared.published.view(), &record.key.id)? {
            return Ok(Err(Outcome::Duplicate));
        }
        self.probes.clear();
        shared.model.probes(record, &mut self.probes);
        let mut hits = Vec::new();
        if !self.probes.is_empty() {
            let view = shared.published.view();
            for term in self.probes.iter() {
                probe(&view, term, &mut hits)?;
            }
        }
        let now = shared.env.clock.unix_micros() / 1_000_000;
        let records: Vec<Record<'_>> =
            hits.iter().map(|h| Record { key: h.key, body: &h.body }).collect();
        match shared.model.decide(record, &records, now) {
            Decision::Refuse { reason } => Ok(Err(Outcome::Refused(reason))),
            Decision::Store { mut kills } => {
                kills.sort_unstable();
                kills.dedup();
                let mut nth = 0;
                hits.retain(|_| {
                    nth += 1;
                    kills.binary_search(&(nth - 1)).is_ok()
                });
                if hits.len() > KILLS_PER_RECORD_MAX {
                    let limit = KILLS_PER_RECORD_MAX as u64;
                    return Err(Error::Full { what: "removals by one record", limit });
                }
                Ok(Ok(hits))
            }
        }
    }

    /// Puts the record into the memtable and the group, and kills what it replaces.
    fn store(&mut self, record: Record<'_>, hits: Vec<Hit>) -> Applied {
        let head = entry_head(record, hits.len());
        let entry_bytes = head.len() + hits.len() * 32 + record.body.len();
        let needed = entry_bytes + ENTRY_SLACK;
        let room = |group: &Group| group.bytes() + needed <= self.group_bytes_max;
        let Some(group) = self.group.as_mut().filter(|g| room(g)) else {
            if needed <= self.group_bytes_max {
                return Applied::GroupFull;
            }
            let limit = self.group_bytes_max as u64;
            return Applied::Answer(Err(Error::Full { what: "log block, bytes of one record", limit }));
        };
        self.terms.clear();
        self.shared.model.terms(record, &mut self.terms);
        self.terms.seal();
        let seq = self.next_seq;
        let Some(ordinal) = self.memtable.append(record.key, record.body, &self.terms) else {
            return Applied::MemtableFull;
        };
        debug_assert_eq!(seq, self.memtable.memtable().base() + u64::from(ordinal) + 1);
        let kills: Vec<[u8; 32]> = hits.iter().map(|h| h.key.id).collect();
        let pushed = group.push(&[&head, kills.as_flattened(), record.body]);
        assert!(pushed, "the group had room for {entry_bytes} bytes");
        for hit in &hits {
            kill(&mut self.memtable, &mut self.sealed, &hit.place, seq);
        }
        self.next_seq += 1;
        self.open.last = Some(seq);
        self.shared.stats.stored.fetch_add(1, Relaxed);
        Applied::Answer(Ok(Outcome::Stored { seq, replaced: hits.len() as u32 }))
    }

    // --- 3 commit ---

    /// Sends the open group to the log if none is in flight.
    fn commit(&mut self) {
        if self.flying.is_some() || self.rotating || self.shared.poison.get().is_some() {
            return;
        }
        let Some(group) = self.group.take_if(|g| !g.is_empty()) else {
            // Nothing to write: everything these answers speak of is durable already (I5).
            let answers = std::mem::take(&mut self.open.answers);
            self.answer_all(Batch { answers, last: None });
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
        self.push(TOKEN_COMMIT, placed.op);
        self.flying = Some(std::mem::take(&mut self.open));
        self.group = self.spare_group.take();
    }

    fn push(&mut self, token: u64, op: Op) {
        let pushed = self.queue.push(token, op);
        assert!(pushed.is_ok(), "places in the ring are reserved for the log");
    }

    /// Moves on to the next prepared log file; false if it cannot be written yet.
    fn rotate(&mut self) -> bool {
        let Some((number, file)) = self.spares.pop_front() else { return false };
        self.send(Job::PrepareLog);
        if let Some(sync) = self.log.rotate(file, number) {
            self.push(TOKEN_ROTATE, sync);
            self.rotating = true;
        }
        !self.rotating
    }

    /// Seals the active memtable between two groups (I6).
    fn seal_if_wanted(&mut self) {
        let between = self.group.as_ref().is_none_or(|g| g.is_empty());
        if self.seal_wanted && between && self.sealed.len() < MEMTABLES_SEALED_MAX {
            self.seal_wanted = false;
            self.seal();
        }
    }

    /// Answers who asked for a flush, once every memtable before them is a segment, durably.
    fn answer_flush_waiters(&mut self) {
        if !self.seal_wanted && self.sealed.is_empty() && self.jobs_out == 0 && self.is_settled() {
            for ticket in std::mem::take(&mut self.flush_waiters) {
                self.shared.inbox.tickets.answer(ticket, Ok(Outcome::Refused(0)));
            }
        }
    }

    pub(super) fn seal(&mut self) {
        let config = memtable_config(self.shared.config.memtable_bytes);
        let (writer, active) = memtable::new(config, self.next_seq - 1);
        let old = std::mem::replace(&mut self.memtable, writer);
        old.memtable().set_next(active.clone());
        let view = self.shared.published.view();
        let sealed = std::iter::once(old.memtable()).chain(&view.sealed).cloned().collect();
        self.shared.published.install(View { active, sealed, segments: view.segments.clone() });
        let log_end = self.log.end();
        self.sealed.push_back(Sealed { memtable: old, log_end, flushing: false });
        self.flush_if_ready();
    }

    // --- 4 complete ---

    fn completed(&mut self, done: Done) {
        match done.token {
            TOKEN_COMMIT => self.committed(done),
            TOKEN_SYNC => {
                self.syncing -= 1;
                match done.result {
                    Ok(()) if self.syncing == 0 => {
                        self.in_sync.clear();
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

    fn committed(&mut self, done: Done) {
        let Some(batch) = self.flying.take() else { return };
        if let Err(error) = done.result {
            self.flying = Some(batch);
            self.poison("a write of the log", &error);
            return;
        }
        if let Some(buf) = done.buf {
            let group = Group::reuse(buf);
            if self.group.is_none() { self.group = Some(group) } else { self.spare_group = Some(group) }
        }
        self.answer_all(batch);
        self.flush_if_ready();
    }

    fn answer_all(&mut self, batch: Batch) {
        if let Some(last) = batch.last {
            self.shared.published.advance(last);
        }
        for (ticket, answer) in batch.answers {
            self.shared.inbox.tickets.answer(ticket, answer);
        }
        self.shared.inbox.made_room();
        if batch.last.is_some() {
            self.wake_tails();
        }
    }

    fn wake_tails(&self) {
        let tails = self.shared.tails.lock();
        let mut tails = tails.unwrap_or_else(std::sync::PoisonError::into_inner);
        tails.retain(|tail| tail.upgrade().map(|t| t.wake()).is_some());
    }

    /// Stops writes for good: nothing that is not durable yet is answered as stored.
    pub(super) fn poison(&mut self, stage: &'static str, error: &Error) {
        tracing::error!(
            shard = self.shared.config.shard,
            code = error.code(),
            "{stage} failed: {error}; the shard takes no more writes until the store is reopened"
        );
        // Only the first failure is kept: it is the cause.
        let _first = self.shared.poison.set((stage, error.to_string()));
        let held = self.held.take().map(|(tag, _)| tag as u32);
        let held = held.into_iter().chain(std::mem::take(&mut self.flush_waiters));
        let batches = [self.flying.take(), Some(std::mem::take(&mut self.open))];
        let tickets = batches.into_iter().flatten().flat_map(|b| b.answers).map(|(t, _)| t);
        for ticket in tickets.chain(held) {
            let error = self.shared.poisoned().unwrap_or(Error::Closed);
            self.shared.inbox.tickets.answer(ticket, Err(error));
        }
    }

    // --- syncs of the `Batch` mode ---

    fn note_unsynced(&mut self, durable: bool, file: &Arc<dyn File>, bytes: u64) {
        if durable {
            return;
        }
        if !self.unsynced.iter().any(|f| Arc::ptr_eq(f, file)) {
            self.unsynced.push(file.clone());
        }
        if self.unsynced_bytes == 0 {
            self.unsynced_since = self.shared.env.clock.monotonic_nanos();
        }
        self.unsynced_bytes += bytes;
    }

    fn until_sync(&self) -> Option<Duration> {
        let SyncMode::Batch { interval, .. } = self.shared.config.sync else { return None };
        if self.unsynced_bytes == 0 || self.syncing > 0 {
            return None;
        }
        let waited = self.shared.env.clock.monotonic_nanos().saturating_sub(self.unsynced_since);
        Some(interval.saturating_sub(Duration::from_nanos(waited)))
    }

    fn must_sync_first(&self) -> bool {
        matches!(self.shared.config.sync, SyncMode::Batch { bytes, .. }
            if self.unsynced_bytes >= bytes || self.syncing > 0 && self.window_is_over())
    }

    fn window_is_over(&self) -> bool {
        let SyncMode::Batch { interval, .. } = self.shared.config.sync else { return false };
        let waited = self.shared.env.clock.monotonic_nanos().saturating_sub(self.unsynced_since);
        self.unsynced_bytes > 0 && waited >= interval.as_nanos() as u64
    }

    fn sync_if_due(&mut self) {
        let SyncMode::Batch { bytes, .. } = self.shared.config.sync else { return };
        // A sync covers the writes that completed before it, so it waits for the one in flight.
        if self.syncing > 0 || self.flying.is_some() || self.shared.poison.get().is_some() {
            return;
        }
        if self.unsynced_bytes >= bytes || self.window_is_over() {
            self.sync_now();
        }
    }

    /// Starts a sync of everything written so far.
    pub(super) fn sync_now(&mut self) {
        self.in_sync = std::mem::take(&mut self.unsynced);
        self.sync_to = self.log.end();
        for file in self.in_sync.clone() {
            self.push(TOKEN_SYNC, Op::Sync { file });
            self.syncing += 1;
        }
        self.unsynced_bytes = 0;
    }

    // --- for the end ---

    /// Whether everything that came in is written and answered.
    pub(super) fn is_settled(&self) -> bool {
        self.flying.is_none()
            && self.syncing == 0
            && self.held.is_none()
            && self.open.answers.is_empty()
            && self.group.as_ref().is_none_or(|g| g.is_empty())
    }

    /// Whether log bytes wait for a sync.
    pub(super) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Gives a job to the worker.
    pub(super) fn send(&mut self, job: Job) {
        if self.jobs.send(job).is_ok() {
            self.jobs_out += 1;
        }
    }

    /// Lets go of the readers' requests; operations in flight are waited for by the queue's drop.
    pub(super) fn finish(&mut self) {
        self.reads.give_up_waiting();
    }
}

/// The live record with `id`, in the newest state.
fn find_live(view: &View, id: &[u8; 32]) -> Result<Option<Place>> {
    for memtable in view.memtables() {
        if let Some(ordinal) = memtable.find(id)
            && memtable.killed_at(ordinal) == 0
        {
            return Ok(Some(Place::Memtable(memtable.clone(), ordinal)));
        }
    }
    for live in &view.segments {
        if let Some(ordinal) = live.segment.find(id)?
            && !live.dead.is_killed(ordinal)
        {
            return Ok(Some(Place::Segment(live.clone(), ordinal)));
        }
    }
    Ok(None)
}

/// Whether a live record has `id`, in the newest state.
pub(super) fn is_live(view: &View, id: &[u8; 32]) -> Result<bool> {
    find_live(view, id).map(|place| place.is_some())
}

/// Adds the live records under `term`, in the newest state, newest arrival or time first.
fn probe(view: &View, term: &[u8], hits: &mut Vec<Hit>) -> Result<()> {
    for memtable in view.memtables() {
        let Some(postings) = memtable.postings(term) else { continue };
        for o in postings.iter_back().filter(|&o| memtable.killed_at(o) == 0) {
            let body = memtable.body(o).to_vec();
            hits.push(Hit { key: memtable.key(o), body, place: Place::Memtable(memtable.clone(), o) });
        }
    }
    for live in &view.segments {
        let Some(postings) = live.segment.term(term)? else { continue };
        let mut cursor = postings.cursor(&live.segment);
        let mut from = cursor.seek_le(Ordinal::MAX)?;
        while let Some(o) = from {
            if !live.dead.is_killed(o) {
                let body = live.segment.body(o, Vec::new())?.to_vec();
                let place = Place::Segment(live.clone(), o);
                hits.push(Hit { key: live.segment.key(o)?, body, place });
            }
            from = if o == 0 { None } else { cursor.seek_le(o - 1)? };
        }
    }
    Ok(())
}

/// Marks the record at `place` dead as of `seq`.
fn kill(
    active: &mut memtable::Writer,
    sealed: &mut VecDeque<Sealed>,
    place: &Place,
    seq: Seq,
) {
    match place {
        Place::Segment(live, ordinal) => live.dead.kill(*ordinal, seq),
        Place::Memtable(memtable, ordinal) => {
            let sealed = sealed.iter_mut().map(|s| &mut s.memtable);
            let mut writers = std::iter::once(active).chain(sealed);
            if let Some(writer) = writers.find(|w| Arc::ptr_eq(w.memtable(), memtable)) {
                writer.kill(*ordinal, seq);
            }
        }
    }
}

/// Kills the live record with `id`, if there is one, as replay of the log does.
pub(super) fn kill_by_id(
    view: &View,
    active: &mut memtable::Writer,
    id: &[u8; 32],
    seq: Seq,
) -> Result<()> {
    if let Some(place) = find_live(view, id)? {
        kill(active, &mut VecDeque::new(), &place, seq);
    }
    Ok(())
}

/// The settings of a memtable of about `bytes` bytes.
pub(super) fn memtable_config(bytes: usize) -> memtable::Config {
    // Nostr events take 500 bytes or more with their index; smaller records fill by their count.
    let records = (bytes / 256).clamp(1024, crate::base::limits::MEMTABLE_RECORDS_MAX) as u32;
    memtable::Config { bytes, records }
}
