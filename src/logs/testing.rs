//! For tests: a simulated machine with log stores on it, and a plain list beside them.

use super::{LogOptions, LogRecord, LogStore, Position, Query, Source};
use crate::base::Result;
use crate::io::{self, Env, Faults, ManualClock, Rng, SimDisk};
use crate::shard::Policy;
use crate::store::Options;
use std::path::Path;
use std::sync::Arc;

/// A machine whose every choice follows from a seed.
pub struct Sim {
    pub env: Env,
    pub disk: Arc<SimDisk>,
    pub clock: Arc<ManualClock>,
}

impl Sim {
    pub fn new(seed: u64) -> Sim {
        let (env, disk, clock) = io::simulated(seed, Faults::default());
        Sim { env, disk, clock }
    }

    pub fn open(&self, options: &LogOptions) -> LogStore {
        self.try_open(options).unwrap()
    }

    pub fn try_open(&self, options: &LogOptions) -> Result<LogStore> {
        LogStore::open_in(Path::new("/logs"), options, self.env.clone())
    }
}

/// Small memtables and eager merges, within spans of a second.
pub fn options(shards: usize) -> LogOptions {
    let mut store = Options::tiny();
    store.shards = Some(shards);
    store.memtable_bytes = Some(96 << 10);
    store.compaction =
        Policy { fan_in: 2, records_max: 1000, span: Some(1_000_000), ..store.compaction };
    LogOptions::from(&store)
}

/// A record of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub position: Position,
    pub source: Source,
    pub raw: Vec<u8>,
}

impl Line {
    pub fn matches(&self, query: &Query) -> bool {
        let mut words: Vec<Vec<u8>> = Vec::new();
        super::tokens::each(&self.raw, |token| words.push(token.to_vec()));
        let mut wanted: Vec<Vec<u8>> = Vec::new();
        let mut want = |token: &[u8]| wanted.push(token.to_vec());
        query.tokens.iter().for_each(|term| super::tokens::each(term, &mut want));
        query.from.is_none_or(|from| self.position.ts >= from)
            && query.to.is_none_or(|to| self.position.ts < to)
            && (query.sources.is_empty() || query.sources.contains(&self.source.uuid()))
            && wanted.iter().all(|token| words.contains(token))
    }
}

pub fn sources() -> Vec<Source> {
    let mut all: Vec<Source> = (0..5).map(|i| Source::of([i; 16])).collect();
    all.extend(["web", "db", "a rather long name of a source"].map(|n| Source::named(n).unwrap()));
    all
}

const WORDS: [&str; 8] =
    ["error", "GET", "timeout", "user_id=7", "connectionrefusedbypeer", "Größe", "x", "warn"];

/// Appends a record at `ts` with a few words in it, and notes it.
pub fn append(log: &LogStore, rng: &mut Rng, ts: u64, list: &mut Vec<Line>) {
    let (source, raw) = random(rng);
    let position = log.append(LogRecord { ts, source: &source, raw: &raw }).unwrap();
    list.push(Line { position, source, raw });
}

pub fn random(rng: &mut Rng) -> (Source, Vec<u8>) {
    let sources = sources();
    let source = sources[rng.below(sources.len() as u64) as usize].clone();
    let words = (0..rng.below(5)).map(|_| WORDS[rng.below(8) as usize]);
    let mut raw = words.collect::<Vec<_>>().join(" ").into_bytes();
    raw.extend(format!(" n{}", rng.below(1000)).into_bytes());
    (source, raw)
}

pub fn random_query(rng: &mut Rng, times: std::ops::Range<u64>) -> Query {
    let time =
        |rng: &mut Rng| rng.chance(2).then(|| times.start + rng.below(times.end - times.start + 2));
    let (from, to) = (time(rng), time(rng));
    let mut query = Query { from, to, ..Query::default() };
    for _ in 0..rng.below(3) {
        query.tokens.push(WORDS[rng.below(8) as usize].as_bytes().to_vec());
    }
    if rng.chance(2) {
        let all = sources();
        for _ in 0..1 + rng.below(2) {
            query.sources.push(all[rng.below(all.len() as u64) as usize].uuid());
        }
    }
    query
}

/// Everything in the store, in order.
pub fn all(log: &LogStore) -> Vec<Line> {
    let mut search = log.search(&Query::default()).unwrap();
    let mut found = Vec::new();
    while let Some(record) = search.next().unwrap() {
        let source = record.source().to_source();
        found.push(Line { position: record.position(), source, raw: record.raw().to_vec() });
    }
    found
}

/// `list` in the order of the store.
pub fn in_order(list: &[Line]) -> Vec<Line> {
    let mut list = list.to_vec();
    list.sort_unstable_by_key(|line| line.position);
    list
}
