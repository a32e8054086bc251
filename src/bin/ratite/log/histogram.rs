//! `ratite log search --histogram`: how many records match in each length of time.
//!
//! ```text
//!   2026-11-22T14:00:00Z   1204 ########################
//!   2026-11-22T15:00:00Z    602 ############
//! ```

use super::look::Look;
use crate::failure::Outcome;
use crate::output::print;
use ratite::logs::time::{DAY_US, SECOND_US, Zone, when};
use ratite::logs::{LogStore, Query};
use serde_json::json;
use std::fmt::Write;
use std::str::FromStr;

/// The word for a length that fits the times of what matches.
pub const AUTO: &str = "auto";

/// Lengths of time that people think in.
const LENGTHS: [u64; 17] = [
    SECOND_US / 10,
    SECOND_US,
    5 * SECOND_US,
    10 * SECOND_US,
    30 * SECOND_US,
    60 * SECOND_US,
    5 * 60 * SECOND_US,
    15 * 60 * SECOND_US,
    30 * 60 * SECOND_US,
    3_600 * SECOND_US,
    3 * 3_600 * SECOND_US,
    6 * 3_600 * SECOND_US,
    12 * 3_600 * SECOND_US,
    DAY_US,
    7 * DAY_US,
    30 * DAY_US,
    365 * DAY_US,
];

/// Rows that `auto` leads to at most: they fit most terminals.
const ROWS_AUTO: u64 = 40;

/// Lengths of time without a record that are shown as such, at most; of more there is one row that says so.
const EMPTY_MAX: u64 = 10;

/// Characters of the longest bar.
const BAR: u64 = 50;

/// A length of time, in microseconds; `None` for one that fits.
#[derive(Clone, Copy, Debug)]
pub struct Bucket(Option<u64>);

impl FromStr for Bucket {
    type Err = ratite::base::Error;

    fn from_str(text: &str) -> Result<Bucket, Self::Err> {
        if text == AUTO { Ok(Bucket(None)) } else { Ok(Bucket(Some(when::length(text)?))) }
    }
}

/// Prints the counts of what `query` asks for.
pub fn show(
    log: &LogStore,
    query: &Query,
    bucket: Bucket,
    look: &Look,
    zone: &Zone,
) -> Outcome<()> {
    let Some(bucket_us) = bucket.0.map_or_else(|| fitting(log, query), |us| Ok(Some(us)))? else {
        return Ok(()); // nothing matches
    };
    let counts = log.histogram(query, bucket_us)?;
    print(&if look.json { lines(&counts) } else { bars(&counts, bucket_us, zone) })
}

/// The shortest length that leads to few rows; `None` if nothing matches.
fn fitting(log: &LogStore, query: &Query) -> Outcome<Option<u64>> {
    let end = |reverse| -> Outcome<Option<u64>> {
        let query = Query { reverse, limit: 1, ..query.clone() };
        Ok(log.search(&query)?.next()?.map(|record| record.ts()))
    };
    let Some((first, last)) = end(false)?.zip(end(true)?) else { return Ok(None) };
    let rows = |length: u64| last / length - first / length + 1;
    let longest = LENGTHS[LENGTHS.len() - 1];
    Ok(Some(LENGTHS.into_iter().find(|length| rows(*length) <= ROWS_AUTO).unwrap_or(longest)))
}

fn lines(counts: &[(u64, u64)]) -> String {
    let utc = Zone::utc();
    let line =
        |(ts, count): &(u64, u64)| format!("{}\n", json!({ "ts": utc.text(*ts), "count": count }));
    counts.iter().map(line).collect()
}

fn bars(counts: &[(u64, u64)], bucket_us: u64, zone: &Zone) -> String {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let width = most.to_string().len();
    let mut out = String::new();
    let mut row = |ts: u64, count: u64| {
        // At least one character, as soon as there is anything.
        let bar = (count * BAR).div_ceil(most) as usize;
        // Writing to a String cannot fail.
        let _written = writeln!(out, "{}  {count:>width$} {}", moment(ts, zone), "█".repeat(bar));
    };
    let mut next = None;
    for (ts, count) in counts {
        let empty = next.map_or(0, |next: u64| ts.saturating_sub(next) / bucket_us);
        let shown = if empty > EMPTY_MAX { 1 } else { empty };
        let first = next.unwrap_or(*ts);
        (0..shown).for_each(|i| row(first + i * bucket_us, 0));
        row(*ts, *count);
        next = Some(ts.saturating_add(bucket_us));
    }
    out
}

/// A time without the fraction that it does not have.
fn moment(ts: u64, zone: &Zone) -> String {
    zone.text(ts).replace(".000000", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_gaps_are_seen() {
        let counts = [(0, 100), (3_000_000, 1), (4_000_000, 50), (100_000_000, 0)];
        let text = bars(&counts, 1_000_000, &Zone::utc());
        let rows: Vec<(&str, usize)> = text
            .lines()
            .map(|line| (line.split('█').next().unwrap().trim(), line.matches('█').count()))
            .collect();
        let wanted = [
            ("1970-01-01T00:00:00Z  100", 50),
            ("1970-01-01T00:00:01Z    0", 0),
            ("1970-01-01T00:00:02Z    0", 0),
            ("1970-01-01T00:00:03Z    1", 1),
            ("1970-01-01T00:00:04Z   50", 25),
            ("1970-01-01T00:00:05Z    0", 0),
            ("1970-01-01T00:01:40Z    0", 0),
        ];
        assert_eq!(rows, wanted);
    }
}
