//! Measures Ratite: loading, queries, publishing, opening, a relay on the wire, and logs.
//!
//! ```text
//!   generate -> events file -> load -> store -> query, publish, open
//!                     `------------------------> wire (a relay)        all -> JSON lines -> report
//!   logs: everything about log lines in one run
//! ```
//!
//! Every subcommand appends one JSON object a figure to `--out` and prints a table to stderr.

mod bare;
mod clients;
mod clock;
mod cold;
mod compact;
mod events;
mod figure;
mod host;
mod load;
mod logs;
mod mixed;
mod open;
#[cfg(feature = "peers")]
mod peers;
mod publish;
mod query;
mod raw;
mod report;
mod wire;

use clap::{Parser, Subcommand};
use ratite::bench::workload;
use std::error::Error;
use std::process::ExitCode;

/// As the tool has it: what a process takes beside the store's budget is the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong here goes to a person.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(version, about, long_about = None)]
struct Args {
    /// File to append figures to; default: results/HOST/DATE.jsonl in this package.
    #[arg(long, global = true)]
    out: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a file of signed events, the same for every machine.
    Generate(events::Args),
    /// Loads an events file into a new store.
    Load(load::Args),
    /// Merges the segments of a store as far as that goes.
    Compact(compact::Args),
    /// Measures the queries of a store.
    Query(query::Args),
    /// Measures reads and single inserts beside many inserts, removals and merges.
    Mixed(mixed::Args),
    /// Measures queries whose pages are not in memory, against raw reads of the same files.
    Cold(cold::Args),
    /// Measures durable inserts, against bare synced writes in the same run.
    Publish(publish::Args),
    /// Measures how long a store takes to open, after a clean close and after a kill.
    Open(open::Args),
    /// Measures a relay through websockets.
    Wire(wire::Args),
    /// Measures a relay with thousands of clients, and with bad neighbours among them.
    Clients(clients::Args),
    /// Makes a file of log lines, as text.
    LogsGenerate(logs::lines::Args),
    /// Measures a store of log lines: appending, bytes, opening, searching; beside others that search text.
    Logs(logs::Args),
    /// Makes a table and a plot of figures.
    Report(report::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut figures = figure::Figures::new(args.out);
    let done = match args.command {
        Command::Generate(args) => events::generate(&args),
        Command::Load(args) => load::run(&args, &mut figures),
        Command::Compact(args) => compact::run(&args, &mut figures),
        Command::Query(args) => query::run(&args, &mut figures),
        Command::Mixed(args) => mixed::run(&args, &mut figures),
        Command::Cold(args) => cold::run(&args, &mut figures),
        Command::Publish(args) => publish::run(&args, &mut figures),
        Command::Open(args) => open::run(&args, &mut figures),
        Command::Wire(args) => wire::run(&args, &mut figures),
        Command::Clients(args) => clients::run(&args, &mut figures),
        Command::LogsGenerate(args) => logs::lines::generate(&args),
        Command::Logs(args) => logs::run(&args, &mut figures),
        Command::Report(args) => report::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
