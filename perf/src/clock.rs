//! Clocks and counters of the process: wall, CPU of a thread, CPU of all, memory.

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Instant;

/// CPU nanoseconds of the calling thread.
pub fn thread_cpu() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// CPU nanoseconds of the whole process.
pub fn process_cpu() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

/// CPU nanoseconds of all processes that this one started and waited for.
pub fn children_cpu() -> u64 {
    // SAFETY: all zeros are a value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the struct lives across the call, which writes to nothing else.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
    assert_eq!(failed, 0, "getrusage knows its own children");
    let nanos =
        |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
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

/// CPU nanoseconds of the threads of a process that live now; 0 if there is none.
pub fn cpu_of(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let schedstat = tasks.map(|task| fs::read_to_string(task.path().join("schedstat")));
    let first = |stat: String| stat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
    schedstat.filter_map(|stat| first(stat.ok()?)).sum()
}

/// CPU seconds of all processes, and those that the host took away, since the machine started.
pub fn machine_cpu() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal, in hundredths
    let of = |i: usize| ticks.get(i).copied().unwrap_or(0.0) / 100.0;
    (of(0) + of(1) + of(2) + of(5) + of(6), of(7))
}

/// How long the calling thread has waited for a core.
pub struct RunDelay(Option<fs::File>);

impl RunDelay {
    /// Of the thread that calls this.
    pub fn start() -> RunDelay {
        RunDelay(fs::File::open("/proc/thread-self/schedstat").ok())
    }

    /// Nanoseconds since the thread began; 0 where the kernel does not tell.
    pub fn nanos(&self) -> u64 {
        let mut text = [0; 64];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        let text = std::str::from_utf8(&text[..read]).unwrap_or_default();
        text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// A field of `/proc/self/status` that is in kB, in bytes: `VmHWM`, `VmRSS`, `RssAnon`.
pub fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// User-mode instructions of the calling thread: a cost that other work on the machine hardly changes.
pub struct Instructions(Option<perf_event::Counter>);

impl Instructions {
    /// Begins to count; a kernel that forbids it gives none.
    pub fn start() -> Instructions {
        let counter = perf_event::Builder::new(perf_event::events::Hardware::INSTRUCTIONS).build();
        let enabled = counter.and_then(|mut counter| counter.enable().map(|()| counter));
        Instructions(enabled.ok())
    }

    /// How many there were, if they could be counted.
    pub fn count(&mut self) -> Option<u64> {
        self.0.as_mut()?.read().ok()
    }
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
    /// What counts as CPU time.
    clock: fn() -> u64,
}

impl Meter {
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
    pub fn time<E>(&mut self, call: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        let wall = Instant::now();
        let cpu = (self.clock)();
        let rows = call()?;
        let cpu = (self.clock)() - cpu;
        self.record(wall.elapsed().as_nanos() as u64, cpu, rows);
        Ok(rows)
    }

    /// Adds a call that was timed otherwise.
    pub fn record(&mut self, wall: u64, cpu: u64, rows: u64) {
        self.wall.saturating_record(wall);
        self.cpu.saturating_record(cpu);
        self.rows += rows;
    }

    /// Adds the calls of another meter.
    pub fn join(&mut self, other: &Meter) -> Result<(), hdrhistogram::AdditionError> {
        self.wall.add(&other.wall)?;
        self.cpu.add(&other.cpu)?;
        self.rows += other.rows;
        Ok(())
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
