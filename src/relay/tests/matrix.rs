//! Who may see what: every role, every way to ask, every kind of filter, against a table.
//!
//! ```text
//!   {nobody, third, author, wrapper, recipient, admin, banned}        who asks
//! x {REQ stored, REQ live, COUNT, HLL, NEG-OPEN, EVENT again, HTTP}   how
//! x {ids, kinds, #p, authors, none, mixed, two, search, ...}          by which filter, made for each
//! x {EVENTS}                                                          of the events below
//! ```
//!
//! What is expected follows from two literal tables, [`EVENTS`] and [`ROLES`], and from a matcher of a few lines that
//! knows nothing of the relay's.

use super::manage::proof_of;
use super::negentropy::{ids as id_set, twin};
use super::*;
use crate::nostr::hll::{Hll, parse_registers};
use std::collections::BTreeSet;
use std::io::{Read, Write};

const AUTHOR: u8 = 1;
const RECIPIENT: u8 = 2;
/// The key that a gift wrap is signed by, which is nobody's.
const WRAPPER: u8 = 3;
const THIRD: u8 = 5;
const BANNED: u8 = 7;
const ADMIN: u8 = 200;

/// Private by configuration; the last is addressable, and its words are indexed.
const PRIVATE: [u16; 5] = [4, 13, 14, 1059, 30_402];

/// An event of the table: its name, its author, its kind, and the names of those who may see it.
type Row = (&'static str, u8, u16, &'static [&'static str]);

const ALL: &[&str] = &["nobody", "third", "author", "wrapper", "recipient", "admin", "banned"];
const PARTIES: &[&str] = &["author", "recipient"];

const EVENTS: [Row; 8] = [
    ("note", AUTHOR, 1, ALL),
    ("protected", AUTHOR, 20, ALL),
    ("article", AUTHOR, 30_023, ALL),
    ("message", AUTHOR, 4, PARTIES),
    ("seal", AUTHOR, 13, PARTIES),
    ("chat", AUTHOR, 14, PARTIES),
    ("wrap", WRAPPER, 1059, &["wrapper", "recipient"]),
    ("offer", AUTHOR, 30_402, PARTIES),
];

const ROLES: [(&str, Option<u8>); 7] = [
    ("nobody", None),
    ("third", Some(THIRD)),
    ("author", Some(AUTHOR)),
    ("wrapper", Some(WRAPPER)),
    ("recipient", Some(RECIPIENT)),
    ("admin", Some(ADMIN)),
    ("banned", Some(BANNED)),
];

/// A filter as JSON, and the same as the test understands it.
#[derive(Clone, Default)]
struct Asked {
    ids: Option<Vec<String>>,
    kinds: Option<Vec<u16>>,
    authors: Option<Vec<u8>>,
    to_recipient: bool,
    search: Option<&'static str>,
}

impl Asked {
    fn json(&self) -> Value {
        let mut json = json!({});
        if let Some(ids) = &self.ids {
            json["ids"] = json!(ids);
        }
        if let Some(kinds) = &self.kinds {
            json["kinds"] = json!(kinds);
        }
        if let Some(authors) = &self.authors {
            json["authors"] = json!(authors.iter().map(|a| key(*a)).collect::<Vec<_>>());
        }
        if self.to_recipient {
            json["#p"] = json!([key(RECIPIENT)]);
        }
        if let Some(words) = self.search {
            json["search"] = json!(words);
        }
        json
    }

    /// All events are addressed to the recipient, and have the word; only these kinds have words that are searched.
    fn matches(&self, event: &Event) -> bool {
        let author = (1..=255).find(|n| signer(*n).pubkey() == event.pubkey()).unwrap();
        self.ids.as_ref().is_none_or(|ids| ids.contains(&const_hex::encode(event.id())))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind()))
            && self.authors.as_ref().is_none_or(|authors| authors.contains(&author))
            && (self.search.is_none() || [1, 20, 30_023, 30_402].contains(&event.kind()))
    }

    fn is_private(&self) -> bool {
        self.kinds.as_ref().is_some_and(|kinds| kinds.iter().all(|kind| PRIVATE.contains(kind)))
    }
}

/// The requests about one event: each a list of filters.
fn requests(event: &Event, author: u8) -> Vec<Vec<Asked>> {
    let id = const_hex::encode(event.id());
    let (none, kind) = (Asked::default(), event.kind());
    let ids = Asked { ids: Some(vec![id]), ..none.clone() };
    let kinds = Asked { kinds: Some(vec![kind]), ..none.clone() };
    let named = Asked { to_recipient: true, ..none.clone() };
    let authors = Asked { authors: Some(vec![author]), ..none.clone() };
    let mixed = Asked { kinds: Some(vec![1, kind]), to_recipient: true, ..authors.clone() };
    let narrow = Asked { authors: Some(vec![author]), ..kinds.clone() };
    let search = Asked { search: Some("needle"), ..none.clone() };
    let found = Asked { search: Some("needle"), ..kinds.clone() };
    vec![
        vec![ids.clone()],
        vec![kinds.clone()],
        vec![named.clone()],
        vec![authors],
        vec![none],
        vec![mixed],
        vec![narrow],
        vec![search],
        vec![found],
        vec![kinds.clone(), ids.clone()],
        vec![Asked { ids: ids.ids, ..kinds }, named],
    ]
}

fn key(author: u8) -> String {
    const_hex::encode(signer(author).pubkey())
}

/// The events of the table, `at` seconds after T0.
fn events(at: u64) -> Vec<Event> {
    let make = |(name, author, kind, _): &Row| {
        let to = key(RECIPIENT);
        let (mut tags, d) = (vec![vec!["p", to.as_str()]], format!("{name} {at}"));
        if *name == "protected" {
            tags.push(vec!["-"]);
        }
        if *kind >= 30_000 {
            tags.push(vec!["d", &d]);
        }
        let content = format!("needle {name} {at}");
        let signer = signer(*author);
        Event::from_parts(*signer.pubkey(), T0 + at, *kind, &tags, &content).sign(&signer)
    };
    EVENTS.iter().map(make).collect()
}

fn matrix_rig() -> (Rig, Arc<ManualClock>) {
    rig_at_t0(|config| {
        config.private_kinds = PRIVATE.to_vec();
        config.policy.admins = vec![*signer(ADMIN).pubkey()];
        let rule = format!("deny pubkey {}", key(BANNED));
        config.policy.rules = vec![rule.parse().unwrap()];
    })
}

/// Has the table's events published by their authors.
fn publish(rig: &Rig, events: &[Event]) {
    for (event, (_, author, ..)) in events.iter().zip(EVENTS) {
        assert_eq!(rig.known(author).publish(event), accepted(""));
    }
}

fn client_of(rig: &Rig, key: Option<u8>) -> Client {
    key.map_or_else(|| rig.client(), |key| rig.known(key))
}

/// What `role` is to see of `events` by these filters; `None` if it is to be asked for its key.
fn expected<'a>(role: &str, asked: &[Asked], events: &'a [Event]) -> Option<Vec<&'a Event>> {
    if role == "nobody" && asked.iter().all(Asked::is_private) {
        return None;
    }
    let seen = events.iter().zip(EVENTS).filter(|(event, (.., who))| {
        who.contains(&role) && asked.iter().any(|asked| asked.matches(event))
    });
    Some(seen.map(|(event, _)| event).collect())
}

fn contents(events: &[&Event]) -> BTreeSet<String> {
    events.iter().map(|event| event.content().to_string()).collect()
}

/// One client's question in each way that gives what is stored.
struct Case<'a> {
    name: String,
    filters: String,
    asked: &'a [Asked],
    expected: Option<Vec<&'a Event>>,
}

impl Case<'_> {
    fn ask(&self, client: &mut Client) {
        let Some(expected) = &self.expected else {
            for verb in ["REQ", "COUNT"] {
                client.say(&format!("[\"{verb}\",\"q\",{}]", self.filters));
                let heard = client.hear();
                assert_eq!(
                    (&heard[0], &heard[1]),
                    (&json!("CLOSED"), &json!("q")),
                    "{}",
                    self.name
                );
                assert!(heard[2].as_str().unwrap().starts_with("auth-required: "), "{}", self.name);
            }
            return;
        };
        let heard = client.ask("q", &self.filters);
        assert_eq!(heard.len(), expected.len(), "{}: {heard:?}", self.name);
        assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), contents(expected), "{}", self.name);
        client.say("[\"CLOSE\",\"q\"]");
        client.say(&format!("[\"COUNT\",\"q\",{}]", self.filters));
        let counted = client.hear()[2].take();
        assert_eq!(counted["count"], expected.len(), "{}", self.name);
        self.registers(&counted, expected);
    }

    /// The registers are of the authors of what is seen, and of nobody else.
    fn registers(&self, counted: &Value, expected: &[&Event]) {
        let [asked] = self.asked else { return };
        if !asked.to_recipient {
            return;
        }
        let value = key(RECIPIENT);
        let filter =
            Filter { tags: vec![(b'p', vec![value.as_str().into()])], ..Filter::default() };
        let mut hll = Hll::new(&filter).unwrap();
        expected.iter().for_each(|event| hll.add(event.pubkey()));
        let registers = parse_registers(counted["hll"].as_str().unwrap());
        assert_eq!(registers.as_ref(), Some(hll.registers()), "{}", self.name);
    }

    fn compare(&self, client: &mut Client) {
        let [asked] = self.asked else { return };
        match (&self.expected, asked.search) {
            (_, Some(_)) => {
                let text = client.refusal(&format!("[\"NEG-OPEN\",\"n\",{},\"61\"]", self.filters));
                assert!(text.starts_with("unsupported: "), "{}: {text}", self.name);
            }
            (None, _) => {
                let text = client.refusal(&format!("[\"NEG-OPEN\",\"n\",{},\"61\"]", self.filters));
                assert!(text.starts_with("auth-required: "), "{}: {text}", self.name);
            }
            (Some(expected), None) => {
                let [_, need] = client.compare(&self.filters, &twin([]));
                assert_eq!(need, id_set(expected.iter().copied()), "{}", self.name);
            }
        }
    }
}

fn filters(asked: &[Asked]) -> String {
    asked.iter().map(|asked| asked.json().to_string()).collect::<Vec<_>>().join(",")
}

/// Rows 2 to 5 and 7 of the wire tests: stored events, counts, registers, sets to compare.
#[test]
fn each_role_finds_what_the_table_says_in_every_way() {
    let (rig, _clock) = matrix_rig();
    let events = events(0);
    publish(&rig, &events);
    // Some in a segment, as they are after a while.
    rig.store.engine().flush().unwrap();
    let mut cases = 0;
    for (role, key) in ROLES {
        let mut client = client_of(&rig, key);
        for (event, (name, author, ..)) in events.iter().zip(EVENTS) {
            for asked in requests(event, author) {
                let filters = filters(&asked);
                let expected = expected(role, &asked, &events);
                let name = format!("{role} for {name}: {filters}");
                let case = Case { name, filters, asked: &asked, expected };
                case.ask(&mut client);
                case.compare(&mut client);
                cases += if asked.len() == 1 { 4 } else { 2 };
            }
        }
    }
    assert!(cases > 2_000, "{cases}");
}

/// The same of what comes live, with one subscription for each filter.
#[test]
fn each_role_hears_what_the_table_says_live() {
    let (rig, _clock) = matrix_rig();
    let events = events(0);
    let mut listeners = Vec::new();
    for (role, key) in ROLES {
        let mut client = client_of(&rig, key);
        let mut subscribed: Vec<(String, BTreeSet<String>)> = Vec::new();
        for (event, (_, author, ..)) in events.iter().zip(EVENTS) {
            for asked in requests(event, author) {
                let filters = filters(&asked);
                let Some(expected) = expected(role, &asked, &events) else { continue };
                if subscribed.iter().all(|(other, _)| *other != filters) {
                    assert!(client.ask(&subscribed.len().to_string(), &filters).is_empty());
                    subscribed.push((filters, contents(&expected)));
                }
            }
        }
        assert!(client.ask("end", "{\"kinds\":[7]}").is_empty());
        listeners.push((role, client, subscribed));
    }
    publish(&rig, &events);
    // Events of one author come in order, so these are the last.
    for author in [AUTHOR, WRAPPER] {
        assert_eq!(rig.client().publish(&event(author, 7, 9, &[], "end")), accepted(""));
    }
    for (role, client, subscribed) in &mut listeners {
        let mut heard = vec![BTreeSet::new(); subscribed.len()];
        let mut ends = 0;
        while ends < 2 {
            let message = client.hear();
            let content = message[2]["content"].as_str().unwrap().to_string();
            let sub = message[1].as_str().unwrap();
            ends += usize::from(sub == "end");
            if content != "end" {
                let is_new = heard[sub.parse::<usize>().unwrap()].insert(content);
                assert!(is_new, "{role}: twice: {message}");
            }
        }
        for ((filters, expected), heard) in subscribed.iter().zip(heard) {
            assert_eq!(heard, *expected, "{role}: {filters}");
        }
    }
}

/// Whether an event is there is told to who may see it only: no answer to publishing it, and none to asking for its
/// deletion, says so to anyone else.
#[test]
fn publishing_again_and_asking_for_deletion_tell_strangers_nothing() {
    let (rig, _clock) = matrix_rig();
    let stored = events(0);
    publish(&rig, &stored);
    let fresh = events(1);
    for (role, key) in ROLES {
        let mut client = client_of(&rig, key);
        for ((event, other), (name, author, _, who)) in stored.iter().zip(&fresh).zip(EVENTS) {
            let is_party = who.contains(&role);
            let expected = match (name, role) {
                ("protected", "author") => (true, "duplicate: already have this event"),
                ("protected", "nobody") => {
                    (false, "auth-required: this event is taken from its author only")
                }
                ("protected", _) => (false, "restricted: this event is taken from its author only"),
                _ if is_party => (true, "duplicate: already have this event"),
                _ => (true, ""),
            };
            let answer = client.publish(event);
            assert_eq!(answer, (expected.0, expected.1.into()), "{role}, {name}");
            let by = key.unwrap_or(99);
            if by == author || by == BANNED || by == RECIPIENT {
                continue;
            }
            // The same question about an event that is there, and about one that is not.
            let mut ask = |target: &Event, at| {
                let id = const_hex::encode(target.id());
                client.publish(&super::event(by, 5, at, &[["e", &id]], ""))
            };
            let (there, absent) = (ask(event, 2), ask(other, 3));
            match PRIVATE.contains(&event.kind()) {
                true => assert_eq!(there, absent, "{role}, {name}"),
                false => assert!(there.1.starts_with("invalid: "), "{role}, {name}: {there:?}"),
            }
            assert_eq!(absent, accepted(""));
        }
    }
    let mut banned = rig.known(BANNED);
    assert!(banned.publish(&note(BANNED, 0, "")).1.starts_with("blocked: "));
    assert_eq!(
        rig.known(RECIPIENT).ask("s", "{\"kinds\":[4,13,14,1059]}").len(),
        4,
        "all is there"
    );
}

/// A newer version of a private addressable event is told to its parties only, too.
#[test]
fn an_older_version_of_a_private_event_tells_strangers_nothing() {
    let (rig, _clock) = matrix_rig();
    let version = |at| event(AUTHOR, 30_402, at, &[["d", "x"], ["p", &key(RECIPIENT)]], "");
    assert_eq!(rig.client().publish(&version(5)), accepted(""));
    let newer = "duplicate: have a newer version";
    let expected = |role| if PARTIES.contains(&role) { newer } else { "" };
    for (role, key) in ROLES {
        let answer = client_of(&rig, key).publish(&version(4));
        assert_eq!(answer, accepted(expected(role)), "{role}");
    }
}

/// No path over HTTP gives an event, a key or an id, whoever asks.
#[test]
fn nothing_over_http_shows_an_event() {
    let (rig, _clock) = matrix_rig();
    let events = events(0);
    publish(&rig, &events);
    let secrets: Vec<String> = events
        .iter()
        .flat_map(|event| [event.id(), event.pubkey()].map(const_hex::encode))
        .chain(events.iter().map(|event| event.content().to_string()))
        .chain(["needle".into()])
        .collect();
    let paths = [
        "/",
        "/stats.json",
        "/nip11",
        "/health",
        "/ready",
        "/metrics",
        "/export",
        "/events",
        "/export.jsonl",
        "/api/events",
        "/../",
        "//",
        "/relay/policy.json",
        "/%2e%2e/STORE",
        "/?kinds=4",
    ];
    let mut at = 0;
    for key in [None, Some(RECIPIENT), Some(ADMIN)] {
        for path in paths {
            for accept in
                ["*/*", "application/json", "application/nostr+json", "application/x-ndjson"]
            {
                at += 1;
                let proof = key.map(|key| {
                    proof_of(key, "GET", at % 50, "", &format!("http://relay.test{path}"))
                });
                let proof =
                    proof.map(|proof| format!("Authorization: {proof}\r\n")).unwrap_or_default();
                let mut stream = rig.dial();
                let head = format!(
                    "GET {path} HTTP/1.1\r\nHost: relay.test\r\nAccept: {accept}\r\n{proof}Connection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                let answered =
                    answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 404");
                assert!(answered, "{path}: {answer}");
                let shown = secrets.iter().find(|secret| answer.contains(*secret));
                assert_eq!(shown, None, "{key:?} {path} {accept}");
            }
        }
    }
}
