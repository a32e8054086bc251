//! How a store is opened: every setting with its default, its unit and its range.

use super::birth;
use super::budget::Plan;
use crate::base::limits::{RECORD_BYTES_MAX, SHARDS_MAX};
use crate::base::{Error, PageSize, Result};
use crate::io::{Disk, threads};
use crate::query::Large;
use crate::shard::{Policy, SyncMode};
use std::path::Path;

/// The smallest memtable.
pub(super) const MEMTABLE_BYTES_MIN: usize = 64 << 10;

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
    /// Bytes of memory for everything: rings, memtables, filters, working memory, and the buffer pool,
    /// which has what the others leave. Default: 1 GiB, which ten million events on two shards are built
    /// and measured for, or 40 MiB a core if that is more. The least is
    /// [`Options::memory_bytes_min`], some 64 MiB with two shards.
    pub memory_bytes: usize,
    /// Bytes of one memtable; each shard has one, and up to two more while they are flushed.
    /// Default: a 16th of the memory, divided among the shards, from 64 KiB to 64 MiB.
    pub memtable_bytes: Option<usize>,
    /// Records at which a memtable is sealed, whatever its bytes. A batch is not divided, and what is replayed at opening
    /// is one memtable.
    /// Default: `None`, as many as fit.
    pub memtable_records: Option<u32>,
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
    /// When segments are merged. Default: four of a size, or 20 % dead, into at most 1,048,576 records.
    pub compaction: Policy,
    /// Bytes that merges read and write in a second, in all shards together. Default: 256 MiB.
    pub compaction_bytes_per_second: u64,
    /// Bytes of the file system below which records are refused as on a full disk, so that removals, merges and manifests
    /// have room. Default: `None`, a 20th of it, 256 MiB at most.
    pub disk_reserve_bytes: Option<u64>,
    /// Whether a directory without a store is made into one. Default: yes.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shards: None,
            page: None,
            sync: SyncMode::Always,
            memory_bytes: (1 << 30).max(threads::cores() * (40 << 20)),
            memtable_bytes: None,
            memtable_records: None,
            log_file_bytes: 64 << 20,
            ring_bytes: 8 << 20,
            in_flight: 8192,
            threads: true,
            readers: threads::cores(),
            large: Large::default(),
            compaction: Policy::default(),
            compaction_bytes_per_second: 256 << 20,
            disk_reserve_bytes: None,
            create: true,
        }
    }
}

impl Options {
    /// Small files and memtables, no threads: a store that a test can open a thousand times.
    pub fn tiny() -> Options {
        Options {
            shards: Some(2),
            memory_bytes: 8 << 20,
            memtable_bytes: Some(192 << 10),
            log_file_bytes: 256 << 10,
            ring_bytes: 256 << 10,
            in_flight: 256,
            threads: false,
            readers: 0,
            compaction: Policy { records_max: 2000, fan_in: 3, ..Policy::default() },
            compaction_bytes_per_second: u64::MAX,
            ..Options::default()
        }
    }

    /// For a store whose files are in memory too ([`io::in_memory`](crate::io::in_memory)): some 50 MiB.
    pub fn in_memory() -> Options {
        Options {
            shards: Some(1),
            memory_bytes: 64 << 20,
            log_file_bytes: 8 << 20,
            sync: SyncMode::Never,
            readers: 1,
            ..Options::default()
        }
    }

    /// The least `memory_bytes` with which a store with `shards` shards opens, the other options as
    /// they are: its rings and groups, memtables, compactions and the smallest pool. Filters of the data
    /// come on top.
    pub fn memory_bytes_min(&self, shards: usize) -> usize {
        Plan::least_bytes(self, self.page.unwrap_or_default(), shards)
    }

    /// Checks that a store with `shards` shards opens with these options, as far as they decide it: what is refused here
    /// is what opening refuses, in the same words.
    ///
    /// # Errors
    /// `Invalid`, naming the option.
    pub fn check_for(&self, shards: usize) -> Result<()> {
        self.check()?;
        Plan::new(self, self.page.unwrap_or_default(), shards).map(drop)
    }

    /// The same for the store in `dir`, or if there is none for the one that these options make. Reads its STORE file, takes
    /// no lock and changes nothing.
    ///
    /// # Errors
    /// As [`Options::check_for`]; `Mismatch` if the store has another page size or number of shards; `Io`, `Corrupt` and
    /// `WrongVersion` of its STORE file.
    pub fn check_in(&self, dir: &Path, disk: &dyn Disk) -> Result<()> {
        self.check()?;
        let (page, shards) = birth::layout_in(disk, dir, self)?;
        Plan::new(self, page, shards).map(drop)
    }

    pub(super) fn check(&self) -> Result<()> {
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
        let memtable_bytes = self.memtable_bytes.unwrap_or(MEMTABLE_BYTES_MIN);
        within("memtable_bytes", memtable_bytes, MEMTABLE_BYTES_MIN, 4 << 30)?;
        within("log_file_bytes", self.log_file_bytes, 64 << 10, 1 << 30)?;
        within("ring_bytes", self.ring_bytes, 16 << 10, 1 << 30)?;
        within("compaction.records_max", self.compaction.records_max as usize, 1000, 1 << 24)?;
        within("compaction.fan_in", self.compaction.fan_in, 2, 16)?;
        within("compaction.inputs_max", self.compaction.inputs_max, 2, 1024)?;
        within("compaction.garbage_percent", self.compaction.garbage_percent as usize, 1, 100)?;
        within("memtable_records", self.memtable_records.unwrap_or(1) as usize, 1, 1 << 31)?;
        within("in_flight", self.in_flight, 1, 1 << 20)?;
        within("memory_bytes", self.memory_bytes, 1 << 20, 1 << 44)
    }
}

const _: () = assert!(RECORD_BYTES_MAX * 4 <= 64 << 20);
