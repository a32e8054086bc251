//! Ratite: an embeddable, crash-safe store for Nostr events and log records on io_uring.
//!
//! The floors of the crate, lowest first (`tests/it/tidy.rs` holds them):
//! `base < io < wal, pool < memtable, segment < model < shard < query < store < nostr < relay`.

pub mod base;
pub mod io;
pub mod memtable;
pub mod model;
#[cfg(feature = "nostr")]
pub mod nostr;
pub mod pool;
pub mod query;
#[cfg(feature = "relay")]
pub mod relay;
pub mod segment;
pub mod shard;
pub mod store;
pub mod wal;
