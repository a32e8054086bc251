//! The terms of a memtable: each distinct term once, with its posting list.
//!
//! ```text
//!   hash64(term) --> index --> node n:  place and length of the term's bytes | posting list
//!                              (24 bytes)     |                                    |
//!                                           arena                                pool
//! ```
//!
//! Invariants:
//! I1. A term stands in one node; nodes are compared by all their bytes.
//! I2. A node that the index leads to has at least one posting.
//!
//! Publication: a node is written relaxed and published by the index (`index.rs`); its list publishes
//! what comes later (`postings.rs`).

use super::arena::{Arena, ArenaWriter};
use super::index::Index;
use super::postings::{List, Pool, Postings};
use super::slots::Column;
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::base::Ordinal;
use crossbeam::utils::CachePadded;
use std::sync::Arc;

#[derive(Default)]
struct Node {
    place: AtomicU64,
    bytes: AtomicU32,
    list: List,
}

/// Bytes that a term takes at least, the index's share included.
pub(super) const TERM_BYTES_COST_MIN: usize = size_of::<Node>() + 8;

/// What a record's terms ask of a dictionary.
#[derive(Default, Clone, Copy)]
pub(super) struct Wants {
    /// Terms that are not there yet, and their bytes.
    pub(super) terms: usize,
    pub(super) term_bytes: usize,
    /// Slots for the postings of those that are.
    pub(super) slots: usize,
}

/// The terms and their posting lists.
pub(super) struct Dictionary {
    nodes: Column<Node>,
    index: Index,
    pool: Pool,
    arena: Arc<Arena>,
    /// Nodes made. The writer's own.
    count: CachePadded<AtomicU32>,
}

impl Dictionary {
    /// No term, with room for `terms` terms and `slots` slots of posting lists.
    pub(super) fn new(terms: usize, slots: usize, bits_max: u32, arena: Arc<Arena>) -> Dictionary {
        Dictionary {
            nodes: Column::new(terms),
            index: Index::new(terms, bits_max),
            pool: Pool::new(slots),
            arena,
            count: CachePadded::default(),
        }
    }

    /// Bytes allocated, without the arena.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.bytes() + self.index.bytes() + self.pool.bytes()
    }

    /// Bytes that `wants` may add, without the arena.
    pub(super) fn growth(&self, wants: Wants) -> usize {
        let mut bytes = self.pool.growth(wants.slots);
        if wants.terms > 0 {
            let count = self.count.load(Ordering::Relaxed) as usize + wants.terms;
            bytes += self.nodes.growth(count) + self.index.growth(count);
        }
        bytes
    }

    /// The node of a term whose hash is `hash`.
    pub(super) fn find(&self, hash: u64, term: &[u8]) -> Option<u32> {
        self.index.candidates(hash).find(|&n| {
            let node = self.nodes.at(n);
            let bytes = node.bytes.load(Ordering::Relaxed) as usize;
            bytes == term.len() && self.arena.get(node.place.load(Ordering::Relaxed), bytes) == term
        })
    }

    /// The posting list of a node.
    pub(super) fn postings(&self, node: u32) -> Postings<'_> {
        self.nodes.at(node).list.read(&self.pool)
    }

    /// Adds to `wants` what one more posting of a term takes. Writer only.
    pub(super) fn count_wants(&self, node: Option<u32>, term: &[u8], wants: &mut Wants) {
        match node {
            Some(node) => wants.slots += self.nodes.at(node).list.slots_wanted() as usize,
            None => {
                wants.terms += 1;
                wants.term_bytes += term.len();
            }
        }
    }

    /// Appends a posting to a node. Writer only.
    pub(super) fn push(&self, node: u32, ordinal: Ordinal) {
        self.nodes.at(node).list.push(&self.pool, ordinal);
    }

    /// Adds a term that is not there, with its first posting. Writer only.
    pub(super) fn insert(&self, arena: &mut ArenaWriter, hash: u64, term: &[u8], first: Ordinal) {
        let number = self.count.load(Ordering::Relaxed);
        self.count.store(number + 1, Ordering::Relaxed);
        // 1. The node whole: bytes, list of one (I2).
        let node = self.nodes.make(number);
        node.place.store(arena.push(&[term]), Ordering::Relaxed);
        node.bytes.store(term.len() as u32, Ordering::Relaxed);
        node.list.start(first);
        // 2. The way to it.
        self.index.insert(hash, number);
    }
}
