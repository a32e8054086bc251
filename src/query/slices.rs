//! A long piece of reading in slices, on the reader threads, no faster than its results are taken.
//!
//! ```text
//!   Slices::poll_next <-- [slice][slice] <-- reader thread: Produce::slice --+
//!        |  takes one: room                       ^   one slice, then others' jobs come first
//!        +----------------------------------------+
//! ```
//!
//! I1. At most `SLICES_AHEAD` slices wait to be taken, and at most one is being made: memory is bounded, and a
//!     consumer who does not poll costs nothing.
//! I2. The producer is in one place: parked here, or in one job. So slices come in order.
//! I3. Dropping the stream stops the work behind the slice that is being made; the producer, and the snapshot it
//!     has, is dropped then.
//! I4. Without reader threads the slice is made by whoever polls.
//! I5. No lock is held while a slice is made, a job is given, a waker is called or a producer is dropped.

use super::scatter::{Job, Jobs, Readers};
use crate::base::{Error, Result};
use crate::io::Wake;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Slices that are made ahead of the consumer: while it takes one, the next is made.
const SLICES_AHEAD: usize = 2;

/// What a producer does after a slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It goes on as soon as there is room.
    More,
    /// It goes on when it is woken (the bell of `Slices::new`).
    Idle,
    /// There is no more.
    End,
}

/// Something that is read slice by slice.
pub trait Produce: Send + 'static {
    /// What it produces.
    type Item: Send + 'static;

    /// Makes one slice. May block for reads, and not for other slices.
    ///
    /// # Errors
    /// Ends the stream, behind what was put into `out`.
    fn slice(&mut self, out: &mut Vec<Self::Item>) -> Result<Next>;
}

/// The consumer's end: a stream of what a producer makes. See the module.
pub struct Slices<P: Produce> {
    shared: Arc<Shared<P>>,
    taking: std::vec::IntoIter<P::Item>,
    bell: Arc<dyn Wake>,
}

/// What the consumer, the reader threads and the bell share.
struct Shared<P: Produce> {
    /// `None`: the consumer does the work (I4).
    jobs: Option<Jobs>,
    state: Mutex<State<P>>,
}

struct State<P: Produce> {
    /// Parked (I2).
    producer: Option<P>,
    ready: VecDeque<Vec<P::Item>>,
    next: Next,
    error: Option<Error>,
    /// The bell has rung since the last slice was begun.
    rung: bool,
    waker: Option<Waker>,
    dropped: bool,
}

impl<P: Produce> State<P> {
    /// Takes the producer out, if there is a slice to make.
    fn begin(&mut self) -> Option<P> {
        let wanted = match self.next {
            Next::More => true,
            Next::Idle => self.rung,
            Next::End => false,
        };
        let room = self.ready.len() < SLICES_AHEAD; // I1
        if !wanted || !room || self.dropped {
            return None;
        }
        let producer = self.producer.take()?;
        self.rung = false;
        Some(producer)
    }
}

impl<P: Produce> Shared<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // Each critical section leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a job to the readers, if there is a slice to make.
    fn give(self: &Arc<Self>) {
        let Some(jobs) = &self.jobs else { return };
        let Some(producer) = self.lock().begin() else { return };
        let turn = Turn { shared: Arc::clone(self), producer: Some(producer) };
        let job: Job = Box::new(move || turn.run());
        // A job that cannot be given is dropped, and its turn says so.
        drop(jobs.send(Some(job)));
    }

    /// Makes a slice on this thread, and parks the producer again.
    fn make(&self, mut producer: P) {
        let mut slice = Vec::new();
        let made = producer.slice(&mut slice);
        let mut state = self.lock();
        let mut parting = Some(producer);
        if !state.dropped {
            if !slice.is_empty() {
                state.ready.push_back(std::mem::take(&mut slice));
            }
            state.next = *made.as_ref().unwrap_or(&Next::End);
            state.error = made.err();
            if state.next != Next::End {
                state.producer = parting.take();
            }
        }
        let waker = state.waker.take();
        drop(state); // I5
        drop((parting, slice));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.next = Next::End;
        state.error = Some(error);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A producer in a job. If the job is thrown away or panics, the consumer hears of it.
struct Turn<P: Produce> {
    shared: Arc<Shared<P>>,
    producer: Option<P>,
}

impl<P: Produce> Turn<P> {
    fn run(mut self) {
        if let Some(producer) = self.producer.take() {
            self.shared.make(producer);
            self.shared.give();
        }
    }
}

impl<P: Produce> Drop for Turn<P> {
    fn drop(&mut self) {
        if self.producer.take().is_some() || std::thread::panicking() {
            self.shared.fail(Error::Closed);
        }
    }
}

/// Rings for a producer that was idle.
struct Bell<P: Produce>(Weak<Shared<P>>);

impl<P: Produce> fmt::Debug for Bell<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

impl<P: Produce> Wake for Bell<P> {
    fn wake(&self) {
        let Some(shared) = self.0.upgrade() else { return };
        let waker = {
            let mut state = shared.lock();
            state.rung = true;
            // With readers, the waker waits for what they find.
            state.waker.take_if(|_| shared.jobs.is_none())
        };
        shared.give();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<P: Produce> Slices<P> {
    /// Has what `begin` makes worked off by `readers`; `begin` is given the bell that wakes the producer when it
    /// is idle, which is heard as long as the stream lives.
    pub fn new(readers: &Readers, begin: impl FnOnce(&Arc<dyn Wake>) -> P) -> Slices<P> {
        let state = State {
            producer: None,
            ready: VecDeque::with_capacity(SLICES_AHEAD),
            next: Next::More,
            error: None,
            rung: false,
            waker: None,
            dropped: false,
        };
        let shared = Arc::new(Shared { jobs: readers.sender(), state: Mutex::new(state) });
        let bell: Arc<dyn Wake> = Arc::new(Bell(Arc::downgrade(&shared)));
        let producer = begin(&bell);
        shared.lock().producer = Some(producer);
        shared.give();
        Slices { shared, taking: Vec::new().into_iter(), bell }
    }

    /// The next item; `None` at the end, for ever after.
    ///
    /// # Errors
    /// What the producer met, once: the end follows.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<P::Item>>> {
        loop {
            if let Some(item) = self.taking.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            let mut state = self.shared.lock();
            if let Some(slice) = state.ready.pop_front() {
                drop(state);
                self.taking = slice.into_iter();
                self.shared.give(); // there is room
                continue;
            }
            if state.next == Next::End {
                return Poll::Ready(state.error.take().map(Err));
            }
            if self.shared.jobs.is_none()
                && let Some(producer) = state.begin()
            {
                drop(state);
                self.shared.make(producer); // I4
                continue;
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
    }
}

impl<P: Produce> Drop for Slices<P> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.dropped = true; // I3
        let (producer, ready) = (state.producer.take(), std::mem::take(&mut state.ready));
        let waker = state.waker.take();
        drop(state);
        drop((producer, ready, waker));
    }
}

impl<P: Produce> fmt::Debug for Slices<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slices({:?})", self.bell)
    }
}

#[cfg(test)]
mod tests;
