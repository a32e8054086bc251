//! Records that have expired: left out of every answer from their second on, though they are still stored.
//!
//! ```text
//!   now --> segment    a mask of what stands under times up to now (`segment/mask.rs`): a bit a candidate
//!       --> memtable   nothing under `any`: no cost; else the record itself says
//! ```
//!
//! Retention asks the other way round: for what has expired, and nothing else.
//!
//! E1. Answers count by one `now`, that of the selection, whatever other queries count by and however far the
//!     masks are. Where a mask is ahead of it, because the clock went back, the record decides.
//! E2. What is left out is left out before limits count.

use super::Select;
use crate::base::{Error, Ordinal, Result, Seq};
use crate::memtable::Memtable;
use crate::model::Record;
use crate::segment::{Body, Mask, Segment};
use crate::shard::LiveSegment;
use std::ops::Range;
use std::sync::Arc;

/// How records expire, in a model's words.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// The term of every record that expires at some time.
    pub any: &'static [u8],
    /// What the terms of times begin with; eight bytes follow, big-endian.
    pub prefix: &'static [u8],
    /// Whether a record has expired at this time: exactly if it stands under a time up to it.
    pub is_over: fn(Record<'_>, u64) -> bool,
}

/// Which side of the moment is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// What has not expired.
    Hidden,
    /// What has.
    Only,
}

/// What a selection has to do with expiry.
#[derive(Clone, Copy, Debug)]
pub struct Expired {
    /// The model's words.
    pub expiry: Expiry,
    /// The moment, in the unit of the terms.
    pub now: u64,
    /// Whether what has expired by then is hidden, or asked for.
    pub side: Side,
}

impl Expired {
    /// Whether `record` is on the side that is asked for.
    pub(super) fn admits(&self, record: Record<'_>) -> bool {
        (self.expiry.is_over)(record, self.now) == (self.side == Side::Only)
    }

    /// What is left to ask of `memtable`'s records: nothing if none of them expires at any time.
    pub(super) fn in_memtable(self, memtable: &Memtable) -> Option<Expired> {
        let may_differ = self.side == Side::Only || memtable.postings(self.expiry.any).is_some();
        may_differ.then_some(self)
    }
}

impl Select {
    /// What is left out as expired, if anything is.
    pub(super) fn hides(&self) -> Option<Expired> {
        self.expired.filter(|expired| expired.side == Side::Hidden)
    }

    /// What is asked for as expired, if it is.
    pub(super) fn only(&self) -> Option<Expired> {
        self.expired.filter(|expired| expired.side == Side::Only)
    }
}

/// What has expired in one segment.
pub(super) struct Veil {
    segment: Arc<Segment>,
    /// None if it cannot be read: then the records decide, all of them.
    mask: Option<Arc<Mask>>,
    expired: Expired,
    is_exact: bool,
}

impl Veil {
    /// `None` if nothing has.
    pub(super) fn over(segment: &Arc<Segment>, expired: Expired) -> Result<Option<Veil>> {
        let Expired { expiry, now, .. } = expired;
        let mask = match segment.mask(expiry.any, expiry.prefix, now) {
            Ok(Some(mask)) => Some(mask),
            Ok(None) => return Ok(None),
            // What the dictionary has lost elsewhere is no reason to answer nothing from here.
            Err(Error::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let is_exact = mask.as_ref().is_some_and(|mask| mask.is_exact(now));
        Ok(Some(Veil { segment: segment.clone(), mask, expired, is_exact }))
    }

    /// Whether the record has expired. Reads it only where the mask is ahead (E1).
    pub(super) fn covers(&self, o: Ordinal) -> Result<bool> {
        match &self.mask {
            Some(mask) if !mask.has(o) || self.is_exact => Ok(mask.has(o)),
            _ => self.is_over(o),
        }
    }

    /// By the record itself.
    fn is_over(&self, o: Ordinal) -> Result<bool> {
        let body = self.segment.body(o, Body::default())?;
        let record = Record { key: self.segment.key(o)?, body: &body };
        Ok((self.expired.expiry.is_over)(record, self.expired.now))
    }

    /// Hands the records in `range` to `visit`, ascending, that have expired and live for a reader at `at`: those that
    /// retention has not removed yet.
    pub(super) fn each_living(
        &self,
        live: &LiveSegment,
        at: Seq,
        range: Range<Ordinal>,
        mut visit: impl FnMut(Ordinal) -> Result<()>,
    ) -> Result<()> {
        let mut next = range.start;
        while let Some(o) = self.candidate(next, &range) {
            if !live.dead.is_dead(o, at) && self.covers(o)? {
                visit(o)?;
            }
            next = o + 1;
        }
        Ok(())
    }

    /// The first record from `next` on that may have expired.
    fn candidate(&self, next: Ordinal, range: &Range<Ordinal>) -> Option<Ordinal> {
        match &self.mask {
            Some(mask) => mask.next(next),
            None => Some(next),
        }
        .filter(|o| range.contains(o))
    }
}
