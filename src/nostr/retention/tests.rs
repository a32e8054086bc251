//! Rules as words and as JSON, their refusals, and events that go.

use super::*;
use crate::io::{self, sim::Faults};
use crate::nostr::{Event, EventStore};
use crate::retention::{Limits, apply, plan};
use crate::store::Options;
use std::path::Path;
use std::sync::atomic::AtomicBool;

fn parse(words: &[&str]) -> Rules {
    let configs: Vec<RuleConfig> = words.iter().map(|w| RuleConfig::parse(w).unwrap()).collect();
    rules(&configs).unwrap()
}

#[test]
fn words_make_the_rules_that_they_say() {
    let key = "ab".repeat(32);
    let rules = parse(&[
        "age=30d",
        "kinds=7,20-22 count=1000 bytes=1KiB",
        &format!("authors={key} protect"),
        "each=author bytes=5MiB",
        "bytes=10GiB",
    ]);
    let keeps: Vec<(Keep, bool)> = rules.rules.iter().map(|r| (r.keep, r.each_author)).collect();
    let expected = [
        (Keep::Age(30 * 86_400), false),
        (Keep::Count(1000), false),
        (Keep::Bytes(1024), false),
        (Keep::Bytes(5 << 20), true),
        (Keep::DiskBytes(10 << 30), false),
    ];
    assert_eq!(keeps, expected);
    let names: Vec<&str> = rules.rules.iter().map(|rule| &rule.name[..]).collect();
    assert_eq!(names[1..3], ["kinds=7,20-22 count=1000", "kinds=7,20-22 bytes=1KiB"]);
    assert_eq!(rules.rules[1].what.all_of[0].len(), 4);
    assert_eq!(rules.protect.len(), 1 + 2, "and requests to delete and to vanish");
}

#[test]
fn refusals_name_the_field() {
    let key = "ab".repeat(31);
    let cases = [
        ("", "age: "),
        ("kinds=1", "age: "),
        ("kinds= age=1d", "kinds: "),
        ("kinds=1,65536 age=1d", "kinds: 65536"),
        ("kinds=9-1 age=1d", "kinds: 9-1"),
        (&format!("authors={key} age=1d"), "authors: "),
        ("age=0", "age: "),
        ("age=1x", "age: 1x"),
        ("age=1d age=2d", "age: it is there twice"),
        ("bytes=0", "bytes: "),
        ("bytes=1GB", "bytes: 1GB"),
        ("count=x", "count: x"),
        ("count=0", "count: "),
        ("each=kind count=1", "each: "),
        ("each=author age=1d", "each: "),
        ("each=author age=1d count=1", "each: "),
        ("protect", "protect: "),
        ("kinds=1 protect age=1d", "protect: "),
        ("kind=1", "kind=1: the words are"),
    ];
    for (words, why) in cases {
        let error = RuleConfig::parse(words).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("invalid retention rule: {why}")), "{words}: {text}");
        assert_eq!(error.code(), "ERR_INVALID");
    }
    assert!(RuleConfig::parse("kinds=1 count=0").is_ok());
    let bad = RuleConfig { count: Some(0), ..RuleConfig::default() };
    let good = RuleConfig::parse("age=1d").unwrap();
    let text = rules(&[good, bad]).err().unwrap().to_string();
    assert!(text.contains("rule 2: count: "), "{text}");
}

#[cfg(feature = "relay")]
#[test]
fn a_file_says_the_same_as_words() {
    let file = r#"[{"kinds":[1,"30000-30001"],"age":"30d"},{"age":60,"kinds":[7]},
        {"each":"author","count":5},{"kinds":[0,3],"protect":true},{"bytes":"1GiB"}]"#;
    let configs: Vec<RuleConfig> = serde_json::from_str(file).unwrap();
    let words = ["kinds=1,30000-30001 age=30d", "kinds=7 age=60", "count=5 each=author"];
    let names: Vec<String> = configs.iter().map(RuleConfig::to_string).collect();
    assert_eq!(names[..3], words);
    assert_eq!(names[3..], ["kinds=0,3 protect", "bytes=1GiB"]);
    assert_eq!(rules(&configs).unwrap().rules.len(), 4);
    assert!(serde_json::from_str::<RuleConfig>(r#"{"ages":1}"#).is_err());
}

fn event(author: u8, at: u64, kind: u16, expires: Option<u64>) -> Event {
    let text = expires.unwrap_or(0).to_string();
    let tags: Vec<[&str; 2]> = expires.iter().map(|_| ["expiration", &text[..]]).collect();
    Event::from_parts([author; 32], at, kind, &tags, "something")
}

#[test]
fn events_go_by_their_rules_and_expired_ones_without() {
    let (env, _disk, clock) = io::simulated(1, Faults::default());
    let store = EventStore::open_in(Path::new("/events"), &Options::tiny(), env).unwrap();
    let now = 1_700_000_000;
    clock.set((now - 30) * 1_000_000);
    let put = |event: Event| store.insert(&event.as_ref()).unwrap().wait().unwrap();
    for n in 0..40 {
        put(event(1, now - 100 * n, 1, None));
        put(event(2, now - 100 * n, 7, Some(now - 20 + n)));
    }
    put(event(1, 5, 0, None));
    put(event(3, 6, 1, Some(now + 1)));
    let rules = parse(&["kinds=0 protect", "age=3550s", "each=author count=30"]);
    clock.set(now * 1_000_000);
    let plan = plan(store.engine(), &rules, now).unwrap();
    assert_eq!((plan.expired.records, plan.expired.kinds.clone()), (21, [(7, 21)].into()));
    // Ages over 3,550: of author 1 four, of author 2 four that have not expired, of author 3 one.
    assert_eq!((plan.rules[0].records, plan.rules[0].times), (9, Some((6, now - 3600))));
    // Author 1 has 41, of which 11 go, and not the profile.
    assert_eq!((plan.rules[1].records, plan.rules[1].kinds.clone()), (11, [(1, 11)].into()));
    assert_eq!(plan.all.records, 21 + 4 + 1 + 11);
    let limits = Limits { records_per_second: None, ..Limits::default() };
    let report = apply(store.engine(), &rules, now, limits, &AtomicBool::new(false)).unwrap();
    assert_eq!(report.removed(), plan.all.records);
    assert_eq!(store.count(&[Filter::default()]).unwrap(), 82 - plan.all.records);
    let profiles = Filter { kinds: Some(vec![0]), ..Filter::default() };
    assert_eq!(store.count(&[profiles]).unwrap(), 1);
}
