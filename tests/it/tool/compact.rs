//! `compact`: the dead are gone from the files, the living are not.

use super::*;
use ratite::io::{self, Backend, Env, Faults};
use ratite::nostr::{Event, EventStore, Inserted, JsonLimits, Signer};
use ratite::store::Options;

/// What keeps a store from compacting before it is asked.
const PATIENT: [&str; 4] = ["--compaction-garbage", "100", "--compaction-fan-in", "16"];

fn line(time: u64, kind: u16, tag: [&str; 2]) -> String {
    let signer = Signer::new([77; 32]).unwrap();
    let content = "words ".repeat(80);
    let event = Event::from_parts(*signer.pubkey(), time, kind, &[tag], &content);
    format!("{}\n", std::str::from_utf8(&event.to_json()).unwrap())
}

/// A version of many addressable events.
fn versions(time: u64) -> String {
    (0..3000).map(|n| line(time, 30_023, ["d", &n.to_string()])).collect()
}

/// Stores notes that have expired since, on a day when they had not.
fn store_expired(store: &Store, count: u64) {
    let system = io::system(Backend::Auto).unwrap();
    let (_, _, clock) = io::simulated(0, Faults::default());
    clock.set(1_700_000_000_000_000);
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let events = EventStore::open_in(store.dir(), &options, Env { clock, ..system }).unwrap();
    for n in 0..count {
        let lines = line(1_700_000_000 + n, 1, ["expiration", "1700000500"]);
        let event = Event::from_json(lines.trim().as_bytes(), &JsonLimits::default()).unwrap();
        assert_eq!(events.insert(&event.as_ref()).unwrap().wait().unwrap(), Inserted::Stored);
    }
    events.close().unwrap();
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

#[test]
fn what_is_damaged_is_named_and_stays() {
    let store = Store::new();
    store.import(&["--no-verify"], events(2000, 53).as_bytes()).well();
    store.run("compact", &[]).well();
    let segments = std::fs::read_dir(store.dir().join("shard-00")).unwrap();
    let mut segments = segments.map(|entry| entry.unwrap().path());
    let segment = segments.find(|path| path.extension().is_some_and(|e| e == "seg")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[3 * 4096 + 77] ^= 4;
    std::fs::write(&segment, &bytes).unwrap();
    // Both fit one segment.
    store.import(&["--no-verify"], events(500, 54).as_bytes()).well();
    let refused = store.run("compact", &[]);
    assert_eq!((refused.status, refused.out.as_str()), (Some(1), ""), "{}", refused.err);
    let said = format!("ratite: {} is damaged at byte 12288", segment.display());
    assert!(refused.summary().starts_with(&said), "{}", refused.err);
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn the_dead_are_gone_and_so_are_their_bytes() {
    let (notes, old, new) = (events(1500, 51), versions(1_700_000_000), versions(1_700_000_001));
    // Mixed: a segment with nothing but dead would go by itself, before it is asked.
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let mixed = notes.split_inclusive('\n').zip(old.chunks(2));
    let old: String = mixed.map(|(note, pair)| note.to_string() + &pair.concat()).collect();
    let living = texts(&kept(&format!("{old}{new}")));
    let store = Store::new();
    let more = [&["--no-verify"], &PATIENT[..]].concat();
    store.import(&more, old.as_bytes()).well();
    store_expired(&store, 7);
    store.import(&more, new.as_bytes()).well();
    let dead = |stats: &Value| {
        let shards = stats["shards"].as_array().unwrap().iter();
        let of = |shard: &Value, key: &str| shard[key].as_u64().unwrap();
        shards.map(|s| of(s, "segment_dead") + of(s, "memtable_dead")).sum::<u64>()
    };
    let before = value(&store.run("stats", &PATIENT).well());
    // Some died before they came to a segment, and never did.
    assert!(dead(&before) > 2000, "{before}");

    let ran = store.run("compact", &PATIENT);
    assert_eq!(ran.err, "");
    let report = value(&ran.well());
    let figure = |path: &str| report.pointer(path).and_then(Value::as_u64).expect(path);
    assert_eq!(figure("/expired"), 7);
    assert_eq!(figure("/dead_removed"), dead(&before) + 7);
    assert_eq!((figure("/before/dead"), figure("/after/dead")), (dead(&before), 0));
    assert!(figure("/after/bytes") * 3 < figure("/before/bytes") * 2, "{report}");
    assert!(report["seconds"].as_f64().unwrap() > 0.0);

    let after = value(&store.run("stats", &[]).well());
    assert_eq!(dead(&after), 0);
    assert_eq!(before["segment_bytes"].as_u64(), Some(figure("/before/bytes")));
    assert_eq!(after["segment_bytes"].as_u64(), Some(figure("/after/bytes")));
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
