//! Clocks and counters that only this tool wants: CPU by thread, of children, of the machine; waiting for a core;
//! instructions. What `ratite bench` wants too is the library's.

pub use ratite::bench::clock::{
    Meter, histogram, memory, process_cpu, quantiles, round, thread_cpu, wall,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

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

/// CPU seconds of the threads that live, by name, numbers at the end of names left out.
pub fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        *sums.entry(name.to_string()).or_default() += cpu_of_thread(&task) as f64 / 1e9;
    }
    sums
}

/// CPU nanoseconds of a process, threads that have ended included; 0 if there is none.
pub fn cpu_of(pid: u32) -> u64 {
    let mut clock = 0;
    // SAFETY: the number lives across the call, which writes to nothing else.
    if unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) } != 0 {
        return 0;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct lives across the call, which writes to nothing else.
    let failed = unsafe { libc::clock_gettime(clock, &mut time) };
    if failed == 0 { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 } else { 0 }
}

/// CPU nanoseconds of a thread, by its directory; 0 if it has gone.
fn cpu_of_thread(task: &fs::DirEntry) -> u64 {
    let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
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
