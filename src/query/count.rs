//! Counting: from posting blocks where one list decides, from merged ordinals otherwise; records are
//! read only for what no list decides (`segment`: residual conditions).

use super::expired::Veil;
use super::scatter::{self, Readers};
use super::segment::{self, SegmentSource};
use super::{AnyOf, Order, Select, memtable};
use crate::base::{Ordinal, Result, Seq};
use crate::shard::{LiveSegment, Snapshot};
use std::collections::HashSet;
use std::sync::Arc;

/// How many records match at least one of `selects`, whose limits do not count.
///
/// # Errors
/// `Corrupt` or `Io`.
pub fn count(selects: &[Select], snapshots: &[Snapshot], readers: &Readers) -> Result<u64> {
    let selects: Vec<Select> = selects
        .iter()
        .map(|s| Select { limit: None, ..s.clone() })
        .filter(|s| !s.is_empty())
        .collect();
    let Some(first) = selects.first() else { return Ok(0) };
    let walks = selects.len() > 1 || !is_one_list(first);
    if walks && let Some(sender) = readers.for_large(first, snapshots)? {
        let selects = Arc::new(selects);
        let counts =
            scatter::run(&sender, snapshots, move |snapshot| in_shard(&selects, snapshot))?;
        return counts.into_iter().sum();
    }
    snapshots.iter().map(|snapshot| in_shard(&selects, snapshot)).sum()
}

/// How long the posting lists of each of `terms` are, the dead included. Reads no posting page.
///
/// # Errors
/// `Corrupt` or `Io`.
pub fn postings(terms: &[&[u8]], snapshots: &[Snapshot]) -> Result<Vec<u64>> {
    let in_all = |term: &&[u8]| {
        let mut count = 0;
        for snapshot in snapshots {
            let tables = snapshot.view.memtables();
            let lists = tables.filter_map(|table| table.postings(term));
            count += lists.map(|list| u64::from(list.count())).sum::<u64>();
            for live in snapshot.view.segments.iter().filter(|l| l.segment.may_have_term(term)) {
                count += live.segment.term(term)?.map_or(0, |list| u64::from(list.count()));
            }
        }
        Ok(count)
    };
    terms.iter().map(in_all).collect()
}

/// Whether one posting list, or none, decides: then counting is two look-ups.
fn is_one_list(select: &Select) -> bool {
    let terms: usize = select.all_of.iter().map(AnyOf::len).sum();
    let plain = select.ids.is_none() && select.none_of.is_empty() && !select.residual;
    plain && select.only().is_none() && terms <= 1
}

fn in_shard(selects: &[Select], snapshot: &Snapshot) -> Result<u64> {
    let mut total = 0;
    for table in snapshot.view.memtables() {
        let found = |select| memtable::scan(table, snapshot, select, Order::Newest);
        total += match selects {
            [one] => memtable::count(table, snapshot, one),
            many => {
                let all: HashSet<Ordinal> = many.iter().flat_map(found).map(|(_, o)| o).collect();
                all.len() as u64
            }
        };
    }
    for live in &snapshot.view.segments {
        total += match selects {
            [one] => in_segment(live, snapshot.at, one)?,
            many => union_in_segment(live, snapshot.at, many)?,
        };
    }
    Ok(total)
}

/// The matches of one selection.
fn in_segment(live: &LiveSegment, at: Seq, select: &Select) -> Result<u64> {
    let plan = segment::plan(&live.segment, select)?;
    if plan.empty {
        return Ok(0);
    }
    let (segment, range) = (&live.segment, plan.range.clone());
    let one_list = plan.walked.len() <= 1 && plan.walked.iter().all(|c| c.lists.len() == 1);
    let decided = one_list && plan.by_id.is_none() && !plan.is_residual();
    if !decided || !plan.without.is_empty() || select.only().is_some() {
        let mut count = 0;
        if let Some(source) = SegmentSource::open(live, at, select, Order::Newest)? {
            source.for_each(|_| count += 1)?;
        }
        return Ok(count);
    }
    let veil = select.hides().map(|expired| Veil::over(segment, expired)).transpose()?.flatten();
    let list = plan.walked.first().map(|condition| &condition.lists[0]);
    let all = match list {
        None => range.len() as u64,
        Some(list) => u64::from(list.rank(segment, range.end)? - list.rank(segment, range.start)?),
    };
    // Two ranks, and a look for each that is not there any more.
    let (mut cursor, mut gone) = (list.map(|list| list.cursor(segment)), 0);
    let mut leave_out = |o| {
        gone += match &mut cursor {
            None => 1,
            Some(cursor) => u64::from(cursor.seek_ge(o)? == Some(o)),
        };
        Ok(())
    };
    live.dead.iter(range.clone(), at).try_for_each(&mut leave_out)?;
    if let Some(veil) = veil {
        veil.each_living(live, at, range, leave_out)?;
    }
    Ok(all - gone)
}

/// The matches of several selections, each once.
fn union_in_segment(live: &LiveSegment, at: Seq, selects: &[Select]) -> Result<u64> {
    let mut found = vec![0u64; live.segment.records().div_ceil(64) as usize];
    for select in selects {
        if let Some(source) = SegmentSource::open(live, at, select, Order::Newest)? {
            source.for_each(|o| found[o as usize / 64] |= 1 << (o % 64))?;
        }
    }
    Ok(found.iter().map(|word| u64::from(word.count_ones())).sum())
}
