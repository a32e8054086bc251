//! The whole engine on a simulated disk and clock: a run is recorded once and cut off everywhere.
//!
//! ```text
//!   seed --> run.rs: open, deeds, flushes, merges, drops, mishaps, close ...   the oracle: history.rs
//!                |         |          |        (disk records moments: io/sim/record.rs)
//!                v         v          v
//!            crash.rs: each moment, in each way --> open --> check.rs --> counted once for each image
//!                                                    |  |  |
//!                                  crash in recovery +  |  + chain.rs: a few steps more, and a crash
//!                                                       + crash right after it
//!            one of the crashed disks --> the next epoch of the run
//! ```
//!
//! Reading order: `subject` (what is simulated), `toy` (the engine's own model; `nostr` and `logs` are the others),
//! `history`, `run`, `deeds`, `crash`, `chain`, `check`.
//!
//! S1. A seed decides everything, on one thread: two runs of it do the same to the disk, byte for byte.
//! S2. A state is an image of the disk, by hash. One that was met before, in a run, is held against what was found
//!     then, and not counted.

mod chain;
mod check;
mod crash;
mod deeds;
mod history;
#[cfg(feature = "logs")]
mod logs;
#[cfg(test)]
mod misplaced;
#[cfg(feature = "nostr")]
mod nostr;
#[cfg(test)]
mod planted;
mod run;
mod subject;
#[cfg(test)]
mod tests;
mod toy;

use crate::io::threads;
use run::Run;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use subject::Subject;

/// What was simulated.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Images that were opened and checked.
    pub states: u64,
    /// Of those, what a crash inside recovery left.
    pub in_recovery: u64,
    /// Of those, what a crash right after recovery left.
    pub after_recovery: u64,
    /// Of those, what a crash left of a store that had gone on after a crash.
    pub in_chains: u64,
    /// Openings that a failing disk refused, and that went well when it failed no more.
    pub refused: u64,
    /// Images that were met before.
    pub repeated: u64,
    /// Runs.
    pub seeds: u64,
    /// Deeds of all runs.
    pub deeds: u64,
    /// What happened in the recorded runs: flushes, merges, drops of segments, mishaps.
    pub flushes: u64,
    pub merges: u64,
    pub drops: u64,
    pub mishaps: u64,
    /// Of all that was done to any disk.
    pub io_hash: u64,
}

/// What does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The model, which is also the name of its test.
    pub model: &'static str,
    pub seed: u64,
    /// Where in the run, and how it was cut off.
    pub place: String,
    pub what: String,
    /// Up to there.
    pub stats: Stats,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { model, seed, place, what, stats } = self;
        writeln!(f, "seed {seed} failed after {} states: {place}: {what}", stats.states)?;
        write!(f, "again: RATITE_SEED={seed} cargo test --lib sim::tests::{model} -- --nocapture")
    }
}

impl Stats {
    /// Of two hunts together.
    pub fn and(self, other: Stats) -> Stats {
        Stats {
            states: self.states + other.states,
            in_recovery: self.in_recovery + other.in_recovery,
            after_recovery: self.after_recovery + other.after_recovery,
            in_chains: self.in_chains + other.in_chains,
            refused: self.refused + other.refused,
            repeated: self.repeated + other.repeated,
            seeds: self.seeds + other.seeds,
            deeds: self.deeds + other.deeds,
            flushes: self.flushes + other.flushes,
            merges: self.merges + other.merges,
            drops: self.drops + other.drops,
            mishaps: self.mishaps + other.mishaps,
            io_hash: self.io_hash ^ other.io_hash,
        }
    }
}

/// Simulates the toy from these seeds, on the calling thread, until `states_max` states were checked.
///
/// # Errors
/// The first failure.
pub fn hunt(seeds: Range<u64>, states_max: u64) -> Result<Stats, Box<Failure>> {
    hunt_in::<toy::Toy>(seeds, states_max)
}

/// As [`hunt`], of any model.
///
/// # Errors
/// As [`hunt`].
pub fn hunt_in<S: Subject>(seeds: Range<u64>, states_max: u64) -> Result<Stats, Box<Failure>> {
    let mut stats = Stats::default();
    for seed in seeds {
        if stats.states >= states_max {
            break;
        }
        let mut run = Run::<S>::new(seed, stats, states_max);
        let ended = catch_unwind(AssertUnwindSafe(|| run.epochs()));
        let failed = match ended {
            Ok(Ok(())) => None,
            Ok(Err(what)) => Some(what),
            Err(panic) => Some(format!("panicked: {}", threads::message(&*panic))),
        };
        stats = run.stats;
        if let Some(what) = failed {
            return Err(Box::new(Failure {
                model: S::NAME,
                seed,
                place: run.place(),
                what,
                stats,
            }));
        }
        stats.seeds += 1;
    }
    Ok(stats)
}
