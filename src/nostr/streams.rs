//! The asynchronous face of reading, for any executor: streams of events, and single questions as futures.
//!
//! ```text
//!   query_stream -> EventStream: Stream<Item = Result<Event>>     work on the store's reader threads
//!                        `.blocking()` -> Iterator
//!   query_after  -> Events, behind a position                     work on the caller's thread
//! ```
//!
//! I1. Everything here is `Send`, `'static` and cancel-safe: dropping it stops the work, and nothing is half done.
//! I2. A stream is at most two slices (of 128 events or 64 KiB each) ahead of its consumer.
//!
//! Errors end a stream: `Corrupt`, `Io`, and `Closed` if the store went away first.

use super::event::{Event, EventRef};
use super::expiration;
use super::filter::Filter;
use super::store::{EventStore, Events, damaged};
use crate::base::{Key, Result};
use crate::io::Clock;
use crate::model::Record;
use crate::query::Order;
use crate::shard::block_on;
use crate::store::{StoreSnapshot, Stream as Records};
use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

fn owned(record: Record<'_>) -> Result<Event> {
    EventRef::stored(record).map(|event| event.to_owned()).map_err(damaged)
}

impl EventStore {
    /// [`EventStore::query`] as a stream of events that own their bytes.
    ///
    /// The work begins at once on a reader thread, goes on in slices as the stream is polled, and stops when it is
    /// dropped. Costs one allocation an event, and a hop between threads every 128 events; [`EventStore::query`] lends
    /// events without either, and blocks where a page has to be read. Large queries of several shards are walked by one
    /// reader here, where [`EventStore::query`] uses all. What a search finds comes in order of time, not ranked.
    pub fn query_stream(&self, filters: &[Filter]) -> EventStream {
        self.query_stream_at(&self.snapshot(), filters, Order::Newest, None)
    }

    /// As [`EventStore::query_stream`], on `snapshot`, in either order, and behind the position `after` if there is one
    /// (see [`EventStore::query_after`]).
    pub fn query_stream_at(
        &self,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        order: Order,
        after: Option<Key>,
    ) -> EventStream {
        let records = self.engine().stream_at(snapshot, self.selects(filters), order, after, owned);
        EventStream { records, last: after, clock: self.engine().env().clock.clone() }
    }

    /// [`EventStore::get`] as a future: one hop to a reader thread, which may read pages.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`.
    pub fn get_async(
        &self,
        id: &[u8; 32],
    ) -> impl Future<Output = Result<Option<Event>>> + Send + use<> {
        let found = self.engine().get_later(id, expiration::hidden(self.now()), owned);
        async move { found.await?.transpose() }
    }

    /// [`EventStore::count`] as a future. One reader counts, shard after shard.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`.
    pub fn count_async(
        &self,
        filters: &[Filter],
    ) -> impl Future<Output = Result<u64>> + Send + use<> {
        self.engine().count_later(self.selects(filters))
    }

    /// The answer behind the event at `last`, in `order`: the next page, with `limit` as its length. A position is a
    /// `created_at` and an id; it holds whether that event is still there or not, over restarts, and for other filters.
    ///
    /// Pages on one snapshot give exactly the whole answer, each event once. On newer snapshots, what came in behind
    /// the position is seen and what came in before it is not. Costs what [`EventStore::query_at`] costs, on this thread
    /// alone, and a step for each match of the same second.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn query_after(
        &self,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        order: Order,
        last: Key,
    ) -> Result<Events> {
        Ok(Events::over(self.engine().query_after(
            snapshot,
            &self.selects(filters),
            order,
            last,
        )?))
    }
}

/// The answer to a query as a stream. See the module for what it costs and promises.
#[derive(Debug)]
#[must_use = "a stream that is not polled reads two slices and no more"]
pub struct EventStream {
    records: Records<Event>,
    last: Option<Key>,
    clock: Arc<dyn Clock>,
}

/// Whether it has expired by now: what waited for its consumer is looked at again.
pub(super) fn is_over(event: &Event, clock: &dyn Clock) -> bool {
    let at = expiration::of(&event.as_ref());
    at.is_some_and(|at| at <= clock.unix_micros() / 1_000_000)
}

impl EventStream {
    /// The place of the event that was given last: where [`EventStore::query_after`] goes on.
    pub fn position(&self) -> Option<Key> {
        self.last
    }

    /// The same as an iterator, which waits on its thread.
    pub fn blocking(self) -> Blocking<EventStream> {
        Blocking(self)
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event>>> {
        loop {
            let next = self.records.poll_next(context);
            if let Poll::Ready(Some(Ok(event))) = &next {
                if is_over(event, &*self.clock) {
                    continue;
                }
                self.last = Some(event.key());
            }
            return next;
        }
    }
}

/// A stream as an iterator that waits on its thread; not for threads of an executor.
#[derive(Debug)]
pub struct Blocking<S>(pub(super) S);

impl<S> Blocking<S> {
    /// The stream, which goes on where the iterator is.
    pub fn into_stream(self) -> S {
        self.0
    }
}

impl<S: Stream + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        block_on(poll_fn(|context| Pin::new(&mut self.0).poll_next(context)))
    }
}

#[cfg(test)]
mod tests;
