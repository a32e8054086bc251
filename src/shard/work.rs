//! The shard's worker: what takes long and must not hold up a commit.
//!
//! It flushes memtables, writes manifests and prepares log files, one job at a time, in order. The
//! shard's thread decides what to do and installs the results; the worker changes nothing that
//! readers see.

use super::checkpoint::{Checkpoint, write_checkpoint};
use super::compactor::Ended;
use super::flush::{self, Flushed, flush};
use super::full::Owed;
use super::{Config, Shared};
use crate::base::{Error, Lsn, Result, Seq, planted};
use crate::io::{File, threads};
use crate::memtable::Memtable;
use crate::segment::Segment;
use crate::wal::Files;
use crossbeam::channel::{Receiver, Sender};
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;

/// One in this many frames is left free by what an open brings into memory: for what is asked for meanwhile.
const WARM_FREE_SHARE: usize = 4;

/// What the worker is asked to do.
pub(super) enum Job {
    /// Make a segment of a sealed memtable: of what lives at this published number.
    Flush(Arc<Memtable>, Seq),
    /// Make the segments and tombstones the durable truth.
    Checkpoint(Checkpoint),
    /// Prepare the next log file.
    PrepareLog,
    /// Read the filters of segments that were opened without, and their columns.
    Warm(Vec<Arc<Segment>>),
    /// Look how much space there is.
    Look,
    /// Remove a prepared log file, for its space.
    GiveBack(u32, Arc<dyn File>),
}

/// What the worker has done.
pub(super) enum Finished {
    /// A memtable is a segment, or was all dead.
    Flushed(Flushed),
    /// The manifest of this generation is durable, replay begins at this position, and these files are to be removed.
    Checkpointed(u64, Lsn, Vec<PathBuf>),
    /// The segments have their filters.
    Warmed,
    /// A log file is ready.
    Prepared(u32, Arc<dyn File>),
    /// Merged segments are removed: the compactor's.
    Removed,
    /// A merge ended: the compactor's.
    Compaction(Ended),
    /// It is known how much space there is.
    Looked,
    /// There is no space for this.
    Full(Owed, Error),
    /// A job failed; the stage names it.
    Failed(&'static str, Error),
}

impl Finished {
    fn panicked(why: String) -> Finished {
        let stage = "the worker's thread";
        Finished::Failed(stage, Error::Poisoned { stage, why: format!("it panicked: {why}") })
    }
}

/// The worker's own state.
pub(super) struct Worker {
    shared: Arc<Shared>,
    files: Files,
    /// Number of the next log file to prepare.
    next_log: u32,
    /// Numbers of log files that nothing needs, to be recycled.
    unneeded: Vec<u32>,
    /// The shard learns of it only behind the jobs that it has given already.
    sync_failed: bool,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, next_log: u32, unneeded: Vec<u32>) -> Worker {
        let files = log_files(&shared.config, &shared);
        Worker { shared, files, next_log, unneeded, sync_failed: false }
    }

    /// Does jobs until the shard's thread is gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, results: &Sender<Finished>) {
        let mut panicked = None;
        for job in jobs {
            // After a panic its own state may be torn: each job is answered, and none is done.
            let finished = match &panicked {
                None => threads::caught(|| self.work(job)).unwrap_or_else(|why| {
                    panicked = Some(why.clone());
                    Finished::panicked(why)
                }),
                Some(why) => Finished::panicked(why.clone()),
            };
            if results.send(finished).is_err() {
                return;
            }
            self.shared.inbox.wake();
        }
    }

    /// Does one job, and looks how much space is left.
    pub(super) fn work(&mut self, job: Job) -> Finished {
        let finished = self.attempt(job);
        self.shared.measure_space();
        finished
    }

    fn attempt(&mut self, job: Job) -> Finished {
        match job {
            Job::Flush(memtable, at) => {
                // Inverting the terms takes up to what the memtable takes for them and their records.
                let _memory = self.shared.reserve(memtable.bytes_used());
                match flush(&self.shared, &memtable, at) {
                    Ok(flushed) => {
                        if let Some(segment) = &flushed.segment {
                            // Where the memtable was until now; the first to go if nobody asks.
                            segment.warm(segment.likely_pages(u32::MAX), false, |_| true);
                        }
                        Finished::Flushed(flushed)
                    }
                    Err(error) if error.is_disk_full() => Finished::Full(Owed::Flush, error),
                    Err(error) => Finished::Failed("a flush", error),
                }
            }
            Job::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Job::Warm(segments) => {
                self.warm(segments);
                Finished::Warmed
            }
            Job::PrepareLog => match self.prepare() {
                Ok((number, file)) => Finished::Prepared(number, file),
                Err(error) if error.is_disk_full() => Finished::Full(Owed::Log, error),
                Err(error) => Finished::Failed("the preparation of a log file", error),
            },
            Job::Look => Finished::Looked,
            Job::GiveBack(number, file) => {
                drop(file);
                match self.files.remove(number) {
                    Err(error) if !error.is_disk_full() => {
                        Finished::Failed("the removal of a log file", error)
                    }
                    _ => Finished::Looked,
                }
            }
        }
    }

    /// Reads the filters of `segments`, and then their columns, newest first, while that takes nothing from anybody.
    /// A column page serves hundreds of records and a page of bodies a few, but who asks for records that are drawn
    /// from all of a large store meets each of them once before any is in memory.
    fn warm(&self, mut segments: Vec<Arc<Segment>>) {
        segments.iter().for_each(|segment| flush::warm(segment));
        segments.sort_by_key(|segment| Reverse(segment.info().time_max));
        let go_on = || !self.shared.is_ending() && self.shared.pool.has_free(WARM_FREE_SHARE);
        for segment in segments {
            if !go_on() {
                return;
            }
            for pages in [segment.column_pages(), segment.mark_pages()] {
                segment.warm(pages, true, |_| go_on());
            }
        }
    }

    fn prepare(&mut self) -> Result<(u32, Arc<dyn File>)> {
        let number = self.next_log;
        if self.unneeded.is_empty() {
            // Known before it is written in vain.
            self.shared.check_space(&self.files.path(number), u64::from(self.files.file_bytes))?;
        }
        let file = self.files.prepare(number, self.unneeded.pop())?;
        self.next_log += 1;
        Ok((number, file))
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Finished {
        // No tombstone outlives its cause; and of a log whose sync failed, for whatever reason, nothing is known: a sync
        // that succeeds after it proves nothing, be it the shard's own that failed or one of a checkpoint before.
        if let Err(error) = checkpoint.unsynced.iter().try_for_each(|file| file.sync()) {
            self.sync_failed = true;
            return Finished::Failed("a sync of the log", error);
        }
        if self.sync_failed || self.shared.poison.get().is_some() {
            let why = "the shard had failed before".into();
            return Finished::Failed(
                "a checkpoint",
                Error::Poisoned { stage: "a checkpoint", why },
            );
        }
        let mut written = self.write_manifest(&checkpoint);
        while written.as_ref().is_err_and(Error::is_disk_full) && self.give_back() {
            written = self.write_manifest(&checkpoint);
        }
        let Checkpoint { generation, manifest_start, obsolete, .. } = checkpoint;
        match written {
            Ok(()) => Finished::Checkpointed(generation, manifest_start, obsolete),
            Err(error) if error.is_disk_full() => {
                Finished::Full(Owed::Manifest(generation, obsolete), error)
            }
            Err(error) => Finished::Failed("a checkpoint", error),
        }
    }

    /// Gives back the space of a log file that is only kept to be recycled; false if there is none.
    fn give_back(&mut self) -> bool {
        self.unneeded.pop().is_some_and(|number| self.files.remove(number).is_ok())
    }

    /// Writes a manifest, then lets go of the log files before its start.
    fn write_manifest(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        // The view has the segment now, and the memtable no more.
        self.shared.adjust();
        if planted!(LogRecycledBeforeManifest) {
            self.let_go(checkpoint.manifest_start.file(), 0)?;
        }
        write_checkpoint(&self.shared, checkpoint)?;
        // One is kept to be recycled; the space of the others goes back.
        self.let_go(checkpoint.manifest_start.file(), 1)
    }

    /// Removes the log files before number `start`, all but so many.
    fn let_go(&mut self, start: u32, kept: usize) -> Result<()> {
        let old = self.files.list()?.into_iter().filter(|&n| n < start);
        let mut fresh: Vec<u32> = old.filter(|n| !self.unneeded.contains(n)).collect();
        self.unneeded.append(&mut fresh);
        while self.unneeded.len() > kept {
            self.files.remove(self.unneeded.swap_remove(0))?;
        }
        Ok(())
    }
}

/// The log files of a shard.
pub(super) fn log_files(config: &Config, shared: &Shared) -> Files {
    Files {
        disk: shared.env.disk.clone(),
        dir: config.dir.clone(),
        file_bytes: config.log_file_bytes,
        store: config.store,
        shard: config.shard,
    }
}
