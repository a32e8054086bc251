//! Compaction and removals under the toy model: nothing lost, nothing twice, whatever is cut off where.

use super::*;
use crate::base::plant::{self, Bug};
use crate::io::sim::Failure;
use crate::shard::{Compress, Policy};

/// Small windows, so that a merge has several outputs, and merges at every second flush.
pub fn eager() -> Options {
    let mut options = Options::tiny();
    options.memtable_bytes = Some(96 << 10);
    let compress = Compress::Always;
    options.compaction = Policy {
        records_max: 1000,
        fan_in: 2,
        garbage_percent: 10,
        inputs_max: 4,
        compress,
        span: None,
    };
    options
}

fn remove(store: &Store, items: &[Item]) -> Result<u64> {
    let mut removed = 0;
    for item in items {
        removed += store.remove(Toy.route(item.record()), &[item.key.id])?;
    }
    Ok(removed)
}

impl Oracle {
    fn remove(&mut self, items: &[Item]) -> u64 {
        items.iter().filter(|item| self.0.remove(&item.key).is_some()).count() as u64
    }

    /// Some records, mostly old ones, and now and then one that is not there.
    fn some(&self, rng: &mut Rng, past: &[Item]) -> Vec<Item> {
        let mut items: Vec<Item> =
            self.0.values().take(1 + rng.below(40) as usize).cloned().collect();
        items.extend(past.get(rng.below(past.len() as u64 + 1) as usize).cloned());
        items
    }
}

fn sum(store: &Store, of: fn(&crate::shard::ShardStats) -> u64) -> u64 {
    store.stats().iter().map(of).sum()
}

#[test]
fn merges_and_removals_agree_with_the_oracle() {
    let mut merges = 0;
    for seed in 0..10 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let mut options = eager();
        options.shards = Some(1 << rng.below(2));
        let mut store = machine.open(&options);
        let mut oracle = Oracle::default();
        let (mut now, mut past, mut old) = (1000, Vec::new(), VecDeque::new());
        for _ in 0..30 {
            for _ in 0..rng.below(300) {
                now += rng.below(3);
                let item = Item::random(&mut rng, now, &mut past);
                assert_eq!(insert(&store, &item), oracle.insert(&item), "seed {seed}");
                if rng.chance(60) {
                    let items = oracle.some(&mut rng, &past);
                    let removed = remove(&store, &items).unwrap();
                    assert_eq!(removed, oracle.remove(&items), "seed {seed}");
                }
            }
            compare(&store, &oracle, &mut rng, now, 6);
            old.push_back((store.snapshot(), oracle.clone()));
            if rng.chance(6) {
                store.compact().unwrap();
                assert_eq!(sum(&store, |s| s.segment_dead), 0, "seed {seed}");
                compare(&store, &oracle, &mut rng, now, 6);
            }
            if old.len() > 4 {
                let (snapshot, oracle) = old.pop_front().unwrap();
                assert_as_of(&store, &snapshot, &oracle, seed);
            }
            if rng.chance(8) {
                merges += sum(&store, |s| s.compactions);
                old.clear();
                store.close().unwrap();
                drop(store);
                store = machine.open(&options);
            }
        }
        merges += sum(&store, |s| s.compactions);
    }
    assert!(merges > 200, "{merges} merges");
}

#[test]
fn a_compaction_that_is_asked_for_leaves_windows_without_dead_and_gives_the_space_back() {
    let machine = Machine::new(5);
    let mut options = eager();
    options.shards = Some(1);
    let store = machine.open(&options);
    let (mut rng, mut past, mut oracle) = (Rng::new(5), Vec::new(), Oracle::default());
    for now in 1000..6000 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
    }
    store.compact().unwrap();
    let before = sum(&store, |s| s.segment_bytes);
    let records = oracle.0.len() as u64;
    assert_eq!(sum(&store, |s| s.segment_records), records);
    assert!(sum(&store, |s| s.segments) <= records.div_ceil(1000) + 2, "{:?}", store.stats());
    let half: Vec<Item> = oracle.0.values().take(oracle.0.len() / 2).cloned().collect();
    assert_eq!(remove(&store, &half).unwrap(), half.len() as u64);
    oracle.remove(&half);
    store.compact().unwrap();
    assert_same(&store, &oracle, 5);
    let after = sum(&store, |s| s.segment_bytes);
    assert!(after * 3 < before * 2, "{before} bytes became {after}");
    let dir = Path::new("/store/shard-00");
    let files = machine.env.disk.list(dir).unwrap();
    let segments = files.iter().filter(|name| name.ends_with(".seg")).count() as u64;
    assert_eq!(segments, sum(&store, |s| s.segments), "{files:?}");
    // Asking again changes nothing.
    let merges = sum(&store, |s| s.compactions);
    store.compact().unwrap();
    assert_eq!(sum(&store, |s| s.compactions), merges);
}

#[test]
fn a_removed_record_can_come_again() {
    let machine = Machine::new(6);
    let store = machine.open(&eager());
    let (mut rng, mut past) = (Rng::new(6), Vec::new());
    let item = Item::random(&mut rng, 1000, &mut past);
    let route = Toy.route(item.record());
    for round in 0..4 {
        assert!(matches!(insert(&store, &item), Outcome::Stored { .. }), "round {round}");
        assert_eq!(insert(&store, &item), Outcome::Duplicate);
        if round % 2 == 1 {
            store.flush().unwrap();
        }
        let before = store.snapshot();
        assert_eq!(store.remove(route, &[item.key.id, item.key.id]).unwrap(), 1);
        assert_eq!(store.remove(route, &[item.key.id]).unwrap(), 0);
        assert_eq!(store.get(&item.key.id, |_| ()).unwrap(), None);
        let mut cursor = store.query_at(&before, &[Select::all()], Order::Newest).unwrap();
        assert_eq!(cursor.next().unwrap().map(|record| record.key), Some(item.key));
        assert!(keys(&store).is_empty());
    }
    let many = vec![[7; 32]; 10_000];
    assert_eq!(store.remove(route, &many).unwrap(), 0, "more than one group");
}

/// What is done between two crashes, one thing at a time.
enum Deed {
    Insert(Item),
    Remove(Vec<Item>),
    Compact,
}

impl Deed {
    fn random(rng: &mut Rng, now: u64, past: &mut Vec<Item>, oracle: &Oracle) -> Deed {
        match rng.below(60) {
            0 => Deed::Compact,
            // One record: what several shards remove is several moments.
            1..5 => Deed::Remove(oracle.some(rng, past).into_iter().take(1).collect()),
            _ => Deed::Insert(Item::random(rng, now, past)),
        }
    }

    fn on_store(&self, store: &Store) -> Result<()> {
        match self {
            Deed::Insert(item) => store.insert(item.record())?.wait().map(drop),
            Deed::Remove(items) => remove(store, items).map(drop),
            Deed::Compact => store.compact(),
        }
    }

    fn on_oracle(&self, oracle: &mut Oracle) {
        match self {
            Deed::Insert(item) => drop(oracle.insert(item)),
            Deed::Remove(items) => drop(oracle.remove(items)),
            Deed::Compact => {}
        }
    }
}

#[test]
fn power_loss_anywhere_in_a_merge_loses_nothing_and_brings_nothing_back() {
    let mut merges = 0;
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let mut options = eager();
        options.shards = Some(1);
        options.sync = [SyncMode::Always, SyncMode::Always, SyncMode::BATCH][seed as usize % 3];
        let always = options.sync == SyncMode::Always;
        let mut oracle = Oracle::default();
        let (mut now, mut past) = (1000, Vec::new());
        for _ in 0..4 {
            let store = machine.open(&options);
            assert_same(&store, &oracle, seed);
            machine.disk.crash_after(1 + rng.below(900));
            let mut states = vec![oracle.clone()];
            loop {
                now += rng.below(3);
                let deed = Deed::random(&mut rng, now, &mut past, &oracle);
                let done = deed.on_store(&store);
                deed.on_oracle(&mut oracle);
                if done.is_err() {
                    break;
                }
                // Where each answer is durable, only the last state counts.
                if always {
                    states.clear();
                }
                states.push(oracle.clone());
            }
            states.push(oracle);
            merges += sum(&store, |s| s.compactions);
            drop(store);
            machine.disk.power_loss();
            let store = machine.open(&options);
            let found = keys(&store);
            let is = |state: &Oracle| found.iter().eq(state.0.keys());
            let at = states.iter().rposition(is);
            oracle = states.swap_remove(at.unwrap_or_else(|| panic!("seed {seed}: no such state")));
            assert_same(&store, &oracle, seed);
            drop(store);
            machine.disk.power_loss();
        }
    }
    assert!(merges > 300, "{merges} merges");
}

#[test]
fn a_cut_at_every_write_of_a_merge_leaves_the_same_records() {
    // Everything up to a merge, then a cut after each write and sync of it in turn.
    let mut survived = 0;
    for cut in 1.. {
        let machine = Machine::new(77);
        let mut options = eager();
        options.shards = Some(1);
        let store = machine.open(&options);
        let (mut rng, mut past, mut oracle) = (Rng::new(77), Vec::new(), Oracle::default());
        for now in 1000..2500 {
            let item = Item::random(&mut rng, now, &mut past);
            insert(&store, &item);
            oracle.insert(&item);
        }
        let third: Vec<Item> = oracle.0.values().step_by(3).cloned().collect();
        remove(&store, &third).unwrap();
        oracle.remove(&third);
        machine.disk.crash_after(cut);
        let done = store.compact();
        drop(store);
        machine.disk.power_loss();
        let store = machine.open(&options);
        assert_same(&store, &oracle, cut);
        store.compact().unwrap();
        assert_same(&store, &oracle, cut);
        let files = machine.env.disk.list(Path::new("/store/shard-00")).unwrap();
        let files = files.iter().filter(|name| name.ends_with(".seg")).count() as u64;
        assert_eq!(files, sum(&store, |s| s.segments), "cut {cut}");
        if done.is_ok() {
            break;
        }
        survived += 1;
    }
    assert!(survived > 20, "{survived} places to cut");
}

#[test]
fn a_merge_that_cannot_be_written_harms_nothing() {
    let machine = Machine::new(9);
    let mut options = eager();
    options.shards = Some(1);
    let store = machine.open(&options);
    let (mut rng, mut past, mut oracle) = (Rng::new(9), Vec::new(), Oracle::default());
    for now in 1000..3000 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
    }
    store.flush().unwrap();
    let dir = Path::new("/store/shard-00");
    let names = machine.env.disk.list(dir).unwrap();
    let victim = names.iter().find(|name| name.ends_with(".seg")).unwrap();
    let file = machine.env.disk.open(&dir.join(victim)).unwrap();
    let mut page = crate::io::Buf::zeroed(4096, file.align());
    file.read_at(4096, &mut page).unwrap();
    page[100] ^= 1;
    file.write_at(4096, &page).unwrap();
    let error = store.compact().unwrap_err();
    assert!(error.to_string().contains(victim), "{error}");
    // It is left alone; everything else goes on.
    for now in 3000..4000 {
        let item = Item::random(&mut rng, now, &mut past);
        assert_eq!(insert(&store, &item), oracle.insert(&item));
    }
    assert!(store.poisoned().is_none());
    page[100] ^= 1;
    file.write_at(4096, &page).unwrap();
    store.close().unwrap();
    drop(store);
    let store = machine.open(&options);
    store.compact().unwrap();
    assert_same(&store, &oracle, 9);
}

#[test]
fn a_merge_on_the_real_disk_removes_its_inputs_and_no_other_name_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let env = io::system(io::Backend::Auto).unwrap();
    let mut options = Options { threads: true, shards: Some(1), ..Options::tiny() };
    options.memory_bytes = 256 << 20;
    options.memtable_bytes = Some(8 << 20);
    options.compaction = Policy { fan_in: 16, ..Policy::default() };
    // A rate makes removals gentle.
    options.compaction_bytes_per_second = 1 << 40;
    let path = dir.path().join("store");
    let store = Store::open(&path, Arc::new(Toy), &options, env).unwrap();
    let (mut rng, mut past, mut oracle) = (Rng::new(3), Vec::new(), Oracle::default());
    for now in 1000..16_000 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
    }
    store.flush().unwrap();
    let kept = dir.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let shard = path.join("shard-00");
    let segments = || {
        let names = std::fs::read_dir(&shard).unwrap().map(|entry| entry.unwrap().path());
        let is_log = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains("wal");
        names.filter(|path| !is_log(path) && path.extension().is_some()).collect::<Vec<PathBuf>>()
    };
    let mut before = Vec::new();
    for (i, path) in segments().iter().enumerate() {
        // Every second one has another name.
        if i % 2 == 0 {
            let other = kept.join(path.file_name().unwrap());
            std::fs::hard_link(path, &other).unwrap();
            before.push((std::fs::read(path).unwrap(), other));
        }
    }
    assert!(before.iter().any(|(bytes, _)| bytes.len() > 1 << 20), "pieces to give back");
    store.compact().unwrap();
    assert_same(&store, &oracle, 3);
    assert_eq!(segments().len() as u64, sum(&store, |s| s.segments), "{:?}", segments());
    for (bytes, other) in before {
        assert!(std::fs::read(&other).unwrap() == bytes, "{} has changed", other.display());
    }
}

/// Of the two manifests that are kept, each does without what a merge has removed.
fn opens_without_the_newest_manifest() {
    let machine = Machine::new(31);
    let options = Options { shards: Some(1), ..eager() };
    let store = machine.open(&options);
    let (mut rng, mut past, mut oracle) = (Rng::new(31), Vec::new(), Oracle::default());
    for now in 1000..1800 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
    }
    store.flush().unwrap();
    store.compact().unwrap();
    assert!(sum(&store, |s| s.compactions) > 0);
    machine.disk.kill();
    drop(store);
    let dir = Path::new("/store/shard-00");
    let names = machine.env.disk.list(dir).unwrap();
    let newest = names.iter().rfind(|name| name.starts_with("manifest-")).unwrap();
    machine.disk.flip_bit(dir.join(newest), 40, 3).unwrap();
    assert_same(&machine.open(&options), &oracle, 31);
}

#[test]
fn the_manifest_before_the_newest_does_without_what_a_merge_has_removed() {
    opens_without_the_newest_manifest();
    let planted = || plant::with(Bug::InputRemovedWhileNamed, opens_without_the_newest_manifest);
    assert!(std::panic::catch_unwind(planted).is_err(), "a planted bug is not found");
}

/// Fails the `n`-th operation of a merge and what belongs to it, then kills, opens, and loses power. What failed.
fn opens_behind_a_failure(n: u64, seed: u64) -> Option<String> {
    let machine = Machine::new(seed);
    machine.disk.set_faults(Faults { names_any_subset: true, ..Faults::default() });
    let options = Options { shards: Some(1), ..eager() };
    let store = machine.open(&options);
    let (mut rng, mut past, mut oracle) = (Rng::new(41), Vec::new(), Oracle::default());
    for now in 1000..1150 {
        let item = Item::random(&mut rng, now, &mut past);
        insert(&store, &item);
        oracle.insert(&item);
        if now % 50 == 0 {
            store.flush().unwrap();
        }
    }
    machine.disk.fail_nth(n, Failure::Eio);
    let _done = store.compact();
    machine.disk.kill();
    machine.disk.mend();
    drop(store);
    assert_same(&machine.open(&options), &oracle, n);
    machine.disk.power_loss();
    assert_same(&machine.open(&options), &oracle, n);
    machine.disk.failed()
}

#[test]
fn a_manifest_whose_sync_failed_is_durable_before_what_it_does_without_goes() {
    let mut syncs = Vec::new();
    for n in 1.. {
        let Some(failed) = opens_behind_a_failure(n, n) else { break };
        if failed.contains("sync") && failed.contains("manifest") {
            syncs.push(n);
        }
    }
    assert!(syncs.len() > 2, "{syncs:?}");
    let is_found = |(n, seed): (u64, u64)| {
        let planted = || plant::with(Bug::ManifestNotSettled, || opens_behind_a_failure(n, seed));
        std::panic::catch_unwind(planted).is_err()
    };
    let mut runs = (0..4).flat_map(|seed| syncs.iter().map(move |&n| (n, seed)));
    assert!(runs.any(is_found), "a planted bug is not found");
}
