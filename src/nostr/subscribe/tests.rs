//! Subscriptions: no gap and no repetition beside concurrent writers, laggards, ends.

use super::*;
use crate::io::Rng;
use crate::shard::block_on;
use crate::store::Options;
use std::collections::HashSet;
use std::future::poll_fn;

fn event(author: u64, n: u64) -> Event {
    let tags = [["t", if n.is_multiple_of(2) { "even" } else { "odd" }]];
    Event::from_parts([author as u8; 32], n, 1, &tags, &n.to_string())
}

fn open(threads: bool) -> (tempfile::TempDir, EventStore) {
    let dir = tempfile::tempdir().unwrap();
    let readers = usize::from(threads);
    let options = Options { threads, readers, ..Options::tiny() };
    let store = EventStore::open(dir.path(), &options).unwrap();
    (dir, store)
}

fn put(store: &EventStore, event: &Event) {
    store.insert(&event.as_ref()).unwrap().wait().unwrap();
}

fn next(subscription: &mut Subscription) -> Option<Result<Update>> {
    block_on(poll_fn(|context| Pin::new(&mut *subscription).poll_next(context)))
}

fn is_pending(subscription: &mut Subscription) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(subscription).poll_next(&mut context).is_pending()
}

fn all() -> Filter {
    Filter::default()
}

#[test]
fn what_is_stored_comes_first_then_what_comes_in() {
    for threads in [false, true] {
        let (_dir, store) = open(threads);
        (0..3).for_each(|n| put(&store, &event(1, n)));
        let mut one = store.subscribe(&[Filter { limit: Some(2), ..all() }]);
        let mut none = store.subscribe(&[Filter { limit: Some(0), ..all() }]);
        put(&store, &event(1, 3));
        for n in [2, 1] {
            assert_eq!(next(&mut one).unwrap().unwrap(), Update::Stored(event(1, n)));
        }
        assert_eq!(next(&mut one).unwrap().unwrap(), Update::Eose);
        assert_eq!(next(&mut one).unwrap().unwrap(), Update::Live(Arc::new(event(1, 3))));
        assert_eq!(next(&mut none).unwrap().unwrap(), Update::Eose);
        assert_eq!(next(&mut none).unwrap().unwrap(), Update::Live(Arc::new(event(1, 3))));
        assert!(is_pending(&mut one));
        let ephemeral = Event::from_parts([1; 32], 5, 20001, &[["t", "x"]], "");
        store.broadcast(&ephemeral.as_ref());
        assert_eq!(next(&mut one).unwrap().unwrap(), Update::Live(Arc::new(ephemeral)));
        put(&store, &event(1, 4));
        store.close().unwrap();
        // What was stored before the end still comes, and then the end.
        assert_eq!(next(&mut one).unwrap().unwrap(), Update::Live(Arc::new(event(1, 4))));
        assert!(next(&mut one).is_none() && next(&mut one).is_none());
        let mut late = store.subscribe(&[all()]);
        while next(&mut late).is_some_and(|update| update.is_ok()) {}
        assert!(next(&mut late).is_none());
    }
}

#[test]
fn only_what_matches_comes() {
    let (_dir, store) = open(false);
    let odd = Filter { tags: vec![(b't', vec!["odd".into()])], ..all() };
    let mut subscription = store.subscribe(&[odd]);
    (0..10).for_each(|n| put(&store, &event(1, n)));
    assert_eq!(next(&mut subscription).unwrap().unwrap(), Update::Eose);
    for n in [1, 3, 5, 7, 9] {
        assert_eq!(next(&mut subscription).unwrap().unwrap(), Update::Live(Arc::new(event(1, n))));
    }
    assert!(is_pending(&mut subscription));
}

/// Writers on threads of their own, subscriptions that begin at any point of it, flushes in between.
#[test]
fn beside_concurrent_writers_nothing_is_missed_and_nothing_comes_twice() {
    const EACH: u64 = 400;
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let (_dir, store) = open(true);
        let last = |author| event(author, EACH - 1);
        std::thread::scope(|scope| {
            for author in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    let events: Vec<Event> = (0..EACH).map(|n| event(author, n)).collect();
                    for part in events.chunks(7) {
                        let refs: Vec<_> = part.iter().map(Event::as_ref).collect();
                        assert!(store.insert_batch(&refs).iter().all(Result::is_ok));
                    }
                });
            }
            for _ in 0..4 {
                let store = &store;
                let (skip, flush) = (rng.below(300), rng.chance(2));
                scope.spawn(move || {
                    while store.count(&[all()]).unwrap() < skip {
                        std::thread::yield_now();
                    }
                    if flush {
                        store.engine().flush().unwrap();
                    }
                    let (mut seen, mut eose, mut left) = (HashSet::new(), false, 3);
                    for update in store.subscribe(&[all()]).blocking() {
                        let id = match update.unwrap() {
                            Update::Stored(event) if !eose => *event.id(),
                            Update::Live(event) if eose => *event.id(),
                            Update::Eose if !eose => {
                                eose = true;
                                left -= (0..3).filter(|&a| seen.contains(last(a).id())).count();
                                if left == 0 {
                                    break;
                                }
                                continue;
                            }
                            other => panic!("{other:?}, EOSE given: {eose}"),
                        };
                        assert!(seen.insert(id), "twice");
                        if eose {
                            left -= (0..3).filter(|&a| *last(a).id() == id).count();
                            if left == 0 {
                                break;
                            }
                        }
                    }
                    // A shard stores an author's events in order, so the last of each is the end.
                    assert_eq!(seen.len() as u64, 3 * EACH, "seed {seed}");
                });
            }
        });
    }
}

#[test]
fn who_takes_nothing_lags_and_stalls_nobody() {
    for threads in [false, true] {
        let (_dir, store) = open(threads);
        let queue = Queue { events: 5, ..Queue::default() };
        let mut slow = store.subscribe_with(&[all()], queue);
        let mut quick = store.subscribe(&[all()]);
        let bytes = Queue { bytes: 1, ..Queue::default() };
        let mut small = store.subscribe_with(&[all()], bytes);
        for subscription in [&mut slow, &mut quick, &mut small] {
            assert_eq!(next(subscription).unwrap().unwrap(), Update::Eose);
        }
        for n in 0..20 {
            put(&store, &event(1, n));
            assert_eq!(next(&mut quick).unwrap().unwrap(), Update::Live(Arc::new(event(1, n))));
        }
        for (mut laggard, given, what) in [(slow, 5, "events"), (small, 1, "bytes")] {
            for n in 0..given {
                let update = next(&mut laggard).unwrap().unwrap();
                assert_eq!(update, Update::Live(Arc::new(event(1, n))));
            }
            let error = next(&mut laggard).unwrap().unwrap_err();
            assert!(matches!(error, Error::Lagged { what: w, .. } if w == what), "{error}");
            assert!(next(&mut laggard).is_none());
        }
        put(&store, &event(1, 20));
        assert_eq!(next(&mut quick).unwrap().unwrap(), Update::Live(Arc::new(event(1, 20))));
    }
}

#[test]
fn a_dropped_subscription_leaves_nothing_behind() {
    let (_dir, store) = open(true);
    for round in 0..50 {
        let mut subscription = store.subscribe(&[all()]);
        put(&store, &event(2, round));
        if round % 2 == 0 {
            next(&mut subscription).unwrap().unwrap();
        }
        let channel = Arc::downgrade(&subscription.channel);
        drop(subscription);
        assert!(channel.upgrade().is_none());
    }
}
