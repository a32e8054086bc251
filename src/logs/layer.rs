//! A program's own spans and events as records: a layer of `tracing_subscriber` that appends them to a log store.
//!
//! ```text
//!   any thread:    event --render--> one JSON object --try_push--> Ring (bytes limit) --full--> counted, gone
//!   one thread:    Ring --drain--> batch --append_batch--> LogStore (may wait for the disk as long as it likes)
//! ```
//!
//! L1. Who emits an event never waits: no lock, no I/O, no allocation for its fields; what finds no room is dropped and
//!     counted, and the count is appended as a record of its own once there is room.
//! L2. Events of the store's own threads, and of the layer's, are not taken: an append could cause another without end.
//!     The threads are known by what they belong to (`io::threads::owned_by`), so that another store's are.
//! L3. What a store refuses is counted as dropped too; the next batch is tried again. The first refusal after a success is
//!     an event, for the other layers.
//! L4. Records are in the order in which their events entered the ring. Their `ts` is when they were emitted.
//!
//! Errors: starting says what is wrong with the options. Afterwards there are none: a program is not to fail for its log.

mod json;
#[cfg(test)]
mod model;
mod queue;
mod sync;
mod worker;

use super::{LogStore, Source};
use crate::base::{Error, Result};
use crate::io::threads;
use crate::io::{Clock, Env};
use crate::wal::Ring;
use json::{Closed, Line, SpanFields};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use worker::{Shared, Worker};

/// Bytes of the smallest and the largest queue: the smallest has room for a few of the largest records, the largest is
/// more than a process should spend on what it says about itself.
const QUEUE_BYTES: std::ops::RangeInclusive<usize> = (512 << 10)..=(1 << 30);

/// How long dropping a layer waits for the disk: longer than a slow disk needs for a full queue, shorter than a person
/// waits for a program to end.
const DROP_WAIT_MAX: Duration = Duration::from_secs(5);

/// How a layer works.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TracingOptions {
    /// The source of its records, by name.
    pub source: String,
    /// Bytes of events that may wait for the store, a power of two from 512 KiB to 1 GiB. Default: 4 MiB, some 15,000 events:
    /// what a busy program emits while a disk flush takes a second.
    pub queue_bytes: usize,
    /// Whether the end of a span is a record too, with how long the span was there. Default: no.
    pub span_ends: bool,
    /// How long the first event of a batch waits for others, so that a slow trickle is not a disk flush each. Default:
    /// 50 ms.
    pub linger: Duration,
}

impl TracingOptions {
    /// The defaults, for the source called `source`.
    pub fn named(source: &str) -> TracingOptions {
        TracingOptions {
            source: source.into(),
            queue_bytes: 4 << 20,
            span_ends: false,
            linger: Duration::from_millis(50),
        }
    }
}

/// The layer: events and spans go in, records of a [`LogStore`] come out. Made by [`tracing_layer`].
///
/// A record's bytes are one JSON object: `level`, `target`, `message`, `fields`, and `spans`, the outermost first, each
/// with `name` and `fields`. A value that is too long is cut, and `"cut":true` says that something is missing.
///
/// Dropping it appends what is queued, for at most five seconds. A global subscriber is never dropped: see
/// [`TracingHandle::close`].
pub struct TracingLayer {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    owner: u64,
    span_ends: bool,
}

/// What remains in hand when the layer is part of a subscriber. Cheap to clone.
#[derive(Clone)]
pub struct TracingHandle {
    shared: Arc<Shared>,
}

/// A layer that appends to `store` what it is given, from a thread of its own.
///
/// # Errors
/// `Invalid` for a source or a queue that cannot be; `Io` if there is no thread to be had.
pub fn tracing_layer(store: Arc<LogStore>, options: &TracingOptions) -> Result<TracingLayer> {
    let source = Source::named(&options.source)?;
    let bytes = options.queue_bytes;
    if !bytes.is_power_of_two() || !QUEUE_BYTES.contains(&bytes) {
        let why = format!("{bytes} is not a power of two from 512 KiB to 1 GiB");
        return Err(Error::invalid("queue_bytes", why));
    }
    let Env { clock, .. } = store.engine().env().clone();
    let owner = store.owner();
    let (ring, drainer) = Ring::new(bytes);
    let (shared, parker) = Shared::new(ring);
    let worker = Worker::new(store, source, drainer, options.linger, Arc::clone(&shared), parker);
    // L2
    let thread =
        threads::owned_by(owner, || threads::spawn("ratite-tracing", move || worker.run()));
    if thread.is_finished() {
        thread.join()?; // refused: nothing has told it to end
    } else {
        shared.keep(thread);
    }
    Ok(TracingLayer { shared, clock, owner, span_ends: options.span_ends })
}

thread_local! {
    /// The text of the event at hand. Taken while in use: a value's `Debug` may itself emit events.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl TracingLayer {
    /// To flush, to close, and to ask what was dropped.
    pub fn handle(&self) -> TracingHandle {
        TracingHandle { shared: Arc::clone(&self.shared) }
    }

    /// Whether this thread's events are not to be taken (L2).
    fn is_own_thread(&self) -> bool {
        threads::owner_current() == self.owner
    }

    /// Hands over what `write` writes.
    fn send(&self, write: impl FnOnce(&mut Line<'_>)) {
        let ts = self.clock.unix_micros();
        // A thread that is ending has none any more.
        let mut buffer = LINE.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        write(&mut Line::new(&mut buffer));
        self.shared.push(ts, &buffer);
        let _thread_is_ending = LINE.try_with(|line| line.set(buffer));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TracingLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|_| !self.is_own_thread()) else { return };
        let mut fields = SpanFields::new(self.clock.monotonic_nanos());
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.is_own_thread() {
            return;
        }
        self.send(|line| line.event(event, context.event_scope(event)));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id).filter(|_| self.span_ends) else { return };
        let began = span.extensions().get::<SpanFields>().map(SpanFields::began);
        // Without its beginning, it was one of this layer's own (L2).
        let Some(began) = began.filter(|_| !self.is_own_thread()) else { return };
        let closed = Closed {
            metadata: span.metadata(),
            micros: self.clock.monotonic_nanos().saturating_sub(began) / 1_000,
        };
        self.send(|line| line.closed(&closed, span.scope()));
    }
}

impl TracingHandle {
    /// Events that are no records: for want of room in the queue, or because the store refused them, or because they came
    /// after the end.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped()
    }

    /// Waits until all that was emitted before the call is appended, or given up, for at most so long. Whether it was.
    pub fn flush(&self, within: Duration) -> bool {
        self.shared.flush(within)
    }

    /// Appends what is queued and ends the thread, which lets go of the store; waits for that at most so long. Whether it
    /// did. What is emitted afterwards is counted as dropped.
    pub fn close(&self, within: Duration) -> bool {
        self.shared.close(within)
    }
}

impl Drop for TracingLayer {
    fn drop(&mut self) {
        let _as_far_as_it_came = self.shared.close(DROP_WAIT_MAX);
    }
}

impl fmt::Debug for TracingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TracingLayer({:?})", self.shared)
    }
}

impl fmt::Debug for TracingHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TracingHandle({:?})", self.shared)
    }
}
