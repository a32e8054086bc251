//! Manifests: numbered files, each the whole truth about its shard; the newest whole one counts.
//!
//! ```text
//!   write:  manifest-N+1 written, synced -> directory synced -> manifest-N-1 removed
//!   read:   the newest that is whole; if it is not the newest there, the log must still reach back to it
//! ```
//!
//! I1. A manifest's name is durable only after its contents and the names of all segments it lists.
//! I2. Nothing that the newest durable manifest, or the one before it, needs is removed.
//! I3. A manifest that is found whole may yet not be durable, since the sync that failed behind it is why the store
//!     was opened again. It is written once more, the same bytes to the same place, before anything is removed that
//!     it does without.

use super::config::Config;
use super::format::Manifest;
use crate::base::{Error, Lsn, Result, planted};
use crate::io::{Buf, Disk, File};
use crate::wal::Files;
use std::path::Path;

const PREFIX: &str = "manifest-";

/// The name of a generation's file.
pub(crate) fn name(generation: u64) -> String {
    format!("{PREFIX}{generation:016x}")
}

/// The generation whose file has this name.
pub(crate) fn generation(file: &str) -> Option<u64> {
    let generation = u64::from_str_radix(file.strip_prefix(PREFIX)?, 16).ok()?;
    // The one form that `name` writes: no capitals, no sign, no missing zero.
    (file == name(generation)).then_some(generation)
}

/// The generations that have a file, ascending.
pub(crate) fn list(disk: &dyn Disk, config: &Config) -> Result<Vec<u64>> {
    let mut found: Vec<u64> =
        disk.list(&config.dir)?.iter().filter_map(|n| generation(n)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Writes `manifest` durably, then drops all but the two newest.
pub(crate) fn write(disk: &dyn Disk, config: &Config, manifest: &Manifest) -> Result<()> {
    if planted!(ManifestSwappedTooSoon) {
        for old in list(disk, config)? {
            disk.remove(&config.dir.join(name(old)))?;
        }
    }
    put(disk, config, manifest)?;
    drop_old(disk, config, manifest.generation)
}

/// Drops all before `newest` but one. Those that could not be written left no number behind.
fn drop_old(disk: &dyn Disk, config: &Config, newest: u64) -> Result<()> {
    let older = list(disk, config)?.into_iter().filter(|old| *old < newest);
    older.rev().skip(1).try_for_each(|old| disk.remove(&config.dir.join(name(old))))
}

/// Writes `manifest` durably, beside whatever others there are.
pub(crate) fn put(disk: &dyn Disk, config: &Config, manifest: &Manifest) -> Result<()> {
    // A left-over of an attempt that failed half-way has no claim to the name.
    let path = config.dir.join(name(manifest.generation));
    if list(disk, config)?.contains(&manifest.generation) {
        disk.remove(&path)?;
    }
    put_as(disk, config, &path, manifest).inspect_err(|_| {
        // Half of one is of no use. If it stays, reading passes over it, or it is whole and counts.
        if !planted!(ManifestNotSettled) {
            let _gone = disk.remove(&path);
        }
    })
}

/// As [`put`], as the file `path` of the shard's directory, which is not there.
pub(crate) fn put_as(
    disk: &dyn Disk,
    config: &Config,
    path: &Path,
    manifest: &Manifest,
) -> Result<()> {
    let bytes = manifest.encode(config.store, config.shard);
    let file = disk.create(path, 0)?;
    file.write_at(0, &Buf::padded(&bytes, file.align()))?;
    if !planted!(ManifestNotSynced) {
        file.sync()?;
    }
    if planted!(ManifestNameNotSynced) { Ok(()) } else { disk.sync_dir(&config.dir) }
}

/// The newest whole manifest, or `None` if the directory has none at all.
///
/// # Errors
/// If there are manifests and none is whole: the first failure. `Io` if one that counts cannot be read. A shard whose manifests are lost
/// is not an empty shard.
pub(crate) fn read(disk: &dyn Disk, config: &Config) -> Result<Option<Manifest>> {
    let mut failure = None;
    for &generation in list(disk, config)?.iter().rev() {
        match read_one(disk, config, generation) {
            Ok(manifest) => return Ok(Some(manifest)),
            // It may be whole: an older one in its place would be a guess, and its failure another's.
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(code = error.code(), "{error}; trying the manifest before it");
                failure = failure.or(Some(error));
            }
        }
    }
    failure.map_or(Ok(None), Err)
}

/// Whether the log, which ends at `end`, reaches as far as it did when `manifest` was written.
///
/// # Errors
/// `Corrupt`, at the place where it ends too soon.
pub(crate) fn check_end(files: &Files, manifest: &Manifest, end: Lsn) -> Result<()> {
    let proven = manifest.log_end;
    if end >= proven || planted!(LogEndNotLookedAt) {
        return Ok(());
    }
    let at = if proven.file() == end.file() { end } else { Lsn::new(proven.file(), 0) };
    let (path, offset, generation) = (files.path(at.file()), at.offset(), manifest.generation);
    let what =
        format!("the log ends at LSN {end}; manifest {generation} found it durable to {proven}");
    Err(Error::corrupt(path, u64::from(offset), what))
}

/// Makes the manifest of this generation, which was found whole, durable under a durable name (I3).
pub(crate) fn settle(disk: &dyn Disk, config: &Config, generation: u64) -> Result<()> {
    if planted!(ManifestNotSettled) {
        return Ok(());
    }
    let file = disk.open(&config.dir.join(name(generation)))?;
    let buf = contents(&*file)?;
    file.write_at(0, &buf)?;
    file.sync()?;
    disk.sync_dir(&config.dir)
}

/// Removes manifests newer than that of `generation` that are damaged, durably: a write that was torn, mostly. Whether
/// one is left that cannot be read now and may be next time.
pub(crate) fn drop_damaged(disk: &dyn Disk, config: &Config, generation: u64) -> Result<bool> {
    let (mut left, mut removed) = (false, false);
    for newer in list(disk, config)?.into_iter().filter(|&other| other > generation) {
        match read_one(disk, config, newer) {
            Err(Error::Corrupt { .. }) => {
                disk.remove(&config.dir.join(name(newer)))?;
                removed = true;
            }
            // Of the store that a reshard replaces.
            Err(Error::Mismatch { .. }) => {}
            _ => left = true,
        }
    }
    if removed {
        disk.sync_dir(&config.dir)?;
    }
    Ok(left)
}

fn contents(file: &dyn File) -> Result<Buf> {
    let align = file.align();
    let bytes = usize::try_from(file.len())
        .map_err(|_| Error::corrupt(file.path(), 0, "no manifest is that long"))?;
    let mut buf = Buf::zeroed(bytes / align * align, align);
    file.read_at(0, &mut buf)?;
    Ok(buf)
}

/// The manifest of one generation.
pub(crate) fn read_one(disk: &dyn Disk, config: &Config, generation: u64) -> Result<Manifest> {
    let path = config.dir.join(name(generation));
    let buf = contents(&*disk.open(&path)?)?;
    let manifest = Manifest::decode(&path, &buf, config.store, config.shard)?;
    if manifest.generation != generation {
        return Err(Error::corrupt(path, 0, "the manifest is of another generation than its name"));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PageSize, StoreId};
    use crate::io::{Faults, SimDisk, simulated};
    use std::sync::Arc;

    /// A shard's directory on a disk of its own.
    fn shard() -> (Arc<SimDisk>, Config) {
        let (env, disk, _) = simulated(1, Faults::default());
        let config =
            crate::store::config_of_files(Path::new("/s"), StoreId([1; 16]), PageSize::K4, 0);
        env.disk.create_dir(&config.dir).unwrap();
        (disk, config)
    }

    fn of(generation: u64) -> Manifest {
        Manifest { generation, log_start: Lsn::new(7, 512), ..Manifest::first(generation) }
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_an_error_and_a_torn_one_is_passed_over() {
        let (disk, config) = shard();
        (1..=2).for_each(|generation| write(&*disk, &config, &of(generation)).unwrap());
        let found = || read(&*disk, &config).map(|manifest| manifest.map(|m| m.generation));
        assert_eq!(found().unwrap(), Some(2));
        disk.set_faults(Faults { eio_read: 1, ..Faults::default() });
        assert_eq!(found().unwrap_err().code(), "ERR_IO");
        disk.set_faults(Faults::default());
        disk.flip_bit(config.dir.join(name(2)), 3, 1).unwrap();
        assert_eq!(found().unwrap(), Some(1));
        // Of the older one nothing is known either.
        disk.set_faults(Faults { eio_read: 1, ..Faults::default() });
        assert_eq!(found().unwrap_err().code(), "ERR_IO");
    }

    #[test]
    fn the_two_newest_are_kept_and_what_is_newer_than_they_are() {
        let (disk, config) = shard();
        for generation in 1..=5 {
            write(&*disk, &config, &of(generation)).unwrap();
            let kept: Vec<u64> = (1.max(generation - 1)..=generation).collect();
            assert_eq!(list(&*disk, &config).unwrap(), kept);
            disk.power_loss();
            assert_eq!(read(&*disk, &config).unwrap(), Some(of(generation)), "durable");
        }
        put(&*disk, &config, &of(9)).unwrap();
        // A left-over has no claim to the name.
        disk.create(&config.dir.join(name(6)), 0).unwrap();
        write(&*disk, &config, &of(6)).unwrap();
        assert_eq!(list(&*disk, &config).unwrap(), [5, 6, 9]);
        assert_eq!(read_one(&*disk, &config, 6).unwrap(), of(6));
    }

    #[test]
    fn only_what_is_proven_to_be_damaged_and_newer_is_dropped() {
        let (disk, config) = shard();
        (1..=6).for_each(|generation| put(&*disk, &config, &of(generation)).unwrap());
        let other = Config { store: StoreId([2; 16]), ..config.clone() };
        put(&*disk, &other, &of(7)).unwrap();
        disk.flip_bit(config.dir.join(name(2)), 3, 1).unwrap();
        disk.flip_bit(config.dir.join(name(5)), 3, 1).unwrap();
        // 6 is whole: who asks could not read it when it looked for the newest.
        assert!(drop_damaged(&*disk, &config, 3).unwrap());
        assert_eq!(list(&*disk, &config).unwrap(), [1, 2, 3, 4, 6, 7]);
        disk.power_loss();
        assert_eq!(list(&*disk, &config).unwrap(), [1, 2, 3, 4, 6, 7], "durably");
        assert!(!drop_damaged(&*disk, &config, 6).unwrap(), "another store's is none of this one");
        assert!(list(&*disk, &config).unwrap().contains(&7));
        disk.flip_bit(config.dir.join(name(3)), 3, 1).unwrap();
        assert!(drop_damaged(&*disk, &config, 3).unwrap());
        assert!(list(&*disk, &config).unwrap().contains(&3), "not newer than itself");
        disk.set_faults(Faults { eio_read: 1, ..Faults::default() });
        assert!(drop_damaged(&*disk, &config, 4).unwrap(), "it may be whole");
        assert_eq!(list(&*disk, &config).unwrap(), [1, 2, 3, 4, 6, 7]);
    }

    #[test]
    fn a_manifest_is_the_one_that_its_name_says() {
        let (disk, config) = shard();
        assert_eq!(read(&*disk, &config).unwrap(), None);
        assert_eq!(generation(&name(0xabc)), Some(0xabc));
        let others = ["", "manifest-", "manifest-1", "manifest-00000000000000001", "wal-00000001"];
        let odd =
            ["manifest-000000000000000A", "manifest-+000000000000001", "manifest-000000000000000g"];
        for name in others.iter().chain(&odd) {
            assert_eq!(generation(name), None, "{name}");
        }
        put_as(&*disk, &config, &config.dir.join(name(4)), &of(3)).unwrap();
        assert_eq!(read_one(&*disk, &config, 4).unwrap_err().code(), "ERR_CORRUPT");
        disk.rename(&config.dir.join(name(4)), &config.dir.join(name(3))).unwrap();
        assert_eq!(read_one(&*disk, &config, 3).unwrap(), of(3));
    }
}
