//! Small stores under a toy model, damaged a byte at a time, verified, repaired, and compared.
//!
//! A record is `b'T' author kind filler`. Kind 1 replaces the older record of its author. What a store must
//! hold is told by a list of what was inserted, and the rule, not by the engine.

mod damage;
mod every;
mod faults;
mod inspecting;
mod postings;

use super::report::{Report, Severity};
use super::{repair, verify};
use crate::base::{Key, Terms, hash64};
use crate::io::sim::{Faults, SimDisk};
use crate::io::{Buf, Env, Rng, simulated};
use crate::model::{ByBlock, Decision, Model, Probes, Record};
use crate::query::{Order, Select};
use crate::shard::SyncMode;
use crate::store::{Options, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/store";
const OLDER: u8 = 1;

struct Toy;

fn mark(body: &[u8]) -> u32 {
    hash64(body) as u32
}

impl Model for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }
    fn version(&self) -> u32 {
        3
    }
    fn route(&self, record: Record<'_>) -> u64 {
        hash64(&record.body[1..2])
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        let body = record.body;
        out.push(&[b"all"]);
        out.push(&[b"a", &body[1..2]]);
        out.push(&[b"s", &body[1..3]]);
        out.push(&[b"u", &record.key.id]);
        out.push(&[b"l", &[body.len() as u8]]);
    }
    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        Some(mark)
    }
    fn check(&self, record: Record<'_>) -> Result<(), String> {
        match record.body {
            [b'T', _, _, ..] => Ok(()),
            _ => Err("no toy".into()),
        }
    }
    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        if record.body[2] == 1 {
            out.all.push(&[b"s", &record.body[1..3]]);
        }
    }
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], _now: u64) -> Decision {
        match hits.iter().any(|hit| hit.key > record.key) {
            true => Decision::Refuse { reason: OLDER },
            false => Decision::Store { kills: (0..hits.len()).collect() },
        }
    }
}

fn toy() -> Arc<dyn Model> {
    Arc::new(Toy)
}

/// The toy with its bodies by block. A store of it is read, verified and repaired by either.
fn by_block() -> Arc<dyn Model> {
    Arc::new(ByBlock(Toy))
}

type Item = (Key, Vec<u8>);

/// What a store holds that was given `items`, by the rule.
fn held<'a>(items: impl Iterator<Item = &'a Item>) -> BTreeMap<[u8; 32], Item> {
    let mut held: BTreeMap<[u8; 32], Item> = BTreeMap::new();
    for item in items {
        let rival = |other: &Item| (other.1[1], other.1[2]) == (item.1[1], 1) && item.1[2] == 1;
        if held.values().any(|other| rival(other) && other.0 > item.0) {
            continue;
        }
        held.retain(|_, other| !rival(other));
        held.insert(item.0.id, item.clone());
    }
    held
}

fn options() -> Options {
    let mut options = Options::tiny();
    options.shards = None;
    options.sync = SyncMode::Always;
    options.create = false;
    // So small that logs rotate, and old files go.
    options.log_file_bytes = 64 << 10;
    options
}

/// A store at rest.
struct Image {
    files: BTreeMap<PathBuf, Vec<u8>>,
    items: Vec<Item>,
    /// Items from here on are in the log only.
    in_log: usize,
}

fn random_item(rng: &mut Rng, time: u64) -> Item {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    let kind = u8::from(rng.chance(4));
    let mut body = vec![b'T', rng.below(12) as u8, kind];
    let long = if rng.chance(40) { 6000 } else { 90 };
    body.resize(3 + rng.below(long) as usize, rng.below(250) as u8);
    (Key { time, id }, body)
}

fn insert(store: &Store, items: &[Item]) {
    for (key, body) in items {
        store.insert(Record { key: *key, body }).unwrap().wait().unwrap();
    }
}

/// A store of two shards: `flushed` items in two segments a shard, then `logged` items in two log files.
fn image(seed: u64, flushed: usize, logged: usize) -> Image {
    image_of(&toy(), seed, flushed, logged)
}

/// As `image`, under another form of the model.
fn image_of(model: &Arc<dyn Model>, seed: u64, flushed: usize, logged: usize) -> Image {
    let (env, disk, _clock) = simulated(seed, Faults::default());
    let mut rng = Rng::new(seed);
    let items: Vec<Item> =
        (0..flushed + logged).map(|i| random_item(&mut rng, 1000 + i as u64 / 3)).collect();
    let mut first = options();
    (first.shards, first.create) = (Some(2), true);
    let open = |options: &Options| {
        Store::open(Path::new(DIR), model.clone(), options, env.clone()).unwrap()
    };
    let store = open(&first);
    insert(&store, &items[..flushed / 2]);
    store.flush().unwrap();
    insert(&store, &items[flushed / 2..flushed]);
    store.flush().unwrap();
    insert(&store, &items[flushed..flushed + logged / 2]);
    disk.kill();
    // Its end would write, which a killed process does not.
    std::mem::forget(store);
    let store = open(&options());
    insert(&store, &items[flushed + logged / 2..]);
    disk.kill();
    std::mem::forget(store);
    Image { files: files(&disk), items, in_log: flushed }
}

/// The store's files, the lock aside, whose text names its last holder.
fn files(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    use crate::io::Disk;
    let dirs = ["", "shard-00", "shard-01", "quarantine"].map(|dir| Path::new(DIR).join(dir));
    let paths = dirs.iter().flat_map(|dir| {
        let names = disk.list(dir).unwrap_or_default();
        names.into_iter().map(move |name| dir.join(name))
    });
    let paths = paths.filter(|path| !path.ends_with("LOCK"));
    paths.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect()
}

/// A machine with these files.
fn machine(files: &BTreeMap<PathBuf, Vec<u8>>, seed: u64) -> (Env, Arc<SimDisk>) {
    // Not the seed of the image: names are drawn from it.
    let (env, disk, _clock) = simulated(seed + 1_000_000, Faults::default());
    for (path, bytes) in files {
        env.disk.create_dir(path.parent().unwrap()).unwrap();
        let file = env.disk.create(path, bytes.len() as u64).unwrap();
        let mut buf = Buf::zeroed(bytes.len(), file.align());
        buf.copy_from_slice(bytes);
        if !bytes.is_empty() {
            file.write_at(0, &buf).unwrap();
        }
        file.sync().unwrap();
        env.disk.sync_dir(path.parent().unwrap()).unwrap();
    }
    (env, disk)
}

fn verified(env: &Env) -> Report {
    verify::run(env, Path::new(DIR), &toy(), &mut ()).unwrap()
}

fn repaired(env: &Env) -> repair::Repaired {
    repair::run(env, Path::new(DIR), &toy(), false, &mut ()).unwrap()
}

/// Everything that the store holds, and that its indexes agree.
fn read_all(env: &Env) -> BTreeMap<[u8; 32], Item> {
    let store = Store::open(Path::new(DIR), toy(), &options(), env.clone()).unwrap();
    let mut all = BTreeMap::new();
    let mut cursor = store.query(&[Select::all()], Order::Newest).unwrap();
    while let Some(record) = cursor.next().unwrap() {
        let before = all.insert(record.key.id, (record.key, record.body.to_vec()));
        assert!(before.is_none(), "{:?} comes twice", record.key);
    }
    for (id, item) in &all {
        let found = store.get(id, |record| record.body.to_vec()).unwrap();
        assert_eq!(found.as_ref(), Some(&item.1));
    }
    store.close().unwrap();
    all
}

fn ids(held: &BTreeMap<[u8; 32], Item>) -> BTreeSet<[u8; 32]> {
    held.keys().copied().collect()
}

#[test]
fn a_healthy_store_is_found_healthy_and_a_repair_changes_nothing() {
    for seed in 0..4 {
        let model = if seed % 2 == 0 { toy() } else { by_block() };
        let image = image_of(&model, seed, 300, 40);
        let (env, disk) = machine(&image.files, seed);
        let report = verified(&env);
        assert_eq!(report.findings, vec![], "{seed}");
        let counts = report.counts;
        assert!(counts.segments == 4 && counts.records > 200 && counts.blocks >= 40, "{counts:?}");
        assert_eq!(counts.entries as usize, image.items[image.in_log..].len() - refused(&image));
        let done = repaired(&env);
        assert!(done.actions.is_empty() && done.lost.is_empty() && done.after.is_none());
        assert_eq!(files(&disk), image.files, "{seed}");
        assert_eq!(read_all(&env), held(image.items.iter()));
    }
}

/// Items of the log that the rule refused, which have no entry.
fn refused(image: &Image) -> usize {
    let mut refused = 0;
    for i in image.in_log..image.items.len() {
        let now = held(image.items[..=i].iter());
        refused += usize::from(!now.contains_key(&image.items[i].0.id));
    }
    refused
}

#[test]
fn a_live_store_is_verified_beside_its_owner() {
    let image = image(9, 200, 20);
    let (env, _disk) = machine(&image.files, 9);
    let store = Store::open(Path::new(DIR), toy(), &options(), env.clone()).unwrap();
    let mut rng = Rng::new(77);
    for round in 0..6 {
        let more: Vec<Item> =
            (0..30).map(|i| random_item(&mut rng, 5000 + round * 100 + i)).collect();
        insert(&store, &more);
        if round % 2 == 1 {
            store.flush().unwrap();
        }
        let report = verified(&env);
        assert!(report.is_healthy(), "{:?}", report.findings);
        let held = store.count(&[Select::all()]).unwrap();
        assert!(report.counts.records + report.counts.entries >= held);
    }
    let refused = repair::run(&env, Path::new(DIR), &toy(), false, &mut ());
    assert!(matches!(refused, Err(crate::base::Error::Locked { .. })));
    store.close().unwrap();
}
