//! What the tasks of one front-end thread share. It stays on its thread: no locks, no atomics, but
//! for the counters that others read.

use super::auth::Identity;
use super::budget::ItemBudget;
use super::config::{Config, Current};
use super::deflate::Deflate;
use super::held::Tally;
use super::limits::Limits;
use super::live::{Live, Position};
use super::manage::Manager;
use super::message::SubId;
use super::outbox::{Outbox, PRESSED};
use super::plugin::Plugin;
use super::policy::Policy;
use super::rounds::Rounds;
use super::sent_away::SentAway;
use super::stats::{Counter, Counters};
use super::subscriptions::{SubKey, Subscriptions};
use super::visibility::may_see;
use crate::nostr::{Event, EventRef, EventStore, Filter, expiration, write_event};
use crate::store::StoreSnapshot;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

/// COUNTs, searches and negentropy messages of one thread that are under way at once; they run beside it, on threads of their own.
const COUNTS_MAX: usize = 2;

/// Ephemeral events that may wait for one thread's feed; more are dropped, which NIP-01 allows.
pub(super) const EPHEMERAL_MAX: usize = 1024;

/// What decides on what is let in, shared by all threads.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) policy: Arc<Policy>,
    pub(super) plugin: Option<Arc<Plugin>>,
    pub(super) manager: Option<Arc<Manager>>,
    /// What negentropy sessions of all threads may hold.
    pub(super) items: Arc<ItemBudget>,
}

/// One front-end thread's own.
pub(super) struct Front {
    pub(super) store: Arc<EventStore>,
    pub(super) config: Current,
    /// The hosts that clients know this relay by.
    pub(super) hosts: Arc<[String]>,
    pub(super) counters: Arc<Counters>,
    pub(super) counting: Arc<Semaphore>,
    pub(super) policy: Arc<Policy>,
    pub(super) plugin: Option<Arc<Plugin>>,
    /// `None` if nobody may manage the relay.
    pub(super) manager: Option<Arc<Manager>>,
    /// What negentropy sessions of all threads may hold.
    pub(super) items: Arc<ItemBudget>,
    /// Of all clients whose messages are compressed.
    pub(super) deflate: Rc<RefCell<Deflate>>,
    /// The feeds of all threads, this one's included.
    ephemeral: Vec<Sender<Arc<Event>>>,
    subscriptions: RefCell<Subscriptions<Rc<Live>>>,
    /// The JSON of the event that is being delivered.
    json: RefCell<Vec<u8>>,
    /// The outboxes of the clients that are connected.
    clients: RefCell<Vec<Weak<Outbox>>>,
    stopping: Cell<bool>,
    /// Values of the filters of all requests of this thread's clients, waiting or live.
    pub(super) values: Tally,
    /// Bytes of the events of this thread's clients that wait for the store.
    pub(super) event_bytes: Tally,
    /// Bytes of this thread's clients of messages that are not whole yet.
    pub(super) incoming: Tally,
    /// Who was sent away, as far as the log has been told lately.
    sent_away: SentAway,
    /// Between two slices of a request.
    pub(super) rounds: Rc<Rounds>,
}

impl Front {
    pub(super) fn new(
        store: Arc<EventStore>,
        config: &'static Config,
        hosts: Arc<[String]>,
        counters: Arc<Counters>,
        gate: Gate,
        ephemeral: Vec<Sender<Arc<Event>>>,
    ) -> Front {
        Front {
            store,
            config: Current::new(config),
            hosts,
            counters,
            counting: Arc::new(Semaphore::new(COUNTS_MAX)),
            policy: gate.policy,
            plugin: gate.plugin,
            manager: gate.manager,
            items: gate.items,
            deflate: Rc::new(RefCell::new(Deflate::new())),
            ephemeral,
            subscriptions: RefCell::new(Subscriptions::new()),
            json: RefCell::default(),
            clients: RefCell::default(),
            stopping: Cell::new(false),
            values: Tally::default(),
            event_bytes: Tally::default(),
            incoming: Tally::default(),
            sent_away: SentAway::default(),
            rounds: Rc::default(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What of values one connection may hold now: less, if all clients of this thread hold too many. Then those who
    /// hold few are served as ever.
    pub(super) fn values_max(&self) -> usize {
        let all = self.limits().total_values / self.config.threads.max(1);
        let divisor = if self.values.sum() > all { PRESSED } else { 1 };
        self.limits().connection_values / divisor
    }

    /// Seconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.store.now()
    }

    /// Nanoseconds of a clock that only goes forward, for latencies.
    pub(super) fn nanos(&self) -> u64 {
        self.store.engine().env().clock.monotonic_nanos()
    }

    /// Counts a client that was sent away, or a message of it, and tells the log.
    pub(super) fn send_away(&self, counter: &Counter, from: IpAddr, why: &str) {
        self.sent_away.note(counter, self.nanos(), from, why);
    }

    /// Tells the log, for ever, how often who was sent away came again.
    pub(super) async fn tell_of_sent_away(&self) {
        self.sent_away.tell(|| self.nanos()).await;
    }

    /// The end of that: tells the log what it has not been told.
    pub(super) fn tell_all_of_sent_away(&self) {
        self.sent_away.tell_all();
    }

    /// The outbox of a client that has connected.
    pub(super) fn connect(&self) -> Rc<Outbox> {
        let outbox =
            Rc::new(Outbox::new(self.limits(), self.config.threads, self.counters.clone()));
        if self.stopping.get() {
            outbox.stop();
        }
        let mut clients = self.clients.borrow_mut();
        if clients.len() == clients.capacity() {
            // Each time it would grow, so that forgetting costs little per connection.
            clients.retain(|client| client.strong_count() > 0);
        }
        clients.push(Rc::downgrade(&outbox));
        outbox
    }

    /// Tells all connections to end, also those that are being opened.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        let clients = self.clients.take();
        clients.iter().filter_map(Weak::upgrade).for_each(|outbox| outbox.stop());
    }

    /// Starts the live half of a subscription; its stored half is what the snapshot holds.
    pub(super) fn subscribe(
        &self,
        id: SubId,
        filters: Vec<Filter>,
        outbox: &Rc<Outbox>,
        viewer: &Rc<Identity>,
    ) -> (SubKey, Rc<Live>, StoreSnapshot) {
        // The feed runs on this thread, so it matches nothing between the snapshot and the insertion.
        let snapshot = self.store.snapshot();
        let live = Rc::new(Live::new(id, outbox.clone(), viewer.clone(), &self.store, &snapshot));
        let key = self.subscriptions.borrow_mut().insert(filters, live.clone());
        self.counters.subscriptions_begun.add();
        (key, live, snapshot)
    }

    pub(super) fn unsubscribe(&self, key: SubKey) {
        drop(self.subscriptions.borrow_mut().remove(key));
        self.counters.subscriptions_ended.add();
    }

    /// Sends an event to this thread's subscriptions, unless it has expired by now. It is written as JSON once, if
    /// anyone wants it.
    pub(super) fn deliver(&self, position: Option<Position>, event: &EventRef<'_>) {
        let mut json = self.json.borrow_mut();
        json.clear();
        let private_kinds = &self.config.private_kinds;
        let mut expires = None;
        self.subscriptions.borrow_mut().find(event, |live| {
            if !live.wants(position) || !may_see(event, private_kinds, &live.viewer().keys()) {
                return;
            }
            if json.is_empty() {
                expires = expiration::of(event);
                write_event(event, &mut json);
            }
            if expires.is_some_and(|at| at <= self.now()) {
                return;
            }
            live.send(&json, expires);
            self.counters.sent_live.add();
        });
    }

    /// Live events that this thread has delivered so far.
    pub(super) fn delivered(&self) -> u64 {
        self.counters.sent_live.get()
    }

    /// Whether this thread has nobody to deliver to.
    pub(super) fn has_no_subscriptions(&self) -> bool {
        self.subscriptions.borrow().is_empty()
    }

    /// Hands an ephemeral event to the feeds of all threads.
    pub(super) fn broadcast(&self, event: Event) {
        let event = Arc::new(event);
        for feed in &self.ephemeral {
            if feed.try_send(event.clone()).is_err() {
                self.counters.events_ephemeral_dropped.add();
            }
        }
    }
}
