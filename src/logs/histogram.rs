//! Figures about an answer: how many records, over time, from which sources. Exact, and mostly without reading any.
//!
//! ```text
//!   count       posting lists, where they decide       histogram   the columns of times, beside them
//!   sources     the dictionaries: a term for each source, and one record of each for its name
//! ```
//!
//! What no list decides (long tokens, and what is in memory) is checked on the records, as for a search.

use super::model::SOURCE;
use super::record::decode;
use super::{LogStore, Query, Source};
use crate::base::{Error, Result};
use crate::segment::Body;
use crate::shard::{LiveSegment, Snapshot};
use std::collections::BTreeMap;

/// Buckets of a histogram that are not empty: more is no picture, and each takes some 50 bytes while it is counted.
pub const BUCKETS_MAX: usize = 100_000;

/// Sources that are listed at most, each with a name of up to 255 bytes.
pub const SOURCES_MAX: usize = 100_000;

/// What is counted for one source: its name, once it is known, and its records.
type Sources = BTreeMap<[u8; 16], (Option<Source>, u64)>;

impl LogStore {
    /// How many records `query` asks for, limit and resuming aside. Reads bodies only where no posting list decides.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, query: &Query) -> Result<u64> {
        let snapshot = self.store.snapshot();
        self.store.count_in(&snapshot, &[query.select(&snapshot)])
    }

    /// The records that `query` asks for, limit and resuming aside, by time: of each bucket that is not empty, its
    /// beginning, a multiple of `bucket_us`, and its count. Ascending.
    ///
    /// With one token or one source, or none, a bucket of many records costs two searches in each segment, however many
    /// they are; else a look at the time of each record.
    ///
    /// # Errors
    /// `Invalid` if `bucket_us` is 0; `Full` if more than [`BUCKETS_MAX`] are not empty; `Corrupt` or `Io`.
    pub fn histogram(&self, query: &Query, bucket_us: u64) -> Result<Vec<(u64, u64)>> {
        self.histogram_with(query, bucket_us, &mut |_| true)
    }

    /// As [`LogStore::histogram`], and tells `progress` now and then how many records were counted so far. It is over
    /// as soon as that says false.
    ///
    /// # Errors
    /// As [`LogStore::histogram`], and `Cancelled`.
    pub fn histogram_with(
        &self,
        query: &Query,
        bucket_us: u64,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<(u64, u64)>> {
        if bucket_us == 0 {
            return Err(Error::invalid("bucket", "it is 0 microseconds long"));
        }
        let (mut buckets, mut counted) = (BTreeMap::<u64, u64>::new(), 0);
        let mut take = |begins, count| {
            *buckets.entry(begins).or_default() += count;
            counted += count;
            buckets.len() <= BUCKETS_MAX && progress(counted)
        };
        let snapshot = self.store.snapshot();
        let select = query.select(&snapshot);
        let ended = self.store.histogram_at(&snapshot, &select, bucket_us, &mut take)?;
        if buckets.len() > BUCKETS_MAX {
            let limit = BUCKETS_MAX as u64;
            return Err(Error::Full { what: "buckets of a histogram", limit });
        }
        if !ended {
            return Err(Error::Cancelled { what: "the histogram" });
        }
        Ok(buckets.into_iter().collect())
    }

    /// All sources with the number of their records, ascending by UUID. Reads one record of each source, and the
    /// dictionaries.
    ///
    /// # Errors
    /// `Full` if there are more than [`SOURCES_MAX`]; `Corrupt` or `Io`.
    pub fn sources(&self) -> Result<Vec<(Source, u64)>> {
        let mut found = Sources::new();
        for snapshot in self.store.snapshot().shards() {
            in_memtables(snapshot, &mut found)?;
            for live in &snapshot.view.segments {
                in_segment(live, &mut found)?;
            }
        }
        let named = |(uuid, (source, count)): ([u8; 16], (Option<Source>, u64))| {
            (source.unwrap_or_else(|| Source::of(uuid)), count)
        };
        Ok(found.into_iter().filter(|(_, (_, count))| *count > 0).map(named).collect())
    }
}

fn in_memtables(snapshot: &Snapshot, found: &mut Sources) -> Result<()> {
    for memtable in snapshot.view.memtables() {
        let visible = snapshot.visible(memtable);
        for (term, list) in memtable.terms() {
            let Some(uuid) = uuid_of(term) else { continue };
            let is_there = |&o: &u32| o < visible && memtable.is_live(o, snapshot.at);
            let mut living = list.iter_back().filter(is_there);
            let Some(newest) = living.next() else { continue };
            let entry = enter(found, uuid)?;
            entry.1 += 1 + living.count() as u64;
            name(entry, memtable.body(newest));
        }
    }
    Ok(())
}

/// No record of a log is ever removed by itself, so that lists are exact.
fn in_segment(live: &LiveSegment, found: &mut Sources) -> Result<()> {
    let segment = &live.segment;
    let mut terms = segment.terms_from(&[SOURCE])?;
    while let Some((term, list)) = terms.next()? {
        let Some(uuid) = uuid_of(term) else { break };
        let entry = enter(found, uuid)?;
        entry.1 += u64::from(list.count());
        if entry.0.is_none()
            && let Some(first) = list.cursor(segment).seek_ge(0)?
        {
            name(entry, &segment.body(first, Body::default())?);
        }
    }
    Ok(())
}

/// The source whose term this is.
fn uuid_of(term: &[u8]) -> Option<[u8; 16]> {
    let (&field, uuid) = term.split_first()?;
    uuid.try_into().ok().filter(|_| field == SOURCE)
}

fn enter(found: &mut Sources, uuid: [u8; 16]) -> Result<&mut (Option<Source>, u64)> {
    if found.len() >= SOURCES_MAX && !found.contains_key(&uuid) {
        return Err(Error::Full { what: "sources of one list", limit: SOURCES_MAX as u64 });
    }
    Ok(found.entry(uuid).or_default())
}

/// Takes the name of the source from a record of it.
fn name(entry: &mut (Option<Source>, u64), body: &[u8]) {
    if entry.0.is_none() {
        entry.0 = decode(body).map(|(source, _)| source.to_source());
    }
}

#[cfg(test)]
mod tests;
