//! `ratite bench`: what this machine gives, and what the store makes of it, in one run.
//!
//! ```text
//!   scratch --> device --> events, ingest, one publish --> flush, compact --> queries --> memory --> opening
//!   (removed)   (device)   (writes)                        (room)             (queries)   (room)     (opening)
//!        each figure goes out as it comes: a row of a table for a person, an object for everyone else (table)
//! ```
//!
//! 1. Nothing is touched but a directory of its own, which is gone afterwards, however the run ends; only a second
//!    signal, and SIGKILL, leave it there.
//! 2. Every figure says what it has beside it: the device, the signatures alone, or the goal of `docs/performance.md`.
//! 3. A small `--events` measures everything for a shorter time: each part has its share of the usual seconds.

mod device;
mod opening;
mod queries;
mod room;
mod scratch;
mod table;
mod writes;

use crate::config::Settings;
use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::signals::Signals;
use crate::store::StoreArgs;
use ratite::bench::{Going, clock, for_nanos, host};
use ratite::io::Env;
use ratite::nostr::EventStore;
use ratite::nostr::generate::{Config, Generator};
use ratite::shard::SyncMode;
use scratch::Scratch;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use table::Table;

/// Events from which on every part has its whole time.
const EVENTS_USUAL: f64 = 100_000.0;

/// The least share of its time that a part has.
const SHARE_MIN: f64 = 0.02;

/// The seed of everything that is made up.
const SEED: u64 = 1;

/// Options of `ratite bench`.
#[derive(clap::Args, Debug)]
#[command(mut_arg("store.data", |data| data.help("Directory to work in, new or empty, and emptied at the end [default: a new one, here]")))]
pub struct Args {
    /// Events to store and to ask for; until they are stored they are kept in memory, 1 KiB each
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
    events: u64,

    /// JSON on a terminal too
    #[arg(long)]
    json: bool,

    /// Insert into the store in DIR until killed
    #[arg(long, hide = true, value_name = "DIR")]
    victim: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,
}

/// What the parts share.
struct Bench<'a> {
    args: &'a Args,
    going: Going,
    env: Env,
    scratch: &'a Scratch,
    store: StoreArgs,
    table: Table,
    /// The share of its usual time that each part has (3).
    share: f64,
}

pub fn run(args: &Args, settings: &Settings) -> Outcome<()> {
    if let Some(dir) = &args.victim {
        return opening::victim(args.store.elsewhere(dir));
    }
    let signals = Signals::listen()?;
    let stop = signals.stop().clone();
    // A directory of the configuration is that of the store that is served, which is none to bench in.
    let given = settings.is_flag("store.data").then_some(args.store.data.as_path());
    let env = args.store.env()?;
    let scratch = Scratch::make(given)?;
    let ended = scratch.has_room(args, &env).and_then(|()| {
        warn_of_load();
        let going: Going = Arc::new(move || stop.is_empty());
        measure(args, going, env, &scratch)
    });
    // What failed because of a signal says less than the signal.
    match signals.stop().try_recv() {
        Ok(name) => Err(Failure::Sentence(format!("stopped by {name}"))),
        Err(_none) => ended,
    }
}

fn measure(args: &Args, going: Going, env: Env, scratch: &Scratch) -> Outcome<()> {
    let share = (args.events as f64 / EVENTS_USUAL).clamp(SHARE_MIN, 1.0);
    let store = args.store.elsewhere(&scratch.store());
    let opened = store.open(&store.options()?)?;
    let table = Table::open(args.json, &common(args, &opened, scratch))?;
    let mut bench = Bench { args, going, env, scratch, store, table, share };
    let measured = opened_parts(&mut bench, &opened);
    let closed = opened.close();
    drop(opened);
    measured?;
    closed?;
    opening::run(&mut bench)?;
    bench.table.end();
    Ok(())
}

/// The parts that need the store open.
fn opened_parts(bench: &mut Bench<'_>, store: &Arc<EventStore>) -> Outcome<()> {
    let mut device = device::run(bench)?;
    let config = Config { events: bench.args.events, ..Config::default() };
    let mut generator = Generator::new(SEED, &config);
    writes::ingest(bench, store, &mut generator, &mut device)?;
    writes::publish(bench, store, &mut generator, &mut device)?;
    drop(device);
    room::disk(bench, store)?;
    queries::run(bench, store)?;
    room::memory(bench, store)
}

impl Bench<'_> {
    /// For so many seconds of a usual run, unless a signal comes.
    fn for_seconds(&self, seconds: f64) -> Going {
        for_nanos(self.nanos(seconds), &self.going)
    }

    /// What is left in this run of so many seconds of a usual one.
    fn nanos(&self, seconds: f64) -> u64 {
        (seconds * self.share * 1e9) as u64
    }

    /// Whether inserts are synced before their answers, so that the device is their measure.
    fn is_durable(&self) -> bool {
        self.store.sync() == SyncMode::Always
    }

    /// Says on a terminal what is being done.
    fn doing(&self, what: &str) {
        self.table.progress().say(what.into());
    }

    /// Ends the run if a signal came: a part that was cut short has no figure.
    fn check(&self) -> Outcome<()> {
        match (self.going)() {
            true => Ok(()),
            false => Err(Failure::Said), // `run` says by which.
        }
    }
}

/// What every figure of the run has in common.
fn common(args: &Args, store: &EventStore, scratch: &Scratch) -> Value {
    let engine = store.engine();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("GIT_COMMIT"),
        "date": host::date(store.now()),
        "host": host::facts(),
        "file_system": host::file_system(scratch.dir()),
        "events": args.events,
        "options": {
            "sync": sync_name(args.store.sync()),
            "memory_mib": engine.memory().budget_bytes >> 20,
            "shards": engine.shard_count(),
            "page_bytes": engine.page_size().bytes(),
            "io": engine.env().disk.backend(),
        },
    })
}

fn sync_name(sync: SyncMode) -> &'static str {
    match sync {
        SyncMode::Always => "always",
        SyncMode::Batch { .. } => "batch",
        SyncMode::Never => "never",
    }
}

/// Figures of a machine that does other things are of these things, too.
fn warn_of_load() {
    let (load, cores) = (host::load(), ratite::io::threads::cores());
    if load > cores as f64 / 2.0 {
        say(format_args!(
            "ratite: warning: the load of this machine is {load} on {cores} cores; believe CPU time before wall time"
        ));
    }
}

/// Microseconds of a quantile of nanoseconds.
fn us(histogram: &hdrhistogram::Histogram<u64>, quantile: f64) -> f64 {
    clock::round(histogram.value_at_quantile(quantile) as f64 / 1e3)
}
