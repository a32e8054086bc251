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

use super::faults::{Faults, PendingWrite, Regime, put, sectors, survive};
use super::names::{Dir, NameChange};
use super::plan::{Act, Failure, Plan};
use crate::base::{Error, Result, hash64};
use crate::io::Rng;
use crate::io::signal::Signal;
use crate::io::{Wake, sim::Held};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Weak;

/// Bytes of the largest file: what is kept in memory must stay small.
const FILE_BYTES_MAX: u64 = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub durable: Vec<u8>,
    pub visible: Vec<u8>,
    pending: Vec<PendingWrite>,
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
    pub dirs: BTreeMap<PathBuf, Dir>,
    pub inodes: BTreeMap<u64, Inode>,
    pub next_id: u64,
    pub locks: BTreeMap<PathBuf, u64>,
    /// Queues whose owner may sleep when the machine goes.
    pub sleepers: Vec<Weak<Signal>>,
    /// Writes and syncs until the planned cut.
    pub cut_in: Option<u64>,
    pub counted: u64,
    pub hash: u64,
    pub plan: Plan,
}

impl State {
    pub fn new(seed: u64, faults: Faults) -> State {
        let roots = ["", "/"].map(|root| (PathBuf::from(root), Dir::default()));
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
            hash: 0,
            plan: Plan::default(),
        }
    }

    /// Adds an operation and its outcome to the hash of the run.
    pub fn log<T>(&mut self, op: &str, on: &str, numbers: [u64; 2], outcome: &Result<T>) {
        let code = outcome.as_ref().map_or_else(Error::code, |_| "ok");
        let line = format!("{:x} {op} {on} {numbers:?} {code}", self.hash);
        self.hash = hash64(line.as_bytes());
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
        let result = self.write_unlogged(held, offset, bytes);
        let numbers = [offset, hash64(bytes)];
        self.log("write", &held.inode.to_string(), numbers, &result);
        result
    }

    fn write_unlogged(&mut self, held: &Held, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_alive("write", &held.path, held.epoch)?;
        let Some(end) = offset.checked_add(bytes.len() as u64).filter(|&end| end < FILE_BYTES_MAX)
        else {
            let too_far = std::io::Error::from(ErrorKind::FileTooLarge);
            return Err(Error::io("write", &held.path, too_far));
        };
        if self.tick() {
            self.apply(held.inode, offset, bytes);
            self.cut();
            return Err(self.gone_error("write", &held.path));
        }
        let len = self.inodes.get(&held.inode).map_or(0, |inode| inode.visible.len() as u64);
        self.check_room("write", &held.path, end.saturating_sub(len))?;
        let planned = self.planned(Act::Write, "write", &held.path);
        if let Some(failure) = planned {
            if failure != Failure::Again {
                self.apply_prefix(held.inode, offset, bytes);
            }
            return Err(failure.error("write", &held.path));
        }
        if self.rng.chance(self.faults.eio_write) {
            self.apply_prefix(held.inode, offset, bytes);
            return Err(eio("write", &held.path));
        }
        self.apply(held.inode, offset, bytes);
        Ok(())
    }

    /// Some of the sectors, from the first on.
    fn apply_prefix(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let write = PendingWrite { offset, bytes: bytes.to_vec() };
        let sectors = sectors(&write);
        let survivors = self.rng.below(sectors.len() as u64 + 1) as usize;
        for (offset, range) in sectors.into_iter().take(survivors) {
            self.apply(inode, offset, &write.bytes[range]);
        }
    }

    fn apply(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let Some(inode) = self.inodes.get_mut(&inode) else { return };
        put(&mut inode.visible, offset, bytes);
        inode.pending.push(PendingWrite { offset, bytes: bytes.to_vec() });
    }

    pub fn sync(&mut self, held: &Held) -> Result<()> {
        let result = self.sync_unlogged(held);
        self.log("sync", &held.inode.to_string(), [0; 2], &result);
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
        let fails = self.rng.chance(self.faults.eio_sync) || planned.is_some();
        let State { rng, inodes, .. } = self;
        let Some(inode) = inodes.get_mut(&held.inode) else { return Ok(()) };
        for write in std::mem::take(&mut inode.pending) {
            if !fails || rng.chance(2) {
                put(&mut inode.durable, write.offset, &write.bytes);
            }
        }
        if fails { Err(eio("sync", &held.path)) } else { Ok(()) }
    }

    pub fn read(&mut self, held: &Held, offset: u64, buf: &mut [u8]) -> Result<()> {
        let result = self.read_unlogged(held, offset, buf);
        self.log("read", &held.inode.to_string(), [offset, buf.len() as u64], &result);
        result
    }

    fn read_unlogged(&mut self, held: &Held, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.check_alive("read", &held.path, held.epoch)?;
        self.fails(Act::Read, "read", &held.path)?;
        if self.rng.chance(self.faults.eio_read) {
            return Err(eio("read", &held.path));
        }
        let Some(inode) = self.inodes.get(&held.inode) else { return Ok(()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(inode.visible.len());
        let there = &inode.visible[start..];
        if there.len() < buf.len() {
            let what =
                format!("file ends early: {} of {} bytes at {offset}", there.len(), buf.len());
            return Err(Error::corrupt(
                &held.path,
                offset.saturating_add(there.len() as u64),
                what,
            ));
        }
        buf.copy_from_slice(&there[..buf.len()]);
        Ok(())
    }

    fn check_room(&self, op: &'static str, path: &Path, more: u64) -> Result<()> {
        let Some(quota) = self.faults.quota.filter(|_| more > 0) else { return Ok(()) };
        let mut counted: BTreeSet<u64> =
            self.dirs.values().flat_map(|dir| dir.visible.values().copied()).collect();
        counted.extend(self.inodes.iter().filter(|(_, inode)| inode.open > 0).map(|(&id, _)| id));
        let sizes = counted.iter().filter_map(|id| self.inodes.get(id));
        let used: u64 = sizes.map(|inode| inode.visible.len() as u64).sum();
        if used + more > quota {
            return Err(Error::io(op, path, std::io::Error::from_raw_os_error(libc::ENOSPC)));
        }
        Ok(())
    }

    // ------------------------------------------------------------------ the end

    /// The power fails.
    pub fn cut(&mut self) {
        let State { rng, faults, dirs, inodes, .. } = self;
        let regime = Regime::draw(rng);
        for dir in dirs.values_mut() {
            let changes = std::mem::take(&mut dir.pending);
            let prefix = rng.below(changes.len() as u64 + 1) as usize;
            for (index, change) in changes.iter().enumerate() {
                if if faults.names_any_subset { rng.chance(2) } else { index < prefix } {
                    change.apply(&mut dir.durable);
                }
            }
            dir.visible.clone_from(&dir.durable);
        }
        for inode in inodes.values_mut() {
            let pending = std::mem::take(&mut inode.pending);
            survive(rng, regime, &mut inode.durable, pending);
            inode.visible.clone_from(&inode.durable);
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
        self.log(gone, "", [self.epoch, 0], &outcome);
    }

    pub fn free_unreferenced(&mut self) {
        let mut kept = BTreeSet::new();
        for dir in self.dirs.values() {
            kept.extend(dir.durable.values().chain(dir.visible.values()).copied());
            kept.extend(dir.pending.iter().filter_map(NameChange::inode));
        }
        self.inodes.retain(|id, inode| inode.open > 0 || kept.contains(id));
    }

    /// Flips a bit of a file, in what is visible and in what is durable.
    pub fn flip_bit(&mut self, path: &Path, byte: u64, bit: u32) -> Result<()> {
        let outside = || Error::invalid("bit", format!("bit {bit} of byte {byte}"));
        let inode = self.inode_of(path).and_then(|id| self.inodes.get_mut(&id));
        let inode = inode.ok_or_else(|| Error::io("open", path, ErrorKind::NotFound.into()))?;
        let index = usize::try_from(byte).map_err(|_| outside())?;
        let mask = 1u8.checked_shl(bit).ok_or_else(outside)?;
        *inode.visible.get_mut(index).ok_or_else(outside)? ^= mask;
        if let Some(durable) = inode.durable.get_mut(index) {
            *durable ^= mask;
        }
        Ok(())
    }
}

pub(super) fn eio(op: &'static str, path: &Path) -> Error {
    Error::io(op, path, std::io::Error::from_raw_os_error(libc::EIO))
}
