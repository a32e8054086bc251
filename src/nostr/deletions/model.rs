//! Loom models of the queue of requests, on the real code: `queue.rs` is included a second time here, above loom's
//! atomics, with room for one request.
//!
//! An answer or a wake that is lost is a deadlock, which loom reports. Without a fence of `queue.rs`, with the drain
//! before the note that the worker has ended, or with the second try of `poll_send` before it registers, these tests
//! fail.
#![expect(dead_code, reason = "the models call a part of what they include")]

#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "queue.rs"]
mod queue;

/// Loom's atomics and locks in place of `super::sync`, and what stands for the channel of another crate.
mod sync {
    pub(super) use loom::sync::Mutex;
    use loom::sync::atomic::AtomicU64;
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
    use std::sync::Arc;

    pub(super) const QUEUE_JOBS: usize = 1;

    /// Two bits for each place, which do no more for the order of memory than their own operations do: locks would
    /// hide a fence that is missing. As the real one it keeps what nobody receives.
    struct Channel<T> {
        taken: AtomicU64,
        sent: AtomicU64,
        places: Box<[std::sync::Mutex<Option<T>>]>,
    }

    impl<T> Channel<T> {
        fn free(&self) -> u64 {
            !self.taken.load(Ordering::Relaxed) & ((1 << self.places.len()) - 1)
        }
    }

    pub(super) struct Sender<T>(Arc<Channel<T>>);

    pub(super) struct Receiver<T>(Arc<Channel<T>>);

    pub(super) enum TrySendError<T> {
        Full(T),
        Disconnected(T),
    }

    pub(super) fn bounded<T>(places: usize) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel {
            taken: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            places: (0..places).map(|_| std::sync::Mutex::new(None)).collect(),
        });
        (Sender(channel.clone()), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(super) fn is_full(&self) -> bool {
            self.0.free() == 0
        }

        pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let place = self.0.free().trailing_zeros();
            if place == u64::BITS
                || self.0.taken.fetch_or(1 << place, Ordering::AcqRel) & 1 << place != 0
            {
                return Err(TrySendError::Full(message));
            }
            *self.0.places[place as usize].lock().unwrap() = Some(message);
            self.0.sent.fetch_or(1 << place, Ordering::AcqRel);
            Ok(())
        }

        /// Where the models send, there is room.
        pub(super) fn send(&self, message: T) -> Result<(), TrySendError<T>> {
            self.try_send(message)
        }
    }

    impl<T> Receiver<T> {
        pub(super) fn try_recv(&self) -> Result<T, ()> {
            let sent = self.0.sent.load(Ordering::Relaxed);
            if sent == 0 {
                return Err(());
            }
            let place = sent.trailing_zeros();
            self.0.sent.fetch_and(!(1 << place), Ordering::AcqRel);
            let message = self.0.places[place as usize].lock().unwrap().take();
            self.0.taken.fetch_and(!(1 << place), Ordering::AcqRel);
            message.ok_or(())
        }
    }
}

use crate::base::loomed::{Bed, explore};
use crate::base::{Error, Result};
use crate::nostr::event::Event;
use crate::nostr::store::Inserted;
use loom::thread;
use queue::{Message, Queue, Reply};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Polls until it is ready, asleep in between.
fn until<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let bed = Arc::new(Bed::default());
    let waker = Waker::from(bed.clone());
    loop {
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => bed.sleep(),
        }
    }
}

fn ask(queue: &Queue) -> Result<Reply> {
    let event = Event::from_parts([1; 32], 1, 5, &[["e", ""]], "");
    until(|context| queue.poll_send(&event.as_ref(), context))
}

fn answer(mut reply: Reply) -> Result<Inserted> {
    until(|context| Pin::new(&mut reply).poll(context))
}

/// Who asks while the worker ends is told so, or its request is answered.
#[test]
fn loom_nobody_waits_for_a_worker_that_has_ended() {
    explore(|| {
        let (queue, jobs) = Queue::new();
        let queue = Arc::new(queue);
        let asker = {
            let queue = queue.clone();
            thread::spawn(move || {
                let answer = ask(&queue).and_then(answer);
                assert!(matches!(answer, Err(Error::Closed)));
            })
        };
        drop(jobs);
        asker.join().unwrap();
        // To here it keeps what nobody receives.
        drop(queue);
    });
}

/// Who finds the queue full gets in when there is room.
#[test]
fn loom_who_waits_for_room_is_told_of_it() {
    explore(|| {
        let (queue, jobs) = Queue::new();
        let queue = Arc::new(queue);
        let first = ask(&queue).unwrap();
        let asker = {
            let queue = queue.clone();
            thread::spawn(move || ask(&queue))
        };
        let Ok(Message::Job(job)) = jobs.receiver.try_recv() else { panic!("a job is there") };
        queue.made_room();
        let second = asker.join().unwrap().unwrap();
        drop((job, jobs));
        for reply in [first, second] {
            assert!(matches!(answer(reply), Err(Error::Closed)));
        }
    });
}

/// Who finds the queue full is told when the worker ends.
#[test]
fn loom_who_waits_for_room_is_told_of_the_end() {
    explore(|| {
        let (queue, jobs) = Queue::new();
        let queue = Arc::new(queue);
        let first = ask(&queue).unwrap();
        let asker = {
            let queue = queue.clone();
            thread::spawn(move || {
                assert!(matches!(ask(&queue).and_then(answer), Err(Error::Closed)))
            })
        };
        drop(jobs);
        asker.join().unwrap();
        assert!(matches!(answer(first), Err(Error::Closed)));
        drop(queue);
    });
}
