//! kill -9 while a client publishes: each event that got its `OK` is there after a restart.
//!
//! ```text
//!   publish, 64 under way --OK ... OK--> kill -9 --> restart on the same store --> ask for all ids
//! ```

use super::{Relay, Socket, json};
use ratite::io::Rng;
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Class, Event, EventStore, class};
use ratite::store::Options;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Events that are published before the first answer is waited for.
const WINDOW: usize = 64;

/// Ids in one request.
const IDS: usize = 400;

/// By id, in hex: all that was submitted and is not known to be stored.
pub(super) type Open = HashMap<String, Event>;

pub(super) fn hex(event: &Event) -> String {
    event.id().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id in an `OK true`.
fn accepted(message: &Value) -> String {
    assert!(message[0] == "OK" && message[2] == true, "{message}");
    message[1].as_str().unwrap().into()
}

/// Publishes until `is_over` says so after an answer, and kills the relay then. Moves what was answered from
/// `open` to `acked`.
pub(super) fn publish_and_kill(
    relay: &mut Relay,
    events: &mut impl Iterator<Item = Event>,
    mut is_over: impl FnMut(&mut Relay) -> bool,
    open: &mut Open,
    acked: &mut BTreeMap<String, Event>,
) {
    let mut socket = Socket::connect(&relay.url);
    let mut publish = |socket: &mut Socket, open: &mut Open| {
        let event = events.next().unwrap();
        let sent = socket.publish(&event);
        open.insert(hex(&event), event);
        sent
    };
    (0..WINDOW).for_each(|_| publish(&mut socket, open).unwrap());
    while !is_over(relay) {
        let id = accepted(&socket.next().unwrap());
        let event = open.remove(&id).expect("an answer to a question");
        acked.insert(id, event);
        publish(&mut socket, open).unwrap();
    }
    assert_eq!(relay.kill().code(), None, "it ended by itself");
    // What it had said before it died may still be on the way here.
    while let Ok(message) = socket.next() {
        let id = accepted(&message);
        let event = open.remove(&id).expect("an answer to a question");
        acked.insert(id, event);
    }
}

/// Everything that was acknowledged is there, byte for byte, and nothing that was never submitted.
pub(super) fn check(relay: &Relay, acked: &BTreeMap<String, Event>, open: &Open) {
    let mut socket = Socket::connect(&relay.url);
    let ids: Vec<_> = acked.keys().collect();
    for ids in ids.chunks(IDS) {
        let found = socket.query(&json!({ "ids": ids, "limit": IDS }));
        let found: HashMap<_, _> = found.iter().map(|e| (e["id"].as_str().unwrap(), e)).collect();
        for &id in ids {
            let there = found.get(id.as_str()).unwrap_or_else(|| panic!("lost {id}"));
            let published: Value = serde_json::from_str(&json(&acked[id])).unwrap();
            assert_eq!(**there, published);
        }
    }
    let (count, acked) = (socket.count(&json!({})), acked.len() as u64);
    let submitted = acked + open.len() as u64;
    assert!((acked..=submitted).contains(&count), "{count} of {acked} to {submitted}");
}

/// Publishes what got no answer again, as clients do; now all of it is answered and stored.
pub(super) fn publish_again(relay: &Relay, open: &mut Open, acked: &mut BTreeMap<String, Event>) {
    let mut socket = Socket::connect(&relay.url);
    open.values().for_each(|event| socket.publish(event).unwrap());
    for _ in 0..open.len() {
        let id = accepted(&socket.next().unwrap());
        let event = open.remove(&id).expect("an answer to a question");
        acked.insert(id, event);
    }
    assert_eq!(socket.count(&json!({})), acked.len() as u64);
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(5);
    // Replaceable events may rightly be gone; tests/it/real/events.rs has them.
    let mut events =
        Generator::new(9, &Config::default()).filter(|event| class(event.kind()) == Class::Regular);
    let (mut acked, mut open) = (BTreeMap::new(), Open::new());
    for cycle in 0..5 {
        let sync = ["always", "batch", "never"][cycle % 3];
        // Gift wraps are among the events, and are asked for too.
        let more = ["--private-kinds", "none", "--sync", sync];
        let mut relay = Relay::start(dir.path(), &more);
        check(&relay, &acked, &open);
        publish_again(&relay, &mut open, &mut acked);
        let oks = 2 + rng.below(1500);
        let mut left = oks;
        let is_over = |_: &mut Relay| {
            left -= 1;
            left == 0
        };
        publish_and_kill(&mut relay, &mut events, is_over, &mut open, &mut acked);
    }
    let relay = Relay::start(dir.path(), &["--private-kinds", "none"]);
    check(&relay, &acked, &open);
    publish_again(&relay, &mut open, &mut acked);
    relay.stop();
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let store = EventStore::open(dir.path(), &options).unwrap();
    let segments: u64 = store.engine().stats().iter().map(|shard| shard.segments).sum();
    assert!(segments > 0, "the kills never met a flush");
    store.close().unwrap();
}
