//! kill -9 of a real process that writes to a real disk: what was acknowledged is there when the store is
//! opened again, in each sync mode (promises 1 and 2 of docs/guarantees.md).
//!
//! ```text
//!   parent: start child -> read acknowledgements from its pipe -> kill -9 at a random one -> open, compare
//!   child:  open, insert with 64 under way, write each acknowledged number to the pipe
//! ```

use ratite::io::Rng;
use ratite::nostr::{Class, Event, EventStore, Filter, Inserted, TagValue, class};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes that the child has under way.
const WINDOW: usize = 64;

fn event(number: u64) -> Event {
    let mut rng = Rng::new(number);
    let kind = match number {
        n if n.is_multiple_of(5) => 10_002,
        n if n.is_multiple_of(7) => 30_023,
        _ => 1,
    };
    let late = if number.is_multiple_of(11) { rng.below(60) } else { 0 };
    let d = format!("slug {}", number % 3);
    let tags = [vec!["d", &d], vec!["t", "kill"]];
    let content = "x".repeat(rng.below(900) as usize) + &number.to_string();
    Event::from_parts(
        [(number % 17) as u8; 32],
        1_700_000_000 + number - late,
        kind,
        &tags,
        &content,
    )
}

fn options(mode: u64) -> Options {
    let mut options = Options::tiny();
    options.threads = true;
    if std::env::var_os("RATITE_KILL_LARGE").is_some() {
        (options.memtable_bytes, options.log_file_bytes) = (Some(8 << 20), 16 << 20);
        (options.memory_bytes, options.ring_bytes) = (192 << 20, 4 << 20);
    }
    options.sync = match mode {
        0 => SyncMode::Always,
        1 => SyncMode::BATCH,
        _ => SyncMode::Never,
    };
    options
}

/// The child: not a test by itself.
#[test]
#[ignore = "run by kill_9_loses_nothing_that_was_acknowledged as a process of its own"]
fn child() {
    let Ok(dir) = std::env::var("RATITE_KILL_DIR") else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let store = EventStore::open(dir, &options(number("RATITE_KILL_MODE"))).unwrap();
    let mut pending = VecDeque::new();
    let mut out = std::io::stderr().lock();
    for next in number("RATITE_KILL_FROM").. {
        if pending.len() == WINDOW {
            let (number, write): (u64, ratite::nostr::Pending<'_>) = pending.pop_front().unwrap();
            let answer = write.wait().unwrap();
            assert_ne!(answer, Inserted::Malformed);
            // One write, so that a kill cannot cut a line in two.
            out.write_all(format!("ack {number}\n").as_bytes()).unwrap();
        }
        pending.push_back((next, store.insert(&event(next).as_ref()).unwrap()));
    }
}

/// Runs a child from event `from` on and kills it after `acks` acknowledgements; gives the last one.
fn run_and_kill(dir: &Path, mode: u64, from: u64, acks: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RATITE_KILL_DIR", dir)
        .env("RATITE_KILL_MODE", mode.to_string())
        .env("RATITE_KILL_FROM", from.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut last, mut seen) = (from, 0);
    for line in lines.map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("ack ") {
            last = number.parse().unwrap();
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
    last
}

/// What events replace one another under, if they do.
fn slot(number: u64) -> (u64, u16, u64) {
    let kind = event(number).kind();
    let own = match class(kind) {
        Class::Replaceable => 0,
        Class::Addressable => number % 3,
        Class::Regular | Class::Ephemeral => number,
    };
    (number % 17, kind, own)
}

/// Everything up to `acked` is there, or a newer version of it; nothing is there that was not submitted.
fn check(store: &EventStore, acked: u64, submitted: u64) {
    let mut newest: HashMap<_, Event> = HashMap::new();
    for number in 0..=acked {
        let event = event(number);
        let kept = newest.entry(slot(number)).or_insert_with(|| event.clone());
        if event.key() > kept.key() {
            *kept = event;
        }
    }
    let mut found = HashMap::new();
    let mut all = store.query(&[Filter::default()]).unwrap();
    while let Some(event) = all.next().unwrap() {
        let tail = event.content().trim_start_matches('x');
        let number: u64 = tail.parse().unwrap();
        assert!(number < submitted, "event {number} was never submitted");
        assert_eq!(event.to_owned(), self::event(number));
        assert!(found.insert(slot(number), event.key()).is_none(), "two versions of {number}");
    }
    for (slot, event) in &newest {
        let there = found.get(slot).unwrap_or_else(|| panic!("lost {:?} {slot:?}", event.key()));
        assert!(*there >= event.key(), "an older version came back: {slot:?}");
    }
    let tagged = vec![(b't', vec![TagValue::new("kill")])];
    let count = store.count(&[Filter { tags: tagged, ..Filter::default() }]).unwrap();
    assert_eq!(count, found.len() as u64);
}

fn kill_repeatedly(cycles: u64, acks_max: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(cycles);
    let mut from = 0;
    let mut flushes = 0;
    for cycle in 0..cycles {
        let mode = cycle % 3;
        let acked = run_and_kill(dir.path(), mode, from, 1 + rng.below(acks_max));
        let store = EventStore::open(dir.path(), &options(mode)).unwrap();
        // What was under way may have been written too.
        let submitted = acked + 1 + 2 * WINDOW as u64 + acks_max;
        check(&store, acked, submitted);
        flushes += store.engine().stats().iter().map(|s| s.segments).sum::<u64>();
        store.close().unwrap();
        from = acked + 1;
    }
    assert!(flushes > 0, "the kills never met a flush");
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    kill_repeatedly(51, 400);
}

/// Some minutes: `RATITE_KILL_LARGE=1 cargo test --release --test it kill_9_during -- --ignored`.
#[test]
#[ignore = "takes minutes; the short one runs always"]
fn kill_9_during_a_million_writes() {
    kill_repeatedly(51, 40_000);
}
