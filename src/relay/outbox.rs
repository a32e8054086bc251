//! What waits to be sent to one client.
//!
//! ```text
//!   connection: answers, stored events --push--> [ messages, bytes ] --take--> writer --> socket
//!   feed:       live events ------push_live-----^
//! ```
//!
//! I1. All who wait on an outbox are futures of one task, the connection's; so one waker serves
//!     taking, room and overflow alike, and each looks again when it is woken.
//! I2. Live events never make the queue longer than its limit: the one that would ends the client.
//!     Answers may: whoever gives them stops at `is_full`, which is far below the limit.
//! I3. All queues of a thread have a limit together. Beyond it both limits of each client are a 16th of what they are:
//!     a client that reads has little queued and does not notice, and ten thousand that do not read hold what a few may.

use super::limits::Limits;
use super::stats::Counters;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio_tungstenite::tungstenite::protocol::Message;

/// What is left of a client's limits when all of its thread hold too much (I3): 256 KiB and 64 KiB of the defaults,
/// more than any one event.
pub(super) const PRESSED: usize = 16;

/// Why a connection ends that its client did not end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// A live event found no room.
    Slow,
    /// The relay stops.
    Stop,
}

/// The queue of one client.
pub(super) struct Outbox {
    messages: RefCell<VecDeque<Message>>,
    /// Bytes of `messages`.
    queued_bytes: Cell<usize>,
    /// Bytes of what is held elsewhere, to be queued later.
    held_bytes: Cell<usize>,
    bytes_max: usize,
    full_bytes: usize,
    /// What all queues of the thread may hold.
    thread_bytes_max: u64,
    /// A live event found no room.
    overflown: Cell<bool>,
    /// The relay stops.
    stopping: Cell<bool>,
    /// Nothing more comes.
    finished: Cell<bool>,
    /// The writer waits for the socket.
    blocked: Cell<bool>,
    /// The socket is to be flushed, whether anything is queued or not.
    flush: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    counters: Arc<Counters>,
}

impl Outbox {
    /// That of a client of one of so many threads.
    pub(super) fn new(limits: &Limits, threads: usize, counters: Arc<Counters>) -> Outbox {
        Outbox {
            messages: RefCell::default(),
            queued_bytes: Cell::new(0),
            held_bytes: Cell::new(0),
            bytes_max: limits.outbound_bytes,
            full_bytes: limits.outbound_full_bytes(),
            thread_bytes_max: (limits.outbound_total_bytes / threads.max(1)) as u64,
            overflown: Cell::new(false),
            stopping: Cell::new(false),
            finished: Cell::new(false),
            blocked: Cell::new(false),
            flush: Cell::new(false),
            waker: RefCell::default(),
            counters,
        }
    }

    /// Queues an answer.
    pub(super) fn push(&self, message: Message) {
        self.queued_bytes.set(self.queued_bytes.get() + message.len());
        self.counters.queued_bytes.add_many(message.len());
        self.messages.borrow_mut().push_back(message);
        self.wake();
    }

    /// Queues a live event, or marks the client as too slow (I2).
    pub(super) fn push_live(&self, message: Message) {
        if self.has_room_for(&message) {
            self.push(message);
        }
    }

    /// Accounts for a live event that is queued later, or marks the client as too slow (I2).
    pub(super) fn hold(&self, message: &Message) -> bool {
        let room = self.has_room_for(message);
        if room {
            self.held_bytes.set(self.held_bytes.get() + message.len());
            self.counters.queued_bytes.add_many(message.len());
        }
        room
    }

    /// Ends the account of a message that was held.
    pub(super) fn release(&self, message: &Message) {
        self.held_bytes.set(self.held_bytes.get() - message.len());
        self.counters.unqueued_bytes.add_many(message.len());
    }

    fn has_room_for(&self, message: &Message) -> bool {
        let bytes = self.queued_bytes.get() + self.held_bytes.get();
        // A single event may be larger than the limit; that is no fault of the client.
        let fits = bytes == 0 || bytes + message.len() <= self.bytes_max / self.divisor();
        if !fits {
            self.overflown.set(true);
            self.wake();
        }
        // What overflew once gets nothing more, or it would miss one event and get the next.
        !self.overflown.get()
    }

    /// Whether who answers the client's own requests has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.queued_bytes.get() >= self.full_bytes / self.divisor()
    }

    /// By what a client's limits are divided now (I3). Nobody but this thread changes what is compared.
    fn divisor(&self) -> usize {
        let (queued, gone) = (&self.counters.queued_bytes, &self.counters.unqueued_bytes);
        match queued.get().saturating_sub(gone.get()) > self.thread_bytes_max {
            true => PRESSED,
            false => 1,
        }
    }

    /// Whether a live event found no room: the client is to be dropped, and gets no more of them.
    pub(super) fn is_overflown(&self) -> bool {
        self.overflown.get()
    }

    /// Whether the writer waits for the socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    /// Has the writer flush: something was written to the socket beside this queue, as the answer to a ping is.
    pub(super) fn ask_flush(&self) {
        self.flush.set(true);
        self.wake();
    }

    /// Waits until that is asked.
    pub(super) async fn flush_asked(&self) {
        poll_fn(|context| if self.flush.take() { Poll::Ready(()) } else { self.wait(context) })
            .await
    }

    /// Drops what is queued: the client does not read it.
    pub(super) fn clear(&self) {
        self.messages.borrow_mut().clear();
        self.counters.unqueued_bytes.add_many(self.queued_bytes.take());
        self.wake();
    }

    /// Ends the queue: `take` gives what is there and then `None`.
    pub(super) fn finish(&self) {
        self.finished.set(true);
        self.wake();
    }

    /// The next message, waiting for one.
    pub(super) async fn take(&self) -> Option<Message> {
        poll_fn(|context| {
            let message = self.messages.borrow_mut().pop_front();
            match message {
                Some(message) => {
                    self.queued_bytes.set(self.queued_bytes.get() - message.len());
                    self.counters.unqueued_bytes.add_many(message.len());
                    self.counters.sent_bytes.add_many(message.len());
                    self.wake();
                    Poll::Ready(Some(message))
                }
                None if self.finished.get() => Poll::Ready(None),
                None => self.wait(context),
            }
        })
        .await
    }

    /// Whether `take` would have to wait.
    pub(super) fn is_drained(&self) -> bool {
        self.messages.borrow().is_empty()
    }

    /// Waits until the queue is not full.
    pub(super) async fn room(&self) {
        poll_fn(|context| if self.is_full() { self.wait(context) } else { Poll::Ready(()) }).await
    }

    /// Tells the connection to end.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.wake();
    }

    /// Waits for a reason to end that is not the client's own: it is too slow, or the relay stops.
    pub(super) async fn ending(&self) -> Ending {
        poll_fn(|context| match (self.overflown.get(), self.stopping.get()) {
            (true, _) => Poll::Ready(Ending::Slow),
            (_, true) => Poll::Ready(Ending::Stop),
            _ => self.wait(context),
        })
        .await
    }

    fn wait<T>(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.counters.unqueued_bytes.add_many(self.queued_bytes.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(&Limits { outbound_bytes: 40, ..Limits::default() }, 1, Arc::default())
    }

    /// Two clients of a thread: what one leaves unread makes little difference to the other, while it reads.
    #[test]
    fn when_all_hold_too_much_each_may_hold_less() {
        let limits =
            Limits { outbound_bytes: 3_200, outbound_total_bytes: 4_000, ..Limits::default() };
        let counters: Arc<Counters> = Arc::default();
        let outbox = || Outbox::new(&limits, 2, counters.clone());
        let (one, two) = (outbox(), outbox());
        let message = || Message::text("x".repeat(100));
        // Its share is 2,000 bytes, those of both clients, held ones included.
        (0..15).for_each(|_| one.push_live(message()));
        (0..5).for_each(|_| assert!(two.hold(&message())));
        assert!(!one.is_overflown() && one.is_full() && !two.is_overflown());
        two.push(message());
        assert!(two.is_full(), "a 16th of 800");
        for _ in 0..6 {
            assert!(taken(&two).is_ready() || !two.is_full());
        }
        (0..5).for_each(|_| two.release(&message()));
        two.push_live(message());
        assert!(!two.is_overflown(), "who reads is not touched");
        (0..6).for_each(|_| two.push_live(message()));
        assert!(two.is_overflown(), "a 16th of 3,200");
        drop(one);
        let three = outbox();
        (0..14).for_each(|_| three.push_live(message()));
        assert!(!three.is_overflown(), "what one held is given back");
        drop((two, three));
        assert_eq!(counters.queued_bytes.get(), counters.unqueued_bytes.get());
    }

    fn taken(outbox: &Outbox) -> Poll<Option<Message>> {
        let mut take = std::pin::pin!(outbox.take());
        take.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn messages_come_out_in_order_and_then_the_end() {
        let outbox = outbox();
        outbox.push(Message::text("a"));
        outbox.push_live(Message::text("b"));
        for expected in ["a", "b"] {
            let Poll::Ready(Some(message)) = taken(&outbox) else { panic!("{expected}") };
            assert_eq!(message.into_text().unwrap(), expected);
        }
        assert!(outbox.is_drained() && taken(&outbox).is_pending());
        outbox.finish();
        assert!(matches!(taken(&outbox), Poll::Ready(None)));
        assert_eq!(outbox.queued_bytes.get(), 0);
    }

    #[test]
    fn live_events_never_pass_the_limit_and_answers_stop_early() {
        let outbox = outbox();
        outbox.push_live(Message::text("x".repeat(100)));
        assert!(outbox.is_full() && !outbox.is_overflown(), "one large event is no fault");
        outbox.push(Message::text("answer"));
        outbox.push_live(Message::text("y"));
        assert!(outbox.is_overflown());
        assert!(taken(&outbox).is_ready() && taken(&outbox).is_ready() && outbox.is_drained());
        outbox.push_live(Message::text("z"));
        assert!(outbox.is_drained());
    }

    #[test]
    fn what_is_held_counts_against_the_limit_and_makes_nobody_wait() {
        let outbox = outbox();
        let message = || Message::text("x".repeat(20));
        assert!(outbox.hold(&message()) && outbox.hold(&message()) && !outbox.is_full());
        outbox.release(&message());
        outbox.push(message());
        assert!(outbox.is_full() && !outbox.hold(&message()) && outbox.is_overflown());
        outbox.release(&message());
        outbox.clear();
        assert_eq!((outbox.queued_bytes.get(), outbox.held_bytes.get()), (0, 0));
        assert!(outbox.is_drained());
    }
}
