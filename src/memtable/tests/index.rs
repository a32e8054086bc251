//! The hash index: against a map, with collisions, and the length of its chains.

use crate::memtable::index::*;
use crate::memtable::sync::Ordering;
use std::collections::BTreeMap;

/// Checks every lookup against a twin, for hashes drawn by `hash`.
fn agrees_with_a_map(count: u32, bits_max: u32, hash: impl Fn(u32) -> u64) -> Index<()> {
    // Of few buckets, with few bits too.
    let index =
        Index::new(count as usize, bits_max, if bits_max < 30 { 0 } else { count as usize });
    let mut twin: BTreeMap<u32, (u64, Vec<u32>)> = BTreeMap::new();
    for number in 0..count {
        let h = hash(number);
        let growth = index.growth(number as usize + 1);
        let before = index.bytes();
        index.insert(h, number, |()| {});
        assert!(index.bytes() <= before + growth);
        twin.entry(node_key(h)).or_insert((h, Vec::new())).1.push(number);
        let newest = &twin[&node_key(h)].1;
        assert!(numbers(&index, h).eq(newest.iter().rev().copied()));
    }
    for (key, (hash, twin)) in &twin {
        assert!(numbers(&index, *hash).eq(twin.iter().rev().copied()), "{key:x}");
    }
    index
}

fn numbers(index: &Index<()>, hash: u64) -> impl Iterator<Item = u32> {
    index.candidates(hash).map(|(number, ())| number)
}

fn mix(n: u32) -> u64 {
    crate::base::hash64(&n.to_le_bytes())
}

#[test]
fn finds_all_and_nothing_else() {
    let index = agrees_with_a_map(20_000, 30, mix);
    let absent = (20_000..60_000).filter(|&n| index.candidates(mix(n)).next().is_some());
    assert!(absent.count() < 5, "31 bits of hash tell almost all apart");
    let walked = (20_000..60_000).filter(|&n| index.candidates(mix(n)).next != END).count();
    assert!(walked < 8_000, "{walked} of 40,000 that are absent are walked for");
}

#[test]
fn equal_hashes_and_few_buckets() {
    agrees_with_a_map(500, 30, |_| 7);
    agrees_with_a_map(500, 30, |n| u64::from(n % 3) << 31 | 5);
    agrees_with_a_map(2000, 0, mix);
    agrees_with_a_map(2000, 2, |n| mix(n % 100));
    agrees_with_a_map(2000, 30, |n| u64::from(n.reverse_bits()));
    agrees_with_a_map(2000, 30, |n| u64::from(u32::MAX - n));
    agrees_with_a_map(1, 30, mix);
}

#[test]
fn chains_stay_short() {
    let index = agrees_with_a_map(30_000, 29, mix);
    let steps = |n: u32| {
        let mut walk = index.candidates(mix(n));
        let mut steps = 0;
        while walk.next != END && index.key(walk.next) <= walk.key {
            walk.next = index.link(walk.next).load(Ordering::Relaxed);
            steps += 1;
        }
        steps
    };
    assert!((0..90_000).map(steps).sum::<u32>() < 90_000 * 2);
}
