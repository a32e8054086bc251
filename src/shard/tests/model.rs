//! Loom models of what a shard publishes, on the real code: the five files are included a second time here, above
//! loom's atomics.
//!
//! Loom runs every interleaving with up to three preemptions, and lets a load return any value that the memory model
//! allows. With the store of `Published::advance` or `Dead::set` made relaxed, without a fence of `Room` or of
//! `Inbox`, or with two lines of `Inbox::send`, `Inbox::enter` or `Inbox::is_drained` the other way round, these tests fail.
#![expect(dead_code, reason = "the models call a part of what they include")]

#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../dead.rs"]
mod dead;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "../inbox.rs"]
mod inbox;
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
    pub(super) use crate::base::loomed::{BegunBool as AtomicBool, BegunU32 as AtomicU32};
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub(super) use loom::sync::{Mutex, MutexGuard};
    pub(super) use loom::thread::yield_now;
    use std::ops::Deref;
    use std::sync::{Arc, OnceLock};

    pub(super) type Ring = crate::wal::Ring<AtomicU64>;

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

use crate::base::loomed::{Bed, explore, explore_with};
use crate::base::{Error, Lsn, Result};
use crate::io::Wake;
use crate::shard::{Outcome, format, write};
use atomics::AtomicU64;
use dead::Dead;
use inbox::Inbox;
use loom::thread;
use published::Published;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use ticket::{Ticket, Tickets};

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

/// Waits for the answer as a future does. One that is lost is a deadlock, which loom reports.
fn answer(mut ticket: Ticket) -> Result<Outcome> {
    let bed = Arc::new(Bed::default());
    let waker = Waker::from(bed.clone());
    loop {
        match ticket.poll_answer(&waker) {
            Poll::Ready(answer) => return answer,
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
        assert_eq!(answer(ticket).unwrap(), Outcome::Duplicate);
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
            assert_eq!(answer(held).unwrap(), Outcome::Duplicate);
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

impl Wake for Bed {
    fn wake(&self) {
        self.ring();
    }
}

/// The shard's side of an inbox, turned by the model.
struct Shard {
    inbox: Arc<Inbox>,
    drainer: crate::wal::Drainer<AtomicU64>,
    bed: Arc<Bed>,
    answered: usize,
}

impl Shard {
    fn new(in_flight: usize, ring_bytes: usize) -> Shard {
        let (ring, drainer) = atomics::Ring::with_words(ring_bytes);
        let (inbox, bed) = (Arc::new(Inbox::new(ring, in_flight)), Arc::new(Bed::default()));
        inbox.set_wake(bed.clone());
        Shard { inbox, drainer, bed, answered: 0 }
    }

    /// A round as `Core::turn` makes it: sleeps if there is nothing to do, then answers what there is.
    fn turn(&mut self) {
        if self.inbox.going_idle(|| self.drainer.is_ready()) {
            self.bed.sleep();
        }
        self.inbox.awake();
        self.answer();
    }

    /// Answers what is in the ring, and says that there is room.
    fn answer(&mut self) {
        let mut numbers = Vec::new();
        self.drainer.drain(8, &mut |tag, _| {
            numbers.push(tag as u32);
            ControlFlow::Continue(())
        });
        for &number in &numbers {
            self.inbox.tickets.answer(number, Ok(Outcome::Duplicate));
        }
        self.answered += numbers.len();
        if !numbers.is_empty() {
            self.inbox.made_room();
        }
    }
}

/// As a caller that does not wait; whether the message was taken.
fn send(inbox: &Inbox) -> Result<bool> {
    inbox.try_send(0, &[]).map(|ticket| ticket.is_some())
}

/// The shard waits until it has answered all. A wake that is lost is a deadlock, which loom reports.
fn a_message_ends_the_sleep_of_the_shard(callers: usize, preemptions: usize) {
    explore_with(preemptions, move || {
        let mut shard = Shard::new(1, 64);
        let callers: Vec<_> = (0..callers)
            .map(|_| {
                let inbox = shard.inbox.clone();
                thread::spawn(move || assert!(send(&inbox).unwrap()))
            })
            .collect();
        while shard.answered < callers.len() {
            shard.turn();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn loom_a_message_ends_the_sleep_of_the_shard() {
    a_message_ends_the_sleep_of_the_shard(1, 3);
}

#[test]
fn loom_each_of_two_messages_ends_the_sleep_of_the_shard() {
    a_message_ends_the_sleep_of_the_shard(2, 2);
}

/// A caller beside one that closes: what was taken is answered before the shard ends, and the shard ends.
#[test]
fn loom_what_enters_before_the_end_is_answered() {
    explore(|| {
        let mut shard = Shard::new(1, 64);
        let spawn = |act: fn(&Inbox) -> bool| {
            let inbox = shard.inbox.clone();
            thread::spawn(move || act(&inbox))
        };
        let caller = spawn(|inbox| match send(inbox) {
            Ok(taken) => taken,
            Err(error) => !matches!(error, Error::Closed),
        });
        let closer = spawn(|inbox| {
            inbox.close();
            true
        });
        while !shard.inbox.is_drained() {
            shard.turn();
            if shard.inbox.is_closing() {
                thread::yield_now();
            }
        }
        assert_eq!(usize::from(caller.join().unwrap()), shard.answered);
        assert!(closer.join().unwrap() && shard.inbox.is_drained());
    });
}

/// A shard that fails closes by itself and fails what waits: nobody is left waiting, whoever came in between.
#[test]
fn loom_what_enters_a_shard_that_fails_gets_an_answer() {
    explore(|| {
        let shard = Shard::new(1, 64);
        let caller = {
            let inbox = shard.inbox.clone();
            thread::spawn(move || {
                if let Ok(Some(ticket)) = inbox.try_send(0, &[]) {
                    answer(ticket).unwrap_err();
                }
            })
        };
        shard.inbox.close();
        shard.inbox.until_entered();
        shard.inbox.tickets.fail_all(|| Error::Closed);
        caller.join().unwrap();
    });
}

/// One caller has the only ticket, finds no place in the ring, and gives the ticket back; another waits for it. The
/// message that fills the ring is the store's own. A caller that is not told sleeps for ever, and so does the shard.
#[test]
fn loom_who_waits_for_a_ticket_is_told_when_it_was_taken_in_vain() {
    explore_with(2, || {
        let mut shard = Shard::new(1, 32);
        drop(shard.inbox.try_send(0, &[&[1; 16]]).unwrap());
        let in_vain = {
            let inbox = shard.inbox.clone();
            thread::spawn(move || drop(inbox.try_insert_many(&[])))
        };
        let waiter = {
            let inbox = shard.inbox.clone();
            thread::spawn(move || {
                let bed = Arc::new(Bed::default());
                let waker = Waker::from(bed.clone());
                while inbox.poll_insert_many(&[], &mut Context::from_waker(&waker)).is_pending() {
                    bed.sleep();
                }
                inbox.close();
            })
        };
        while !shard.inbox.is_drained() {
            shard.turn();
            if shard.inbox.is_closing() {
                thread::yield_now();
            }
        }
        in_vain.join().unwrap();
        waiter.join().unwrap();
    });
}
