//! A small mutator of bytes: what coverage cannot guide, a seed does.

/// Numbers at which decoders go wrong: ends of ranges, and one beside them.
const EDGES: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x10_000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    u64::MAX >> 1,
    u64::MAX,
];

/// Bytes of a mutant, at most.
const BYTES_MAX: usize = 4096;

/// One to five changes of `bytes`, of which some take a part of `other` or one of `words`.
/// `below` gives a number below its own, by chance.
pub fn mutate(
    below: &mut dyn FnMut(usize) -> usize,
    bytes: &mut Vec<u8>,
    other: &[u8],
    words: &[Vec<u8>],
) {
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        let until = (at + 1 + below(16)).min(bytes.len());
        let at = at.min(until);
        match below(9) {
            0 if at < until => bytes[at] ^= 1 << below(8),
            1 if at < until => bytes[at] = below(256) as u8,
            2 => drop(bytes.drain(at..until)),
            3 => insert(bytes, at, &[below(256) as u8]),
            4 => {
                let part = bytes[at..until].to_vec();
                let to = below(bytes.len() + 1);
                insert(bytes, to, &part);
            }
            5 => {
                let edge = EDGES[below(EDGES.len())].wrapping_sub(below(2) as u64);
                let width = 1 << below(4);
                let mut number = edge.to_le_bytes();
                number[..width].rotate_left(if below(3) == 0 { width - 1 } else { 0 });
                let end = (at + width).min(bytes.len());
                drop(bytes.splice(at..end, number[..width].iter().copied()));
            }
            6 if !other.is_empty() => {
                let from = below(other.len());
                let len = below(64) + 1;
                insert(bytes, at, &other[from..(from + len).min(other.len())]);
            }
            7 if !words.is_empty() => {
                insert(bytes, at, &words[below(words.len())]);
            }
            _ => bytes.truncate(at),
        }
        bytes.truncate(BYTES_MAX);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    drop(bytes.splice(at..at, part.iter().copied()));
}
