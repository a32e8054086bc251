//! Batches: all or nothing at every crash, once each for who follows, and refused with the limit's name.

use super::super::*;
use super::own::{FORBIDDEN, Item, held, item, model, record};
use crate::base::limits::{BATCH_BYTES_MAX, BATCH_RECORD_BYTES};
use crate::base::plant::{self, Bug};
use crate::io::{self, Rng, SimDisk, sim::Faults};
use crate::shard::SyncMode;
use std::ops::ControlFlow;

struct Machine {
    env: Env,
    disk: Arc<SimDisk>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let (env, disk, _clock) = io::simulated(seed, Faults::default());
        Machine { env, disk }
    }

    fn open(&self, options: &Options) -> Store {
        Store::open(Path::new("/store"), model(true), options, self.env.clone()).unwrap()
    }
}

fn small(shards: usize) -> Options {
    Options { memtable_bytes: Some(96 << 10), shards: Some(shards), ..super::compaction::eager() }
}

/// Up to `most` records from number `n` on, of one source.
fn batch(rng: &mut Rng, n: u64, most: u64) -> Vec<Item> {
    let source = rng.below(5) as u8;
    let items = (n..n + 1 + rng.below(most)).map(|n| {
        let (key, mut body) = item(rng, n);
        body[0] = source;
        (key, body)
    });
    items.collect()
}

fn records(items: &[Item]) -> Vec<Record<'_>> {
    items.iter().map(record).collect()
}

fn sorted(items: &[Item]) -> Vec<Item> {
    let mut items = items.to_vec();
    items.sort();
    items
}

#[test]
fn after_a_power_cut_each_batch_is_there_wholly_or_not_at_all_and_all_acknowledged_are() {
    let mut cut_batches = 0;
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let options = small(1);
        let (mut kept, mut n): (Vec<Item>, u64) = (Vec::new(), 0);
        for _ in 0..3 {
            let store = machine.open(&options);
            assert_eq!(held(&store), sorted(&kept), "seed {seed}");
            let most = if rng.chance(2) { 40 } else { 300 };
            machine.disk.crash_after(1 + rng.below(most));
            let (mut under_way, mut open) = (Vec::new(), Vec::new());
            loop {
                let batch = batch(&mut rng, n, 60);
                n += batch.len() as u64;
                match store.insert_many(&records(&batch)) {
                    Ok(pending) => under_way.push((batch, pending)),
                    Err(_) => {
                        open.push(batch);
                        break;
                    }
                }
                if under_way.len() > rng.below(6) as usize {
                    let (batch, pending) = under_way.remove(0);
                    match pending.wait() {
                        Ok(outcome) => {
                            assert!(matches!(outcome, Outcome::Stored { replaced: 0, .. }));
                            kept.extend(batch);
                        }
                        Err(_) => {
                            open.push(batch);
                            break;
                        }
                    }
                }
            }
            for (batch, pending) in under_way {
                assert!(pending.wait().is_err(), "an answer after a failure, seed {seed}");
                open.push(batch);
            }
            drop(store);
            machine.disk.power_loss();
            let found = held(&machine.open(&options));
            // Those that were cut off are there as a prefix, each as a whole.
            let mut some = false;
            open.sort();
            open.sort_by_key(|batch| std::cmp::Reverse(batch[0].0.id));
            for batch in open {
                if found == sorted(&kept) {
                    break;
                }
                some = true;
                kept.extend(batch);
            }
            cut_batches += usize::from(some);
            assert_eq!(found, sorted(&kept), "seed {seed}");
            machine.disk.power_loss();
        }
    }
    assert!(cut_batches > 5, "no batch was cut off: {cut_batches}");
}

#[test]
fn a_batch_that_is_planted_in_two_blocks_is_found_out() {
    let cut = after_a_power_cut_each_batch_is_there_wholly_or_not_at_all_and_all_acknowledged_are;
    let found = std::panic::catch_unwind(|| plant::with(Bug::BatchInTwoBlocks, cut));
    assert!(found.is_err());
}

/// Syncs fail now and then, and forget what they did not persist; then the power goes.
#[test]
fn after_a_failed_sync_nothing_is_answered_and_what_was_is_there() {
    let mut failures = 0;
    for seed in 0..60 {
        let (mut rng, machine, options) = (Rng::new(seed), Machine::new(seed), small(1));
        let store = machine.open(&options);
        machine.disk.set_faults(Faults { eio_sync: 4, ..Faults::default() });
        let (mut kept, mut all, mut has_failed) = (Vec::new(), Vec::new(), false);
        for n in 0..40 {
            let item = item(&mut rng, n);
            all.push(item.clone());
            match store.insert(record(&item)).and_then(|pending| pending.wait()) {
                Ok(_) if has_failed => panic!("seed {seed}: {n} is answered after a failed sync"),
                Ok(_) => kept.push(item),
                Err(_) => has_failed = true,
            }
        }
        failures += u32::from(has_failed);
        drop(store);
        machine.disk.set_faults(Faults::default());
        machine.disk.power_loss();
        let found = held(&machine.open(&options));
        assert!(
            kept.iter().all(|item| found.contains(item)),
            "seed {seed}: an answered one is lost"
        );
        assert!(found.iter().all(|item| all.contains(item)), "seed {seed}");
    }
    assert!(failures > 40, "{failures} of 60");
}

#[test]
fn a_failed_sync_that_is_planted_to_be_believed_the_second_time_is_found_out() {
    let test = after_a_failed_sync_nothing_is_answered_and_what_was_is_there;
    let found = std::panic::catch_unwind(|| plant::with(Bug::FailedSyncRetried, test));
    assert!(found.is_err());
}

#[test]
fn a_kill_between_batches_loses_none_and_keeps_none_by_half() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let options = Options { sync: SyncMode::Never, ..small(2) };
        let (mut kept, mut n) = (Vec::new(), 0);
        for _ in 0..6 {
            let store = machine.open(&options);
            assert_eq!(held(&store), sorted(&kept), "seed {seed}");
            for _ in 0..rng.below(30) {
                let batch = batch(&mut rng, n, 80);
                n += batch.len() as u64;
                store.insert_many(&records(&batch)).unwrap().wait().unwrap();
                kept.extend(batch);
            }
            machine.disk.kill();
            std::mem::forget(store);
        }
        assert!(machine.open(&options).stats().iter().any(|s| s.segments > 0), "seed {seed}");
    }
}

#[test]
fn who_follows_sees_each_record_of_a_batch_once_and_in_its_order() {
    #[derive(Debug)]
    struct Quiet;
    impl Wake for Quiet {
        fn wake(&self) {}
    }
    let machine = Machine::new(3);
    let store = machine.open(&Options { memtable_bytes: Some(1 << 20), ..small(1) });
    let mut rng = Rng::new(3);
    let wake: Arc<dyn Wake> = Arc::new(Quiet);
    let from = store.log_ends();
    let mut tails = store.tails(&store.snapshot(), &wake);
    let (mut given, mut tailed, mut n) = (Vec::new(), Vec::new(), 0);
    for _ in 0..60 {
        let batch = batch(&mut rng, n, 90);
        n += batch.len() as u64;
        // Beside single ones.
        let single = item(&mut rng, n);
        n += 1;
        let last = store.insert_many(&records(&batch)).unwrap().wait().unwrap();
        store.insert(record(&single)).unwrap().wait().unwrap();
        given.extend(batch);
        given.push(single);
        let Outcome::Stored { seq, .. } = last else { panic!("{last:?}") };
        assert_eq!(seq, given.len() as u64 - 1);
        if rng.chance(3) {
            tails[0].poll(&mut |_, record| tailed.push((record.key, record.body.to_vec())));
        }
    }
    tails[0].poll(&mut |_, record| tailed.push((record.key, record.body.to_vec())));
    assert_eq!(tailed, given);
    let mut logged = Vec::new();
    let mut reader = store.shards[0].changes(from[0], &wake);
    let more = reader.read(&mut |entry, _| {
        logged.push((entry.record.key, entry.record.body.to_vec()));
        ControlFlow::Continue(())
    });
    assert!(!more.unwrap());
    assert_eq!(logged, given);
}

#[test]
fn a_batch_becomes_visible_as_a_whole_between_flushes() {
    let machine = Machine::new(4);
    let store = machine.open(&small(2));
    let mut rng = Rng::new(4);
    let (mut kept, mut n, mut pending) = (Vec::new(), 0, Vec::new());
    for _ in 0..300 {
        let batch = batch(&mut rng, n, 40);
        n += batch.len() as u64;
        pending.push(store.insert_many(&records(&batch)).unwrap());
        kept.push(batch);
        let found = held(&store);
        for batch in &kept {
            let there = batch.iter().filter(|item| found.binary_search(item).is_ok()).count();
            assert!(there == 0 || there == batch.len(), "{there} of {}", batch.len());
        }
        while pending.len() > 5 {
            pending.remove(0).wait().unwrap();
        }
        kept.drain(..kept.len().saturating_sub(12));
    }
    assert!(store.stats().iter().any(|s| s.flushes > 1));
}

#[test]
fn a_batch_that_cannot_be_is_refused_and_names_what() {
    let machine = Machine::new(5);
    let store = machine.open(&small(2));
    let refused = |items: &[Item], what: &str| {
        let error = store.insert_many(&records(items)).map(drop).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    };
    refused(&[], "no records");
    let own = |n: u64, source: u8| (Key::own(n, !n), vec![source, 1]);
    let routes: Vec<usize> = (0..5).map(|s| store.shard_number(record(&own(1, s)))).collect();
    let other = (1..5).find(|&s| routes[s] != routes[0]).expect("sources in both shards");
    refused(&[own(1, 0), own(2, other as u8)], "several shards");
    refused(&[own(1, 0), (Key { time: 1, id: [1; 32] }, vec![0])], "more than 8 bytes");
    let most = store.batch_bytes_max();
    assert!(most <= BATCH_BYTES_MAX);
    let whole = |records: usize| -> Vec<Item> {
        (0..records as u64).map(|n| (Key::own(n, !n), vec![0])).collect()
    };
    let fit = most / (BATCH_RECORD_BYTES + 1);
    refused(&whole(fit + 1), &most.to_string());
    store.insert_many(&records(&whole(fit))).unwrap().wait().unwrap();
    assert_eq!(held(&store).len(), fit);
    // By the rules, and then none of it is there.
    let bad = [own(90_000, 0), (Key::own(90_001, 7), vec![0, FORBIDDEN])];
    let answer = store.insert_many(&records(&bad)).unwrap().wait().unwrap();
    assert_eq!(answer, Outcome::Refused(FORBIDDEN));
    assert_eq!(held(&store).len(), fit);
}

#[test]
fn batches_beside_single_records_from_many_threads_are_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { threads: true, sync: SyncMode::Never, ..small(1) };
    let store =
        Store::open(dir.path(), model(true), &options, io::system(io::Backend::Auto).unwrap())
            .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                let (mut rng, mut n) = (Rng::new(thread), thread * 1_000_000);
                for turn in 0..60 {
                    let items = batch(&mut rng, n, 200);
                    n += items.len() as u64;
                    if turn % 4 == 0 {
                        let done =
                            crate::shard::block_on(store.insert_many_async(&records(&items)));
                        assert!(matches!(done, Ok(Outcome::Stored { .. })));
                    } else if turn % 4 == 1 {
                        for item in &items {
                            store.insert(record(item)).unwrap().wait().unwrap();
                        }
                    } else {
                        store.insert_many(&records(&items)).unwrap().wait().unwrap();
                    }
                }
            });
        }
    });
    let found = held(&store);
    assert!(found.is_sorted_by(|a, b| a < b));
    let stored: u64 = store.stats().iter().map(|s| s.stored).sum();
    assert_eq!(found.len() as u64, stored);
}

/// Nanoseconds on a processor of the threads of this process whose name begins like this.
fn busy(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    });
    named
        .map(|task| {
            let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
        })
        .sum()
}

/// `cargo test --release --lib many_records -- --ignored --nocapture`
#[test]
#[ignore = "measures; takes half a minute"]
fn many_records_a_second() {
    const RECORDS: u64 = 2_000_000;
    let dir = tempfile::tempdir().unwrap();
    let env = io::system(io::Backend::Auto).unwrap();
    let clock = env.clock.clone();
    for size in [1, 10, 100, 1000] {
        let count = if size == 1 { RECORDS / 10 } else { RECORDS };
        let options = Options { shards: Some(1), sync: SyncMode::Never, ..Options::default() };
        let path = dir.path().join(size.to_string());
        let store = Store::open(&path, model(true), &options, env.clone()).unwrap();
        let source = |n: u64| (n * 7 % 50) as u8;
        let bodies: Vec<Vec<u8>> = (0..50).map(|n| vec![n; 120]).collect();
        let (begun, before) = (clock.monotonic_nanos(), busy("ratite-shard"));
        let mut pending = std::collections::VecDeque::new();
        for first in (0..count).step_by(size) {
            let records: Vec<Record<'_>> = (first..first + size as u64)
                .map(|n| Record { key: Key::own(n, !n), body: &bodies[usize::from(source(n))] })
                .collect();
            pending.push_back(store.insert_many(&records).unwrap());
            if pending.len() > 64 {
                pending.pop_front().unwrap().wait().unwrap();
            }
        }
        for pending in pending {
            pending.wait().unwrap();
        }
        let nanos = clock.monotonic_nanos() - begun;
        let busy = busy("ratite-shard") - before;
        println!(
            "batches of {size}: {} records/s; {} ns of the shard's thread a record",
            count * 1_000_000_000 / nanos,
            busy / count
        );
        store.close().unwrap();
    }
}
