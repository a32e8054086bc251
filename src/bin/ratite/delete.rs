//! `ratite delete`: what matches a filter, an id or an age is removed, or counted.

use crate::export::events_of;
use crate::failure::Outcome;
use crate::output::{print, say};
use crate::reclaim;
use crate::scan::parse;
use crate::store::StoreArgs;
use ratite::model::Record;
use ratite::nostr::retention::seconds;
use ratite::nostr::{EventStore, Filter};
use ratite::query::Order;

/// Events that are found before they are removed: a few groups of each shard.
const BATCH: usize = 4096;

/// Options of `ratite delete`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Args {
    /// Events that match a NIP-01 filter, or one of an array of them; of a limit the newest
    #[arg(long, value_name = "FILTER", group = "what")]
    filter: Option<String>,

    /// The event with this id; may be repeated
    #[arg(long = "id", value_name = "HEX", group = "what", value_parser = id)]
    ids: Vec<Id>,

    /// Events that are older than this: seconds, or 12h, 30d, 2w, 1y
    #[arg(long, value_name = "SPAN", group = "what", value_parser = seconds)]
    age: Option<u64>,

    /// Count what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    store: StoreArgs,
}

type Id = [u8; 32];

fn id(text: &str) -> Result<Id, String> {
    let wrong = |_| "an id has 64 hex characters".to_string();
    const_hex::decode_to_array(text).map_err(wrong)
}

impl Args {
    fn filters(&self, now: u64) -> Outcome<Vec<Filter>> {
        let mut filters = match &self.filter {
            Some(text) => parse(text.as_bytes())?,
            None => vec![Filter::default()],
        };
        for filter in &mut filters {
            if !self.ids.is_empty() {
                let named = |id: &Id| filter.ids.as_ref().is_none_or(|ids| ids.contains(id));
                filter.ids = Some(self.ids.iter().filter(|id| named(id)).copied().collect());
            }
            if let Some(age) = self.age {
                // As retention has it: gone is what is more than `age` seconds old.
                let cut = now.checked_sub(age).and_then(|since| since.checked_sub(1));
                let Some(cut) = cut else { return Ok(Vec::new()) };
                filter.until = filter.until.min(cut);
            }
        }
        filters.retain(|filter| filter.since <= filter.until);
        Ok(filters)
    }
}

pub fn run(args: &Args) -> Outcome<()> {
    args.store.with(|store| {
        let filters = args.filters(reclaim::now(store.engine()))?;
        let gone = walk(store, &filters, args.dry_run)?;
        let events = events_of(gone);
        match args.dry_run {
            true => say(format_args!("{events} would be removed")),
            false => say(format_args!("removed {events}")),
        }
        print(&format!("{gone}\n"))
    })
}

/// Removes, or with `dry_run` counts, what matches.
fn walk(store: &EventStore, filters: &[Filter], dry_run: bool) -> Outcome<u64> {
    if filters.is_empty() {
        return Ok(0);
    }
    let engine = store.engine();
    let mut events = store.query_at(&store.snapshot(), filters, Order::Newest)?;
    let mut by_shard = vec![Vec::new(); engine.shard_count()];
    let (mut gone, mut found) = (0, 0);
    loop {
        let event = events.next()?;
        if let Some(event) = &event {
            let record = Record { key: event.key(), body: event.body() };
            by_shard[engine.shard_number(record)].push(*event.id());
            found += 1;
        }
        if found == BATCH || event.is_none() {
            for (shard, ids) in by_shard.iter_mut().enumerate() {
                // Its number is a route to the shard.
                gone += match dry_run {
                    true => ids.len() as u64,
                    false => engine.remove(shard as u64, ids)?,
                };
                ids.clear();
            }
            found = 0;
        }
        if event.is_none() {
            return Ok(gone);
        }
    }
}
