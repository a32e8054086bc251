//! How much of a selection is too much, and where the cut is: pure, time passed in.
//!
//! ```text
//!   keep, held, now --> excess --records that may go, oldest first--> cut: the last key that goes
//! ```

use super::rule::Keep;
use crate::base::{Key, Result};

/// What a selection holds, the expired left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Held {
    pub(super) fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }

    pub(super) fn without(self, other: Held) -> Held {
        Held {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What has to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Excess {
    /// All before this time.
    Before(u64),
    /// So many records.
    Records(u64),
    /// Records until so many bytes are gone.
    Bytes(u64),
}

impl Keep {
    /// What is too much of `held` at `now`. `garbage_percent`: the dead that the files may have.
    pub(super) fn excess(self, held: Held, garbage_percent: u32, now: u64) -> Excess {
        match self {
            Keep::Age(seconds) => Excess::Before(now.saturating_sub(seconds)),
            Keep::Count(records) => Excess::Records(held.records.saturating_sub(records)),
            Keep::Bytes(bytes) => Excess::Bytes(held.bytes.saturating_sub(bytes)),
            Keep::DiskBytes(bytes) => {
                Excess::Bytes(held.bytes.saturating_sub(live_bytes_max(bytes, garbage_percent)))
            }
        }
    }
}

/// What live records may take of `bytes` of files of which `garbage_percent` may be dead.
pub(super) fn live_bytes_max(bytes: u64, garbage_percent: u32) -> u64 {
    let live = 100 - u128::from(garbage_percent.min(100));
    (u128::from(bytes) * live / 100) as u64
}

impl Excess {
    /// The last key that goes, of records that may go, given oldest first with their bytes.
    pub(super) fn cut(
        mut self,
        mut oldest_first: impl FnMut() -> Result<Option<(Key, u64)>>,
    ) -> Result<Option<Key>> {
        if let Excess::Before(time) = self {
            // Of one time the lowest id is the last.
            return Ok(time.checked_sub(1).map(|time| Key { time, id: [0; 32] }));
        }
        let mut last = None;
        while !self.is_met() {
            let Some((key, bytes)) = oldest_first()? else { break };
            self.take(bytes);
            last = Some(key);
        }
        Ok(last)
    }

    fn is_met(&self) -> bool {
        matches!(self, Excess::Records(0) | Excess::Bytes(0))
    }

    fn take(&mut self, bytes: u64) {
        match self {
            Excess::Before(_) => {}
            Excess::Records(left) => *left -= 1,
            Excess::Bytes(left) => *left = left.saturating_sub(bytes),
        }
    }
}
