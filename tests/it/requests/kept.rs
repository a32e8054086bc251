//! What was asked for holds through everything that moves or rewrites a store.

use super::{deletion, event, has, insert, tiny, vanish, wrap};
use crate::oracle::here;
use ratite::io::{Backend, system};
use ratite::maintain::{How, repair, reshard, restore};
use ratite::model::Model;
use ratite::nostr::retention::{RuleConfig, rules};
use ratite::nostr::{Event, EventModel, EventOptions, EventStore, Filter, Inserted};
use ratite::retention::{Limits, apply};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn options() -> EventOptions {
    here(&tiny(Some(2)))
}

fn open(dir: &Path, options: &EventOptions) -> EventStore {
    EventStore::open_with(dir, options, system(Backend::Auto).unwrap()).unwrap()
}

/// Everything that the requests of `fill` are about, with the answer that it gets for ever.
fn refused() -> Vec<(Event, Inserted)> {
    let mut refused = vec![
        (event(1, 10, 1, &[]), Inserted::Deleted),
        (event(1, 11, 30023, &[["d", "x"]]), Inserted::Deleted),
        (event(1, 12, 0, &[]), Inserted::Deleted),
        (wrap(1, 13, 1), Inserted::Deleted),
        (event(2, 14, 1, &[]), Inserted::Vanished),
        (wrap(2, 15, 2), Inserted::Vanished),
        (deletion(2, 16, &[]), Inserted::Vanished),
    ];
    // Never seen before their deletion.
    refused.push((event(1, 17, 7, &[]), Inserted::Deleted));
    refused
}

fn fill(store: &EventStore) {
    let refused = refused();
    for (event, _) in &refused[..7] {
        assert_eq!(insert(store, event).unwrap(), Inserted::Stored);
    }
    store.engine().flush().unwrap();
    let key = super::hex(&[1; 32]);
    let ids = [&refused[0].0, &refused[3].0, &refused[7].0].map(|e| super::hex(e.id()));
    let (slot, profile) = (format!("30023:{key}:x"), format!("0:{key}:"));
    let mut tags: Vec<[&str; 2]> = ids.iter().map(|id| ["e", &id[..]]).collect();
    tags.extend([["a", &slot], ["a", &profile]]);
    for event in [event(1, 20, 5, &tags), vanish(2, 20), event(3, 21, 1, &[])] {
        assert_eq!(insert(store, &event).unwrap(), Inserted::Stored);
    }
    holds(store);
}

fn holds(store: &EventStore) {
    for (event, answer) in refused() {
        assert!(!has(store, &event));
        assert_eq!(insert(store, &event).unwrap(), answer, "{event:?}");
    }
    let kinds = |kind| Filter { kinds: Some(vec![kind]), ..Filter::default() };
    assert_eq!(store.count(&[Filter::default()]).unwrap(), 3);
    assert_eq!(store.count(&[kinds(5)]).unwrap() + store.count(&[kinds(62)]).unwrap(), 2);
}

#[test]
fn requests_hold_after_compaction_backup_reshard_and_repair() {
    let dir = tempfile::tempdir().unwrap();
    let (place, options) = (dir.path().join("store"), options());
    let env = system(Backend::Auto).unwrap();
    let store = open(&place, &options);
    fill(&store);
    store.engine().compact().unwrap();
    holds(&store);
    let copy = dir.path().join("copy");
    store.backup(&copy).unwrap();
    store.close().unwrap();
    drop(store);

    let back = dir.path().join("back");
    restore::run(&env.disk, &copy, &back, How::Copy, &mut |_| ()).unwrap();
    holds(&open(&back, &options));

    let model: Arc<dyn Model> = Arc::new(EventModel::default());
    for shards in [8, 1] {
        reshard::run(&place, &model, shards, &options.store, &env, &mut |_| ()).unwrap();
        holds(&open(&place, &here(&tiny(None))));
    }

    // An index is rebuilt from the records.
    let shard = place.join("shard-00");
    let segments = std::fs::read_dir(&shard).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.into_iter().find(|path| path.extension().is_some_and(|e| e == "seg"));
    let segment = segment.expect("a segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 4096 - 100;
    bytes[last] ^= 0x55;
    std::fs::write(&segment, &bytes).unwrap();
    let repaired = repair::run(&env, &place, &model, false, &mut ()).unwrap();
    assert!(repaired.after.is_some_and(|after| after.is_healthy()));
    holds(&open(&place, &here(&tiny(None))));
}

#[test]
fn requests_hold_in_a_copy_that_is_made_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let from = open(&dir.path().join("from"), &options());
    fill(&from);
    // A request that names one of its own, which is gone, and one that lives.
    let own = event(4, 1, 1, &[]);
    assert_eq!(insert(&from, &own).unwrap(), Inserted::Stored);
    let foreign = event(3, 21, 1, &[]);
    let mixed = deletion(4, 30, &[&own, &foreign]);
    assert_eq!(insert(&from, &mixed).unwrap(), Inserted::Stored);
    let mut found = from.query(&[Filter::default()]).unwrap();
    let mut events = Vec::new();
    while let Some(event) = found.next().unwrap() {
        events.push(event.to_owned());
    }
    for (name, reverse) in [("newest", false), ("oldest", true)] {
        let options = EventOptions { refuse_foreign_deletes: false, ..options() };
        let to = open(&dir.path().join(name), &options);
        if reverse {
            events.reverse();
        }
        for event in &events {
            assert_eq!(insert(&to, event).unwrap(), Inserted::Stored);
        }
        assert_eq!(insert(&to, &own).unwrap(), Inserted::Deleted);
        refused()
            .iter()
            .for_each(|(event, answer)| assert_eq!(insert(&to, event).unwrap(), *answer));
    }
}

#[test]
fn retention_leaves_requests_unless_a_rule_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &options());
    fill(&store);
    let keep = |words: &[&str]| {
        let configs: Vec<RuleConfig> =
            words.iter().map(|words| RuleConfig::parse(words).unwrap()).collect();
        let limits = Limits { records_per_second: None, ..Limits::default() };
        let (rules, now) = (rules(&configs).unwrap(), 1_000_000);
        apply(store.engine(), &rules, now, limits, &AtomicBool::new(false)).unwrap().removed()
    };
    assert_eq!(keep(&["age=1d", "kinds=0-1000 age=1d", "each=author count=1"]), 1, "the note");
    // Named by one rule, spared by the others.
    assert_eq!(keep(&["age=1d", "kinds=62 age=1d"]), 1);
    assert_eq!(insert(&store, &refused()[4].0).unwrap(), Inserted::Stored, "that is forgotten");
    assert_eq!(insert(&store, &refused()[0].0).unwrap(), Inserted::Deleted);
}

#[test]
fn a_store_that_was_not_written_to_since_its_shards_became_more_is_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let (place, options) = (dir.path().join("store"), options());
    let env = system(Backend::Auto).unwrap();
    let store = open(&place, &options);
    fill(&store);
    store.close().unwrap();
    drop(store);
    let model: Arc<dyn Model> = Arc::new(EventModel::default());
    reshard::run(&place, &model, 4, &options.store, &env, &mut |_| ()).unwrap();
    let store = open(&place, &here(&tiny(None)));
    let (copy, back) = (dir.path().join("copy"), dir.path().join("back"));
    store.backup(&copy).unwrap();
    restore::run(&env.disk, &copy, &back, How::Copy, &mut |_| ()).unwrap();
    holds(&open(&back, &here(&tiny(None))));
    // The next one brings what has begun since.
    let note = event(9, 9, 1, &[]);
    assert_eq!(insert(&store, &note).unwrap(), Inserted::Stored);
    store.backup(&copy).unwrap();
    store.close().unwrap();
    assert!(has(&open(&copy, &here(&tiny(None))), &note));
}
