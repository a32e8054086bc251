//! `LogStore`: the engine with log records, in their words. How they go in, is `append`'s to say.
//!
//! I1. At opening, arrivals go on behind the last one that is stored, behind the last one that was given when retention last
//!     dropped something (the mark of the engine), and not before the clock. So no position is given twice, wherever the
//!     clock is set.
//! I2. A store in memory is the same engine on a disk that is simulated.

use super::follow::Followers;
use super::model::{ARRIVAL, BLOCK_BITS, LogModel};
use super::seal::Sealer;
use super::{LogCursor, Query, Search};
use crate::base::Result;
use crate::io::{self, Backend, Env, threads};
use crate::shard::ShardStats;
use crate::store::{Options, Store, StoreSnapshot};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The directory of a store in memory, on a disk that has nothing else.
const DIR_IN_MEMORY: &str = "/logs";

/// How a store of log records is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogOptions {
    /// The engine's options.
    pub store: Options,
    /// How long records wait in memory before they are sealed, at most: retention drops segments only, and what is in
    /// memory is replayed at opening. Without threads: when `LogStore::seal_due` is called. Default: an hour.
    pub seal_age: Option<Duration>,
    /// Records of one shard at which they are sealed, a batch as a whole; size is `store.memtable_bytes`. Default: as many as fit.
    pub seal_records: Option<u32>,
    /// How much time segments may span that are merged with one another, so that records that retention should drop do
    /// not stay with much newer ones: spans of this length, from the Unix epoch on. Default: a day. Ignored if
    /// `store.compaction.span` is given.
    pub segment_span: Duration,
    /// Bytes of memtables that are kept for one follower that does not read them. Default: 64 MiB.
    pub follow_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            store: Options::default(),
            seal_age: Some(Duration::from_secs(3600)),
            seal_records: None,
            segment_span: Duration::from_secs(86_400),
            follow_bytes: 64 << 20,
        }
    }
}

impl From<&Options> for LogOptions {
    fn from(store: &Options) -> LogOptions {
        LogOptions { store: store.clone(), ..LogOptions::default() }
    }
}

impl LogOptions {
    /// What the engine is opened with.
    fn engine(&self) -> Options {
        let mut options = self.store.clone();
        let span = u64::try_from(self.segment_span.as_micros()).unwrap_or(u64::MAX);
        options.compaction.span = options.compaction.span.or(Some(span.max(1)));
        options.memtable_records = self.seal_records.or(options.memtable_records);
        options
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
    pub(super) sealer: Option<Sealer>,
    pub(super) followers: Followers,
    pub(super) follow_bytes: usize,
}

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
        let clock = env.clock.clone();
        let owner = threads::owner_new();
        let (store, sealer) = threads::owned_by(owner, || {
            let store = Store::open(dir, Arc::new(LogModel), &options.engine(), env)?;
            let (store, with_thread) = (Arc::new(store), options.store.threads);
            let sealer = options.seal_age.map(|age| Sealer::start(&store, age, with_thread));
            Ok((store, sealer))
        })?;
        let last = last_arrival(&store.snapshot())?.max(Some(store.mark()));
        let behind = last.map_or(1, |last| last.saturating_add(1));
        Ok(LogStore {
            store,
            arrivals: AtomicU64::new(behind.max(clock.unix_micros())), // I1
            #[cfg(feature = "tracing-layer")]
            owner,
            sealer,
            followers: Followers::default(),
            follow_bytes: options.follow_bytes,
        })
    }

    /// An empty store whose files are in memory and gone with it: for tests, and for programs that keep some hundred MB
    /// of their newest lines at most. It is the same engine on a disk that is simulated, with the system's clock; no file
    /// is touched and no ring is built. To break that disk, or to move the clock, use
    /// [`io::simulated`](crate::io::simulated) with [`LogStore::open_in`].
    ///
    /// # Errors
    /// None that a caller can do anything about.
    pub fn in_memory() -> Result<LogStore> {
        let options = LogOptions::from(&Options::in_memory());
        LogStore::open_in(Path::new(DIR_IN_MEMORY), &options, io::in_memory())
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

    /// The answer to `query`, on everything whose append was answered before the call.
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
        let closed = self.store.close();
        self.followers.end();
        closed
    }

    /// The arrival that no record has passed that is stored now, and that every later one will pass, also after the store
    /// was opened again.
    pub fn newest_arrival(&self) -> u64 {
        self.arrivals.load(Relaxed) - 1
    }
}

impl AsRef<Store> for LogStore {
    fn as_ref(&self) -> &Store {
        &self.store
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, shards) = (self.store.dir().display(), self.store.shard_count());
        write!(f, "LogStore({dir}, {shards} shards)")
    }
}

/// The last arrival that is stored, rounded up to the end of its block.
fn last_arrival(snapshot: &StoreSnapshot) -> Result<Option<u64>> {
    let mut last = None;
    let mut see = |term: &[u8]| {
        let block = term[1..].iter().fold(0, |n, &b| n << 8 | u64::from(b));
        last = last.max(Some(block << BLOCK_BITS | ((1 << BLOCK_BITS) - 1)));
    };
    for snapshot in snapshot.shards() {
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
