//! A shard whose newest manifest is damaged: what it must have listed.
//!
//! ```text
//!   the one before, if its segments are there and the log reaches back to it: exactly that
//!   else: its segments that are there, and every whole segment beside them;
//!         a record that is in two of them lives in one, and stays dead if it was dead in either;
//!         the log: what the segments have is skipped, its kills are kept
//! ```
//!
//! What only the damaged manifest knew is lost: who was removed since the one before, by entries of the
//! log that are no longer there. Of those, the rules find who died of a record that is still stored
//! (`rules.rs`). The others, removed by retention or by hand, can come back, and the report says so.

use super::{Bench, insist};
use crate::base::{Error, Ordinal, Result, SegmentId};
use crate::io::Disk;
use crate::maintain::log::{Log, first_there};
use crate::maintain::site::whole_header;
use crate::segment::{Segment, file_name, parse_file_name};
use crate::shard::format::{EntryKind, Manifest, ManifestSegment, read_entry};
use crate::shard::{Config, manifest};
use std::collections::HashSet;
use std::sync::Arc;

/// What a shard is taken to consist of.
pub struct Base {
    pub manifest: Manifest,
    /// The highest generation that has a file, whole or not.
    pub highest: u64,
    /// Whether it was put together from what is there.
    pub guessed: bool,
}

/// The shard's manifest, or what stands for it.
pub fn base(bench: &mut Bench<'_>, config: &Config) -> Result<Base> {
    let disk = bench.scene.disk.clone();
    let generations = manifest::list(&*disk, config)?;
    let highest = generations.last().copied().unwrap_or(0);
    let mut newest = None;
    for &generation in generations.iter().rev() {
        match insist(|| manifest::read_one(&*disk, config, generation)) {
            Ok(whole) => newest = Some(whole),
            // What cannot be read now may be whole: nothing is put in its place.
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => continue,
        }
        break;
    }
    let manifest = match newest {
        Some(manifest) if manifest.generation == highest => {
            return Ok(Base { manifest, highest, guessed: false });
        }
        Some(manifest) => manifest,
        None => Manifest::first(0),
    };
    let path = config.dir.join(manifest::name(highest));
    if manifest.generation > 0 && reaches(bench, config, &manifest)? {
        let what = format!("manifest {} and the log behind it say the same", manifest.generation);
        bench.act(&path, what);
        return Ok(Base { manifest, highest, guessed: false });
    }
    let mut manifest = gather(bench, config, manifest)?;
    // What the log had before is in segments, or the damaged manifest would not have let it go.
    let disk: Arc<dyn Disk> = bench.scene.disk.clone();
    let files = bench.scene.site.files(&disk, config.shard, 0);
    let start = first_there(&files, manifest.log_start)?;
    if start != manifest.log_start {
        manifest.begin_log(start);
    }
    let what = format!(
        "put together from {} segments; what was removed since manifest {} by no rule can come back",
        manifest.segments.len(),
        manifest.generation
    );
    bench.act(&path, what);
    Ok(Base { manifest, highest, guessed: true })
}

/// Whether everything that `manifest` needs is still there.
fn reaches(bench: &Bench<'_>, config: &Config, manifest: &Manifest) -> Result<bool> {
    let names = bench.scene.disk.list(&config.dir)?;
    let here = |one: &ManifestSegment| names.contains(&file_name(one.id));
    let disk: Arc<dyn Disk> = bench.scene.disk.clone();
    let files = bench.scene.site.files(&disk, config.shard, 0);
    // Files go in the order of their numbers, so with the first one all are there. Damage in them is
    // another matter: an interrupted repair leaves a torn manifest and the damaged log.
    let first = files.list()?.contains(&manifest.log_start.file().max(1));
    let reaches = first || !Log::read(&files, manifest)?.is_damaged();
    Ok(manifest.segments.iter().all(here) && reaches)
}

/// The segments that are there, each record alive in one at most.
fn gather(bench: &mut Bench<'_>, config: &Config, before: Manifest) -> Result<Manifest> {
    let disk = bench.scene.disk.clone();
    let names = disk.list(&config.dir)?;
    let (mut segments, listed): (Vec<ManifestSegment>, HashSet<SegmentId>) = {
        let here = before.segments.iter().filter(|one| names.contains(&file_name(one.id)));
        (here.cloned().collect(), before.segments.iter().map(|one| one.id).collect())
    };
    for id in names.iter().filter_map(|name| parse_file_name(name)) {
        let path = config.dir.join(file_name(id));
        if listed.contains(&id) {
            continue;
        }
        let records = whole_header(&*disk, &path, id).map(|(header, _)| header.records.get());
        let one = ManifestSegment { id, records: records.unwrap_or(0), dead: Vec::new() };
        match records.is_some() && bench.scene.is_whole(config, &one)? {
            true => segments.push(one),
            false => bench.act(&path, "not whole and listed nowhere: not taken in"),
        }
    }
    let opened: Vec<Option<Arc<Segment>>> =
        segments.iter().map(|one| bench.scene.open(config, one.id).ok()).collect();
    for i in 1..segments.len() {
        let Some(segment) = &opened[i] else { continue };
        let mut dead: HashSet<Ordinal> = segments[i].dead.iter().copied().collect();
        for ordinal in 0..segment.records() {
            let Ok(key) = segment.key(ordinal) else { continue };
            let others = &mut opened[..i].iter().flatten();
            let elsewhere = others.any(|other| matches!(other.locate(&key), Ok(Some(_))));
            // Alive there, or dead there: in both cases not alive here.
            if elsewhere {
                dead.insert(ordinal);
            }
        }
        segments[i].dead = sorted(dead);
    }
    Ok(Manifest { segments, ..before })
}

fn sorted(dead: HashSet<Ordinal>) -> Vec<Ordinal> {
    let mut dead: Vec<Ordinal> = dead.into_iter().collect();
    dead.sort_unstable();
    dead
}

/// Carries the kills of the log over to the segments of a guessed manifest, and gives the ids of entries
/// that replay must not see: those that a segment has, and those that were killed.
pub fn settle_log(
    bench: &Bench<'_>,
    config: &Config,
    manifest: &mut Manifest,
    log: &Log,
) -> Result<HashSet<[u8; 32]>> {
    let (mut killed, mut stored) = (HashSet::new(), Vec::new());
    log.visit(&mut |_, block| {
        for entry in block.unwrap_or_default().iter().filter_map(|bytes| read_entry(bytes).ok()) {
            killed.extend(entry.kills.iter().copied());
            if entry.kind == EntryKind::Put {
                stored.push(entry.record.key);
            }
        }
        Ok(())
    })?;
    let mut skip = HashSet::new();
    for one in &mut manifest.segments {
        let Ok(segment) = bench.scene.open(config, one.id) else { continue };
        let mut dead: HashSet<Ordinal> = one.dead.iter().copied().collect();
        for id in &killed {
            if let Ok(Some(ordinal)) = segment.find(id) {
                dead.insert(ordinal);
            }
        }
        one.dead = sorted(dead);
        for key in &stored {
            if matches!(segment.locate(key), Ok(Some(_))) {
                skip.insert(key.id);
            }
        }
    }
    skip.extend(killed);
    Ok(skip)
}
