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

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

const CHUNK_BYTES_FIRST: usize = 16 * 1024;
const CHUNK_DOUBLINGS: usize = 4;
pub(super) const LARGE_BYTES: usize = 64 * 1024;
/// What one record of the greatest size may need: 2 MiB in a chunk of its own, 65,536 terms of 80 bytes.
const CHUNKS_PER_RECORD_MAX: usize = 40;
const _: () = assert!(LARGE_BYTES * 4 == CHUNK_BYTES_FIRST << CHUNK_DOUBLINGS);

/// Where an item begins: chunk number in the high 32 bits, byte offset in the low 32.
pub(super) type Place = u64;

struct Chunk {
    bytes: Box<[MaybeUninit<UnsafeCell<u8>>]>,
    filled: AtomicUsize,
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
    /// Bytes allocated, table included: a figure, by which nothing is published.
    bytes: AtomicUsize,
}

impl Arena {
    /// An empty arena, for as many items as fit `bytes` bytes and one record more.
    pub(super) fn new(bytes: usize) -> (ArenaWriter, Arc<Arena>) {
        let count = bytes / LARGE_BYTES + CHUNKS_PER_RECORD_MAX;
        let chunks: Box<[_]> = (0..count).map(|_| OnceLock::new()).collect();
        let bytes = AtomicUsize::new(size_of_val(&*chunks));
        let arena = Arc::new(Arena { chunks, bytes });
        (ArenaWriter { arena: Arc::clone(&arena), current: None, made: 0, shared: 0 }, arena)
    }

    /// The `len` bytes at `place`.
    ///
    /// # Panics
    /// If they were not published.
    pub(super) fn get(&self, place: Place, len: usize) -> &[u8] {
        let offset = place as u32 as usize;
        let Some(chunk) = self.chunks.get((place >> 32) as usize).and_then(OnceLock::get) else {
            panic!("no chunk of the arena at {place:#x}")
        };
        let filled = chunk.filled.load(Ordering::Acquire);
        assert!(
            offset <= filled && len <= filled - offset,
            "{len} bytes at {place:#x} of an arena"
        );
        // SAFETY: `offset` is within the chunk's allocation, as `filled` is.
        let start = unsafe { chunk.start().add(offset) };
        // SAFETY: the range lies below `filled`, loaded with acquire: initialised, never written again
        // (I1), and allocated as long as `self`.
        unsafe { std::slice::from_raw_parts(start, len) }
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
        });
        self.arena.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.made += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_every_size_read_back_and_growth_covers_them() {
        let (mut writer, arena) = Arena::new(64 << 20);
        let source: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut items = Vec::new();
        let mut sum = 0;
        for i in 0..3000 {
            let len = match i % 50 {
                0 => i * 700,
                1 => LARGE_BYTES - i % 3 + 1,
                _ => i * i % 1500,
            };
            let item = &source[i..i + len];
            let bound = arena.bytes() + writer.growth(len, 0);
            let place = writer.push(&[&item[..len / 3], &item[len / 3..]]);
            assert!(arena.bytes() <= bound);
            items.push((place, item));
            sum += len;
        }
        for (place, item) in items {
            assert_eq!(arena.get(place, item.len()), item);
        }
        assert!(arena.bytes() < sum * 4 / 3 + (1 << 20), "{} for {sum}", arena.bytes());
    }

    #[test]
    fn the_largest_record_fits_an_arena_for_nothing() {
        let (mut writer, arena) = Arena::new(0);
        let bound = arena.bytes() + writer.growth((2 << 20) + 32, 65_536 * 80);
        writer.push(&[&[1; 32], &[2; 2 << 20]]);
        let last = (0..65_536u32).map(|i| writer.push(&[&[i as u8; 80]])).last().unwrap();
        assert_eq!(arena.get(last, 80), [255; 80]);
        assert!(arena.bytes() <= bound);
    }

    #[test]
    #[should_panic(expected = "2 bytes at 0x2")]
    fn nothing_is_read_that_was_not_published() {
        let (mut writer, arena) = Arena::new(0);
        writer.push(&[b"abc"]);
        arena.get(2, 2);
    }

    #[test]
    #[should_panic(expected = "no chunk of the arena")]
    fn nothing_is_read_where_no_chunk_is() {
        Arena::new(0).1.get(1 << 32, 0);
    }
}
