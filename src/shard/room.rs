//! Who waits for room in a shard: callers that found no ticket, or no place in the ring.
//!
//! ```text
//!   caller: no room -> register -> try again -> sleep
//!   shard, or the holder of a ticket: makes room -> made -> all who are registered try again
//! ```
//!
//! All are woken, not one: whoever is woken may be dropped before it looks.
//! I1. Either `made` sees who registered before it, or who registers sees the room that was made before.

use super::atomics::{AtomicBool, Mutex, Ordering::SeqCst, fence};
use std::sync::PoisonError;
use std::task::Waker;

/// The callers that wait.
#[derive(Default)]
pub(super) struct Room {
    /// Whether there are some; asked for each ticket, where the lock would be too dear.
    is_crowded: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Room {
    /// Has `waker` woken when there may be room; the caller has to look once more before it sleeps.
    pub(super) fn register(&self, waker: &Waker) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
        self.is_crowded.store(true, SeqCst);
        fence(SeqCst); // I1
    }

    /// Wakes all who wait: there may be room.
    pub(super) fn made(&self) {
        fence(SeqCst); // I1
        if self.is_crowded.load(SeqCst) && self.is_crowded.swap(false, SeqCst) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let told = std::mem::take(&mut *waiting);
            // Who is woken may try again at once, on this thread.
            drop(waiting);
            told.into_iter().for_each(Waker::wake);
        }
    }
}
