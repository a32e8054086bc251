//! The memtable as a whole: by hand, against a naive twin, full, and in chains.
//!
//! The tests of `arena.rs`, `slots.rs`, `postings.rs` and `index.rs` stand below this module, not in those files:
//! `model.rs` includes the files a second time, above loom's atomics.

mod arena;
mod batch;
mod beside;
mod index;
mod postings;
mod slots;

use super::*;
use crate::base::limits::{RECORD_BYTES_MAX, TERM_BYTES_MAX};
use crate::base::{Terms, hash64};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

const fn config(bytes: usize, records: u32) -> Config {
    Config { bytes, records, ids: Ids::Foreign, late_from: u8::MAX }
}

const ROOMY: Config = config(64 << 20, 1 << 20);

fn sealed<T: AsRef<[u8]>>(list: impl IntoIterator<Item = T>) -> Terms {
    let mut terms = Terms::new();
    list.into_iter().for_each(|t| terms.push(&[t.as_ref()]));
    terms.seal();
    terms
}

fn key(time: u64, n: u64) -> Key {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_le_bytes());
    id[24..].copy_from_slice(&hash64(&n.to_le_bytes()).to_le_bytes());
    Key { time, id }
}

fn walk(memtable: &Memtable, term: &[u8]) -> Vec<Ordinal> {
    memtable.postings(term).map_or(Vec::new(), |p| p.iter_back().collect())
}

#[test]
fn records_ids_terms_and_kills_by_hand() {
    let (mut writer, memtable) = new(ROOMY, 100);
    assert_eq!((memtable.len(), memtable.base(), memtable.is_empty()), (0, 100, true));
    assert_eq!(memtable.time_bounds(), (u64::MAX, 0));
    assert_eq!((memtable.find(&[0; 32]), walk(&memtable, b"a")), (None, vec![]));

    assert_eq!(writer.append(key(50, 1), b"one", &sealed(["a", "b"])), Some(0));
    assert_eq!(writer.append(key(40, 2), b"", &sealed(["b", "bb"])), Some(1));
    assert_eq!(writer.append(key(60, 3), b"three", &Terms::new()), Some(2));
    assert_eq!((memtable.key(0), memtable.body(0)), (key(50, 1), &b"one"[..]));
    assert_eq!((memtable.time(1), memtable.body(1)), (40, &b""[..]));
    assert_eq!(memtable.id(2), key(60, 3).id);
    assert_eq!(walk(&memtable, b"b"), [1, 0]);
    assert_eq!((walk(&memtable, b"a"), walk(&memtable, b"bb")), (vec![0], vec![1]));
    let mut terms: Vec<(&[u8], u32)> = memtable.terms().map(|(t, p)| (t, p.count())).collect();
    terms.sort_unstable();
    assert_eq!(terms, [(&b"a"[..], 1), (b"b", 2), (b"bb", 1)]);
    assert!(memtable.postings(b"c").is_none() && memtable.postings(b"").is_none());
    assert_eq!(memtable.time_bounds(), (40, 60));

    // Record 0 has number 101; it dies with number 103.
    writer.kill(0, 103);
    writer.kill(0, 104);
    assert_eq!((memtable.killed_at(0), memtable.killed_at(1)), (103, 0));
    assert_eq!((memtable.len(), memtable.dead()), (3, 1));
    let live = |at| [0, 1, 2].map(|o| memtable.is_live(o, at));
    assert_eq!(live(100), [false, false, false]);
    assert_eq!(live(101), [true, false, false]);
    assert_eq!(live(102), [true, true, false]);
    assert_eq!(live(103), [false, true, true]);

    // The id comes again: the newest is found first, the dead one after it.
    assert_eq!(writer.append(key(70, 1), b"again", &sealed(["a"])), Some(3));
    assert_eq!(memtable.find(&key(0, 1).id), Some(3));
    assert!(memtable.find_all(&key(0, 1).id).eq([3, 0]));
    assert_eq!(writer.memtable().len(), 4);
}

/// What a memtable answers, in maps.
#[derive(Default)]
struct Twin {
    records: Vec<(Key, Vec<u8>, u64)>,
    terms: BTreeMap<Vec<u8>, Vec<Ordinal>>,
    ids: BTreeMap<[u8; 32], Vec<Ordinal>>,
}

impl Twin {
    fn append(&mut self, key: Key, body: &[u8], terms: &Terms) -> Ordinal {
        let ordinal = self.records.len() as Ordinal;
        self.records.push((key, body.to_vec(), 0));
        self.ids.entry(key.id).or_default().push(ordinal);
        terms.iter().for_each(|t| self.terms.entry(t.to_vec()).or_default().push(ordinal));
        ordinal
    }

    fn check(&self, memtable: &Memtable) {
        assert_eq!(memtable.len() as usize, self.records.len());
        let (mut min, mut max) = (u64::MAX, 0);
        for (o, (key, body, killed)) in (0..).zip(&self.records) {
            assert_eq!((memtable.key(o), memtable.time(o)), (*key, key.time));
            assert_eq!((memtable.body(o), memtable.killed_at(o)), (&body[..], *killed));
            let at = memtable.base() + 1 + u64::from(o) / 2 * 3;
            let alive = *killed == 0 || at < *killed;
            assert_eq!(memtable.is_live(o, at), memtable.base() + u64::from(o) < at && alive);
            (min, max) = (min.min(key.time), max.max(key.time));
            let block = &self.records[..self.records.len().min((o as usize / 64 + 1) * 64)];
            let times = || block.iter().map(|(key, ..)| key.time);
            assert_eq!(Some(memtable.time_max_upto(o)), times().max());
            assert_eq!(Some(memtable.time_min_upto(o)), times().min());
        }
        assert_eq!(memtable.time_bounds(), (min, max));
        for (id, ordinals) in &self.ids {
            assert!(memtable.find_all(id).eq(ordinals.iter().rev().copied()));
            assert_eq!(memtable.find(id), ordinals.last().copied());
        }
        for (term, ordinals) in &self.terms {
            let postings = memtable.postings(term).unwrap();
            assert_eq!(postings.count() as usize, ordinals.len());
            assert!(postings.iter_back().eq(ordinals.iter().rev().copied()));
        }
        assert!(memtable.find(&[0xee; 32]).is_none() && memtable.postings(b"absent").is_none());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append { time: u64, id: u64, body: usize, terms: Vec<u16> },
    Kill { pick: u32, seq: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![8 => 900..1000u64, 1 => Just(0), 1 => Just(u64::MAX)];
    let terms = proptest::collection::vec(prop_oneof![0..4u16, 0..300u16], 0..14);
    prop_oneof![
        5 => (time, 0..120u64, 0..900usize, terms)
            .prop_map(|(time, id, body, terms)| Step::Append { time, id, body, terms }),
        1 => (any::<u32>(), 1..400u64).prop_map(|(pick, seq)| Step::Kill { pick, seq }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_as_its_twin(
        steps in proptest::collection::vec(step(), 0..300),
        bits_max in prop_oneof![Just(0u32), Just(2), Just(32)],
        base in 0..1000u64,
    ) {
        let (mut writer, memtable) = build(ROOMY, base, bits_max);
        let mut twin = Twin::default();
        for step in steps {
            match step {
                Step::Append { time, id, body, terms } => {
                    let body = vec![body as u8; body];
                    // Equal prefixes and lengths from 1 to 80.
                    let terms = sealed(terms.iter().map(|&t| match t % 3 {
                        0 => t.to_le_bytes().repeat(TERM_BYTES_MAX / 2),
                        _ => t.to_string().into_bytes(),
                    }));
                    let ordinal = writer.append(key(time, id), &body, &terms);
                    prop_assert_eq!(ordinal, Some(twin.append(key(time, id), &body, &terms)));
                }
                Step::Kill { pick, seq } if !twin.records.is_empty() => {
                    let o = pick % twin.records.len() as u32;
                    writer.kill(o, seq);
                    let killed = &mut twin.records[o as usize].2;
                    *killed = if *killed == 0 { seq } else { *killed };
                }
                Step::Kill { .. } => {}
            }
        }
        twin.check(&memtable);
    }
}

/// Pairs among the first 200,000 strings of `make` that agree in the 31 bits of hash that an index
/// keeps: some ten.
fn colliding<T: AsRef<[u8]> + Clone>(make: impl Fn(u32) -> T) -> Vec<[T; 2]> {
    let mut seen = HashMap::new();
    let mut pairs = Vec::new();
    for made in (0..200_000).map(make) {
        if let Some(other) = seen.insert(hash64(made.as_ref()) << 33, made.clone()) {
            pairs.push([other, made]);
        }
    }
    assert!(pairs.len() > 2, "{} pairs", pairs.len());
    pairs
}

#[test]
fn terms_and_ids_of_equal_index_keys_are_told_apart() {
    let terms = colliding(|n| [b"t".as_slice(), &n.to_le_bytes()].concat());
    let ids = colliding(|n| key(0, n.into()).id);
    let (mut writer, memtable) = new(ROOMY, 0);
    let mut twin = Twin::default();
    for side in [0, 1] {
        for (terms, ids) in terms.iter().zip(&ids) {
            // Of each pair the first, then the second: no lookup before it may find its fellow.
            assert_eq!(memtable.find(&ids[side]), None);
            assert!(memtable.postings(&terms[side]).is_none());
            let (key, terms) = (Key { time: 1, id: ids[side] }, sealed([&terms[side]]));
            assert!(writer.append(key, b"x", &terms).is_some());
            twin.append(key, b"x", &terms);
        }
    }
    twin.check(&memtable);
    assert!(twin.terms.values().all(|ordinals| ordinals.len() == 1));
}

#[test]
fn bodies_of_every_length_class() {
    let (mut writer, memtable) = new(ROOMY, 0);
    let source: Vec<u8> = (0..RECORD_BYTES_MAX as u32).map(|i| (i * 31 + i / 77) as u8).collect();
    let lens = [0, 1, 2, 31, 600, 16_383, 16_384, 65_503, 65_504, 65_505, 300_000];
    let lens = lens.into_iter().chain([RECORD_BYTES_MAX, 0, 1, RECORD_BYTES_MAX]);
    let mut twin = Twin::default();
    for (n, len) in (0..).zip(lens) {
        assert!(writer.append(key(n, n), &source[..len], &Terms::new()).is_some());
        twin.append(key(n, n), &source[..len], &Terms::new());
    }
    twin.check(&memtable);
}

#[test]
fn an_empty_memtable_is_small_and_takes_the_largest_record() {
    let wide: Vec<_> = (0..65_536u32).map(|n| n.to_be_bytes().repeat(TERM_BYTES_MAX / 4)).collect();
    let wide = sealed(&wide);
    let body = vec![7; RECORD_BYTES_MAX];
    for config in [config(0, 0), config(128 << 20, u32::MAX), config(512 << 20, u32::MAX)] {
        let (mut writer, memtable) = new(config, 0);
        let bitmaps = (config.bytes / SEEN_SHARE).min(SEEN_BYTES_MAX) * 3 / 2;
        let small = bitmaps + (256 << 10).max(config.bytes / 500);
        assert!(memtable.bytes_used() < small, "{} bytes", memtable.bytes_used());
        assert_eq!(writer.append(key(9, 9), &body, &wide), Some(0));
        assert_eq!(memtable.body(0), body);
        assert!(wide.iter().all(|t| walk(&memtable, t) == [0]));
        let second = writer.append(key(9, 10), &body, &wide);
        assert_eq!(second, (config.bytes > 0).then_some(1));
    }
}

/// Fills a memtable and checks that it kept its budget, refused without a trace, and used its room.
fn fills_up(bytes: usize, record: impl Fn(u64) -> (usize, Terms)) -> u32 {
    let (mut writer, memtable) = new(config(bytes, u32::MAX), 0);
    let mut twin = Twin::default();
    for n in 0.. {
        let (len, terms) = record(n);
        let body = vec![n as u8; len];
        let before = memtable.bytes_used();
        match writer.append(key(n, n), &body, &terms) {
            Some(_) => _ = twin.append(key(n, n), &body, &terms),
            None => {
                assert_eq!((memtable.bytes_used(), memtable.len()), (before, n as u32));
                assert!(memtable.find(&key(n, n).id).is_none());
                break;
            }
        }
        assert!(n == 0 || memtable.bytes_used() <= bytes);
    }
    twin.check(&memtable);
    assert!(memtable.bytes_used() > bytes / 2, "{} of {bytes}", memtable.bytes_used());
    // Kills, and walks, go on.
    writer.kill(0, 5);
    assert_eq!(memtable.killed_at(0), 5);
    memtable.len()
}

#[test]
fn a_full_memtable_keeps_its_budget() {
    let nothing = |_| (0, Terms::new());
    let fresh = |n: u64| (10, sealed((0..9u64).map(|t| (n * 9 + t).to_le_bytes())));
    let same = |_: u64| (10, sealed((0..200u32).map(|t| t.to_le_bytes())));
    let mixed =
        |n: u64| (n as usize * 37 % 3000, sealed([n % 7, n % 1000, n].map(u64::to_le_bytes)));
    for bytes in [200_000, 1 << 20, 3 << 20] {
        assert!(fills_up(bytes, nothing) as usize > bytes / 160);
        assert!(fills_up(bytes, fresh) > 100);
        assert!(fills_up(bytes, same) > 30);
        assert!(fills_up(bytes, mixed) > 50);
    }
}

#[test]
fn a_full_count_refuses() {
    let (mut writer, memtable) = new(config(1 << 20, 3), 0);
    let added: Vec<_> = (0..5).map(|n| writer.append(key(n, n), b"", &sealed(["t"]))).collect();
    assert_eq!(added, [Some(0), Some(1), Some(2), None, None]);
    assert_eq!(walk(&memtable, b"t"), [2, 1, 0]);
}

#[test]
#[should_panic(expected = "ordinal 1 of a memtable of 1 records")]
fn an_ordinal_beyond_the_end_panics() {
    let (mut writer, memtable) = new(ROOMY, 0);
    writer.append(key(1, 1), b"", &Terms::new());
    memtable.time(1);
}

#[test]
#[should_panic(expected = "not sealed")]
fn terms_must_be_sealed() {
    let mut terms = Terms::new();
    terms.push(&[b"a"]);
    terms.push(&[b"a"]);
    new(ROOMY, 0).0.append(key(1, 1), b"", &terms);
}

#[test]
#[should_panic(expected = "that has a successor")]
fn a_memtable_with_a_successor_takes_no_records() {
    let (mut writer, memtable) = new(ROOMY, 0);
    memtable.set_next(new(ROOMY, 0).1);
    writer.append(key(1, 1), b"", &Terms::new());
}

#[test]
fn a_long_chain_of_successors_drops_without_recursion() {
    let first = new(config(0, 1), 0).1;
    let mut last = Arc::clone(&first);
    for n in 1..100_000 {
        let next = new(config(0, 1), n).1;
        last.set_next(Arc::clone(&next));
        last = next;
    }
    assert_eq!(first.next().unwrap().base(), 1);
    drop(first);
    // Who holds the middle of a chain keeps what follows, and only that.
    assert_eq!((last.base(), Arc::strong_count(&last)), (99_999, 1));
}
