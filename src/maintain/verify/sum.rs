//! A sum over postings that does not depend on their order: equal for equal sets.
//!
//! `sum = Σ mix(hash(term), ordinal)`, 128 bits, wrapping. Over all posting lists, and over the terms that the
//! model gives for each record, it has to be the same. Two different sets share a sum once in some
//! 2^128; this is a check against damage and faults, not against who chooses terms to defeat it.

use crate::base::Ordinal;
use xxhash_rust::xxh3::xxh3_128;

/// Postings so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    sum: u128,
    /// How many.
    pub postings: u64,
}

/// What a term counts as.
pub fn of_term(term: &[u8]) -> u128 {
    xxh3_128(term)
}

impl Sum {
    /// Adds a posting.
    pub fn add(&mut self, term: u128, ordinal: Ordinal) {
        let low = mix(term as u64 ^ u64::from(ordinal).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let high = mix((term >> 64) as u64 ^ low);
        self.sum = self.sum.wrapping_add(u128::from(high) << 64 | u128::from(low));
        self.postings += 1;
    }
}

/// A permutation of 64 bits in which every bit of the input reaches every bit of the output
/// (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_posting_does() {
        let postings: Vec<(u128, u32)> =
            (0..50u32).map(|i| (of_term(&[(i % 7) as u8]), i / 3)).collect();
        let sum = |postings: &mut dyn Iterator<Item = &(u128, u32)>| {
            let mut sum = Sum::default();
            postings.for_each(|&(term, ordinal)| sum.add(term, ordinal));
            sum
        };
        let whole = sum(&mut postings.iter());
        assert_eq!(sum(&mut postings.iter().rev()), whole);
        for i in 0..postings.len() {
            let mut changed = postings.clone();
            changed[i].1 ^= 1;
            assert_ne!(sum(&mut changed.iter()), whole, "{i}");
            changed.remove(i);
            assert_ne!(sum(&mut changed.iter()).sum, whole.sum, "{i}");
        }
    }

    #[test]
    fn two_postings_that_trade_their_ordinals_are_noticed() {
        let (a, b) = (of_term(b"a"), of_term(b"b"));
        let (mut one, mut other) = (Sum::default(), Sum::default());
        [(a, 1), (b, 2)].into_iter().for_each(|(t, o)| one.add(t, o));
        [(a, 2), (b, 1)].into_iter().for_each(|(t, o)| other.add(t, o));
        assert_ne!(one, other);
    }
}
