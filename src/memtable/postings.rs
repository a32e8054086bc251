//! Posting lists: for each term the ordinals that have it, appended by one writer and walked back by
//! any reader.
//!
//! ```text
//!   one posting:   head = (1, the ordinal itself)                 no slot at all
//!   more:          head = (count, tail) --------------------------------+
//!                                                                       v
//!   pool  ... [o1 o2 o3 o4] ... [link o5 o6 .. o11] ... [link o12 ... o15  -  -  - ] ...
//!                        ^---------+            ^----------+
//! ```
//!
//! Slices of 4, 8, 16 ... up to `SLICE_SLOTS_MAX` slots lie in one pool of `u32`. Every slice but the
//! first begins with a link to the last slot of the one before, told apart by its highest bit.
//!
//! Invariants:
//! I1. A slot at or before the tail of a published head never changes.
//! I2. Ordinals grow along a list; each stands in it once.
//! I3. A slice lies within one chunk of the pool, so that a walk looks the chunk up once a slice.
//! I4. Only one thread calls `push` on the lists of a pool.
//!
//! Publication: slots are written relaxed, then `head` (count and tail in one word) with release;
//! `read` loads it with acquire, and by I1 needs nothing more. The loom model is in `model.rs`.
//!
//! After: Busch et al., "Earlybird: Real-Time Search at Twitter", ICDE 2012.

use super::slots::{Column, chunk_end};
use super::sync::{AtomicU32, AtomicU64, Ordering, SLICE_SLOTS_MAX};
use crate::base::{Ordinal, limits::MEMTABLE_RECORDS_MAX};
use crossbeam::utils::CachePadded;

/// Marks a slot that holds a link, not an ordinal.
const LINK: u32 = 1 << 31;
const SLICE_SLOTS_MIN: u32 = 4;
const _: () = assert!(MEMTABLE_RECORDS_MAX < LINK as usize);

/// The slots that all lists of a memtable share.
pub(super) struct Pool {
    slots: Column<AtomicU32>,
    /// Slots given out. The writer's own; apart, since it changes all the time.
    pub(super) used: CachePadded<AtomicU32>,
}

impl Pool {
    /// An empty pool for at most `slots` slots.
    ///
    /// # Panics
    /// If links could not reach that many.
    pub(super) fn new(slots: usize) -> Pool {
        assert!(slots < LINK as usize, "a pool of {slots} slots");
        Pool { slots: Column::new(slots), used: CachePadded::default() }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.slots.bytes()
    }

    /// Bytes that slices of `slots` slots in all may add.
    pub(super) fn growth(&self, slots: usize) -> usize {
        if slots == 0 {
            return 0;
        }
        // I3 leaves less than a slice unused at the end of a chunk: one of at least 16 slices, once
        // chunks have their full size, and one more at the edge.
        let unused = slots / 8 + SLICE_SLOTS_MAX as usize;
        self.slots.growth(self.used.load(Ordering::Relaxed) as usize + slots + unused)
    }

    /// The first of `size` fresh slots in one chunk (I3).
    fn allocate(&self, size: u32) -> u32 {
        let mut start = self.used.load(Ordering::Relaxed);
        let end = chunk_end::<AtomicU32>(start);
        if end - start < size {
            start = end;
        }
        self.used.store(start + size, Ordering::Relaxed);
        start
    }

    fn put(&self, slot: u32, value: u32) {
        self.slots.make(slot).store(value, Ordering::Relaxed);
    }
}

/// One posting list.
#[derive(Default)]
pub(super) struct List {
    /// Count in the high half; in the low one the tail slot, or the ordinal itself if it is alone.
    head: AtomicU64,
    /// Free slots behind the tail. The writer's own.
    room: AtomicU32,
    /// A word for whoever keeps the list, in what would be padding.
    pub(super) tag: AtomicU32,
}

impl List {
    /// Makes this the list of one ordinal. For a list that no reader can reach yet: what publishes
    /// the list publishes this too.
    pub(super) fn start(&self, ordinal: Ordinal) {
        self.head.store(pack(1, ordinal), Ordering::Relaxed);
        self.room.store(0, Ordering::Relaxed);
    }

    /// Slots that the next `push` takes from the pool.
    pub(super) fn slots_wanted(&self) -> u32 {
        match self.room.load(Ordering::Relaxed) {
            0 => slice_slots((self.head.load(Ordering::Relaxed) >> 32) as u32),
            _ => 0,
        }
    }

    /// Slots that as many pushes take from the pool.
    pub(super) fn slots_wanted_by(&self, pushes: u32) -> usize {
        let count = (self.head.load(Ordering::Relaxed) >> 32) as u32;
        slots_of(count, self.room.load(Ordering::Relaxed), pushes)
    }

    /// Slots that a new list of as many ordinals takes.
    pub(super) fn slots_of_new(ordinals: u32) -> usize {
        slots_of(1, 0, ordinals.saturating_sub(1))
    }

    /// Appends an ordinal above all in the list (I2). Writer only (I4).
    pub(super) fn push(&self, pool: &Pool, ordinal: Ordinal) {
        let (count, tail) = unpack(self.head.load(Ordering::Relaxed));
        let room = self.room.load(Ordering::Relaxed);
        let (slot, room) = match room {
            // 1. Full: a new slice begins with what leads back.
            0 => {
                let size = slice_slots(count);
                let start = pool.allocate(size);
                pool.put(start, if count == 1 { tail } else { LINK | tail });
                (start + 1, size - 2)
            }
            room => (tail + 1, room - 1),
        };
        // 2. The ordinal, behind the published tail, where no reader looks yet.
        pool.put(slot, ordinal);
        self.room.store(room, Ordering::Relaxed);
        // 3. Count and tail together make it part of the list.
        self.head.store(pack(count + 1, slot), Ordering::Release);
    }

    /// The list as published now.
    pub(super) fn read<'a>(&self, pool: &'a Pool) -> Postings<'a> {
        Postings { slots: &pool.slots, head: self.head.load(Ordering::Acquire) }
    }
}

/// Slots of the slice that follows when `count` postings have filled all so far: as many again.
fn slice_slots(count: u32) -> u32 {
    (count + 1).next_power_of_two().clamp(SLICE_SLOTS_MIN, SLICE_SLOTS_MAX)
}

/// Slots for `pushes` onto a list of `count` ordinals with `room` slots free.
fn slots_of(mut count: u32, mut room: u32, mut pushes: u32) -> usize {
    let mut slots = 0;
    while pushes > 0 {
        if room == 0 {
            let size = slice_slots(count);
            slots += size as usize;
            room = size - 1; // the first is the link
        }
        let now = pushes.min(room);
        (count, room, pushes) = (count + now, room - now, pushes - now);
    }
    slots
}

fn pack(count: u32, tail: u32) -> u64 {
    u64::from(count) << 32 | u64::from(tail)
}

fn unpack(head: u64) -> (u32, u32) {
    ((head >> 32) as u32, head as u32)
}

/// The posting list of a term, as it was when it was asked for.
#[derive(Clone, Copy)]
pub struct Postings<'a> {
    slots: &'a Column<AtomicU32>,
    head: u64,
}

impl<'a> Postings<'a> {
    /// How many ordinals there are: an upper bound of those that are visible and live.
    pub fn count(&self) -> u32 {
        unpack(self.head).0
    }

    /// The ordinals, newest (highest) first. Those at or above the reader's `visible` count come
    /// first and are for the reader to skip. A step costs a few nanoseconds and allocates nothing.
    pub fn iter_back(&self) -> IterBack<'a> {
        let (count, tail) = unpack(self.head);
        let (chunk, offset) = match count {
            0 | 1 => (&[][..], 0),
            _ => self.slots.chunk_of(tail),
        };
        IterBack { slots: self.slots, chunk, offset, alone: tail, left: count }
    }
}

/// A walk over a posting list, newest first.
pub struct IterBack<'a> {
    slots: &'a Column<AtomicU32>,
    /// The chunk of the present slice, and the next slot in it.
    chunk: &'a [AtomicU32],
    offset: usize,
    /// The only ordinal, if there is no slice.
    alone: Ordinal,
    left: u32,
}

impl Iterator for IterBack<'_> {
    type Item = Ordinal;

    fn next(&mut self) -> Option<Ordinal> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.chunk.is_empty() {
            return Some(self.alone);
        }
        let mut value = self.chunk[self.offset].load(Ordering::Relaxed);
        if value & LINK != 0 {
            (self.chunk, self.offset) = self.slots.chunk_of(value & !LINK);
            value = self.chunk[self.offset].load(Ordering::Relaxed);
        }
        // The very first slot of a list has nothing before it; `left` is 0 then.
        self.offset = self.offset.wrapping_sub(1);
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }

    /// Slice by slice, for who wants all.
    fn fold<B, F: FnMut(B, Ordinal) -> B>(mut self, init: B, mut take: F) -> B {
        let mut folded = init;
        while self.left > 0 && !self.chunk.is_empty() {
            // Up to the link, if there is one before the start of the list.
            let slots = self.chunk[..=self.offset].iter().rev().take(self.left as usize);
            let mut link = None;
            for slot in slots {
                let value = slot.load(Ordering::Relaxed);
                if value & LINK != 0 {
                    link = Some(value & !LINK);
                    break;
                }
                self.left -= 1;
                folded = take(folded, value);
            }
            let Some(link) = link else { break };
            (self.chunk, self.offset) = self.slots.chunk_of(link);
        }
        if self.left > 0 { take(folded, self.alone) } else { folded }
    }
}

impl ExactSizeIterator for IterBack<'_> {}
impl std::iter::FusedIterator for IterBack<'_> {}
