//! A search: the answer to a query, record by record, and where to go on.
//!
//! ```text
//!   Query + Resume --> Select, within the frozen bounds --> Walk --> newer arrivals left out --> limit
//! ```
//!
//! I1. Pages are one answer: what is appended after the first page began is on none of them.
//! I2. A token's own record is found again before anything behind it is given, or the token is refused.
//! I3. A cancelled search gives nothing more and says so, even while it finds nothing: every record that it looks at
//!     asks. What is left out by posting lists alone is not looked at; that is some 10 ns a posting.
//!
//! An append that is under way while a search begins may be in its first page or in a later one, or in none if the
//! answer has passed its place: to wait for it would hold up every search.

use super::walk::{Edge, Walk};
use super::{LogRef, LogStore, Position, Query, Resume};
use crate::base::{Error, Result};
use crate::model::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// An answer in the making. It owns its snapshot: what is appended later is not in it.
pub struct Search {
    /// With the bounds of time that are frozen.
    query: Query,
    /// No record that arrived later counts.
    frozen: u64,
    walk: Walk,
    /// The walk stands on a record that was not given yet.
    is_ahead: bool,
    /// The last record that was given, by this search or by the page before.
    last: Option<Position>,
    given: usize,
    is_over: bool,
    cancel: CancelHandle,
}

/// Cancels a search, from any thread.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle(Arc<AtomicBool>);

impl CancelHandle {
    /// The search stops at the record that it is looking at: its next answer is `Cancelled`.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Search {
    pub(super) fn open(log: &LogStore, query: &Query) -> Result<Search> {
        let (mut query, store) = (query.clone(), log.store.clone());
        // Before the snapshot, which has everything that was answered by then.
        let (mut frozen, mut last) = (log.newest_arrival(), None);
        if let Some(resume) = query.resume.take() {
            resume.check(store.id(), &query)?;
            (query.from, query.to) = (Some(resume.from), resume.to);
            (frozen, last) = (resume.frozen, resume.after);
        }
        let (snapshot, cancel) = (store.snapshot(), CancelHandle::default());
        let mut select = query.select(&snapshot);
        let (matches, cancelled) = (select.matches, cancel.clone());
        // A cancelled search takes whatever it looks at, so that it ends there (I3).
        select.matches = Arc::new(move |record: Record<'_>| {
            cancelled.is_cancelled()
                || Position::of(&record.key).arrival <= frozen && matches(record)
        });
        let edge = last.map(|at| Edge { at, included: true });
        // The token's own, and one that says whether more is left.
        let chunk = (query.limit > 0).then(|| query.limit.saturating_add(2));
        let walk = Walk::open(store, snapshot, select, query.order(), edge, chunk)?;
        let (is_ahead, given, is_over) = (false, 0, false);
        let mut search = Search { query, frozen, walk, is_ahead, last, given, is_over, cancel };
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
        self.is_ahead = false;
        self.given += 1;
        self.last = Some(self.walk.position);
        self.walk.record().map(Some)
    }

    /// Where to go on behind the last record that was given; `None` if nothing is left there. Looks one record ahead.
    ///
    /// # Errors
    /// As [`Search::next`].
    pub fn resume(&mut self) -> Result<Option<Resume>> {
        let is_left = self.look_ahead()?;
        let token = || Resume::new(self.walk.store.id(), &self.query, self.frozen, self.last);
        Ok(is_left.then(token))
    }

    /// Cancels this search, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Has the walk stand on a record that was not given yet, if there is one.
    fn look_ahead(&mut self) -> Result<bool> {
        if !self.is_ahead && !self.is_over {
            self.is_over = true; // an error is the end
            self.is_ahead = self.advance()?;
            self.is_over = !self.is_ahead;
        }
        Ok(self.is_ahead)
    }

    /// Goes to the record of the token, which has to be the first (I2).
    fn find(&mut self, last: Position) -> Result<()> {
        if self.advance()? && self.walk.position == last {
            return Ok(());
        }
        let why = format!("there is no record at {last} any more");
        Err(Error::Gone { what: "resume token", why })
    }

    /// Goes to the next record that counts.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let found = self.walk.advance()?;
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled { what: "the search" }); // I3
            }
            if !found || self.walk.position.arrival <= self.frozen {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests;
