//! The ground floor: errors, identifiers, limits, checksums and integer codecs that every floor uses.
//!
//! Nothing here does I/O, reads a clock or starts a thread.

mod crc;
mod error;
mod hash;
mod key;
pub mod limits;
#[cfg(test)]
pub(crate) mod loomed;
#[cfg(test)]
pub(crate) mod plant;
pub mod tags;
mod terms;
mod varint;

pub use crc::{Crc64, crc64};
pub(crate) use error::check_same;
pub use error::{Error, Result};
pub use hash::{hash64, hash64_seeded};
pub use key::{Ids, Key, Lsn, Ordinal, PageSize, SegmentId, Seq, ShardId, StoreId};
pub use terms::{Terms, prefix, sort_by_term};
pub use varint::{get_varint, put_varint, varint_len};

/// Whether this bug is planted (`plant.rs`): never, outside of tests.
#[cfg(test)]
macro_rules! planted {
    ($bug:ident) => {
        $crate::base::plant::is($crate::base::plant::Bug::$bug)
    };
}
#[cfg(not(test))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}
pub(crate) use planted;
