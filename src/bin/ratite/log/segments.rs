//! `ratite log segments`: what the store consists of.

use super::show::ShowArgs;
use crate::failure::Outcome;
use crate::stats::mib;
use ratite::logs::SegmentMeta;
use ratite::logs::time::Zone;
use serde_json::{Value, json};
use std::fmt::Write;

pub fn run(args: &ShowArgs) -> Outcome<()> {
    args.show(|log| Ok(log.segments()?), |found, zone| table(found, zone), |found| lines(found))
}

/// An object a line.
pub fn lines(segments: &[SegmentMeta]) -> String {
    segments.iter().map(|segment| format!("{}\n", object(segment))).collect()
}

fn object(segment: &SegmentMeta) -> Value {
    let utc = Zone::utc();
    json!({
        "id": segment.id.to_string(),
        "shard": segment.shard,
        "sealed": segment.sealed,
        "records": segment.records,
        "start": utc.text(segment.start),
        "end": utc.text(segment.end),
        "bytes": segment.bytes,
        "raw_bytes": segment.raw_bytes,
    })
}

/// A line each under a heading, and the sums.
pub fn table(segments: &[SegmentMeta], zone: &Zone) -> String {
    let mut out = format!(
        "{:<36} {:>5} {:<6} {:>12} {:>12} {:>12}  {:<32}  {}\n",
        "segment", "shard", "", "records", "on disk", "raw", "first", "last"
    );
    for segment in segments {
        let sealed = if segment.sealed { "sealed" } else { "active" };
        // Writing to a String cannot fail.
        let _written = writeln!(
            out,
            "{:<36} {:>5} {:<6} {:>12} {:>12} {:>12}  {:<32}  {}",
            segment.id.to_string(),
            segment.shard,
            sealed,
            segment.records,
            mib(segment.bytes),
            mib(segment.raw_bytes),
            zone.text(segment.start),
            zone.text(segment.end),
        );
    }
    let sum = |of: fn(&SegmentMeta) -> u64| segments.iter().map(of).sum::<u64>();
    let _written = writeln!(
        out,
        "{:<36} {:>5} {:<6} {:>12} {:>12} {:>12}",
        format!("{} segments", segments.len()),
        "",
        "",
        sum(|s| s.records),
        mib(sum(|s| s.bytes)),
        mib(sum(|s| s.raw_bytes)),
    );
    out
}
