//! `ratite inspect`, `verify` and `repair`: looking into a store, proving it whole, mending it.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A store with segments and a log.
fn store() -> (Store, String) {
    let lines = events(3000, 5);
    let store = Store::of(&lines);
    (store, lines)
}

/// `verb` with the store's directory and nothing else.
fn on(store: &Store, verb: &str, more: &[&str]) -> Ran {
    let mut args = vec![verb, "--data", store.dir().to_str().unwrap()];
    args.extend(more);
    run(&args)
}

#[test]
fn a_file_is_looked_into_wherever_it_lies_and_whatever_is_damaged() {
    let (store, _) = store();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("a copy");
    let name = copy.to_str().unwrap();
    for (word, part) in [("wal", "wal-"), ("segment", ".seg"), ("manifest", "manifest-")] {
        let path = files(&store, part).remove(0);
        fs::copy(&path, &copy).unwrap();
        let text = run(&["inspect", path.to_str().unwrap()]).well();
        assert_eq!(run(&["inspect", name]).well(), text);
        assert_eq!(run(&["inspect", word, name]).well(), text);
        for other in ["wal", "segment", "manifest"].into_iter().filter(|other| *other != word) {
            assert_eq!(run(&["inspect", other, name]).status, Some(2), "{other} {word}");
        }
        let len = fs::metadata(&copy).unwrap().len();
        for at in [0, 7, 4095.min(len - 2), len - 1] {
            let from = at.to_string();
            let args = ["inspect", word, name, "--at", &from, "--limit", "1", "--json"];
            let line = &Line::all(&run(&args).well())[0];
            assert_eq!(line.number("at"), at - at % 16);
        }
    }
    // The magic of a manifest is all that tells what it is; a word does it too.
    flip(&copy, 0);
    assert!(!run(&["inspect", name]).well().contains("generation"));
    let text = run(&["inspect", "manifest", name]).well();
    assert!(text.contains("generation") && text.contains("DAMAGED"), "{text}");
    assert!(text.lines().skip(1).any(|line| line.contains("segment  ")), "{text}");
    // A file need not end where a disk's blocks do.
    fs::write(&copy, [7; 4099]).unwrap();
    let rows = run(&["inspect", name]).well();
    assert_eq!((rows.lines().count(), rows.contains("4096")), (257, true));
    assert!(run(&["inspect", name, "--at", "9999"]).well().is_empty());
    let wrong = ["inspect", "segment", name, "--page", "0", "--page-size", "5000"];
    assert_eq!(run(&wrong).status, Some(2));
}

/// All files of the store with their bytes, the lock aside.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else if !path.ends_with("LOCK") {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn files(store: &Store, suffix: &str) -> Vec<PathBuf> {
    tree(store.dir()).into_keys().filter(|path| path.to_str().unwrap().contains(suffix)).collect()
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_healthy_store_is_healthy_and_stays_as_it_is() {
    let (store, _) = store();
    let before = tree(store.dir());
    let ran = on(&store, "verify", &[]);
    assert!(ran.summary().starts_with("healthy: "), "{}", ran.err);
    assert_eq!(ran.well(), "");
    let ran = on(&store, "repair", &[]);
    assert!(ran.summary().starts_with("nothing to repair"), "{}", ran.err);
    assert_eq!(ran.well(), "");
    assert!(tree(store.dir()) == before, "something was changed");
}

#[test]
fn a_damaged_segment_is_named_and_mended() {
    let (store, lines) = store();
    let segment = files(&store, ".seg").pop().unwrap();
    let pages = fs::metadata(&segment).unwrap().len() / 4096;
    // The filters, before the copy of the header; and the header.
    flip(&segment, (pages as usize - 2) * 4096 + 77);
    flip(&segment, 100);
    let ran = on(&store, "verify", &["--json"]);
    assert_eq!(ran.status, Some(1));
    let found = Line::all(&ran.out);
    let offsets: Vec<u64> = found.iter().map(|line| line.number("offset")).collect();
    assert_eq!(offsets, [0, (pages - 2) * 4096], "{}", ran.out);
    assert!(found.iter().all(|line| line.text_of("file") == segment.to_str().unwrap()));

    let before = tree(store.dir());
    let said = on(&store, "repair", &["--dry-run"]).well();
    assert!(said.contains("would do: ") && said.contains("made anew"), "{said}");
    assert!(tree(store.dir()) == before, "a dry run has changed something");

    let ran = on(&store, "repair", &[]);
    assert!(ran.err.contains("repaired; now healthy"), "{}", ran.err);
    assert!(!ran.well().contains("\"lost\""));
    on(&store, "verify", &[]).well();
    assert_eq!(files(&store, "quarantine/shard-").len(), 1);
    assert_eq!(store.run("export", &[]).well(), texts(&kept(&lines)));
}

#[test]
fn lost_events_are_named_on_the_screen_and_in_the_report() {
    let (store, lines) = store();
    let segment = files(&store, ".seg").pop().unwrap();
    flip(&segment, 4096 + 2000);
    let out = on(&store, "repair", &[]).well();
    let lost: Vec<&str> = out.lines().filter(|line| line.starts_with("{\"lost\"")).collect();
    assert!(!lost.is_empty(), "{out}");
    let report = fs::read_to_string(files(&store, "quarantine/report-").pop().unwrap()).unwrap();
    assert!(lost.iter().all(|line| report.lines().any(|said| said == *line)));
    let named: Vec<String> =
        lost.iter().map(|line| Line::all(line)[0].text_of("id").to_string()).collect();
    let left = Line::all(&store.run("export", &[]).well());
    let left: Vec<&str> = left.iter().map(|line| line.text_of("id")).collect();
    for line in kept(&lines) {
        let id = line.text_of("id");
        assert!(left.contains(&id) != named.iter().any(|lost| lost == id), "{id}");
    }
}

#[test]
fn every_file_can_be_looked_into() {
    let (store, lines) = store();
    for path in tree(store.dir()).keys() {
        let path = path.to_str().unwrap();
        let text = run(&["inspect", path]).well();
        assert!(text.contains("header") && !text.contains("DAMAGED"), "{text}");
        let json = run(&["inspect", path, "--json", "--limit", "1"]).well();
        assert_eq!(Line::all(&json).len(), 1);
    }
    let segment = files(&store, ".seg").pop().unwrap();
    let args = ["inspect", segment.to_str().unwrap(), "--records", "--bodies", "--json"];
    let shown = Line::all(&run(&args).well());
    let events = shown.iter().filter(|line| line.json["what"] == "record");
    let known = Line::all(&lines);
    let mut seen = 0;
    for event in events {
        let id = event.text_of("id");
        assert!(known.iter().any(|line| line.json == event.json["body"]), "{id}");
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
    let page = run(&["inspect", segment.to_str().unwrap(), "--page", "1"]).well();
    assert_eq!(page.lines().filter(|line| line.contains("  bytes  ")).count(), 4096 / 16);
    assert!(page.contains("kind bodies") && page.contains("  ordinal 0  bytes "), "{page}");
    flip(&segment, 4096);
    let text = run(&["inspect", segment.to_str().unwrap()]).well();
    assert!(text.lines().any(|l| l.trim_start().starts_with("4096") && l.contains("DAMAGED")));
    run(&["inspect", "/nowhere"]).badly();
    let path = segment.to_str().unwrap();
    assert_eq!(run(&["inspect", "segment", path]).well(), text);
    let again = run(&["inspect", "page", path, "--page", "2"]).well();
    assert!(again.contains("page 2  kind bodies"), "{again}");
    assert_eq!(run(&["inspect", "page", path]).status, Some(2));
    assert_eq!(run(&["inspect", "wal", path]).status, Some(2));
    assert_eq!(run(&["inspect", path, path]).well(), [text.clone(), text].concat());
    run(&["verify", "--data", "/nowhere"]).badly();
    run(&["repair", "--data", "/nowhere"]).badly();
}
