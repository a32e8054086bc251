//! Arrivals: never twice, whatever clocks, kills and threads do.

use super::*;
use crate::io::{Clock, threads};
use std::collections::BTreeSet;

#[test]
fn no_position_is_given_twice_though_the_clock_goes_back_and_the_power_goes() {
    for seed in 0..30 {
        let (mut rng, machine, source) = (Rng::new(seed), Machine::new(seed), named("a"));
        let mut given = BTreeSet::new();
        for _opened in 0..12 {
            let log = machine.open();
            let mut last = 0;
            for _ in 0..rng.below(30) {
                let record = LogRecord { ts: rng.below(5), source: &source, raw: b"x" };
                let position = log.append(record).unwrap();
                assert!(position.arrival > last, "in order of appending");
                last = position.arrival;
                assert!(given.insert(position.arrival), "seed {seed}: {position} again");
                if rng.chance(10) {
                    log.engine().flush().unwrap();
                }
            }
            drop(log);
            match rng.below(3) {
                0 => machine.disk.kill(),
                1 => machine.disk.power_loss(),
                _ => {}
            }
            machine.clock.set(1_704_067_200_000_000 - rng.below(1 << 40));
        }
        let log = machine.open();
        assert_eq!(log.count(&Query::default()).unwrap(), given.len() as u64);
        assert!(given.iter().next_back().is_none_or(|last| log.newest_arrival() >= *last));
    }
}

#[test]
fn no_position_is_given_twice_though_retention_took_the_newest_and_the_clock_went_back() {
    for seed in 0..20 {
        let (mut rng, machine, source) = (Rng::new(seed), Machine::new(seed), named("a"));
        let mut last = 0;
        for _opened in 0..6 {
            let log = machine.open();
            let start = machine.clock.unix_micros();
            for _ in 0..1 + rng.below(30) {
                let record = LogRecord { ts: rng.below(5), source: &source, raw: b"x" };
                let position = log.append(record).unwrap();
                assert!(position.arrival > last, "seed {seed}: {position} after {last}");
                last = position.arrival;
            }
            log.engine().flush().unwrap();
            let none = LogRetention { records: Some(0), ..LogRetention::default() };
            assert!(!log.retain(&none, start).unwrap().segments.is_empty());
            assert_eq!(log.count(&Query::default()).unwrap(), 0);
            drop(log);
            if rng.chance(2) {
                machine.disk.power_loss();
            }
            machine.clock.set(start - 1 - rng.below(1 << 40));
        }
    }
}

#[test]
fn a_clock_that_went_on_is_followed() {
    let (machine, source) = (Machine::new(1), named("a"));
    let append =
        |log: LogStore| log.append(LogRecord { ts: 1, source: &source, raw: b"x" }).unwrap();
    let first = append(machine.open());
    assert_eq!(first.arrival, 1_704_067_200_000_000, "the clock, in a store without records");
    machine.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(append(machine.open()).arrival, 1_704_067_200_000_000 + 3600 * S);
}

#[test]
fn threads_that_append_at_once_get_positions_of_their_own() {
    let log = Arc::new(LogStore::in_memory().unwrap());
    let start = |i: usize| {
        let log = log.clone();
        threads::spawn("appends", move || {
            let source = named(&format!("source {}", i % 2));
            let record = |raw| LogRecord { ts: 1, source: &source, raw };
            let batch = [record(b"first"), record(b"second")];
            let one = |_| [log.append_batch(&batch).unwrap(), vec![log.append(batch[0]).unwrap()]];
            (0..200).flat_map(one).flatten().collect::<Vec<Position>>()
        })
    };
    let started: Vec<_> = (0..4).map(start).collect();
    let all: Vec<Vec<Position>> = started.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(all.iter().all(|of_one| of_one.is_sorted()));
    let mut all = all.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4 * 600);
    let mut search = log.search(&Query::default()).unwrap();
    for position in all {
        assert_eq!(search.next().unwrap().unwrap().position(), position, "ties come by arrival");
    }
    assert!(search.next().unwrap().is_none());
}
