//! Loading: events from a file into a store, as fast as it takes them.
//!
//! Each thread reads a batch (timed apart), checks it if asked to, hands it over, and waits for answers
//! only when many are under way. The store's own threads are counted by their names.

use crate::clock::{cpu_by_thread, memory, process_cpu, thread_cpu};
use crate::events::{Batch, Events};
use crate::figure::{Figures, round};
use crate::{Result, host};
use clap::ValueEnum;
use ratite::bench::ingest::{Feeder, is_right};
use ratite::nostr::EventStore;
use ratite::shard::SyncMode;
use ratite::store::Options;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Answers that a thread leaves open.
const UNDER_WAY: usize = 4096;

#[derive(clap::Args)]
pub struct Args {
    /// An events file (see `generate`).
    #[arg(long)]
    file: PathBuf,
    /// How many of its events; default: all.
    #[arg(long)]
    events: Option<u64>,
    /// Directory of the store; must not exist.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Do not check ids and signatures.
    #[arg(long)]
    no_verify: bool,
    /// Threads that hand events over; default: 1, or all cores if signatures are checked.
    #[arg(long)]
    threads: Option<usize>,
    /// Flush memtables at the end, so that the store is all segments.
    #[arg(long)]
    flush: bool,
}

/// How a store is opened.
#[derive(clap::Args, Clone)]
pub struct StoreArgs {
    /// When inserts are answered.
    #[arg(long, value_enum, default_value_t = Sync::Always)]
    pub sync: Sync,
    /// MiB of memory for everything.
    #[arg(long, default_value_t = 1024)]
    memory: usize,
    /// MiB of a memtable; default: a share of the memory.
    #[arg(long)]
    memtable: Option<usize>,
    /// MiB a second that merges read and write; default: the store's.
    #[arg(long)]
    compaction: Option<u64>,
    /// Shards of a new store; default: the cores.
    #[arg(long)]
    shards: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Sync {
    Always,
    Batch,
    Never,
}

impl Sync {
    /// As the option has it.
    pub fn name(self) -> &'static str {
        match self {
            Sync::Always => "always",
            Sync::Batch => "batch",
            Sync::Never => "never",
        }
    }

    pub fn mode(self) -> SyncMode {
        match self {
            Sync::Always => SyncMode::Always,
            Sync::Batch => SyncMode::BATCH,
            Sync::Never => SyncMode::Never,
        }
    }
}

impl StoreArgs {
    /// Opens the store in `dir`.
    pub fn open(&self, dir: &Path) -> Result<EventStore> {
        let mut options = Options::default();
        options.sync = self.sync.mode();
        options.memory_bytes = self.memory << 20;
        options.memtable_bytes = self.memtable.map(|mib| mib << 20);
        if let Some(mib) = self.compaction {
            options.compaction_bytes_per_second = mib << 20;
        }
        options.shards = self.shards;
        Ok(EventStore::open(dir, &options)?)
    }

    pub fn describe(&self) -> serde_json::Value {
        json!({
            "sync": self.sync.name(),
            "memory_mib": self.memory,
            "memtable_mib": self.memtable,
            "compaction_mib_per_second": self.compaction,
            "shards": self.shards,
        })
    }
}

/// What the handing threads did besides handing over.
#[derive(Default)]
struct Sums {
    events: AtomicU64,
    body_bytes: AtomicU64,
    read_nanos: AtomicU64,
    verify_nanos: AtomicU64,
    /// All that the handing threads did.
    hand_nanos: AtomicU64,
    stored: AtomicU64,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    if args.data.exists() {
        return Err(format!("{} exists; loading wants a new store", args.data.display()).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(if args.no_verify { 1 } else { cores });
    let store = args.store.open(&args.data)?;
    let events = Mutex::new(Events::open(&args.file, args.events)?);
    let sums = Sums::default();
    // What the process was before does not count.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (started, cpu) = (Instant::now(), process_cpu());
    std::thread::scope(|scope| {
        let hand = || hand_over(&events, &store, &sums, !args.no_verify);
        let handing: Vec<_> = (0..threads).map(|_| scope.spawn(hand)).collect();
        handing.into_iter().try_for_each(|h| h.join().map_err(|_| "a thread panicked")?)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (process_cpu() - cpu) as f64 / 1e3;
    let by_thread = cpu_by_thread();
    let (peak, anonymous) = (memory("VmHWM"), memory("RssAnon"));
    let flushing = Instant::now();
    if args.flush {
        store.engine().flush()?;
    }
    let flush_seconds = flushing.elapsed().as_secs_f64();
    let stats = store.engine().stats();
    let sum = |of: fn(&ratite::shard::ShardStats) -> u64| stats.iter().map(of).sum::<u64>();
    let (commits, log_bytes) = (sum(|s| s.commits), sum(|s| s.log_bytes));
    let (segments, segment_bytes) = (sum(|s| s.segments), sum(|s| s.segment_bytes));
    let segment_records = sum(|s| s.segment_records);
    store.close()?;
    drop(store);
    let count = sums.events.load(Relaxed).max(1) as f64;
    let read_us = sums.read_nanos.load(Relaxed) as f64 / 1e3;
    let verify_us = sums.verify_nanos.load(Relaxed) as f64 / 1e3;
    let hand_us = sums.hand_nanos.load(Relaxed) as f64 / 1e3 - read_us - verify_us;
    let disk_bytes = bytes_in(&args.data)?;
    let values = json!({
        "events": count, "threads": threads, "verify": !args.no_verify,
        "options": args.store.describe(), "file_system": host::file_system(&args.data),
        "seconds": round(seconds), "flush_seconds": round(flush_seconds),
        "events_per_second": (count / seconds).round(),
        "cpu_us_per_event": round((cpu - read_us) / count),
        "verify_us_per_event": round(verify_us / count),
        "caller_us_per_event": round(hand_us / count),
        "cpu_seconds_by_thread": by_thread,
        "stored": sums.stored.load(Relaxed),
        "body_bytes_per_event": round(sums.body_bytes.load(Relaxed) as f64 / count),
        "disk_bytes_per_event": round(disk_bytes as f64 / count),
        "segments": segments, "segment_bytes_per_record": round(segment_bytes as f64 / segment_records.max(1) as f64),
        "log_bytes_per_event": round(log_bytes as f64 / count),
        "commits": commits, "events_per_commit": round(count / commits.max(1) as f64),
        "peak_rss_mib": peak >> 20, "anonymous_mib": anonymous >> 20,
    });
    eprintln!("{values:#}");
    figures.add("load", "ratite", &format!("load, sync {:?}", args.store.sync), values)
}

fn hand_over(events: &Mutex<Events>, store: &EventStore, sums: &Sums, check: bool) -> Result<()> {
    let mut feeder = Feeder::new(store, UNDER_WAY);
    let mut batch = Batch::default();
    loop {
        let cpu = thread_cpu();
        let more = events.lock().map_err(|_| "another thread panicked")?.next(&mut batch)?;
        sums.read_nanos.fetch_add(thread_cpu() - cpu, Relaxed);
        if !more {
            break;
        }
        if check {
            let cpu = thread_cpu();
            let bad = batch.events().filter(|event| !event.as_ref().is_ok_and(is_right)).count();
            sums.verify_nanos.fetch_add(thread_cpu() - cpu, Relaxed);
            if bad > 0 {
                return Err(format!("{bad} events of a batch are not what they say").into());
            }
        }
        sums.events.fetch_add(batch.len() as u64, Relaxed);
        sums.body_bytes.fetch_add(batch.bytes() as u64, Relaxed);
        for event in batch.events() {
            feeder.insert(&event?, &mut |_| {})?;
        }
    }
    sums.stored.fetch_add(feeder.finish(&mut |_| {})?, Relaxed);
    sums.hand_nanos.fetch_add(thread_cpu(), Relaxed);
    Ok(())
}

/// Bytes that the files below `dir` take.
pub fn bytes_in(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.metadata()? {
            data if data.is_dir() => bytes_in(&entry.path())?,
            data => data.len(),
        };
    }
    Ok(sum)
}
