//! The oracle: what a store held after each deed, and between which of these states a crash may leave it.
//!
//! ```text
//!   shard 0    v0 --deed--> v1 --deed--> v2 --deed--> v3 --deed--> v4
//!                                  answered ^                      ^ submitted
//!              recovered must be one of         v2 .. v4
//! ```
//!
//! H1. Each shard's deeds take effect in the order in which they were submitted, each whole or not at all.
//! H2. What recovery has shown is where the next history begins: nothing before it can come back.

use crate::base::{Key, hash64};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The live records of a shard.
pub type Rows = BTreeMap<Key, Arc<[u8]>>;

/// What a shard held after a deed.
#[derive(Clone)]
pub struct Version {
    pub rows: Arc<Rows>,
    pub hash: u64,
}

impl Version {
    pub fn of(rows: &Rows) -> Version {
        Version { rows: Arc::new(rows.clone()), hash: hash_of(rows) }
    }
}

/// A hash of rows, whoever holds them.
pub fn hash_of(rows: &Rows) -> u64 {
    rows.iter().fold(0, |hash, (key, body)| hash_row(hash, key, body))
}

pub fn hash_row(hash: u64, key: &Key, body: &[u8]) -> u64 {
    let mut line = [0; 56];
    line[..8].copy_from_slice(&hash.to_le_bytes());
    line[8..16].copy_from_slice(&key.time.to_le_bytes());
    line[16..48].copy_from_slice(&key.id);
    line[48..].copy_from_slice(&hash64(body).to_le_bytes());
    hash64(&line)
}

/// The versions of each shard since the last recovery.
pub type History = Vec<Vec<Version>>;

/// What may be found of one shard: a range of versions, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub least: usize,
    pub most: usize,
}

/// What a crash at one moment may leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expect {
    /// The history, by number.
    pub history: usize,
    /// By shard.
    pub ranges: Vec<Range>,
    /// The wall clock then, in seconds.
    pub now: u64,
}

impl Expect {
    /// Exactly the versions `at` of their shards.
    pub fn exactly(&self, at: &[usize]) -> Expect {
        let ranges = at.iter().map(|&at| Range { least: at, most: at }).collect();
        Expect { ranges, ..self.clone() }
    }
}

/// The newest version in `range` of the shard's `versions` that is `found`.
///
/// # Errors
/// What is missing, and what nobody put there, next to the version that comes nearest.
pub fn locate(versions: &[Version], range: Range, found: &Rows) -> Result<usize, String> {
    let hash = hash_of(found);
    let is = |at: &usize| versions[*at].hash == hash && *versions[*at].rows == *found;
    if let Some(at) = (range.least..=range.most).rev().find(is) {
        return Ok(at);
    }
    let differs = |at: &usize| {
        let rows = &versions[*at].rows;
        let missing = rows.iter().filter(|row| found.get(row.0) != Some(row.1)).count();
        missing + found.iter().filter(|row| rows.get(row.0) != Some(row.1)).count()
    };
    let nearest = (range.least..=range.most).min_by_key(differs).unwrap_or(range.most);
    let rows = &versions[nearest].rows;
    let lost: Vec<&Key> = rows.keys().filter(|key| !found.contains_key(key)).collect();
    let phantom: Vec<&Key> = found.keys().filter(|key| !rows.contains_key(key)).collect();
    let earlier = (0..versions.len()).rev().find(is);
    Err(format!(
        "{} records are no state from {} to {}; against {nearest}: lost {lost:?}, phantom {phantom:?}, or with \
         other bytes; it is the state {earlier:?}",
        found.len(),
        range.least,
        range.most,
    ))
}
