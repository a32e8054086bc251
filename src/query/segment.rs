//! Selections on a segment: which posting lists drive, which intersect, what is left to check on records.
//!
//! Conditions are looked up fewest terms first. Once the driver is shorter than the next condition has
//! terms, looking those up costs more than checking the few records: the condition becomes residual.

use super::expired::Veil;
use super::select::Matches;
use super::sieve::{Sieve, Sifted, Sifting};
use super::walk::{Walk, Way};
use super::{AnyOf, Order, Select};
use crate::base::{Error, Key, Ordinal, Result, Seq};
use crate::model::Record;
use crate::segment::{Body, Entry, PageReads, Postings, Segment};
use crate::shard::LiveSegment;
use std::ops::Range;
use std::sync::Arc;

/// Ordinals looked ahead at most, so that their pages are read together.
pub(super) const LOOK_AHEAD: usize = 64;

/// Marks that are read together at first, for who asks for what nobody read lately: a page of them.
const MARKS_AHEAD: u32 = 1_000;

/// Candidates that are looked ahead at first where they are sifted: their number is known, and no list is waited for.
const SIFTED_AHEAD: usize = 32;

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

    /// Pages that planning and walking read if none is in memory, and the records of `select`'s limit then.
    pub(super) fn pages(&self, segment: &Segment, select: &Select) -> PageReads {
        let ends = 2 * u64::from(segment.records().max(2).ilog2());
        let ids = select.ids.as_ref().map_or(0, |ids| ids.len() as u64 * 4);
        let (bounds, looked_up, lists, records) = if self.empty {
            // A term that the filter let through, or the ends of the range.
            (ends, select.all_of.iter().map(AnyOf::len).sum(), 0, PageReads::default())
        } else {
            let whole = self.range.len() as u32 == segment.records();
            let conditions = self.walked.iter().map(|c| select.all_of[c.index].len());
            let lists = self.lists().map(|list| u64::from(list.pages())).sum::<u64>();
            let limit = select.limit.filter(|_| !self.is_residual());
            let ahead = limit.map_or(u64::MAX, |limit| limit.saturating_add(LOOK_AHEAD) as u64);
            let records = segment.record_pages(self.cost().min(ahead));
            let looked_up = conditions.sum::<usize>() + select.none_of.len();
            (if whole { 0 } else { ends }, looked_up, lists, records)
        };
        // Sifted in vain before that: all marks, and a record for each mark's worth of budget that misses.
        let (marks, missed) = sieve_for(segment, select).map_or_else(Default::default, |sieve| {
            let matches = select.limit.map_or(u64::MAX, |limit| limit as u64);
            (segment.mark_pages().len() as u64, segment.record_pages(sieve.misses(matches)))
        });
        let others = bounds + ids + looked_up as u64 * segment.term_pages() + lists + marks;
        let in_all = |records: u64| (others + records).min(u64::from(segment.info().pages));
        let (about, most) = (records.about + missed.about, records.most + missed.most);
        PageReads { about: in_all(about), most: in_all(most) }
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

/// The sieve of `select`, if it is of use in `segment`.
pub(super) fn sieve_for<'s>(segment: &Segment, select: &'s Select) -> Option<&'s Sieve> {
    select.useful_sieve().filter(|_| segment.has_marks())
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
    /// What gives the candidates in the place of the walk, as long as it pays.
    sifting: Option<(Arc<Select>, Sifting)>,
    /// Candidates that the walk has found: live, not yet checked against the residual.
    ahead: Vec<Ordinal>,
    /// What leads to them, and how many of these were given.
    entries: Vec<Entry>,
    given: usize,
    /// How many to look ahead next.
    batch: usize,
    warm: u32,
    body: Body,
    /// Whose body that is.
    loaded: Option<Ordinal>,
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
        let range = plan.range.clone();
        let mut source = SegmentSource::over(live, at, select, order, range.clone())?;
        source.walk_lists(select, plan);
        if let Some(only) = select.only() {
            let Some(veil) = Veil::over(&live.segment, only)? else { return Ok(None) };
            let mut known = Vec::new();
            veil.each_living(live, at, range, |o| {
                known.push(o);
                Ok(())
            })?;
            let known = Walk::known(known, source.way);
            let walk = std::mem::replace(&mut source.walk, Walk::All);
            source.walk = Walk::intersection(vec![known, walk]);
        }
        Ok(Some(source))
    }

    /// As `open`, for who reads the records: by their marks, as long as that is cheaper.
    pub(super) fn sift(
        live: &LiveSegment,
        at: Seq,
        select: &Arc<Select>,
        order: Order,
    ) -> Result<Option<SegmentSource>> {
        let Some(sieve) = sieve_for(&live.segment, select) else {
            return SegmentSource::open(live, at, select, order);
        };
        let range = live.segment.bounds(select.since, select.until)?;
        if range.is_empty() {
            return Ok(None);
        }
        let mut source = SegmentSource::over(live, at, select, order, range.clone())?;
        if let Some(start) = source.target {
            let on = match source.way {
                Way::Back => start.saturating_sub(MARKS_AHEAD),
                Way::Forth => start.saturating_add(MARKS_AHEAD),
            };
            live.segment.prefetch_marks([start, on]);
        }
        source.residual = Some(select.matches.clone());
        source.batch = select.limit.unwrap_or(LOOK_AHEAD).clamp(1, SIFTED_AHEAD);
        let sifting = Sifting::new(sieve, &live.segment, range, source.way);
        source.sifting = Some((select.clone(), sifting));
        Ok(Some(source))
    }

    /// A source of nothing yet.
    fn over(
        live: &LiveSegment,
        at: Seq,
        select: &Select,
        order: Order,
        range: Range<Ordinal>,
    ) -> Result<SegmentSource> {
        let way = Way::of(order);
        let veil = select.hides().map(|expired| Veil::over(&live.segment, expired)).transpose()?;
        Ok(SegmentSource {
            walk: Walk::All,
            veil: veil.flatten(),
            live: live.clone(),
            at,
            way,
            target: way.start(&range),
            range,
            sifting: None,
            residual: None,
            ahead: Vec::new(),
            entries: Vec::new(),
            given: 0,
            batch: select.limit.unwrap_or(LOOK_AHEAD).clamp(1, 8),
            warm: 0,
            body: Body::default(),
            loaded: None,
        })
    }

    /// Walks the lists of `plan` from `target` on.
    fn walk_lists(&mut self, select: &Select, plan: Plan) {
        if let Some(target) = self.target {
            self.live.segment.prefetch_lists(plan.lists(), target);
        }
        self.residual = plan.is_residual().then(|| select.matches.clone());
        self.walk = plan.walk(&self.live.segment, self.way);
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
            if self.residual.is_some() {
                self.load(&entry)?;
                let record = Record { key: entry.key, body: &self.body };
                let is_match = self.residual.as_ref().is_none_or(|matches| matches(record));
                if let Some((_, sifting)) = &mut self.sifting {
                    sifting.learn(is_match);
                }
                if !is_match {
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
            let Some(o) = self.find()? else { break };
            let covered = |veil: &Veil| veil.covers(o);
            if !self.live.dead.is_dead(o, self.at)
                && !self.veil.as_ref().map_or(Ok(false), covered)?
            {
                self.ahead.push(o);
            }
        }
        self.batch = (self.batch * 2).min(LOOK_AHEAD);
        Ok(!self.ahead.is_empty())
    }

    /// The next candidate, dead or alive. None at the end, or where those that were found ahead have to be checked first.
    fn find(&mut self) -> Result<Option<Ordinal>> {
        if let Some((select, sifting)) = &mut self.sifting {
            let Some(sieve) = &select.sieve else { return Ok(None) };
            self.target = match sifting.next(sieve, &self.live.segment) {
                Ok(Sifted::Found(o)) => return Ok(Some(o)),
                Ok(Sifted::End) => return Ok(None),
                Ok(Sifted::Dear(from)) => Some(from),
                // The lists know what damaged marks would have said.
                Err(Error::Corrupt { .. }) => sifting.rest(),
                Err(error) => return Err(error),
            };
            if !self.ahead.is_empty() {
                return Ok(None);
            }
            let select = select.clone();
            self.sifting = None;
            let plan = plan(&self.live.segment, &select)?;
            if plan.empty {
                self.target = None;
            }
            self.walk_lists(&select, plan);
        }
        let Some(target) = self.target else { return Ok(None) };
        let found = self.walk.seek(target)?.filter(|o| self.range.contains(o));
        self.target = found.and_then(|o| self.way.after(o));
        Ok(found)
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
        if self.loaded.take() != Some(entry.ordinal) {
            self.body = self.live.segment.body_of(entry, std::mem::take(&mut self.body))?;
        }
        self.loaded = Some(entry.ordinal);
        Ok(&self.body)
    }
}
