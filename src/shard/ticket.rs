//! Tickets: where a caller waits for the answer to one write.
//!
//! ```text
//!   caller: take() -> Ticket --- number travels through the ring --> shard: answer(number, result)
//!            |  poll / wait                                            |
//!            +---------------- slot: Waiting -> Done -> Free <---------+
//! ```
//!
//! A fixed slab, so that an answer costs no allocation and waiting writes are bounded.
//! I1. A slot is reused only after the shard answered *and* the caller took the answer or went away:
//!     a ticket that is dropped early leaves its slot to the shard.
//! I2. Callers that hold all tickets, and wait for something else first, cannot keep the store's own work from its end:
//!     for that there is a reserve, whose holders wait for nothing but the shard.
//! I3. Whoever gives a ticket back tells who waits for one: the shard may be asleep by then, and stay so.

use super::Outcome;
use super::atomics::{ArrayQueue, Mutex, MutexGuard};
use super::room::Room;
use crate::base::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// The slab of one shard.
pub(super) struct Tickets {
    slots: Box<[Mutex<Slot>]>,
    free: ArrayQueue<u32>,
    /// Those from `count` on (I2).
    reserve: ArrayQueue<u32>,
    /// Who waits for a ticket, or for the ring.
    pub(super) room: Room,
}

/// Tickets that callers' records never take: beyond what flushes, removals and barriers are ever under way.
pub(super) const RESERVE: u32 = 64;

enum Slot {
    Free,
    Waiting(Option<Waker>),
    Abandoned,
    Done(Result<Outcome>),
}

/// The right to one answer. Dropping it gives up the answer, not the write.
#[must_use = "the answer says whether the record was stored"]
pub struct Ticket {
    tickets: Arc<Tickets>,
    number: u32,
    taken: bool,
}

impl Tickets {
    pub(super) fn new(count: usize) -> Arc<Tickets> {
        let (free, reserve) = (ArrayQueue::new(count), ArrayQueue::new(RESERVE as usize));
        let tickets = Tickets {
            slots: (0..count + RESERVE as usize).map(|_| Mutex::new(Slot::Free)).collect(),
            free,
            reserve,
            room: Room::default(),
        };
        (0..tickets.slots.len() as u32).for_each(|number| tickets.put(number));
        Arc::new(tickets)
    }

    /// A ticket for the store's own work, if not all of the reserve are out.
    pub(super) fn take_reserved(self: &Arc<Tickets>) -> Option<Ticket> {
        self.reserve.pop().map(|number| self.issue(number))
    }

    /// A ticket, if not all are out.
    pub(super) fn take(self: &Arc<Tickets>) -> Option<Ticket> {
        self.free.pop().map(|number| self.issue(number))
    }

    fn issue(self: &Arc<Tickets>, number: u32) -> Ticket {
        *self.slot(number) = Slot::Waiting(None);
        Ticket { tickets: self.clone(), number, taken: false }
    }

    /// Hands the answer to whoever waits on `number`.
    pub(super) fn answer(&self, number: u32, answer: Result<Outcome>) {
        let mut slot = self.slot(number);
        match std::mem::replace(&mut *slot, Slot::Free) {
            Slot::Waiting(waker) => {
                *slot = Slot::Done(answer);
                drop(slot);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Abandoned => {
                drop(slot);
                self.give_back(number);
            }
            Slot::Free | Slot::Done(_) => panic!("ticket {number} answered twice"),
        }
    }

    /// Answers everyone who still waits with what `error` makes: the shard is gone.
    pub(super) fn fail_all(&self, error: impl Fn() -> Error) {
        for number in 0..self.slots.len() as u32 {
            let waiting = matches!(*self.slot(number), Slot::Waiting(_) | Slot::Abandoned);
            if waiting {
                self.answer(number, Err(error()));
            }
        }
    }

    /// Lets `number` be taken again, and says so (I3).
    fn give_back(&self, number: u32) {
        self.put(number);
        self.room.made();
    }

    fn put(&self, number: u32) {
        let queue =
            if (number as usize) < self.free.capacity() { &self.free } else { &self.reserve };
        let pushed = queue.push(number);
        debug_assert!(pushed.is_ok(), "a slot given back twice");
    }

    fn slot(&self, number: u32) -> MutexGuard<'_, Slot> {
        // Each critical section leaves the slot whole, so a panic elsewhere cannot have torn it.
        self.slots[number as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The number that travels with the record.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Gives the slot back without an answer: the record was never handed to the shard. Tells nobody, since who
    /// cancels for want of another room would wake itself; who was kept from this ticket is the caller's to think of.
    pub(super) fn cancel(mut self) {
        *self.tickets.slot(self.number) = Slot::Free;
        self.taken = true;
        self.tickets.put(self.number);
    }

    /// The answer, if it is there; otherwise `waker` is told when it is.
    pub(crate) fn poll_answer(&mut self, waker: &Waker) -> Poll<Result<Outcome>> {
        let mut slot = self.tickets.slot(self.number);
        match std::mem::replace(&mut *slot, Slot::Free) {
            Slot::Done(answer) => {
                drop(slot);
                self.taken = true;
                self.tickets.give_back(self.number);
                Poll::Ready(answer)
            }
            Slot::Waiting(_) => {
                *slot = Slot::Waiting(Some(waker.clone()));
                Poll::Pending
            }
            Slot::Free | Slot::Abandoned => Poll::Ready(Err(Error::Closed)),
        }
    }

    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// What the shard answered.
    pub fn wait(mut self) -> Result<Outcome> {
        with_thread_waker(|waker| {
            loop {
                match self.poll_answer(waker) {
                    Poll::Ready(answer) => return answer,
                    Poll::Pending => std::thread::park(),
                }
            }
        })
    }
}

impl Future for Ticket {
    type Output = Result<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Outcome>> {
        self.poll_answer(context.waker())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut slot = self.tickets.slot(self.number);
        match std::mem::replace(&mut *slot, Slot::Abandoned) {
            Slot::Waiting(_) => {}
            Slot::Done(_) | Slot::Free | Slot::Abandoned => {
                *slot = Slot::Free;
                drop(slot);
                self.tickets.give_back(self.number);
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `f` with a waker that unparks this thread; one allocation per thread, not per wait.
pub(super) fn with_thread_waker<T>(f: impl FnOnce(&Waker) -> T) -> T {
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }
    WAKER.with(f)
}

/// Waits for `future` on this thread. The thread must not be one that `future` needs.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    with_thread_waker(|waker| {
        loop {
            match future.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    })
}
