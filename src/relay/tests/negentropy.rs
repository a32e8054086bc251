//! NIP-77 and the `hll` of NIP-45 over real sockets; the client's half is the crate `negentropy`.

use super::*;
use crate::nostr::hll::{Hll, parse_registers};
use ::negentropy::{Id, Negentropy, NegentropyStorageVector};
use std::collections::BTreeSet;

/// Notes that nobody signed: the store takes them.
fn put(rig: &Rig, range: std::ops::Range<u64>) -> Vec<Event> {
    let events: Vec<Event> = range
        .map(|n| {
            let author = [(n % 7) as u8; 32];
            Event::from_parts(author, T0 + n / 3, (n % 2) as u16 + 1, &[["t", "x"]], &n.to_string())
        })
        .collect();
    // No more at once than a store has room for.
    for some in events.chunks(50) {
        let pending: Vec<_> =
            some.iter().map(|event| rig.store.insert(&event.as_ref()).unwrap()).collect();
        pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    }
    events
}

pub(super) fn twin<'a>(events: impl IntoIterator<Item = &'a Event>) -> NegentropyStorageVector {
    let mut storage = NegentropyStorageVector::new();
    for event in events {
        storage.insert(event.created_at(), Id::from_byte_array(*event.id())).unwrap();
    }
    storage.seal().unwrap();
    storage
}

impl Client {
    fn negentropy(&mut self, message: &str) -> Vec<u8> {
        self.say(message);
        let answer = self.hear();
        assert_eq!(answer[0], "NEG-MSG", "{answer}");
        const_hex::decode(answer[2].as_str().unwrap()).unwrap()
    }

    pub(super) fn refusal(&mut self, message: &str) -> String {
        self.say(message);
        let answer = self.hear();
        assert_eq!(answer[0], "NEG-ERR", "{answer}");
        answer[2].as_str().unwrap().to_string()
    }

    /// Compares `own` with what matches `filter`: what only this side has, and what only the relay has.
    pub(super) fn compare(
        &mut self,
        filter: &str,
        own: &NegentropyStorageVector,
    ) -> [BTreeSet<[u8; 32]>; 2] {
        let mut client = Negentropy::borrowed(own, 8_000).unwrap();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let first = const_hex::encode(client.initiate().unwrap());
        let mut answer = self.negentropy(&format!("[\"NEG-OPEN\",\"n\",{filter},\"{first}\"]"));
        while let Some(next) = client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap() {
            let next = const_hex::encode(next);
            answer = self.negentropy(&format!("[\"NEG-MSG\",\"n\",\"{next}\"]"));
        }
        self.say("[\"NEG-CLOSE\",\"n\"]");
        [have, need].map(|ids| ids.iter().map(|id| *id.as_bytes()).collect())
    }
}

pub(super) fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<[u8; 32]> {
    events.into_iter().map(|event| *event.id()).collect()
}

#[test]
fn a_client_finds_what_differs_for_any_filter() {
    let rig = rig();
    let all = put(&rig, 0..3_000);
    rig.store.engine().flush().unwrap();
    let late = put(&rig, 3_000..3_200);
    let own = Event::from_parts([9; 32], T0 + 5, 1, &[["t", "x"]], "mine");
    let mut client = rig.client();
    let shared = || all.iter().filter(|event| event.created_at() % 5 != 0);
    let [have, need] = client.compare("{}", &twin(shared().chain([&own])));
    assert_eq!(have, ids([&own]));
    let missing = all.iter().filter(|event| event.created_at() % 5 == 0);
    assert_eq!(need, ids(missing.chain(&late)));

    let ones = |event: &&Event| event.kind() == 1 && event.created_at() <= T0 + 400;
    let filter = format!("{{\"kinds\":[1],\"until\":{}}}", T0 + 400);
    let [have, need] = client.compare(&filter, &twin([&own]));
    assert_eq!((have, need), (ids([&own]), ids(all.iter().filter(ones))));

    let [have, need] = client.compare("{\"limit\":10}", &twin([]));
    let mut newest: Vec<&Event> = late.iter().collect();
    newest.sort_by_key(|event| std::cmp::Reverse(event.key()));
    assert_eq!((have, need), (BTreeSet::new(), ids(newest[..10].iter().copied())));
    let [have, need] = client.compare("{\"kinds\":[]}", &twin([]));
    assert!(have.is_empty() && need.is_empty());
}

#[test]
fn a_session_is_of_one_moment() {
    let rig = rig();
    let before = put(&rig, 0..100);
    let own = twin([]);
    let mut engine = Negentropy::borrowed(&own, 0).unwrap();
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let first = const_hex::encode(engine.initiate().unwrap());
    let mut client = rig.client();
    // With a fingerprint of nothing that differs, the relay splits and is asked again.
    let split = const_hex::encode(crate::nostr::negentropy::opening());
    let answer = client.negentropy(&format!("[\"NEG-OPEN\",\"n\",{{}},\"{split}\"]"));
    assert_eq!(answer[0], 0x61);
    put(&rig, 100..200);
    let answer = client.negentropy(&format!("[\"NEG-MSG\",\"n\",\"{first}\"]"));
    engine.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    assert_eq!(need.len(), before.len());
    // The same id again is another session.
    let answer = client.negentropy(&format!("[\"NEG-OPEN\",\"n\",{{}},\"{first}\"]"));
    let mut need = Vec::new();
    engine.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    assert_eq!(need.len(), 200);
}

#[test]
fn garbage_is_refused_and_ends_its_session_only() {
    let rig = rig();
    put(&rig, 0..50);
    let mut client = rig.client();
    for (message, start) in [
        ("[\"NEG-OPEN\",\"a\",{},\"\"]", "invalid: a negentropy message begins"),
        ("[\"NEG-OPEN\",\"a\",{},\"zz\"]", "invalid: a negentropy message is a string of hex"),
        ("[\"NEG-OPEN\",\"a\",{},7]", "invalid: a negentropy message is a string of hex"),
        ("[\"NEG-OPEN\",\"a\",{},\"6100\"]", "invalid: the message is cut short"),
        ("[\"NEG-OPEN\",\"a\",{\"ids\":[\"x\"]},\"61\"]", "invalid: "),
        ("[\"NEG-OPEN\",\"a\",{\"unknown\":1},\"61\"]", "unsupported: "),
        ("[\"NEG-OPEN\",\"a\",[],\"61\"]", "invalid: "),
        ("[\"NEG-MSG\",\"a\",\"61\"]", "closed: "),
        ("[\"NEG-MSG\",\"never\",\"61\"]", "closed: "),
    ] {
        let text = client.refusal(message);
        assert!(text.starts_with(start), "{message}: {text}");
    }
    assert_eq!(client.negentropy("[\"NEG-OPEN\",\"v\",{},\"6201\"]"), [0x61], "our version");
    client.say("[\"NEG-OPEN\",\"a\",{}]");
    assert_eq!(client.hear()[0], "NOTICE");
    assert_eq!(client.negentropy("[\"NEG-OPEN\",\"b\",{},\"61\"]"), [0x61]);
    assert!(client.refusal("[\"NEG-MSG\",\"b\",\"6100\"]").starts_with("invalid: "));
    assert!(client.refusal("[\"NEG-MSG\",\"b\",\"61\"]").starts_with("closed: "));
    assert_eq!(client.ask("r", "{\"limit\":1}").len(), 1);
    let stats = rig.relay.stats();
    assert!(stats.negentropy_refused >= 11 && stats.messages_negentropy >= 13, "{stats:?}");
}

#[test]
fn too_many_items_and_sessions_are_refused_with_the_maximum() {
    let rig = rig_with(|config| {
        config.limits.negentropy_items = 100;
        config.limits.negentropy_items_total = 9_000;
        config.limits.negentropy_sessions = 2;
    });
    put(&rig, 0..101);
    let mut client = rig.client();
    let text = client.refusal("[\"NEG-OPEN\",\"a\",{},\"61\"]");
    assert!(text.starts_with("blocked: ") && text.contains("100"), "{text}");
    let open = |id: &str| format!("[\"NEG-OPEN\",\"{id}\",{{\"limit\":50}},\"61\"]");
    client.negentropy(&open("a"));
    client.negentropy(&open("b"));
    let text = client.refusal(&open("c"));
    assert!(text.starts_with("blocked: ") && text.contains('2'), "{text}");
    client.say("[\"NEG-CLOSE\",\"a\"]");
    client.negentropy(&open("c"));
    client.negentropy(&open("c"));
}

#[test]
fn items_of_all_sessions_together_are_bounded_and_given_back() {
    let rig = rig_with(|config| {
        config.limits.negentropy_items = 5_000;
        config.limits.negentropy_items_total = 5_000;
    });
    put(&rig, 0..1_000);
    let open = "[\"NEG-OPEN\",\"a\",{},\"61\"]";
    let (mut one, mut two) = (rig.client(), rig.client());
    one.negentropy(open);
    let text = two.refusal(open);
    assert!(text.starts_with("blocked: ") && text.contains("5000"), "{text}");
    one.say("[\"NEG-CLOSE\",\"a\"]");
    // Messages are taken in turn.
    one.ask("r", "{\"limit\":1}");
    two.negentropy(open);
    drop(two);
    // The relay lets go when the connection is gone, which nobody is told.
    while !{
        one.say(open);
        one.hear()[0] == "NEG-MSG"
    } {}
}

#[test]
fn silence_ends_a_session() {
    let rig = rig_with(|config| config.limits.negentropy_idle = Duration::from_millis(50));
    put(&rig, 0..10);
    let mut client = rig.client();
    client.negentropy("[\"NEG-OPEN\",\"a\",{},\"61\"]");
    let answer = client.hear();
    assert_eq!((&answer[0], &answer[1]), (&json!("NEG-ERR"), &json!("a")));
    assert!(answer[2].as_str().unwrap().starts_with("closed: "));
}

#[test]
fn answers_fit_the_messages_that_the_relay_itself_takes() {
    let rig = rig_with(|config| {
        config.limits.message_bytes = 16_384;
        config.limits.event.json_bytes = 8_192;
    });
    let all = put(&rig, 0..2_000);
    let mut client = rig.client();
    // Our list of ids for everything makes the relay answer with all of its own.
    let empty_list = "6100000200";
    let mut bytes = 0;
    client.say(&format!("[\"NEG-OPEN\",\"n\",{{}},\"{empty_list}\"]"));
    if let Message::Text(text) = client.socket.read().unwrap() {
        bytes = text.len();
    }
    assert!((12_000..=16_384).contains(&bytes), "{bytes}");
    let [have, need] = client.compare("{}", &twin([]));
    assert_eq!((have, need), (BTreeSet::new(), ids(&all)));
}

#[test]
fn counts_about_one_value_have_registers() {
    let rig = rig_with(|config| config.limits.hll_events = 100);
    put(&rig, 0..100);
    let mut client = rig.client();
    let mut count = |filters: &str| {
        client.say(&format!("[\"COUNT\",\"c\",{filters}]"));
        client.hear()[2].take()
    };
    let filter = Filter { tags: vec![(b't', vec!["x".into()])], ..Filter::default() };
    let mut expected = Hll::new(&filter).unwrap();
    (0..7).for_each(|author| expected.add(&[author; 32]));
    let answer = count(r##"{"#t":["x"]}"##);
    assert_eq!(answer["count"], 100);
    let registers = parse_registers(answer["hll"].as_str().unwrap());
    assert_eq!(registers.as_ref(), Some(expected.registers()));
    for none in ["{}", r##"{"#t":["x","y"]}"##, r##"{"#t":["x"]},{"#t":["x"]}"##] {
        assert_eq!(count(none).get("hll"), None, "{none}");
    }
    put(&rig, 100..101);
    assert_eq!(count(r##"{"#t":["x"]}"##), json!({"count": 101}), "over the limit");
}

#[test]
fn private_events_are_offered_to_their_parties_only() {
    let rig = rig();
    let recipient = const_hex::encode(signer(2).pubkey());
    let secret = event(1, 4, 1, &[["p", &recipient]], "secret");
    let open = event(1, 1, 2, &[], "open");
    let mut author = rig.client();
    [&secret, &open].into_iter().for_each(|event| assert_eq!(author.publish(event), accepted("")));
    for (key, sees) in [(None, false), (Some(1), true), (Some(2), true), (Some(3), false)] {
        let mut client = key.map_or_else(|| rig.client(), |key| rig.known(key));
        let [_, need] = client.compare("{}", &twin([]));
        assert_eq!(need, if sees { ids([&secret, &open]) } else { ids([&open]) }, "{key:?}");
    }
    let asked = "[\"NEG-OPEN\",\"n\",{\"kinds\":[4]},\"61\"]";
    assert!(rig.client().refusal(asked).starts_with("auth-required: "));
    let searched = "[\"NEG-OPEN\",\"n\",{\"search\":\"x\"},\"61\"]";
    assert!(rig.client().refusal(searched).starts_with("unsupported: "));
}
