//! A real process held to its memory budget: it writes as fast as it can while others read, then only reads,
//! then writes again, and its anonymous memory stays below the budget and an allowance for the program.
//!
//! ```text
//!   parent: start child -> its report, a line a phase -> compare with the budget
//!   child:  open, [ write | write and read | read | write and read ], RssAnon after every 500 steps
//! ```
//!
//! The allowance is for what no option bounds: the program itself as it starts, stacks, a query's own memory
//! in each reader, and what the allocator keeps of memory that was freed.

use ratite::io::Rng;
use ratite::nostr::{Event, EventStore, Filter, Pending, TagValue};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Beyond the budget: MiB for the program. It takes 1 as it starts and some 5 for stacks and queries; the rest is
/// memory of merges and flushes that the allocator has not given back yet (it waits a second, and for the next
/// call). With `MIMALLOC_PURGE_DELAY=0` the same load stays within the budget itself.
const ALLOWANCE_MIB: u64 = 48;

const READERS: u64 = 2;

/// Authors; and when the events begin, which follow each other by the second.
const AUTHORS: u64 = 5_000;
const START: u64 = 1_700_000_000;

/// Writes that are under way.
const WINDOW: usize = 256;

fn author(number: u64) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

/// The event of that number: notes and reactions that refer to others, profiles that replace each other.
fn event(number: u64) -> Event {
    let mut rng = Rng::new(number);
    let kind = [1, 1, 1, 7, 7, 6, 0, 30_023][rng.below(8) as usize];
    let hex = |key: [u8; 32]| key.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (other, topic) = (hex(author(rng.below(AUTHORS))), format!("topic {}", rng.below(2_000)));
    let slug = format!("slug {}", rng.below(50));
    let tags = [vec!["p", &other], vec!["t", &topic], vec!["d", &slug]];
    let content = "lorem ipsum ".repeat(rng.below(50) as usize);
    let writer = author(rng.below(AUTHORS).min(rng.below(AUTHORS)));
    Event::from_parts(writer, START + number, kind, &tags, &content)
}

/// One query of the mix, on a store with `written` events.
fn ask(store: &EventStore, rng: &mut Rng, written: u64) {
    let some = rng.below(written.max(1));
    let mut filter = Filter { limit: Some(1 + rng.below(100)), ..Filter::default() };
    let topic = |rng: &mut Rng| format!("topic {}", rng.below(2_000));
    match rng.below(8) {
        0 => return drop(store.get(event(some).id()).unwrap()),
        1 | 2 => filter.until = START + some,
        3 => filter.tags = vec![(b't', vec![TagValue::new(&topic(rng))])],
        4 => filter.authors = Some((0..200).map(|_| author(rng.below(AUTHORS))).collect()),
        5 => (filter.kinds, filter.since) = (Some(vec![6]), START + some),
        _ => filter.authors = Some(vec![author(rng.below(AUTHORS))]),
    }
    let mut found = store.query(&[filter]).unwrap();
    while let Some(event) = found.next().unwrap() {
        std::hint::black_box(event.content().len());
    }
}

/// A line of a report: the child's is read by the parent, the parent's by whoever asks for it.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// KiB of anonymous memory of this process.
fn rss_anon_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What the child does, and what it saw.
struct Load {
    store: EventStore,
    written: AtomicU64,
    reading: AtomicBool,
}

impl Load {
    /// Writes `count` events. The highest figure on the way.
    fn write(&self, count: u64) -> u64 {
        let (mut pending, mut peak) = (VecDeque::<Pending<'_>>::new(), 0);
        let start = self.written.load(Relaxed);
        for number in start..start + count {
            if pending.len() == WINDOW {
                pending.pop_front().unwrap().wait().unwrap();
            }
            pending.push_back(self.store.insert(&event(number).as_ref()).unwrap());
            self.written.store(number, Relaxed);
            if number % 500 == 0 {
                peak = peak.max(rss_anon_kib());
            }
        }
        for write in pending {
            write.wait().unwrap();
        }
        peak
    }

    /// Reads as often, or until the writer is done. The highest figure on the way.
    fn read(&self, seed: u64, queries: u64) -> u64 {
        let (mut rng, mut peak) = (Rng::new(seed), 0);
        for nth in 0..queries {
            if !self.reading.load(Relaxed) {
                break;
            }
            ask(&self.store, &mut rng, self.written.load(Relaxed));
            if nth % 500 == 0 {
                peak = peak.max(rss_anon_kib());
            }
        }
        peak
    }

    /// Writes `writes` events while others read, or lets them read `reads` times each.
    fn phase(&self, name: &str, writes: u64, reads: u64) {
        self.reading.store(reads > 0, Relaxed);
        let peak = std::thread::scope(|scope| {
            let readers: Vec<_> =
                (0..READERS).map(|seed| scope.spawn(move || self.read(seed, reads))).collect();
            let mut peak = self.write(writes);
            if writes > 0 {
                self.reading.store(false, Relaxed);
            }
            for reader in readers {
                peak = peak.max(reader.join().unwrap());
            }
            peak
        });
        let memory = self.store.engine().memory();
        say(&format!("phase {name}: {} KiB; {memory:?}", peak.max(rss_anon_kib())));
    }
}

/// The child: not a test by itself.
#[test]
#[ignore = "run by the tests below as a process of its own"]
fn child() {
    let Ok(dir) = std::env::var("RATITE_MEMORY_CHILD") else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (mib, events) = (number("RATITE_MEMORY_MIB"), number("RATITE_MEMORY_COUNT"));
    say(&format!("\nphase start: {} KiB", rss_anon_kib())); // the harness has begun a line
    let mut options = Options::default();
    options.memory_bytes = (mib as usize) << 20;
    (options.shards, options.sync) = (Some(2), SyncMode::Never);
    let store = EventStore::open(dir, &options).unwrap();
    let (written, reading) = (AtomicU64::new(0), AtomicBool::new(false));
    let load = Load { store, written, reading };
    load.phase("write", events / 2, 0);
    load.phase("write and read", events / 4, u64::MAX);
    load.phase("read", 0, events / 16);
    load.phase("write and read again", events / 4, u64::MAX);
    load.store.close().unwrap();
}

/// Holds a child that writes `events` events to `mib` MiB.
fn hold(dir: &Path, mib: u64, events: u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["memory::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RATITE_MEMORY_CHILD", dir)
        .env("RATITE_MEMORY_MIB", mib.to_string())
        .env("RATITE_MEMORY_COUNT", events.to_string())
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    say(&report);
    let mut phases = 0;
    for line in report.lines().filter_map(|line| line.strip_prefix("phase ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let kib: u64 = rest.split(' ').next().unwrap().parse().unwrap();
        assert!(kib <= (mib + ALLOWANCE_MIB) << 10, "{name}: {kib} KiB\n{report}");
        phases += 1;
    }
    assert_eq!(phases, 5, "{report}");
}

#[test]
fn a_process_under_mixed_load_keeps_to_its_budget() {
    let dir = tempfile::tempdir().unwrap();
    hold(dir.path(), 96, 120_000);
}

/// `RATITE_MEMORY_DIR` is where: it takes 12 GB. `RATITE_MEMORY_EVENTS` and `RATITE_MEMORY_MIB` change how many
/// and how much.
#[test]
#[ignore = "ten million events take minutes and 12 GB: RATITE_MEMORY_DIR=... cargo test --release"]
fn ten_million_events_keep_to_one_gib() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().unwrap())
    };
    let base = std::env::var_os("RATITE_MEMORY_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(base).unwrap();
    hold(dir.path(), number("RATITE_MEMORY_MIB", 1024), number("RATITE_MEMORY_EVENTS", 10_000_000));
}
