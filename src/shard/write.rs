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
//! I7. The open group has a place in the log: what is left of the file at hand, or all of the next one, which is
//!     prepared. So what was taken in can be written, however full the disk is (`full`).

use super::compactor::{self, Compactions};
use super::drop::DropWaiter;
use super::format::{EntryKind, entry_head, read_message};
use super::full::Short;
use super::lookup::{Hit, dying, is_live, kill, probe, probe_newest, too_many};
use super::reads::InFlight;
use super::work::{Finished, Job};
use super::{Outcome, Shared};
use crate::base::limits::{KILLS_PER_RECORD_MAX, RING_DEPTH, TERMS_PER_RECORD_MAX};
use crate::base::{Error, Ids, Lsn, Result, Seq, Terms, planted};
use crate::io::{Done, File, Queue, Wait};
use crate::memtable;
use crate::model::{Decision, Model, Probes, Record};
use crate::wal::{self, Drainer, Group};
use crossbeam::channel::{Receiver, Sender};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Tag bit of a ring message that asks for a flush and carries no record.
pub(super) const FLUSH: u64 = 1 << 32;
/// Tag bit of a ring message that carries the ids of records to remove.
pub(super) const REMOVE: u64 = 1 << 33;
/// Tag bit of a ring message that asks for a flush and for every compaction that is of use.
pub(super) const COMPACT: u64 = 1 << 34;
/// Tag bit of a ring message that carries the ids of segments to drop.
pub(super) const DROP: u64 = 1 << 35;

/// Tag bit of a ring message that carries several records (`batch.rs`).
pub(super) const MANY: u64 = 1 << 36;

/// Tag bit of a record that is the store's own work: what makes others go.
pub(super) const OWN: u64 = 1 << 37;

/// What a log entry takes beside its own bytes, at most: its length and its padding.
const ENTRY_SLACK: usize = 16;

/// Messages taken from the ring in one turn: bounds the time to the next look at the completions.
const MESSAGES_PER_TURN: usize = 4096;

/// A sealed memtable and where the log of what follows it begins.
pub(super) struct Sealed {
    pub(super) memtable: memtable::Writer,
    /// Where the log of the next memtable begins: what replay needs once this one is a segment.
    pub(super) log_end: Lsn,
    pub(super) flushing: bool,
}

/// Who waits for a flush.
pub(super) struct FlushWaiter {
    pub(super) ticket: u32,
    /// The last record that has to be in a segment.
    pub(super) upto: Seq,
    /// The manifest that says that it is, once there is one.
    pub(super) manifest: Option<u64>,
}

/// Records and answers that travel together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) answers: Vec<(u32, Result<Outcome>)>,
    pub(super) last: Option<Seq>,
    /// Where its block of the log ends.
    pub(super) end: Lsn,
}

pub(super) enum Applied {
    Answer(Result<Outcome>),
    GroupFull,
    MemtableFull,
}

/// The single writer of a shard.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Box<dyn Queue>,
    /// Taken out while it is drained.
    pub(super) drainer: Option<Drainer>,
    pub(super) done: Vec<Done>,
    pub(super) reads: InFlight,
    /// A message that did not fit, to be tried again first.
    pub(super) held: Option<(u64, Vec<u8>)>,
    pub(super) memtable: memtable::Writer,
    pub(super) next_seq: Seq,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) seal_wanted: bool,
    pub(super) log: wal::Writer,
    /// The old log file is being synced before the new one may be written.
    pub(super) rotating: bool,
    /// The log ends with the block that says so.
    pub(super) log_closed: bool,
    pub(super) group_bytes_max: usize,
    /// What the open group may take, so that it has a place in the log (I7).
    pub(super) group_room: usize,
    /// An empty group has no room for what is held: the next log file has to come first.
    pub(super) log_wanted: bool,
    pub(super) group: Option<Group>,
    pub(super) spare_group: Option<Group>,
    pub(super) open: Batch,
    pub(super) flying: Option<Batch>,
    /// Log files with writes that no sync has covered, oldest first.
    pub(super) unsynced: Vec<Arc<dyn File>>,
    /// Log files whose sync is under way.
    pub(super) in_sync: Vec<Arc<dyn File>>,
    pub(super) unsynced_bytes: u64,
    /// Log bytes whose sync is under way.
    pub(super) in_sync_bytes: u64,
    pub(super) unsynced_since: u64,
    pub(super) syncing: usize,
    /// Where the log ended when the sync under way began.
    pub(super) sync_to: Lsn,
    /// Where replay would begin if the segments of the current view were the durable ones.
    pub(super) log_start: Lsn,
    /// Who waits for everything before them to be in segments.
    pub(super) flush_waiters: Vec<FlushWaiter>,
    pub(super) drop_waiters: VecDeque<DropWaiter>,
    pub(super) compactions: Compactions,
    pub(super) jobs: Sender<Job>,
    pub(super) results: Receiver<Finished>,
    pub(super) jobs_out: usize,
    /// Prepared log files, by number.
    pub(super) spares: VecDeque<(u32, Arc<dyn File>)>,
    pub(super) generation: u64,
    pub(super) short: Short,
    /// Whether some of what comes in is refused: the shard is poisoned, or short of space.
    pub(super) refusing: bool,
    pub(super) ids: Ids,
    /// The generation of the last manifest that is durable.
    pub(super) durable: u64,
    pub(super) terms: Terms,
    pub(super) batch_terms: memtable::BatchTerms,
    pub(super) probes: Probes,
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
    /// Segments that no manifest names, for want of space.
    pub(super) owes_manifest: bool,
}

impl Core {
    /// Builds the writer on the thread that will run it: the queue belongs to this thread. An inline
    /// one carries out no reads for others: nobody would run it while they wait.
    pub(super) fn new(
        shared: Arc<Shared>,
        start: Start,
        (jobs, compactor): (Sender<Job>, Sender<compactor::Job>),
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
        let next_seq =
            start.memtable.memtable().base() + u64::from(start.memtable.memtable().len()) + 1;
        let gentle = !inline && shared.config.compaction_bytes_per_second < u64::MAX;
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
            log_closed: false,
            group_bytes_max: start.group_bytes_max,
            group_room: 0,
            log_wanted: false,
            group,
            spare_group,
            open: Batch::default(),
            flying: None,
            unsynced: Vec::new(),
            in_sync: Vec::new(),
            unsynced_bytes: 0,
            in_sync_bytes: 0,
            unsynced_since: 0,
            syncing: 0,
            sync_to: Lsn(0),
            log_start: start.log_start,
            flush_waiters: Vec::new(),
            drop_waiters: VecDeque::new(),
            compactions: Compactions::new(compactor, gentle),
            jobs,
            results,
            jobs_out: 0,
            spares: VecDeque::new(),
            generation: start.generation,
            short: Short::new(start.owes_manifest),
            refusing: false,
            ids: shared.model.ids(),
            durable: start.generation,
            terms: Terms::new(),
            batch_terms: memtable::BatchTerms::default(),
            probes: Probes::default(),
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
            self.installed(finished);
        }
        self.fill();
        self.look_if_due();
        self.sync_if_due();
        self.commit();
        self.seal_if_wanted();
        self.answer_flush_waiters();
        self.compact_if_due();
        Ok(())
    }

    /// How long this turn may sleep: not at all with work at hand, to the next sync in `Batch`.
    fn how_long(&self, wait: Wait) -> Wait {
        if wait == Wait::No || self.can_take_held() {
            return Wait::No;
        }
        let closing =
            self.shared.inbox.is_closing() && (self.jobs_out > 0 || !self.compactions.is_idle());
        // Nothing is taken from the ring before what is held.
        let blocked = self.held.is_some() || !self.can_fill();
        let asleep = if self.flying.is_some() || blocked || closing {
            // The completion, or the worker's result, wakes us; the ring need not.
            true
        } else {
            self.shared.inbox.going_idle(|| self.drainer.as_ref().is_some_and(Drainer::is_ready))
        };
        let until = match (self.until_sync(), self.until_look()) {
            (Some(sync), Some(look)) => Some(sync.min(look)),
            (sync, look) => sync.or(look),
        };
        match (asleep, until) {
            (false, _) => Wait::No,
            (true, None) => wait,
            (true, Some(left)) => match wait {
                Wait::For(limit) => Wait::For(limit.min(left)),
                _ => Wait::For(left),
            },
        }
    }

    // --- 2 fill ---

    /// Whether what is held may fit now. It is held since the memtable was full, which sealing ends
    /// between two groups, or since the group was; either way there is room again only in an empty group.
    /// Until then the group waits in `commit` for one of these, and each ends a sleep: the write in
    /// flight, the sync that has to come first or the sync of a full log file (completions), or a log
    /// file to be prepared or a memtable to be flushed (results of the worker). A poisoned shard holds
    /// nothing.
    fn can_take_held(&self) -> bool {
        self.held.is_some() && self.can_fill() && self.group.as_ref().is_none_or(|g| g.is_empty())
    }

    /// Whether records can be taken in now.
    fn can_fill(&self) -> bool {
        let is_ready = self.group.is_some() && !self.seal_wanted && !self.log_wanted;
        is_ready || self.refusing && (self.shared.poison.get().is_some() || self.is_stuck())
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
        if self.refusing
            && let Some(error) = self.refusal(tag)
        {
            self.shared.inbox.tickets.answer(ticket, Err(error));
            return ControlFlow::Continue(());
        }
        if self.short.is_short() && tag & (FLUSH | COMPACT | DROP) != 0 {
            self.look_soon();
        }
        if tag & FLUSH != 0 {
            self.flush_waiters.push(FlushWaiter {
                ticket,
                upto: self.next_seq - 1,
                manifest: None,
            });
            self.seal_wanted |= !self.memtable.memtable().is_empty();
            return ControlFlow::Continue(());
        }
        if tag & COMPACT != 0 {
            self.seal_wanted |= !self.memtable.memtable().is_empty();
            self.compactions.ask(ticket);
            return ControlFlow::Continue(());
        }
        if tag & DROP != 0 {
            self.drop_segments(ticket, message);
            return ControlFlow::Continue(());
        }
        // A batch is not divided, so that this is no limit of the memtable's own.
        let most = self.shared.config.memtable_records.map_or(u32::MAX, |most| most.max(1));
        let applied = match tag & (REMOVE | MANY) {
            _ if self.memtable.memtable().len() >= most => Applied::MemtableFull,
            0 => self.apply(read_message(message)),
            REMOVE => self.remove(message.as_chunks().0),
            _ => self.apply_many(message),
        };
        match applied {
            Applied::Answer(answer) => {
                self.open.answers.push((ticket, answer));
                ControlFlow::Continue(())
            }
            Applied::GroupFull => {
                self.log_wanted = self.group.as_ref().is_some_and(|group| group.is_empty());
                ControlFlow::Break(())
            }
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
        if self.ids == Ids::Own {
            let now = self.now();
            let refused = self.decide_own(record, now)?;
            return Ok(refused.map_or(Ok(Vec::new()), Err));
        }
        let shared = self.shared.clone();
        let view = shared.published.view();
        if is_live(&view, &record.key.id)? {
            return Ok(Err(Outcome::Duplicate));
        }
        self.probes.clear();
        shared.model.probes(record, &mut self.probes);
        let mut hits = Vec::new();
        self.probes.all.iter().try_for_each(|term| probe(&view, term, &mut hits))?;
        self.probes.newest.iter().try_for_each(|term| probe_newest(&view, term, &mut hits))?;
        let now = self.now();
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
                let dies = |found: Record<'_>| shared.model.dies(record, found);
                dying(&view, &self.probes, dies, &mut hits)?;
                // Several probes may have led to one record.
                hits.sort_unstable_by_key(|hit| hit.key);
                hits.dedup_by_key(|hit| hit.key);
                match hits.len() > KILLS_PER_RECORD_MAX {
                    true => Err(too_many()),
                    false => Ok(Ok(hits)),
                }
            }
        }
    }

    /// Seconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.shared.env.clock.unix_micros() / 1_000_000
    }

    /// What the rules say of a record with an own id: the refusal, if it is one. Such a record repeats none and kills
    /// none, so that nothing is looked up here and nothing allocated.
    pub(super) fn decide_own(&mut self, record: Record<'_>, now: u64) -> Result<Option<Outcome>> {
        let invalid = |why: &str| Err(Error::invalid("record with an own id", why));
        if record.key.own_number().is_none() {
            return invalid("its id has more than 8 bytes");
        }
        self.probes.clear();
        self.shared.model.probes(record, &mut self.probes);
        if !self.probes.is_empty() {
            return invalid("its model asks for others");
        }
        match self.shared.model.decide(record, &[], now) {
            Decision::Refuse { reason } => Ok(Some(Outcome::Refused(reason))),
            Decision::Store { kills } if kills.is_empty() => Ok(None),
            Decision::Store { .. } => invalid("its model kills what was not found"),
        }
    }

    /// Stores the record and kills what it replaces.
    fn store(&mut self, record: Record<'_>, hits: Vec<Hit>) -> Applied {
        self.terms.clear();
        self.shared.model.early_terms(record, &mut self.terms);
        self.terms.seal();
        if self.terms.len() > TERMS_PER_RECORD_MAX {
            let limit = TERMS_PER_RECORD_MAX as u64;
            return Applied::Answer(Err(Error::Full { what: "terms of one record", limit }));
        }
        let applied = self.put(EntryKind::Put, record, &hits);
        if let Applied::Answer(Ok(_)) = &applied {
            if hits.len() > 1 {
                // More than a replacement: there may be something to compact.
                self.compactions.changed();
            }
            self.shared.stats.stored.fetch_add(1, Relaxed);
        }
        applied
    }

    /// Puts `record`, under the terms at hand, into the memtable and the group, and kills `hits`.
    pub(super) fn put(&mut self, kind: EntryKind, record: Record<'_>, hits: &[Hit]) -> Applied {
        let logged = if planted!(KillsNotLogged) { &[] } else { hits };
        let head = entry_head(kind, record, logged.len());
        let entry_bytes = head.len() + logged.len() * 32 + record.body.len();
        let needed = entry_bytes + ENTRY_SLACK;
        let room = |group: &Group| group.bytes() + needed <= self.group_room;
        let Some(group) = self.group.as_mut().filter(|g| room(g)) else {
            if needed <= self.group_bytes_max {
                return Applied::GroupFull;
            }
            let limit = self.group_bytes_max as u64;
            return Applied::Answer(Err(Error::Full {
                what: "log block, bytes of one record",
                limit,
            }));
        };
        let seq = self.next_seq;
        let Some(ordinal) = self.memtable.append(record.key, record.body, &self.terms) else {
            return Applied::MemtableFull;
        };
        debug_assert_eq!(seq, self.memtable.memtable().base() + u64::from(ordinal) + 1);
        let kills: Vec<[u8; 32]> = logged.iter().map(|h| h.key.id).collect();
        let pushed = group.push(&[&head, kills.as_flattened(), record.body]);
        assert!(pushed, "the group had room for {entry_bytes} bytes");
        for hit in hits {
            kill(&mut self.memtable, &mut self.sealed, &hit.place, seq);
        }
        if kind == EntryKind::Remove {
            // Dead from its own number on: no reader ever sees it.
            self.memtable.kill(ordinal, seq);
        }
        self.next_seq += 1;
        self.open.last = Some(seq);
        Applied::Answer(Ok(Outcome::Stored { seq, replaced: hits.len() as u32 }))
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

/// The settings of a memtable of about `bytes` bytes for records of `model`.
pub(super) fn memtable_config(bytes: usize, model: &dyn Model) -> memtable::Config {
    // Nostr events take 500 bytes or more with their index, records with own ids 128; smaller ones fill by their count.
    let ids = model.ids();
    let least = if ids == Ids::Own { 128 } else { 256 };
    let records = (bytes / least).clamp(1024, crate::base::limits::MEMTABLE_RECORDS_MAX) as u32;
    memtable::Config { bytes, records, ids, late_from: model.late_from() }
}
