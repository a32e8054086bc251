//! Reading that the caller does not wait for: on the reader threads, as futures and streams of any executor.
//!
//! ```text
//!   get_later, count_later  -> Task      one job
//!   stream_at               -> Stream    a walk in slices of SLICE_RECORDS or SLICE_BYTES
//!   query_after             -> Cursor    on the caller's thread, behind a position
//! ```
//!
//! I1. A job of the readers asks no other reader: a walk in slices is never scattered. So the readers cannot wait for
//!     one another.
//! I2. Everything that is handed out owns its snapshot, and no part of the store: it may outlive it, and says `Closed`
//!     then.

use super::{Store, StoreSnapshot};
use crate::base::{Key, Result};
use crate::model::Record;
use crate::query::{self, Cursor, Large, Next, Order, Produce, Readers, Select, Slices, Task};
use crate::shard::Snapshot;

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

    /// [`Store::get`] as a future; `read` is called on a reader thread.
    pub fn get_later<T: Send + 'static>(
        &self,
        id: &[u8; 32],
        read: impl FnOnce(Record<'_>) -> T + Send + 'static,
    ) -> Task<Option<T>> {
        let (id, snapshot) = (*id, self.snapshot());
        self.later(move || query::get(&id, snapshot.shards(), read))
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

    /// The union of `selects` over `snapshot`, in `order`, behind the position `last`: limits count from there.
    /// Costs a step for each match of the very second of `last`, beside what [`Store::walk_at`] costs.
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
