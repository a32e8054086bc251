//! Appending: batches into a new store, for each sync mode, then everything sealed and merged.
//!
//! Producers make lines and append them, each a batch at a time; what making them costs is timed apart. A watcher
//! says how far it is, how fast, and how large the directory has become, which is bounded.

use super::Args;
use super::lines::{Batch, Lines};
use crate::clock::{Meter, cpu_by_thread, memory, process_cpu};
use crate::figure::{Figures, quantiles, round};
use crate::load::{Sync, bytes_in};
use crate::{Result, host};
use ratite::logs::LogStore;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Between two looks of the watcher.
const WATCH: Duration = Duration::from_secs(5);

/// Single appends, which are timed one by one.
const SINGLE: u64 = 500;

/// What producers share.
#[derive(Default)]
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
    making_nanos: AtomicU64,
    /// The most that the directory was seen with.
    disk_most: AtomicU64,
    /// The disk is as full as it may be.
    stop: AtomicBool,
}

/// A store for each sync mode; the last one stays.
pub fn run(args: &Args, lines: &Lines, dir: &Path, figures: &mut Figures) -> Result<()> {
    // A run that was stopped leaves nothing that looks like a store to be asked.
    let part = dir.with_extension("part");
    for (i, sync) in args.sync.iter().enumerate() {
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        one(args, lines, *sync, i + 1 == args.sync.len(), &part, figures)?;
    }
    Ok(std::fs::rename(part, dir)?)
}

/// Appends to a new store in `dir`, settles it, and says what both took.
fn one(
    args: &Args,
    lines: &Lines,
    sync: Sync,
    is_last: bool,
    dir: &Path,
    figures: &mut Figures,
) -> Result<()> {
    let store = LogStore::open(dir, &args.options(sync, args.memory))?;
    // What the process was before does not count.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let progress = Progress::default();
    let (done, end) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| watch(args, lines, &progress, move || end.recv_timeout(WATCH)));
        let settled = append(args, lines, sync, &store, &progress, figures)
            .and_then(|name| settle(args, &store, dir, &progress, &name, figures));
        drop(done);
        settled
    })?;
    // The store that stays is what the seed says, and nothing else.
    if !is_last {
        single(args, lines, sync, &store, figures)?;
    }
    Ok(store.close()?)
}

/// Appends all lines; returns the name of the figure.
fn append(
    args: &Args,
    lines: &Lines,
    sync: Sync,
    store: &LogStore,
    progress: &Progress,
    figures: &mut Figures,
) -> Result<String> {
    let (started, cpu) = (Instant::now(), process_cpu());
    let batches = produce(args, lines, store, progress)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (process_cpu() - cpu) as f64 / 1e9;
    let making = progress.making_nanos.load(Relaxed) as f64 / 1e9;
    let (count, raw) = (lines.count as f64, progress.bytes.load(Relaxed) as f64);
    let stats = store.stats();
    let values = json!({
        "options": args.describe(), "file_system": host::file_system(&args.data),
        "sync": sync.name(), "seconds": round(seconds), "raw_bytes": raw,
        "records_per_second": (count / seconds).round(), "mb_per_second": round(raw / 1e6 / seconds),
        "cpu_seconds": round(cpu - making), "making_lines_cpu_seconds": round(making),
        "records_per_cpu_second": (count / (cpu - making)).round(),
        "batch_wall_us": quantiles(&batches.wall),
        // Of threads that live: not the producers.
        "cpu_seconds_by_thread": cpu_by_thread(),
        "log_bytes": stats.iter().map(|s| s.log_bytes).sum::<u64>(),
        "commits": stats.iter().map(|s| s.commits).sum::<u64>(),
        "peak_rss_mib": memory("VmHWM") >> 20,
    });
    let name = format!("append, sync {}", sync.name());
    eprintln!("{name}: {values:#}");
    figures.add("logs", "ratite", &name, values)?;
    Ok(name)
}

/// All lines, from all producers; how long each batch took is what comes back.
fn produce(args: &Args, lines: &Lines, store: &LogStore, progress: &Progress) -> Result<Meter> {
    std::thread::scope(|scope| {
        let producing: Vec<_> = (0..args.producers.max(1))
            .map(|_| scope.spawn(|| producer(args, lines, store, progress)))
            .collect();
        let mut all = Meter::new();
        let mut failed = Ok(());
        for producer in producing {
            match producer.join().map_err(|_| "a producer panicked")? {
                Ok(meter) => all.join(&meter)?,
                Err(error) => failed = Err(error),
            }
        }
        failed.map(|()| all)
    })
}

fn producer(args: &Args, lines: &Lines, store: &LogStore, progress: &Progress) -> Result<Meter> {
    let (mut batch, mut meter) = (Batch::default(), Meter::new());
    loop {
        let start = progress.next.fetch_add(args.batch, Relaxed);
        if start >= lines.count {
            return Ok(meter);
        }
        if progress.stop.load(Relaxed) {
            return Err(format!("{} GiB of disk are taken", args.disk).into());
        }
        let making = lines.fill(start..lines.count.min(start + args.batch), &mut batch);
        progress.making_nanos.fetch_add(making, Relaxed);
        let records = batch.records(&lines.sources);
        meter.time(|| store.append_batch(&records).map(|positions| positions.len() as u64))?;
        progress.done.fetch_add(records.len() as u64, Relaxed);
        progress.bytes.fetch_add(batch.bytes(), Relaxed);
    }
}

/// Says how far it is, until `wait` says that it is over.
fn watch(
    args: &Args,
    lines: &Lines,
    progress: &Progress,
    wait: impl Fn() -> std::result::Result<(), RecvTimeoutError>,
) {
    let started = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = wait() {
        let done = progress.done.load(Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let disk = bytes_in(&args.data).unwrap_or(0);
        progress.disk_most.fetch_max(disk, Relaxed);
        let (gb, rss) = (disk as f64 / 1e9, memory("VmRSS") >> 20);
        if disk >> 30 >= args.disk {
            progress.stop.store(true, Relaxed);
            if done == lines.count {
                // A merge is not to be stopped otherwise.
                eprintln!("{} GiB of disk are taken; giving up", args.disk);
                std::process::exit(1);
            }
        }
        if done == lines.count {
            eprintln!("sealing and merging; {gb:.2} GB on disk, {rss} MiB RSS");
            continue;
        }
        let rate = (done as f64 / seconds).max(1.0);
        let left = (lines.count - done) as f64 / rate;
        eprintln!(
            "{done} lines, {rate:.0}/s, {left:.0} s to go; {gb:.2} GB on disk, {rss} MiB RSS"
        );
    }
}

/// Seals and merges as far as that goes, and says what is left on the disk.
fn settle(
    args: &Args,
    store: &LogStore,
    dir: &Path,
    progress: &Progress,
    appended: &str,
    figures: &mut Figures,
) -> Result<()> {
    let segments = || {
        let stats = store.stats();
        (
            stats.iter().map(|s| s.segments).sum::<u64>(),
            stats.iter().map(|s| s.segment_bytes).sum::<u64>(),
        )
    };
    let (started, cpu) = (Instant::now(), process_cpu());
    store.engine().flush()?;
    let sealed = (started.elapsed().as_secs_f64(), (process_cpu() - cpu) as f64 / 1e9);
    let before = segments();
    let (merging, cpu) = (Instant::now(), process_cpu());
    store.engine().compact()?;
    let merged = (merging.elapsed().as_secs_f64(), (process_cpu() - cpu) as f64 / 1e9);
    let after = segments();
    let raw = progress.bytes.load(Relaxed) as f64;
    let values = json!({
        "options": args.describe(), "after": appended,
        "seal_seconds": round(sealed.0), "seal_cpu_seconds": round(sealed.1),
        "compact_seconds": round(merged.0), "compact_cpu_seconds": round(merged.1),
        "segments_before": before.0, "segment_bytes_before": before.1,
        "segments": after.0, "segment_bytes": after.1, "raw_bytes": raw,
        "directory_bytes": bytes_in(dir)?,
        "directory_bytes_most": progress.disk_most.load(Relaxed), "raw_to_segments": round(raw / after.1.max(1) as f64),
        "peak_rss_mib": memory("VmHWM") >> 20,
    });
    eprintln!("seal and compact: {values:#}");
    figures.add("logs", "ratite", "seal and compact", values)
}

/// Appends single lines, one waiting for the other.
fn single(
    args: &Args,
    lines: &Lines,
    sync: Sync,
    store: &LogStore,
    figures: &mut Figures,
) -> Result<()> {
    let (mut batch, mut meter) = (Batch::default(), Meter::of_process());
    lines.fill(0..SINGLE, &mut batch);
    for record in batch.records(&lines.sources) {
        meter.time(|| store.append(record).map(|_| 1))?;
    }
    let more = json!({ "options": args.describe() });
    figures.add_meter("logs", "ratite", &format!("one append, sync {}", sync.name()), &meter, more)
}
