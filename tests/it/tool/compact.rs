//! `compact`: the dead are gone from the files, the living are not.

use super::*;
use ratite::nostr::{Event, Signer};

/// Versions of many replaceable events, each newer than those before, with much to say.
fn versions(authors: u8, of_each: u64) -> String {
    let mut lines = String::new();
    for version in 0..of_each {
        for author in 1..=authors {
            let signer = Signer::new([author; 32]).unwrap();
            let content = format!("{version} {}", "words ".repeat(80));
            let none: &[&[&str]] = &[];
            let time = 1_700_000_000 + version;
            let event = Event::from_parts(*signer.pubkey(), time, 10_002, none, &content);
            lines.push_str(std::str::from_utf8(&event.to_json()).unwrap());
            lines.push('\n');
        }
    }
    lines
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

#[test]
fn the_dead_are_gone_and_so_are_their_bytes() {
    let input = events(1500, 51) + &versions(50, 60);
    let living = texts(&kept(&input));
    let expired = expiring(7);
    let store = Store::of(&(input + &expired));
    let dead = |stats: &Value| {
        let shards = stats["shards"].as_array().unwrap().iter();
        let of = |shard: &Value, key: &str| shard[key].as_u64().unwrap();
        shards.map(|s| of(s, "segment_dead") + of(s, "memtable_dead")).sum::<u64>()
    };
    let before = value(&store.run("stats", &[]).well());
    assert!(dead(&before) > 2900, "{before}");

    let ran = store.run("compact", &[]);
    assert_eq!(ran.err, "");
    let report = value(&ran.well());
    let figure = |path: &str| report.pointer(path).and_then(Value::as_u64).expect(path);
    assert_eq!(figure("/expired"), 7);
    assert_eq!(figure("/dead_removed"), dead(&before) + 7);
    assert_eq!((figure("/before/dead"), figure("/after/dead")), (dead(&before), 0));
    assert!(figure("/after/bytes") < figure("/before/bytes"), "{report}");
    assert!(report["seconds"].as_f64().unwrap() > 0.0);

    let after = value(&store.run("stats", &[]).well());
    assert_eq!(dead(&after), 0);
    assert!(after["bytes"].as_u64() < before["bytes"].as_u64(), "{before}\n{after}");
    assert_eq!(after["segment_bytes"].as_u64(), Some(figure("/after/segment_bytes")));
    assert_eq!(after["segments"].as_u64(), Some(figure("/after/segments")));
    let healthy = store.run("verify", &[]);
    assert!(healthy.summary().starts_with("healthy: "), "{}", healthy.err);
    healthy.well();
    assert_eq!(store.run("export", &[]).well(), living);

    let again = value(&store.run("compact", &["--json"]).well());
    assert_eq!((&again["dead_removed"], &again["merges"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn where_no_store_is_nothing_is_made() {
    let store = Store::new();
    let why = store.run("compact", &[]).badly();
    assert!(why.contains("there is no store in "), "{why}");
    assert_eq!(std::fs::read_dir(store.dir()).unwrap().count(), 0);
    let help = run(&["help", "compact"]).well();
    assert!(help.contains("ratite compact --data") && help.contains("--json"), "{help}");
}

/// Notes that have expired, but had not when they were written.
fn expiring(count: u64) -> String {
    let signer = Signer::new([77; 32]).unwrap();
    let mut lines = String::new();
    for n in 0..count {
        let tags: &[&[&str]] = &[&["expiration", "1700000500"]];
        let event = Event::from_parts(*signer.pubkey(), 1_700_000_000 + n, 1, tags, "soon gone");
        lines.push_str(std::str::from_utf8(&event.to_json()).unwrap());
        lines.push('\n');
    }
    lines
}
