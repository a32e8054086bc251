//! Every fixed limit of the engine, with its unit, its reason, and the relations between them.

/// Bytes of one record's body. NIP-01 events of over 1 MiB are refused by every relay surveyed.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of a term. A field byte, a tag letter and a 32-byte value, with room for two values;
/// longer values are hashed by the model.
pub const TERM_BYTES_MAX: usize = 80;

/// Terms of one record: a follow list of 10,000 keys, each under its tag, must fit.
pub const TERMS_PER_RECORD_MAX: usize = 65_536;

/// Records that one record may remove. A group of kills must fit a log entry.
pub const KILLS_PER_RECORD_MAX: usize = 4_096;

/// Segments that one call drops at most: their ids fit the smallest ring beside other messages.
pub const DROPS_MAX: usize = 256;

/// Bytes of a model's settings, which the STORE file keeps: it stays within a sector.
pub const SETTINGS_BYTES_MAX: usize = 63;

/// Shards of a store.
pub const SHARDS_MAX: usize = 64;

/// Bytes of one group commit. Beyond this a group stops growing: the device is saturated at 256 KiB.
pub const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one batch of records, each with [`BATCH_RECORD_BYTES`]: what a device is saturated by, and no more of the
/// ring, the group and the thread than others can wait for.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Bytes that a record of a batch is counted with beside its body: at least what its log entry takes.
pub const BATCH_RECORD_BYTES: usize = 64;

/// Records in a memtable: ordinals must leave room for a sentinel.
pub const MEMTABLE_RECORDS_MAX: usize = 1 << 24;

/// Sealed memtables that may wait for their flush before writers wait.
pub const MEMTABLES_SEALED_MAX: usize = 2;

/// Segments of a shard that are not full, beyond which its writers wait for the merge under way: every insert looks for its
/// id in all of them, every query for its terms, and their filters and page tables take memory.
pub const SEGMENTS_YOUNG_MAX: usize = 128;

/// Operations that one shard's ring has in flight; below the ring's completion queue.
pub const RING_DEPTH: usize = 128;

const _: () = assert!(RECORD_BYTES_MAX + KILLS_PER_RECORD_MAX * 32 + 4096 < GROUP_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX < GROUP_BYTES_MAX);
const _: () = assert!(MEMTABLE_RECORDS_MAX < u32::MAX as usize);
const _: () = assert!(SHARDS_MAX.is_power_of_two());
