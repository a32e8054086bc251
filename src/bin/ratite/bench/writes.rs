//! Writing: many events at once, with and without their signatures, and one at a time as a client publishes it.
//!
//! ```text
//!   3 of 4 events: ingest             | the log's groups again, bare, of the same size    --> share of a bare append
//!   the rest, slice by slice in turn: | signatures alone | signatures and ingest          --> share of the verifier
//!   more, 40 in turn:                 | one durable insert after the other | bare writes  --> times a bare write
//! ```

use super::table::Figure;
use super::{Bench, us};
use crate::failure::Outcome;
use ratite::bench::clock::{quantiles, round};
use ratite::bench::device::Device;
use ratite::bench::events::signed;
use ratite::bench::ingest::{Pass, Passed, written};
use ratite::bench::publish::alone;
use ratite::io::threads;
use ratite::nostr::generate::Generator;
use ratite::nostr::{Event, EventStore};
use serde_json::{Value, json};
use std::sync::Arc;

/// Slices in which signatures alone and with ingest take turns.
const SLICES: usize = 4;

/// The most inserts that one thread has under way: more gain nothing.
const UNDER_WAY_MAX: usize = 4096;

/// Inserts and bare writes of a turn, turns of a usual run and of the shortest, and the seconds after which it ends early:
/// a disk that turns takes 10 ms a write.
const PER_TURN: usize = 40;
const TURNS: f64 = 50.0;
const TURNS_MIN: usize = 5;
const PUBLISH_SECONDS: f64 = 15.0;

/// Goals of `docs/performance.md`.
const GOAL_OF_APPEND: f64 = 0.5;
const GOAL_OF_VERIFIER: f64 = 0.95;
const GOAL_TIMES_P50: f64 = 1.3;
const GOAL_TIMES_P99: f64 = 2.0;

/// Stores the events of the run: most as fast as that goes, the rest with their signatures checked.
pub fn ingest(
    bench: &mut Bench<'_>,
    store: &Arc<EventStore>,
    generator: &mut Generator,
    device: &mut Device,
) -> Outcome<()> {
    bench.doing("making events");
    let count = bench.args.events;
    let mut told = |made| bench.doing(&format!("making events: {made} of {count}"));
    let events = Arc::new(signed(generator, count, &bench.going, &mut told)?);
    bench.check()?;
    let many = events.len() * 3 / 4;
    unchecked(bench, store, (&events, many), device)?;
    checked(bench, store, (&events, many))
}

/// The first events, and then as many writes of the same size as the log made of them.
fn unchecked(
    bench: &mut Bench<'_>,
    store: &Arc<EventStore>,
    (events, end): (&Arc<Vec<Event>>, usize),
    device: &mut Device,
) -> Outcome<()> {
    bench.doing("ingest");
    let pass = Pass { threads: 1, check: false, into: Some((store.clone(), under_way(bench, 1))) };
    let before = written(store);
    let passed = pass.run(events, 0..end, &bench.going)?;
    let now = written(store);
    bench.check()?;
    let (groups, bytes) = (now.0 - before.0, now.1 - before.1);
    let (nanos, share) = device.write_groups(groups, bytes, &bench.for_seconds(PUBLISH_SECONDS))?;
    bench.check()?;
    // Of a device that took too long for all of them, as many events as the groups it wrote have.
    let bare = passed.events as f64 * share * 1e9 / nanos.max(1) as f64;
    let of_append = bench.is_durable().then(|| passed.per_second() / bare);
    let note = of_append.map(|share| {
        format!("{share:.2} of a bare append of the same groups (goal {GOAL_OF_APPEND})")
    });
    let each = |sum: u64| round(sum as f64 / passed.events.max(1) as f64);
    let more = json!({
        "events_per_group": round(passed.events as f64 / groups.max(1) as f64),
        "log_bytes_per_event": each(bytes), "bare_append_per_second": bare.round(),
        "share_of_bare_append": of_append.map(round), "goal_share_of_bare_append": GOAL_OF_APPEND,
    });
    add_passed(bench, "ingest", &passed, more, note)
}

/// The events from `start` on, in turn without the store.
fn checked(
    bench: &mut Bench<'_>,
    store: &Arc<EventStore>,
    (events, start): (&Arc<Vec<Event>>, usize),
) -> Outcome<()> {
    bench.doing("ingest, signatures checked");
    let threads = threads::cores();
    let alone = Pass { threads, check: true, into: None };
    let into = Some((store.clone(), under_way(bench, threads)));
    let both = Pass { into, ..alone.clone() };
    let (bare, checked) = in_turn(bench, events, start, &alone, &both)?;
    let share = checked.per_second() / bare.per_second().max(1.0);
    let note = format!("{share:.2} of signatures alone (goal {GOAL_OF_VERIFIER})");
    let more = json!({
        "threads": threads, "share_of_verifier": round(share),
        "goal_share_of_verifier": GOAL_OF_VERIFIER,
    });
    let row = format!("ingest, signatures checked on {threads} cores");
    add_passed(bench, &row, &checked, more, Some(note))?;
    add_passed(bench, "signatures alone", &bare, json!({ "threads": threads }), None)
}

/// Of the events from `start` on, slice by slice, one pass and then the other.
fn in_turn(
    bench: &Bench<'_>,
    events: &Arc<Vec<Event>>,
    start: usize,
    one: &Pass,
    other: &Pass,
) -> Outcome<(Passed, Passed)> {
    let (mut sum_one, mut sum_other) = (Passed::default(), Passed::default());
    let each = (events.len() - start).div_ceil(SLICES).max(1);
    for slice in (start..events.len()).step_by(each) {
        sum_one.add(one.run(events, slice..slice + each, &bench.going)?);
        sum_other.add(other.run(events, slice..slice + each, &bench.going)?);
        bench.check()?;
    }
    Ok((sum_one, sum_other))
}

/// What one of so many threads has under way; more than all tickets together, and they would wait for each other.
fn under_way(bench: &Bench<'_>, threads: usize) -> usize {
    let in_flight = bench.store.options().map_or(UNDER_WAY_MAX, |options| options.in_flight);
    (in_flight / 2 / threads).clamp(1, UNDER_WAY_MAX)
}

fn add_passed(
    bench: &mut Bench<'_>,
    row: &str,
    passed: &Passed,
    more: Value,
    note: Option<String>,
) -> Outcome<()> {
    let mut values = json!({
        "count": passed.events, "stored": passed.stored,
        "events_per_second": passed.per_second().round(), "cpu_us_per_event": round(passed.cpu_us()),
    });
    if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
        values.extend(more);
    }
    bench.table.add(Figure {
        section: "many events",
        row,
        cells: vec![
            ("events/s", Some(passed.per_second())),
            ("CPU us/event", Some(passed.cpu_us())),
        ],
        note: note.unwrap_or_default(),
        values,
    })
}

/// One insert after the other, in turn with bare writes.
pub fn publish(
    bench: &mut Bench<'_>,
    store: &EventStore,
    generator: &mut Generator,
    device: &mut Device,
) -> Outcome<()> {
    bench.doing("one publish at a time");
    let mut events = std::iter::from_fn(|| Some(generator.next_unsigned().into_event()));
    let turns = ((TURNS * bench.share) as usize).max(TURNS_MIN);
    let going = bench.for_seconds(PUBLISH_SECONDS);
    let alone = alone(store, device, &mut events, (turns, PER_TURN), &going)?;
    bench.check()?;
    let durable = bench.is_durable();
    let times = |quantile| durable.then(|| round(alone.times_bare(quantile)));
    let note = match (times(0.5), times(0.99)) {
        (Some(p50), Some(p99)) => format!(
            "{p50:.2} times the bare write at p50 (goal {GOAL_TIMES_P50}), {p99:.2} at p99 (goal {GOAL_TIMES_P99})"
        ),
        _ => String::new(),
    };
    let rows = [
        (
            "one insert until its answer",
            &alone.ours,
            alone.process_cpu_us(),
            note,
            json!({
                "times_bare_p50": times(0.5), "goal_times_p50": GOAL_TIMES_P50,
                "times_bare_p99": times(0.99), "goal_times_p99": GOAL_TIMES_P99,
            }),
        ),
        (
            "bare synced write, 4 KiB, in turn",
            &alone.bare,
            alone.bare.cpu.mean() / 1e3,
            String::new(),
            json!({}),
        ),
    ];
    for (row, meter, cpu_us, note, mut values) in rows {
        values["calls"] = meter.calls().into();
        values["wall_us"] = quantiles(&meter.wall);
        values["process_cpu_us"] = round(cpu_us).into();
        let cells = vec![
            ("us p50", Some(us(&meter.wall, 0.5))),
            ("us p99", Some(us(&meter.wall, 0.99))),
            ("CPU us", Some(cpu_us)),
        ];
        bench.table.add(Figure { section: "one publish", row, cells, note, values })?;
    }
    Ok(())
}
