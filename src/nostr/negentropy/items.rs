//! The items of one side: keys in the protocol's order, and sums of their ids.
//!
//! ```text
//!   keys   (time, id) ascending      k0 k1 .. k15 | k16 .. k31 | ..
//!   sums   of all ids before         0              s16          s32      modulo 2^256
//! ```
//!
//! A fingerprint of any range is the difference of two sums, each at most 15 additions away: no range costs more
//! than any other, whatever a message asks for. An item takes 42 bytes.
//!
//! Note: the sums could as well stand in the segments, one for each page of ids; then a session over all events
//! would begin without reading ids.

use super::message::{Bound, FINGERPRINT_BYTES, ID_BYTES, put_number};
use crate::base::Key;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Items from one sum to the next.
const STRIDE: usize = 16;

/// A set of items, ready to be compared.
#[derive(Debug, Default)]
pub struct Items {
    keys: Vec<Key>,
    /// `sums[i]`: of the ids of the first `i * STRIDE` keys.
    sums: Vec<Sum>,
}

impl Items {
    /// The items of `keys`, in any order, repetitions dropped. A time of 2^64 - 1, which the protocol has no number
    /// for, is left out. Sorts, then reads each once.
    pub fn new(mut keys: Vec<Key>) -> Items {
        keys.retain(|key| key.time != u64::MAX);
        keys.sort_unstable_by_key(|key| (key.time, key.id));
        keys.dedup();
        let mut sums = Vec::with_capacity(keys.len() / STRIDE + 1);
        let mut sum = Sum::default();
        for (i, key) in keys.iter().enumerate() {
            if i.is_multiple_of(STRIDE) {
                sums.push(sum);
            }
            sum.add(&key.id);
        }
        if keys.len().is_multiple_of(STRIDE) {
            sums.push(sum);
        }
        Items { keys, sums }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, by time and then by id.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The first item at `from` or behind it that is not below `bound`.
    pub(super) fn lower_bound(&self, from: usize, bound: &Bound) -> usize {
        let below = |key: &Key| (key.time, key.id) < (bound.time, bound.id);
        from + self.keys[from..].partition_point(below)
    }

    pub(super) fn fingerprint(&self, range: Range<usize>) -> [u8; FINGERPRINT_BYTES] {
        let mut sum = self.sum_before(range.end);
        sum.subtract(&self.sum_before(range.start));
        let mut input = Vec::with_capacity(ID_BYTES + 10);
        sum.0.iter().for_each(|limb| input.extend(limb.to_le_bytes()));
        put_number(range.len() as u64, &mut input);
        let digest: [u8; 32] = Sha256::digest(&input).into();
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&digest[..FINGERPRINT_BYTES]);
        fingerprint
    }

    fn sum_before(&self, end: usize) -> Sum {
        let mut sum = self.sums.get(end / STRIDE).copied().unwrap_or_default();
        self.keys[end - end % STRIDE..end].iter().for_each(|key| sum.add(&key.id));
        sum
    }
}

/// A sum of ids modulo 2^256, each read as a number with its first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, id: &[u8; ID_BYTES]) {
        let mut carry = false;
        let (limbs, _) = id.as_chunks::<8>();
        for (own, limb) in self.0.iter_mut().zip(limbs) {
            let (sum, over) = own.overflowing_add(u64::from_le_bytes(*limb));
            let (sum, again) = sum.overflowing_add(carry.into());
            (*own, carry) = (sum, over | again);
        }
    }

    fn subtract(&mut self, other: &Sum) {
        let mut borrow = false;
        for (own, limb) in self.0.iter_mut().zip(other.0) {
            let (difference, under) = own.overflowing_sub(limb);
            let (difference, again) = difference.overflowing_sub(borrow.into());
            (*own, borrow) = (difference, under | again);
        }
    }
}
