//! Ratite: an embeddable, crash-safe store for Nostr events on io_uring, and a relay built on it.
//!
//! One engine, thread per core. A shard's thread takes records from a lock-free ring, decides on them, writes
//! them to a log in groups, and answers each once it is as durable as the sync mode says. Readers on any
//! thread walk posting lists of memtables and immutable segments, on a snapshot, beside the writer.
//!
//! ```text
//!   sync       events from relay to relay                 feature `relay`
//!   relay      websockets, subscriptions, NIP-11          feature `relay`
//!   collect    log records by syslog and OTLP/HTTP        feature `collect`
//!   logs       log records, `LogStore`                    feature `logs`
//!   nostr      events, filters, rules, `EventStore`       feature `nostr`
//!   ---------- nothing below knows Nostr or logs ----------
//!   maintain   backup, restore, other shards; inspection, verification, repair
//!   retention  rules for what goes, by age, count and bytes; dry runs; a service that removes
//!   store      a directory and its shards
//!   query      plans, walks over posting lists, merges, cursors
//!   shard      the write path, flush, checkpoint, recovery, snapshots
//!   model      what a data model has to say
//!   memtable, segment    the newest records; immutable files
//!   wal, pool            ring, group commit, replay; page frames, eviction
//!   io         io_uring, `pread` and `pwrite`, a simulated disk; time, chance, threads
//!   base       errors, ids, limits, checksums
//! ```
//!
//! A module names only lower floors, and modules of one floor do not know each other (`tests/it/tidy.rs`).
//!
//! # An example
//!
#![cfg_attr(feature = "nostr", doc = "```")]
#![cfg_attr(not(feature = "nostr"), doc = "```ignore")]
//! use ratite::nostr::{Event, EventStore, Filter, Inserted, Signer};
//! use ratite::store::Options;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dir = tempfile::tempdir()?;
//!     let store = EventStore::open(dir.path(), &Options::default())?;
//!
//!     let signer = Signer::new([7; 32]).ok_or("not a secret key")?;
//!     let note = Event::from_parts(*signer.pubkey(), 1_700_000_000, 1, &[["t", "nostr"]], "hello");
//!     let note = note.sign(&signer);
//!     assert_eq!(store.insert(&note.as_ref())?.wait()?, Inserted::Stored); // durable from here on
//!
//!     let filter = Filter { kinds: Some(vec![1]), limit: Some(10), ..Filter::default() };
//!     let mut events = store.query(&[filter])?;
//!     while let Some(event) = events.next()? {
//!         println!("{} {}", event.created_at(), event.content());
//!     }
//!     Ok(store.close()?)
//! }
//! ```
//!
//! # Where to start
//!
//! - To keep events: [`nostr::EventStore`], [`nostr::Event`], [`nostr::Filter`], [`store::Options`].
//! - To serve them: [`relay::Relay`].
//! - To keep log records: [`logs::LogStore`], [`logs::LogRecord`], [`logs::Query`].
//! - To keep records of another kind: implement [`model::Model`], open a [`store::Store`], ask with
//!   [`query::Select`].
//! - To test a program against crashes: [`io::simulated`] with [`store::Options::tiny`].
//! - To act on failures: [`base::Error`], whose variants say what a caller can do.
//!
//! `docs/README.md` in the repository is the reading order for everything else: architecture, formats,
//! guarantees, operations.

pub mod base;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "collect")]
pub mod collect;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod io;
#[cfg(feature = "logs")]
pub mod logs;
#[cfg(feature = "tracing-layer")]
pub use logs::tracing_layer;
pub mod maintain;
pub mod memtable;
pub mod model;
#[cfg(feature = "nostr")]
pub mod nostr;
pub mod pool;
pub mod query;
#[cfg(feature = "relay")]
pub mod relay;
pub mod retention;
pub mod segment;
pub mod shard;
#[cfg(test)]
mod sim;
pub mod store;
#[cfg(feature = "relay")]
pub mod sync;
pub mod wal;

/// Compiles and runs the code in the README.
#[cfg(all(doctest, feature = "nostr"))]
#[doc = include_str!("../README.md")]
struct ReadmeExample;

/// Compiles and runs the code in the guide for embedders.
#[cfg(all(doctest, feature = "nostr"))]
#[doc = include_str!("../docs/embedding.md")]
struct EmbeddingExample;

/// Compiles and runs the code in the page about logs.
#[cfg(all(doctest, feature = "logs"))]
#[doc = include_str!("../docs/logs.md")]
struct LogsExample;
