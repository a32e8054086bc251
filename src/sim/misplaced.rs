//! A disk that lies: one write of a run is lost, or lands elsewhere, though it was acknowledged and synced.
//!
//! ```text
//!   run --the n-th write is misplaced--> goes on: inserts, flushes, merges, kills, closes, openings
//!           |                                |
//!           v                                v
//!        right answers, or an error that names what is damaged, which verify finds too, or the log ends too soon (L3)
//! ```
//!
//! L1. Whatever is answered is right: a state of the history, whole in every way of asking.
//! L2. Else an error says what is damaged. If an opening, or asking behind it, meets it, `verify` finds damage on the
//!     same disk; or the next opening is right, where the lie fell into what an opening made, and nothing names that yet.
//! L3. Only the last writes of a shard's log may be missed: if the lie was one of them, or was written over them, and
//!     no write of this log behind it is there. The shard is in a state that it was in since the step of its last write
//!     of the log that is there, and of other shards all is there. No store could tell this from a crash in front of
//!     these writes: nothing speaks of them. (A manifest behind them does, and the engine has to look: what is dead by
//!     what is missing makes a state that never was. Which writes one speaks of is not held against it otherwise, since
//!     it may be asked for some steps before it is written.)

use super::Stats;
use super::check::check;
use super::history::{Expect, Range, Version};
use super::run::{Flow, Run};
use super::subject::Subject;
use super::toy::{DIR, Toy};
use crate::base::plant::{self, Bug};
use crate::io::Env;
use crate::io::sim::{Failure, Misplaced, Moment, Survivors};
use crate::maintain::{Report, verify};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes of a case, of which one is misplaced.
const WRITES: u64 = 250;
/// Steps behind it.
const STEPS: u64 = 12;

type Open = <Toy as Subject>::Open;

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

/// Where a run was, before a step of it.
struct Place {
    /// Writes so far.
    writes: usize,
    history: usize,
    /// What was durable, by shard.
    least: Vec<usize>,
}

/// A run on a disk that lies once.
struct Case {
    run: Run<Toy>,
    places: Vec<Place>,
    /// By an opening that told of the lie.
    said: String,
    /// The writes of openings. What they write again is no proof of what was written before.
    openings: Vec<std::ops::Range<usize>>,
}

impl Case {
    fn new(seed: u64, failure: Failure) -> Case {
        let mut run = Run::new(seed, Stats::default(), u64::MAX);
        let nth = 1 + run.rng.below(WRITES);
        run.disk.fail_nth(nth, failure);
        let mut case = Case { run, places: Vec::new(), said: String::new(), openings: Vec::new() };
        case.note_place();
        case
    }

    fn lie(&self) -> Option<Misplaced> {
        self.run.disk.misplaced()
    }

    fn note_place(&mut self) {
        let (writes, expect) = (self.run.disk.written_count(), self.run.expected());
        let least = expect.ranges.iter().map(|range| range.least).collect();
        self.places.push(Place { writes, history: expect.history, least });
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
            }
            self.note_place();
            let stepped = self.run.step(&open);
            let is_met = self.lie().is_some();
            match stepped {
                Ok(Flow::On) => {}
                Ok(Flow::Over(why)) | Err(why) if is_met && is_told(&why) => {
                    return self.end(open, true);
                }
                Ok(Flow::Over(why)) => return Err(format!("no damage, and yet: {why}")),
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
                open = match self.open()? {
                    Ok(open) => open,
                    Err(met) => return Ok(met),
                };
            }
        }
        self.end(open, false)
    }

    /// Ends the store, and has it opened and asked.
    fn end(&mut self, open: Open, was_told: bool) -> Result<Met, String> {
        let mut was_told = was_told;
        if self.run.rng.chance(2) {
            self.run.disk.kill();
            drop(open);
        } else if let Err(error) = self.run.close(open)? {
            let why = error.to_string();
            if self.lie().is_none() || !is_told(&why) {
                return Err(format!("closing: {why}"));
            }
            was_told = true;
        }
        Ok(match self.open()? {
            Ok(open) => {
                self.run.disk.kill();
                drop(open);
                if was_told { Met::Told } else { Met::Right }
            }
            Err(met) => met,
        })
    }

    /// Opens what is there and asks for all of it; what was met if that is not what it should be.
    fn open(&mut self) -> Result<Result<Open, Met>, String> {
        // Opening writes, and what it mends nobody need find.
        let lie = self.lie();
        let found = lie.is_some().then(|| self.run.disk.moment());
        let what = match self.open_and_ask()? {
            Err(Met::ToldWhenOpened) => self.said.clone(),
            opened => return Ok(opened),
        };
        let (moment, is_new) = match found {
            Some(moment) => (moment, false),
            None => (self.run.disk.moment(), true),
        };
        let report = self.verify(&moment);
        if report.as_ref().is_ok_and(Report::is_healthy) {
            // What was being made is named by nobody.
            let is_right = is_new && matches!(self.open_and_ask(), Ok(Ok(_)));
            if !is_right {
                return Err(format!("opening says: {what}; and verify {report:?}"));
            }
        }
        Ok(Err(Met::ToldWhenOpened))
    }

    /// What verify says of the disk as it was.
    fn verify(&mut self, moment: &Moment) -> crate::base::Result<Report> {
        let disk = moment.crash(0, Survivors::All, Survivors::All);
        let entropy = self.run.env().entropy;
        let env = Env { disk, clock: self.run.clock.clone(), entropy };
        verify::run(&env, Path::new(DIR), &self.run.subject.model(), &mut ())
    }

    /// As `open`, and leaves the text of an error in `said`.
    fn open_and_ask(&mut self) -> Result<Result<Open, Met>, String> {
        let env = self.run.env();
        let expect = self.run.expected().clone();
        let begins = self.run.disk.written_count();
        let opened = self.run.subject.open(&env).map_err(|error| error.to_string());
        self.openings.push(begins..self.run.disk.written_count());
        let is_met = self.lie().is_some();
        let open = match opened {
            Ok(open) => open,
            Err(what) if is_met && is_told(&what) => return Ok(Err(self.told(what))),
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
            return Ok(Err(self.told(what)));
        }
        // L3
        let Some(expect) = self.without_the_last_writes(&expect) else { return Err(what) };
        let checked = check(&self.run, &open, &expect, seed);
        self.run.histories.pop();
        match checked {
            Ok(_) => Ok(Err(Met::EndsSooner)),
            // What was meant for the log may have landed on a segment.
            Err(sooner) if is_met && is_told(&sooner) => Ok(Err(self.told(sooner))),
            Err(sooner) => Err(format!("{what}; nor without its last writes: {sooner}")),
        }
    }

    fn told(&mut self, what: String) -> Met {
        self.said = what;
        Met::ToldWhenOpened
    }

    /// What may be there if the last writes of a log are missed, as a history of its own, if they may be.
    fn without_the_last_writes(&mut self, expect: &Expect) -> Option<Expect> {
        let lie = self.lie()?;
        let mut history = self.run.histories[expect.history].clone();
        let mut ranges = expect.ranges.clone();
        let mut is_any = false;
        for shard in 0..ranges.len() {
            let Some(place) = self.last_proof(shard, &lie) else { continue };
            is_any = true;
            let versions = self.versions(shard, place, expect);
            ranges[shard] = Range { least: 0, most: versions.len() - 1 };
            history[shard] = versions;
        }
        if !is_any {
            return None;
        }
        self.run.histories.push(history);
        Some(Expect { history: self.run.histories.len() - 1, ranges, now: expect.now })
    }

    /// Where the run was when the last write began that is there, and proves what was there before it; `None` if the lie
    /// harms no end of this log.
    fn last_proof(&self, shard: usize, lie: &Misplaced) -> Option<&Place> {
        let dir = format!("{DIR}/shard-{shard:02}/");
        let is_of =
            |path: &Path, kind: &str| path.to_string_lossy().starts_with(&format!("{dir}{kind}"));
        let landed_on_log = lie.landed.as_ref().is_some_and(|at| is_of(&at.path, "wal-"));
        if !is_of(&lie.meant.path, "wal-") && !landed_on_log {
            return None;
        }
        let written = self.run.disk.written();
        let is_there = |nth: &usize| {
            let is_over = lie.landed.as_ref().is_some_and(|at| at.meets(&written[*nth]));
            let is_opening = self.openings.iter().any(|opening| opening.contains(nth));
            !is_opening && (*nth >= lie.nth || !is_over)
        };
        let is_log = |nth: &usize| is_of(&written[*nth].path, "wal-");
        let last = (0..written.len()).rev().filter(is_log).find(is_there);
        if last.is_some_and(|nth| nth >= lie.nth) {
            return None;
        }
        let at = |nth| self.places.iter().rposition(|place| place.writes <= nth).unwrap_or(0);
        self.places.get(last.map_or(0, at))
    }

    /// The versions of a shard since then, up to the newest that is expected.
    fn versions(&self, shard: usize, since: &Place, expect: &Expect) -> Vec<Version> {
        let mut versions: Vec<Version> = Vec::new();
        for nth in since.history..=expect.history {
            let of = &self.run.histories[nth][shard];
            let from = if nth == since.history { since.least[shard] } else { 0 };
            // An opening showed which of them counts (H2).
            let to = match self.run.histories.get(nth + 1).filter(|_| nth < expect.history) {
                Some(next) => of.iter().rposition(|version| version.hash == next[shard][0].hash),
                None => Some(expect.ranges[shard].most),
            };
            let to = to.unwrap_or(of.len() - 1);
            versions.extend_from_slice(of.get(from..=to).unwrap_or_default());
        }
        versions
    }
}

/// Plays the cases of these seeds; how often each came of it.
///
/// # Errors
/// The first wrong answer.
fn cases(seeds: std::ops::Range<u64>) -> Result<BTreeMap<Met, u64>, String> {
    let mut all = BTreeMap::new();
    let is_hunt = std::env::var("RATITE_ALL").is_ok();
    for seed in seeds {
        let failure = if seed % 2 == 0 { Failure::Lost } else { Failure::Misdirected };
        let mut case = Case::new(seed, failure);
        let met = case.play().map_err(|what| format!("seed {seed}: {what}; {:?}", case.lie()));
        if is_hunt && let Err(what) = &met {
            println!("{what}");
            continue;
        }
        *all.entry(met?).or_default() += 1;
    }
    Ok(all)
}

/// `RATITE_SEED=17` plays that one; `RATITE_CASES` says how many, from there on.
#[test]
fn a_misplaced_write_is_told_or_harms_nobody() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match (number("RATITE_SEED"), number("RATITE_CASES")) {
        (Some(seed), cases) => seed..seed + cases.unwrap_or(1),
        (None, cases) => 0..cases.unwrap_or(CASES),
    };
    let is_one = seeds.end - seeds.start == 1;
    let met = cases(seeds).unwrap_or_else(|what| panic!("{what}"));
    println!("{met:?}");
    let count = |of: Met| met.get(&of).copied().unwrap_or(0);
    let told = count(Met::Told) + count(Met::ToldWhenOpened);
    assert!(is_one || told * 10 > count(Met::Right) && count(Met::EndsSooner) < told, "{met:?}");
}

/// Cases of every run of the tests.
const CASES: u64 = 800;

/// Each from a seed on that finds it soon; `RATITE_CASES` looks from 0 on. Without the bug these cases find nothing.
#[test]
fn who_does_not_look_at_what_it_reads_is_found_out() {
    let hunted = std::env::var("RATITE_CASES").ok().and_then(|cases| cases.parse::<u64>().ok());
    for (bug, from) in [(Bug::ProofNotLookedAt, 0), (Bug::LogEndNotLookedAt, 1_430)] {
        let seeds = hunted.map_or(from..from + 60, |cases| 0..cases);
        let found = plant::with(bug, || cases(seeds)).unwrap_err();
        println!("{bug:?}: {found}");
        assert!(found.contains("Misplaced"), "found without a lie: {found}");
        assert!(hunted.is_some() || cases(from..from + 60).is_ok(), "{bug:?}");
    }
}
