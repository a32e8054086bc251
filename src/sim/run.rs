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
use super::crash::Way;
use super::history::{Expect, History, Range, Rows, Version};
use super::subject::Subject;
use super::{Stats, crash};
use crate::base::{Error, hash64};
use crate::io::{Clock, Env, Faults, ManualClock, Rng, SeededEntropy, SimDisk};
use std::collections::HashMap;
use std::fmt;
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
    pub states_max: u64,
    pub stats: Stats,
    /// Where it is, from the outside in.
    pub at: Vec<At>,
    /// What each shard holds.
    pub rows: Vec<Rows>,
    /// Since the last history began, a deed of several steps has failed, which may be done in part.
    pub is_unsure: bool,
}

/// A place in a run. It is made for every crash and told after a failure only.
#[derive(Clone, Copy)]
pub enum At {
    Opening,
    Step(u64),
    End,
    /// A moment of so many, and what survived.
    Moment(usize, usize, Way),
    /// Inside the recovery from what is before it.
    Recovery(Way),
    /// Right after that recovery.
    Recovered,
    /// That store goes on, with this step.
    GoesOn(u64),
    /// Cut off while it went on.
    WentOn(Way),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Opening => write!(f, "opening"),
            At::Step(step) => write!(f, "step {step} of the run"),
            At::End => write!(f, "the end of the run"),
            At::Moment(nth, of, (bytes, names)) => {
                write!(f, "cut off at moment {nth} of {of}, ")?;
                write!(f, "with {bytes:?} of the bytes and {names:?} of the names")
            }
            At::Recovery((bytes, names)) => write!(f, "in recovery, with {bytes:?} and {names:?}"),
            At::Recovered => write!(f, "recovered and cut off right after"),
            At::GoesOn(step) => write!(f, "in step {step} of going on"),
            At::WentOn((bytes, names)) => {
                write!(f, "gone on with, and cut off with {bytes:?} and {names:?}")
            }
        }
    }
}

/// How an epoch went on after a step.
pub enum Flow {
    On,
    /// The store takes no more, and says why.
    Over(String),
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
            states_max,
            stats,
            at: Vec::new(),
            rows: vec![Rows::new(); shards],
            is_unsure: false,
        }
    }

    pub fn place(&self) -> String {
        let at: Vec<String> = self.at.iter().map(At::to_string).collect();
        format!("epoch {}, {}", self.epoch, at.join(", "))
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

    pub fn mark(&mut self, expect: Expect) {
        if *self.expected() != expect {
            self.marks.push(expect);
        }
        self.disk.mark(self.marks.len() as u64 - 1);
    }

    /// The machine of the run itself.
    pub fn env(&mut self) -> Env {
        let entropy = Arc::new(SeededEntropy::new(self.rng.next_u64()));
        Env { disk: self.disk.clone(), clock: self.clock.clone(), entropy }
    }

    pub fn now(&self) -> u64 {
        self.clock.unix_micros() / 1_000_000
    }

    /// One epoch, from its opening to its end.
    fn epoch_on_disk(&mut self) -> Result<(), String> {
        self.at = vec![At::Opening];
        let mut open = self.open()?;
        let steps = STEPS / 2 + self.rng.below(STEPS);
        let mishap = if self.rng.chance(3) { self.rng.below(steps) } else { steps };
        for step in 0..steps {
            self.at = vec![At::Step(step)];
            if step == mishap {
                self.begin_mishap();
            }
            match self.step(&open)? {
                Flow::On => {}
                Flow::Over(_) if mishap <= step => break,
                Flow::Over(why) => return Err(format!("nothing had failed, and yet: {why}")),
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
        self.at = vec![At::End];
        self.count(&open);
        self.end_mishap();
        if self.rng.chance(2) {
            crash::kill::<S>(&self.disk, open);
        } else {
            // It may be poisoned, or not.
            let _closed = self.close(open)?;
        }
        Ok(())
    }

    /// Opens what is there, and begins a history with it.
    fn open(&mut self) -> Result<S::Open, String> {
        let env = self.env();
        let open = self.subject.open(&env).map_err(|error| format!("opening: {error}"))?;
        let expect = self.expected().clone();
        let at = check(self, &open, &expect, 0)?;
        files(&self.disk, S::store(&open))?;
        self.begin_history(&expect, &at);
        Ok(open)
    }

    /// What was found of each shard, of what was expected, is where the next history begins (H2).
    pub fn begin_history(&mut self, expect: &Expect, at: &[usize]) {
        let history = &self.histories[expect.history];
        let found: Vec<Version> = history.iter().zip(at).map(|(of, &at)| of[at].clone()).collect();
        self.rows = found.iter().map(|version| Rows::clone(&version.rows)).collect();
        self.histories.push(found.into_iter().map(|version| vec![version]).collect());
        let ranges = vec![Range { least: 0, most: 0 }; at.len()];
        let history = self.histories.len() - 1;
        self.is_unsure = false;
        self.mark(Expect { history, ranges, now: self.now() });
    }

    /// What all shards' deeds so far are as durable as.
    fn all_durable(&mut self) {
        if self.is_unsure {
            return;
        }
        let mut expect = self.expected().clone();
        expect.ranges.iter_mut().for_each(|range| range.least = range.most);
        self.mark(expect);
    }

    pub fn close(&mut self, open: S::Open) -> Result<Result<(), Error>, String> {
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

    pub fn count(&mut self, open: &S::Open) {
        for shard in S::store(open).stats() {
            self.stats.flushes += shard.flushes;
            self.stats.merges += shard.compactions;
        }
    }

    pub fn begin_mishap(&mut self) {
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

    pub fn end_mishap(&mut self) {
        let names_any_subset = self.disk.faults().names_any_subset;
        self.disk.set_faults(Faults { names_any_subset, ..Faults::default() });
    }

    pub fn step(&mut self, open: &S::Open) -> Result<Flow, String> {
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
        Ok(done.map_or_else(|error| Flow::Over(error.to_string()), |()| Flow::On))
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
