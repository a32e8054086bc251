//! Power cuts in `Always`: at random, and at every write and sync of a small run.

use super::ledger::Loss;
use super::{Ledger, Machine, options};
use crate::naive::random::{World, pick};
use crate::replay;
use ratite::nostr::EventStore;
use ratite::shard::SyncMode;
use ratite::store::Options;

/// Switches the machine on and opens the store; in one of four tries the power fails again on the way.
fn recover(machine: &Machine, options: &Options, world: &mut World) -> EventStore {
    loop {
        machine.disk.power_loss();
        machine.disk.crash_after(if world.rng.chance(4) { 1 + world.rng.below(40) } else { 0 });
        match machine.open(options) {
            Ok(store) => {
                machine.disk.crash_after(0);
                if !machine.disk.is_off() {
                    return store;
                }
            }
            Err(error) => assert!(machine.disk.is_off(), "the store does not open: {error}"),
        }
    }
}

/// Writes until the power fails, if it does.
fn write(store: &EventStore, machine: &Machine, ledger: &mut Ledger, world: &mut World) {
    for _ in 0..60 {
        let group: Vec<_> = (0..1 + world.rng.below(8)).map(|_| world.event()).collect();
        let done = ledger.submit(store, &group, group.len());
        let flushed = if world.rng.chance(10) { store.engine().flush() } else { Ok(()) };
        if machine.disk.is_off() {
            return;
        }
        done.and(flushed).expect("no failure without a cut");
    }
}

/// Three rounds of writing, a cut, and recovery. Returns the hash of all that the disk was asked.
fn random_cuts(seed: u64) -> u64 {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let shards = pick(&mut world.rng, &[1, 2, 4]);
    let options = options(shards, SyncMode::Always);
    let mut ledger = Ledger::new(shards);
    for _ in 0..3 {
        let store = recover(&machine, &options, &mut world);
        ledger.check(&store, &mut world, 4);
        let reach = pick(&mut world.rng, &[20, 150, 600]);
        machine.disk.crash_after(1 + world.rng.below(reach));
        write(&store, &machine, &mut ledger, &mut world);
        // The program may end before or after the machine is on again.
        if world.rng.chance(2) {
            machine.disk.power_loss();
        }
        drop(store);
        let store = recover(&machine, &options, &mut world);
        ledger.adopt(&store, Loss::Nothing);
        ledger.check(&store, &mut world, 10);
        // What was shown once is never lost, and reopening changes nothing.
        machine.disk.power_loss();
        drop(store);
        let store = recover(&machine, &options, &mut world);
        ledger.check(&store, &mut world, 4);
        if world.rng.chance(2) {
            store.close().unwrap();
        }
    }
    machine.disk.io_hash()
}

#[test]
fn promise_1_power_loss_keeps_acknowledged_writes() {
    let test = "promise_1_power_loss_keeps_acknowledged_writes";
    replay::each_seed(test, 0..160, |seed| {
        random_cuts(seed);
    });
}

#[test]
fn a_seed_replays_the_same_run() {
    replay::each_seed("a_seed_replays_the_same_run", 1_000..1_012, |seed| {
        assert_eq!(random_cuts(seed), random_cuts(seed));
    });
}

#[test]
#[ignore = "runs for RATITE_SECONDS"]
fn promise_1_power_loss_for_long() {
    replay::for_seconds("promise_1_power_loss_for_long -- --ignored", |seed| {
        random_cuts(seed);
    });
}

/// A fixed run with everything in it: creation, groups, replacements, a flush, a clean close, replay.
/// False if the power failed.
fn small_run(machine: &Machine, options: &Options, ledger: &mut Ledger, world: &mut World) -> bool {
    for flushed in [true, false, true] {
        let Ok(store) = machine.open(options) else { return false };
        for count in [1, 3, 1, 2] {
            let group: Vec<_> = (0..count).map(|_| world.event()).collect();
            if ledger.submit(&store, &group, group.len()).is_err() {
                return false;
            }
        }
        if flushed && store.engine().flush().is_err() || store.close().is_err() {
            return false;
        }
    }
    !machine.disk.is_off()
}

/// A run that fills several files of the log, ends them by checkpoints, and writes them again. False if the power failed.
fn turning_run(
    machine: &Machine,
    options: &Options,
    ledger: &mut Ledger,
    world: &mut World,
) -> bool {
    let Ok(store) = machine.open(options) else { return false };
    for n in 1..=48 {
        let group: Vec<_> = (0..8).map(|_| world.event()).collect();
        if ledger.submit(&store, &group, group.len()).is_err() {
            return false;
        }
        if n % 24 == 0 && store.engine().flush().is_err() {
            return false;
        }
    }
    store.close().is_ok() && !machine.disk.is_off()
}

/// Does `run` again and again, cut off after one more write or sync each time; says how many there are.
fn every_cut(
    seed: u64,
    options: &Options,
    run: fn(&Machine, &Options, &mut Ledger, &mut World) -> bool,
) -> u64 {
    let shards = options.shards.expect("it is said");
    for n in 1.. {
        let mut world = World::new(seed);
        let machine = Machine::new(seed * 10_000 + n);
        let mut ledger = Ledger::new(shards);
        machine.disk.crash_after(n);
        let finished = run(&machine, options, &mut ledger, &mut world);
        // Other choices at each cut.
        world.rng = ratite::io::Rng::new(n);
        let store = recover(&machine, options, &mut world);
        ledger.adopt(&store, Loss::Nothing);
        ledger.check(&store, &mut world, 2);
        drop(store);
        ledger.check(&recover(&machine, options, &mut world), &mut world, 1);
        if finished {
            return n - 1;
        }
    }
    unreachable!("some cut is behind the end")
}

#[test]
fn promise_2_every_single_cut_opens_again_to_a_prefix() {
    replay::each_seed("promise_2_every_single_cut_opens_again_to_a_prefix", 0..4, |seed| {
        let shards = if seed.is_multiple_of(2) { 1 } else { 2 };
        let cuts = every_cut(seed, &options(shards, SyncMode::Always), small_run);
        assert!(cuts > 50, "only {cuts} writes and syncs");
    });
}

#[test]
fn promise_2_every_cut_of_rotations_and_checkpoints_opens_again_to_a_prefix() {
    let test = "promise_2_every_cut_of_rotations_and_checkpoints_opens_again_to_a_prefix";
    replay::each_seed(test, 0..1, |seed| {
        let mut options = options(1, SyncMode::Always);
        options.log_file_bytes = 64 << 10;
        let cuts = every_cut(seed, &options, turning_run);
        assert!(cuts > 120, "only {cuts} writes and syncs");
        // Without a cut: the log goes on in a third file at least, behind which the next is prepared, and checkpoints
        // let go of the first.
        let (machine, mut ledger) = (Machine::new(seed), Ledger::new(1));
        assert!(turning_run(&machine, &options, &mut ledger, &mut World::new(seed)));
        let mut logs: Vec<_> = machine.files(1);
        logs.retain(|path| path.contains("/wal-"));
        logs.sort();
        assert!(logs[0].as_str() > "/store/shard-00/wal-00000001", "{logs:?}");
        assert!(logs[logs.len() - 1].as_str() >= "/store/shard-00/wal-00000004", "{logs:?}");
    });
}
