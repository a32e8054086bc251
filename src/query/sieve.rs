//! The sieve: which records of a segment may match, by their marks alone.
//!
//! ```text
//!   marks, newest first    | a7f3 0c9 | 1 |  | 0911 2e0 | 7 |  | a7f3 0c9 | 6 | ...     4 bytes a record: 26 bits, 6 bits
//!                             |    |    |
//!                             |    |    64 bits of a set
//!                          two sets of 2^16 bits, of the first and of the last 16 of the 26 --> in all: a candidate, checked on its record
//! ```
//!
//! Hundreds of authors are hundreds of look-ups before the first record is found, half a microsecond each. Where these
//! authors wrote much of what is new, reading the marks of all that is new costs a nanosecond a record instead.
//! Whether they did shows on the way: a [`Sifting`] has a budget, by what the look-ups would cost, and what it finds adds to it.
//! When the budget is used up, the lists are looked up after all, and go on where the sifting ended.
//!
//! S1. Every match has an admitted mark; an admitted mark proves nothing. Of other records' marks two sets of n in 2^16
//!     admit about n^2 in 2^32: of 1,500 one in 2,000, where one set would admit one in 44.
//! S2. At worst, look-ups and sifting cost twice the cheaper of both.

use super::segment::LOOK_AHEAD;
use super::walk::Way;
use crate::base::{Ordinal, Result};
use crate::segment::{Compression, Segment};
use std::fmt;
use std::ops::Range;

/// Terms from which on a sieve may be worth it: fewer are looked up in the time of its first page.
pub const SIEVE_TERMS_MIN: usize = 16;

/// Marks that are sifted in the time of one term's look-up.
const MARKS_PER_TERM: i64 = 256;
/// Marks in the time in which a match is found by lists.
const MARKS_PER_MATCH: i64 = 128;
/// Marks in the time of a record that is read and does not match.
const MARKS_PER_MISS: i64 = 128;
/// The same where it has to be unpacked.
const MARKS_PER_PACKED_MISS: i64 = 2048;
/// Records of a memtable that are marked in the time of one term's look-up there.
const RECORDS_PER_TERM: i64 = 4;

/// Bits of a mark that say less: which of 64 second values it has.
const SECOND_BITS: u32 = 6;

/// One bit for each value of sixteen bits.
struct Set(Box<[u64; 1024]>);

impl Set {
    fn all_or_none(is_all: bool) -> Set {
        Set(Box::new([if is_all { u64::MAX } else { 0 }; 1024]))
    }

    fn add(&mut self, value: u16) {
        self.0[usize::from(value / 64)] |= 1 << (value % 64);
    }

    /// The lowest bit says whether `value` is in it.
    fn bit(&self, value: u16) -> u64 {
        self.0[usize::from(value / 64)] >> (value % 64)
    }
}

/// The marks that matches of a selection can have. 16 KiB.
pub struct Sieve {
    mark: fn(&[u8]) -> u32,
    /// Of the highest sixteen bits, and of the sixteen above the second value.
    first: [Set; 2],
    /// A bit for each second value.
    second: u64,
    terms: usize,
}

impl Sieve {
    /// The mark of these two values: 26 bits of the first, which tell most, and 6 of the second.
    pub const fn mark_of(first: u32, second: u8) -> u32 {
        (first << SECOND_BITS) | (second as u32 % (1 << SECOND_BITS))
    }

    /// Marks as `mark` ([`Model::mark`](crate::model::Model::mark)) makes them, by [`Sieve::mark_of`], of one of the values
    /// `first` and one of `second`, in the place of `terms` terms; `None` stands for all there are.
    pub fn new(
        mark: fn(&[u8]) -> u32,
        first: Option<&mut dyn Iterator<Item = u32>>,
        second: Option<&mut dyn Iterator<Item = u8>>,
        terms: usize,
    ) -> Sieve {
        let mut sets = [(); 2].map(|()| Set::all_or_none(first.is_none()));
        for mark in first.into_iter().flatten().map(|value| Sieve::mark_of(value, 0)) {
            sets[0].add((mark >> 16) as u16);
            sets[1].add((mark >> SECOND_BITS) as u16);
        }
        let bits = |values: &mut dyn Iterator<Item = u8>| {
            values.fold(0, |bits, value| bits | 1 << Sieve::mark_of(0, value))
        };
        Sieve { mark, first: sets, second: second.map_or(u64::MAX, bits), terms }
    }

    /// Without a branch: whether a record is of the kind that is asked for is as good as a coin.
    fn admits(&self, mark: u32) -> bool {
        let [upper, lower] = &self.first;
        let second = self.second >> (mark % (1 << SECOND_BITS));
        second & upper.bit((mark >> 16) as u16) & lower.bit((mark >> SECOND_BITS) as u16) & 1 != 0
    }

    /// Whether a record with this body may match.
    pub(super) fn admits_body(&self, body: &[u8]) -> bool {
        self.admits((self.mark)(body))
    }

    /// Marks of a segment that may be sifted before anything is found.
    pub(super) fn marks(&self) -> u64 {
        self.terms as u64 * MARKS_PER_TERM as u64
    }

    /// Records of a segment that may be read in vain, if `matches` match.
    pub(super) fn misses(&self, matches: u64) -> u64 {
        let budget = matches.saturating_mul(MARKS_PER_MATCH as u64).saturating_add(self.marks());
        budget / MARKS_PER_MISS as u64 + LOOK_AHEAD as u64
    }

    /// Records of a memtable that may be marked before anything is found.
    pub(super) fn records(&self) -> u64 {
        self.terms as u64 * RECORDS_PER_TERM as u64
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sieve(in the place of {} terms)", self.terms)
    }
}

/// What a sifting comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sifted {
    /// A candidate.
    Found(Ordinal),
    /// There are no more.
    End,
    /// It has become too dear: the candidates from here on are somebody else's.
    Dear(Ordinal),
}

/// A walk over the admitted records of one segment, one way.
pub(super) struct Sifting {
    way: Way,
    range: Range<Ordinal>,
    /// Where it goes on; none at the end.
    at: Option<Ordinal>,
    /// Marks that it may still look at.
    budget: i64,
    /// What a record that is read in vain takes of it.
    miss: i64,
    /// Candidates of one page, in the order of the walk, and how many were given.
    found: Vec<Ordinal>,
    given: usize,
}

impl Sifting {
    /// Over `range` of `segment`, one way, with the budget of `sieve`.
    pub(super) fn new(
        sieve: &Sieve,
        segment: &Segment,
        range: Range<Ordinal>,
        way: Way,
    ) -> Sifting {
        let (at, budget) = (way.start(&range), sieve.marks() as i64);
        let miss = match segment.info().compression {
            Compression::None => MARKS_PER_MISS,
            _ => MARKS_PER_PACKED_MISS,
        };
        Sifting { way, range, at, budget, miss, found: Vec::new(), given: 0 }
    }

    /// The next candidate. One page for a thousand records, no allocation but of a thousand ordinals, once.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; it is where it was.
    pub(super) fn next(&mut self, sieve: &Sieve, segment: &Segment) -> Result<Sifted> {
        loop {
            if let Some(&o) = self.found.get(self.given) {
                self.given += 1;
                return Ok(Sifted::Found(o));
            }
            match self.at {
                None => return Ok(Sifted::End),
                Some(at) if self.budget <= 0 => return Ok(Sifted::Dear(at)),
                Some(at) => self.sift(sieve, segment, at)?,
            }
        }
    }

    /// Where the candidates begin that were not given.
    pub(super) fn rest(&self) -> Option<Ordinal> {
        self.found.get(self.given).copied().or(self.at)
    }

    /// Takes note that a candidate matched, or did not.
    pub(super) fn learn(&mut self, matched: bool) {
        self.budget += if matched { MARKS_PER_MATCH } else { -self.miss };
    }

    /// Looks at what stands on the page of `at`, from there on.
    fn sift(&mut self, sieve: &Sieve, segment: &Segment, at: Ordinal) -> Result<()> {
        let Sifting { way, range, found, .. } = self;
        let (seen, next) = segment.with_marks(at, |first, marks| {
            let end = first + marks.len() as Ordinal;
            let (from, to) = match way {
                Way::Back => (first.max(range.start), at + 1),
                Way::Forth => (at, end.min(range.end)),
            };
            found.clear();
            let here = marks.iter().zip(first..).skip((from - first) as usize);
            for (mark, o) in here.take((to - from) as usize) {
                if sieve.admits(u32::from_le_bytes(*mark)) {
                    found.push(o);
                }
            }
            match way {
                Way::Back => {
                    found.reverse();
                    (to - from, from.checked_sub(1))
                }
                Way::Forth => (to - from, Some(to)),
            }
        })?;
        self.budget -= i64::from(seen);
        self.at = next.filter(|o| range.contains(o));
        self.given = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    #[test]
    fn all_that_is_asked_for_is_admitted_and_hardly_anything_else_is() {
        let mut rng = Rng::new(1);
        let firsts: Vec<u32> = (0..1_500).map(|_| rng.next_u64() as u32 >> SECOND_BITS).collect();
        let sieve = |seconds: &[u8]| {
            let mut seconds = seconds.iter().copied();
            Sieve::new(|_| 0, Some(&mut firsts.iter().copied()), Some(&mut seconds), 1)
        };
        let few = sieve(&[1, 63]);
        for &first in &firsts {
            let admitted = (0..64).filter(|&s| few.admits(Sieve::mark_of(first, s)));
            assert_eq!(admitted.collect::<Vec<_>>(), [1, 63]);
        }
        let all = Sieve::new(|_| 0, Some(&mut firsts.iter().copied()), None, 1);
        let others = (0..1_000_000).filter(|_| all.admits(rng.next_u64() as u32)).count();
        assert!((300..1_000).contains(&others), "{others} of a million");
        assert!(Sieve::new(|_| 0, None, None, 1).admits(u32::MAX));
    }
}
