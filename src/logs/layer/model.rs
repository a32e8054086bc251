//! Loom models of the sleep of a layer's thread, on the real code: `queue.rs` is included a second time here, above
//! loom's atomics.
//!
//! The thread lingers for no time at all, or for ever: in the first case only the ends of its sleep can bring a record
//! to it, in the second only the ends of its lingering. A wake that is lost is a deadlock, which loom reports. Without
//! a fence of `queue.rs`, with `hurry` waking before it says why, or with two lines of `push` or `is_drained` the other
//! way round, these tests fail.
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "queue.rs"]
mod queue;

/// Loom's atomics in place of `super::sync`, and what stands for the parker of another crate.
mod sync {
    use crate::base::loomed::Bed;
    use loom::sync::atomic;
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering, fence};
    pub(super) use loom::thread::yield_now;
    use std::sync::Arc;
    use std::time::Duration;

    pub(super) use crate::base::loomed::{BegunBool as AtomicBool, BegunU32 as AtomicU32};

    pub(super) type Ring = crate::wal::Ring<atomic::AtomicU64>;
    pub(super) type Drainer = crate::wal::Drainer<atomic::AtomicU64>;

    pub(super) struct Parker(Unparker);

    #[derive(Clone)]
    pub(super) struct Unparker(Arc<Bed>);

    impl Parker {
        pub(super) fn new() -> Parker {
            Parker(Unparker(Arc::default()))
        }

        pub(super) fn unparker(&self) -> &Unparker {
            &self.0
        }

        pub(super) fn park(&self) {
            self.0.0.sleep();
        }

        /// The time is over at once, or never.
        pub(super) fn park_timeout(&self, time: Duration) {
            if time.is_zero() { self.0.0.rise() } else { self.0.0.sleep() }
        }
    }

    impl Unparker {
        pub(super) fn unpark(&self) {
            self.0.ring();
        }
    }
}

use crate::base::loomed::{explore, explore_with};
use loom::thread;
use queue::Queue;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use sync::{Drainer, Parker, Ring};

/// A mark's tag.
const MARK: u64 = u64::MAX;

const AT_ONCE: Duration = Duration::ZERO;
const NEVER: Duration = Duration::MAX;

/// The thread of a layer: rounds as `Worker::run` makes them.
struct Turned {
    ring: Arc<Ring>,
    queue: Arc<Queue>,
    drainer: Drainer,
    parker: Parker,
    linger: Duration,
    records: usize,
    marks: usize,
}

impl Turned {
    fn new(ring_bytes: usize, linger: Duration) -> Turned {
        let (ring, drainer) = Ring::with_words(ring_bytes);
        let (queue, parker) = Queue::new(ring.clone());
        Turned { ring, queue: Arc::new(queue), drainer, parker, linger, records: 0, marks: 0 }
    }

    /// Beside it, somebody who does `act`.
    fn beside(&self, act: fn(&Queue) -> bool) -> thread::JoinHandle<bool> {
        let queue = self.queue.clone();
        thread::spawn(move || act(&queue))
    }

    /// Until it has seen what `is_enough` says, or is at its end.
    fn run(&mut self, is_enough: impl Fn(&Turned) -> bool) {
        loop {
            self.queue.begin_round();
            if self.take() == 0 && self.queue.is_drained() || is_enough(self) {
                break;
            }
            self.queue.rest(&self.drainer, &self.parker, self.linger);
        }
    }

    fn take(&mut self) -> usize {
        let (mut records, mut marks) = (0, 0);
        let taken = self.drainer.drain(8, &mut |tag, _| {
            *if tag == MARK { &mut marks } else { &mut records } += 1;
            ControlFlow::Continue(())
        });
        self.records += records;
        self.marks += marks;
        taken
    }
}

#[test]
fn loom_a_record_ends_the_sleep_of_the_thread() {
    explore(|| {
        let mut thread = Turned::new(64, AT_ONCE);
        let producer = thread.beside(|queue| queue.push(1, &[]));
        thread.run(|thread| thread.records == 1);
        assert!(producer.join().unwrap());
    });
}

#[test]
fn loom_each_of_two_records_ends_the_sleep_of_the_thread() {
    explore_with(2, || {
        let mut thread = Turned::new(64, AT_ONCE);
        let producers = [1, 2].map(|_| thread.beside(|queue| queue.push(1, &[])));
        thread.run(|thread| thread.records == 2);
        producers.into_iter().for_each(|producer| assert!(producer.join().unwrap()));
    });
}

/// Two records of three words, of which the second fills more than a half of eight. Nothing is drained meanwhile.
#[test]
fn loom_half_a_queue_ends_the_lingering() {
    explore_with(2, || {
        let mut thread = Turned::new(64, NEVER);
        let producers = [1, 2].map(|_| thread.beside(|queue| queue.push(1, &[7; 8])));
        while thread.ring.used_bytes() <= thread.ring.capacity() / 2 {
            thread.queue.rest(&thread.drainer, &thread.parker, thread.linger);
        }
        producers.into_iter().for_each(|producer| assert!(producer.join().unwrap()));
        assert_eq!((thread.take(), thread.records), (2, 2));
    });
}

#[test]
fn loom_a_flush_waits_for_no_lingering() {
    explore(|| {
        let mut thread = Turned::new(64, NEVER);
        let flusher = thread.beside(|queue| {
            let pushed = queue.push(1, &[]) && queue.push_mark(MARK, 1).is_ok();
            queue.hurry();
            pushed
        });
        thread.run(|thread| thread.marks == 1);
        assert!(flusher.join().unwrap() && thread.records == 1);
    });
}

/// A record beside the end: it is drained if it was taken, and else its producer knows.
#[test]
fn loom_what_enters_before_the_end_is_drained() {
    explore(|| {
        let mut thread = Turned::new(64, NEVER);
        let producer = thread.beside(|queue| queue.push(1, &[]));
        let closer = thread.beside(|queue| {
            queue.close();
            true
        });
        thread.run(|_| false);
        assert_eq!(usize::from(producer.join().unwrap()), thread.records);
        assert!(closer.join().unwrap() && !thread.queue.push(1, &[]));
    });
}
