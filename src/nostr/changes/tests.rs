//! Changes: against what the store holds, over restarts, crashes and recycled logs.

use super::*;
use crate::io::{self, Faults, Rng};
use crate::shard::{SyncMode, block_on};
use crate::store::Options;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::task::Waker;

fn event(author: u64, at: u64, kind: u16, text: &str) -> Event {
    Event::from_parts([author as u8; 32], at, kind, &[["t", "x"]], text)
}

fn put(store: &EventStore, event: &Event) {
    store.insert(&event.as_ref()).unwrap().wait().unwrap();
}

/// Takes what is there now into `held`, by id, as a follower would.
fn apply(changes: &mut Changes, held: &mut BTreeMap<[u8; 32], Event>) -> Result<usize> {
    let mut context = Context::from_waker(Waker::noop());
    let mut count = 0;
    while let Poll::Ready(next) = Pin::new(&mut *changes).poll_next(&mut context) {
        match next {
            Some(Ok(Change::Stored { event, removed })) => {
                removed.iter().for_each(|id| drop(held.remove(id)));
                held.insert(*event.id(), event);
            }
            Some(Ok(Change::Removed { ids })) => ids.iter().for_each(|id| drop(held.remove(id))),
            Some(Err(error)) => return Err(error),
            None => break,
        }
        count += 1;
    }
    Ok(count)
}

fn all(store: &EventStore) -> BTreeMap<[u8; 32], Event> {
    let mut events = store.query(&[Filter::default()]).unwrap();
    let next = || events.next().unwrap().map(|event| (*event.id(), event.to_owned()));
    std::iter::from_fn(next).collect()
}

/// A follower that is stopped and started anew with its position, and with the store, has what the store has. Where the
/// log was recycled it begins again from all; both ways are taken.
#[test]
fn a_follower_has_what_the_store_has_over_restarts_crashes_and_recycled_logs() {
    let (mut resumed, mut begun_again) = (0, 0);
    for seed in 0..12 {
        let (env, disk, _clock) = io::simulated(seed, Faults::default());
        let mut rng = Rng::new(seed);
        // With `Never`, a power cut takes back what was given: such a follower begins again.
        let (sync, cut) = match seed % 3 {
            0 => (SyncMode::Always, true),
            1 => (SyncMode::Never, false),
            _ => (SyncMode::Never, true),
        };
        let options = Options { sync, log_file_bytes: 128 << 10, ..Options::tiny() };
        let dir = Path::new("/store");
        let mut held = BTreeMap::new();
        let mut position: Option<Vec<u8>> = None;
        for _run in 0..8 {
            let store = EventStore::open_in(dir, &options, env.clone()).unwrap();
            let mut changes = match &position {
                Some(bytes) => store.changes(&Position::from_bytes(bytes).unwrap()).unwrap(),
                None => store.changes(&store.position()).unwrap(),
            };
            for _round in 0..rng.below(6) + 1 {
                for _ in 0..rng.below(60) {
                    let (author, at) = (rng.below(4), rng.below(1000));
                    let kind = if rng.chance(4) { 0 } else { 1 };
                    let text = "x".repeat(rng.below(2000) as usize);
                    put(&store, &event(author, at, kind, &text));
                }
                if rng.chance(3) {
                    let ids: Vec<_> = all(&store).into_iter().take(3).collect();
                    for (id, event) in ids {
                        let route = crate::base::hash64(event.pubkey());
                        store.engine().remove(route, &[id]).unwrap();
                    }
                }
                if rng.chance(5) {
                    store.engine().flush().unwrap();
                }
                if rng.chance(2) {
                    follow(&store, &mut changes, &mut held, &mut begun_again);
                }
            }
            if rng.chance(2) {
                follow(&store, &mut changes, &mut held, &mut begun_again);
                assert_eq!(held, all(&store), "seed {seed}");
                resumed += 1;
            }
            position = changes.position().map(Position::to_bytes);
            if rng.chance(2) {
                store.close().unwrap();
            } else if cut {
                disk.power_loss();
            } else {
                disk.kill();
            }
            drop(changes);
            drop(store);
        }
    }
    assert!(resumed > 20 && begun_again > 0, "{resumed} resumed, {begun_again} begun again");
}

fn follow(
    store: &EventStore,
    changes: &mut Changes,
    held: &mut BTreeMap<[u8; 32], Event>,
    begun_again: &mut u32,
) {
    while let Err(error) = apply(changes, held) {
        assert!(matches!(error, Error::ChangesGone { .. }), "{error}");
        *begun_again += 1;
        held.clear();
        *changes = store.changes_from_all().unwrap();
    }
}

#[test]
fn each_change_comes_once_and_live_with_readers_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { threads: true, readers: 1, ..Options::tiny() };
    let store = EventStore::open(dir.path(), &options).unwrap();
    let from = store.position();
    put(&store, &event(1, 1, 0, "old"));
    let mut changes = store.changes(&from).unwrap();
    let mut next = || block_on(poll_fn(|context| Pin::new(&mut changes).poll_next(context)));
    let stored = |event, removed| Change::Stored { event, removed };
    assert_eq!(next().unwrap().unwrap(), stored(event(1, 1, 0, "old"), vec![]));
    put(&store, &event(1, 2, 0, "new"));
    let removed = vec![*event(1, 1, 0, "old").id()];
    assert_eq!(next().unwrap().unwrap(), stored(event(1, 2, 0, "new"), removed));
    for n in 3..200 {
        put(&store, &event(1, n, 1, ""));
        assert_eq!(next().unwrap().unwrap(), stored(event(1, n, 1, ""), vec![]));
    }
    let last = *event(1, 199, 1, "").id();
    let route = crate::base::hash64(&[1; 32]);
    assert_eq!(store.engine().remove(route, &[last, [9; 32]]).unwrap(), 1);
    assert_eq!(next().unwrap().unwrap(), Change::Removed { ids: vec![last] });
    let position = changes.position().unwrap().clone();
    drop(changes);
    let mut changes = store.changes(&position).unwrap();
    put(&store, &event(1, 300, 1, ""));
    let next = block_on(poll_fn(|context| Pin::new(&mut changes).poll_next(context)));
    assert_eq!(next.unwrap().unwrap(), stored(event(1, 300, 1, ""), vec![]));
    drop(store);
}

#[test]
fn positions_are_bytes_and_of_one_store() {
    let (one, other) = (EventStore::in_memory().unwrap(), EventStore::in_memory().unwrap());
    put(&one, &event(1, 1, 1, ""));
    let position = one.position();
    let bytes = position.to_bytes();
    assert_eq!(Position::from_bytes(&bytes).unwrap(), position);
    assert_eq!(other.changes(&position).err().unwrap().code(), "ERR_MISMATCH");
    for cut in 0..bytes.len() {
        assert!(Position::from_bytes(&bytes[..cut]).is_err());
    }
    // Positions are a client's to keep: any bytes are met with an error or a place.
    let mut rng = Rng::new(3);
    for _ in 0..200 {
        let mut bad = bytes.clone();
        let at = 17 + rng.below(12) as usize;
        bad[at] ^= 1 << rng.below(8);
        let position = Position::from_bytes(&bad).unwrap();
        let mut changes = one.changes(&position).unwrap().blocking();
        put(&one, &event(2, rng.next_u64(), 1, ""));
        let _an_error_or_a_change = changes.next();
    }
}
