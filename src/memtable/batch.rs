//! The terms of several records that are appended together: each distinct one once, with its records.
//!
//! ```text
//!   add(terms of record 0), add(terms of record 1) ...
//!     distinct   term, how many postings, its node once it is looked up
//!     postings   (distinct, record), in the order of records
//! ```
//!
//! Records that come together have terms in common. Looked up once each, they cost the writer a push a record, and what
//! the batch takes is known exactly before anything is appended.
//!
//! Memory is kept from one batch to the next. The map is the standard one, whose keyed hash nobody can aim at.

use crate::base::{Terms, hash64};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

/// Ends a chain of terms with equal hashes.
const NONE: u32 = u32::MAX;

/// A term of the batch.
pub(super) struct Distinct {
    pub(super) hash: u64,
    bytes: Range<usize>,
    /// How many records have it.
    pub(super) postings: u32,
    /// Its node in the dictionary, if it has one.
    pub(super) node: Option<u32>,
    /// Another term with its hash.
    next: u32,
}

/// The terms of a batch of records.
#[derive(Default)]
pub struct BatchTerms {
    bytes: Vec<u8>,
    pub(super) distinct: Vec<Distinct>,
    by_hash: HashMap<u64, u32>,
    /// Term and record, by their numbers in the batch.
    pub(super) postings: Vec<(u32, u32)>,
    /// The terms of the record before, which the next one often has too.
    last: Range<usize>,
    pub(super) records: u32,
}

impl BatchTerms {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.distinct.clear();
        self.by_hash.clear();
        self.postings.clear();
        self.last = 0..0;
        self.records = 0;
    }

    /// Adds the next record, under `terms`, which are sealed.
    pub fn add(&mut self, terms: &Terms) {
        let (record, before) = (self.records, self.last.clone());
        let start = self.postings.len();
        for (nth, term) in terms.iter().enumerate() {
            let same = self.postings[before.clone()].get(nth).map(|&(number, _)| number);
            let number = match same.filter(|&number| self.term(number) == term) {
                Some(number) => number,
                None => self.number_of(term),
            };
            self.distinct[number as usize].postings += 1;
            self.postings.push((number, record));
        }
        self.last = start..self.postings.len();
        self.records += 1;
    }

    /// How many postings there are.
    pub fn postings(&self) -> usize {
        self.postings.len()
    }

    /// A term by its number.
    pub(super) fn term(&self, number: u32) -> &[u8] {
        &self.bytes[self.distinct[number as usize].bytes.clone()]
    }

    fn number_of(&mut self, term: &[u8]) -> u32 {
        let (hash, number) = (hash64(term), self.distinct.len() as u32);
        let next = match self.by_hash.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(number);
                NONE
            }
            Entry::Occupied(mut entry) => {
                let first = *entry.get();
                let mut found = first;
                while found != NONE {
                    let other = &self.distinct[found as usize];
                    if self.bytes[other.bytes.clone()] == *term {
                        return found;
                    }
                    found = other.next;
                }
                entry.insert(number);
                first
            }
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(term);
        let bytes = start..self.bytes.len();
        self.distinct.push(Distinct { hash, bytes, postings: 0, node: None, next });
        number
    }
}
