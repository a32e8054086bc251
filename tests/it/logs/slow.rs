//! A disk that is slower than who writes, and one that is full: who writes waits or is told, and nothing is lost.

use super::apply::append;
use super::ask::{answer, same};
use super::gate::{Gate, GatedDisk};
use super::machine::Machine;
use super::naive::{Ask, Naive, Rec};
use super::world::World;
use super::{How, Op};
use crate::naive::random::pick;
use crate::replay;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join_all;
use ratite::io::{Env, Faults, simulated, threads};
use ratite::logs::{LogOptions, LogRecord, LogStore, Query, Source};
use ratite::store::Options;
use std::path::Path;
use std::sync::Arc;

/// A store with threads of its own on a simulated disk behind a gate.
pub fn gated(seed: u64, threads: bool) -> (Arc<LogStore>, Arc<Gate>, Env) {
    let (env, ..) = simulated(seed, Faults::default());
    let gate = Arc::new(Gate::default());
    let disk = Arc::new(GatedDisk { disk: env.disk.clone(), gate: gate.clone() });
    let env = Env { disk, ..env };
    let mut options = Options::tiny();
    options.threads = threads;
    let options = LogOptions::from(&options);
    let store = LogStore::open_in(Path::new("/gated"), &options, env.clone()).unwrap();
    (Arc::new(store), gate, env)
}

#[test]
fn a_producer_that_is_faster_than_the_disk_waits_and_loses_nothing() {
    let (store, gate, _env) = gated(1, true);
    let source = Source::named("busy").unwrap();
    gate.close();
    let raws: Vec<String> = (0..1_000).map(|n| format!("early {n}")).collect();
    let record =
        |ts: u64, raw: &'static str| LogRecord { ts, source: &source, raw: raw.as_bytes() };
    // All are handed over, or wait for room: more than there are tickets for.
    let mut under_way: Vec<_> = raws
        .iter()
        .map(|raw| {
            let record = LogRecord { ts: 1, source: &source, raw: raw.as_bytes() };
            store.append_async(record).boxed_local()
        })
        .collect();
    assert!(under_way.iter_mut().all(|append| append.now_or_never_again().is_none()));
    assert_eq!(store.try_append(record(9, "no room")).unwrap(), None);
    // One who would rather wait.
    let waiting = threads::spawn("waiting", {
        let (store, source) = (store.clone(), source.clone());
        move || {
            let raws: Vec<String> = (0..5_000).map(|n| format!("late {n}")).collect();
            let records: Vec<_> = raws
                .iter()
                .map(|raw| LogRecord { ts: 2, source: &source, raw: raw.as_bytes() })
                .collect();
            store.append_batch(&records).unwrap()
        }
    });
    assert_eq!(store.try_append(record(9, "no room")).unwrap(), None);
    gate.open();
    let early: Vec<_> = block_on(join_all(under_way)).into_iter().map(Result::unwrap).collect();
    let late = waiting.join().unwrap();
    assert!(late.is_sorted() && late.len() == 5_000);
    assert!(store.try_append(record(9, "room")).unwrap().is_some());
    let (found, _) = answer(&store, &Query::default());
    let mut expected = [early, late].concat();
    expected.sort();
    let positions: Vec<_> = found.iter().map(|(position, ..)| *position).collect();
    assert_eq!(positions[..6_000], expected);
    assert_eq!((found.len(), &*found[6_000].2), (6_001, &b"room"[..]));
    store.close().unwrap();
}

/// Polls a future once.
trait NowOrNeverAgain: std::future::Future + Unpin {
    fn now_or_never_again(&mut self) -> Option<Self::Output> {
        self.now_or_never()
    }
}

impl<F: std::future::Future + Unpin> NowOrNeverAgain for F {}

/// What was answered is in the list, whatever came then.
fn until_it_is_full(machine: &mut Machine, world: &mut World) -> Option<ratite::base::Error> {
    for _ in 0..150 {
        let recs: Vec<Rec> = world.recs(30, machine.now());
        let how = pick(&mut world.rng, &[How::OneByOne, How::Batch]);
        let before = machine.naive.lines.len();
        if let Err(error) = machine.append(&recs, how) {
            let open = recs[machine.naive.lines.len() - before..].to_vec();
            machine.open_recs = Some((open, how));
            return Some(error);
        }
    }
    None
}

fn full_disk(seed: u64) {
    let mut world = World::new(seed);
    let mut machine = Machine::new(seed);
    for _ in 0..2 {
        let room = world.rng.below(300 << 10);
        machine.disk.set_quota(Some(machine.bytes_used() + room));
        if let Some(error) = until_it_is_full(&mut machine, &mut world) {
            let text = error.to_string();
            assert!(text.contains("No space left on device"), "{text}");
            assert!(text.contains("reopen"), "{text}");
        }
        // Of a batch that failed, what was stored before is there. Reads go on.
        if let Some((open, how)) = &machine.open_recs {
            let (open, how) = (open.clone(), *how);
            machine.adopt(&open, how);
        }
        for _ in 0..6 {
            let ask = world.ask(&machine.naive);
            let (found, _) = answer(machine.store(), &ask.query());
            let mut known = machine.naive.matching(&ask);
            known.truncate(if ask.limit == 0 { usize::MAX } else { ask.limit });
            same(&found, &known, &|| format!("{ask:?} while the disk is full"));
        }
        machine.end();
        if let Err(error) = machine.try_open() {
            assert!(error.to_string().contains("No space left"), "{error}");
        }
        machine.end();
        machine.disk.set_quota(None);
        machine.open();
        if let Some((open, how)) = machine.open_recs.take() {
            machine.adopt(&open, how);
        }
        machine.apply(&Op::Everything);
        let recs = world.recs(5, machine.now());
        machine.append(&recs, How::Batch).expect("writes go on when space returns");
    }
}

#[test]
fn a_full_disk_is_said_to_be_full_and_loses_nothing() {
    replay::each_seed("a_full_disk_is_said_to_be_full_and_loses_nothing", 0..40, full_disk);
}

#[test]
fn many_writers_at_once_get_places_of_their_own() {
    let (store, _gate, _env) = gated(2, true);
    let mut answered = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let store = &store;
                scope.spawn(move || {
                    let (mut world, mut mine) = (World::new(n), Naive::default());
                    for round in 0..30 {
                        let all = [How::Batch, How::OneByOne, How::BatchAsync, How::Async];
                        let how = all[round % 4];
                        let recs = world.recs(20, 1_000);
                        append(store, &recs, how, &mut |recs, positions| {
                            for (rec, at) in recs.iter().zip(positions) {
                                mine.push(rec.clone(), at); // its own are in order
                            }
                        })
                        .unwrap();
                    }
                    mine.lines
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| answered.extend(writer.join().unwrap()));
    });
    answered.sort_by_key(|line| line.position.arrival);
    let naive = Naive { lines: answered, last: 0, marked: 0 };
    assert!(naive.lines.windows(2).all(|two| two[0].position.arrival < two[1].position.arrival));
    let mut world = World::new(9);
    for ask in (0..40).map(|_| world.ask(&naive)).chain([Ask::default()]) {
        let (found, _) = answer(&store, &ask.query());
        let mut known = naive.matching(&ask);
        known.truncate(if ask.limit == 0 { usize::MAX } else { ask.limit });
        same(&found, &known, &|| format!("{ask:?}"));
    }
    store.close().unwrap();
}

#[test]
fn a_store_that_never_syncs_closes_whatever_number_of_log_files_it_wrote() {
    let (env, ..) = simulated(1, Faults::default());
    let mut options = Options::tiny();
    (options.shards, options.sync) = (Some(1), ratite::shard::SyncMode::Never);
    options.log_file_bytes = 64 << 10;
    let options = LogOptions::from(&options);
    let store = LogStore::open_in(Path::new("/never"), &options, env.clone()).unwrap();
    let (source, raw) = (Source::named("much").unwrap(), [b'x'; 1_000]);
    let records = [LogRecord { ts: 1, source: &source, raw: &raw }; 40];
    // Some hundred files.
    for _ in 0..200 {
        store.append_batch(&records).unwrap();
    }
    store.close().unwrap();
    drop(store);
    let store = LogStore::open_in(Path::new("/never"), &options, env).unwrap();
    assert_eq!(store.count(&Query::default()).unwrap(), 8_000);
}
