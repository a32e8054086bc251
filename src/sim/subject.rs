//! What is simulated: a model with its store, its alphabet of deeds, and its rules once more over a list.

use super::history::Rows;
use crate::base::{Error, Result};
use crate::io::{Env, Rng};
use crate::shard::{Compress, Policy, SyncMode};
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

/// Who is told of the versions of shards.
pub type Step<'a> = dyn FnMut(usize, &Rows) + 'a;

/// A model under simulation.
pub trait Subject: Clone {
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
    /// Whether shards beside its own have a part in it: it waits for all shards and gets the error of any, or it decides
    /// what they answer. It is not handed over beside others: where it fails, nothing follows that was foretold by it.
    fn is_alone(&self, _deed: &Self::Deed) -> bool {
        false
    }
    /// The literal rules: does the deed to the rows of all shards, and tells `step` of each version of a shard that it
    /// makes, in their order. The last one is of the shard that answers, also if nothing has changed there.
    fn apply(&self, deed: &Self::Deed, now: u64, rows: &mut [Rows], step: &mut Step<'_>) -> Answer;
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

/// The smallest store there can be, of one shard: small files make rare states common, and opening cheap.
pub fn small_options(rng: &mut Rng) -> Options {
    let sync = match rng.below(6) {
        0 => SyncMode::BATCH,
        1 => SyncMode::Never,
        _ => SyncMode::Always,
    };
    let compress = [Compress::Never, Compress::Full, Compress::Always][rng.below(3) as usize];
    let mut options = Options {
        shards: Some(1),
        sync,
        memtable_bytes: Some(64 << 10),
        memtable_records: Some(4 + rng.below(12) as u32),
        log_file_bytes: 64 << 10,
        ring_bytes: 16 << 10,
        in_flight: 16,
        compaction: Policy {
            records_max: 1000,
            fan_in: 2 + rng.below(3) as usize,
            garbage_percent: 30,
            inputs_max: 4,
            compress,
            span: None,
        },
        ..Options::tiny()
    };
    options.memory_bytes = options.memory_bytes_min(1).max(1 << 20);
    options
}

/// One of `items`.
pub fn any_of<'a, T>(rng: &mut Rng, items: &'a [T]) -> Option<&'a T> {
    (!items.is_empty()).then(|| &items[rng.below(items.len() as u64) as usize])
}
