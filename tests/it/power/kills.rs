//! The end of the process in every mode, and power loss where writes are synced later.

use super::ledger::Loss;
use super::{Ledger, MODES, Machine, options};
use crate::naive::random::{World, pick};
use crate::replay;
use ratite::nostr::EventStore;
use ratite::shard::SyncMode;
use std::time::Duration;

fn kills(seed: u64, mode: SyncMode) {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let shards = pick(&mut world.rng, &[1, 2, 4]);
    let options = options(shards, mode);
    let mut ledger = Ledger::new(shards);
    for _ in 0..3 {
        let store = machine.open(&options).unwrap();
        ledger.check(&store, &mut world, 3);
        for _ in 0..world.rng.below(40) {
            let group: Vec<_> = (0..1 + world.rng.below(8)).map(|_| world.event()).collect();
            ledger.submit(&store, &group, group.len()).unwrap();
            if world.rng.chance(12) {
                store.engine().flush().unwrap();
            }
        }
        // It ends with some answers not waited for, their writes anywhere on the way.
        let group: Vec<_> = (0..1 + world.rng.below(20)).map(|_| world.event()).collect();
        let waited = world.rng.below(group.len() as u64 + 1) as usize;
        ledger.submit(&store, &group, waited).unwrap();
        machine.disk.kill();
        drop(store);
        let store = machine.open(&options).unwrap();
        ledger.adopt(&store, Loss::Nothing);
        ledger.check(&store, &mut world, 8);
        // What was shown once is never lost, whatever the mode.
        if world.rng.chance(2) {
            machine.disk.power_loss()
        } else {
            machine.disk.kill()
        }
        drop(store);
        ledger.check(&machine.open(&options).unwrap(), &mut world, 3);
    }
}

#[test]
fn promise_1_kill_loses_nothing_acknowledged_in_any_mode() {
    let test = "promise_1_kill_loses_nothing_acknowledged_in_any_mode";
    replay::each_seed(test, 0..40, |seed| MODES.iter().for_each(|&mode| kills(seed, mode)));
}

fn batches(seed: u64) {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let shards = pick(&mut world.rng, &[1, 2]);
    let window = pick(&mut world.rng, &[2_000, 10_000, 40_000]);
    let interval = Duration::from_millis(100);
    let options = options(shards, SyncMode::Batch { interval, bytes: window });
    let mut ledger = Ledger::new(shards);
    // One at a time, so that each is a group, and none larger than is accounted for.
    let largest = 3_000;
    let write = |store: &EventStore, ledger: &mut Ledger, world: &mut World, count: u64| {
        for ev in (0..count).map(|_| world.event()) {
            if ev.event(false).body().len() < largest {
                ledger.submit(store, &[ev], 1).unwrap();
            }
        }
    };
    for _ in 0..2 {
        let store = machine.open(&options).unwrap();
        let count = 20 + world.rng.below(100);
        write(&store, &mut ledger, &mut world, count);
        if world.rng.chance(2) {
            // Once the interval is over, the next writes bring the sync of what came before. (A
            // shard without a thread runs only for those who wait for it.)
            let before = ledger.clone();
            machine.clock.advance(interval);
            write(&store, &mut ledger, &mut world, 40);
            ledger.settle_since(&before, 10);
        }
        machine.disk.power_loss();
        drop(store);
        let store = machine.open(&options).unwrap();
        ledger.adopt(&store, Loss::Bytes(window + largest as u64));
        ledger.check(&store, &mut world, 4);
    }
}

#[test]
fn promise_1_power_loss_in_batch_takes_the_window_at_most() {
    let test = "promise_1_power_loss_in_batch_takes_the_window_at_most";
    replay::each_seed(test, 0..150, batches);
}

#[test]
#[ignore = "runs for RATITE_SECONDS"]
fn promise_1_kills_and_batches_for_long() {
    replay::for_seconds("promise_1_kills_and_batches_for_long -- --ignored", |seed| {
        kills(seed, MODES[seed as usize % 3]);
        batches(seed);
    });
}

#[test]
fn promise_2_power_loss_without_syncs_leaves_a_prefix() {
    replay::each_seed("promise_2_power_loss_without_syncs_leaves_a_prefix", 0..80, |seed| {
        let mut world = World::new(seed);
        let machine = Machine::new(seed);
        let shards = pick(&mut world.rng, &[1, 2]);
        let options = options(shards, SyncMode::Never);
        let mut ledger = Ledger::new(shards);
        for _ in 0..3 {
            let store = machine.open(&options).unwrap();
            for _ in 0..world.rng.below(60) {
                let group: Vec<_> = (0..1 + world.rng.below(5)).map(|_| world.event()).collect();
                ledger.submit(&store, &group, group.len()).unwrap();
            }
            if world.rng.chance(3) {
                store.engine().flush().unwrap();
                ledger.settle();
            }
            machine.disk.power_loss();
            drop(store);
            let store = machine.open(&options).unwrap();
            ledger.adopt(&store, Loss::Bytes(u64::MAX));
            ledger.check(&store, &mut world, 4);
        }
    });
}
