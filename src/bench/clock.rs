//! Clocks of the process: wall time, CPU time of a thread, CPU time of all; memory; latencies.
//!
//! The clocks add something to what they measure: [`Meter::overhead`] says how much.

use crate::io::{Clock, SystemClock};
use hdrhistogram::{AdditionError, Histogram};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs;
use std::sync::LazyLock;

/// The longest latency that is told from longer ones: a minute.
const LATENCY_NANOS_MAX: u64 = 60_000_000_000;

/// Nanoseconds from some start; the first call of a process may take 100 ms.
pub fn wall() -> u64 {
    static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);
    CLOCK.monotonic_nanos()
}

/// CPU nanoseconds of the calling thread.
pub fn thread_cpu() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// CPU nanoseconds of the whole process.
pub fn process_cpu() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A field of `/proc/self/status` that is in kB, in bytes: `VmHWM`, `VmRSS`, `RssAnon`. 0 if it is not there.
pub fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Latencies in nanoseconds, three digits, up to a minute.
///
/// # Panics
/// Never: the bounds are constants that are allowed.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).expect("bounds and digits are allowed")
}

/// Quantiles in microseconds of a histogram in nanoseconds.
pub fn quantiles(histogram: &Histogram<u64>) -> Value {
    let us = |nanos: f64| round(nanos / 1000.0);
    let at = |q| us(histogram.value_at_quantile(q) as f64);
    json!({
        "mean": us(histogram.mean()), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99),
        "p999": at(0.999), "max": us(histogram.max() as f64),
    })
}

/// Three decimals.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Wall and CPU time of calls of one kind, and the rows that they gave.
pub struct Meter {
    /// Wall nanoseconds of each call.
    pub wall: Histogram<u64>,
    /// CPU nanoseconds of each call.
    pub cpu: Histogram<u64>,
    /// Rows of all calls.
    pub rows: u64,
    /// What counts as CPU time.
    clock: fn() -> u64,
}

impl Meter {
    /// A meter for what works on the thread that calls.
    pub fn new() -> Meter {
        Meter { wall: histogram(), cpu: histogram(), rows: 0, clock: thread_cpu }
    }

    /// A meter for what works on several threads.
    pub fn of_process() -> Meter {
        Meter::by(process_cpu)
    }

    /// A meter with another idea of CPU time.
    pub fn by(clock: fn() -> u64) -> Meter {
        Meter { clock, ..Meter::new() }
    }

    /// Times one call, which says how many rows it gave.
    ///
    /// # Errors
    /// What the call fails with; then nothing is recorded.
    pub fn time<E>(&mut self, call: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        let began = wall();
        let cpu = (self.clock)();
        let rows = call()?;
        let cpu = (self.clock)() - cpu;
        self.record(wall() - began, cpu, rows);
        Ok(rows)
    }

    /// Adds a call that was timed otherwise.
    pub fn record(&mut self, wall: u64, cpu: u64, rows: u64) {
        self.wall.saturating_record(wall);
        self.cpu.saturating_record(cpu);
        self.rows += rows;
    }

    /// Adds the calls of another meter.
    ///
    /// # Errors
    /// None: all meters have the same bounds.
    pub fn join(&mut self, other: &Meter) -> Result<(), AdditionError> {
        self.wall.add(&other.wall)?;
        self.cpu.add(&other.cpu)?;
        self.rows += other.rows;
        Ok(())
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.wall.len()
    }

    /// Rows of a call, on average.
    pub fn rows_each(&self) -> f64 {
        self.rows as f64 / self.calls().max(1) as f64
    }

    /// What the clocks themselves add to every figure: medians of nothing, wall and CPU.
    pub fn overhead() -> (u64, u64) {
        let mut meter = Meter::new();
        for _ in 0..10_000 {
            let done: Result<u64, ()> = meter.time(|| Ok(0));
            debug_assert_eq!(done, Ok(0));
        }
        (meter.wall.value_at_quantile(0.5), meter.cpu.value_at_quantile(0.5))
    }
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}
