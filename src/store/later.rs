//! Reading that the caller does not wait for: on the reader threads, as futures and streams of any executor.
//!
//! ```text
//!   get_later, count_later  -> Task      one job
//!   stream_at               -> Stream    a walk in slices of SLICE_RECORDS or SLICE_BYTES
//!   changes                 -> Slices    the logs, as they grow
//!   query_after             -> Cursor    on the caller's thread, behind a position
//! ```
//!
//! I1. A job of the readers asks no other reader: a walk in slices is never scattered. So the readers cannot wait for
//!     one another.
//! I2. Everything that is handed out owns its snapshot, and no part of the store: it may outlive it, and says `Closed`
//!     then.

use super::{Store, StoreSnapshot};
use crate::base::limits::KILLS_PER_RECORD_MAX;
use crate::base::{Key, Result};
use crate::model::Record;
use crate::query::{
    self, Cursor, Expired, Large, Next, Order, Produce, Readers, Select, Slices, Task,
};
use crate::shard::{ChangeReader, LogPosition, Outcome, Shard, Snapshot};
use std::future::poll_fn;

/// Records and bytes of one slice: some 100 us of a reader, and one hop to the consumer.
const SLICE_RECORDS: usize = 128;
const SLICE_BYTES: usize = 64 << 10;

/// What a stream makes of each record.
pub type Reading<T> = Box<dyn Fn(Record<'_>) -> Result<T> + Send>;

/// A stream of what a walk finds.
pub type Stream<T> = Slices<Read<T>>;

/// A walk over an answer, slice by slice.
pub struct Read<T> {
    walk: Walk,
    reading: Reading<T>,
}

enum Walk {
    Planned { selects: Vec<Select>, order: Order, snapshots: Vec<Snapshot>, after: Option<Key> },
    Open(Box<Cursor>),
}

impl<T: Send + 'static> Produce for Read<T> {
    type Item = T;

    fn slice(&mut self, out: &mut Vec<T>) -> Result<Next> {
        if let Walk::Planned { selects, order, snapshots, after } = &self.walk {
            let cursor = match after {
                Some(last) => Cursor::open_after(selects, *order, snapshots, *last)?,
                None => Cursor::open(selects, *order, snapshots, &nobody())?, // I1
            };
            self.walk = Walk::Open(Box::new(cursor));
        }
        let Walk::Open(cursor) = &mut self.walk else { return Ok(Next::End) };
        let mut bytes = 0;
        while out.len() < SLICE_RECORDS && bytes < SLICE_BYTES {
            let Some(record) = cursor.next()? else { return Ok(Next::End) };
            bytes += record.body.len();
            out.push((self.reading)(record)?);
        }
        Ok(Next::More)
    }
}

fn nobody() -> Readers {
    Readers::start(0, Large::default())
}

impl Store {
    /// Has `work` done on a reader thread; without such threads, by whoever polls the task first.
    pub fn later<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Task<T> {
        Task::new(&self.readers, work)
    }

    /// [`Store::get_by_time`] as a future; `read` is called on a reader thread.
    pub fn get_later<T: Send + 'static>(
        &self,
        id: &[u8; 32],
        expired: Expired,
        read: impl FnOnce(Record<'_>) -> T + Send + 'static,
    ) -> Task<Option<T>> {
        let (id, snapshot) = (*id, self.snapshot());
        self.later(move || query::get(&id, snapshot.shards(), Some(expired), read))
    }

    /// [`Store::count`] as a future. One reader counts, shard after shard (I1).
    pub fn count_later(&self, selects: Vec<Select>) -> Task<u64> {
        let asked = self.asked(&self.snapshot(), &selects);
        self.later(move || query::count(&selects, &asked, &nobody()))
    }

    /// The union of `selects` over `snapshot`, in `order`, behind the position `after` if there is one, as a stream.
    ///
    /// The first slice is begun at once; two slices of at most 128 records or 64 KiB are made ahead of the consumer, and
    /// no more. One reader at a time works on it.
    pub fn stream_at<T: Send + 'static>(
        &self,
        snapshot: &StoreSnapshot,
        selects: Vec<Select>,
        order: Order,
        after: Option<Key>,
        reading: impl Fn(Record<'_>) -> Result<T> + Send + 'static,
    ) -> Stream<T> {
        let snapshots = self.asked(snapshot, &selects);
        let walk = Walk::Planned { selects, order, snapshots, after };
        Slices::new(&self.readers, |_bell| Read { walk, reading: Box::new(reading) })
    }

    /// Where each shard's log of what is published ends. A snapshot that is taken behind this has all of it.
    pub fn log_ends(&self) -> Vec<LogPosition> {
        self.shards.iter().map(Shard::log_end).collect()
    }

    /// What the shards' logs hold from these positions on, one for each shard, as a stream that `produce` makes of the
    /// readers.
    ///
    /// # Panics
    /// If there are not as many positions as shards.
    pub fn changes<P: Produce>(
        &self,
        from: &[LogPosition],
        produce: impl FnOnce(Vec<ChangeReader>) -> P,
    ) -> Slices<P> {
        assert_eq!(from.len(), self.shards.len(), "a position for each shard");
        Slices::new(&self.readers, |bell| {
            let readers = self.shards.iter().zip(from);
            produce(readers.map(|(shard, from)| shard.changes(*from, bell)).collect())
        })
    }

    /// [`Store::remove`] as a future. Dropping it gives up the answer; some groups may be
    /// removed then, each as a whole.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub async fn remove_async(&self, route: u64, ids: &[[u8; 32]]) -> Result<u64> {
        let shard = &self.shards[self.shard_of_route(route)];
        let mut removed = 0;
        for ids in ids.chunks(KILLS_PER_RECORD_MAX) {
            let entered = poll_fn(|context| shard.poll_running(|| shard.poll_remove(ids, context)));
            if let Outcome::Removed { records } = shard.answer(entered.await?).await? {
                removed += u64::from(records);
            }
        }
        Ok(removed)
    }

    /// The union of `selects` over `snapshot`, in `order`, behind the position `last`: limits count from there.
    /// Costs a step for each match of the very second of `last`, and a sort of all matches in memtables, beside what
    /// [`Store::walk_at`] costs.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the pages that planning reads.
    pub fn query_after(
        &self,
        snapshot: &StoreSnapshot,
        selects: &[Select],
        order: Order,
        last: Key,
    ) -> Result<Cursor> {
        Cursor::open_after(selects, order, &self.asked(snapshot, selects), last)
    }
}
