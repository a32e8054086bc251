//! Filters of NIP-01: what a client asks for, and whether an event is it.
//!
//! All conditions must hold; of a condition's values one must. A list that is there and empty
//! matches nothing. `since` and `until` are inclusive. Only the first value of a tag with a
//! single-letter name is looked at, in every tag of that name, and compared whole.

use std::cell::OnceCell;
use std::fmt;

use super::event::{EventRef, Item};
use super::format;
use super::search::{EventWords, Search};

/// One filter. The default matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The event's id is one of these.
    pub ids: Option<Vec<[u8; 32]>>,
    /// The author's key is one of these.
    pub authors: Option<Vec<[u8; 32]>>,
    /// The kind is one of these.
    pub kinds: Option<Vec<u16>>,
    /// The kind is none of these. No filter in JSON says so; it is for who hides kinds from clients.
    pub not_kinds: Vec<u16>,
    /// For each letter (`a-z`, `A-Z`): one of the event's tags of that name has one of these values.
    pub tags: Vec<(u8, Vec<TagValue>)>,
    /// `created_at` is this or later.
    pub since: u64,
    /// `created_at` is this or earlier.
    pub until: u64,
    /// The event has these words. Such a filter's answer is ranked, and `limit` is for the best.
    pub search: Option<Search>,
    /// The newest so many of the matches. [`Filter::matches`] does not look at it.
    pub limit: Option<u64>,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            ids: None,
            authors: None,
            kinds: None,
            not_kinds: Vec::new(),
            tags: Vec::new(),
            since: 0,
            until: u64::MAX,
            search: None,
            limit: None,
        }
    }
}

impl Filter {
    /// Whether the event meets every condition but `limit`. Lists of many values are searched in
    /// logarithmic time if they are sorted (see [`Filter::normalize`]) and hold the value, else in
    /// linear time. If there is a search, the event's texts are split into words.
    pub fn matches(&self, event: &EventRef<'_>) -> bool {
        self.meets::<false>(event, &OnceCell::new())
    }

    /// As [`Filter::matches`]; `words` keeps the event's words from one filter to the next.
    pub fn matches_with(&self, event: &EventRef<'_>, words: &OnceCell<EventWords>) -> bool {
        self.meets::<false>(event, words)
    }

    /// As [`Filter::matches`], of a normalized filter: a miss in a long list is quick too.
    pub(super) fn matches_sorted(&self, event: &EventRef<'_>) -> bool {
        self.meets::<true>(event, &OnceCell::new())
    }

    /// The search, if it asks for anything: then the answer is ranked.
    pub fn ranked(&self) -> Option<&Search> {
        self.search.as_ref().filter(|search| !search.is_empty())
    }

    fn meets<const SORTED: bool>(
        &self,
        event: &EventRef<'_>,
        words: &OnceCell<EventWords>,
    ) -> bool {
        (self.since..=self.until).contains(&event.created_at())
            && self.kinds.as_ref().is_none_or(|list| holds::<SORTED, _>(list, &event.kind()))
            && !holds::<SORTED, _>(&self.not_kinds, &event.kind())
            && self.authors.as_ref().is_none_or(|list| holds::<SORTED, _>(list, event.pubkey()))
            && self.ids.as_ref().is_none_or(|list| holds::<SORTED, _>(list, event.id()))
            && self.tags.iter().all(|(letter, values)| {
                let mut tags = event.tags().filter(|tag| tag.letter() == Some(*letter));
                tags.any(|tag| tag.value().is_some_and(|value| has::<SORTED>(values, value)))
            })
            // Last, since it costs most.
            && self.search.as_ref().is_none_or(|search| search.matches(event, words))
    }

    /// Whether no event can match: an empty list, or `since` after `until`.
    pub fn is_empty(&self) -> bool {
        self.since > self.until
            || self.ids.as_ref().is_some_and(Vec::is_empty)
            || self.authors.as_ref().is_some_and(Vec::is_empty)
            || self.kinds.as_ref().is_some_and(Vec::is_empty)
            || self.tags.iter().any(|(_, values)| values.is_empty())
    }

    /// Sorts all lists and drops repetitions. The answer stays the same. Parsed filters are so.
    pub fn normalize(&mut self) {
        self.ids.iter_mut().for_each(sort);
        self.authors.iter_mut().for_each(sort);
        self.kinds.iter_mut().for_each(sort);
        sort(&mut self.not_kinds);
        self.tags.iter_mut().for_each(|(_, values)| sort(values));
        self.tags.sort_by_key(|(letter, _)| *letter);
    }
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    // Parsed filters are in order, and are put in order again by whoever is handed one.
    if !list.is_sorted_by(|a, b| a < b) {
        list.sort_unstable();
        list.dedup();
    }
}

/// Below this a plain walk is as fast as a binary search.
const SEARCH_MIN: usize = 16;

pub(super) fn holds<const SORTED: bool, T: Ord>(list: &[T], value: &T) -> bool {
    // The fields are open, so a list may be unsorted: then a miss of the search proves nothing.
    let long = list.len() >= SEARCH_MIN;
    (long && list.binary_search(value).is_ok()) || !(long && SORTED) && list.contains(value)
}

fn has<const SORTED: bool>(values: &[TagValue], value: Item<'_>) -> bool {
    let long = values.len() >= SEARCH_MIN;
    (long && values.binary_search_by(|v| order(v.item(), value)).is_ok())
        || !(long && SORTED) && values.iter().any(|v| v.item() == value)
}

/// A tag's value in a filter, in the same canonical form as in an event's body.
#[derive(Clone, PartialEq, Eq)]
pub struct TagValue {
    /// Whether `bytes` are what a hex text spells.
    packed: bool,
    bytes: Box<[u8]>,
}

impl TagValue {
    /// The value that is this text.
    pub fn new(text: &str) -> TagValue {
        let mut bytes = Vec::with_capacity(text.len());
        let packed = format::packs(text.as_bytes());
        if packed {
            bytes.resize(text.len() / 2, 0);
            let decoded = const_hex::decode_to_slice(text, &mut bytes);
            debug_assert!(decoded.is_ok(), "packs() promised hex");
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
        TagValue { packed, bytes: bytes.into() }
    }

    /// The value as an event's tag has it.
    pub fn item(&self) -> Item<'_> {
        if self.packed {
            Item::Hex(&self.bytes)
        } else {
            Item::Text(std::str::from_utf8(&self.bytes).unwrap_or_default())
        }
    }
}

impl From<&str> for TagValue {
    fn from(text: &str) -> TagValue {
        TagValue::new(text)
    }
}

impl From<[u8; 32]> for TagValue {
    fn from(id: [u8; 32]) -> TagValue {
        TagValue { packed: true, bytes: Box::new(id) }
    }
}

impl fmt::Display for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.item().fmt(f)
    }
}

impl fmt::Debug for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Ord for TagValue {
    fn cmp(&self, other: &TagValue) -> std::cmp::Ordering {
        order(self.item(), other.item())
    }
}

impl PartialOrd for TagValue {
    fn partial_cmp(&self, other: &TagValue) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Texts before hex, each by bytes.
fn order(a: Item<'_>, b: Item<'_>) -> std::cmp::Ordering {
    fn form(item: Item<'_>) -> (bool, &[u8]) {
        match item {
            Item::Text(text) => (false, text.as_bytes()),
            Item::Hex(bytes) => (true, bytes),
        }
    }
    form(a).cmp(&form(b))
}

#[cfg(test)]
mod tests;
