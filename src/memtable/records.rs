//! The records of a memtable in order of arrival: times, ids, bodies, deaths.
//!
//! ```text
//!   slot  (32 bytes a record)    time | killed at | place | body bytes
//!                                                     |
//!   arena                        ... [ id (32; of own ids 8) | body ] ...
//!   block (16 bytes per 64)      highest time so far | lowest time so far
//! ```
//!
//! Invariants:
//! I1. Slots and blocks of ordinals below `len` are written whole. Of those, only `killed` changes, once,
//!     and the last block's bounds, which only widen.
//! I2. Bounds of a block hold for every ordinal up to the block's end, as far as appended.
//! I3. Only one thread calls `append` and `kill`.
//!
//! Publication: `append` stores `len` with release; every accessor loads it with acquire and checks its
//! ordinal against it. A death is stored relaxed: the shard publishes its number later (with `visible`),
//! and whoever does not know that number takes the record for live in any case.

use super::arena::{Arena, ArenaWriter, Place};
use super::slots::Column;
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::base::{Ids, Key, Ordinal, Seq};
use crossbeam::utils::CachePadded;
use std::sync::Arc;

const ID_BYTES: usize = 32;
/// Bytes of an own id that are not zero.
const OWN_ID_BYTES: usize = 8;
const BLOCK_RECORDS: u32 = 64;

#[derive(Default)]
struct Slot {
    time: AtomicU64,
    /// Sequence number of the removal; 0 while alive.
    killed: AtomicU64,
    place: AtomicU64,
    body_bytes: AtomicU32,
}

/// Running bounds of the times from ordinal 0 on.
#[derive(Default)]
struct Block {
    max: AtomicU64,
    min: AtomicU64,
}

/// Bytes that a record takes at least.
pub(super) const RECORD_BYTES_MIN: usize = size_of::<Slot>() + OWN_ID_BYTES;

/// The records.
pub(super) struct Records {
    slots: Column<Slot>,
    blocks: Column<Block>,
    arena: Arc<Arena>,
    /// Bytes of an id that are kept.
    id_bytes: usize,
    /// Apart, since every append changes it and every access reads what stands around it.
    len: CachePadded<AtomicU32>,
    /// Records killed so far. For figures only.
    dead: AtomicU32,
}

impl Records {
    /// No record, with room for `records` (at least one).
    pub(super) fn new(records: u32, ids: Ids, arena: Arc<Arena>) -> Records {
        Records {
            slots: Column::new(records as usize),
            blocks: Column::new(records.div_ceil(BLOCK_RECORDS) as usize),
            arena,
            id_bytes: if ids == Ids::Own { OWN_ID_BYTES } else { ID_BYTES },
            len: CachePadded::default(),
            dead: AtomicU32::default(),
        }
    }

    /// Records appended so far.
    pub(super) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// Records killed so far.
    pub(super) fn dead(&self) -> u32 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Bytes allocated, without the arena.
    pub(super) fn bytes(&self) -> usize {
        self.slots.bytes() + self.blocks.bytes()
    }

    /// Bytes that `records` more may add, without the arena.
    pub(super) fn growth(&self, records: usize) -> usize {
        let count = self.len() as usize + records;
        self.slots.growth(count) + self.blocks.growth(count.div_ceil(BLOCK_RECORDS as usize))
    }

    /// Bytes that a body of `body_bytes` takes in the arena.
    pub(super) fn item_bytes(&self, body_bytes: usize) -> usize {
        self.id_bytes + body_bytes
    }

    /// Appends a record and makes it readable. Writer only (I3).
    pub(super) fn append(&self, arena: &mut ArenaWriter, key: Key, body: &[u8]) -> Ordinal {
        let ordinal = self.len.load(Ordering::Relaxed);
        // 1. Id and body, then what leads to them.
        let place = arena.push(&[&key.id[..self.id_bytes], body]);
        let slot = self.slots.make(ordinal);
        slot.time.store(key.time, Ordering::Relaxed);
        slot.killed.store(0, Ordering::Relaxed);
        slot.place.store(place, Ordering::Relaxed);
        slot.body_bytes.store(body.len() as u32, Ordering::Relaxed);
        // 2. The bounds, before anyone may ask for those of this ordinal (I2).
        let (min, max) = self.running_bounds(ordinal);
        let block = self.blocks.make(ordinal / BLOCK_RECORDS);
        block.max.store(max.max(key.time), Ordering::Relaxed);
        block.min.store(min.min(key.time), Ordering::Relaxed);
        // 3. All of it at once.
        self.len.store(ordinal + 1, Ordering::Release);
        ordinal
    }

    /// Marks a record as dead from `seq` on, unless it is dead. Writer only (I3).
    pub(super) fn kill(&self, ordinal: Ordinal, seq: Seq) {
        let killed = &self.slot(ordinal).killed;
        if killed.load(Ordering::Relaxed) == 0 {
            killed.store(seq, Ordering::Relaxed);
            self.dead.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn killed_at(&self, ordinal: Ordinal) -> Seq {
        self.slot(ordinal).killed.load(Ordering::Relaxed)
    }

    pub(super) fn time(&self, ordinal: Ordinal) -> u64 {
        self.slot(ordinal).time.load(Ordering::Relaxed)
    }

    pub(super) fn id(&self, ordinal: Ordinal) -> [u8; ID_BYTES] {
        self.id_at(self.slot(ordinal).place.load(Ordering::Relaxed))
    }

    pub(super) fn key(&self, ordinal: Ordinal) -> Key {
        let slot = self.slot(ordinal);
        let id = self.id_at(slot.place.load(Ordering::Relaxed));
        Key { time: slot.time.load(Ordering::Relaxed), id }
    }

    pub(super) fn body(&self, ordinal: Ordinal) -> &[u8] {
        let slot = self.slot(ordinal);
        let bytes = slot.body_bytes.load(Ordering::Relaxed) as usize;
        let id = self.id_bytes;
        &self.arena.get(slot.place.load(Ordering::Relaxed), id + bytes)[id..]
    }

    /// Lower and upper bound of the times of ordinals up to and with `ordinal`.
    pub(super) fn bounds_upto(&self, ordinal: Ordinal) -> (u64, u64) {
        self.check(ordinal);
        self.block_bounds(ordinal / BLOCK_RECORDS)
    }

    /// What the bounds were before `ordinal`, the next one.
    fn running_bounds(&self, ordinal: Ordinal) -> (u64, u64) {
        match ordinal.checked_sub(1) {
            Some(last) => self.block_bounds(last / BLOCK_RECORDS),
            None => (u64::MAX, 0),
        }
    }

    fn block_bounds(&self, block: u32) -> (u64, u64) {
        let block = self.blocks.at(block);
        (block.min.load(Ordering::Relaxed), block.max.load(Ordering::Relaxed))
    }

    fn id_at(&self, place: Place) -> [u8; ID_BYTES] {
        let mut id = [0; ID_BYTES];
        id[..self.id_bytes].copy_from_slice(self.arena.get(place, self.id_bytes));
        id
    }

    fn slot(&self, ordinal: Ordinal) -> &Slot {
        self.check(ordinal);
        self.slots.at(ordinal)
    }

    fn check(&self, ordinal: Ordinal) {
        let len = self.len();
        assert!(ordinal < len, "ordinal {ordinal} of a memtable of {len} records");
    }
}
