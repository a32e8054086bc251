//! Opening a shard: what the manifest names, then what the log adds.
//!
//! ```text
//!   1 newest whole manifest        4 sync what was found: what is shown once is never lost
//!   2 open its segments            5 remove what a crash left half-done
//!   3 replay the log behind it     6 begin a new log file, never behind a torn tail
//! ```
//!
//! I1. Replay is idempotent: a record that is there is skipped, a removal of the dead does nothing.
//! I2. Its work is bounded by the log, which is bounded by the memtables, not by the store.
//! I3. A log that ends in front of where the manifest found it durable is damaged, however it ends: the manifest's dead may
//!     have died by what is missing.

use super::format::{ENTRY_HEADER_BYTES, EntryKind, Manifest, read_entry};
use super::full::FullDisk;
use super::lookup::{is_live, kill_by_id};
use super::published::Published;
use super::view::{LiveSegment, View};
use super::work::{Worker, log_files};
use super::write::{Sealed, Start, memtable_config};
use super::{Config, Dead, Gate, Shared, Stats, checkpoint, flush, inbox, manifest, reads};
use crate::base::limits::GROUP_BYTES_MAX;
use crate::base::{Error, Ids, Key, Lsn, Ordinal, Result, Seq, Terms, planted};
use crate::io::{Env, GONE};
use crate::memtable::{self, Memtable};
use crate::model::{Model, Record};
use crate::pool::Pool;
use crate::segment;
use crate::wal::{self, GRAIN_BYTES_MAX, Ring};
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// Log files that an open leaves to the next one. Each open begins a new file, so that many short runs
/// would keep as many: beyond this, what was replayed becomes a segment.
const LOG_FILES_MAX: usize = 4;

/// An open shard, not yet running.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) start: Start,
    pub(super) worker: Worker,
}

/// Makes the first manifest of a new shard. The store records that it exists only after this.
pub(super) fn create(env: &Env, config: &Config) -> Result<()> {
    env.disk.create_dir(&config.dir)?;
    manifest::write(&*env.disk, config, &Manifest::first(1))
}

/// Opens the shard of `config`, with `ring_reads` if a thread will carry out page reads.
pub(super) fn open(
    env: Env,
    model: Arc<dyn Model>,
    pool: Arc<Pool>,
    config: Config,
    gate: Gate,
) -> Result<Opened> {
    // 1
    let manifest = manifest::read(&*env.disk, &config)?.ok_or_else(|| {
        Error::corrupt(&config.dir, 0, "the shard has no manifest; restore it from a backup")
    })?;
    let (ring, drainer) = Ring::new(config.ring_bytes);
    let (writer, active) = memtable::new(replay_config(&config, &*model), 0);
    let view = View { active, sealed: Vec::new(), segments: Vec::new() };
    let shared = Arc::new(Shared {
        inbox: inbox::Inbox::new(ring, config.in_flight),
        published: Published::new(view, 0),
        reads: reads::Reads::new(),
        gate,
        poison: OnceLock::new(),
        tails: Mutex::default(),
        full: FullDisk::default(),
        mark: AtomicU64::new(manifest.mark),
        stats: Stats::default(),
        account: Default::default(),
        batch_bytes_max: OnceLock::new(),
        config,
        env,
        model,
        pool,
    });
    shared.measure_space();
    // 2
    let segments = open_segments(&shared, &manifest)?;
    // 3
    let files = log_files(&shared.config, &shared);
    let mut replay = Replay::new(&shared, writer, segments, manifest.log_start);
    let replayed =
        wal::replay(&files, manifest.log_start, &mut |lsn, entry| replay.entry(lsn, entry))?;
    if replayed.torn {
        tracing::info!(shard = shared.config.shard, end = %replayed.end, "the log ends in a torn write");
    }
    shared.stats.replayed.store(replayed.entries, Relaxed);
    // 4
    let (numbers, generation, is_newer_left) =
        settle(&mut replay, &files, &manifest, replayed.end)?;
    shared.published.log_to(replayed.end);
    // 5. Unless a newer manifest, which cannot be read now, may name them.
    if !is_newer_left {
        remove_orphans(&shared, &replay.segments)?;
    }
    // What the manifest on the disk reaches back to is needed, also if a newer one is owed.
    let needed_from = if replay.owes_manifest { manifest.log_start } else { replay.log_start };
    let in_use = needed_from.file()..=replayed.end.file();
    let unneeded = numbers.into_iter().filter(|n| !in_use.contains(n)).collect();
    // 6
    let (log, log_align, worker) = begin_log(&shared, &files, &replayed, unneeded)?;
    let start = Start {
        drainer,
        memtable: replay.writer,
        sealed: replay.sealed,
        log,
        log_align,
        group_bytes_max: files.group_bytes_max().min(GROUP_BYTES_MAX),
        log_start: replay.log_start,
        generation,
        owes_manifest: replay.owes_manifest,
    };
    Ok(Opened { shared, start, worker })
}

/// Step 4, and the manifest of what was flushed. Returns the log files that there are, the highest generation that any
/// manifest has had, and whether one newer than `manifest` is left.
fn settle(
    replay: &mut Replay,
    files: &wal::Files,
    manifest: &Manifest,
    end: Lsn,
) -> Result<(Vec<u32>, u64, bool)> {
    // I3
    manifest::check_end(files, manifest, end)?;
    let shared = replay.shared.clone();
    let (disk, config) = (&*shared.env.disk, &shared.config);
    manifest::settle(disk, config, manifest.generation)?;
    // A copy may have been made of one that is passed over: no other gets its number.
    let newest = manifest::list(disk, config)?.pop().unwrap_or(manifest.generation);
    let in_use = manifest.log_start.file()..=end.file();
    let numbers = files.list()?;
    let chain: Vec<u32> = numbers.iter().copied().filter(|n| in_use.contains(n)).collect();
    for &number in chain.iter().filter(|_| !planted!(RecoveryNotSynced)) {
        files.disk.open(&files.path(number))?.sync()?;
    }
    if chain.len() > LOG_FILES_MAX {
        replay.flush(end)?;
    }
    let is_newer_left = manifest::drop_damaged(disk, config, manifest.generation)?;
    Ok((numbers, replay.finish(newest, end)?, is_newer_left))
}

/// Begins a new log file behind `replayed`, with the worker that prepares the next ones.
fn begin_log(
    shared: &Arc<Shared>,
    files: &wal::Files,
    replayed: &wal::Replayed,
    mut unneeded: Vec<u32>,
) -> Result<(wal::Writer, usize, Worker)> {
    while unneeded.len() > 2 {
        files.remove(unneeded.swap_remove(0))?;
    }
    let number = replayed.next_number;
    let (log, align, next) = match files.prepare(number, unneeded.pop()) {
        Ok(file) => {
            let align = file.align();
            let log = wal::Writer::new(files, file, number, replayed.end);
            #[cfg(test)]
            let log = wal::go_on_in_the_torn_file(files, log, replayed)?;
            (log, align, number + 1)
        }
        // The worker prepares one when there is space.
        Err(error) if error.is_disk_full() => {
            (wal::Writer::waiting(files, number - 1, replayed.end), GRAIN_BYTES_MAX, number)
        }
        Err(error) => return Err(error),
    };
    Ok((log, align, Worker::new(shared.clone(), next, unneeded)))
}

fn open_segments(shared: &Shared, manifest: &Manifest) -> Result<Vec<LiveSegment>> {
    let mut segments = Vec::new();
    for listed in &manifest.segments {
        let segment = flush::open_later(shared, listed.id)?;
        if segment.records() != listed.records {
            let path = shared.config.dir.join(segment::file_name(listed.id));
            let (found, listed) = (segment.records(), listed.records);
            let what = format!("it holds {found} records where the manifest lists {listed}");
            return Err(Error::corrupt(path, 0, what));
        }
        let dead = Dead::with(listed.records, listed.dead.iter().copied());
        segments.push(LiveSegment { segment, dead: Arc::new(dead) });
    }
    Ok(segments)
}

/// Segment files that no manifest names: flushes and merges that a crash cut off, removals likewise.
fn remove_orphans(shared: &Shared, segments: &[LiveSegment]) -> Result<()> {
    let config = &shared.config;
    let known: HashSet<String> =
        segments.iter().map(|live| segment::file_name(live.segment.info().id)).collect();
    for name in shared.env.disk.list(&config.dir)? {
        let gone = Path::new(&name).extension().is_some_and(|extension| extension == GONE);
        if gone || name.ends_with(".seg") && !known.contains(&name) {
            tracing::info!(
                shard = config.shard,
                name,
                "removing a segment that was never finished"
            );
            shared.env.disk.remove(&config.dir.join(name))?;
        }
    }
    Ok(())
}

/// Replay may pass the budget, and the count, by one block before it can flush. Of most logs this is enough; a block of
/// files that were made larger than they are now may not fit, and the memtable grows.
fn replay_config(config: &Config, model: &dyn Model) -> memtable::Config {
    let usual = memtable_config(config.memtable_bytes, model);
    let block = GROUP_BYTES_MAX.min(config.log_file_bytes as usize);
    memtable::Config {
        bytes: config.memtable_bytes + 4 * block,
        records: usual.records + (block / ENTRY_HEADER_BYTES) as u32,
        ..usual
    }
}

/// The state of a replay.
struct Replay {
    shared: Arc<Shared>,
    writer: memtable::Writer,
    /// How large `writer`'s memtable may become.
    size: memtable::Config,
    segments: Vec<LiveSegment>,
    /// The number of the last record.
    seq: Seq,
    /// The block of the entry before.
    block: Lsn,
    log_start: Lsn,
    flushed: bool,
    /// Memtables that there was no space for, oldest first.
    sealed: VecDeque<Sealed>,
    /// The disk is full: nothing more is flushed.
    no_space: bool,
    /// There was no space for the manifest.
    owes_manifest: bool,
    terms: Terms,
}

impl Replay {
    fn new(
        shared: &Arc<Shared>,
        writer: memtable::Writer,
        segments: Vec<LiveSegment>,
        log_start: Lsn,
    ) -> Replay {
        Replay {
            shared: shared.clone(),
            writer,
            size: replay_config(&shared.config, &*shared.model),
            segments,
            seq: 0,
            block: log_start,
            log_start,
            flushed: false,
            sealed: VecDeque::new(),
            no_space: false,
            owes_manifest: false,
            terms: Terms::new(),
        }
    }

    fn entry(&mut self, block: Lsn, bytes: &[u8]) -> Result<()> {
        if block != self.block {
            if self.is_full() {
                self.flush(block)?;
            }
            self.block = block;
        }
        let damaged = |what: &str| {
            let path = log_files(&self.shared.config, &self.shared).path(block.file());
            Error::corrupt(path, u64::from(block.offset()), what)
        };
        let entry = read_entry(bytes).map_err(damaged)?;
        if self.seq == 0 {
            // Each entry is looked for in every segment; a log without entries needs no filters yet.
            self.segments.iter().for_each(|live| flush::warm(&live.segment));
        }
        self.terms.clear();
        let own = self.shared.model.ids() == Ids::Own;
        if own && (entry.kind == EntryKind::Remove || !entry.kills.is_empty()) {
            return Err(damaged("a log entry kills by id in a store that makes its ids itself"));
        }
        if entry.kind == EntryKind::Put {
            let is_there = match own {
                // What is behind in the log cannot be the same once more.
                true => self.is_in_a_segment(&entry.record.key)?,
                false => is_live(&self.view(), &entry.record.key.id)?,
            };
            if is_there {
                return Ok(());
            }
            self.shared.model.early_terms(entry.record, &mut self.terms);
        }
        self.terms.seal();
        let ordinal = self.append(entry.record)?;
        self.seq += 1;
        if entry.kind == EntryKind::Remove {
            // Before the others: it has the id of one of them.
            self.writer.kill(ordinal, self.seq);
        }
        if entry.kills.is_empty() {
            return Ok(()); // Most kill nobody, and a view is made anew.
        }
        let view = self.view();
        for id in entry.kills {
            kill_by_id(&view, &mut self.writer, &mut self.sealed, id, self.seq)?;
        }
        Ok(())
    }

    /// Adds a record under `terms`.
    fn append(&mut self, record: Record<'_>) -> Result<Ordinal> {
        loop {
            let appended = self.writer.append(record.key, record.body, &self.terms);
            if let Some(ordinal) = appended {
                return Ok(ordinal);
            }
            self.grow()?;
        }
    }

    /// Puts what is in the memtable into one of twice the size. Blocks are not divided, and the memtable of one whose
    /// terms are many takes far more than its log; the writer had an empty one for it.
    fn grow(&mut self) -> Result<()> {
        let limit = memtable::BUDGET_BYTES_MAX;
        let full = || Error::Full { what: "memtable bytes during replay", limit: limit as u64 };
        if self.size.bytes >= limit {
            return Err(full());
        }
        self.size.bytes *= 2;
        self.size.records = self.size.records.saturating_mul(2);
        let old = self.writer.memtable().clone();
        let (mut writer, _) = memtable::new(self.size, old.base());
        let mut terms = Terms::new();
        for o in 0..old.len() {
            let record = Record { key: old.key(o), body: old.body(o) };
            let killed_at = old.killed_at(o);
            terms.clear();
            // A removal, which has none, is dead from its own number on.
            if killed_at != old.base() + u64::from(o) + 1 {
                self.shared.model.early_terms(record, &mut terms);
            }
            terms.seal();
            writer.append(record.key, record.body, &terms).ok_or_else(full)?;
            if killed_at > 0 {
                writer.kill(o, killed_at);
            }
        }
        self.writer = writer;
        Ok(())
    }

    /// Whether what was replayed is as much as a memtable takes: by bytes, or by the count of its records.
    fn is_full(&self) -> bool {
        let (memtable, config) = (self.writer.memtable(), &self.shared.config);
        let usual = memtable_config(config.memtable_bytes, &*self.shared.model).records;
        let records = config.memtable_records.map_or(usual, |most| most.clamp(1, usual));
        // Its own tables are those of a larger budget, and could be all of a small one.
        memtable.bytes_of_records() >= config.memtable_bytes || memtable.len() >= records
    }

    /// Whether a segment has the record with this key, dead or alive.
    fn is_in_a_segment(&self, key: &Key) -> Result<bool> {
        for live in &self.segments {
            if live.segment.find_key(key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn view(&self) -> View {
        let (active, segments) = (self.writer.memtable().clone(), self.segments.clone());
        let sealed = self.sealed.iter().rev().map(|s| s.memtable.memtable().clone()).collect();
        View { active, sealed, segments }
    }

    /// Makes a segment of what was replayed so far: the log from `block` on is still to come.
    fn flush(&mut self, block: Lsn) -> Result<()> {
        self.size = replay_config(&self.shared.config, &*self.shared.model);
        let (writer, _) = memtable::new(self.size, self.seq);
        let mut old = std::mem::replace(&mut self.writer, writer);
        old.end();
        if !self.no_space {
            match flush::flush(&self.shared, old.memtable(), self.seq) {
                Ok(flushed) => {
                    self.segments.extend(flush::with_late_deaths(&flushed));
                    self.log_start = block;
                    self.flushed = true;
                    return Ok(());
                }
                Err(error) if error.is_disk_full() => self.no_space = true,
                Err(error) => return Err(error),
            }
        }
        // As much as was in memory before. It is flushed when there is space.
        self.sealed.push_back(Sealed { memtable: old, log_end: block, flushing: false });
        Ok(())
    }

    /// Publishes what was replayed, up to `end` of the log; writes a manifest behind `generation` if it has flushed. Returns
    /// the newest generation.
    fn finish(&mut self, generation: u64, end: Lsn) -> Result<u64> {
        self.segments.sort_by_key(|live| std::cmp::Reverse(live.segment.info().time_max));
        self.resize();
        let shared = &self.shared;
        shared.published.install(self.view());
        shared.published.advance(self.seq);
        if !self.flushed {
            return Ok(generation);
        }
        let checkpoint = checkpoint::Checkpoint {
            generation: generation + 1,
            manifest_start: self.log_start,
            log_end: end.max(self.log_start),
            mark: shared.mark.load(Relaxed),
            segments: self.segments.clone(),
            at: self.seq,
            unsynced: Vec::new(),
            obsolete: Vec::new(),
        };
        match checkpoint::write_checkpoint(shared, &checkpoint) {
            Ok(()) => Ok(generation + 1),
            Err(error) if error.is_disk_full() => {
                self.owes_manifest = true;
                Ok(generation)
            }
            Err(error) => Err(error),
        }
    }

    /// An empty memtable takes its usual budget; a filled one keeps the larger one of replay.
    fn resize(&mut self) {
        if self.writer.memtable().is_empty() {
            let config = memtable_config(self.shared.config.memtable_bytes, &*self.shared.model);
            let (writer, _): (_, Arc<Memtable>) = memtable::new(config, self.seq);
            self.writer = writer;
        }
    }
}

#[cfg(test)]
mod tests;
