//! What is done to a store beside serving it: copies of it, and making it anew.
//!
//! ```text
//!   backup    a store that may be open and writing -> a directory that is a store itself
//!   restore   such a directory -> a store, every checksum verified on the way
//!   reshard   a store -> the same store with another number of shards
//! ```
//!
//! Reading order: `backup`, `restore`, `transfer` (what both do), `target`, `segments`, `logs`, `reshard`, `swap`.
//!
//! I1. What is made counts at one moment, when a file is renamed to STORE or a manifest is durable. A crash
//!     before it leaves what was there; after it, what is not needed any more is removed.

pub mod backup;
mod logs;
pub mod reshard;
pub mod restore;
mod segments;
mod swap;
mod target;
#[cfg(test)]
mod tests;
mod transfer;

pub use segments::How;
pub use transfer::Transferred;

/// How far something is, in units that `total` counts in too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Done so far.
    pub done: u64,
    /// Of so much, as far as known.
    pub total: u64,
}
