//! The answer to filters of which some have a search: the best first.
//!
//! ```text
//!   filter with a search --Select, newest SCORED_MIN--> matches --score--> best `limit` keys --+
//!   ... each in its turn                                                                       +--> each id once
//!   all other filters ----------------------------------Cursor---------------------------------+
//! ```
//!
//! I1. What is scored is the matches of the engine's own cursor: nothing that it hides is ranked or given.
//! I2. What weighs words counts no event of a private kind, or the order would tell that one is there.
//! I3. Only keys are kept of what is ranked. Its events are read again, from the same snapshot, one at a time.

use super::event::{Event, EventRef};
use super::expiration;
use super::filter::Filter;
use super::plan::selects_at;
use super::private::PrivateKinds;
use super::search::{Found, Search, SearchKinds, Weights, best_first};
use super::store::damaged;
use super::terms;
use crate::base::{Key, Result, Terms};
use crate::model::Record;
use crate::query::{self, Cursor, Order};
use crate::store::{Store, StoreSnapshot};
use std::collections::HashSet;

/// Matches of a search that are scored at least, if there are so many: its newest ones. Some 2 ms; beyond, what is older
/// is not looked at.
pub const SCORED_MIN: usize = 512;

/// How many times its limit are scored, if that is more.
const SCORED_TIMES: usize = 4;

/// What is counted to weigh words.
#[derive(Clone, Copy)]
pub(super) struct Corpus<'a> {
    /// Not counted (I2).
    pub(super) private: &'a PrivateKinds,
    /// The kinds that have words.
    pub(super) searched: &'a SearchKinds,
}

impl Corpus<'_> {
    /// How many records stand under each of these words, and how many there are of the kinds that have words. Nothing,
    /// if private kinds have: then all words weigh the same.
    fn count(&self, snapshot: &StoreSnapshot, search: &Search) -> Result<(Vec<u64>, u64)> {
        if self.searched.kinds().iter().any(|kind| self.private.has(*kind)) {
            return Ok((vec![0; search.words().len()], 0));
        }
        let (mut words, mut kinds) = (Terms::new(), Terms::new());
        search.words().iter().for_each(|word| terms::word(word, &mut words));
        self.searched.kinds().iter().for_each(|kind| terms::kind(*kind, &mut kinds));
        let count = |terms: &Terms| {
            let terms: Vec<&[u8]> = terms.iter().collect();
            query::postings(&terms, snapshot.shards())
        };
        Ok((count(&words)?, count(&kinds)?.iter().sum()))
    }
}

/// How the answer to a query comes.
pub(super) enum Answer {
    /// In the store's order.
    Ordered(Cursor),
    /// The best first.
    Ranked(Box<Ranked>),
}

/// What is ranked, and then what is not.
pub(super) struct Ranked {
    snapshot: StoreSnapshot,
    best: std::vec::IntoIter<Key>,
    /// The ids of all that is ranked, if something else follows.
    given: HashSet<[u8; 32]>,
    rest: Cursor,
    event: Option<Event>,
    now: u64,
}

impl Ranked {
    /// Ranks what the filters with a search find. Costs what reading the matches costs, and splitting their texts.
    pub(super) fn open(
        store: &Store,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        order: Order,
        (now, corpus): (u64, Corpus<'_>),
    ) -> Result<Ranked> {
        let (mut best, mut given) = (Vec::new(), HashSet::new());
        for filter in filters {
            let Some(search) = filter.ranked() else { continue };
            let found = rank(store, snapshot, (filter, search), (now, corpus))?;
            best.extend(found.into_iter().filter(|key| given.insert(key.id)));
        }
        let plain = filters.iter().filter(|filter| filter.ranked().is_none());
        let plain: Vec<Filter> = plain.cloned().collect();
        let rest = store.query_at(snapshot, &selects_at(&plain, now), order)?;
        let (snapshot, best) = (snapshot.clone(), best.into_iter());
        Ok(Ranked { snapshot, best, given, rest, event: None, now })
    }

    /// The next event, good until the next call.
    pub(super) fn next(&mut self) -> Result<Option<EventRef<'_>>> {
        let event = match self.next_ranked()? {
            Some(event) => Some(event),
            None => self.next_other()?,
        };
        self.event = event;
        Ok(self.event.as_ref().map(Event::as_ref))
    }

    /// From here on, what has expired by `now` is not given.
    pub(super) fn pass_time(&mut self, now: u64) {
        self.now = now;
        self.rest.pass_time(now);
    }

    fn next_ranked(&mut self) -> Result<Option<Event>> {
        for key in self.best.by_ref() {
            let owned = |record: Record<'_>| EventRef::stored(record).map(|event| event.to_owned());
            let shards = self.snapshot.shards();
            let found = query::get(&key.id, shards, Some(expiration::hidden(self.now)), owned);
            // Nothing, if the engine has begun to hide it meanwhile.
            if let Some(event) = found?.transpose().map_err(damaged)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn next_other(&mut self) -> Result<Option<Event>> {
        while let Some(record) = self.rest.next()? {
            if !self.given.contains(&record.key.id) {
                let event = EventRef::stored(record).map_err(damaged)?;
                return Ok(Some(event.to_owned()));
            }
        }
        Ok(None)
    }
}

/// The best matches of one filter.
fn rank(
    store: &Store,
    snapshot: &StoreSnapshot,
    (filter, search): (&Filter, &Search),
    (now, corpus): (u64, Corpus<'_>),
) -> Result<Vec<Key>> {
    let Some(mut what) = selects_at(std::slice::from_ref(filter), now).pop() else {
        return Ok(Vec::new());
    };
    let limit = what.limit.unwrap_or(usize::MAX);
    if limit == 0 || filter.is_empty() {
        return Ok(Vec::new());
    }
    what.limit = what.limit.map(|limit| limit.saturating_mul(SCORED_TIMES).max(SCORED_MIN));
    let (frequencies, records) = corpus.count(snapshot, search)?;
    let mut weights = Weights::new(search, &frequencies, records, now);
    let mut matches = store.query_at(snapshot, &[what], Order::Newest)?;
    let found = std::iter::from_fn(|| {
        let mut scored = |record| {
            let event = EventRef::stored(record).map_err(damaged)?;
            Ok(Found { score: weights.score(&event), key: event.key() })
        };
        matches.next().and_then(|record| record.map(&mut scored).transpose()).transpose()
    });
    Ok(best_first(found, limit)?.into_iter().map(|found| found.key).collect())
}

#[cfg(test)]
mod tests;
