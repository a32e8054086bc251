//! Log stores against a list: everything that can be done to one and asked of one, by seed.
//!
//! ```text
//!   seed --draw--> Op --apply--> Machine: LogStore on a simulated disk, a Vec ----- differ?
//!            \-----> history ------------------------------------------------------- shorten, print
//! ```
//!
//! A life is a store from empty to its last operation. A seed decides all of it: the machine, the operations, where the
//! power fails. Beside it: a disk that is full, one that is slow, the layer for `tracing`.
//!
//! I1. An operation is data: what was drawn is applied again, whole or in part, without a look at answers.
#![allow(clippy::print_stderr, reason = "progress, and what a failing test has to say")]

mod apply;
mod ask;
mod cuts;
mod draw;
#[cfg(test)]
mod gate;
#[cfg(all(test, feature = "tracing-layer"))]
mod layer;
mod machine;
mod naive;
mod parts;
#[cfg(test)]
mod slow;
mod world;

use crate::million::shorten;
use crate::naive::random::pick;
use crate::replay;
use machine::Machine;
use naive::{Ask, Rec};
use ratite::io::{Clock, Rng, SystemClock};
use ratite::logs::LogRetention;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use world::World;

/// How records are handed over.
#[derive(Clone, Copy, Debug)]
enum How {
    OneByOne,
    Batch,
    Try,
    Async,
    BatchAsync,
}

/// What follows on records whose power fails.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    /// A flush, and merges.
    Merges,
    Retention(LogRetention),
}

/// What is done to a store, or asked of it.
#[derive(Clone, Debug)]
enum Op {
    Append {
        recs: Vec<Rec>,
        how: How,
    },
    /// Searched, counted, and counted by buckets of so many microseconds.
    Ask {
        ask: Ask,
        bucket: u64,
    },
    /// Read in pages of the ask's limit, from now on.
    Page {
        slot: usize,
        ask: Ask,
    },
    /// So many more pages, of so many records each.
    Next {
        slot: usize,
        pages: usize,
        limit: usize,
    },
    /// A token that is damaged, or of another question.
    Foreign {
        slot: usize,
        seed: u64,
    },
    /// A cursor, opened now or earlier, goes so many steps.
    Walk {
        slot: usize,
        fresh: bool,
        steps: u64,
        seed: u64,
    },
    /// Microseconds forward, or back.
    Clock(i64),
    /// From the stored records on, and whatever comes.
    Follow {
        slot: usize,
        ask: Ask,
    },
    /// So many of what a follower has to be given, or all.
    Followed {
        slot: usize,
        most: usize,
    },
    Segments,
    Seal,
    Retain(LogRetention),
    Flush,
    Compact,
    Reopen,
    /// The power fails after so many writes and syncs, if they become so many.
    Cut {
        after: u64,
        recs: Vec<Rec>,
        how: How,
        then: Then,
    },
    /// Compares all that is stored.
    Everything,
}

impl Op {
    /// How many operations that is: each record is one.
    fn count(&self) -> u64 {
        match self {
            Op::Append { recs, .. } | Op::Cut { recs, .. } => recs.len().max(1) as u64,
            Op::Walk { steps, .. } => steps / 4 + 1,
            _ => 1,
        }
    }

    fn recs(&mut self) -> Option<&mut Vec<Rec>> {
        match self {
            Op::Append { recs, .. } | Op::Cut { recs, .. } => Some(recs),
            _ => None,
        }
    }
}

/// One store, until so many operations are done; how many they were.
fn life(test: &str, seed: u64, operations: u64) -> u64 {
    let mut history = Vec::new();
    let mut done = 0;
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut machine = Machine::new(seed);
        let mut world = World::new(seed);
        while done < operations {
            let op = draw::op(&mut world, &machine);
            history.push(op.clone());
            machine.apply(&op);
            done += op.count();
        }
        for op in [Op::Reopen, Op::Everything] {
            history.push(op.clone());
            machine.apply(&op);
        }
    }));
    if let Err(panic) = lived {
        report(test, seed, &history);
        resume_unwind(panic);
    }
    done
}

/// Operations that one input spells, at most.
const SPELLED_MAX: usize = 60;

/// One store through the operations that `bytes` spell: the first byte is the seed of the machine, and each three that
/// follow are the seed of an operation, so that an operation is changed, moved or left out by itself. For fuzzing.
///
/// # Panics
/// If store and list differ.
pub fn spelled(bytes: &[u8]) {
    let Some((seed, operations)) = bytes.split_first() else { return };
    let mut machine = Machine::new((*seed).into());
    let mut world = World::new((*seed).into());
    for three in operations.chunks(3).take(SPELLED_MAX) {
        world.rng = Rng::new(three.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        let op = draw::op(&mut world, &machine);
        machine.apply(&op);
    }
    machine.apply(&Op::Reopen);
    machine.apply(&Op::Everything);
}

#[test]
fn operations_on_logs_that_bytes_spell_answer_as_a_list_does() {
    let test = "operations_on_logs_that_bytes_spell_answer_as_a_list_does";
    replay::each_seed(test, 0..120, |seed| spelled(&replay::bytes(seed, 3 * SPELLED_MAX)));
}

const SPELLED: &str = "a_hundred_thousand_inputs_spell_operations_on_logs";

/// `RATITE_RUNS` inputs (100,000 if it says nothing), of the seeds from `RATITE_SEED` on.
#[test]
#[ignore = "takes a quarter of an hour"]
fn a_hundred_thousand_inputs_spell_operations_on_logs() {
    let input = |seed| replay::bytes(seed, 3 * SPELLED_MAX);
    replay::for_runs(SPELLED, 100_000, |seed| spelled(&input(seed)));
}

/// What can be left out of a history: an operation, or a record of one.
type Atom = (usize, usize);

fn atoms(history: &[Op]) -> Vec<Atom> {
    let of = |(at, op): (usize, &Op)| {
        let records = op.clone().recs().map_or(1, |recs| recs.len());
        (0..records).map(move |i| (at, i))
    };
    history.iter().enumerate().flat_map(of).collect()
}

/// The operations of which something is left.
fn built(history: &[Op], atoms: &[Atom]) -> Vec<Op> {
    let build = |atoms: &[Atom]| {
        let mut op = history[atoms[0].0].clone();
        if let Some(recs) = op.recs() {
            let left = atoms.iter().map(|(_, i)| recs[*i].clone()).collect();
            *recs = left;
        }
        op
    };
    atoms.chunk_by(|a, b| a.0 == b.0).map(build).collect()
}

/// Prints a shortened history of the failure of `test`.
fn report(test: &str, seed: u64, history: &[Op]) {
    let short = shorten::quietly(|| {
        let mut atoms = atoms(history);
        shorten::shorten(&mut atoms, |atoms| {
            let run = || {
                let mut machine = Machine::new(seed);
                built(history, atoms).iter().for_each(|op| machine.apply(op));
            };
            catch_unwind(AssertUnwindSafe(run)).is_err()
        });
        built(history, &atoms)
    });
    eprintln!("{test}, seed {seed}: {} steps fail, shortened to {}:", history.len(), short.len());
    for op in short.iter().rev().take(shorten::LINES).rev() {
        eprintln!("  {}", shorten::cut(&format!("{op:?}"), 900));
    }
}

const SHORT: &str = "a_log_store_through_everything_answers_as_a_list_does";

#[test]
fn a_log_store_through_everything_answers_as_a_list_does() {
    replay::each_seed(SHORT, 0..40, |seed| {
        life(SHORT, seed, 1_500);
    });
}

const LONG: &str = "a_million_operations_on_logs";

/// `RATITE_OPERATIONS` (a million if it says nothing), in lives of the seeds from `RATITE_SEED` on.
#[test]
#[ignore = "takes an hour"]
fn a_million_operations_on_logs() {
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    let operations = replay::number("RATITE_OPERATIONS").unwrap_or(1_000_000);
    let first = replay::seed().unwrap_or_else(|| clock.unix_micros());
    let mut done = 0;
    for seed in first.. {
        // What is asked for may be less than a life, which its seed alone decides.
        let length = pick(&mut Rng::new(seed), &[1_000, 3_000, 3_000, 10_000]);
        replay::named(&format!("{LONG} -- --ignored"), seed, &|seed| {
            life(LONG, seed, length);
        });
        done += length;
        let seconds = (clock.monotonic_nanos() - start) / 1_000_000_000;
        eprintln!("seed {seed}: {done} of {operations} operations passed in {seconds} s");
        if done >= operations {
            break;
        }
    }
}
