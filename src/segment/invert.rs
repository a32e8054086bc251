//! Inverts records into posting lists: from each record's terms to each term's records.
//!
//! ```text
//!   hash of the term --tags--> list   term's place | first, last ordinal | head, tail
//!   chunks  [12 bytes of gaps | next] -> [gaps ..             ]      16 bytes, of all lists one array
//! ```
//!
//! A posting is a varint of its gap from the one before. A list with one posting, as most are, has no chunk. Nothing is
//! allocated for a term or a list of its own.
//!
//! I1. Ordinals of a list ascend; who adds a term twice for one record has added it once.
//! I2. Terms come from strangers, so hashes are seeded with what is made for the segment and not told before it is
//!     there: nobody can aim at a place of the table.

use crate::base::tags::Tags;
use crate::base::{Ordinal, Terms, hash64_seeded, sort_by_term};

/// Bytes of gaps in a chunk; what is left is the number of the next.
const GAP_BYTES: usize = 12;
type Chunk = [u8; 16];

/// Terms begin at multiples of this, so that 32 bits reach over 32 GiB of them.
const TERM_ALIGN: usize = 8;

/// No chunk.
const NONE: u32 = u32::MAX;

/// Terms and their postings so far.
#[derive(Default)]
pub struct Inverter {
    seed: u64,
    tags: Tags,
    lists: Vec<List>,
    /// The terms in a row.
    terms: Vec<u8>,
    chunks: Vec<Chunk>,
}

/// A posting list in memory.
struct List {
    /// The term's first eight bytes, by which it is mostly told apart without a look at the others.
    prefix: u64,
    /// Where it stands in `terms`, in units of `TERM_ALIGN`.
    term_at: u32,
    first: Ordinal,
    last: Ordinal,
    /// The first chunk and the last.
    head: u32,
    tail: u32,
    /// Bytes in use of the last chunk.
    used: u8,
    term_bytes: u8,
}

const _: () = assert!(size_of::<List>() == 32);
const _: () = assert!(crate::base::limits::TERM_BYTES_MAX <= u8::MAX as usize);

impl Inverter {
    /// An empty one (I2).
    pub fn new(seed: u64) -> Inverter {
        Inverter { seed, ..Inverter::default() }
    }

    /// Adds a record that is above all before it.
    pub fn add(&mut self, ordinal: Ordinal, terms: &Terms) {
        for (prefix, term) in terms.prefixed() {
            if let Some(number) = self.find_or_start(ordinal, prefix, term) {
                self.push(number, ordinal);
            }
        }
    }

    /// Whether nothing was added under any term.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The numbers of the lists in the order of their terms.
    pub fn in_order(&self) -> Vec<u32> {
        let keyed = self.lists.iter().zip(0..).map(|(list, n)| (list.prefix, n));
        let mut order: Vec<(u64, u32)> = keyed.collect();
        sort_by_term(&mut order, |number| self.term(number));
        order.into_iter().map(|(_, number)| number).collect()
    }

    /// The term of a list.
    pub fn term(&self, number: u32) -> &[u8] {
        self.term_of(&self.lists[number as usize])
    }

    /// Replaces `out` by the ordinals of a list.
    pub fn read(&self, number: u32, out: &mut Vec<Ordinal>) {
        let list = &self.lists[number as usize];
        out.clear();
        out.push(list.first);
        let (mut last, mut at) = (list.first, list.head);
        let (mut gap, mut shift) = (0, 0);
        while at != NONE {
            let (gaps, next) = self.chunks[at as usize].split_at(GAP_BYTES);
            let is_last = at == list.tail;
            for &byte in &gaps[..if is_last { usize::from(list.used) } else { GAP_BYTES }] {
                gap |= u32::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    last += gap;
                    out.push(last);
                    (gap, shift) = (0, 0);
                }
            }
            let next = next.first_chunk().map_or(NONE, |next| u32::from_le_bytes(*next));
            at = if is_last { NONE } else { next };
        }
    }

    fn term_of(&self, list: &List) -> &[u8] {
        &self.terms[list.term_at as usize * TERM_ALIGN..][..usize::from(list.term_bytes)]
    }

    /// The list of `term`; none if it begins with this call, at `first`.
    fn find_or_start(&mut self, first: Ordinal, prefix: u64, term: &[u8]) -> Option<usize> {
        let hash = hash64_seeded(term, self.seed);
        let mut cursor = self.tags.cursor(hash);
        while let Some(number) = self.tags.next(&mut cursor) {
            let list = &self.lists[number as usize];
            let alike = list.prefix == prefix && usize::from(list.term_bytes) == term.len();
            if alike && (term.len() <= 8 || self.term_of(list) == term) {
                return Some(number as usize);
            }
        }
        self.tags.insert(hash, self.lists.len() as u32);
        let (term_at, term_bytes) = ((self.terms.len() / TERM_ALIGN) as u32, term.len() as u8);
        self.terms.extend_from_slice(term);
        self.terms.resize(self.terms.len().next_multiple_of(TERM_ALIGN), 0);
        let (head, tail, used) = (NONE, NONE, GAP_BYTES as u8);
        let last = first;
        self.lists.push(List { prefix, term_at, term_bytes, first, last, head, tail, used });
        None
    }

    /// Appends a posting to a list, unless it is there (I1).
    fn push(&mut self, number: usize, ordinal: Ordinal) {
        let list = &mut self.lists[number];
        let mut gap = ordinal - list.last;
        if gap == 0 {
            return;
        }
        list.last = ordinal;
        loop {
            if usize::from(list.used) == GAP_BYTES {
                let next = self.chunks.len() as u32;
                match self.chunks.get_mut(list.tail as usize) {
                    Some(tail) => tail[GAP_BYTES..].copy_from_slice(&next.to_le_bytes()),
                    None => list.head = next,
                }
                self.chunks.push(Chunk::default());
                (list.tail, list.used) = (next, 0);
            }
            let more = u8::from(gap >= 0x80) << 7;
            self.chunks[list.tail as usize][usize::from(list.used)] = (gap & 0x7f) as u8 | more;
            list.used += 1;
            gap >>= 7;
            if more == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Twin = BTreeMap<Vec<u8>, Vec<Ordinal>>;

    fn lists(inverter: &Inverter) -> Vec<(Vec<u8>, Vec<Ordinal>)> {
        let mut ordinals = Vec::new();
        let read = |number| {
            inverter.read(number, &mut ordinals);
            (inverter.term(number).to_vec(), ordinals.clone())
        };
        inverter.in_order().into_iter().map(read).collect()
    }

    #[test]
    fn lists_come_back_sorted_and_whole() {
        let mut inverter = Inverter::default();
        let mut terms = Terms::new();
        for ordinal in 0..1000u32 {
            terms.clear();
            terms.push(&[b"mod", &[(ordinal % 7) as u8]]);
            terms.push(&[b"all"]);
            terms.push(&[b"mod", &[(ordinal % 7) as u8]]);
            inverter.add(ordinal, &terms);
        }
        let lists = lists(&inverter);
        assert_eq!(lists.len(), 8);
        assert!(lists.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(lists[0].1, (0..1000).collect::<Vec<_>>());
        assert_eq!(lists[3].1, (2..1000).step_by(7).collect::<Vec<_>>());
    }

    #[test]
    fn gaps_of_every_length_cross_chunks_at_every_place() {
        for ahead in 0..2 * GAP_BYTES as u32 {
            let small = (0..=ahead).map(|i| i * 2);
            let large = (0..32).map(|bit| ahead * 2 + (1 << bit));
            let wanted: Vec<Ordinal> = small.chain(large).collect();
            let mut inverter = Inverter::new(7);
            let mut terms = Terms::new();
            terms.push(&[b"term"]);
            wanted.iter().for_each(|&ordinal| inverter.add(ordinal, &terms));
            assert_eq!(lists(&inverter), [(b"term".to_vec(), wanted)]);
        }
    }

    proptest! {
        #[test]
        fn lists_are_those_of_a_map(
            seed: u64,
            records in prop::collection::vec((1..300u32, prop::collection::vec(0..3000u32, 0..20)), 0..200),
        ) {
            let (mut twin, mut inverter) = (Twin::new(), Inverter::new(seed));
            let mut ordinal = 0;
            for (step, numbers) in records {
                ordinal += step;
                let mut terms = Terms::new();
                for number in numbers {
                    // Of many lengths, many of them alike in their first eight bytes.
                    let term = [&b"0123456"[..number as usize % 8], &number.to_be_bytes()].concat();
                    terms.push(&[&term]);
                    let list = twin.entry(term).or_default();
                    if list.last() != Some(&ordinal) {
                        list.push(ordinal);
                    }
                }
                inverter.add(ordinal, &terms);
            }
            prop_assert!(lists(&inverter).into_iter().eq(twin));
        }
    }
}
