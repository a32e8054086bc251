//! What became of the lines, counted and told.

use crate::log::export::records_of;
use crate::output::say;
use crate::progress::Progress;
use ratite::logs::LogRecord;
use ratite::logs::time::Zone;
use serde_json::{Value, json};
use std::path::Path;

/// Refused lines that are named.
const SHOWN: u64 = 100;

/// What was appended and what was refused.
#[derive(Default)]
pub struct Tally {
    records: u64,
    bytes: u64,
    /// The least and the greatest time.
    times: Option<(u64, u64)>,
    refused: u64,
}

impl Tally {
    /// Counts what the store has answered.
    pub fn add(&mut self, records: &[LogRecord<'_>]) {
        self.records += records.len() as u64;
        for record in records {
            self.bytes += record.raw.len() as u64;
            let (least, most) = self.times.unwrap_or((record.ts, record.ts));
            self.times = Some((least.min(record.ts), most.max(record.ts)));
        }
    }

    /// Counts a line that is not stored, and names it if it is among the first.
    pub fn refuse(&mut self, file: Option<&Path>, line: u64, why: &str, progress: &Progress) {
        self.refused += 1;
        if self.refused <= SHOWN {
            let file = file.map_or(String::new(), |file| format!("{}: ", file.display()));
            progress.aside(|| say(format_args!("{file}line {line} is refused: {why}")));
        }
    }

    pub fn appended(&self) -> u64 {
        self.records
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The last line.
    pub fn say(&self, seconds: f64) {
        if self.refused > SHOWN {
            say(format_args!("... and {} more are refused", self.refused - SHOWN));
        }
        let rate = self.records as f64 / seconds.max(0.001);
        let (records, refused) = (records_of(self.records), self.refused);
        say(format_args!(
            "appended {records}, refused {refused}, in {seconds:.2} s, {rate:.0} a second"
        ));
    }

    /// The same for programs.
    pub fn json(&self, seconds: f64, stopped: Option<&str>) -> Value {
        let utc = Zone::utc();
        json!({
            "appended": self.records,
            "refused": self.refused,
            "raw_bytes": self.bytes,
            "first": self.times.map(|(first, _)| utc.text(first)),
            "last": self.times.map(|(_, last)| utc.text(last)),
            "seconds": seconds,
            "stopped": stopped,
        })
    }
}
