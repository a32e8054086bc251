//! Everything at once, by seed: one store through thousands of operations of every kind, against a list.
//!
//! ```text
//!   seed --draw--> Op --apply--> Machine: the store, another one, a list for each ----- differ?
//!            \-----> history ------------------------------------------------------------ shorten, print
//! ```
//!
//! A life is a store from empty to its last operation. A seed decides all of it: how many shards, which operations,
//! where the power fails.
//!
//! I1. An operation is data: what was drawn is applied again, whole or in part, without a look at answers.
#![allow(clippy::print_stderr, reason = "progress, and what a failing test has to say")]

mod apply;
mod cuts;
mod draw;
mod machine;
pub mod shorten;

use crate::naive::Ask;
use crate::naive::Ev;
use crate::naive::random::{World, pick};
use crate::replay;
use machine::Machine;
use ratite::io::{Clock, Rng, SystemClock};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// What is done to a store, or asked of it.
#[derive(Clone)]
enum Op {
    /// All handed over before the first answer is waited for; `also` to the other store.
    Insert {
        events: Vec<Arc<Ev>>,
        also: bool,
    },
    /// In some order, now and then counted and explained.
    Ask {
        asks: Vec<Ask>,
        seed: u64,
    },
    /// Some of these have words.
    Search {
        asks: Vec<Ask>,
        seed: u64,
    },
    Get(Arc<Ev>),
    /// The items of both stores, and what the protocol finds to differ, with frames of so many bytes.
    Items {
        asks: Vec<Ask>,
        frame: usize,
    },
    /// How many authors.
    Registers(Ask),
    /// Seconds forward, or back.
    Clock(i64),
    Sweep,
    Flush,
    Compact,
    Reopen,
    /// The power fails after so many writes and syncs, if they become so many; then a flush and merges, if asked for.
    Cut {
        after: u64,
        events: Vec<Arc<Ev>>,
        merges: bool,
    },
    /// To so many shards; with a cut on the way if it is not 0.
    Reshard {
        shards: usize,
        after: u64,
    },
    /// To a backup, and on from what is restored of it.
    Restore,
    /// Compares all that both stores hold.
    Everything,
}

impl Op {
    /// How many operations that is: each event is one.
    fn count(&self) -> u64 {
        match self {
            Op::Insert { events, .. } | Op::Cut { events, .. } => events.len().max(1) as u64,
            _ => 1,
        }
    }
}

/// What was done, by kind.
#[derive(Default)]
struct Tally {
    operations: u64,
    inserts: u64,
    questions: u64,
    cuts: u64,
    copies: u64,
}

impl Tally {
    fn add(&mut self, op: &Op) {
        self.operations += op.count();
        match op {
            Op::Insert { .. } => self.inserts += op.count(),
            Op::Cut { .. } => {
                self.inserts += op.count();
                self.cuts += 1;
            }
            Op::Reshard { .. } | Op::Restore => self.copies += 1,
            Op::Clock(_) | Op::Sweep | Op::Flush | Op::Compact | Op::Reopen => {}
            _ => self.questions += 1,
        }
    }
}

/// One store, until so many operations are done.
fn life(test: &str, seed: u64, operations: u64, tally: &mut Tally) {
    let mut history = Vec::new();
    let end = tally.operations + operations;
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut machine = Machine::new(seed);
        let mut world = World::full(seed, machine.now());
        while tally.operations < end {
            let op = draw::op(&mut world, &machine);
            history.push(op.clone());
            machine.apply(&op);
            tally.add(&op);
        }
        machine.apply(&Op::Reopen);
        machine.apply(&Op::Everything);
    }));
    if let Err(panic) = lived {
        shorten::report(test, seed, &history);
        resume_unwind(panic);
    }
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
    let mut world = World::full((*seed).into(), machine.now());
    for three in operations.chunks(3).take(SPELLED_MAX) {
        world.rng = Rng::new(three.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        let op = draw::op(&mut world, &machine);
        machine.apply(&op);
    }
    machine.apply(&Op::Reopen);
    machine.apply(&Op::Everything);
}

#[test]
fn operations_that_bytes_spell_answer_as_a_list_does() {
    let test = "operations_that_bytes_spell_answer_as_a_list_does";
    replay::each_seed(test, 0..120, |seed| spelled(&replay::bytes(seed, 3 * SPELLED_MAX)));
}

const SPELLED: &str = "a_hundred_thousand_inputs_spell_operations";

/// `RATITE_RUNS` inputs (100,000 if it says nothing), of the seeds from `RATITE_SEED` on.
#[test]
#[ignore = "takes a quarter of an hour"]
fn a_hundred_thousand_inputs_spell_operations() {
    let input = |seed| replay::bytes(seed, 3 * SPELLED_MAX);
    replay::for_runs(SPELLED, 100_000, |seed| spelled(&input(seed)));
}

const SHORT: &str = "one_store_through_everything_answers_as_a_list_does";

#[test]
fn one_store_through_everything_answers_as_a_list_does() {
    replay::each_seed(SHORT, 0..40, |seed| life(SHORT, seed, 1_500, &mut Tally::default()));
}

const LONG: &str = "a_million_operations_answer_as_a_list_does";

/// `RATITE_OPERATIONS` (a million if it says nothing), in lives of the seeds from `RATITE_SEED` on.
#[test]
#[ignore = "takes an hour"]
fn a_million_operations_answer_as_a_list_does() {
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    let operations = replay::number("RATITE_OPERATIONS").unwrap_or(1_000_000);
    let first = replay::seed().unwrap_or_else(|| clock.unix_micros());
    let mut tally = Tally::default();
    for seed in first.. {
        // What is asked for may be less than a life, which its seed alone decides.
        let length = pick(&mut Rng::new(seed), &[1_000, 3_000, 3_000, 10_000]);
        replay::named(&format!("{LONG} -- --ignored"), seed, &|seed| {
            let mut life_tally = Tally::default();
            life(LONG, seed, length, &mut life_tally);
            eprintln!(
                "seed {seed}: {} operations, of them {} inserts, {} questions, {} cuts, {} copies",
                life_tally.operations,
                life_tally.inserts,
                life_tally.questions,
                life_tally.cuts,
                life_tally.copies
            );
        });
        tally.operations += length;
        let seconds = (clock.monotonic_nanos() - start) / 1_000_000_000;
        eprintln!("{} of {operations} operations passed in {seconds} s", tally.operations);
        if tally.operations >= operations {
            break;
        }
    }
}
