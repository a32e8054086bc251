//! Figures as Markdown and as a plot of percentiles: the goals, then stores side by side, then every figure by itself.

mod goals;
mod matrix;
mod plot;

use crate::Result;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Files of figures.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only this workload: `load`, `query`, `mixed`, `cold`, `publish`, `open`, `wire`.
    #[arg(long)]
    workload: Option<String>,
    /// Only the goals and the stores side by side.
    #[arg(long)]
    short: bool,
    /// Where the plot goes; without, there is only the table, on stdout.
    #[arg(long)]
    svg: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut figures: Vec<Value> = Vec::new();
    for file in &args.files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        for line in text.lines().filter(|l| !l.is_empty()) {
            figures.push(serde_json::from_str(line)?);
        }
    }
    figures.retain(|f| args.workload.as_ref().is_none_or(|w| f["workload"] == w.as_str()));
    // Of figures with one name the last counts: a file is appended to.
    let mut last: Vec<Value> = Vec::new();
    for figure in figures {
        let same =
            |f: &&mut Value| ["workload", "store", "row"].iter().all(|k| f[*k] == figure[*k]);
        match last.iter_mut().find(same) {
            Some(old) => *old = figure,
            None => last.push(figure),
        }
    }
    if last.is_empty() {
        return Err("no such figures".into());
    }
    print!("{}{}{}", head(&last)?, goals::table(&last), matrix::tables(&last));
    println!("{}", if args.short { String::new() } else { table(&last)? });
    match &args.svg {
        Some(path) => plot::draw(&last, path),
        None => Ok(()),
    }
}

/// Where and when.
fn head(figures: &[Value]) -> Result<String> {
    let mut out = String::new();
    if let Some(f) = figures.last() {
        let host = &f["host"];
        writeln!(
            out,
            "{} cores of {}, {} MiB, Linux {}; commit {}; {}; load {}\n",
            host["cores"],
            text(&host["cpu"]),
            host["memory_mib"],
            text(&host["kernel"]),
            text(&f["commit"]),
            text(&f["date"]),
            text(&host["load"]),
        )?;
    }
    Ok(out)
}

fn table(figures: &[Value]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "\n| what | store | rows | CPU us p50 | p99 | wall us p50 | p99 | p99.9 | instructions | goal |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for f in figures.iter().filter(|f| f["wall_us"].is_object()) {
        let (cpu, wall) = (&f["cpu_us"], &f["wall_us"]);
        let cells = [
            text(&f["row"]),
            text(&f["store"]),
            number(&f["rows"]),
            number(&cpu["p50"]),
            number(&cpu["p99"]),
            number(&wall["p50"]),
            number(&wall["p99"]),
            number(&wall["p999"]),
            number(&f["instructions"]),
            number(&f["goal_us"]),
        ];
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    for f in figures.iter().filter(|f| f["events_per_second"].is_number()) {
        let cpu = if f["process_cpu_us"].is_number() {
            &f["process_cpu_us"]
        } else {
            &f["cpu_us_per_event"]
        };
        writeln!(
            out,
            "\n{}, {}: {} events/s, {} us CPU an event, {} bytes an event in segments, {} in the log, {} events a commit, peak RSS {} MiB",
            text(&f["store"]),
            text(&f["row"]),
            f["events_per_second"],
            number(cpu),
            number(&f["segment_bytes_per_record"]),
            number(&f["log_bytes_per_event"]),
            number(&f["events_per_commit"]),
            number(&f["peak_rss_mib"]),
        )?;
    }
    Ok(out)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        None => String::new(),
        Some(n) if n >= 100.0 => format!("{n:.0}"),
        Some(n) => format!("{n:.1}"),
    }
}
