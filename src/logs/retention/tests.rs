//! Retention: the choice by hand and at random, then on stores, with power cut at every write of a run.

use super::super::testing::{Line, Sim, all, append, in_order, options};
use super::*;
use crate::io::Rng;
use crate::logs::{LogOptions, LogRecord, LogStore, Query, Source};

fn meta(id: u8, times: (u64, u64), bytes: u64, records: u64, sealed: bool) -> SegmentMeta {
    let (start, end) = times;
    let id = SegmentId([id; 16]);
    SegmentMeta { id, shard: 0, start, end, bytes, raw_bytes: 0, records, sealed }
}

fn ids(chosen: &[SegmentMeta]) -> Vec<u8> {
    chosen.iter().map(|meta| meta.id.0[0]).collect()
}

fn rules(age: Option<u64>, bytes: Option<u64>, records: Option<u64>) -> LogRetention {
    LogRetention { age: age.map(Duration::from_micros), bytes, records }
}

#[test]
fn the_oldest_go_and_never_more_than_needed() {
    let segments = [
        meta(1, (0, 50), 100, 10, true),
        meta(2, (40, 60), 100, 10, true),
        meta(3, (10, 60), 100, 10, true),
        meta(4, (0, 90), 100, 10, true),
        meta(5, (0, 55), 999, 10, false),
    ];
    let choose = |rules: LogRetention, now| ids(&rules.choose(&segments, now));
    let none: [u8; 0] = [];
    assert_eq!(choose(rules(None, None, None), u64::MAX), none);
    // By age: the newest record counts, and one that is exactly as old as allowed stays.
    assert_eq!(choose(rules(Some(10), None, None), 60), none);
    assert_eq!(choose(rules(Some(10), None, None), 61), [1]);
    assert_eq!(choose(rules(Some(10), None, None), 70), [1]);
    assert_eq!(
        choose(rules(Some(10), None, None), 71),
        [1, 3, 2],
        "the oldest record, among equals"
    );
    assert_eq!(choose(rules(Some(0), None, None), u64::MAX), [1, 3, 2, 4], "sealed ones only");
    assert_eq!(choose(rules(Some(100), None, None), 99), none, "a clock before all times");
    // By bytes of files, and by all records.
    assert_eq!(choose(rules(None, Some(400), None), 0), none);
    assert_eq!(choose(rules(None, Some(399), None), 0), [1]);
    assert_eq!(choose(rules(None, Some(0), None), 0), [1, 3, 2, 4]);
    assert_eq!(choose(rules(None, None, Some(50)), 0), none);
    assert_eq!(choose(rules(None, None, Some(49)), 0), [1]);
    assert_eq!(choose(rules(None, None, Some(30)), 0), [1, 3]);
    // Together: what any of them wants.
    assert_eq!(choose(rules(Some(10), Some(250), None), 61), [1, 3]);
}

#[test]
fn every_choice_is_the_shortest_prefix_that_satisfies_the_rules() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let segments: Vec<SegmentMeta> = (0..rng.below(8))
            .map(|id| {
                let start = rng.below(100);
                let times = (start, start + rng.below(30));
                meta(id as u8, times, 1 + rng.below(50), 1 + rng.below(50), !rng.chance(4))
            })
            .collect();
        let one = |rng: &mut Rng, most| rng.chance(2).then(|| rng.below(most));
        let rules = rules(one(&mut rng, 100), one(&mut rng, 200), one(&mut rng, 200));
        let now = 50 + rng.below(150);
        let holds = |gone: &[SegmentMeta]| {
            let kept = segments.iter().filter(|meta| !gone.contains(meta));
            let old = |meta: &&SegmentMeta| {
                let age = rules.age.map(|age| age.as_micros() as u64);
                age.is_some_and(|age| meta.end + age < now)
            };
            let sealed = || kept.clone().filter(|meta| meta.sealed);
            sealed().find(old).is_none()
                && rules.bytes.is_none_or(|most| sealed().map(|m| m.bytes).sum::<u64>() <= most)
                && (rules
                    .records
                    .is_none_or(|most| kept.clone().map(|m| m.records).sum::<u64>() <= most))
        };
        let chosen = rules.choose(&segments, now);
        let mut order: Vec<SegmentMeta> = segments.iter().filter(|m| m.sealed).copied().collect();
        order.sort_by_key(|meta| (meta.end, meta.start, meta.id));
        assert!(order.starts_with(&chosen), "seed {seed}: {chosen:?} of {order:?}");
        assert!(holds(&chosen) || chosen.len() == order.len(), "seed {seed}");
        let fewer = chosen.len().checked_sub(1);
        assert!(fewer.is_none_or(|fewer| !holds(&order[..fewer])), "seed {seed}: too many");
    }
}

/// A store with segments over ten seconds, and its list.
fn filled(sim: &Sim, options: &LogOptions, rng: &mut Rng) -> (LogStore, Vec<Line>) {
    let (log, mut list) = (sim.open(options), Vec::new());
    for second in 0..10 {
        for _ in 0..60 {
            let ts = second * 1_000_000 + rng.below(1_000_000);
            append(&log, rng, ts, &mut list);
        }
        log.seal().unwrap();
    }
    append(&log, rng, 10_000_000, &mut list);
    (log, list)
}

/// Takes `gone` out of the list.
fn without(log: &LogStore, list: &mut Vec<Line>, gone: &Retained) {
    let before = list.len() as u64;
    let left: std::collections::HashSet<_> = all(log).into_iter().map(|l| l.position).collect();
    let is_in = |line: &Line| {
        let ts = line.position.ts;
        gone.segments.iter().any(|meta| (meta.start..=meta.end).contains(&ts))
    };
    list.retain(|line| left.contains(&line.position) || !is_in(line));
    assert_eq!(before - list.len() as u64, gone.records(), "as many as it says");
}

#[test]
fn what_a_dry_run_names_is_what_goes_for_good() {
    for seed in 0..6 {
        let (sim, mut rng) = (Sim::new(seed), Rng::new(seed));
        let options = options(1 << rng.below(3));
        let (log, mut list) = filled(&sim, &options, &mut rng);
        let metas = log.segments().unwrap();
        let bytes: u64 = metas.iter().filter(|m| m.sealed).map(|m| m.bytes).sum();
        for (rules, now) in [
            (rules(Some(6_000_000), None, None), 10_000_000),
            (rules(None, Some(bytes / 2), None), 0),
            (rules(None, None, Some(150)), 0),
        ] {
            let dry = log.retain_dry_run(&rules, now).unwrap();
            assert_eq!(all(&log), in_order(&list), "a dry run changes nothing");
            let under_way = log.search(&Query::default()).unwrap();
            let gone = log.retain(&rules, now).unwrap();
            assert_eq!(gone, dry, "R3, seed {seed}");
            assert!(!gone.segments.is_empty(), "seed {seed}: {rules:?}");
            let (mut search, mut found) = (under_way, 0);
            while search.next().unwrap().is_some() {
                found += 1;
            }
            assert_eq!(found, list.len(), "a search goes on over what it began with");
            without(&log, &mut list, &gone);
            assert_eq!(all(&log), in_order(&list), "seed {seed}");
            assert_eq!(log.retain(&rules, now).unwrap(), Retained::default(), "once");
        }
        // A power cut brings nothing back.
        drop(log);
        sim.disk.power_loss();
        let log = sim.open(&options);
        assert_eq!(all(&log), in_order(&list));
        let last = log.segments().unwrap().into_iter().find(|meta| meta.end == 10_000_000);
        assert!(last.is_some(), "the newest stays");
        assert!(list.len() <= 150);
    }
}

#[test]
fn what_a_power_cut_leaves_of_a_run_is_what_a_shorter_run_would_have_left() {
    let mut shorter = 0;
    for cut in 1.. {
        let (sim, mut rng) = (Sim::new(31), Rng::new(31));
        let options = options(2);
        let (log, list) = filled(&sim, &options, &mut rng);
        let rules = rules(None, None, Some(200));
        let order = log.retain_dry_run(&rules, 0).unwrap().segments;
        let before: u64 = log.segments().unwrap().iter().map(|meta| meta.records).sum();
        sim.disk.crash_after(cut);
        let done = log.retain(&rules, 0);
        drop(log);
        sim.disk.power_loss();
        let log = sim.open(&options);
        let is_there = |meta: &SegmentMeta| log.segment(meta.id).unwrap().is_some();
        let gone = order.iter().take_while(|meta| !is_there(meta)).count();
        assert!(order[gone..].iter().all(is_there), "R4, cut {cut}: not the oldest");
        let left = all(&log);
        let records: u64 = order[..gone].iter().map(|meta| meta.records).sum();
        assert_eq!(left.len() as u64, before - records, "cut {cut}");
        assert!(left.iter().all(|line| list.contains(line)));
        log.retain(&rules, 0).unwrap();
        assert!(all(&log).len() <= 200);
        if done.is_ok() {
            break;
        }
        shorter += usize::from(gone > 0 && gone < order.len());
    }
    assert!(shorter > 1, "{shorter} cuts in the middle");
}

#[test]
fn merges_of_a_slow_source_do_not_keep_the_old_with_the_new() {
    let (sim, mut rng, mut list) = (Sim::new(8), Rng::new(8), Vec::new());
    let mut options = options(1);
    // Spans of an hour, a record a minute, sealed every ten minutes.
    options.store.compaction.span = None;
    options.segment_span = Duration::from_secs(3600);
    let log = sim.open(&options);
    let (minute, age) = (60_000_000, 6 * 3_600_000_000_u64);
    for now in (0..48 * 60).map(|m| m * minute) {
        append(&log, &mut rng, now, &mut list);
        if now / minute % 10 == 9 {
            log.seal().unwrap();
        }
        let rules = LogRetention { age: Some(Duration::from_micros(age)), ..Default::default() };
        log.retain(&rules, now).unwrap();
        let oldest = log.segments().unwrap()[0].start;
        // R1: its own age, and what a segment spans.
        assert!(now - oldest <= age + 3_600_000_000, "at {now} there is {oldest}");
    }
    let (segments, merges) = (log.segments().unwrap().len(), log.stats()[0].compactions);
    assert!(segments <= 7 * 6 && merges > 40, "{segments} segments, {merges} merges");
    let kept = in_order(&list);
    let found = all(&log);
    assert!(found.len() >= 6 * 60 && kept.ends_with(&found), "only the oldest are gone");
}

#[test]
fn positions_of_what_is_gone_are_never_given_again() {
    let sim = Sim::new(9);
    let options = options(1);
    let log = sim.open(&options);
    let source = Source::named("a").unwrap();
    let line = LogRecord { ts: 5, source: &source, raw: b"a line" };
    let last = (0..10).map(|_| log.append(line).unwrap()).max().unwrap();
    log.seal().unwrap();
    let everything = LogRetention { bytes: Some(0), ..Default::default() };
    assert_eq!(log.retain(&everything, 0).unwrap().records(), 10);
    assert_eq!(all(&log), []);
    // The machine has no other trace of them than its clock.
    sim.clock.advance(Duration::from_secs(1));
    drop(log);
    let log = sim.open(&options);
    assert!(log.append(line).unwrap() > last);
}

#[test]
fn the_service_applies_the_rules_and_ends_with_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(1);
    (options.store.threads, options.store.readers) = (true, 1);
    options.store.memory_bytes = 64 << 20;
    let log = std::sync::Arc::new(LogStore::open(dir.path(), &options).unwrap());
    let source = Source::named("a").unwrap();
    for ts in 0..100 {
        log.append(LogRecord { ts, source: &source, raw: b"a line" }).unwrap();
    }
    log.seal().unwrap();
    // The oldest of all ages: the first run drops it.
    let rules = LogRetention { age: Some(Duration::from_secs(60)), ..Default::default() };
    let service = LogRetainer::start(&log, rules, LogRetainer::INTERVAL);
    while !log.segments().unwrap().is_empty() {
        std::thread::yield_now();
    }
    drop(service);
    assert_eq!(all(&log), []);
    std::sync::Arc::into_inner(log).expect("the service keeps no store").close().unwrap();
}
