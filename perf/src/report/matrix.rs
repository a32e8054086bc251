//! Figures of several stores as tables to be read at a glance: a line for each question, a column for each store.
//!
//! ```text
//!   query, CPU us p50        | ratite | heed | nostr-lmdb |
//!   get by id                |  *1.6* |  1.1 |       13   |      the least is bold
//!   author feed, limit 50    | **16** |      |       12 ! |      ! other events than the first store's: does not compete
//!   hashtag, limit 50        |     22 |      |   **9** ~  |      ~ the same events in another order
//! ```

use serde_json::Value;
use std::fmt::Write;

/// What a cell of a workload's tables shows: a heading and where in the figure it stands.
type Shown = (&'static str, &'static [&'static str]);

const QUERY: &[Shown] = &[
    ("CPU us, p50", &["cpu_us", "p50"]),
    ("CPU us, p99", &["cpu_us", "p99"]),
    ("wall us, p50", &["wall_us", "p50"]),
    ("wall us, p99", &["wall_us", "p99"]),
];
const WIRE: &[Shown] = &[
    ("wall us, p50", &["wall_us", "p50"]),
    ("wall us, p99", &["wall_us", "p99"]),
    ("server CPU us, mean", &["server_cpu_us"]),
];

/// Stores that no store competes with.
const LIMITS: [&str; 5] = ["memory", "append", "verifier", "bare", "bare write"];

/// The tables of those workloads that several stores took part in.
pub fn tables(figures: &[Value]) -> String {
    let mut out = String::new();
    loads(figures, &mut out);
    for (workload, shown) in [("query", QUERY), ("wire", WIRE)] {
        let of: Vec<&Value> = figures.iter().filter(|f| f["workload"] == workload).collect();
        let stores = names(&of, "store");
        if stores.len() < 2 {
            continue;
        }
        for (what, path) in shown {
            matrix(&of, &stores, (workload, what), path, &mut out);
        }
        differing(&of, &mut out);
    }
    out
}

/// The values of a field, in the order in which they come; `ratite` first among stores.
fn names<'a>(figures: &[&'a Value], field: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in figures.iter().filter_map(|f| f[field].as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| *name != "ratite");
    names
}

fn at(figure: &Value, path: &[&str]) -> Option<f64> {
    path.iter().fold(figure, |value, name| &value[*name]).as_f64()
}

fn matrix(
    figures: &[&Value],
    stores: &[&str],
    (workload, what): (&str, &str),
    path: &[&str],
    out: &mut String,
) {
    let find = |row, store| {
        let is = |f: &&&Value| f["row"] == row && f["store"] == store;
        figures.iter().rev().find(is).copied()
    };
    let has = |f: &Value| at(f, path).is_some() || gave_up(f);
    let asked = |store: &&str| figures.iter().any(|f| f["store"] == *store && has(f));
    let stores: Vec<&str> = stores.iter().copied().filter(asked).collect();
    let mut lines = String::new();
    for row in names(figures, "row") {
        let cells: Vec<_> =
            stores.iter().map(|store| find(row, *store).filter(|f| has(f))).collect();
        if cells.iter().flatten().count() < 2 {
            continue;
        }
        let value = |cell: &Value| at(cell, path).filter(|_| !gave_up(cell));
        let competing = stores.iter().zip(&cells).filter_map(|(store, cell)| {
            let cell = (*cell).filter(|cell| !LIMITS.contains(store) && !has_others(cell))?;
            value(cell)
        });
        let least = competing.fold(f64::MAX, f64::min);
        let rows = cells.first().copied().flatten().and_then(|cell| cell["rows"].as_f64());
        let _ = write!(lines, "| {row} | {} |", rows.map_or(String::new(), number));
        for (store, cell) in stores.iter().zip(&cells) {
            let Some(cell) = cell else {
                lines.push_str(" |");
                continue;
            };
            let mark = match cell["answers_that_differ"].as_u64() > Some(0) {
                true if has_others(cell) => " !",
                true => " ~",
                false => "",
            };
            let _ = match value(cell) {
                None => write!(lines, " no answer |"),
                Some(us) if us <= least && !LIMITS.contains(store) && !has_others(cell) => {
                    write!(lines, " **{}**{mark} |", number(us))
                }
                Some(us) => write!(lines, " {}{mark} |", number(us)),
            };
        }
        lines.push('\n');
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "\n| {workload}, {what} | rows | {} |", stores.join(" | "));
        let _ = write!(out, "|---|---:|{}\n{lines}", "---:|".repeat(stores.len()));
    }
}

/// Whether some answers had other events than the first store's, rather than another order.
fn has_others(figure: &Value) -> bool {
    let ways = ["more", "fewer_or_others", "events"];
    ways.iter().any(|way| figure["differ_in"][*way].as_u64() > Some(0))
}

/// Whether a relay left requests without an answer.
fn gave_up(figure: &Value) -> bool {
    figure["unanswered"].as_u64() > Some(0)
}

/// Loading: a line for each store and way.
fn loads(figures: &[Value], out: &mut String) {
    let loads: Vec<&Value> = figures.iter().filter(|f| f["workload"] == "load").collect();
    if names(&loads, "store").len() < 2 {
        return;
    }
    let _ = writeln!(
        out,
        "\n| loading | store | events/s | CPU us an event | bytes an event on disk | an answer means |\n|---|---|---:|---:|---:|---|"
    );
    for f in loads.iter().filter(|f| f["durability"].is_string()) {
        let text = |name: &str| f[name].as_str().unwrap_or_default();
        let cell = |name: &str| f[name].as_f64().map_or(String::new(), number);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            text("row"),
            text("store"),
            cell("events_per_second"),
            cell("cpu_us_per_event"),
            cell("disk_bytes_per_event"),
            text("durability"),
        );
    }
    let stores = names(&loads, "store");
    for (what, path) in QUERY {
        matrix(&loads, &stores, ("durable", what), path, out);
    }
}

/// Which answers differ, and how.
fn differing(figures: &[&Value], out: &mut String) {
    for f in figures.iter().filter(|f| f["answers_that_differ"].as_u64() > Some(0)) {
        let text = |name: &str| f[name].as_str().unwrap_or_default();
        let _ = write!(
            out,
            "\n! {}, {}: {} of {} answers differ",
            text("store"),
            text("row"),
            f["answers_that_differ"],
            f.get("answers_compared").unwrap_or(&f["calls"]),
        );
        if let Some(how) = f["differ_in"].as_object() {
            let how: Vec<String> = how.iter().map(|(name, n)| format!("{name} {n}")).collect();
            let _ = write!(out, " ({})", how.join(", "));
        }
        out.push('\n');
    }
    for f in figures.iter().filter(|f| f["refused"].as_u64() > Some(0)) {
        let text = |name: &str| f[name].as_str().unwrap_or_default();
        let _ = writeln!(out, "\n! {}, {}: {} refused", text("store"), text("row"), f["refused"]);
    }
}

/// As many digits as say something.
pub fn number(n: f64) -> String {
    if n >= 100.0 || n == n.trunc() { format!("{n:.0}") } else { format!("{n:.1}") }
}
