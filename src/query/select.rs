//! What is asked for: terms, ids, a time range, an order and a limit.

use super::{AnyOf, Expired, Sieve};
use crate::model::Record;
use std::fmt;
use std::sync::Arc;

/// Decides whether a record matches a whole selection, terms and ids and times included.
pub type Matches = Arc<dyn Fn(Record<'_>) -> bool + Send + Sync>;

/// The direction of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Time descending, lowest id first among equals.
    #[default]
    Newest,
    /// Exactly the reverse.
    Oldest,
}

impl Order {
    /// Whether `time` is `other` or comes before it.
    pub(super) fn reaches(self, time: u64, other: u64) -> bool {
        match self {
            Order::Newest => time >= other,
            Order::Oldest => time <= other,
        }
    }
}

/// One selection: the records that satisfy every part of it.
#[derive(Clone)]
pub struct Select {
    /// Of each list at least one term (AND of ORs). A list without terms matches nothing.
    pub all_of: Vec<AnyOf>,
    /// None of these terms.
    pub none_of: Vec<Vec<u8>>,
    /// If given, one of these ids.
    pub ids: Option<Vec<[u8; 32]>>,
    /// Earliest time, inclusive.
    pub since: u64,
    /// Latest time, inclusive.
    pub until: u64,
    /// At most this many: the first in the order asked for.
    pub limit: Option<usize>,
    /// If given, the routes (`Model::route`) that a matching record can have: other shards are not asked.
    pub routes: Option<Vec<u64>>,
    /// If given, what has expired at a moment is left out, or is all that is asked for.
    pub expired: Option<Expired>,
    /// Whether a record may stand under all terms and not match: `matches` is asked of every candidate.
    pub residual: bool,
    /// If given, the marks that every match has one of: sifting them may spare looking all terms up.
    pub sieve: Option<Arc<Sieve>>,
    /// The same selection as a function, expiry aside, for records that are at hand without their posting lists.
    pub matches: Matches,
}

impl Select {
    /// Everything.
    pub fn all() -> Select {
        Select {
            all_of: Vec::new(),
            none_of: Vec::new(),
            ids: None,
            since: 0,
            until: u64::MAX,
            limit: None,
            routes: None,
            expired: None,
            residual: false,
            sieve: None,
            matches: Arc::new(|_| true),
        }
    }

    /// The sieve, if it is of use: there is none, or a shorter way, to what is asked for by id or as expired.
    pub(super) fn useful_sieve(&self) -> Option<&Sieve> {
        self.sieve.as_deref().filter(|_| self.ids.is_none() && self.only().is_none())
    }

    /// Whether it cannot match anything, whatever is stored.
    pub fn is_empty(&self) -> bool {
        self.since > self.until
            || self.limit == Some(0)
            || self.ids.as_ref().is_some_and(Vec::is_empty)
            || self.all_of.iter().any(AnyOf::is_empty)
    }
}

impl fmt::Debug for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<usize> = self.all_of.iter().map(AnyOf::len).collect();
        write!(f, "Select(all of {lists:?} terms, none of {}", self.none_of.len())?;
        if let Some(ids) = &self.ids {
            write!(f, ", {} ids", ids.len())?;
        }
        write!(f, ", {}..={}, limit {:?})", self.since, self.until, self.limit)
    }
}
