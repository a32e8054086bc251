//! One shard: a single writer with its ring, log, memtables and segments, and any number of readers.
//!
//! ```text
//!   callers ---- inbox ----> write: drain, probe, decide, log, apply, publish, answer
//!                               |  sealed memtable               ^ installed
//!                               v                                |
//!                            work: flush -> segment, checkpoint -> manifest, log files
//!                            compactor: segments -> fewer, without the dead
//!   readers <--- snapshot --- view: memtables + segments + tombstones, as of a sequence number
//!   readers ---- reads -----> the shard's ring reads missing pages, many at a time
//! ```
//!
//! Reading order: `inbox`, `write`, `commit`, `sync`, `flush`, `checkpoint`, `full`, `choose`, `compact`, `recover`,
//! `view`.
//!
//! Invariants:
//! I1. A record is answered only when it is as durable as the sync mode says.
//! I2. Records and removals become visible together, in the order of their sequence numbers, and
//!     before they are answered.
//! I3. Only the shard's own thread changes what is stored; what it changes is decided on everything
//!     before it, published or not.
//! I4. After a failed write or sync of the log nothing is answered as stored, ever.

mod ahead;
mod atomics;
mod batch;
mod changes;
mod checkpoint;
mod choose;
mod commit;
mod compact;
mod compactor;
mod config;
mod dead;
mod drop;
mod flush;
pub mod format;
pub(crate) mod full;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod inbox;
mod lists;
mod lookup;
pub(crate) mod manifest;
mod memory;
mod published;
mod reads;
mod recover;
mod remove;
mod room;
mod run;
mod sync;
mod tail;
#[cfg(test)]
mod tests;
mod ticket;
mod view;
mod work;
mod write;

pub use batch::{batch_bytes, write_batch};
pub use changes::{ChangeReader, LogPosition};
pub use choose::{Compress, Policy};
pub(crate) use compactor::Gate;
pub use config::{Config, SyncMode};
pub use dead::Dead;
pub use memory::{Adjust, ShardMemory};
pub use run::{Shard, ShardStats};
pub use tail::Tail;
pub use ticket::{Ticket, block_on};
pub use view::{LiveSegment, Snapshot, View};

use crate::base::{Error, Seq};
use crate::io::{Env, Wake};
use crate::model::Model;
use crate::pool::Pool;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

/// What became of a record that was handed to a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is stored, and `replaced` older records died with it.
    Stored {
        /// Its sequence number in its shard.
        seq: Seq,
        /// How many records it replaced.
        replaced: u32,
    },
    /// A live record has its id.
    Duplicate,
    /// The model refused it, for its own reason.
    Refused(u8),
    /// Of the records to be removed, as many lived, and are removed.
    Removed {
        /// How many.
        records: u32,
    },
    /// A flush or a compaction that was asked for is done.
    Done,
}

/// What the shard's thread, its worker and its callers share.
pub(crate) struct Shared {
    config: Config,
    env: Env,
    model: Arc<dyn Model>,
    pool: Arc<Pool>,
    inbox: inbox::Inbox,
    published: published::Published<View>,
    reads: Arc<reads::Reads>,
    gate: Gate,
    /// The first failure that stopped writes.
    poison: OnceLock<(&'static str, String)>,
    /// Who wants to know of new records.
    tails: Mutex<Vec<std::sync::Weak<dyn Wake>>>,
    full: full::FullDisk,
    /// The highest mark that came with a drop (`drop`, D5).
    mark: AtomicU64,
    stats: Stats,
    account: memory::Account,
    /// Said once it is asked for.
    batch_bytes_max: OnceLock<usize>,
}

impl Shared {
    /// Whether what goes on beside the writes may end: the shard closes, or takes no more of them.
    fn is_ending(&self) -> bool {
        self.inbox.is_closing() || self.poison.get().is_some()
    }

    /// The error that every write gets since the shard stopped taking them.
    fn poisoned(&self) -> Option<Error> {
        let (stage, why) = self.poison.get()?;
        Some(Error::Poisoned { stage, why: why.clone() })
    }
}

/// Counters of a shard; each counts up from its opening.
#[derive(Default)]
pub(crate) struct Stats {
    stored: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    removed: AtomicU64,
    commits: AtomicU64,
    log_bytes: AtomicU64,
    flushes: AtomicU64,
    compactions: AtomicU64,
    compaction_bytes: AtomicU64,
    replayed: AtomicU64,
}
