//! `LogStore`: the engine with log records, in their words.
//!
//! ```text
//!   append: take arrivals (atomic) --> body, key --> Store::insert, a window at a time --> answers
//!   open:   arrivals go on behind the last stored one, and not before the clock
//! ```
//!
//! I1. Positions of a batch are in the order of its slice.
//! I2. A batch with a record that cannot be stored is refused before any of it is handed over.

use super::model::{ARRIVAL, BLOCK_BITS, LogModel};
use super::record::decode;
use super::{LogCursor, LogRecord, Position, Query, Search, Source};
use crate::base::{Error, Result};
use crate::io::{self, Backend, Env, sim::Faults, threads};
use crate::model::Record;
use crate::query::{Order, Select};
use crate::shard::{Outcome, ShardStats, Ticket};
use crate::store::{Options, Pending, Store};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

/// How a store of log records is opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogOptions {
    /// The engine's options.
    pub store: Options,
}

impl From<&Options> for LogOptions {
    fn from(store: &Options) -> LogOptions {
        LogOptions { store: store.clone() }
    }
}

/// A store of log records. Share it behind an `Arc`; every method takes `&self`, from any thread.
pub struct LogStore {
    pub(super) store: Arc<Store>,
    /// The next arrival.
    pub(super) arrivals: AtomicU64,
    /// What its threads belong to.
    #[cfg(feature = "tracing-layer")]
    owner: u64,
}

/// Records of a batch that are under way at once.
const WINDOW: usize = 1024;

impl LogStore {
    /// Opens the store in `dir`, or creates it there; recovery is part of opening. io_uring is used where the system
    /// allows it.
    ///
    /// # Errors
    /// `Locked`, `Mismatch`, `Invalid` options, `Corrupt` with file and offset.
    pub fn open(dir: impl AsRef<Path>, options: &LogOptions) -> Result<LogStore> {
        LogStore::open_in(dir.as_ref(), options, io::system(Backend::Auto)?)
    }

    /// As [`LogStore::open`], on a machine of the caller's choice: another backend, or a simulation.
    ///
    /// # Errors
    /// As [`LogStore::open`].
    pub fn open_in(dir: &Path, options: &LogOptions, env: Env) -> Result<LogStore> {
        let clock = env.clock.unix_micros();
        let owner = threads::owner_new();
        let open = || Store::open(dir, Arc::new(LogModel), &options.store, env);
        let store = Arc::new(threads::owned_by(owner, open)?);
        let last = last_arrival(&store)?;
        let next = last.map_or(1, |last| last.saturating_add(1)).max(clock);
        Ok(LogStore {
            store,
            arrivals: AtomicU64::new(next),
            #[cfg(feature = "tracing-layer")]
            owner,
        })
    }

    /// A store in memory, for tests and for embedding: the same engine on a simulated disk, without threads of its own.
    /// Its clock stands still.
    ///
    /// # Errors
    /// None, as long as there is memory.
    pub fn in_memory() -> Result<LogStore> {
        let (env, _disk, _clock) = io::simulated(0, Faults::default());
        LogStore::open_in(Path::new("/logs"), &LogOptions::from(&Options::tiny()), env)
    }

    /// What the threads of this store belong to ([`threads::owner_current`]).
    #[cfg(feature = "tracing-layer")]
    pub(super) fn owner(&self) -> u64 {
        self.owner
    }

    /// The engine below, for figures and settings.
    pub fn engine(&self) -> &Store {
        &self.store
    }

    /// Stores `record`, waiting until it is as durable as the sync mode says.
    ///
    /// # Errors
    /// `Invalid` if it can never be stored, `Poisoned`, `Closed`.
    pub fn append(&self, record: LogRecord<'_>) -> Result<Position> {
        let Prepared { position, body } = self.prepare(&[record])?.remove(0);
        let record = Record { key: position.key(), body: &body };
        stored(self.store.insert(record)?.wait()?)?;
        Ok(position)
    }

    /// Stores `records`, and gives their positions in the order of the slice. Waits for room when the disk is slower.
    ///
    /// # Errors
    /// `Invalid` with the index of the first record that can never be stored, and none is; `Poisoned`, `Closed`: then
    /// some may be stored, and some not.
    pub fn append_batch(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let prepared = self.prepare(records)?;
        let mut under_way: VecDeque<Pending<'_>> = VecDeque::new();
        for Prepared { position, body } in &prepared {
            let record = Record { key: position.key(), body };
            let pending = loop {
                // Who holds answers takes them before waiting for room, which they may be what is wanted of.
                if under_way.len() < WINDOW
                    && let Some(pending) = self.store.try_insert(record)?
                {
                    break pending;
                }
                match under_way.pop_front() {
                    Some(oldest) => stored(oldest.wait()?)?,
                    None => break self.store.insert(record)?,
                }
            };
            under_way.push_back(pending);
        }
        under_way.into_iter().try_for_each(|pending| stored(pending.wait()?))?;
        Ok(prepared.into_iter().map(|prepared| prepared.position).collect())
    }

    /// [`LogStore::append`] as a future of any executor. Dropping it gives up the answer, not a record that was handed
    /// over.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub async fn append_async(&self, record: LogRecord<'_>) -> Result<Position> {
        let Prepared { position, body } = self.prepare(&[record])?.remove(0);
        let record = Record { key: position.key(), body: &body };
        stored(self.store.insert_async(record).await?)?;
        Ok(position)
    }

    /// [`LogStore::append_batch`] as a future of any executor.
    ///
    /// # Errors
    /// As [`LogStore::append_batch`].
    pub async fn append_batch_async(&self, records: &[LogRecord<'_>]) -> Result<Vec<Position>> {
        let prepared = self.prepare(records)?;
        let mut under_way: VecDeque<Ticket> = VecDeque::new();
        for Prepared { position, body } in &prepared {
            let record = Record { key: position.key(), body };
            let ticket = poll_fn(|context| {
                if under_way.len() < WINDOW
                    && let Poll::Ready(entered) = self.store.poll_insert(record, context)
                {
                    return Poll::Ready(entered.map(Pending::into_future));
                }
                take_answers(&mut under_way, context)?;
                self.store.poll_insert(record, context).map_ok(Pending::into_future)
            });
            let ticket = ticket.await?;
            under_way.push_back(ticket);
        }
        for ticket in under_way {
            stored(ticket.await?)?;
        }
        Ok(prepared.into_iter().map(|prepared| prepared.position).collect())
    }

    /// As [`LogStore::append`], but `None` instead of waiting for room: for producers that would rather drop a record.
    /// It still waits for the answer.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub fn try_append(&self, record: LogRecord<'_>) -> Result<Option<Position>> {
        let Prepared { position, body } = self.prepare(&[record])?.remove(0);
        let record = Record { key: position.key(), body: &body };
        let Some(pending) = self.store.try_insert(record)? else { return Ok(None) };
        stored(pending.wait()?)?;
        Ok(Some(position))
    }

    /// The answer to `query`.
    ///
    /// # Errors
    /// `Invalid` if its resume token is not this query's, `Gone` if the token's record is there no more; `Corrupt` or
    /// `Io`.
    pub fn search(&self, query: &Query) -> Result<Search> {
        Search::open(self, query)
    }

    /// A cursor over all records that are stored now, before the first.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn cursor(&self) -> Result<LogCursor> {
        Ok(LogCursor::over(self.store.clone(), self.store.snapshot()))
    }

    /// How many records `query` asks for, limit and resuming aside.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, query: &Query) -> Result<u64> {
        self.store.count(&[query.select()])
    }

    /// All sources, each with the number of its records, ascending by UUID. Reads every record.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn sources(&self) -> Result<Vec<(Source, u64)>> {
        let mut found: BTreeMap<Source, u64> = BTreeMap::new();
        let mut cursor = self.store.query(&[Select::all()], Order::Oldest)?;
        while let Some(record) = cursor.next()? {
            let Some((source, _)) = decode(record.body) else { continue };
            *found.entry(source.to_source()).or_default() += 1;
        }
        Ok(found.into_iter().collect())
    }

    /// Figures of each shard.
    pub fn stats(&self) -> Vec<ShardStats> {
        self.store.stats()
    }

    /// Answers all writes that came in, syncs, and ends the shards. Dropping the store does the same and can only log a
    /// failure.
    ///
    /// # Errors
    /// The first failure to make something durable.
    pub fn close(&self) -> Result<()> {
        self.store.close()
    }

    /// No record that is stored now arrived after this.
    pub(super) fn newest_arrival(&self) -> u64 {
        self.arrivals.load(Relaxed) - 1
    }

    /// Bodies and positions of `records`, once all of them can be stored (I2).
    fn prepare(&self, records: &[LogRecord<'_>]) -> Result<Vec<Prepared>> {
        for (index, record) in records.iter().enumerate() {
            record.check(index)?;
        }
        let first = self.arrivals.fetch_add(records.len() as u64, Relaxed);
        let prepare = |(record, arrival): (&LogRecord<'_>, u64)| {
            let mut body = Vec::new();
            record.encode(&mut body);
            Prepared { position: Position { ts: record.ts, arrival }, body }
        };
        Ok(records.iter().zip(first..).map(prepare).collect())
    }
}

impl AsRef<Store> for LogStore {
    fn as_ref(&self) -> &Store {
        &self.store
    }
}

struct Prepared {
    position: Position,
    body: Vec<u8>,
}

/// Takes the answers that are there; one at least, or it is pending.
fn take_answers(under_way: &mut VecDeque<Ticket>, context: &mut Context<'_>) -> Result<()> {
    while let Some(oldest) = under_way.front_mut() {
        let Poll::Ready(answer) = Pin::new(oldest).poll(context) else { break };
        under_way.pop_front();
        stored(answer?)?;
    }
    Ok(())
}

/// An arrival is never given twice, so there is nothing that a record could be refused for.
fn stored(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Stored { .. } => Ok(()),
        other => Err(Error::invalid("log record", format!("the engine answered {other:?}"))),
    }
}

/// The last arrival that is stored, rounded up to the end of its block.
fn last_arrival(store: &Store) -> Result<Option<u64>> {
    let mut last = None;
    let mut see = |term: &[u8]| {
        let Ok(block) = <[u8; 6]>::try_from(&term[1..]) else { return };
        let block = block.iter().fold(0, |n, &b| n << 8 | u64::from(b));
        last = last.max(Some(block << BLOCK_BITS | ((1 << BLOCK_BITS) - 1)));
    };
    for snapshot in store.snapshot().shards() {
        for memtable in snapshot.view.memtables() {
            memtable.terms().filter(|(term, _)| term[0] == ARRIVAL).for_each(|(term, _)| see(term));
        }
        for live in &snapshot.view.segments {
            let mut terms = live.segment.terms_from(&[ARRIVAL])?;
            while let Some((term, _)) = terms.next()?.filter(|(term, _)| term[0] == ARRIVAL) {
                see(term);
            }
        }
    }
    Ok(last)
}
