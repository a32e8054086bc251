//! NIP-40 to the second: from the second of its expiration on, no answer has an event, removed or not.
//!
//! ```text
//!   events, filters, a clock that goes forth and back, sweeps, flushes, merges --> store ---\
//!                                                     \--> list, less what has expired ------ compare
//! ```

use crate::compare::{check, collect, insert, one, same};
use crate::naive::random::{World, pick};
use crate::naive::{Ask, Ev, Naive};
use crate::replay;
use ratite::base::PageSize;
use ratite::io::{Backend, Env, Faults, ManualClock, Rng, simulated, system};
use ratite::nostr::{Event, EventStore, Filter, Inserted, retention, select};
use ratite::query::Order;
use ratite::retention::{Limits, apply};
use ratite::store::Options;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// When the clocks of these tests start.
const START: u64 = 1_700_000_000;

fn open(env: &Env, options: &Options) -> EventStore {
    EventStore::open_in(Path::new("/store"), options, env.clone()).unwrap()
}

fn set(clock: &ManualClock, now: u64) {
    // The last microsecond of the second.
    clock.set(now * 1_000_000 + 999_999);
}

/// Removes what has expired, as the service does every minute.
fn sweep(store: &EventStore, now: u64) -> u64 {
    let limits = Limits { records_per_second: None, ..Limits::default() };
    let rules = retention::rules(&[]).unwrap();
    let report = apply(store.engine(), &rules, now, limits, &AtomicBool::new(false)).unwrap();
    assert!(report.ended && report.removed() == report.expired);
    report.expired
}

/// When the event expires, by the letter of NIP-40.
fn expires(ev: &Ev) -> Option<u64> {
    let tag = ev.tags.iter().find(|tag| tag.first().is_some_and(|name| name == "expiration"))?;
    let digits = tag.get(1).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

fn is_over(ev: &Ev, now: u64) -> bool {
    expires(ev).is_some_and(|at| at <= now)
}

/// What is there at `now`.
fn at(naive: &Naive, now: u64) -> Naive {
    let mut seen = naive.clone();
    seen.live.retain(|ev| !is_over(ev, now));
    seen
}

/// `ev` with a tag that says when it expires.
fn expiring(world: &mut World, ev: &Ev, at: &str) -> Arc<Ev> {
    let mut tags = ev.tags.clone();
    let place = world.rng.below(tags.len() as u64 + 1) as usize;
    tags.insert(place, vec!["expiration".into(), at.into()]);
    let pubkey: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&ev.pubkey[2 * i..2 * i + 2], 16).unwrap()).collect();
    let (kind, key) = (ev.kind as u16, pubkey.try_into().unwrap());
    let built = Event::from_parts(key, ev.created_at, kind, &tags, &ev.content);
    let id = built.as_ref().id().iter().map(|b| format!("{b:02x}")).collect();
    let (pubkey, content, sig) = (ev.pubkey.clone(), ev.content.clone(), ev.sig.clone());
    let ev = Ev { id, pubkey, created_at: ev.created_at, kind: ev.kind, tags, content, sig };
    let ev = Arc::new(ev);
    world.past.push(ev.clone());
    ev
}

/// The next event; every `of`th expires, soon after `now` as a rule.
fn next(world: &mut World, now: u64, of: u32) -> Arc<Ev> {
    let ev = world.event();
    let is_fresh = expires(&ev).is_none() && [1, 7, 9_999, 40_000].contains(&ev.kind);
    if !is_fresh || !world.rng.chance(of) {
        return ev;
    }
    let at = match world.rng.below(12) {
        0 => "soon".to_string(),
        1 => pick(&mut world.rng, &[u64::MAX, 1 << 40, now + 1]).to_string(),
        _ => (now + 1 + world.rng.below(60)).to_string(),
    };
    expiring(world, &ev, &at)
}

/// Time goes on, and now and then back, as a clock does that is set right.
fn pass(rng: &mut Rng, now: u64) -> u64 {
    match rng.below(5) {
        0 => now - rng.below(8),
        1 => now,
        2 => now + 1,
        _ => now + rng.below(20),
    }
}

fn simulated_store(seed: u64) {
    let mut world = World::large(seed);
    world.without_kind(5); // requests have tests of their own
    let (env, _disk, clock) = simulated(seed, Faults::default());
    let mut options = Options::tiny();
    options.shards = Some(pick(&mut world.rng, &[1, 2, 4]));
    options.memtable_bytes = Some(pick(&mut world.rng, &[64 << 10, 192 << 10]));
    options.compaction.records_max = 1000;
    options.memory_bytes = options.memory_bytes_min(4);
    let of = pick(&mut world.rng, &[1, 3, 20]);
    let (mut store, mut naive, mut now) = (open(&env, &options), Naive::default(), START);
    let (mut hidden, mut removed) = (0, 0);
    set(&clock, now);
    for _ in 0..14 {
        for _ in 0..world.rng.below(140) {
            let ev = next(&mut world, now, of);
            // What is refused for being over is a rule's affair, not a query's.
            if !is_over(&ev, now) {
                let answer = insert(&store, &ev.event(false)).unwrap();
                assert_eq!(answer, naive.insert(&ev), "{:?}", ev.value());
            }
        }
        match world.rng.below(7) {
            0 | 1 => store.engine().flush().unwrap(),
            2 => store.engine().compact().unwrap(),
            3 => {
                store.close().unwrap();
                drop(store);
                store = open(&env, &options);
            }
            4 => {
                let left = at(&naive, now);
                removed += (naive.live.len() - left.live.len()) as u64;
                assert_eq!(sweep(&store, now), (naive.live.len() - left.live.len()) as u64);
                naive = left;
            }
            _ => {}
        }
        for _ in 0..4 {
            now = pass(&mut world.rng, now);
            set(&clock, now);
            let seen = at(&naive, now);
            hidden += naive.live.len() - seen.live.len();
            check(&store, &seen, &mut world, 12);
            same(&store, &seen);
        }
    }
    assert!(of == 20 || hidden > 100, "seed {seed}: {hidden} hidden, {removed} removed");
}

#[test]
fn what_has_expired_is_in_no_answer_whatever_way_time_goes() {
    replay::each_seed(
        "what_has_expired_is_in_no_answer_whatever_way_time_goes",
        0..24,
        simulated_store,
    );
}

/// An event of `kind` of the second `n`, which expires at `at`.
fn event(n: u64, kind: u16, at: Option<u64>) -> Event {
    let at = at.map(|at| at.to_string());
    let tags: Vec<[&str; 2]> = at.iter().map(|at| ["expiration", at]).collect();
    Event::from_parts([(n % 7) as u8; 32], START - 100_000 + n, kind, &tags, &n.to_string())
}

fn ids(mut events: ratite::nostr::Events) -> Vec<[u8; 32]> {
    let mut ids = Vec::new();
    while let Some(event) = events.next().unwrap() {
        ids.push(*event.id());
    }
    ids
}

#[test]
fn an_event_is_there_until_its_second_and_not_from_it_on() {
    for in_segment in [false, true] {
        let (env, _disk, clock) = simulated(1, Faults::default());
        let store = open(&env, &Options::tiny());
        clock.set(START * 1_000_000);
        let (old, mortal, new) =
            (event(1, 1, None), event(8, 1, Some(START + 10)), event(15, 1, None));
        for event in [&old, &mortal, &new] {
            assert_eq!(insert(&store, event).unwrap(), Inserted::Stored);
        }
        if in_segment {
            store.engine().flush().unwrap();
        }
        let (all, id) = (Filter::default(), *mortal.id());
        let by_id = Filter { ids: Some(vec![id]), ..all.clone() };
        let of_kind = Filter { kinds: Some(vec![1]), ..all.clone() };
        let of_author = Filter { authors: Some(vec![[1; 32]]), ..all.clone() };
        let both = [of_kind.clone(), by_id.clone()];
        let counts = |filters: &[Filter]| store.count(filters).unwrap();
        for (micros, there) in [
            (START * 1_000_000, true),
            ((START + 10) * 1_000_000 - 1, true),
            ((START + 10) * 1_000_000, false),
            ((START + 11) * 1_000_000, false),
            ((START + 9) * 1_000_000, true),
            (u64::MAX / 2, false),
        ] {
            clock.set(micros);
            let n = u64::from(there);
            assert_eq!(store.get(&id).unwrap().is_some(), there, "{micros}");
            let filters = [&all, &of_kind, &of_author];
            for filter in filters.map(std::slice::from_ref) {
                assert_eq!(counts(filter), 2 + n, "{micros}");
                for order in [Order::Newest, Order::Oldest] {
                    let found = ids(store.query_at(&store.snapshot(), filter, order).unwrap());
                    assert_eq!(found.len() as u64, 2 + n);
                    assert_eq!(found.contains(&id), there);
                    // The limit counts what is there.
                    let two = [Filter { limit: Some(2), ..filter[0].clone() }];
                    let found = ids(store.query_at(&store.snapshot(), &two, order).unwrap());
                    assert_eq!((found.len(), found.contains(&id)), (2, there), "{order:?}");
                }
            }
            assert_eq!((counts(std::slice::from_ref(&by_id)), counts(&both)), (n, 2 + n));
            let plan = store.explain(&both).unwrap();
            let says = match in_segment {
                true => plan.contains("leave out 1 that have expired"),
                false => !there || plan.contains("leave out what has expired"),
            };
            assert_eq!(says, !in_segment || !there, "{micros}: {plan}");
        }
        // Below the rules of Nostr it is there until it is removed.
        assert!(store.engine().get(&id, |_| ()).unwrap().is_some());
    }
}

#[test]
fn a_cursor_that_is_held_open_counts_by_its_beginning_or_by_what_it_is_told() {
    let (env, _disk, clock) = simulated(1, Faults::default());
    let store = open(&env, &Options::tiny());
    set(&clock, START);
    for n in 0..300 {
        insert(&store, &event(n, 1, Some(START + 1 + n % 3))).unwrap();
        if n == 150 {
            store.engine().flush().unwrap();
        }
    }
    let snapshot = store.snapshot();
    for told in [false, true] {
        set(&clock, START);
        let mut events = store.query_at(&snapshot, &[Filter::default()], Order::Newest).unwrap();
        for n in (200..300).rev() {
            assert_eq!(
                *events.next().unwrap().unwrap().id(),
                *event(n, 1, Some(START + 1 + n % 3)).id()
            );
        }
        // Meanwhile another query moves what is known of the segment on.
        set(&clock, START + 2);
        assert_eq!(store.count(&[Filter::default()]).unwrap(), 100);
        if told {
            events.pass_time(START + 2);
        }
        assert_eq!(ids(events).len(), if told { 66 } else { 200 });
        // A snapshot is of what was stored; what has expired since is not in it.
        let late = store.query_at(&snapshot, &[Filter::default()], Order::Oldest).unwrap();
        assert_eq!(ids(late).len(), 100);
    }
}

fn wait(pending: &mut Vec<ratite::nostr::Pending<'_>>) {
    for pending in pending.drain(..) {
        assert_eq!(pending.wait().unwrap(), Inserted::Stored);
    }
}

#[test]
fn a_hundred_thousand_that_expired_and_were_not_swept_take_little_memory() {
    const EVENTS: u64 = 100_000;
    let (env, _disk, clock) = simulated(1, Faults::default());
    let mut options = Options::tiny();
    (options.shards, options.memory_bytes) = (Some(1), 256 << 20);
    (options.memtable_bytes, options.log_file_bytes) = (Some(32 << 20), 16 << 20);
    let store = open(&env, &options);
    set(&clock, START);
    let mut pending = Vec::new();
    for n in 0..EVENTS {
        let expires = (n % 10 != 0).then_some(START + 1 + n % 5_000);
        let event = event(n, (n % 2) as u16 * 6 + 1, expires);
        pending.push(store.insert(&event.as_ref()).unwrap());
        if pending.len() == 200 {
            wait(&mut pending);
        }
    }
    wait(&mut pending);
    store.engine().flush().unwrap();
    let count = |filter: Filter| store.count(&[filter]).unwrap();
    let sevens = || Filter { kinds: Some(vec![7]), ..Filter::default() };
    assert_eq!((count(Filter::default()), count(sevens())), (EVENTS, EVENTS / 2));
    let before = store.engine().memory().segment_bytes;
    for seconds in [1_000, 2_500, 5_000, 5_001] {
        set(&clock, START + seconds);
        let over = |n: &u64| !n.is_multiple_of(10) && START + 1 + n % 5_000 <= START + seconds;
        let left = |odd: bool| (0..EVENTS).filter(|n| !over(n) && (!odd || n % 2 == 1)).count();
        assert_eq!(count(Filter::default()), left(false) as u64);
        assert_eq!(count(sevens()), left(true) as u64);
        let few = Filter { limit: Some(50), ..Filter::default() };
        assert_eq!(ids(store.query(&[few]).unwrap()).len(), 50);
    }
    let grown = store.engine().memory().segment_bytes - before;
    assert!(grown > 0 && grown <= EVENTS / 7, "{grown} bytes");
    assert_eq!(sweep(&store, START + 5_001), EVENTS * 9 / 10);
    assert_eq!((count(Filter::default()), count(sevens())), (EVENTS / 10, 0));
    // What is swept is removed once.
    assert_eq!(sweep(&store, START + 5_001), 0);
    store.engine().compact().unwrap();
    assert_eq!(count(Filter::default()), EVENTS / 10);
    assert_eq!(store.engine().count(&[select(&Filter::default())]).unwrap(), EVENTS / 10);
}

/// Pages that `run` asks the pool for.
fn pages<T>(store: &EventStore, run: impl FnOnce() -> T) -> u64 {
    let asked = || store.engine().pool_stats().hits + store.engine().pool_stats().misses;
    let before = asked();
    let _answer = run();
    asked() - before
}

#[test]
fn where_nothing_expires_no_query_reads_a_page_more_than_one_that_hides_nothing() {
    let (env, _disk, clock) = simulated(1, Faults::default());
    let store = open(&env, &Options::tiny());
    set(&clock, START);
    for n in 0..4_000 {
        insert(&store, &event(n, (n % 3) as u16 + 4, None)).unwrap();
    }
    store.engine().flush().unwrap();
    let authors = Some((0..5).map(|n| [n; 32]).collect());
    let feed = Filter { authors, kinds: Some(vec![4, 6]), limit: Some(50), ..Filter::default() };
    let count = Filter { kinds: Some(vec![5]), ..Filter::default() };
    let newest = |select: ratite::query::Select| {
        let mut cursor = store.engine().query(&[select], Order::Newest).unwrap();
        while cursor.next().unwrap().is_some() {}
    };
    let mut figures = Vec::new();
    for _ in 0..2 {
        figures = vec![
            pages(&store, || store.engine().count(&[select(&count)]).unwrap()),
            pages(&store, || store.count(std::slice::from_ref(&count)).unwrap()),
            pages(&store, || newest(select(&feed))),
            pages(&store, || ids(store.query(std::slice::from_ref(&feed)).unwrap())),
        ];
    }
    let [count_before, count_now, feed_before, feed_now] = figures[..] else { panic!() };
    assert_eq!((count_before, feed_before), (count_now, feed_now));
    assert!(count_now > 0 && count_now < 60 && feed_now > 50, "{figures:?}");
    // Nor does what expires later, once that is known.
    insert(&store, &event(9_000, 5, Some(START + 100))).unwrap();
    store.engine().flush().unwrap();
    let all = |store: &EventStore| store.count(std::slice::from_ref(&count)).unwrap();
    assert_eq!(all(&store), 1_334);
    let again = pages(&store, || all(&store));
    let bare = pages(&store, || store.engine().count(&[select(&count)]).unwrap());
    assert_eq!(again, bare);
    set(&clock, START + 100);
    assert_eq!(all(&store), 1_333);
}

#[test]
fn replaceable_events_that_expired_are_hidden_too() {
    let (env, _disk, clock) = simulated(1, Faults::default());
    let store = open(&env, &Options::tiny());
    set(&clock, START);
    let profile = event(7, 0, Some(START + 5));
    assert_eq!(insert(&store, &profile).unwrap(), Inserted::Stored);
    set(&clock, START + 5);
    let naive = Naive::default();
    let mut rng = Rng::new(1);
    one(&store, &naive, &[Ask::default()], &mut rng).unwrap();
    assert!(collect(store.query(&[Filter::default()]).unwrap(), &naive, true).unwrap().is_empty());
}

/// What cannot be read of the dictionary is asked of the records.
#[test]
fn damage_shows_nothing_that_has_expired() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START * 1_000_000));
    let env = Env { clock: clock.clone(), ..system(Backend::Posix).unwrap() };
    let mut options = Options::tiny();
    (options.shards, options.page) = (Some(1), Some(PageSize::K4));
    let open = || EventStore::open_in(dir.path(), &options, env.clone());
    let store = open().unwrap();
    for n in 0..120 {
        insert(&store, &event(n, 1, (n % 2 == 0).then_some(START + 1 + n))).unwrap();
    }
    store.engine().flush().unwrap();
    store.close().unwrap();
    drop(store);
    set(&clock, START + 60);
    let expected: Vec<[u8; 32]> = (0..120)
        .rev()
        .map(|n| event(n, 1, (n % 2 == 0).then_some(START + 1 + n)))
        .enumerate()
        .filter(|(i, _)| i % 2 == 0 || 119 - i > 59)
        .map(|(_, event)| *event.id())
        .collect();
    let segments = std::fs::read_dir(dir.path().join("shard-00")).unwrap();
    let mut segments = segments.map(|entry| entry.unwrap().path());
    let path = segments.find(|path| path.extension().is_some_and(|end| end == "seg")).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let (all, of_kind) = (Filter::default(), Filter { kinds: Some(vec![1]), ..Filter::default() });
    let (mut right, mut by_records) = (0, 0);
    for at in (100..whole.len()).step_by(4096) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let Ok(store) = open() else { continue };
        let answer = |filter: &Filter| -> ratite::base::Result<Vec<[u8; 32]>> {
            let (mut events, mut found) = (store.query(std::slice::from_ref(filter))?, Vec::new());
            while let Some(event) = events.next()? {
                found.push(*event.id());
            }
            Ok(found)
        };
        if let Ok(found) = answer(&all) {
            assert_eq!(found, expected, "byte {at}");
            assert_eq!(store.count(std::slice::from_ref(&all)).unwrap(), expected.len() as u64);
            right += 1;
            by_records += u64::from(answer(&of_kind).is_err());
        }
    }
    assert!(right > by_records && by_records > 0, "{right} {by_records}");
}
