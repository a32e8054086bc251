//! Durable inserts, alone and many at once, in turn with bare synced writes of the same run.
//!
//! The bare writes are `pwrite` with O_DIRECT into a file that is written already and `fdatasync`, one after the other,
//! by the thread that measures: what the device and the kernel give a program that does nothing else.

use crate::Result;
use crate::clock::process_cpu;
use crate::figure::{Figures, print_head, round};
use crate::load::{StoreArgs, Sync};
use ratite::bench::always;
use ratite::bench::device::Device;
use ratite::bench::ingest::{Feeder, written};
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Event, EventStore};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// O_DIRECT of Linux on x86-64 and, with another value, on ARM.
pub const O_DIRECT: i32 = if cfg!(target_arch = "aarch64") { 0x10000 } else { 0x4000 };
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
    let disk = ratite::io::system(ratite::io::Backend::Posix)?.disk;
    let mut bare = Device::create(&disk, &args.data.join("bare"), BARE_FILE_BYTES)?;
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
    bare: &mut Device,
    events: &mut dyn Iterator<Item = Event>,
    figures: &mut Figures,
) -> Result<()> {
    let turns = (args.turns, args.per_turn);
    let alone = ratite::bench::publish::alone(store, bare, events, turns, &always())?;
    let more = json!({
        "options": args.store.describe(),
        "process_cpu_us": round(alone.process_cpu_us()),
        "times_bare_p50": round(alone.times_bare(0.5)),
        "times_bare_p99": round(alone.times_bare(0.99)),
    });
    eprintln!("{more}");
    figures.add_meter("publish", "ratite", "one durable insert", &alone.ours, more)?;
    figures.add_meter("publish", "bare", "pwrite 4 KiB + fdatasync", &alone.bare, json!({}))
}

/// Many inserts under way, against bare writes of as many groups as the log wrote, of their size.
fn many(
    args: &Args,
    store: &EventStore,
    bare: &mut Device,
    events: &mut dyn Iterator<Item = Event>,
    figures: &mut Figures,
) -> Result<()> {
    let mut latency = crate::clock::histogram();
    let (mut seconds, mut bare_seconds, mut cpu, mut count, mut groups) = (0.0, 0.0, 0, 0, 0);
    for _ in 0..args.turns {
        let batch: Vec<Event> = events.take(args.per_turn * args.outstanding).collect();
        let before = written(store);
        let (started, cpu_before) = (Instant::now(), process_cpu());
        let mut feeder = Feeder::new(store, args.outstanding);
        let mut settled = |nanos| latency.saturating_record(nanos);
        for event in &batch {
            feeder.insert(&event.as_ref(), &mut settled)?;
        }
        feeder.finish(&mut settled)?;
        seconds += started.elapsed().as_secs_f64();
        cpu += process_cpu() - cpu_before;
        count += batch.len();
        let now = written(store);
        let (commits, bytes) = (now.0 - before.0, now.1 - before.1);
        groups += commits;
        bare_seconds += bare.write_groups(commits, bytes, &always())?.0 as f64 / 1e9;
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
