//! What stands in one block, once it is unpacked: how many bodies, their lengths, their bytes.
//!
//! ```text
//!   | varint bodies | varint length, one a body | bytes of the first | of the second | ...
//! ```
//!
//! Invariants: Y3. a block holds one body, or bodies that take `BLOCK_BYTES` with their lengths at most, so that a
//! body of a line's length costs the unpacking of 16 KiB and no more; Y4. the lengths fill the block to its last byte.
//! An `Err` says what does not hold; the caller knows the page.

use crate::base::{Ordinal, get_varint, put_varint, varint_len};
use crate::segment::format::{BLOCK_BYTES, Decoded};
use std::ops::Range;

/// A block in the making.
#[derive(Default)]
pub struct BlockBuilder {
    bodies: u32,
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl BlockBuilder {
    /// Bodies in it.
    pub fn bodies(&self) -> u32 {
        self.bodies
    }

    /// Whether a body of `len` bytes may still come in (Y3).
    pub fn has_room(&self, len: usize) -> bool {
        let taken = self.lengths.len() + self.bytes.len();
        self.bodies == 0 || taken + varint_len(len as u64) + len <= BLOCK_BYTES
    }

    /// Adds the next body.
    pub fn add(&mut self, body: &[u8]) {
        self.bodies += 1;
        put_varint(&mut self.lengths, body.len() as u64);
        self.bytes.extend_from_slice(body);
    }

    /// Replaces `out` by the block as it stands, and is empty again.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.clear();
        put_varint(out, self.bodies.into());
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.bytes);
        self.bodies = 0;
        self.lengths.clear();
        self.bytes.clear();
    }
}

/// An unpacked block. The default is one of no segment.
#[derive(Default)]
pub struct Block {
    /// The segment that it is of, and its number there; none while it is filled.
    of: Option<([u8; 16], u32)>,
    first: Ordinal,
    contents: Vec<u8>,
    /// Where in `contents` each body begins, and where the last ends.
    starts: Vec<u32>,
}

impl Block {
    /// Whether it is block `number` of `segment`.
    pub fn is(&self, segment: &[u8; 16], number: u32) -> bool {
        self.of.as_ref().is_some_and(|(of, n)| *n == number && of == segment)
    }

    /// Whether it is one of `segment`.
    pub fn is_of(&self, segment: &[u8; 16]) -> bool {
        self.of.as_ref().is_some_and(|(of, _)| of == segment)
    }

    /// The unpacked bytes.
    pub fn contents(&self) -> &[u8] {
        &self.contents
    }

    /// Memory for the unpacked bytes of another block. It is no block's until `parse` said so.
    pub fn refill(&mut self) -> &mut Vec<u8> {
        self.of = None;
        &mut self.contents
    }

    /// Takes what `refill` was filled with as block `number` of `segment`, with the bodies of `ordinals`.
    pub fn parse(&mut self, of: ([u8; 16], u32), ordinals: Range<Ordinal>) -> Decoded<()> {
        let mut rest = &self.contents[..];
        if get_varint(&mut rest) != Some(ordinals.len() as u64) {
            return Err("a block does not hold as many bodies as its place says");
        }
        // A length takes a byte at least: no more memory than the block's own size asks for.
        if rest.len() < ordinals.len() {
            return Err("the lengths of a block's bodies are cut off");
        }
        self.starts.clear();
        self.starts.reserve(ordinals.len() + 1);
        let mut end = 0u64;
        for _ in ordinals.clone() {
            self.starts.push(end as u32);
            let len = get_varint(&mut rest).ok_or("the lengths of a block's bodies are cut off")?;
            end = end.saturating_add(len);
            if end > rest.len() as u64 {
                return Err("a block's bodies are longer than the block");
            }
        }
        self.starts.push(end as u32);
        if end != rest.len() as u64 {
            return Err("a block is longer than its bodies"); // Y4
        }
        let before = (self.contents.len() - rest.len()) as u32;
        self.starts.iter_mut().for_each(|start| *start += before);
        (self.of, self.first) = (Some(of), ordinals.start);
        Ok(())
    }

    /// Where in `contents` the body of `ordinal` stands, if it is in this block.
    pub fn place(&self, ordinal: Ordinal) -> Option<Range<usize>> {
        let i = ordinal.checked_sub(self.first)? as usize;
        let (&start, &end) = (self.starts.get(i)?, self.starts.get(i + 1)?);
        Some(start as usize..end as usize)
    }
}
