//! What a running store does beside answering: the pool's figures, the priority of its threads, and what has expired.
//!
//! ```text
//!   cold query, warm query --> hits and misses of each part      merge, retention --> nice 10
//!   events that expire, no rule --> a clock goes on --> segments are small again
//! ```

use crate::clients::until;
use crate::compare::insert;
use ratite::base::PageSize;
use ratite::io::{Backend, Env, Faults, ManualClock, simulated, system};
use ratite::nostr::{Event, EventOptions, EventStore, Filter, retention};
use ratite::pool::{Part, PartStats};
use ratite::retention::{Limits, Retention};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const START: u64 = 1_700_000_000;

/// Event `n`, which expires at `at`.
fn event(n: u64, at: Option<u64>) -> Event {
    let at = at.map(|at| at.to_string());
    let tags: Vec<[&str; 2]> = at.iter().map(|at| ["expiration", at]).collect();
    let content = format!("{n} {}", "word ".repeat((n % 40) as usize));
    Event::from_parts([(n % 5) as u8; 32], START - 100_000 + n, 1, &tags, &content)
}

#[test]
fn a_cold_query_misses_the_parts_that_it_reads_and_a_warm_one_hits_them() {
    let (env, _disk, _clock) = simulated(3, Faults::default());
    let mut options = Options::tiny();
    (options.shards, options.page) = (Some(1), Some(PageSize::K4));
    // So large that nothing read is read again.
    options.memory_bytes = 64 << 20;
    let dir = Path::new("/store");
    let store = EventStore::open_in(dir, &options, env.clone()).unwrap();
    let events: Vec<Event> = (0..3000).map(|n| event(n, None)).collect();
    for event in &events {
        insert(&store, event).unwrap();
    }
    store.engine().flush().unwrap();
    store.close().unwrap();
    drop(store);

    let store = EventStore::open_in(dir, &options, env).unwrap();
    store.engine().flush().unwrap();
    // What `ask` adds to the figures of each part.
    let moved = |ask: &Filter| -> [PartStats; Part::ALL.len()] {
        let before = store.engine().pool_stats();
        let mut found = store.query(std::slice::from_ref(ask)).unwrap();
        let mut count = 0;
        while found.next().unwrap().is_some() {
            count += 1;
        }
        assert!(count > 0);
        drop(found);
        let after = store.engine().pool_stats();
        let sum = |of: fn(&PartStats) -> u64| after.parts.iter().map(of).sum::<u64>();
        assert_eq!((sum(|p| p.hits), sum(|p| p.misses)), (after.hits, after.misses));
        std::array::from_fn(|i| PartStats {
            hits: after.parts[i].hits - before.parts[i].hits,
            misses: after.parts[i].misses - before.parts[i].misses,
        })
    };
    let author = Filter { authors: Some(vec![[3; 32]]), limit: Some(300), ..Filter::default() };
    let id = *events[1700].as_ref().id();
    let by_id = Filter { ids: Some(vec![id]), ..Filter::default() };
    let of_author = [Part::Bodies, Part::Columns, Part::Dictionary, Part::Postings];
    let mut missed = 0;
    for (ask, parts) in [(&author, &of_author[..]), (&by_id, &[Part::IdIndex])] {
        let cold = moved(ask);
        // What is read once for a segment has been, the second time.
        moved(ask);
        let warm = moved(ask);
        for part in Part::ALL {
            let (cold, warm) = (cold[part as usize], warm[part as usize]);
            let name = part.name();
            assert_eq!(warm.misses, 0, "{name}");
            missed += u64::from(cold.misses > 0);
            if parts.contains(&part) {
                assert!(cold.hits + cold.misses > 0, "{name}: {cold:?}");
                assert_eq!(warm.hit_rate(), Some(1.0), "{name}: {warm:?}");
            }
        }
    }
    // Bodies, terms, lists: whatever else an opening brings in.
    assert!(missed >= 3, "{missed} parts");
}

/// The niceness of the threads of this process that are called `name`.
fn niceness(name: &str) -> Vec<i64> {
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        // It may have ended meanwhile.
        let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (front, rest) = stat.rsplit_once(") ")?;
        let is_it = front.split_once('(')?.1 == name;
        // Fields are counted from 1, the name is the second, and niceness the 19th.
        is_it.then(|| rest.split(' ').nth(16).unwrap().parse().unwrap())
    };
    fs::read_dir("/proc/self/task").unwrap().filter_map(of_task).collect()
}

#[test]
fn merges_and_retention_give_way_to_all_other_threads() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::tiny();
    (options.shards, options.threads, options.sync) = (Some(1), true, SyncMode::Never);
    // A merge that does not end before it is given up.
    (options.compaction.fan_in, options.compaction_bytes_per_second) = (2, 1);
    let env = system(Backend::Posix).unwrap();
    let store = Arc::new(EventStore::open_in(dir.path(), &options, env).unwrap());
    let retention = Retention::start(
        &store,
        retention::rules(&[]).unwrap(),
        Duration::from_secs(3600),
        Limits::default(),
    );
    let is_low = |name: &str| niceness(name).into_iter().find(|&nice| nice >= 10);
    until("retention", || is_low("ratite-retain"));
    for part in 0..3 {
        for n in 0..400 {
            insert(&store, &event(part * 400 + n, None)).unwrap();
        }
        store.engine().flush().unwrap();
    }
    until("a merge", || is_low("ratite-merge-0"));
    drop(retention);
    store.close().unwrap();
}

#[test]
fn what_has_expired_gives_its_space_back_by_itself_without_any_rule() {
    const EVENTS: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START * 1_000_000));
    let env = Env { clock: clock.clone(), ..system(Backend::Posix).unwrap() };
    let mut options = Options::tiny();
    (options.shards, options.threads, options.sync) = (Some(1), true, SyncMode::Never);
    let options = EventOptions::from(&options);
    let store = Arc::new(EventStore::open_with(dir.path(), &options, env).unwrap());
    for n in 0..EVENTS {
        let at = (n % 4 != 0).then_some(START + 100);
        insert(&store, &event(n, at)).unwrap();
    }
    store.engine().flush().unwrap();
    let records = || store.engine().space().segment_records;
    let before = store.engine().space();
    assert_eq!(before.segment_records, EVENTS);
    let every = Duration::from_secs(10);
    let limits = Limits { records_per_second: None, ..Limits::default() };
    let rules = retention::rules(&[]).unwrap();
    let service = Retention::start(&store, rules, every, limits);
    clock.advance(Duration::from_secs(99));
    assert_eq!(store.count(&[Filter::default()]).unwrap(), EVENTS);
    assert_eq!(records(), EVENTS, "nothing goes before its second");
    // Its time goes on, and so does the service's.
    clock.advance(Duration::from_secs(20));
    let left = EVENTS / 4;
    assert_eq!(store.count(&[Filter::default()]).unwrap(), left);
    // Merges leave some of the dead, a fifth of what there is.
    until("merges of what is left", || {
        // A pass that began before the last step waits for its next turn.
        clock.advance(Duration::from_millis(1));
        (records() <= left * 5 / 4 + 1).then_some(())
    });
    let after = store.engine().space();
    assert!(after.segment_bytes < before.segment_bytes / 2, "{before:?}\n{after:?}");
    let files = || -> u64 {
        let files = fs::read_dir(dir.path().join("shard-00")).unwrap().map(Result::unwrap);
        let segments = files.filter(|file| file.path().extension().is_some_and(|e| e == "seg"));
        segments.map(|file| file.metadata().map_or(0, |data| data.len())).sum()
    };
    until("the files of the merged", || (files() <= after.segment_bytes).then_some(()));
    assert_eq!(store.count(&[Filter::default()]).unwrap(), left);
    drop(service);
    store.close().unwrap();
}
