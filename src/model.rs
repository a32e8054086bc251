//! What the engine asks of a data model: a handful of pure functions, without I/O and without a clock.
//!
//! The engine moves keys, bodies and terms; only the model knows what they mean. `nostr/` and `logs/`
//! are two models; the engine's own tests use a third, a toy.

use crate::base::{Key, Terms};

/// A record as the engine sees it: a key and a body.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the total order, and its unique id.
    pub key: Key,
    /// The model's own bytes.
    pub body: &'a [u8],
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

    /// A hash whose low bits choose the shard. Records that rules compare with one another must agree.
    fn route(&self, record: Record<'_>) -> u64;

    /// Adds the terms that the record is indexed under.
    fn terms(&self, record: Record<'_>, out: &mut Terms);

    /// Whether the record is one that this model could have stored: for tools that look for damage.
    ///
    /// # Errors
    /// What does not hold, as a sentence.
    fn check(&self, record: Record<'_>) -> Result<(), String> {
        let _anything_goes = record;
        Ok(())
    }

    /// Adds what must be looked up before `decide`: terms whose live records matter to the decision.
    /// The record's own id is always looked up; a record whose id is stored never reaches `decide`.
    fn probes(&self, record: Record<'_>, out: &mut Terms);

    /// Decides what becomes of the record. `hits` are the live records found under the probed terms,
    /// newest first for each probe; `now` is in seconds since the Unix epoch.
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], now: u64) -> Decision;
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
