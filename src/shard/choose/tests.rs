//! The choice by text cases (`tests/cases/compact/*.txt`), and that choosing comes to an end.
//!
//! A case file is a list of cases; `RATITE_REWRITE=1` writes the answers anew.
//!
//! ```text
//! case: what it shows
//! segment <id byte> <records> <dead> <low>..<high> [compressed]
//! choose [asked] [span <units of time>]
//!   => <reason>[, compressed]: <ids, oldest first> | nothing
//! ```
//! The policy is that of windows of 1,000 records, four of a size, 20 % dead.

use super::*;
use crate::io::Rng;
use std::fmt::Write as _;
use std::path::Path;

const POLICY: Policy = Policy {
    records_max: 1000,
    fan_in: 4,
    garbage_percent: 20,
    inputs_max: 32,
    compress: Compress::Full,
    span: None,
};

fn item(id: u8, records: u32, dead: u32, middle: (u64, u64)) -> Item {
    let (id, (time_min, time_max)) = (SegmentId([id; 16]), middle);
    Item {
        id,
        records,
        dead,
        time_min,
        time_max,
        middle,
        bytes: 1000 * u64::from(records),
        compressed: false,
    }
}

fn read(line: &str) -> Item {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, id, records, dead, times, ref more @ ..] = words[..] else {
        panic!("not a segment: {line}")
    };
    let (low, high) = times.split_once("..").unwrap();
    let middle = (low.parse().unwrap(), high.parse().unwrap());
    let id = u8::from_str_radix(id, 16).unwrap();
    let item = item(id, records.parse().unwrap(), dead.parse().unwrap(), middle);
    Item { compressed: more == ["compressed"], ..item }
}

fn answers(cases: &str) -> String {
    let (mut out, mut items) = (String::new(), Vec::new());
    for line in cases.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(out, "{line}").unwrap();
        if line.starts_with("case:") {
            items.clear();
        } else if line.starts_with("segment") {
            items.push(read(line));
        } else if line.starts_with("choose") {
            let span = line.split_once("span ").map(|(_, span)| span.parse().unwrap());
            let policy = Policy { span, ..POLICY };
            let answer = match choose(&items, &policy, line.contains("asked")) {
                None => "nothing".into(),
                Some(Choice { inputs, compress, reason }) => {
                    let ids: String = inputs.iter().map(|id| format!(" {:02x}", id.0[0])).collect();
                    let how = if compress { ", compressed" } else { "" };
                    format!("{reason:?}{how}:{ids}").to_lowercase()
                }
            };
            writeln!(out, "  => {answer}").unwrap();
        }
    }
    out
}

#[test]
fn the_cases_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/compact/choose.txt");
    let cases = std::fs::read_to_string(&path).unwrap();
    let answers = answers(&cases);
    if std::env::var_os("RATITE_REWRITE").is_some() {
        std::fs::write(&path, &answers).unwrap();
    }
    assert_eq!(answers, cases, "RATITE_REWRITE=1 writes the answers anew; read them then");
}

/// What a merge makes of its inputs: windows in a row, without the dead.
fn merge(items: &mut Vec<Item>, Choice { inputs, compress, .. }: &Choice, next: &mut u8) {
    let merged: Vec<Item> = items.iter().filter(|i| inputs.contains(&i.id)).copied().collect();
    assert_eq!(merged.len(), inputs.len(), "each input is there, once");
    items.retain(|i| !inputs.contains(&i.id));
    let mut live: u64 = merged.iter().map(Item::live).sum();
    let all = live.max(1);
    let low = merged.iter().map(|i| i.middle.0).min().unwrap();
    let high = merged.iter().map(|i| i.middle.1).max().unwrap();
    let mut from = low;
    while live > 0 {
        let records = live.min(u64::from(POLICY.records_max));
        live -= records;
        let to = high - (high - low) * live / all;
        *next = next.wrapping_add(1);
        let made = item(*next, records as u32, 0, (from, to));
        items.push(Item { compressed: *compress, ..made });
        from = to;
    }
}

#[test]
fn choosing_ends_and_leaves_few_segments() {
    let mut most = 0;
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (mut items, mut next, mut written, mut added) = (Vec::new(), 0u8, 0u64, 0u64);
        let in_order = rng.below(2) == 0;
        for round in 0..120 {
            let records = 20 + rng.below(20) as u32;
            let low = if in_order { round * 10 } else { rng.below(600) };
            let high = if in_order { low + 10 } else { low + rng.below(600) };
            next = next.wrapping_add(1);
            items.push(item(next, records, 0, (low, high)));
            added += u64::from(records);
            if rng.below(3) == 0 {
                let i = rng.below(items.len() as u64) as usize;
                items[i].dead = items[i].records.min(items[i].dead + rng.below(60) as u32);
            }
            let mut steps = 0;
            while let Some(choice) = choose(&items, &POLICY, false) {
                let inputs = items.iter().filter(|i| choice.inputs.contains(&i.id));
                written += inputs.map(Item::live).sum::<u64>();
                merge(&mut items, &choice, &mut next);
                steps += 1;
                assert!(steps < 50, "seed {seed}: it goes on for ever");
            }
            most = most.max(items.len());
            assert!(items.iter().all(|i| !i.is_garbage(&POLICY)), "seed {seed}");
        }
        // C2: a record is written about once a tier, of which there are three here; C3 and C4 add theirs.
        assert!(written < added * 6, "seed {seed}: {written} written for {added}");
        while let Some(choice) = choose(&items, &POLICY, true) {
            merge(&mut items, &choice, &mut next);
        }
        assert!(items.iter().all(|i| i.dead == 0), "seed {seed}");
    }
    // Seven of each of three tiers, the small ones that removals left, and the full ones.
    assert!((8..=30).contains(&most), "{most} segments");
}

#[test]
fn with_spans_no_merge_is_wider_than_its_inputs_and_past_spans_have_few_segments() {
    let policy = Policy { span: Some(100), ..POLICY };
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (mut items, mut next, mut written, mut added) = (Vec::new(), 0u8, 0u64, 0u64);
        // So slow that one span alone never fills a segment, up to several segments for each.
        let records = [1, 5, 40, 300][rng.below(4) as usize];
        for round in 0..150u64 {
            let records = 1 + rng.below(records) as u32;
            // Now and then an import of what is long past, or a flush over two spans.
            let low = if rng.chance(10) { rng.below(round * 10 + 1) } else { round * 10 };
            next = next.wrapping_add(1);
            items.push(item(next, records, 0, (low, low + rng.below(15))));
            added += u64::from(records);
            let mut steps = 0;
            while let Some(choice) = choose(&items, &policy, false) {
                let inputs = items.iter().filter(|i| choice.inputs.contains(&i.id));
                let mut spans: Vec<_> = inputs.clone().map(|i| policy.spans(i)).collect();
                written += inputs.map(Item::live).sum::<u64>();
                spans.dedup();
                assert_eq!(spans.len(), 1, "seed {seed}: {choice:?}");
                merge(&mut items, &choice, &mut next);
                steps += 1;
                assert!(steps < 50, "seed {seed}: it goes on for ever");
            }
        }
        assert!(written < added * 8, "seed {seed}: {written} written for {added}");
        let newest = items.iter().map(|i| policy.spans(i).0).max().unwrap();
        items.sort_by_key(|i| policy.spans(i));
        for span in items.chunk_by(|a, b| policy.spans(a) == policy.spans(b)) {
            let small = span.iter().filter(|i| i.live() * 2 <= u64::from(policy.records_max));
            if policy.spans(&span[0]).0 < newest {
                // Each outweighs those before it four times.
                assert!(small.clone().count() <= 5, "seed {seed}: {:?}", small.collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn writers_wait_for_merges_by_what_is_not_full() {
    let small = |count| std::iter::repeat_n(750, count);
    assert!(!POLICY.is_behind(small(127)) && POLICY.is_behind(small(128)));
    // A large store is never too many segments for its writers.
    let full = std::iter::repeat_n(751, 10_000);
    assert!(!POLICY.is_behind(full.clone().chain(small(127))));
    assert!(POLICY.is_behind(full.chain(small(128))));
}
