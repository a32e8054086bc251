//! One store in the place of another, in one directory, with one rename.
//!
//! ```text
//!   DIR/STORE            the old store's                    renamed to here: the new store's
//!   DIR/shard-00/        old manifest, log, segments   +    segments, an empty log file, a manifest
//!   DIR/reshard/         the new store, complete, closed
//! ```
//!
//! Both lie in the same directories for a moment. They do not mix, since the new store has an id of its own:
//! of the manifests, each store reads its own and steps over the other's; segments are named by unique ids;
//! and the new store's log begins in a file above all numbers that the old one gave.
//!
//! I1. Until STORE is renamed, the old store is whole and opens; from then on, the new one.
//! I2. What belongs to neither, or to the one that lost, is removed only afterwards (`sweep`).

use super::How;
use super::segments::{Wanted, is_not_found};
use crate::base::limits::SHARDS_MAX;
use crate::base::{Error, Lsn, PageSize, Result, StoreId};
use crate::io::Disk;
use crate::segment::{file_name, parse_file_name};
use crate::shard::{Config, manifest};
use crate::store;
use crate::store::birth::{self, Birth};
use crate::wal::scan::{LogFile, Piece, follow};
use crate::wal::{Files, GRAIN_BYTES_MAX};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the new store is made, below the old one's directory.
pub(super) fn workshop(dir: &Path) -> PathBuf {
    dir.join("reshard")
}

fn config(dir: &Path, store: StoreId, page: PageSize, n: usize) -> Config {
    store::config_of_files(dir, store, page, n)
}

/// The log files of a shard, to be looked at: an opened store goes on in files of its own size.
fn files(disk: &Arc<dyn Disk>, config: &Config) -> Files {
    let (disk, dir) = (disk.clone(), config.dir.clone());
    Files {
        disk,
        dir,
        file_bytes: 2 * GRAIN_BYTES_MAX as u32,
        store: config.store,
        shard: config.shard,
    }
}

/// Puts the store in the workshop, closed and with nothing in its log, in the place of the one in `dir`.
///
/// # Errors
/// `Io`; the old store is what is there then, unless the directory itself could not be synced.
pub(super) fn swap(disk: &Arc<dyn Disk>, dir: &Path) -> Result<()> {
    let made = workshop(dir);
    let missing = || Error::corrupt(&made, 0, "the store that was made there is gone");
    let new = birth::read(&**disk, &made)?.ok_or_else(missing)?;
    let (page, shards) = new.layout(&made)?;
    for n in 0..shards {
        let from = config(&made, new.id(), page, n);
        let to = config(dir, new.id(), page, n);
        let mut whole = manifest::read(&**disk, &from)?.ok_or_else(missing)?;
        if entries(&files(disk, &from), whole.log_start)? > 0 {
            return Err(Error::corrupt(&from.dir, 0, "not all of the new shard is in segments"));
        }
        disk.create_dir(&to.dir)?;
        for segment in &whole.segments {
            let name = file_name(segment.id);
            let wanted = Wanted {
                disk: &**disk,
                id: segment.id,
                page,
                records: segment.records,
                from: &from.dir.join(&name),
                to: &to.dir.join(&name),
            };
            wanted.bring(How::Link, false, false)?;
        }
        disk.sync_dir(&to.dir)?;
        whole.begin_log(begin_log(&files(disk, &to))?);
        let newest = manifest::list(&**disk, &to)?.last().copied();
        whole.generation = newest.unwrap_or(0) + 1;
        // Beside the old store's, which counts as yet.
        manifest::put(&**disk, &to, &whole)?;
    }
    birth::write(&**disk, dir, &new)
}

/// How many entries the log has from `start` on; a closed log ends in a block without any.
fn entries(files: &Files, start: Lsn) -> Result<u64> {
    let mut entries = 0;
    follow(files, start, &mut |piece| {
        if let Piece::Block(block) = piece {
            entries += u64::from(block.info.entries);
        }
        Ok(())
    })?;
    Ok(entries)
}

/// Prepares a log file above all others, and gives the place of its first block.
fn begin_log(files: &Files) -> Result<Lsn> {
    let last = files.list()?.last().copied().unwrap_or(0);
    let Some(number) = last.checked_add(1) else {
        return Err(Error::Full { what: "log file numbers", limit: u64::from(u32::MAX) });
    };
    files.prepare(number, None)?;
    Ok(LogFile::open(files, number)?.first_block())
}

/// Removes from `dir`, which is locked and not open, what is no part of its store: what a reshard left that
/// was interrupted, or the store that it replaced.
///
/// # Errors
/// `Io`; what `birth` and the manifests say.
pub(super) fn sweep(disk: &Arc<dyn Disk>, dir: &Path, birth: &Birth) -> Result<()> {
    let (page, shards) = birth.layout(dir)?;
    for n in 0..SHARDS_MAX {
        let config = config(dir, birth.id(), page, n);
        if n < shards {
            sweep_shard(disk, &config)?;
        } else {
            remove_dir(&**disk, &config.dir)?;
        }
    }
    let made = workshop(dir);
    for n in 0..SHARDS_MAX {
        remove_dir(&**disk, &config(&made, birth.id(), page, n).dir)?;
    }
    remove_dir(&**disk, &made)?;
    disk.sync_dir(dir)
}

fn sweep_shard(disk: &Arc<dyn Disk>, config: &Config) -> Result<()> {
    let (mut foreign, mut needed, mut log_from) = (Vec::new(), BTreeSet::new(), None);
    for generation in manifest::list(&**disk, config)? {
        match manifest::read_one(&**disk, config, generation) {
            Ok(own) => {
                needed.extend(own.segments.iter().map(|segment| segment.id));
                let file = own.log_start.file();
                log_from = Some(log_from.map_or(file, |from: u32| from.min(file)));
            }
            Err(Error::Mismatch { .. }) => foreign.push(manifest::name(generation)),
            // Not ours to judge: opening will.
            Err(_) => return Ok(()),
        }
    }
    let Some(log_from) = log_from else { return Ok(()) };
    for name in disk.list(&config.dir)? {
        if parse_file_name(&name).is_some_and(|id| !needed.contains(&id)) {
            foreign.push(name);
        }
    }
    let files = files(disk, config);
    let old = files.list()?.into_iter().filter(|&number| number < log_from);
    let paths: Vec<PathBuf> = old.map(|number| files.path(number)).collect();
    for path in foreign.iter().map(|name| config.dir.join(name)).chain(paths) {
        disk.remove(&path)?;
    }
    disk.sync_dir(&config.dir)
}

/// Removes the directory with the files in it, if it is there.
fn remove_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let names = match disk.list(dir) {
        Err(error) if is_not_found(&error) => return Ok(()),
        names => names?,
    };
    names.iter().try_for_each(|name| disk.remove(&dir.join(name)))?;
    disk.sync_dir(dir)?;
    disk.remove_dir(dir)
}
