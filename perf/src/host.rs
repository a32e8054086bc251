//! Facts about the machine and the program that a figure is worthless without.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's facts, as they are now.
pub fn facts() -> Value {
    let cpuinfo = read("/proc/cpuinfo");
    let cpu = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1));
    let memory = read("/proc/meminfo");
    let memory = memory.lines().next().and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
    let load = read("/proc/loadavg");
    json!({
        "name": name(),
        "cpu": cpu.unwrap_or("unknown"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_mib": memory.unwrap_or(0u64) / 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled").trim(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim(),
        "load": load.split(' ').next().unwrap_or(""),
    })
}

/// The host's name, for a directory of results.
pub fn name() -> String {
    let name = read("/proc/sys/kernel/hostname");
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "host".into() } else { name }
}

/// The file system that `path` is on.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let mounts = read("/proc/mounts");
    let fields = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let holding = fields.filter(|f| f.len() > 3 && path.starts_with(f[1]));
    let nearest = holding.max_by_key(|f| f[1].len());
    nearest.map_or("unknown".into(), |f| format!("{} on {} ({})", f[2], f[0], f[3]))
}

/// The commit that this was built from, with `+` if files are changed.
pub fn commit() -> String {
    let git = |args: &[&str]| {
        let out = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(args).output();
        out.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default()
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("{}{}", git(&["rev-parse", "--short", "HEAD"]), if changed { "+" } else { "" })
}

/// Date and time of day, UTC.
pub fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Counted from 1 March of year 0, when leap days stand at the end of a year.
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
