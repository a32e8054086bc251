//! Figures as a Markdown table and as a plot of percentiles.

use crate::Result;
use plotters::prelude::*;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

/// Pixels of a row, and of the margins together.
const ROW_PIXELS: u32 = 26;
const MARGIN_PIXELS: u32 = 90;
const WIDTH_PIXELS: u32 = 1_000;
const NAME_PIXELS: u32 = 330;

#[derive(clap::Args)]
pub struct Args {
    /// Files of figures.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only this workload: `load`, `query`, `mixed`, `cold`, `publish`, `open`, `wire`.
    #[arg(long)]
    workload: Option<String>,
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
    print!("{}", table(&last)?);
    match &args.svg {
        Some(path) => plot(&last, path),
        None => Ok(()),
    }
}

fn table(figures: &[Value]) -> Result<String> {
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
    writeln!(
        out,
        "| what | store | rows | CPU us p50 | p99 | wall us p50 | p99 | p99.9 | instructions | goal |"
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

/// A line a figure: from p50 to p99.9 of CPU time (of wall time where there is no CPU time), p99 marked.
fn plot(figures: &[Value], path: &std::path::Path) -> Result<()> {
    let rows: Vec<(String, [f64; 3])> = figures
        .iter()
        .filter_map(|f| {
            let times = if f["cpu_us"].is_object() { &f["cpu_us"] } else { &f["wall_us"] };
            let at = |q: &str| times[q].as_f64().map(|us| us.max(0.1));
            let name = match f["store"].as_str() {
                Some("ratite") | None => text(&f["row"]),
                Some(store) => format!("{store}: {}", text(&f["row"])),
            };
            Some((name, [at("p50")?, at("p99")?, at("p999")?]))
        })
        .collect();
    let most = rows.iter().map(|(_, t)| t[2]).fold(1.0, f64::max) * 1.5;
    let height = MARGIN_PIXELS + ROW_PIXELS * rows.len() as u32;
    let root = SVGBackend::new(path, (WIDTH_PIXELS, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let count = rows.len() as i32;
    let mut chart = ChartBuilder::on(&root)
        .caption("microseconds: p50 to p99.9, p99 marked", ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(NAME_PIXELS)
        .build_cartesian_2d((0.5f64..most).log_scale(), (0..count).into_segmented())?;
    let name = |at: &SegmentValue<i32>| match at {
        // From the top down, as in the table.
        SegmentValue::CenterOf(i) if (0..count).contains(i) => {
            rows[(count - 1 - i) as usize].0.clone()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(rows.len())
        .y_label_formatter(&name)
        .label_style(("sans-serif", 13))
        .draw()?;
    for (i, (_, [p50, p99, p999])) in rows.iter().enumerate() {
        let y = SegmentValue::CenterOf(count - 1 - i as i32);
        let line = vec![(*p50, y.clone()), (*p999, y.clone())];
        chart.draw_series(std::iter::once(PathElement::new(line, BLUE.stroke_width(3))))?;
        chart.draw_series([Circle::new((*p50, y.clone()), 4, BLUE.filled())])?;
        chart.draw_series([TriangleMarker::new((*p99, y), 5, RED.filled())])?;
    }
    root.present()?;
    eprintln!("{}", path.display());
    Ok(())
}
