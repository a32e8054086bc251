//! Resharding, up and down, and cut off at every write and sync.

use super::*;
use crate::maintain::reshard::{Resharded, run};

fn reshard(machine: &Machine, shards: usize) -> Result<Resharded> {
    run("/a".as_ref(), &model(), shards, &tiny(), &machine.env, &mut |_| {})
}

/// Nothing but the store is left.
fn is_clean(machine: &Machine, shards: usize) {
    let disk = &machine.env.disk;
    assert!(disk.list("/a/reshard".as_ref()).is_err());
    for n in shards..64 {
        assert!(disk.list(format!("/a/shard-{n:02}").as_ref()).is_err(), "shard {n}");
    }
}

#[test]
fn a_store_is_the_same_with_any_number_of_shards() {
    let machine = Machine::new(1);
    machine.fill("/a", 0..3000);
    let mut count = 3000;
    for shards in [8, 8, 1, 64, 2] {
        let from = machine.open("/a").shard_count();
        let id = machine.open("/a").id();
        let done = reshard(&machine, shards).unwrap();
        assert_eq!((done.from, done.to), (from, shards));
        let moved = if from == shards { 0 } else { expected(count).len() as u64 };
        assert_eq!(done.records, moved);
        is_clean(&machine, shards);
        let store = machine.open("/a");
        assert_eq!((store.shard_count(), store.id() == id), (shards, from == shards));
        assert_eq!(contents(&store), expected(count));
        let dead = store.stats().iter().map(|s| s.segment_dead + s.memtable_dead).sum::<u64>();
        assert!(moved == 0 || dead == 0, "the dead do not move");
        // Rules go on as before, on what was moved.
        (count..count + 200).for_each(|n| insert(&store, n).unwrap());
        count += 200;
        assert_eq!(contents(&store), expected(count));
        store.close().unwrap();
        drop(store);
        assert_eq!(machine.contents("/a"), expected(count));
    }
    for wrong in [0, 3, 128] {
        assert_eq!(reshard(&machine, wrong).unwrap_err().code(), "ERR_INVALID");
    }
}

#[test]
fn steps_go_up_to_twice_the_records_and_an_open_store_is_refused() {
    let machine = Machine::new(2);
    machine.fill("/a", 0..2500);
    let mut steps = Vec::new();
    let mut tell = |step: Step| steps.push(step);
    run("/a".as_ref(), &model(), 4, &tiny(), &machine.env, &mut tell).unwrap();
    assert!(steps.len() > 3 && steps.windows(2).all(|pair| pair[0].done < pair[1].done));
    assert!(steps.iter().all(|s| s.done <= s.total && s.total == 2 * expected(2500).len() as u64));
    let open = machine.open("/a");
    assert_eq!(reshard(&machine, 2).unwrap_err().code(), "ERR_LOCKED");
    drop(open);
    let nothing = run("/none".as_ref(), &model(), 2, &tiny(), &machine.env, &mut |_| {});
    assert!(nothing.is_err());
}

/// Cut at every write and sync from the swap on, and at some before: the directory opens to the same records
/// each time, with the old shards or the new. `RATITE_STEP=1`: at each before, too.
#[test]
fn a_reshard_cut_off_anywhere_leaves_one_whole_store_and_is_completed_by_the_next() {
    let step = std::env::var("RATITE_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(17);
    for (shards, seed) in [(4, 0), (1, 1000)] {
        let total = {
            let machine = Machine::new(seed);
            machine.fill("/a", 0..500);
            let before = machine.disk.writes_and_syncs();
            reshard(&machine, shards).unwrap();
            machine.disk.writes_and_syncs() - before
        };
        let (mut old, mut new, mut n) = (0, 0, 1);
        loop {
            let machine = Machine::new(seed + n);
            machine.fill("/a", 0..500);
            machine.disk.crash_after(n);
            if reshard(&machine, shards).is_ok() {
                break;
            }
            machine.disk.power_loss();
            let store = machine.open("/a");
            match store.shard_count() {
                2 => old += 1,
                count => {
                    assert_eq!(count, shards);
                    new += 1;
                }
            }
            assert_eq!(contents(&store), expected(500), "cut {n} of {total}");
            if n.is_multiple_of(2) {
                (500..600).for_each(|n| insert(&store, n).unwrap());
            }
            store.close().unwrap();
            drop(store);
            reshard(&machine, shards).unwrap();
            is_clean(&machine, shards);
            let count = if n.is_multiple_of(2) { 600 } else { 500 };
            assert_eq!(machine.contents("/a"), expected(count), "cut {n} of {total}");
            // Writes of records differ by nothing; the swap is at the end.
            n += if n + 150 < total { step } else { 1 };
        }
        assert!(old > 20 && new > 2, "{shards}: {old} old, {new} new of {total}");
    }
}
