//! A recorded run: what one seed does to a store, in epochs that end with a kill, a close or a power cut.
//!
//! ```text
//!   open (of what the epoch before left) -> deeds, in bursts, and now and then:
//!      flush, compact, drop segments, close and open again, a jump of the clock,
//!      a mishap (a sync or write that fails, a full disk) -> end
//! ```
//!
//! Every answer is compared with the oracle's. After each step the disk is told, by a mark, what a crash from now on
//! may leave.

use super::check::{check, files};
use super::history::{Expect, History, Range, Rows, Version};
use super::subject::{Answer, Subject, Told};
use super::{Stats, crash};
use crate::base::{Error, SegmentId, hash64};
use crate::io::{Clock, Env, Faults, ManualClock, Rng, SeededEntropy, SimDisk};
use crate::shard::SyncMode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Epochs of a run.
const EPOCHS: u64 = 3;
/// Steps of an epoch: enough for some flushes and merges, and few enough that a store stays small.
const STEPS: u64 = 40;
/// 2024-01-01.
const BEGINNING: u64 = 1_704_067_200;

/// A run, its oracle, and what was found.
pub struct Run<S: Subject> {
    pub seed: u64,
    pub epoch: u64,
    pub subject: S,
    pub rng: Rng,
    pub disk: Arc<SimDisk>,
    pub clock: Arc<ManualClock>,
    pub histories: Vec<History>,
    /// What a crash may leave, at each mark.
    pub marks: Vec<Expect>,
    /// Images that were met, and what was found in them.
    pub seen: HashMap<u64, Vec<u64>>,
    /// Moments of the last recovery.
    pub recovery_moments: u64,
    pub states_max: u64,
    pub stats: Stats,
    /// Where it is, for a person.
    pub at: String,
    /// What each shard holds.
    rows: Vec<Rows>,
}

/// How an epoch went on after a step.
enum Flow {
    On,
    /// The store takes no more.
    Over,
}

impl<S: Subject> Run<S> {
    pub fn new(seed: u64, stats: Stats, states_max: u64) -> Run<S> {
        let mut rng = Rng::new(hash64(&seed.to_le_bytes()));
        let subject = S::new(&mut rng);
        let shards = subject.options().shards.unwrap_or(1);
        let faults = Faults { names_any_subset: rng.chance(2), ..Faults::default() };
        let nothing = vec![vec![Version::of(&Rows::new())]; shards];
        let expect = Expect {
            history: 0,
            ranges: vec![Range { least: 0, most: 0 }; shards],
            now: BEGINNING,
        };
        Run {
            seed,
            epoch: 0,
            subject,
            disk: SimDisk::new(rng.next_u64(), faults),
            clock: Arc::new(ManualClock::new(BEGINNING * 1_000_000)),
            rng,
            histories: vec![nothing],
            marks: vec![expect],
            seen: HashMap::new(),
            recovery_moments: 6,
            states_max,
            stats,
            at: String::new(),
            rows: vec![Rows::new(); shards],
        }
    }

    pub fn place(&self) -> String {
        format!("epoch {}, {}", self.epoch, self.at)
    }

    /// All of it.
    ///
    /// # Errors
    /// What does not hold.
    pub fn epochs(&mut self) -> Result<(), String> {
        for epoch in 0..EPOCHS {
            self.epoch = epoch;
            self.disk.record(0, u64::MAX);
            self.mark(self.expected().clone());
            self.epoch_on_disk()?;
            let (mut moments, _) = self.disk.recorded();
            let mut last = self.disk.moment();
            last.set_mark(self.marks.len() as u64 - 1);
            moments.push(last);
            self.stats.io_hash ^= self.disk.io_hash().rotate_left(epoch as u32);
            crash::everywhere(self, &moments)?;
            if self.stats.states >= self.states_max {
                return Ok(());
            }
            self.next_disk(&moments);
        }
        Ok(())
    }

    pub fn expected(&self) -> &Expect {
        &self.marks[self.marks.len() - 1]
    }

    fn mark(&mut self, expect: Expect) {
        if *self.expected() != expect {
            self.marks.push(expect);
        }
        self.disk.mark(self.marks.len() as u64 - 1);
    }

    /// The machine of the run itself.
    fn env(&mut self) -> Env {
        let entropy = Arc::new(SeededEntropy::new(self.rng.next_u64()));
        Env { disk: self.disk.clone(), clock: self.clock.clone(), entropy }
    }

    fn now(&self) -> u64 {
        self.clock.unix_micros() / 1_000_000
    }

    /// One epoch, from its opening to its end.
    fn epoch_on_disk(&mut self) -> Result<(), String> {
        self.at = "opening".into();
        let mut open = self.open()?;
        let steps = STEPS / 2 + self.rng.below(STEPS);
        let mishap = if self.rng.chance(3) { self.rng.below(steps) } else { steps };
        for step in 0..steps {
            self.at = format!("step {step} of the run");
            if step == mishap {
                self.begin_mishap();
            }
            match self.step(&open)? {
                Flow::On => {}
                Flow::Over if mishap <= step => break,
                Flow::Over => return Err("it takes no more, and nothing had failed".into()),
            }
            if self.rng.chance(12) {
                if self.close(open)?.is_err() {
                    if mishap > step {
                        return Err("closing failed, and nothing had failed".into());
                    }
                    self.end_mishap();
                    return Ok(());
                }
                if mishap <= step {
                    self.end_mishap();
                    return Ok(());
                }
                open = self.open()?;
            }
        }
        self.at = "the end of the run".into();
        self.count(&open);
        self.end_mishap();
        if self.rng.chance(2) {
            self.disk.kill();
            drop(open);
        } else {
            // It may be poisoned, or not.
            let _closed = self.close(open)?;
        }
        Ok(())
    }

    /// Opens what is there, and begins a history with it (H2).
    fn open(&mut self) -> Result<S::Open, String> {
        let env = self.env();
        let open = self.subject.open(&env).map_err(|error| format!("opening: {error}"))?;
        let expect = self.expected().clone();
        let at = check(self, &open, &expect, 0)?;
        files(&self.disk, S::store(&open))?;
        let history = &self.histories[expect.history];
        let found: Vec<Version> = history.iter().zip(&at).map(|(of, &at)| of[at].clone()).collect();
        self.rows = found.iter().map(|version| Rows::clone(&version.rows)).collect();
        self.histories.push(found.into_iter().map(|version| vec![version]).collect());
        let ranges = vec![Range { least: 0, most: 0 }; at.len()];
        let history = self.histories.len() - 1;
        self.mark(Expect { history, ranges, now: self.now() });
        Ok(open)
    }

    /// What all shards' deeds so far are as durable as.
    fn all_durable(&mut self) {
        let mut expect = self.expected().clone();
        expect.ranges.iter_mut().for_each(|range| range.least = range.most);
        self.mark(expect);
    }

    fn close(&mut self, open: S::Open) -> Result<Result<(), Error>, String> {
        self.count(&open);
        let is_full = S::store(&open).disk_full().is_some();
        let closed = S::store(&open).close();
        drop(open);
        // On a full disk some deeds were refused, and others owed.
        if closed.is_ok() && !is_full {
            self.all_durable();
        }
        Ok(closed)
    }

    fn count(&mut self, open: &S::Open) {
        for shard in S::store(open).stats() {
            self.stats.flushes += shard.flushes;
            self.stats.merges += shard.compactions;
        }
    }

    fn begin_mishap(&mut self) {
        self.stats.mishaps += 1;
        let usual = Faults::default();
        let faults = match self.rng.below(3) {
            0 => Faults { eio_sync: 1 + self.rng.below(4) as u32, ..usual },
            1 => Faults { eio_write: 1 + self.rng.below(6) as u32, ..usual },
            _ => {
                let used = self.disk.used_bytes();
                Faults { quota: Some(used + self.rng.below(100_000)), ..usual }
            }
        };
        let names_any_subset = self.disk.faults().names_any_subset;
        self.disk.set_faults(Faults { names_any_subset, ..faults });
    }

    fn end_mishap(&mut self) {
        let names_any_subset = self.disk.faults().names_any_subset;
        self.disk.set_faults(Faults { names_any_subset, ..Faults::default() });
    }

    fn step(&mut self, open: &S::Open) -> Result<Flow, String> {
        let store = S::store(open);
        let done = match self.rng.below(24) {
            0 | 1 => store.flush(),
            2 => match store.compact() {
                // A merge that fails for want of space stops nothing.
                Err(Error::Poisoned { stage: "a compaction", .. }) => return Ok(Flow::On),
                done => done,
            },
            3 => return self.drop_segments(open),
            4 => {
                self.jump();
                return Ok(Flow::On);
            }
            _ => return self.burst(open),
        };
        if done.is_ok() {
            self.all_durable();
        }
        Ok(if done.is_ok() { Flow::On } else { Flow::Over })
    }

    /// Time passes, or is set.
    fn jump(&mut self) {
        let now = self.clock.unix_micros();
        match self.rng.below(4) {
            0 => self.clock.set(now.saturating_sub(self.rng.below(7_200) * 1_000_000)),
            1 => self.clock.set(now + self.rng.below(7_200) * 1_000_000),
            _ => self.clock.advance(Duration::from_millis(self.rng.below(3_000))),
        }
        let now = self.now();
        self.mark(Expect { now, ..self.expected().clone() });
    }

    /// Some deeds, handed over together.
    fn burst(&mut self, open: &S::Open) -> Result<Flow, String> {
        let count = if self.rng.chance(3) { 1 } else { 1 + self.rng.below(6) };
        let (mut deeds, mut answers) = (Vec::new(), Vec::new());
        let history = self.histories.len() - 1;
        let may_be_full = self.disk.faults().quota.is_some();
        let (before, mut nows) = (may_be_full.then(|| self.rows.clone()), Vec::new());
        for _ in 0..count {
            self.clock.advance(Duration::from_millis(self.rng.below(1_000)));
            let now = self.now();
            nows.push(now);
            let deed = self.subject.draw(&mut self.rng, now, &self.rows);
            let shard = self.subject.place(&deed);
            answers.push((shard, self.subject.apply(&deed, now, &mut self.rows[shard])));
            self.histories[history][shard].push(Version::of(&self.rows[shard]));
            deeds.push(deed);
        }
        self.stats.deeds += count;
        let is_synced = self.subject.options().sync == SyncMode::Always;
        let (mut failed, mut wrong) = (vec![false; self.rows.len()], None);
        let (mut refused, mut answered) = (vec![false; deeds.len()], Vec::new());
        let (disk, marks, now) =
            (&self.disk, &mut self.marks, self.clock.unix_micros() / 1_000_000);
        let mut told = |told: Told| {
            let mut expect: Expect = marks[marks.len() - 1].clone();
            expect.now = now;
            match told {
                Told::Submitted(nth) => expect.ranges[answers[nth].0].most += 1,
                Told::Answered(nth, Ok(answer)) => {
                    let shard = answers[nth].0;
                    if failed[shard] {
                        wrong = Some(format!("{answer:?} after a failure"));
                    }
                    answered.push((nth, answer));
                    expect.ranges[shard].least += usize::from(is_synced);
                }
                // It was not taken in: what comes behind it stands where it stood.
                Told::Answered(nth, Err(error)) if error.is_disk_full() => {
                    refused[nth] = true;
                    expect.ranges[answers[nth].0].least += usize::from(is_synced);
                }
                Told::Answered(nth, Err(_)) => failed[answers[nth].0] = true,
            }
            marks.push(expect);
            disk.mark(marks.len() as u64 - 1);
        };
        self.subject.perform(open, &deeds, &mut told);
        let is_full = refused.contains(&true);
        if let Some(before) = before.filter(|_| is_full) {
            self.rows = before;
            self.without(&refused, &deeds, &nows, &mut answers);
        }
        for (nth, answer) in answered {
            let (expected, deed) = (&answers[nth].1, &deeds[nth]);
            if answer != *expected {
                wrong = Some(format!("{deed:?} was answered {answer:?}, not {expected:?}"));
            }
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None if is_full || failed.contains(&true) => Ok(Flow::Over),
            None => Ok(Flow::On),
        }
    }

    /// What came of `deeds` and what their answers were, where some were refused for want of space: no deeds.
    fn without(
        &mut self,
        refused: &[bool],
        deeds: &[S::Deed],
        nows: &[u64],
        answers: &mut [(usize, Answer)],
    ) {
        let mut of = self.histories.pop().unwrap_or_default();
        let mut ends: Vec<usize> = of.iter().map(Vec::len).collect();
        answers.iter().for_each(|(shard, _)| ends[*shard] -= 1);
        for (nth, deed) in deeds.iter().enumerate() {
            let (shard, answer) = &mut answers[nth];
            if !refused[nth] {
                *answer = self.subject.apply(deed, nows[nth], &mut self.rows[*shard]);
            }
            of[*shard][ends[*shard]] = Version::of(&self.rows[*shard]);
            ends[*shard] += 1;
        }
        self.histories.push(of);
    }

    /// Drops some segments of a shard, as retention does.
    fn drop_segments(&mut self, open: &S::Open) -> Result<Flow, String> {
        let store = S::store(open);
        let shard = self.rng.below(self.rows.len() as u64) as usize;
        let snapshot = store.snapshot();
        let oldest = self.rng.chance(2);
        let (mut ids, mut rows): (Vec<SegmentId>, Rows) = (Vec::new(), self.rows[shard].clone());
        for live in snapshot.shards()[shard].view.segments.iter().rev() {
            if ids.len() < 2 && (oldest || self.rng.chance(3)) {
                ids.push(live.segment.info().id);
                for ordinal in 0..live.segment.records() {
                    let key = live.segment.key(ordinal).map_err(|error| error.to_string())?;
                    if !live.dead.is_killed(ordinal) && rows.remove(&key).is_none() {
                        return Err(format!("a segment has {key:?} alive, which is nowhere"));
                    }
                }
            }
        }
        drop(snapshot);
        if ids.is_empty() {
            return Ok(Flow::On);
        }
        let mut expect = self.expected().clone();
        let history = expect.history;
        self.histories[history][shard].push(Version::of(&rows));
        expect.ranges[shard].most += 1;
        self.mark(expect.clone());
        match store.drop_segments(shard as u16, &ids, 0) {
            Ok(true) => {
                self.stats.drops += 1;
                self.rows[shard] = rows;
                expect.ranges[shard].least = expect.ranges[shard].most;
                self.mark(expect);
                Ok(Flow::On)
            }
            // A merge has put another in its place, and nothing has changed.
            Ok(false) => {
                let versions = &mut self.histories[history][shard];
                let (same, last) = (expect.ranges[shard].most - 1, versions.len() - 1);
                versions[last] = versions[same].clone();
                Ok(Flow::On)
            }
            Err(_) => Ok(Flow::Over),
        }
    }

    /// What the next epoch opens: what a kill or a close left, or a crash at some moment.
    fn next_disk(&mut self, moments: &[crate::io::sim::Moment]) {
        if self.rng.chance(4) {
            return;
        }
        // Rather one in the middle of a write: what an opening makes of a torn end is what the next epoch stands on.
        let mut nth = self.rng.below(moments.len() as u64) as usize;
        for _ in 0..3 {
            if !moments[nth].has_unsynced_bytes() {
                nth = self.rng.below(moments.len() as u64) as usize;
            }
        }
        let moment = &moments[nth];
        let expect = self.marks[moment.mark() as usize].clone();
        let (seed, ways) = (self.rng.next_u64(), crash::ways(moment));
        let (bytes, names) = ways[self.rng.below(ways.len() as u64) as usize];
        self.disk = moment.crash(seed, bytes, names);
        self.clock = Arc::new(ManualClock::new(expect.now * 1_000_000));
        self.marks.push(expect);
    }
}
