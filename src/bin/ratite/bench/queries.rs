//! The queries of a client, warm: parameters drawn from what is stored, every event of an answer looked at.

use super::table::Figure;
use super::{Bench, SEED, us};
use crate::failure::Outcome;
use ratite::bench::ask::{answer, gather};
use ratite::bench::clock::{Meter, quantiles, round};
use ratite::bench::workload::{Facts, Row, rows, search_rows};
use ratite::nostr::{EventStore, Filter};
use serde_json::json;

/// Seconds of a row of a usual run, and those before, which warm up.
const SECONDS: f64 = 1.2;
const WARM_SECONDS: f64 = 0.3;

/// Calls from which on one in a thousand says something.
const CALLS_OF_P999: u64 = 1_000;

/// All rows, one after the other.
pub fn run(bench: &mut Bench<'_>, store: &EventStore) -> Outcome<()> {
    bench.doing("looking at what is stored");
    let facts = gather(store, Facts::new(SEED))?;
    let searches = if store.search_kinds().is_off() { Vec::new() } else { search_rows() };
    for row in rows().into_iter().chain(searches) {
        bench.doing(&format!("queries: {}", row.name));
        let filters = row.filters(&facts, SEED)?;
        let meter = ask(bench, store, &row, &filters)?;
        bench.check()?;
        let mut note = row.goal_us.map_or_else(String::new, |goal| format!("goal {goal}"));
        if meter.calls() < CALLS_OF_P999 {
            let and = if note.is_empty() { "" } else { "; " };
            note = format!("{note}{and}{} calls", meter.calls());
        }
        let p999 = (meter.calls() >= CALLS_OF_P999).then(|| us(&meter.cpu, 0.999));
        bench.table.add(Figure {
            section: "queries, warm",
            row: row.name,
            cells: vec![
                ("rows", Some(meter.rows_each())),
                ("CPU us p50", Some(us(&meter.cpu, 0.5))),
                ("CPU us p99", Some(us(&meter.cpu, 0.99))),
                ("CPU us p99.9", p999),
                ("us p99", Some(us(&meter.wall, 0.99))),
            ],
            note,
            values: json!({
                "calls": meter.calls(), "rows": round(meter.rows_each()), "goal_us": row.goal_us,
                "cpu_us": quantiles(&meter.cpu), "wall_us": quantiles(&meter.wall),
            }),
        })?;
    }
    Ok(())
}

/// Asks until the filters or the time are used up; a fifth of them at most warms up.
fn ask(bench: &Bench<'_>, store: &EventStore, row: &Row, filters: &[Filter]) -> Outcome<Meter> {
    let (mut meter, mut json) = (Meter::new(), Vec::new());
    let (warm, rest) = filters.split_at(filters.len() / 5);
    for (filters, seconds) in [(warm, WARM_SECONDS), (rest, SECONDS)] {
        meter = Meter::new();
        let going = bench.for_seconds(seconds);
        for filter in filters {
            meter.time(|| answer(store, row, filter, &mut json))?;
            if !going() {
                break;
            }
        }
    }
    Ok(meter)
}
