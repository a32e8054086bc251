//! Retention under a toy model: text cases, a naive twin, random runs, and power loss, on the simulated disk.
//!
//! A record is `author u8 | kind u8 | expires u64 | filler`; `expires` of 0 is never. Rules are written as in
//! `tests/cases/retention/rules.txt`: `kinds=1,2 authors=3 count=5 each`.

mod cases;
mod crash;
mod disk;
mod random;
mod twin;

use super::decide::decide;
use super::*;
use crate::base::{Key, Terms};
use crate::io::sim::{Faults, SimDisk};
use crate::io::{self, Env, ManualClock, Rng};
use crate::model::{Decision, Model, Probes, Record};
use crate::query::{Expiry, Order, Select};
use crate::shard::Outcome;
use crate::store::{Options, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Toy;

fn expires(body: &[u8]) -> u64 {
    u64::from_le_bytes(*body[2..].first_chunk().unwrap())
}

impl Model for Toy {
    fn name(&self) -> &'static str {
        "kept"
    }
    fn version(&self) -> u32 {
        1
    }
    fn route(&self, record: Record<'_>) -> u64 {
        crate::base::hash64(&record.body[..1])
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        out.push(&[b"a", &record.body[..1]]);
        out.push(&[b"k", &record.body[1..2]]);
        if expires(record.body) > 0 {
            out.push(&[b"x"]);
            out.push(&[b"y", &expires(record.body).to_be_bytes()]);
        }
    }
    fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}
    fn decide(&self, _record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
        Decision::Store { kills: Vec::new() }
    }
}

fn words() -> Words {
    Words {
        author: Some(AuthorTerms { prefix: b'a', of: |record| record.body.get(..1) }),
        kind: Some(|record| u64::from(record.body[1])),
        expiry: Some(Expiry {
            any: b"x",
            prefix: b"y",
            is_over: |record, now| expires(record.body) > 0 && expires(record.body) <= now,
        }),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    key: Key,
    body: Vec<u8>,
}

impl Item {
    fn new(id: [u8; 32], time: u64, author: u8, kind: u8, size: usize, expires: u64) -> Item {
        let mut body = vec![author, kind];
        body.extend_from_slice(&expires.to_le_bytes());
        body.resize(size.max(10), 7);
        Item { key: Key { time, id }, body }
    }

    /// A record of one of few authors, mostly of now; times collide often.
    fn random(rng: &mut Rng, now: u64) -> Item {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
        let late = if rng.chance(3) { rng.below(400) } else { rng.below(3) };
        let expires = if rng.chance(5) { now.saturating_sub(20) + rng.below(200) } else { 0 };
        let author = rng.below(6).min(rng.below(6)) as u8;
        let size = 10 + rng.below(300) as usize;
        Item::new(id, now.saturating_sub(late), author, rng.below(4) as u8, size, expires)
    }

    fn record(&self) -> Record<'_> {
        Record { key: self.key, body: &self.body }
    }
}

/// A rule or a protection, as written in cases, for store and twin alike.
#[derive(Clone, Debug, Default)]
struct Spec {
    kinds: Option<Vec<u8>>,
    authors: Option<Vec<u8>>,
    keep: Option<Keep>,
    each: bool,
}

impl Spec {
    fn parse(text: &str) -> Spec {
        let mut spec = Spec::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let list = || Some(value.split(',').map(|n| n.parse().unwrap()).collect());
            match name {
                "kinds" => spec.kinds = list(),
                "authors" => spec.authors = list(),
                "age" => spec.keep = Some(Keep::Age(value.parse().unwrap())),
                "count" => spec.keep = Some(Keep::Count(value.parse().unwrap())),
                "bytes" => spec.keep = Some(Keep::Bytes(value.parse().unwrap())),
                "each" => spec.each = true,
                _ => panic!("{word}"),
            }
        }
        spec
    }

    fn matches(&self, body: &[u8]) -> bool {
        self.authors.as_ref().is_none_or(|list| list.contains(&body[0]))
            && self.kinds.as_ref().is_none_or(|list| list.contains(&body[1]))
    }

    fn select(&self) -> Select {
        let terms = |field: u8, list: &Vec<u8>| list.iter().map(|&n| vec![field, n]).collect();
        let lists = [
            self.authors.as_ref().map(|list| terms(b'a', list)),
            self.kinds.as_ref().map(|list| terms(b'k', list)),
        ];
        let me = self.clone();
        Select {
            all_of: lists.into_iter().flatten().map(Vec::into).collect(),
            matches: Arc::new(move |record| me.matches(record.body)),
            ..Select::all()
        }
    }
}

/// Rules as specs.
#[derive(Clone, Debug, Default)]
struct Specs {
    rules: Vec<Spec>,
    protect: Vec<Spec>,
}

impl Specs {
    fn rules(&self) -> Rules {
        let rule = |(i, spec): (usize, &Spec)| Rule {
            name: format!("rule {}", i + 1),
            what: spec.select(),
            keep: spec.keep.unwrap(),
            each_author: spec.each,
        };
        Rules {
            rules: self.rules.iter().enumerate().map(rule).collect(),
            protect: self.protect.iter().map(Spec::select).collect(),
            words: words(),
        }
    }

    fn random(rng: &mut Rng) -> Specs {
        let some = |rng: &mut Rng, of: u64, chance: u32| {
            let list = |rng: &mut Rng| (0..1 + rng.below(3)).map(|_| rng.below(of) as u8).collect();
            rng.chance(chance).then(|| list(rng))
        };
        let rule = |rng: &mut Rng| Spec {
            kinds: some(rng, 4, 2),
            authors: some(rng, 6, 3),
            each: rng.chance(3),
            keep: Some(match rng.below(3) {
                0 => Keep::Age(rng.below(600)),
                1 => Keep::Count(rng.below(200)),
                _ => Keep::Bytes(rng.below(80_000)),
            }),
        };
        let protect = |rng: &mut Rng| Spec {
            kinds: Some(vec![rng.below(5) as u8]),
            authors: some(rng, 6, 2),
            ..Spec::default()
        };
        Specs {
            rules: (0..rng.below(4)).map(|_| rule(rng)).collect(),
            protect: (0..rng.below(3)).map(|_| protect(rng)).collect(),
        }
    }
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

    fn open(&self, shards: usize) -> Store {
        let mut options = Options::tiny();
        options.memtable_bytes = Some(96 << 10);
        options.shards = Some(shards);
        options.compaction.records_max = 1000;
        Store::open(Path::new("/store"), Arc::new(Toy), &options, self.env.clone()).unwrap()
    }
}

type Records = BTreeMap<Key, Item>;

fn insert(store: &Store, items: &mut Records, item: Item) {
    let outcome = store.insert(item.record()).unwrap().wait().unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }));
    items.insert(item.key, item);
}

fn stored(store: &Store) -> Records {
    let mut cursor = store.query(&[Select::all()], Order::Oldest).unwrap();
    let (mut records, mut last) = (Records::new(), None);
    while let Some(record) = cursor.next().unwrap() {
        assert!(last < Some(record.key), "{:?} again, or out of order", record.key);
        last = Some(record.key);
        records.insert(record.key, Item { key: record.key, body: record.body.to_vec() });
    }
    records
}

/// What goes by the store's own decision: what has expired, then by rule.
fn going(store: &Store, rules: &Rules, now: u64) -> Vec<BTreeSet<Key>> {
    let cuts = decide(store, &store.snapshot(), rules, now).unwrap();
    let mut going = vec![BTreeSet::new(); rules.rules.len() + 1];
    for cut in &cuts {
        let select = std::slice::from_ref(&cut.select);
        let mut cursor = store.query(select, Order::Oldest).unwrap();
        while let Some(record) = cursor.next().unwrap() {
            if cut.takes(rules, record) {
                going[cut.rule.map_or(0, |i| i + 1)].insert(record.key);
            }
        }
    }
    going
}

const NOW_OR_NEVER: Limits = Limits { records_per_second: None, group_records: 7 };

fn run(store: &Store, rules: &Rules, now: u64) -> Report {
    apply(store, rules, now, NOW_OR_NEVER, &AtomicBool::new(false)).unwrap()
}
