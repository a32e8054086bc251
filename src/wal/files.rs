//! The log files of one shard: their names, and how one is made ready before it is needed.
//!
//! ```text
//!   wal-00000007  being written        wal-00000008  prepared: zeroes, or an old round's bytes
//! ```
//!
//! Invariants:
//! I1. A prepared file has its full size, all of it written and synced, under a durable name. Nothing
//!     but overwriting is left to a commit, which then costs one device flush.
//! I2. Numbers only grow: a file is renamed to a higher number and a number is never given twice, so
//!     file number and offset name one place in the log for ever.
//!
//! A caller may remove or recycle files whose number is below that of the LSN from which it would
//! replay; the file that this LSN lies in stays.

use super::format::{BLOCK_HEADER_BYTES, GRAIN_BYTES_MAX, Identity, grain};
use crate::base::{Error, Result, ShardId, StoreId, planted};
use crate::io::{Disk, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PREFIX: &str = "wal-";

/// Where a shard's log files are, and what they carry. All of its methods block.
#[derive(Clone, Debug)]
pub struct Files {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The directory, which exists.
    pub dir: PathBuf,
    /// Bytes of a file: a multiple of 4 KiB, two at least.
    pub file_bytes: u32,
    /// The store, carried by every file.
    pub store: StoreId,
    /// The shard, carried by every file.
    pub shard: ShardId,
}

impl Files {
    /// Numbers of the files there are, ascending, written or only prepared. Other names are ignored.
    ///
    /// # Errors
    /// `Io`.
    pub fn list(&self) -> Result<Vec<u32>> {
        let names = self.disk.list(&self.dir)?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes file `number` ready to be written: renames the file `recycle`, which nothing needs any
    /// more, or creates one (some 50 ms for 64 MiB). Its name is durable on return.
    ///
    /// # Errors
    /// `Invalid` if the number is 0, taken, or not above `recycle`, or the disk's alignment is over
    /// 4 KiB; `Io`. No half-made file stays behind, so the same call may be tried again.
    pub fn prepare(&self, number: u32, recycle: Option<u32>) -> Result<Arc<dyn File>> {
        if number == 0 || recycle.is_some_and(|old| old >= number) {
            let why = format!("{number}, to be made of {recycle:?}, is not above it");
            return Err(Error::invalid("log file number", why));
        }
        if self.list()?.contains(&number) {
            return Err(Error::invalid("log file number", format!("{number} is taken")));
        }
        let path = self.path(number);
        self.make(&path, number, recycle).inspect_err(|_| {
            // What is left of it is of no use, and in the way of the next try. If it cannot be
            // removed either, that try says so.
            let _ = self.disk.remove(&path);
        })
    }

    /// The file of `prepare`, whose name is free.
    fn make(&self, path: &Path, number: u32, recycle: Option<u32>) -> Result<Arc<dyn File>> {
        let reused = match recycle {
            Some(old) => self.reuse(old, number)?,
            None => false,
        };
        let file = match reused {
            // Opened anew, so that its path in messages is the one it has now.
            true => self.disk.open(path)?,
            false => self.disk.create(path, u64::from(self.file_bytes))?,
        };
        if grain(file.align()) > GRAIN_BYTES_MAX {
            let why = format!("{} bytes at {}; the log writes 4096", file.align(), path.display());
            return Err(Error::invalid("disk alignment", why));
        }
        if !planted!(LogNameNotSynced) {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(file)
    }

    /// Renames `old` to `number` if it has the right size; removes it otherwise.
    fn reuse(&self, old: u32, number: u32) -> Result<bool> {
        let from = self.path(old);
        let fits = self.disk.open(&from)?.len() == u64::from(self.file_bytes);
        if fits {
            self.disk.rename(&from, &self.path(number))?;
        } else {
            self.disk.remove(&from)?;
        }
        Ok(fits)
    }

    /// Removes file `number`; durable on return.
    ///
    /// # Errors
    /// `Io`.
    pub fn remove(&self, number: u32) -> Result<()> {
        self.disk.remove(&self.path(number))?;
        self.disk.sync_dir(&self.dir)
    }

    /// Largest [`super::Group::bytes`] that fits a fresh file on any disk.
    pub fn group_bytes_max(&self) -> usize {
        let blocks = self.file_bytes as usize / GRAIN_BYTES_MAX * GRAIN_BYTES_MAX;
        blocks.saturating_sub(GRAIN_BYTES_MAX + BLOCK_HEADER_BYTES)
    }

    /// The path of file `number`.
    pub fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{PREFIX}{number:08x}"))
    }

    /// What the checksums are bound to.
    pub fn identity(&self) -> Identity {
        Identity { store: self.store, shard: self.shard }
    }
}

/// The number in a file's name, if it is the name of a log file.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?;
    let number = u32::from_str_radix(digits, 16).ok().filter(|&number| number > 0)?;
    // The one form that `path` writes: no capitals, no sign, no missing zero.
    (digits == format!("{number:08x}")).then_some(number)
}
