//! Retention of logs: whole segments go, oldest first, by age, bytes and records.
//!
//! ```text
//!   by their newest record:   [seg][seg][seg] | [seg][seg] [not sealed]
//!                              go: a prefix   | cut: the first moment at which every rule holds
//! ```
//!
//! R1. A segment goes by age when its newest record is over it. So a record goes at most as long after its own age as its
//!     segment spans: `LogOptions::segment_span` keeps merges, and `seal_age` a slow source, from making that long. What
//!     came late, with a time long past, stays as long as what it came with.
//! R2. Never more than needed: bytes and records are limits, and the last segment that goes is the one that brings the
//!     sum to the limit or below. What is not sealed never goes; its records count.
//! R3. The order is that of the newest record, the oldest record, the id: a dry run and a run of the same store at the
//!     same moment name the same segments.
//! R4. Segments go in that order, and those of one shard in a row at one moment: what a crash leaves is what a shorter
//!     run would have left. A segment that was merged meanwhile is looked for again, in what took its place.
//!
//! Costs two manifests for each row, whatever the segments hold.

mod service;

pub use service::LogRetainer;

use super::segments::list;
use super::{LogStore, SegmentMeta};
use crate::base::limits::DROPS_MAX;
use crate::base::{Result, SegmentId};
use std::time::Duration;

/// What is kept. Nothing goes by a rule that is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRetention {
    /// How old the newest record of a segment may be, by the records' own times.
    pub age: Option<Duration>,
    /// Bytes of all segment files together.
    pub bytes: Option<u64>,
    /// Records of the store, those that are not sealed among them.
    pub records: Option<u64>,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// The segments, in the order in which they go.
    pub segments: Vec<SegmentMeta>,
}

impl Retained {
    /// Their records.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|meta| meta.records).sum()
    }

    /// Bytes of their files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|meta| meta.bytes).sum()
    }
}

impl LogRetention {
    /// What goes at `now`, in microseconds, of `segments`, in its order (R1 to R3).
    pub fn choose(&self, segments: &[SegmentMeta], now: u64) -> Vec<SegmentMeta> {
        let age = self.age.map(|age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        // A clock that is before all times makes nothing old.
        let too_old = age.and_then(|age| now.checked_sub(age));
        let mut records: u64 = segments.iter().map(|meta| meta.records).sum();
        let mut sealed: Vec<SegmentMeta> =
            segments.iter().filter(|meta| meta.sealed).copied().collect();
        sealed.sort_unstable_by_key(|meta| (meta.end, meta.start, meta.id));
        let mut bytes: u64 = sealed.iter().map(|meta| meta.bytes).sum();
        let kept = sealed.iter().position(|meta| {
            let goes = too_old.is_some_and(|oldest| meta.end < oldest)
                || self.bytes.is_some_and(|most| bytes > most)
                || self.records.is_some_and(|most| records > most);
            bytes -= meta.bytes;
            records -= meta.records;
            !goes
        });
        // Each rule says yes up to some segment and no from there on, so that what goes is a prefix.
        sealed.truncate(kept.unwrap_or(sealed.len()));
        sealed
    }
}

impl LogStore {
    /// What [`LogStore::retain`] would drop at `now`, in microseconds since the Unix epoch. Nothing is changed.
    ///
    /// # Errors
    /// None so far.
    pub fn retain_dry_run(&self, rules: &LogRetention, now: u64) -> Result<Retained> {
        Ok(Retained { segments: rules.choose(&list(&self.store.snapshot(), true), now) })
    }

    /// Drops the segments that `rules` do not keep at `now`, in microseconds since the Unix epoch: durably, each with all
    /// its records. Returns what went. Searches that are under way go on over what they began with.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`. What went until then is gone.
    pub fn retain(&self, rules: &LogRetention, now: u64) -> Result<Retained> {
        let mut gone = Retained::default();
        loop {
            let chosen = self.retain_dry_run(rules, now)?.segments;
            if chosen.is_empty() {
                return Ok(gone);
            }
            for row in chosen.chunk_by(|a, b| a.shard == b.shard).flat_map(|r| r.chunks(DROPS_MAX))
            {
                let ids: Vec<SegmentId> = row.iter().map(|meta| meta.id).collect();
                if !self.store.drop_segments(row[0].shard, &ids, self.newest_arrival())? {
                    break; // R4: a merge came before, and all is chosen anew
                }
                gone.segments.extend(row);
            }
        }
    }
}

#[cfg(test)]
mod tests;
