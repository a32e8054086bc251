//! Nostr events under simulation: replaceable, addressable, deleted, expired, vanished; the NIPs again over a list.
//!
//! The rules are written after the texts of NIP-01, 09, 40 and 62, and call nothing of `src/nostr`. Left out: gift
//! wraps, which a request reaches in two steps (`tests/it/requests` has them).

use super::history::Rows;
use super::subject::{Answer, Subject, Told, any_of, small_options};
use crate::base::{Key, Result, hash64};
use crate::io::{Env, Rng};
use crate::nostr::{Event, EventOptions, EventStore, Filter, Inserted};
use crate::store::{Options, Store};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const AUTHORS: u64 = 3;
const KINDS: [u16; 12] = [1, 1, 1, 7, 0, 0, 10_002, 30_000, 30_000, 30_000, 5, 5];
const D: [&str; 3] = ["a", "b", ""];

/// An event, as its author wrote it.
struct Ev {
    event: Event,
    kind: u16,
    author: u64,
    at: u64,
    d: &'static str,
    /// Of a request: ids, and addresses by kind and `d`.
    ids: Vec<[u8; 32]>,
    addresses: Vec<(u16, u64, &'static str)>,
    expires: Option<u64>,
}

impl Ev {
    /// What only one event may fill.
    fn slot(&self) -> Option<(u16, u64, &'static str)> {
        match self.kind {
            0 | 10_002 => Some((self.kind, self.author, "")),
            30_000 => Some((self.kind, self.author, self.d)),
            _ => None,
        }
    }

    fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn is_request(&self) -> bool {
        self.kind == 5 || self.kind == 62
    }

    /// Whether this request to delete names `other`, which is of the same author.
    fn names(&self, other: &Ev) -> bool {
        let by_address = other.slot().is_some_and(|slot| self.addresses.contains(&slot));
        self.ids.contains(other.event.id()) || by_address && other.at <= self.at
    }
}

/// What is done to the store.
#[derive(Clone, Debug)]
pub enum Deed {
    Publish([u8; 32]),
    /// Events of one author, as a sweep or retention removes them.
    Remove(u64, Vec<[u8; 32]>),
}

/// The model of events, and what a seed makes of it.
pub struct Nostr {
    options: Options,
    known: HashMap<[u8; 32], Arc<Ev>>,
    past: Vec<[u8; 32]>,
}

fn key_of(author: u64) -> [u8; 32] {
    [author as u8 + 1; 32]
}

impl Nostr {
    fn write(&mut self, rng: &mut Rng, now: u64) -> [u8; 32] {
        if rng.chance(6) && !self.past.is_empty() {
            return self.past[rng.below(self.past.len() as u64) as usize];
        }
        let kind = if rng.chance(50) { 62 } else { KINDS[rng.below(KINDS.len() as u64) as usize] };
        // Coarse, so that there are ties.
        let at = (now - rng.below(60)) / 4 * 4;
        let (author, d) = (rng.below(AUTHORS), D[rng.below(3) as usize]);
        let may_expire = matches!(kind, 1 | 30_000) && rng.chance(4);
        let expires = may_expire.then(|| (now + rng.below(4_000)).saturating_sub(100));
        let (mut ids, mut addresses) = (Vec::new(), Vec::new());
        let mut tags: Vec<Vec<String>> = Vec::new();
        let tag = |name: &str, value: String| vec![name.to_string(), value];
        if kind == 30_000 {
            tags.push(tag("d", d.into()));
        }
        tags.extend(expires.map(|at| tag("expiration", at.to_string())));
        if kind == 62 {
            tags.push(tag("relay", "ALL_RELAYS".into()));
        }
        for _ in 0..if kind == 5 { 1 + rng.below(3) } else { 0 } {
            if rng.chance(3) {
                let (kind, d) = if rng.chance(2) { (0, "") } else { (30_000, d) };
                addresses.push((kind, author, d));
                tags.push(tag("a", format!("{kind}:{}:{d}", hex(&key_of(author)))));
            } else if let Some(id) = any_of(rng, &self.past[self.past.len().saturating_sub(30)..]) {
                ids.push(*id);
                tags.push(tag("e", hex(id)));
            }
        }
        tags.push(tag("t", format!("x{}", rng.below(4))));
        let words = "w".repeat(rng.below(40) as usize);
        let event = Event::from_parts(key_of(author), at, kind, &tags, &words);
        let id = *event.id();
        let ev = Ev { event, kind, author, at, d, ids, addresses, expires };
        self.known.insert(id, Arc::new(ev));
        self.past.push(id);
        id
    }

    fn ev(&self, id: &[u8; 32]) -> &Ev {
        &self.known[id]
    }

    fn publish(&self, ev: &Ev, now: u64, rows: &mut Rows) -> Answer {
        if ev.is_over(now) {
            return Answer::Refused;
        }
        if rows.contains_key(&ev.event.key()) {
            return Answer::Duplicate;
        }
        let theirs = |key: &Key| Some(self.ev(&key.id)).filter(|other| other.author == ev.author);
        let stands = rows.keys().filter_map(theirs).any(|other| match other.kind {
            62 => ev.kind != 62 && other.at >= ev.at,
            5 => !ev.is_request() && other.names(ev),
            _ => {
                ev.slot().is_some()
                    && other.slot() == ev.slot()
                    && other.event.key() > ev.event.key()
            }
        });
        if stands {
            return Answer::Refused;
        }
        let before = rows.len();
        rows.retain(|key, _| {
            let other = self.ev(&key.id);
            let dies = match ev.kind {
                62 => other.kind != 62 && other.at <= ev.at,
                5 => !other.is_request() && ev.names(other),
                _ => ev.slot().is_some() && other.slot() == ev.slot(),
            };
            other.author != ev.author || !dies
        });
        let replaced = before - rows.len();
        rows.insert(ev.event.key(), ev.event.body().into());
        // Of a request nobody is told how much died.
        Answer::Stored(if ev.is_request() { 0 } else { replaced })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Subject for Nostr {
    type Open = EventStore;
    type Deed = Deed;
    const NAME: &'static str = "nostr";

    fn new(rng: &mut Rng) -> Nostr {
        let options = Options { shards: Some(1), ..small_options(rng) };
        Nostr { options, known: HashMap::new(), past: Vec::new() }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn open(&self, env: &Env) -> Result<EventStore> {
        let mut options = EventOptions::from(&self.options);
        options.refuse_foreign_deletes = false;
        EventStore::open_with(Path::new("/store"), &options, env.clone())
    }

    fn store(open: &EventStore) -> &Store {
        open.engine()
    }

    fn shard(&self, _body: &[u8]) -> usize {
        0
    }

    fn draw(&mut self, rng: &mut Rng, now: u64, rows: &[Rows]) -> Deed {
        let rows = &rows[0];
        let crowded = rows.len() > 30;
        if rows.is_empty() || !rng.chance(if crowded { 3 } else { 16 }) {
            return Deed::Publish(self.write(rng, now));
        }
        let author = rng.below(AUTHORS);
        let of_author = rows.keys().filter(|key| self.ev(&key.id).author == author);
        let most = 1 + rng.below(if crowded { 12 } else { 3 }) as usize;
        Deed::Remove(author, of_author.map(|key| key.id).take(most).collect())
    }

    fn place(&self, _deed: &Deed) -> usize {
        0
    }

    fn apply(&self, deed: &Deed, now: u64, rows: &mut Rows) -> Answer {
        match deed {
            Deed::Publish(id) => self.publish(self.ev(id), now, rows),
            Deed::Remove(_, ids) => {
                let before = rows.len();
                rows.retain(|key, _| !ids.contains(&key.id));
                Answer::Removed(before - rows.len())
            }
        }
    }

    fn perform(&self, open: &EventStore, deeds: &[Deed], told: &mut dyn FnMut(Told)) {
        let mut waiting = Vec::new();
        for (nth, deed) in deeds.iter().enumerate() {
            let ev = match deed {
                Deed::Publish(id) => Some(self.ev(id)),
                Deed::Remove(..) => None,
            };
            // Requests go by a way of their own, which others may pass.
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

    fn probe(
        &self,
        open: &EventStore,
        rows: &Rows,
        rng: &mut Rng,
    ) -> std::result::Result<(), String> {
        let now = open.now();
        let kinds = [1u16, 0, 30_000, 5][rng.below(4) as usize];
        let author = rng.below(AUTHORS);
        let value = format!("x{}", rng.below(4));
        let by_tag = vec![(b't', vec![crate::nostr::TagValue::new(&value)])];
        let filters = [
            Filter { kinds: Some(vec![kinds]), ..Filter::default() },
            Filter { authors: Some(vec![key_of(author)]), tags: by_tag, ..Filter::default() },
        ];
        for filter in filters {
            let matching = rows.keys().map(|key| self.ev(&key.id)).filter(|ev| {
                let of_author = filter.authors.is_none() || ev.author == author;
                let of_kind = filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&ev.kind));
                let has_tag = filter.tags.is_empty()
                    || ev.event.tags().any(|tag| {
                        let mut text = String::new();
                        tag.value().into_iter().for_each(|item| item.write(&mut text));
                        tag.letter() == Some(b't') && text == value
                    });
                of_author && of_kind && has_tag && !ev.is_over(now)
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

type Waiting<'a> = (usize, bool, Result<crate::nostr::Pending<'a>>);

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
