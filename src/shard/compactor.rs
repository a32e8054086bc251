//! Who compacts, when, and how fast: one merge at a time in a store, on a thread of its own.
//!
//! ```text
//!   shard's thread: choose --job--> compactor: turn at the gate, slice, pause, slice, ... --> result
//! ```
//!
//! I1. A merge runs at a low priority and moves at most `bytes_per_second`, unless segments pile up; of all shards
//!     one merges at a time, so that memory and disk for it are those of one merge.
//! I2. A shard that closes waits for one slice at most: the merge is given up and will be chosen again.
//! I3. A merge of which an input was dropped (`drop`) is given up, and never installed: what it made holds records that are
//!     gone. Nothing refers to its outputs, and the inputs that are left are as they were.
//! I4. A merge that fails harms nothing. What could not be read is left alone until the store is opened again, and
//!     verification will name it; a full disk is tried again after the next flush.

use super::choose::{Choice, Item, choose, freeing};
use super::compact::{Compacted, Compaction, with_late_deaths};
use super::view::{LiveSegment, View};
use super::work::Finished;
use super::write::Core;
use super::{Outcome, Shared};
use crate::base::{Error, SegmentId, Seq, planted};
use crate::io::threads;
use crate::model::Bodies;
use crate::segment::Compression;
use crossbeam::channel::{Receiver, Sender, bounded, never};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The longest pause between two looks at whether the shard closes.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The pause between two pieces of a file that is given back, each of which holds the device up for 2 ms.
const PART_PAUSE: Duration = Duration::from_millis(10);

/// Segments of a shard from which on a merge is urgent: every write looks for its id in all of them, and more
/// are lost by waiting than by merging at the priority of everybody else.
const URGENT_SEGMENTS: usize = 32;

/// What a compactor is told to do.
pub(super) enum Job {
    /// Merge.
    Merge(Merge),
    /// Remove what was merged and is named by no manifest any more; the flag: without hurry.
    Remove(Vec<PathBuf>, bool),
}

/// A merge to be done.
pub(super) struct Merge {
    choice: Choice,
    inputs: Vec<LiveSegment>,
    at: Seq,
    urgent: bool,
    /// An input was dropped (I3).
    given_up: Arc<AtomicBool>,
}

/// How a merge ended.
pub(super) enum Ended {
    /// It is to be installed.
    Done(Compacted),
    /// The shard closes, or an input was dropped.
    GivenUp,
    /// It cannot be done with these inputs, or not now.
    Failed(Vec<SegmentId>, Error),
}

/// One merge at a time, over all shards of a store.
#[derive(Clone)]
pub(crate) struct Gate {
    leave: Sender<()>,
    enter: Receiver<()>,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new() -> Gate {
        let (leave, enter) = bounded(1);
        // There is room for one.
        let _opened = leave.send(());
        Gate { leave, enter }
    }
}

/// Who is through the gate; dropping it lets the next one through.
struct Inside(Sender<()>);

impl Drop for Inside {
    fn drop(&mut self) {
        // There is room for who just went through.
        let _left = self.0.send(());
    }
}

/// The compactor of a shard.
pub(super) struct Compactor {
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    choice: Choice,
    merge: Compaction,
    given_up: Arc<AtomicBool>,
}

impl Compactor {
    pub(super) fn new(shared: Arc<Shared>) -> Compactor {
        Compactor { shared, running: None }
    }

    /// Merges what it is told to until the shard's thread is gone.
    pub(super) fn run(shared: Arc<Shared>, jobs: &Receiver<Job>, results: &Sender<Finished>) {
        for job in jobs {
            let job = match job {
                Job::Merge(merge) => merge,
                Job::Remove(obsolete, gently) => {
                    let compactor = Compactor::new(shared.clone());
                    if let Err(why) = threads::caught(|| compactor.remove(&obsolete, gently)) {
                        tracing::error!("merged segments are still there, for a panic: {why}");
                    }
                    // The shard's thread may be gone: what is left to do here needs it no more.
                    let _told = results.send(Finished::Removed);
                    shared.inbox.wake();
                    continue;
                }
            };
            let inputs = job.choice.inputs.clone();
            let compactor = Compactor::new(shared.clone());
            // A thread for each merge, since a priority once lowered can be raised by nobody but root; and a
            // panic in one is an error of that one.
            let name = format!("ratite-merge-{}", shared.config.shard);
            let ended = threads::spawn(name, move || compactor.work(job)).join();
            let ended = ended.unwrap_or_else(|error| Ended::Failed(inputs, error));
            if results.send(Finished::Compaction(ended)).is_err() {
                return;
            }
            shared.inbox.wake();
        }
    }

    /// One merge, from its turn at the gate to its end.
    fn work(mut self, job: Merge) -> Ended {
        if !job.urgent {
            threads::lower_priority_current();
        }
        let gate = self.shared.gate.clone();
        while gate.enter.recv_timeout(PAUSE_MAX).is_err() {
            if self.is_over() || job.given_up.load(Relaxed) {
                return Ended::GivenUp;
            }
        }
        let _inside = Inside(gate.leave);
        self.slices(job)
    }

    fn slices(&mut self, job: Merge) -> Ended {
        let rate = match job.urgent {
            true => u64::MAX,
            false => self.shared.config.compaction_bytes_per_second.max(1),
        };
        let started = self.shared.env.clock.monotonic_nanos();
        let due = |bytes| started + (u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64;
        let inputs = job.inputs.clone();
        let mut ended = self.begin(job);
        while ended.is_none() {
            ended = self.step();
            self.wait_until(due(self.running.as_ref().map_or(0, |r| r.merge.bytes())));
        }
        if let Some(Ended::Done(compacted)) = &ended {
            warm(compacted, &inputs, |bytes| {
                self.wait_until(due(compacted.bytes + bytes));
                !self.is_over()
            });
        }
        ended.unwrap_or(Ended::GivenUp)
    }

    /// Removes files; gently, piece by piece. What cannot be removed is removed by the next opening.
    pub(super) fn remove(&self, obsolete: &[PathBuf], gently: bool) {
        let disk = &self.shared.env.disk;
        let mut pause = || {
            self.pause(PART_PAUSE);
            !self.is_over()
        };
        for path in obsolete {
            let removed = match gently {
                true => disk.remove_by_parts(path, &mut pause),
                false => disk.remove(path),
            };
            if let Err(error) = removed {
                tracing::warn!(code = error.code(), "a merged segment is still there: {error}");
            }
        }
    }

    /// Waits until the clock says `due`, or until there is nothing to do any more.
    fn wait_until(&self, due: u64) {
        let clock = &self.shared.env.clock;
        while !self.is_over() && clock.monotonic_nanos() < due {
            let early = Duration::from_nanos(due - clock.monotonic_nanos().min(due));
            self.pause(early.min(PAUSE_MAX));
        }
    }

    fn pause(&self, time: Duration) {
        // Nothing will come: this is a rate being kept, not a wait for something.
        let _nothing = never::<()>().recv_timeout(time);
    }

    /// Begins a merge; how it ended, if it cannot begin.
    pub(super) fn begin(&mut self, job: Merge) -> Option<Ended> {
        let Merge { choice, inputs, at, given_up, .. } = job;
        let compression = match (choice.compress, self.shared.model.bodies()) {
            (false, _) => Compression::None,
            (true, Bodies::Each) => Compression::Zstd,
            (true, Bodies::Blocks) => Compression::Blocks,
        };
        match Compaction::begin(&self.shared, inputs, at, compression) {
            Ok(merge) => {
                self.running = Some(Running { choice, merge, given_up });
                None
            }
            Err(error) => Some(Ended::Failed(choice.inputs, error)),
        }
    }

    /// Whether a merge is under way.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// One slice; how the merge ended, if it did.
    pub(super) fn step(&mut self) -> Option<Ended> {
        let mut running = self.running.take()?;
        if self.is_over() || running.given_up.load(Relaxed) {
            return Some(Ended::GivenUp);
        }
        match running.merge.step() {
            Ok(Some(compacted)) => Some(Ended::Done(compacted)),
            Ok(None) => {
                self.running = Some(running);
                None
            }
            Err(error) => Some(Ended::Failed(running.choice.inputs, error)),
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_ending()
    }
}

/// Brings as large a part of the outputs into memory as was there of the inputs, whose place they take: else every
/// reader would wait for the device after a merge. What cannot be read is left to who asks for it.
fn warm(compacted: &Compacted, inputs: &[LiveSegment], moved: impl Fn(u64) -> bool) {
    let sum = |of: &dyn Fn(&LiveSegment) -> u32| inputs.iter().map(of).map(u64::from).sum::<u64>();
    let resident = sum(&|live| live.segment.resident_pages());
    let all = sum(&|live| live.segment.info().pages).max(1);
    let (mut bytes, mut go_on) = (0, true);
    for segment in &compacted.outputs {
        let info = segment.info();
        let share = (u64::from(info.pages) * resident).div_ceil(all);
        let pages = segment.likely_pages(share.min(u64::from(info.pages)) as u32);
        segment.warm(pages, true, |pages| {
            bytes += info.bytes / u64::from(info.pages) * u64::from(pages);
            go_on = moved(bytes);
            go_on
        });
        if !go_on {
            return;
        }
    }
}

/// What the shard's thread knows of its compactor.
pub(super) struct Compactions {
    jobs: Sender<Job>,
    /// The inputs of the merge under way, and how it is told that one was dropped.
    running: Option<(Vec<SegmentId>, Arc<AtomicBool>)>,
    /// Removals that the compactor has still to do.
    removing: usize,
    /// The manifest behind which the inputs of the last merge are removed: its generation.
    awaited: u64,
    /// Merges keep to a rate, so removals are gentle.
    gentle: bool,
    /// Something changed since the last choice.
    due: bool,
    /// A merge failed for want of space: not again before something else was written.
    paused: bool,
    /// Segments that a merge could not read.
    left_alone: HashSet<SegmentId>,
    /// Who wants to know when nothing is left to gain.
    waiters: Vec<u32>,
}

impl Compactions {
    pub(super) fn new(jobs: Sender<Job>, gentle: bool) -> Compactions {
        let (left_alone, waiters) = (HashSet::new(), Vec::new());
        Compactions {
            jobs,
            running: None,
            removing: 0,
            awaited: 0,
            gentle,
            due: false,
            paused: false,
            left_alone,
            waiters,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Some segments are dropped: a merge that reads one of them is in vain (I3).
    pub(super) fn give_up(&self, is_dropped: impl Fn(SegmentId) -> bool) {
        if let Some((inputs, given_up)) = &self.running
            && inputs.iter().any(|&id| is_dropped(id))
        {
            given_up.store(true, Relaxed);
        }
    }

    /// Whether there is nothing for the compactor to do.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.removing == 0
    }

    /// Inputs of a merge are removed behind the manifest of this generation.
    fn awaits(&mut self, generation: u64) {
        self.awaited = generation;
    }

    /// Whether the next merge may begin, the last durable manifest being `durable`: not before the inputs of the last
    /// one are gone, since the headroom is that of one merge.
    fn is_ready(&self, durable: u64) -> bool {
        self.is_idle() && self.due && self.awaited <= durable
    }

    /// Has the compactor remove what was merged.
    pub(super) fn remove(&mut self, obsolete: Vec<PathBuf>, segments: usize) {
        let gentle = self.gentle && segments <= URGENT_SEGMENTS;
        let sent = !obsolete.is_empty() && self.jobs.send(Job::Remove(obsolete, gentle)).is_ok();
        self.removing += usize::from(sent);
    }

    /// The compactor has done so.
    pub(super) fn removed(&mut self) {
        self.removing -= 1;
        self.changed();
    }

    /// The segments changed, or their dead.
    pub(super) fn changed(&mut self) {
        self.due = true;
    }

    /// Space may have come back.
    pub(super) fn resume(&mut self) {
        (self.due, self.paused) = (true, false);
    }

    /// Everything that can be gained is wanted; `ticket` is answered when it is.
    pub(super) fn ask(&mut self, ticket: u32) {
        self.waiters.push(ticket);
        self.resume();
    }

    pub(super) fn take_waiters(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.waiters)
    }
}

impl Core {
    /// Chooses the next merge, if one is of use and none is under way.
    pub(super) fn compact_if_due(&mut self) {
        let over = self.shared.is_ending();
        if !self.compactions.is_ready(self.durable) || over {
            return;
        }
        let asked = !self.compactions.waiters.is_empty();
        if asked && (self.seal_wanted || !self.sealed.is_empty()) {
            return;
        }
        let view = self.shared.published.view();
        let policy = self.shared.config.compaction;
        let all = || items(&view, &self.compactions.left_alone);
        let chosen = match (self.compactions.paused, self.short.is_short()) {
            (true, _) => None,
            (_, true) => freeing(&all(), &policy, self.shared.free_bytes()),
            _ => choose(&all(), &policy, asked),
        };
        let Some(choice) = chosen else {
            // Who asked wants the last manifest to be durable.
            if !asked {
                self.compactions.due = false;
            } else if self.short.is_short() && choose(&all(), &policy, asked).is_some() {
                let shared = self.shared.clone();
                self.answer_compaction(|| Err(shared.disk_full().unwrap_or(Error::Closed)));
            } else if self.jobs_out == 0 && self.compactions.is_idle() && self.is_settled() {
                self.answer_compaction(|| Ok(Outcome::Done));
            }
            return;
        };
        tracing::debug!(shard = self.shared.config.shard, ?choice, "compaction");
        let is_input = |live: &&LiveSegment| choice.inputs.contains(&live.segment.info().id);
        let inputs = view.segments.iter().filter(is_input).cloned().collect();
        let urgent = view.segments.len() > URGENT_SEGMENTS;
        let (ids, given_up) = (choice.inputs.clone(), Arc::<AtomicBool>::default());
        let running = Some((ids, given_up.clone()));
        let merge = Merge { choice, inputs, at: self.shared.published.seq(), urgent, given_up };
        let sent = self.compactions.jobs.send(Job::Merge(merge)).is_ok();
        self.compactions.running = running.filter(|_| sent);
    }

    fn answer_compaction(&mut self, answer: impl Fn() -> crate::base::Result<Outcome>) {
        self.compactions.due = false;
        for ticket in self.compactions.take_waiters() {
            self.shared.inbox.tickets.answer(ticket, answer());
        }
    }

    /// Takes in how a merge ended.
    pub(super) fn compacted(&mut self, ended: Ended) {
        self.compactions.running = None;
        self.compactions.changed();
        match ended {
            Ended::GivenUp => {}
            // What a poisoned shard decided last may not be durable: the state on disk stays as it is.
            Ended::Done(_) if self.shared.poison.get().is_some() => {}
            Ended::Done(compacted) => self.install_compacted(&compacted),
            Ended::Failed(inputs, error) => {
                let shard = self.shared.config.shard;
                tracing::error!(shard, code = error.code(), "a compaction failed: {error}");
                match error {
                    Error::Io { .. } | Error::Full { .. } => self.compactions.paused = true,
                    _ => self.compactions.left_alone.extend(inputs),
                }
                let error = match error.is_disk_full() {
                    true => error.into_disk_full(&self.shared.config.dir),
                    false => error,
                };
                self.answer_compaction(|| Err(error.once_more("a compaction")));
            }
        }
    }

    /// Replaces the inputs by the outputs, in one step for readers.
    fn install_compacted(&mut self, compacted: &Compacted) {
        let view = self.shared.published.view();
        let is_input = |live: &LiveSegment| {
            compacted.inputs.iter().any(|input| input.id == live.segment.info().id)
        };
        let (mut inputs, mut segments) = (Vec::new(), Vec::new());
        for live in &view.segments {
            if is_input(live) { &mut inputs } else { &mut segments }.push(live.clone());
        }
        if inputs.len() < compacted.inputs.len() {
            let made = compacted.outputs.iter().map(|made| made.path().to_path_buf()).collect();
            return self.compactions.remove(made, segments.len()); // I3
        }
        segments.extend(with_late_deaths(compacted, &inputs));
        let stats = &self.shared.stats;
        stats.compactions.fetch_add(1, Relaxed);
        stats.compaction_bytes.fetch_add(compacted.bytes, Relaxed);
        segments.sort_by_key(|live| std::cmp::Reverse(live.segment.info().time_max));
        let (active, sealed) = (view.active.clone(), view.sealed.clone());
        self.shared.published.install(View { active, sealed, segments });
        let obsolete: Vec<PathBuf> =
            inputs.iter().map(|live| live.segment.path().to_path_buf()).collect();
        if planted!(InputRemovedBeforeManifest) {
            self.compactions.remove(obsolete.clone(), usize::MAX);
        }
        self.checkpoint(obsolete);
        self.compactions.awaits(self.generation);
    }
}

fn items(view: &View, left_alone: &HashSet<SegmentId>) -> Vec<Item> {
    let segments = view.segments.iter().filter(|l| !left_alone.contains(&l.segment.info().id));
    let item = |live: &LiveSegment| {
        let info = live.segment.info();
        Item {
            id: info.id,
            records: info.records,
            dead: live.dead.count(),
            time_min: info.time_min,
            time_max: info.time_max,
            middle: live.segment.middle(),
            bytes: info.bytes,
            compressed: info.compression != Compression::None,
        }
    };
    segments.map(item).collect()
}

#[cfg(test)]
mod tests;
