//! The sieve: which records of a segment may match, by their marks alone.
//!
//! ```text
//!   marks, newest first    | a7 f3 | 0001 |  | 09 11 | 0007 |  | a7 f3 | 0006 | ...     4 bytes a record
//!                              |       |
//!                          upper set  lower set: 2^16 bits each --> in both: a candidate, checked on its record
//! ```
//!
//! Hundreds of authors are hundreds of look-ups before the first record is found, half a microsecond each. Where these
//! authors wrote much of what is new, reading the marks of all that is new costs a nanosecond a record instead.
//! Whether they did shows on the way: a [`Sifting`] has a budget, by what the look-ups would cost, and what it finds adds to it.
//! When the budget is used up, the lists are looked up after all, and go on where the sifting ended.
//!
//! S1. Every match has an admitted mark; an admitted mark proves nothing.
//! S2. At worst, look-ups and sifting cost twice the cheaper of both.

use super::segment::LOOK_AHEAD;
use super::walk::Way;
use crate::base::{Ordinal, Result};
use crate::segment::Segment;
use std::fmt;
use std::ops::Range;

/// Terms from which on a sieve may be worth it: fewer are looked up in the time of its first page.
pub const SIEVE_TERMS_MIN: usize = 16;

/// Marks that are sifted in the time of one term's look-up.
const MARKS_PER_TERM: i64 = 64;
/// Marks in the time in which a match is found by lists.
const MARKS_PER_MATCH: i64 = 128;
/// Marks in the time of a record that is read and does not match.
const MARKS_PER_MISS: i64 = 128;
/// Records of a memtable that are marked in the time of one term's look-up there.
const RECORDS_PER_TERM: i64 = 4;

/// One bit for each value of half a mark.
struct Half(Box<[u64; 1024]>);

impl Half {
    fn of(values: impl IntoIterator<Item = u16>) -> Half {
        let mut bits = Box::new([0; 1024]);
        values.into_iter().for_each(|v| bits[usize::from(v / 64)] |= 1 << (v % 64));
        Half(bits)
    }

    fn has(&self, value: u16) -> bool {
        self.0[usize::from(value / 64)] >> (value % 64) & 1 != 0
    }
}

/// The marks that matches of a selection can have. 16 KiB.
pub struct Sieve {
    mark: fn(&[u8]) -> u32,
    upper: Option<Half>,
    lower: Option<Half>,
    terms: usize,
}

impl Sieve {
    /// Marks as `mark` ([`Model::mark`](crate::model::Model::mark)) makes them whose upper 16 bits are one of `upper` and whose
    /// lower ones are one of `lower`, in the place of `terms` terms; `None` stands for all there are.
    pub fn new(
        mark: fn(&[u8]) -> u32,
        upper: Option<&mut dyn Iterator<Item = u16>>,
        lower: Option<&mut dyn Iterator<Item = u16>>,
        terms: usize,
    ) -> Sieve {
        Sieve { mark, upper: upper.map(Half::of), lower: lower.map(Half::of), terms }
    }

    fn admits(&self, mark: u32) -> bool {
        self.upper.as_ref().is_none_or(|half| half.has((mark >> 16) as u16))
            && self.lower.as_ref().is_none_or(|half| half.has(mark as u16))
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
    /// Candidates of one page, in the order of the walk, and how many were given.
    found: Vec<Ordinal>,
    given: usize,
}

impl Sifting {
    /// Over `range`, one way, with the budget of `sieve`.
    pub(super) fn new(sieve: &Sieve, range: Range<Ordinal>, way: Way) -> Sifting {
        let (at, budget) = (way.start(&range), sieve.marks() as i64);
        Sifting { way, range, at, budget, found: Vec::new(), given: 0 }
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
        self.budget += if matched { MARKS_PER_MATCH } else { -MARKS_PER_MISS };
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
