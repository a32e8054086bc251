//! The memtable: the newest records of a shard, written by one thread and read by any, without a lock.
//!
//! ```text
//!                 records.rs  order of arrival: time, killed at, id and body     0 1 2 3 4 ... len
//!   Writer  --->  index.rs    id   --> ordinals, newest first                              ^
//!   (one)         dictionary.rs, postings.rs                                               | walk back
//!                             term --> list of ordinals, newest first  <---------  readers (any)
//!                 arena.rs, slots.rs   the memory of all: chunks that never move
//! ```
//!
//! Records stay in order of arrival; a reader who wants order of time collects matches and sorts them,
//! and stops early by `time_max_upto` and `time_min_upto`. A memtable that is full gets a successor
//! (`set_next`), takes no more records, still takes kills, and is dropped with its last `Arc`.
//!
//! Invariants:
//! I1. Nothing that a reader was led to is ever moved, freed or overwritten while the memtable lives.
//! I2. Who finds an ordinal, by id or by term, can read its record.
//! I3. Who knows a `visible` count (acquire) that the writer's thread stored (release) after an append
//!     finds that record under its id and under every one of its terms.
//! I4. Tables are sized for the budget and one record more, which is all that can be appended.
//!
//! What is published by what (all else is relaxed):
//!
//! | written                     | released by                        | acquired by            |
//! | --------------------------- | ---------------------------------- | ---------------------- |
//! | bytes of ids, bodies, terms | `filled` of the arena's chunk      | `Arena::get`           |
//! | chunks of columns, zeroed   | their `OnceLock`                   | `Column::get`          |
//! | a record's slot, its bounds | `len`                              | every accessor         |
//! | index node; term, its first | the predecessor's link             | `Index::candidates`    |
//! | posting slots and links     | `head` of the list, count and tail | `Memtable::postings`   |
//! | kills, and I3               | `visible`, by the shard            | the reader, beforehand |
//! | the successor               | its `OnceLock`                     | `Memtable::next`       |
//!
//! After: Busch et al., "Earlybird: Real-Time Search at Twitter", ICDE 2012.

mod arena;
mod batch;
mod dictionary;
mod index;
#[cfg(test)]
mod model;
mod postings;
mod records;
mod slots;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

pub use batch::BatchTerms;
pub use postings::{IterBack, Postings};
pub use writer::Writer;

use crate::base::limits::{MEMTABLE_RECORDS_MAX, TERMS_PER_RECORD_MAX};
use crate::base::{Ids, Key, Ordinal, Seq, hash64};
use arena::Arena;
use dictionary::{Dictionary, TERM_BYTES_COST_MIN};
use index::Index;
use records::{RECORD_BYTES_MIN, Records};
use std::sync::{Arc, OnceLock};

// A slot is 32 bytes; said here, since loom's atomics (`model.rs`) are larger.
const _: () = assert!(RECORD_BYTES_MIN == 32 + 8);

/// Budgets above this are taken for this: links between slots have 31 bits.
pub const BUDGET_BYTES_MAX: usize = 4 << 30;

/// The part of the budget that is the bitmap of terms; that of ids has half of it. Beyond the limit more bits are shared,
/// but a new memtable stalls no append.
const SEEN_SHARE: usize = 128;
const SEEN_BYTES_MAX: usize = 256 << 10;

/// How large a memtable may become.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes for everything: bodies, terms, indexes, tables. Kept to once there is a record: only the
    /// first may go beyond. At most 4 GiB are used.
    pub bytes: usize,
    /// Records; at least 1 and at most `MEMTABLE_RECORDS_MAX` are used.
    pub records: u32,
    /// Who makes the ids: own ones are kept in 8 bytes, and not indexed.
    pub ids: Ids,
    /// The first byte from which on terms are not indexed here: 255 for none.
    pub late_from: u8,
}

/// An empty memtable and its writer. The record with ordinal `o` has the sequence number `base + o + 1`.
///
/// Cost: tables of some 0.2 % of the budget, and bitmaps of 1.2 %, at most 384 KiB, which are zeroed in some 30 us; all
/// else is allocated as records come.
pub fn new(config: Config, base: Seq) -> (Writer, Arc<Memtable>) {
    build(config, base, u32::BITS)
}

/// `new` with at most `2^bits_max` buckets in each index, so that tests can make everything collide.
fn build(config: Config, base: Seq, bits_max: u32) -> (Writer, Arc<Memtable>) {
    let config = Config {
        bytes: config.bytes.min(BUDGET_BYTES_MAX),
        records: config.records.clamp(1, MEMTABLE_RECORDS_MAX as u32),
        ..config
    };
    // I4: what the budget can hold of each, if all of it went there.
    let records = (config.records as usize).min(config.bytes / RECORD_BYTES_MIN + 1);
    let terms = config.bytes / TERM_BYTES_COST_MIN + TERMS_PER_RECORD_MAX;
    let slots = config.bytes / size_of::<u32>() + 1;
    // Eight bits for a record or a term of usual sizes.
    let seen_bytes = (config.bytes / SEEN_SHARE).min(SEEN_BYTES_MAX);
    let (writer, arena) = Arena::new(config.bytes);
    let mut memtable = Memtable {
        base,
        bytes_empty: 0,
        records: Records::new(records as u32, config.ids, Arc::clone(&arena)),
        ids: (config.ids == Ids::Foreign).then(|| Index::new(records, bits_max, seen_bytes / 2)),
        terms: Dictionary::new((terms, slots), (bits_max, seen_bytes), Arc::clone(&arena)),
        arena,
        late_from: config.late_from,
        next: OnceLock::new(),
    };
    memtable.bytes_empty = memtable.bytes_used();
    let memtable = Arc::new(memtable);
    (Writer::new(Arc::clone(&memtable), writer, config), memtable)
}

/// Records in order of arrival, found by id and by term. Any thread may read at any time.
pub struct Memtable {
    base: Seq,
    /// Bytes used before the first record.
    bytes_empty: usize,
    records: Records,
    /// None if ids are own ones, which nobody looks up.
    ids: Option<Index<()>>,
    terms: Dictionary,
    arena: Arc<Arena>,
    late_from: u8,
    next: OnceLock<Arc<Memtable>>,
}

impl Memtable {
    /// The sequence number before that of the first record.
    pub fn base(&self) -> Seq {
        self.base
    }

    /// Records appended so far, visible or not.
    pub fn len(&self) -> u32 {
        self.records.len()
    }

    /// Of those, how many were killed so far.
    pub fn dead(&self) -> u32 {
        self.records.dead()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated for everything, unused ends of chunks included.
    pub fn bytes_used(&self) -> usize {
        size_of::<Memtable>()
            + self.records.bytes()
            + self.ids.as_ref().map_or(0, Index::bytes)
            + self.terms.bytes()
            + self.arena.bytes()
    }

    /// Bytes that its records take: what is used beyond an empty one.
    pub fn bytes_of_records(&self) -> usize {
        self.bytes_used() - self.bytes_empty
    }

    /// The key of a record.
    ///
    /// # Panics
    /// If `o` is not below `len`, here and in all that takes an ordinal.
    pub fn key(&self, o: Ordinal) -> Key {
        self.records.key(o)
    }

    /// The time of a record.
    pub fn time(&self, o: Ordinal) -> u64 {
        self.records.time(o)
    }

    /// The id of a record.
    pub fn id(&self, o: Ordinal) -> [u8; 32] {
        self.records.id(o)
    }

    /// Whether records are found by id: not if the store makes the ids itself ([`Ids::Own`]).
    pub fn finds_ids(&self) -> bool {
        self.ids.is_some()
    }

    /// Whether a term is late: then it has no posting list here, whatever the records are.
    pub fn is_late(&self, term: &[u8]) -> bool {
        self.late_from < u8::MAX && term.first().is_some_and(|&field| field >= self.late_from)
    }

    /// The body of a record, where it lies.
    pub fn body(&self, o: Ordinal) -> &[u8] {
        self.records.body(o)
    }

    /// The sequence number from which on a record is dead; 0 if it is alive.
    pub fn killed_at(&self, o: Ordinal) -> Seq {
        self.records.killed_at(o)
    }

    /// Whether a record was appended at or before `at`, and not killed at or before it.
    pub fn is_live(&self, o: Ordinal, at: Seq) -> bool {
        let killed = self.killed_at(o);
        self.base + u64::from(o) < at && (killed == 0 || killed > at)
    }

    /// The newest record with this id, dead or alive, visible or not; none, if they are not found by id.
    pub fn find(&self, id: &[u8; 32]) -> Option<Ordinal> {
        self.find_all(id).next()
    }

    /// All records with this id, newest first: an id may come again after a kill, and a reader takes
    /// the first that it sees.
    pub fn find_all(&self, id: &[u8; 32]) -> impl Iterator<Item = Ordinal> {
        let indexed = self.ids.iter();
        let candidates = indexed.flat_map(|ids| ids.candidates(hash64(id)).map(|(o, ())| o));
        candidates.filter(move |&o| self.records.id(o) == *id)
    }

    /// The posting list of a term, as published now; `None` if no record has it, or if it is late.
    pub fn postings(&self, term: &[u8]) -> Option<Postings<'_>> {
        Some(self.terms.postings(self.terms.find(hash64(term), term)?))
    }

    /// All terms with their posting lists, as published now, in no order. A miss of the cache for each term.
    pub fn terms(&self) -> impl Iterator<Item = (&[u8], Postings<'_>)> {
        self.terms.iter()
    }

    /// How many terms there are, of a memtable that takes no more records: for who was handed it after its last.
    pub fn term_count(&self) -> u32 {
        self.terms.count()
    }

    /// One of those terms by its number, and its posting list. Numbers are in the order in which the terms came first, and
    /// so are they in memory: a walk over all costs few misses of the cache.
    ///
    /// # Panics
    /// If there are not as many terms.
    pub fn term(&self, number: u32) -> (&[u8], Postings<'_>) {
        self.terms.term(number)
    }

    /// An upper bound of the times of ordinals `0..=o`, exact to a block of 64 ordinals: a walk that goes
    /// back from `o` and wants times above it may stop.
    pub fn time_max_upto(&self, o: Ordinal) -> u64 {
        self.records.bounds_upto(o).1
    }

    /// A lower bound of the times of ordinals `0..=o`, likewise.
    pub fn time_min_upto(&self, o: Ordinal) -> u64 {
        self.records.bounds_upto(o).0
    }

    /// The lowest and the highest time of what is appended; `(u64::MAX, 0)` if nothing is.
    pub fn time_bounds(&self) -> (u64, u64) {
        match self.len().checked_sub(1) {
            Some(last) => self.records.bounds_upto(last),
            None => (u64::MAX, 0),
        }
    }

    /// Names the memtable that goes on where this one ends. It takes no record from then on. A reader
    /// that follows the tail loads `next` first and `len` after, and so misses none.
    ///
    /// # Panics
    /// If there is a successor: a memtable is rotated once.
    pub fn set_next(&self, next: Arc<Memtable>) {
        assert!(self.next.set(next).is_ok(), "a memtable with two successors");
    }

    /// The memtable that goes on where this one ends, if it has ended.
    pub fn next(&self) -> Option<&Arc<Memtable>> {
        self.next.get()
    }
}

impl Drop for Memtable {
    /// Drops the successors that nobody else holds one after the other: left to the compiler, a long
    /// chain would be dropped by recursion and overflow the stack.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(memtable) = next {
            next = Arc::into_inner(memtable).and_then(|mut memtable| memtable.next.take());
        }
    }
}
