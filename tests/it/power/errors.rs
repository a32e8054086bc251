//! Failed writes and syncs.

use super::ledger::Loss;
use super::{DIR, Ledger, Machine, options};
use crate::naive::random::{World, pick};
use crate::replay;
use ratite::base::Error;
use ratite::io::Faults;
use ratite::shard::SyncMode;
use std::path::Path;

fn failing_disk(seed: u64) {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let shards = pick(&mut world.rng, &[1, 2]);
    let options = options(shards, SyncMode::Always);
    let mut ledger = Ledger::new(shards);
    for _ in 0..2 {
        let store = machine.open(&options).unwrap();
        ledger.check(&store, &mut world, 2);
        let mut failed = false;
        for step in 0..60 {
            if step == 10 {
                let every = pick(&mut world.rng, &[3, 20, 60]);
                let (write, sync) = if world.rng.chance(2) { (every, 0) } else { (0, every) };
                machine.disk.set_faults(Faults {
                    eio_write: write,
                    eio_sync: sync,
                    ..Faults::default()
                });
            }
            let group: Vec<_> = (0..1 + world.rng.below(12)).map(|_| world.event()).collect();
            // `submit` sees to it that nothing is acknowledged behind a failure.
            if let Err(error) = ledger.submit(&store, &group, group.len()) {
                assert!(matches!(error, Error::Poisoned { .. }), "{error}");
                failed = true;
            }
            if world.rng.chance(15) {
                failed |= store.engine().flush().is_err();
            }
        }
        // A write that was refused means a poisoned shard. The reverse need not show in a write: the manifest
        // of a merge may be what failed, behind the last of them.
        let poisoned = store.engine().poisoned().is_some();
        assert!(poisoned || !failed);
        failed = poisoned;
        // Reads go on and show what was acknowledged, no more.
        ledger.check(&store, &mut world, 6);
        let closed = store.close();
        assert!(!failed || closed.is_err(), "a poisoned store closed as if nothing had been");
        machine.disk.set_faults(Faults::default());
        match world.rng.below(3) {
            0 => machine.disk.power_loss(),
            1 => machine.disk.kill(),
            _ => {}
        }
        drop(store);
        let store = machine.open(&options).unwrap();
        ledger.adopt(&store, Loss::Nothing);
        ledger.check(&store, &mut world, 6);
    }
}

#[test]
fn promise_1_nothing_is_acknowledged_after_a_failed_write_or_sync() {
    let test = "promise_1_nothing_is_acknowledged_after_a_failed_write_or_sync";
    replay::each_seed(test, 0..100, failing_disk);
}

#[test]
fn promise_8_a_second_opening_is_refused() {
    let machine = Machine::new(1);
    let options = options(2, SyncMode::Always);
    let store = machine.open(&options).unwrap();
    assert!(matches!(machine.open(&options), Err(Error::Locked { .. })));
    drop(store);
    machine.open(&options).unwrap();
    assert!(machine.disk.contents(Path::new(DIR).join("STORE")).is_some());
}
