//! Counts, histograms and sources beside those of a list, wherever the records are.

use super::super::testing::{Line, Sim, append, options, random_query};
use super::*;
use crate::io::Rng;
use crate::logs::LogRecord;

fn buckets(list: &[Line], query: &Query, bucket: u64) -> Vec<(u64, u64)> {
    let mut counts = BTreeMap::new();
    for line in list.iter().filter(|line| line.matches(query)) {
        *counts.entry(line.position.ts / bucket * bucket).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn counts_histograms_and_sources_are_those_of_a_list_wherever_the_records_are() {
    let mut seen = [0, 0];
    for seed in 0..8 {
        let (sim, mut rng, mut list) = (Sim::new(seed), Rng::new(seed), Vec::<Line>::new());
        let options = options(1 << rng.below(3));
        let mut log = sim.open(&options);
        let mut now = 10_000_000;
        for _ in 0..12 {
            for _ in 0..rng.below(500) {
                now += rng.below(5_000);
                append(&log, &mut rng, now, &mut list);
            }
            match rng.below(6) {
                0 => drop(log.seal().unwrap()),
                1 => log.engine().compact().unwrap(),
                2 => {
                    drop(log);
                    log = sim.open(&options);
                }
                _ => {}
            }
            for _ in 0..12 {
                let query = random_query(&mut rng, 10_000_000..now);
                let bucket = [1, 7, 1_000, 100_000, 3_000_000, u64::MAX][rng.below(6) as usize];
                let expected = buckets(&list, &query, bucket);
                assert_eq!(log.histogram(&query, bucket).unwrap(), expected, "{query:?}, {bucket}");
                let count: u64 = expected.iter().map(|(_, count)| count).sum();
                assert_eq!(log.count(&query).unwrap(), count, "{query:?}");
                seen[usize::from(count > 0)] += 1;
            }
            let mut sources = BTreeMap::new();
            for line in &list {
                *sources.entry(line.source.clone()).or_default() += 1;
            }
            let found = log.sources().unwrap();
            let names = |of: &Source| of.name().map(str::to_owned);
            let expected: Vec<(Source, u64)> = sources.into_iter().collect();
            assert_eq!(found, expected);
            let named =
                |list: &[(Source, u64)]| list.iter().map(|(s, _)| names(s)).collect::<Vec<_>>();
            assert_eq!(named(&found), named(&expected));
        }
    }
    assert!(seen[0] > 50 && seen[1] > 500, "{seen:?}");
}

#[test]
fn a_histogram_hears_when_it_is_not_wanted_any_more_and_has_a_limit() {
    let (sim, mut rng, mut list) = (Sim::new(5), Rng::new(5), Vec::new());
    let log = sim.open(&options(1));
    (0..300).for_each(|ts| append(&log, &mut rng, ts, &mut list));
    let query = Query::default();
    assert_eq!(log.histogram(&query, 0).unwrap_err().code(), "ERR_INVALID");
    let mut told = Vec::new();
    let mut hear = |counted| {
        told.push(counted);
        counted < 100
    };
    let cancelled = log.histogram_with(&query, 10, &mut hear).unwrap_err();
    assert_eq!(cancelled.code(), "ERR_CANCELLED");
    assert!(told.is_sorted() && told.last() == Some(&100), "{told:?}");
    // A record for each bucket, and one bucket too many.
    let (source, mut ts) = (Source::of([1; 16]), 1000);
    for _ in 0..BUCKETS_MAX / 1000 + 1 {
        let line = |ts| LogRecord { ts, source: &source, raw: b"" };
        let lines: Vec<_> = (ts..ts + 1000).map(line).collect();
        log.append_batch(&lines).unwrap();
        ts += 1000;
    }
    assert_eq!(log.histogram(&query, 1).unwrap_err().code(), "ERR_FULL");
    assert_eq!(log.histogram(&query, u64::MAX).unwrap(), [(0, log.count(&query).unwrap())]);
}
