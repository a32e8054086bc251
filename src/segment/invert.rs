//! Inverts records into posting lists: from each record's terms to each term's records.
//!
//! ```text
//!   add(ordinal, terms)   term -> { first, last, count, gaps of the second posting on }
//!   into_lists            the same, sorted by term
//! ```
//!
//! A list with one posting, as most are, takes no memory beside its term. Terms come from strangers, so
//! the map is the standard one, whose keyed hash nobody can aim at.

use crate::base::{Ordinal, Terms, get_varint, put_varint};
use std::collections::HashMap;

/// Terms and their postings so far.
#[derive(Default)]
pub struct Inverter {
    lists: HashMap<Box<[u8]>, Gaps>,
}

/// A posting list in memory.
#[derive(Debug)]
pub struct Gaps {
    first: Ordinal,
    last: Ordinal,
    gaps: Vec<u8>,
}

impl Inverter {
    /// Adds a record that is above all before it. Terms must be without repetitions.
    pub fn add(&mut self, ordinal: Ordinal, terms: &Terms) {
        for term in terms.iter() {
            match self.lists.get_mut(term) {
                Some(list) => {
                    put_varint(&mut list.gaps, u64::from(ordinal - list.last));
                    list.last = ordinal;
                }
                None => {
                    let list = Gaps { first: ordinal, last: ordinal, gaps: Vec::new() };
                    self.lists.insert(term.into(), list);
                }
            }
        }
    }

    /// Whether nothing was added under any term.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The lists in the order of their terms.
    pub fn into_lists(self) -> Vec<(Box<[u8]>, Gaps)> {
        let mut lists: Vec<_> = self.lists.into_iter().collect();
        lists.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        lists
    }
}

impl Gaps {
    /// The postings, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Ordinal> {
        let (mut input, mut last) = (&self.gaps[..], self.first);
        let rest = std::iter::from_fn(move || {
            last += get_varint(&mut input)? as Ordinal;
            Some(last)
        });
        std::iter::once(self.first).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_sorted_and_whole() {
        let mut inverter = Inverter::default();
        let mut terms = Terms::new();
        for ordinal in 0..1000u32 {
            terms.clear();
            terms.push(&[b"all"]);
            terms.push(&[b"mod", &[(ordinal % 7) as u8]]);
            terms.seal();
            inverter.add(ordinal, &terms);
        }
        let lists = inverter.into_lists();
        assert_eq!(lists.len(), 8);
        assert!(lists.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(lists[0].1.iter().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
        assert_eq!(lists[3].1.iter().collect::<Vec<_>>(), (2..1000).step_by(7).collect::<Vec<_>>());
    }
}
