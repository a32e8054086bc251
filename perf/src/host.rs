//! What a figure is worthless without: the facts of the machine, as the library knows them, and the commit.

pub use ratite::bench::host::{facts, file_system, name};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

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
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    ratite::bench::host::date(now.map_or(0, |since| since.as_secs()))
}
