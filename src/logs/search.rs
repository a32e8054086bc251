//! A search: the answer to a query, record by record, and where to go on.
//!
//! ```text
//!   Query + Resume --> Select, within the frozen bounds --> engine's cursor --> newer arrivals left out --> limit
//!                                                                |  its limit reached: again, behind the last
//! ```
//!
//! I1. Pages are one answer: what arrived after the first page began is on none of them.
//! I2. A token's own record is found again before anything behind it is given, or the token is refused.
//! I3. A cancelled search gives nothing more and says so.

use super::query::Matching;
use super::{LogRef, LogStore, Position, Query, Resume};
use crate::base::{Error, Result};
use crate::model::Record;
use crate::query::{Cursor, Order, Select};
use crate::store::{Store, StoreSnapshot};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// An answer in the making. It owns its snapshot: what is appended later is not in it.
pub struct Search {
    store: Arc<Store>,
    snapshot: StoreSnapshot,
    /// With the bounds of time that are frozen.
    query: Query,
    select: Select,
    frozen: u64,
    cursor: Cursor,
    /// How many records the cursor gives at most, and has given.
    hint: Option<usize>,
    taken: usize,
    /// The last one that the cursor gave.
    seen: Option<Position>,
    /// The last one that was given to the caller, or before.
    last: Option<Position>,
    given: usize,
    current: Current,
    done: bool,
    cancel: CancelHandle,
}

/// Cancels a search, from any thread.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle(Arc<AtomicBool>);

impl CancelHandle {
    /// The search stops at the record it is looking at.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A record, in memory that is used again.
struct Current {
    position: Position,
    body: Vec<u8>,
    /// It was looked at, and not given yet.
    is_ahead: bool,
}

impl Search {
    pub(super) fn open(log: &LogStore, query: &Query) -> Result<Search> {
        let (store, mut query) = (log.store.clone(), query.clone());
        let (mut frozen, mut last) = (log.newest_arrival(), None);
        if let Some(resume) = query.resume.take() {
            resume.check(store.id(), &query)?;
            (query.from, query.to) = (Some(resume.from), resume.to);
            (frozen, last) = (resume.frozen, resume.after);
        }
        let cancel = CancelHandle::default();
        let mut select = narrowed(&query, frozen, last, &cancel);
        // One more than asked for, which says whether anything is left, and the token's own.
        let hint = (query.limit > 0).then(|| query.limit.saturating_add(2));
        select.limit = hint;
        let snapshot = store.snapshot();
        let cursor = store.query_at(&snapshot, std::slice::from_ref(&select), query.order())?;
        let current = Current { position: START, body: Vec::new(), is_ahead: false };
        let mut search = Search {
            store,
            snapshot,
            query,
            select,
            frozen,
            cursor,
            hint,
            taken: 0,
            seen: None,
            last,
            given: 0,
            current,
            done: false,
            cancel,
        };
        if let Some(last) = last {
            search.find(last)?;
        }
        Ok(search)
    }

    /// The next record, good until the next call; `None` behind the last, and behind the limit.
    ///
    /// # Errors
    /// `Cancelled`; `Corrupt` or `Io`. The search is at its end then.
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the search")]
    pub fn next(&mut self) -> Result<Option<LogRef<'_>>> {
        if self.query.limit > 0 && self.given == self.query.limit || !self.look_ahead()? {
            return Ok(None);
        }
        self.given += 1;
        self.current.is_ahead = false;
        let Current { position, body, .. } = &self.current;
        self.last = Some(*position);
        let record = Record { key: position.key(), body };
        LogRef::stored(record).map(Some).ok_or_else(|| {
            Error::corrupt(
                self.store.dir(),
                0,
                format!("the record at {position} is no log record"),
            )
        })
    }

    /// Where to go on behind the last record that was given; `None` if nothing is left there. Looks one record ahead.
    ///
    /// # Errors
    /// As [`Search::next`].
    pub fn resume(&mut self) -> Result<Option<Resume>> {
        let (id, frozen, last) = (self.store.id(), self.frozen, self.last);
        Ok(self.look_ahead()?.then(|| Resume::new(id, &self.query, frozen, last)))
    }

    /// Cancels this search, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Makes `current` the next record, if there is one.
    fn look_ahead(&mut self) -> Result<bool> {
        if self.current.is_ahead || self.done {
            return Ok(self.current.is_ahead);
        }
        self.done = true; // an error is the end
        let found = self.advance()?;
        self.done = !found;
        self.current.is_ahead = found;
        Ok(found)
    }

    /// Steps over everything up to `last`, which has to be there (I2).
    fn find(&mut self, last: Position) -> Result<()> {
        let order = self.query.order();
        loop {
            let found = self.advance()?;
            let position = self.current.position;
            if found && is_before(position, last, order) {
                continue;
            }
            if found && position == last {
                return Ok(());
            }
            let why = format!("there is no record at {last} any more");
            return Err(Error::Gone { what: "resume token", why });
        }
    }

    /// Puts the next record that counts into `current`.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let next = self.cursor.next()?;
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled { what: "the search" }); // I3
            }
            let Some(record) = next else {
                if self.hint.is_none_or(|hint| self.taken < hint) {
                    return Ok(false);
                }
                self.refill()?;
                continue;
            };
            self.taken += 1;
            let position = Position::of(&record.key);
            self.seen = Some(position);
            if position.arrival > self.frozen {
                continue; // I1
            }
            self.current.position = position;
            self.current.body.clear();
            self.current.body.extend_from_slice(record.body);
            return Ok(true);
        }
    }

    /// Goes on behind the last record that was seen: some counted for the engine's limit, and not for ours.
    fn refill(&mut self) -> Result<()> {
        let Some(seen) = self.seen else { return Ok(()) };
        self.hint = self.hint.map(|hint| hint.saturating_mul(2));
        self.select.limit = self.hint;
        self.taken = 0;
        let (selects, order) = (std::slice::from_ref(&self.select), self.query.order());
        self.cursor = self.store.query_after(&self.snapshot, selects, order, seen.key())?;
        Ok(())
    }
}

const START: Position = Position { ts: 0, arrival: 0 };

/// The selection of `query` from `last` on, itself included.
fn narrowed(query: &Query, frozen: u64, last: Option<Position>, cancel: &CancelHandle) -> Select {
    let mut select = query.select();
    let order = query.order();
    if let Some(Position { ts, .. }) = last {
        match order {
            Order::Newest => select.until = select.until.min(ts),
            Order::Oldest => select.since = select.since.max(ts),
        }
    }
    let (matching, cancel) = (Matching::of(query), cancel.clone());
    select.matches = Arc::new(move |record: Record<'_>| {
        let position = Position::of(&record.key);
        // A cancelled search takes whatever comes first, so that it ends there.
        cancel.is_cancelled()
            || position.arrival <= frozen
                && !last.is_some_and(|last| is_before(position, last, order))
                && matching.holds(record)
    });
    select
}

fn is_before(a: Position, b: Position, order: Order) -> bool {
    match order {
        Order::Newest => a > b,
        Order::Oldest => a < b,
    }
}
