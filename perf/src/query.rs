//! Queries on a warm store, each row many times, each answer looked at event by event.
//!
//! With `peers` every call of a row is made on each store in turn, so that what disturbs one disturbs all.

use crate::clock::{Instructions, Meter, memory};
use crate::figure::{Figures, print_head};
use crate::load::StoreArgs;
use crate::workload::{Facts, rows, search_rows};
use crate::{Result, host};
pub use ratite::bench::ask::{answer, gather};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// Directory of a loaded store.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Draws the parameters.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only rows whose name contains this.
    #[arg(long)]
    row: Option<String>,
    /// Percent of the calls of each row.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Print the plan of each row's first filter.
    #[arg(long)]
    explain: bool,
    /// Events file to load peers with, in DATA-peers, unless they are there.
    #[cfg(feature = "peers")]
    #[arg(long)]
    peers: Option<PathBuf>,
    /// How many of its events; as many as the store was loaded with.
    #[cfg(feature = "peers")]
    #[arg(long)]
    pub peer_events: Option<u64>,
    /// Only these peers; default: all that were built in.
    #[cfg(feature = "peers")]
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let store = args.store.open(&args.data)?;
    let gathering = Instant::now();
    let facts = gather(&store, Facts::new(args.seed))?;
    let stats = store.engine().stats();
    eprintln!(
        "{} events, {} segments, {} records in memtables, seen in {:.1} s, {} MiB RSS",
        facts.seen(),
        stats.iter().map(|s| s.segments).sum::<u64>(),
        stats.iter().map(|s| s.memtable_records).sum::<u64>(),
        gathering.elapsed().as_secs_f64(),
        memory("VmRSS") >> 20,
    );
    let mut others = Others::open(args, figures)?;
    let (wall, cpu) = Meter::overhead();
    eprintln!("the clocks add {wall} ns wall and {cpu} ns CPU to every call");
    print_head("query");
    // No rival has search.
    let searches = if others.are_none() { search_rows() } else { Vec::new() };
    for mut row in rows().into_iter().chain(searches) {
        if args.row.as_ref().is_some_and(|part| !row.name.contains(part.as_str())) {
            continue;
        }
        row.calls = (row.calls * args.calls / 100).max(1);
        let filters = row.filters(&facts, args.seed)?;
        if args.explain {
            eprintln!("{}", store.explain(&filters[..1])?);
        }
        let mut meter = Meter::new();
        let mut json = Vec::new();
        let (mut counter, mut instructions) = (Instructions::start(), 0);
        // The first fifth warms up, and is where peers' answers are compared.
        let warm = filters.len() / 5;
        for (i, filter) in filters.iter().enumerate() {
            if i == warm {
                (meter, instructions) = (Meter::new(), 0);
                others.forget();
            }
            let before = counter.count();
            meter.time(|| answer(&store, &row, filter, &mut json))?;
            let after = counter.count();
            instructions += after.zip(before).map_or(0, |(after, before)| after - before);
            others.ask(&store, &row, filter, i < warm)?;
        }
        let more = json!({
            "instructions": instructions / meter.wall.len().max(1),
            "events": facts.seen(), "options": args.store.describe(), "goal_us": row.goal_us,
            "clock_ns": { "wall": wall, "cpu": cpu }, "rss_mib": memory("VmRSS") >> 20,
            "file_system": host::file_system(&args.data),
        });
        figures.add_meter("query", "ratite", row.name, &meter, more)?;
        others.report(&row, figures)?;
    }
    let pool = store.engine().pool_stats();
    eprintln!(
        "\npool: {pool:?}\nRSS {} MiB, peak {} MiB",
        memory("VmRSS") >> 20,
        memory("VmHWM") >> 20
    );
    Ok(())
}

/// The peers, if there are any.
#[cfg(feature = "peers")]
use crate::peers::Others;

#[cfg(not(feature = "peers"))]
use crate::workload::Row;
#[cfg(not(feature = "peers"))]
use ratite::nostr::{EventStore, Filter};

/// No peers.
#[cfg(not(feature = "peers"))]
struct Others;

#[cfg(not(feature = "peers"))]
impl Others {
    fn open(_: &Args, _: &mut Figures) -> Result<Others> {
        Ok(Others)
    }

    fn are_none(&self) -> bool {
        true
    }

    fn forget(&mut self) {}

    fn ask(&mut self, _: &EventStore, _: &Row, _: &Filter, _: bool) -> Result<()> {
        Ok(())
    }

    fn report(&mut self, _: &Row, _: &mut Figures) -> Result<()> {
        Ok(())
    }
}

#[cfg(feature = "peers")]
impl Args {
    /// The events file for the peers, and where they live.
    pub fn peers(&self) -> Option<(&std::path::Path, PathBuf)> {
        let mut dir = self.data.clone().into_os_string();
        dir.push("-peers");
        self.peers.as_deref().map(|file| (file, dir.into()))
    }
}
