//! Power lost at every write and sync of a request that reaches into other shards.

use super::{deletion, event, has, insert, tiny, vanish, wrap};
use crate::oracle::here;
use ratite::io::{Faults, simulated};
use ratite::nostr::{Event, EventStore, Inserted};
use ratite::shard::SyncMode;
use std::path::Path;

/// Cuts the power after `n` operations of the request and looks at what is left; false if there were fewer.
fn cut(n: u64, request: &Event, gone: &[Event], kept: &[Event]) -> bool {
    let (env, disk, _clock) = simulated(n, Faults::default());
    let mut options = tiny(Some(4));
    options.sync = SyncMode::Always;
    let open = || EventStore::open_with(Path::new("/store"), &here(&options), env.clone());
    let store = open().unwrap();
    for (i, event) in gone.iter().chain(kept).enumerate() {
        assert_eq!(insert(&store, event).unwrap(), Inserted::Stored);
        if i == gone.len() / 2 {
            store.engine().flush().unwrap();
        }
    }
    disk.crash_after(n);
    let answer = insert(&store, request);
    let was_cut = disk.is_off();
    disk.power_loss();
    drop(store);
    disk.power_loss();
    disk.crash_after(0);
    let store = open().unwrap();
    let left = gone.iter().filter(|event| has(&store, event)).count();
    match answer {
        Ok(answer) => {
            assert_eq!(answer, Inserted::Stored);
            assert!(has(&store, request), "an answered request is lost");
            assert_eq!(left, 0, "an answered request is not whole");
        }
        Err(_) if has(&store, request) => {
            assert_eq!(left, 0, "the request is there before its deeds")
        }
        Err(_) => {}
    }
    assert!(kept.iter().all(|event| has(&store, event)), "what was not asked for is gone");
    // Asked again, it is done.
    let again = insert(&store, request).unwrap();
    assert!(matches!(again, Inserted::Stored | Inserted::Duplicate), "{again:?}");
    for event in gone {
        assert!(!has(&store, event));
        let refused = insert(&store, event).unwrap();
        assert!(matches!(refused, Inserted::Deleted | Inserted::Vanished), "{refused:?}");
    }
    was_cut
}

fn every_cut(request: &Event, gone: &[Event], kept: &[Event]) {
    let cuts = (1..).take_while(|n| cut(*n, request, gone, kept)).count();
    assert!(cuts >= 4, "only {cuts} writes and syncs");
}

#[test]
fn a_deletion_that_is_cut_off_is_whole_or_is_asked_again() {
    let mut gone: Vec<Event> = (0..8).map(|n| wrap(n, 50, 1)).collect();
    gone.push(event(1, 40, 1, &[]));
    let kept = [wrap(8, 50, 1), wrap(9, 50, 2), event(2, 40, 1, &[]), event(1, 41, 1, &[])];
    let request = deletion(1, 60, &gone.iter().chain([&kept[1], &kept[2]]).collect::<Vec<_>>());
    every_cut(&request, &gone, &kept);
}

#[test]
fn a_vanishing_that_is_cut_off_is_whole_or_is_asked_again() {
    let mut gone: Vec<Event> = (0..8).map(|n| wrap(n, 50, 1)).collect();
    gone.extend((0..200).map(|n| event(1, n, 1, &[])));
    let kept = [wrap(8, 501, 1), wrap(9, 50, 2), event(2, 40, 1, &[]), event(1, 501, 1, &[])];
    every_cut(&vanish(1, 500), &gone, &kept);
}

/// A limit of what is promised: with nothing of its author's left, it looks like a request against others only.
#[test]
fn a_deletion_of_wraps_that_is_cut_off_may_be_refused_when_it_is_asked_again() {
    let (wrapped, foreign) = (wrap(0, 50, 1), event(2, 40, 1, &[]));
    let request = deletion(1, 60, &[&wrapped, &foreign]);
    let mut refused = 0;
    for n in 1..20 {
        let (env, disk, _clock) = simulated(n, Faults::default());
        let mut options = tiny(Some(4));
        options.sync = SyncMode::Always;
        let open = || EventStore::open_with(Path::new("/store"), &here(&options), env.clone());
        let store = open().unwrap();
        for event in [&wrapped, &foreign] {
            assert_eq!(insert(&store, event).unwrap(), Inserted::Stored);
        }
        disk.crash_after(n);
        let answer = insert(&store, &request);
        disk.power_loss();
        drop(store);
        disk.crash_after(0);
        let store = open().unwrap();
        let again = insert(&store, &request).unwrap();
        assert!(!has(&store, &wrapped) && has(&store, &foreign));
        match again {
            Inserted::InvalidDelete => refused += 1,
            _ => assert!(has(&store, &request)),
        }
        assert!(answer.is_err() || again == Inserted::Duplicate, "what was answered is whole");
    }
    assert!(refused > 0, "it is done: say so in `deletions`");
}
