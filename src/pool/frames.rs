//! The pool's memory: page-sized frames in one mapping, and the values that stand for access to them.
//!
//! ```text
//!   free list --take_free--> Taken --publish--> resident --pin--> Page / HeldPin (shared bytes)
//!    ^  |  ^                 |  ^                  |
//!    |  |  +------ drop -----+  +------ take ------+
//!  allow|                    |
//!    |  v                    +--lease--> Buf + Leased (the kernel's bytes) --into_taken--> Taken
//!   retired: no memory
//! ```
//!
//! M1. The mapping is initialised, aligned to 2 MiB if it is as large, else to 16 KiB, never moves, and lives as long as
//!     its `Frames`; every value below holds or borrows an `Arc<Frames>`.
//! M2. A frame is on the free list, or retired, or taken by exactly one `Taken`, or resident (S1 of
//!     `state`). Between the lists it passes through the hands of the one who resizes.
//! M3. Bytes are written through a `Taken` that is borrowed mutably or leased; a leased `Taken` sits in
//!     an `Arc` that the `Buf` keeps, so that it is free again only after the `Buf` is gone.
//! M4. Bytes are read through a pin, and a pin excludes a `Taken` of the same frame.
//! M5. Frames below the allowance go to the free list, the others retire: their bytes are given back
//!     to the kernel before anyone can take them again, and are zero when that happens. An allowance
//!     that ends within a huge page may leave the rest of that one backed.
#![expect(unsafe_code, reason = "the mapping, and slices of it under M1 to M5")]

use super::format::{PAGE_TRAILER_BYTES, kind_of};
use super::lock;
use super::state::{Entrance, FrameState};
use crate::io::Buf;
use std::fmt;
#[cfg(test)]
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Bytes of a huge page, and the alignment of a mapping that has some.
const HUGE_BYTES: usize = 2 * 1024 * 1024;
/// The alignment of smaller ones: that of the largest pages.
const ALIGN_BYTES: usize = 16 * 1024;

/// Locks that waiters share; only collisions of loads under way at one time cost a vain wake.
const STRIPES: usize = 64;

/// All frames.
pub(super) struct Frames {
    memory: Mapping,
    page_bytes: usize,
    states: Box<[FrameState]>,
    free: Mutex<Lists>,
    /// Frames from here on retire. Changed under the lock of `free`.
    allowed: AtomicUsize,
    leased: AtomicUsize,
    stripes: Box<[Stripe]>,
}

/// Frames that nobody has.
struct Lists {
    free: Vec<u32>,
    retired: Vec<u32>,
}

#[derive(Default)]
struct Stripe {
    lock: Mutex<()>,
    changed: Condvar,
}

impl Frames {
    /// `count` frames of `page_bytes` bytes, all allowed and free.
    ///
    /// # Panics
    /// If the memory cannot be mapped.
    pub fn new(count: usize, page_bytes: usize) -> Arc<Frames> {
        Arc::new(Frames {
            memory: Mapping::new(count * page_bytes),
            page_bytes,
            states: (0..count).map(|_| FrameState::default()).collect(),
            free: Mutex::new(Lists {
                free: (0..count as u32).rev().collect(),
                retired: Vec::new(),
            }),
            allowed: AtomicUsize::new(count),
            leased: AtomicUsize::new(0),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
        })
    }

    /// Frames that the mapping has room for.
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// Frames that may be used.
    pub fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Frames that nobody has, and that may be used.
    pub fn free(&self) -> usize {
        lock(&self.free).free.len()
    }

    /// Allows frames below `allowed` only. More come from the retired; of fewer, those that were free
    /// are handed out, to be given back. One thread at a time.
    pub fn allow(&self, allowed: usize) -> Vec<u32> {
        let mut lists = lock(&self.free);
        self.allowed.store(allowed, Ordering::Relaxed);
        let within = |frame: &u32| (*frame as usize) < allowed;
        let mut back: Vec<u32> = lists.retired.extract_if(.., |frame| within(frame)).collect();
        back.sort_unstable_by(|a, b| b.cmp(a));
        let out = lists.free.extract_if(.., |frame| !within(frame)).collect();
        lists.free.append(&mut back);
        out
    }

    /// Gives the memory of frames back, whole runs at once, and retires them. They come from `allow` and
    /// `Taken::leave`, and were not allowed since.
    pub fn give_back(&self, mut frames: Vec<u32>) {
        frames.sort_unstable();
        for run in frames.chunk_by(|a, b| a + 1 == *b) {
            self.discard(run[0], run.len());
        }
        lock(&self.free).retired.append(&mut frames);
    }

    /// Gives the bytes of `count` frames back to the kernel; nobody has them but the caller.
    fn discard(&self, first: u32, count: usize) {
        let (start, bytes) = (self.start(first), count * self.page_bytes);
        assert!(first as usize + count <= self.count(), "{count} frames from {first} on");
        // As with spare mappings below.
        #[cfg(test)]
        if self.memory.bytes < HUGE_BYTES {
            return;
        }
        // SAFETY: the range lies in the mapping, and the caller alone has its bytes (M2). Private
        // anonymous memory stays mapped and reads as zeros from now on (M1). Refusal costs memory only.
        unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
    }

    /// Frames whose bytes the kernel may be writing.
    pub fn leased(&self) -> usize {
        self.leased.load(Ordering::Relaxed)
    }

    pub fn states(&self) -> &[FrameState] {
        &self.states
    }

    pub fn state(&self, frame: u32) -> &FrameState {
        &self.states[frame as usize]
    }

    /// Pins `frame` if it holds the page of `owner`.
    pub fn pin(self: &Arc<Frames>, frame: u32, owner: u64) -> Option<Page<'_>> {
        self.state(frame).pin(owner).then(|| Page { frames: self, frame })
    }

    /// Has the processor fetch the lines of memory that a pin of `frame` and a read of its byte `at` will want, and goes
    /// on. Whatever the frame holds: nothing is read.
    #[inline]
    pub fn fetch_lines(&self, frame: u32, at: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if let Some(state) = self.states.get(frame as usize) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let bytes = self.start(frame).as_ptr().wrapping_add(at).cast_const();
            for line in [std::ptr::from_ref(state).cast(), bytes.cast()] {
                // SAFETY: a prefetch reads nothing that the program can see, and faults at no address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _unknown_here = (frame, at);
    }

    /// A frame from the free list.
    pub fn take_free(self: &Arc<Frames>) -> Option<Taken> {
        let frame = lock(&self.free).free.pop()?;
        self.state(frame).take_free();
        Some(Taken { frames: Arc::clone(self), frame, gone: false })
    }

    /// A resident frame, if it is not pinned.
    pub fn take(self: &Arc<Frames>, frame: u32) -> Option<Taken> {
        let taken = self.state(frame).take();
        taken.then(|| Taken { frames: Arc::clone(self), frame, gone: false })
    }

    /// Makes a taken frame resident with a pin, and wakes who waits for it.
    pub fn publish_pinned(self: &Arc<Frames>, taken: Taken) -> Page<'_> {
        assert!(Arc::ptr_eq(self, &taken.frames), "a frame of this pool");
        let frame = taken.frame;
        taken.publish(Entrance::Pinned);
        Page { frames: self, frame }
    }

    /// Waits until `frame` is no longer taken, unless that has happened already or `still` does not
    /// hold. Wakes may be vain. False if `patience` ran out.
    pub fn wait(&self, frame: u32, still: impl Fn() -> bool, patience: Option<Duration>) -> bool {
        let stripe = &self.stripes[frame as usize % STRIPES];
        let guard = lock(&stripe.lock);
        // The note precedes the look at `still`, and whoever changes `still` looks for the note after
        // it: one of both sees the other (S4).
        if !self.state(frame).await_change() || !still() {
            return true;
        }
        match patience {
            None => {
                drop(stripe.changed.wait(guard));
                true
            }
            Some(time) => match stripe.changed.wait_timeout(guard, time) {
                Ok((_, end)) => !end.timed_out(),
                Err(poisoned) => !poisoned.into_inner().1.timed_out(),
            },
        }
    }

    /// Wakes who waits for `frame`, although it stays taken.
    pub fn dismiss(&self, frame: u32) {
        if self.state(frame).dismiss() {
            self.notify(frame);
        }
    }

    /// Pages of 4 KiB of the mapping that the kernel backs with memory: what tests hold the pool to.
    #[cfg(test)]
    pub fn backed_pages(&self) -> Vec<usize> {
        let mut pages = vec![0u8; self.memory.bytes.div_ceil(4096)];
        let start = self.memory.start.as_ptr().cast();
        // SAFETY: the range is the mapping, and there is a byte for each of its pages of 4 KiB.
        let asked = unsafe { libc::mincore(start, self.memory.bytes, pages.as_mut_ptr()) };
        assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
        (0..pages.len()).filter(|&page| pages[page] & 1 != 0).collect()
    }

    fn notify(&self, frame: u32) {
        let stripe = &self.stripes[frame as usize % STRIPES];
        // A waiter holds the lock from its note to its sleep, so that this wake finds it asleep.
        drop(lock(&stripe.lock));
        stripe.changed.notify_all();
    }

    fn start(&self, frame: u32) -> NonNull<u8> {
        let offset = frame as usize * self.page_bytes;
        assert!(offset < self.memory.bytes, "frame {frame} of {}", self.count());
        // SAFETY: the offset lies within the mapping (M1).
        unsafe { self.memory.start.add(offset) }
    }

    /// # Safety
    /// The caller holds a pin of the frame for the lifetime of the slice.
    unsafe fn pinned_bytes(&self, frame: u32) -> &[u8] {
        let start = self.start(frame);
        // SAFETY: the frame's bytes are initialised (M1), and nobody writes while a pin is held (M4).
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.page_bytes) }
    }
}

/// A page of a file, pinned in its frame while this lives. Dereferences to the payload.
///
/// Costs two atomic operations, one to pin and one to unpin. Take it once for many reads of the page:
/// each pin counts as a use and so keeps the page in memory longer.
pub struct Page<'a> {
    frames: &'a Arc<Frames>,
    frame: u32,
}

impl Page<'_> {
    /// The kind it was sealed with.
    pub fn kind(&self) -> u32 {
        self.frames.state(self.frame).kind()
    }

    /// The pin as a value that owns what it needs.
    pub(super) fn into_held(self) -> HeldPin {
        let held = HeldPin { frames: Arc::clone(self.frames), frame: self.frame };
        std::mem::forget(self); // its pin is now the other's
        held
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: a `Page` is a pin (M4), and the slice borrows it.
        unsafe { self.frames.pinned_bytes(self.frame) }
    }
}

impl Deref for Page<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes()[..self.frames.page_bytes - PAGE_TRAILER_BYTES]
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.frames.state(self.frame).unpin();
    }
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page(kind {}, frame {})", self.kind(), self.frame)
    }
}

/// A pin that borrows nothing.
pub(super) struct HeldPin {
    frames: Arc<Frames>,
    frame: u32,
}

impl HeldPin {
    /// The kind that the page was sealed with.
    pub fn kind(&self) -> u32 {
        self.frames.state(self.frame).kind()
    }

    /// The whole page, trailer included.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a `HeldPin` is a pin (M4), and the slice borrows it.
        unsafe { self.frames.pinned_bytes(self.frame) }
    }
}

impl Drop for HeldPin {
    fn drop(&mut self) {
        self.frames.state(self.frame).unpin();
    }
}

/// A frame that its holder alone may use; free again when dropped.
pub(super) struct Taken {
    frames: Arc<Frames>,
    frame: u32,
    /// The frame is resident, or in other hands.
    gone: bool,
}

impl Taken {
    pub fn frame(&self) -> u32 {
        self.frame
    }

    /// The page that the frame held.
    pub fn owner(&self) -> u64 {
        self.frames.state(self.frame).owner()
    }

    /// Names the page that is to come, and whether a `Fetch` brings it.
    pub fn own(&mut self, owner: u64, fetched: bool) {
        self.frames.state(self.frame).own(owner, fetched);
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.frames.start(self.frame);
        // SAFETY: initialised (M1), and this value alone has the frame (M2, M3).
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.frames.page_bytes) }
    }

    /// Makes the frame resident without a pin, and wakes who waits for it.
    pub fn publish_ahead(self) {
        self.publish(Entrance::Ahead);
    }

    /// Makes the page of `from` resident here, with the `marks` it had there.
    pub fn publish_copy(mut self, from: &mut Taken, marks: u64) {
        self.bytes_mut().copy_from_slice(from.bytes_mut());
        self.own(from.owner(), false);
        self.publish(Entrance::Moved(marks));
    }

    /// Leaves the frame to the caller, who is to give it back, and wakes who waits for it.
    pub fn leave(mut self) -> u32 {
        self.gone = true;
        if self.frames.state(self.frame).free() {
            self.frames.notify(self.frame);
        }
        self.frame
    }

    fn publish(mut self, how: Entrance) {
        let kind = kind_of(self.bytes_mut());
        let state = self.frames.state(self.frame);
        state.set_kind(kind);
        self.gone = true;
        if state.publish(how) {
            self.frames.notify(self.frame);
        }
    }

    /// Hands the bytes out as a buffer; the frame stays taken until both parts are gone.
    pub fn lease(self) -> (Buf, Arc<Leased>) {
        let (start, bytes) = (self.frames.start(self.frame), self.frames.page_bytes);
        let leased = Arc::new(Leased { _count: Count::new(&self.frames), taken: self });
        let keeps = Arc::clone(&leased);
        // SAFETY: initialised memory that the `Taken` in `keeps` keeps mapped (M1) and exclusive: as
        // long as the Buf lives it shares the Arc, so that nobody gets the Taken out (M3).
        let buf = unsafe { Buf::lease(start, bytes, keeps) };
        (buf, leased)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        let mut lists = lock(&self.frames.free);
        let retires = self.frame as usize >= self.frames.allowed();
        if retires {
            // Before it is free: who grows the pool may hand it out at once (M5).
            self.frames.discard(self.frame, 1);
        }
        let waited = self.frames.state(self.frame).free();
        if retires { &mut lists.retired } else { &mut lists.free }.push(self.frame);
        drop(lists);
        if waited {
            self.frames.notify(self.frame);
        }
    }
}

/// A taken frame whose bytes are out as a `Buf`.
pub(super) struct Leased {
    taken: Taken,
    _count: Count,
}

impl Leased {
    /// Whether `buf` is the one of this lease.
    pub fn lent(&self, buf: &Buf) -> bool {
        buf.as_ptr() == self.taken.frames.start(self.taken.frame).as_ptr()
            && buf.len() == self.taken.frames.page_bytes
    }

    pub fn into_taken(self) -> Taken {
        self.taken
    }
}

/// Counts a lease while it lives.
struct Count(Arc<Frames>);

impl Count {
    fn new(frames: &Arc<Frames>) -> Count {
        frames.leased.fetch_add(1, Ordering::Relaxed);
        Count(Arc::clone(frames))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.leased.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Anonymous memory, in huge pages where the kernel has them.
struct Mapping {
    mapped: NonNull<libc::c_void>,
    mapped_bytes: usize,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread; access to its bytes is ruled by M2 to M4.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

#[cfg(test)]
thread_local! {
    /// Small mappings of pools that ended on this thread, for the next: the simulations open stores by the million, and
    /// a seventh of their time went into faults of fresh pages. What stood there stands there, as in any frame that was
    /// used before: nothing may take it for zeros.
    static SPARE: std::cell::RefCell<Vec<Mapping>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(test)]
impl Mapping {
    const SPARES_MAX: usize = 4;

    fn spare(bytes: usize) -> Option<Mapping> {
        let find = |spares: &mut Vec<Mapping>| {
            spares.iter().position(|spare| spare.bytes == bytes).map(|at| spares.swap_remove(at))
        };
        SPARE.with(|spares| find(&mut spares.borrow_mut()))
    }

    /// Keeps a mapping that is dropped; false if that is not wanted, or the thread ends.
    fn keep(&self) -> bool {
        let Mapping { mapped, mapped_bytes, start, bytes } = *self;
        if bytes >= HUGE_BYTES {
            return false;
        }
        // The oldest goes: other stores have pools of other sizes.
        let oldest = SPARE.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            spares.push(Mapping { mapped, mapped_bytes, start, bytes });
            (spares.len() > Mapping::SPARES_MAX).then(|| ManuallyDrop::new(spares.remove(0)))
        });
        if let Ok(Some(oldest)) = &oldest {
            // SAFETY: it was dropped when it came here, and this is all that is left of it.
            unsafe { oldest.unmap() };
        }
        oldest.is_ok()
    }
}

impl Mapping {
    fn new(bytes: usize) -> Mapping {
        #[cfg(test)]
        if let Some(spare) = Mapping::spare(bytes) {
            return spare;
        }
        let align = if bytes < HUGE_BYTES { ALIGN_BYTES } else { HUGE_BYTES };
        let mapped_bytes = bytes + align;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other memory.
        let mapped =
            unsafe { libc::mmap(std::ptr::null_mut(), mapped_bytes, protection, flags, -1, 0) };
        let error = std::io::Error::last_os_error();
        assert!(mapped != libc::MAP_FAILED, "cannot map {bytes} bytes for the pool: {error}");
        let Some(mapped) = NonNull::new(mapped) else { panic!("the pool was mapped at zero") };
        let skip = mapped.cast::<u8>().align_offset(align);
        // SAFETY: less than `align` is skipped, which the mapping has to spare.
        let start = unsafe { mapped.cast::<u8>().add(skip) };
        if align == HUGE_BYTES {
            // SAFETY: the range lies within the mapping. Refusal costs speed only, so it is not looked at.
            unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Mapping { mapped, mapped_bytes, start, bytes }
    }

    /// Ends it.
    ///
    /// # Safety
    /// The last user is gone (M1), and it is not ended again.
    unsafe fn unmap(&self) {
        // SAFETY: mapped in `new` with this length; the rest is the caller's to hold.
        unsafe { libc::munmap(self.mapped.as_ptr(), self.mapped_bytes) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.keep() {
            return;
        }
        // SAFETY: the last user drops it.
        unsafe { self.unmap() };
    }
}
