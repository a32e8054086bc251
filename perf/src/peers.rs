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

    /// Compares numbers of events.
    fn count(&mut self, ours: u64, theirs: u64) {
        self.compared += 1;
        self.more += u64::from(theirs > ours);
        self.fewer += u64::from(theirs < ours);
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
                eprintln!(
                    "  {sum} of {compared} answers differ: {order} in order, {more} have more, {fewer} lack some"
                );
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

    /// Asks every peer that can answer, one after the other.
    pub fn ask(
        &mut self,
        store: &EventStore,
        row: &Row,
        filters: &[Filter],
        check: bool,
    ) -> Result<()> {
        if row.answer == Answer::Get {
            let ids: Vec<[u8; 32]> = filters.iter().flat_map(|f| f.ids.clone()).flatten().collect();
            for peer in self.keyed.iter_mut().filter(|asked| asked.peer.answers()) {
                ids.iter().try_for_each(|id| get_bytes(peer, store, id, check))?;
            }
            for peer in &mut self.nostr {
                ids.iter().try_for_each(|id| get_event(peer, store, id, check))?;
            }
            return Ok(());
        }
        for peer in &mut self.nostr {
            filters.iter().try_for_each(|filter| query(peer, store, row, filter, check))?;
        }
        Ok(())
    }
}

fn get_bytes(
    Asked { peer, asked, differing, .. }: &mut Asked<Box<dyn Keyed>>,
    store: &EventStore,
    id: &[u8; 32],
    check: bool,
) -> Result<()> {
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
    Ok(())
}

fn get_event(
    Asked { peer, asked, differing, .. }: &mut Asked<Box<dyn Nostr>>,
    store: &EventStore,
    id: &[u8; 32],
    check: bool,
) -> Result<()> {
    let theirs = asked.time(|| peer.get(id))?;
    if check {
        differing.count(u64::from(store.get(id)?.is_some()), theirs);
    }
    Ok(())
}

fn query(
    Asked { peer, asked, differing, .. }: &mut Asked<Box<dyn Nostr>>,
    store: &EventStore,
    row: &Row,
    filter: &Filter,
    check: bool,
) -> Result<()> {
    let mut json = Vec::new();
    write_filter(filter, &mut json);
    peer.prepare(&String::from_utf8(json)?)?;
    if row.answer != Answer::Count {
        asked.time(|| peer.query(row.answer == Answer::Json))?;
        if check {
            differing.note(&ids(store, filter)?, &peer.ids());
        }
        return Ok(());
    }
    let (mut counted, mut meter) = (None, Meter::of_process());
    meter.time(|| -> Result<u64> {
        counted = peer.count()?;
        Ok(counted.unwrap_or(0))
    })?;
    let Some(counted) = counted else { return Ok(()) };
    asked.join(&meter)?;
    if check {
        differing.count(store.count(std::slice::from_ref(filter))?, counted);
    }
    Ok(())
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
