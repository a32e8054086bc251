//! Counts over time: how many matches there are in each bucket, without bodies where posting lists decide.
//!
//! ```text
//!   segment, one list or none:  |....|........|..|      two searches in the column of times for each bucket,
//!                               b0   b1       b2        and the list's ranks there
//!   else:                       the times of the matches, one after the other
//! ```
//!
//! Source by source, as `keys`: the counts of a bucket come in several parts.

use super::segment::{Plan, SegmentSource, plan};
use super::{Order, Select, memtable};
use crate::base::{Ordinal, Result};
use crate::segment::{Postings, Segment};
use crate::shard::{LiveSegment, Snapshot};
use std::ops::Range;
use std::sync::Arc;

/// Records of a bucket from which on finding its end costs less than looking at each: two searches read some pages.
const RECORDS_PER_SEARCH: u64 = 64;

/// Matches after which a part is handed over, so that whoever takes them hears of a long walk.
const PART_RECORDS: u64 = 65_536;

/// Who takes the parts: the beginning of a bucket, and matches in it. It says whether it wants more.
pub type TakePart<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Hands the matches of `select`, its limit aside, to `take`, by buckets of `bucket` units of time, which begin at its
/// multiples: in no order, and those of one bucket in several parts. Until `take` says false; false if it did.
///
/// # Errors
/// `Corrupt` or `Io`.
///
/// # Panics
/// If `bucket` is 0.
pub fn histogram(
    select: &Select,
    snapshots: &[Snapshot],
    bucket: u64,
    take: TakePart<'_>,
) -> Result<bool> {
    let select = Select { limit: None, ..select.clone() };
    if select.is_empty() {
        return Ok(true);
    }
    for snapshot in snapshots {
        for table in snapshot.view.memtables() {
            let mut parts = Parts::new(bucket, &mut *take);
            let found = memtable::scan(table, snapshot, &select, Order::Newest);
            if !found.into_iter().all(|(key, _)| parts.add(key.time)) || !parts.end() {
                return Ok(false);
            }
        }
        for live in &snapshot.view.segments {
            if !in_segment(live, snapshot, &select, bucket, take)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn in_segment(
    live: &LiveSegment,
    snapshot: &Snapshot,
    select: &Select,
    bucket: u64,
    take: TakePart<'_>,
) -> Result<bool> {
    let segment = &live.segment;
    let plan = plan(segment, select)?;
    if plan.empty {
        return Ok(true);
    }
    if live.dead.count() == 0
        && select.expired.is_none()
        && let Some(list) = only_list(&plan)
    {
        let range = plan.range.clone();
        let (first, last) = (segment.time(range.start)?, segment.time(range.end - 1)?);
        // From the first time there is to the last, in buckets of a microsecond, it is one more than a number holds.
        let buckets = (last / bucket - first / bucket).saturating_add(1);
        let matches = list.map_or(range.len() as u64, |list| u64::from(list.count()));
        if buckets.saturating_mul(RECORDS_PER_SEARCH) <= matches {
            return by_searches(segment, range, list, bucket, take);
        }
    }
    let Some(source) = SegmentSource::open(live, snapshot.at, select, Order::Newest)? else {
        return Ok(true);
    };
    let mut parts = Parts::new(bucket, take);
    let wanted = source.for_each_key(&mut |key| (parts.add(key.time), true))?;
    Ok(wanted && parts.end())
}

/// The list that decides alone, or none if the times do; `None` if it takes more.
fn only_list(plan: &Plan) -> Option<Option<&Postings>> {
    if plan.by_id.is_some() || plan.is_residual() || !plan.without.is_empty() {
        return None;
    }
    match &plan.walked[..] {
        [] => Some(None),
        [condition] => match &condition.lists[..] {
            [list] => Some(Some(list)),
            _ => None,
        },
        _ => None,
    }
}

fn by_searches(
    segment: &Arc<Segment>,
    range: Range<Ordinal>,
    list: Option<&Postings>,
    bucket: u64,
    take: TakePart<'_>,
) -> Result<bool> {
    let mut cursor = list.map(|list| list.cursor(segment));
    let mut rank = |ordinal| cursor.as_mut().map_or(Ok(ordinal), |cursor| cursor.rank(ordinal));
    let (mut from, mut before) = (range.start, rank(range.start)?);
    while from < range.end {
        let begins = segment.time(from)? / bucket * bucket;
        let end = segment.bounds(begins, begins.saturating_add(bucket - 1))?.end;
        // A column that is not ascending is damage, and no reason to go round for ever.
        from = end.clamp(from + 1, range.end);
        let upto = rank(from)?;
        let count = u64::from(upto.saturating_sub(before));
        if count > 0 && !take(begins, count) {
            return Ok(false);
        }
        before = upto;
    }
    Ok(true)
}

/// Times that mostly fall into the bucket of the one before.
struct Parts<'a> {
    bucket: u64,
    begins: u64,
    count: u64,
    take: TakePart<'a>,
}

impl<'a> Parts<'a> {
    fn new(bucket: u64, take: TakePart<'a>) -> Parts<'a> {
        Parts { bucket, begins: 0, count: 0, take }
    }

    /// Counts a match; false if no more are wanted.
    fn add(&mut self, time: u64) -> bool {
        let begins = time / self.bucket * self.bucket;
        let wanted = begins == self.begins && self.count < PART_RECORDS || self.end();
        self.begins = begins;
        self.count += 1;
        wanted
    }

    /// Hands over what was counted.
    fn end(&mut self) -> bool {
        let count = std::mem::take(&mut self.count);
        count == 0 || (self.take)(self.begins, count)
    }
}
