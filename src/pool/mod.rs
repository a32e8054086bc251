//! The buffer pool: page frames in memory, shared by all immutable files of a store, as many as are
//! allowed at the time.
//!
//! ```text
//!   PagedFile::page(n) --> page table[n] --> frame: pin, owner is (file, n)?  -- hit, no lock ---> Page
//!                              |                                                                    ^
//!                              v miss                                                               |
//!         mutex: claim a frame (free, or evicted by S3-FIFO), table[n] = frame                      |
//!                              |                                                                    |
//!                  read by this thread, check, publish ---------------------------------------------+
//!                  prefetch: read by a Fetch, check, publish, wake
//!                  warm: many in one read, before anybody asks
//! ```
//!
//! P1. Pages are immutable and checked once, when they come in; nothing in the pool is ever dirty.
//! P2. A page table entry is changed under the mutex. A claim is an entry that names a taken frame: one
//!     page has one claim, so that many who want it cause one read.
//! P3. A claim ends: by `publish`, or by `release` when its holder fails, panics or drops it. Both wake
//!     who waits. A claim held by a `Fetch` is waited for a limited time, and then replaced.
//! P4. No lock is held during a read, and no buffer, token or file is dropped under the mutex.
//! P5. Frames under reads ahead are at most a quarter of all, so that reading ahead starves no reader.
//! P6. No frame beyond the allowance is claimed. After a shrink only those stand beyond it that were
//!     pinned or under a read at the time; they go with the next `resize`, or sooner when they are chosen
//!     for eviction, and their memory goes with them.
//!
//! Errors: `Corrupt` with the page's offset if a page is not what was sealed; `Full` if every frame is
//! pinned or being read into; `Io` from the file. A failed read leaves nothing behind.
//!
//! Bytes: `format`. Frames and pins: `state`, `frames`. Eviction: `eviction`. Size: `resize`. Many at once: `warm`. After the frame state word
//! of LeanStore and Umbra, with the page table as an array because a segment's pages are counted.

mod eviction;
mod fetch;
mod file;
pub mod format;
mod frames;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod resize;
mod state;
mod stats;
mod table;
mod warm;

#[cfg(test)]
mod tests;

pub use fetch::{Fetch, FetchRead, FetchToken};
pub use file::{HeldPage, PagedFile};
pub use frames::Page;
pub use stats::{Part, PartStats, PoolStats};

use crate::base::{Error, PageSize, Result};
use eviction::{Link, Queues};
use format::PAGE_TRAILER_BYTES;
use frames::{Frames, Taken};
use state::FrameState;
use stats::{Counters, count};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use table::{NEVER, PageTable};

/// Frames of the smallest pool: a query pins a page of each level of several trees at a time.
const FRAMES_MIN: usize = 64;

/// Frames of the largest pool: a page table entry has 31 bits for them.
const FRAMES_MAX: usize = 1 << 30;

/// Reads ahead take at most one in this many frames (P5).
const LEASED_SHARE: usize = 4;

/// Memory for the pages of many files.
pub struct Pool {
    frames: Arc<Frames>,
    page: PageSize,
    counters: Counters,
    inner: Mutex<Inner>,
    /// No frame from here on is in use. Held by the one who resizes.
    reach: Mutex<u32>,
}

/// What only misses touch.
struct Inner {
    queues: Queues,
    /// Page tables by file slot; a slot is used again once its file is gone.
    files: Vec<Option<Arc<PageTable>>>,
}

/// What a look under the mutex found.
enum Claim {
    /// Nothing: this frame is now claimed for the page. The flag: it left lately.
    Granted(Taken, bool),
    /// The page in memory.
    Resident,
    /// Another's claim on this frame; the flag: a `Fetch` has it.
    Loading(u32, bool),
}

impl Pool {
    /// A pool of `bytes` bytes at most in pages of one size, at least 64 frames, all of them allowed
    /// until [`Pool::resize`] says otherwise. The memory is mapped at once and backed by the kernel as it
    /// is first used; beside it stand [`Pool::FRAME_STATE_BYTES`] a frame.
    ///
    /// # Panics
    /// If the memory cannot be mapped.
    pub fn new(bytes: usize, page: PageSize) -> Arc<Pool> {
        let count = (bytes / page.bytes()).clamp(FRAMES_MIN, FRAMES_MAX);
        Arc::new(Pool {
            frames: Frames::new(count, page.bytes()),
            page,
            counters: Counters::default(),
            inner: Mutex::new(Inner { queues: Queues::new(count), files: Vec::new() }),
            reach: Mutex::new(count as u32),
        })
    }

    /// Bytes of state that stand beside a frame of the largest size, used or not: state word, place in a
    /// queue, place on a list.
    pub const FRAME_STATE_BYTES: usize = size_of::<FrameState>() + size_of::<Link>() + 4;

    /// The least bytes that a pool of pages of this size uses.
    pub const fn bytes_min(page: PageSize) -> usize {
        FRAMES_MIN * page.bytes()
    }

    /// The size of every page.
    pub fn page_size(&self) -> PageSize {
        self.page
    }

    /// Bytes of a page without its trailer.
    pub fn payload_bytes(&self) -> usize {
        self.page.bytes() - PAGE_TRAILER_BYTES
    }

    /// Whether more than one in `share` of the frames that are allowed is free: what comes in now drives nothing out.
    pub fn has_free(&self, share: usize) -> bool {
        self.frames.free() > self.frames.allowed() / share
    }

    /// Counts and state. Looks at every frame: for metrics, not for a hot path.
    pub fn stats(&self) -> PoolStats {
        let frames = self.frames.states();
        PoolStats {
            frames: self.frames.allowed(),
            resident: frames.iter().filter(|s| s.is_valid()).count(),
            pinned: frames.iter().filter(|s| s.is_pinned()).count(),
            ..self.counters.snapshot()
        }
    }

    /// Gives a page table a slot.
    fn register(&self, table: &Arc<PageTable>) -> u32 {
        let mut inner = lock(&self.inner);
        let slot = inner.files.iter().position(Option::is_none).unwrap_or(inner.files.len());
        if slot == inner.files.len() {
            inner.files.push(None);
        }
        inner.files[slot] = Some(Arc::clone(table));
        slot as u32
    }

    /// Gives back the slot and the frames of a file that nobody can reach any more.
    fn unregister(&self, slot: u32, table: &PageTable) {
        let mut inner = lock(&self.inner);
        inner.files[slot as usize] = None;
        for frame in (0..table.pages()).filter_map(|n| table.frame(n)) {
            // A frame may be pinned for a moment by a reader of another file, who followed a stale entry
            // and has not compared the owner yet. It stays in its queue then, and leaves like any other.
            if let Some(taken) = self.frames.take(frame) {
                inner.queues.remove(frame);
                drop(taken);
            }
        }
    }

    /// Looks for page `number` again, and claims a frame for it if it is in none, or on its way
    /// into `instead_of` by a `Fetch`.
    fn claim(
        &self,
        table: &PageTable,
        owner: u64,
        number: u32,
        instead_of: Option<u32>,
        fetched: bool,
    ) -> Result<Claim> {
        let mut inner = lock(&self.inner);
        if let Some(frame) = table.frame(number) {
            let state = self.frames.state(frame);
            if state.is_valid() {
                return Ok(Claim::Resident);
            }
            let fetched = state.is_fetched();
            if !(fetched && instead_of == Some(frame)) {
                return Ok(Claim::Loading(frame, fetched));
            }
        }
        let full = Error::Full { what: "buffer pool frames", limit: self.frames.allowed() as u64 };
        let was_ghost = inner.queues.is_ghost(table.entry(number));
        let mut taken = self.take_allowed(&mut inner, drop).ok_or(full)?;
        taken.own(owner, fetched);
        table.set(number, taken.frame());
        Ok(Claim::Granted(taken, was_ghost))
    }

    /// A frame below the allowance, free or evicted. `beyond` gets those beyond it that were chosen (P6).
    fn take_allowed(&self, inner: &mut Inner, mut beyond: impl FnMut(Taken)) -> Option<Taken> {
        loop {
            let taken = self.frames.take_free().or_else(|| self.evict(inner))?;
            if (taken.frame() as usize) < self.frames.allowed() {
                return Some(taken);
            }
            beyond(taken);
        }
    }

    fn evict(&self, inner: &mut Inner) -> Option<Taken> {
        let victim = inner.queues.evict(&self.frames)?;
        let (slot, number) = split(victim.taken.owner());
        if let Some(Some(table)) = inner.files.get(slot as usize) {
            table.clear(number, victim.taken.frame(), victim.mark);
        }
        count(&self.counters.evictions);
        Some(victim.taken)
    }

    /// Ends a reader's claim with a checked page.
    fn publish_pinned(&self, taken: Taken, was_ghost: bool) -> Page<'_> {
        let mut inner = lock(&self.inner);
        inner.queues.push(taken.frame(), was_ghost);
        self.frames.publish_pinned(taken)
    }

    /// Ends a fetched claim with a checked page. Gives the frame back if the claim was replaced meanwhile.
    fn publish_ahead(&self, table: &PageTable, number: u32, taken: Taken, was_ghost: bool) {
        let mut inner = lock(&self.inner);
        if table.frame(number) == Some(taken.frame()) {
            inner.queues.push(taken.frame(), was_ghost);
            taken.publish_ahead();
        }
    }

    /// Ends a claim without a page, while its holder still has the frame.
    fn release(&self, table: &PageTable, number: u32, frame: u32) {
        let inner = lock(&self.inner);
        table.clear(number, frame, NEVER);
        drop(inner);
        self.frames.dismiss(frame);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} frames of {} bytes)", self.frames.allowed(), self.page.bytes())
    }
}

/// The owner word of a frame: which page of which file is in it.
fn join(slot: u32, number: u32) -> u64 {
    u64::from(slot) << 32 | u64::from(number)
}

fn split(owner: u64) -> (u32, u32) {
    ((owner >> 32) as u32, owner as u32)
}

/// A panic elsewhere under a lock of the pool leaves counts and links whole: they change in steps that do
/// not panic. So the lock goes on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
