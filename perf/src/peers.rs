//! Peers in the same process: stores of bytes by key, stores that know Nostr, and the limits of memory, disk and cores.
//!
//! ```text
//!   keyed    memory, append (limits)   heed, redb, sqlite (trees)   fjall, rocksdb (levels)
//!   nostr    nostr-lmdb, nostrdb
//! ```
//!
//! They are loaded from the same events file in groups of 1,000, each group in turn, asked the same filters in turn with
//! Ratite, and their answers are compared with its, while a row warms up: bytes of those by key, ids of the others.

mod keyed;
mod levels;
mod limits;
mod nostr;
#[cfg(feature = "nostrdb")]
mod nostrdb;
mod trees;

use crate::Result;
use crate::clock::{Meter, process_cpu};
use crate::events::Events;
use crate::figure::{Figures, round};
use crate::load::bytes_in;
use crate::query::Args;
use crate::workload::{Answer, Row};
use keyed::{Entry, Keyed};
use nostr::Nostr;
use ratite::bench::always;
use ratite::bench::ingest::{Pass, is_right};
use ratite::nostr::{Event, EventStore, Filter, write_event, write_filter};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Events of one durable write of a peer.
const GROUP: usize = 1_000;

/// Events whose signatures are checked by nothing but a verifier.
const VERIFIED: usize = 20_000;

/// The peers that were asked for.
pub struct Others {
    keyed: Vec<Asked<Box<dyn Keyed>>>,
    nostr: Vec<Asked<Box<dyn Nostr>>>,
}

/// A peer, and what it has cost.
struct Asked<T> {
    peer: T,
    name: &'static str,
    is_new: bool,
    /// Seconds and CPU nanoseconds of loading, and seconds of what came after the last group.
    load: (f64, u64),
    settle_seconds: f64,
    meter: fn() -> Meter,
    asked: Meter,
    differing: u64,
}

impl<T> Asked<T> {
    fn new(peer: T, name: &'static str, is_new: bool, meter: fn() -> Meter) -> Asked<T> {
        let (load, settle_seconds) = ((0.0, 0), 0.0);
        Asked { peer, name, is_new, load, settle_seconds, meter, asked: meter(), differing: 0 }
    }

    /// Times a part of loading.
    fn loads(&mut self, load: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let (started, cpu) = (Instant::now(), process_cpu());
        load(&mut self.peer)?;
        self.load.0 += started.elapsed().as_secs_f64();
        self.load.1 += process_cpu() - cpu;
        Ok(())
    }

    fn report_load(&self, count: u64, dir: &Path, figures: &mut Figures) -> Result<()> {
        let (seconds, cpu) = self.load;
        let disk = bytes_in(&dir.join(self.name))?;
        let values = json!({
            "events": count, "events_per_group": GROUP,
            "events_per_second": (count as f64 / seconds).round(),
            "cpu_us_per_event": round(cpu as f64 / 1e3 / count as f64),
            "settle_seconds": round(self.settle_seconds),
            "disk_bytes_per_event": round(disk as f64 / count as f64),
        });
        eprintln!("{}: {values}", self.name);
        figures.add("load", self.name, "load, synced by 1,000", values)
    }

    /// Adds the row's figure, and begins anew.
    fn report(&mut self, row: &Row, figures: &mut Figures) -> Result<()> {
        if self.asked.calls() > 0 {
            let more = json!({ "answers_that_differ": self.differing });
            figures.add_meter("query", self.name, row.name, &self.asked, more)?;
            if self.differing > 0 {
                eprintln!("  {} answers differ", self.differing);
            }
        }
        self.differing = 0;
        self.asked = (self.meter)();
        Ok(())
    }
}

/// A peer's directory, made if need be; whether it was.
fn made(dir: &Path, name: &str) -> Result<bool> {
    let is_new = !dir.join(name).exists();
    std::fs::create_dir_all(dir.join(name))?;
    Ok(is_new)
}

impl Others {
    /// Whether no rival is asked.
    pub fn are_none(&self) -> bool {
        self.keyed.is_empty() && self.nostr.is_empty()
    }

    /// Opens the peers beside the store, loading those that are not there.
    pub fn open(args: &Args, figures: &mut Figures) -> Result<Others> {
        let mut others = Others { keyed: Vec::new(), nostr: Vec::new() };
        let Some((file, dir)) = args.peers() else { return Ok(others) };
        let known = keyed::ALL.iter().map(|(n, _)| *n).chain(nostr::ALL.iter().map(|(n, _)| *n));
        let known: Vec<&str> = known.collect();
        if let Some(name) = args.only.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{name} is none of {}", known.join(", ")).into());
        }
        let is_wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|n| n == name);
        for (name, open) in keyed::ALL.iter().filter(|(name, _)| is_wanted(name)) {
            let is_new = made(&dir, name)?;
            let peer = open(&dir.join(name))?;
            let is_new = is_new || peer.forgets();
            others.keyed.push(Asked::new(peer, name, is_new, Meter::new));
        }
        for (name, open) in nostr::ALL.iter().filter(|(name, _)| is_wanted(name)) {
            let is_new = made(&dir, name)?;
            let peer = open(&dir.join(name))?;
            others.nostr.push(Asked::new(peer, name, is_new, Meter::of_process));
        }
        others.load(file, args.peer_events, &dir, figures)?;
        Ok(others)
    }

    /// What was measured so far was to warm up.
    pub fn forget(&mut self) {
        self.keyed.iter_mut().for_each(|peer| peer.asked = (peer.meter)());
        self.nostr.iter_mut().for_each(|peer| peer.asked = (peer.meter)());
    }

    /// Adds the row's figures.
    pub fn report(&mut self, row: &Row, figures: &mut Figures) -> Result<()> {
        self.keyed.iter_mut().try_for_each(|peer| peer.report(row, figures))?;
        self.nostr.iter_mut().try_for_each(|peer| peer.report(row, figures))
    }

    /// Fills those that are new, each group in turn.
    fn load(
        &mut self,
        file: &Path,
        limit: Option<u64>,
        dir: &Path,
        figures: &mut Figures,
    ) -> Result<()> {
        if !self.keyed.iter().any(|p| p.is_new) && !self.nostr.iter().any(|p| p.is_new) {
            return Ok(());
        }
        let (mut count, mut group, mut signed) = (0, Vec::new(), Vec::new());
        Events::open(file, limit)?.for_each(|event| {
            let mut json = Vec::new();
            write_event(&event, &mut json);
            group.push(Entry { id: *event.id(), body: event.body().to_vec(), json });
            // A file without signatures is known by its first events.
            let may_be = signed.len() < VERIFIED && (count < 10 || !signed.is_empty());
            if may_be && is_right(&event) {
                signed.push(event.to_owned());
            }
            count += 1;
            if group.len() == GROUP { self.store(&mut group) } else { Ok(()) }
        })?;
        self.store(&mut group)?;
        for peer in self.keyed.iter_mut().filter(|peer| peer.is_new) {
            let started = Instant::now();
            peer.peer.settle()?;
            peer.settle_seconds = started.elapsed().as_secs_f64();
            peer.report_load(count, dir, figures)?;
        }
        for peer in self.nostr.iter_mut().filter(|peer| peer.is_new) {
            // Who says nothing of when events are stored has stored them when it has settled.
            let before = peer.load;
            let mut is_later = false;
            peer.loads(|peer| Ok(is_later = peer.settle()?))?;
            if !is_later {
                peer.load = before;
            }
            peer.report_load(count, dir, figures)?;
        }
        verify(signed, figures)
    }

    fn store(&mut self, group: &mut Vec<Entry>) -> Result<()> {
        for peer in self.keyed.iter_mut().filter(|peer| peer.is_new) {
            peer.loads(|peer| peer.put(group))?;
        }
        for peer in self.nostr.iter_mut().filter(|peer| peer.is_new) {
            peer.loads(|peer| peer.save(group))?;
        }
        group.clear();
        Ok(())
    }

    /// Asks every peer that can answer.
    pub fn ask(
        &mut self,
        store: &EventStore,
        row: &Row,
        filter: &Filter,
        check: bool,
    ) -> Result<()> {
        if let (Answer::Get, Some(&[id])) = (row.answer, filter.ids.as_deref()) {
            return self.get(store, &id, check);
        }
        let mut json = Vec::new();
        write_filter(filter, &mut json);
        let json = String::from_utf8(json)?;
        for Asked { peer, asked, differing, .. } in &mut self.nostr {
            peer.prepare(&json)?;
            if row.answer == Answer::Count {
                let mut counted = None;
                let mut meter = Meter::of_process();
                meter.time(|| -> Result<u64> {
                    counted = peer.count()?;
                    Ok(counted.unwrap_or(0))
                })?;
                if counted.is_some() {
                    asked.join(&meter)?;
                }
                continue;
            }
            asked.time(|| peer.query())?;
            if check {
                *differing += u64::from(!is_same(store, filter, &peer.ids())?);
            }
        }
        Ok(())
    }

    fn get(&mut self, store: &EventStore, id: &[u8; 32], check: bool) -> Result<()> {
        for Asked { peer, asked, differing, .. } in &mut self.keyed {
            if !peer.answers() {
                continue;
            }
            let mut found = None;
            asked.time(|| -> Result<u64> {
                found = std::hint::black_box(peer.get(id)?);
                Ok(u64::from(found.is_some()))
            })?;
            if check {
                let ours = store.get(id)?;
                *differing += u64::from(ours.as_ref().map(Event::body) != found.as_deref());
            }
        }
        for Asked { peer, asked, .. } in &mut self.nostr {
            asked.time(|| peer.get(id))?;
        }
        Ok(())
    }
}

/// Whether Ratite gives these ids, in this order.
fn is_same(store: &EventStore, filter: &Filter, ids: &[[u8; 32]]) -> Result<bool> {
    let mut theirs = ids.iter();
    let mut ours = store.query(std::slice::from_ref(filter))?;
    while let Some(event) = ours.next()? {
        if theirs.next() != Some(event.id()) {
            return Ok(false);
        }
    }
    Ok(theirs.next().is_none())
}

/// What nothing that checks signatures can be faster than; if the file has some.
fn verify(events: Vec<Event>, figures: &mut Figures) -> Result<()> {
    let (events, threads) = (Arc::new(events), std::thread::available_parallelism()?.get());
    if events.is_empty() {
        return Ok(());
    }
    let passed =
        Pass { threads, check: true, into: None }.run(&events, 0..events.len(), &always())?;
    let values = json!({
        "events": passed.events, "threads": threads,
        "events_per_second": passed.per_second().round(),
        "cpu_us_per_event": round(passed.cpu_us()),
    });
    eprintln!("verifier: {values}");
    figures.add("load", "verifier", "ids and signatures alone, on all cores", values)
}
