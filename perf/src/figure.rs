//! Figures: one JSON object a line to a file, one row of a table to stderr.

use crate::clock::Meter;
pub use crate::clock::{quantiles, round};
use crate::{Result, host};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::Write;
use std::path::PathBuf;

/// Where figures go.
pub struct Figures {
    path: PathBuf,
    file: Option<File>,
    /// What every figure of this run shares.
    common: Map<String, Value>,
}

impl Figures {
    /// Figures for `out`, or for the default file of this host and day. The file is made with the first.
    pub fn new(out: Option<PathBuf>) -> Figures {
        let date = host::date();
        let path = out.unwrap_or_else(|| {
            let results = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
            results.join(host::name()).join(format!("{}.jsonl", &date[..10]))
        });
        let command: Vec<String> = std::env::args().skip(1).collect();
        let common = json!({
            "host": host::facts(),
            "commit": host::commit(),
            "date": date,
            "command": format!("perf {}", command.join(" ")),
        });
        let Value::Object(common) = common else { unreachable!("an object was written") };
        Figures { path, file: None, common }
    }

    /// Adds a figure: what was done, in which store, and what came out.
    pub fn add(&mut self, workload: &str, store: &str, row: &str, values: Value) -> Result<()> {
        let mut figure = Map::new();
        figure.insert("workload".into(), workload.into());
        figure.insert("store".into(), store.into());
        figure.insert("row".into(), row.into());
        if let Value::Object(values) = values {
            figure.extend(values);
        }
        figure.extend(self.common.clone());
        if self.file.is_none() {
            if let Some(dir) = self.path.parent() {
                create_dir_all(dir)?;
            }
            self.file = Some(OpenOptions::new().create(true).append(true).open(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", Value::Object(figure))?;
        }
        Ok(())
    }

    /// Adds the figure of a meter, with what else is to be known, and prints its row.
    pub fn add_meter(
        &mut self,
        workload: &str,
        store: &str,
        row: &str,
        meter: &Meter,
        more: Value,
    ) -> Result<()> {
        let calls = meter.calls().max(1);
        let rows = meter.rows_each();
        let mut values = Map::new();
        values.insert("calls".into(), calls.into());
        values.insert("rows".into(), round(rows).into());
        values.insert("wall_us".into(), quantiles(&meter.wall));
        values.insert("cpu_us".into(), quantiles(&meter.cpu));
        if let Value::Object(more) = more {
            values.extend(more);
        }
        let instructions = values.get("instructions").and_then(Value::as_u64);
        print_row(store, row, &[&meter.cpu, &meter.wall], rows, instructions);
        self.add(workload, store, row, Value::Object(values))
    }
}

/// The head of the table that `add_meter` fills.
pub fn print_head(what: &str) {
    eprintln!(
        "\n{what:<38} {:>8} | {:^29} | {:^29} | instructions",
        "rows", "CPU us: p50 p99 p99.9", "wall us: p50 p99 p99.9"
    );
}

fn print_row(
    store: &str,
    row: &str,
    histograms: &[&Histogram<u64>],
    rows: f64,
    instructions: Option<u64>,
) {
    let name = if store == "ratite" { row.to_string() } else { format!("  {store}: {row}") };
    eprint!("{name:<38} {rows:>8.1}");
    for histogram in histograms {
        let us = |q| histogram.value_at_quantile(q) as f64 / 1000.0;
        eprint!(" | {:>9.1} {:>9.1} {:>9.1}", us(0.5), us(0.99), us(0.999));
    }
    eprintln!(" | {}", instructions.map_or(String::new(), |n| n.to_string()));
}
