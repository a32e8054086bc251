//! Streams against the blocking query, by random filters, pages, executors, and dropped at every point.

use super::*;
use crate::io::Rng;
use crate::nostr::TagValue;
use crate::store::Options;
use futures::StreamExt;
use futures::executor::LocalPool;

/// Small enough that some seconds and terms have many events.
fn filled(threads: bool, readers: usize) -> (tempfile::TempDir, EventStore) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { threads, readers, ..Options::tiny() };
    let store = EventStore::open(dir.path(), &options).unwrap();
    let events: Vec<Event> = (0..1200u64).map(event).collect();
    for (n, part) in events.chunks(400).enumerate() {
        let refs: Vec<_> = part.iter().map(Event::as_ref).collect();
        assert!(store.insert_batch(&refs).into_iter().all(|answer| answer.is_ok()));
        if n < 2 {
            store.engine().flush().unwrap();
        }
    }
    (dir, store)
}

fn event(n: u64) -> Event {
    let tags = [["t", ["a", "b", "c"][n as usize % 3]]];
    Event::from_parts([(n % 7) as u8; 32], n / 9 % 60, (n % 4 + 4) as u16, &tags, &n.to_string())
}

fn filters(rng: &mut Rng) -> Vec<Filter> {
    let filter = |rng: &mut Rng| Filter {
        authors: rng.chance(2).then(|| vec![[rng.below(8) as u8; 32], [rng.below(8) as u8; 32]]),
        kinds: rng.chance(2).then(|| vec![rng.below(5) as u16 + 4]),
        tags: if rng.chance(3) { vec![(b't', vec![TagValue::new("b")])] } else { Vec::new() },
        since: if rng.chance(3) { rng.below(60) } else { 0 },
        until: if rng.chance(3) { rng.below(60) } else { u64::MAX },
        limit: rng.chance(2).then(|| rng.below(40)),
        ..Filter::default()
    };
    (0..rng.below(3) + 1).map(|_| filter(rng)).collect()
}

fn rng(seed: u64) -> Rng {
    Rng::new(seed)
}

fn all(mut events: Events) -> Vec<Event> {
    std::iter::from_fn(|| events.next().unwrap().map(|event| event.to_owned())).collect()
}

fn order(rng: &mut Rng) -> Order {
    if rng.chance(2) { Order::Newest } else { Order::Oldest }
}

#[test]
fn futures_and_streams_can_move_to_another_thread_and_outlive_borrows() {
    fn free<T: Send + 'static>(_: &T) {}
    let store = EventStore::in_memory().unwrap();
    let event = event(1);
    free(&store.query_stream(&[]));
    free(&store.get_async(event.id()));
    free(&store.count_async(&[]));
    free(&store.query(&[]).unwrap());
    free(&store.subscribe(&[]));
    fn send<T: Send>(_: &T) {}
    send(&store.insert_async(&event.as_ref()));
    send(&store.insert_batch_async(&[]));
}

#[test]
fn a_stream_gives_what_a_query_gives() {
    for (threads, readers) in [(false, 0), (true, 0), (true, 2)] {
        let (_dir, store) = filled(threads, readers);
        let mut rng = rng(7);
        for round in 0..150 {
            let (filters, order) = (filters(&mut rng), order(&mut rng));
            let snapshot = store.snapshot();
            let expected = all(store.query_at(&snapshot, &filters, order).unwrap());
            let stream = store.query_stream_at(&snapshot, &filters, order, None);
            let got: Vec<Event> = stream.blocking().map(Result::unwrap).collect();
            assert_eq!(got, expected, "round {round}: {filters:?}");
            let count = block_on(store.count_async(&filters)).unwrap();
            assert_eq!(count, store.count(&filters).unwrap());
        }
        let some = event(77);
        assert_eq!(block_on(store.get_async(some.id())).unwrap(), Some(some));
        assert_eq!(block_on(store.get_async(&[0; 32])).unwrap(), None);
    }
}

/// Pages of any size, through borrowed events and through streams, give the whole answer, each event once; sixty
/// seconds hold 1,200 events, so most pages end within a second.
#[test]
fn pages_behind_a_position_are_the_whole_answer() {
    let (_dir, store) = filled(false, 0);
    let mut rng = rng(8);
    for round in 0..60 {
        let (mut filters, order) = (filters(&mut rng), order(&mut rng));
        filters.iter_mut().for_each(|filter| filter.limit = None);
        let snapshot = store.snapshot();
        let expected = all(store.query_at(&snapshot, &filters, order).unwrap());
        let size = rng.below(50) as usize + 1;
        filters.iter_mut().for_each(|filter| filter.limit = Some(size as u64));
        let (mut got, mut position) = (Vec::new(), None);
        loop {
            let page: Vec<Event> = match position {
                Some(last) if round % 2 == 0 => {
                    all(store.query_after(&snapshot, &filters, order, last).unwrap())
                }
                _ => {
                    let stream = store.query_stream_at(&snapshot, &filters, order, position);
                    stream.blocking().map(Result::unwrap).collect()
                }
            };
            // Each filter has its own newest `size`: what they have together is in order up to there.
            let Some(last) = page.iter().take(size).next_back() else { break };
            position = Some(last.key());
            got.extend(page.into_iter().take(size));
        }
        assert_eq!(got, expected, "round {round}: {filters:?}");
    }
}

#[test]
fn events_and_streams_know_their_position() {
    let (_dir, store) = filled(false, 0);
    let mut events = store.query(&[Filter::default()]).unwrap();
    assert_eq!(events.position(), None);
    let first = events.next().unwrap().unwrap().key();
    assert_eq!(events.position(), Some(first));
    let mut stream = store.query_stream(&[Filter::default()]).blocking();
    stream.next().unwrap().unwrap();
    assert_eq!(stream.into_stream().position(), Some(first));
}

#[test]
fn a_stream_may_be_dropped_at_every_point() {
    for (threads, readers) in [(false, 0), (true, 1), (true, 2)] {
        let (_dir, store) = filled(threads, readers);
        for take in [0, 1, 2, 127, 128, 129, 255, 256, 257, 600, 1199, 1200] {
            let mut stream = store.query_stream(&[Filter::default()]).blocking();
            assert_eq!(stream.by_ref().take(take).filter(Result::is_ok).count(), take);
            drop(stream);
            drop(store.count_async(&[Filter::default()]));
            drop(store.get_async(&[1; 32]));
        }
        // Nothing of them is left: the readers are free, and the store ends.
        assert_eq!(block_on(store.count_async(&[Filter::default()])).unwrap(), 1200);
        store.close().unwrap();
    }
}

#[test]
fn a_stream_that_outlives_its_store_ends_and_does_not_hold_it_open() {
    let (dir, store) = filled(true, 1);
    let mut stream = store.query_stream(&[Filter::default()]).blocking();
    stream.next().unwrap().unwrap();
    drop(store);
    let rest: Vec<_> = stream.collect();
    let whole = rest.len() == 1199 && rest.iter().all(Result::is_ok);
    assert!(whole || rest.last().unwrap().is_err());
    EventStore::open(dir.path(), &Options::tiny()).unwrap();
}

#[test]
fn every_executor_will_do() {
    let (_dir, store) = filled(true, 1);
    let store = Arc::new(store);
    let all = [Filter::default()];
    let new = |n: u64| event(10_000 + n);
    let work = |n: u64| {
        let (store, all) = (store.clone(), all.clone());
        async move {
            store.insert_async(&new(n).as_ref()).await.unwrap();
            let events: Vec<_> = store.query_stream(&all).collect().await;
            assert!(events.len() as u64 > 1200 && events.iter().all(Result::is_ok));
            let batch = [new(100 + n), new(200 + n)];
            let refs: Vec<_> = batch.iter().map(Event::as_ref).collect();
            assert!(store.insert_batch_async(&refs).await.iter().all(Result::is_ok));
            assert!(store.get_async(new(n).id()).await.unwrap().is_some());
        }
    };
    block_on(work(0));
    futures::executor::block_on(work(1));
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    for n in 2..6 {
        futures::task::LocalSpawnExt::spawn_local(&spawner, work(n)).unwrap();
    }
    pool.run();
    #[cfg(feature = "relay")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { tokio::join!(work(6), work(7), work(8)) });
    }
    assert!(store.count(&all).unwrap() >= 1200 + 18);
}

/// The slice is made ahead; what expires while it waits is not given.
#[test]
fn what_expires_while_it_waits_is_not_given() {
    let (env, _disk, clock) = crate::io::simulated(1, crate::io::Faults::default());
    let now = env.clock.unix_micros() / 1_000_000;
    let dir = std::path::Path::new("/store");
    let store = EventStore::open_in(dir, &Options::tiny(), env).unwrap();
    for n in 0..6u64 {
        let at = (now + 1 + n).to_string();
        let event = Event::from_parts([1; 32], n, 1, &[["expiration", &at]], "");
        store.insert(&event.as_ref()).unwrap().wait().unwrap();
    }
    let all = [Filter::default()];
    let mut stream = store.query_stream_at(&store.snapshot(), &all, Order::Oldest, None).blocking();
    let mut live = store.subscribe(&[Filter { limit: Some(0), ..Filter::default() }]).blocking();
    assert_eq!(live.next().unwrap().unwrap(), crate::nostr::Update::Eose);
    assert_eq!(stream.next().unwrap().unwrap().created_at(), 0);
    clock.set((now + 4) * 1_000_000);
    let rest: Vec<u64> = stream.map(|event| event.unwrap().created_at()).collect();
    assert_eq!(rest, [4, 5]);
    for (at, content) in [(now + 5, "gone by then"), (now + 9, "given")] {
        let tags = [["expiration", &at.to_string()]];
        let event = Event::from_parts([2; 32], at, 1, &tags, content);
        store.insert(&event.as_ref()).unwrap().wait().unwrap();
    }
    clock.set((now + 6) * 1_000_000);
    let crate::nostr::Update::Live(event) = live.next().unwrap().unwrap() else { panic!() };
    assert_eq!(event.content(), "given");
}
