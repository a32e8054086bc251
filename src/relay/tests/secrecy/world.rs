//! A relay without sockets and threads: one session at a time, driven until nothing is under way.

use super::script::Step;
use crate::io::{Entropy, Env, Faults, ManualClock, SeededEntropy, SimDisk, Wake};
use crate::nostr::{Event, EventStore};
use crate::relay::client::Client;
use crate::relay::feed::{self, Bell};
use crate::relay::front::{Front, Gate};
use crate::relay::outbox::Outbox;
use crate::relay::rounds::turn;
use crate::relay::session::Session;
use crate::relay::{self, Config};
use crate::shard::{Policy, Tail};
use crate::store::Options;
use ::negentropy::{Id, Negentropy, NegentropyStorageVector};
use futures_util::FutureExt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;

/// Seconds since 1970 when a world begins.
pub(super) const NOW: u64 = 1_704_067_200;

/// A store that flushes and merges nothing by itself: which of the dead still count in the order of a search follows from
/// when that is done, and so from how much there is.
fn options() -> Options {
    let compaction = Policy { fan_in: 16, garbage_percent: 100, ..Policy::default() };
    let options = Options { memtable_bytes: Some(6 << 20), compaction, ..Options::tiny() };
    Options { memory_bytes: 96 << 20, log_file_bytes: 8 << 20, ring_bytes: 1 << 20, ..options }
}

/// What every connection is asked to sign.
pub(super) const CHALLENGE: &str = "07070707070707070707070707070707";

/// Chance, but for what connections draw.
#[derive(Debug)]
struct Chance {
    seeded: SeededEntropy,
    is_same: AtomicBool,
}

impl Entropy for Chance {
    fn fill(&self, out: &mut [u8]) {
        match self.is_same.load(Relaxed) {
            true => out.fill(7),
            false => self.seeded.fill(out),
        }
    }
}

pub(super) struct World {
    store: Arc<EventStore>,
    front: Rc<Front>,
    tails: Vec<Tail>,
    ephemeral: mpsc::Receiver<Arc<Event>>,
    clock: Arc<ManualClock>,
    client: Option<(Session, Rc<Outbox>)>,
    chance: Arc<Chance>,
    _bell: Arc<dyn Wake>,
}

impl World {
    pub(super) fn new(config: &'static Config) -> World {
        let clock = Arc::new(ManualClock::new(NOW * 1_000_000));
        let disk = SimDisk::new(0, Faults::default());
        let chance =
            Arc::new(Chance { seeded: SeededEntropy::new(1), is_same: AtomicBool::new(false) });
        let env = Env { disk, clock: clock.clone(), entropy: chance.clone() };
        let store = EventStore::open_in(Path::new("/store"), &options(), env).unwrap();
        let store = Arc::new(store);
        store.keep_private(&config.private_kinds);
        let engine = store.engine();
        let policy =
            relay::Policy::open(&config.policy, &config.limits.rates, engine.env(), engine.dir())
                .unwrap();
        let items = Arc::new(crate::relay::budget::ItemBudget::new(&config.limits));
        let gate = Gate { policy: Arc::new(policy), plugin: None, manager: None, items };
        let bell: Arc<dyn Wake> = Arc::new(Bell::new(engine.env().clock.clone()));
        let tails = store.tails(&store.snapshot(), &bell);
        let (feed, ephemeral) = mpsc::channel(64);
        let (hosts, counters) = (["localhost".to_string()].into(), Arc::default());
        let front = Front::new(store.clone(), config, hosts, counters, gate, vec![feed]);
        let front = Rc::new(front);
        tokio::task::spawn_local(turn(front.rounds.clone()));
        World { store, front, tails, ephemeral, clock, client: None, chance, _bell: bell }
    }

    /// A new client in place of the one before.
    pub(super) fn connect(&mut self) {
        self.client = None;
        let outbox = self.front.connect();
        let client = Client::new(&self.front.policy, IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.chance.is_same.store(true, Relaxed);
        self.client = Some((Session::new(self.front.clone(), outbox.clone(), client), outbox));
        self.chance.is_same.store(false, Relaxed);
    }

    /// Memtables become segments. Once, and when there is much in them: a segment of which nothing lives is merged away,
    /// and whether anything does may be a private event's doing.
    pub(super) fn flush(&self) {
        self.store.engine().flush().unwrap();
    }

    /// Does a step; gives what the client hears until nothing is under way. `side` is which of the worlds this is.
    pub(super) async fn act(&mut self, step: &Step, side: usize) -> Vec<String> {
        match step {
            Step::Say(text) => self.say(text).await,
            Step::Compare(filter, own) => self.compare(filter, own).await,
            Step::Others(event) => self.put(event).await,
            Step::Secret(events) => match &events[side] {
                Some(event) => self.put(event).await,
                None => self.settle().await,
            },
            Step::Pass(seconds) => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.settle().await
            }
        }
    }

    async fn put(&mut self, event: &Event) -> Vec<String> {
        let _inserted = self.store.insert(&event.as_ref()).unwrap().wait().unwrap();
        self.settle().await
    }

    async fn say(&mut self, text: &str) -> Vec<String> {
        if let Some((session, _)) = &mut self.client {
            session.take(text);
        }
        self.settle().await
    }

    /// Everything that NIP-77 makes of a filter and the client's own events.
    async fn compare(&mut self, filter: &str, own: &[(u64, [u8; 32])]) -> Vec<String> {
        let mut storage = NegentropyStorageVector::new();
        for (time, id) in own {
            storage.insert(*time, Id::from_byte_array(*id)).unwrap();
        }
        storage.seal().unwrap();
        let mut client = Negentropy::borrowed(&storage, 4_096).unwrap();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let first = const_hex::encode(client.initiate().unwrap());
        let mut said = self.say(&format!("[\"NEG-OPEN\",\"n\",{filter},\"{first}\"]")).await;
        loop {
            let last = said.last().and_then(|line| line.strip_prefix("[\"NEG-MSG\",\"n\",\""));
            let Some(hex) = last.and_then(|rest| rest.strip_suffix("\"]")) else { return said };
            let answer = const_hex::decode(hex).unwrap();
            match client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap() {
                None => return said,
                Some(next) => {
                    let next = const_hex::encode(next);
                    said.extend(self.say(&format!("[\"NEG-MSG\",\"n\",\"{next}\"]")).await);
                }
            }
        }
    }

    /// Goes on until nothing is under way; gives what the client heard.
    async fn settle(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            // Runs the shards, so that what was handed to them is answered and published.
            self.store.engine().barrier().unwrap();
            self.deliver();
            let Some((session, outbox)) = &mut self.client else { return heard };
            while let Some(Some(message)) = outbox.take().now_or_never() {
                heard.push(message.into_text().unwrap().to_string());
            }
            if session.is_idle() {
                return heard;
            }
            tokio::select! {
                biased;
                () = session.work() => {}
                () = tokio::task::yield_now() => {}
            }
        }
    }

    fn deliver(&mut self) {
        for (tail, shard) in self.tails.iter_mut().zip(0..) {
            feed::poll(&self.front, tail, shard);
        }
        while let Ok(event) = self.ephemeral.try_recv() {
            self.front.deliver(None, &Event::as_ref(&event));
        }
    }
}
