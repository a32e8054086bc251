//! What is asked of a log store, and the engine's selection for it.
//!
//! ```text
//!   time from (inclusive) to (exclusive)   AND   one of the sources   AND   all of the tokens
//! ```

use super::model::{CROWDED, is_hashed, route_of, source_term, token_term};
use super::record::decode;
use super::tokens::Needles;
use super::{Position, Resume};
use crate::base::{Terms, hash64};
use crate::model::Record;
use crate::query::{AnyOf, Order, Select};
use crate::store::StoreSnapshot;
use std::sync::Arc;

/// A question. `Query::default()` asks for everything, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The earliest time, in microseconds.
    pub from: Option<u64>,
    /// The time before which records must be, in microseconds.
    pub to: Option<u64>,
    /// Newest first: exactly the mirror.
    pub reverse: bool,
    /// One of these sources, by UUID; none: of any.
    pub sources: Vec<[u8; 16]>,
    /// Texts all of whose tokens must be in a record. What has no token, as `-` or `a`, asks for nothing.
    pub tokens: Vec<Vec<u8>>,
    /// At most this many records; 0: all.
    pub limit: usize,
    /// Where an earlier page of the same question ended.
    pub resume: Option<Resume>,
}

impl Query {
    /// Records from `start`, inclusive, to `end`, exclusive; if `end` is before `start`, newest first those below
    /// `start` down to `end`, inclusive. A missing bound bounds nothing.
    pub fn between(start: Option<u64>, end: Option<u64>) -> Query {
        match (start, end) {
            (Some(start), Some(end)) if end < start => {
                Query { from: Some(end), to: Some(start), reverse: true, ..Query::default() }
            }
            (from, to) => Query { from, to, ..Query::default() },
        }
    }

    /// The engine's order.
    pub(super) fn order(&self) -> Order {
        if self.reverse { Order::Newest } else { Order::Oldest }
    }

    /// A hash of what selects records and in which order, times aside, which a resume token keeps whole.
    pub(super) fn hash(&self) -> u64 {
        let mut sources = self.sources.clone();
        sources.sort_unstable();
        sources.dedup();
        let mut bytes = vec![u8::from(self.reverse)];
        bytes.extend((sources.len() as u64).to_le_bytes());
        bytes.extend(sources.iter().flatten());
        let needles = Needles::new(&self.tokens);
        for token in needles.tokens() {
            bytes.extend((token.len() as u64).to_le_bytes());
            bytes.extend(token);
        }
        hash64(&bytes)
    }

    /// The engine's selection over `snapshot`, limit and resuming aside.
    pub(super) fn select(&self, snapshot: &StoreSnapshot) -> Select {
        let matching = Matching::of(self);
        let mut all_of: Vec<AnyOf> = Vec::new();
        if !matching.sources.is_empty() {
            all_of.push(collect(&matching.sources, source_term).into());
        }
        let is_crowded = !matching.needles.is_empty() && has_crowded(snapshot);
        for token in matching.needles.tokens() {
            let mut any_of = collect([token], token_term);
            any_of.extend(is_crowded.then(|| CROWDED.to_vec()));
            all_of.push(any_of.into());
        }
        let residual = is_crowded || matching.needles.tokens().any(is_hashed);
        let routes =
            (!matching.sources.is_empty()).then(|| matching.sources.iter().map(route_of).collect());
        // A half-open range that ends with the beginning of time is empty, which no closed one says.
        let (since, until) = match self.to {
            None => (matching.from, u64::MAX),
            Some(0) => (1, 0),
            Some(to) => (matching.from, to - 1),
        };
        Select {
            all_of,
            since,
            until,
            routes,
            residual,
            matches: Arc::new(move |record| matching.holds(record)),
            ..Select::all()
        }
    }
}

/// Whether some record of `snapshot` may have more tokens than it is indexed under. Asks filters in memory.
fn has_crowded(snapshot: &StoreSnapshot) -> bool {
    let hash = hash64(CROWDED);
    snapshot.shards().iter().any(|snapshot| {
        snapshot.view.segments.iter().any(|live| live.segment.may_have_term_hash(hash))
            || snapshot.view.memtables().any(|table| table.postings(CROWDED).is_some())
    })
}

/// A question as a function of records.
pub(super) struct Matching {
    from: u64,
    to: Option<u64>,
    /// Sorted.
    sources: Vec<[u8; 16]>,
    needles: Needles,
}

impl Matching {
    pub(super) fn of(query: &Query) -> Matching {
        let mut sources = query.sources.clone();
        sources.sort_unstable();
        sources.dedup();
        let needles = Needles::new(&query.tokens);
        Matching { from: query.from.unwrap_or(0), to: query.to, sources, needles }
    }

    /// Whether `record` is asked for.
    pub(super) fn holds(&self, record: Record<'_>) -> bool {
        let Position { ts, .. } = Position::of(&record.key);
        if ts < self.from || self.to.is_some_and(|to| ts >= to) {
            return false;
        }
        let Some((source, raw)) = decode(record.body) else { return false };
        (self.sources.is_empty() || self.sources.binary_search(&source.uuid()).is_ok())
            && self.needles.all_in(raw)
    }
}

/// The terms of `values`, sorted, each once.
fn collect<T>(values: impl IntoIterator<Item = T>, term: impl Fn(T, &mut Terms)) -> Vec<Vec<u8>> {
    let mut out = Terms::new();
    values.into_iter().for_each(|value| term(value, &mut out));
    out.seal();
    out.iter().map(<[u8]>::to_vec).collect()
}
