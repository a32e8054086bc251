//! Appending: how records go in, and when it is answered.
//!
//! ```text
//!   check all --> take arrivals (atomic) --> body, key --> the shard, as long as there is room --> answers
//! ```
//!
//! I1. Positions of a batch are in the order of its slice, and records of one time are read in that order.
//! I2. A batch with a record that cannot be stored is refused before any of it is handed over.
//! I3. Whoever waits for room takes the answers that he has: they may hold the room that he waits for.

use super::{LogRecord, LogStore, Position};
use crate::base::{Error, Result};
use crate::model::Record;
use crate::shard::{Outcome, Ticket};
use crate::store::Pending;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

/// Records of one batch that are under way at once: as many as two groups take.
const WINDOW: usize = 2048;

impl LogStore {
    /// Stores `record`, waiting until it is as durable as the sync mode says.
    ///
    /// # Errors
    /// `Invalid` if it can never be stored, `Poisoned`, `Closed`.
    pub fn append(&self, record: LogRecord<'_>) -> Result<Position> {
        let (position, body) = self.one(record)?;
        stored(self.store.insert(Record { key: position.key(), body: &body })?.wait()?)?;
        Ok(position)
    }

    /// As [`LogStore::append`], but `None` instead of waiting for room: for producers that would rather drop a record
    /// than be slowed. It still waits for the answer.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub fn try_append(&self, record: LogRecord<'_>) -> Result<Option<Position>> {
        let (position, body) = self.one(record)?;
        let record = Record { key: position.key(), body: &body };
        let Some(pending) = self.store.try_insert(record)? else { return Ok(None) };
        stored(pending.wait()?)?;
        Ok(Some(position))
    }

    /// [`LogStore::append`] as a future of any executor. Dropping it gives up the answer, not a record that was handed
    /// over.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub async fn append_async(&self, record: LogRecord<'_>) -> Result<Position> {
        let (position, body) = self.one(record)?;
        let record = Record { key: position.key(), body: &body };
        stored(self.store.insert_async(record).await?)?;
        Ok(position)
    }

    /// Stores `records`, and gives their positions in the order of the slice. When the disk is slower, it waits: nothing
    /// is dropped, and no more than a window of records is in memory twice.
    ///
    /// # Errors
    /// `Invalid` with the index of the first record that can never be stored: none is, then. `Poisoned`, `Closed`: some
    /// may be stored, and some not.
    pub fn append_batch(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let positions = self.admit(records)?;
        let (mut under_way, mut body) = (VecDeque::<Pending<'_>>::new(), Vec::new());
        for (record, position) in records.iter().zip(&positions) {
            record.encode(&mut body);
            let record = Record { key: position.key(), body: &body };
            let pending = loop {
                let has_window = under_way.len() < WINDOW;
                if has_window && let Some(pending) = self.store.try_insert(record)? {
                    break pending;
                }
                match under_way.pop_front() {
                    Some(oldest) => stored(oldest.wait()?)?, // I3
                    None => break self.store.insert(record)?,
                }
            };
            under_way.push_back(pending);
        }
        under_way.into_iter().try_for_each(|pending| stored(pending.wait()?))?;
        Ok(positions)
    }

    /// As [`LogStore::append_batch`], but of the records from the first on that there is no room for, none is stored:
    /// gives the positions of those before it.
    ///
    /// # Errors
    /// As [`LogStore::append_batch`].
    pub fn try_append_batch(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let mut positions = self.admit(records)?;
        let (mut under_way, mut body) = (Vec::new(), Vec::new());
        for (record, position) in records.iter().zip(&positions) {
            record.encode(&mut body);
            match self.store.try_insert(Record { key: position.key(), body: &body })? {
                Some(pending) => under_way.push(pending),
                None => break,
            }
        }
        positions.truncate(under_way.len());
        under_way.into_iter().try_for_each(|pending| stored(pending.wait()?))?;
        Ok(positions)
    }

    /// [`LogStore::append_batch`] as a future of any executor. Dropping it gives up the answers, and the records that were
    /// not handed over yet.
    ///
    /// # Errors
    /// As [`LogStore::append_batch`].
    pub async fn append_batch_async(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let positions = self.admit(records)?;
        let (mut under_way, mut body) = (VecDeque::new(), Vec::new());
        for (record, position) in records.iter().zip(&positions) {
            record.encode(&mut body);
            let record = Record { key: position.key(), body: &body };
            let entered = poll_fn(|context| self.poll_enter(record, &mut under_way, context));
            let ticket = entered.await?;
            under_way.push_back(ticket);
        }
        for ticket in under_way {
            stored(ticket.await?)?;
        }
        Ok(positions)
    }

    /// Hands `record` over, or takes answers (I3) and is woken by the next one, or by room.
    fn poll_enter(
        &self,
        record: Record<'_>,
        under_way: &mut VecDeque<Ticket>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        loop {
            if under_way.len() < WINDOW
                && let Poll::Ready(entered) = self.store.poll_insert(record, context)
            {
                return Poll::Ready(entered.map(Pending::into_future));
            }
            let Some(oldest) = under_way.front_mut() else { return Poll::Pending };
            let Poll::Ready(answer) = Pin::new(oldest).poll(context) else { return Poll::Pending };
            under_way.pop_front();
            stored(answer?)?;
        }
    }

    /// Checks one record, and gives its position and body.
    fn one(&self, record: LogRecord<'_>) -> Result<(Position, Vec<u8>)> {
        record.check(0)?;
        let (mut body, arrival) = (Vec::new(), self.arrivals.fetch_add(1, Relaxed));
        record.encode(&mut body);
        Ok((Position { ts: record.ts, arrival }, body))
    }

    /// Checks all of `records` (I2), and gives them positions.
    fn admit(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        records.iter().enumerate().try_for_each(|(index, record)| record.check(index))?;
        let first = self.arrivals.fetch_add(records.len() as u64, Relaxed);
        let place = |(record, arrival): (&LogRecord<'_>, u64)| Position { ts: record.ts, arrival };
        Ok(records.iter().zip(first..).map(place).collect())
    }
}

/// An arrival is never given twice, so there is nothing that a record could be refused for.
fn stored(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Stored { .. } => Ok(()),
        other => Err(Error::invalid("log record", format!("the engine answered {other:?}"))),
    }
}
