//! Facts about the machine that a figure is worthless without.
//!
//! What the kernel does not tell is empty or 0: a container may hide any of it, and that is no reason not to measure.

use crate::io::threads;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The machine's facts, as they are now.
pub fn facts() -> Value {
    let memory = read("/proc/meminfo");
    let memory = memory.lines().next().and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
    json!({
        "name": name(),
        "cpu": cpu(),
        "cores": threads::cores(),
        "memory_mib": memory.unwrap_or(0u64) / 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled").trim(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim(),
        "load": loadavg(),
    })
}

/// The name of the processor.
fn cpu() -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let name = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1));
    name.unwrap_or("unknown").into()
}

/// Threads that ran or wanted to, in the mean of the last minute.
pub fn load() -> f64 {
    loadavg().parse().unwrap_or(0.0)
}

/// As the kernel says it.
fn loadavg() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().into()
}

/// The host's name, for a directory of results.
pub fn name() -> String {
    let name = read("/proc/sys/kernel/hostname");
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "host".into() } else { name }
}

/// The file system that `path` is on: its type, its device, how it is mounted.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let mounts = read("/proc/mounts");
    let fields = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let holding = fields.filter(|f| f.len() > 3 && path.starts_with(f[1]));
    let nearest = holding.max_by_key(|f| f[1].len());
    nearest.map_or("unknown".into(), |f| format!("{} on {} ({})", f[2], f[0], f[3]))
}

/// Date and time of day, UTC, of these seconds since the Unix epoch; empty beyond the year 9999.
pub fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn the_facts_of_this_machine_are_known() {
        let facts = facts();
        assert!(facts["cores"].as_u64() > Some(0) && facts["memory_mib"].as_u64() > Some(0));
        assert!(facts["load"].as_str().is_some_and(|load| load.parse::<f64>().is_ok()), "{facts}");
        assert!(
            file_system(Path::new("/proc")).starts_with("proc on "),
            "{}",
            file_system(Path::new("/proc"))
        );
    }
}
