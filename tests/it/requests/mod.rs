//! Requests to delete and to vanish, over several shards: any order, many threads, cuts, and what copies keep.

mod cuts;
mod kept;
mod mended;

use crate::compare::{everything, insert};
use crate::naive::random::World;
use crate::naive::{HERE, Naive};
use crate::oracle::here;
use crate::replay;
use ratite::io::{Faults, Rng, simulated};
use ratite::nostr::{Event, EventOptions, EventStore, Filter, Inserted};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::path::Path;

/// Small stores with so many shards.
fn tiny(shards: Option<usize>) -> Options {
    let mut options = Options::tiny();
    options.shards = shards;
    options.memory_bytes = options.memory_bytes_min(shards.unwrap_or(8)) + (1 << 20);
    options
}

/// An event with these tags.
fn event(author: u8, at: u64, kind: u16, tags: &[[&str; 2]]) -> Event {
    Event::from_parts([author; 32], at, kind, tags, &format!("{author} {at} {kind}"))
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A gift wrap of a key of its own.
fn wrap(n: u8, at: u64, recipient: u8) -> Event {
    event(100 + n, at, 1059, &[["p", &hex(&[recipient; 32])]])
}

fn deletion(author: u8, at: u64, targets: &[&Event]) -> Event {
    let ids: Vec<String> = targets.iter().map(|target| hex(target.id())).collect();
    let tags: Vec<[&str; 2]> = ids.iter().map(|id| ["e", &id[..]]).collect();
    event(author, at, 5, &tags)
}

fn vanish(author: u8, at: u64) -> Event {
    event(author, at, 62, &[["relay", HERE]])
}

fn simulated_store(seed: u64, shards: usize) -> EventStore {
    let (env, ..) = simulated(seed, Faults::default());
    EventStore::open_with(Path::new("/store"), &here(&tiny(Some(shards))), env).unwrap()
}

fn has(store: &EventStore, event: &Event) -> bool {
    store.get(event.id()).unwrap().is_some()
}

#[test]
fn no_order_of_arrival_changes_what_stays() {
    replay::each_seed("no_order_of_arrival_changes_what_stays", 0..60, |seed| {
        let mut world = World::new(seed);
        world.requests = Some(1_704_067_200);
        world.is_calm = true;
        let mut events: Vec<_> = (0..60).map(|_| world.event()).collect();
        let mut ends = Vec::new();
        for round in 0..3 {
            let (env, ..) = simulated(seed, Faults::default());
            let options = here(&tiny(Some(1 << round)));
            let options = EventOptions { refuse_foreign_deletes: false, ..options };
            let store = EventStore::open_with(Path::new("/store"), &options, env).unwrap();
            let mut naive = Naive { now: 1_704_067_200, ..Naive::default() };
            for ev in &events {
                assert_eq!(insert(&store, &ev.event(false)).unwrap(), naive.insert(ev));
                if world.rng.chance(20) {
                    store.engine().flush().unwrap();
                }
            }
            ends.push(everything(&store, &naive).unwrap());
            world.rng.shuffle(&mut events);
        }
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    });
}

#[test]
fn gift_wraps_are_their_recipients_to_delete_and_nobody_elses() {
    let store = simulated_store(1, 4);
    let put = |event: &Event| insert(&store, event).unwrap();
    let wraps: Vec<Event> = (0..8).map(|n| wrap(n, 50 + u64::from(n), 1)).collect();
    wraps[..6].iter().for_each(|wrap| assert_eq!(put(wrap), Inserted::Stored));
    let all: Vec<&Event> = wraps.iter().collect();
    // A stranger's request for them alone is no request.
    assert_eq!(put(&deletion(2, 90, &all)), Inserted::InvalidDelete);
    // With one of its own it counts for that one only.
    let own = event(2, 10, 1, &[]);
    assert_eq!(put(&own), Inserted::Stored);
    assert_eq!(put(&deletion(2, 91, &[&own, &wraps[0]])), Inserted::Stored);
    assert!(!has(&store, &own) && has(&store, &wraps[0]));
    // The recipient's counts, for what comes later too, of whatever time.
    assert_eq!(put(&deletion(1, 1, &[&wraps[0], &wraps[1], &wraps[6]])), Inserted::Stored);
    assert_eq!([0, 1, 2].map(|n: usize| has(&store, &wraps[n])), [false, false, true]);
    assert_eq!(put(&wraps[6]), Inserted::Deleted);
    assert_eq!(put(&wraps[0]), Inserted::Deleted);
    // Who vanishes takes those along that are not newer.
    assert_eq!(put(&vanish(1, 54)), Inserted::Stored);
    assert_eq!([2, 3, 4, 5].map(|n: usize| has(&store, &wraps[n])), [false, false, false, true]);
    assert_eq!((put(&wraps[2]), put(&wraps[7])), (Inserted::Vanished, Inserted::Stored));
    // For a copy of a store, each request is as it was.
    assert_eq!(put(&deletion(3, 5, &[&wraps[5]])), Inserted::InvalidDelete);
}

#[test]
fn more_than_one_record_may_kill_goes_all_the_same() {
    let store = simulated_store(2, 2);
    let notes: Vec<Event> = (0..5_000).map(|n| event(1, 1_000 + n, 1, &[])).collect();
    for group in notes.chunks(100) {
        let pending: Vec<_> = group.iter().map(|e| store.insert(&e.as_ref()).unwrap()).collect();
        pending.into_iter().for_each(|p| assert_eq!(p.wait().unwrap(), Inserted::Stored));
    }
    let some: Vec<&Event> = notes[..300].iter().collect();
    assert_eq!(insert(&store, &deletion(1, 9_000, &some)).unwrap(), Inserted::Stored);
    assert_eq!(store.count(&[Filter::default()]).unwrap(), 4_701);
    assert_eq!(insert(&store, &vanish(1, 5_995)).unwrap(), Inserted::Stored);
    // Those of 5,996 to 5,999, the newer request to delete, and the one to vanish.
    assert_eq!(store.count(&[Filter::default()]).unwrap(), 6);
    assert_eq!(insert(&store, &notes[3_000]).unwrap(), Inserted::Vanished);
    store.engine().compact().unwrap();
    let left: u64 = store.engine().stats().iter().map(|shard| shard.segment_records).sum();
    assert_eq!(left, 6, "what vanished is gone from the files");
}

/// Wraps and the requests against them from several threads at once: whatever the order, what was asked for is gone.
#[test]
fn requests_and_gift_wraps_meet_from_several_threads() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = tiny(Some(4));
    (options.threads, options.sync, options.in_flight) = (true, SyncMode::Never, 8);
    let env = ratite::io::system(ratite::io::Backend::Auto).unwrap();
    let store = EventStore::open_with(dir.path(), &here(&options), env).unwrap();
    for round in 0..6u64 {
        let at = 1_000 * (round + 1);
        let wraps: Vec<Event> = (0..96).map(|n| wrap(n, at + u64::from(n), 1 + n % 3)).collect();
        // Of the first recipient every second wrap is named; the second vanishes; the third asks for nothing.
        let of_first: Vec<&Event> = wraps.iter().step_by(6).collect();
        let mut requests: Vec<Event> =
            of_first.chunks(4).map(|wraps| deletion(1, at, wraps)).collect();
        requests.push(vanish(2, at + 50));
        std::thread::scope(|scope| {
            for seed in 0..3 {
                let (store, wraps, requests) = (&store, &wraps, &requests);
                scope.spawn(move || {
                    let mut rng = Rng::new(seed + 10 * round);
                    let mut events: Vec<&Event> = wraps.iter().chain(requests).collect();
                    rng.shuffle(&mut events);
                    // Three threads with three each want more than the eight tickets of a shard; with two each while they
                    // wait for a third, they leave some, or all would wait for ever.
                    for group in events.chunks(3) {
                        let pending: Vec<_> =
                            group.iter().map(|e| store.insert(&e.as_ref()).unwrap()).collect();
                        pending
                            .into_iter()
                            .for_each(|p| assert_ne!(p.wait().unwrap(), Inserted::Older));
                    }
                });
            }
        });
        for (n, wrap) in wraps.iter().enumerate() {
            let gone = n % 6 == 0 || n % 3 == 1 && n <= 50;
            assert_eq!(has(&store, wrap), !gone, "wrap {n} of round {round}");
        }
        requests.iter().for_each(|request| assert!(has(&store, request)));
    }
    store.close().unwrap();
    assert!(store.insert(&vanish(3, 1).as_ref()).is_err(), "after the end");
}
