//! A disk in memory that fails as disks fail: from a seed, on demand, and the same way every time.
//!
//! ```text
//!   program --- Disk / File / Queue ---> State (one mutex) <--- test: crash_after, power_loss, kill,
//!                                                                   set_quota, flip_bit, contents
//!   faults.rs: the policy   disk.rs, names.rs, image.rs: the state   queue.rs: the order of completions
//!   plan.rs: failures of one chosen operation; lies.rs: those of which nobody is told
//!   record.rs: a run taken down moment by moment, each of which can be cut off in many ways
//! ```
//!
//! Built after the simulated storage of TigerBeetle and the crash models of ALICE (Pillai et al.,
//! OSDI 2014) and fsyncgate (Rebello et al., ATC 2020).
//!
//! Invariants: 1. with one thread, the seed and the program decide the run (`io_hash` proves it);
//! 2. no handle outlives a power cut or a kill: each call on it is an `Io` error; 3. what was synced
//! is there after any cut.

mod disk;
mod faults;
mod image;
mod lies;
mod names;
mod plan;
mod queue;
mod record;
#[cfg(test)]
mod tests;

pub use faults::{Faults, Survivors};
pub use lies::{Misplaced, Written};
pub use plan::Failure;
#[cfg(test)]
pub(crate) use queue::SLEEPS;
pub use record::Moment;

use super::fs::check_aligned;
use super::{Disk, DiskSpace, File, Guard, Queue};
use crate::base::Result;
use disk::State;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Shared = Arc<Mutex<State>>;

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The simulated disk, and the handles to break it. See `faults.rs` for what it does and does not do.
#[derive(Debug)]
pub struct SimDisk {
    shared: Shared,
}

impl SimDisk {
    /// An empty disk whose every choice is drawn from `seed`.
    ///
    /// # Panics
    /// If `faults.align` is not a power of two.
    pub fn new(seed: u64, faults: Faults) -> Arc<SimDisk> {
        assert!(faults.align.is_power_of_two(), "alignment {}", faults.align);
        Arc::new(SimDisk { shared: Arc::new(Mutex::new(State::new(seed, faults))) })
    }

    /// Cuts the power (unless a planned cut already has) and switches the machine on again: handles
    /// and locks are gone, part of what was not synced may be, and fresh opens work.
    pub fn power_loss(&self) {
        let mut state = lock(&self.shared);
        if !state.off {
            state.cut();
        }
        state.off = false;
    }

    /// Ends the process: handles and locks are gone, every write stays, and fresh opens work. Nothing
    /// that was not synced becomes durable: a later power cut may still take it.
    pub fn kill(&self) {
        let mut state = lock(&self.shared);
        if !state.off {
            state.kill();
        }
        state.off = false;
    }

    /// Plans a power cut at the `n`-th write or sync from now (1 is the next). That operation is
    /// applied in part and fails, as does everything after it, until `power_loss` switches the
    /// machine on again. A durable write counts as two, `create` as two, `create_dir` as one for each
    /// directory made. 0 cancels the plan.
    pub fn crash_after(&self, n: u64) {
        lock(&self.shared).cut_in = (n > 0).then_some(n);
    }

    /// Plans that the `n`-th operation from now on that can fail in this way does; of queues, of names and of
    /// bytes, reads included. 0 cancels the plan.
    pub fn fail_nth(&self, n: u64, failure: Failure) {
        lock(&self.shared).plan.fail_nth(n, failure);
    }

    /// Ends what `fail_nth` has planned or brought about: a full disk has space again.
    pub fn mend(&self) {
        lock(&self.shared).plan.mend();
    }

    /// The operation that failed as `fail_nth` has planned, if it was met.
    pub fn failed(&self) -> Option<String> {
        lock(&self.shared).plan.met.clone()
    }

    /// Switches the machine off, keeping all that was written, once this many operations and waits of queues were
    /// done: whoever goes round in circles then ends with an error, and [`SimDisk::is_off`] says so.
    pub fn power_lasts(&self, steps: Option<u64>) {
        lock(&self.shared).plan.power_lasts(steps);
    }

    /// Whether a planned cut has happened and the machine is off.
    pub fn is_off(&self) -> bool {
        lock(&self.shared).off
    }

    /// Writes and syncs since the disk was made, to plan cuts by.
    pub fn writes_and_syncs(&self) -> u64 {
        lock(&self.shared).counted
    }

    /// Operations that queues of this disk were given: what a thread waits for itself is not among them.
    pub fn queued(&self) -> u64 {
        lock(&self.shared).queued
    }

    /// Replaces the faults from now on (but not the alignment, which open files have been told).
    pub fn set_faults(&self, faults: Faults) {
        let mut state = lock(&self.shared);
        state.faults = Faults { align: state.faults.align, ..faults };
    }

    /// Sets how many bytes all files together may have.
    pub fn set_quota(&self, bytes: Option<u64>) {
        lock(&self.shared).faults.quota = bytes;
    }

    /// Flips bit `bit` (0 to 7) of byte `byte` of a file, at rest.
    ///
    /// # Errors
    /// `Io` if there is no such file, `Invalid` if it has no such bit.
    pub fn flip_bit(&self, path: impl AsRef<Path>, byte: u64, bit: u32) -> Result<()> {
        lock(&self.shared).flip_bit(path.as_ref(), byte, bit)
    }

    /// What a reader of the file would see now, also while the machine is off; `None` if there is no
    /// such file.
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = lock(&self.shared);
        let inode = state.inode_of(path.as_ref())?;
        state.inodes.get(&inode).map(|inode| inode.visible.to_vec())
    }

    /// A hash of every operation and its outcome so far.
    pub fn io_hash(&self) -> u64 {
        lock(&self.shared).hash
    }

    /// Bytes that were read since the disk was made.
    pub fn read_bytes(&self) -> u64 {
        lock(&self.shared).read_bytes
    }

    fn file(&self, held: Held) -> Arc<dyn File> {
        let align = lock(&self.shared).faults.align;
        Arc::new(SimFile { shared: self.shared.clone(), held, align })
    }
}

impl Disk for SimDisk {
    fn backend(&self) -> &'static str {
        "simulated"
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        lock(&self.shared).create_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        lock(&self.shared).list(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>> {
        let held = lock(&self.shared).create(path, bytes)?;
        Ok(self.file(held))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        let held = lock(&self.shared).open(path)?;
        Ok(self.file(held))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        lock(&self.shared).rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        lock(&self.shared).hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        lock(&self.shared).remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        lock(&self.shared).remove_dir(dir)
    }

    fn space(&self, _dir: &Path) -> Option<DiskSpace> {
        lock(&self.shared).space()
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        lock(&self.shared).sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Guard>> {
        let id = lock(&self.shared).lock(path)?;
        Ok(Box::new(SimLock { shared: self.shared.clone(), path: path.into(), id }))
    }

    fn queue(&self, depth: usize) -> Result<Box<dyn Queue>> {
        Ok(Box::new(queue::SimQueue::new(self.shared.clone(), depth)?))
    }
}

/// What an open file refers to.
#[derive(Debug)]
struct Held {
    inode: u64,
    epoch: u64,
    path: PathBuf,
}

#[derive(Debug)]
struct SimFile {
    shared: Shared,
    held: Held,
    align: usize,
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.held.path
    }

    fn len(&self) -> u64 {
        let state = lock(&self.shared);
        state.inodes.get(&self.held.inode).map_or(0, |inode| inode.visible.len() as u64)
    }

    fn align(&self) -> usize {
        self.align
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_aligned(self, offset, buf)?;
        lock(&self.shared).read(&self.held, offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        check_aligned(self, offset, buf)?;
        lock(&self.shared).write(&self.held, offset, buf)
    }

    fn sync(&self) -> Result<()> {
        lock(&self.shared).sync(&self.held)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        lock(&self.shared).close(&self.held);
    }
}

#[derive(Debug)]
struct SimLock {
    shared: Shared,
    path: PathBuf,
    id: u64,
}

impl Guard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        lock(&self.shared).unlock(&self.path, self.id);
    }
}
