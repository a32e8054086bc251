//! Durable inserts, alone and many at once, in turn with bare synced writes of the same run.
//!
//! The bare writes are those of `bare.rs`, one after the other, by the thread that measures: what the device and the
//! kernel give a program that does nothing else. Ratios are against the way that was the fastest in this run.

use crate::Result;
use crate::bare::Bare;
use crate::clock::{Meter, process_cpu};
use crate::figure::{Figures, print_head, round};
use crate::load::{StoreArgs, Sync};
use ratite::bench::always;
use ratite::bench::ingest::{Feeder, written};
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Event, EventStore};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// O_DIRECT of Linux on x86-64 and, with another value, on ARM.
pub const O_DIRECT: i32 = if cfg!(target_arch = "aarch64") { 0x10000 } else { 0x4000 };

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
    let (mut ours, mut cpu) = (Meter::new(), 0);
    for turn in 0..=args.turns {
        if turn == 1 {
            // The first one warmed up.
            (ours, cpu) = (Meter::new(), 0);
            bare.forget();
        }
        let batch: Vec<Event> = events.take(args.per_turn).collect();
        let before = process_cpu();
        for event in &batch {
            ours.time(|| store.insert(&event.as_ref())?.wait().map(|_| 1))?;
        }
        cpu += process_cpu() - before;
        bare.turn(batch.len())?;
    }
    let (way, fastest) = bare.fastest();
    let at = |meter: &Meter, q| meter.wall.value_at_quantile(q) as f64;
    let times = |q| round(at(&ours, q) / at(fastest, q).max(1.0));
    let more = json!({
        "options": args.store.describe(),
        "process_cpu_us": round(cpu as f64 / 1e3 / ours.calls().max(1) as f64),
        "fastest_bare": way, "times_bare_p50": times(0.5), "times_bare_p99": times(0.99),
    });
    eprintln!("{more}");
    figures.add_meter("publish", "ratite", "one durable insert", &ours, more)?;
    for (way, meter) in &bare.ways {
        figures.add_meter("publish", "bare", way, meter, json!({}))?;
    }
    Ok(())
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
        bare_seconds += bare.device.write_groups(commits, bytes, &always())?.0 as f64 / 1e9;
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
