//! Which records of a segment are dead, and since when: a bitmap, and the sequence numbers of the
//! removals that a running query might not be meant to see yet.
//!
//! ```text
//!   groups:  one bit for each word ---> words: one bit for each record
//! ```
//!
//! One writer (the shard), any number of readers.
//! I1. A kill enters `recent`, then `newest`, then the bitmap (Release); a reader that sees the bit
//!     (Acquire) sees the other two.
//! I2. A bit in a word has a bit in its group, so that a walk of few dead among millions reads one word of 4,096
//!     records for each of its groups.
//! I3. A bit without an entry in `recent` is older than every snapshot that uses this `Dead`.

use super::atomics::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering::*};
use crate::base::{Ordinal, Seq};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::PoisonError;

/// The tombstones of one segment.
pub struct Dead {
    words: Box<[AtomicU64]>,
    groups: Box<[AtomicU64]>,
    count: AtomicU32,
    newest: AtomicU64,
    recent: Mutex<HashMap<Ordinal, Seq>>,
}

impl Dead {
    /// No dead among `records`.
    pub fn new(records: u32) -> Dead {
        let zeros = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        Dead {
            words: zeros(records.div_ceil(64)),
            groups: zeros(records.div_ceil(64 * 64)),
            count: AtomicU32::new(0),
            newest: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    /// `ordinals` dead since before every snapshot; those out of range are skipped.
    pub fn with(records: u32, ordinals: impl IntoIterator<Item = Ordinal>) -> Dead {
        let dead = Dead::new(records);
        for ordinal in ordinals.into_iter().filter(|&o| o < records) {
            dead.set(ordinal);
        }
        dead
    }

    /// Marks `ordinal` dead as of `seq`. The first kill counts.
    pub(super) fn kill(&self, ordinal: Ordinal, seq: Seq) {
        if self.bit(ordinal) {
            return;
        }
        self.recent().insert(ordinal, seq);
        // A flush carries deaths over by ordinal, not in their order.
        self.newest.fetch_max(seq, Release);
        self.set(ordinal);
    }

    /// Whether `ordinal` is dead to a reader at `at`.
    pub fn is_dead(&self, ordinal: Ordinal, at: Seq) -> bool {
        self.bit(ordinal) && (self.newest.load(Acquire) <= at || self.killed_by(ordinal, at))
    }

    /// Whether `ordinal` was killed at all.
    pub fn is_killed(&self, ordinal: Ordinal) -> bool {
        self.bit(ordinal)
    }

    /// Upper bound of the dead, for planning.
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// The ordinals in `range` that are dead at `at`, ascending.
    pub fn iter(&self, range: Range<Ordinal>, at: Seq) -> impl Iterator<Item = Ordinal> + '_ {
        let words = bits(&self.groups, range.start / 4096..range.end.div_ceil(4096));
        words
            .flat_map(|w| bits(&self.words, w..w + 1))
            .filter(move |&o| range.contains(&o) && self.is_dead(o, at))
    }

    /// Calls `visit` with each record that was killed at all, ascending, and since when, where that is
    /// known: a removal older than every snapshot that uses this `Dead` has no number any more (I3).
    pub(super) fn each_killed(&self, mut visit: impl FnMut(Ordinal, Option<Seq>)) {
        let recent = self.recent().clone();
        for word in bits(&self.groups, 0..self.groups.len() as u32) {
            for ordinal in bits(&self.words, word..word + 1) {
                visit(ordinal, recent.get(&ordinal).copied());
            }
        }
    }

    /// Marks `ordinal` dead as of `seq`, or since before every snapshot that will use this.
    pub(super) fn carry(&self, ordinal: Ordinal, seq: Option<Seq>) {
        match seq {
            Some(seq) => self.kill(ordinal, seq),
            None => self.set(ordinal),
        }
    }

    /// A copy for snapshots from `at` on, which need no history before it.
    pub(super) fn settled(&self, at: Seq) -> Dead {
        let recent: HashMap<_, _> =
            self.recent().iter().filter(|&(_, &s)| s > at).map(|(&o, &s)| (o, s)).collect();
        let newest = recent.values().copied().max().unwrap_or(0);
        let copy = |of: &[AtomicU64]| of.iter().map(|w| AtomicU64::new(w.load(Acquire))).collect();
        Dead {
            words: copy(&self.words),
            groups: copy(&self.groups),
            count: AtomicU32::new(self.count()),
            newest: AtomicU64::new(newest),
            recent: Mutex::new(recent),
        }
    }

    /// Whether it keeps history that `settled` would drop.
    pub(super) fn has_history(&self) -> bool {
        !self.recent().is_empty()
    }

    fn killed_by(&self, ordinal: Ordinal, at: Seq) -> bool {
        self.recent().get(&ordinal).is_none_or(|&seq| seq <= at)
    }

    fn bit(&self, ordinal: Ordinal) -> bool {
        self.words[ordinal as usize / 64].load(Acquire) & 1 << (ordinal % 64) != 0
    }

    fn set(&self, ordinal: Ordinal) {
        let word = ordinal / 64;
        self.groups[word as usize / 64].fetch_or(1 << (word % 64), Release);
        let old = self.words[word as usize].fetch_or(1 << (ordinal % 64), Release);
        if old & 1 << (ordinal % 64) == 0 {
            self.count.fetch_add(1, Relaxed);
        }
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<Ordinal, Seq>> {
        // A map insert that panicked (allocation) leaves the map usable.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers of the bits that are set in `words`, ascending, of the words in `range`.
fn bits(words: &[AtomicU64], range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
    let words = (range.start..range.end.max(range.start))
        .map_while(|w| words.get(w as usize).map(|word| (w, word.load(Acquire))));
    words.flat_map(|(w, mut word)| {
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros())?;
            word &= word - 1;
            Some(w * 64 + bit)
        })
    })
}
