//! The merge: the matches of one selection from all memtables and segments, in one order.
//!
//! A segment is opened only when the walk reaches its time: a query for the newest few touches the
//! newest segments only. Heads compare by time, and by id among equals.
//!
//! Opened sources are few at any moment, so that the nearest head is found by looking at each. Those that are not stand
//! aside in the order of their times.

use super::memtable;
use super::scatter::Remote;
use super::segment::SegmentSource;
use super::{Expired, Order, Select};
use crate::base::{Key, Ordinal, Result, Seq};
use crate::memtable::Memtable;
use crate::model::Record;
use crate::segment::Entry;
use crate::shard::{LiveSegment, Snapshot};
use std::sync::Arc;

/// A segment that is not looked into yet: no match comes before this time.
struct Unopened {
    live: LiveSegment,
    at: Seq,
    bound: u64,
}

/// One place that matches come from.
pub(super) enum Source {
    Segment(Box<SegmentSource>, Entry),
    Memtable(Arc<Memtable>, std::vec::IntoIter<(Key, Ordinal)>, (Key, Ordinal)),
    /// Matches of a whole shard, read by another thread.
    Remote(Remote),
}

/// The matches of one selection, merged.
pub(super) struct Merged {
    select: Arc<Select>,
    order: Order,
    sources: Vec<Source>,
    /// The nearest comes last.
    unopened: Vec<Unopened>,
    /// Matches still to be given.
    left: usize,
    /// The source with the nearest head.
    nearest: Option<usize>,
}

impl Merged {
    /// The matches of `select` in `snapshots`.
    pub(super) fn open(select: Select, order: Order, snapshots: &[Snapshot]) -> Merged {
        let select = Arc::new(select);
        let (mut sources, mut unopened) = (Vec::new(), Vec::new());
        for snapshot in snapshots {
            for memtable in snapshot.view.memtables() {
                let mut found = memtable::scan(memtable, snapshot, &select, order).into_iter();
                if let Some(first) = found.next() {
                    sources.push(Source::Memtable(memtable.clone(), found, first));
                }
            }
            for live in &snapshot.view.segments {
                let info = live.segment.info();
                if select.since <= info.time_max && select.until >= info.time_min {
                    let bound = match order {
                        Order::Newest => info.time_max.min(select.until),
                        Order::Oldest => info.time_min.max(select.since),
                    };
                    unopened.push(Unopened { live: live.clone(), at: snapshot.at, bound });
                }
            }
        }
        match order {
            Order::Newest => unopened.sort_by_key(|u| u.bound),
            Order::Oldest => unopened.sort_by_key(|u| std::cmp::Reverse(u.bound)),
        }
        Merged { unopened, ..Merged::over(select, order, sources) }
    }

    /// The matches that `sources` give, which is what `select` selects.
    pub(super) fn over(select: Arc<Select>, order: Order, sources: Vec<Source>) -> Merged {
        let left = if select.is_empty() { 0 } else { select.limit.unwrap_or(usize::MAX) };
        Merged { select, order, sources, unopened: Vec::new(), left, nearest: None }
    }

    /// What is left out as expired, if anything is.
    pub(super) fn hides(&self) -> Option<Expired> {
        self.select.hides()
    }

    /// The time of the next match.
    pub(super) fn peek_time(&mut self) -> Result<Option<u64>> {
        Ok(self.find_nearest()?.map(|i| self.sources[i].time()))
    }

    /// The key of the next match.
    ///
    /// # Panics
    /// If there is none: `peek_time` comes first.
    pub(super) fn peek_key(&self) -> Key {
        let nearest = self.nearest.expect("a merge that was peeked has a nearest source");
        self.sources[nearest].key()
    }

    /// The next match, good until the next call.
    ///
    /// # Panics
    /// If there is none: `peek_time` comes first.
    pub(super) fn record(&mut self) -> Result<Record<'_>> {
        let nearest = self.nearest.expect("a merge that was peeked has a nearest source");
        self.sources[nearest].record()
    }

    /// Leaves out all matches up to `last`, itself included, and gives `limit` of those behind it. The merge was opened
    /// without a limit, and begins at the time of `last`: a step for each match of one time.
    pub(super) fn skip_through(&mut self, last: Key, limit: Option<usize>) -> Result<()> {
        while self.peek_time()?.is_some() {
            let key = self.peek_key();
            if key != last && (key > last) == (self.order == Order::Oldest) {
                break;
            }
            self.advance()?;
        }
        self.left = self.left.min(limit.unwrap_or(usize::MAX));
        Ok(())
    }

    /// Steps over the next match.
    pub(super) fn advance(&mut self) -> Result<()> {
        let Some(nearest) = self.nearest.take() else { return Ok(()) };
        self.left -= 1;
        if self.left == 0 {
            return Ok(()); // what follows would be looked for and not given
        }
        if !self.sources[nearest].advance()? {
            self.sources.swap_remove(nearest);
        }
        Ok(())
    }

    fn find_nearest(&mut self) -> Result<Option<usize>> {
        if self.left == 0 {
            return Ok(None);
        }
        while self.nearest.is_none() {
            let mut best = 0;
            for i in 1..self.sources.len() {
                if self.comes_before(i, best) {
                    best = i;
                }
            }
            let time = self.sources.get(best).map(Source::time);
            match self
                .unopened
                .pop_if(|next| time.is_none_or(|time| self.order.reaches(next.bound, time)))
            {
                Some(Unopened { live, at, .. }) => {
                    let opened = SegmentSource::sift(&live, at, &self.select, self.order)?;
                    self.sources.extend(opened.map(Source::segment).transpose()?.flatten());
                }
                None if time.is_none() => return Ok(None),
                None => self.nearest = Some(best),
            }
        }
        Ok(self.nearest)
    }

    /// Whether source `a` comes before source `b`.
    fn comes_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.sources[a], &self.sources[b]);
        let (time_a, time_b) = (a.time(), b.time());
        if time_a != time_b {
            return (time_a > time_b) == (self.order == Order::Newest);
        }
        (a.key() > b.key()) == (self.order == Order::Newest)
    }
}

impl Source {
    fn segment(mut source: SegmentSource) -> Result<Option<Source>> {
        let Some(head) = source.next()? else { return Ok(None) };
        Ok(Some(Source::Segment(Box::new(source), head)))
    }

    /// The time of its head.
    fn time(&self) -> u64 {
        match self {
            Source::Segment(_, head) => head.key.time,
            Source::Memtable(_, _, (key, _)) => key.time,
            Source::Remote(remote) => remote.key().time,
        }
    }

    fn key(&self) -> Key {
        match self {
            Source::Segment(_, head) => head.key,
            Source::Memtable(_, _, (key, _)) => *key,
            Source::Remote(remote) => remote.key(),
        }
    }

    fn record(&mut self) -> Result<Record<'_>> {
        let key = self.key();
        let body = match self {
            Source::Segment(source, head) => source.load(head)?,
            Source::Memtable(memtable, _, (_, ordinal)) => memtable.body(*ordinal),
            Source::Remote(remote) => remote.body(),
        };
        Ok(Record { key, body })
    }

    /// Steps to the next match; false if there is none.
    fn advance(&mut self) -> Result<bool> {
        match self {
            Source::Segment(source, head) => match source.next()? {
                Some(next) => {
                    *head = next;
                    Ok(true)
                }
                None => Ok(false),
            },
            Source::Memtable(_, rest, head) => match rest.next() {
                Some(next) => {
                    *head = next;
                    Ok(true)
                }
                None => Ok(false),
            },
            Source::Remote(remote) => remote.advance(),
        }
    }
}
