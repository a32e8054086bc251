//! Entries gathered for one commit, in the buffer that goes to the disk.
//!
//! ```text
//!   [room for the block header][entry][entry][entry]...        | padding | a grain to spare
//!   ^ the buffer's start, aligned          ^ used              ^ capacity
//! ```
//!
//! The block header stands in front of the entries, so a group is written from where it was built. Only
//! the first block of a file moves: up by a grain, into the spare room, to let the file header in
//! front. The buffer comes back with the completion and becomes the next group.

use super::format::{self, BLOCK_HEADER_BYTES, GRAIN_BYTES_MAX};
use crate::io::Buf;

/// A group of entries under construction.
#[derive(Debug)]
pub struct Group {
    buf: Buf,
    /// Payload bytes so far, a multiple of 8.
    bytes: usize,
    entries: u32,
}

impl Group {
    /// An empty group for at least `capacity_bytes` of payload: see [`Group::bytes`]. `align` is that of
    /// the files it will be written to.
    pub fn new(capacity_bytes: usize, align: usize) -> Group {
        let blocks = (BLOCK_HEADER_BYTES + capacity_bytes).next_multiple_of(GRAIN_BYTES_MAX);
        Group::reuse(Buf::zeroed(blocks + GRAIN_BYTES_MAX, format::grain(align)))
    }

    /// An empty group in the buffer of an earlier one, as it came back from the disk.
    ///
    /// # Panics
    /// If the buffer is not a group's.
    pub fn reuse(mut buf: Buf) -> Group {
        let bytes = buf.capacity();
        let fits = bytes.is_multiple_of(GRAIN_BYTES_MAX) && bytes >= 2 * GRAIN_BYTES_MAX;
        assert!(fits, "a group in a buffer of {bytes} bytes");
        buf.set_len(bytes);
        Group { buf, bytes: 0, entries: 0 }
    }

    /// Appends the entry made of `parts` in a row; `false` if it does not fit and nothing was done.
    pub fn push(&mut self, parts: &[&[u8]]) -> bool {
        let bytes = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        // Compared before it is rounded up, so that no length overflows.
        let room = self.capacity_bytes() - self.bytes;
        if bytes > room || format::entry_bytes(bytes) > room {
            return false;
        }
        let Ok(length) = u32::try_from(bytes) else { return false };
        let start = BLOCK_HEADER_BYTES + self.bytes;
        let end = start + format::entry_bytes(bytes);
        format::put_entry(&mut self.buf[start..end], length, parts);
        self.bytes = end - BLOCK_HEADER_BYTES;
        self.entries += 1;
        true
    }

    /// Entries so far.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Payload bytes so far: each entry's own, 4 more, and padding to a multiple of 8.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Payload bytes that there is room for.
    pub fn capacity_bytes(&self) -> usize {
        self.buf.capacity() - GRAIN_BYTES_MAX - BLOCK_HEADER_BYTES
    }

    /// The buffer with the entries padded to a block of `block_bytes` that begins at `front`, all of it
    /// visible; the headers are still to be written.
    pub(super) fn into_block(mut self, front: usize, block_bytes: usize) -> Buf {
        self.buf[BLOCK_HEADER_BYTES + self.bytes..block_bytes].fill(0);
        if front > 0 {
            self.buf.copy_within(..block_bytes, front);
        }
        self.buf.set_len(front + block_bytes);
        self.buf
    }
}
