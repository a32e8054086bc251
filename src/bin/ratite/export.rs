//! `ratite export`: the store, or what a filter selects of it, as JSONL.

use crate::failure::Outcome;
use crate::output::{Lines, say};
use crate::scan::parse;
use crate::store::StoreArgs;
use ratite::nostr::Filter;
use ratite::query::Order;
use std::path::PathBuf;

/// Options of `ratite export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only events that match a NIP-01 filter, or one of an array of them; of a limit the first in this order
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,

    /// Only events of this second (Unix time) or later
    #[arg(long, value_name = "TIME", default_value_t = 0, hide_default_value = true)]
    since: u64,

    /// Only events of this second (Unix time) or earlier
    #[arg(long, value_name = "TIME", default_value_t = u64::MAX, hide_default_value = true)]
    until: u64,

    /// Newest first instead of oldest first
    #[arg(long)]
    reverse: bool,

    /// Write to FILE instead of standard output, packed if it ends in .gz or .zst
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let mut filters = match &args.filter {
        Some(text) => parse(text.as_bytes())?,
        None => vec![Filter::default()],
    };
    for filter in &mut filters {
        filter.since = filter.since.max(args.since);
        filter.until = filter.until.min(args.until);
    }
    filters.retain(|filter| filter.since <= filter.until);
    let order = if args.reverse { Order::Newest } else { Order::Oldest };
    args.store.with(|store| {
        let mut events = store.query_at(&store.snapshot(), &filters, order)?;
        let mut lines = match &args.output {
            Some(path) => Lines::to(path)?,
            None => Lines::open(),
        };
        let mut count = 0u64;
        while let Some(event) = events.next()? {
            lines.event(&event)?;
            count += 1;
        }
        lines.finish()?;
        if let Some(path) = &args.output {
            say(format_args!("{} in {}", events_of(count), path.display()));
        }
        Ok(())
    })
}

/// So many events, in words.
pub fn events_of(count: u64) -> String {
    if count == 1 { "1 event".into() } else { format!("{count} events") }
}
