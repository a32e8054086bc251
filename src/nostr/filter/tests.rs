//! Matching against a naive matcher over `serde_json::Value`, and the rows of the semantics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::nostr::{Event, parse_filter, terms};

/// NIP-01 read word by word, over JSON values.
fn naive(filter: &Value, event: &Value) -> bool {
    let within = |list: &Value, value: &Value| list.as_array().unwrap().contains(value);
    filter.as_object().unwrap().iter().all(|(key, wanted)| match key.as_str() {
        "ids" => within(wanted, &event["id"]),
        "authors" => within(wanted, &event["pubkey"]),
        "kinds" => within(wanted, &event["kind"]),
        "since" => event["created_at"].as_u64() >= wanted.as_u64(),
        "until" => event["created_at"].as_u64() <= wanted.as_u64(),
        "limit" => true,
        tag => event["tags"]
            .as_array()
            .unwrap()
            .iter()
            .any(|t| t[0] == tag[1..] && t.get(1).is_some_and(|value| within(wanted, value))),
    })
}

fn small_event() -> impl Strategy<Value = Event> {
    let item = prop_oneof![
        Just("e".to_string()),
        Just("t".into()),
        Just("E".into()),
        Just("d".into()),
        Just("".into()),
        Just("01".repeat(32)),
        Just("02".repeat(32)),
        Just("0101010101010101".into()),
        Just("alt".into()),
        Just("é".into()),
    ];
    let tags = prop::collection::vec(prop::collection::vec(item, 0..4), 0..4);
    (0..3u8, 0..4u64, 0..4u16, tags)
        .prop_map(|(author, at, kind, tags)| Event::from_parts([author; 32], at, kind, &tags, ""))
}

fn small_filter(event: &Event) -> impl Strategy<Value = Value> + use<> {
    let id = const_hex::encode(event.id());
    let ids = prop::sample::subsequence(vec![json!(id), json!("00".repeat(32))], 0..=2);
    let keys: Vec<Value> = (0..3u8).map(|b| json!(const_hex::encode([b; 32]))).collect();
    let authors = prop::sample::subsequence(keys.clone(), 0..=3);
    let kinds = prop::sample::subsequence((0..4).map(|k| json!(k)).collect::<Vec<_>>(), 0..=4);
    let mut values: Vec<Value> = ["e", "t", "", "é", "0101010101010101"].map(|v| json!(v)).into();
    values.extend(keys[1..].to_vec());
    let tag = || prop::sample::subsequence(values.clone(), 0..=5);
    let e = prop::sample::subsequence(keys[1..].to_vec(), 0..=2);
    (
        prop::option::weighted(0.3, ids),
        prop::option::weighted(0.5, authors),
        prop::option::weighted(0.5, kinds),
        prop::option::weighted(0.3, e),
        prop::option::weighted(0.3, tag()),
        prop::option::weighted(0.2, tag()),
        prop::option::weighted(0.4, 0..5u64),
        prop::option::weighted(0.4, 0..5u64),
    )
        .prop_map(|(ids, authors, kinds, e, t, upper, since, until)| {
            let mut filter = json!({});
            let lists = [
                ("ids", ids),
                ("authors", authors),
                ("kinds", kinds),
                ("#e", e),
                ("#t", t),
                ("#E", upper),
            ];
            for (name, list) in lists {
                list.into_iter().for_each(|list| filter[name] = Value::Array(list));
            }
            since.into_iter().for_each(|at| filter["since"] = json!(at));
            until.into_iter().for_each(|at| filter["until"] = json!(at));
            filter
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn matches_what_the_naive_matcher_matches(
        (event, filter) in small_event().prop_flat_map(|e| (Just(e.clone()), small_filter(&e))),
    ) {
        let value: Value = serde_json::from_slice(&event.to_json()).unwrap();
        let parsed = parse_filter(filter.to_string().as_bytes()).unwrap();
        let expected = naive(&filter, &value);
        prop_assert_eq!(parsed.matches(&event.as_ref()), expected, "{} {}", filter, value);
        let stored = EventRef::stored(event.as_ref().record()).expect("it was checked");
        prop_assert_eq!(parsed.matches_sorted(&stored), expected, "{} {}", filter, value);
        prop_assert!(!(expected && parsed.is_empty()));
        // The order and number of the values make no difference.
        let mut shuffled = parsed.clone();
        shuffled.authors.iter_mut().for_each(|list| list.reverse());
        shuffled.tags.reverse();
        shuffled.tags.iter_mut().for_each(|(_, values)| {
            values.reverse();
            values.extend(values.clone());
        });
        prop_assert_eq!(shuffled.matches(&event.as_ref()), expected);
        shuffled.normalize();
        prop_assert_eq!(&shuffled, &parsed);
        // A match is found by the terms: each tag condition has one of the event's.
        let mut found = crate::base::Terms::new();
        terms::of_event(&event.as_ref(), &mut found);
        for (letter, values) in parsed.tags.iter().filter(|_| expected) {
            let mut asked = crate::base::Terms::new();
            values.iter().for_each(|v| terms::tag(*letter, v.item(), &mut asked));
            prop_assert!(asked.iter().any(|a| found.iter().any(|f| f == a)));
        }
    }
}

#[test]
fn long_lists_are_found_sorted_and_unsorted() {
    let event = Event::from_parts([7; 32], 1, 500, &[["t", "v500"]], "");
    let hit = |kinds: Vec<u16>, values: Vec<TagValue>| {
        let filter = Filter { kinds: Some(kinds), tags: vec![(b't', values)], ..Filter::default() };
        filter.matches(&event.as_ref())
    };
    let names = |range: std::ops::Range<u16>| -> Vec<TagValue> {
        let mut names: Vec<TagValue> = range.map(|n| TagValue::new(&format!("v{n}"))).collect();
        names.sort();
        names
    };
    let reversed = |mut list: Vec<TagValue>| {
        list.reverse();
        list
    };
    assert!(hit((0..1000).collect(), names(0..1000)));
    assert!(hit((0..1000).rev().collect(), reversed(names(0..1000))));
    assert!(!hit((501..1500).collect(), names(0..1000)));
    assert!(!hit((0..1000).collect(), names(501..1500)));
}

#[test]
fn the_ends_of_time_are_inclusive_and_do_not_wrap() {
    for (at, since, until, expected) in [
        (0, 0, 0, true),
        (u64::MAX, u64::MAX, u64::MAX, true),
        (5, 5, 5, true),
        (5, 6, 4, false),
        (u64::from(u32::MAX) + 5, 5, 5, false),
        (4, 5, 9, false),
        (10, 5, 9, false),
    ] {
        let event = Event::from_parts([0; 32], at, 1, &[] as &[Vec<String>], "");
        let filter = Filter { since, until, ..Filter::default() };
        assert_eq!(filter.matches(&event.as_ref()), expected, "{at} {since} {until}");
    }
}

#[test]
fn limit_is_not_a_condition() {
    let event = Event::from_parts([0; 32], 1, 1, &[] as &[Vec<String>], "");
    assert!(Filter { limit: Some(0), ..Filter::default() }.matches(&event.as_ref()));
}
