//! From a filter to the engine's selection: which terms, which shards.

use super::event::EventRef;
use super::filter::Filter;
use super::search::Search;
use super::{expiration, terms};
use crate::base::{Terms, hash64};
use crate::query::Select;
use std::sync::Arc;

/// Author-and-kind pairs up to which both conditions become one. Beyond, looking up each pair costs
/// more than intersecting the authors' lists with the kinds'.
const PAIRS_MAX: usize = 2_048;

/// The selection of `filter`, whether events have expired or not.
pub fn select(filter: &Filter) -> Select {
    let mut all_of = Vec::new();
    match (&filter.authors, &filter.kinds) {
        (Some(authors), Some(kinds)) if authors.len() * kinds.len() <= PAIRS_MAX => {
            let pairs =
                authors.iter().flat_map(|author| kinds.iter().map(move |kind| (author, *kind)));
            all_of
                .push(collect(pairs, |(author, kind), out| terms::author_kind(author, kind, out)));
        }
        (authors, kinds) => {
            all_of.extend(authors.as_ref().map(|list| collect(list, terms::author)));
            all_of.extend(
                kinds.as_ref().map(|list| collect(list, |kind, out| terms::kind(*kind, out))),
            );
        }
    }
    for (letter, values) in &filter.tags {
        all_of.push(collect(values, |value, out| terms::tag(*letter, value.item(), out)));
    }
    let words = filter.ranked().map(Search::words).unwrap_or_default();
    all_of.extend(words.iter().map(|word| collect([word], |word, out| terms::word(word, out))));
    let routes =
        filter.authors.as_ref().map(|list| list.iter().map(|author| hash64(author)).collect());
    let mut matching = filter.clone();
    matching.normalize();
    Select {
        all_of,
        none_of: collect(&filter.not_kinds, |kind, out| terms::kind(*kind, out)),
        ids: filter.ids.clone(),
        since: filter.since,
        until: filter.until,
        limit: filter.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        routes,
        expired: None,
        residual: filter.ranked().is_some_and(Search::has_phrases),
        matches: Arc::new(move |record| {
            EventRef::stored(record).is_ok_and(|event| matching.matches_sorted(&event))
        }),
    }
}

/// The selections of `filters`, without the events that have expired at `now`.
pub fn selects_at(filters: &[Filter], now: u64) -> Vec<Select> {
    let expired = Some(expiration::hidden(now));
    filters.iter().map(|filter| Select { expired, ..select(filter) }).collect()
}

fn collect<T>(values: impl IntoIterator<Item = T>, term: impl Fn(T, &mut Terms)) -> Vec<Vec<u8>> {
    let mut out = Terms::new();
    values.into_iter().for_each(|value| term(value, &mut out));
    // Sorted, so that a dictionary is read forward; without repetitions, so that each list is walked once.
    out.seal();
    out.iter().map(<[u8]>::to_vec).collect()
}
