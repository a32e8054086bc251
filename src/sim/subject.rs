//! What is simulated: a model with its store, its alphabet of deeds, and its rules once more over a list.

use super::history::Rows;
use crate::base::{Error, Result};
use crate::io::{Env, Rng};
use crate::store::{Options, Store};

/// What a deed is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Stored, and so many records died with it.
    Stored(usize),
    /// It is there.
    Duplicate,
    /// The rules refuse it.
    Refused,
    /// So many records were removed.
    Removed(usize),
}

/// What a performance tells of its deeds, as it happens.
pub enum Told {
    /// From now on the deed may be done.
    Submitted(usize),
    /// It was answered.
    Answered(usize, std::result::Result<Answer, Error>),
}

/// A model under simulation.
pub trait Subject: Sized {
    /// An open store.
    type Open;
    /// One change of the store.
    type Deed: Clone + std::fmt::Debug;
    /// The name of its tests.
    const NAME: &'static str;

    /// What a seed makes of it.
    fn new(rng: &mut Rng) -> Self;
    /// How its store is opened.
    fn options(&self) -> &Options;
    /// Opens the store, or creates it.
    fn open(&self, env: &Env) -> Result<Self::Open>;
    /// The engine of an open store.
    fn store(open: &Self::Open) -> &Store;
    /// The shard that a record with this body is in.
    fn shard(&self, body: &[u8]) -> usize;
    /// The next deed, on a store that holds `rows`, by shard.
    fn draw(&mut self, rng: &mut Rng, now: u64, rows: &[Rows]) -> Self::Deed;
    /// The shard that the deed changes.
    fn place(&self, deed: &Self::Deed) -> usize;
    /// The literal rules: does the deed to the rows of its shard.
    fn apply(&self, deed: &Self::Deed, now: u64, rows: &mut Rows) -> Answer;
    /// Does the deeds, all handed over before the first answer is waited for, if they can be; tells of each.
    fn perform(&self, open: &Self::Open, deeds: &[Self::Deed], told: &mut dyn FnMut(Told));
    /// Asks the store in some ways, and compares with `rows`, all it holds.
    ///
    /// # Errors
    /// What was answered wrongly.
    fn probe(
        &self,
        open: &Self::Open,
        rows: &Rows,
        rng: &mut Rng,
    ) -> std::result::Result<(), String>;
}
