//! Live subscriptions against the literal rules: each event that comes in is given exactly if a filter matches it.

use crate::compare::{ANSWERS, filters, ids};
use crate::naive::random::World;
use crate::naive::{Ask, Ev, Naive};
use futures::Stream;
use ratite::nostr::{EventStore, Subscription, Update};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

thread_local! {
    /// Events that came in while a subscription was open, counted for each: what this thread has compared.
    pub static OFFERED: Cell<u64> = const { Cell::new(0) };
}

/// A subscription, and what was asked.
pub struct Live {
    asks: Vec<Ask>,
    subscription: Subscription,
}

impl Live {
    /// Subscribes to a random question, and compares what is stored.
    pub fn open(store: &EventStore, naive: &Naive, world: &mut World) -> Live {
        let asks = world.query(naive);
        let subscription = store.subscribe(&filters(&asks, &mut world.rng));
        let mut live = Live { asks, subscription };
        let (mut stored, mut is_over) = (Vec::new(), false);
        while let Some(update) = live.next() {
            match update {
                Update::Stored(event) if !is_over => stored.push(hex(event.id())),
                Update::Eose if !is_over => is_over = true,
                other => panic!("{other:?} of {:?}", live.asks),
            }
        }
        assert_eq!(stored, ids(&naive.answer(&live.asks, false)), "stored, of {:?}", live.asks);
        assert!(is_over, "the stored events have an end");
        ANSWERS.set(ANSWERS.get() + 1);
        live
    }

    /// Compares what is given of the events that came in since: each that matches, once. Those of different shards may
    /// come in any order.
    pub fn check(&mut self, arrived: &[Arc<Ev>]) {
        let mut given = Vec::new();
        while let Some(update) = self.next() {
            match update {
                Update::Live(event) => given.push(hex(event.id())),
                other => panic!("{other:?} of {:?}", self.asks),
            }
        }
        let is_asked = |ev: &&Arc<Ev>| self.asks.iter().any(|ask| ask.matches(ev));
        let mut expected: Vec<String> =
            arrived.iter().filter(is_asked).map(|ev| ev.id.clone()).collect();
        given.sort();
        expected.sort();
        assert_eq!(given, expected, "live, of {:?}", self.asks);
        ANSWERS.set(ANSWERS.get() + 1);
        OFFERED.set(OFFERED.get() + arrived.len() as u64);
    }

    /// What is there now.
    fn next(&mut self) -> Option<Update> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.subscription).poll_next(&mut context) {
            Poll::Ready(Some(update)) => Some(update.unwrap()),
            Poll::Ready(None) => panic!("the store is open"),
            Poll::Pending => None,
        }
    }
}

fn hex(id: &[u8; 32]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}
