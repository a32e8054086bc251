//! The rules by text cases (`tests/cases/nostr/*.txt`) and in every order of arrival.
//!
//! A case file is a list of cases; `RATITE_REWRITE=1` writes the answers anew.
//!
//! ```text
//! case: what it shows
//! now <seconds>
//! insert <id byte> <author byte> <kind> <created_at> <tags>
//!   => store | store, kills <id bytes> | refuse: <reason>
//!   live: <id bytes, newest first>
//! ```

use std::fmt::Write as _;

use super::*;
use crate::base::Key;
use crate::nostr::Event;
use crate::nostr::cases;

/// The relay's own URL.
const HERE: &str = "wss://Relay.Example:443/";

/// The engine in miniature: what is live, and what it is indexed under.
#[derive(Default)]
struct Toy {
    now: u64,
    live: Vec<(Key, Vec<u8>, Terms)>,
}

impl Toy {
    /// The places of what lives under a term, newest first.
    fn under(&self, term: &[u8]) -> Vec<usize> {
        let has = |i: &usize| self.live[*i].2.iter().any(|t| t == term);
        let mut found: Vec<usize> = (0..self.live.len()).filter(has).collect();
        found.sort_by_key(|i| std::cmp::Reverse(self.live[*i].0));
        found
    }

    fn record(&self, place: usize) -> Record<'_> {
        Record { key: self.live[place].0, body: &self.live[place].1 }
    }

    fn insert(&mut self, event: &Event) -> (Decision, Vec<u8>) {
        let record = event.as_ref().record();
        let model = EventModel::default().of_relays(&[HERE.into()]);
        let (mut terms, mut probes) = (Terms::new(), Probes::default());
        model.terms(record, &mut terms);
        model.probes(record, &mut probes);
        let mut hits: Vec<usize> = probes.all.iter().flat_map(|term| self.under(term)).collect();
        hits.extend(probes.newest.iter().filter_map(|term| self.under(term).first().copied()));
        let records: Vec<Record<'_>> = hits.iter().map(|i| self.record(*i)).collect();
        let decision = model.decide(record, &records, self.now);
        let mut killed = Vec::new();
        if let Decision::Store { kills } = &decision {
            let mut places: Vec<usize> = kills.iter().map(|k| hits[*k]).collect();
            let named = |i: &usize| probes.dying_ids.contains(&self.live[*i].0.id);
            let old = |i: &usize| self.live[*i].0.time <= probes.dying_until;
            let mut dying: Vec<usize> = (0..self.live.len()).filter(named).collect();
            let under = probes.dying_terms.iter().flat_map(|term| self.under(term));
            dying.extend(under.filter(old));
            places.extend(dying.into_iter().filter(|i| model.dies(record, self.record(*i))));
            places.sort_unstable();
            places.dedup();
            for place in places.into_iter().rev() {
                killed.push(self.live.remove(place).0.id[0]);
            }
            self.live.push((event.key(), event.body().to_vec(), terms));
        }
        (decision, killed)
    }

    fn live(&self) -> Vec<u8> {
        let mut keys: Vec<Key> = self.live.iter().map(|(key, ..)| *key).collect();
        keys.sort();
        keys.iter().rev().map(|key| key.id[0]).collect()
    }
}

fn event(id: u8, author: u8, kind: u16, at: u64, tags: &[Vec<String>]) -> Event {
    let mut event = Event::from_parts([author; 32], at, kind, tags, "");
    event.set_id([id; 32]);
    event
}

/// The event of an `insert` line.
fn read_event(line: &str) -> Event {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [_, id, author, kind, at, tags] = words[..] else { panic!("not an insert: {line}") };
    let byte = |text| u8::from_str_radix(text, 16).unwrap();
    let tags: serde_json::Value = serde_json::from_str(&spelled(tags)).unwrap();
    let tags: Vec<Vec<String>> = tags
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag.as_array().unwrap().iter().map(|i| i.as_str().unwrap().into()).collect())
        .collect();
    event(byte(id), byte(author), kind.parse().unwrap(), at.parse().unwrap(), &tags)
}

/// `<aa>` in tags is 64 characters, the byte's hex 32 times: an id or a key.
fn spelled(tags: &str) -> String {
    let mut parts = tags.split('<');
    let mut out = parts.next().unwrap().to_string();
    for part in parts {
        out += &part[..2].repeat(32);
        out += &part[3..];
    }
    out
}

fn list(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!(" {b:02x}")).collect()
}

fn answers(cases: &str) -> String {
    let mut out = String::new();
    let mut toy = Toy::default();
    for line in cases.lines() {
        if line.starts_with("  ") {
            continue;
        }
        writeln!(out, "{line}").unwrap();
        if line.starts_with("case:") {
            toy = Toy::default();
        } else if let Some(now) = line.strip_prefix("now ") {
            toy.now = now.parse().unwrap();
        } else if line.starts_with("insert") {
            let answer = match toy.insert(&read_event(line)) {
                (Decision::Refuse { reason }, _) => format!("refuse: {}", reason_text(reason)),
                (Decision::Store { .. }, killed) if killed.is_empty() => "store".into(),
                (Decision::Store { .. }, killed) => format!("store, kills{}", list(&killed)),
            };
            writeln!(out, "  => {answer}\n  live:{}", list(&toy.live())).unwrap();
        }
    }
    out
}

#[test]
fn the_cases_hold() {
    cases::hold("nostr", 10, answers);
}

#[test]
fn the_order_of_arrival_never_changes_what_stays() {
    let d = |value: &str| vec![vec!["d".to_string(), value.to_string()]];
    // Id, kind, created_at, tags; all of one author.
    let events: Vec<Event> = [
        (1, 0, 5, vec![]),
        (2, 0, 5, vec![]),
        (3, 0, 4, vec![]),
        (4, 30000, 5, vec![]),
        (5, 30000, 6, d("")),
        (6, 30000, 9, d("x")),
        (7, 1, 1, vec![]),
    ]
    .into_iter()
    .map(|(id, kind, at, tags)| event(id, 9, kind, at, &tags))
    .collect();
    let mut order: Vec<usize> = (0..events.len()).collect();
    let mut tried = 0;
    permute(&mut order, 0, &mut |order| {
        let mut toy = Toy::default();
        order.iter().for_each(|i| drop(toy.insert(&events[*i])));
        assert_eq!(toy.live(), [6, 5, 1, 7], "{order:?}");
        tried += 1;
    });
    assert_eq!(tried, 5_040);
}

fn permute(list: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == list.len() {
        return visit(list);
    }
    for i in from..list.len() {
        list.swap(from, i);
        permute(list, from + 1, visit);
        list.swap(from, i);
    }
}

#[test]
fn every_kind_has_its_class() {
    let of = |kind: u16| match kind {
        0 | 3 => Class::Replaceable,
        k if k / 10_000 == 1 => Class::Replaceable,
        k if k / 10_000 == 2 => Class::Ephemeral,
        k if k / 10_000 == 3 => Class::Addressable,
        _ => Class::Regular,
    };
    assert!((0..=u16::MAX).all(|kind| class(kind) == of(kind)));
}

#[test]
fn hits_of_other_addresses_are_left_alone() {
    let (a, b) = (event(1, 9, 0, 1, &[]), event(2, 8, 0, 1, &[]));
    let newer = event(3, 9, 0, 2, &[]);
    let hits = [b.as_ref().record(), a.as_ref().record()];
    let decision = EventModel::default().decide(newer.as_ref().record(), &hits, 0);
    assert_eq!(decision, Decision::Store { kills: vec![1] });
    let d = |value: &str| vec![vec!["d".to_string(), value.to_string()]];
    let (x, y) = (event(4, 9, 30000, 1, &d("x")), event(5, 9, 30000, 9, &d("y")));
    let newer = event(6, 9, 30000, 2, &d("x"));
    let hits = [y.as_ref().record(), x.as_ref().record()];
    let decision = EventModel::default().decide(newer.as_ref().record(), &hits, 0);
    assert_eq!(decision, Decision::Store { kills: vec![1] });
}

#[test]
fn foreign_bytes_are_refused_without_a_panic() {
    for length in [0, 5, 31, 32, 97, 98, 100] {
        let body = vec![0xff; length];
        let record = Record { key: Key { time: 0, id: [0; 32] }, body: &body };
        let mut out = Terms::new();
        let mut probes = Probes::default();
        EventModel::default().terms(record, &mut out);
        EventModel::default().probes(record, &mut probes);
        EventModel::default().route(record);
        assert!(out.is_empty() && probes.all.is_empty() && probes.newest.is_empty());
        assert!(!EventModel::default().dies(record, record));
        let decision = EventModel::default().decide(record, &[record], 0);
        assert_eq!(decision, Decision::Refuse { reason: MALFORMED });
    }
}

#[test]
fn the_route_is_of_the_author_alone() {
    let route = |e: Event| EventModel::default().route(e.as_ref().record());
    assert_eq!(route(event(1, 7, 0, 1, &[])), hash64(&[7; 32]));
    assert_eq!(route(event(1, 7, 0, 1, &[])), route(event(2, 7, 30000, 9, &[vec!["d".into()]])));
}
