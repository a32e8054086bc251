//! Queries on a warm store, each row many times, each answer looked at event by event.
//!
//! With `peers` the calls of a row are made in blocks, each block on every store in turn: what disturbs one disturbs all,
//! and nobody finds in the caches what the one before has left there, but with the first call of a block.

use crate::clock::{Instructions, Meter, memory};
use crate::figure::{Figures, print_head};
use crate::load::StoreArgs;
use crate::workload::{Facts, Row, rows, search_rows};
use crate::{Result, host};
pub use ratite::bench::ask::{answer, gather};
use ratite::nostr::{EventStore, Filter};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Calls of a block.
const BLOCK: usize = 25;

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
    /// Ask the same questions twice and measure the second time: a working set that fits into memory, however large the
    /// store is. Otherwise the first fifth of a row's questions warms up for the others, which ask for something else.
    #[arg(long)]
    again: bool,
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
        // Reading the counter costs Ratite what the others do not pay.
        let counter = others.are_none().then(Instructions::start);
        let (first, rest) = match args.again {
            true => (&*filters, &*filters),
            false => filters.split_at(filters.len() / 5),
        };
        let (meter, instructions) = ask(&store, &row, [first, rest], &mut others, counter)?;
        let more = json!({
            "instructions": instructions, "again": args.again,
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

/// Asks the filters of a row; times of Ratite for the second part, and its instructions for each call if they were
/// counted. The first part warms up, and is where peers' answers are compared.
fn ask(
    store: &EventStore,
    row: &Row,
    parts: [&[Filter]; 2],
    others: &mut Others,
    mut counter: Option<Instructions>,
) -> Result<(Meter, Option<u64>)> {
    let (mut json, mut meter, mut instructions) = (Vec::new(), Meter::new(), None);
    let mut count = || counter.as_mut().and_then(Instructions::count);
    for (part, check) in parts.into_iter().zip([true, false]) {
        (meter, instructions) = (Meter::new(), None);
        others.forget();
        for block in part.chunks(BLOCK) {
            for filter in block {
                let before = count();
                meter.time(|| answer(store, row, filter, &mut json))?;
                if let Some((after, before)) = count().zip(before) {
                    instructions = Some(instructions.unwrap_or(0) + after - before);
                }
            }
            others.ask(store, row, block, check)?;
        }
    }
    let calls = meter.calls().max(1);
    Ok((meter, instructions.map(|sum| sum / calls)))
}

/// The peers, if there are any.
#[cfg(feature = "peers")]
use crate::peers::Others;

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

    fn ask(&mut self, _: &EventStore, _: &Row, _: &[Filter], _: bool) -> Result<()> {
        Ok(())
    }

    fn report(&mut self, _: &Row, _: &mut Figures) -> Result<()> {
        Ok(())
    }
}

#[cfg(feature = "peers")]
impl Args {
    /// How the store is opened.
    pub fn store(&self) -> &StoreArgs {
        &self.store
    }

    /// The events file for the peers, and where they live.
    pub fn peers(&self) -> Option<(&std::path::Path, PathBuf)> {
        let mut dir = self.data.clone().into_os_string();
        dir.push("-peers");
        self.peers.as_deref().map(|file| (file, dir.into()))
    }
}
