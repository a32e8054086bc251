//! Loom models of what a shard publishes, on the real code: the four files are included a second time here, above
//! loom's atomics.
//!
//! Loom runs every interleaving with up to three preemptions, and lets a load return any value that the memory model
//! allows. With the store of `Published::advance` or `Dead::set` made relaxed, or without a fence of `Room`, these
//! tests fail.
#![expect(dead_code, reason = "the models call a part of what they include")]

#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../dead.rs"]
mod dead;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../published.rs"]
mod published;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../room.rs"]
mod room;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../ticket.rs"]
mod ticket;

/// Loom's atomics and locks in place of `super::atomics`, and what stands for the queues and pointers of other crates.
mod atomics {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
    pub(super) use loom::sync::{Mutex, MutexGuard};
    use std::ops::Deref;
    use std::sync::{Arc, OnceLock};

    /// A bit for each number, which does no more for the order of memory than its own operations do: locks would hide
    /// a fence that is missing.
    pub(super) struct ArrayQueue<T> {
        bits: AtomicU64,
        /// The number of the lowest bit: the first that is pushed.
        first: OnceLock<T>,
        capacity: usize,
    }

    impl ArrayQueue<u32> {
        pub(super) fn new(capacity: usize) -> ArrayQueue<u32> {
            assert!(capacity <= 64, "{capacity} bits");
            ArrayQueue { bits: AtomicU64::new(0), first: OnceLock::new(), capacity }
        }

        pub(super) fn capacity(&self) -> usize {
            self.capacity
        }

        pub(super) fn push(&self, number: u32) -> Result<(), u32> {
            let bit = 1 << (number - self.first.get_or_init(|| number));
            let old = self.bits.fetch_or(bit, Ordering::AcqRel);
            if old & bit == 0 { Ok(()) } else { Err(number) }
        }

        pub(super) fn pop(&self) -> Option<u32> {
            let mut bits = self.bits.load(Ordering::Relaxed);
            while bits != 0 {
                let less = bits & (bits - 1);
                match self.bits.compare_exchange(bits, less, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => return self.first.get().map(|first| first + bits.trailing_zeros()),
                    Err(now) => bits = now,
                }
            }
            None
        }
    }

    pub(super) struct ArcSwap<T>(Mutex<Arc<T>>);

    impl<T> ArcSwap<T> {
        pub(super) fn from_pointee(value: T) -> ArcSwap<T> {
            ArcSwap(Mutex::new(Arc::new(value)))
        }

        pub(super) fn store(&self, value: Arc<T>) {
            *self.0.lock().unwrap() = value;
        }

        pub(super) fn load_full(&self) -> Arc<T> {
            self.0.lock().unwrap().clone()
        }

        pub(super) fn load(&self) -> Guard<Arc<T>> {
            Guard(self.load_full())
        }
    }

    pub(super) struct Guard<T>(T);

    impl<T> Guard<T> {
        pub(super) fn into_inner(guard: Guard<T>) -> T {
            guard.0
        }
    }

    impl<T> Deref for Guard<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

use crate::base::Lsn;
use crate::shard::Outcome;
use dead::Dead;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use published::Published;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use ticket::{Ticket, Tickets};

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn loom_a_kill_is_seen_exactly_from_its_number_on() {
    explore(|| {
        // The number that readers go by is published after the kill, as a group's is.
        let shared = Arc::new((Dead::new(130), Published::new((), 6)));
        let writer = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (dead, published) = &*shared;
                for (ordinal, seq) in [(64, 7), (65, 8)] {
                    dead.kill(ordinal, seq);
                    published.advance(seq);
                }
            })
        };
        let (dead, published) = &*shared;
        let at = published.seq();
        assert_eq!((dead.is_dead(64, at), dead.is_dead(65, at)), (at >= 7, at >= 8));
        assert_eq!(dead.iter(0..130, at).count() as u64, at - 6);
        writer.join().unwrap();
    });
}

#[test]
fn loom_a_snapshot_has_the_view_in_which_its_removals_are_recorded() {
    explore(|| {
        let published = Arc::new(Published::new(0, 6));
        let writer = {
            let published = published.clone();
            thread::spawn(move || {
                // From here on removals are recorded in view 1 only.
                published.install(1);
                published.advance(7);
                published.log_to(Lsn(512));
            })
        };
        let end = published.log_end();
        let (view, at) = published.consistent();
        assert!(*view == 1 || at == 6, "view {view} at {at}");
        assert!(end < Lsn(512) || at == 7, "the log to {end} at {at}");
        writer.join().unwrap();
        assert_eq!(*published.view(), 1);
    });
}

/// Where a thread sleeps until it is woken.
#[derive(Default)]
struct Bed {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Bed {
    fn sleep(&self) {
        let mut is_woken = self.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }
}

impl Wake for Bed {
    fn wake(self: Arc<Bed>) {
        *self.is_woken.lock().unwrap() = true;
        self.woken.notify_one();
    }
}

/// Waits for the answer as a future does. One that is lost is a deadlock, which loom reports.
fn answer(mut ticket: Ticket) -> Outcome {
    let bed = Arc::new(Bed::default());
    let waker = Waker::from(bed.clone());
    loop {
        match ticket.poll_answer(&waker) {
            Poll::Ready(answer) => return answer.unwrap(),
            Poll::Pending => bed.sleep(),
        }
    }
}

#[test]
fn loom_an_answer_reaches_who_waits_for_it() {
    explore(|| {
        let tickets = Tickets::new(1);
        let ticket = tickets.take().unwrap();
        let number = ticket.number();
        let shard = {
            let tickets = tickets.clone();
            thread::spawn(move || tickets.answer(number, Ok(Outcome::Duplicate)))
        };
        assert_eq!(answer(ticket), Outcome::Duplicate);
        shard.join().unwrap();
        assert!(tickets.take().is_some(), "the slot comes back");
    });
}

/// A caller waits for the only ticket, which its holder has answered or drops. One that is not told sleeps for ever,
/// which loom reports.
fn who_waits_for_a_ticket_is_told(drops: bool) {
    explore(move || {
        let tickets = Tickets::new(1);
        let held = tickets.take().unwrap();
        let number = held.number();
        let waiter = {
            let tickets = tickets.clone();
            thread::spawn(move || {
                let bed = Arc::new(Bed::default());
                let waker = Waker::from(bed.clone());
                loop {
                    let taken = tickets.take();
                    if let Some(ticket) = taken {
                        return ticket.cancel();
                    }
                    tickets.room.register(&waker);
                    if let Some(ticket) = tickets.take() {
                        return ticket.cancel();
                    }
                    bed.sleep();
                }
            })
        };
        if drops {
            drop(held);
            tickets.answer(number, Ok(Outcome::Duplicate));
        } else {
            tickets.answer(number, Ok(Outcome::Duplicate));
            assert_eq!(answer(held), Outcome::Duplicate);
        }
        waiter.join().unwrap();
    });
}

#[test]
fn loom_who_waits_for_a_ticket_is_told_when_an_answer_is_taken() {
    who_waits_for_a_ticket_is_told(false);
}

#[test]
fn loom_who_waits_for_a_ticket_is_told_when_one_is_given_up() {
    who_waits_for_a_ticket_is_told(true);
}
