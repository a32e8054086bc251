//! `backup`, `restore` and `reshard`.

use super::*;
use std::fs;
use std::path::PathBuf;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Files of a store that end like this.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let shards = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let all = shards.filter(|path| path.is_dir()).flat_map(|shard| fs::read_dir(shard).unwrap());
    let mut files: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| text(path).ends_with(ending));
    files.sort();
    files
}

/// `verb` on `dir`.
fn on(dir: &Path, verb: &str, more: &[&str]) -> Ran {
    let args = [&[verb, "--data", text(dir), "--log-file", "8 MiB"], more].concat();
    run(&args)
}

#[test]
fn a_backup_restores_to_the_same_events_and_a_second_one_adds_to_it() {
    let input = events(6000, 31);
    let (first, rest) = input.split_at(input[..input.len() / 2].rfind('\n').unwrap() + 1);
    let store = Store::of(first);
    let place = tempfile::tempdir().unwrap();
    let (backup, back) = (place.path().join("backup"), place.path().join("back"));
    let said = store.run("backup", &[text(&backup)]);
    assert!(said.summary().starts_with("2 shards, ") && said.summary().contains(" linked"));
    said.well();
    on(&backup, "verify", &[]).well();

    store.import(&["--no-verify"], rest.as_bytes()).well();
    let said = store.run("backup", &[text(&backup)]);
    assert!(!said.summary().contains("(0 kept"), "{}", said.summary());
    said.well();
    on(&backup, "verify", &[]).well();
    let expected = texts(&kept(&input));
    assert_eq!(store.run("export", &[]).well(), expected);

    let said = on(&back, "restore", &[text(&backup)]);
    assert!(said.summary().ends_with("every checksum verified"), "{}", said.err);
    said.well();
    assert_eq!(on(&back, "export", &[]).well(), expected);
    let again = on(&back, "restore", &[text(&backup)]).badly();
    assert!(again.contains("holds a store already"), "{again}");

    let other = Store::of(&events(10, 32));
    let refused = other.run("backup", &[text(&backup)]).badly();
    assert!(refused.contains("holds the store"), "{refused}");
    assert!(run(&["backup"]).err.contains("BACKUP"));
}

#[test]
fn a_backup_is_made_while_another_process_has_the_store_open() {
    let store = Store::of(&events(500, 33));
    let held = ratite::nostr::EventStore::open(store.dir(), &Default::default()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    store.run("backup", &["--copy", text(&backup)]).well();
    let inside = place.path().join("inside");
    held.backup(&inside).unwrap();
    held.close().unwrap();
    drop(held);
    let expected = store.run("export", &[]).well();
    assert_eq!(on(&backup, "export", &[]).well(), expected);
    assert_eq!(on(&inside, "export", &[]).well(), expected);
}

#[test]
fn a_damaged_backup_is_refused_with_file_and_byte() {
    let store = Store::of(&events(4000, 34));
    let place = tempfile::tempdir().unwrap();
    let (backup, back) = (place.path().join("backup"), place.path().join("back"));
    store.run("backup", &["--copy", text(&backup)]).well();
    let segment = files(&backup, ".seg").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[3 * 4096 + 77] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let refused = on(&back, "restore", &[text(&backup)]).badly();
    assert!(refused.contains(text(&segment)) && refused.contains("byte 12288"), "{refused}");
    assert!(on(&back, "export", &[]).badly().contains("there is no store"));
}

#[test]
fn resharding_keeps_every_event() {
    let input = events(3000, 35);
    let store = Store::of(&input);
    let expected = texts(&kept(&input));
    for (shards, from) in [("4", "2"), ("1", "4")] {
        let said = store.run("reshard", &["--shards", shards]);
        let summary = said.summary();
        assert!(summary.ends_with(&format!(" from {from} shards to {shards}")), "{}", said.err);
        said.well();
        assert_eq!(store.run("export", &[]).well(), expected);
        let stats = store.run("stats", &["--json", "--shards", shards]).well();
        assert!(stats.contains("shard"), "{stats}");
    }
    let said = store.run("reshard", &["--shards", "1"]);
    assert_eq!(said.summary(), "the store has 1 shards already");
    said.well();
    assert_eq!(store.run("reshard", &[]).status, Some(2));
    assert_eq!(store.run("reshard", &["--shards", "3"]).status, Some(2));
}

#[test]
fn a_damaged_segment_is_named_and_no_copy_looks_whole() {
    let input = events(4000, 36);
    let store = Store::of(&input);
    let place = tempfile::tempdir().unwrap();
    let segment = files(store.dir(), ".seg").remove(0);
    let whole = fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    bytes[3 * 4096 + 77] ^= 4;
    fs::write(&segment, bytes).unwrap();
    // Exit status 1, file and byte, in a sentence; a store that is opened may say it in its log too.
    let named = |ran: Ran| {
        let place = format!("{} is damaged at byte 12288", text(&segment));
        let mut lines = ran.err.lines();
        let says = lines.any(|line| line.starts_with("ratite: ") && line.contains(&place));
        assert!(ran.status == Some(1) && says, "{}", ran.err);
    };

    let backup = place.path().join("backup");
    named(store.run("backup", &["--copy", text(&backup)]));
    assert!(on(&backup, "export", &[]).badly().contains("there is no store"));
    let back = place.path().join("back");
    assert_eq!(on(&back, "restore", &[text(&backup)]).status, Some(1));
    assert!(on(&back, "export", &[]).badly().contains("there is no store"));

    let out = place.path().join("events.jsonl.gz");
    named(store.run("export", &["--output", text(&out)]));
    assert!(!out.exists());
    // What was written of it is called a part.
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let is_no_copy = |path: &PathBuf| path.is_dir() || text(path).ends_with(".gz.part");
    assert!(left.iter().all(is_no_copy), "{left:?}");

    named(store.run("reshard", &["--shards", "4"]));
    // It is the store that it was: with the page mended, all is there.
    fs::write(&segment, whole).unwrap();
    assert_eq!(store.run("stats", &["--json", "--shards", "4"]).status, Some(1));
    assert_eq!(store.run("export", &[]).well(), texts(&kept(&input)));
    on(store.dir(), "verify", &[]).well();
    // And what was begun is finished.
    store.run("backup", &["--copy", text(&backup)]).well();
    assert_eq!(on(&backup, "export", &[]).well(), texts(&kept(&input)));
    store.run("reshard", &["--shards", "4"]).well();
    assert_eq!(store.run("export", &[]).well(), texts(&kept(&input)));
}
