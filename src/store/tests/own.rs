//! Stores that make their ids themselves, with late terms and without, against a list of what went in.
//!
//! A record is `source u8 | words`, each word a byte. Its number is the order of arrival, turned round as logs do.

use super::super::*;
use crate::base::{Key, Terms, hash64};
use crate::io::{self, ManualClock, Rng, SimDisk, sim::Faults};
use crate::model::{Decision, Ids, Probes};
use std::collections::BTreeMap;

/// Words are late from this field on, if they are.
const LATE: u8 = 16;

/// Kept out by the rule.
pub(crate) const FORBIDDEN: u8 = 250;

/// The model, with its words late or early.
pub(crate) struct Own {
    pub(crate) late: bool,
}

impl Model for Own {
    fn name(&self) -> &'static str {
        "own"
    }
    fn version(&self) -> u32 {
        1
    }
    fn ids(&self) -> Ids {
        Ids::Own
    }
    fn route(&self, record: Record<'_>) -> u64 {
        hash64(&record.body[..1])
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        self.early(record, out);
        record.body[1..].iter().for_each(|&word| out.push(&[&[LATE, word]]));
    }
    fn late_from(&self) -> u8 {
        if self.late { LATE } else { u8::MAX }
    }
    fn early_terms(&self, record: Record<'_>, out: &mut Terms) {
        match self.late {
            true => self.early(record, out),
            false => self.terms(record, out),
        }
    }
    fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}
    fn decide(&self, record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
        match record.body[1..].contains(&FORBIDDEN) {
            true => Decision::Refuse { reason: FORBIDDEN },
            false => Decision::Store { kills: Vec::new() },
        }
    }
}

impl Own {
    fn early(&self, record: Record<'_>, out: &mut Terms) {
        out.push(&[&[1], &record.body[..1]]);
        let arrival = !record.key.own_number().expect("an own id");
        out.push(&[&[2], &(arrival >> 5).to_be_bytes()]);
    }
}

pub(crate) fn model(late: bool) -> Arc<dyn Model> {
    Arc::new(Own { late })
}

pub(crate) type Item = (Key, Vec<u8>);

/// Record number `n`, of a time near `n / 3`: many are of one time, and some come late.
pub(crate) fn item(rng: &mut Rng, n: u64) -> Item {
    let late = if rng.chance(5) { rng.below(60) } else { 0 };
    let mut body = vec![rng.below(5) as u8];
    body.extend((0..rng.below(9)).map(|_| rng.below(30) as u8));
    (Key::own((1000 + n / 3).saturating_sub(late), !n), body)
}

pub(crate) fn record(item: &Item) -> Record<'_> {
    Record { key: item.0, body: &item.1 }
}

struct Machine {
    env: Env,
    disk: Arc<SimDisk>,
    _clock: Arc<ManualClock>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let (env, disk, clock) = io::simulated(seed, Faults::default());
        Machine { env, disk, _clock: clock }
    }

    fn open(&self, options: &Options, late: bool) -> Store {
        Store::open(Path::new("/store"), model(late), options, self.env.clone()).unwrap()
    }
}

fn insert(store: &Store, item: &Item) -> Result<Outcome> {
    store.insert(record(item))?.wait()
}

/// What a store holds, oldest first.
pub(crate) fn held(store: &Store) -> Vec<Item> {
    let mut cursor = store.query(&[Select::all()], Order::Oldest).unwrap();
    let mut found = Vec::new();
    while let Some(record) = cursor.next().unwrap() {
        found.push((record.key, record.body.to_vec()));
    }
    found
}

/// A random selection.
#[derive(Clone, Debug)]
struct Ask {
    all_of: Vec<Vec<Vec<u8>>>,
    none_of: Vec<Vec<u8>>,
    ids: Option<Vec<[u8; 32]>>,
    since: u64,
    until: u64,
    limit: Option<usize>,
}

impl Ask {
    fn random(rng: &mut Rng, count: u64) -> Ask {
        let term = |rng: &mut Rng| match rng.below(4) {
            0 => vec![1, rng.below(6) as u8],
            1 => [&[2][..], &(rng.below(count + 40) >> 5).to_be_bytes()].concat(),
            _ => vec![LATE, rng.below(32) as u8],
        };
        let list = |rng: &mut Rng, least: u64, most: u64| -> Vec<Vec<u8>> {
            (0..least + rng.below(most)).map(|_| term(rng)).collect()
        };
        let ids = rng.chance(8).then(|| {
            (0..rng.below(6)).map(|_| Key::own(0, !rng.below(count + 2)).id).collect::<Vec<_>>()
        });
        let time = |rng: &mut Rng| 1000 + rng.below(count / 3 + 2);
        Ask {
            all_of: (0..rng.below(4)).map(|_| list(rng, 1, 3)).collect(),
            none_of: if rng.chance(3) { list(rng, 0, 3) } else { Vec::new() },
            ids,
            since: if rng.chance(2) { time(rng) } else { 0 },
            until: if rng.chance(2) { time(rng) } else { u64::MAX },
            limit: rng.chance(2).then(|| rng.below(30) as usize),
        }
    }

    fn matches(&self, record: Record<'_>) -> bool {
        let mut terms = Terms::new();
        Own { late: false }.terms(record, &mut terms);
        let has = |term: &Vec<u8>| terms.iter().any(|other| other == &term[..]);
        self.all_of.iter().all(|any_of| any_of.iter().any(has))
            && !self.none_of.iter().any(has)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&record.key.id))
            && (self.since..=self.until).contains(&record.key.time)
    }

    fn select(&self) -> Select {
        let me = self.clone();
        Select {
            all_of: self.all_of.iter().cloned().map(Vec::into).collect(),
            none_of: self.none_of.clone(),
            ids: self.ids.clone(),
            since: self.since,
            until: self.until,
            limit: self.limit,
            matches: Arc::new(move |record| me.matches(record)),
            ..Select::all()
        }
    }
}

/// Compares random answers with those of the list.
fn compare(store: &Store, items: &BTreeMap<Key, Vec<u8>>, rng: &mut Rng, count: usize) {
    for _ in 0..count {
        let order = if rng.chance(2) { Order::Oldest } else { Order::Newest };
        let asks: Vec<Ask> =
            (0..1 + rng.below(2)).map(|_| Ask::random(rng, items.len() as u64)).collect();
        let (mut expected, mut all) = (Vec::new(), Vec::new());
        for ask in &asks {
            let matching =
                items.iter().filter(|(key, body)| ask.matches(Record { key: **key, body }));
            let mut keys: Vec<Key> = matching.map(|(key, _)| *key).collect();
            if order == Order::Newest {
                keys.reverse();
            }
            all.extend(keys.iter().copied());
            expected.extend(keys.into_iter().take(ask.limit.unwrap_or(usize::MAX)));
        }
        for keys in [&mut expected, &mut all] {
            keys.sort();
            keys.dedup();
        }
        if order == Order::Newest {
            expected.reverse();
        }
        let selects: Vec<Select> = asks.iter().map(Ask::select).collect();
        let mut cursor = store.query(&selects, order).unwrap();
        let mut found = Vec::new();
        while let Some(record) = cursor.next().unwrap() {
            assert_eq!(record.body, &items[&record.key]);
            found.push(record.key);
        }
        assert_eq!(found, expected, "{asks:?}");
        assert_eq!(store.count(&selects).unwrap(), all.len() as u64, "{asks:?}");
        assert!(store.explain(&selects, order).unwrap().contains("selection 1 of"));
    }
}

fn small() -> Options {
    Options { memtable_bytes: Some(96 << 10), ..super::compaction::eager() }
}

#[test]
fn answers_are_the_same_with_late_and_early_terms_through_flushes_merges_and_reopenings() {
    for seed in 0..10 {
        let late = seed % 2 == 0;
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let options = Options { shards: Some(1 << rng.below(2)), ..small() };
        let mut store = machine.open(&options, late);
        let mut items = BTreeMap::new();
        let (mut n, mut flushed, mut merged) = (0, false, false);
        for _ in 0..25 {
            for _ in 0..rng.below(200) {
                let item = item(&mut rng, n);
                n += 1;
                assert!(matches!(insert(&store, &item), Ok(Outcome::Stored { .. })));
                items.insert(item.0, item.1);
            }
            compare(&store, &items, &mut rng, 10);
            match rng.below(6) {
                0 => store.flush().unwrap(),
                1 => store.compact().unwrap(),
                2 => {
                    store.close().unwrap();
                    drop(store);
                    store = machine.open(&options, late);
                }
                3 => {
                    machine.disk.kill();
                    std::mem::forget(store);
                    store = machine.open(&options, late);
                }
                _ => {}
            }
            compare(&store, &items, &mut rng, 10);
            flushed |= store.stats().iter().any(|s| s.segments > 0);
            merged |= store.stats().iter().any(|s| s.compactions > 0);
        }
        assert!(flushed && merged, "seed {seed}: {flushed}, {merged}");
    }
}

#[test]
fn late_terms_are_in_segments_and_not_in_memtables() {
    let machine = Machine::new(1);
    let store = machine.open(&small(), true);
    let mut rng = Rng::new(1);
    for n in 0..200 {
        insert(&store, &item(&mut rng, n)).unwrap();
    }
    let word = [LATE, 7];
    let of =
        |store: &Store| crate::query::postings(&[&word], store.snapshot().shards()).unwrap()[0];
    assert_eq!(of(&store), 0);
    store.flush().unwrap();
    assert!(of(&store) > 10);
}

#[test]
fn what_is_asked_by_id_is_refused_and_nothing_else_is() {
    let machine = Machine::new(1);
    let store = machine.open(&small(), true);
    let mut rng = Rng::new(2);
    let item = item(&mut rng, 5);
    let seq = insert(&store, &item).unwrap();
    assert!(matches!(seq, Outcome::Stored { replaced: 0, .. }));
    let route = store.model.route(record(&item));
    for flushed in [false, true] {
        let invalid = |error: &Error| matches!(error, Error::Invalid { .. });
        assert!(store.get(&item.0.id, |_| ()).is_err_and(|e| invalid(&e)));
        assert!(store.remove(route, &[item.0.id]).is_err_and(|e| invalid(&e)));
        let whole = Record { key: Key { time: 1, id: [3; 32] }, body: b"xyz" };
        assert!(store.insert(whole).unwrap().wait().is_err_and(|e| invalid(&e)));
        let forbidden = (Key::own(9, 9), vec![1, FORBIDDEN]);
        assert_eq!(insert(&store, &forbidden).unwrap(), Outcome::Refused(FORBIDDEN));
        store.barrier().unwrap();
        assert_eq!(held(&store), std::slice::from_ref(&item));
        if !flushed {
            store.flush().unwrap();
        }
    }
}

#[test]
fn a_record_takes_less_in_a_segment_of_own_ids() {
    let machine = Machine::new(1);
    let roomy = Options { shards: Some(1), memtable_bytes: Some(1 << 20), ..Options::tiny() };
    let store = machine.open(&roomy, true);
    for n in 0..6000 {
        insert(&store, &(Key::own(n, !n), vec![1])).unwrap();
    }
    store.flush().unwrap();
    let stats = store.stats();
    let bytes: u64 = stats.iter().map(|s| s.segment_bytes).sum();
    let records: u64 = stats.iter().map(|s| s.segment_records).sum();
    // Head and body 5, time 4, id 4, location 4, and two postings.
    assert_eq!(records, 6000);
    // With ids of others it takes 36 more.
    assert!(bytes < 32 * records, "{bytes}");
}
