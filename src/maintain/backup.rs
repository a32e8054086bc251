//! Backup: a store, open or not, becomes a directory that can be opened in its place.
//!
//! ```text
//!   shard-NN/manifest, newest ----> segments: linked, or copied; those already there are left
//!                        `--------> log from the manifest's start, block by block while whole
//!   again from the newest manifest if something vanished meanwhile
//!   all shards -> manifests -> READY -> STORE -> what the new state does not need is removed
//! ```
//!
//! It works on the files alone, in the process that has the store open or in another, and takes no lock of
//! the store. It sees of a shard what a crash at some moment during the backup would have left.
//!
//! I1. What was acknowledged in sync mode `always` before the backup began is in it. In the other modes,
//!     what was written to the log before it began, whether synced or not.
//! I2. Of each shard the backup holds a prefix of its writes, and nothing else.
//! I3. The backup that was in the target before stays good until the new one is whole.

use super::Step;
use super::transfer::{Purpose, Transferred, transfer};
use super::{How, segments};
use crate::base::Result;
use crate::io::Disk;
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;

/// Backs up the store in `source` to `target`, which is made, or holds an earlier backup of the same store,
/// finished or not: then only what is new is brought there. Steps are in bytes of segments.
///
/// Costs a link a new segment, or a copy of its bytes, and a copy of the log, which is bounded by the
/// memtables. A backup that was interrupted is completed by running it again.
///
/// # Errors
/// `Invalid` if `source` holds no store, or if `target` holds something else, a backup of another store, or
/// one that has been written to since; `Corrupt` if what has to be copied is damaged; `Locked` if the
/// target is in use; `Io`, also if the store moved on too often before a copy of it was whole.
pub fn run(
    disk: &Arc<dyn Disk>,
    source: &Path,
    target: &Path,
    how: How,
    progress: &mut dyn FnMut(Step),
) -> Result<Transferred> {
    transfer(disk, (source, target), how, Purpose::Backup, progress)
}

/// [`run`] for an open store, by links where the file system has them.
///
/// # Errors
/// As [`run`].
pub fn of(store: &Store, target: &Path) -> Result<Transferred> {
    run(&store.env().disk, store.dir(), target, segments::How::Link, &mut |_| {})
}
