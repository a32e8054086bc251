//! Log records under simulation: ids of the store's own, late terms, batches that are whole or not there.
//!
//! Records go in below `LogStore::append`, which numbers them by the clock: here the oracle has to know the number.

use super::history::Rows;
use super::subject::{Answer, Step, Subject, Told, any_of, small_options};
use crate::base::{Key, Result, hash64};
use crate::io::{Env, Rng};
use crate::logs::{LogOptions, LogStore, Query, Source};
use crate::model::Record;
use crate::shard::Policy;
use crate::store::{Options, Store};
use std::path::Path;
use std::sync::Arc;

const WORDS: [&str; 8] =
    ["error", "warning", "disk", "net", "retry", "shutdown-of-the-unit", "ok", "boot"];

/// Records of one source that are appended together.
#[derive(Clone, Debug)]
pub struct Deed {
    records: Vec<(Key, Arc<[u8]>)>,
}

/// The model of log records, and what a seed makes of it.
#[derive(Clone)]
pub struct Logs {
    options: Options,
    sources: Vec<Source>,
    arrivals: u64,
}

/// The words of a body.
fn words(body: &[u8]) -> Vec<&str> {
    let raw = &body[1 + usize::from(body[0])..];
    std::str::from_utf8(raw).map_or(Vec::new(), |text| text.split(' ').collect())
}

impl Subject for Logs {
    type Open = LogStore;
    type Deed = Deed;
    const NAME: &'static str = "logs";

    fn new(rng: &mut Rng) -> Logs {
        let small = small_options(rng);
        let shards = Some(if rng.chance(8) { 2 } else { 1 });
        let compaction = Policy { span: Some(2_000_000), ..small.compaction };
        let mut options = Options { shards, compaction, ..small };
        options.memory_bytes = options.memory_bytes_min(2).max(1 << 20);
        let sources = ["app", "kernel", "web"].map(|name| Source::named(name).unwrap()).to_vec();
        Logs { options, sources, arrivals: 1 }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn open(&self, env: &Env) -> Result<LogStore> {
        LogStore::open_in(Path::new("/store"), &LogOptions::from(&self.options), env.clone())
    }

    fn store(open: &LogStore) -> &Store {
        open.engine()
    }

    fn shard(&self, body: &[u8]) -> usize {
        let name = &body[1..1 + usize::from(body[0])];
        let is = |source: &&Source| source.name().map(str::as_bytes) == Some(name);
        let route = self.sources.iter().find(is).map_or(0, |source| hash64(&source.uuid()));
        (route & (self.options.shards.unwrap_or(1) as u64 - 1)) as usize
    }

    fn draw(&mut self, rng: &mut Rng, now: u64, _rows: &[Rows]) -> Deed {
        let source = rng.below(self.sources.len() as u64) as usize;
        let name = self.sources[source].name().unwrap_or_default();
        let count = if rng.chance(3) { 1 + rng.below(7) } else { 1 };
        let records = (0..count).map(|_| {
            self.arrivals += 1;
            let ts = now * 1_000_000 - rng.below(3_000_000);
            let mut body = vec![name.len() as u8];
            body.extend_from_slice(name.as_bytes());
            let words = (0..1 + rng.below(5)).map(|_| WORDS[rng.below(8) as usize]);
            body.extend_from_slice(words.collect::<Vec<_>>().join(" ").as_bytes());
            (Key::own(ts, !self.arrivals), Arc::from(body))
        });
        Deed { records: records.collect() }
    }

    fn apply(&self, deed: &Deed, _: u64, rows: &mut [Rows], step: &mut Step<'_>) -> Answer {
        let shard = self.shard(&deed.records[0].1);
        rows[shard].extend(deed.records.iter().cloned());
        step(shard, &rows[shard]);
        Answer::Stored(0)
    }

    fn perform(&self, open: &LogStore, deeds: &[Deed], told: &mut dyn FnMut(Told)) {
        let mut waiting = Vec::new();
        for (nth, deed) in deeds.iter().enumerate() {
            told(Told::Submitted(nth));
            let records = deed.records.iter().map(|(key, body)| Record { key: *key, body });
            let records: Vec<Record<'_>> = records.collect();
            waiting.push((
                nth,
                match &records[..] {
                    [one] => open.engine().insert(*one),
                    many => open.engine().insert_many(many),
                },
            ));
        }
        for (nth, pending) in waiting {
            let answer = pending.and_then(|pending| pending.wait());
            told(Told::Answered(nth, answer.map(|_| Answer::Stored(0))));
        }
    }

    fn probe(
        &self,
        open: &LogStore,
        rows: &Rows,
        rng: &mut Rng,
    ) -> std::result::Result<(), String> {
        let (word, source) = (WORDS[rng.below(8) as usize], any_of(rng, &self.sources));
        let sources = source.filter(|_| rng.chance(2)).map(Source::uuid);
        let reverse = rng.chance(2);
        let query = Query {
            reverse,
            sources: sources.into_iter().collect(),
            tokens: vec![word.into()],
            ..Query::default()
        };
        let name = source.and_then(Source::name).unwrap_or_default().as_bytes();
        let expected = rows.iter().filter(|(_, body)| {
            let of_source = sources.is_none() || &body[1..1 + usize::from(body[0])] == name;
            // "shutdown-of-the-unit" is four tokens, none of which another word has.
            of_source && words(body).contains(&word)
        });
        let mut expected: Vec<Vec<u8>> = expected.map(|(_, body)| body.to_vec()).collect();
        if reverse {
            expected.reverse();
        }
        let mut found = Vec::new();
        let mut search = open.search(&query).map_err(|error| error.to_string())?;
        while let Some(record) = search.next().map_err(|error| error.to_string())? {
            let name = record.source().name().unwrap_or_default();
            found.push([&[name.len() as u8], name.as_bytes(), record.raw()].concat());
        }
        let count = open.count(&query).map_err(|error| error.to_string())?;
        if found != expected || count != expected.len() as u64 {
            return Err(format!("of {query:?}: {count}, {found:?}, not {expected:?}"));
        }
        Ok(())
    }
}
