//! A filter as the engine asks it of records: what stands at fixed places of the body first, and for many filters only that.
//!
//! ```text
//!   pubkey --first byte--> [ where it begins among the authors, for each of 256 ] --> the few that begin so
//! ```
//!
//! I1. It says what [`Filter::matches`] says of the event. Of a body that is none, or damaged behind its kind, it may say
//!     yes: who takes the record as an event finds out.
//! Cost: some 20 ns, whatever the number of authors, if the filter has neither tags nor a search.

use super::event::EventRef;
use super::filter::{Filter, holds};
use super::format::KIND_AT;
use crate::model::Record;

/// Authors from which on they are found by their first byte.
const AUTHORS_MIN: usize = 16;

/// A normalized filter, ready to be asked often.
pub struct Matcher {
    filter: Filter,
    /// How many authors begin with a lower byte, for each byte and one more; empty if there are few.
    starts: Vec<u32>,
    /// Whether the record's parts have to be found: for tags, and texts.
    has_parts: bool,
}

impl Matcher {
    /// Of `filter`. Costs a copy of it.
    pub fn new(filter: &Filter) -> Matcher {
        let mut filter = filter.clone();
        filter.normalize();
        let authors = filter.authors.as_deref().unwrap_or(&[]);
        let mut starts = Vec::new();
        if authors.len() >= AUTHORS_MIN {
            starts.resize(257, 0);
            authors.iter().for_each(|author| starts[usize::from(author[0]) + 1] += 1);
            (1..257).for_each(|byte| starts[byte] += starts[byte - 1]);
        }
        let has_parts = !filter.tags.is_empty() || filter.search.is_some();
        Matcher { filter, starts, has_parts }
    }

    /// The filter, its lists sorted and without repetitions.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the event that `record` is matches.
    pub fn matches(&self, record: Record<'_>) -> bool {
        let Filter { ids, kinds, not_kinds, since, until, .. } = &self.filter;
        let kind = record.body.get(KIND_AT..).and_then(|rest| rest.first_chunk());
        let (Some(pubkey), Some(kind)) = (record.body.first_chunk(), kind) else { return false };
        let kind = u16::from_le_bytes(*kind);
        (since..=until).contains(&&record.key.time)
            && kinds.as_ref().is_none_or(|list| holds::<true, _>(list, &kind))
            && !holds::<true, _>(not_kinds, &kind)
            && self.has_author(pubkey)
            && ids.as_ref().is_none_or(|list| holds::<true, _>(list, &record.key.id))
            && (!self.has_parts
                || EventRef::stored(record).is_ok_and(|event| self.filter.matches_sorted(&event)))
    }

    fn has_author(&self, pubkey: &[u8; 32]) -> bool {
        let Some(authors) = &self.filter.authors else { return true };
        let first = usize::from(pubkey[0]);
        match self.starts.get(first..first + 2) {
            Some(&[start, end]) => {
                authors[start as usize..end as usize].binary_search(pubkey).is_ok()
            }
            _ => authors.contains(pubkey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;
    use crate::nostr::Event;

    #[test]
    fn random_filters_say_what_the_matcher_says() {
        let mut rng = Rng::new(3);
        let mut both = [0; 2];
        for round in 0..3_000 {
            let mut some = |most: u64, values: u64| -> Option<Vec<u8>> {
                let count = rng.below(most);
                (rng.below(3) > 0).then(|| (0..count).map(|_| rng.below(values) as u8).collect())
            };
            let key = |n: u8| [[n % 5; 16], [n; 16]].concat().try_into().unwrap();
            let ids = some(9, 4).filter(|_| round % 5 == 0);
            let filter = Filter {
                authors: some(60, 90).map(|list| list.into_iter().map(key).collect()),
                kinds: some(5, 4).map(|list| list.into_iter().map(u16::from).collect()),
                not_kinds: some(2, 4).unwrap_or_default().into_iter().map(u16::from).collect(),
                ids: ids.map(|list| list.into_iter().map(|n| [n; 32]).collect()),
                tags: match round % 3 {
                    0 => vec![(b't', vec!["a".into(), "b".into()])],
                    _ => Vec::new(),
                },
                since: rng.below(5),
                until: 3 + rng.below(5),
                ..Filter::default()
            };
            let matcher = Matcher::new(&filter);
            for _ in 0..30 {
                let (author, kind) = (key(rng.below(90) as u8), rng.below(4) as u16);
                let tags = [vec!["t", ["a", "b", "c"][rng.below(3) as usize]]];
                let event = Event::from_parts(author, rng.below(9), kind, &tags, "text");
                let record = event.as_ref().record();
                let says = filter.matches(&event.as_ref());
                assert_eq!(matcher.matches(record), says, "{filter:?} {event:?}");
                both[usize::from(says)] += 1;
            }
        }
        assert!(both.iter().all(|&count| count > 1_000), "{both:?}");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let matcher = Matcher::new(&Filter::default());
        let key = crate::base::Key { time: 1, id: [1; 32] };
        for len in 0..200 {
            let said = matcher.matches(Record { key, body: &vec![0xff; len] });
            assert_eq!(said, len >= KIND_AT + 2);
        }
    }
}
