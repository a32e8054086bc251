//! The options of the relay's own log as records.

use super::kind::Kind;
use super::table::{LONG, MIB, SECOND, Section, Setting, TIB, size, time};

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
    Setting::new(
        Section::Logs,
        "retain-age",
        time(SECOND, LONG, SECOND, |b, age| b.own_log.retain.age = Some(age)),
        "none",
        "Age from which its segments are dropped, by their newest record",
    )
    .word()
    .flag("logs-retain-age"),
    Setting::new(
        Section::Logs,
        "retain-bytes",
        size(MIB, 64 * TIB, |b, bytes| b.own_log.retain.bytes = Some(bytes as u64)),
        "none",
        "Bytes of its segments, beyond which the oldest are dropped",
    )
    .word()
    .flag("logs-retain-bytes"),
];
