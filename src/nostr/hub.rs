//! The hub: what the store commits, to the queues of its subscriptions.
//!
//! ```text
//!   shards --wake--> Ring --> hub's thread: poll the tails --match--> [queue] --> Subscription
//!                             (no threads: whoever polls a subscription does it)
//! ```
//!
//! I1. A record of shard `s` with number `n` is new to a subscription exactly if `n > after[s]`, what the snapshot of its
//!     stored half reaches to. The snapshot is taken while the hub stands still, at or behind its tails. So nothing is
//!     missed, and nothing comes twice.
//! I2. The hub waits for no subscriber: a queue that is full ends its subscription. So the tails move on, and keep no
//!     memtable in memory.
//! I3. Tails are held only while there are subscriptions: a store without any is not woken.
//! I4. Wakers are called when no lock is held.

use super::event::{Event, EventRef};
use super::filter::Filter;
use super::store::EventStore;
use super::subscribe::Channel;
use crate::base::{Seq, ShardId};
use crate::io::Wake;
use crate::io::threads::{self, Thread};
use crate::shard::Tail;
use crate::store::StoreSnapshot;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A store's subscriptions and, from the first one on, the thread that serves them.
pub(super) struct Hub {
    threads: bool,
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread<()>>>,
}

/// What the thread, subscribers and subscriptions share.
pub(super) struct Shared {
    core: Mutex<Core>,
    bell: Arc<Bell>,
    /// Whether whoever polls a subscription does the work.
    inline: bool,
}

#[derive(Default)]
struct Core {
    ended: bool,
    tails: Vec<Tail>,
    /// What the tails wake; they do as long as it lives (I3).
    ring: Option<Arc<dyn Wake>>,
    members: Vec<Member>,
}

/// What is dropped when nobody is left.
type Parting = (Vec<Tail>, Option<Arc<dyn Wake>>);

/// A subscription, as the hub sees it.
struct Member {
    filters: Vec<Filter>,
    /// For each shard, what its snapshot holds (I1).
    after: Box<[Seq]>,
    channel: Arc<Channel>,
}

/// Wakes the hub's thread, and those who poll where there is none.
#[derive(Debug, Default)]
struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct BellState {
    rung: bool,
    ended: bool,
    wakers: Vec<Waker>,
}

/// What the shards hold on to, weakly.
#[derive(Debug)]
struct Ring(Arc<Bell>);

impl Wake for Ring {
    fn wake(&self) {
        self.0.ring();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves its state whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bell {
    fn ring(&self) {
        let mut state = lock(&self.state);
        state.rung = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.rung.notify_one();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        lock(&self.state).ended = true;
        self.ring();
    }

    /// Waits until it rings; false at the end.
    fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        while !state.rung {
            state = self.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rung = false;
        !state.ended
    }

    fn register(&self, waker: &Waker) {
        let mut state = lock(&self.state);
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
    }
}

impl Hub {
    /// A hub without subscriptions, and so without a thread.
    pub(super) fn new(threads: bool) -> Hub {
        let (core, bell) = (Mutex::default(), Arc::default());
        let shared = Arc::new(Shared { core, bell, inline: !threads });
        Hub { threads, shared, thread: Mutex::new(None) }
    }

    /// A new subscription: the snapshot of its stored half, behind which `channel` gets all that matches.
    pub(super) fn subscribe(
        &self,
        store: &EventStore,
        filters: &[Filter],
        channel: &Arc<Channel>,
    ) -> (StoreSnapshot, Arc<Shared>) {
        self.start();
        let mut filters = filters.to_vec();
        filters.iter_mut().for_each(Filter::normalize);
        let mut core = lock(&self.shared.core);
        let snapshot = store.snapshot(); // I1
        if core.ended {
            channel.end();
            return (snapshot, self.shared.clone());
        }
        if core.ring.is_none() {
            let ring: Arc<dyn Wake> = Arc::new(Ring(self.shared.bell.clone()));
            core.tails = store.tails(&snapshot, &ring);
            core.ring = Some(ring);
        }
        let shards = 0..store.engine().shard_count();
        let after = shards.map(|shard| snapshot.seq(shard as ShardId)).collect();
        core.members.push(Member { filters, after, channel: channel.clone() });
        drop(core);
        // What was published between the snapshot and the tails' first wake.
        self.shared.bell.ring();
        (snapshot, self.shared.clone())
    }

    fn start(&self) {
        let mut thread = lock(&self.thread);
        if self.threads && thread.is_none() && !lock(&self.shared.core).ended {
            let shared = self.shared.clone();
            *thread = Some(threads::spawn("ratite-live", move || {
                let ended = threads::caught(|| {
                    while shared.bell.wait() {
                        shared.deliver();
                    }
                });
                if let Err(why) = ended {
                    tracing::error!("subscriptions end, for their thread panicked: {why}");
                    shared.end_members();
                }
            }));
        }
    }

    /// Hands an event that is not stored to the subscriptions that it matches.
    pub(super) fn broadcast(&self, event: &EventRef<'_>) {
        let mut wakers = Vec::new();
        lock(&self.shared.core).give(None, event, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Delivers what is left, and ends all subscriptions behind it.
    pub(super) fn end(&self) {
        self.shared.bell.end();
        let thread = lock(&self.thread).take();
        if let Some(Err(error)) = thread.map(Thread::join) {
            tracing::error!(%error, "the hub of subscriptions ended badly");
        }
        self.shared.deliver();
        self.shared.end_members();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Does the hub's work for who polls, if nobody else does; `waker` is told when there is more of it.
    pub(super) fn poll_inline(&self, waker: &Waker) {
        if self.inline {
            self.bell.register(waker);
            self.deliver();
        }
    }

    /// Ends all subscriptions, and those that are still to come.
    fn end_members(&self) {
        let mut core = lock(&self.core);
        core.ended = true;
        let members = std::mem::take(&mut core.members);
        let idle = (std::mem::take(&mut core.tails), core.ring.take());
        drop(core);
        drop(idle);
        members.iter().for_each(|member| member.channel.end());
    }

    /// Forgets a subscription.
    pub(super) fn leave(&self, channel: &Arc<Channel>) {
        let mut core = lock(&self.core);
        let left: Vec<Member> =
            core.members.extract_if(.., |m| Arc::ptr_eq(&m.channel, channel)).collect();
        let idle = core.go_idle();
        drop(core);
        drop((left, idle));
    }

    /// Takes what the tails have to the queues.
    fn deliver(&self) {
        let mut wakers = Vec::new();
        let mut core = lock(&self.core);
        let mut tails = std::mem::take(&mut core.tails);
        for (tail, shard) in tails.iter_mut().zip(0..) {
            tail.poll(&mut |seq, record| match EventRef::stored(record) {
                Ok(event) => core.give(Some((shard, seq)), &event, &mut wakers),
                Err(error) => tracing::error!(%error, "the store's tail holds what is no event"),
            });
        }
        core.tails = tails;
        let idle = core.go_idle();
        drop(core);
        drop(idle);
        wakers.into_iter().for_each(Waker::wake); // I4
    }
}

impl Core {
    /// Queues the event at a position, or one that is not stored, where it matches.
    fn give(
        &mut self,
        position: Option<(ShardId, Seq)>,
        event: &EventRef<'_>,
        wakers: &mut Vec<Waker>,
    ) {
        let mut shared: Option<Arc<Event>> = None;
        self.members.retain(|member| {
            let new = position.is_none_or(|(shard, seq)| seq > member.after[usize::from(shard)]);
            if !new || !member.filters.iter().any(|filter| filter.matches_sorted(event)) {
                return true;
            }
            let event = shared.get_or_insert_with(|| Arc::new(event.to_owned()));
            member.channel.push(event, wakers) // I2
        });
    }

    /// Gives up the tails if nobody is there (I3).
    fn go_idle(&mut self) -> Option<Parting> {
        let idle = self.members.is_empty() && self.ring.is_some();
        idle.then(|| (std::mem::take(&mut self.tails), self.ring.take()))
    }
}
