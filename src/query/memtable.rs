//! Selections on a memtable: walk back the shortest lists, check each record, keep the best.
//!
//! Posting lists of a memtable are in order of arrival, not of time, so matches are sorted here. With
//! a limit, a walk ends as soon as nothing before it can be among the best: arrivals are nearly in
//! order of time, and the memtable keeps running bounds.
//!
//! A condition that a memtable has no lists for (late terms, own ids) leads to no record: other conditions do, or all
//! records are candidates, and `Select::matches` decides, as it does for every candidate.

use super::{Order, Select, Sieve};
use crate::base::{Key, Ordinal};
use crate::memtable::{Memtable, Postings};
use crate::model::Record;
use crate::shard::Snapshot;
use std::cell::OnceCell;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

/// How a selection finds its candidates.
pub(super) enum Access<'a> {
    /// By the ids of the selection.
    Ids(&'a [[u8; 32]]),
    /// By the lists of one condition: its index, and the lists.
    Lists(usize, Vec<Postings<'a>>),
    /// A condition has no records here.
    Nothing,
    /// Every record.
    All,
}

/// The cheapest access to `memtable` for `select`.
pub(super) fn access<'a>(memtable: &'a Memtable, select: &'a Select) -> Access<'a> {
    if let Some(ids) = select.ids.as_ref().filter(|_| memtable.finds_ids()) {
        return Access::Ids(ids);
    }
    let mut best: Option<(u64, usize, Vec<Postings<'a>>)> = None;
    if let Some(expired) = select.only() {
        // As if it were the last condition.
        let Some(list) = memtable.postings(expired.expiry.any) else { return Access::Nothing };
        best = Some((list.count().into(), select.all_of.len(), vec![list]));
    }
    // A condition with a late term has no lists here: `matches` decides.
    let early = |any_of: &[Vec<u8>]| !any_of.iter().any(|term| memtable.is_late(term));
    for (i, any_of) in select.all_of.iter().enumerate().filter(|(_, any_of)| early(any_of)) {
        let lists: Vec<Postings<'a>> =
            any_of.iter().filter_map(|term| memtable.postings(term)).collect();
        let cost = lists.iter().map(|l| u64::from(l.count())).sum();
        if cost == 0 {
            return Access::Nothing;
        }
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, i, lists));
        }
    }
    best.map_or(Access::All, |(_, i, lists)| Access::Lists(i, lists))
}

/// The matches of `select` that live in `memtable` for `snapshot`, in `order`, at most its limit.
pub(super) fn scan(
    memtable: &Arc<Memtable>,
    snapshot: &Snapshot,
    select: &Select,
    order: Order,
) -> Vec<(Key, Ordinal)> {
    let visible = snapshot.visible(memtable);
    let mut best = Best::new(order, select.limit.unwrap_or(usize::MAX));
    let (earliest, latest) = memtable.time_bounds();
    if visible == 0 || select.is_empty() || select.since > latest || select.until < earliest {
        return Vec::new();
    }
    let expired = OnceCell::new();
    let check = |o: Ordinal, best: &mut Best| {
        if best.wants(memtable.time(o)) && is_there(memtable, snapshot, select, o) {
            let key = memtable.key(o);
            let record = Record { key, body: memtable.body(o) };
            let expired = || *expired.get_or_init(|| select.expired?.in_memtable(memtable));
            if (select.matches)(record) && expired().is_none_or(|expired| expired.admits(record)) {
                best.push(key, o);
            }
        }
    };
    if let Some(sieve) = select.useful_sieve() {
        if sift(memtable, sieve, visible, &mut best, &check) {
            return best.into_sorted();
        }
        best.kept.clear();
    }
    match access(memtable, select) {
        Access::Nothing => {}
        Access::Ids(ids) => {
            // An id may recur once its record is dead: at most one of its records lives.
            let found = ids.iter().flat_map(|id| memtable.find_all(id));
            found.collect::<HashSet<_>>().into_iter().for_each(|o| check(o, &mut best));
        }
        Access::Lists(_, lists) => {
            let mut seen = (lists.len() > 1).then(HashSet::new);
            for list in lists {
                for o in list.iter_back() {
                    if best.is_done(memtable, o) {
                        break;
                    }
                    if seen.as_mut().is_none_or(|seen| seen.insert(o)) {
                        check(o, &mut best);
                    }
                }
            }
        }
        Access::All => {
            for o in (0..visible).rev() {
                if best.is_done(memtable, o) {
                    break;
                }
                check(o, &mut best);
            }
        }
    }
    best.into_sorted()
}

/// Checks the records that `sieve` admits, newest arrivals first, until none can be among the best; false if that
/// became too dear on the way.
fn sift(
    memtable: &Memtable,
    sieve: &Sieve,
    visible: Ordinal,
    best: &mut Best,
    check: &dyn Fn(Ordinal, &mut Best),
) -> bool {
    let mut budget = sieve.records();
    for o in (0..visible).rev() {
        if best.is_done(memtable, o) {
            return true;
        }
        let Some(left) = budget.checked_sub(1) else { return false };
        budget = left;
        if sieve.admits_body(memtable.body(o)) {
            let before = best.kept.len();
            check(o, best);
            // What is found by lists costs as much as some records here.
            budget += 4 * (best.kept.len() - before) as u64;
        }
    }
    true
}

/// Whether `snapshot` sees the record, alive and within the time asked for.
fn is_there(memtable: &Memtable, snapshot: &Snapshot, select: &Select, o: Ordinal) -> bool {
    (select.since..=select.until).contains(&memtable.time(o)) && memtable.is_live(o, snapshot.at)
}

/// How many of `memtable`'s records match, the limit aside.
pub(super) fn count(memtable: &Memtable, snapshot: &Snapshot, select: &Select) -> u64 {
    let visible = snapshot.visible(memtable);
    // Who stands under a term of the only condition has nothing left to be asked but the time.
    let plain = select.ids.is_none()
        && select.none_of.is_empty()
        && !select.residual
        && select.only().is_none();
    let late = select.all_of.iter().flatten().any(|term| memtable.is_late(term));
    let decided = plain && !late && select.all_of.len() <= 1;
    let access = access(memtable, select);
    let mut expired = select.expired.and_then(|expired| expired.in_memtable(memtable));
    let record = |o| Record { key: memtable.key(o), body: memtable.body(o) };
    // If few records expire at all, those are looked at, and not all that would count.
    let hidden = match expired.and_then(|expired| memtable.postings(expired.expiry.any)) {
        Some(list) if decided && u64::from(list.count()) < candidates(memtable, &access) => {
            let hides = expired.take();
            let is_hidden = |&o: &Ordinal| {
                is_there(memtable, snapshot, select, o)
                    && !hides.is_none_or(|expired| expired.admits(record(o)))
                    && (select.matches)(record(o))
            };
            list.iter_back().filter(is_hidden).count()
        }
        _ => 0,
    };
    let counts = |&o: &Ordinal| {
        is_there(memtable, snapshot, select, o)
            && (decided || (select.matches)(record(o)))
            && expired.is_none_or(|expired| expired.admits(record(o)))
    };
    let count = match access {
        Access::Nothing => 0,
        Access::Ids(ids) => {
            let found = ids.iter().flat_map(|id| memtable.find_all(id));
            found.collect::<HashSet<_>>().iter().filter(|o| counts(o)).count()
        }
        Access::Lists(_, lists) => match &lists[..] {
            [list] => list.iter_back().filter(counts).count(),
            lists => {
                let all = lists.iter().flat_map(|list| list.iter_back());
                all.collect::<HashSet<_>>().iter().filter(|o| counts(o)).count()
            }
        },
        Access::All => (0..visible).filter(counts).count(),
    };
    (count - hidden) as u64
}

/// Records that `access` leads to, at most.
pub(super) fn candidates(memtable: &Memtable, access: &Access<'_>) -> u64 {
    match access {
        Access::Nothing => 0,
        Access::Ids(ids) => ids.len() as u64,
        Access::Lists(_, lists) => lists.iter().map(|l| u64::from(l.count())).sum(),
        Access::All => u64::from(memtable.len()),
    }
}

/// The first `limit` keys of an order.
struct Best {
    order: Order,
    limit: usize,
    /// The last of them on top.
    kept: BinaryHeap<Ranked>,
}

/// A key that compares greater the later it comes in the order.
#[derive(PartialEq, Eq)]
struct Ranked {
    key: Key,
    ordinal: Ordinal,
    order: Order,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        match self.order {
            Order::Newest => other.key.cmp(&self.key),
            Order::Oldest => self.key.cmp(&other.key),
        }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Best {
    fn new(order: Order, limit: usize) -> Best {
        Best { order, limit, kept: BinaryHeap::new() }
    }

    /// The worst time kept, once there are as many as wanted.
    fn bar(&self) -> Option<u64> {
        if self.kept.len() < self.limit { None } else { self.kept.peek().map(|r| r.key.time) }
    }

    /// Whether a record of `time` may be among the first.
    fn wants(&self, time: u64) -> bool {
        self.bar().is_none_or(|bar| match self.order {
            Order::Newest => time >= bar,
            Order::Oldest => time <= bar,
        })
    }

    /// Whether no record up to `o` can be among the first.
    fn is_done(&self, memtable: &Memtable, o: Ordinal) -> bool {
        self.bar().is_some_and(|bar| match self.order {
            Order::Newest => memtable.time_max_upto(o) < bar,
            Order::Oldest => memtable.time_min_upto(o) > bar,
        })
    }

    fn push(&mut self, key: Key, ordinal: Ordinal) {
        self.kept.push(Ranked { key, ordinal, order: self.order });
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    fn into_sorted(self) -> Vec<(Key, Ordinal)> {
        self.kept.into_sorted_vec().into_iter().map(|r| (r.key, r.ordinal)).collect()
    }
}
