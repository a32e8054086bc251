//! Clocks and counters of the process: wall, CPU of a thread, CPU of all, memory.

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

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

/// CPU seconds of the threads that live, by name, numbers at the end of names left out.
pub fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos: u64 = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        *sums.entry(name.to_string()).or_default() += nanos as f64 / 1e9;
    }
    sums
}

/// A field of `/proc/self/status` that is in kB, in bytes: `VmHWM`, `VmRSS`, `RssAnon`.
pub fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Latencies in nanoseconds, three digits, up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds and digits that are allowed")
}

/// Wall and thread-CPU time of calls of one kind, and the rows that they gave.
pub struct Meter {
    pub wall: Histogram<u64>,
    pub cpu: Histogram<u64>,
    pub rows: u64,
}

impl Meter {
    pub fn new() -> Meter {
        Meter { wall: histogram(), cpu: histogram(), rows: 0 }
    }

    /// Times one call, which says how many rows it gave.
    pub fn time<E>(&mut self, call: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        let wall = Instant::now();
        let cpu = thread_cpu();
        let rows = call()?;
        let cpu = thread_cpu() - cpu;
        self.wall.saturating_record(wall.elapsed().as_nanos() as u64);
        self.cpu.saturating_record(cpu);
        self.rows += rows;
        Ok(rows)
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
