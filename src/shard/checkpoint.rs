//! Checkpoints: installing a flushed segment, and making it the durable truth.
//!
//! ```text
//!   1 shard's thread: view with the segment instead of the memtable
//!   2 worker: log synced (modes without a sync per group), so that no tombstone outlives its cause
//!   3 worker: manifest durable, its log start behind what the segments hold
//!   4 worker: log files before that start are recycled
//!   5 compactor: merged segments are removed
//! ```
//!
//! I1. A manifest's tombstones come from published records only, and those are durable before it.

use super::format::{Manifest, ManifestSegment};
use super::view::{LiveSegment, View};
use super::work::{Finished, Job};
use super::write::Core;
use super::{Shared, flush, manifest};
use crate::base::{Lsn, Result, Seq, planted};
use crate::io::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What the worker needs to write a manifest.
pub(super) struct Checkpoint {
    pub(super) generation: u64,
    pub(super) manifest_start: Lsn,
    /// The log is durable up to here before the manifest is (I1).
    pub(super) log_end: Lsn,
    pub(super) mark: u64,
    pub(super) segments: Vec<LiveSegment>,
    /// Tombstones count up to this number (I1).
    pub(super) at: Seq,
    pub(super) unsynced: Vec<Arc<dyn File>>,
    /// Files of segments that the one before names and this one does not: to be removed.
    pub(super) obsolete: Vec<PathBuf>,
}

impl Core {
    /// Takes in what the worker has done.
    pub(super) fn installed(&mut self, finished: Finished) {
        match finished {
            Finished::Compaction(ended) => return self.compacted(ended),
            Finished::Removed => {
                self.compactions.removed();
                return self.look_soon();
            }
            _ => self.jobs_out -= 1,
        }
        match finished {
            // What a poisoned shard decided last may not be durable: the state on disk stays as it is.
            Finished::Flushed(_) if self.shared.poison.get().is_some() => {}
            Finished::Flushed(flushed) => {
                self.install(&flushed);
                self.short.flushed();
                self.checkpoint(Vec::new());
                self.flush_if_ready();
                self.compactions.resume();
            }
            Finished::Checkpointed(generation, start, obsolete) => {
                self.durable = generation;
                self.short.named(generation);
                self.answer_drops(generation);
                let segments = self.shared.published.view().segments.len();
                self.compactions.remove(obsolete, segments);
                tracing::debug!(shard = self.shared.config.shard, %start, "checkpoint");
            }
            Finished::Warmed => self.compactions.changed(),
            Finished::Prepared(number, file) => self.prepared(number, file),
            Finished::Looked => self.looked(),
            Finished::Full(owed, error) => self.owe(owed, error),
            Finished::Failed(stage, error) => self.poison(stage, &error),
            Finished::Compaction(_) | Finished::Removed => {}
        }
        self.judge_space();
    }

    /// Replaces the oldest sealed memtable by its segment, in one step for readers.
    pub(super) fn install(&mut self, flushed: &flush::Flushed) {
        let Some(sealed) = self.sealed.pop_front() else { return };
        debug_assert!(Arc::ptr_eq(sealed.memtable.memtable(), &flushed.memtable));
        self.log_start = sealed.log_end;
        let at = self.shared.published.seq();
        let view = self.shared.published.view();
        let settle = |live: &LiveSegment| {
            let dead = &live.dead;
            let dead = if dead.has_history() { Arc::new(dead.settled(at)) } else { dead.clone() };
            LiveSegment { segment: live.segment.clone(), dead }
        };
        let mut segments: Vec<LiveSegment> = view.segments.iter().map(settle).collect();
        segments.extend(flush::with_late_deaths(flushed));
        segments.sort_by_key(|live| std::cmp::Reverse(live.segment.info().time_max));
        let kept = view.sealed.iter().filter(|m| !Arc::ptr_eq(m, &flushed.memtable)).cloned();
        let view = View { active: view.active.clone(), sealed: kept.collect(), segments };
        self.shared.published.install(view);
        self.shared.stats.flushes.fetch_add(1, Relaxed);
    }

    /// Asks the worker for a manifest of the current view.
    pub(super) fn checkpoint(&mut self, mut obsolete: Vec<PathBuf>) {
        let is_owed = self.short.pay_manifest(&mut obsolete);
        // What is removed must be named by neither of the two newest manifests.
        let once = obsolete.is_empty() || planted!(InputRemovedWhileNamed);
        self.generation += if once { 1 } else { 2 };
        self.short.paying(is_owed, self.generation);
        let checkpoint = Checkpoint {
            generation: self.generation,
            manifest_start: self.log_start,
            log_end: self.shared.published.log_end().max(self.log_start),
            mark: self.shared.mark.load(Relaxed),
            segments: self.shared.published.view().segments.clone(),
            at: self.shared.published.seq(),
            unsynced: self.unsynced.iter().chain(&self.in_sync).cloned().collect(),
            obsolete,
        };
        self.send(Job::Checkpoint(checkpoint));
    }
}

/// Writes the manifest of `checkpoint`, whose log is synced, durably.
pub(super) fn write_checkpoint(shared: &Shared, checkpoint: &Checkpoint) -> Result<()> {
    // 3
    let segments = checkpoint.segments.iter().map(|live| ManifestSegment {
        id: live.segment.info().id,
        records: live.segment.records(),
        dead: match planted!(CheckpointDropsTombstones) {
            true => Vec::new(),
            false => live.dead.iter(0..live.segment.records(), checkpoint.at).collect(),
        },
    });
    let mut manifest = Manifest {
        generation: checkpoint.generation,
        log_start: checkpoint.manifest_start,
        log_end: checkpoint.log_end,
        mark: checkpoint.mark,
        segments: segments.collect(),
    };
    let disk = &*shared.env.disk;
    if checkpoint.obsolete.is_empty() || planted!(InputRemovedWhileNamed) {
        return manifest::write(disk, &shared.config, &manifest);
    }
    // Twice, so that there are two whole ones that do without what is removed (manifest, I2).
    manifest.generation -= 1;
    manifest::write(disk, &shared.config, &manifest)?;
    manifest.generation += 1;
    manifest::write(disk, &shared.config, &manifest)
}
