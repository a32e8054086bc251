//! Selections on a segment: which posting lists drive, which intersect, what is left to check on records.
//!
//! Conditions are looked up fewest terms first. Once the driver is shorter than the next condition has
//! terms, looking those up costs more than checking the few records: the condition becomes residual.

use super::expired::Veil;
use super::select::Matches;
use super::walk::{Walk, Way};
use super::{Order, Select};
use crate::base::{Key, Ordinal, Result, Seq};
use crate::model::Record;
use crate::segment::{Body, Entry, Postings, Segment};
use crate::shard::LiveSegment;
use std::ops::Range;
use std::sync::Arc;

/// Ordinals looked ahead at most, so that their pages are read together.
const LOOK_AHEAD: usize = 64;

/// Batches that are taken to be resident after one that was.
const WARM_BATCHES: u32 = 8;

/// What one condition of a selection does in a segment.
pub(super) struct Condition {
    /// Its index in `Select::all_of`.
    pub(super) index: usize,
    /// Posting lists found for its terms.
    pub(super) lists: Vec<Postings>,
    /// Their postings in all.
    pub(super) postings: u64,
}

/// How a segment answers a selection.
pub(super) struct Plan {
    /// The ordinals within the time range.
    pub(super) range: Range<Ordinal>,
    /// Ordinals known by id.
    pub(super) by_id: Option<Vec<Ordinal>>,
    /// The conditions that are walked, the sparsest (the driver) first. Empty: every ordinal.
    pub(super) walked: Vec<Condition>,
    /// The conditions, by index, that are checked on the records; one more than there are stands for what no term
    /// says.
    pub(super) residual: Vec<usize>,
    /// The lists to leave out.
    pub(super) without: Vec<Postings>,
    /// Whether nothing can match.
    pub(super) empty: bool,
}

impl Plan {
    fn over(range: Range<Ordinal>) -> Plan {
        let empty = range.is_empty();
        let (walked, residual, without) = (Vec::new(), Vec::new(), Vec::new());
        Plan { range, by_id: None, walked, residual, without, empty }
    }

    /// Postings to be walked at most.
    pub(super) fn cost(&self) -> u64 {
        match (&self.by_id, self.walked.first()) {
            _ if self.empty => 0,
            (Some(known), _) => known.len() as u64,
            (None, Some(driver)) => driver.postings,
            (None, None) => self.range.len() as u64,
        }
    }

    /// All lists that a walk reads.
    fn lists(&self) -> impl Iterator<Item = &Postings> {
        self.walked.iter().flat_map(|condition| &condition.lists).chain(&self.without)
    }

    /// Pages that planning and walking read at most if none is in memory, and the records of `select`'s limit
    /// then: those of long bodies, which take more, aside.
    pub(super) fn pages(&self, segment: &Segment, select: &Select) -> u64 {
        let ends = 2 * u64::from(segment.records().max(2).ilog2());
        let ids = select.ids.as_ref().map_or(0, |ids| ids.len() as u64 * 4);
        let (bounds, looked_up, walked) = if self.empty {
            // A term that the filter let through, or the ends of the range.
            (ends, select.all_of.iter().map(Vec::len).sum(), 0)
        } else {
            let whole = self.range.len() as u32 == segment.records();
            let conditions = self.walked.iter().map(|c| select.all_of[c.index].len());
            let lists = self.lists().map(|list| u64::from(list.pages())).sum::<u64>();
            let limit = select.limit.filter(|_| !self.is_residual());
            let ahead = limit.map_or(u64::MAX, |limit| limit.saturating_add(LOOK_AHEAD) as u64);
            let records = segment.record_pages(self.cost().min(ahead));
            let looked_up = conditions.sum::<usize>() + select.none_of.len();
            (if whole { 0 } else { ends }, looked_up, lists + records)
        };
        let pages = bounds + ids + looked_up as u64 * segment.term_pages() + walked;
        pages.min(u64::from(segment.info().pages))
    }

    /// Whether every candidate has to be read and checked.
    pub(super) fn is_residual(&self) -> bool {
        !self.residual.is_empty()
    }

    /// The walk over the candidates.
    pub(super) fn walk(self, segment: &Arc<Segment>, way: Way) -> Walk {
        if let Some(known) = self.by_id {
            return Walk::known(known, way);
        }
        let union = |lists: Vec<Postings>| {
            Walk::union(
                lists.iter().map(|l| Walk::List(Box::new(l.cursor(segment)), way)).collect(),
                way,
            )
        };
        let walks = self.walked.into_iter().map(|c| union(c.lists)).collect();
        let walk = Walk::intersection(walks);
        if self.without.is_empty() {
            walk
        } else {
            Walk::difference(walk, union(self.without), way)
        }
    }
}

/// Plans `select` on `segment`.
pub(super) fn plan(segment: &Arc<Segment>, select: &Select) -> Result<Plan> {
    let mut plan = Plan::over(segment.bounds(select.since, select.until)?);
    if plan.empty {
        return Ok(plan);
    }
    // Own ids lead to no record: they are checked on each.
    let unfindable = select.ids.is_some() && !segment.finds_ids();
    let beside = select.residual || unfindable;
    plan.residual.extend(beside.then_some(select.all_of.len()));
    if let Some(ids) = select.ids.as_ref().filter(|_| !unfindable) {
        let mut known = Vec::new();
        for id in ids.iter().filter(|id| segment.may_have_id(id)) {
            known.extend(segment.find(id)?.filter(|o| plan.range.contains(o)));
        }
        plan.empty = known.is_empty();
        let beside = select.residual || !select.none_of.is_empty();
        plan.by_id = Some(known);
        plan.residual = (0..select.all_of.len() + usize::from(beside)).collect();
        return Ok(plan);
    }
    let mut order: Vec<usize> = (0..select.all_of.len()).collect();
    order.sort_by_key(|&i| select.all_of[i].len());
    let mut least = u64::MAX;
    for index in order {
        let terms = &select.all_of[index];
        if least <= terms.len() as u64 {
            plan.residual.push(index);
            continue;
        }
        let condition = look_up(segment, index, terms)?;
        if condition.postings == 0 {
            plan.empty = true;
            return Ok(plan);
        }
        least = least.min(condition.postings);
        plan.walked.push(condition);
    }
    plan.walked.sort_by_key(|c| c.postings);
    plan.without = look_up(segment, 0, &select.none_of)?.lists;
    Ok(plan)
}

fn look_up(segment: &Arc<Segment>, index: usize, terms: &[Vec<u8>]) -> Result<Condition> {
    let may_have = terms.iter().map(Vec::as_slice).filter(|term| segment.may_have_term(term));
    let mut may_have: Vec<&[u8]> = may_have.collect();
    if !may_have.is_sorted() {
        may_have.sort_unstable();
    }
    let mut lists = Vec::with_capacity(may_have.len());
    segment.find_terms(&may_have, &mut lists)?;
    let postings = lists.iter().map(|l| u64::from(l.count())).sum();
    Ok(Condition { index, lists, postings })
}

/// The matches of one selection in one segment, one after the other.
pub(super) struct SegmentSource {
    live: LiveSegment,
    at: Seq,
    walk: Walk,
    way: Way,
    range: Range<Ordinal>,
    residual: Option<Matches>,
    /// What is left out as expired.
    veil: Option<Veil>,
    /// Where the walk goes on.
    target: Option<Ordinal>,
    /// Candidates that the walk has found: live, not yet checked against the residual.
    ahead: Vec<Ordinal>,
    /// What leads to them, and how many of these were given.
    entries: Vec<Entry>,
    given: usize,
    /// How many to look ahead next.
    batch: usize,
    warm: u32,
    body: Body,
}

impl SegmentSource {
    /// The matches of `select` in `live` that a reader at `at` sees; `None` if there can be none.
    pub(super) fn open(
        live: &LiveSegment,
        at: Seq,
        select: &Select,
        order: Order,
    ) -> Result<Option<SegmentSource>> {
        let plan = plan(&live.segment, select)?;
        if plan.empty {
            return Ok(None);
        }
        let (way, range) = (Way::of(order), plan.range.clone());
        if let Some(start) = way.start(&range) {
            live.segment.prefetch_lists(plan.lists(), start);
        }
        let residual = plan.is_residual().then(|| select.matches.clone());
        let mut walk = plan.walk(&live.segment, way);
        if let Some(only) = select.only() {
            let Some(veil) = Veil::over(&live.segment, only)? else { return Ok(None) };
            let mut known = Vec::new();
            veil.each_living(live, at, range.clone(), |o| {
                known.push(o);
                Ok(())
            })?;
            walk = Walk::intersection(vec![Walk::known(known, way), walk]);
        }
        let veil = select.hides().map(|expired| Veil::over(&live.segment, expired)).transpose()?;
        Ok(Some(SegmentSource {
            walk,
            veil: veil.flatten(),
            live: live.clone(),
            at,
            way,
            target: way.start(&range),
            range,
            residual,
            ahead: Vec::new(),
            entries: Vec::new(),
            given: 0,
            batch: select.limit.unwrap_or(LOOK_AHEAD).clamp(1, 8),
            warm: 0,
            body: Body::default(),
        }))
    }

    /// The next match.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let Some(&entry) = self.entries.get(self.given) else {
                if !self.find_ahead()? {
                    return Ok(None);
                }
                self.read_ahead()?;
                continue;
            };
            self.given += 1;
            if let Some(matches) = self.residual.clone() {
                let body = self.load(&entry)?;
                if !matches(Record { key: entry.key, body }) {
                    continue;
                }
            }
            return Ok(Some(entry));
        }
    }

    /// Hands all matches to `f`. Reads records only if something is to be checked on them.
    pub(super) fn for_each(mut self, mut f: impl FnMut(Ordinal)) -> Result<()> {
        if self.residual.is_some() {
            while let Some(entry) = self.next()? {
                f(entry.ordinal);
            }
        } else {
            while self.find_ahead()? {
                self.ahead.iter().for_each(|&o| f(o));
            }
        }
        Ok(())
    }

    /// Hands the keys of all matches to `f`, newest first, until that says that it wants no more: in its first
    /// answer for good, which is then false here too, in its second of this source only. Reads bodies only if
    /// something is to be checked on them.
    pub(super) fn for_each_key(mut self, f: &mut dyn FnMut(Key) -> (bool, bool)) -> Result<bool> {
        if self.residual.is_some() {
            while let Some(entry) = self.next()? {
                if let (good, false) | (good @ false, _) = f(entry.key) {
                    return Ok(good);
                }
            }
            return Ok(true);
        }
        // Bodies are not waited for, so that look-ahead needs no warming up.
        self.batch = LOOK_AHEAD;
        let mut keys = Vec::with_capacity(LOOK_AHEAD);
        while self.find_ahead()? {
            keys.clear();
            self.live.segment.keys(&self.ahead, &mut keys)?;
            for key in &keys {
                if let (good, false) | (good @ false, _) = f(*key) {
                    return Ok(good);
                }
            }
        }
        Ok(true)
    }

    /// Collects the next candidates; false at the end.
    fn find_ahead(&mut self) -> Result<bool> {
        self.ahead.clear();
        while self.ahead.len() < self.batch {
            let Some(target) = self.target else { break };
            let Some(o) = self.walk.seek(target)?.filter(|o| self.range.contains(o)) else {
                self.target = None;
                break;
            };
            let covered = |veil: &Veil| veil.covers(o);
            if !self.live.dead.is_dead(o, self.at)
                && !self.veil.as_ref().map_or(Ok(false), covered)?
            {
                self.ahead.push(o);
            }
            self.target = self.way.after(o);
        }
        self.batch = (self.batch * 2).min(LOOK_AHEAD);
        Ok(!self.ahead.is_empty())
    }

    /// Reads what leads to the candidates, and has their pages read together.
    fn read_ahead(&mut self) -> Result<()> {
        let segment = &self.live.segment;
        if self.ahead.len() > 1 {
            if self.warm > 0 {
                self.warm -= 1;
            } else {
                let columns = segment.prefetch_entries(&self.ahead);
                if columns + segment.prefetch_bodies(&self.ahead) == 0 {
                    self.warm = WARM_BATCHES;
                }
            }
        }
        self.entries.clear();
        self.given = 0;
        segment.entries(&self.ahead, &mut self.entries)
    }

    /// The body of a match, good until the next call.
    pub(super) fn load(&mut self, entry: &Entry) -> Result<&[u8]> {
        self.body = self.live.segment.body_of(entry, std::mem::take(&mut self.body))?;
        Ok(&self.body)
    }
}
