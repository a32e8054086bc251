//! Backup, restore and reshard under a toy model, on the simulated disk and on files.
//!
//! A record is its number, and every fourth replaces the older one of its slot. A store is what a map of its
//! records says.

mod backup;
mod insist;
mod moved;
mod nth;
mod own;
mod reshard;
mod restore;
mod texts;

use super::{How, Step, Transferred, backup as backing, restore as restoring};
use crate::base::{Error, Key, Result, Terms, hash64};
use crate::io::{self, Env, Faults, SimDisk};
use crate::model::{Decision, Model, Probes, Record};
use crate::query::{Order, Select};
use crate::shard::SyncMode;
use crate::store::{Options, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Toy;

const SLOTS: u64 = 40;

/// The slot in which the record is alone, if it is of that kind.
fn slot(n: u64) -> Option<u64> {
    n.is_multiple_of(4).then_some(n / 4 % SLOTS)
}

fn number(record: Record<'_>) -> u64 {
    u64::from_le_bytes(*record.body.first_chunk().unwrap())
}

impl Model for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }
    fn version(&self) -> u32 {
        1
    }
    fn route(&self, record: Record<'_>) -> u64 {
        let n = number(record);
        hash64(&slot(n).unwrap_or(n).to_le_bytes())
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        if let Some(slot) = slot(number(record)) {
            out.push(&[b"slot", &slot.to_le_bytes()]);
        }
    }
    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        self.terms(record, &mut out.all);
    }
    fn decide(&self, _: Record<'_>, hits: &[Record<'_>], _: u64) -> Decision {
        Decision::Store { kills: (0..hits.len()).collect() }
    }
}

fn model() -> Arc<dyn Model> {
    Arc::new(Toy)
}

fn key(n: u64) -> Key {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&hash64(&n.to_be_bytes()).to_be_bytes());
    Key { time: 1000 + n, id }
}

fn body(n: u64) -> Vec<u8> {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(60 + n as usize % 300, n as u8);
    body
}

fn insert(store: &Store, n: u64) -> Result<()> {
    store.insert(Record { key: key(n), body: &body(n) })?.wait().map(drop)
}

/// What a store is.
type Contents = BTreeMap<Key, Vec<u8>>;

fn contents(store: &Store) -> Contents {
    let mut found = Contents::new();
    let mut cursor = store.query(&[Select::all()], Order::Oldest).unwrap();
    while let Some(record) = cursor.next().unwrap() {
        assert!(found.insert(record.key, record.body.to_vec()).is_none());
    }
    for key in found.keys().step_by(17) {
        let got = store.get(&key.id, |record| record.body.to_vec()).unwrap();
        assert_eq!(got.as_ref(), Some(&found[key]));
    }
    found
}

/// What a store of the records `0..count` is.
fn expected(count: u64) -> Contents {
    let newest = |n: u64| slot(n).is_none() || n + 4 * SLOTS >= count;
    (0..count).filter(|&n| newest(n)).map(|n| (key(n), body(n))).collect()
}

fn tiny() -> Options {
    // Enough for 64 shards.
    let memory_bytes = 64 << 20;
    let memtable_bytes = Some(64 << 10);
    Options { memory_bytes, memtable_bytes, log_file_bytes: 64 << 10, ..Options::tiny() }
}

struct Machine {
    env: Env,
    disk: Arc<SimDisk>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let faults = Faults { names_any_subset: seed.is_multiple_of(2), ..Faults::default() };
        let (env, disk, _) = io::simulated(seed, faults);
        Machine { env, disk }
    }

    fn open(&self, dir: &str) -> Store {
        self.try_open(dir).unwrap()
    }

    fn try_open(&self, dir: &str) -> Result<Store> {
        let options = Options { shards: None, create: false, ..tiny() };
        Store::open(Path::new(dir), model(), &options, self.env.clone())
    }

    /// A store in `dir` with the records of `numbers`, closed.
    fn fill(&self, dir: &str, numbers: std::ops::Range<u64>) {
        let store = Store::open(Path::new(dir), model(), &tiny(), self.env.clone()).unwrap();
        numbers.for_each(|n| insert(&store, n).unwrap());
        store.close().unwrap();
    }

    /// More records in the store in `dir`, and the end of the process: they stay in the log.
    fn leave(&self, dir: &str, numbers: std::ops::Range<u64>) {
        let store = self.open(dir);
        numbers.for_each(|n| insert(&store, n).unwrap());
        self.disk.kill();
    }

    fn backup(&self, from: &str, to: &str, how: How) -> Result<Transferred> {
        backing::run(&self.env.disk, from.as_ref(), to.as_ref(), how, &mut |_| {})
    }

    fn restore(&self, from: &str, to: &str, how: How) -> Result<Transferred> {
        restoring::run(&self.env.disk, from.as_ref(), to.as_ref(), how, &mut |_| {})
    }

    fn contents(&self, dir: &str) -> Contents {
        let store = self.open(dir);
        let found = contents(&store);
        store.close().unwrap();
        found
    }

    /// All files of the store in `dir`, with what is in them.
    fn files(&self, dir: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let shards = (0..64).map(|n| Path::new(dir).join(format!("shard-{n:02}")));
        for dir in shards.chain([dir.into()]) {
            for name in self.env.disk.list(&dir).unwrap_or_default() {
                let path = dir.join(name);
                files.insert(path.clone(), self.disk.contents(&path).unwrap());
            }
        }
        files
    }
}

fn named(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}
