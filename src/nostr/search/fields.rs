//! Which texts of an event are searched, and its words.
//!
//! ```text
//!   kind 0:  name, display_name, about, nip05 of the JSON in the content
//!   others:  the values of the tags title, subject, summary and t, then the content
//! ```
//!
//! A profile's JSON is read as far as it is JSON: what stands behind the fault is not found.

use super::words::{Form, Unit, Units};
use crate::base::Terms;
use crate::base::limits::TERMS_PER_RECORD_MAX;
use crate::nostr::event::EventRef;
use crate::nostr::json::scan::Scanner;
use crate::nostr::terms;

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
    /// Where the terms stand, sorted by what they are, repetitions included.
    terms: Vec<(u32, u32)>,
    spelled: String,
}

/// The units of an event. A record has room for so many terms, and tags come first.
fn units_of(event: &EventRef<'_>) -> Units {
    let room = (TERMS_PER_RECORD_MAX - OTHER_TERMS_MAX).saturating_sub(event.tag_count()) / 2;
    let mut units = Units::new(room.min(UNITS_MAX));
    if event.kind() == 0 {
        add_profile(event, &mut units);
        return units;
    }
    let mut value = String::new();
    for tag in event.tags() {
        let named = |name: crate::nostr::Item<'_>| TAGS.iter().any(|known| name == **known);
        if let (Some(name), Some(item)) = (tag.name(), tag.value())
            && named(name)
        {
            value.clear();
            item.write(&mut value);
            units.add(&value);
            units.end_text();
        }
    }
    units.add(event.content());
    units
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

/// Adds the terms of an event's words to `out`.
pub(in crate::nostr) fn add_terms(event: &EventRef<'_>, out: &mut Terms) {
    units_of(event).terms().for_each(|word| terms::word(word, out));
}

impl EventWords {
    /// The words of `event`. Costs a walk over its texts, some 15 ns a byte, and two allocations.
    pub fn of(event: &EventRef<'_>) -> EventWords {
        let units = units_of(event);
        let mut spelled = String::new();
        let mut terms: Vec<(u32, u32)> = units
            .terms()
            .map(|term| {
                let start = spelled.len() as u32;
                spelled.push_str(term);
                (start, spelled.len() as u32)
            })
            .collect();
        let at = |&(a, b): &(u32, u32)| &spelled.as_bytes()[a as usize..b as usize];
        terms.sort_unstable_by(|x, y| at(x).cmp(at(y)));
        EventWords { units, terms, spelled }
    }

    /// How often a term of the index stands in the event.
    pub fn count(&self, term: &str) -> usize {
        let at = |&(a, b): &(u32, u32)| &self.spelled.as_bytes()[a as usize..b as usize];
        let start = self.terms.partition_point(|t| at(t) < term.as_bytes());
        self.terms[start..].iter().take_while(|t| at(t) == term.as_bytes()).count()
    }

    /// How long the event is, in words and characters of scripts without spaces.
    pub fn len(&self) -> usize {
        self.units.units().iter().filter(|unit| unit.form != Form::Break).count()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The terms of the words, with repetitions.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|&(a, b)| &self.spelled[a as usize..b as usize])
    }

    /// Whether the units of `phrase` stand in a row.
    pub(super) fn has_phrase(&self, phrase: &[Box<str>]) -> bool {
        let is = |(unit, wanted): (&Unit, &Box<str>)| {
            unit.form != Form::Break && *self.units.spelling(*unit) == **wanted
        };
        self.units.units().windows(phrase.len()).any(|row| row.iter().zip(phrase).all(is))
    }
}
