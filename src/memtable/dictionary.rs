//! The terms of a memtable: each distinct term once, with its posting list.
//!
//! ```text
//!   hash64(term) --> index --> node n (32 bytes):  links | place and length of the bytes | list
//!                                                             |                            |
//!                                                           arena                        pool
//! ```
//!
//! Invariants:
//! I1. A term stands in one node; nodes are compared by all their bytes.
//! I2. A node that the index leads to has at least one posting.
//!
//! The writer finds nodes by a table of its own (`finder`), whose slots lead to them at once: walking the index, which
//! readers need since it never moves, costs it three times the misses.
//!
//! Publication: a node's value is written relaxed and published by the index (`index.rs`); its list
//! publishes what comes later (`postings.rs`).

use super::arena::{Arena, ArenaWriter, Place};
use super::batch::BatchTerms;
use super::index::Index;
use super::postings::{List, Pool, Postings};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::base::tags::{Cursor, Tags};
use crate::base::{Ordinal, Terms, hash64};
use crossbeam::utils::CachePadded;
use std::sync::Arc;

/// What a node carries.
#[derive(Default)]
struct Term {
    place: AtomicU64,
    /// Its tag is the length of the term in bytes.
    list: List,
}

const _: () = assert!(size_of::<Term>() == 24);

/// Bytes that a term takes at least, the index's share included.
pub(super) const TERM_BYTES_COST_MIN: usize = size_of::<Term>() + 8;

/// What a record's terms ask of a dictionary.
#[derive(Default, Clone, Copy)]
pub(super) struct Wants {
    /// Terms that are not there yet, and their bytes.
    pub(super) terms: usize,
    pub(super) term_bytes: usize,
    /// Slots for the postings of those that are.
    pub(super) slots: usize,
}

/// One term of a record about to be appended.
pub(super) struct Planned {
    pub(super) hash: u64,
    /// The next node that may be its own, where its bytes are, and the lookup behind it.
    candidate: Option<u32>,
    place: Place,
    bytes: u32,
    rest: Cursor,
    /// Its node, if it has one.
    pub(super) node: Option<u32>,
}

impl Planned {
    /// Looks where the bytes of the candidate are.
    fn look(&mut self, dictionary: &Dictionary) {
        if let Some(node) = self.candidate {
            let term = dictionary.index.value(node);
            self.place = term.place.load(Ordering::Relaxed);
            self.bytes = term.list.tag.load(Ordering::Relaxed);
        }
    }
}

/// The terms and their posting lists.
pub(super) struct Dictionary {
    index: Index<Term>,
    pool: Pool,
    arena: Arc<Arena>,
    /// Nodes made. The writer's own.
    count: CachePadded<AtomicU32>,
}

impl Dictionary {
    /// No term, with room for `terms` terms and `slots` slots of posting lists, and a bitmap of `seen_bytes` bytes.
    pub(super) fn new(
        (terms, slots): (usize, usize),
        (bits_max, seen_bytes): (u32, usize),
        arena: Arc<Arena>,
    ) -> Dictionary {
        Dictionary {
            index: Index::new(terms, bits_max, seen_bytes),
            pool: Pool::new(slots),
            arena,
            count: CachePadded::default(),
        }
    }

    /// Bytes allocated, without the arena.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes() + self.pool.bytes()
    }

    /// Bytes that `wants` may add, without the arena.
    pub(super) fn growth(&self, wants: Wants) -> usize {
        let mut bytes = self.pool.growth(wants.slots);
        if wants.terms > 0 {
            let count = self.count.load(Ordering::Relaxed) as usize + wants.terms;
            bytes += self.index.growth(count);
        }
        bytes
    }

    /// The node of a term whose hash is `hash`.
    pub(super) fn find(&self, hash: u64, term: &[u8]) -> Option<u32> {
        let mut candidates = self.index.candidates(hash).map(|(number, _)| number);
        candidates.find(|&number| self.bytes_of(number) == term)
    }

    /// Looks up all terms of a record, in order, and sums up what one more posting of each takes. `finder` has all nodes.
    /// Writer only.
    ///
    /// Every lookup is a chain of cache misses: slot, node, bytes. Step by step for all terms instead of term by term, the
    /// misses of one step overlap.
    ///
    /// # Panics
    /// If the terms are not sealed: a term twice in one record would stand here twice.
    pub(super) fn plan(&self, finder: &Tags, terms: &Terms, plan: &mut Vec<Planned>) -> Wants {
        assert!(terms.is_sealed(), "the terms of a record are not sealed");
        plan.clear();
        // 1. The slots.
        for term in terms.iter() {
            let hash = hash64(term);
            let mut rest = finder.cursor(hash);
            let candidate = finder.next(&mut rest);
            plan.push(Planned { hash, candidate, place: 0, bytes: 0, rest, node: None });
        }
        // 2. The nodes.
        for planned in plan.iter_mut() {
            planned.look(self);
        }
        // 3. The bytes.
        let mut wants = Wants::default();
        for (planned, term) in plan.iter_mut().zip(terms.iter()) {
            while let Some(node) = planned.candidate {
                if planned.bytes as usize == term.len()
                    && self.arena.get(planned.place, term.len()) == term
                {
                    planned.node = Some(node);
                    break;
                }
                planned.candidate = finder.next(&mut planned.rest);
                planned.look(self);
            }
            match planned.node {
                Some(node) => wants.slots += self.index.value(node).list.slots_wanted() as usize,
                None => {
                    wants.terms += 1;
                    wants.term_bytes += term.len();
                }
            }
        }
        wants
    }

    /// The node of a term whose hash is `hash`. Writer only.
    fn find_own(&self, finder: &Tags, hash: u64, term: &[u8]) -> Option<u32> {
        let mut cursor = finder.cursor(hash);
        std::iter::from_fn(|| finder.next(&mut cursor)).find(|&node| self.bytes_of(node) == term)
    }

    /// As `plan`, for a batch: exact, whatever its records have in common. Writer only.
    pub(super) fn plan_batch(&self, finder: &Tags, batch: &mut BatchTerms) -> Wants {
        let mut wants = Wants::default();
        for number in 0..batch.distinct.len() {
            let hash = batch.distinct[number].hash;
            let term = batch.term(number as u32);
            let (node, bytes) = (self.find_own(finder, hash, term), term.len());
            let distinct = &mut batch.distinct[number];
            distinct.node = node;
            wants.slots += match node {
                Some(node) => self.index.value(node).list.slots_wanted_by(distinct.postings),
                None => {
                    wants.terms += 1;
                    wants.term_bytes += bytes;
                    List::slots_of_new(distinct.postings)
                }
            };
        }
        wants
    }

    /// All terms and their posting lists, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Postings<'_>)> {
        self.index.iter().map(|(number, _)| self.term(number))
    }

    /// How many terms there are. For the writer's thread, or once it has handed the memtable on.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// A term by its number, which is below `count`, and its posting list.
    pub(super) fn term(&self, number: u32) -> (&[u8], Postings<'_>) {
        (self.bytes_of(number), self.postings(number))
    }

    /// The term of a node.
    fn bytes_of(&self, node: u32) -> &[u8] {
        let node = self.index.value(node);
        let bytes = node.list.tag.load(Ordering::Relaxed) as usize;
        self.arena.get(node.place.load(Ordering::Relaxed), bytes)
    }

    /// The posting list of a node.
    pub(super) fn postings(&self, node: u32) -> Postings<'_> {
        self.index.value(node).list.read(&self.pool)
    }

    /// Appends a posting to a node. Writer only.
    pub(super) fn push(&self, node: u32, ordinal: Ordinal) {
        self.index.value(node).list.push(&self.pool, ordinal);
    }

    /// Adds a term that is not there, with its first posting. Its node. Writer only.
    pub(super) fn insert(
        &self,
        (arena, finder): (&mut ArenaWriter, &mut Tags),
        hash: u64,
        term: &[u8],
        first: Ordinal,
    ) -> u32 {
        let number = self.count.load(Ordering::Relaxed);
        self.count.store(number + 1, Ordering::Relaxed);
        let place = arena.push(&[term]);
        // The node whole: bytes, and a list of one (I2).
        self.index.insert(hash, number, |node| {
            node.place.store(place, Ordering::Relaxed);
            node.list.tag.store(term.len() as u32, Ordering::Relaxed);
            node.list.start(first);
        });
        finder.insert(hash, number);
        number
    }
}
