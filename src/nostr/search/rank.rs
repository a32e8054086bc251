//! The order of a search's answer: BM25 of its words, more for what is recent.
//!
//! ```text
//!   score   = sum over words of idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * words / WORDS_MEAN))
//!             * (1 + 1 / (1 + age / RECENT_SECONDS))
//!   idf     = ln(1 + (records - df + 0.5) / (df + 0.5))
//! ```
//!
//! `tf` is how often the word stands in the event, `words` how long the event is, `df` how long the word's posting
//! lists are, the dead included, `records` how many there are of the kinds that have words. An event of this moment counts twice, one
//! of `RECENT_SECONDS` one and a half times, an old one once.
//!
//! I1. The order is total: score, then the store's own order. No score is NaN.

use super::fields::Tally;
use super::query::Search;
use crate::base::{Key, Result};
use crate::nostr::event::EventRef;
use std::cmp::Ordering;

/// How soon repetitions of a word stop counting. The usual value.
const K1: f64 = 1.2;

/// How much length counts against an event: less than the usual 0.75, since one store has notes and articles.
const B: f64 = 0.4;

/// Words of a note, roughly. A constant, so that no mean has to be kept.
const WORDS_MEAN: f64 = 32.0;

/// Age at which half of what recency gives is gone: 30 days.
const RECENT_SECONDS: f64 = 30.0 * 86_400.0;

/// What a search's words weigh in a store.
pub(in crate::nostr) struct Weights<'a> {
    search: &'a Search,
    idf: Vec<f64>,
    now: u64,
    tally: Tally,
}

impl Weights<'_> {
    /// Of a search whose words have posting lists of these lengths, among `records`, at `now`.
    pub(in crate::nostr) fn new<'a>(
        search: &'a Search,
        frequencies: &[u64],
        records: u64,
        now: u64,
    ) -> Weights<'a> {
        let idf = |&df: &u64| {
            let (df, records) = (df as f64, records.max(df) as f64);
            ((records - df + 0.5) / (df + 0.5)).ln_1p()
        };
        Weights { search, idf: frequencies.iter().map(idf).collect(), now, tally: Tally::default() }
    }

    /// The score of an event. Splits its texts, without an allocation as a rule.
    pub(in crate::nostr) fn score(&mut self, event: &EventRef<'_>) -> f64 {
        let (counts, length) = self.tally.count(event, self.search.words());
        let norm = K1 * (1.0 - B + B * length as f64 / WORDS_MEAN);
        let each = counts.iter().zip(&self.idf).map(|(&tf, idf)| {
            let tf = f64::from(tf);
            idf * tf * (K1 + 1.0) / (tf + norm)
        });
        let age = self.now.saturating_sub(event.created_at()) as f64;
        each.sum::<f64>() * (1.0 + 1.0 / (1.0 + age / RECENT_SECONDS))
    }
}

/// A match and its score. The greater comes first.
#[derive(Clone, Copy, Debug)]
pub(in crate::nostr) struct Found {
    pub(in crate::nostr) score: f64,
    pub(in crate::nostr) key: Key,
}

impl Ord for Found {
    fn cmp(&self, other: &Found) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Found) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Found {}

/// The `limit` best of `found`, the best first; keeps no more than these in memory.
pub(in crate::nostr) fn best_first(
    found: impl Iterator<Item = Result<Found>>,
    limit: usize,
) -> Result<Vec<Found>> {
    let mut best = std::collections::BinaryHeap::new();
    for one in found {
        best.push(std::cmp::Reverse(one?));
        if best.len() > limit {
            best.pop();
        }
    }
    // The worst on top: sorted, the best come first.
    Ok(best.into_sorted_vec().into_iter().map(|std::cmp::Reverse(found)| found).collect())
}
