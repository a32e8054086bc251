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
use crate::io::Wake;
use crate::nostr::{Event, EventRef};
use crate::shard::Tail;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

/// Ephemeral events delivered in a row before the thread's other tasks have their turn.
const EPHEMERAL_SLICE: usize = 64;

/// Wakes a feed from any thread.
#[derive(Debug, Default)]
pub(super) struct Bell(Notify);

impl Wake for Bell {
    fn wake(&self) {
        // Leaves a permit if nobody listens (I1).
        self.0.notify_one();
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
            () = bell.0.notified() => {}
            _ = ephemeral.recv_many(&mut batch, EPHEMERAL_SLICE) => {}
        }
        for event in batch.drain(..) {
            front.deliver(None, &Event::as_ref(&event));
        }
        for (tail, shard) in tails.iter_mut().zip(0..) {
            poll(&front, tail, shard);
        }
        // Bells ring faster than a thread can listen, and clients must be served meanwhile.
        tokio::task::yield_now().await;
    }
}

fn poll(front: &Front, tail: &mut Tail, shard: ShardId) {
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
    use crate::relay::RelayStats;
    use crate::relay::auth::Identity;
    use crate::relay::message::{ClientMessage, SubId, parse};
    use crate::store::Options;

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
        let wake: Arc<dyn Wake> = Arc::<Bell>::default();
        let mut tails = store.tails(&store.snapshot(), &wake);
        let front = Front::new(
            store.clone(),
            Arc::default(),
            [].into(),
            Arc::default(),
            Arc::default(),
            Vec::new(),
        );
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
        let front = Front::new(
            store,
            Arc::default(),
            [].into(),
            Arc::default(),
            Arc::default(),
            Vec::new(),
        );
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
