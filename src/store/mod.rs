//! The store: its directory, its shards, and what is asked of all of them together.
//!
//! ```text
//!   DIR/LOCK            held while the store is open
//!   DIR/STORE           what the store was created with (birth.rs)
//!   DIR/shard-00/ ...   manifest, log files, segments of each shard
//!   DIR/relay/          what whoever serves the store keeps there (texts.rs)
//! ```

pub(crate) mod birth;
mod budget;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod later;
mod many;
mod options;
mod segments;
mod space;
pub(crate) mod texts;

pub use birth::{STORE_BYTES, VERSION};
pub use birth::{model_name_of, settings_of};
pub use budget::StoreMemory;
pub use later::{Read, Stream};
pub use options::Options;
pub use space::Space;

use budget::{Budget, Plan};

use crate::base::limits::KILLS_PER_RECORD_MAX;
use crate::base::{Error, Key, PageSize, Result, ShardId, StoreId};
use crate::io::{DISK_BLOCK_BYTES, DiskSpace, Env, Guard, Wake, threads};
use crate::model::{Model, Record};
use crate::pool::{Pool, PoolStats};
use crate::query::{self, Cursor, Expired, Large, Order, Readers, Select};
use crate::shard::{Config, Gate, Outcome, Policy, Shard, ShardStats, Snapshot, Tail, Ticket};
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An open store of records of one model. Cheap to share behind an `Arc`; every method takes `&self`.
pub struct Store {
    dir: PathBuf,
    id: StoreId,
    page: PageSize,
    env: Env,
    model: Arc<dyn Model>,
    shards: Vec<Shard>,
    pool: Arc<Pool>,
    budget: Arc<Budget>,
    readers: Readers,
    /// What compaction leaves of the dead, in percent.
    garbage_percent: u32,
    _lock: Box<dyn Guard>,
}

/// The records of all shards that were published at one moment.
#[derive(Clone)]
pub struct StoreSnapshot {
    shards: Vec<Snapshot>,
}

impl StoreSnapshot {
    /// Of each shard, by number.
    pub fn shards(&self) -> &[Snapshot] {
        &self.shards
    }

    /// The sequence number up to which `shard`'s records are in the snapshot.
    pub fn seq(&self, shard: ShardId) -> u64 {
        self.shards[usize::from(shard)].at
    }
}

impl Store {
    /// Opens the store in `dir`, or creates it there. Recovery is part of opening.
    ///
    /// # Errors
    /// `Locked`; `Mismatch` if `options` or `model` disagree with the store's own; `Invalid` options;
    /// `Corrupt` with file and offset if the store is damaged.
    pub fn open(dir: &Path, model: Arc<dyn Model>, options: &Options, env: Env) -> Result<Store> {
        options.check()?;
        if options.create {
            env.disk.create_dir(dir)?;
        } else if !birth::holds_store(&*env.disk, dir)? {
            // Looked for before the lock, which would leave a file behind.
            let why = format!("{} holds no store", dir.display());
            return Err(Error::invalid("data directory", why));
        }
        let lock = env.disk.lock(&dir.join("LOCK"))?;
        let birth = match birth::read(&*env.disk, dir)? {
            Some(birth) => {
                // Its name may not be durable yet: the sync that failed behind it is why we are here again.
                env.disk.sync_dir(dir)?;
                birth
            }
            None => birth::create(dir, &*model, options, &env)?,
        };
        let (page, shard_count) = birth.check(dir, &*model, options)?;
        let id = birth.id();
        let plan = Plan::new(options, page, shard_count)?;
        let pool = Pool::new(plan.pool_bytes_max(), page);
        let budget = Budget::new(plan.clone(), &pool);
        let config = |shard| {
            let adjust = Some(Arc::clone(&budget) as _);
            Config { adjust, ..config(dir, id, shard, options, &plan) }
        };
        let gate = Gate::new();
        let open = |shard: usize| {
            let (env, model, pool, gate) = (env.clone(), model.clone(), pool.clone(), gate.clone());
            Shard::open(env, model, pool, config(shard), gate, !options.threads)
        };
        let shards = if options.threads && shard_count > 1 {
            open_side_by_side(shard_count, &open)?
        } else {
            (0..shard_count).map(open).collect::<Result<Vec<_>>>()?
        };
        let readers = if options.threads { options.readers } else { 0 };
        let readers = Readers::start(readers, options.large);
        let garbage_percent = options.compaction.garbage_percent;
        Ok(Store {
            dir: dir.into(),
            id,
            page,
            env,
            model,
            shards,
            pool,
            budget,
            readers,
            garbage_percent,
            _lock: lock,
        })
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store's id.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The store's page size.
    pub fn page_size(&self) -> PageSize {
        self.page
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// What the store reaches the machine through.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The number of the shard that has the records of `record`'s route: a route of its own, as all whose low
    /// bits are the same.
    pub fn shard_number(&self, record: Record<'_>) -> usize {
        self.shard_of_route(self.model.route(record))
    }

    /// What the model says of where `record` goes.
    pub fn route(&self, record: Record<'_>) -> u64 {
        self.model.route(record)
    }

    fn shard_of_route(&self, route: u64) -> usize {
        (route & (self.shards.len() as u64 - 1)) as usize
    }

    fn shard_of(&self, record: Record<'_>) -> &Shard {
        &self.shards[self.shard_of_route(self.model.route(record))]
    }

    /// Hands `record` to its shard and waits only for room. The ticket gives the answer.
    ///
    /// # Errors
    /// `Invalid` or `Full` if it can never be stored, `Closed`.
    pub fn insert(&self, record: Record<'_>) -> Result<Pending<'_>> {
        let shard = self.shard_of(record);
        Ok(Pending { shard, ticket: shard.insert(record)? })
    }

    /// As [`Store::insert`], but `None` instead of waiting for room.
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub fn try_insert(&self, record: Record<'_>) -> Result<Option<Pending<'_>>> {
        let shard = self.shard_of(record);
        Ok(shard.try_insert(record)?.map(|ticket| Pending { shard, ticket }))
    }

    /// Stores `record` as a future, of any executor: ready with the answer once it is as durable as
    /// the sync mode says. Dropping it gives up the answer, not a record that was handed over.
    ///
    /// # Errors
    /// As [`Store::insert`], and what the shard answers.
    pub async fn insert_async(&self, record: Record<'_>) -> Result<Outcome> {
        let shard = self.shard_of(record);
        let ticket = poll_fn(|context: &mut Context<'_>| -> Poll<Result<Ticket>> {
            shard.poll_running(|| shard.poll_insert(record, context))
        });
        shard.answer(ticket.await?).await
    }

    /// Polls, and runs the shard of `route` meanwhile if it has no thread: for futures, as [`Store::block_on`] is for
    /// threads.
    pub fn poll_running<T>(
        &self,
        route: u64,
        poll: impl FnMut() -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        self.shards[self.shard_of_route(route)].poll_running(poll)
    }

    /// Hands `record` to its shard if there is room, and otherwise wakes the context when there may be: for who holds
    /// something while it is handed over, which must not be held while waiting. See [`Store::block_on`].
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub fn poll_insert(
        &self,
        record: Record<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Pending<'_>>> {
        let shard = self.shard_of(record);
        shard.poll_insert(record, context).map_ok(|ticket| Pending { shard, ticket })
    }

    /// Polls on this thread until it is ready; the shard of `route` is run meanwhile if it has no thread.
    ///
    /// # Errors
    /// `Closed` if it never will be.
    pub fn block_on<T>(
        &self,
        route: u64,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T> {
        self.shards[self.shard_of_route(route)].block_on(poll)
    }

    /// As [`Store::insert`], for work of the store's own, which callers without end must not keep from its end. Whoever
    /// uses it waits for the answers before anything else, and holds few.
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub fn insert_own(&self, record: Record<'_>) -> Result<Pending<'_>> {
        let shard = self.shard_of(record);
        Ok(Pending { shard, ticket: shard.insert_own(record)? })
    }

    /// Waits until everything is published that was handed over before the call, in all shards. Writes nothing.
    ///
    /// # Errors
    /// `Poisoned` if a shard takes no more writes, `Closed`.
    pub fn barrier(&self) -> Result<()> {
        let asked = self.shards.iter().map(|shard| Ok(Pending { shard, ticket: shard.barrier()? }));
        let asked: Vec<Pending<'_>> = asked.collect::<Result<_>>()?;
        asked.into_iter().try_for_each(|pending| pending.wait().map(drop))
    }

    /// What is published now, in all shards.
    pub fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot { shards: self.shards.iter().map(Shard::snapshot).collect() }
    }

    /// The union of `selects` over `snapshot`, in `order`.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the pages that planning reads.
    pub fn query_at(
        &self,
        snapshot: &StoreSnapshot,
        selects: &[Select],
        order: Order,
    ) -> Result<Cursor> {
        Cursor::open(selects, order, &self.asked(snapshot, selects), &self.readers)
    }

    /// As [`Store::query_at`], on the caller's thread alone: for work in the background, which does not take
    /// the readers from queries.
    ///
    /// # Errors
    /// As [`Store::query_at`].
    pub fn walk_at(
        &self,
        snapshot: &StoreSnapshot,
        selects: &[Select],
        order: Order,
    ) -> Result<Cursor> {
        let nobody = Readers::start(0, Large::default());
        Cursor::open(selects, order, &self.asked(snapshot, selects), &nobody)
    }

    /// The union of `selects` over what is published now, in `order`.
    ///
    /// # Errors
    /// As [`Store::query_at`].
    pub fn query(&self, selects: &[Select], order: Order) -> Result<Cursor> {
        self.query_at(&self.snapshot(), selects, order)
    }

    /// Gives the live record with `id` to `read`, as it is published now, expired or not.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn get<T>(&self, id: &[u8; 32], read: impl FnOnce(Record<'_>) -> T) -> Result<Option<T>> {
        query::get(id, &self.snapshot().shards, None, read)
    }

    /// As [`Store::get`], if the record is on `expired`'s side.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn get_by_time<T>(
        &self,
        id: &[u8; 32],
        expired: Expired,
        read: impl FnOnce(Record<'_>) -> T,
    ) -> Result<Option<T>> {
        query::get(id, &self.snapshot().shards, Some(expired), read)
    }

    /// How many records match at least one of `selects`, limits aside.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, selects: &[Select]) -> Result<u64> {
        self.count_in(&self.snapshot(), selects)
    }

    /// As [`Store::count`], over `snapshot`.
    ///
    /// # Errors
    /// As [`Store::count`].
    pub fn count_in(&self, snapshot: &StoreSnapshot, selects: &[Select]) -> Result<u64> {
        query::count(selects, &self.asked(snapshot, selects), &self.readers)
    }

    /// As [`Store::count`], over `snapshot` and on the caller's thread alone, as [`Store::walk_at`].
    ///
    /// # Errors
    /// As [`Store::count`].
    pub fn count_at(&self, snapshot: &StoreSnapshot, selects: &[Select]) -> Result<u64> {
        let nobody = Readers::start(0, Large::default());
        query::count(selects, &self.asked(snapshot, selects), &nobody)
    }

    /// Hands the keys of the matches in `snapshot` to `take`, as [`query::keys`] says, on the caller's thread.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn keys_at(
        &self,
        snapshot: &StoreSnapshot,
        selects: &[Select],
        take: &mut dyn FnMut(Key) -> bool,
    ) -> Result<bool> {
        query::keys(selects, &self.asked(snapshot, selects), take)
    }

    /// Counts the matches of `select` in `snapshot` by time, as [`query::histogram`] says, on the caller's thread.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    ///
    /// # Panics
    /// If `bucket` is 0.
    pub fn histogram_at(
        &self,
        snapshot: &StoreSnapshot,
        select: &Select,
        bucket: u64,
        take: query::TakePart<'_>,
    ) -> Result<bool> {
        let asked = self.asked(snapshot, std::slice::from_ref(select));
        query::histogram(select, &asked, bucket, take)
    }

    /// The plan of `selects`, for a person.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the look-ups that planning needs.
    pub fn explain(&self, selects: &[Select], order: Order) -> Result<String> {
        let snapshot = self.snapshot();
        let asked = self.asked_shards(selects);
        let snapshots: Vec<(u16, Snapshot)> =
            asked.into_iter().map(|i| (i as u16, snapshot.shards[i].clone())).collect();
        query::explain(selects, order, &snapshots)
    }

    /// The snapshots of the shards that can have matches.
    fn asked(&self, snapshot: &StoreSnapshot, selects: &[Select]) -> Vec<Snapshot> {
        self.asked_shards(selects).into_iter().map(|i| snapshot.shards[i].clone()).collect()
    }

    fn asked_shards(&self, selects: &[Select]) -> Vec<usize> {
        let mut asked = vec![false; self.shards.len()];
        for select in selects.iter() {
            match &select.routes {
                Some(routes) => routes.iter().for_each(|&r| asked[self.shard_of_route(r)] = true),
                None => asked.fill(true),
            }
        }
        (0..asked.len()).filter(|&i| asked[i]).collect()
    }

    /// Everything that is stored after `snapshot`, a tail for each shard, in the order of the shards.
    /// `wake` is told when there is more, as long as its owner keeps it.
    pub fn tails(&self, snapshot: &StoreSnapshot, wake: &Arc<dyn Wake>) -> Vec<Tail> {
        let shards = self.shards.iter().zip(&snapshot.shards);
        shards.map(|(shard, snapshot)| shard.tail(snapshot, wake)).collect()
    }

    /// Makes segments of all that is in memory, and manifests. Returns when they are durable.
    ///
    /// # Errors
    /// `Poisoned` or `Closed`.
    pub fn flush(&self) -> Result<()> {
        self.shards.iter().try_for_each(Shard::flush)
    }

    /// Flushes, then merges segments until nothing is left to gain: the dead are gone, and their space is back
    /// when this returns. The store serves meanwhile, and compacts by itself without being asked.
    ///
    /// # Errors
    /// `Poisoned` if a merge fails, also for want of space; `Closed`.
    pub fn compact(&self) -> Result<()> {
        self.shards.iter().try_for_each(Shard::compact)
    }

    /// Removes the records with these ids that live, durably as the sync mode says; how many there were. `route`
    /// is what the model's `route` says of each of them. They go in groups of `KILLS_PER_RECORD_MAX`, each of
    /// which vanishes at one moment.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`; what the look-ups met.
    pub fn remove(&self, route: u64, ids: &[[u8; 32]]) -> Result<u64> {
        let shard = &self.shards[self.shard_of_route(route)];
        let groups = ids.chunks(KILLS_PER_RECORD_MAX).map(|ids| shard.remove(ids).map(u64::from));
        groups.sum()
    }

    /// Figures of each shard.
    pub fn stats(&self) -> Vec<ShardStats> {
        self.shards.iter().map(Shard::stats).collect()
    }

    /// Figures of the buffer pool.
    pub fn pool_stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// How the memory budget is divided now, and what is used of it. Looks at every frame of the pool: for
    /// metrics.
    pub fn memory(&self) -> StoreMemory {
        self.budget.memory(self.shards.iter().map(Shard::memory))
    }

    /// The error that writes to some shard get, if a shard takes none.
    pub fn poisoned(&self) -> Option<Error> {
        self.shards.iter().find_map(Shard::poisoned)
    }

    /// How full the file system of the store is, if that can be known.
    pub fn disk_space(&self) -> Option<DiskSpace> {
        self.env.disk.space(&self.dir)
    }

    /// The error that records to some shard get for now, if the disk is full for one.
    pub fn disk_full(&self) -> Option<Error> {
        self.shards.iter().find_map(Shard::disk_full)
    }

    /// The error that records of the store's own work get for now, if there is no space even for them.
    pub fn disk_out(&self) -> Option<Error> {
        self.shards.iter().find_map(Shard::disk_out)
    }

    /// Answers all writes that came in, syncs, and ends the shards. Dropping the store does the same
    /// and can only log a failure.
    ///
    /// # Errors
    /// The first failure to make something durable.
    pub fn close(&self) -> Result<()> {
        let results: Vec<Result<()>> = self.shards.iter().map(Shard::close).collect();
        results.into_iter().collect()
    }

    /// Ends it as a kill of the process does.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        self.shards.iter().for_each(Shard::abandon);
    }
}

impl AsRef<Store> for Store {
    fn as_ref(&self) -> &Store {
        self
    }
}

/// A write on its way. Waiting for it gives the answer; dropping it does not undo the write.
#[must_use = "the answer says whether the record was stored"]
pub struct Pending<'a> {
    shard: &'a Shard,
    ticket: Ticket,
}

impl Pending<'_> {
    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// `Poisoned` if the log failed; what the look-ups for the record's rules met.
    pub fn wait(self) -> Result<Outcome> {
        self.shard.wait(self.ticket)
    }
}

/// The answer as a future, of any executor; the shard is run by who polls, if it has no thread.
impl Future for Pending<'_> {
    type Output = Result<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Outcome>> {
        let Pending { shard, ticket } = &mut *self;
        shard.poll_running(|| ticket.poll_answer(context.waker()))
    }
}

/// The settings of a shard for who reads its files and opens no store: its place, and defaults.
pub(crate) fn config_of_files(dir: &Path, store: StoreId, page: PageSize, shard: usize) -> Config {
    config(dir, store, shard, &Options::default(), &Plan::of_files(page))
}

/// The settings of one shard of the store in `dir`.
fn config(dir: &Path, store: StoreId, shard: usize, options: &Options, plan: &Plan) -> Config {
    Config {
        dir: dir.join(format!("shard-{shard:02}")),
        store,
        shard: shard as ShardId,
        page: plan.page,
        sync: options.sync,
        memtable_bytes: plan.memtable_bytes,
        memtable_records: options.memtable_records,
        ring_bytes: plan.ring_bytes,
        log_file_bytes: options.log_file_bytes.next_multiple_of(DISK_BLOCK_BYTES) as u32,
        in_flight: options.in_flight,
        adjust: None,
        flush_at_close_bytes: plan.memtable_bytes / 8,
        compaction: Policy {
            records_max: plan.merge_records_max,
            inputs_max: plan.merge_inputs_max,
            ..options.compaction
        },
        reserve_bytes: options.disk_reserve_bytes,
        compaction_bytes_per_second: options.compaction_bytes_per_second,
    }
}

/// Opens shards in parallel: recovery is bound by one core each.
fn open_side_by_side(
    count: usize,
    open: &(dyn Fn(usize) -> Result<Shard> + Sync),
) -> Result<Vec<Shard>> {
    let owner = threads::owner_current();
    std::thread::scope(|scope| {
        let open = move |i| threads::owned_by(owner, || open(i));
        let opening: Vec<_> = (0..count).map(|i| scope.spawn(move || open(i))).collect();
        let opened = opening.into_iter().map(|o| o.join().unwrap_or(Err(Error::Closed)));
        opened.collect()
    })
}

#[cfg(test)]
pub(crate) mod tests;
