//! From a filter to the engine's selection: which terms, which shards.

use super::filter::Filter;
use super::matcher::Matcher;
use super::search::Search;
use super::{expiration, marks, terms};
use crate::base::{Terms, hash64};
use crate::query::{AnyOf, Select};
use std::sync::Arc;

/// Author-and-kind pairs up to which both conditions become one. Beyond, looking up each pair costs
/// more than intersecting the authors' lists with the kinds'.
const PAIRS_MAX: usize = 2_048;

/// The selection of `filter`, whether events have expired or not.
pub fn select(filter: &Filter) -> Select {
    let matcher = Arc::new(Matcher::new(filter));
    let filter = matcher.filter();
    let (mut all_of, mut spared) = (Vec::new(), 0);
    match (&filter.authors, &filter.kinds) {
        (Some(authors), Some(kinds)) if authors.len() * kinds.len() <= PAIRS_MAX => {
            spared = authors.len() * kinds.len();
            let matcher = matcher.clone();
            all_of.push(AnyOf::later(spared, move || pairs(matcher.filter())));
        }
        (authors, kinds) => {
            if let Some(authors) = authors {
                spared = authors.len();
                all_of.push(collect(authors, terms::author).into());
            }
            let kinds = kinds.as_ref();
            all_of.extend(kinds.map(|list| collect(list, |k, out| terms::kind(*k, out)).into()));
        }
    }
    for (letter, values) in &filter.tags {
        let under = collect(values, |value, out| terms::tag(*letter, value.item(), out));
        all_of.push(under.into());
    }
    let words = filter.ranked().map(Search::words).unwrap_or_default();
    let words = words.iter().map(|word| collect([word], |word, out| terms::word(word, out)));
    all_of.extend(words.map(AnyOf::from));
    let hash = |list: &Vec<[u8; 32]>| list.iter().map(|author| hash64(author)).collect();
    let routes: Option<Vec<u64>> = filter.authors.as_ref().map(hash);
    let sieve = marks::sieve(filter, routes.as_deref().unwrap_or(&[]), spared);
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
        sieve: sieve.map(Arc::new),
        matches: Arc::new(move |record| matcher.matches(record)),
    }
}

/// The terms of every author with every kind of a normalized filter.
fn pairs(filter: &Filter) -> Vec<Vec<u8>> {
    let (authors, kinds) = (filter.authors.iter().flatten(), filter.kinds.iter().flatten());
    let pairs = authors.flat_map(|author| kinds.clone().map(move |kind| (author, *kind)));
    collect(pairs, |(author, kind), out| terms::author_kind(author, kind, out))
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
