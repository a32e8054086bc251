//! Segments that are dropped under the toy model: all of their records go and nothing else, for good, whatever is
//! flushed, merged, cut off or read meanwhile.

use super::compaction::eager;
use super::*;
use crate::base::SegmentId;
use crate::base::limits::DROPS_MAX;
use crate::shard::{LiveSegment, Policy};

/// Segments of one shard, and the keys of what lives in them now.
struct Chosen {
    shard: ShardId,
    ids: Vec<SegmentId>,
    keys: Vec<Key>,
}

fn live_keys(live: &LiveSegment) -> Vec<Key> {
    let ordinals = (0..live.segment.records()).filter(|&o| !live.dead.is_killed(o));
    ordinals.map(|o| live.segment.key(o).unwrap()).collect()
}

/// Some segments of a shard, if it has any: mostly the oldest, as retention has it.
fn choose(store: &Store, rng: &mut Rng) -> Option<Chosen> {
    let shard = rng.below(store.shard_count() as u64) as ShardId;
    let snapshot = store.snapshot();
    let segments = &snapshot.shards()[usize::from(shard)].view.segments;
    let oldest = rng.chance(2);
    let count = 1 + rng.below(3) as usize;
    let mut chosen = Chosen { shard, ids: Vec::new(), keys: Vec::new() };
    for live in segments.iter().rev() {
        if chosen.ids.len() < count && (oldest || rng.chance(3)) {
            chosen.ids.push(live.segment.info().id);
            chosen.keys.extend(live_keys(live));
        }
    }
    (!chosen.ids.is_empty()).then_some(chosen)
}

impl Oracle {
    fn drop_keys(&mut self, keys: &[Key]) {
        keys.iter().for_each(|key| assert!(self.0.remove(key).is_some(), "{key:?} was there"));
    }
}

fn segment_files(machine: &Machine, shards: usize) -> u64 {
    let in_shard = |shard| {
        let dir = PathBuf::from(format!("/store/shard-{shard:02}"));
        let names = machine.env.disk.list(&dir).unwrap();
        names.iter().filter(|name| name.ends_with(".seg")).count() as u64
    };
    (0..shards).map(in_shard).sum()
}

fn segments(store: &Store) -> u64 {
    store.stats().iter().map(|s| s.segments).sum()
}

#[test]
fn drops_agree_with_the_oracle_through_flushes_merges_and_reopenings() {
    let (mut dropped, mut merges) = (0, 0);
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let mut options = eager();
        options.shards = Some(1 << rng.below(2));
        let mut store = machine.open(&options);
        let mut oracle = Oracle::default();
        let (mut now, mut past, mut old) = (1000, Vec::new(), VecDeque::new());
        for _ in 0..40 {
            for _ in 0..rng.below(250) {
                now += rng.below(3);
                let item = Item::random(&mut rng, now, &mut past);
                assert_eq!(insert(&store, &item), oracle.insert(&item), "seed {seed}");
                // Amid the inserts: that is when merges are under way.
                if rng.chance(120)
                    && let Some(chosen) = choose(&store, &mut rng)
                {
                    old.push_back((store.snapshot(), oracle.clone()));
                    if store.drop_segments(chosen.shard, &chosen.ids, 0).unwrap() {
                        oracle.drop_keys(&chosen.keys);
                        dropped += 1;
                    }
                    assert_same(&store, &oracle, seed);
                }
            }
            if rng.chance(4) {
                store.flush().unwrap();
            }
            if rng.chance(8) {
                store.compact().unwrap();
                assert_eq!(segment_files(&machine, store.shard_count()), segments(&store));
            }
            compare(&store, &oracle, &mut rng, now, 4);
            while old.len() > 3 {
                // A snapshot from before a drop has all of it.
                let (snapshot, oracle) = old.pop_front().unwrap();
                assert_as_of(&store, &snapshot, &oracle, seed);
            }
            if rng.chance(6) {
                merges += store.stats().iter().map(|s| s.compactions).sum::<u64>();
                old.clear();
                store.close().unwrap();
                drop(store);
                store = machine.open(&options);
                assert_same(&store, &oracle, seed);
            }
        }
    }
    assert!(dropped > 100 && merges > 50, "{dropped} drops, {merges} merges");
}

#[test]
fn a_mark_is_kept_from_its_drop_on_and_never_goes_down() {
    let (machine, mut options) = (Machine::new(5), eager());
    options.shards = Some(2);
    let store = machine.open(&options);
    assert_eq!(store.mark(), 0);
    assert!(store.drop_segments(0, &[], 7).unwrap(), "of no segment");
    assert!(store.drop_segments(1, &[], 5).unwrap(), "lower, but of another shard");
    assert!(store.drop_segments(0, &[], 3).unwrap());
    assert!(!store.drop_segments(0, &[SegmentId([9; 16])], 9).unwrap(), "nothing is dropped");
    assert_eq!(store.mark(), 7);
    drop(store);
    machine.disk.power_loss();
    let store = machine.open(&options);
    assert_eq!(store.mark(), 7, "durable when it is answered");
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    options.shards = None;
    assert_eq!(machine.open(&options).mark(), 7, "in every later manifest");
}

#[test]
fn what_is_not_there_any_more_is_not_dropped_and_neither_is_what_was_named_with_it() {
    let machine = Machine::new(3);
    let mut options = eager();
    options.shards = Some(1);
    let store = machine.open(&options);
    let (mut rng, mut past, mut oracle) = (Rng::new(3), Vec::new(), Oracle::default());
    for now in 1000..1100 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
    }
    store.flush().unwrap();
    let id = store.snapshot().shards()[0].view.segments[0].segment.info().id;
    let nobody = SegmentId([9; 16]);
    assert!(!store.drop_segments(0, &[id, nobody], 0).unwrap());
    assert!(store.drop_segments(0, &[], 0).unwrap());
    assert_same(&store, &oracle, 3);
    assert_eq!(store.drop_segments(7, &[id], 0).unwrap_err().code(), "ERR_INVALID");
    assert_eq!(store.drop_segments(0, &[nobody; DROPS_MAX + 1], 0).unwrap_err().code(), "ERR_FULL");
    assert!(!store.drop_segments(0, &[nobody; DROPS_MAX], 0).unwrap());
    let removed = |store: &Store| store.stats()[0].removed;
    let (before, living) = (removed(&store), keys(&store).len() as u64);
    assert!(store.drop_segments(0, &[id, id], 0).unwrap(), "named twice, there once");
    assert!(!store.drop_segments(0, &[id], 0).unwrap());
    assert!(keys(&store).is_empty());
    assert_eq!(removed(&store) - before, living);
    // What is gone is no duplicate.
    let item = past[0].clone();
    assert!(matches!(insert(&store, &item), Outcome::Stored { .. }));
    store.close().unwrap();
    assert!(matches!(store.drop_segments(0, &[id], 0), Err(Error::Closed)));
}

#[test]
fn a_merge_whose_input_is_dropped_is_given_up_and_begins_anew_without_it() {
    let mut while_merging = 0;
    for turns in 0..8 {
        let machine = Machine::new(11);
        let mut options = eager();
        options.shards = Some(1);
        (options.memory_bytes, options.memtable_bytes) = (64 << 20, Some(4 << 20));
        options.compaction = Policy { fan_in: 4, records_max: 20_000, ..options.compaction };
        let store = machine.open(&options);
        let (mut rng, mut oracle) = (Rng::new(11), Oracle::default());
        let mut add = |store: &Store, oracle: &mut Oracle, count: u64| {
            for _ in 0..count {
                let now = 1000 + oracle.0.len() as u64;
                let mut item = Item::random(&mut rng, now, &mut Vec::new());
                item.body[16] = 0;
                insert(store, &item);
                oracle.0.insert(item.key, item);
            }
        };
        for _ in 0..4 {
            add(&store, &mut oracle, 1500);
            store.flush().unwrap();
        }
        // Four of a size: the merge takes a slice of 2,048 records with each turn, and an insert takes a few.
        add(&store, &mut oracle, turns);
        let merges = |store: &Store| store.stats()[0].compactions;
        let snapshot = store.snapshot();
        let live = snapshot.shards()[0].view.segments.last().unwrap().clone();
        let lost = live_keys(&live);
        let before = merges(&store);
        let is_dropped = store.drop_segments(0, &[live.segment.info().id], 0).unwrap();
        if is_dropped {
            oracle.drop_keys(&lost);
        } else {
            // The merge ended in the turn that took the drop in.
            assert!(merges(&store) > before, "it is there, and was not dropped");
        }
        assert_same(&store, &oracle, turns);
        add(&store, &mut oracle, 100);
        if is_dropped && before == 0 {
            while_merging += 1;
            assert_eq!(merges(&store), 0, "three are left, which is not enough");
            assert_eq!(segments(&store), 3);
        }
        assert_same(&store, &oracle, turns);
        drop((snapshot, live));
        store.compact().unwrap();
        assert_same(&store, &oracle, turns);
        assert_eq!(segment_files(&machine, 1), segments(&store), "after {turns}");
    }
    assert!((1..8).contains(&while_merging), "{while_merging} drops before the merge ended");
}

#[test]
fn power_loss_anywhere_brings_back_nothing_that_was_dropped_and_loses_nothing_else() {
    let mut dropped = 0;
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let mut options = eager();
        options.shards = Some(1);
        let mut oracle = Oracle::default();
        let (mut now, mut past) = (1000, Vec::new());
        for _ in 0..4 {
            let store = machine.open(&options);
            assert_same(&store, &oracle, seed);
            machine.disk.crash_after(1 + rng.below(700));
            let after = loop {
                if rng.chance(25)
                    && let Some(chosen) = choose(&store, &mut rng)
                {
                    let mut after = oracle.clone();
                    after.drop_keys(&chosen.keys);
                    match store.drop_segments(chosen.shard, &chosen.ids, 0) {
                        Ok(true) => (oracle, dropped) = (after, dropped + 1),
                        Ok(false) => {}
                        Err(_) => break after,
                    }
                    continue;
                }
                if rng.chance(80) && store.flush().is_err() {
                    break oracle.clone();
                }
                now += rng.below(3);
                let item = Item::random(&mut rng, now, &mut past);
                let done = store.insert(item.record()).and_then(Pending::wait);
                let mut after = oracle.clone();
                after.insert(&item);
                match done {
                    Ok(_) => oracle = after,
                    Err(_) => break after,
                }
            };
            drop(store);
            machine.disk.power_loss();
            let store = machine.open(&options);
            // The last deed was not answered: it is done or not, and nothing in between.
            if keys(&store).iter().eq(after.0.keys()) {
                oracle = after;
            }
            assert_same(&store, &oracle, seed);
            drop(store);
            machine.disk.power_loss();
        }
    }
    assert!(dropped > 200, "{dropped} drops");
}

#[test]
fn a_cut_at_every_write_of_a_drop_leaves_all_or_none_of_it() {
    let mut cuts = [0, 0];
    for cut in 1.. {
        let machine = Machine::new(78);
        let mut options = eager();
        options.shards = Some(1);
        options.compaction.fan_in = 16;
        let store = machine.open(&options);
        let (mut rng, mut past, mut oracle) = (Rng::new(78), Vec::new(), Oracle::default());
        for now in 1000..1600 {
            let item = Item::random(&mut rng, now, &mut past);
            insert(&store, &item);
            oracle.insert(&item);
        }
        // Some of the newest are in the log only.
        let snapshot = store.snapshot();
        let segments = &snapshot.shards()[0].view.segments;
        assert!(segments.len() > 2);
        let half = &segments[segments.len() / 2..];
        let ids: Vec<SegmentId> = half.iter().map(|live| live.segment.info().id).collect();
        let lost: Vec<Key> = half.iter().flat_map(live_keys).collect();
        let mut after = oracle.clone();
        after.drop_keys(&lost);
        drop(snapshot);
        machine.disk.crash_after(cut);
        let done = store.drop_segments(0, &ids, 0);
        drop(store);
        machine.disk.power_loss();
        let store = machine.open(&options);
        let is_done = keys(&store).iter().eq(after.0.keys());
        assert!(is_done || done.is_err(), "cut {cut}: answered, and there again");
        let state = if is_done { &after } else { &oracle };
        assert_same(&store, state, cut);
        assert_eq!(segment_files(&machine, 1), self::segments(&store), "cut {cut}");
        drop(store);
        machine.disk.power_loss();
        assert_same(&machine.open(&options), state, cut);
        if done.is_ok() {
            break;
        }
        cuts[usize::from(is_done)] += 1;
    }
    assert!(cuts[0] > 0 && cuts[1] > 0, "cut before it was durable, and after: {cuts:?}");
}

#[test]
fn drops_beside_a_writer_and_merges_on_threads_lose_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let env = io::system(io::Backend::Auto).unwrap();
    let mut options = Options { threads: true, shards: Some(1), ..eager() };
    options.memory_bytes = 64 << 20;
    let open = || Store::open(dir.path(), Arc::new(Toy), &options, env.clone()).unwrap();
    let store = open();
    let mut items: Vec<Item> = Vec::new();
    let mut rng = Rng::new(21);
    while items.len() < 6000 {
        let mut item = Item::random(&mut rng, 1000 + items.len() as u64, &mut Vec::new());
        item.body[16] = 0;
        items.push(item);
    }
    let lost = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for item in &items {
                insert(&store, item);
            }
        });
        let (mut lost, mut rng, mut over) = (Vec::new(), Rng::new(22), false);
        while !over {
            over = writing.is_finished();
            if let Some(chosen) = choose(&store, &mut rng)
                && store.drop_segments(chosen.shard, &chosen.ids, 0).unwrap()
            {
                lost.extend(chosen.keys);
            }
            std::thread::yield_now();
        }
        lost
    });
    let mut left: BTreeMap<Key, Item> = items.into_iter().map(|item| (item.key, item)).collect();
    lost.iter().for_each(|key| drop(left.remove(key)));
    let oracle = Oracle(left);
    assert_same(&store, &oracle, 21);
    store.compact().unwrap();
    assert_same(&store, &oracle, 21);
    store.close().unwrap();
    drop(store);
    assert_same(&open(), &oracle, 21);
    assert!(lost.len() > 100, "{} dropped", lost.len());
}
