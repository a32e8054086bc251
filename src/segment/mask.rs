//! Which records of a segment stand under the times that have come, kept from query to query.
//!
//! ```text
//!   dictionary   ... [prefix 100: 3 9][prefix 107: 4] | [prefix 250: 1] ...
//!                     `----- through 107: bits -----'     next 250
//! ```
//!
//! A time is a term: a prefix and eight bytes, big-endian. What has come once stays, so that a mask only grows: when
//! `next` comes, the dictionary is read on from there. Until then an answer is a look at memory, and in a segment
//! without such terms a look at a flag.
//!
//! M1. A bit is set exactly if its record stands under a time up to `through`. No term lies between that and `next`.
//! M2. A mask that was given away never changes. A later one is a copy, of a bit for each record, which is no more
//!     than the tombstones take.
//!
//! Errors are those of the dictionary. Damage is logged once; what could not be read is tried again by who asks next.

use super::reader::Segment;
use crate::base::{Ordinal, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The records of a segment under the times up to some time.
#[derive(Clone, Debug)]
pub struct Mask {
    /// A bit for each record; none at all while no time has come.
    bits: Vec<u64>,
    /// A bit for each word of these that has one, so that few among millions are found soon.
    words: Vec<u64>,
    /// The last time whose records are in it.
    through: u64,
    /// The time that follows it, if one does.
    next: Option<u64>,
}

impl Mask {
    /// Whether the record stands under one of the times.
    pub fn has(&self, ordinal: Ordinal) -> bool {
        let word = self.bits.get(ordinal as usize / 64).copied().unwrap_or(0);
        word & 1 << (ordinal % 64) != 0
    }

    /// Whether it has no record of a time after `upto`. It may, for a clock that goes back.
    pub fn is_exact(&self, upto: u64) -> bool {
        self.through <= upto
    }

    /// The first of the records from `ordinal` on.
    pub fn next(&self, ordinal: Ordinal) -> Option<Ordinal> {
        let w = ordinal as usize / 64;
        let here = next_bit(self.bits.get(..=w)?, ordinal as usize);
        let found = match here {
            Some(found) => found,
            None => next_bit(&self.bits, next_bit(&self.words, w + 1)? * 64)?,
        };
        Some(found as Ordinal)
    }

    /// Before the first time.
    fn begin() -> Mask {
        Mask { bits: Vec::new(), words: Vec::new(), through: 0, next: Some(0) }
    }

    /// Reads on, up to `upto`.
    fn extend(&mut self, segment: &Arc<Segment>, prefix: &[u8], upto: u64) -> Result<()> {
        let Some(from) = self.next else { return Ok(()) };
        let mut scan = segment.terms_from(&[prefix, &from.to_be_bytes()].concat())?;
        self.next = None;
        while let Some((term, postings)) = scan.next()? {
            let time = term.strip_prefix(prefix).and_then(|time| <[u8; 8]>::try_from(time).ok());
            let Some(time) = time.map(u64::from_be_bytes) else { break };
            if time > upto {
                self.next = Some(time);
                break;
            }
            self.through = time;
            self.bits.resize(segment.records().div_ceil(64) as usize, 0);
            self.words.resize(self.bits.len().div_ceil(64), 0);
            let mut cursor = postings.cursor(segment);
            let mut from = 0;
            while let Some(o) = cursor.seek_ge(from)? {
                let w = o as usize / 64;
                self.bits[w] |= 1 << (o % 64);
                self.words[w / 64] |= 1 << (w % 64);
                from = o + 1;
            }
        }
        Ok(())
    }
}

/// The first bit of `words` from `from` on.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let first = from / 64;
    let cut = |w: usize| if w == first { u64::MAX << (from % 64) } else { u64::MAX };
    let mut found = (first..).zip(words.get(first..)?).map(|(w, word)| (w, word & cut(w)));
    let (w, word) = found.find(|&(_, word)| word != 0)?;
    Some(w * 64 + word.trailing_zeros() as usize)
}

/// A segment's mask, once somebody has asked.
#[derive(Default)]
pub(super) struct Masks {
    /// Of the terms asked for.
    prefix: OnceLock<Box<[u8]>>,
    /// Whether there are none in the segment.
    none: AtomicBool,
    known: Mutex<Option<Arc<Mask>>>,
    bytes: AtomicUsize,
    is_damaged: AtomicBool,
}

impl Masks {
    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// The records of `segment` under times up to `upto`; `None` if there are none.
    pub(super) fn get(
        &self,
        segment: &Arc<Segment>,
        any: &[u8],
        prefix: &[u8],
        upto: u64,
    ) -> Result<Option<Arc<Mask>>> {
        if self.none.load(Relaxed) {
            return Ok(None);
        }
        let first = self.prefix.get_or_init(|| prefix.into());
        assert_eq!(&**first, prefix, "a store's times stand under one prefix");
        // Held while pages are read: who comes meanwhile would read the same.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mask) = &*known
            && mask.next.is_none_or(|next| next > upto)
        {
            return Ok(Some(mask.clone()).filter(|mask| !mask.bits.is_empty()));
        }
        let mut mask = known.as_deref().map_or_else(Mask::begin, Mask::clone); // M2
        if known.is_some() || segment.may_have_term(any) {
            mask.extend(segment, prefix, upto).inspect_err(|error| {
                if !self.is_damaged.swap(true, Relaxed) {
                    tracing::warn!(%error, "what expires in a segment cannot be read; each record is asked");
                }
            })?;
        } else {
            mask.next = None;
        }
        if mask.bits.is_empty() && mask.next.is_none() {
            self.none.store(true, Relaxed);
            return Ok(None);
        }
        self.bytes.store((mask.bits.len() + mask.words.len()) * 8, Relaxed);
        let mask = known.insert(Arc::new(mask)).clone();
        Ok(Some(mask).filter(|mask| !mask.bits.is_empty()))
    }
}
