//! A disk that lies: one write of a run is lost, or lands elsewhere, though it was acknowledged and synced.
//!
//! ```text
//!   run --the n-th write is misplaced--> goes on: inserts, flushes, merges, kills, closes, openings
//!           |                                |
//!           v                                v
//!        right answers, or an error that names a file, which verify names too, or the log ends before its last write
//! ```
//!
//! L1. Whatever is answered is right: a state of the history, whole in every way of asking.
//! L2. Else an error says what is damaged. If that is met on an opening, `verify` finds it in the same files.
//! L3. Only what nothing was written behind of may be missed: the last writes of a log.

use super::Stats;
use super::check::check;
use super::history::{Expect, Range, Version};
use super::run::{Flow, Run};
use super::subject::Subject;
use super::toy::{DIR, Toy};
use crate::base::plant::{self, Bug};
use crate::io::Env;
use crate::io::sim::{Failure, Misplaced, Survivors};
use crate::maintain::verify;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes of a case, of which one is misplaced.
const WRITES: u64 = 250;
/// Steps behind it.
const STEPS: u64 = 12;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Met {
    /// The run ended before.
    Nothing,
    /// All is right.
    Right,
    /// The running store says so.
    Told,
    /// Opening, or asking behind it, says so.
    ToldWhenOpened,
    /// The log ends sooner.
    EndsSooner,
}

/// Whether a text is that of an error which names what is damaged.
fn is_told(text: &str) -> bool {
    let damage = ["is damaged at byte", "has format version", "was created with"];
    text.contains(DIR) && damage.iter().any(|what| text.contains(what))
}

/// A run on a disk that lies once.
struct Case {
    run: Run<Toy>,
    /// What each shard may have lost if the last write of its log is missed: its version some steps before the lie.
    floors: Vec<Vec<usize>>,
}

impl Case {
    fn new(seed: u64, failure: Failure) -> Case {
        let mut run = Run::new(seed, Stats::default(), u64::MAX);
        let nth = 1 + run.rng.below(WRITES);
        run.disk.fail_nth(nth, failure);
        Case { run, floors: Vec::new() }
    }

    fn lie(&self) -> Option<Misplaced> {
        self.run.disk.misplaced()
    }

    /// All of it.
    fn play(&mut self) -> Result<Met, String> {
        let mut left = STEPS;
        let mut open = match self.open()? {
            Ok(open) => open,
            Err(met) => return Ok(met),
        };
        while left > 0 {
            if self.lie().is_some() {
                left -= 1;
            } else {
                let ranges = &self.run.expected().ranges;
                self.floors.push(ranges.iter().map(|range| range.most).collect());
            }
            let stepped = self.run.step(&open);
            let is_met = self.lie().is_some();
            match stepped {
                Ok(Flow::On) => {}
                Ok(Flow::Over(_)) if is_met => return self.end(open, true),
                Ok(Flow::Over(why)) => return Err(format!("nothing had failed, and yet: {why}")),
                Err(what) if is_met && is_told(&what) => return self.end(open, true),
                Err(what) => return Err(what),
            }
            if self.run.disk.writes_and_syncs() > 20 * WRITES {
                return Ok(Met::Nothing);
            }
            if self.run.rng.chance(9) {
                match self.end(open, false)? {
                    Met::Right => {}
                    met => return Ok(met),
                }
                self.floors.clear();
                open = match self.open()? {
                    Ok(open) => open,
                    Err(met) => return Ok(met),
                };
            }
        }
        self.end(open, false)
    }

    /// Ends the store, and has it opened and asked on a copy of the disk.
    fn end(&mut self, open: <Toy as Subject>::Open, was_told: bool) -> Result<Met, String> {
        let is_over = if self.run.rng.chance(2) {
            self.run.disk.kill();
            drop(open);
            false
        } else {
            self.run.close(open)?.is_err()
        };
        if is_over && self.lie().is_none() {
            return Err("closing failed, and nothing had failed".into());
        }
        // Opening writes, and what it mends nobody need find.
        let copy = self.run.disk.moment().crash(0, Survivors::All, Survivors::All);
        let met = match self.open()? {
            Ok(open) => {
                self.run.disk.kill();
                drop(open);
                if was_told || is_over { Met::Told } else { Met::Right }
            }
            Err(met) => met,
        };
        if met == Met::ToldWhenOpened {
            let entropy = self.run.env().entropy;
            let env = Env { disk: copy, clock: self.run.clock.clone(), entropy };
            let model = self.run.subject.model();
            let report = verify::run(&env, Path::new(DIR), &model, &mut ());
            if report.as_ref().is_ok_and(|report| report.is_healthy()) {
                return Err(format!("opening says that it is damaged, and verify {report:?}"));
            }
        }
        Ok(met)
    }

    /// Opens what is there and asks for all of it; what was met if that is not what it should be.
    fn open(&mut self) -> Result<Result<<Toy as Subject>::Open, Met>, String> {
        let env = self.run.env();
        let expect = self.run.expected().clone();
        // What opening writes again is no proof of what was written before.
        let lie = self.lie();
        let opened = self.run.subject.open(&env).map_err(|error| error.to_string());
        let lie = lie.or_else(|| self.lie());
        let is_met = lie.is_some();
        let open = match opened {
            Ok(open) => open,
            Err(what) if is_met && is_told(&what) => return Ok(Err(Met::ToldWhenOpened)),
            Err(what) => return Err(format!("opening: {what}")),
        };
        let seed = self.run.rng.next_u64();
        let what = match check(&self.run, &open, &expect, seed) {
            Ok(at) => {
                self.run.begin_history(&expect, &at);
                return Ok(Ok(open));
            }
            Err(what) => what,
        };
        if is_met && is_told(&what) {
            return Ok(Err(Met::ToldWhenOpened));
        }
        // L3
        let mut may_be = self.without_the_last_writes(&expect, lie).into_iter();
        match may_be.any(|expect| check(&self.run, &open, &expect, seed).is_ok()) {
            true => Ok(Err(Met::EndsSooner)),
            false => Err(format!("after {:?}: {what}", self.lie())),
        }
    }

    /// What may be there if the last writes of a log are missed, if the lie was one of them, or fell on one.
    fn without_the_last_writes(&self, expect: &Expect, lie: Option<Misplaced>) -> Vec<Expect> {
        let Some(lie) = lie else { return Vec::new() };
        let is_missed = |shard: usize| {
            let of = format!("/shard-{shard:02}/wal-");
            let is_log = |path: &Path| path.to_string_lossy().contains(&of);
            let landed = lie.landed.as_ref().is_some_and(|(path, _)| is_log(path));
            (is_log(&lie.path) || landed) && !lie.later.keys().any(|path| is_log(path))
        };
        // Of earlier histories it is enough that nothing was written since.
        let with_least = |history: usize, least: &dyn Fn(usize) -> usize| {
            let mut expect = Expect { history, ..expect.clone() };
            for (shard, range) in expect.ranges.iter_mut().enumerate() {
                if is_missed(shard) {
                    range.least = least(shard);
                }
                range.most = range.most.min(self.run.histories[history][shard].len() - 1);
            }
            expect
        };
        let floor = self.floors.len().checked_sub(2).map(|nth| &self.floors[nth]);
        let all = |history: usize| {
            let most = |of: &Vec<Version>| Range { least: 0, most: of.len() - 1 };
            let ranges = self.run.histories[history].iter().map(most).collect();
            Expect { history, ranges, now: expect.now }
        };
        match floor {
            _ if !(0..expect.ranges.len()).any(is_missed) => Vec::new(),
            Some(floor) => vec![with_least(expect.history, &|shard| floor[shard])],
            None => (0..=expect.history).rev().map(all).collect(),
        }
    }
}

/// Plays the cases of these seeds; how often each came of it.
///
/// # Errors
/// The first wrong answer.
fn cases(seeds: std::ops::Range<u64>) -> Result<BTreeMap<Met, u64>, String> {
    let mut all = BTreeMap::new();
    for seed in seeds {
        let failure = if seed % 2 == 0 { Failure::Lost } else { Failure::Misdirected };
        let mut case = Case::new(seed, failure);
        let met = case.play().map_err(|what| {
            let lie = case.lie();
            format!("seed {seed} ({}): {what}; {lie:?}", case.run.at)
        })?;
        *all.entry(met).or_default() += 1;
    }
    Ok(all)
}

/// `RATITE_SEED=17` plays that one; `RATITE_CASES` says how many.
#[test]
fn a_misplaced_write_is_told_or_harms_nobody() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match (number("RATITE_SEED"), number("RATITE_CASES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, cases) => 0..cases.unwrap_or(2_000),
    };
    let is_one = seeds.end - seeds.start == 1;
    let met = cases(seeds).unwrap_or_else(|what| panic!("{what}"));
    println!("{met:?}");
    let count = |of: Met| met.get(&of).copied().unwrap_or(0);
    let told = count(Met::Told) + count(Met::ToldWhenOpened);
    assert!(is_one || told * 10 > count(Met::Right) && count(Met::EndsSooner) < told, "{met:?}");
}

#[test]
fn who_does_not_look_at_what_it_reads_is_found_out() {
    for bug in [Bug::TornTailReadOn, Bug::NoCrcOnEntries] {
        let found = plant::with(bug, || cases(0..2_000)).unwrap_err();
        println!("{bug:?}: {found}");
    }
}
