//! `ratite scan`: the events that match a filter, and the filter argument of the asking verbs.

use crate::failure::{Failure, Outcome};
use crate::output::{Lines, print, say};
use crate::store::StoreArgs;
use ratite::nostr::{Events, Filter, parse_filters};
use std::io::{self, Read};

/// The most that is read as a filter: some 100,000 ids.
const FILTER_BYTES_MAX: u64 = 8 << 20;

/// Options of `ratite scan`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: FilterArg,

    /// Print how many events there are instead of the events; limits count
    #[arg(long)]
    count: bool,

    /// Say on standard error how long it took
    #[arg(long)]
    metrics: bool,

    #[command(flatten)]
    store: StoreArgs,
}

/// What is asked for.
#[derive(clap::Args, Debug)]
pub struct FilterArg {
    /// A NIP-01 filter as JSON, or an array of them; `-` reads it from standard input
    #[arg(value_name = "FILTER")]
    filter: String,
}

impl FilterArg {
    /// The filters.
    pub fn parse(&self) -> Outcome<Vec<Filter>> {
        let mut text = self.filter.as_bytes().to_vec();
        if self.filter == "-" {
            text.clear();
            let mut input = io::stdin().lock().take(FILTER_BYTES_MAX);
            input.read_to_end(&mut text).map_err(|e| Failure::input(&e))?;
        }
        parse(&text)
    }
}

/// The filters that a text says.
pub fn parse(text: &[u8]) -> Outcome<Vec<Filter>> {
    let refused = |why| Failure::Sentence(format!("the filter is refused: {why}"));
    parse_filters(text.trim_ascii()).map_err(refused)
}

pub fn run(args: &Args) -> Outcome<()> {
    let filters = args.asked.parse()?;
    args.store.with(|store| {
        let clock = &store.engine().env().clock;
        let start = clock.monotonic_nanos();
        let mut first = None;
        let mut note_first = || {
            first.get_or_insert_with(|| clock.monotonic_nanos());
        };
        let events = store.query(&filters)?;
        let rows = match args.count {
            true => count(events, &mut note_first)?,
            false => write(events, &mut note_first)?,
        };
        let end = clock.monotonic_nanos();
        if args.metrics {
            let ms = |at: u64| at.saturating_sub(start) as f64 / 1e6;
            let (first, all) = (ms(first.unwrap_or(end)), ms(end));
            let rate = rows as f64 * 1000.0 / all.max(0.001);
            say(format_args!(
                "rows {rows}, first after {first:.3} ms, all after {all:.3} ms, {rate:.0} a second"
            ));
        }
        Ok(())
    })
}

fn count(mut events: Events, note_first: &mut dyn FnMut()) -> Outcome<u64> {
    let mut rows = 0;
    while events.next()?.is_some() {
        note_first();
        rows += 1;
    }
    print(&format!("{rows}\n"))?;
    Ok(rows)
}

fn write(mut events: Events, note_first: &mut dyn FnMut()) -> Outcome<u64> {
    let mut lines = Lines::open();
    let mut rows = 0;
    while let Some(event) = events.next()? {
        note_first();
        lines.event(&event)?;
        rows += 1;
    }
    lines.finish()?;
    Ok(rows)
}
