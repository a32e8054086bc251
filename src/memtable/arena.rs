//! An append-only arena of bytes: one writer copies in, any reader borrows what was published.
//!
//! ```text
//!   chunk 0 (16 KiB)   chunk 1 (32 KiB)   chunk 2 (its own)   chunk 3 (64 KiB)  ... 256 KiB
//!   [ a | b | c |.. ]  [ d | e | ...... ] [ a large item ]    [ f |............ ]
//!                                                                 ^ filled: below it nothing changes
//! ```
//!
//! Invariants:
//! I1. Bytes of a chunk below its `filled` are initialised and never written again.
//! I2. Bytes at or above `filled` are touched by the one `ArenaWriter` only; no reference covers them.
//! I3. An item lies in one chunk. Items over `LARGE_BYTES` get a chunk of their own, so that at most a
//!     quarter of any other chunk stays unused.
//!
//! Publication: `push` copies, then stores `filled` with release; `get` loads it with acquire and checks
//! its range against it. So `get` is sound for any place whatever, and a place may travel relaxed.
#![expect(unsafe_code, reason = "bytes written behind a watermark while readers borrow before it")]

use super::sync::{Accesses, AtomicUsize, CHUNK_BYTES_FIRST, OnceLock, Ordering};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::{Arc, atomic};

const CHUNK_DOUBLINGS: usize = 4;
/// A quarter of the chunks that come after the first few (I3).
pub(super) const LARGE_BYTES: usize = (CHUNK_BYTES_FIRST << CHUNK_DOUBLINGS) / 4;
/// What one record of the greatest size may need: 2 MiB in a chunk of its own, 65,536 terms of 80 bytes.
const CHUNKS_PER_RECORD_MAX: usize = 40;

/// Where an item begins: chunk number in the high 32 bits, byte offset in the low 32.
pub(super) type Place = u64;

struct Chunk {
    bytes: Box<[MaybeUninit<UnsafeCell<u8>>]>,
    filled: AtomicUsize,
    /// Tells loom which bytes are read and written; nothing otherwise.
    accesses: Accesses,
}

// SAFETY: shared access reads below `filled` only, where nothing is written any more (I1); the bytes
// above it belong to the one ArenaWriter (I2).
unsafe impl Sync for Chunk {}

impl Chunk {
    fn start(&self) -> *mut u8 {
        UnsafeCell::raw_get(self.bytes.as_ptr().cast::<UnsafeCell<u8>>())
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.filled.load(Ordering::Relaxed)
    }
}

/// The readers' side.
pub(super) struct Arena {
    chunks: Box<[OnceLock<Chunk>]>,
    /// Bytes allocated, table included: a figure, by which nothing is published, hence `std`'s even under loom.
    bytes: atomic::AtomicUsize,
}

impl Arena {
    /// An empty arena, for as many items as fit `bytes` bytes and one record more.
    pub(super) fn new(bytes: usize) -> (ArenaWriter, Arc<Arena>) {
        let count = bytes / LARGE_BYTES + CHUNKS_PER_RECORD_MAX;
        let chunks: Box<[_]> = (0..count).map(|_| OnceLock::new()).collect();
        let bytes = atomic::AtomicUsize::new(size_of_val(&*chunks));
        let arena = Arc::new(Arena { chunks, bytes });
        (ArenaWriter { arena: Arc::clone(&arena), current: None, made: 0, shared: 0 }, arena)
    }

    /// The `len` bytes at `place`.
    ///
    /// # Panics
    /// If they were not published.
    pub(super) fn get(&self, place: Place, len: usize) -> &[u8] {
        let Some(bytes) = self.published(place, len) else {
            panic!("{len} bytes at {place:#x} of an arena were not published")
        };
        bytes
    }

    /// The `len` bytes at `place`, if they were published.
    pub(super) fn published(&self, place: Place, len: usize) -> Option<&[u8]> {
        let offset = place as u32 as usize;
        let chunk = self.chunks.get((place >> 32) as usize)?.get()?;
        let filled = chunk.filled.load(Ordering::Acquire);
        if offset > filled || len > filled - offset {
            return None;
        }
        chunk.accesses.read(offset, len);
        // SAFETY: `offset` is within the chunk's allocation, as `filled` is.
        let start = unsafe { chunk.start().add(offset) };
        // SAFETY: the range lies below `filled`, loaded with acquire: initialised, never written again
        // (I1), and allocated as long as `self`.
        Some(unsafe { std::slice::from_raw_parts(start, len) })
    }

    /// Bytes allocated, the table included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The writer's side: there is one, and it is not `Clone` (I2).
pub(super) struct ArenaWriter {
    arena: Arc<Arena>,
    /// Number of the chunk that is being filled.
    current: Option<usize>,
    /// Chunks made so far, and how many of them for several items.
    made: usize,
    shared: usize,
}

impl ArenaWriter {
    /// Appends `parts` in a row as one item.
    ///
    /// # Panics
    /// If the arena is beyond the bytes that it was created for.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Place {
        let len = parts.iter().map(|p| p.len()).sum();
        let number = self.chunk_for(len);
        let Some(chunk) = self.arena.chunks.get(number).and_then(OnceLock::get) else {
            panic!("chunk {number} of the arena was never made")
        };
        assert!(len <= chunk.room(), "{len} bytes into {} of a chunk", chunk.room());
        let offset = chunk.filled.load(Ordering::Relaxed);
        chunk.accesses.write(offset, len);
        let mut end = offset;
        for part in parts {
            // SAFETY: `end` is within the chunk: the parts in all fit its room, as asserted.
            let to = unsafe { chunk.start().add(end) };
            // SAFETY: room for the part as before; no reference covers bytes from `filled` on (I2), so
            // the part lies elsewhere.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len()) };
            end += part.len();
        }
        chunk.filled.store(end, Ordering::Release);
        (number as u64) << 32 | offset as u64
    }

    /// Upper bound of the bytes that items of `small` bytes in all (none of them large) and one of
    /// `item` bytes may add, or several of `item` bytes in all, each of them large.
    pub(super) fn growth(&self, item: usize, small: usize) -> usize {
        let (own, shared) = if item > LARGE_BYTES { (item, small) } else { (0, item + small) };
        let next = self.chunk_bytes();
        own + match shared {
            _ if self.current.is_some() && shared <= self.room() => 0,
            _ if shared <= next / 2 => next,
            // Several chunks, each filled to three quarters at least.
            _ => shared * 2 + (LARGE_BYTES * 4),
        }
    }

    /// The chunk that takes an item of `len` bytes, made if need be.
    fn chunk_for(&mut self, len: usize) -> usize {
        if len > LARGE_BYTES {
            return self.make(len);
        }
        if let Some(current) = self.current
            && len <= self.room()
        {
            return current;
        }
        let bytes = self.chunk_bytes().max(len);
        self.shared += 1;
        let number = self.make(bytes);
        self.current = Some(number);
        number
    }

    fn room(&self) -> usize {
        let chunk = self.current.and_then(|number| self.arena.chunks[number].get());
        chunk.map_or(0, Chunk::room)
    }

    /// Bytes of the next chunk for several items.
    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES_FIRST << self.shared.min(CHUNK_DOUBLINGS)
    }

    fn make(&mut self, bytes: usize) -> usize {
        let number = self.made;
        assert!(number < self.arena.chunks.len(), "the arena is beyond its {number} chunks");
        self.arena.chunks[number].get_or_init(|| Chunk {
            bytes: Box::new_uninit_slice(bytes),
            filled: AtomicUsize::new(0),
            accesses: Accesses::new(bytes),
        });
        self.arena.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.made += 1;
        number
    }
}
