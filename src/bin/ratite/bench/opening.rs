//! Opening: after a clean close, and after a kill in the middle of inserts.
//!
//! The kill is real: another process of this program opens the store and inserts until it gets SIGKILL.

use super::table::Figure;
use super::{Bench, us};
use crate::failure::{Failure, Outcome};
use crate::store::StoreArgs;
use ratite::bench::clock::{Meter, quantiles};
use ratite::bench::victim::{insert_until_killed, kill_after};
use ratite::shard::ShardStats;
use serde_json::json;
use std::env;
use std::io;
use std::process::Command;

/// Openings after a clean close, and after a kill.
const CLEAN: usize = 5;
const KILLED: usize = 3;

/// Inserts before a kill; a 10th of the run's events if that is less.
const INSERTS: u64 = 10_000;

/// Goals of `docs/performance.md`, in milliseconds.
const GOAL_CLEAN: f64 = 100.0;
const GOAL_KILLED: f64 = 1_000.0;

/// Opens the store of the run, which is closed, again and again.
pub fn run(bench: &mut Bench<'_>) -> Outcome<()> {
    bench.doing("opening");
    let mut clean = Meter::new();
    for _ in 0..CLEAN {
        reopen(bench, &mut clean)?;
    }
    add(bench, "after a clean close", &clean, 0, GOAL_CLEAN)?;
    bench.doing("opening after a kill");
    let (mut killed, mut replayed) = (Meter::new(), 0);
    let inserts = INSERTS.min(bench.args.events / 10);
    for _ in 0..KILLED {
        kill_after(victim_command(bench)?, inserts)?;
        replayed = reopen(bench, &mut killed)?;
    }
    add(bench, "after kill -9", &killed, replayed, GOAL_KILLED)
}

/// Opens and closes; how many log entries were replayed.
fn reopen(bench: &Bench<'_>, meter: &mut Meter) -> Outcome<u64> {
    bench.check()?;
    let options = bench.store.options()?;
    let mut opened = None;
    meter.time(|| -> Outcome<u64> {
        opened = Some(bench.store.open(&options)?);
        Ok(1)
    })?;
    let store = opened.ok_or(Failure::Said)?;
    let replayed = |shard: &ShardStats| shard.replayed;
    let replayed = store.engine().stats().iter().map(replayed).sum();
    store.close()?;
    Ok(replayed)
}

fn add(bench: &mut Bench<'_>, row: &str, meter: &Meter, replayed: u64, goal: f64) -> Outcome<()> {
    let ms = |quantile| Some(us(&meter.wall, quantile) / 1e3);
    bench.table.add(Figure {
        section: "opening",
        row,
        cells: vec![("ms p50", ms(0.5)), ("ms, most", ms(1.0)), ("replayed", Some(replayed as f64))],
        note: format!("goal {goal:.0} ms"),
        values: json!({
            "calls": meter.calls(), "wall_us": quantiles(&meter.wall), "replayed": replayed, "goal_ms": goal,
        }),
    })
}

/// This program again, with the same options, as one that is going to be killed.
fn victim_command(bench: &Bench<'_>) -> Outcome<Command> {
    let program = env::current_exe()
        .map_err(|error| Failure::Sentence(format!("cannot find this program: {error}")))?;
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).arg("--victim").arg(&bench.store.data);
    Ok(command)
}

/// Inserts into the store until killed, or until nobody wants to know how far it is.
pub fn victim(store: StoreArgs) -> Outcome<()> {
    let store = store.open(&store.options()?)?;
    // Other events for every victim, or they would be duplicates.
    let seed = store.engine().env().clock.unix_micros();
    let inserted = insert_until_killed(&store, seed, &mut io::stdout());
    store.close()?;
    Ok(inserted?)
}
