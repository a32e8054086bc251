//! The bytes of a simulated file, in chunks that copies share until one of them is written.
//!
//! ```text
//!   image --> [ chunk | - | chunk | chunk ]     - is all zeros and takes no memory
//!                 |          |
//!   copy  --> [ chunk | - | chunk | own   ]     a write to a shared list makes a new one, to a shared chunk too
//! ```
//!
//! So a copy of a file costs one count, whatever its length, and what was written to every copy is hashed once.
//!
//! I1. Bytes of the last chunk behind the end are zero.

use crate::base::hash64;
use std::sync::{Arc, OnceLock};

/// Bytes of a chunk: a page of the smallest segments.
const CHUNK_BYTES: usize = 4096;

#[derive(Debug)]
struct Chunk {
    bytes: [u8; CHUNK_BYTES],
    /// Of the bytes, once somebody asked; a chunk that is written forgets it.
    hash: OnceLock<u64>,
}

/// A file's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    list: Arc<List>,
}

#[derive(Debug, Default)]
struct List {
    bytes: usize,
    chunks: Vec<Option<Arc<Chunk>>>,
    /// Of all of it, as that of a chunk.
    hash: OnceLock<u64>,
}

impl Clone for List {
    /// For somebody who changes it.
    fn clone(&self) -> List {
        List { bytes: self.bytes, chunks: self.chunks.clone(), hash: OnceLock::new() }
    }
}

impl Image {
    pub fn len(&self) -> usize {
        self.list.bytes
    }

    /// The list, to be changed.
    fn list_mut(&mut self) -> &mut List {
        let list = Arc::make_mut(&mut self.list);
        list.hash = OnceLock::new();
        list
    }

    /// Puts `bytes` at `offset`, with zeros in a gap.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        let list = self.list_mut();
        list.lengthen(start + bytes.len());
        for (chunk, within, part) in pieces(start, bytes.len()) {
            list.chunk_mut(chunk)[within.clone()].copy_from_slice(&bytes[part]);
        }
    }

    /// Puts `count` zeros at `offset`, with zeros in a gap.
    pub fn put_zeros(&mut self, offset: u64, count: usize) {
        let start = offset as usize;
        let list = self.list_mut();
        list.lengthen(start + count);
        for (chunk, within, _) in pieces(start, count) {
            if within.len() == CHUNK_BYTES {
                list.chunks[chunk] = None;
            } else if list.chunks[chunk].is_some() {
                list.chunk_mut(chunk)[within].fill(0);
            }
        }
    }

    /// Makes it `bytes` long, with zeros at its end, if it is shorter.
    pub fn lengthen(&mut self, bytes: usize) {
        if self.len() < bytes {
            self.list_mut().lengthen(bytes);
        }
    }

    /// Fills `out` from `offset`; false, and nothing is done, if it ends before.
    pub fn get(&self, offset: u64, out: &mut [u8]) -> bool {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if start.checked_add(out.len()).is_none_or(|end| end > self.len()) {
            return false;
        }
        for (chunk, within, part) in pieces(start, out.len()) {
            match &self.list.chunks[chunk] {
                Some(chunk) => out[part].copy_from_slice(&chunk.bytes[within]),
                None => out[part].fill(0),
            }
        }
        true
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.get(0, &mut bytes);
        bytes
    }

    /// Flips the bits of `mask` in one byte; false if there is no such byte.
    pub fn flip(&mut self, byte: usize, mask: u8) -> bool {
        if byte >= self.len() {
            return false;
        }
        self.list_mut().chunk_mut(byte / CHUNK_BYTES)[byte % CHUNK_BYTES] ^= mask;
        true
    }

    /// A hash of length and bytes. Costs a look at each chunk, and at its bytes, the first time.
    pub fn hash(&self) -> u64 {
        *self.list.hash.get_or_init(|| self.list.hash_of_chunks())
    }
}

impl List {
    fn lengthen(&mut self, bytes: usize) {
        if self.bytes < bytes {
            self.bytes = bytes;
            self.chunks.resize(bytes.div_ceil(CHUNK_BYTES), None);
        }
    }

    fn hash_of_chunks(&self) -> u64 {
        let of_chunk = |chunk: &Option<Arc<Chunk>>| {
            chunk.as_ref().map_or(0, |chunk| *chunk.hash.get_or_init(|| hash64(&chunk.bytes)))
        };
        let start = self.bytes as u64;
        self.chunks.iter().map(of_chunk).fold(start, |all, one| {
            // Order counts, and a chunk of zeros is one that is not there.
            (all ^ one).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
        })
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut [u8; CHUNK_BYTES] {
        let chunk = self.chunks[chunk]
            .get_or_insert_with(|| Arc::new(Chunk { bytes: [0; _], hash: OnceLock::new() }));
        if Arc::get_mut(chunk).is_none() {
            *chunk = Arc::new(Chunk { bytes: chunk.bytes, hash: OnceLock::new() });
        }
        match Arc::get_mut(chunk) {
            Some(own) => {
                own.hash = OnceLock::new();
                &mut own.bytes
            }
            None => unreachable!("nobody else has the new chunk"),
        }
    }
}

/// The chunks that `count` bytes from `start` lie in: number, place in it, place in the bytes.
fn pieces(
    start: usize,
    count: usize,
) -> impl Iterator<Item = (usize, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let within = (start + at) % CHUNK_BYTES;
        let part = (count - at).min(CHUNK_BYTES - within);
        let piece = ((start + at) / CHUNK_BYTES, within..within + part, at..at + part);
        at += part;
        (part > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    #[test]
    fn it_is_a_vector_of_bytes_and_its_copies_stay_as_they_were() {
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let (mut image, mut twin) = (Image::default(), Vec::new());
            let mut copies = Vec::new();
            for _ in 0..60 {
                let (offset, count) = (rng.below(20_000) as usize, rng.below(9_000) as usize);
                if twin.len() < offset + count {
                    twin.resize(offset + count, 0);
                }
                if rng.chance(3) {
                    image.put_zeros(offset as u64, count);
                    twin[offset..offset + count].fill(0);
                } else {
                    let mut bytes = vec![0; count];
                    rng.fill(&mut bytes);
                    image.put(offset as u64, &bytes);
                    twin[offset..offset + count].copy_from_slice(&bytes);
                }
                if rng.chance(10) {
                    assert_eq!(image.flip(offset, 4), offset < twin.len());
                    twin.iter_mut().skip(offset).take(1).for_each(|byte| *byte ^= 4);
                }
                assert_eq!(image.len(), twin.len(), "seed {seed}");
                copies.push((image.clone(), twin.clone()));
            }
            for (image, twin) in copies {
                assert!(image.to_vec() == twin, "seed {seed}");
                let mut beyond = vec![0; twin.len() + 1];
                assert!(!image.get(0, &mut beyond));
            }
        }
    }

    #[test]
    fn the_hash_tells_bytes_and_lengths_apart_and_nothing_else() {
        let mut image = Image::default();
        let mut seen = std::collections::BTreeSet::new();
        for (at, byte) in [(0, 1), (4096, 1), (4096, 2), (9000, 2), (9000, 0), (0, 0)] {
            image.put(at, &[byte]);
            // Asked twice: a chunk that is written must not keep its hash.
            assert_eq!(image.hash(), image.clone().hash());
            assert!(seen.insert(image.hash()), "{at} {byte}");
        }
        let mut other = Image::default();
        other.put(4096, &[2]);
        other.lengthen(9001);
        // A chunk that was written with zeros is another than none; the bytes are the same.
        assert_eq!(other.to_vec(), image.to_vec());
        let mut same = Image::default();
        same.put(4096, &[2]);
        same.lengthen(9001);
        assert_eq!(other.hash(), same.hash());
        same.lengthen(9002);
        assert_ne!(other.hash(), same.hash());
    }
}
