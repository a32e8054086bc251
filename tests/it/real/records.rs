//! Log records that a writer appends one by one and in batches, some of them late.

use super::{Checked, Kind};
use ratite::base::{Error, Result};
use ratite::io::Rng;
use ratite::logs::{LogOptions, LogRecord, LogStore, Position, Query, Source};
use ratite::store::Options;
use std::collections::HashMap;
use std::path::Path;

/// Records of the largest batch.
const BATCH: u64 = 40;

fn source(number: u64) -> Source {
    Source::named(&format!("app{}", number % 3)).unwrap()
}

/// Time and bytes of a record.
fn line(number: u64) -> (u64, String) {
    let mut rng = Rng::new(number);
    let late = if number.is_multiple_of(11) { rng.below(5_000) } else { 0 };
    let text = "word ".repeat(rng.below(120) as usize);
    (1_700_000_000_000_000 + number / 4 - late, format!("{text}number={number}"))
}

/// A store of log records.
pub struct Records;

impl Kind for Records {
    const NAME: &'static str = "log records";
    const WRITER: &'static str = "real::records::writer";
    type Store = LogStore;
    /// Where each record was said to be.
    type Told = HashMap<u64, Position>;

    fn open(dir: &Path, options: Options) -> Result<LogStore> {
        LogStore::open(dir, &LogOptions::from(&options))
    }

    fn write(store: &LogStore, from: u64, say: &mut dyn FnMut(String)) -> (u64, Error) {
        let (mut next, mut rng) = (from, Rng::new(from));
        loop {
            let count = if rng.chance(4) { 1 } else { 1 + rng.below(BATCH) };
            let lines: Vec<_> = (next..next + count).map(|n| (line(n), source(n))).collect();
            let records: Vec<LogRecord<'_>> = lines
                .iter()
                .map(|((ts, raw), source)| LogRecord { ts: *ts, source, raw: raw.as_bytes() })
                .collect();
            let appended = match records[..] {
                [record] => store.append(record).map(|position| vec![position]),
                _ => store.append_batch(&records),
            };
            // Of a batch that fails some may be stored, and would be twice if they were appended again.
            let positions = match appended {
                Ok(positions) => positions,
                Err(error) => return (next + count, error),
            };
            for (number, position) in (next..).zip(positions) {
                say(format!("{number} {position}"));
            }
            next += count;
        }
    }

    fn read(store: &LogStore) -> Result<u64> {
        let (mut all, mut count) = (store.search(&Query::default())?, 0);
        while all.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn segments(store: &LogStore) -> u64 {
        store.stats().iter().map(|shard| shard.segments).sum()
    }

    fn close(store: LogStore) -> Result<()> {
        store.close()
    }

    fn tell(told: &mut HashMap<u64, Position>, answer: &str) {
        let (number, at) = answer.split_once(' ').unwrap();
        let said_before = told.insert(number.parse().unwrap(), at.parse().unwrap());
        assert!(said_before.is_none(), "{answer}");
    }

    /// Everything that was answered is there once and in its place.
    fn check(store: &LogStore, told: &HashMap<u64, Position>) -> Checked {
        let mut found: HashMap<u64, Position> = HashMap::new();
        let mut search = store.search(&Query::default()).unwrap();
        let mut last = Position { ts: 0, arrival: 0 };
        while let Some(record) = search.next().unwrap() {
            assert!(record.position() > last, "not in order, or twice: {}", record.position());
            last = record.position();
            let text = std::str::from_utf8(record.raw()).unwrap();
            let number: u64 = text.split_once("number=").unwrap().1.parse().unwrap();
            assert_eq!((record.ts(), text), (line(number).0, &*line(number).1));
            assert_eq!(record.source().to_string(), source(number).to_string());
            assert!(found.insert(number, record.position()).is_none(), "{number} is there twice");
        }
        for (number, position) in told {
            assert_eq!(found.get(number), Some(position), "record {number}");
        }
        let one = Query { tokens: vec![b"number".to_vec()], ..Query::default() };
        assert_eq!(store.count(&one).unwrap(), found.len() as u64);
        let next = found.keys().max().map_or(0, |highest| highest + 1);
        Checked { found: found.len() as u64, next }
    }
}

#[test]
#[ignore = "a process of its own, started by other tests"]
fn writer() {
    super::be_writer::<Records>();
}

#[test]
#[ignore = "a process of its own, started by tests/blkrec"]
fn checker() {
    super::be_checker::<Records>();
}
