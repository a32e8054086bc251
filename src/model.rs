//! What the engine asks of a data model: a handful of pure functions, without I/O and without a clock.
//!
//! The engine moves keys, bodies and terms; only the model knows what they mean. `nostr/` and `logs/`
//! are two models; the engine's own tests use a third, a toy.

pub use crate::base::Ids;
use crate::base::{Key, Terms};

/// A record as the engine sees it: a key and a body.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the total order, and its unique id.
    pub key: Key,
    /// The model's own bytes.
    pub body: &'a [u8],
}

/// What has to be looked up before a record is decided on, and what may die with it. The engine looks only at
/// live records of the record's own shard.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    /// Terms under which every live record is a hit.
    pub all: Terms,
    /// Terms under which the newest live record by key is a hit: for rules that ask whether there is one, and of when,
    /// however many there are.
    pub newest: Terms,
    /// Ids of records that may die if the record is stored: [`Model::dies`] is asked about each that lives.
    pub dying_ids: Vec<[u8; 32]>,
    /// Terms of records that may die, likewise, if their time is at most `dying_until`.
    pub dying_terms: Terms,
    /// The latest time of what may die under `dying_terms`.
    pub dying_until: u64,
}

impl Probes {
    /// Whether nothing is to be looked up.
    pub fn is_empty(&self) -> bool {
        let terms = self.all.len() + self.newest.len() + self.dying_terms.len();
        terms + self.dying_ids.len() == 0
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.all.clear();
        self.newest.clear();
        self.dying_ids.clear();
        self.dying_terms.clear();
        self.dying_until = 0;
    }
}

/// How the bodies of a model's records are kept in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bodies {
    /// Each for itself: a record is read without its neighbours. Packed one by one, if at all, once they are cold.
    #[default]
    Each,
    /// In blocks of some 64 KiB, packed together from the flush on: for short bodies that are much like their neighbours
    /// in key order and are read in rows. Reading one alone unpacks its block.
    Blocks,
}

/// The rules of a kind of record.
pub trait Model: Send + Sync + 'static {
    /// The model's name, kept in the store and compared when it is opened.
    fn name(&self) -> &'static str;

    /// Version of the body format and of the terms; a store of another version is refused.
    fn version(&self) -> u32;

    /// What a store keeps of the model's own settings from its birth on, because its terms depend on it: at most
    /// [`SETTINGS_BYTES_MAX`](crate::base::limits::SETTINGS_BYTES_MAX) bytes. A store with others is refused.
    fn settings(&self) -> Vec<u8> {
        Vec::new()
    }

    /// How bodies are kept in segments. It may change from one opening to the next: what is there is read as it is.
    fn bodies(&self) -> Bodies {
        Bodies::Each
    }

    /// A hash whose low bits choose the shard. Records that rules compare with one another must agree.
    fn route(&self, record: Record<'_>) -> u64;

    /// Who makes the ids of the records. With [`Ids::Own`] nothing is looked up by id, no record kills another or
    /// is removed by its id, and segments keep no index of ids. Another answer is another [`Model::version`].
    fn ids(&self) -> Ids {
        Ids::Foreign
    }

    /// Adds the terms that the record is indexed under.
    fn terms(&self, record: Record<'_>, out: &mut Terms);

    /// The first byte (the field) from which on terms are late: segments index them and memtables do not, so that
    /// they cost the shard's thread nothing. A query checks the records of a memtable instead. 255: none is late.
    /// Terms that are probed, counted ([`postings`](crate::query::postings)) or of an
    /// [`Expiry`](crate::query::Expiry) must not be.
    fn late_from(&self) -> u8 {
        u8::MAX
    }

    /// Adds those of [`Model::terms`] that are not late.
    fn early_terms(&self, record: Record<'_>, out: &mut Terms) {
        self.terms(record, out);
    }

    /// What marks a record, by its body: segments keep the mark of each in a column, and a selection that says which
    /// marks its matches have ([`Sieve`](crate::query::Sieve)) sifts them in place of looking up hundreds of terms.
    /// Must not panic, whatever the bytes. Another mark is another [`Model::version`]; none at all is not: what is there
    /// is read as it is.
    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        None
    }

    /// Whether the record is one that this model could have stored: for tools that look for damage.
    ///
    /// # Errors
    /// What does not hold, as a sentence.
    fn check(&self, record: Record<'_>) -> Result<(), String> {
        let _anything_goes = record;
        Ok(())
    }

    /// Adds what must be looked up before `decide`. A foreign id is always looked up; a record whose id is
    /// stored never reaches `decide`. Each probe that does not hit costs a look into the filter of every segment.
    fn probes(&self, record: Record<'_>, out: &mut Probes);

    /// Decides what becomes of the record. `hits` are the live records found under the terms of `Probes::all`, newest
    /// first for each term, then those of `Probes::newest`; one may be there several times. `now` is in seconds since
    /// the Unix epoch.
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], now: u64) -> Decision;

    /// Whether `found`, a live record under the dying ids or terms of `record`, dies with its storing. Nothing of
    /// `found` is kept, so that a record may name many and large ones.
    fn dies(&self, record: Record<'_>, found: Record<'_>) -> bool {
        let _nothing_dies = (record, found);
        false
    }

    /// Adds, as dying ids and terms, what has died with `record` in whatever shard by the work of who inserts: for
    /// repairs of a store that has forgotten who is dead. An engine does not ask.
    fn far_probes(&self, record: Record<'_>, out: &mut Probes) {
        let _reaches_no_other_shard = (record, out);
    }

    /// As [`Model::dies`], of what [`Model::far_probes`] found.
    fn dies_far(&self, record: Record<'_>, found: Record<'_>) -> bool {
        let _nothing_dies = (record, found);
        false
    }
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Store it; the hits with these indexes are dead from the same moment on.
    Store {
        /// Indexes into the hits.
        kills: Vec<usize>,
    },
    /// Do not store it. `reason` is the model's own code, handed back to the caller.
    Refuse {
        /// The model's code.
        reason: u8,
    },
}

/// A model of the tests with its bodies by block.
#[cfg(test)]
pub struct ByBlock<M>(pub M);

#[cfg(test)]
impl<M: Model> Model for ByBlock<M> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn version(&self) -> u32 {
        self.0.version()
    }
    fn bodies(&self) -> Bodies {
        Bodies::Blocks
    }
    fn route(&self, record: Record<'_>) -> u64 {
        self.0.route(record)
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        self.0.terms(record, out);
    }
    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        self.0.mark()
    }
    fn check(&self, record: Record<'_>) -> Result<(), String> {
        self.0.check(record)
    }
    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        self.0.probes(record, out);
    }
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], now: u64) -> Decision {
        self.0.decide(record, hits, now)
    }
    fn dies(&self, record: Record<'_>, found: Record<'_>) -> bool {
        self.0.dies(record, found)
    }
}
