//! Appending: how records go in, and when it is answered.
//!
//! ```text
//!   check all --> take arrivals (atomic) --> a group for each shard --full--> Store::insert_many --> answers
//! ```
//!
//! I1. Positions of a batch are in the order of its slice, and records of one time are read in that order.
//! I2. A batch with a record that cannot be stored is refused before any of it is handed over.
//! I3. Whoever waits for room takes the answers that he has: they may hold the room that he waits for.

use super::model::route_of;
use super::{LogRecord, LogStore, Position};
use crate::base::limits::BATCH_RECORD_BYTES;
use crate::base::{Error, Result};
use crate::model::Record;
use crate::shard::Outcome;
use crate::store::{Pending, Store};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

/// Groups of one batch that are under way at once, in all shards: while one is written, the next is copied.
const GROUPS_AHEAD: usize = 16;

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
    /// is dropped, and some groups of up to 256 KiB are in memory twice.
    ///
    /// # Errors
    /// `Invalid` with the index of the first record that can never be stored: none is, then. `Poisoned`, `Closed`: some
    /// may be stored, and some not.
    pub fn append_batch(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let positions = self.admit(records)?;
        let mut groups = Groups::new(&self.store, records, &positions);
        let mut under_way = VecDeque::<Pending<'_>>::new();
        while let Some(group) = groups.next() {
            let records = group.records();
            let pending = loop {
                if under_way.len() < GROUPS_AHEAD
                    && let Some(pending) = try_hand_over(&self.store, &records)?
                {
                    break pending;
                }
                match under_way.pop_front() {
                    Some(oldest) => stored(oldest.wait()?)?, // I3
                    None => break hand_over(&self.store, &records)?,
                }
            };
            under_way.push_back(pending);
        }
        under_way.into_iter().try_for_each(|pending| stored(pending.wait()?))?;
        Ok(positions)
    }

    /// As [`LogStore::append_batch`], but what there is no room for is not stored, and has no position.
    ///
    /// # Errors
    /// As [`LogStore::append_batch`].
    pub fn try_append_batch(&self, records: &[LogRecord<'_>]) -> Result<Vec<Option<Position>>> {
        let positions = self.admit(records)?;
        let mut answers = vec![None; records.len()];
        let mut groups = Groups::new(&self.store, records, &positions);
        let mut under_way = Vec::new();
        while let Some(group) = groups.next() {
            if let Some(pending) = try_hand_over(&self.store, &group.records())? {
                group.places.iter().for_each(|place| answers[place.index] = Some(place.position));
                under_way.push(pending);
            }
        }
        under_way.into_iter().try_for_each(|pending| stored(pending.wait()?))?;
        Ok(answers)
    }

    /// [`LogStore::append_batch`] as a future of any executor. Dropping it gives up the answers, and the records that were
    /// not handed over yet.
    ///
    /// # Errors
    /// As [`LogStore::append_batch`].
    pub async fn append_batch_async(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let positions = self.admit(records)?;
        let mut groups = Groups::new(&self.store, records, &positions);
        let mut under_way = VecDeque::new();
        while let Some(group) = groups.next() {
            let records = group.records();
            let route = records.first().map_or(0, |first| self.store.route(*first));
            let entered = poll_fn(|context| {
                let mut enter = || self.poll_enter(&records, &mut under_way, context);
                self.store.poll_running(route, &mut enter)
            });
            let ticket = entered.await?;
            under_way.push_back(ticket);
        }
        for ticket in under_way {
            stored(ticket.await?)?;
        }
        Ok(positions)
    }

    /// Hands a group over, or takes answers (I3) and is woken by the next one, or by room.
    fn poll_enter<'a>(
        &'a self,
        records: &[Record<'_>],
        under_way: &mut VecDeque<Pending<'a>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Pending<'a>>> {
        loop {
            if under_way.len() < GROUPS_AHEAD {
                let entered = match records {
                    [one] => self.store.poll_insert(*one, context),
                    many => self.store.poll_insert_many(many, context),
                };
                if entered.is_ready() {
                    return entered;
                }
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

/// Where a record of a group is in the batch, and where its body ends in the group.
struct Place {
    index: usize,
    position: Position,
    end: usize,
}

/// Records of one shard that are handed over together.
#[derive(Default)]
struct Group {
    bodies: Vec<u8>,
    places: Vec<Place>,
}

impl Group {
    /// Bytes as the engine counts them, with a record of `more` bytes.
    fn bytes_with(&self, more: usize) -> usize {
        self.bodies.len() + more + (self.places.len() + 1) * BATCH_RECORD_BYTES
    }

    fn records(&self) -> Vec<Record<'_>> {
        let mut start = 0;
        let record = |place: &Place| {
            let body = &self.bodies[std::mem::replace(&mut start, place.end)..place.end];
            Record { key: place.position.key(), body }
        };
        self.places.iter().map(record).collect()
    }
}

/// A batch in groups, each of one shard and within the engine's limit; what is larger by itself goes alone.
struct Groups<'a> {
    records: &'a [LogRecord<'a>],
    positions: &'a [Position],
    /// The record that comes next.
    index: usize,
    /// By shard.
    filling: Vec<Group>,
    bytes_max: usize,
}

impl<'a> Groups<'a> {
    fn new(store: &Store, records: &'a [LogRecord<'a>], positions: &'a [Position]) -> Groups<'a> {
        let mut filling = Vec::new();
        filling.resize_with(store.shard_count(), Group::default);
        Groups { records, positions, index: 0, filling, bytes_max: store.batch_bytes_max() }
    }

    /// A group that is full, or is left at the end.
    fn next(&mut self) -> Option<Group> {
        while let Some(record) = self.records.get(self.index) {
            // The low bits choose the shard, as the engine has it.
            let shard = route_of(&record.source.uuid()) as usize & (self.filling.len() - 1);
            let group = &mut self.filling[shard];
            if !group.places.is_empty() && group.bytes_with(record.body_bytes()) > self.bytes_max {
                return Some(std::mem::take(group));
            }
            record.encode(&mut group.bodies);
            let (index, position) = (self.index, self.positions[self.index]);
            group.places.push(Place { index, position, end: group.bodies.len() });
            self.index += 1;
        }
        let left = self.filling.iter_mut().find(|group| !group.places.is_empty());
        left.map(std::mem::take)
    }
}

fn hand_over<'a>(store: &'a Store, records: &[Record<'_>]) -> Result<Pending<'a>> {
    match records {
        [one] => store.insert(*one),
        many => store.insert_many(many),
    }
}

fn try_hand_over<'a>(store: &'a Store, records: &[Record<'_>]) -> Result<Option<Pending<'a>>> {
    match records {
        [one] => store.try_insert(*one),
        many => store.try_insert_many(many),
    }
}

/// An arrival is never given twice, so there is nothing that a record could be refused for.
fn stored(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Stored { .. } => Ok(()),
        other => Err(Error::invalid("log record", format!("the engine answered {other:?}"))),
    }
}
