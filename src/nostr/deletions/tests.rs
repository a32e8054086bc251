//! The queue of requests by hand. Not at the end of `queue.rs`, which `model.rs` includes a second time.

use super::queue::Queue;
use super::sync::QUEUE_JOBS;
use crate::base::Error;
use crate::nostr::event::Event;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn who_waits_for_room_is_woken_by_room_and_by_the_end_of_the_worker() {
    let (queue, jobs) = Queue::new();
    let event = Event::from_parts([1; 32], 1, 5, &[["e", ""]], "");
    let woken = Arc::new(Woken::default());
    let waker: Waker = woken.clone().into();
    let poll = || queue.poll_send(&event.as_ref(), &mut Context::from_waker(&waker));
    let mut replies = Vec::new();
    while let Poll::Ready(reply) = poll() {
        replies.push(reply.unwrap());
    }
    assert_eq!((replies.len(), woken.0.load(SeqCst)), (QUEUE_JOBS, 0));
    drop(jobs.receiver.recv());
    queue.made_room();
    assert_eq!(woken.0.swap(0, SeqCst), 1);
    replies.push(match poll() {
        Poll::Ready(reply) => reply.unwrap(),
        Poll::Pending => panic!("there is room"),
    });
    assert!(poll().is_pending());
    drop(jobs);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(matches!(poll(), Poll::Ready(Err(Error::Closed))));
    for mut reply in replies {
        // The request that waited in the queue, too.
        let answer = Pin::new(&mut reply).poll(&mut Context::from_waker(&waker));
        assert!(matches!(answer, Poll::Ready(Err(Error::Closed))));
    }
}

/// Tries again as soon as it is woken, on the thread that wakes it.
struct AtOnce(Arc<Queue>);

impl std::task::Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let event = Event::from_parts([1; 32], 1, 5, &[["e", ""]], "");
        let again = self.0.poll_send(&event.as_ref(), &mut Context::from_waker(Waker::noop()));
        assert!(again.is_pending());
    }
}

#[test]
fn who_is_woken_in_vain_may_wait_again_at_once() {
    let (queue, _jobs) = Queue::new();
    let queue = Arc::new(queue);
    let event = Event::from_parts([1; 32], 1, 5, &[["e", ""]], "");
    let waker = Waker::from(Arc::new(AtOnce(queue.clone())));
    let poll = || queue.poll_send(&event.as_ref(), &mut Context::from_waker(&waker));
    while poll().is_ready() {}
    queue.made_room();
}
