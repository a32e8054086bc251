//! A subscription: what is stored, then what comes in, without a gap and without a repetition.
//!
//! ```text
//!   Stored, Stored ... Eose | Live, Live ...          (Lagged, or the end when the store is closed)
//!   stream of a snapshot    | queue, which the hub fills from that very snapshot on
//! ```
//!
//! I1. The queue is bounded in events and bytes. Whoever lets it become full gets what is in it, then `Lagged`, then the
//!     end: the writer, the hub and other subscribers never wait.
//! I2. Dropping a subscription ends it; nothing of it is left in the store.

use super::event::{Event, EventRef};
use super::filter::Filter;
use super::hub;
use super::store::EventStore;
use super::streams::{Blocking, EventStream, is_over};
use crate::base::{Error, Result};
use crate::io::Clock;
use crate::query::Order;
use futures_core::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How much may wait for a subscriber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Queue {
    /// Events. Default: 4,096.
    pub events: usize,
    /// Bytes of their bodies. Default: 16 MiB. A single event is always taken.
    pub bytes: usize,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { events: 4096, bytes: 16 << 20 }
    }
}

/// What a subscription gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// An event that was stored before the subscription began, newest first.
    Stored(Event),
    /// All of those were given; what follows is new.
    Eose,
    /// An event that came in since, in the order in which its shard took it; shared by all subscriptions.
    Live(Arc<Event>),
}

impl EventStore {
    /// The events that match at least one of `filters`: those stored now, as [`EventStore::query`] gives them, then
    /// [`Update::Eose`], then each that is stored from now on, once it is as durable as the sync mode says. No event is
    /// missed and none comes twice, however writes race with the call. `limit` counts for the stored ones only; 0 asks
    /// for none.
    ///
    /// Removals are not told (see `changes`); an event that was replaced before it was taken still comes.
    ///
    /// Costs a thread for the whole store from the first subscription on; an event that comes in is matched against
    /// every subscription (some 0.1 us each), and copied once if any wants it.
    pub fn subscribe(&self, filters: &[Filter]) -> Subscription {
        self.subscribe_with(filters, Queue::default())
    }

    /// As [`EventStore::subscribe`], with a queue of the caller's choice.
    pub fn subscribe_with(&self, filters: &[Filter], queue: Queue) -> Subscription {
        let channel = Arc::new(Channel { queue, state: Mutex::default() });
        let filters = self.adopted_if_it_can(filters);
        let (snapshot, hub) = self.hub.subscribe(self, &filters, &channel);
        let stored = self.query_stream_at(&snapshot, &filters, Order::Newest, None);
        let clock = self.engine().env().clock.clone();
        Subscription { stored: Some(stored), channel, hub, clock }
    }

    /// Gives an event that is not to be stored, such as an ephemeral one, to the subscriptions that it matches. It is
    /// lost to everyone else.
    pub fn broadcast(&self, event: &EventRef<'_>) {
        self.hub.broadcast(event);
    }
}

/// Stored events, then live ones: a stream, and with [`Subscription::blocking`] an iterator. See the module.
#[must_use = "a subscription that is not polled lags"]
pub struct Subscription {
    stored: Option<EventStream>,
    channel: Arc<Channel>,
    hub: Arc<hub::Shared>,
    clock: Arc<dyn Clock>,
}

impl Subscription {
    /// The same as an iterator, which waits on its thread: for ever, if nothing comes in and the store stays open.
    pub fn blocking(self) -> Blocking<Subscription> {
        Blocking(self)
    }
}

impl Stream for Subscription {
    type Item = Result<Update>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Update>>> {
        if let Some(stored) = &mut self.stored {
            return Poll::Ready(Some(
                match std::task::ready!(Pin::new(stored).poll_next(context)) {
                    Some(Ok(event)) => Ok(Update::Stored(event)),
                    Some(Err(error)) => {
                        self.stored = None;
                        self.hub.leave(&self.channel);
                        self.channel.end();
                        Err(error)
                    }
                    None => {
                        self.stored = None;
                        Ok(Update::Eose)
                    }
                },
            ));
        }
        self.hub.poll_inline(context.waker());
        loop {
            let next = self.channel.poll(context.waker());
            match &next {
                Poll::Ready(Some(Ok(Update::Live(event)))) if is_over(event, &*self.clock) => {}
                _ => return next,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.leave(&self.channel);
    }
}

/// The queue between the hub and one subscription.
pub(super) struct Channel {
    queue: Queue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Nothing is added any more.
    over: bool,
    /// To be given behind what is queued.
    error: Option<Error>,
    waker: Option<Waker>,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event; false if that was the last thing it took. Who is to be woken is added to `wakers`.
    pub(super) fn push(&self, event: &Arc<Event>, wakers: &mut Vec<Waker>) -> bool {
        let mut state = self.lock();
        let bytes = event.body().len();
        let full = match () {
            () if state.events.len() >= self.queue.events => Some(("events", self.queue.events)),
            () if !state.events.is_empty() && state.bytes + bytes > self.queue.bytes => {
                Some(("bytes", self.queue.bytes))
            }
            () => None,
        };
        wakers.extend(state.waker.take());
        if let Some((what, limit)) = full {
            state.over = true;
            state.error = Some(Error::Lagged { what, limit: limit as u64 }); // I1
            return false;
        }
        state.bytes += bytes;
        state.events.push_back(event.clone());
        true
    }

    /// Nothing is added from now on.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Option<Result<Update>>> {
        let mut state = self.lock();
        if let Some(event) = state.events.pop_front() {
            state.bytes -= event.body().len();
            return Poll::Ready(Some(Ok(Update::Live(event))));
        }
        if state.over {
            return Poll::Ready(state.error.take().map(Err));
        }
        state.waker = Some(waker.clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
