//! Many inserts at once: handed over first and waited for behind, so that they share their syncs.
//!
//! ```text
//!   events --try_insert--> [pending, pending, ...] --answers, in order--> results
//!                no room: take the oldest answer, which makes some
//! ```
//!
//! I1. A batch that waits for room holds none: before it waits for others, it has taken all its own answers. So any
//!     number of batches on any threads make progress, whatever `Options::in_flight` is.
//! I2. The answers come in the order of the events, and one failure is no other's.

use super::event::EventRef;
use super::store::{EventStore, Inserted, Pending};
use crate::base::Result;
use std::collections::VecDeque;

impl EventStore {
    /// Stores `events` and gives their answers in the same order: as many as `Options::in_flight` are under way at once,
    /// so that they share groups and syncs. Events of one shard are stored in the order of the slice.
    ///
    /// Blocks until all are answered. It cannot wait for itself, and batches of several threads cannot wait for one
    /// another; but a thread that holds [`Pending`] answers of its own should take them first, as with
    /// [`EventStore::insert`]. Costs a copy of each event into its shard's ring, and no allocation but the results.
    ///
    /// Each result fails as [`EventStore::insert`] and [`Pending::wait`] do.
    pub fn insert_batch(&self, events: &[EventRef<'_>]) -> Vec<Result<Inserted>> {
        let mut batch = Batch::new(events.len());
        for event in events {
            loop {
                match self.try_insert(event) {
                    Ok(Some(pending)) => batch.push(Ok(pending)),
                    Err(error) => batch.push(Err(error)),
                    Ok(None) => match batch.oldest() {
                        Some(oldest) => {
                            batch.answers.push(oldest.and_then(Pending::wait));
                            continue;
                        }
                        // I1: only others can make room.
                        None => batch.push(self.insert(event)),
                    },
                }
                break;
            }
        }
        while let Some(oldest) = batch.oldest() {
            batch.answers.push(oldest.and_then(Pending::wait));
        }
        batch.answers
    }

    /// [`EventStore::insert_batch`] as a future, of any executor. Dropping it gives up the answers, not what was handed
    /// over: some prefix of the events of each shard is stored.
    pub async fn insert_batch_async(&self, events: &[EventRef<'_>]) -> Vec<Result<Inserted>> {
        let mut batch = Batch::new(events.len());
        for event in events {
            loop {
                match self.try_insert(event) {
                    Ok(Some(pending)) => batch.push(Ok(pending)),
                    Err(error) => batch.push(Err(error)),
                    Ok(None) => match batch.oldest() {
                        Some(oldest) => {
                            batch.answers.push(answer(oldest).await);
                            continue;
                        }
                        // I1
                        None => batch.answers.push(self.insert_async(event).await),
                    },
                }
                break;
            }
        }
        while let Some(oldest) = batch.oldest() {
            batch.answers.push(answer(oldest).await);
        }
        batch.answers
    }
}

async fn answer(pending: Result<Pending<'_>>) -> Result<Inserted> {
    pending?.answer().await
}

/// Answers taken, and behind them those under way, in the order of the events.
struct Batch<'a> {
    answers: Vec<Result<Inserted>>,
    under_way: VecDeque<Result<Pending<'a>>>,
}

impl<'a> Batch<'a> {
    fn new(count: usize) -> Batch<'a> {
        Batch { answers: Vec::with_capacity(count), under_way: VecDeque::new() }
    }

    fn push(&mut self, begun: Result<Pending<'a>>) {
        self.under_way.push_back(begun);
    }

    fn oldest(&mut self) -> Option<Result<Pending<'a>>> {
        self.under_way.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::{Event, Filter};
    use crate::shard::block_on;
    use crate::store::Options;

    fn events(author: u8, count: u64) -> Vec<Event> {
        let event = |n| Event::from_parts([author; 32], n, 1, &[["t", "x"]], "");
        (0..count).map(event).collect()
    }

    fn fill(store: &EventStore, author: u8) {
        let events = events(author, 300);
        let refs: Vec<_> = events.iter().map(Event::as_ref).collect();
        let answers = match author % 2 {
            1 => block_on(store.insert_batch_async(&refs)),
            _ => store.insert_batch(&refs),
        };
        let bad = answers.iter().find(|a| !matches!(a, Ok(Inserted::Stored)));
        assert!(answers.len() == 300 && bad.is_none(), "{bad:?}");
        let again = store.insert_batch(&refs[..20]);
        assert!(again.iter().all(|a| matches!(a, Ok(Inserted::Duplicate))));
    }

    /// Far more than fit at once; a thread that holds all room and waits for more would hang here.
    #[test]
    fn batches_larger_than_what_may_be_in_flight_are_stored_whole_on_several_threads() {
        for threads in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { in_flight: 7, threads, ..Options::tiny() };
            let store = EventStore::open(dir.path(), &options).unwrap();
            if threads {
                let store = &store;
                std::thread::scope(|scope| {
                    for author in 0..4 {
                        scope.spawn(move || fill(store, author));
                    }
                });
            } else {
                fill(&store, 0);
            }
            let stored = store.count(&[Filter::default()]).unwrap();
            assert_eq!(stored, if threads { 1200 } else { 300 });
        }
    }

    #[test]
    fn a_bad_event_in_a_batch_is_its_own_failure() {
        let store = EventStore::in_memory().unwrap();
        let mut events = events(1, 3);
        let long = "x".repeat(3 << 20);
        events.insert(1, Event::from_parts([1; 32], 9, 1, &[[""; 0]; 0], &long));
        events.insert(3, events[0].clone());
        let refs: Vec<_> = events.iter().map(Event::as_ref).collect();
        let answers = store.insert_batch(&refs);
        let seen: Vec<_> = answers.iter().map(|a| a.as_ref().ok().copied()).collect();
        let (stored, again) = (Some(Inserted::Stored), Some(Inserted::Duplicate));
        assert_eq!(seen, [stored, None, stored, again, stored]);
        assert_eq!(answers[1].as_ref().unwrap_err().code(), "ERR_INVALID");
        store.close().unwrap();
        let closed = store.insert_batch(&refs[..1]);
        assert_eq!(closed[0].as_ref().unwrap_err().code(), "ERR_CLOSED");
    }
}
