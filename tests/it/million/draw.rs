//! The next operation, by chance.

use super::Op;
use super::machine::Machine;
use crate::naive::random::{World, pick};
use crate::naive::{Ask, Ev, words};
use std::sync::Arc;

fn events(world: &mut World, most: u64) -> Vec<Arc<Ev>> {
    (0..1 + world.rng.below(most)).map(|_| world.event()).collect()
}

pub fn op(world: &mut World, machine: &Machine) -> Op {
    world.requests = Some(machine.now());
    match world.rng.below(1_000) {
        0..200 => Op::Insert { events: events(world, 12), also: world.rng.chance(2) },
        200..690 => Op::Ask { asks: world.query(machine.naive()), seed: world.rng.next_u64() },
        690..780 => Op::Search { asks: searches(world, machine), seed: world.rng.next_u64() },
        780..830 => match world.any() {
            Some(ev) => Op::Get(ev),
            None => Op::Everything,
        },
        830..880 => {
            let mut asks = world.query(machine.naive());
            // Of several filters with limits, the largest counts for all.
            if asks.len() > 1 {
                asks.iter_mut().for_each(|ask| ask.limit = None);
            }
            Op::Items { asks, frame: pick(&mut world.rng, &[0, 60_000]) }
        }
        880..905 => registers(world, machine),
        905..930 => Op::Clock(seconds(world)),
        930..937 => Op::Sweep,
        937..948 => Op::Flush,
        948..954 => Op::Compact,
        954..960 => Op::Reopen,
        960..975 => Op::Cut {
            after: 1 + world.rng.below(40),
            events: events(world, 20),
            merges: world.rng.chance(3),
        },
        975..978 => Op::Reshard {
            shards: pick(&mut world.rng, &[1, 2, 4]),
            after: if world.rng.chance(2) { 0 } else { 1 + world.rng.below(80) },
        },
        978..981 => Op::Restore,
        _ => Op::Everything,
    }
}

/// Time goes on, and now and then back, as a clock does that is set right.
fn seconds(world: &mut World) -> i64 {
    match world.rng.below(6) {
        0 => -(world.rng.below(8) as i64),
        1 => 1,
        2 => pick(&mut world.rng, &[60, 300, 2_000_000]),
        _ => world.rng.below(20) as i64,
    }
}

fn searches(world: &mut World, machine: &Machine) -> Vec<Ask> {
    let mut asks = world.query(machine.naive());
    for (i, ask) in asks.iter_mut().enumerate() {
        if i > 0 && world.rng.chance(2) {
            continue;
        }
        // Alone as a rule, since few events have all of it.
        if !world.rng.chance(3) {
            *ask = Ask::default();
        }
        ask.search = Some(match world.rng.chance(20) {
            true => "language:en".into(),
            false => words::search(&mut world.rng),
        });
        ask.limit = None;
    }
    asks
}

fn registers(world: &mut World, machine: &Machine) -> Op {
    let mut asks = world.query(machine.naive());
    let mut ask = asks.remove(0);
    for other in asks {
        ask = if other.tags.is_empty() { ask } else { other };
    }
    if !world.rng.chance(4) {
        ask.tags.truncate(1);
        ask.tags.iter_mut().for_each(|(_, values)| values.truncate(1));
    }
    Op::Registers(ask)
}
