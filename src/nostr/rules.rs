//! The rules of NIP-01, 09, 40 and 62 as the engine's model: what an event replaces and deletes, and what refuses it.
//!
//! ```text
//!   class        kinds                           probed             kept
//!   Regular      all others                      nothing            all
//!   Replaceable  0, 3, 10000-19999               author and kind    the newest for each author, kind
//!   Addressable  30000-39999                     address            the newest for each address
//!   Ephemeral    20000-29999                     nothing            none
//!
//!   refused      by what is stored of the same author
//!   Deleted      a kind 5 that names its id; or its address, if that one is not older
//!   Vanished     a kind 62 for this relay that is not older
//!   Expired      nothing: its own `expiration` is not later than now
//! ```
//!
//! The newest is the one with the highest `created_at` and, of equals, the lowest id: the greatest `Key`. Requests refuse
//! what comes after them and kill what came before, so the outcome does not depend on the order of arrival. Gift wraps,
//! which another author's requests reach, are in other shards: `deletions` looks after those.
//!
//! I1. Kinds 5 and 62 are refused and killed by no kind 5; kind 62 by nothing.
//! I2. Each rule is a function `(event, hits) -> Verdict`; `decide` runs them in turn, refusals first.

use super::event::{EventRef, Item};
use super::filter::TagValue;
use super::search::{self, SearchKinds};
use super::{expiration, marks, requests, terms};
use crate::base::{Error, Result, Terms, hash64};
use crate::io::Env;
use crate::model::{Decision, Model, Probes, Record};
use crate::store::settings_of;
use std::path::Path;

/// A newer event of the same author and kind, or of the same address, is stored.
pub const OLDER: u8 = 1;
/// The kind is ephemeral: delivered, never stored.
pub const EPHEMERAL: u8 = 2;
/// The body is not an event's; the engine was handed something that this module did not make.
pub const MALFORMED: u8 = 3;
/// Its author, or who it is addressed to as a gift wrap, has asked for its deletion.
pub const DELETED: u8 = 4;
/// Its author, or who it is addressed to as a gift wrap, has vanished from this relay.
pub const VANISHED: u8 = 5;
/// It has expired.
pub const EXPIRED: u8 = 6;
/// A request to delete that names events of others only.
pub const INVALID_DELETE: u8 = 7;

/// A sentence for a reason of [`Decision::Refuse`].
pub fn reason_text(reason: u8) -> &'static str {
    match reason {
        OLDER => "a newer version of this event is already stored",
        EPHEMERAL => "events of this kind are delivered and never stored",
        MALFORMED => "this is not the stored form of an event",
        DELETED => "its deletion was asked for",
        VANISHED => "its author or recipient asked to vanish from this relay",
        EXPIRED => "it has expired",
        INVALID_DELETE => "it asks for the deletion of events of others",
        _ => "refused for a reason that this version does not know",
    }
}

/// How long events of a kind are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// All are kept.
    Regular,
    /// The newest of each author and kind is kept.
    Replaceable,
    /// The newest of each address (kind, author, `d` value) is kept.
    Addressable,
    /// None is kept.
    Ephemeral,
}

/// The class of a kind. Kinds that NIP-01 leaves open are regular.
pub fn class(kind: u16) -> Class {
    match kind {
        0 | 3 | 10_000..=19_999 => Class::Replaceable,
        20_000..=29_999 => Class::Ephemeral,
        30_000..=39_999 => Class::Addressable,
        _ => Class::Regular,
    }
}

/// The model of Nostr events.
#[derive(Clone, Debug)]
pub struct EventModel {
    /// The relay's own URLs in normal form, and `ALL_RELAYS`.
    relays: Vec<String>,
    /// The same as values of terms, which each event is asked for.
    relay_values: Vec<TagValue>,
    search: SearchKinds,
}

impl Default for EventModel {
    /// That of a relay without a URL of its own, which searches the usual kinds.
    fn default() -> EventModel {
        EventModel::new(SearchKinds::default())
    }
}

impl EventModel {
    /// With the words of events of these kinds as terms.
    pub fn new(search: SearchKinds) -> EventModel {
        EventModel { relays: Vec::new(), relay_values: Vec::new(), search }.of_relays(&[])
    }

    /// The model of a relay with these URLs: requests to vanish from them, or from all relays, are meant for it. Without
    /// any, only the latter are.
    #[must_use]
    pub fn of_relays(mut self, relay_urls: &[String]) -> EventModel {
        self.relays = relay_urls.iter().map(|url| requests::normal_url(url)).collect();
        self.relays.push(requests::ALL_RELAYS.into());
        self.relays.sort_unstable();
        self.relays.dedup();
        self.relay_values = self.relays.iter().map(|url| TagValue::new(url)).collect();
        self
    }

    /// The model of the store in `dir`, if there is one: with the kinds that it searches. `asked` must be the same, if
    /// given; for a new store it is what is asked for, or the default. Reads one file, if it can.
    ///
    /// # Errors
    /// `Mismatch` if the store searches other kinds than `asked`; `Invalid` if what it keeps is no choice of kinds.
    pub fn of_store(dir: &Path, asked: Option<&SearchKinds>, env: &Env) -> Result<EventModel> {
        let Some(settings) = settings_of(&*env.disk, dir) else {
            return Ok(EventModel::new(asked.cloned().unwrap_or_default()));
        };
        let search = SearchKinds::of_settings(&settings)
            .map_err(|why| Error::invalid("what the store says of search", why))?;
        match asked.filter(|asked| **asked != search) {
            None => Ok(EventModel::new(search)),
            Some(asked) => Err(Error::mismatch(dir, "search", search, asked)),
        }
    }

    /// The kinds whose words are terms.
    pub fn search(&self) -> &SearchKinds {
        &self.search
    }

    /// Adds the terms of the requests of `pubkey` to vanish from here.
    pub(super) fn vanished(&self, pubkey: &[u8; 32], out: &mut Terms) {
        self.relay_values.iter().for_each(|url| terms::vanished(pubkey, url.item(), out));
    }

    /// Whether the event is a request to vanish from here.
    pub fn is_vanish(&self, event: &EventRef<'_>) -> bool {
        event.kind() == requests::VANISH
            && requests::relays(event).any(|url| self.relays.binary_search(&url).is_ok())
    }

    /// What may die with a request.
    fn dying(&self, event: &EventRef<'_>, out: &mut Probes) {
        out.dying_until = event.created_at();
        if self.is_vanish(event) {
            terms::author(event.pubkey(), &mut out.dying_terms);
        } else if event.kind() == requests::DELETION {
            out.dying_ids.extend(requests::ids(event));
            out.dying_ids.sort_unstable();
            out.dying_ids.dedup();
            versions(event, &mut out.dying_terms);
        }
    }
}

/// Adds the terms of the versions of its author's addresses that a request to delete names.
pub(super) fn versions(event: &EventRef<'_>, out: &mut Terms) {
    for address in requests::addresses(event).filter(|a| a.pubkey == *event.pubkey()) {
        match class(address.kind) {
            Class::Addressable => {
                terms::address(address.kind, &address.pubkey, address.d.item(), out);
            }
            _ => terms::author_kind(&address.pubkey, address.kind, out),
        }
    }
    out.seal();
}

impl Model for EventModel {
    fn name(&self) -> &'static str {
        "nostr"
    }

    fn version(&self) -> u32 {
        5 // 3: terms of requests, of seconds of expiration and of words; 4: finer marks; 5: bytes of the tags before them
    }

    fn settings(&self) -> Vec<u8> {
        self.search.to_settings()
    }

    fn route(&self, record: Record<'_>) -> u64 {
        // The author's key starts the body: all that rules compare is of one author.
        hash64(record.body.first_chunk::<32>().map_or(record.body, |pubkey| pubkey))
    }

    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        if let Ok(event) = EventRef::stored(record) {
            terms::of_event(&event, out);
            if self.search.has(event.kind()) {
                search::add_terms(&event, out);
            }
        }
    }

    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        Some(marks::mark)
    }

    fn check(&self, record: Record<'_>) -> std::result::Result<(), String> {
        // Strictly, not as `EventRef::stored`, which trusts what was checked when it came in.
        EventRef::new(record.key, record.body).map(drop).map_err(|error| error.to_string())
    }

    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        let Ok(event) = EventRef::stored(record) else { return };
        let (kind, pubkey) = (event.kind(), event.pubkey());
        let class = class(kind);
        if class == Class::Ephemeral {
            return;
        }
        if kind != requests::VANISH {
            self.vanished(pubkey, &mut out.newest);
        }
        if requests::is_request(kind) {
            return self.dying(&event, out);
        }
        terms::deleted_id(pubkey, event.id(), &mut out.newest);
        match class {
            Class::Regular | Class::Ephemeral => {}
            Class::Replaceable => {
                terms::author_kind(pubkey, kind, &mut out.all);
                terms::deleted_address(kind, pubkey, Item::Text(""), &mut out.newest);
            }
            Class::Addressable => {
                let d = event.d();
                terms::address(kind, pubkey, d, &mut out.all);
                terms::deleted_address(kind, pubkey, d, &mut out.newest);
            }
        }
    }

    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], now: u64) -> Decision {
        let Ok(event) = EventRef::new(record.key, record.body) else {
            return Decision::Refuse { reason: MALFORMED };
        };
        if expiration::of(&event).is_some_and(|at| at <= now) {
            return Decision::Refuse { reason: EXPIRED };
        }
        let mut kills = Vec::new();
        for rule in [keep_nothing, stay_away, stay_deleted, keep_newest] {
            match rule(&event, hits) {
                Verdict::Kill(mut indexes) => kills.append(&mut indexes),
                Verdict::Refuse(reason) => return Decision::Refuse { reason },
            }
        }
        kills.sort_unstable();
        kills.dedup();
        Decision::Store { kills }
    }

    fn dies(&self, record: Record<'_>, found: Record<'_>) -> bool {
        let (Ok(event), Ok(found)) = (EventRef::stored(record), EventRef::stored(found)) else {
            return false;
        };
        // By the probes, what was found is named or of the right time; I1.
        let spared = match event.kind() {
            requests::VANISH => found.kind() == requests::VANISH,
            _ => requests::is_request(found.kind()),
        };
        found.pubkey() == event.pubkey() && !spared
    }

    fn far_probes(&self, record: Record<'_>, out: &mut Probes) {
        let Ok(event) = EventRef::stored(record) else { return };
        if self.is_vanish(&event) {
            out.dying_until = event.created_at();
            let author = TagValue::from(*event.pubkey());
            terms::tag(b'p', author.item(), &mut out.dying_terms);
        } else if event.kind() == requests::DELETION {
            out.dying_ids.extend(requests::ids(&event));
        }
    }

    fn dies_far(&self, record: Record<'_>, found: Record<'_>) -> bool {
        let (Ok(event), Ok(found)) = (EventRef::stored(record), EventRef::stored(found)) else {
            return false;
        };
        found.kind() == requests::GIFT_WRAP && requests::may_delete(event.pubkey(), &found)
    }
}

/// What one rule says.
enum Verdict {
    /// Nothing against the event; the hits with these indexes go.
    Kill(Vec<usize>),
    /// The event is not to be stored.
    Refuse(u8),
}

/// Ephemeral events are not stored.
fn keep_nothing(event: &EventRef<'_>, _hits: &[Record<'_>]) -> Verdict {
    match class(event.kind()) {
        Class::Ephemeral => Verdict::Refuse(EPHEMERAL),
        _ => Verdict::Kill(Vec::new()),
    }
}

/// What is not newer than its author's request to vanish is not stored.
fn stay_away(event: &EventRef<'_>, hits: &[Record<'_>]) -> Verdict {
    let vanished = requests_among(hits, requests::VANISH, event);
    let away = vanished.into_iter().any(|request| request.created_at() >= event.created_at());
    match away && event.kind() != requests::VANISH {
        true => Verdict::Refuse(VANISHED),
        false => Verdict::Kill(Vec::new()),
    }
}

/// What its author has deleted is not stored again.
fn stay_deleted(event: &EventRef<'_>, hits: &[Record<'_>]) -> Verdict {
    if requests::is_request(event.kind()) {
        return Verdict::Kill(Vec::new());
    }
    // Of the probed terms an older request can only stand under that of the id, or that of the address: in the latter
    // case it does not reach this far.
    let reaches = |request: &EventRef<'_>| {
        request.created_at() >= event.created_at()
            || requests::ids(request).any(|id| id == event.id())
    };
    match requests_among(hits, requests::DELETION, event).iter().any(reaches) {
        true => Verdict::Refuse(DELETED),
        false => Verdict::Kill(Vec::new()),
    }
}

/// The requests of this kind among the hits, of the event's author.
fn requests_among<'a>(hits: &[Record<'a>], kind: u16, event: &EventRef<'_>) -> Vec<EventRef<'a>> {
    let found = hits.iter().filter_map(|hit| EventRef::stored(*hit).ok());
    found.filter(|hit| hit.kind() == kind && hit.pubkey() == event.pubkey()).collect()
}

/// Of replaceable and addressable events the newest is kept.
fn keep_newest(event: &EventRef<'_>, hits: &[Record<'_>]) -> Verdict {
    let mut kills = Vec::new();
    for (index, hit) in hits.iter().enumerate() {
        // A hit may stand there for another rule's probe.
        let Ok(stored) = EventRef::stored(*hit) else { continue };
        if !is_version_of(event, &stored) {
            continue;
        }
        if stored.key() > event.key() {
            return Verdict::Refuse(OLDER);
        }
        kills.push(index);
    }
    Verdict::Kill(kills)
}

/// Whether of the two events only one may stay.
fn is_version_of(event: &EventRef<'_>, stored: &EventRef<'_>) -> bool {
    let same = event.kind() == stored.kind() && event.pubkey() == stored.pubkey();
    match class(event.kind()) {
        Class::Regular | Class::Ephemeral => false,
        Class::Replaceable => same,
        Class::Addressable => same && event.d() == stored.d(),
    }
}

#[cfg(test)]
mod tests;
