//! The options of the relay's own log as records.

use super::kind::Kind;
use super::table::{Section, Setting};

/// `[logs]`.
pub static LOGS: &[Setting] = &[
    Setting::new(
        Section::Logs,
        "data",
        Kind::Dir { set: |b, dir| b.own_log.data = Some(dir) },
        "none",
        "Directory of a log store in which a relay keeps its own log, of the source relay, besides standard error",
    )
    .word()
    .flag("logs-data"),
];
