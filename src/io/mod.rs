//! The seam to the machine: files, queues of file operations, time, chance and threads.
//!
//! ```text
//!   shard, segment, pool ...            name only these traits
//!   -------------------------------------------------------------
//!   Disk / File / Queue                 Clock      Entropy
//!     uring  : io_uring + O_DIRECT      System     System
//!     posix  : pread/pwrite             Manual     Seeded
//!     sim    : memory, seeded faults
//! ```
//!
//! Invariants, held by one conformance suite over all three backends (`conformance.rs`):
//! I1. A `Buf` given to an operation comes back with its completion and not before; dropping a queue
//!     waits for every operation in flight.
//! I2. A completion is a success only if the whole buffer was transferred; a durable write only if
//!     both the write and the sync behind it succeeded.
//! I3. A name is durable only after `sync_dir`; bytes only after `sync` or a durable write.
//! I4. `wake` is never lost: a `wait` that begins after it, or is under way, returns.
//! I5. Offsets, lengths and buffer addresses are multiples of `File::align`.

pub mod buf;
mod clock;
#[cfg(test)]
mod conformance;
mod entropy;
mod fs;
mod posix;
mod signal;
pub mod sim;
pub mod threads;
mod uring;

pub use buf::{Buf, DISK_BLOCK_BYTES};
pub use clock::{ManualClock, SystemClock};
pub use entropy::{Rng, SeededEntropy, SystemEntropy};
pub use sim::{Faults, SimDisk};

use crate::base::Result;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the engine is given to reach the machine.
#[derive(Clone, Debug)]
pub struct Env {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How [`system`] reaches files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// io_uring where the system allows it, else `pread` and `pwrite`.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// `pread` and `pwrite` on the calling thread.
    Posix,
}

/// The machine itself. `Auto` builds one ring to find out whether the system allows them (containers
/// and hardened hosts often do not), and says why in one warning if it does not.
///
/// # Errors
/// `Io` if `Uring` was asked for and no ring can be built.
pub fn system(backend: Backend) -> Result<Env> {
    // A ring leaves work behind for the thread that built it, which ends that thread's system calls with
    // EINTR where they have a time-out: the caller's sockets are none of our business.
    let probe = || threads::spawn("ratite-probe", uring::probe).join().and_then(|probed| probed);
    let rings = match backend {
        Backend::Posix => false,
        Backend::Uring => probe().map(|()| true)?,
        Backend::Auto => match probe() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "no io_uring here; files are read and written by pread and pwrite");
                false
            }
        },
    };
    Ok(Env {
        disk: Arc::new(fs::SystemDisk::new(rings)),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
    })
}

/// The system's clock and entropy, with files in memory that are gone with it: no file is touched and no ring is built.
pub fn in_memory() -> Env {
    Env {
        disk: SimDisk::new(0, Faults::default()),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
    }
}

/// A machine in memory whose every choice follows from `seed`, with handles to break its disk and to
/// move its clock (which starts at 2024-01-01 and stands still).
pub fn simulated(seed: u64, faults: Faults) -> (Env, Arc<SimDisk>, Arc<ManualClock>) {
    let disk = SimDisk::new(seed, faults);
    let clock = Arc::new(ManualClock::new(1_704_067_200_000_000));
    // Another stream than the disk's, so that a fault knob does not change what the program draws.
    let entropy = Arc::new(SeededEntropy::new(!seed));
    (Env { disk: disk.clone(), clock: clock.clone(), entropy }, disk, clock)
}

/// Wall and monotonic time.
pub trait Clock: Send + Sync + Debug {
    /// Microseconds since the Unix epoch; may jump both ways.
    fn unix_micros(&self) -> u64;
    /// Nanoseconds from some start; never goes back.
    fn monotonic_nanos(&self) -> u64;
}

/// A source of random bytes.
pub trait Entropy: Send + Sync + Debug {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// Extension of a file whose removal has begun.
pub const GONE: &str = "gone";

/// A directory tree and the files in it. Every method may block; none is for a hot path.
pub trait Disk: Send + Sync + Debug {
    /// Which backend this is, for a person: `io_uring`, `pread/pwrite`, `simulated`.
    fn backend(&self) -> &'static str;
    /// Creates `dir` and its parents, and makes their names durable. No error if it is there.
    fn create_dir(&self, dir: &Path) -> Result<()>;
    /// Names of the files (not directories) in `dir`, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Creates a file of `bytes` zero bytes that are written (not merely reserved) and synced, so that
    /// overwriting them costs one device flush. Its *name* is durable after `sync_dir`.
    /// # Errors
    /// If the name exists.
    fn create(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Arc<dyn File>>;
    /// Opens an existing file for reading only: what is written to it is an error.
    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.open(path)
    }
    /// Gives a file another name in the same directory, replacing what has that name. Open handles
    /// go on working.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Gives the file `from` another name as well, `to`, in any directory of the same file system. Both
    /// are the same file from then on, until one of them is removed.
    /// # Errors
    /// If `to` exists; if the file system refuses, which a caller may answer with a copy.
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a name. Open handles go on working; the space is free when the last is dropped.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Removes the directory `dir`, which is empty. Whether that survives power loss is up to the next
    /// `sync_dir` of its parent.
    /// # Errors
    /// If something is in it.
    fn remove_dir(&self, dir: &Path) -> Result<()>;
    /// As [`Disk::remove`], giving the space back piece by piece, and calling `pause` between two, as long as
    /// that returns true. A file system that tells its device of every freed block (ext4 with `discard`)
    /// otherwise holds up every read for as long as that takes: 130 ms a GiB, measured. Open handles, also of
    /// other processes, go on working, and other names: then all of it is removed at once. A crash may leave
    /// the file with the extension [`GONE`].
    fn remove_by_parts(&self, path: &Path, pause: &mut dyn FnMut() -> bool) -> Result<()> {
        let _none = pause;
        self.remove(path)
    }
    /// How full the file system of `dir` is, if that can be known.
    fn space(&self, dir: &Path) -> Option<DiskSpace> {
        let _unknown = dir;
        None
    }
    /// Makes creations, links, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the exclusive lock file `path`, which names its holder, until the guard is dropped.
    /// # Errors
    /// `Locked` if another handle, here or in another process, has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Guard>>;
    /// A queue for the calling thread with at most `depth` operations in flight.
    fn queue(&self, depth: usize) -> Result<Box<dyn Queue>>;
}

/// How full a file system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpace {
    /// All that it has.
    pub size_bytes: u64,
    /// What may still be written, less what is kept for root.
    pub free_bytes: u64,
}

/// Something held until dropped.
pub trait Guard: Send + Sync + Debug {}

/// An open file. Blocking calls, for any thread; whole transfers or an error.
pub trait File: Send + Sync + Debug {
    /// The path it was opened under (after a rename: the old one), for messages.
    fn path(&self) -> &Path;
    /// Bytes in the file now.
    fn len(&self) -> u64;
    /// Offsets, lengths and buffer addresses must be multiples of this (from statx; 1 if unconstrained).
    fn align(&self) -> usize;
    /// Fills `buf` from `offset`.
    /// # Errors
    /// `Corrupt` if the file ends before the buffer does; `Io` otherwise.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
    /// Writes all of `buf` at `offset`, extending the file if need be.
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()>;
    /// Makes all completed writes durable. A failure is final for the file: no later success
    /// proves anything.
    fn sync(&self) -> Result<()>;
    /// The descriptor, for queues of the same backend.
    fn raw_fd(&self) -> Option<i32> {
        None
    }
    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One file operation. It owns what it works on.
#[derive(Debug)]
pub enum Op {
    /// Fills the whole buffer.
    Read {
        /// From this file.
        file: Arc<dyn File>,
        /// At this byte.
        offset: u64,
        /// Into this buffer.
        buf: Buf,
    },
    /// Writes the whole buffer.
    Write {
        /// To this file.
        file: Arc<dyn File>,
        /// At this byte.
        offset: u64,
        /// From this buffer.
        buf: Buf,
        /// Whether completion means durable: write and data sync linked.
        durable: bool,
    },
    /// Makes all completed writes of the file durable.
    Sync {
        /// This file.
        file: Arc<dyn File>,
    },
}

impl Op {
    /// Does it on the calling thread, which waits for the device. For who has nothing else to do: a durable write
    /// spares the kernel's worker that a queue hands the sync to.
    pub fn carry_out(self) -> (Result<()>, Option<Buf>) {
        match self {
            Op::Read { file, offset, mut buf } => (file.read_at(offset, &mut buf), Some(buf)),
            Op::Write { file, offset, buf, durable } => {
                let written = file.write_at(offset, &buf);
                let result = if durable { written.and_then(|()| file.sync()) } else { written };
                (result, Some(buf))
            }
            Op::Sync { file } => (file.sync(), None),
        }
    }

    /// Its buffer, if it has one.
    fn into_buf(self) -> Option<Buf> {
        match self {
            Op::Read { buf, .. } | Op::Write { buf, .. } => Some(buf),
            Op::Sync { .. } => None,
        }
    }
}

/// A completed operation.
#[derive(Debug)]
pub struct Done {
    /// The token it was pushed with.
    pub token: u64,
    /// How it went (I2).
    pub result: Result<()>,
    /// Its buffer, if it had one.
    pub buf: Option<Buf>,
}

/// How long to wait in [`Queue::wait`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Submit and take what is there.
    No,
    /// Until something completes or a wake arrives, at most this long.
    For(Duration),
    /// Until something completes or a wake arrives.
    Forever,
}

/// Operations of one thread. Completions come in any order, but an operation pushed after another's
/// completion was taken starts after it.
pub trait Queue: Send {
    /// Queues an operation.
    /// # Errors
    /// Gives the operation back when `depth` operations are in flight.
    fn push(&mut self, token: u64, op: Op) -> std::result::Result<(), Op>;
    /// Starts what was pushed, waits as told, and appends what is done. Returns at once if something
    /// is already done or a wake is pending. An error means that the queue itself is broken.
    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> Result<()>;
    /// Operations pushed and not yet handed back.
    fn in_flight(&self) -> usize;
    /// A handle with which any thread ends a `wait` (I4).
    fn waker(&self) -> Arc<dyn Wake>;
}

/// Ends a wait of another thread.
pub trait Wake: Send + Sync + Debug {
    /// Never blocks; many wakes before a wait count as one.
    fn wake(&self);
}
