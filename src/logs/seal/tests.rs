//! Sealing by request, age and count; crashes with much that is not sealed.

use super::super::testing::{Line, Sim, all, append, in_order, options};
use crate::io::Rng;
use std::time::Duration;

fn files(sim: &Sim, shards: usize) -> Vec<Vec<String>> {
    use crate::io::Disk;
    let dirs = (0..shards).map(|shard| format!("/logs/shard-{shard:02}"));
    dirs.map(|dir| sim.disk.list(dir.as_ref()).unwrap()).collect()
}

#[test]
fn sealing_gives_what_was_sealed_and_sealing_again_does_nothing() {
    let (sim, mut rng, mut list) = (Sim::new(3), Rng::new(3), Vec::<Line>::new());
    let log = sim.open(&options(4));
    assert_eq!(log.seal().unwrap(), [], "nothing is there");
    (0..50).for_each(|ts| append(&log, &mut rng, ts, &mut list));
    let sealed = log.seal().unwrap();
    assert_eq!(sealed.iter().map(|meta| meta.records).sum::<u64>(), 50);
    assert!(sealed.iter().all(|meta| meta.sealed) && sealed.is_sorted_by_key(|meta| meta.start));
    assert_eq!(log.segments().unwrap(), sealed);
    assert_eq!(log.active().unwrap(), []);
    let before = files(&sim, 4);
    assert_eq!(log.seal().unwrap(), []);
    assert_eq!(files(&sim, 4), before, "nothing was written");
    assert_eq!(all(&log), in_order(&list));
    // Only a shard with records has something to seal.
    append(&log, &mut rng, 99, &mut list);
    let [one] = log.seal().unwrap()[..] else { panic!("one record, one segment") };
    assert_eq!((one.start, one.end, one.records), (99, 99, 1));
}

#[test]
fn what_is_old_is_sealed_and_what_is_not_is_left() {
    let (sim, mut rng, mut list) = (Sim::new(4), Rng::new(4), Vec::<Line>::new());
    let mut options = options(1);
    options.seal_age = Some(Duration::from_secs(10));
    let log = sim.open(&options);
    // A time of the far past says nothing about how long it is here.
    append(&log, &mut rng, 1, &mut list);
    assert_eq!(log.seal_due().unwrap(), []);
    sim.clock.advance(Duration::from_millis(9_999));
    assert_eq!(log.seal_due().unwrap(), []);
    append(&log, &mut rng, 2, &mut list);
    sim.clock.advance(Duration::from_millis(1));
    assert_eq!(log.seal_due().unwrap().len(), 1);
    assert_eq!((log.active().unwrap(), log.segments().unwrap().len()), (vec![], 1));
    // An empty one has no age.
    sim.clock.advance(Duration::from_secs(100));
    assert_eq!(log.seal_due().unwrap(), []);
    append(&log, &mut rng, 3, &mut list);
    assert_eq!(log.seal_due().unwrap(), []);
    sim.clock.advance(Duration::from_secs(10));
    assert_eq!(log.seal_due().unwrap().len(), 1);
    // What is replayed begins to age when the store is opened.
    append(&log, &mut rng, 4, &mut list);
    sim.disk.crash_after(1);
    drop(log);
    sim.disk.power_loss();
    let log = sim.open(&options);
    assert_eq!(log.active().unwrap().len(), 1);
    assert_eq!(log.seal_due().unwrap(), []);
    sim.clock.advance(Duration::from_secs(10));
    assert_eq!(log.seal_due().unwrap().len(), 1);
    assert_eq!(all(&log), in_order(&list));
    options.seal_age = None;
    drop(log);
    let log = sim.open(&options);
    append(&log, &mut rng, 5, &mut list);
    sim.clock.advance(Duration::from_secs(1000));
    assert_eq!(log.seal_due().unwrap(), []);
}

#[test]
fn a_count_of_records_seals_and_no_segment_of_a_flush_has_more() {
    let (sim, mut rng, mut list) = (Sim::new(5), Rng::new(5), Vec::<Line>::new());
    let mut options = options(1);
    options.seal_records = Some(7);
    options.store.compaction.fan_in = 16;
    let log = sim.open(&options);
    (0..60).for_each(|ts| append(&log, &mut rng, ts, &mut list));
    log.seal().unwrap();
    let counts: Vec<u64> = log.segments().unwrap().iter().map(|meta| meta.records).collect();
    assert_eq!(counts, [7, 7, 7, 7, 7, 7, 7, 7, 4]);
    assert_eq!(all(&log), in_order(&list));
}

#[test]
fn a_store_with_several_memtables_that_were_not_sealed_opens_after_a_crash() {
    let mut unsealed = 0;
    for cut in 1..60 {
        let (sim, mut rng, mut list) = (Sim::new(6), Rng::new(6), Vec::<Line>::new());
        let mut options = options(2);
        options.seal_records = Some(20);
        let log = sim.open(&options);
        sim.disk.crash_after(cut);
        let mut last = None;
        for ts in 0.. {
            let (source, raw) = super::super::testing::random(&mut rng);
            let record = crate::logs::LogRecord { ts, source: &source, raw: &raw };
            match log.append(record) {
                Ok(position) => list.push(Line { position, source, raw }),
                Err(_) => {
                    last = Some(raw);
                    break;
                }
            }
        }
        unsealed = unsealed.max(log.active().unwrap().len());
        drop(log);
        sim.disk.power_loss();
        let log = sim.open(&options);
        let mut found = all(&log);
        // What was not answered may be there, as a whole.
        if found.len() > list.len() {
            assert_eq!(found.pop().map(|line| line.raw), last, "cut {cut}");
        }
        assert_eq!(found, in_order(&list), "cut {cut}");
        log.seal().unwrap();
        assert_eq!(log.active().unwrap(), []);
    }
    assert!(unsealed > 1, "{unsealed} at once");
}

#[test]
fn a_flush_ends_under_appends_without_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(1);
    (options.store.threads, options.store.readers) = (true, 1);
    (options.store.memory_bytes, options.store.memtable_bytes) = (64 << 20, Some(1 << 20));
    let log = crate::logs::LogStore::open(dir.path(), &options).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (log, stop) = (&log, &stop);
            scope.spawn(move || {
                let source = crate::logs::Source::of([thread; 16]);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let line = |ts| crate::logs::LogRecord { ts, source: &source, raw: b"a line" };
                    let batch: Vec<_> = (0..500).map(line).collect();
                    log.append_batch(&batch).unwrap();
                }
            });
        }
        let mut seals = 0;
        while seals < 5 {
            seals += u32::from(!log.seal().unwrap().is_empty());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(log.segments().unwrap().iter().any(|meta| meta.sealed));
}
