//! kill -9 of a real process that appends to a real disk: what was acknowledged is found once, where it was said to be.
//!
//! ```text
//!   parent: start child -> read acknowledgements from its pipe -> kill -9 at a random one -> open, compare
//!   child:  open, append one by one and in batches, write each number and position to the pipe
//! ```

use ratite::io::Rng;
use ratite::logs::{LogOptions, LogRecord, LogStore, Position, Query, Source};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Records of the child's largest batch.
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

fn options(mode: u64) -> LogOptions {
    let mut options = Options::tiny();
    options.threads = true;
    options.sync = [SyncMode::Always, SyncMode::BATCH, SyncMode::Never][mode as usize % 3];
    LogOptions::from(&options)
}

/// The child: not a test by itself.
#[test]
#[ignore = "run by kill_9_loses_no_acknowledged_record as a process of its own"]
fn child() {
    let Ok(dir) = std::env::var("RATITE_KILL_DIR") else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let store = LogStore::open(&dir, &options(number("RATITE_KILL_MODE"))).unwrap();
    let mut out = std::io::stderr().lock();
    let mut next = number("RATITE_KILL_FROM");
    let mut rng = Rng::new(next);
    loop {
        let count = if rng.chance(4) { 1 } else { 1 + rng.below(BATCH) };
        let lines: Vec<_> = (next..next + count).map(|n| (line(n), source(n))).collect();
        let records: Vec<LogRecord<'_>> = lines
            .iter()
            .map(|((ts, raw), source)| LogRecord { ts: *ts, source, raw: raw.as_bytes() })
            .collect();
        let positions = match records[..] {
            [record] => vec![store.append(record).unwrap()],
            _ => store.append_batch(&records).unwrap(),
        };
        for (number, position) in (next..).zip(positions) {
            // One write, so that a kill cannot cut a line in two.
            out.write_all(format!("ack {number} {position}\n").as_bytes()).unwrap();
        }
        next += count;
    }
}

/// Runs a child from record `from` on and kills it after so many acknowledgements, which it keeps.
fn run_and_kill(dir: &Path, mode: u64, from: u64, acks: u64, acked: &mut HashMap<u64, Position>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["logs::kill::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RATITE_KILL_DIR", dir)
        .env("RATITE_KILL_MODE", mode.to_string())
        .env("RATITE_KILL_FROM", from.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = 0;
    for line in lines.map_while(Result::ok) {
        if let Some((number, at)) = line.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) {
            let said_before = acked.insert(number.parse().unwrap(), at.parse().unwrap());
            assert!(said_before.is_none(), "{line}");
            seen += 1;
            if seen == acks {
                child.kill().unwrap();
            }
        } else {
            assert!(!line.contains("panicked"), "{line}");
        }
    }
    child.wait().unwrap();
    assert!(seen >= acks, "the child ended by itself after {seen} acknowledgements");
}

/// Everything that was acknowledged is there once and in its place, and nothing that was never appended; the number
/// behind the highest that is there.
fn check(store: &LogStore, acked: &HashMap<u64, Position>) -> u64 {
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
    for (number, position) in acked {
        assert_eq!(found.get(number), Some(position), "record {number}");
    }
    let one = Query { tokens: vec![b"number".to_vec()], ..Query::default() };
    assert_eq!(store.count(&one).unwrap(), found.len() as u64);
    found.keys().max().map_or(0, |highest| highest + 1)
}

fn kill_repeatedly(cycles: u64, acks_max: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(cycles);
    let (mut acked, mut from, mut segments) = (HashMap::new(), 0, 0);
    for cycle in 0..cycles {
        run_and_kill(dir.path(), cycle, from, 1 + rng.below(acks_max), &mut acked);
        let store = LogStore::open(dir.path(), &options(cycle)).unwrap();
        from = check(&store, &acked);
        segments += store.stats().iter().map(|shard| shard.segments).sum::<u64>();
        store.close().unwrap();
    }
    assert!(segments > 0, "the kills never met a flush");
}

#[test]
fn kill_9_loses_no_acknowledged_record() {
    kill_repeatedly(30, 1_500);
}

#[test]
#[ignore = "takes minutes; the short one runs always"]
fn kill_9_loses_no_acknowledged_record_of_a_million() {
    kill_repeatedly(51, 40_000);
}
