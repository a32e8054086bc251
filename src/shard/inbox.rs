//! The way in: how callers on any thread hand records to the shard's thread.
//!
//! ```text
//!   insert: check -> ticket -> copy into the ring -> wake the shard if it sleeps -> wait on the ticket
//! ```
//!
//! I1. A record that entered the ring is answered: the shard ends only after `close` was set, no
//!     caller is between its check of `close` and its push, and the ring is empty.
//! I2. A caller that found no room is woken after room was made, by the shard or by who gave a ticket back: it
//!     registers, then tries again (`room`).

use super::atomics::{AtomicBool, AtomicU32, Ordering::*, Ring, fence, yield_now};
use super::format::message_head;
use super::ticket::{Ticket, Tickets, with_thread_waker};
use super::write::{MANY, OWN};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Error, Result};
use crate::io::Wake;
use crate::model::Record;
use crate::wal::Full;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// The callers' side of a shard.
pub(super) struct Inbox {
    ring: Arc<Ring>,
    pub(super) tickets: Arc<Tickets>,
    /// Ends the shard's sleep; set when its thread has made its queue.
    wake: OnceLock<Arc<dyn Wake>>,
    /// The shard is about to sleep with nothing under way. No plain store: as in `io::signal`.
    idle: AtomicBool,
    closing: AtomicBool,
    /// Callers between their check of `closing` and their push.
    entering: AtomicU32,
}

impl Inbox {
    pub(super) fn new(ring: Arc<Ring>, in_flight: usize) -> Inbox {
        Inbox {
            ring,
            tickets: Tickets::new(in_flight),
            wake: OnceLock::new(),
            idle: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            entering: AtomicU32::new(0),
        }
    }

    /// Hands `record` over if there is room; `None` if there is not at present.
    ///
    /// # Errors
    /// `Closed`, or `Invalid` if the record is too long ever to fit.
    pub(super) fn try_insert(&self, record: Record<'_>) -> Result<Option<Ticket>> {
        self.send_record(false, record)
    }

    /// As [`Inbox::try_insert`], for the store's own records: with a ticket of the reserve.
    ///
    /// # Errors
    /// As [`Inbox::try_insert`].
    pub(super) fn try_insert_own(&self, record: Record<'_>) -> Result<Option<Ticket>> {
        self.send_record(true, record)
    }

    /// Hands a batch over (`batch.rs`) if there is room; `None` if there is not at present.
    ///
    /// # Errors
    /// `Closed`, or `Full` if it can never fit.
    pub(super) fn try_insert_many(&self, message: &[u8]) -> Result<Option<Ticket>> {
        self.send(false, MANY, &[message])
    }

    fn send_record(&self, own: bool, record: Record<'_>) -> Result<Option<Ticket>> {
        if record.body.len() > RECORD_BYTES_MAX {
            let why =
                format!("{} bytes are over the limit of {RECORD_BYTES_MAX}", record.body.len());
            return Err(Error::invalid("record", why));
        }
        let flags = if own { OWN } else { 0 };
        self.send(own, flags, &[&message_head(&record.key), record.body])
    }

    /// Sends a message of the store's own with the tag `flags` + ticket number if there is room.
    pub(super) fn try_send(&self, flags: u64, parts: &[&[u8]]) -> Result<Option<Ticket>> {
        self.send(true, flags, parts)
    }

    fn send(&self, own: bool, flags: u64, parts: &[&[u8]]) -> Result<Option<Ticket>> {
        self.entering.fetch_add(1, SeqCst);
        let entered = self.enter(own, flags, parts);
        self.entering.fetch_sub(1, SeqCst);
        if matches!(entered, Ok(Some(_))) {
            self.wake_if_idle();
        }
        entered
    }

    fn enter(&self, own: bool, flags: u64, parts: &[&[u8]]) -> Result<Option<Ticket>> {
        if self.closing.load(SeqCst) {
            return Err(Error::Closed);
        }
        let ticket = if own { self.tickets.take_reserved() } else { self.tickets.take() };
        let Some(ticket) = ticket else { return Ok(None) };
        match self.ring.try_push(flags | u64::from(ticket.number()), parts) {
            Ok(()) => Ok(Some(ticket)),
            Err(full) => {
                ticket.cancel();
                match full {
                    Full::Now => {
                        // What is in the ring will be answered, and then all are told. With nothing in it any
                        // more, nobody would tell who found no ticket while this one was out. The fence: either
                        // who looks for a ticket after all were told finds this one, or the ring is seen empty.
                        fence(SeqCst);
                        if self.ring.is_empty() {
                            self.tickets.room.made();
                        }
                        Ok(None)
                    }
                    Full::Never => {
                        let limit = self.ring.message_bytes_max() as u64;
                        Err(Error::Full { what: "write ring, bytes of one record", limit })
                    }
                }
            }
        }
    }

    /// Hands `record` over, waiting for room as a future does (I2).
    pub(super) fn poll_insert(
        &self,
        record: Record<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        self.poll_room(context, || self.try_insert(record))
    }

    /// As [`Inbox::try_send`], waiting for room as a future does (I2).
    pub(super) fn poll_send(
        &self,
        flags: u64,
        parts: &[&[u8]],
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        self.poll_room(context, || self.try_send(flags, parts))
    }

    fn poll_room(
        &self,
        context: &mut Context<'_>,
        enter: impl Fn() -> Result<Option<Ticket>>,
    ) -> Poll<Result<Ticket>> {
        if let Some(done) = enter().transpose() {
            return Poll::Ready(done);
        }
        self.tickets.room.register(context.waker());
        match enter().transpose() {
            Some(done) => Poll::Ready(done),
            None => Poll::Pending,
        }
    }

    /// As [`Inbox::try_insert_many`], waiting for room as a future does (I2).
    pub(super) fn poll_insert_many(
        &self,
        message: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        self.poll_room(context, || self.try_insert_many(message))
    }

    /// Waits on this thread for what `poll` waits for.
    pub(super) fn until_room(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<Ticket>>,
    ) -> Result<Ticket> {
        with_thread_waker(|waker| {
            let mut context = Context::from_waker(waker);
            loop {
                match poll(&mut context) {
                    Poll::Ready(done) => return done,
                    Poll::Pending => std::thread::park(),
                }
            }
        })
    }

    /// Bytes of the largest message that ever fits.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.ring.message_bytes_max()
    }

    // --- the shard's side ---

    pub(super) fn set_wake(&self, wake: Arc<dyn Wake>) {
        let set = self.wake.set(wake);
        debug_assert!(set.is_ok(), "a shard has one queue");
    }

    /// Ends the shard's sleep, whatever it waits for.
    pub(super) fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake.wake();
        }
    }

    fn wake_if_idle(&self) {
        // The push comes before the look at `idle`, and the shard's look at the ring after it set
        // `idle`: one of the two sees the other.
        fence(SeqCst);
        if self.idle.load(SeqCst) && self.idle.swap(false, SeqCst) {
            self.wake();
        }
    }

    /// Announces that the shard is about to sleep; false if it must not, since there is work.
    pub(super) fn going_idle(&self, has_message: impl Fn() -> bool) -> bool {
        self.idle.swap(true, SeqCst);
        fence(SeqCst);
        let sleep = !has_message() && !self.closing.load(SeqCst);
        if !sleep {
            self.awake();
        }
        sleep
    }

    pub(super) fn awake(&self) {
        self.idle.swap(false, SeqCst);
    }

    /// Wakes the callers that wait for room.
    pub(super) fn made_room(&self) {
        self.tickets.room.made();
    }

    /// No record enters from now on.
    pub(super) fn close(&self) {
        self.closing.store(true, SeqCst);
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(SeqCst)
    }

    /// Waits until no caller is between its check and its push. The inbox is closed, and a push
    /// never blocks, so that is a matter of instructions.
    pub(super) fn until_entered(&self) {
        while self.entering.load(SeqCst) > 0 {
            yield_now();
        }
    }

    /// Whether nothing is in the ring and nothing can come any more (I1).
    pub(super) fn is_drained(&self) -> bool {
        self.is_closing() && self.entering.load(SeqCst) == 0 && self.ring.is_empty()
    }
}
