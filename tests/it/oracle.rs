//! A store's answers against the literal rules of NIP-01, for random events and filters.
//!
//! Simulated machine, no threads: shards, pages and memtables of several sizes, flushes and reopenings
//! in between. Then the real disk with threads, where events arrive in no fixed order. Subscriptions are open meanwhile.
#![allow(clippy::print_stderr, reason = "progress of what takes long")]

use crate::compare::{ANSWERS, check, insert, one, same};
use crate::live::{Live, OFFERED};
use crate::naive::random::{World, pick};
use crate::naive::{Ev, HERE, Naive};
use crate::replay;
use ratite::base::PageSize;
use ratite::io::{Faults, Rng, simulated};
use ratite::nostr::{Event, EventOptions, EventStore, Filter, Inserted};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Queries that each seed asks.
const QUERIES: u64 = 1_800;

/// Subscriptions that are open while events come in.
const SUBSCRIPTIONS: usize = 8;

fn options(rng: &mut Rng) -> Options {
    let mut options = Options::tiny();
    options.shards = Some(pick(rng, &[1, 2, 4]));
    options.page = Some(pick(rng, &[PageSize::K4, PageSize::K8, PageSize::K16]));
    options.memtable_bytes = Some(pick(rng, &[64 << 10, 96 << 10, 192 << 10]));
    // A pool that pages leave, and that changes its size all the time.
    let spare = pick(rng, &[0, 1 << 20]);
    options.memory_bytes = options.memory_bytes_min(options.shards.unwrap()) + spare;
    options.sync = pick(rng, &[SyncMode::Always, SyncMode::BATCH, SyncMode::Never]);
    options
}

/// As a relay that knows its URL.
pub fn here(options: &Options) -> EventOptions {
    EventOptions { relay_urls: vec![HERE.into()], ..EventOptions::from(options) }
}

/// Inserts `at_once` events before waiting for their answers, which are as if they came one by one. Gives what
/// subscriptions are to be given: those that were stored, and those that are not to be, which are broadcast.
fn insert_in_groups(
    store: &EventStore,
    naive: &mut Naive,
    batch: &[Arc<Ev>],
    events: &[Event],
    at_once: usize,
) -> Vec<Arc<Ev>> {
    let mut arrived = Vec::new();
    for (events, batch) in events.chunks(at_once).zip(batch.chunks(at_once)) {
        let pending = events.iter().map(|event| store.insert(&event.as_ref()).unwrap());
        let pending: Vec<_> = pending.collect();
        for ((ev, event), pending) in batch.iter().zip(events).zip(pending) {
            let answer = pending.wait().unwrap();
            assert_eq!(answer, naive.insert(ev), "{:?}", ev.value());
            if answer == Inserted::Ephemeral {
                store.broadcast(&event.as_ref());
            }
            if [Inserted::Stored, Inserted::Replaced, Inserted::Ephemeral].contains(&answer) {
                arrived.push(ev.clone());
            }
        }
    }
    arrived
}

/// One store on a simulated machine, from empty to some hundreds of events.
fn simulated_store(seed: u64) {
    let mut world = World::new(seed);
    let (env, _disk, clock) = simulated(seed, Faults::default());
    let options = here(&options(&mut world.rng));
    let open = || EventStore::open_with(Path::new("/store"), &options, env.clone()).unwrap();
    let mut store = open();
    let mut naive =
        Naive { strict: true, now: env.clock.unix_micros() / 1_000_000, ..Naive::default() };
    world.requests = (!seed.is_multiple_of(3)).then_some(naive.now);
    let rounds = 12;
    let mut live: Vec<Live> = Vec::new();
    for _ in 0..rounds {
        // They come and go.
        live.retain(|_| !world.rng.chance(4));
        live.resize_with(SUBSCRIPTIONS, || Live::open(&store, &naive, &mut world));
        let count = 1 + world.rng.below(80);
        let batch: Vec<_> = (0..count).map(|_| world.event()).collect();
        let events: Vec<Event> = batch.iter().map(|ev| ev.event(world.rng.chance(4))).collect();
        let at_once = 1 + world.rng.below(12) as usize;
        let arrived = insert_in_groups(&store, &mut naive, &batch, &events, at_once);
        live.iter_mut().for_each(|live| live.check(&arrived));
        match world.rng.below(6) {
            0 | 1 => store.engine().flush().unwrap(),
            2 => {
                live.clear();
                store.close().unwrap();
                drop(store);
                store = open();
            }
            3 => {
                clock.advance(std::time::Duration::from_secs(2));
                naive.now += 2;
                world.requests = world.requests.map(|_| naive.now);
            }
            4 if world.rng.chance(3) => store.engine().compact().unwrap(),
            _ => {}
        }
        check(&store, &naive, &mut world, (QUERIES / rounds) as usize);
    }
    same(&store, &naive);
    drop((live, store));
    same(&open(), &naive);
}

/// One store with segments of thousands of events.
fn large_store(seed: u64) {
    let mut world = World::large(seed);
    let (env, ..) = simulated(seed, Faults::default());
    let mut options = options(&mut world.rng);
    options.shards = Some(pick(&mut world.rng, &[1, 2]));
    (options.memtable_bytes, options.memory_bytes) = (Some(4 << 20), 96 << 20);
    options.log_file_bytes = 4 << 20;
    let store = EventStore::open_in(Path::new("/store"), &options, env).unwrap();
    let mut naive = Naive { strict: true, ..Naive::default() };
    for _ in 0..2 {
        let batch: Vec<_> = (0..2_000).map(|_| world.event()).collect();
        let events: Vec<Event> = batch.iter().map(|ev| ev.event(false)).collect();
        insert_in_groups(&store, &mut naive, &batch, &events, 50);
        check(&store, &naive, &mut world, 80);
        store.engine().flush().unwrap();
        check(&store, &naive, &mut world, 250);
    }
    let stats = store.engine().stats();
    assert!(stats.iter().map(|shard| shard.segment_records).sum::<u64>() > 3_000);
    same(&store, &naive);
}

#[test]
fn answers_are_nip_01s_from_large_segments() {
    replay::each_seed("answers_are_nip_01s_from_large_segments", 0..4, large_store);
}

/// Queries of over 100,000 postings are read by reader threads, a stream a shard, in chunks.
#[test]
fn answers_are_nip_01s_from_reader_threads() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::tiny();
    (options.threads, options.readers) = (true, 2);
    options.shards = Some(4);
    options.sync = SyncMode::Never;
    (options.memtable_bytes, options.memory_bytes) = (Some(8 << 20), 256 << 20);
    let store = EventStore::open(dir.path(), &options).unwrap();
    let values: Vec<String> = (0..60).map(|n| format!("value {n}")).collect();
    let mut world = World::large(3);
    let mut naive = Naive { strict: true, ..Naive::default() };
    for round in 0..2 {
        let batch: Vec<_> = (0..1_000).map(|_| world.event_with_tags('t', &values)).collect();
        let events: Vec<Event> = batch.iter().map(|ev| ev.event(false)).collect();
        insert_in_groups(&store, &mut naive, &batch, &events, 100);
        if round == 0 {
            store.engine().flush().unwrap();
        }
    }
    for n in 0..24 {
        let mut ask = world.query(&naive).remove(0);
        ask.tags = vec![('t', values.clone())];
        ask.limit = [None, Some(2_049), Some(1 << 40)][n % 3];
        if n % 4 != 0 {
            (ask.ids, ask.authors, ask.kinds) = (None, None, None);
        }
        let mut asks = vec![ask];
        asks.extend((n % 2 == 1).then(|| world.query(&naive).remove(0)));
        one(&store, &naive, &asks, &mut world.rng).unwrap();
    }
}

/// Runs the seeds and counts their answers.
fn simulated_stores(test: &str, seeds: Range<u64>) {
    let before = ANSWERS.get();
    replay::each_seed(test, seeds.clone(), simulated_store);
    if std::env::var_os("RATITE_SEED").is_none() {
        let answers = ANSWERS.get() - before;
        assert!(answers >= (seeds.end - seeds.start) * (QUERIES - 12), "{answers} answers");
    }
}

#[test]
fn answers_are_nip_01s_first_seeds() {
    simulated_stores("answers_are_nip_01s_first_seeds", 0..28);
}

#[test]
fn answers_are_nip_01s_second_seeds() {
    simulated_stores("answers_are_nip_01s_second_seeds", 100..128);
}

/// `RATITE_PAIRS` answers (a million if it says nothing) of stores of the seeds from `RATITE_SEED` on.
#[test]
#[ignore = "takes some ten minutes"]
fn answers_are_nip_01s_a_million_times() {
    const TEST: &str = "answers_are_nip_01s_a_million_times";
    let pairs = replay::number("RATITE_PAIRS").unwrap_or(1_000_000);
    let (before, offered) = (ANSWERS.get(), OFFERED.get());
    for seed in replay::seed().unwrap_or(1_000_000).. {
        replay::named(&format!("{TEST} -- --ignored"), seed, &simulated_store);
        let (answers, offered) = (ANSWERS.get() - before, OFFERED.get() - offered);
        if seed.is_multiple_of(20) || answers >= pairs {
            eprintln!("seed {seed}: {answers} answers of {pairs}, {offered} events offered live");
        }
        if answers >= pairs {
            break;
        }
    }
}

#[test]
#[ignore = "runs for RATITE_SECONDS"]
fn answers_are_nip_01s_for_long() {
    replay::for_seconds("answers_are_nip_01s_for_long -- --ignored", |seed| match seed % 8 {
        0 => threaded_store(seed),
        1 => large_store(seed),
        _ => simulated_store(seed),
    });
}

/// One store on the real disk: several threads write the same events, each in its own order.
fn threaded_store(seed: u64) {
    let mut world = World::new(seed);
    // A request by id may meet a replaceable event: then the order of arrival counts.
    world.without_kind(5);
    let mut options = options(&mut world.rng);
    (options.threads, options.readers) = (true, world.rng.below(3) as usize);
    let dir = tempfile::tempdir().unwrap();
    let open = || EventStore::open(dir.path(), &options).unwrap();
    let mut store = open();
    let mut naive = Naive::default();
    for round in 0..3 {
        let batch: Vec<_> = (0..150).map(|_| world.event()).collect();
        let events: Vec<Event> = batch.iter().map(|ev| ev.event(false)).collect();
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (store, events) = (&store, &events);
                scope.spawn(move || write_shuffled(store, events, seed ^ writer));
            }
        });
        // What is kept does not depend on the order of arrival.
        for ev in &batch {
            let _any_of_the_threads_got_this = naive.insert(ev);
        }
        match (round, world.rng.below(3)) {
            (1, _) => {
                store.close().unwrap();
                drop(store);
                store = open();
            }
            (_, 0) => store.engine().flush().unwrap(),
            _ => {}
        }
        same(&store, &naive);
        check(&store, &naive, &mut world, 150);
    }
}

/// Inserts all `events` in an order of its own, several at once, and looks whether what cannot be
/// replaced is there once it is acknowledged.
fn write_shuffled(store: &EventStore, events: &[Event], seed: u64) {
    let mut rng = Rng::new(seed);
    let mut order: Vec<&Event> = events.iter().collect();
    rng.shuffle(&mut order);
    for group in order.chunks(1 + rng.below(20) as usize) {
        let pending: Vec<_> = group.iter().map(|e| store.insert(&e.as_ref()).unwrap()).collect();
        let answers: Vec<Inserted> = pending.into_iter().map(|p| p.wait().unwrap()).collect();
        for (event, answer) in group.iter().zip(answers) {
            let regular =
                ratite::nostr::class(event.as_ref().kind()) == ratite::nostr::Class::Regular;
            if regular {
                assert!(matches!(answer, Inserted::Stored | Inserted::Duplicate), "{answer:?}");
                assert!(
                    store.get(event.as_ref().id()).unwrap().is_some(),
                    "acknowledged, not seen"
                );
            }
        }
    }
}

#[test]
fn answers_are_nip_01s_on_the_real_disk_with_threads() {
    let test = "answers_are_nip_01s_on_the_real_disk_with_threads";
    replay::each_seed(test, 0..8, threaded_store);
}

/// Promise 4: while events arrive, every answer is in order, has nothing twice, and has everything that
/// was acknowledged before the query.
#[test]
fn promise_4_a_query_sees_everything_acknowledged_before_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::tiny();
    (options.threads, options.readers) = (true, 1);
    let store = EventStore::open(dir.path(), &options).unwrap();
    let no_tags: &[Vec<String>] = &[];
    let event =
        |n: u64| Event::from_parts([(n % 5) as u8; 32], 1000 + n % 97, 1, no_tags, &n.to_string());
    let acknowledged = std::sync::Mutex::new(Vec::new());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..1_500 {
                let event = event(n);
                assert_eq!(insert(&store, &event).unwrap(), Inserted::Stored);
                acknowledged.lock().unwrap().push(event.key());
            }
            done.store(true, Relaxed);
        });
        while !done.load(Relaxed) {
            let before = acknowledged.lock().unwrap().clone();
            let mut events = store.query(&[Filter::default()]).unwrap();
            let mut keys = Vec::new();
            while let Some(event) = events.next().unwrap() {
                keys.push(event.key());
            }
            assert!(keys.windows(2).all(|pair| pair[0] > pair[1]), "not in order, or twice");
            let found: HashSet<_> = keys.into_iter().collect();
            assert!(
                before.iter().all(|key| found.contains(key)),
                "an acknowledged event is missing"
            );
        }
    });
}

#[test]
fn filters_that_nip_01_forbids_are_refused() {
    let refused = |text: &str| ratite::nostr::parse_filters(text.as_bytes()).is_err();
    let id = "0a".repeat(32);
    for key in ["ids", "authors", "#e", "#p"] {
        assert!(!refused(&format!(r#"{{"{key}":["{id}"]}}"#)));
        for value in
            ["", "0a", &id[..63], &id.to_uppercase(), &format!("{id}0"), &format!("{} ", &id[..63])]
        {
            assert!(refused(&format!(r#"{{"{key}":["{value}"]}}"#)), "{key} {value:?}");
        }
    }
    for text in [
        r#"{"kinds":[65536]}"#,
        r#"{"since":-1}"#,
        r#"{"limit":1.0}"#,
        r#"{"until":1e3}"#,
        r##"{"#tt":["a"]}"##,
        r#"{"search":["a"]}"#,
    ] {
        assert!(refused(text), "{text}");
    }
}
