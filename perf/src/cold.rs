//! Queries whose pages are not in memory, in turn with raw reads of the same files.
//!
//! ```text
//!   turn:  queries of a row, on T threads  ->  raw reads at each depth  ->  raw reads on T threads  -> next turn
//! ```
//!
//! How many reads the queries have in flight is not told by the store: it is their page reads a second times the
//! device's mean latency in the same slice (Little's law), which the kernel counts.

use crate::clock::{Meter, memory, thread_cpu};
use crate::figure::{Figures, print_head, round};
use crate::load::StoreArgs;
use crate::query::{answer, gather};
use crate::raw::{Device, Raw, Reads};
use crate::workload::{Facts, Row, cold_rows};
use crate::{Result, host};
use ratite::nostr::{EventStore, Filter};
use ratite::pool::PoolStats;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Depths of the raw reads; between them the rate is interpolated.
const DEPTHS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Raw slices of a turn take as long together as the queries: so much each.
const RAW_SHARE: f64 = 1.0 / (DEPTHS.len() + 1) as f64;

/// What a person is shown of a figure.
const SHOWN: [&str; 13] = [
    "queries_per_second",
    "page_reads_per_second",
    "page_reads_per_query",
    "device_reads_per_second",
    "device_pages_per_second",
    "in_flight",
    "waiting_share",
    "in_flight_if_waiting",
    "raw_reads_per_second",
    "raw_pread_per_second",
    "share_of_device",
    "share_of_device_mean_depth",
    "share_of_pread",
];

#[derive(clap::Args)]
pub struct Args {
    /// Directory of a loaded store, at least four times the memory.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Threads that query; default: all cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Seconds of queries for each row; raw reads take as long again.
    #[arg(long, default_value_t = 12.0)]
    seconds: f64,
    /// Turns that they are divided into.
    #[arg(long, default_value_t = 4)]
    turns: usize,
    /// Events that parameters are drawn from.
    #[arg(long, default_value_t = 200_000)]
    samples: usize,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only rows whose name contains this.
    #[arg(long)]
    row: Option<String>,
}

/// What the slices of one row came to.
struct Sums {
    meter: Meter,
    seconds: f64,
    /// CPU and wall nanoseconds of the threads that query.
    cpu: u64,
    wall: u64,
    misses: u64,
    prefetched: u64,
    hits: u64,
    device: Option<Device>,
    raw: [Reads; DEPTHS.len()],
    pread: Reads,
}

/// A thread that queries: its filters, and the next one.
struct Asker {
    filters: Vec<Filter>,
    next: usize,
    meter: Meter,
    cpu: u64,
    wall: u64,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let threads = args.threads.unwrap_or(std::thread::available_parallelism()?.get());
    let store = args.store.open(&args.data)?;
    let facts = gather(&store, Facts::sampling(args.seed, args.samples))?;
    crate::mixed::settle(&store, Duration::from_secs(2))?;
    let mut raw = Raw::open(&args.data, store.engine().page_size().bytes())?;
    let memory_bytes = store.engine().memory().budget_bytes;
    let times_memory = round(raw.bytes() as f64 / memory_bytes as f64);
    eprintln!("{} events, segments {times_memory} times the memory", facts.seen());
    if times_memory < 4.0 {
        eprintln!("that is less than four times: these are not the figures that are asked for");
    }
    print_head("cold");
    for row in cold_rows() {
        if args.row.as_ref().is_some_and(|part| !row.name.contains(part.as_str())) {
            continue;
        }
        let mut askers = Vec::new();
        for t in 0..threads as u64 {
            let filters = row.filters(&facts, args.seed + 1 + t)?;
            askers.push(Asker { filters, next: 0, meter: Meter::new(), cpu: 0, wall: 0 });
        }
        let sums = measure(args, &store, &row, &mut askers, &mut raw)?;
        let mut more = values(&sums, threads, store.engine().page_size().bytes());
        more.insert("events".into(), facts.seen().into());
        more.insert("times_memory".into(), times_memory.into());
        more.insert("options".into(), args.store.describe());
        more.insert("rss_mib".into(), (memory("VmRSS") >> 20).into());
        more.insert("file_system".into(), host::file_system(&args.data).into());
        figures.add_meter("cold", "ratite", row.name, &sums.meter, Value::Object(more.clone()))?;
        more.retain(|name, _| SHOWN.contains(&name.as_str()));
        eprintln!("    {}", Value::Object(more));
    }
    Ok(store.close()?)
}

fn measure(
    args: &Args,
    store: &EventStore,
    row: &Row,
    askers: &mut [Asker],
    raw: &mut Raw,
) -> Result<Sums> {
    let slice = Duration::from_secs_f64(args.seconds / args.turns.max(1) as f64);
    let mut sums = Sums {
        meter: Meter::new(),
        seconds: 0.0,
        cpu: 0,
        wall: 0,
        misses: 0,
        prefetched: 0,
        hits: 0,
        device: Some(Device::default()),
        raw: [Reads::default(); DEPTHS.len()],
        pread: Reads::default(),
    };
    for _ in 0..args.turns.max(1) {
        let (pool, device, started) =
            (store.engine().pool_stats(), Device::of(&args.data), Instant::now());
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                askers.iter_mut().map(|a| scope.spawn(move || a.ask(store, row, slice))).collect();
            asking.into_iter().try_for_each(|a| a.join().map_err(|_| "a thread panicked")?)
        })?;
        sums.seconds += started.elapsed().as_secs_f64();
        sums.add(pool, store.engine().pool_stats(), device, Device::of(&args.data));
        for (depth, reads) in DEPTHS.iter().zip(&mut sums.raw) {
            reads.add(raw.ring(*depth, slice.mul_f64(RAW_SHARE))?);
        }
        sums.pread.add(raw.pread(askers.len(), slice.mul_f64(RAW_SHARE))?);
    }
    for asker in askers {
        sums.meter.join(&asker.meter)?;
        sums.cpu += asker.cpu;
        sums.wall += asker.wall;
    }
    Ok(sums)
}

impl Asker {
    fn ask(&mut self, store: &EventStore, row: &Row, slice: Duration) -> Result<()> {
        let (started, cpu, mut json) = (Instant::now(), thread_cpu(), Vec::new());
        while started.elapsed() < slice {
            let filter = &self.filters[self.next % self.filters.len()];
            self.next += 1;
            self.meter.time(|| answer(store, row, filter, &mut json))?;
        }
        self.cpu += thread_cpu() - cpu;
        self.wall += started.elapsed().as_nanos() as u64;
        Ok(())
    }
}

impl Sums {
    fn add(
        &mut self,
        was: PoolStats,
        is: PoolStats,
        before: Option<Device>,
        after: Option<Device>,
    ) {
        self.misses += is.misses - was.misses;
        self.prefetched += is.prefetched - was.prefetched;
        self.hits += is.hits - was.hits;
        self.device = self.device.zip(before.zip(after)).map(|(sum, (before, after))| Device {
            reads: sum.reads + after.reads - before.reads,
            bytes: sum.bytes + after.bytes - before.bytes,
            read_ms: sum.read_ms + after.read_ms - before.read_ms,
        });
    }

    /// What the device gives with `depth` reads in flight.
    fn raw_at(&self, depth: f64) -> f64 {
        let last = DEPTHS.len() - 1;
        let above = DEPTHS.iter().position(|d| *d as f64 >= depth).unwrap_or(last).max(1);
        let (low, high) = (DEPTHS[above - 1] as f64, DEPTHS[above] as f64);
        let share = ((depth - low) / (high - low)).clamp(0.0, 1.0);
        let (from, to) = (self.raw[above - 1].per_second(), self.raw[above].per_second());
        from + share * (to - from)
    }
}

fn values(sums: &Sums, threads: usize, page_bytes: usize) -> Map<String, Value> {
    let queries = sums.meter.wall.len().max(1) as f64;
    let reads = (sums.misses + sums.prefetched) as f64;
    let rate = reads / sums.seconds.max(1e-9);
    let latency_us = sums.device.map_or_else(
        // Without the kernel's counts: what a read takes alone.
        || 1e6 / sums.raw[0].per_second(),
        |d| d.read_ms as f64 * 1e3 / d.reads.max(1) as f64,
    );
    let in_flight = rate * latency_us / 1e6;
    let waiting = (1.0 - sums.cpu as f64 / sums.wall.max(1) as f64).clamp(0.02, 1.0);
    let offered = in_flight / waiting;
    let nearest = |depth: f64| {
        let off = |d: &&usize| ((**d as f64).log2() - depth.max(1.0).log2()).abs();
        DEPTHS.iter().min_by(|a, b| off(a).total_cmp(&off(b))).copied()
    };
    let by_depth: Map<String, Value> = DEPTHS
        .iter()
        .zip(&sums.raw)
        .map(|(depth, reads)| (depth.to_string(), reads.per_second().round().into()))
        .collect();
    let json = json!({
        "threads": threads, "seconds": round(sums.seconds),
        "queries_per_second": round(queries / sums.seconds),
        "page_reads_per_second": rate.round(), "page_reads_per_query": round(reads / queries),
        "misses_per_query": round(sums.misses as f64 / queries),
        "prefetched_per_query": round(sums.prefetched as f64 / queries),
        "hits_per_query": round(sums.hits as f64 / queries),
        "device_reads_per_second": sums.device.map(|d| (d.reads as f64 / sums.seconds).round()),
        "device_pages_per_second": sums.device.map(|d| {
            (d.bytes as f64 / page_bytes as f64 / sums.seconds).round()
        }),
        "device_read_us": round(latency_us),
        "in_flight": round(in_flight), "waiting_share": round(waiting),
        "in_flight_if_waiting": round(offered), "nearest_depth": nearest(offered),
        "raw_reads_per_second": by_depth,
        "raw_pread_per_second": sums.pread.per_second().round(),
        "share_of_device": round(rate / sums.raw_at(offered)),
        "share_of_device_mean_depth": round(rate / sums.raw_at(in_flight)),
        "share_of_pread": round(rate / sums.pread.per_second()), "goal_share": 0.8,
    });
    match json {
        Value::Object(values) => values,
        _ => unreachable!("an object was written"),
    }
}
