//! The next operation, by chance.

use super::machine::{Machine, SLOTS};
use super::world::World;
use super::{How, Op, Then};
use crate::naive::random::pick;
use ratite::logs::LogRetention;
use std::time::Duration;

fn how(world: &mut World) -> How {
    // As a future only where shards have threads, which a future does not run.
    pick(&mut world.rng, &[How::OneByOne, How::Batch, How::Batch, How::Try])
}

fn slot(world: &mut World) -> usize {
    world.rng.below(SLOTS as u64) as usize
}

pub fn op(world: &mut World, machine: &Machine) -> Op {
    match world.rng.below(1_000) {
        0..230 => Op::Append { recs: world.recs(14, machine.now()), how: how(world) },
        230..245 => {
            let mut ask = world.ask(&machine.naive);
            if world.rng.chance(2) {
                (ask.from, ask.to) = (None, None);
            }
            Op::Follow { slot: slot(world), ask }
        }
        245..275 => {
            Op::Followed { slot: slot(world), most: pick(&mut world.rng, &[1, 7, usize::MAX]) }
        }
        275..600 => {
            let bucket = pick(&mut world.rng, &[1, 7, 1_000, 1_000_000, 3_600_000_000]);
            Op::Ask { ask: world.ask(&machine.naive), bucket }
        }
        600..680 => {
            let mut ask = world.ask(&machine.naive);
            if world.rng.chance(3) {
                // Something that has pages.
                (ask.from, ask.to) = (None, None);
                ask.sources.clear();
                ask.tokens.truncate(usize::from(world.rng.chance(2)));
            }
            ask.limit = 1 + world.rng.below(9) as usize;
            Op::Page { slot: slot(world), ask }
        }
        680..800 => Op::Next {
            slot: slot(world),
            pages: 1 + world.rng.below(3) as usize,
            limit: pick(&mut world.rng, &[0, 1, 1, 2, 3, 5, 40, 1_000]),
        },
        800..815 => Op::Foreign { slot: slot(world), seed: world.rng.next_u64() },
        815..880 => Op::Walk {
            slot: slot(world),
            fresh: world.rng.chance(2),
            steps: 1 + world.rng.below(60),
            seed: world.rng.next_u64(),
        },
        880..890 => Op::Clock(micros(world)),
        890..896 => Op::Seal,
        896..900 => Op::Retain(rules(world, machine)),
        900..930 => Op::Flush,
        930..942 => Op::Compact,
        942..955 => Op::Reopen,
        955..980 => Op::Cut {
            after: 1 + world.rng.below(40),
            recs: world.recs(24, machine.now()),
            how: how(world),
            then: match world.rng.below(8) {
                0..4 => Then::Nothing,
                4..7 => Then::Merges,
                _ => Then::Retention(rules(world, machine)),
            },
        },
        980..990 => Op::Segments,
        _ => Op::Everything,
    }
}

/// Rules that concern some of the store, more often than not.
fn rules(world: &mut World, machine: &Machine) -> LogRetention {
    let mut rules = LogRetention::default();
    let records = machine.naive.lines.len() as u64;
    match world.rng.below(4) {
        0 => rules.records = Some(world.rng.below(records + 2)),
        1 => rules.bytes = Some(world.rng.below(64 << 10)),
        2 => {
            let line = machine.naive.lines.first();
            let ts = line.map_or(0, |line| line.rec.ts.min(machine.now()));
            rules.age = Some(Duration::from_micros(machine.now() - ts + world.rng.below(3)));
        }
        _ => {
            rules.age = Some(Duration::from_secs(world.rng.below(100_000)));
            rules.records = Some(records / 2);
        }
    }
    rules
}

/// Time goes on, and now and then back, as a clock does that is set right.
fn micros(world: &mut World) -> i64 {
    match world.rng.below(6) {
        0 => -(world.rng.below(3_600_000_000) as i64),
        1 => 1,
        2 => 86_400_000_000,
        _ => world.rng.below(5_000_000) as i64,
    }
}
