//! `ratite log retain`: the oldest segments go, or it is shown which would.

use super::export::records_of;
use super::segments;
use crate::config::parse_size;
use crate::failure::{Failure, Outcome};
use crate::output::{is_for_person, print, say};
use crate::stats::mib;
use crate::store::StoreArgs;
use ratite::logs::LogRetention;
use ratite::logs::time::{Zone, when};
use std::time::Duration;

/// Options of `ratite log retain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Segments all of whose records are older, as 30d
    #[arg(long, value_name = "LENGTH", value_parser = when::length)]
    age: Option<u64>,

    /// The oldest beyond so many bytes on disk
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    bytes: Option<u64>,

    /// The oldest beyond so many records
    #[arg(long, value_name = "N")]
    records: Option<u64>,

    /// Show what would go, and drop nothing
    #[arg(long)]
    dry_run: bool,

    /// JSON on a terminal too: an object for each segment
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    if args.age.is_none() && args.bytes.is_none() && args.records.is_none() {
        let what = "what goes? --age, --bytes or --records, or several of them";
        return Err(Failure::Usage(what.into()));
    }
    let rules = LogRetention {
        age: args.age.map(Duration::from_micros),
        bytes: args.bytes,
        records: args.records,
    };
    args.store.with_logs(|log| {
        let now = log.engine().env().clock.unix_micros();
        let gone = match args.dry_run {
            true => log.retain_dry_run(&rules, now)?,
            false => log.retain(&rules, now)?,
        };
        let would = if args.dry_run { "would drop" } else { "dropped" };
        let (segments, records) = (gone.segments.len(), records_of(gone.records()));
        say(format_args!("{would} {segments} segments with {records}, {}", mib(gone.bytes())));
        match is_for_person(args.json) {
            true if gone.segments.is_empty() => Ok(()),
            true => print(&segments::table(&gone.segments, &Zone::local())),
            false => print(&segments::lines(&gone.segments)),
        }
    })
}
