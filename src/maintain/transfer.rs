//! One directory's store into another directory: what backup and restore do.
//!
//! ```text
//!   1 whose store it is          4 manifests; texts (texts.rs)
//!   2 the target claimed         5 the new state counts, in one step (target.rs)
//!   3 each shard: segments, log  6 what nobody needs is removed
//! ```
//!
//! I1. Nothing that the target's state before needs is changed before step 5, and nothing that the new one
//!     needs is removed after it.
//! I2. Of a shard that is in use: its log is copied between two looks at its files, and the later one finds
//!     all of them under their names still. So none was recycled while it was read.

use super::Step;
use super::logs::{copy_log, written_to};
use super::segments::{Brought, How, Wanted, is_not_found};
use super::target::{claim, drop_parts, finish, make_it_count, part_of};
use super::texts;
use crate::base::{Error, PageSize, Result};
use crate::io::{Disk, Guard};
use crate::segment::file_name;
use crate::shard::format::Manifest;
use crate::shard::{Config, manifest};
use crate::store;
use crate::store::birth::{self, Birth};
use crate::wal::Files;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// How often a shard that moves on under our hands is looked at anew.
const TRIES_MAX: u32 = 64;

/// Tries with the same manifest after which damage is damage, and not a state of transition.
const SAME_TRIES_MAX: u32 = 3;

/// What the copy is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Of a store that may be in use, into an earlier backup of it.
    Backup,
    /// Of a store at rest, into nothing, verified.
    Restore,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Transferred {
    /// Shards of the store.
    pub shards: u64,
    /// Records in the segments, the dead included.
    pub segment_records: u64,
    /// Bytes of the segments.
    pub segment_bytes: u64,
    /// Segments that were there already.
    pub kept: u64,
    /// Segments that were linked.
    pub linked: u64,
    /// Segments that were copied.
    pub copied: u64,
    /// Blocks of the logs.
    pub log_blocks: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// How often a shard was looked at anew, since it had moved on.
    pub retries: u64,
    /// Files that nothing needed any more.
    pub removed: u64,
}

/// A shard whose files are in the target, all but its manifest.
struct Arrived {
    config: Config,
    manifest: Manifest,
    /// Names of the files it needs.
    needed: BTreeSet<String>,
}

struct Transfer<'a> {
    disk: &'a Arc<dyn Disk>,
    source: &'a Path,
    target: &'a Path,
    how: How,
    purpose: Purpose,
    birth: Birth,
    page: PageSize,
    done: Transferred,
    step: Step,
    progress: &'a mut dyn FnMut(Step),
}

/// Copies the store in `source` into `target`.
pub(super) fn transfer(
    disk: &Arc<dyn Disk>,
    (source, target): (&Path, &Path),
    how: How,
    purpose: Purpose,
    progress: &mut dyn FnMut(Step),
) -> Result<Transferred> {
    // 1
    let _at_rest = if purpose == Purpose::Restore { at_rest(&**disk, source)? } else { None };
    let Some(birth) = birth::read(&**disk, source)? else {
        let why = format!("{} holds no store", source.display());
        return Err(Error::invalid("source directory", why));
    };
    let (page, shards) = birth.layout(source)?;
    let (done, step) =
        (Transferred { shards: shards as u64, ..Default::default() }, Step::default());
    let mut transfer =
        Transfer { disk, source, target, how, purpose, birth, page, done, step, progress };
    // 2
    let _lock = claim(&**disk, (source, target), &transfer.birth, purpose)?;
    transfer.estimate(shards);
    // 3
    let arrived: Vec<Arrived> = (0..shards).map(|n| transfer.shard(n)).collect::<Result<_>>()?;
    // 4
    for Arrived { config, manifest, .. } in &arrived {
        let path = config.dir.join(manifest::name(manifest.generation));
        manifest::put_as(&**disk, config, &part_of(&path), manifest)?;
    }
    let texts = texts::bring(&**disk, source, target)?;
    // 5
    make_it_count(&**disk, target)?;
    // 6
    transfer.clean(&arrived)?;
    transfer.done.removed += texts::clean(&**disk, target, &texts)?;
    (transfer.progress)(Step { done: transfer.step.total, ..transfer.step });
    Ok(transfer.done)
}

/// Keeps others from changing what is restored, if the medium can be written to at all.
fn at_rest(disk: &dyn Disk, source: &Path) -> Result<Option<Box<dyn Guard>>> {
    if !birth::holds_store(disk, source)? {
        finish(disk, source)?;
    }
    match disk.lock(&source.join("LOCK")) {
        Err(error @ Error::Locked { .. }) => Err(error),
        lock => Ok(lock.ok()),
    }
}

impl Transfer<'_> {
    fn config(&self, dir: &Path, shard: usize) -> Config {
        store::config_of_files(dir, self.birth.id(), self.page, shard)
    }

    fn files(&self, config: &Config) -> Files {
        // The length of a log file matters to who writes a new one.
        let (disk, dir) = (self.disk.clone(), config.dir.clone());
        Files { disk, dir, file_bytes: 0, store: config.store, shard: config.shard }
    }

    /// Adds up the segments. Whatever fails here is met again.
    fn estimate(&mut self, shards: usize) {
        for shard in 0..shards {
            let config = self.config(self.source, shard);
            let Ok(Some(manifest)) = manifest::read(&**self.disk, &config) else { continue };
            for segment in &manifest.segments {
                let file = self.disk.open(&config.dir.join(file_name(segment.id)));
                self.step.total += file.map_or(0, |file| file.len());
            }
        }
    }

    /// Brings the files of shard number `n`, looking again while it moves on.
    fn shard(&mut self, n: usize) -> Result<Arrived> {
        let (before, step) = (self.done, self.step);
        let (mut tries, mut same, mut generation) = (0, 0, 0);
        loop {
            let error = match self.try_shard(n, &mut generation, &mut same) {
                Ok(arrived) => return Ok(arrived),
                Err(error) => error,
            };
            // With the same manifest, nothing that it needs can have gone.
            let may_pass = same < SAME_TRIES_MAX
                && match &error {
                    Error::Corrupt { path, .. } => is_log_file(path),
                    error => is_not_found(error),
                };
            if self.purpose == Purpose::Restore || !may_pass {
                return Err(error);
            }
            tries += 1;
            if tries == TRIES_MAX {
                let text =
                    format!("it changed {tries} times before a copy was whole; the last: {error}");
                let dir = self.config(self.source, n).dir;
                return Err(Error::io("back up", dir, std::io::Error::other(text)));
            }
            tracing::debug!(shard = n, %error, "the shard moved on; again");
            let retries = self.done.retries + 1;
            (self.done, self.step) = (Transferred { retries, ..before }, step);
        }
    }

    /// One try. `same` counts the tries that found the manifest of this `generation`.
    fn try_shard(&mut self, n: usize, generation: &mut u64, same: &mut u32) -> Result<Arrived> {
        let (from, to) = (self.config(self.source, n), self.config(self.target, n));
        let disk = &**self.disk;
        disk.create_dir(&to.dir)?;
        drop_parts(disk, &to.dir)?;
        let mut found = self.newest(&from)?;
        *same = if found.generation == *generation { *same + 1 } else { 0 };
        *generation = found.generation;
        let there = manifest::read(disk, &to)?;
        if there.as_ref().is_some_and(|t| t.generation > found.generation)
            || there.is_some_and(|t| t.generation == found.generation && t != found)
        {
            return Err(written_to(&to.dir));
        }
        // Copies take time, in which the log moves on: it comes when the segments are there.
        let (before, step) = (self.done, self.step);
        let mut rounds = 0;
        let segments = loop {
            let brought = self.segments(&found, &from, &to)?;
            let newest = self.newest(&from)?;
            rounds += 1;
            // A shard that is faster than we are is as good as it was: if its log is gone by now, I2 says so.
            if newest.generation == found.generation || rounds == TRIES_MAX {
                break brought;
            }
            found = newest;
            (self.done, self.step) = (before, step);
        };
        let (source, target) = (self.files(&from), self.files(&to));
        let followed = copy_log(&source, &target, found.log_start)?;
        manifest::check_end(&source, &found, followed.end)?;
        // I2
        let names = source.list()?;
        if let Some(gone) = followed.files.iter().find(|number| !names.contains(number)) {
            let gone_error = std::io::ErrorKind::NotFound.into();
            return Err(Error::io("follow", source.path(*gone), gone_error));
        }
        disk.sync_dir(&to.dir)?;
        self.done.log_blocks += followed.blocks;
        self.done.log_bytes += followed.bytes;
        let mut needed = segments;
        needed.insert(manifest::name(found.generation));
        let name =
            |number: &u32| target.path(*number).file_name().map(|n| n.to_string_lossy().into());
        needed.extend(followed.files.iter().filter_map(name));
        Ok(Arrived { config: to, manifest: found, needed })
    }

    fn newest(&self, config: &Config) -> Result<Manifest> {
        let found = manifest::read(&**self.disk, config)?;
        found.ok_or_else(|| Error::corrupt(&config.dir, 0, "the shard has no manifest"))
    }

    /// Brings the segments that `manifest` names; gives their names.
    fn segments(&mut self, of: &Manifest, from: &Config, to: &Config) -> Result<BTreeSet<String>> {
        let there: BTreeSet<String> = self.disk.list(&to.dir)?.into_iter().collect();
        let mut names = BTreeSet::new();
        for segment in &of.segments {
            let name = file_name(segment.id);
            let wanted = Wanted {
                disk: &**self.disk,
                id: segment.id,
                page: self.page,
                records: segment.records,
                from: &from.dir.join(&name),
                to: &to.dir.join(&name),
            };
            let verify = self.purpose == Purpose::Restore;
            let (brought, bytes) = wanted.bring(self.how, verify, there.contains(&name))?;
            match brought {
                Brought::Kept => self.done.kept += 1,
                Brought::Linked => self.done.linked += 1,
                Brought::Copied => self.done.copied += 1,
            }
            self.done.segment_records += u64::from(segment.records);
            self.done.segment_bytes += bytes;
            self.step.done += bytes;
            self.step.total = self.step.total.max(self.step.done);
            (self.progress)(self.step);
            names.insert(name);
        }
        Ok(names)
    }

    /// Removes what the new state does not need. None of it counts.
    fn clean(&mut self, arrived: &[Arrived]) -> Result<()> {
        let disk = &**self.disk;
        for Arrived { config, needed, .. } in arrived {
            for name in disk.list(&config.dir)?.iter().filter(|name| !needed.contains(*name)) {
                disk.remove(&config.dir.join(name))?;
                self.done.removed += 1;
            }
            disk.sync_dir(&config.dir)?;
        }
        Ok(())
    }
}

fn is_log_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"wal-"))
}
