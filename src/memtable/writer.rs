//! The writer of a memtable: the one that appends and kills.
//!
//! Invariants:
//! I1. There is one writer a memtable: it is not `Clone`, and `new` makes it with the memtable.
//! I2. An append that answers `None` has changed nothing: all is counted before anything is written.
//! I3. A memtable with a record in it never grows past its budget.

use super::arena::{ArenaWriter, LARGE_BYTES};
use super::dictionary::{Planned, Wants};
use super::{BatchTerms, Config, Memtable};
use crate::base::limits::{RECORD_BYTES_MAX, TERMS_PER_RECORD_MAX};
use crate::base::tags::Tags;
use crate::base::{Key, Ordinal, Seq, Terms, hash64};
use std::sync::Arc;

/// Appends records to a memtable and marks them dead. It belongs to the shard's thread.
pub struct Writer {
    memtable: Arc<Memtable>,
    arena: ArenaWriter,
    config: Config,
    /// The nodes of all terms, by their hashes.
    finder: Tags,
    /// The terms of the record at hand; kept for its memory.
    plan: Vec<Planned>,
}

impl Writer {
    pub(super) fn new(memtable: Arc<Memtable>, arena: ArenaWriter, config: Config) -> Writer {
        Writer { memtable, arena, config, finder: Tags::default(), plan: Vec::new() }
    }

    /// Appends a record under its (sealed) terms and returns its ordinal, or `None` if the memtable is
    /// full: its count of records is reached, or its budget does not cover this one. Nothing has
    /// changed then. An empty memtable takes any record within the limits.
    ///
    /// From its return on, the record is readable through its ordinal, and may already be found by id
    /// and terms; readers hold what they find against the `visible` count that the shard publishes.
    ///
    /// The terms are without late ones, and with own ids the key has one: the caller sees to both.
    ///
    /// Cost: one hash and one lookup a term, one copy of body, id and new terms.
    ///
    /// # Panics
    /// If the memtable has a successor, if the record is over `RECORD_BYTES_MAX` or
    /// `TERMS_PER_RECORD_MAX`, or if the terms are not sealed: the caller sees to that.
    pub fn append(&mut self, key: Key, body: &[u8], terms: &Terms) -> Option<Ordinal> {
        let memtable = &*self.memtable;
        assert!(memtable.next().is_none(), "an append to a memtable that has a successor");
        assert!(body.len() <= RECORD_BYTES_MAX, "a body of {} bytes", body.len());
        assert!(terms.len() <= TERMS_PER_RECORD_MAX, "{} terms", terms.len());

        // 1. What is there, and what that makes the record cost (I2).
        let wants = memtable.terms.plan(&self.finder, terms, &mut self.plan);
        if !self.fits(body.len(), wants) {
            return None;
        }
        // 2. The record, so that whoever finds its ordinal can read it.
        let memtable = &*self.memtable;
        let ordinal = memtable.records.append(&mut self.arena, key, body);
        // 3. Its id, if anybody may ask for it.
        if let Some(ids) = &memtable.ids {
            ids.insert(hash64(&key.id), ordinal, |()| {});
        }
        // 4. Its postings.
        for (term, planned) in terms.iter().zip(&self.plan) {
            match planned.node {
                Some(node) => memtable.terms.push(node, ordinal),
                None => {
                    let own = (&mut self.arena, &mut self.finder);
                    memtable.terms.insert(own, planned.hash, term, ordinal);
                }
            }
        }
        Some(ordinal)
    }

    /// Appends records under the terms of `batch`, which were added in their order, and returns the ordinal of the
    /// first; the others follow. `None`, and nothing has changed, if count or budget do not cover them all; an
    /// empty memtable takes a batch beyond its budget, as it does a record, and none beyond its count.
    ///
    /// # Panics
    /// As [`Writer::append`], and if there are not as many records as the batch has.
    pub fn append_many<'a>(
        &mut self,
        records: impl Iterator<Item = (Key, &'a [u8])> + Clone,
        batch: &mut BatchTerms,
    ) -> Option<Ordinal> {
        let memtable = &*self.memtable;
        assert!(memtable.next().is_none(), "an append to a memtable that has a successor");
        // 1. As in `append`.
        let wants = memtable.terms.plan_batch(&self.finder, batch);
        let (mut large, mut small) = (0, wants.term_bytes);
        for (_, body) in records.clone() {
            assert!(body.len() <= RECORD_BYTES_MAX, "a body of {} bytes", body.len());
            let bytes = memtable.records.item_bytes(body.len());
            *if bytes > LARGE_BYTES { &mut large } else { &mut small } += bytes;
        }
        let (first, count) = (memtable.len(), batch.records as usize);
        let growth = memtable.records.growth(count)
            + memtable.ids.as_ref().map_or(0, |ids| ids.growth(first as usize + count))
            + self.growth(wants)
            + self.arena.growth(large, small);
        let fits = first == 0 || memtable.bytes_used() + growth <= self.config.bytes;
        if !fits || first as usize + count > self.config.records as usize {
            return None;
        }
        // 2. All records, and their ids.
        let mut appended = 0;
        for (key, body) in records {
            let ordinal = memtable.records.append(&mut self.arena, key, body);
            if let Some(ids) = &memtable.ids {
                ids.insert(hash64(&key.id), ordinal, |()| {});
            }
            appended += 1;
        }
        assert_eq!(appended, batch.records, "the records of a batch and its terms");
        // 3. Their postings, ascending in each list.
        for at in 0..batch.postings.len() {
            let (number, record) = batch.postings[at];
            let (distinct, ordinal) = (&batch.distinct[number as usize], first + record);
            match distinct.node {
                Some(node) => memtable.terms.push(node, ordinal),
                None => {
                    let (hash, term) = (distinct.hash, batch.term(number));
                    let own = (&mut self.arena, &mut self.finder);
                    let node = memtable.terms.insert(own, hash, term, ordinal);
                    batch.distinct[number as usize].node = Some(node);
                }
            }
        }
        Some(first)
    }

    /// Marks a record as dead as of sequence number `seq`. The first kill wins.
    ///
    /// # Panics
    /// If there is no such ordinal, or `seq` is 0, which stands for alive.
    pub fn kill(&mut self, ordinal: Ordinal, seq: Seq) {
        assert!(seq > 0, "a removal without a number");
        self.memtable.records.kill(ordinal, seq);
    }

    /// The memtable, for readers.
    pub fn memtable(&self) -> &Arc<Memtable> {
        &self.memtable
    }

    /// Gives back the memory that only appends need: there will be none. Records can still be killed.
    pub fn end(&mut self) {
        (self.finder, self.plan) = (Tags::default(), Vec::new());
    }

    /// What the dictionary will take beyond what it does, and all that the writer's own table will.
    fn growth(&self, wants: Wants) -> usize {
        let own = self.finder.bytes() + self.finder.growth(wants.terms);
        self.memtable.terms.growth(wants) + own
    }

    /// Whether count and budget cover the record (I3).
    fn fits(&self, body_bytes: usize, wants: Wants) -> bool {
        let memtable = &*self.memtable;
        let len = memtable.len();
        if len == 0 || len >= self.config.records {
            return len == 0;
        }
        let growth = memtable.records.growth(1)
            + memtable.ids.as_ref().map_or(0, |ids| ids.growth(len as usize + 1))
            + self.growth(wants)
            + self.arena.growth(memtable.records.item_bytes(body_bytes), wants.term_bytes);
        memtable.bytes_used() + growth <= self.config.bytes
    }
}
