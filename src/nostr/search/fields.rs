//! Which texts of an event are searched, and its words.
//!
//! ```text
//!   kind 0:  name, display_name, about, nip05 of the JSON in the content
//!   others:  the values of the tags title, subject, summary and t, then the content
//! ```
//!
//! A profile's JSON is read as far as it is JSON: what stands behind the fault is not found.

use super::words::{Form, Units};
use crate::base::Terms;
use crate::base::limits::TERMS_PER_RECORD_MAX;
use crate::nostr::event::EventRef;
use crate::nostr::json::scan::Scanner;
use crate::nostr::terms;
use std::cell::{Cell, OnceCell};

/// Units of one event that are searched, its first ones: all of an article of 64 KiB, what relays take. Terms are
/// up to twice as many.
const UNITS_MAX: usize = 16_384;

/// Terms that an event has beside its tags' and its words'; there are fewer.
const OTHER_TERMS_MAX: usize = 64;

const _: () = assert!(2 * UNITS_MAX + OTHER_TERMS_MAX < TERMS_PER_RECORD_MAX);

/// Fields of a profile that are searched.
const PROFILE: [&[u8]; 4] = [b"name", b"display_name", b"about", b"nip05"];

/// Tags that are searched in events of all other kinds.
const TAGS: [&str; 4] = ["title", "subject", "summary", "t"];

/// Levels of nesting in a profile's other fields.
const DEPTH: u32 = 16;

/// The words of one event, split once for any number of searches.
#[derive(Clone, Debug)]
pub struct EventWords {
    units: Units,
    /// Where the terms stand, sorted by what they are, repetitions included; once somebody asks for them.
    terms: OnceCell<Vec<(u32, u32)>>,
}

/// Puts the units of an event in `units`. A record has room for so many terms, and tags come first.
fn split(event: &EventRef<'_>, units: &mut Units) {
    let room = (TERMS_PER_RECORD_MAX - OTHER_TERMS_MAX).saturating_sub(event.tag_count()) / 2;
    units.restart(room.min(UNITS_MAX), event.content_bytes().len());
    if event.kind() == 0 {
        return add_profile(event, units);
    }
    let mut value = String::new();
    for tag in event.tags() {
        if TAGS.iter().any(|name| tag.is_named(name))
            && let Some(item) = tag.value()
        {
            value.clear();
            item.write(&mut value);
            units.add(&value);
            units.end_text();
        }
    }
    units.add(event.content());
}

fn add_profile(event: &EventRef<'_>, units: &mut Units) {
    let Ok(mut scan) = Scanner::new(event.content_bytes()) else { return };
    if scan.take(b'{', "an object").is_err() {
        return;
    }
    let mut first = true;
    while let Ok(Some(key)) = scan.member(first) {
        first = false;
        let known = PROFILE.contains(&&*key.bytes());
        if known && scan.peek() == Some(b'"') {
            let Ok(text) = scan.string() else { return };
            units.add(&String::from_utf8_lossy(&text.bytes()));
            units.end_text();
        } else if scan.skip_value(DEPTH).is_err() {
            return;
        }
    }
}

thread_local! {
    /// The memory of the event before.
    static UNITS: Cell<Units> = const { Cell::new(Units::new(0)) };
}

/// Adds the terms of an event's words to `out`.
pub(in crate::nostr) fn add_terms(event: &EventRef<'_>, out: &mut Terms) {
    let mut units = UNITS.take();
    split(event, &mut units);
    units.terms().for_each(|word| terms::word(word, out));
    if units.is_small() {
        UNITS.set(units);
    }
}

impl EventWords {
    /// The words of `event`. Costs a walk over its texts, some 15 ns a byte, and two allocations.
    pub fn of(event: &EventRef<'_>) -> EventWords {
        let mut units = Units::default();
        split(event, &mut units);
        EventWords { units, terms: OnceCell::new() }
    }

    fn sorted(&self) -> &[(u32, u32)] {
        self.terms.get_or_init(|| {
            let mut terms: Vec<(u32, u32)> = self.units.spans().collect();
            terms.sort_unstable_by(|x, y| self.units.at(*x).cmp(self.units.at(*y)));
            terms
        })
    }

    /// Whether the event stands under a term of the index.
    pub fn has(&self, term: &str) -> bool {
        self.sorted().binary_search_by(|span| self.units.at(*span).cmp(term)).is_ok()
    }

    /// How long the event is, in words and characters of scripts without spaces.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The terms of the words, with repetitions.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.sorted().iter().map(|span| self.units.at(*span))
    }

    /// Whether the units of `phrase` stand in a row.
    pub(super) fn has_phrase(&self, phrase: &[Box<str>]) -> bool {
        self.units.units().windows(phrase.len()).any(|row| {
            row.iter().zip(phrase).all(|(unit, wanted)| {
                unit.form != Form::Break && self.units.spelling(*unit) == &**wanted
            })
        })
    }
}

/// Counts some words in one event after the other, with the memory of the one before.
#[derive(Default)]
pub(in crate::nostr) struct Tally {
    units: Units,
    counts: Vec<u32>,
}

impl Tally {
    /// How often each of `words`, which are sorted, stands in `event`, and how long the event is.
    pub(super) fn count(&mut self, event: &EventRef<'_>, words: &[Box<str>]) -> (&[u32], usize) {
        split(event, &mut self.units);
        self.counts.clear();
        self.counts.resize(words.len(), 0);
        for term in self.units.terms() {
            if let Ok(i) = words.binary_search_by(|word| (**word).cmp(term)) {
                self.counts[i] += 1;
            }
        }
        (&self.counts, self.units.len())
    }
}
