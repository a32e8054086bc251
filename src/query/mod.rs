//! Queries: from a selection to a plan, from a plan to cursors over a snapshot, from cursors to records.
//!
//! ```text
//!   Select --plan--> per source:  memtable: walk back the shortest lists, check each record
//!                                 segment:  ordinals = and(or(posting lists)...) - dead, within time
//!      sources of all shards --merge by key--> one stream a selection --limit--> union --> records
//! ```
//!
//! Everything is walked in the store's one total order, newest first or oldest first, so that union,
//! intersection, limit and the merge of shards are the same step: take the nearest head. Resident
//! pages are read on the caller's thread; misses of a batch go to the owning shard's ring together;
//! large selections are scattered over reader threads, one stream a shard (`scatter`).
//!
//! Reading order: `select`, `any_of`, `sieve`, `expired`, `walk`, `memtable`, `segment`, `merge`, `cursor`, `count`, `keys`, `histogram`, `get`, `explain`; `slices`
//! and `task` for callers who do not wait.
//!
//! I1. An answer is the newest (or oldest) `limit` records of all that match, exactly, in exact order.
//! I2. A record is answered once, however many selections, lists and sources it matches.
//! I3. An error ends a cursor: never a wrong or a silently shortened answer.

mod any_of;
mod count;
mod cursor;
mod expired;
mod explain;
mod get;
mod histogram;
mod keys;
mod memtable;
mod merge;
mod scatter;
mod segment;
mod select;
mod sieve;
mod slices;
mod task;
mod walk;

pub use any_of::AnyOf;
pub use count::{count, postings};
pub use cursor::Cursor;
pub use expired::{Expired, Expiry, Side};
pub use explain::explain;
pub use get::get;
pub use histogram::{TakePart, histogram};
pub use keys::keys;
pub use scatter::{Large, Readers};
pub use select::{Matches, Order, Select};
pub use sieve::{SIEVE_TERMS_MIN, Sieve};
pub use slices::{Next, Produce, Slices};
pub use task::Task;
