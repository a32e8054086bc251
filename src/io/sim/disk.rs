//! The state of the simulated disk, the bytes of its files, and its ends: cuts and kills. Names are in
//! `names.rs`.
//!
//! ```text
//!   Inode   durable bytes + pending writes  = visible bytes      sync:     pending -> durable
//!   Dir     durable names + pending changes = visible names      sync_dir: pending -> durable
//!                  \-- a power cut lets part of the pending survive; then visible = durable
//! ```
//!
//! Invariants: 1. every choice is drawn from the one generator, and every collection iterates in a
//! fixed order, so that one thread and one seed give one run; 2. `epoch` counts cuts and kills, and a
//! handle of an older epoch does nothing but fail; 3. an inode lives while a name, durable or
//! visible, or an open handle refers to it.

use super::faults::{Content, Faults, PendingWrite, Survivors, sectors, survive};
use super::image::Image;
use super::names::Dir;
use super::plan::{Act, Failure, Plan};
use super::record::{Moment, Recorder};
use crate::base::{Error, Result, hash64};
use crate::io::signal::Signal;
use crate::io::{DiskSpace, Rng};
use crate::io::{Wake, sim::Held};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Bytes of the largest file: what is kept in memory must stay small.
const FILE_BYTES_MAX: u64 = 1 << 32;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub durable: Image,
    pub visible: Image,
    pub pending: Vec<PendingWrite>,
    /// A sync failed and forgot some writes: what is visible is more than the durable and the pending.
    pub forgotten: bool,
    pub open: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub rng: Rng,
    pub faults: Faults,
    pub epoch: u64,
    /// Why handles of older epochs fail.
    gone: &'static str,
    /// After a planned cut, until someone switches the machine on again.
    pub off: bool,
    pub dirs: BTreeMap<Arc<Path>, Dir>,
    pub inodes: BTreeMap<u64, Inode>,
    pub next_id: u64,
    pub locks: BTreeMap<PathBuf, u64>,
    /// Queues whose owner may sleep when the machine goes.
    pub sleepers: Vec<Weak<Signal>>,
    /// Writes and syncs until the planned cut.
    pub cut_in: Option<u64>,
    pub counted: u64,
    /// Operations that queues were given.
    pub queued: u64,
    pub hash: u64,
    pub plan: Plan,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// If moments are taken down.
    pub recorder: Option<Recorder>,
    /// Of the operation at hand, kept for its memory.
    line: Vec<u8>,
}

impl State {
    pub fn new(seed: u64, faults: Faults) -> State {
        let roots = ["", "/"].map(|root| (Path::new(root).into(), Dir::default()));
        State {
            rng: Rng::new(seed),
            faults,
            epoch: 0,
            gone: "the machine was switched off",
            off: false,
            dirs: roots.into(),
            inodes: BTreeMap::new(),
            next_id: 1,
            locks: BTreeMap::new(),
            sleepers: Vec::new(),
            cut_in: None,
            counted: 0,
            queued: 0,
            hash: 0,
            plan: Plan::default(),
            read_bytes: 0,
            recorder: None,
            line: Vec::new(),
        }
    }

    /// Adds an operation and its outcome to the hash of the run.
    pub fn log<T>(&mut self, op: &str, on: &[&[u8]], numbers: [u64; 2], outcome: &Result<T>) {
        let code = outcome.as_ref().map_or_else(Error::code, |_| "ok");
        self.line.clear();
        self.line.extend_from_slice(&self.hash.to_le_bytes());
        for part in [op.as_bytes()].iter().chain(on) {
            self.line.extend_from_slice(part);
            self.line.push(0);
        }
        numbers.iter().for_each(|number| self.line.extend_from_slice(&number.to_le_bytes()));
        self.line.extend_from_slice(code.as_bytes());
        self.hash = hash64(&self.line);
    }

    /// Fails if the machine, or the process that had a handle of `epoch`, is gone.
    pub fn check_alive(&self, op: &'static str, path: &Path, epoch: u64) -> Result<()> {
        if self.off || epoch != self.epoch {
            return Err(self.gone_error(op, path));
        }
        Ok(())
    }

    pub fn gone_error(&self, op: &'static str, path: &Path) -> Error {
        Error::io(op, path, std::io::Error::other(self.gone))
    }

    /// Counts a write or sync. True if the power fails at it.
    pub fn tick(&mut self) -> bool {
        self.counted += 1;
        let Some(left) = self.cut_in.as_mut() else { return false };
        *left = left.saturating_sub(1);
        *left == 0
    }

    // ------------------------------------------------------------------ bytes

    pub fn write(&mut self, held: &Held, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(held, PendingWrite { offset, content: Content::Bytes(bytes.into()) })
    }

    pub fn put(&mut self, held: &Held, write: PendingWrite) -> Result<()> {
        let what = match &write.content {
            Content::Bytes(bytes) => hash64(bytes),
            Content::Zeros(count) => *count as u64,
        };
        let numbers = [write.offset, what];
        let result = self.put_unlogged(held, write);
        self.log("write", &[&held.inode.to_le_bytes()], numbers, &result);
        result
    }

    fn put_unlogged(&mut self, held: &Held, write: PendingWrite) -> Result<()> {
        self.check_alive("write", &held.path, held.epoch)?;
        let end = write.offset.checked_add(write.len() as u64);
        let Some(end) = end.filter(|&end| end < FILE_BYTES_MAX) else {
            let too_far = std::io::Error::from(ErrorKind::FileTooLarge);
            return Err(Error::io("write", &held.path, too_far));
        };
        if self.tick() {
            self.apply(held.inode, write);
            self.cut();
            return Err(self.gone_error("write", &held.path));
        }
        let len = self.inodes.get(&held.inode).map_or(0, |inode| inode.visible.len() as u64);
        self.check_room("write", &held.path, end.saturating_sub(len))?;
        let is_zeros = matches!(write.content, Content::Zeros(_));
        let act = if is_zeros { Act::Fill } else { Act::Write };
        let planned = self.planned(act, "write", &held.path);
        if let Some(failure) = planned {
            if failure.is_a_lie() {
                self.misplace(held, &write, failure);
                self.record();
                return Ok(());
            }
            if failure != Failure::Again {
                self.fail_write(held, &write);
            }
            return Err(failure.error("write", &held.path));
        }
        if self.rng.chance(self.faults.eio_write) {
            self.fail_write(held, &write);
            return Err(eio("write", &held.path));
        }
        if !is_zeros {
            self.plan.wrote(&held.path, write.offset, write.len());
        }
        self.apply(held.inode, write);
        self.record();
        Ok(())
    }

    /// Writes some of the first sectors, as a write that fails may have.
    fn fail_write(&mut self, held: &Held, write: &PendingWrite) {
        let sectors = sectors(write);
        let survivors = self.rng.below(sectors.len() as u64 + 1) as usize;
        for (offset, part) in sectors.into_iter().take(survivors) {
            let content = match &write.content {
                Content::Bytes(bytes) => Content::Bytes(bytes[part].into()),
                Content::Zeros(_) => Content::Zeros(part.len()),
            };
            self.apply(held.inode, PendingWrite { offset, content });
        }
        self.record();
    }

    pub fn apply(&mut self, inode: u64, write: PendingWrite) {
        let Some(inode) = self.inodes.get_mut(&inode) else { return };
        write.put(&mut inode.visible, 0..write.len());
        inode.pending.push(write);
    }

    pub fn sync(&mut self, held: &Held) -> Result<()> {
        let result = self.sync_unlogged(held);
        self.log("sync", &[&held.inode.to_le_bytes()], [0; 2], &result);
        result
    }

    fn sync_unlogged(&mut self, held: &Held) -> Result<()> {
        self.check_alive("sync", &held.path, held.epoch)?;
        if self.tick() {
            self.cut();
            return Err(self.gone_error("sync", &held.path));
        }
        let planned = self.planned(Act::Sync, "sync", &held.path);
        if planned == Some(Failure::Again) {
            return Err(Failure::Again.error("sync", &held.path));
        }
        // Names may have changed since the last write.
        self.record();
        let fails = self.rng.chance(self.faults.eio_sync) || planned.is_some();
        let State { rng, inodes, .. } = self;
        let Some(inode) = inodes.get_mut(&held.inode) else { return Ok(()) };
        let pending = std::mem::take(&mut inode.pending);
        if fails {
            let kept = pending.iter().filter(|_| rng.chance(2));
            kept.for_each(|write| write.put(&mut inode.durable, 0..write.len()));
            inode.forgotten |= !pending.is_empty();
            return Err(eio("sync", &held.path));
        }
        if inode.forgotten {
            pending.iter().for_each(|write| write.put(&mut inode.durable, 0..write.len()));
        } else {
            inode.durable.clone_from(&inode.visible);
        }
        Ok(())
    }

    pub fn read(&mut self, held: &Held, offset: u64, buf: &mut [u8]) -> Result<()> {
        let result = self.read_unlogged(held, offset, buf);
        let numbers = [offset, buf.len() as u64];
        self.log("read", &[&held.inode.to_le_bytes()], numbers, &result);
        result
    }

    fn read_unlogged(&mut self, held: &Held, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.check_alive("read", &held.path, held.epoch)?;
        self.fails(Act::Read, "read", &held.path)?;
        if self.rng.chance(self.faults.eio_read) {
            return Err(eio("read", &held.path));
        }
        let Some(inode) = self.inodes.get(&held.inode) else { return Ok(()) };
        self.read_bytes += buf.len() as u64;
        if buf.is_empty() || inode.visible.get(offset, buf) {
            return Ok(());
        }
        let there = (inode.visible.len() as u64).saturating_sub(offset);
        let what = format!("file ends early: {there} of {} bytes at {offset}", buf.len());
        Err(Error::corrupt(&held.path, offset.saturating_add(there), what))
    }

    fn check_room(&self, op: &'static str, path: &Path, more: u64) -> Result<()> {
        match self.faults.quota.filter(|_| more > 0) {
            Some(quota) if self.used_bytes() + more > quota => {
                Err(Error::io(op, path, std::io::Error::from_raw_os_error(libc::ENOSPC)))
            }
            _ => Ok(()),
        }
    }

    /// How full the disk is, if it has a quota.
    pub fn space(&self) -> Option<DiskSpace> {
        let size_bytes = self.faults.quota?;
        let free_bytes = size_bytes.saturating_sub(self.used_bytes());
        Some(DiskSpace { size_bytes, free_bytes })
    }

    /// Bytes of the files that have a name or are open.
    pub fn used_bytes(&self) -> u64 {
        let mut counted: BTreeSet<u64> =
            self.dirs.values().flat_map(|dir| dir.visible.values().copied()).collect();
        counted.extend(self.inodes.iter().filter(|(_, inode)| inode.open > 0).map(|(&id, _)| id));
        let sizes = counted.iter().filter_map(|id| self.inodes.get(id));
        sizes.map(|inode| inode.visible.len() as u64).sum()
    }

    // ------------------------------------------------------------------ the end

    /// The power fails.
    pub fn cut(&mut self) {
        let bytes = Survivors::draw(&mut self.rng);
        self.cut_as(bytes, Survivors::Some);
    }

    /// The power fails, and so much survives.
    pub fn cut_as(&mut self, bytes: Survivors, names: Survivors) {
        let State { rng, faults, dirs, inodes, .. } = self;
        for dir in dirs.values_mut() {
            let changes = std::mem::take(&mut dir.pending);
            let prefix = match names {
                Survivors::None => 0,
                Survivors::All => changes.len(),
                Survivors::Some => rng.below(changes.len() as u64 + 1) as usize,
            };
            let any_subset = faults.names_any_subset && names == Survivors::Some;
            for (index, change) in changes.iter().enumerate() {
                if if any_subset { rng.chance(2) } else { index < prefix } {
                    change.apply(&mut dir.durable);
                }
            }
            dir.visible.clone_from(&dir.durable);
        }
        for inode in inodes.values_mut() {
            let pending = std::mem::take(&mut inode.pending);
            survive(rng, bytes, &mut inode.durable, pending);
            inode.visible.clone_from(&inode.durable);
            inode.forgotten = false;
        }
        self.off = true;
        self.end_epoch("the machine was switched off");
    }

    /// The process ends: all that it wrote stays.
    pub fn kill(&mut self) {
        self.end_epoch("the process was killed");
    }

    fn end_epoch(&mut self, gone: &'static str) {
        self.gone = gone;
        self.epoch += 1;
        self.cut_in = None;
        self.locks.clear();
        self.inodes.values_mut().for_each(|inode| inode.open = 0);
        self.free_unreferenced();
        for sleeper in self.sleepers.drain(..).filter_map(|sleeper| sleeper.upgrade()) {
            sleeper.wake();
        }
        let outcome: Result<()> = Ok(());
        self.log(gone, &[], [self.epoch, 0], &outcome);
    }

    /// Forgets inodes that no name and no handle refers to.
    pub fn free_unreferenced(&mut self) {
        let mut named: Vec<u64> = self.dirs.values().flat_map(Dir::inodes).collect();
        named.sort_unstable();
        self.inodes.retain(|id, inode| inode.open > 0 || named.binary_search(id).is_ok());
    }

    /// Takes this moment down, if that is wanted.
    pub fn record(&mut self) {
        if self.recorder.as_mut().is_some_and(Recorder::is_due) {
            let moment = Moment::of(self);
            if let Some(recorder) = &mut self.recorder {
                recorder.take(moment);
            }
        }
    }

    /// Flips a bit of a file, in what is visible and in what is durable.
    pub fn flip_bit(&mut self, path: &Path, byte: u64, bit: u32) -> Result<()> {
        let outside = || Error::invalid("bit", format!("bit {bit} of byte {byte}"));
        let inode = self.inode_of(path).and_then(|id| self.inodes.get_mut(&id));
        let inode = inode.ok_or_else(|| Error::io("open", path, ErrorKind::NotFound.into()))?;
        let index = usize::try_from(byte).map_err(|_| outside())?;
        let mask = 1u8.checked_shl(bit).ok_or_else(outside)?;
        if !inode.visible.flip(index, mask) {
            return Err(outside());
        }
        // It may be there only since the last sync.
        let _durable_too = inode.durable.flip(index, mask);
        Ok(())
    }
}

pub(super) fn eio(op: &'static str, path: &Path) -> Error {
    Error::io(op, path, std::io::Error::from_raw_os_error(libc::EIO))
}
