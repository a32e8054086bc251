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
use crate::base::{Key, Ordinal, Result, Seq};
use crate::memtable::Memtable;
use crate::model::Record;
use crate::segment::{Mask, Segment};
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
    mask: Arc<Mask>,
    expired: Expired,
    is_exact: bool,
}

impl Veil {
    /// `None` if nothing has.
    pub(super) fn over(segment: &Arc<Segment>, expired: Expired) -> Result<Option<Veil>> {
        let Expired { expiry, now, .. } = expired;
        let Some(mask) = segment.mask(expiry.any, expiry.prefix, now)? else { return Ok(None) };
        let is_exact = mask.is_exact(now);
        Ok(Some(Veil { segment: segment.clone(), mask, expired, is_exact }))
    }

    /// Whether the record has expired. Reads it only where the mask is ahead (E1).
    pub(super) fn covers(&self, o: Ordinal) -> Result<bool> {
        if !self.mask.has(o) {
            return Ok(false);
        }
        if self.is_exact {
            return Ok(true);
        }
        let key: Key = self.segment.key(o)?;
        let body = self.segment.body(o, Vec::new())?;
        Ok((self.expired.expiry.is_over)(Record { key, body: &body }, self.expired.now))
    }

    /// The records in `range` that have expired, and live for a reader at `at`: those that retention has not
    /// removed yet, as a rule of a minute.
    pub(super) fn living(
        &self,
        live: &LiveSegment,
        at: Seq,
        range: Range<Ordinal>,
    ) -> Result<Vec<Ordinal>> {
        let mut found = Vec::new();
        for o in self.mask.iter(range).filter(|&o| !live.dead.is_dead(o, at)) {
            if self.is_exact || self.covers(o)? {
                found.push(o);
            }
        }
        Ok(found)
    }
}
