//! The directory that a store is copied into: whose it is, and the moment at which its new state counts.
//!
//! ```text
//!   empty --> UNFINISHED ... NAME.part ...                     nothing to open yet
//!             STORE      ... NAME.part ...                     what was there before counts
//!   ready:    STORE or UNFINISHED renamed to READY
//!             each NAME.part renamed to NAME, READY to STORE   the new state counts
//! ```
//!
//! I1. When READY is there, everything of the new state is, durably, under its name or as a part of it, and
//!     STORE is not. Whoever comes by finishes it: `finish` may be cut off and repeated.
//! I2. Before READY, no file that the state before needs is changed.

use super::segments::is_not_found;
use super::transfer::Purpose;
use crate::base::limits::SHARDS_MAX;
use crate::base::{Error, Result, StoreId};
use crate::io::{Disk, Guard};
use crate::store::birth::{self, Birth, STORE};
use crate::store::texts;
use std::path::{Path, PathBuf};

/// Says what the first copy into a directory will be.
const UNFINISHED: &str = "UNFINISHED";
/// STORE, while parts are renamed.
const READY: &str = "READY";
const PART: &str = ".part";

/// The name of a file that does not count yet.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    part.into()
}

fn shard_dir(dir: &Path, n: usize) -> PathBuf {
    dir.join(format!("shard-{n:02}"))
}

/// The names in `dir`, none if it is not there.
fn names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if is_not_found(&error) => Ok(Vec::new()),
        names => names,
    }
}

fn has(disk: &dyn Disk, dir: &Path, name: &str) -> Result<bool> {
    Ok(names(disk, dir)?.iter().any(|n| n == name))
}

/// Makes sure that `target` is to hold a copy of the store `of`, and locks it.
///
/// # Errors
/// `Invalid` if it holds something else; `Locked`; `Io`.
pub(super) fn claim(
    disk: &dyn Disk,
    (source, target): (&Path, &Path),
    of: &Birth,
    purpose: Purpose,
) -> Result<Box<dyn Guard>> {
    let refused = |why: &str| {
        let what = match purpose {
            Purpose::Backup => "backup directory",
            Purpose::Restore => "data directory",
        };
        Err(Error::invalid(what, format!("{} {why}", target.display())))
    };
    let differs = |found: StoreId| found != of.id();
    if target.starts_with(source) || source.starts_with(target) {
        return refused("and the other directory lie in one another");
    }
    disk.create_dir(target)?;
    let lock = disk.lock(&target.join("LOCK"))?;
    finish_locked(disk, target)?;
    if let Some(there) = birth::read(disk, target)? {
        return match purpose {
            Purpose::Restore => refused("holds a store already"),
            Purpose::Backup if differs(there.id()) => {
                refused(&format!("holds the store {}, not {}", there.id(), of.id()))
            }
            Purpose::Backup => Ok(lock),
        };
    }
    match birth::read_as(disk, target, UNFINISHED)? {
        Some(there) if differs(there.id()) => {
            return refused(&format!("holds an unfinished copy of the store {}", there.id()));
        }
        Some(_) => return Ok(lock),
        None => {}
    }
    let own = ["LOCK".to_string(), format!("{STORE}.new")];
    if let Some(foreign) = names(disk, target)?.iter().find(|name| !own.contains(name)) {
        return refused(&format!("is not empty: it holds the file {foreign}"));
    }
    for n in 0..SHARDS_MAX {
        if !names(disk, &shard_dir(target, n))?.is_empty() {
            return refused("is not empty: it holds shards, but no STORE file");
        }
    }
    if !texts::names(disk, target)?.is_empty() {
        let why = format!("is not empty: it holds {}, but no STORE file", texts::DIR);
        return refused(&why);
    }
    birth::write_as(disk, target, UNFINISHED, of)?;
    Ok(lock)
}

/// Makes the parts count, all of them at once. They are durable, and so are their names.
///
/// # Errors
/// `Io`; then the next copy, or a restore, goes on from there.
pub(super) fn make_it_count(disk: &dyn Disk, target: &Path) -> Result<()> {
    let first = !birth::holds_store(disk, target)?;
    let marker = if first { UNFINISHED } else { STORE };
    disk.rename(&target.join(marker), &target.join(READY))?;
    disk.sync_dir(target)?;
    finish_locked(disk, target)
}

/// Finishes a copy that was ready when it was cut off. Locks the directory only if there is one.
///
/// # Errors
/// `Locked` if it is being finished just now; `Io`.
pub(super) fn finish(disk: &dyn Disk, dir: &Path) -> Result<()> {
    if !has(disk, dir, READY)? {
        return Ok(());
    }
    let _lock = disk.lock(&dir.join("LOCK"))?;
    finish_locked(disk, dir)
}

fn finish_locked(disk: &dyn Disk, dir: &Path) -> Result<()> {
    if !has(disk, dir, READY)? {
        return Ok(());
    }
    for holder in (0..SHARDS_MAX).map(|n| shard_dir(dir, n)).chain([texts::dir(dir)]) {
        let names = names(disk, &holder)?;
        for name in names.iter().filter_map(|name| name.strip_suffix(PART)) {
            let path = holder.join(name);
            disk.rename(&part_of(&path), &path)?;
        }
        if !names.is_empty() {
            disk.sync_dir(&holder)?;
        }
    }
    disk.rename(&dir.join(READY), &dir.join(STORE))?;
    disk.sync_dir(dir)
}

/// Removes the parts in a shard's directory, or that of texts, which no READY speaks of.
///
/// # Errors
/// `Io`.
pub(super) fn drop_parts(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let names = names(disk, dir)?;
    let mut parts = names.iter().filter(|name| name.ends_with(PART));
    parts.try_for_each(|name| disk.remove(&dir.join(name)))
}
