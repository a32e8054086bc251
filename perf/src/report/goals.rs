//! What the project means to reach, from the figures of one run: the goal, what was measured, and whether it holds.
//!
//! ```text
//!   N1  ingest against a bare append, and against the best store for Nostr     N3  one durable insert against a bare write
//!   N2  ingest with checks against the verifier alone                          N4  get by id against heed
//! ```

use super::matrix::number;
use serde_json::Value;
use std::fmt::Write;

/// Stores that know Nostr.
const NOSTR: [&str; 4] = ["nostr-lmdb", "nostrdb", "nostr-rs-relay", "strfry"];

/// A goal: its name, what it is about, the figure, the bar, and whether more is better.
struct Goal {
    name: &'static str,
    what: String,
    measured: f64,
    bar: f64,
    more_is_better: bool,
}

/// A table of the goals that these figures say something about.
pub fn table(figures: &[Value]) -> String {
    let goals = goals(figures);
    let mut out = String::new();
    if goals.is_empty() {
        return out;
    }
    let _ = writeln!(out, "\n| goal | what | measured | bar | holds |\n|---|---|---:|---:|---|");
    for goal in goals {
        let holds = match goal.more_is_better {
            true => goal.measured >= goal.bar,
            false => goal.measured <= goal.bar,
        };
        let sign = if goal.more_is_better { ">=" } else { "<=" };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {sign} {} | {} |",
            goal.name,
            goal.what,
            ratio(goal.measured),
            ratio(goal.bar),
            if holds { "yes" } else { "**no**" },
        );
    }
    out
}

fn ratio(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { number(value) }
}

fn goals(figures: &[Value]) -> Vec<Goal> {
    let find = |workload: &str, store: &str, row: &str| {
        let is = |f: &&Value| f["workload"] == workload && f["store"] == store && f["row"] == row;
        figures.iter().rev().find(is)
    };
    let mut goals = Vec::new();
    let mut goal = |name, what: String, measured: Option<f64>, bar, more_is_better| {
        if let Some(measured) = measured {
            goals.push(Goal { name, what, measured, bar, more_is_better });
        }
    };
    let load = find("load", "ratite", "load, grouped by itself");
    let share = |name: &str| load.and_then(|f| f[name].as_f64());
    goal(
        "N1",
        "ingest, of a bare append of the same groups".into(),
        share("share_of_bare"),
        0.5,
        true,
    );
    let rate = |f: &Value| f["events_per_second"].as_f64();
    let best = NOSTR.iter().filter_map(|store| {
        let rate = find("load", store, "load, groups of 1,000").and_then(rate)?;
        Some((rate, *store))
    });
    if let Some((best, store)) = best.max_by(|a, b| a.0.total_cmp(&b.0)) {
        let times = load.and_then(rate).map(|ours| ours / best);
        goal("N1", format!("ingest, times {store}, the best store for Nostr"), times, 10.0, true);
    }
    let checked = find("load", "ratite", "load, ids and signatures checked on all cores");
    let share = checked.and_then(|f| f["share_of_verifier"].as_f64());
    goal("N2", "ingest with checks, of the verifier alone".into(), share, 0.95, true);
    if let Some(alone) = find("publish", "ratite", "one durable insert") {
        let way = alone["fastest_bare"].as_str().unwrap_or("a bare write");
        let times = |name: &str| alone[name].as_f64();
        goal(
            "N3",
            format!("one durable insert, times {way}, p50"),
            times("times_bare_p50"),
            1.3,
            false,
        );
        goal(
            "N3",
            format!("one durable insert, times {way}, p99"),
            times("times_bare_p99"),
            2.0,
            false,
        );
    }
    let cpu = |store| find("query", store, "get by id").and_then(|f| f["cpu_us"]["p50"].as_f64());
    let times = cpu("ratite").zip(cpu("heed")).map(|(ours, theirs)| ours / theirs);
    goal("N4", "get by id, times heed, CPU p50".into(), times, 1.0, false);
    for f in figures.iter().filter(|f| f["workload"] == "query" && f["goal_us"].is_number()) {
        let name = match f["row"].as_str().unwrap_or_default() {
            row if row.starts_with("follow feed") => "N5",
            row if row.starts_with("global kind 1, limit 500") => "N6",
            "count of kind 1" => "N7",
            _ => continue,
        };
        let (row, p50) = (f["row"].as_str().unwrap_or_default(), f["cpu_us"]["p50"].as_f64());
        goal(name, format!("{row}, CPU us p50"), p50, f["goal_us"].as_f64().unwrap_or(0.0), false);
    }
    goals
}
