//! Nostr events under simulation: replaceable, addressable, deleted, expired, vanished, gift wraps; the NIPs again over
//! lists.
//!
//! ```text
//!   request --> shard by shard: the gift wraps that it reaches are removed --> its author's shard: stored, and the rest dies
//!               a version of each such shard                                   the last version
//! ```
//!
//! The rules are written after the texts of NIP-01, 09, 40, 59 and 62, and call nothing of `src/nostr`. In `always` a
//! request that is stored has done all that it asks for, in every shard; in the other modes power loss may take a removal
//! in one shard and leave the request in another.

mod ev;

use super::history::Rows;
use super::subject::{Answer, Step, Subject, Told, any_of, small_options};
use crate::base::{self, Key, hash64};
use crate::io::{Env, Rng};
use crate::nostr::{Event, EventOptions, EventStore, Filter, Inserted, TagValue};
use crate::shard::SyncMode;
use crate::store::{Options, Store};
use ev::{AUTHORS, Ev, hex, key_of};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const KINDS: [u16; 15] = [1, 1, 1, 7, 0, 0, 10_002, 30_000, 30_000, 30_000, 5, 5, 1059, 1059, 1059];
const D: [&str; 3] = ["a", "b", ""];

/// What is done to the store.
#[derive(Clone, Debug)]
pub enum Deed {
    Publish([u8; 32]),
    /// Events of one author, as a sweep or retention removes them.
    Remove(u64, Vec<[u8; 32]>),
}

/// The model of events, and what a seed makes of it.
#[derive(Clone)]
pub struct Nostr {
    options: Options,
    known: HashMap<[u8; 32], Arc<Ev>>,
    past: Vec<[u8; 32]>,
}

impl Nostr {
    fn write(&mut self, rng: &mut Rng, now: u64) -> [u8; 32] {
        if rng.chance(6) && !self.past.is_empty() {
            return self.past[rng.below(self.past.len() as u64) as usize];
        }
        let kind = if rng.chance(40) { 62 } else { KINDS[rng.below(KINDS.len() as u64) as usize] };
        let (mut ids, mut addresses) = (Vec::new(), Vec::new());
        // Coarse, so that there are ties.
        let at = (now - rng.below(60)) / 4 * 4;
        let (mut author, d) = (rng.below(AUTHORS), D[rng.below(3) as usize]);
        let recent = &self.past[self.past.len().saturating_sub(30)..];
        let to = (kind == 1059).then_some(author);
        if kind == 1059 {
            author = AUTHORS + rng.below(1 << 40);
        } else if let Some(target) = any_of(rng, recent).filter(|_| kind == 5) {
            // Who may delete it, as often as not.
            let target = self.ev(target);
            let owner = target.to.unwrap_or(target.author);
            author = if rng.chance(2) { owner } else { author };
            ids.push(*target.event.id());
        }
        let may_expire = matches!(kind, 1 | 30_000) && rng.chance(4);
        let expires = may_expire.then(|| (now + rng.below(4_000)).saturating_sub(100));
        let mut tags: Vec<Vec<String>> = Vec::new();
        let tag = |name: &str, value: String| vec![name.to_string(), value];
        if kind == 30_000 {
            tags.push(tag("d", d.into()));
        }
        tags.extend(expires.map(|at| tag("expiration", at.to_string())));
        if kind == 62 {
            tags.push(tag("relay", "ALL_RELAYS".into()));
        }
        tags.extend(to.map(|to| tag("p", hex(&key_of(to)))));
        for _ in 0..if kind == 5 { rng.below(4) } else { 0 } {
            if rng.chance(3) {
                let (kind, d) = if rng.chance(2) { (0, "") } else { (30_000, d) };
                addresses.push((kind, author, d));
                tags.push(tag("a", format!("{kind}:{}:{d}", hex(&key_of(author)))));
            } else if let Some(id) = any_of(rng, recent) {
                ids.push(*id);
            }
        }
        tags.extend(ids.iter().map(|id| tag("e", hex(id))));
        let t = format!("x{}", rng.below(4));
        tags.push(tag("t", t.clone()));
        let words = "w".repeat(rng.below(40) as usize);
        let event = Event::from_parts(key_of(author), at, kind, &tags, &words);
        let id = *event.id();
        let ev = Ev { event, kind, author, at, d, t, to, ids, addresses, expires };
        self.known.insert(id, Arc::new(ev));
        self.past.push(id);
        id
    }

    fn ev(&self, id: &[u8; 32]) -> &Ev {
        &self.known[id]
    }

    fn shard_of(&self, author: u64) -> usize {
        self.shard(&key_of(author))
    }

    /// Why the event is not stored, if it is not.
    fn refusal(&self, ev: &Ev, now: u64, rows: &[Rows]) -> Option<Answer> {
        let end = |owner: u64, other: &Ev| other.author == owner && other.is_request();
        let is_ended = |owner: u64| {
            let found = rows[self.shard_of(owner)].keys().map(|key| self.ev(&key.id));
            found.filter(|other| end(owner, other)).any(|request| request.ends(ev))
        };
        let own = &rows[self.shard_of(ev.author)];
        let mut rivals = own
            .keys()
            .map(|key| self.ev(&key.id))
            .filter(|other| ev.slot().is_some() && other.slot() == ev.slot());
        match ev {
            _ if ev.is_over(now) || ev.to.is_some_and(is_ended) => Some(Answer::Refused),
            _ if own.contains_key(&ev.event.key()) => Some(Answer::Duplicate),
            _ if is_ended(ev.author) || rivals.any(|other| other.event.key() > ev.event.key()) => {
                Some(Answer::Refused)
            }
            _ => None,
        }
    }

    fn publish(&self, ev: &Ev, now: u64, rows: &mut [Rows], step: &mut Step<'_>) -> Answer {
        if let Some(refusal) = self.refusal(ev, now, rows) {
            return refusal;
        }
        for (shard, of) in rows.iter_mut().enumerate().filter(|_| ev.is_request()) {
            let before = of.len();
            of.retain(|key, _| {
                let other = self.ev(&key.id);
                other.to.is_none() || !ev.ends(other)
            });
            if of.len() < before {
                step(shard, of);
            }
        }
        let own = &mut rows[self.shard_of(ev.author)];
        let before = own.len();
        own.retain(|key, _| {
            let other = self.ev(&key.id);
            !ev.ends(other) && (ev.slot().is_none() || other.slot() != ev.slot())
        });
        let replaced = before - own.len();
        own.insert(ev.event.key(), ev.event.body().into());
        // Of a request nobody is told how much died.
        Answer::Stored(if ev.is_request() { 0 } else { replaced })
    }

    /// What a stored request has ended and is there: in `always` none, else none in its own shard.
    fn half_done(&self, rows: &Rows) -> Result<(), String> {
        let is_always = self.options.sync == SyncMode::Always;
        let all = || rows.keys().map(|key| self.ev(&key.id));
        for request in all().filter(|ev| ev.is_request()) {
            let shard = self.shard_of(request.author);
            let is_left =
                |ev: &&Ev| request.ends(ev) && (is_always || self.shard_of(ev.author) == shard);
            if let Some(left) = all().find(is_left) {
                let [request, left] = [request, left].map(|ev| hex(ev.event.id()));
                return Err(format!("{request} is stored, and so is what it has ended, {left}"));
            }
        }
        Ok(())
    }
}

impl Subject for Nostr {
    type Open = EventStore;
    type Deed = Deed;
    const NAME: &'static str = "nostr";

    fn new(rng: &mut Rng) -> Nostr {
        let shards = if rng.chance(4) { 4 } else { 2 };
        let mut options = Options { shards: Some(shards), ..small_options(rng) };
        options.memory_bytes = options.memory_bytes_min(shards).max(1 << 20);
        Nostr { options, known: HashMap::new(), past: Vec::new() }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn open(&self, env: &Env) -> base::Result<EventStore> {
        let mut options = EventOptions::from(&self.options);
        options.refuse_foreign_deletes = false;
        EventStore::open_with(Path::new("/store"), &options, env.clone())
    }

    fn store(open: &EventStore) -> &Store {
        open.engine()
    }

    fn shard(&self, body: &[u8]) -> usize {
        (hash64(&body[..32]) & (self.options.shards.unwrap_or(1) as u64 - 1)) as usize
    }

    fn draw(&mut self, rng: &mut Rng, now: u64, rows: &[Rows]) -> Deed {
        let count: usize = rows.iter().map(Rows::len).sum();
        let crowded = count > 40;
        if count == 0 || !rng.chance(if crowded { 3 } else { 16 }) {
            return Deed::Publish(self.write(rng, now));
        }
        let any = rng.below(count as u64) as usize;
        let author = rows.iter().flatten().nth(any).map_or(0, |row| self.ev(&row.0.id).author);
        let own = rows[self.shard_of(author)].keys();
        let of_author = own.filter(|key| self.ev(&key.id).author == author);
        let most = 1 + rng.below(if crowded { 12 } else { 3 }) as usize;
        Deed::Remove(author, of_author.map(|key| key.id).take(most).collect())
    }

    fn is_alone(&self, deed: &Deed) -> bool {
        // A gift wrap is refused by what another shard has stored: a request whose removal fails refuses it still.
        match deed {
            Deed::Publish(id) => self.ev(id).is_request(),
            Deed::Remove(_, ids) => ids.iter().any(|id| self.ev(id).is_request()),
        }
    }

    fn apply(&self, deed: &Deed, now: u64, rows: &mut [Rows], step: &mut Step<'_>) -> Answer {
        let (answer, shard) = match deed {
            Deed::Publish(id) => {
                let ev = self.ev(id);
                (self.publish(ev, now, rows, step), self.shard_of(ev.author))
            }
            Deed::Remove(author, ids) => {
                let shard = self.shard_of(*author);
                let before = rows[shard].len();
                rows[shard].retain(|key, _| !ids.contains(&key.id));
                (Answer::Removed(before - rows[shard].len()), shard)
            }
        };
        step(shard, &rows[shard]);
        answer
    }

    fn perform(&self, open: &EventStore, deeds: &[Deed], told: &mut dyn FnMut(Told)) {
        let mut waiting = Vec::new();
        for (nth, deed) in deeds.iter().enumerate() {
            let ev = match deed {
                Deed::Publish(id) => Some(self.ev(id)),
                Deed::Remove(..) => None,
            };
            // What others wait for, or might pass.
            let is_alone = ev.is_none_or(Ev::is_request);
            if is_alone {
                answered(&mut waiting, told);
            }
            told(Told::Submitted(nth));
            match (deed, ev) {
                (_, Some(ev)) => {
                    waiting.push((nth, ev.is_request(), open.insert(&ev.event.as_ref())));
                }
                (Deed::Remove(author, ids), _) => {
                    let removed = open.engine().remove(hash64(&key_of(*author)), ids);
                    let removed = removed.map(|count| Answer::Removed(count as usize));
                    told(Told::Answered(nth, removed));
                }
                (Deed::Publish(_), None) => {}
            }
            if is_alone {
                answered(&mut waiting, told);
            }
        }
        answered(&mut waiting, told);
    }

    fn probe(&self, open: &EventStore, rows: &Rows, rng: &mut Rng) -> Result<(), String> {
        let now = open.now();
        self.half_done(rows)?;
        let kinds = [1u16, 0, 30_000, 5, 1059][rng.below(5) as usize];
        let author = key_of(rng.below(AUTHORS));
        let value = format!("x{}", rng.below(4));
        let by_tag = vec![(b't', vec![TagValue::new(&value)])];
        let wraps_to = vec![(b'p', vec![TagValue::from(author)])];
        let filters = [
            Filter { kinds: Some(vec![kinds]), ..Filter::default() },
            Filter { authors: Some(vec![author]), tags: by_tag, ..Filter::default() },
            Filter { kinds: Some(vec![1059]), tags: wraps_to, ..Filter::default() },
        ];
        for (nth, filter) in filters.into_iter().enumerate() {
            let matching = rows.keys().map(|key| self.ev(&key.id)).filter(|ev| {
                let is_wanted = match nth {
                    0 => ev.kind == kinds,
                    1 => key_of(ev.author) == author && ev.t == value,
                    _ => ev.to.map(key_of) == Some(author),
                };
                is_wanted && !ev.is_over(now)
            });
            let mut expected: Vec<Key> = matching.map(|ev| ev.event.key()).collect();
            expected.reverse();
            let mut found = Vec::new();
            let mut events =
                open.query(std::slice::from_ref(&filter)).map_err(|e| e.to_string())?;
            while let Some(event) = events.next().map_err(|e| e.to_string())? {
                found.push(event.key());
            }
            if found != expected {
                return Err(format!("of {filter:?}: {found:?}, not {expected:?}"));
            }
        }
        let Some(id) = any_of(rng, &self.past) else { return Ok(()) };
        let ev = self.ev(id);
        let expected = rows.contains_key(&ev.event.key()) && !ev.is_over(now);
        match open.get(id).map_err(|error| error.to_string())? {
            Some(found) if expected && found.body() == ev.event.body() => Ok(()),
            None if !expected => Ok(()),
            found => Err(format!("{} by its id: {found:?}, expected {expected}", hex(id))),
        }
    }
}

type Waiting<'a> = (usize, bool, base::Result<crate::nostr::Pending<'a>>);

fn answered(waiting: &mut Vec<Waiting<'_>>, told: &mut dyn FnMut(Told)) {
    for (nth, is_request, pending) in waiting.drain(..) {
        let answer = pending.and_then(|pending| pending.wait()).map(|inserted| match inserted {
            Inserted::Stored => Answer::Stored(0),
            Inserted::Replaced => Answer::Stored(usize::from(!is_request)),
            Inserted::Duplicate => Answer::Duplicate,
            _ => Answer::Refused,
        });
        told(Told::Answered(nth, answer));
    }
}
