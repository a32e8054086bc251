//! The rules of NIP-01 as the engine's model: what an event replaces, and what replaces it.
//!
//! ```text
//!   class        kinds                           probed             kept
//!   Regular      all others                      nothing            all
//!   Replaceable  0, 3, 10000-19999               author and kind    the newest for each author, kind
//!   Addressable  30000-39999                     address            the newest for each address
//!   Ephemeral    20000-29999                     nothing            none
//! ```
//!
//! The newest is the one with the highest `created_at` and, of equals, the lowest id: the greatest
//! `Key`. So the outcome does not depend on the order of arrival.
//!
//! Each rule is a function `(event, hits) -> Verdict`, and `decide` runs them in turn: a later rule
//! (deletion, expiration, vanish) adds its probe, its function and its reason.

use super::event::EventRef;
use super::search::{self, SearchKinds};
use super::terms;
use crate::base::{Error, Result, Terms, hash64};
use crate::io::Env;
use crate::model::{Decision, Model, Record};
use crate::store::settings_of;
use std::path::Path;

/// A newer event of the same author and kind, or of the same address, is stored.
pub const OLDER: u8 = 1;
/// The kind is ephemeral: delivered, never stored.
pub const EPHEMERAL: u8 = 2;
/// The body is not an event's; the engine was handed something that this module did not make.
pub const MALFORMED: u8 = 3;

/// A sentence for a reason of [`Decision::Refuse`].
pub fn reason_text(reason: u8) -> &'static str {
    match reason {
        OLDER => "a newer version of this event is already stored",
        EPHEMERAL => "events of this kind are delivered and never stored",
        MALFORMED => "this is not the stored form of an event",
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
#[derive(Clone, Debug, Default)]
pub struct EventModel {
    search: SearchKinds,
}

impl EventModel {
    /// With the words of events of these kinds as terms.
    pub fn new(search: SearchKinds) -> EventModel {
        EventModel { search }
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
            Some(asked) => Err(Error::Mismatch {
                path: dir.into(),
                what: "search",
                stored: search.to_string(),
                asked: asked.to_string(),
            }),
        }
    }

    /// The kinds whose words are terms.
    pub fn search(&self) -> &SearchKinds {
        &self.search
    }
}

impl Model for EventModel {
    fn name(&self) -> &'static str {
        "nostr"
    }

    fn version(&self) -> u32 {
        3 // the terms of seconds of expiration, and of words, came with 3
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

    fn check(&self, record: Record<'_>) -> std::result::Result<(), String> {
        // Strictly, not as `EventRef::stored`, which trusts what was checked when it came in.
        EventRef::new(record.key, record.body).map(drop).map_err(|error| error.to_string())
    }

    fn probes(&self, record: Record<'_>, out: &mut Terms) {
        let Ok(event) = EventRef::stored(record) else { return };
        match class(event.kind()) {
            Class::Regular | Class::Ephemeral => {}
            Class::Replaceable => terms::author_kind(event.pubkey(), event.kind(), out),
            Class::Addressable => {
                terms::address(event.kind(), event.pubkey(), event.d(), out);
            }
        }
    }

    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], _now: u64) -> Decision {
        let Ok(event) = EventRef::new(record.key, record.body) else {
            return Decision::Refuse { reason: MALFORMED };
        };
        let mut kills = Vec::new();
        for rule in [keep_nothing, keep_newest] {
            match rule(&event, hits) {
                Verdict::Kill(mut indexes) => kills.append(&mut indexes),
                Verdict::Refuse(reason) => return Decision::Refuse { reason },
            }
        }
        kills.sort_unstable();
        kills.dedup();
        Decision::Store { kills }
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
