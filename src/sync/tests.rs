//! Syncs and streams over real sockets, with relays and stores in this process.

use super::*;
use crate::nostr::{Event, EventStore, Filter, Signer};
use crate::relay::{self, Relay};
use crate::store::Options;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::timeout;

const T0: u64 = 1_700_000_000;

/// A relay, its store and its URL.
struct Rig {
    relay: Relay,
    store: Arc<EventStore>,
    url: String,
    _dir: TempDir,
}

fn store() -> (Arc<EventStore>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        threads: true,
        memtable_bytes: Some(1 << 20),
        memory_bytes: 64 << 20,
        log_file_bytes: 8 << 20,
        ring_bytes: 1 << 20,
        ..Options::tiny()
    };
    (Arc::new(EventStore::open(dir.path(), &options).unwrap()), dir)
}

fn rig_with(change: impl FnOnce(&mut relay::Config)) -> Rig {
    let (store, dir) = store();
    let mut config = relay::Config::default();
    (config.listen, config.threads) = ("127.0.0.1:0".parse().unwrap(), 1);
    change(&mut config);
    let relay = Relay::start(store.clone(), config).unwrap();
    let url = format!("ws://{}", relay.local_addr());
    Rig { relay, store, url, _dir: dir }
}

fn rig() -> Rig {
    rig_with(|_| {})
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.relay.stop().unwrap();
        self.store.close().unwrap();
    }
}

fn note(n: u64) -> Event {
    let signer = Signer::new([1 + (n % 3) as u8; 32]).unwrap();
    let kind = if n.is_multiple_of(4) { 7 } else { 1 };
    Event::from_parts(*signer.pubkey(), T0 + n / 2, kind, &[["t", "x"]], &n.to_string())
        .sign(&signer)
}

fn put(store: &EventStore, notes: impl Iterator<Item = u64>) {
    let notes: Vec<Event> = notes.map(note).collect();
    // No more at once than a store has room for.
    for some in notes.chunks(50) {
        let pending: Vec<_> = some.iter().map(|n| store.insert(&n.as_ref()).unwrap()).collect();
        pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    }
}

fn ids(store: &EventStore) -> BTreeSet<[u8; 32]> {
    let mut events = store.query(&[Filter::default()]).unwrap();
    let mut ids = BTreeSet::new();
    while let Some(event) = events.next().unwrap() {
        ids.insert(*event.id());
    }
    ids
}

fn run<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(60), task).await.expect("in time") })
}

async fn synced(
    mut local: Party,
    remote: &str,
    filter: &Filter,
    direction: Direction,
) -> Result<Report, Failed> {
    let mut remote = Party::connect(remote, Patience::default()).await?;
    let mut report = Report::default();
    let parties = (&mut local, &mut remote);
    sync(parties, filter, direction, T0 + 10_000, &mut report, &mut |_| {}).await?;
    remote.close().await;
    local.close().await;
    Ok(report)
}

#[test]
fn a_store_and_a_relay_come_to_hold_the_same() {
    let (here, _dir) = store();
    let there = rig();
    put(&here, (0..1_500).filter(|n| n % 3 != 0));
    put(&there.store, (0..1_500).filter(|n| n % 5 != 0));
    let all = Filter::default();
    let local = || Party::store(here.clone());
    let down = run(synced(local(), &there.url, &all, Direction::Down)).unwrap();
    let only_there = (0..1_500).filter(|n| n % 3 == 0 && n % 5 != 0).count() as u64;
    let only_here = (0..1_500).filter(|n| n % 3 != 0 && n % 5 == 0).count() as u64;
    assert_eq!((down.down.found, down.down.stored), (only_there, only_there));
    assert_eq!((down.up.found, down.up.stored), (only_here, 0));
    let up = run(synced(local(), &there.url, &all, Direction::Up)).unwrap();
    assert_eq!((up.up.found, up.up.stored, up.down.found), (only_here, only_here, 0));
    assert_eq!(ids(&here), ids(&there.store));
    let again = run(synced(local(), &there.url, &all, Direction::Both)).unwrap();
    assert_eq!(again, Report { messages: again.messages, ..Report::default() });
    here.close().unwrap();
}

#[test]
fn two_relays_come_to_hold_the_same_of_a_filter() {
    let (here, there) = (rig(), rig());
    put(&here.store, (0..900).filter(|n| n % 2 == 0));
    put(&there.store, (0..900).filter(|n| n % 3 == 0));
    let filter = Filter { kinds: Some(vec![7]), ..Filter::default() };
    let report = run(async {
        let local = Party::connect(&here.url, Patience::default()).await?;
        synced(local, &there.url, &filter, Direction::Both).await
    });
    let report = report.unwrap();
    let sevens = |store: &EventStore| store.count(std::slice::from_ref(&filter)).unwrap();
    assert_eq!((sevens(&here.store), sevens(&there.store)), (225, 225));
    assert_eq!((report.down.stored, report.up.stored), (0, 150));
    assert_eq!(ids(&here.store).len(), 450, "other kinds stay where they are");
}

#[test]
fn what_is_too_much_at_once_is_halved() {
    let (here, _dir) = store();
    let there = rig_with(|config| config.limits.negentropy_items = 300);
    put(&there.store, 0..2_000);
    let all = Filter::default();
    let report = run(synced(Party::store(here.clone()), &there.url, &all, Direction::Down));
    assert_eq!(report.unwrap().down.stored, 2_000);
    assert_eq!(ids(&here), ids(&there.store));
    // A limit is about the whole, and no half of it.
    let limited = Filter { limit: Some(1_000), ..Filter::default() };
    let refused = run(synced(Party::store(here.clone()), &there.url, &limited, Direction::Down));
    assert!(matches!(refused, Err(Failed::Refused { why, .. }) if why.contains("300")));
    here.close().unwrap();
}

#[test]
fn an_end_in_the_middle_loses_nothing() {
    let (here, _dir) = store();
    let there = rig();
    put(&there.store, 0..3_000);
    let all = Filter::default();
    let (mut batches, mut stopped) = (0, Report::default());
    let stop = run(async {
        let mut remote = Party::connect(&there.url, Patience::default()).await.unwrap();
        let mut local = Party::store(here.clone());
        let (enough_in, enough) = tokio::sync::oneshot::channel();
        let mut enough_in = Some(enough_in);
        let mut tell = |_: &Report| {
            batches += 1;
            if batches == 4 {
                enough_in.take().unwrap().send(()).unwrap();
            }
        };
        let parties = (&mut local, &mut remote);
        let task = sync(parties, &all, Direction::Down, T0, &mut stopped, &mut tell);
        tokio::select! {
            biased;
            _ = enough => true,
            _ = task => false,
        }
    });
    assert!(stop, "it was stopped before its end");
    let first = ids(&here).len() as u64;
    assert!(first >= stopped.down.stored && (600..3_000).contains(&first), "{first}");
    let rest = run(synced(Party::store(here.clone()), &there.url, &all, Direction::Down)).unwrap();
    assert_eq!(rest.down.stored, 3_000 - first);
    assert_eq!(ids(&here), ids(&there.store));
    here.close().unwrap();
}

#[test]
fn a_relay_that_lies_gives_nothing() {
    let (here, _dir) = store();
    let there = rig();
    // Ids that are not the events' own, and signatures that are nobody's: the store took them unchecked.
    for n in 0..10_u8 {
        let event = Event::from_parts([n; 32], T0, 1, &[["t", "x"]], "unsigned");
        assert!(there.store.insert(&event.as_ref()).unwrap().wait().is_ok());
    }
    put(&there.store, 0..5);
    let all = Filter::default();
    let report = run(synced(Party::store(here.clone()), &there.url, &all, Direction::Down));
    let down = report.unwrap().down;
    assert_eq!((down.found, down.stored, down.missing), (15, 5, 10));
    here.close().unwrap();
}

#[test]
fn who_is_not_there_or_does_not_answer_is_named() {
    let nobody = run(Party::connect("ws://127.0.0.1:1", Patience::default()));
    assert!(matches!(nobody, Err(Failed::Connect { url, .. }) if url == "ws://127.0.0.1:1"));
    // A listener that never answers the handshake.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", mute.local_addr().unwrap());
    let short = Duration::from_millis(100);
    let late = run(Party::connect(&url, Patience { connect: short, answer: short }));
    assert!(matches!(late, Err(Failed::Connect { why, .. }) if why.contains("too long")));
}

/// Streams until `done` says so of the report.
async fn streamed(
    what: Stream,
    mut begin: impl FnMut() + Send,
    done: impl Fn(&Report) -> bool + Send + Sync,
) -> Report {
    let mut report = Report::default();
    let (done_in, mut is_done) = tokio::sync::mpsc::unbounded_channel();
    let mut tell = |happened: Happened<'_>| match happened {
        Happened::Connected => begin(),
        Happened::Passed(report) if done(report) => done_in.send(()).unwrap(),
        Happened::Passed(_) => {}
        Happened::Interrupted(failed, _) => panic!("{failed}"),
    };
    tokio::select! {
        ended = stream(&what, &mut report, &mut tell) => panic!("{ended:?}"),
        _ = is_done.recv() => {}
    }
    report
}

#[test]
fn live_events_go_both_ways_and_not_back() {
    let (here, there) = (rig(), rig());
    put(&here.store, 0..10);
    let what = Stream {
        local: Local::Relay(here.url.clone()),
        remote: there.url.clone(),
        filter: Filter { kinds: Some(vec![1]), ..Filter::default() },
        direction: Direction::Both,
        patience: Patience::default(),
        clock: here.store.engine().env().clock.clone(),
    };
    let publish = || {
        put(&here.store, [101, 102].into_iter());
        put(&there.store, [103, 104, 105].into_iter());
    };
    // 104 is of another kind.
    let done = |report: &Report| report.up.stored == 2 && report.down.stored == 2;
    let report = run(streamed(what, publish, done));
    assert_eq!((report.up.found, report.down.found), (2, 2), "nothing comes back");
    let notes = |notes: &[u64]| notes.iter().map(|n| *note(*n).id()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&there.store), notes(&[101, 102, 103, 104, 105]));
    assert!(ids(&here.store).is_superset(&notes(&[103, 105])));
}

#[test]
fn live_events_come_to_a_store() {
    let (here, _dir) = store();
    let there = rig();
    let what = Stream {
        local: Local::Store(here.clone()),
        remote: there.url.clone(),
        filter: Filter::default(),
        direction: Direction::Down,
        patience: Patience::default(),
        clock: here.engine().env().clock.clone(),
    };
    let publish = || put(&there.store, 0..50);
    let report = run(streamed(what, publish, |report| report.down.stored == 50));
    assert_eq!(report.down.found, 50);
    assert_eq!(ids(&here), ids(&there.store));
    here.close().unwrap();
}
