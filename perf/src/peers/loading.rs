//! Loading, of Ratite, the limits and the peers: the same events from memory, nothing else going on meanwhile.
//!
//! ```text
//!   1  Ratite as it groups by itself | a bare append of as many groups and bytes        in turn, ROUNDS times      N1
//!   2  the verifier alone            | Ratite with checks on all cores                  in turn, chunk by chunk    N2
//!   3  each store, groups of 1,000, one after the other: who has threads of its own pays for them in its own time
//!   4  single durable events: a few of each store and of the bare writes, in turn
//! ```
//!
//! 1. CPU time is that of the process, with what brings the rest to the files (`settle`); the rate is without that.
//! 2. What a peer is given is made before the clock runs: events of its own kind for nostr-lmdb; JSON for nostrdb, which
//!    parses it itself.

use super::keyed::Entry;
use super::{Asked, GROUP, Others};
use crate::Result;
use crate::bare::Bare;
use crate::clock::{Meter, process_cpu};
use crate::events::Events;
use crate::figure::{Figures, print_head, round};
use crate::load::StoreArgs;
use ratite::bench::always;
use ratite::bench::ingest::{Feeder, Pass, Passed, is_right, written};
use ratite::nostr::{Event, EventStore, write_event};
use serde_json::{Value, json};
use std::fs::{read_dir, remove_dir_all};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Times that Ratite and the bare append load everything.
const ROUNDS: usize = 3;

/// Events that are checked at once.
const CHUNK: usize = 20_000;

/// Events of the file's end that are stored one at a time, and of them in one turn.
const SINGLES: usize = 300;
const TURN: usize = 20;

/// Inserts that Ratite has under way when nobody groups for it.
const UNDER_WAY: usize = 4096;

/// What an answer means, in the words of the table.
pub fn durability(name: &str) -> &'static str {
    match name {
        "ratite" | "append" | "nostr-lmdb" => "synced before each answer",
        "nostrdb" => "synced by its writer, no answer",
        "memory" | "verifier" => "none",
        _ => "synced after each group",
    }
}

/// A store that can be loaded: Ratite, or a peer.
pub trait Loads {
    /// Makes of events what is handed over.
    fn prepare(&mut self, group: &[Entry]) -> Result<()>;
    /// Stores what was prepared.
    fn save(&mut self, group: &[Entry]) -> Result<()>;
    /// Brings the rest to the files; whether only this ends loading.
    fn settle(&mut self) -> Result<bool>;
}

impl Loads for EventStore {
    fn prepare(&mut self, _: &[Entry]) -> Result<()> {
        Ok(())
    }

    fn save(&mut self, group: &[Entry]) -> Result<()> {
        let mut feeder = Feeder::new(self, group.len());
        for entry in group {
            feeder.insert(&entry.event.as_ref(), &mut |_| {})?;
        }
        feeder.finish(&mut |_| {})?;
        Ok(())
    }

    fn settle(&mut self) -> Result<bool> {
        self.engine().flush()?;
        Ok(false)
    }
}

/// Everything of this file, for the peers that are new.
pub fn load(
    others: &mut Others,
    file: &Path,
    limit: Option<u64>,
    (dir, store): (&Path, &StoreArgs),
    figures: &mut Figures,
) -> Result<()> {
    let mut events = Vec::new();
    Events::open(file, limit)?.for_each(|event| {
        events.push(event.to_owned());
        Ok(())
    })?;
    let events = Arc::new(events);
    std::fs::create_dir_all(dir)?;
    let mut bare = Bare::create(&dir.join("bare"))?;
    as_it_groups(&events, (dir, store), &mut bare, figures)?;
    verified(&events, (dir, store), figures)?;
    let (grouped, singles) = events.split_at(events.len() - SINGLES.min(events.len() / 2));
    let own = dir.join("ratite-groups");
    let mut ratite = store.open(&own)?;
    one("ratite", &mut ratite, grouped, &own, figures)?;
    for peer in others.keyed.iter_mut().filter(|peer| peer.is_new) {
        one(peer.name, &mut peer.peer, grouped, &dir.join(peer.name), figures)?;
    }
    for peer in others.nostr.iter_mut().filter(|peer| peer.is_new) {
        one(peer.name, &mut peer.peer, grouped, &dir.join(peer.name), figures)?;
    }
    alone(others, &mut ratite, singles, &mut bare, figures)?;
    ratite.close()?;
    drop((ratite, bare));
    remove_dir_all(own)?;
    Ok(std::fs::remove_file(dir.join("bare"))?)
}

fn new_store(path: &Path, args: &StoreArgs) -> Result<Arc<EventStore>> {
    Ok(Arc::new(args.open(path)?))
}

fn end(store: Arc<EventStore>, path: &Path) -> Result<()> {
    store.close()?;
    drop(store);
    Ok(remove_dir_all(path)?)
}

/// Ratite as quick as it takes events, and the same bytes in as many groups without a store.
fn as_it_groups(
    events: &Arc<Vec<Event>>,
    (dir, args): (&Path, &StoreArgs),
    bare: &mut Bare,
    figures: &mut Figures,
) -> Result<()> {
    let path = dir.join("ratite-load");
    let (mut ours, mut seconds, mut settle) = (Passed::default(), 0.0, 0.0);
    let (mut groups, mut bytes, mut disk) = (0, 0, 0);
    let mut bare_cpu = 0;
    for _ in 0..ROUNDS {
        let store = new_store(&path, args)?;
        let pass = Pass { threads: 1, check: false, into: Some((store.clone(), UNDER_WAY)) };
        ours.add(pass.run(events, 0..events.len(), &always())?);
        drop(pass);
        let (commits, log_bytes) = written(&store);
        let (began, cpu) = (Instant::now(), process_cpu());
        store.engine().flush()?;
        settle += began.elapsed().as_secs_f64();
        ours.cpu_nanos += process_cpu() - cpu;
        (groups, bytes, disk) = (groups + commits, bytes + log_bytes, used(&path)?);
        end(store, &path)?;
        let cpu = process_cpu();
        // The bare file takes a MiB at most in one write: of larger groups it makes more.
        let writes = commits.max(log_bytes.div_ceil(1 << 20));
        seconds += bare.device.write_groups(writes, log_bytes, &always())?.0 as f64 / 1e9;
        bare_cpu += process_cpu() - cpu;
    }
    let count = ours.events.max(1) as f64;
    let row = "load, grouped by itself";
    let shared =
        json!({ "events": events.len(), "rounds": ROUNDS, "groups": groups, "log_bytes": bytes });
    let rate = count / seconds;
    let bare = json!({
        "events_per_second": rate.round(), "durability": durability("append"),
        "cpu_us_per_event": round(bare_cpu as f64 / 1e3 / count), "of": shared,
    });
    print("append", row, &bare);
    figures.add("load", "append", row, bare)?;
    let values = json!({
        "events_per_second": ours.per_second().round(), "cpu_us_per_event": round(ours.cpu_us()),
        "settle_seconds": round(settle / ROUNDS as f64), "durability": durability("ratite"),
        "disk_bytes_per_event": round(disk as f64 * ROUNDS as f64 / count),
        "events_per_commit": round(count / groups.max(1) as f64), "of": shared,
        "share_of_bare": round(ours.per_second() / rate), "options": args.describe(),
    });
    print("ratite", row, &values);
    figures.add("load", "ratite", row, values)
}

/// Ids and signatures alone, and with a store behind them, each on all cores; if the file is signed.
fn verified(
    events: &Arc<Vec<Event>>,
    (dir, args): (&Path, &StoreArgs),
    figures: &mut Figures,
) -> Result<()> {
    if !events.iter().take(10).all(|event| is_right(&event.as_ref())) {
        return Ok(());
    }
    let path = dir.join("ratite-load");
    let (store, threads) = (new_store(&path, args)?, std::thread::available_parallelism()?.get());
    let alone = Pass { threads, check: true, into: None };
    let into = Pass { into: Some((store.clone(), UNDER_WAY / threads)), ..alone.clone() };
    let (mut bare, mut ours) = (Passed::default(), Passed::default());
    for start in (0..events.len()).step_by(CHUNK) {
        let chunk = start..(start + CHUNK).min(events.len());
        bare.add(alone.run(events, chunk.clone(), &always())?);
        ours.add(into.run(events, chunk, &always())?);
    }
    drop(into);
    end(store, &path)?;
    let row = "load, ids and signatures checked on all cores";
    let values = |name, passed: &Passed| {
        json!({
            "events": passed.events, "threads": threads, "durability": durability(name),
            "events_per_second": passed.per_second().round(),
            "cpu_us_per_event": round(passed.cpu_us()),
            "share_of_verifier": round(passed.per_second() / bare.per_second()),
        })
    };
    for (name, passed) in [("verifier", &bare), ("ratite", &ours)] {
        print(name, row, &values(name, passed));
        figures.add("load", name, row, values(name, passed))?;
    }
    Ok(())
}

fn entries(events: &[Event]) -> Vec<Entry> {
    let entry = |event: &Event| {
        let mut json = Vec::new();
        write_event(&event.as_ref(), &mut json);
        Entry { id: event.key().id, body: event.body().to_vec(), json, event: event.clone() }
    };
    events.iter().map(entry).collect()
}

/// One store from beginning to end.
fn one(
    name: &str,
    store: &mut dyn Loads,
    events: &[Event],
    dir: &Path,
    figures: &mut Figures,
) -> Result<()> {
    let (mut seconds, mut cpu) = (0.0, 0);
    for group in events.chunks(GROUP) {
        let group = entries(group);
        store.prepare(&group)?;
        let (began, before) = (Instant::now(), process_cpu());
        store.save(&group)?;
        seconds += began.elapsed().as_secs_f64();
        cpu += process_cpu() - before;
    }
    let (began, before) = (Instant::now(), process_cpu());
    let is_later = store.settle()?;
    let settle = began.elapsed().as_secs_f64();
    cpu += process_cpu() - before;
    if is_later {
        seconds += settle;
    }
    let (count, disk) = (events.len() as f64, used(dir)?);
    let values = json!({
        "events": count, "events_per_group": GROUP, "durability": durability(name),
        "events_per_second": (count / seconds).round(),
        "cpu_us_per_event": round(cpu as f64 / 1e3 / count),
        "settle_seconds": round(settle), "disk_bytes_per_event": round(disk as f64 / count),
    });
    let row = "load, groups of 1,000";
    print(name, row, &values);
    figures.add("load", name, row, values)
}

/// One durable event at a time, all stores and the bare writes in turn.
fn alone(
    others: &mut Others,
    ratite: &mut EventStore,
    events: &[Event],
    bare: &mut Bare,
    figures: &mut Figures,
) -> Result<()> {
    fn turn(store: &mut dyn Loads, meter: &mut Meter, turn: &[Entry]) -> Result<()> {
        for single in turn.chunks(1) {
            store.prepare(single)?;
            meter.time(|| store.save(single).map(|()| 1))?;
        }
        Ok(())
    }
    fn turns<T: Loads>(peers: &mut [Asked<T>], entries: &[Entry]) -> Result<()> {
        let new = peers.iter_mut().filter(|p| p.is_new && says_when_durable(p.name));
        for Asked { peer, alone, .. } in new {
            turn(peer, alone, entries)?;
        }
        // Who does not say when gets the same events, so that all answer the same.
        for peer in peers.iter_mut().filter(|p| p.is_new && !says_when_durable(p.name)) {
            peer.peer.prepare(entries)?;
            peer.peer.save(entries)?;
        }
        Ok(())
    }
    let mut ours = Meter::of_process();
    for group in events.chunks(TURN) {
        let group = entries(group);
        turn(ratite, &mut ours, &group)?;
        bare.turn(group.len())?;
        turns(&mut others.keyed, &group)?;
        turns(&mut others.nostr, &group)?;
    }
    for peer in others.nostr.iter_mut().filter(|p| p.is_new && !says_when_durable(p.name)) {
        peer.peer.settle()?;
    }
    print_head("load");
    let row = "one durable event";
    let (way, fastest) = bare.fastest();
    let p50 = |meter: &Meter| meter.wall.value_at_quantile(0.5) as f64;
    let times = round(p50(&ours) / p50(fastest).max(1.0));
    let more = json!({ "times_bare_p50": times, "fastest_bare": way });
    figures.add_meter("load", "ratite", row, &ours, more)?;
    figures.add_meter("load", "bare write", row, fastest, json!({ "way": way }))?;
    let none = Value::Null;
    for (name, meter) in others.keyed.iter().map(|p| (p.name, &p.alone)) {
        if meter.calls() > 0 {
            figures.add_meter("load", name, row, meter, none.clone())?;
        }
    }
    for (name, meter) in others.nostr.iter().map(|p| (p.name, &p.alone)) {
        if meter.calls() > 0 {
            figures.add_meter("load", name, row, meter, none.clone())?;
        }
    }
    Ok(())
}

/// Whether a peer's answer means that an event is on the disk.
fn says_when_durable(name: &str) -> bool {
    !matches!(name, "memory" | "nostrdb")
}

fn print(name: &str, row: &str, values: &Value) {
    eprintln!("{name}: {row}: {values}");
}

/// Bytes of the disk that the files below `dir` take: what is not written of a file is not counted.
fn used(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in read_dir(dir)? {
        let data = entry?;
        sum += match data.metadata()? {
            meta if meta.is_dir() => used(&data.path())?,
            meta => meta.blocks() * 512,
        };
    }
    Ok(sum)
}
