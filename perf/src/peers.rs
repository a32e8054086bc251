//! Peers in the same process: stores of bytes by key, stores that know Nostr, and the limits of memory, disk and cores.
//!
//! ```text
//!   keyed    memory, append (limits)   heed, redb, sqlite (trees)   fjall, rocksdb (levels)
//!   nostr    nostr-lmdb, nostrdb
//! ```
//!
//! They are loaded from the same events file (`loading.rs`), asked the same filters in turn with Ratite, and their answers
//! are compared with its, while a row warms up: bytes of those by key, ids of the others.

mod keyed;
mod levels;
mod limits;
mod loading;
mod nostr;
#[cfg(feature = "nostrdb")]
mod nostrdb;
mod trees;

use crate::Result;
use crate::clock::Meter;
use crate::figure::Figures;
use crate::query::Args;
use crate::workload::{Answer, Row};
use keyed::Keyed;
use nostr::Nostr;
use ratite::nostr::{Event, EventStore, Filter, write_filter};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// Events of one durable write of a peer.
const GROUP: usize = 1_000;

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
    meter: fn() -> Meter,
    asked: Meter,
    /// Single durable events.
    alone: Meter,
    differing: Differing,
}

/// Answers that were compared, and those that are not Ratite's.
#[derive(Default)]
struct Differing {
    compared: u64,
    /// The same events in another order; events that Ratite does not give; fewer than it gives, or others instead.
    order: u64,
    more: u64,
    fewer: u64,
}

impl Differing {
    fn sum(&self) -> u64 {
        self.order + self.more + self.fewer
    }

    /// Compares ids, each in its order.
    fn note(&mut self, ours: &[[u8; 32]], theirs: &[[u8; 32]]) {
        self.compared += 1;
        if ours == theirs {
            return;
        }
        let (we, they): (HashSet<_>, HashSet<_>) = (ours.iter().collect(), theirs.iter().collect());
        match (they.is_superset(&we), ours.len() == theirs.len()) {
            (true, true) => self.order += 1,
            (true, false) => self.more += 1,
            (false, _) => self.fewer += 1,
        }
    }
}

impl<T> Asked<T> {
    fn new(peer: T, name: &'static str, is_new: bool, meter: fn() -> Meter) -> Asked<T> {
        let (asked, alone) = (meter(), Meter::of_process());
        Asked { peer, name, is_new, meter, asked, alone, differing: Differing::default() }
    }

    /// Adds the row's figure, and begins anew.
    fn report(&mut self, row: &Row, figures: &mut Figures) -> Result<()> {
        let Differing { compared, order, more, fewer } = self.differing;
        if self.asked.calls() > 0 {
            let sum = self.differing.sum();
            let said = json!({
                "answers_compared": compared, "answers_that_differ": sum,
                "differ_in": { "order": order, "more": more, "fewer_or_others": fewer },
            });
            figures.add_meter("query", self.name, row.name, &self.asked, said)?;
            if sum > 0 {
                eprintln!("  {sum} of {compared} answers differ: {order} in order, {more} have more, {fewer} lack some");
            }
        }
        self.differing = Differing::default();
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
        // Who forgets has to be filled each time, alone as well.
        if others.keyed.iter().any(|p| p.is_new) || others.nostr.iter().any(|p| p.is_new) {
            loading::load(&mut others, file, args.peer_events, (&dir, args.store()), figures)?;
        }
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
                if let Some(counted) = counted {
                    asked.join(&meter)?;
                    if check {
                        let ours = store.count(std::slice::from_ref(filter))?;
                        differing.compared += 1;
                        differing.more += u64::from(counted > ours);
                        differing.fewer += u64::from(counted < ours);
                    }
                }
                continue;
            }
            asked.time(|| peer.query())?;
            if check {
                differing.note(&ids(store, filter)?, &peer.ids());
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
                differing.compared += 1;
                differing.fewer += u64::from(ours.as_ref().map(Event::body) != found.as_deref());
            }
        }
        let ours = u64::from(check && store.get(id)?.is_some());
        for Asked { peer, asked, differing, .. } in &mut self.nostr {
            let theirs = asked.time(|| peer.get(id))?;
            if check {
                differing.compared += 1;
                differing.more += u64::from(theirs > ours);
                differing.fewer += u64::from(theirs < ours);
            }
        }
        Ok(())
    }
}

/// The ids that Ratite gives, in their order.
fn ids(store: &EventStore, filter: &Filter) -> Result<Vec<[u8; 32]>> {
    let mut ids = Vec::new();
    let mut ours = store.query(std::slice::from_ref(filter))?;
    while let Some(event) = ours.next()? {
        ids.push(*event.id());
    }
    Ok(ids)
}
