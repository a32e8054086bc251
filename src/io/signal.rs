//! How any thread ends the wait of another: a doorbell before a sleep in the kernel, and a condition
//! variable for the backends that sleep outside it.
//!
//! ```text
//!   waker                               owner
//!   publish work                        lie_down: asleep = true
//!   ring: rung.swap(true)                         fence
//!         fence                                   rung? -> do not sleep
//!         asleep? swap(false) -> signal  sleep in the kernel
//!                                       get_up:   asleep = false
//!                                       take:     rung.swap(false), then look for work
//! ```
//!
//! Invariants:
//! 1. Either the waker sees `asleep` and signals, or the owner sees `rung` and does not sleep: each
//!    writes its own flag, fences, and reads the other's (Dekker).
//! 2. Whoever takes a ring sees the work of every waker that rang before: all of them write `rung` by
//!    read-modify-write, which keeps the release sequence of each (a plain store would break it).
//! 3. A signal that comes late, after the owner got up for another reason, is no ring: the owner
//!    looks at `rung`, not at the signal. The signal itself must be persistent (an eventfd).
//!
//! `tests` runs this very code under loom.

use super::Wake;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// An atomic flag, so that loom can stand in for the processor. It has no plain store: loom may order
/// one between the two halves of a swap, and the owner sleeps in the kernel anyway.
pub(super) trait Flag {
    fn down() -> Self;
    fn is_up(&self) -> bool;
    fn swap(&self, up: bool) -> bool;
    fn fence();
}

impl Flag for AtomicBool {
    fn down() -> AtomicBool {
        AtomicBool::new(false)
    }

    fn is_up(&self) -> bool {
        self.load(Ordering::Acquire)
    }

    fn swap(&self, up: bool) -> bool {
        self.swap(up, Ordering::AcqRel)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Two flags that make a wake cost no system call while its owner is awake.
#[derive(Debug)]
pub(super) struct Doorbell<F = AtomicBool> {
    rung: F,
    asleep: F,
}

impl<F: Flag> Doorbell<F> {
    pub fn new() -> Doorbell<F> {
        Doorbell { rung: F::down(), asleep: F::down() }
    }

    /// Any thread: rings. If it returns true, the caller must signal the owner out of its sleep.
    pub fn ring(&self) -> bool {
        if self.rung.swap(true) {
            return false; // Whoever rang first does the rest; the owner has yet to take the ring.
        }
        F::fence(); // 1.
        self.asleep.is_up() && self.asleep.swap(false)
    }

    /// Owner: announces a sleep. If it returns false, a ring is pending and there must be no sleep.
    pub fn lie_down(&self) -> bool {
        self.asleep.swap(true);
        F::fence(); // 1.
        if self.rung.is_up() {
            self.asleep.swap(false);
            return false;
        }
        true
    }

    /// Owner: the sleep is over, for whatever reason.
    pub fn get_up(&self) {
        self.asleep.swap(false);
    }

    /// Owner: whether someone rang since the last time; their work is visible (2).
    pub fn take(&self) -> bool {
        self.rung.is_up() && self.rung.swap(false)
    }
}

/// A wake for queues whose owner sleeps on a condition variable.
#[derive(Debug, Default)]
pub(super) struct Signal {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Signal {
    /// Takes a pending wake, waiting for one at most `limit` (`None`: as long as it takes).
    pub fn wait(&self, limit: Option<Duration>) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rung = match limit {
            Some(limit) => {
                let waited = self.bell.wait_timeout_while(rung, limit, |rung| !*rung);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.bell.wait_while(rung, |rung| !*rung);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        std::mem::take(&mut *rung)
    }

    /// Takes a pending wake.
    pub fn take(&self) -> bool {
        std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for Signal {
    fn wake(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic as under_loom;
    use loom::sync::{Arc, Condvar as LoomCondvar, Mutex as LoomMutex};

    impl Flag for under_loom::AtomicBool {
        fn down() -> Self {
            under_loom::AtomicBool::new(false)
        }

        fn is_up(&self) -> bool {
            self.load(Ordering::Acquire)
        }

        fn swap(&self, up: bool) -> bool {
            self.swap(up, Ordering::AcqRel)
        }

        fn fence() {
            under_loom::fence(Ordering::SeqCst);
        }
    }

    /// An eventfd: a write makes the next read return, whenever that is.
    struct Event(LoomMutex<bool>, LoomCondvar);

    impl Event {
        fn write(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_one();
        }

        fn read(&self) {
            let mut written = self.0.lock().unwrap();
            while !*written {
                written = self.1.wait(written).unwrap();
            }
            *written = false;
        }
    }

    /// The owner waits until it has seen the work of every waker. A lost wake is a deadlock, which
    /// loom reports; so is work that a taken ring does not show, because no other ring follows.
    fn every_wake_arrives(wakers: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let bell = Arc::new(Doorbell::<under_loom::AtomicBool>::new());
            let event = Arc::new(Event(LoomMutex::new(false), LoomCondvar::new()));
            let work: Vec<_> =
                (0..wakers).map(|_| Arc::new(under_loom::AtomicBool::new(false))).collect();
            for done in &work {
                let (bell, event, done) = (bell.clone(), event.clone(), done.clone());
                loom::thread::spawn(move || {
                    done.store(true, Ordering::Relaxed);
                    if bell.ring() {
                        event.write();
                    }
                });
            }
            while !work.iter().all(|done| done.load(Ordering::Relaxed)) {
                while !bell.take() {
                    if bell.lie_down() {
                        event.read();
                        bell.get_up();
                    }
                }
            }
        });
    }

    #[test]
    fn no_wake_is_lost_with_one_waker() {
        every_wake_arrives(1);
    }

    #[test]
    fn no_wake_is_lost_with_two_wakers() {
        every_wake_arrives(2);
    }

    #[test]
    fn a_signal_is_taken_once_and_times_out() {
        let signal = Signal::default();
        assert!(!signal.take());
        assert!(!signal.wait(Some(Duration::from_millis(1))));
        signal.wake();
        signal.wake();
        assert!(signal.wait(None));
        assert!(!signal.take());
    }
}
