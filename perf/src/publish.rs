//! Durable inserts, alone and many at once, in turn with bare synced writes of the same run.
//!
//! The bare writes are `pwrite` with O_DIRECT into a pre-zeroed file and `fdatasync`, one after the other,
//! by the thread that measures: what the device and the kernel give a program that does nothing else.

use crate::Result;
use crate::clock::{Meter, process_cpu};
use crate::figure::{Figures, print_head, round};
use crate::load::{StoreArgs, Sync};
use hdrhistogram::Histogram;
use ratite::io::Buf;
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Event, EventStore, Pending};
use serde_json::json;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// O_DIRECT of Linux on x86-64 and, with another value, on ARM.
pub const O_DIRECT: i32 = if cfg!(target_arch = "aarch64") { 0x10000 } else { 0x4000 };
pub const BLOCK: usize = 4096;
const BARE_FILE_BYTES: u64 = 64 << 20;

#[derive(clap::Args)]
pub struct Args {
    /// Directory for a new store and the bare file; must not exist.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Turns; store and bare writes take every other one.
    #[arg(long, default_value_t = 50)]
    turns: usize,
    /// Inserts, and bare writes, of one turn.
    #[arg(long, default_value_t = 40)]
    per_turn: usize,
    /// Inserts under way at once in the second half.
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    #[arg(long, default_value_t = 3)]
    seed: u64,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    if args.data.exists() {
        return Err(format!("{} exists; publishing wants a new store", args.data.display()).into());
    }
    let store = args.store.open(&args.data.join("store"))?;
    let mut bare = Bare::create(&args.data.join("bare"))?;
    let count = args.turns * args.per_turn * (1 + args.outstanding);
    let config = Config { events: count as u64, ..Config::default() };
    let mut generator = Generator::new(args.seed, &config);
    let mut events = std::iter::from_fn(move || Some(generator.next_unsigned().into_event()));
    print_head("publish");
    alone(args, &store, &mut bare, &mut events, figures)?;
    if matches!(args.store.sync, Sync::Always) {
        many(args, &store, &mut bare, &mut events, figures)?;
    }
    Ok(store.close()?)
}

/// One insert at a time, as a person's client does it.
fn alone(
    args: &Args,
    store: &EventStore,
    bare: &mut Bare,
    events: &mut dyn Iterator<Item = Event>,
    figures: &mut Figures,
) -> Result<()> {
    let (mut ours, mut bares) = (Meter::new(), Meter::new());
    let mut ours_cpu = 0;
    for turn in 0..=args.turns {
        if turn == 1 {
            // The first turn warms both up.
            (ours, bares, ours_cpu) = (Meter::new(), Meter::new(), 0);
        }
        let batch: Vec<Event> = events.take(args.per_turn).collect();
        let cpu = process_cpu();
        for event in &batch {
            ours.time(|| store.insert(&event.as_ref())?.wait().map(|_| 1))?;
        }
        ours_cpu += process_cpu() - cpu;
        for _ in 0..args.per_turn {
            bares.time(|| bare.write(BLOCK))?;
        }
    }
    let p50 = |m: &Meter, q| m.wall.value_at_quantile(q) as f64;
    let more = json!({
        "options": args.store.describe(),
        "process_cpu_us": round(ours_cpu as f64 / ours.wall.len() as f64 / 1e3),
        "times_bare_p50": round(p50(&ours, 0.5) / p50(&bares, 0.5)),
        "times_bare_p99": round(p50(&ours, 0.99) / p50(&bares, 0.99)),
    });
    eprintln!("{more}");
    figures.add_meter("publish", "ratite", "one durable insert", &ours, more)?;
    figures.add_meter("publish", "bare", "pwrite 4 KiB + fdatasync", &bares, json!({}))
}

/// Many inserts under way, against bare writes of as many groups as the log wrote, of their size.
fn many(
    args: &Args,
    store: &EventStore,
    bare: &mut Bare,
    events: &mut dyn Iterator<Item = Event>,
    figures: &mut Figures,
) -> Result<()> {
    let mut latency = crate::clock::histogram();
    let (mut seconds, mut bare_seconds, mut cpu, mut count, mut groups) = (0.0, 0.0, 0, 0, 0);
    for _ in 0..args.turns {
        let batch: Vec<Event> = events.take(args.per_turn * args.outstanding).collect();
        let before = written(store);
        let (started, cpu_before) = (Instant::now(), process_cpu());
        insert_many(store, &batch, args.outstanding, &mut latency)?;
        seconds += started.elapsed().as_secs_f64();
        cpu += process_cpu() - cpu_before;
        count += batch.len();
        let now = written(store);
        let (commits, bytes) = (now.0 - before.0, now.1 - before.1);
        groups += commits;
        let started = Instant::now();
        for _ in 0..commits {
            bare.write((bytes / commits.max(1)).next_multiple_of(BLOCK as u64) as usize)?;
        }
        bare_seconds += started.elapsed().as_secs_f64();
    }
    let rate = |seconds: f64| (count as f64 / seconds).round();
    let values = json!({
        "options": args.store.describe(), "outstanding": args.outstanding, "events": count,
        "events_per_second": rate(seconds), "bare_events_per_second": rate(bare_seconds),
        "share_of_bare": round(bare_seconds / seconds),
        "events_per_commit": round(count as f64 / groups.max(1) as f64),
        "process_cpu_us": round(cpu as f64 / count as f64 / 1e3),
        "wall_us": crate::figure::quantiles(&latency),
    });
    eprintln!("{values:#}");
    figures.add("publish", "ratite", &format!("{} inserts under way", args.outstanding), values)
}

/// Groups and bytes that the logs have written.
fn written(store: &EventStore) -> (u64, u64) {
    let stats = store.engine().stats();
    (stats.iter().map(|s| s.commits).sum(), stats.iter().map(|s| s.log_bytes).sum())
}

fn insert_many(
    store: &EventStore,
    events: &[Event],
    outstanding: usize,
    latency: &mut Histogram<u64>,
) -> Result<()> {
    let mut under_way: VecDeque<(Instant, Pending<'_>)> = VecDeque::new();
    let mut settle = |(started, pending): (Instant, Pending<'_>)| -> Result<()> {
        pending.wait()?;
        latency.saturating_record(started.elapsed().as_nanos() as u64);
        Ok(())
    };
    for event in events {
        if under_way.len() >= outstanding {
            under_way.pop_front().map_or(Ok(()), &mut settle)?;
        }
        under_way.push_back((Instant::now(), store.insert(&event.as_ref())?));
    }
    under_way.into_iter().try_for_each(settle)
}

/// A pre-zeroed file, written from start to end and round again.
struct Bare {
    file: File,
    at: u64,
    buf: Buf,
}

impl Bare {
    fn create(path: &Path) -> Result<Bare> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .custom_flags(O_DIRECT)
            .open(path)?;
        let buf = Buf::zeroed(1 << 20, BLOCK);
        for at in (0..BARE_FILE_BYTES).step_by(buf.len()) {
            file.write_all_at(&buf, at)?;
        }
        file.sync_all()?;
        Ok(Bare { file, at: 0, buf })
    }

    /// One synced write.
    fn write(&mut self, bytes: usize) -> Result<u64> {
        let bytes = bytes.min(self.buf.len());
        if self.at + bytes as u64 > BARE_FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.buf[..bytes], self.at)?;
        self.file.sync_data()?;
        self.at += bytes as u64;
        Ok(1)
    }
}
