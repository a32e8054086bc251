//! One piece of reading done by a reader thread, whose result is a future of any executor.
//!
//! ```text
//!   Task::new --job--> reader thread: work() --> slot --> waker --> Task::poll
//!        (no reader threads: the first poll does the work itself)
//! ```
//!
//! I1. Dropping the task gives up the result; work that has not begun is not begun.
//! I2. Whatever becomes of the job (done, thrown away when the store closes, panicked), the waker is told.

use super::scatter::{Job, Readers};
use crate::base::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

type Work<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// The future of a result. It owns all that it needs, and is `Send`.
#[must_use = "a task whose result nobody takes may never be begun"]
pub struct Task<T> {
    slot: Arc<Slot<T>>,
    /// Only without reader threads.
    work: Option<Work<T>>,
}

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Waiting(Option<Waker>),
    Done(Result<T>),
    /// The result was taken, or given up.
    Over,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Each critical section leaves the state whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<T>) {
        let mut state = self.lock();
        let State::Waiting(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = State::Done(result);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Finishes the slot when it is dropped, if nobody has (I2).
struct Promise<T>(Arc<Slot<T>>);

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.finish(Err(Error::Closed));
    }
}

impl<T: Send + 'static> Task<T> {
    /// Has `work` done by one of `readers`.
    pub fn new(readers: &Readers, work: impl FnOnce() -> Result<T> + Send + 'static) -> Task<T> {
        let slot = Arc::new(Slot(Mutex::new(State::Waiting(None))));
        let Some(jobs) = readers.sender() else {
            return Task { slot, work: Some(Box::new(work)) };
        };
        let promise = Promise(Arc::clone(&slot));
        let job: Job = Box::new(move || {
            let wanted = !matches!(*promise.0.lock(), State::Over); // I1
            if wanted {
                promise.0.finish(work());
            }
        });
        // A job that cannot be given is dropped, and its promise says `Closed`.
        drop(jobs.send(Some(job)));
        Task { slot, work: None }
    }

    fn poll_result(&mut self, waker: &Waker) -> Poll<Result<T>> {
        if let Some(work) = self.work.take() {
            self.slot.finish(work());
        }
        let mut state = self.slot.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(_) => {
                *state = State::Waiting(Some(waker.clone()));
                Poll::Pending
            }
            State::Done(result) => Poll::Ready(result),
            State::Over => Poll::Ready(Err(Error::Closed)),
        }
    }
}

impl<T: Send + 'static> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.poll_result(context.waker())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let given_up = std::mem::replace(&mut *self.slot.lock(), State::Over);
        drop(given_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Large;
    use crate::shard::block_on;
    use crossbeam::channel::bounded;

    #[test]
    fn a_task_gives_its_result_with_readers_and_without() {
        for count in [0, 1, 3] {
            let readers = Readers::start(count, Large::default());
            let tasks: Vec<Task<usize>> =
                (0..50).map(|n| Task::new(&readers, move || Ok(n))).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(block_on(task).unwrap(), n);
            }
        }
    }

    #[test]
    fn a_panic_is_an_error_of_its_task_and_the_reader_goes_on() {
        let readers = Readers::start(1, Large::default());
        for n in 0..3 {
            let broken = Task::<usize>::new(&readers, move || panic!("boom {n}"));
            assert!(matches!(block_on(broken), Err(Error::Closed)));
            assert_eq!(block_on(Task::new(&readers, move || Ok(n))).unwrap(), n);
        }
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        let readers = Readers::start(1, Large::default());
        let (go, gate) = bounded::<()>(0);
        let first = Task::new(&readers, move || gate.recv().map_err(|_| Error::Closed));
        let (told, tell) = bounded::<()>(1);
        let second = Task::new(&readers, move || told.send(()).map_err(|_| Error::Closed));
        drop(second);
        go.send(()).unwrap();
        block_on(first).unwrap();
        drop(readers);
        assert!(tell.recv().is_err(), "its sender went away unused");
    }

    #[test]
    fn a_task_whose_readers_are_gone_says_that_the_store_is_closed() {
        let readers = Readers::start(1, Large::default());
        let (go, gate) = bounded::<()>(0);
        let first = Task::new(&readers, move || gate.recv().map_err(|_| Error::Closed));
        let ender = crate::io::threads::spawn("ender", move || drop(readers));
        go.send(()).unwrap();
        assert!(block_on(first).is_ok());
        ender.join().unwrap();
        let nobody = Readers::start(1, Large::default());
        let jobs = nobody.sender();
        drop(nobody);
        assert!(jobs.unwrap().send(None).is_err(), "a sender that is left keeps no thread");
    }
}
