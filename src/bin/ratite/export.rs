//! `ratite export`: the store as JSONL.

use crate::failure::Outcome;
use crate::output::Lines;
use crate::store::StoreArgs;
use ratite::nostr::Filter;
use ratite::query::Order;

/// Options of `ratite export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only events of this second (Unix time) or later
    #[arg(long, value_name = "TIME", default_value_t = 0, hide_default_value = true)]
    since: u64,

    /// Only events of this second (Unix time) or earlier
    #[arg(long, value_name = "TIME", default_value_t = u64::MAX, hide_default_value = true)]
    until: u64,

    /// Newest first instead of oldest first
    #[arg(long)]
    reverse: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let filter = Filter { since: args.since, until: args.until, ..Filter::default() };
    let order = if args.reverse { Order::Newest } else { Order::Oldest };
    args.store.with(|store| {
        let mut events = store.query_at(&store.snapshot(), &[filter], order)?;
        let mut lines = Lines::open();
        while let Some(event) = events.next()? {
            lines.event(&event)?;
        }
        lines.finish()
    })
}
