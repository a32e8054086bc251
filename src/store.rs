//! The store: its directory, its shards, and what is asked of all of them together.
//!
//! ```text
//!   DIR/LOCK            held while the store is open
//!   DIR/STORE           what the store was created with; written last, never changed
//!   DIR/shard-00/ ...   manifest, log files, segments of each shard
//! ```
//!
//! I1. A directory is a store when STORE is there; it is made into one only if it holds nothing else.

use crate::base::limits::{RECORD_BYTES_MAX, SHARDS_MAX};
use crate::base::{Crc64, Error, PageSize, Result, ShardId, StoreId};
use crate::io::{Buf, Disk, Env, Guard, Wake, threads};
use crate::model::{Model, Record};
use crate::pool::{Pool, PoolStats};
use crate::query::{self, Cursor, Large, Order, Readers, Select};
use crate::shard::{Config, Outcome, Shard, ShardStats, Snapshot, SyncMode, Tail, Ticket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// How a store is opened. `Default` suits a server with a few GiB of memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Shards of a new store: a power of two up to 64. Default: the cores at hand. For an existing
    /// store: `None`, or what it was created with.
    pub shards: Option<usize>,
    /// Page size of a new store. For an existing store: `None`, or what it was created with.
    pub page: Option<PageSize>,
    /// When writes are answered. Default: `Always`.
    pub sync: SyncMode,
    /// Bytes of the buffer pool, shared by all shards. Default: 256 MiB.
    pub pool_bytes: usize,
    /// Bytes of one memtable; each shard has one, and up to two more while they are flushed.
    /// Default: 32 MiB.
    pub memtable_bytes: usize,
    /// Bytes of one log file. Default: 64 MiB; at least 4 times the largest record.
    pub log_file_bytes: usize,
    /// Bytes of each shard's ring. Default: 8 MiB.
    pub ring_bytes: usize,
    /// Writes that may wait for answers at once, for each shard. Default: 8,192.
    pub in_flight: usize,
    /// Whether shards run on threads of their own. Without, whoever waits for a shard runs it: for
    /// simulations, which a seed then replays exactly.
    pub threads: bool,
    /// Threads that read for large queries. Default: the cores at hand.
    pub readers: usize,
    /// What counts as a large query. Default: over 2,048 records and 100,000 postings.
    pub large: Large,
    /// Whether a directory without a store is made into one. Default: yes.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shards: None,
            page: None,
            sync: SyncMode::Always,
            pool_bytes: 256 << 20,
            memtable_bytes: 32 << 20,
            log_file_bytes: 64 << 20,
            ring_bytes: 8 << 20,
            in_flight: 8192,
            threads: true,
            readers: threads::cores(),
            large: Large::default(),
            create: true,
        }
    }
}

impl Options {
    /// Small files and memtables, no threads: a store that a test can open a thousand times.
    pub fn tiny() -> Options {
        Options {
            shards: Some(2),
            pool_bytes: 1 << 20,
            memtable_bytes: 192 << 10,
            log_file_bytes: 256 << 10,
            ring_bytes: 256 << 10,
            in_flight: 256,
            threads: false,
            readers: 0,
            ..Options::default()
        }
    }

    fn check(&self) -> Result<()> {
        let shards = self.shards.unwrap_or(1);
        if !shards.is_power_of_two() || shards > SHARDS_MAX {
            let why = format!("{shards} is not a power of two from 1 to {SHARDS_MAX}");
            return Err(Error::invalid("shards", why));
        }
        let within = |what, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(what, format!("{value} is not from {least} to {most}")))
        };
        within("memtable_bytes", self.memtable_bytes, 64 << 10, 4 << 30)?;
        within("log_file_bytes", self.log_file_bytes, 64 << 10, 1 << 30)?;
        within("ring_bytes", self.ring_bytes, 16 << 10, 1 << 30)?;
        within("in_flight", self.in_flight, 1, 1 << 20)?;
        within("pool_bytes", self.pool_bytes, 256 << 10, 1 << 44)
    }
}

/// Version of the STORE file.
pub const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"RATSTOR1";
const STORE: &str = "STORE";
const STORE_NEW: &str = "STORE.new";

/// The STORE file: what can never change, padded with zeros to the file's alignment.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Birth {
    magic: [u8; 8],
    version: U32,
    page_bytes: U32,
    store: [u8; 16],
    shards: U32,
    model_version: U32,
    /// Name of the model, padded with zeros.
    model: [u8; 16],
    /// Of all before it.
    crc: U64,
}

/// Bytes of the STORE file that count.
pub const STORE_BYTES: usize = size_of::<Birth>();
const _: () = assert!(STORE_BYTES == 64 && std::mem::offset_of!(Birth, crc) == 56);

/// An open store of records of one model. Cheap to share behind an `Arc`; every method takes `&self`.
pub struct Store {
    dir: PathBuf,
    id: StoreId,
    page: PageSize,
    env: Env,
    model: Arc<dyn Model>,
    shards: Vec<Shard>,
    pool: Arc<Pool>,
    readers: Readers,
    _lock: Box<dyn Guard>,
}

/// The records of all shards that were published at one moment.
#[derive(Clone)]
pub struct StoreSnapshot {
    shards: Vec<Snapshot>,
}

impl StoreSnapshot {
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
        } else if !holds_store(&*env.disk, dir)? {
            // Looked for before the lock, which would leave a file behind.
            let why = format!("{} holds no store", dir.display());
            return Err(Error::invalid("data directory", why));
        }
        let lock = env.disk.lock(&dir.join("LOCK"))?;
        let birth = match read_birth(&*env.disk, dir)? {
            Some(birth) => birth,
            None => create(dir, &*model, options, &env)?,
        };
        let (page, shard_count) = check_birth(dir, &birth, &*model, options)?;
        let id = StoreId(birth.store);
        let pool = Pool::new(options.pool_bytes, page);
        let config = |shard| config(dir, id, page, shard, options);
        let open = |shard: usize| {
            Shard::open(env.clone(), model.clone(), pool.clone(), config(shard), !options.threads)
        };
        let shards = if options.threads && shard_count > 1 {
            open_side_by_side(shard_count, &open)?
        } else {
            (0..shard_count).map(open).collect::<Result<Vec<_>>>()?
        };
        let readers = if options.threads { options.readers } else { 0 };
        let readers = Readers::start(readers, options.large);
        Ok(Store { dir: dir.into(), id, page, env, model, shards, pool, readers, _lock: lock })
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
        let ticket = std::future::poll_fn(|context: &mut Context<'_>| -> Poll<Result<Ticket>> {
            shard.poll_insert(record, context)
        });
        ticket.await?.await
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

    /// The union of `selects` over what is published now, in `order`.
    ///
    /// # Errors
    /// As [`Store::query_at`].
    pub fn query(&self, selects: &[Select], order: Order) -> Result<Cursor> {
        self.query_at(&self.snapshot(), selects, order)
    }

    /// Gives the live record with `id` to `read`, as it is published now.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn get<T>(&self, id: &[u8; 32], read: impl FnOnce(Record<'_>) -> T) -> Result<Option<T>> {
        query::get(id, &self.snapshot().shards, read)
    }

    /// How many records match at least one of `selects`, limits aside.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, selects: &[Select]) -> Result<u64> {
        let snapshot = self.snapshot();
        query::count(selects, &self.asked(&snapshot, selects), &self.readers)
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

    /// Figures of each shard.
    pub fn stats(&self) -> Vec<ShardStats> {
        self.shards.iter().map(Shard::stats).collect()
    }

    /// Figures of the buffer pool.
    pub fn pool_stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// The error that writes to some shard get, if a shard takes none.
    pub fn poisoned(&self) -> Option<Error> {
        self.shards.iter().find_map(Shard::poisoned)
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

    /// The ticket as a future (of a store with threads).
    pub fn into_future(self) -> Ticket {
        self.ticket
    }
}

fn config(dir: &Path, store: StoreId, page: PageSize, shard: usize, options: &Options) -> Config {
    Config {
        dir: dir.join(format!("shard-{shard:02}")),
        store,
        shard: shard as ShardId,
        page,
        sync: options.sync,
        memtable_bytes: options.memtable_bytes,
        ring_bytes: options.ring_bytes.next_power_of_two(),
        log_file_bytes: options.log_file_bytes as u32,
        in_flight: options.in_flight,
        flush_at_close_bytes: options.memtable_bytes / 8,
    }
}

/// Opens shards in parallel: recovery is bound by one core each.
fn open_side_by_side(
    count: usize,
    open: &(dyn Fn(usize) -> Result<Shard> + Sync),
) -> Result<Vec<Shard>> {
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..count).map(|i| scope.spawn(move || open(i))).collect();
        let opened = opening.into_iter().map(|o| o.join().unwrap_or(Err(Error::Closed)));
        opened.collect()
    })
}

fn create(dir: &Path, model: &dyn Model, options: &Options, env: &Env) -> Result<Birth> {
    let own = ["LOCK", STORE_NEW];
    if let Some(foreign) = env.disk.list(dir)?.into_iter().find(|n| !own.contains(&n.as_str())) {
        let why = format!("{} holds no store, but the file {foreign}", dir.display());
        return Err(Error::invalid("data directory", why));
    }
    let shards =
        options.shards.unwrap_or_else(|| threads::cores().next_power_of_two().min(SHARDS_MAX));
    let page = options.page.unwrap_or_default();
    let mut random = [0; 10];
    env.entropy.fill(&mut random);
    let id = StoreId::v7(env.clock.unix_micros() / 1000, random);
    for shard in 0..SHARDS_MAX {
        let config = config(dir, id, page, shard, options);
        clear_unborn(&*env.disk, &config.dir)?;
        if shard < shards {
            Shard::create(env, &config)?;
        }
    }
    let mut name = [0; 16];
    name[..model.name().len()].copy_from_slice(model.name().as_bytes());
    let mut birth = Birth {
        magic: MAGIC,
        version: U32::new(VERSION),
        page_bytes: U32::new(page.bytes() as u32),
        store: id.0,
        shards: U32::new(shards as u32),
        model_version: U32::new(model.version()),
        model: name,
        crc: U64::ZERO,
    };
    birth.crc = U64::new(birth.checksum());
    write_birth(&*env.disk, dir, &birth)?;
    Ok(birth)
}

/// Removes what an interrupted creation left. Log files and segments are never left by one: a
/// directory with those has lost its STORE file.
fn clear_unborn(disk: &dyn Disk, shard: &Path) -> Result<()> {
    let names = match disk.list(shard) {
        Ok(names) => names,
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if let Some(name) = names.iter().find(|n| !n.starts_with("manifest-")) {
        let what = format!("{} holds {name}, but the STORE file is missing", shard.display());
        return Err(Error::corrupt(shard, 0, what));
    }
    names.iter().try_for_each(|name| disk.remove(&shard.join(name)))
}

fn write_birth(disk: &dyn Disk, dir: &Path, birth: &Birth) -> Result<()> {
    let new = dir.join(STORE_NEW);
    if disk.list(dir)?.iter().any(|n| n == STORE_NEW) {
        disk.remove(&new)?;
    }
    let file = disk.create(&new, 0)?;
    let align = file.align();
    let mut buf = Buf::zeroed(STORE_BYTES.next_multiple_of(align), align);
    buf[..STORE_BYTES].copy_from_slice(birth.as_bytes());
    file.write_at(0, &buf)?;
    file.sync()?;
    // Renamed only now, so that STORE is whole whenever it is there.
    disk.rename(&new, &dir.join(STORE))?;
    disk.sync_dir(dir)
}

fn holds_store(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    Ok(disk.list(dir)?.iter().any(|n| n == STORE))
}

fn read_birth(disk: &dyn Disk, dir: &Path) -> Result<Option<Birth>> {
    if !holds_store(disk, dir)? {
        return Ok(None);
    }
    let path = dir.join(STORE);
    let file = disk.open(&path)?;
    let align = file.align();
    let mut buf = Buf::zeroed(STORE_BYTES.next_multiple_of(align), align);
    file.read_at(0, &mut buf)?;
    let birth =
        Birth::read_from_prefix(&buf).map_err(|_| Error::corrupt(&path, 0, "it is too short"));
    let (birth, _) = birth?;
    if birth.magic != MAGIC {
        return Err(Error::corrupt(path, 0, "it does not begin like a STORE file"));
    }
    if birth.version.get() != VERSION {
        let found = birth.version.get();
        return Err(Error::WrongVersion { path, found, supported: VERSION });
    }
    if birth.crc.get() != birth.checksum() {
        return Err(Error::corrupt(path, 0, "its checksum does not match"));
    }
    Ok(Some(birth))
}

/// Compares what the store was created with to what is asked for now.
fn check_birth(
    dir: &Path,
    birth: &Birth,
    model: &dyn Model,
    options: &Options,
) -> Result<(PageSize, usize)> {
    let mismatch = |what, stored: &dyn ToString, asked: &dyn ToString| {
        let (stored, asked) = (stored.to_string(), asked.to_string());
        Err(Error::Mismatch { path: dir.into(), what, stored, asked })
    };
    let name = String::from_utf8_lossy(&birth.model);
    let name = name.trim_end_matches('\0');
    if name != model.name() {
        return mismatch("the model", &name, &model.name());
    }
    if birth.model_version.get() != model.version() {
        return mismatch("model version", &birth.model_version.get(), &model.version());
    }
    let page_bytes = birth.page_bytes.get() as usize;
    let (Some(page), shards) = (PageSize::from_bytes(page_bytes), birth.shards.get() as usize)
    else {
        return Err(Error::corrupt(dir.join(STORE), 12, format!("{page_bytes} is no page size")));
    };
    if !shards.is_power_of_two() || shards > SHARDS_MAX {
        return Err(Error::corrupt(
            dir.join(STORE),
            32,
            format!("{shards} is no number of shards"),
        ));
    }
    if let Some(asked) = options.page.filter(|&asked| asked != page) {
        return mismatch("page size", &page.bytes(), &asked.bytes());
    }
    match options.shards {
        Some(asked) if asked != shards => mismatch("a number of shards of", &shards, &asked),
        _ => Ok((page, shards)),
    }
}

impl Birth {
    fn checksum(&self) -> u64 {
        Crc64::new().update(&self.as_bytes()[..std::mem::offset_of!(Birth, crc)]).finish()
    }
}

const _: () = assert!(RECORD_BYTES_MAX * 4 <= 64 << 20);

#[cfg(test)]
mod tests;
