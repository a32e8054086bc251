//! What is done to a store beside serving it: copies of it, making it anew, proving and mending it.
//!
//! ```text
//!   backup    a store that may be open and writing -> a directory that is a store itself
//!   restore   such a directory -> a store, every checksum verified on the way
//!   reshard   a store -> the same store with another number of shards
//!   inspect   one file, as it lies there
//!   verify    the whole store, read only
//!   repair    verify; what is damaged is made anew from what is whole, the damaged goes to quarantine
//! ```
//!
//! Reading order: `backup`, `restore`, `transfer` (what both do), `target`, `segments`, `logs`, `texts`, `reshard`, `swap`;
//! then `report` (what is found), `readonly` (the disk that cannot be written), `site` (whose store it is),
//! `log`, `verify`, `repair`, `inspect`.
//!
//! I1. What is made counts at one moment, when a file is renamed to STORE or a manifest is durable. A crash
//!     before it leaves what was there; after it, what is not needed any more is removed.

pub mod backup;
pub mod inspect;
mod log;
mod logs;
#[cfg(test)]
mod mending;
mod readonly;
pub mod repair;
mod report;
pub mod reshard;
pub mod restore;
mod segments;
mod site;
mod swap;
mod target;
#[cfg(test)]
mod tests;
mod texts;
mod transfer;
pub mod verify;

pub use report::{Counts, Finding, Report, Severity, Witness};
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
