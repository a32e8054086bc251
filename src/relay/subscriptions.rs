//! Which subscriptions an event belongs to: filters filed under terms, events looked up by theirs.
//!
//! ```text
//!   filter --most selective condition--> terms: id | author | tag | word | kind | (any)
//!   event  --own terms--> places: (subscription, filter) --Filter::matches--> owner
//! ```
//!
//! A filter is filed under every value of one condition: ids before authors, then the tag with the
//! fewest values, then the longest word of its search, then kinds; without any it is looked at for every event. So
//! an event costs a look-up for each of its terms and a check for each candidate, however many filters there are.
//! Its texts are split into words once, and only if some filter asks for words.
//!
//! I1. A filter that matches an event is filed under a term of that event, or under no term.
//! I2. An owner is told once of an event, however many of its filters match.

use crate::base::Terms;
use crate::nostr::search::{EventWords, SearchKinds};
use crate::nostr::{EventRef, Filter, Search, terms};
use std::cell::OnceCell;
use std::collections::HashMap;

/// First byte of the term of an event's id; `nostr::terms` has no such term and starts at 1.
const ID: u8 = 0;

/// Subscriptions and whom they belong to.
pub(super) struct Subscriptions<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    /// By term. The hash is keyed: the values are the clients' choice.
    filed: HashMap<Box<[u8]>, Vec<Place>>,
    any: Vec<Place>,
    /// How many filters stand under a word, and of which kinds of event.
    under_words: usize,
    searched: SearchKinds,
    terms: Terms,
    /// Counts events, so that a slot knows whether it was told of this one (I2).
    round: u64,
}

/// A subscription's handle, good until it is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SubKey(u32);

struct Slot<T> {
    filters: Vec<Filter>,
    owner: T,
    told: u64,
}

/// One filter of one subscription.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    slot: u32,
    filter: u32,
}

/// Where a filter is filed.
enum Filed {
    /// It matches nothing.
    Nowhere,
    /// Under the terms that were added.
    UnderTerms,
    /// It has no condition that terms express.
    Any,
}

impl<T> Subscriptions<T> {
    pub(super) fn new() -> Subscriptions<T> {
        Subscriptions {
            slots: Vec::new(),
            free: Vec::new(),
            filed: HashMap::new(),
            any: Vec::new(),
            under_words: 0,
            searched: SearchKinds::off(),
            terms: Terms::new(),
            round: 0,
        }
    }

    /// Adds a subscription; its owner is told of every event that matches one of `filters`.
    pub(super) fn insert(&mut self, filters: Vec<Filter>, owner: T) -> SubKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        for (filter, number) in filters.iter().zip(0..) {
            let place = Place { slot, filter: number };
            match file(filter, &mut self.terms) {
                Filed::Nowhere => {}
                Filed::Any => self.any.push(place),
                Filed::UnderTerms => {
                    if self.terms.iter().any(is_word) {
                        self.under_words += 1;
                        let search = filter.ranked().map(Search::kinds);
                        self.searched = search.cloned().unwrap_or_default();
                    }
                    for term in self.terms.iter() {
                        match self.filed.get_mut(term) {
                            Some(places) => places.push(place),
                            None => drop(self.filed.insert(term.into(), vec![place])),
                        }
                    }
                }
            }
        }
        self.slots[slot as usize] = Some(Slot { filters, owner, told: 0 });
        SubKey(slot)
    }

    /// Removes a subscription and gives back its owner.
    pub(super) fn remove(&mut self, key: SubKey) -> Option<T> {
        let slot = self.slots.get_mut(key.0 as usize)?.take()?;
        self.free.push(key.0);
        for (filter, number) in slot.filters.iter().zip(0..) {
            let place = Place { slot: key.0, filter: number };
            match file(filter, &mut self.terms) {
                Filed::Nowhere => {}
                Filed::Any => take_out(&mut self.any, place),
                Filed::UnderTerms => {
                    self.under_words -= usize::from(self.terms.iter().any(is_word));
                    for term in self.terms.iter() {
                        let Some(places) = self.filed.get_mut(term) else { continue };
                        take_out(places, place);
                        if places.is_empty() {
                            self.filed.remove(term);
                        }
                    }
                }
            }
        }
        Some(slot.owner)
    }

    /// Calls `tell` with the owner of each subscription that `event` belongs to.
    pub(super) fn find(&mut self, event: &EventRef<'_>, mut tell: impl FnMut(&T)) {
        self.round += 1;
        let round = self.round;
        let slots = &mut self.slots;
        let words = OnceCell::new();
        let mut offer = |places: &[Place]| {
            for place in places {
                let Some(slot) = &mut slots[place.slot as usize] else { continue };
                let filter = &slot.filters[place.filter as usize];
                if slot.told != round && filter.matches_with(event, &words) {
                    slot.told = round;
                    tell(&slot.owner);
                }
            }
        };
        offer(&self.any);
        if self.filed.is_empty() {
            return;
        }
        self.terms.clear();
        id(event.id(), &mut self.terms);
        terms::author(event.pubkey(), &mut self.terms);
        terms::kind(event.kind(), &mut self.terms);
        for tag in event.tags() {
            if let (Some(letter), Some(value)) = (tag.letter(), tag.value()) {
                terms::tag(letter, value, &mut self.terms);
            }
        }
        if self.under_words > 0 && self.searched.has(event.kind()) {
            let words = words.get_or_init(|| EventWords::of(event));
            words.terms().for_each(|word| terms::word(word, &mut self.terms));
            self.terms.seal();
        }
        for term in self.terms.iter() {
            if let Some(places) = self.filed.get(term) {
                offer(places);
            }
        }
    }

    /// Whether no event belongs to anything.
    pub(super) fn is_empty(&self) -> bool {
        self.filed.is_empty() && self.any.is_empty()
    }
}

/// Puts the terms of a filter's most selective condition in `out` (I1).
fn file(filter: &Filter, out: &mut Terms) -> Filed {
    out.clear();
    if filter.is_empty() {
        return Filed::Nowhere;
    }
    let fewest = filter.tags.iter().min_by_key(|(_, values)| values.len());
    if let Some(ids) = &filter.ids {
        ids.iter().for_each(|value| id(value, out));
    } else if let Some(authors) = &filter.authors {
        authors.iter().for_each(|author| terms::author(author, out));
    } else if let Some((letter, values)) = fewest {
        values.iter().for_each(|value| terms::tag(*letter, value.item(), out));
    } else if let Some(search) = filter.ranked() {
        let longest = search.words().iter().max_by_key(|word| word.len());
        longest.into_iter().for_each(|word| terms::word(word, out));
    } else if let Some(kinds) = &filter.kinds {
        kinds.iter().for_each(|kind| terms::kind(*kind, out));
    } else {
        return Filed::Any;
    }
    Filed::UnderTerms
}

fn is_word(term: &[u8]) -> bool {
    term.first() == Some(&terms::WORD)
}

fn id(id: &[u8; 32], out: &mut Terms) {
    out.push(&[&[ID], id]);
}

fn take_out(places: &mut Vec<Place>, place: Place) {
    // From the back: what comes and goes stands there. Order does not matter.
    if let Some(at) = places.iter().rposition(|p| *p == place) {
        places.swap_remove(at);
    }
}

#[cfg(test)]
#[path = "tests/subscriptions.rs"]
mod tests;
