//! One shard: its manifests, what the newest whole one names, and the log behind it.

use super::{Scene, check_padding, found, segment, what_of};
use crate::base::{Error, Result, SegmentId, ShardId};
use crate::io::Disk;
use crate::maintain::log::Log;
use crate::maintain::report::Notebook;
use crate::maintain::site::small_file;
use crate::segment as seg;
use crate::shard::format::{EntryKind, Manifest, belongs_to, read_entry};
use crate::shard::{Config, manifest};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;

/// How often a log that changes under the look is looked at.
const LOOKS: usize = 3;

pub fn check(scene: &Scene<'_>, shard: ShardId, book: &mut Notebook<'_>) -> Result<()> {
    let config = scene.site.config(shard);
    if let Err(error) = scene.disk.list(&config.dir) {
        book.problem(&config.dir, None, "missing", what_of(&error));
        return Ok(());
    }
    let Some(mut newest) = newest_whole(&*scene.disk, &config)? else {
        check_manifests(scene, &config, None, book)?;
        return Ok(());
    };
    let mut seen = HashSet::new();
    while let Some(newer) = check_segments(scene, &config, &newest, &mut seen, book)? {
        newest = newer;
    }
    check_log(scene, &config, newest, book)?;
    // Last, so that one that was being written when we came is done by now.
    check_manifests(scene, &config, Some(&seen), book)
}

/// Whether the manifest at `path` is what was written, be it of another version.
fn is_whole(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let bytes = small_file(disk, path, u64::MAX)?;
    Ok(bytes.is_some_and(|bytes| belongs_to(&bytes).is_some()))
}

/// The newest manifest that can be read.
fn newest_whole(disk: &dyn Disk, config: &Config) -> Result<Option<Manifest>> {
    let generations = manifest::list(disk, config)?;
    Ok(generations.iter().rev().find_map(|&g| manifest::read_one(disk, config, g).ok()))
}

/// Checks what `manifest` lists and was not seen. Gives a newer manifest if one came and took something
/// away.
fn check_segments(
    scene: &Scene<'_>,
    config: &Config,
    listed: &Manifest,
    seen: &mut HashSet<SegmentId>,
    book: &mut Notebook<'_>,
) -> Result<Option<Manifest>> {
    for one in &listed.segments {
        if seen.contains(&one.id) {
            continue;
        }
        let path = config.dir.join(seg::file_name(one.id));
        if !segment::check(scene, config, one, book)? {
            let newer = newest_whole(&*scene.disk, config)?;
            if newer.as_ref().is_some_and(|newer| newer.generation > listed.generation) {
                return Ok(newer);
            }
            let what = format!("manifest {} lists it", listed.generation);
            book.problem(&path, None, "missing", what);
        }
        seen.insert(one.id);
    }
    Ok(None)
}

/// Every manifest, and every name that should not be there.
fn check_manifests(
    scene: &Scene<'_>,
    config: &Config,
    listed: Option<&HashSet<SegmentId>>,
    book: &mut Notebook<'_>,
) -> Result<()> {
    let disk = &*scene.disk;
    let newest = newest_whole(disk, config)?;
    let mut known: HashSet<SegmentId> = listed.into_iter().flatten().copied().collect();
    known.extend(newest.iter().flat_map(|m| m.segments.iter().map(|s| s.id)));
    let mut manifests = 0;
    for name in disk.list(&config.dir)? {
        let path = config.dir.join(&name);
        if let Some(generation) = manifest::generation(&name) {
            manifests += 1;
            match manifest::read_one(disk, config, generation) {
                Ok(read) => {
                    book.report.counts.files += 1;
                    let used = read.encode(config.store, config.shard).len();
                    check_padding(disk, &path, used, book)?;
                }
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error @ Error::WrongVersion { .. }) if is_whole(disk, &path)? => {
                    return Err(error);
                }
                Err(error) => found(error, &path, "manifest", book)?,
            }
        } else if let Some(id) = seg::parse_file_name(&name) {
            if newest.is_some() && !known.contains(&id) {
                let what = "no manifest lists it: left by a crash, or about to be listed";
                book.note(&path, None, "orphan", what);
            }
        } else if crate::wal::survey::number_of(&path).is_none() {
            book.note(&path, None, "unknown", "a shard has no such file");
        }
    }
    if manifests == 0 {
        book.problem(&config.dir, None, "missing", "the shard has no manifest");
    }
    Ok(())
}

/// The log from where the manifest says. A log that grows may look damaged where it is being written, or
/// recycled: what holds no second look is none.
fn check_log(
    scene: &Scene<'_>,
    config: &Config,
    mut from: Manifest,
    book: &mut Notebook<'_>,
) -> Result<()> {
    let disk: std::sync::Arc<dyn Disk> = scene.disk.clone();
    let files = scene.site.files(&disk, config.shard, 0);
    let mut log = Log::read(&files, &from);
    for _ in 1..LOOKS {
        let newer = newest_whole(&*disk, config)?;
        let moved = newer.filter(|newer| newer.generation > from.generation);
        match (&log, &moved) {
            (Ok(log), _) if !log.is_damaged() => break,
            (_, None) => {
                let again = Log::read(&files, &from);
                let same = match (&log, &again) {
                    (Ok(log), Ok(again)) => log.gaps == again.gaps,
                    _ => false,
                };
                log = again;
                if same {
                    break;
                }
            }
            _ => {}
        }
        if let Some(newer) = moved {
            log = Log::read(&files, &newer);
            from = newer;
        }
    }
    let log = match log {
        Ok(log) => log,
        Err(error @ Error::WrongVersion { .. }) => return Err(error),
        Err(error) => return found(error, &config.dir, "log", book),
    };
    for gap in &log.gaps {
        let offset = u64::from(gap.from.offset());
        match gap.damage {
            true => {
                let to = gap
                    .to
                    .map_or(String::new(), |to| format!("; the log is whole again from {to}"));
                book.problem(&gap.path, offset, "log", format!("{}{to}", gap.what));
            }
            false => book.note(&gap.path, offset, "torn", gap.what),
        }
    }
    book.read(log.bytes);
    check_entries(scene, config, &log, book)
}

fn check_entries(
    scene: &Scene<'_>,
    config: &Config,
    log: &Log,
    book: &mut Notebook<'_>,
) -> Result<()> {
    log.visit(&mut |lsn, entries| {
        let path = config.dir.join(format!("wal-{:08x}", lsn.file()));
        let offset = u64::from(lsn.offset());
        book.report.counts.blocks += 1;
        let Some(entries) = entries else {
            book.problem(&path, offset, "log", "the block's entries do not fill it");
            return Ok(());
        };
        for bytes in entries {
            book.report.counts.entries += 1;
            let wrong = match read_entry(bytes) {
                Ok(entry) if entry.kind == EntryKind::Remove => None,
                Ok(entry) => scene.check_record(config, entry.record).err(),
                Err(what) => Some(what.to_string()),
            };
            if let Some(what) = wrong {
                book.problem(&path, offset, "log", what);
            }
        }
        Ok(())
    })
}
