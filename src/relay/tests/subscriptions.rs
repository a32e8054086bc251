//! The index of subscriptions against a twin that asks every filter of every subscription.

use super::*;
use crate::nostr::{Event, TagValue};
use proptest::prelude::*;

fn event(author: u8, kind: u16, created_at: u64, tags: &[[&str; 2]]) -> Event {
    Event::from_parts([author; 32], created_at, kind, tags, "")
}

fn told(subscriptions: &mut Subscriptions<u32>, event: &Event) -> Vec<u32> {
    let mut told = Vec::new();
    subscriptions.find(&event.as_ref(), |owner| told.push(*owner));
    told.sort_unstable();
    told
}

#[test]
fn each_condition_alone_finds_its_event_and_no_other() {
    let hex = "ab".repeat(32);
    let wanted = event(1, 7, 100, &[["e", &hex], ["t", "x"]]);
    let other = event(2, 8, 200, &[["e", &"cd".repeat(32)], ["T", "x"]]);
    let none = Filter::default();
    let filters = [
        Filter { ids: Some(vec![*wanted.id()]), ..none.clone() },
        Filter { authors: Some(vec![[1; 32]]), ..none.clone() },
        Filter { kinds: Some(vec![7, 9]), ..none.clone() },
        Filter { tags: vec![(b'e', vec![TagValue::from([0xab; 32])])], ..none.clone() },
        Filter { tags: vec![(b't', vec!["x".into(), "y".into()])], ..none.clone() },
        Filter { until: 100, ..none.clone() },
    ];
    let mut subscriptions = Subscriptions::new();
    let mut keys = Vec::new();
    for (filter, owner) in filters.into_iter().zip(0..) {
        keys.push(subscriptions.insert(vec![filter], owner));
    }
    assert_eq!(told(&mut subscriptions, &wanted), [0, 1, 2, 3, 4, 5]);
    assert_eq!(told(&mut subscriptions, &other), Vec::<u32>::new());
    for (key, owner) in keys.into_iter().zip(0..) {
        assert_eq!(subscriptions.remove(key), Some(owner));
        assert_eq!(subscriptions.remove(key), None);
        assert_eq!(told(&mut subscriptions, &wanted), (owner + 1..6).collect::<Vec<_>>());
    }
    assert!(subscriptions.is_empty());
}

#[test]
fn an_owner_is_told_once_and_empty_filters_match_nothing() {
    let mut subscriptions = Subscriptions::new();
    let all = Filter::default();
    let kinds = Filter { kinds: Some(vec![1]), ..all.clone() };
    let key = subscriptions.insert(vec![all.clone(), kinds.clone(), kinds.clone()], 1);
    subscriptions.insert(vec![Filter { kinds: Some(vec![]), ..all.clone() }], 2);
    subscriptions.insert(vec![Filter { since: 2, until: 1, ..all.clone() }], 3);
    // The same tag twice is the same term twice.
    let twice = event(1, 1, 1, &[["t", "x"], ["t", "x"]]);
    subscriptions.insert(vec![Filter { tags: vec![(b't', vec!["x".into()])], ..all }], 4);
    assert_eq!(told(&mut subscriptions, &twice), [1, 4]);
    subscriptions.remove(key);
    assert_eq!(told(&mut subscriptions, &twice), [4]);
}

fn filter() -> impl Strategy<Value = Filter> {
    let list = |range: std::ops::Range<u8>| prop::collection::vec(range, 0..3);
    let tag = (prop::sample::select(&b"etT"[..]), prop::collection::vec("[xyz]", 0..3));
    (
        prop::option::weighted(0.2, list(0..4)),
        prop::option::weighted(0.4, list(0..4)),
        prop::option::weighted(0.4, list(0..4)),
        prop::collection::vec(tag, 0..3),
        (0u64..4, 2u64..6),
        prop::option::weighted(
            0.3,
            prop::sample::select(&["one", "two", "two one", "x:y", "\"one two\""][..]),
        ),
    )
        .prop_map(|(ids, authors, kinds, mut tags, (since, until), search)| {
            tags.sort();
            tags.dedup_by_key(|(letter, _)| *letter);
            let values = |v: Vec<String>| v.iter().map(|t| TagValue::new(t)).collect();
            Filter {
                ids: ids.map(|v| v.into_iter().map(|n| *some_event(n).id()).collect()),
                authors: authors.map(|v| v.into_iter().map(|n| [n; 32]).collect()),
                kinds: kinds.map(|v| v.into_iter().map(u16::from).collect()),
                not_kinds: Vec::new(),
                tags: tags.into_iter().map(|(letter, v)| (letter, values(v))).collect(),
                since,
                until,
                search: search.map(|text| Search::new(text).unwrap()),
                limit: None,
            }
        })
}

/// One of few events, each with other tags.
fn some_event(n: u8) -> Event {
    let tags = [["t", "x"], ["T", "y"], ["e", "z"], ["t", "z"], ["t", "x"]];
    let first = usize::from(n) % 4;
    let tags = &tags[first..first + usize::from(n) % 3];
    let content = ["", "one", "two, one", "One two!"][usize::from(n / 3) % 4];
    Event::from_parts([n % 4; 32], u64::from(n % 6), u16::from(n / 4 % 4), tags, content)
}

proptest! {
    #[test]
    fn the_index_finds_what_its_twin_finds(
        steps in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(filter(), 1..4)), 1..40,
        ),
    ) {
        let mut subscriptions = Subscriptions::new();
        let mut twin: Vec<(SubKey, u32, Vec<Filter>)> = Vec::new();
        for ((dice, filters), owner) in steps.into_iter().zip(0..) {
            if dice % 3 == 0 && !twin.is_empty() {
                let (key, owner, _) = twin.swap_remove(usize::from(dice) % twin.len());
                prop_assert_eq!(subscriptions.remove(key), Some(owner));
            } else {
                let key = subscriptions.insert(filters.clone(), owner);
                twin.push((key, owner, filters));
            }
            for n in 0..24 {
                let event = some_event(n);
                let matches = |f: &Filter| f.matches(&event.as_ref());
                let asked = twin.iter().filter(|(.., filters)| filters.iter().any(matches));
                let mut asked: Vec<u32> = asked.map(|(_, owner, _)| *owner).collect();
                asked.sort_unstable();
                prop_assert_eq!(told(&mut subscriptions, &event), asked);
            }
        }
        for (key, ..) in twin {
            subscriptions.remove(key);
        }
        prop_assert!(subscriptions.is_empty());
    }
}
