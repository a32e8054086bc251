//! Page reads that the shard's ring carries out for readers on any thread: the pool's misses, in
//! batches, many in flight.
//!
//! I1. A request is completed or dropped; dropping releases the pool's claim, so that no reader waits
//!     for ever, also when the shard ends.

use crate::base::limits::RING_DEPTH;
use crate::io::{Done, Queue, Wake};
use crate::pool::{Fetch, FetchRead, FetchToken};
use crossbeam::queue::ArrayQueue;
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

/// Requests that wait for a place in the ring; beyond them readers read for themselves.
const WAITING_MAX: usize = 4096;

/// Tokens of the queue from here on are page reads.
pub(super) const FIRST_TOKEN: u64 = 16;

/// Operations that stay free for the log.
const RESERVED: usize = 4;

/// Where readers leave requests.
pub(super) struct Reads {
    /// Made for the first: it is some 450 KiB, and a shard that waits for its own reads needs none.
    waiting: OnceLock<ArrayQueue<FetchRead>>,
    /// The ring's thread, and what wakes it.
    ring: OnceLock<(ThreadId, Arc<dyn Wake>)>,
}

impl Reads {
    pub(super) fn new() -> Arc<Reads> {
        Arc::new(Reads { waiting: OnceLock::new(), ring: OnceLock::new() })
    }

    fn next(&self) -> Option<FetchRead> {
        self.waiting.get()?.pop()
    }

    /// From now on the calling thread carries out reads; `wake` ends its sleep.
    pub(super) fn serve(&self, wake: Arc<dyn Wake>) {
        let set = self.ring.set((std::thread::current().id(), wake));
        debug_assert!(set.is_ok(), "a shard has one queue");
    }
}

impl Fetch for Reads {
    fn fetch(&self, reads: Vec<FetchRead>) {
        let Some((_, wake)) = self.ring.get() else { return };
        let waiting = self.waiting.get_or_init(|| ArrayQueue::new(WAITING_MAX));
        for read in reads {
            if waiting.push(read).is_err() {
                break;
            }
        }
        wake.wake();
    }

    fn completes_here(&self) -> bool {
        self.ring.get().is_some_and(|(thread, _)| *thread == std::thread::current().id())
    }
}

/// The shard's side: what is in its ring.
pub(super) struct InFlight {
    reads: Arc<Reads>,
    tokens: Vec<Option<FetchToken>>,
    free: Vec<usize>,
}

impl InFlight {
    pub(super) fn new(reads: Arc<Reads>) -> InFlight {
        let places = RING_DEPTH - RESERVED;
        let tokens = (0..places).map(|_| None).collect();
        InFlight { reads, tokens, free: (0..places).collect() }
    }

    /// Moves waiting requests into `queue` as far as there is room.
    pub(super) fn push_to(&mut self, queue: &mut dyn Queue) {
        while let Some(place) = self.free.pop() {
            let Some(read) = self.reads.next() else {
                self.free.push(place);
                return;
            };
            let (op, token) = read.into_parts();
            if queue.push(FIRST_TOKEN + place as u64, op).is_err() {
                // The token's drop releases the claim: the reader reads for itself.
                self.free.push(place);
                return;
            }
            self.tokens[place] = Some(token);
        }
    }

    /// Whether no request waits for a place in the ring.
    pub(super) fn is_idle(&self) -> bool {
        self.reads.waiting.get().is_none_or(ArrayQueue::is_empty)
    }

    /// Hands a completed read to the pool.
    pub(super) fn completed(&mut self, done: Done) {
        let place = (done.token - FIRST_TOKEN) as usize;
        self.free.push(place);
        if let (Some(token), Some(buf)) = (self.tokens[place].take(), done.buf) {
            token.complete(done.result, buf);
        }
    }

    /// Gives up what still waits: readers read for themselves.
    pub(super) fn give_up_waiting(&self) {
        while self.reads.next().is_some() {}
    }
}
