//! The merge: the matches of one selection from all memtables and segments, in one order.
//!
//! A segment is opened only when the walk reaches its time: a query for the newest few touches the
//! newest segments only. Heads compare by time, and by id among equals.
//!
//! Opened sources are few at any moment, so that the nearest head is found by looking at each.

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

/// One place that matches come from.
pub(super) enum Source {
    /// Not looked into yet: no match comes before this time.
    Unopened {
        live: LiveSegment,
        at: Seq,
        bound: u64,
    },
    Segment(Box<SegmentSource>, Entry),
    Memtable(Arc<Memtable>, std::vec::IntoIter<(Key, Ordinal)>, (Key, Ordinal)),
    /// Matches of a whole shard, read by another thread.
    Remote(Remote),
}

/// The matches of one selection, merged.
pub(super) struct Merged {
    select: Select,
    order: Order,
    sources: Vec<Source>,
    /// Matches still to be given.
    left: usize,
    /// The source with the nearest head.
    nearest: Option<usize>,
}

impl Merged {
    /// The matches of `select` in `snapshots`.
    pub(super) fn open(select: Select, order: Order, snapshots: &[Snapshot]) -> Merged {
        let mut sources = Vec::new();
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
                    sources.push(Source::Unopened { live: live.clone(), at: snapshot.at, bound });
                }
            }
        }
        Merged::over(select, order, sources)
    }

    /// The matches that `sources` give, which is what `select` selects.
    pub(super) fn over(select: Select, order: Order, sources: Vec<Source>) -> Merged {
        let left = if select.is_empty() { 0 } else { select.limit.unwrap_or(usize::MAX) };
        Merged { select, order, sources, left, nearest: None }
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

    /// Steps over the next match.
    pub(super) fn advance(&mut self) -> Result<()> {
        let Some(nearest) = self.nearest.take() else { return Ok(()) };
        self.left -= 1;
        if !self.sources[nearest].advance()? {
            self.sources.swap_remove(nearest);
        }
        Ok(())
    }

    fn find_nearest(&mut self) -> Result<Option<usize>> {
        if self.left == 0 {
            return Ok(None);
        }
        while self.nearest.is_none() && !self.sources.is_empty() {
            let mut best = 0;
            for i in 1..self.sources.len() {
                if self.comes_before(i, best) {
                    best = i;
                }
            }
            match &self.sources[best] {
                Source::Unopened { live, at, .. } => {
                    let opened = SegmentSource::open(live, *at, &self.select, self.order)?;
                    match opened.map(Source::segment).transpose()?.flatten() {
                        Some(source) => self.sources[best] = source,
                        None => {
                            self.sources.swap_remove(best);
                        }
                    }
                }
                _ => self.nearest = Some(best),
            }
        }
        Ok(self.nearest)
    }

    /// Whether source `a` comes before source `b`. What is unopened comes before what is of its time.
    fn comes_before(&self, a: usize, b: usize) -> bool {
        let (time_a, time_b) = (self.sources[a].time(), self.sources[b].time());
        if time_a != time_b {
            return (time_a > time_b) == (self.order == Order::Newest);
        }
        if matches!(self.sources[b], Source::Unopened { .. }) {
            return false;
        }
        if matches!(self.sources[a], Source::Unopened { .. }) {
            return true;
        }
        let (key_a, key_b) = (self.sources[a].key(), self.sources[b].key());
        (key_a > key_b) == (self.order == Order::Newest)
    }
}

impl Source {
    fn segment(mut source: SegmentSource) -> Result<Option<Source>> {
        let Some(head) = source.next()? else { return Ok(None) };
        Ok(Some(Source::Segment(Box::new(source), head)))
    }

    /// The time of its head, or the first that it can have.
    fn time(&self) -> u64 {
        match self {
            Source::Unopened { bound, .. } => *bound,
            Source::Segment(_, head) => head.key.time,
            Source::Memtable(_, _, (key, _)) => key.time,
            Source::Remote(remote) => remote.key().time,
        }
    }

    fn key(&self) -> Key {
        match self {
            Source::Unopened { .. } => panic!("an unopened source has no head"),
            Source::Segment(_, head) => head.key,
            Source::Memtable(_, _, (key, _)) => *key,
            Source::Remote(remote) => remote.key(),
        }
    }

    fn record(&mut self) -> Result<Record<'_>> {
        let key = self.key();
        let body = match self {
            Source::Unopened { .. } => panic!("an unopened source has no head"),
            Source::Segment(source, head) => source.load(head)?,
            Source::Memtable(memtable, _, (_, ordinal)) => memtable.body(*ordinal),
            Source::Remote(remote) => remote.body(),
        };
        Ok(Record { key, body })
    }

    /// Steps to the next match; false if there is none.
    fn advance(&mut self) -> Result<bool> {
        match self {
            Source::Unopened { .. } => Ok(false),
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
