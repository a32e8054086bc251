//! The way to the worker and back: a bounded queue of requests, and where each waits for its answer.
//!
//! I1. A job that the worker drops, however it ends, is answered `Closed`.
//! I2. Who found no room is woken after there is some, or never will be: it registers, then tries again.

use super::sync::{
    AtomicBool, Mutex, Ordering::SeqCst, QUEUE_JOBS, Receiver, Sender, TrySendError, bounded, fence,
};
use crate::base::{Error, Result};
use crate::nostr::event::{Event, EventRef};
use crate::nostr::store::Inserted;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// A request on its way.
pub(super) struct Job {
    pub(super) event: Event,
    answer: Arc<Slot>,
}

/// Where an answer is waited for. Dropping it gives up the answer, not the request.
#[must_use = "the answer says whether the request was stored"]
pub(crate) struct Reply(Arc<Slot>);

#[derive(Default)]
struct Slot(Mutex<(Option<Result<Inserted>>, Option<Waker>)>);

impl Slot {
    fn set(&self, answer: Result<Inserted>, is_last: bool) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.0.is_none() || !is_last {
            slot.0 = Some(answer);
        }
        let waker = slot.1.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Job {
    pub(super) fn new(event: &EventRef<'_>) -> (Job, Reply) {
        let answer = Arc::new(Slot::default());
        (Job { event: event.to_owned(), answer: answer.clone() }, Reply(answer))
    }

    pub(super) fn answer(self, answer: Result<Inserted>) {
        self.answer.set(answer, false);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.answer.set(Err(Error::Closed), true); // I1
    }
}

impl Future for Reply {
    type Output = Result<Inserted>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Inserted>> {
        let mut slot = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.0.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A job, or the end.
pub(super) enum Message {
    Job(Job),
    Stop,
}

/// Who waits for room.
#[derive(Default)]
struct Waiting {
    wakers: Mutex<Vec<Waker>>,
    /// The worker is gone, and there will be none.
    has_ended: AtomicBool,
}

impl Waiting {
    fn wake(&self) {
        let mut waiting = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        let wakers = std::mem::take(&mut *waiting);
        // Who is woken may try again at once, on this thread.
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The worker's end of the queue.
pub(super) struct Jobs {
    pub(super) receiver: Receiver<Message>,
    waiting: Arc<Waiting>,
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.waiting.has_ended.store(true, SeqCst);
        fence(SeqCst);
        // The channel keeps what nobody receives, until its senders go too (I1). Who sends now sees that it ended.
        while self.receiver.try_recv().is_ok() {}
        self.waiting.wake();
    }
}

/// The senders' end of the queue.
pub(super) struct Queue {
    jobs: Sender<Message>,
    waiting: Arc<Waiting>,
}

impl Queue {
    pub(super) fn new() -> (Queue, Jobs) {
        let (jobs, receiver) = bounded(QUEUE_JOBS);
        let waiting = Arc::new(Waiting::default());
        (Queue { jobs, waiting: waiting.clone() }, Jobs { receiver, waiting })
    }

    /// Sends the request if there is room (I2).
    pub(super) fn poll_send(
        &self,
        event: &EventRef<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reply>> {
        if let Some(done) = self.try_send(event).transpose() {
            return Poll::Ready(done);
        }
        let mut wakers = self.waiting.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.push(context.waker().clone());
        drop(wakers);
        self.try_send(event).transpose().map_or(Poll::Pending, Poll::Ready)
    }

    fn try_send(&self, event: &EventRef<'_>) -> Result<Option<Reply>> {
        if self.waiting.has_ended.load(SeqCst) {
            return Err(Error::Closed);
        }
        if self.jobs.is_full() {
            return Ok(None);
        }
        let (job, reply) = Job::new(event);
        match self.jobs.try_send(Message::Job(job)) {
            Ok(()) => {
                fence(SeqCst);
                match self.waiting.has_ended.load(SeqCst) {
                    false => Ok(Some(reply)),
                    true => Err(Error::Closed),
                }
            }
            Err(TrySendError::Full(_)) => Ok(None),
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
        }
    }

    /// Tells the worker to end once it has done what came before.
    pub(super) fn stop(&self) {
        let _it_may_have_ended = self.jobs.send(Message::Stop);
    }

    /// Wakes who waits for room.
    pub(super) fn made_room(&self) {
        self.waiting.wake();
    }
}
