//! The queue of a tracing layer, and the sleep of the thread that empties it.
//!
//! ```text
//!   state:  AWAKE --nothing there--> ASLEEP --first event--> AWAKE --others may follow--> LINGERING --half full, or
//!             ^                                                                                |     told to hurry
//!             +------------------------- drain, append ---------------------------------------+
//! ```
//!
//! W1. A wake is never lost: a producer looks at the state after its push, the thread at the ring after it changed the
//!     state, with a fence between on both sides.
//! W3. What entered the ring is drained: the thread ends only after `close`, when no producer is between its look at
//!     `closing` and its push, and the ring is empty. Of marks nobody promises that.

use super::sync::Ordering::{Relaxed, SeqCst};
use super::sync::{
    AtomicBool, AtomicU8, AtomicU32, Drainer, Parker, Ring, Unparker, fence, yield_now,
};
use crate::wal::Full;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const LINGERING: u8 = 2;

/// What the producers and the thread share.
pub(super) struct Queue {
    ring: Arc<Ring>,
    state: AtomicU8,
    /// What waits is not to wait for others: a flush or the end is asked for. No plain store: who takes it down has to
    /// see what was pushed before it was put up.
    hurry: AtomicBool,
    closing: AtomicBool,
    /// Producers between their look at `closing` and their push.
    entering: AtomicU32,
    unparker: Unparker,
}

impl Queue {
    pub fn new(ring: Arc<Ring>) -> (Queue, Parker) {
        let parker = Parker::new();
        let queue = Queue {
            ring,
            state: AtomicU8::new(AWAKE),
            hurry: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            entering: AtomicU32::new(0),
            unparker: parker.unparker().clone(),
        };
        (queue, parker)
    }

    /// Hands over a message, unless there is no room or the end was asked for; whether it did. Never waits.
    pub fn push(&self, tag: u64, payload: &[u8]) -> bool {
        self.entering.fetch_add(1, SeqCst);
        let pushed = !self.closing.load(SeqCst) && self.ring.try_push(tag, &[payload]).is_ok();
        self.entering.fetch_sub(1, SeqCst);
        if pushed {
            self.wake_if_due();
        }
        pushed
    }

    fn wake_if_due(&self) {
        fence(SeqCst); // W1
        match self.state.load(Relaxed) {
            ASLEEP => self.wake(ASLEEP),
            LINGERING if self.ring.used_bytes() > self.ring.capacity() / 2 => self.wake(LINGERING),
            _ => {}
        }
    }

    fn wake(&self, from: u8) {
        if self.state.compare_exchange(from, AWAKE, SeqCst, Relaxed).is_ok() {
            self.unparker.unpark();
        }
    }

    /// Hands over a mark, if there is room. It is on its way once the thread is told to hurry.
    pub fn push_mark(&self, tag: u64, mark: u64) -> Result<(), Full> {
        self.ring.try_push(tag, &[&mark.to_le_bytes()])
    }

    /// Has the thread drain what is there, without waiting for more.
    pub fn hurry(&self) {
        self.hurry.swap(true, SeqCst);
        self.unparker.unpark();
    }

    /// Takes no record from now on, and has the thread end.
    pub fn close(&self) {
        self.closing.store(true, SeqCst);
        self.hurry();
    }

    // --- the thread's side ---

    /// A round begins: what asks for hurry from here on finds this batch gone, or its own next. What asked before is
    /// drained in this one.
    pub fn begin_round(&self) {
        self.hurry.swap(false, SeqCst);
    }

    /// Whether nothing is in the ring and no record can come any more (W3).
    pub fn is_drained(&self) -> bool {
        self.closing.load(SeqCst) && self.entering.load(SeqCst) == 0 && self.ring.is_empty()
    }

    /// Sleeps until there is something, and a little longer, so that others come along.
    pub fn rest(&self, drainer: &Drainer, parker: &Parker, linger: Duration) {
        self.pause(ASLEEP, || {
            if !drainer.is_ready() {
                parker.park();
            }
        });
        self.pause(LINGERING, || {
            if self.ring.used_bytes() <= self.ring.capacity() / 2 {
                parker.park_timeout(linger);
            }
        });
        if self.closing.load(SeqCst) {
            // For a producer between its look and its publication, which is a matter of instructions.
            yield_now();
        }
    }

    /// Waits in `state` unless nothing is to wait.
    fn pause(&self, state: u8, wait: impl FnOnce()) {
        self.state.store(state, SeqCst);
        fence(SeqCst); // W1
        if !self.hurry.load(SeqCst) && !self.closing.load(SeqCst) {
            wait();
        }
        self.state.store(AWAKE, SeqCst);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}
