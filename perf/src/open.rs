//! Opening a store: after a clean close, and after its process was killed in the middle of inserts.
//!
//! The kill is real: another process of this program opens the store and inserts until it gets SIGKILL.
//! It adds events to the store that it is given.

use crate::Result;
use crate::clock::{Meter, memory};
use crate::figure::{Figures, print_head};
use crate::load::StoreArgs;
use ratite::bench::victim::{insert_until_killed, kill_after};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub struct Args {
    /// Directory of a store.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Times to open after each kind of end.
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// Inserts before the kill.
    #[arg(long, default_value_t = 10_000)]
    inserts: u64,
    /// Insert until killed.
    #[arg(long, hide = true)]
    victim: bool,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    if args.victim {
        return victim(args);
    }
    args.store.open(&args.data)?.close()?;
    let (mut clean, mut killed) = (Meter::new(), Meter::new());
    let mut replayed = 0;
    for _ in 0..args.times {
        let store = reopen(args, &mut clean)?;
        store.close()?;
    }
    for _ in 0..args.times {
        kill_one(args)?;
        let store = reopen(args, &mut killed)?;
        replayed = store.engine().stats().iter().map(|s| s.replayed).sum::<u64>();
        store.close()?;
    }
    print_head("open");
    let more = json!({ "options": args.store.describe(), "rss_mib": memory("VmRSS") >> 20 });
    figures.add_meter("open", "ratite", "after a clean close", &clean, more)?;
    let more = json!({ "options": args.store.describe(), "replayed": replayed });
    figures.add_meter("open", "ratite", "after kill -9", &killed, more)
}

fn reopen(args: &Args, meter: &mut Meter) -> Result<ratite::nostr::EventStore> {
    let mut opened = None;
    meter.time(|| -> Result<u64> {
        opened = Some(args.store.open(&args.data)?);
        Ok(1)
    })?;
    opened.ok_or_else(|| "the store did not open".into())
}

/// Starts a victim and kills it when it has inserted enough.
fn kill_one(args: &Args) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("open").arg("--victim").arg("--data").arg(&args.data);
    Ok(kill_after(command, args.inserts)?)
}

fn victim(args: &Args) -> Result<()> {
    let store = args.store.open(&args.data)?;
    // Other events for every victim, or they would be duplicates.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    Ok(insert_until_killed(&store, seed, &mut std::io::stdout())?)
}
