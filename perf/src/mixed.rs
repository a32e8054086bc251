//! Reads and single inserts at fixed rates, beside many inserts, removals, merges and retention: does the store stay as quick,
//! and right, as when nothing else goes on?
//!
//! ```text
//!   reader      500/s   |----- quiet -----|----- busy -----|- removing -|- merging -| ... five rounds at most, |- retaining -|
//!   publisher   100/s   |-----------------|----------------|------------|-----------|                          |-------------|
//!   inserter            |                 |################|            |           |                          |             |
//!   main thread         |                 |                |## remove ##|# compact #|                          |### apply ###|
//!   prober      100/s   bare reads of the events file: the device without the store
//!   sampler    10/s     bytes of the directory, anonymous memory
//! ```
//!
//! Latencies count from the moment at which a read was due, so that one that waits behind a slow one is slow too.

mod probe;
mod reads;
mod shared;
mod writes;

use self::reads::{Mix, Reads};
use self::shared::{
    BUSY, DONE, MERGING, QUIET, REMOVING, RETAINING, ROUNDS, SETTLING, STAGES, Shared,
};
use crate::clock::{Meter, machine_cpu, memory, process_cpu};
use crate::events::Events;
use crate::figure::{Figures, print_head, quantiles, round};
use crate::load::{StoreArgs, bytes_in};
use crate::query::gather;
use crate::raw::Device;
use crate::workload::Facts;
use crate::{Result, host};
use ratite::nostr::EventStore;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Points of the disk's course that a figure has.
const POINTS: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// Directory of a loaded store. It is changed: keep a copy.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Events file.
    #[arg(long)]
    file: PathBuf,
    /// Events of it that the store holds: what follows is inserted.
    #[arg(long)]
    skip: u64,
    /// Seconds of quiet, and of being busy; removals and merges take at least as long, retention as long as it takes.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Inserts a second while busy; default: as many as it takes.
    #[arg(long)]
    rate: Option<f64>,
    /// Inserts under way at once while busy.
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    /// Reads a second.
    #[arg(long, default_value_t = 500.0)]
    reads: f64,
    /// Single durable inserts a second.
    #[arg(long, default_value_t = 100.0)]
    publishes: f64,
    /// Removals a second, at most.
    #[arg(long, default_value_t = 20_000.0)]
    removals: f64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// What the store and the process have done, by counters that only grow.
#[derive(Clone, Copy, Default)]
struct Counts([u64; 7]);

const COUNTED: [&str; 7] =
    ["stored", "removed", "flushes", "compactions", "compaction_bytes", "page_reads", "cpu_ns"];

/// What is kept of a stage, all its turns together.
#[derive(Clone, Copy, Default)]
struct Stage {
    counts: Counts,
    seconds: f64,
    peak_rss: u64,
    /// CPU seconds of all processes, and what the host took.
    machine: (f64, f64),
    /// Reads of the device, of all processes, and what they took.
    device: Device,
}

/// The directory and the memory at one moment.
struct Sample {
    seconds: f64,
    bytes: u64,
    anonymous: u64,
    stage: usize,
}

/// Everything that came out.
struct Outcome {
    stages: Vec<Stage>,
    reads: Vec<Reads>,
    dropped: u64,
    publishes: Vec<Meter>,
    probes: Vec<Meter>,
    inserted: u64,
    removed: u64,
    rounds: u64,
    samples: Vec<Sample>,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let mut publishing = Events::open(&args.file, None)?;
    if publishing.skip(args.skip)? < args.skip {
        return Err("the file holds fewer events than are to be skipped".into());
    }
    let publishes = (args.publishes * (12 * args.seconds + 120) as f64) as u64;
    let mut inserting = Events::open(&args.file, None)?;
    inserting.follow(&mut publishing)?;
    inserting.skip(publishes)?;
    let publishing = publishing.first(publishes);

    let before_open = memory("RssAnon");
    let store = args.store.open(&args.data)?;
    let facts = gather(&store, Facts::new(args.seed))?;
    let mut times: Vec<u64> = facts.regular().map(|key| key.time).collect();
    times.sort_unstable();
    let median = *times.get(times.len() / 2).ok_or("the store is empty")?;
    // An eighth more of the store, for retention.
    let aged = times[times.len() * 5 / 8].max(median + 1);
    let before_drawing = memory("RssAnon");
    let mix = Mix::new(&store, &facts, args.seed)?;
    let (seen, drawn_mib) = (facts.seen(), memory("RssAnon").saturating_sub(before_drawing) >> 20);
    drop(facts);
    let shared = Shared::new(&store, median, aged);
    let outcome = measure(args, &shared, &mix, publishing, inserting)?;
    let audited = mix.audit(&shared)?;
    let wrong = shared.wrong.sum();
    let common = json!({
        "events": seen, "options": args.store.describe(), "rounds": outcome.rounds,
        "reads_per_second": args.reads, "publishes_per_second": args.publishes,
        "inserts_per_second_asked": args.rate, "outstanding": args.outstanding,
        "removals_per_second_asked": args.removals, "file_system": host::file_system(&args.data),
        "store_memory_mib": store_memory(&store), "mib_before_open": before_open >> 20,
        "wrong": shared.wrong.describe(), "audited": audited, "drawn_mib": drawn_mib,
    });
    report(&mix, &outcome, &common, figures)?;
    drop(mix);
    store.close()?;
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} answers were wrong: {}", common["wrong"]).into()),
    }
}

/// Waits until no merge and no flush has ended for `quiet`, five minutes at most.
pub fn settle(store: &EventStore, quiet: Duration) -> Result<()> {
    let (started, mut since, mut was) = (Instant::now(), Instant::now(), Counts::default());
    while since.elapsed() < quiet && started.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(100));
        let is = Counts::of(store);
        // A merge that is under way moves bytes long before it ends.
        if is.0[2..5] != was.0[2..5] {
            (was, since) = (is, Instant::now());
        }
    }
    match store.engine().poisoned() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn measure(
    args: &Args,
    shared: &Shared<'_>,
    mix: &Mix,
    publishing: Events,
    inserting: Events,
) -> Result<Outcome> {
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| mix.read(shared, args.reads));
        let publisher = scope.spawn(|| writes::publish(shared, publishing, args.publishes));
        let insert = || writes::insert(shared, inserting, args.outstanding, args.rate);
        let inserter = scope.spawn(insert);
        let sampler = scope.spawn(|| sample(shared, &args.data));
        let prober = scope.spawn(|| probe::probe(shared, &args.file));
        let mut stages = vec![Stage::default(); STAGES.len()];
        let driven = drive(args, shared, &mut stages);
        // Also after a failure, or the others would never end.
        shared.enter(DONE);
        let panicked = |_| "a thread panicked";
        let (reads, dropped) = reader.join().map_err(panicked)??;
        let publishes = publisher.join().map_err(panicked)??;
        let inserted = inserter.join().map_err(panicked)??;
        let probes = prober.join().map_err(panicked)??;
        let samples = sampler.join().map_err(panicked)?;
        let (rounds, removed) = driven?;
        Ok(Outcome {
            stages,
            reads,
            dropped,
            publishes,
            probes,
            inserted,
            removed,
            rounds,
            samples,
        })
    })
}

/// Leads through the stages; returns rounds and removals.
fn drive(args: &Args, shared: &Shared<'_>, stages: &mut [Stage]) -> Result<(u64, u64)> {
    let seconds = Duration::from_secs(args.seconds);
    let mut stay = |stage: usize, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        std::fs::write("/proc/self/clear_refs", "5")?;
        let (before, started) = (Counts::of(shared.store), Instant::now());
        let ((busy, stolen), device) = (machine_cpu(), Device::of(&args.data).unwrap_or_default());
        shared.enter(stage);
        let done = work();
        let it = &mut stages[stage];
        it.seconds += started.elapsed().as_secs_f64();
        it.counts.add(before, Counts::of(shared.store));
        let (busy_then, stolen_then) = machine_cpu();
        it.machine.0 += busy_then - busy;
        it.machine.1 += stolen_then - stolen;
        let device_then = Device::of(&args.data).unwrap_or_default();
        it.device.reads += device_then.reads - device.reads;
        it.device.read_ms += device_then.read_ms - device.read_ms;
        it.peak_rss = it.peak_rss.max(memory("VmHWM"));
        done
    };
    let rest = || -> Result<()> {
        shared.enter(SETTLING);
        // The reads go on meanwhile, and warm up.
        std::thread::sleep(Duration::from_secs(3));
        settle(shared.store, Duration::from_secs(2))
    };
    let mut pause = || -> Result<()> {
        std::thread::sleep(seconds);
        Ok(())
    };
    rest()?;
    stay(QUIET, &mut pause)?;
    stay(BUSY, &mut pause)?;
    rest()?;
    let (started, mut removed, mut rounds) = (Instant::now(), 0, 0);
    while rounds == 0 || (started.elapsed() < seconds && rounds < ROUNDS) {
        stay(REMOVING, &mut || {
            removed += writes::remove(shared, rounds, args.removals)?;
            Ok(())
        })?;
        stay(MERGING, &mut || Ok(shared.store.engine().compact()?))?;
        rounds += 1;
    }
    rest()?;
    stay(RETAINING, &mut || {
        removed += writes::retain(shared)?;
        Ok(())
    })?;
    Ok((rounds, removed))
}

fn sample(shared: &Shared<'_>, dir: &Path) -> Vec<Sample> {
    let (started, mut samples) = (Instant::now(), Vec::new());
    loop {
        let (stage, seconds) = (shared.stage(), started.elapsed().as_secs_f64());
        // A file that goes while it is looked for is no failure; the next sample has it right.
        if let Ok(bytes) = bytes_in(dir) {
            samples.push(Sample { seconds, bytes, anonymous: memory("RssAnon"), stage });
        }
        if stage == DONE {
            return samples;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Counts {
    fn of(store: &EventStore) -> Counts {
        let (mut counts, pool) = ([0; 7], store.engine().pool_stats());
        for shard in store.engine().stats() {
            let these = [
                shard.stored,
                shard.removed,
                shard.flushes,
                shard.compactions,
                shard.compaction_bytes,
            ];
            counts.iter_mut().zip(these).for_each(|(sum, more)| *sum += more);
        }
        counts[5] = pool.misses + pool.prefetched;
        counts[6] = process_cpu();
        Counts(counts)
    }

    fn add(&mut self, before: Counts, after: Counts) {
        for (i, sum) in self.0.iter_mut().enumerate() {
            *sum += after.0[i].saturating_sub(before.0[i]);
        }
    }
}

fn report(mix: &Mix, outcome: &Outcome, common: &Value, figures: &mut Figures) -> Result<()> {
    let p999 = |meter: &Meter| meter.wall.value_at_quantile(0.999) as f64;
    let quiet = &outcome.reads[QUIET];
    for (number, stage) in STAGES.iter().enumerate() {
        print_head(stage);
        let reads = &outcome.reads[number];
        let mut add = |row: &str, meter: &Meter, quiet: &Meter| -> Result<()> {
            let more = json!({
                "stage": stage, "cpu_us_per_read": round(meter.cpu.mean() / 1e3),
                "times_quiet_p999": round(p999(meter) / p999(quiet).max(1.0)), "goal_times": 3,
                "options": common["options"], "events": common["events"],
            });
            figures.add_meter("mixed", "ratite", &format!("{stage}: {row}"), meter, more)
        };
        for (i, name) in mix.names().enumerate() {
            add(name, &reads.rows[i], &quiet.rows[i])?;
        }
        add("all reads", &reads.all, &quiet.all)?;
        add("publish", &outcome.publishes[number], &outcome.publishes[QUIET])?;
        add("bare 4 KiB read beside", &outcome.probes[number], &outcome.probes[QUIET])?;
        let mut values = common.clone();
        let it = &outcome.stages[number];
        for (name, count) in COUNTED.iter().zip(it.counts.0) {
            values[*name] = count.into();
        }
        let times = p999(&reads.all) / p999(&quiet.all).max(1.0);
        let samples: Vec<&Sample> = outcome.samples.iter().filter(|s| s.stage == number).collect();
        values["seconds"] = round(it.seconds).into();
        values["stored_per_second"] = (it.counts.0[0] as f64 / it.seconds.max(1e-9)).round().into();
        values["reads"] = reads.all.wall.len().into();
        values["reads_times_quiet_p999"] = round(times).into();
        values["service_us"] = quantiles(&reads.service);
        values["service_on_core_us"] = quantiles(&reads.on_core);
        values["slowest_ms"] = slowest(mix, reads);
        let own = it.counts.0[6] as f64 / 1e9;
        values["cores_of_others"] = round(((it.machine.0 - own) / it.seconds).max(0.0)).into();
        values["device_reads"] = it.device.reads.into();
        let read_us = it.device.read_ms as f64 * 1e3 / it.device.reads.max(1) as f64;
        values["device_read_us"] = round(read_us).into();
        values["cores_stolen"] = round(it.machine.1 / it.seconds).into();
        values["peak_rss_mib"] = (it.peak_rss >> 20).into();
        values["peak_anonymous_mib"] =
            samples.iter().map(|s| s.anonymous >> 20).max().unwrap_or(0).into();
        values["disk_bytes_first"] = samples.first().map_or(0, |s| s.bytes).into();
        values["disk_bytes_last"] = samples.last().map_or(0, |s| s.bytes).into();
        values["disk_bytes_most"] = samples.iter().map(|s| s.bytes).max().unwrap_or(0).into();
        values["disk_bytes_least"] = samples.iter().map(|s| s.bytes).min().unwrap_or(0).into();
        eprintln!("{}", without(&values, common));
        figures.add("mixed", "ratite", &format!("stage {stage}"), values)?;
    }
    let mut values = common.clone();
    let every = outcome.samples.len().div_ceil(POINTS).max(1);
    let points = outcome.samples.iter().step_by(every).map(|s| {
        json!([
            round(s.seconds),
            s.bytes,
            s.anonymous >> 20,
            STAGES.get(s.stage).unwrap_or(&"settling")
        ])
    });
    values["seconds_bytes_anonymous_mib_stage"] = points.collect();
    values["bulk_inserted"] = outcome.inserted.into();
    values["removed"] = outcome.removed.into();
    values["reads_passed_over"] = outcome.dropped.into();
    eprintln!(
        "\n{common}\n{} inserted in bulk, {} removed, {} reads passed over at ends of stages",
        outcome.inserted, outcome.removed, outcome.dropped
    );
    figures.add("mixed", "ratite", "the directory in time", values)
}

/// The slowest reads and where their time went, in milliseconds.
fn slowest(mix: &Mix, reads: &Reads) -> Value {
    let ms = |nanos: u64| round(nanos as f64 / 1e6);
    let each = reads.slowest.iter().map(|(service, no_core, cpu, row)| {
        json!({
            "row": mix.names().nth(*row), "service": ms(*service), "without_core": ms(*no_core),
            "cpu": ms(*cpu),
        })
    });
    each.collect()
}

/// What the store says of its memory, MiB.
fn store_memory(store: &EventStore) -> Value {
    let m = store.engine().memory();
    json!({
        "budget": m.budget_bytes >> 20, "pool": m.pool_bytes >> 20,
        "pool_resident": m.pool_resident_bytes >> 20, "pool_state": m.pool_state_bytes >> 20,
        "memtables_reserved": m.memtable_reserved_bytes >> 20, "memtables": m.memtable_bytes >> 20,
        "segments": m.segment_bytes >> 20, "in_flight": m.in_flight_bytes >> 20,
        "slack": m.slack_bytes >> 20, "working": m.working_bytes >> 20,
    })
}

/// The fields of `values` that are not in `common`, for a person.
fn without(values: &Value, common: &Value) -> Value {
    let own = values.as_object().into_iter().flatten();
    let own = own.filter(|(name, _)| common.get(name.as_str()).is_none());
    Value::Object(own.map(|(name, value)| (name.clone(), value.clone())).collect())
}
