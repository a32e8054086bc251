//! The device, before anything of ours: what no store on it can be faster than.

use super::table::Figure;
use super::{Bench, scratch, us};
use crate::failure::Outcome;
use ratite::bench::clock::{Meter, quantiles, round};
use ratite::bench::device::{BLOCK_BYTES, Device};
use serde_json::json;

/// Seconds of each row of a usual run.
const SECONDS: f64 = 2.0;

/// Reads under way in the last row: what a query of many records asks for.
const DEPTH: usize = 32;

/// Measures writes and reads; gives the file, for what is measured beside it.
pub fn run(bench: &mut Bench<'_>) -> Outcome<Device> {
    bench.doing("writing a file to measure the device by");
    let bytes = scratch::device_bytes(bench.args.events);
    let mut device = Device::create(&bench.env.disk, &bench.scratch.device(), bytes)?;
    bench.check()?;
    bench.doing("device: synced writes");
    let going = bench.for_seconds(SECONDS);
    alone(bench, "synced write, 4 KiB", &going, || device.write(BLOCK_BYTES))?;
    bench.doing("device: random reads");
    let going = bench.for_seconds(SECONDS);
    alone(bench, "random read, 4 KiB", &going, || device.read())?;
    let reads = device.read_for(bench.nanos(SECONDS), DEPTH, &bench.going)?;
    bench.check()?;
    bench.table.add(Figure {
        section: "device",
        row: &format!("random reads, 4 KiB, {DEPTH} under way"),
        cells: cells(reads.per_second(), None),
        note: String::new(),
        values: json!({ "per_second": round(reads.per_second()), "depth": DEPTH }),
    })?;
    Ok(device)
}

/// One after the other, each timed.
fn alone(
    bench: &mut Bench<'_>,
    row: &str,
    going: &ratite::bench::Going,
    mut call: impl FnMut() -> ratite::base::Result<u64>,
) -> Outcome<()> {
    let mut meter = Meter::new();
    // The first warms up.
    call()?;
    while meter.calls() == 0 || going() {
        meter.time(&mut call)?;
    }
    bench.check()?;
    let rate = 1e9 / meter.wall.mean().max(1.0);
    bench.table.add(Figure {
        section: "device",
        row,
        cells: cells(rate, Some(&meter)),
        note: String::new(),
        values: json!({
            "calls": meter.calls(), "per_second": round(rate), "depth": 1,
            "wall_us": quantiles(&meter.wall), "cpu_us": quantiles(&meter.cpu),
        }),
    })
}

fn cells(rate: f64, meter: Option<&Meter>) -> Vec<(&'static str, Option<f64>)> {
    let at = |quantile| meter.map(|meter| us(&meter.wall, quantile));
    vec![("us p50", at(0.5)), ("us p99", at(0.99)), ("a second", Some(rate))]
}
