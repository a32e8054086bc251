//! Followers beside a list: on the simulated disk, where nothing waits, and on threads.

use super::super::testing::{Line as Record_, Sim, append, in_order, options, random_query};
use super::*;
use crate::io::Rng;
use crate::logs::{LogOptions, LogRecord, Source};

type List = Vec<Record_>;

/// What there is without waiting.
fn take(follow: &mut Follow) -> Vec<Position> {
    let mut found = Vec::new();
    while let Some(record) = follow.next(Duration::ZERO).unwrap() {
        found.push(record.position());
    }
    found
}

fn matching(list: &[Record_], query: &Query) -> Vec<Position> {
    list.iter().filter(|line| line.matches(query)).map(|line| line.position).collect()
}

fn sorted(mut positions: Vec<Position>) -> Vec<Position> {
    positions.sort_unstable();
    positions
}

#[test]
fn what_is_stored_and_what_comes_in_is_given_once_each_by_the_same_filter() {
    let (mut stored, mut live) = (0, 0);
    for seed in 0..12 {
        let (sim, mut rng, mut list) = (Sim::new(seed), Rng::new(seed), List::new());
        let log = sim.open(&options(1 << rng.below(3)));
        let mut now = 1_000_000;
        let mut add = |log: &LogStore, rng: &mut Rng, list: &mut List, count: u64| {
            for _ in 0..count {
                now += rng.below(3_000);
                // Late ones too: live is by arrival, not by time.
                let ts = if rng.chance(9) { now / 2 } else { now };
                append(log, rng, ts, list);
            }
            now
        };
        let count = 200 + rng.below(600);
        let end = add(&log, &mut rng, &mut list, count);
        if rng.chance(2) {
            log.seal().unwrap();
        }
        let begun = list.len();
        let queries = [
            Query::default(),
            random_query(&mut rng, 0..2 * end),
            random_query(&mut rng, 0..2 * end),
        ];
        let mut follows: Vec<(Follow, &Query, Vec<Position>)> =
            queries.iter().map(|query| (log.follow(query).unwrap(), query, Vec::new())).collect();
        for round in 0..8 {
            let count = rng.below(150);
            add(&log, &mut rng, &mut list, count);
            if rng.chance(3) {
                log.seal().unwrap();
            }
            for (follow, _, found) in &mut follows {
                if rng.chance(2) || round == 7 {
                    found.extend(take(follow));
                }
            }
        }
        for (follow, query, found) in follows {
            assert!(follow.is_live());
            let expected = matching(&in_order(&list[..begun]), query);
            let (first, rest) = found.split_at(expected.len().min(found.len()));
            assert_eq!(first, expected, "seed {seed}: {query:?}");
            let expected = matching(&list[begun..], query);
            assert_eq!(sorted(rest.to_vec()), sorted(expected), "seed {seed}: {query:?}");
            (stored, live) = (stored + first.len(), live + rest.len());
        }
    }
    assert!(stored > 3000 && live > 3000, "{stored} stored, {live} live");
}

#[test]
fn new_records_come_in_the_order_of_arrival_over_all_shards() {
    let (sim, mut rng, mut list) = (Sim::new(2), Rng::new(2), List::new());
    let log = sim.open(&options(4));
    let mut follow = log.follow(&Query::default()).unwrap();
    for round in 0..20 {
        // More than the queue of a shard has room for, now and then.
        let count = if round % 5 == 0 { 2000 } else { 30 };
        let from = list.len();
        (0..count).for_each(|_| {
            let ts = rng.below(1000);
            append(&log, &mut rng, ts, &mut list);
        });
        let arrivals: Vec<Position> = list[from..].iter().map(|line| line.position).collect();
        assert_eq!(take(&mut follow), arrivals);
    }
}

#[test]
fn a_limit_is_the_newest_of_the_stored_ones_oldest_first() {
    let (sim, mut rng, mut list) = (Sim::new(3), Rng::new(3), List::new());
    let log = sim.open(&options(2));
    (0..300).for_each(|ts| append(&log, &mut rng, ts, &mut list));
    for limit in [1, 5, 299, 300, 301, 1000] {
        let query = Query { limit, ..Query::default() };
        let found = take(&mut log.follow(&query).unwrap());
        let newest = list.len().saturating_sub(limit);
        assert_eq!(found, list[newest..].iter().map(|line| line.position).collect::<Vec<_>>());
    }
    let mut new = log.follow_new(&Query { limit: 7, ..Query::default() }).unwrap();
    assert!(new.is_live());
    assert_eq!(take(&mut new), []);
    append(&log, &mut rng, 1, &mut list);
    assert_eq!(take(&mut new), [list[300].position]);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let log = LogStore::in_memory().unwrap();
    let query = Query { reverse: true, ..Query::default() };
    assert_eq!(log.follow(&query).err().unwrap().code(), "ERR_INVALID");
    assert_eq!(log.follow_new(&query).err().unwrap().code(), "ERR_INVALID");
}

#[test]
fn who_falls_behind_holds_little_memory_and_hears_of_it_behind_what_it_has() {
    let (sim, mut rng, mut list) = (Sim::new(4), Rng::new(4), List::new());
    let options = LogOptions { follow_bytes: 400 << 10, ..options(1) };
    let log = sim.open(&options);
    let mut slow = log.follow_new(&Query::default()).unwrap();
    let mut quick = log.follow_new(&Query::default()).unwrap();
    append(&log, &mut rng, 0, &mut list);
    assert_eq!(take(&mut slow).len(), 1);
    let (mut most, mut found) = (0, Vec::new());
    for ts in 1..20_000 {
        append(&log, &mut rng, ts, &mut list);
        most = most.max(log.engine().memory().memtable_bytes);
        if ts == 10 {
            // A few are copied, of which one is given.
            assert!(slow.next(Duration::ZERO).unwrap().is_some());
        }
        if ts % 100 == 0 {
            found.extend(take(&mut quick));
        }
    }
    found.extend(take(&mut quick));
    assert_eq!(found.len(), list.len(), "the quick one is not held up");
    assert!(most < 900 << 10, "{most} bytes with what was kept for the slow one");
    let mut given = 2;
    let lagged = loop {
        match slow.next(Duration::ZERO) {
            Ok(Some(record)) => {
                assert_eq!(record.position(), list[given].position, "no gap before the end");
                given += 1;
            }
            Ok(None) => panic!("it was never told"),
            Err(error) => break error,
        }
    };
    assert_eq!((lagged.code(), given), ("ERR_LAGGED", 11));
    assert_eq!(slow.next(Duration::ZERO).unwrap_err().code(), "ERR_LAGGED", "for ever");
    // It can begin again.
    assert!(
        log.follow(&Query { limit: 1, ..Query::default() })
            .unwrap()
            .next(Duration::ZERO)
            .unwrap()
            .is_some()
    );
}

fn on_threads(dir: &std::path::Path) -> LogStore {
    let mut options = options(2);
    (options.store.threads, options.store.readers) = (true, 2);
    options.store.memory_bytes = 64 << 20;
    LogStore::open(dir, &options).unwrap()
}

#[test]
fn a_follower_beside_writers_on_threads_misses_nothing_and_hears_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = on_threads(dir.path());
    let append = |log: &LogStore, thread: u8, ts: u64| {
        let source = Source::of([thread; 16]);
        let raw = format!("line {ts} of {thread}");
        log.append(LogRecord { ts, source: &source, raw: raw.as_bytes() }).unwrap()
    };
    let appended = std::thread::scope(|scope| {
        let before: Vec<Position> = (0..500).map(|ts| append(&log, 9, ts)).collect();
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let (log, append) = (&log, &append);
                scope.spawn(move || (0..2000).map(|ts| append(log, thread, ts)).collect::<Vec<_>>())
            })
            .collect();
        // Begun while they write, one waiting on its thread, one as a task.
        let mut by_thread = log.follow(&Query::default()).unwrap();
        let mut as_task = log.follow(&Query::default()).unwrap();
        let reading = scope.spawn(move || {
            let mut found = Vec::new();
            loop {
                match by_thread.next(Duration::MAX) {
                    Ok(Some(record)) => found.push(record.position()),
                    Ok(None) => panic!("it waits for ever"),
                    Err(error) => return (found, error.code()),
                }
            }
        });
        let polling = scope.spawn(move || {
            crate::shard::block_on(async move {
                let mut found = Vec::new();
                loop {
                    match as_task.next_async().await {
                        Ok(record) => found.push(record.position()),
                        Err(error) => return (found, error.code()),
                    }
                }
            })
        });
        let mut appended = before;
        for writer in writers {
            appended.extend(writer.join().unwrap());
        }
        log.close().unwrap();
        let (found, end) = reading.join().unwrap();
        assert_eq!((sorted(found), end), (sorted(appended.clone()), "ERR_CLOSED"));
        let (found, end) = polling.join().unwrap();
        assert_eq!((sorted(found), end), (sorted(appended.clone()), "ERR_CLOSED"));
        appended
    });
    assert_eq!(appended.len(), 6500);
}

#[test]
fn a_store_that_is_dropped_ends_its_followers() {
    let dir = tempfile::tempdir().unwrap();
    let log = on_threads(dir.path());
    let mut follow = log.follow(&Query::default()).unwrap();
    let waiting = crate::io::threads::spawn("follower", move || {
        follow.next(Duration::MAX).map(|found| found.is_some())
    });
    drop(log);
    assert_eq!(waiting.join().unwrap().unwrap_err().code(), "ERR_CLOSED");
    drop(on_threads(dir.path()));
}
