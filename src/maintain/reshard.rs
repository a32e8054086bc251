//! Resharding: all that lives in a store, in a store with another number of shards.
//!
//! ```text
//!   1 sweep what an interrupted one left      4 flush, close
//!   2 open the store; make another inside     5 read both, compare count and checksum
//!   3 every live record, oldest first         6 swap (swap.rs); sweep the old store's files, last
//! ```
//!
//! The new store has an id of its own. Every checksum is bound to the id of its store, so that for as long as
//! files of both lie side by side none can be taken for the other's; and a backup of the old store is not
//! added to with the other shards of the new.
//!
//! I1. A crash at any point leaves the old store or the new one, whole, in the same directory, to be opened as
//!     it is. Resharding again removes what is left of the other.
//! I2. Records move as they are. Rules are not asked again: each record was decided on when it came, and the
//!     dead do not move.

use super::Step;
use super::swap::{swap, sweep, workshop};
use crate::base::limits::{RECORD_BYTES_MAX, SHARDS_MAX};
use crate::base::{Crc64, Error, Result, Terms};
use crate::io::Env;
use crate::model::{Bodies, Decision, Ids, Model, Probes, Record};
use crate::query::{Order, Select};
use crate::shard::{Outcome, SyncMode};
use crate::store::{Options, Pending, Store, birth};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Records between two steps that are told.
const STEP_RECORDS: u64 = 1024;

/// Bytes in which the largest record fits with room to spare.
const PART_BYTES_MIN: usize = 8 << 20;
const _: () = assert!(4 * RECORD_BYTES_MAX <= PART_BYTES_MIN);

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Resharded {
    /// Shards before. The same as after if there was nothing to do but sweep.
    pub from: usize,
    /// Shards now.
    pub to: usize,
    /// Records that moved.
    pub records: u64,
}

/// Gives the store in `dir` this number of shards. `options` are for opening it; what they say of shards and
/// sync is not asked. Steps are in records, each counted when it is written and when it is compared.
///
/// Takes the time of writing every record once and reading it twice, and the space of the live records until
/// the old files go. The store is locked meanwhile.
///
/// # Errors
/// `Invalid` if `shards` is no power of two up to 64, or `dir` holds no store; `Locked`; `Corrupt` where the
/// store is damaged; `Full` and `Io`. The store is as it was then, but for its log, which opening replays.
pub fn run(
    dir: &Path,
    model: &Arc<dyn Model>,
    shards: usize,
    options: &Options,
    env: &Env,
    progress: &mut dyn FnMut(Step),
) -> Result<Resharded> {
    if !shards.is_power_of_two() || shards > SHARDS_MAX {
        let why = format!("{shards} is not a power of two from 1 to {SHARDS_MAX}");
        return Err(Error::invalid("shards", why));
    }
    // 1
    let from = swept(dir, env)?;
    if from == shards {
        return Ok(Resharded { from, to: shards, records: 0 });
    }
    // 2
    let mut own = Options { shards: None, create: false, ..options.clone() };
    // It was opened with more shards than the machine would choose, and has to be once more.
    own.memory_bytes = own.memory_bytes.max(own.memory_bytes_min(from));
    let old = Store::open(dir, model.clone(), &own, env.clone())?;
    let mut made = Options {
        shards: Some(shards),
        page: Some(old.page_size()),
        sync: SyncMode::Never,
        create: true,
        memtable_bytes: None,
        // As many of each as there are shards, up to 64.
        log_file_bytes: options.log_file_bytes.min(2 * PART_BYTES_MIN),
        ring_bytes: options.ring_bytes.min(PART_BYTES_MIN),
        ..options.clone()
    };
    made.memory_bytes = made.memory_bytes.max(made.memory_bytes_min(shards));
    let as_is: Arc<dyn Model> = Arc::new(AsIs(model.clone()));
    let new = Store::open(&workshop(dir), as_is, &made, env.clone())?;
    // 3
    let mut step = Step { done: 0, total: 2 * live(&old) };
    let mut tell = |done| {
        step.done = done;
        step.total = step.total.max(done);
        progress(step);
    };
    let moved = pour(&old, &new, options.in_flight, &mut tell)?;
    // 4
    new.drop_segments(0, &[], old.mark())?;
    new.flush()?;
    // 5
    let found = digest(&new, &mut |done| tell(moved.records + done))?;
    if found != moved {
        let (here, there) = (moved.records, found.records);
        let what = format!("{there} records arrived of {here}, or others than were sent");
        return Err(Error::corrupt(workshop(dir), 0, what));
    }
    new.close()?;
    drop(new);
    old.close()?;
    // 6. The old store is closed, and locked until it is dropped.
    swap(&env.disk, dir)?;
    drop(old);
    swept(dir, env)?;
    Ok(Resharded { from, to: shards, records: moved.records })
}

/// Sweeps the directory; how many shards its store has.
fn swept(dir: &Path, env: &Env) -> Result<usize> {
    let none = || Error::invalid("data directory", format!("{} holds no store", dir.display()));
    if !birth::holds_store(&*env.disk, dir)? {
        return Err(none());
    }
    let _lock = env.disk.lock(&dir.join("LOCK"))?;
    let birth = birth::read(&*env.disk, dir)?.ok_or_else(none)?;
    sweep(&env.disk, dir, &birth)?;
    Ok(birth.layout(dir)?.1)
}

fn live(store: &Store) -> u64 {
    let stats = store.stats();
    let live = stats.iter().map(|s| {
        (s.segment_records + s.memtable_records).saturating_sub(s.segment_dead + s.memtable_dead)
    });
    live.sum()
}

/// What two stores with the same records agree in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Digest {
    records: u64,
    checksum: u64,
}

#[derive(Default)]
struct Digesting {
    records: u64,
    crc: Option<Crc64>,
}

impl Digesting {
    fn add(&mut self, record: Record<'_>) {
        let crc = self.crc.get_or_insert_with(Crc64::new);
        crc.update(&record.key.time.to_le_bytes()).update(&record.key.id);
        crc.update(&(record.body.len() as u64).to_le_bytes()).update(record.body);
        self.records += 1;
    }

    fn finish(self) -> Digest {
        let checksum = self.crc.map_or(0, |crc| crc.finish());
        Digest { records: self.records, checksum }
    }
}

/// Inserts what lives in `old` into `new`, oldest first.
fn pour(old: &Store, new: &Store, in_flight: usize, tell: &mut dyn FnMut(u64)) -> Result<Digest> {
    let mut digest = Digesting::default();
    let mut under_way: VecDeque<Pending<'_>> = VecDeque::new();
    let mut records = old.query(&[Select::all()], Order::Oldest)?;
    while let Some(record) = records.next()? {
        digest.add(record);
        // A shard that waits for us to take answers would wait for ever.
        if under_way.len() >= (in_flight / 2).max(1)
            && let Some(oldest) = under_way.pop_front()
        {
            arrived(oldest)?;
        }
        under_way.push_back(new.insert(record)?);
        if digest.records.is_multiple_of(STEP_RECORDS) {
            tell(digest.records);
        }
    }
    under_way.into_iter().try_for_each(arrived)?;
    tell(digest.records);
    Ok(digest.finish())
}

fn arrived(pending: Pending<'_>) -> Result<()> {
    match pending.wait()? {
        Outcome::Stored { .. } => Ok(()),
        other => Err(Error::invalid("record", format!("it came twice, or was refused: {other:?}"))),
    }
}

fn digest(store: &Store, tell: &mut dyn FnMut(u64)) -> Result<Digest> {
    let mut digest = Digesting::default();
    let mut records = store.query(&[Select::all()], Order::Oldest)?;
    while let Some(record) = records.next()? {
        digest.add(record);
        if digest.records.is_multiple_of(STEP_RECORDS) {
            tell(digest.records);
        }
    }
    tell(digest.records);
    Ok(digest.finish())
}

/// A model's routes and terms without its rules (I2).
struct AsIs(Arc<dyn Model>);

impl Model for AsIs {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.0.version()
    }

    fn settings(&self) -> Vec<u8> {
        self.0.settings()
    }

    fn route(&self, record: Record<'_>) -> u64 {
        self.0.route(record)
    }

    fn bodies(&self) -> Bodies {
        self.0.bodies()
    }

    fn ids(&self) -> Ids {
        self.0.ids()
    }

    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        self.0.terms(record, out);
    }

    fn late_from(&self) -> u8 {
        self.0.late_from()
    }

    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        self.0.mark()
    }

    fn early_terms(&self, record: Record<'_>, out: &mut Terms) {
        self.0.early_terms(record, out);
    }

    fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}

    fn decide(&self, _record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
        Decision::Store { kills: Vec::new() }
    }
}
