//! A full disk: what needs new space is owed and tried again, records are refused meanwhile, and all goes on by itself.
//!
//! ```text
//!   free < reserve          Low      records are refused; removals, flushes, merges, manifests use the reserve
//!   a job found no room     Out      its work is owed; records are refused, removals go on in what is prepared
//!   nothing owed, and free  Enough   as ever
//! ```
//!
//! What needs new space is a flush's segment, a manifest, a merge's output and a log file that cannot be recycled: all
//! of it work of other threads, none of it what an answer depends on. A write of the log needs none, since its files
//! are written before they are used.
//!
//! F1. What was taken in has a place in the log (`write`, I7), so a full disk is met before a record is taken in, never
//!     behind it.
//! F2. What is owed stays as it was: a memtable in memory, a log that reaches back to the last manifest, inputs of
//!     merges. What was written of it is removed.
//! F3. Nobody waits for space: records are answered at once, who asked for a flush, a merge or a drop is answered by
//!     the next try.
//! F4. The log says it once when it begins, and once when it ends.
//! F5. The log itself is no part of this: a write or sync of it that fails, for want of space or another reason, says
//!     nothing about what is there, and poisons (`shard`, I4).

use super::work::Job;
use super::write::{COMPACT, Core, DROP, FLUSH, OWN, REMOVE};
use super::{Shard, Shared};
use crate::base::limits::MEMTABLES_SEALED_MAX;
use crate::base::{Error, Result};
use crate::io::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most that is kept free by default: what a flush, manifests and a merge of a few hundred thousand records take.
const RESERVE_BYTES_MAX: u64 = 256 << 20;

/// The share of a small disk that is kept free by default: a 20th.
const RESERVE_SHARE: u64 = 20;

/// How soon it is tried again, at first and at last: a try may write a whole memtable in vain.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// What is asked for, and never refused.
const ASKED: u64 = FLUSH | COMPACT | DROP;

/// Work that there was no space for.
pub(super) enum Owed {
    /// The flush of the oldest sealed memtable.
    Flush,
    /// A manifest, of this generation; these files are to be removed behind it.
    Manifest(u64, Vec<PathBuf>),
    /// The next log file.
    Log,
}

/// How much space there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Enough,
    Low,
    Out,
}

/// What the shard's threads and callers know of the space.
pub(super) struct FullDisk {
    /// As last measured; the most there is if it cannot be known.
    free: AtomicU64,
    /// What is to be kept free.
    reserve: AtomicU64,
    /// Not even removals are sure of theirs.
    is_out: AtomicBool,
    /// Where and why there is none, while there is none.
    why: Mutex<Option<(PathBuf, String)>>,
}

impl Default for FullDisk {
    fn default() -> FullDisk {
        FullDisk {
            free: u64::MAX.into(),
            reserve: 0.into(),
            is_out: AtomicBool::default(),
            why: Mutex::default(),
        }
    }
}

impl FullDisk {
    fn why(&self) -> MutexGuard<'_, Option<(PathBuf, String)>> {
        // Each critical section leaves it whole.
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Looks how much space there is.
    pub(super) fn measure_space(&self) {
        let (free, usual) = match self.env.disk.space(&self.config.dir) {
            Some(space) => (space.free_bytes, space.size_bytes / RESERVE_SHARE),
            None => (u64::MAX, 0),
        };
        let usual = usual.min(RESERVE_BYTES_MAX);
        self.full.free.store(free, Relaxed);
        self.full.reserve.store(self.config.reserve_bytes.unwrap_or(usual), Relaxed);
    }

    /// Whether a file of `bytes` bytes fits, as last measured.
    ///
    /// # Errors
    /// `DiskFull`, naming `path`.
    pub(super) fn check_space(&self, path: &Path, bytes: u64) -> Result<()> {
        let free = self.full.free.load(Relaxed);
        if free >= bytes {
            return Ok(());
        }
        let why = format!("the disk is full: {bytes} bytes are needed and {free} are free");
        Err(Error::DiskFull { path: path.into(), why })
    }

    /// Bytes that may be written, as last measured, if it is known.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        Some(self.full.free.load(Relaxed)).filter(|free| *free < u64::MAX)
    }

    /// The error that records get while the disk is full.
    pub(super) fn disk_full(&self) -> Option<Error> {
        let (path, why) = self.full.why().clone()?;
        Some(Error::DiskFull { path, why })
    }
}

impl Shard {
    /// The error that records get, if the disk is full.
    pub fn disk_full(&self) -> Option<Error> {
        self.shared().disk_full()
    }

    /// The error that the store's own records get, if there is no space even for them.
    pub(crate) fn disk_out(&self) -> Option<Error> {
        self.shared().disk_full().filter(|_| self.shared().full.is_out.load(Relaxed))
    }
}

/// What the shard's thread knows of it.
pub(super) struct Short {
    level: Level,
    flush: bool,
    log: bool,
    /// Files to be removed behind the manifest that is owed, if one is.
    manifest: Option<Vec<PathBuf>>,
    /// The generation of the manifest under way that pays it.
    paying: Option<u64>,
    /// When to look again, on the clock that never jumps.
    look_at: u64,
    pause: Duration,
}

impl Short {
    pub(super) fn new(owes_manifest: bool) -> Short {
        Short {
            level: Level::Enough,
            flush: false,
            log: false,
            manifest: owes_manifest.then(Vec::new),
            paying: None,
            look_at: 0,
            pause: PAUSE_MIN,
        }
    }

    pub(super) fn owes_flush(&self) -> bool {
        self.flush
    }

    /// Whether a manifest is owed.
    pub(super) fn owes_manifest(&self) -> bool {
        self.manifest.is_some()
    }

    /// Whether anything is short.
    pub(super) fn is_short(&self) -> bool {
        self.level != Level::Enough
    }

    /// Whether work is owed.
    pub(super) fn is_out(&self) -> bool {
        self.level == Level::Out
    }

    fn owes(&self) -> bool {
        self.flush || self.log || self.manifest.is_some() || self.paying.is_some()
    }

    /// The oldest memtable is a segment.
    pub(super) fn flushed(&mut self) {
        self.flush = false;
    }

    /// The manifest of this generation is durable.
    pub(super) fn named(&mut self, generation: u64) {
        self.paying.take_if(|paying| *paying <= generation);
    }

    /// Has the manifest that is about to be written pay the one that is owed, if one is.
    pub(super) fn pay_manifest(&mut self, obsolete: &mut Vec<PathBuf>) -> bool {
        let owed = self.manifest.take();
        let is_owed = owed.is_some();
        obsolete.extend(owed.into_iter().flatten());
        is_owed
    }

    /// The manifest of this generation is under way.
    pub(super) fn paying(&mut self, is_owed: bool, generation: u64) {
        if is_owed {
            self.paying = Some(generation);
        }
    }
}

impl Core {
    /// The error that a message with this tag is answered with, if it is refused.
    pub(super) fn refusal(&self, tag: u64) -> Option<Error> {
        if self.shared.poison.get().is_some() {
            return self.shared.poisoned();
        }
        let taken = match self.short.level {
            _ if tag & ASKED != 0 => true,
            _ if self.is_stuck() => false,
            Level::Enough => true,
            Level::Low => tag & (REMOVE | OWN) != 0,
            Level::Out => tag & REMOVE != 0,
        };
        if taken { None } else { self.shared.disk_full() }
    }

    /// Whether nothing at all can be taken in before there is space.
    pub(super) fn is_stuck(&self) -> bool {
        let short = &self.short;
        let no_memtable = self.seal_wanted && self.sealed.len() >= MEMTABLES_SEALED_MAX;
        short.is_out() && (short.log && self.log_wanted || short.flush && no_memtable)
    }

    /// There was no space for this (F2).
    pub(super) fn owe(&mut self, owed: Owed, error: Error) {
        if self.shared.poison.get().is_some() {
            return;
        }
        match owed {
            Owed::Log => self.short.log = true,
            Owed::Flush => {
                self.short.flush = true;
                // Who asked for it is answered below; who needs it says so again.
                self.seal_wanted = false;
                if let Some(oldest) = self.sealed.front_mut() {
                    oldest.flushing = false;
                }
            }
            Owed::Manifest(generation, obsolete) => {
                self.short.named(generation);
                self.short.manifest.get_or_insert_default().extend(obsolete);
                self.give_back();
            }
        }
        if let Error::DiskFull { path, why } = error.into_disk_full(&self.shared.config.dir) {
            *self.shared.full.why() = Some((path, why));
        }
        if self.short.flush || self.short.manifest.is_some() {
            self.refuse_waiters(); // F3
        }
        let now = self.shared.env.clock.monotonic_nanos();
        self.short.look_at = now + self.short.pause.as_nanos() as u64;
    }

    /// Answers those who wait for what there is no space for.
    fn refuse_waiters(&mut self) {
        for ticket in self.take_waiters() {
            let error = self.shared.disk_full().unwrap_or(Error::Closed);
            self.shared.inbox.tickets.answer(ticket, Err(error));
        }
    }

    /// Gives up the next log file for the sake of a manifest, unless the open group counts on it.
    fn give_back(&mut self) {
        if self.group.as_ref().is_some_and(|group| !self.log.fits(group)) {
            return;
        }
        if let Some((number, file)) = self.spares.pop_back() {
            self.measure_group();
            self.short.log = true;
            self.send(Job::GiveBack(number, file));
        }
    }

    /// The next log file is ready.
    pub(super) fn prepared(&mut self, number: u32, file: Arc<dyn File>) {
        self.spares.push_back((number, file));
        (self.log_wanted, self.short.log) = (false, false);
        self.measure_group();
    }

    // --- the way back ---

    /// Has the worker look how much space there is, now and then while there is little.
    pub(super) fn look_if_due(&mut self) {
        if self.until_look() == Some(Duration::ZERO) {
            self.send(Job::Look);
        }
    }

    pub(super) fn until_look(&self) -> Option<Duration> {
        let waits = self.short.is_short() && self.jobs_out == 0;
        let over = !waits || self.shared.is_ending();
        (!over).then(|| {
            let now = self.shared.env.clock.monotonic_nanos();
            Duration::from_nanos(self.short.look_at.saturating_sub(now))
        })
    }

    /// Something was given back, or somebody asks for more than records: looks at once.
    pub(super) fn look_soon(&mut self) {
        (self.short.look_at, self.short.pause) = (0, PAUSE_MIN);
    }

    /// The worker has looked: what is owed is tried again, the smallest first.
    pub(super) fn looked(&mut self) {
        let now = self.shared.env.clock.monotonic_nanos();
        self.short.look_at = now + self.short.pause.as_nanos() as u64;
        self.compactions.resume();
        if self.short.owes() {
            self.short.pause = (self.short.pause * 2).min(PAUSE_MAX);
            self.pay();
        }
    }

    /// Tries what is owed.
    pub(super) fn pay(&mut self) {
        if self.short.manifest.is_some() {
            self.checkpoint(Vec::new());
        }
        if self.short.flush {
            self.flush_oldest();
        }
        if self.short.log {
            self.send(Job::PrepareLog);
        }
    }

    /// How much space there is, after what was just heard (F4).
    pub(super) fn judge_space(&mut self) {
        let (free, reserve) =
            (self.shared.full.free.load(Relaxed), self.shared.full.reserve.load(Relaxed));
        // A quarter more to end it, so that it does not come and go.
        let least = if self.short.is_short() { reserve + reserve / 4 } else { reserve };
        let is_trying = self.short.is_out() && self.jobs_out > 0;
        let level = match () {
            () if self.short.owes()
                && (self.short.is_out() || self.shared.full.why().is_some()) =>
            {
                Level::Out
            }
            () if is_trying => Level::Out,
            () if free < least => Level::Low,
            () => Level::Enough,
        };
        self.shared.full.is_out.store(level == Level::Out, Relaxed);
        let before = std::mem::replace(&mut self.short.level, level);
        if level == before {
            return;
        }
        let shard = self.shared.config.shard;
        if level == Level::Enough {
            *self.shared.full.why() = None;
            self.short.pause = PAUSE_MIN;
            tracing::info!(shard, "there is room again; the shard takes writes");
        } else if level == Level::Low {
            let why =
                format!("{} KiB are free, and {} are kept for removals", free >> 10, reserve >> 10);
            let why = format!("the disk is full: {why}");
            *self.shared.full.why() = Some((self.shared.config.dir.clone(), why));
        }
        if before == Level::Enough
            && let Some(error) = self.shared.disk_full()
        {
            self.look_soon();
            tracing::error!(shard, code = error.code(), "the shard takes no records: {error}");
        }
        self.refusing = level != Level::Enough || self.shared.poison.get().is_some();
    }
}
