//! Rounds of a front-end thread: between two slices of one request, and two turns of one connection, lies a look at all
//! sockets.
//!
//! ```text
//!   next() waits --bell--> turn: yields until the runtime has asked the kernel --> wakes all that waited
//! ```
//!
//! A task that yields by itself is run again as soon as anything wakes it, its own outbox for one: the runtime then
//! runs up to 61 slices before it looks at a socket, and all that other clients send waits for them.
//!
//! I1. Who waits is woken once for each time it was registered, in a later round than the one it asked in.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use tokio::sync::Notify;

/// Counts the times that the runtime of a thread has looked at its sockets, while someone waits for it.
#[derive(Default)]
pub(super) struct Rounds {
    number: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
    bell: Notify,
}

impl Rounds {
    /// Waits for the next round. Needs [`turn`] to run on this thread.
    pub(super) async fn next(&self) {
        let asked_in = self.number.get();
        poll_fn(|context| {
            if self.number.get() != asked_in {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
                self.bell.notify_one();
            }
            Poll::Pending
        })
        .await;
    }
}

/// Makes rounds for ever, as long as someone waits for one.
pub(super) async fn turn(rounds: Rc<Rounds>) {
    loop {
        rounds.bell.notified().await;
        // Nothing else wakes this task, so it goes on only after the runtime has looked at its sockets.
        tokio::task::yield_now().await;
        rounds.number.set(rounds.number.get() + 1);
        rounds.waiting.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::runtime::Runtime;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    #[test]
    fn a_task_that_is_woken_in_between_still_waits_for_the_round() {
        Runtime::new().unwrap().run(async {
            let rounds = Rc::new(Rounds::default());
            let turning = tokio::task::spawn_local(turn(rounds.clone()));
            let mut next = pin!(rounds.next());
            let mut polls = 0;
            poll_fn(|context: &mut Context<'_>| {
                let polled = next.as_mut().poll(context);
                polls += 1;
                // As an outbox does: this task is to be run again at once.
                context.waker().wake_by_ref();
                assert_eq!(polled.is_ready(), rounds.number.get() == 1);
                polled
            })
            .await;
            assert!(polls > 1, "ready before the sockets were looked at");
            rounds.next().await;
            assert_eq!((rounds.number.get(), rounds.waiting.borrow().len()), (2, 0));
            turning.abort();
        });
    }
}
