//! One thread's feed: what the store commits, and ephemeral events, to the thread's subscriptions.
//!
//! ```text
//!   shards --wake--> bell --> poll the tails --> Front::deliver --> outboxes
//!   EVENT (ephemeral), any thread --channel-----^
//! ```
//!
//! I1. The bell is rung after something was published, and is heard even if nobody listened then. So
//!     nothing stays in a tail.
//! I2. The tails are polled whether anyone subscribes or not: a tail that stands still keeps
//!     memtables in memory.

use super::front::Front;
use super::live::Position;
use crate::base::ShardId;
use crate::io::{Clock, Wake};
use crate::nostr::{Event, EventRef};
use crate::shard::Tail;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

/// Ephemeral events delivered in a row before the thread's other tasks have their turn.
const EPHEMERAL_SLICE: usize = 64;

/// Wakes a feed from any thread.
#[derive(Debug)]
pub(super) struct Bell {
    notify: Notify,
    clock: Arc<dyn Clock>,
    /// When it was first rung since the feed last looked; 0 if it was not.
    rung_nanos: AtomicU64,
}

impl Bell {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Bell {
        Bell { notify: Notify::new(), clock, rung_nanos: AtomicU64::new(0) }
    }

    /// When it was first rung since this was last asked.
    fn rung(&self) -> Option<u64> {
        Some(self.rung_nanos.swap(0, Relaxed)).filter(|nanos| *nanos > 0)
    }
}

impl Wake for Bell {
    fn wake(&self) {
        if self.rung_nanos.load(Relaxed) == 0 {
            self.rung_nanos.store(self.clock.monotonic_nanos().max(1), Relaxed);
        }
        // Leaves a permit if nobody listens (I1).
        self.notify.notify_one();
    }
}

/// Delivers for ever.
pub(super) async fn follow(
    front: Rc<Front>,
    bell: Arc<Bell>,
    mut tails: Vec<Tail>,
    mut ephemeral: Receiver<Arc<Event>>,
) {
    let mut batch = Vec::with_capacity(EPHEMERAL_SLICE);
    loop {
        tokio::select! {
            () = bell.notify.notified() => {}
            _ = ephemeral.recv_many(&mut batch, EPHEMERAL_SLICE) => {}
        }
        for event in batch.drain(..) {
            front.deliver(None, &Event::as_ref(&event));
        }
        // Asked before the tails are: what is published from now on has a time of its own.
        let rung = bell.rung();
        let delivered = front.delivered();
        for (tail, shard) in tails.iter_mut().zip(0..) {
            poll(&front, tail, shard);
        }
        if let Some(rung) = rung.filter(|_| front.delivered() > delivered) {
            front.counters.latencies.live.record(front.nanos().saturating_sub(rung));
        }
        // Bells ring faster than a thread can listen, and clients must be served meanwhile.
        tokio::task::yield_now().await;
    }
}

/// Delivers what a tail has.
pub(super) fn poll(front: &Front, tail: &mut Tail, shard: ShardId) {
    if front.has_no_subscriptions() {
        tail.poll(&mut |_, _| {});
        return;
    }
    tail.poll(&mut |seq, record| match EventRef::new(record.key, record.body) {
        Ok(event) => front.deliver(Some(Position { shard, seq }), &event),
        Err(error) => tracing::error!(%error, "the store's feed holds what is no event"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::{EventStore, Filter};
    use crate::query::Order;
    use crate::relay::auth::Identity;
    use crate::relay::front::Gate;
    use crate::relay::message::{ClientMessage, SubId, parse};
    use crate::relay::{Policy, RelayStats};
    use crate::store::Options;

    fn front(store: &Arc<EventStore>) -> Front {
        let (policy, rates) = Default::default();
        let policy = Policy::open(&policy, &rates, store.engine().env(), store.engine().dir());
        let (policy, items) = (Arc::new(policy.unwrap()), Arc::default());
        let gate = Gate { policy, plugin: None, manager: None, items };
        let (config, counters) = (Box::leak(Box::default()), Arc::default());
        Front::new(store.clone(), config, [].into(), counters, gate, Vec::new())
    }

    fn sub(id: &str) -> SubId {
        match parse(format!("[\"CLOSE\",\"{id}\"]").as_bytes(), 1) {
            Ok(ClientMessage::Close(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// The feed may lag behind the snapshot of a REQ: the test decides when it polls.
    #[test]
    fn a_feed_that_lags_repeats_nothing_and_misses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(EventStore::open(dir.path(), &Options::tiny()).unwrap());
        let put = |n: u64| {
            let event = Event::from_parts([n as u8; 32], n, 1, &[["t", "x"]], "");
            store.insert(&event.as_ref()).unwrap().wait().unwrap();
        };
        let wake: Arc<dyn Wake> = Arc::new(Bell::new(store.engine().env().clock.clone()));
        let mut tails = store.tails(&store.snapshot(), &wake);
        let front = front(&store);
        let mut poll_all = || {
            tails.iter_mut().zip(0..).for_each(|(tail, shard)| poll(&front, tail, shard));
            RelayStats::sum(0, std::iter::once(&*front.counters)).sent_live
        };
        let outbox = front.connect();
        let viewer = Rc::new(Identity::new(&*store.engine().env().entropy));
        let all = [Filter::default()];
        (1..=4).for_each(put);
        let (_, _live, snapshot) = front.subscribe(sub("s"), all.to_vec(), &outbox, &viewer);
        (5..=7).for_each(put);
        let mut stored = store.query_at(&snapshot, &all, Order::Newest).unwrap();
        let count = std::iter::from_fn(|| stored.next().unwrap().map(|_| ())).count();
        assert_eq!((count, poll_all(), poll_all()), (4, 3, 3));
        put(8);
        assert_eq!(poll_all(), 4);
    }

    #[test]
    fn nothing_is_delivered_that_has_expired_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(EventStore::open(dir.path(), &Options::tiny()).unwrap());
        let viewer = Rc::new(Identity::new(&*store.engine().env().entropy));
        let front = front(&store);
        let outbox = front.connect();
        let _live = front.subscribe(sub("s"), vec![Filter::default()], &outbox, &viewer);
        let now = front.now();
        let sent_with = |expiration: &str| {
            let event = Event::from_parts([1; 32], 1, 1, &[["expiration", expiration]], "");
            front.deliver(None, &event.as_ref());
            RelayStats::sum(0, std::iter::once(&*front.counters)).sent_live
        };
        assert_eq!((sent_with("1"), sent_with(&now.to_string())), (0, 0));
        assert_eq!((sent_with(&(now + 1_000).to_string()), sent_with("soon")), (1, 2));
    }
}
