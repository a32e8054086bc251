//! Narrowed filters against a twin that looks at every event.

use super::*;
use crate::io::Rng;
use crate::nostr::{Event, EventStore, TagValue};
use crate::store::Options;
use std::collections::BTreeSet;

const PRIVATE: [u16; 3] = [4, 13, 1059];

fn key(n: u64) -> [u8; 32] {
    [n as u8 + 1; 32]
}

fn hex(n: u64) -> String {
    const_hex::encode(key(n))
}

fn event(author: u64, kind: u16, tags: &[[&str; 2]]) -> Event {
    Event::from_parts(key(author), 1, kind, tags, "")
}

#[test]
fn parties_are_the_author_and_those_whom_a_p_tag_names() {
    let (one, two) = (hex(1), hex(2));
    let letters = hex(9);
    assert_ne!(letters, letters.to_uppercase());
    let sees = |event: &Event, keys: &[[u8; 32]]| may_see(&event.as_ref(), &PRIVATE, keys);
    let dm = event(0, 4, &[["p", &one], ["e", &two], ["P", &hex(3)], ["p", &hex(4)]]);
    for (who, expected) in [(0, true), (1, true), (2, false), (3, false), (4, true), (5, false)] {
        assert_eq!(sees(&dm, &[key(who)]), expected, "{who}");
    }
    assert!(!sees(&dm, &[]) && sees(&dm, &[key(9), key(4)]));
    assert!(sees(&event(0, 4, &[["p", &letters]]), &[key(9)]));
    let upper = event(0, 4, &[["p", &letters.to_uppercase()]]);
    assert!(!sees(&upper, &[key(9)]), "only lowercase hex names a key");
    let third = Event::from_parts(key(0), 1, 4, &[vec!["p", "", &one], vec!["p"]], "");
    assert!(!sees(&third, &[key(1)]), "only the first value of a tag counts");
    assert!(sees(&event(0, 1, &[["p", &one]]), &[]), "other kinds are for everyone");
}

#[test]
fn filters_that_ask_for_nothing_else_are_known() {
    let asks = |kinds: Option<&[u16]>| {
        let filter = Filter { kinds: kinds.map(<[u16]>::to_vec), ..Filter::default() };
        asks_private_only(&filter, &PRIVATE)
    };
    assert!(asks(Some(&[4])) && asks(Some(&[4, 1059])));
    assert!(!asks(None) && !asks(Some(&[])) && !asks(Some(&[1, 4])) && !asks(Some(&[1])));
    assert!(!asks_private_only(&Filter { kinds: Some(vec![4]), ..Filter::default() }, &[]));
}

/// Some of the first `count` numbers, or no condition.
fn some(rng: &mut Rng, count: u64) -> Option<Vec<u64>> {
    let chosen = |rng: &mut Rng| (0..count).filter(|_| rng.below(3) == 0).collect();
    (rng.below(3) == 0).then(|| chosen(rng))
}

fn random_filter(rng: &mut Rng, events: &[Event]) -> Filter {
    let kinds = [1, 4, 13, 1059, 7];
    let mut filter = Filter {
        kinds: some(rng, 5).map(|list| list.iter().map(|n| kinds[*n as usize]).collect()),
        authors: some(rng, 4).map(|list| list.into_iter().map(key).collect()),
        limit: Some(rng.below(12)),
        ..Filter::default()
    };
    if rng.below(6) == 0 {
        let id = |_| *events[rng.below(events.len() as u64) as usize].id();
        filter.ids = Some((0..8).map(id).collect());
    }
    if rng.below(3) == 0 {
        let values = (0..4).filter(|_| rng.below(2) == 0).map(|n| TagValue::from(key(n)));
        filter.tags.push((b'p', values.collect()));
    }
    if rng.below(4) == 0 {
        filter.since = rng.below(10);
    }
    filter.normalize();
    filter
}

fn random_event(rng: &mut Rng, number: u64) -> Event {
    let kind = [1, 4, 13, 1059, 7][rng.below(5) as usize];
    let tags: Vec<[String; 2]> =
        (0..rng.below(3)).map(|_| ["p".into(), hex(rng.below(4))]).collect();
    Event::from_parts(key(rng.below(4)), rng.below(20), kind, &tags, &number.to_string())
}

/// What a request gives, read word by word: of each filter the newest that may be seen.
fn twin(events: &[Event], filters: &[Filter], keys: &[[u8; 32]], limits: bool) -> Vec<[u8; 32]> {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| (u64::MAX - event.created_at(), *event.id()));
    let mut given = BTreeSet::new();
    for filter in filters {
        let limit = if limits { filter.limit.unwrap() as usize } else { usize::MAX };
        let seen = sorted.iter().enumerate().filter(|(_, event)| {
            filter.matches(&event.as_ref()) && may_see(&event.as_ref(), &PRIVATE, keys)
        });
        given.extend(seen.take(limit).map(|(at, _)| at));
    }
    given.into_iter().map(|at| *sorted[at].id()).collect()
}

/// Through a store, half of it in segments: pages are full and exact, counts too, and nobody sees
/// what is not theirs.
#[test]
fn requests_give_what_a_twin_gives() {
    let dir = tempfile::tempdir().unwrap();
    let store = EventStore::open(dir.path(), &Options::tiny()).unwrap();
    let mut rng = Rng::new(42);
    let mut events: Vec<Event> = (0..400).map(|n| random_event(&mut rng, n)).collect();
    events.sort_by_key(|event| *event.id());
    events.dedup_by_key(|event| *event.id());
    for (n, event) in events.iter().enumerate() {
        if n == events.len() / 2 {
            store.engine().flush().unwrap();
        }
        store.insert(&event.as_ref()).unwrap().wait().unwrap();
    }
    let (mut split, mut hidden) = (0, 0);
    for round in 0..1500 {
        let filters: Vec<Filter> =
            (0..1 + rng.below(3)).map(|_| random_filter(&mut rng, &events)).collect();
        let keys: Vec<[u8; 32]> = (0..rng.below(3)).map(|_| key(rng.below(5))).collect();
        let mut asked = Narrowed::new(&filters, &PRIVATE, &keys);
        let expected = twin(&events, &filters, &keys, true);
        let mut given = Vec::new();
        let mut stored = store.query(&asked.filters).unwrap();
        while !asked.is_spent()
            && let Some(event) = stored.next().unwrap()
        {
            if asked.takes(&event) {
                given.push(*event.id());
            }
        }
        assert_eq!(given, expected, "round {round}: {filters:?}, {} keys", keys.len());
        let count = twin(&events, &filters, &keys, false).len() as u64;
        assert_eq!(store.count(&asked.filters).unwrap(), count, "round {round}: {filters:?}");
        split += usize::from(!asked.left.is_empty());
        hidden += usize::from(store.count(&filters).unwrap() > count);
    }
    assert!(split > 200 && hidden > 200, "{split} split, {hidden} with something to hide");
    store.close().unwrap();
}

#[test]
fn a_filter_is_split_only_if_it_has_to_be() {
    let parts = |filter: &Filter, keys: &[[u8; 32]]| narrowed(filter, &PRIVATE, keys).len();
    let kinds = |kinds: &[u16]| Filter { kinds: Some(kinds.to_vec()), ..Filter::default() };
    assert_eq!((parts(&Filter::default(), &[]), parts(&Filter::default(), &[key(1)])), (1, 3));
    assert_eq!((parts(&kinds(&[1, 7]), &[]), parts(&kinds(&[1, 7]), &[key(1)])), (1, 1));
    assert_eq!((parts(&kinds(&[4]), &[]), parts(&kinds(&[4]), &[key(1)])), (0, 2));
    let others = Filter { authors: Some(vec![key(2)]), ..kinds(&[4]) };
    assert_eq!(parts(&others, &[key(1)]), 1, "another's may still name this key");
    assert_eq!(narrowed(&kinds(&[1]), &[], &[]), [kinds(&[1])]);
    assert_eq!(narrowed(&Filter::default(), &[], &[key(1)]), [Filter::default()]);
}
