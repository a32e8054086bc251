//! A walk over a selection from any position on, a chunk at a time: what searches and cursors are made of.
//!
//! ```text
//!   edge --> select, from the edge's time on --> engine's cursor, limit = chunk --> what is behind the edge
//!                 ^                                    | the chunk is over
//!                 +------ edge = the last record ------+   twice the size
//! ```
//!
//! The engine is given a limit, so that a memtable sorts no more than is asked for. What a segment has before the edge
//! at the edge's very time counts for it too, so that a chunk may give fewer, and the next one is larger: the steps in
//! all are proportional to what is stepped over.
//!
//! I1. Every record of the selection beyond the edge is given once, in order.

use super::{LogRef, Position};
use crate::base::{Error, Result};
use crate::model::Record;
use crate::query::{Cursor, Order, Select};
use crate::store::{Store, StoreSnapshot};
use std::sync::Arc;

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) at: Position,
    /// Whether a record at this very position is given.
    pub(super) included: bool,
}

impl Edge {
    /// Whether a walk in `order` that begins here gives the record at `position`.
    fn admits(self, position: Position, order: Order) -> bool {
        let is_beyond = match order {
            Order::Newest => position < self.at,
            Order::Oldest => position > self.at,
        };
        is_beyond || self.included && position == self.at
    }
}

/// A walk over a snapshot, and the record it stands on.
pub(super) struct Walk {
    pub(super) store: Arc<Store>,
    snapshot: StoreSnapshot,
    /// Without edge and limit.
    select: Select,
    order: Order,
    edge: Option<Edge>,
    /// How many records the cursor gives at most, and how many it has given.
    chunk: Option<usize>,
    taken: usize,
    cursor: Cursor,
    pub(super) position: Position,
    pub(super) body: Vec<u8>,
}

impl Walk {
    /// Over what `select` selects of `snapshot`, in `order`, from `edge` on; `chunk` is how many records are probably
    /// wanted, `None` all.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from what planning reads.
    pub(super) fn open(
        store: Arc<Store>,
        snapshot: StoreSnapshot,
        select: Select,
        order: Order,
        edge: Option<Edge>,
        chunk: Option<usize>,
    ) -> Result<Walk> {
        let cursor = open(&store, &snapshot, &select, order, edge, chunk)?;
        let (taken, position, body) = (0, Position { ts: 0, arrival: 0 }, Vec::new());
        Ok(Walk { store, snapshot, select, order, edge, chunk, taken, cursor, position, body })
    }

    /// Goes to the next record; false at the end, for ever after.
    ///
    /// # Errors
    /// `Corrupt` or `Io`; the walk is at its end then.
    pub(super) fn advance(&mut self) -> Result<bool> {
        loop {
            if self.chunk == Some(self.taken) {
                self.refill()?;
            }
            let Some(Record { key, body }) = self.cursor.next()? else {
                // Less than a chunk: there is no more.
                self.chunk = None;
                return Ok(false);
            };
            self.taken += 1;
            let position = Position::of(&key);
            if self.edge.is_none_or(|edge| edge.admits(position, self.order)) {
                self.position = position;
                self.body.clear();
                self.body.extend_from_slice(body);
                self.edge = Some(Edge { at: position, included: false });
                return Ok(true);
            }
        }
    }

    /// The record that it stands on.
    ///
    /// # Errors
    /// `Corrupt` if that is none of a log store.
    pub(super) fn record(&self) -> Result<LogRef<'_>> {
        let record = Record { key: self.position.key(), body: &self.body };
        LogRef::stored(record).ok_or_else(|| {
            let what = format!("the record at {} is none of a log store", self.position);
            Error::corrupt(self.store.dir(), 0, what)
        })
    }

    /// Opens the next chunk.
    fn refill(&mut self) -> Result<()> {
        self.chunk = self.chunk.map(|chunk| chunk.saturating_mul(2));
        self.taken = 0;
        let (store, snapshot, select) = (&self.store, &self.snapshot, &self.select);
        self.cursor = open(store, snapshot, select, self.order, self.edge, self.chunk)?;
        Ok(())
    }
}

fn open(
    store: &Store,
    snapshot: &StoreSnapshot,
    select: &Select,
    order: Order,
    edge: Option<Edge>,
    chunk: Option<usize>,
) -> Result<Cursor> {
    let mut select = Select { limit: chunk, ..select.clone() };
    if let Some(edge) = edge {
        match order {
            Order::Newest => select.until = select.until.min(edge.at.ts),
            Order::Oldest => select.since = select.since.max(edge.at.ts),
        }
        // A memtable asks of every record, and counts what matches.
        let matches = select.matches;
        select.matches = Arc::new(move |record: Record<'_>| {
            edge.admits(Position::of(&record.key), order) && matches(record)
        });
    }
    store.query_at(snapshot, std::slice::from_ref(&select), order)
}
