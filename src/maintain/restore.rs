//! Restore: a backup becomes a store, and everything in it is proven whole on the way.
//!
//! ```text
//!   backup ---- pages and blocks, each checksum ----> empty directory ----> STORE, last
//! ```
//!
//! I1. What is opened afterwards was read in full: a page or block that is not what was written stops the
//!     restore, with its file and offset.

use super::transfer::{Purpose, Transferred, transfer};
use super::{How, Step};
use crate::base::Result;
use crate::io::Disk;
use std::path::Path;
use std::sync::Arc;

/// Makes the backup in `backup` the store in `data`, which is made, is empty, or holds an unfinished restore
/// of the same backup. Steps are in bytes of segments. With [`How::Link`] both share the bytes of their
/// segments, which takes no space and no second copy.
///
/// # Errors
/// `Invalid` if `backup` holds no store or `data` is not empty; `Corrupt` with the file and offset of what is
/// damaged, `Mismatch` if a file belongs elsewhere; `Locked` if either is in use; `Io`.
pub fn run(
    disk: &Arc<dyn Disk>,
    backup: &Path,
    data: &Path,
    how: How,
    progress: &mut dyn FnMut(Step),
) -> Result<Transferred> {
    transfer(disk, (backup, data), how, Purpose::Restore, progress)
}
