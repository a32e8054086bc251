//! What a shard is opened with. The store fills it in from its own options.

use super::{Adjust, Policy};
use crate::base::{PageSize, ShardId, StoreId};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// When a write is answered, and what it survives from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncMode {
    /// Every group of writes is synced before its answers: survives power loss.
    Always,
    /// Written before its answers, synced at least every `interval` or `bytes`, whichever comes
    /// first: survives the end of the process at once, power loss after that window.
    Batch {
        /// The longest time that an answered write may stay unsynced.
        interval: Duration,
        /// The most log bytes that may be unsynced; writers wait beyond them.
        bytes: u64,
    },
    /// Written before its answers, synced when the kernel likes: survives the end of the process.
    Never,
}

impl SyncMode {
    /// The default window of `Batch`: 100 ms or 8 MiB.
    pub const BATCH: SyncMode =
        SyncMode::Batch { interval: Duration::from_millis(100), bytes: 8 << 20 };
}

/// The settings of one shard.
#[derive(Clone, Debug)]
pub struct Config {
    /// The shard's own directory.
    pub dir: PathBuf,
    /// The store it belongs to.
    pub store: StoreId,
    /// Its number.
    pub shard: ShardId,
    /// Page size of its segments.
    pub page: PageSize,
    /// When writes are answered.
    pub sync: SyncMode,
    /// Bytes after which a memtable is sealed and flushed.
    pub memtable_bytes: usize,
    /// Records at which it is, if that comes first.
    pub memtable_records: Option<u32>,
    /// Bytes of the ring that callers write into; a power of two.
    pub ring_bytes: usize,
    /// Bytes of one log file.
    pub log_file_bytes: u32,
    /// Writes that may wait for their answers at once.
    pub in_flight: usize,
    /// Who is told what the shard takes of the store's memory.
    pub adjust: Option<Arc<dyn Adjust>>,
    /// A memtable smaller than this is left in the log at close, to be replayed at open.
    pub flush_at_close_bytes: usize,
    /// When segments are merged.
    pub compaction: Policy,
    /// Bytes of the file system that are kept free of records: see `full`.
    pub reserve_bytes: Option<u64>,
    /// Bytes that merges read and write in a second, at most.
    pub compaction_bytes_per_second: u64,
}
