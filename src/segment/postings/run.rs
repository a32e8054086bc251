//! A run: the part of a posting list that lies in one page, with a block index at its front.
//!
//! ```text
//!   | offset | bytes | field                                                             |
//!   |      0 |     4 | first ordinal                                                     |
//!   |      4 |   8 b | index of the b = count / 128 packed blocks, each:                 |
//!   |        |       | u32 last ordinal, u16 offset of its bytes, u8 bits, u8 zero       |
//!   |  4+8 b |       | the packed blocks (offsets count from here)                       |
//!   |        |       | count % 128 ordinals as gaps                                      |
//! ```
//!
//! A run in a page of its own (an exclusive page of a long list) has a head of 16 bytes before it:
//! u32 postings of the list before it (its rank), u32 count, u32 the list's ordinal before it (0 if
//! none), u32 its last ordinal. The count of a run in a shared page stands in the dictionary.
//!
//! Invariants: R1. a run never crosses a page; R2. a block is found without decoding another.

use super::block::{BLOCK, bits_for, get_gaps, pack, packed_bytes, put_gaps, unpack};
use crate::segment::format::{Decoded, get_u16, get_u32};

/// Bytes before a run in a page of its own.
pub const HEAD_BYTES: usize = 16;
const FIRST_BYTES: usize = 4;
const INDEX_BYTES: usize = 8;

/// The head of an exclusive page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Postings of the list in earlier pages.
    pub rank: u32,
    /// Postings in this page.
    pub count: u32,
    /// The posting before this page's first; `None` in the list's first page.
    pub before: Option<u32>,
    /// This page's last posting.
    pub last: u32,
}

impl Head {
    /// Writes it at the start of `out`.
    pub fn write(&self, out: &mut [u8]) {
        let fields = [self.rank, self.count, self.before.unwrap_or(0), self.last];
        for (at, field) in fields.iter().enumerate() {
            out[at * 4..][..4].copy_from_slice(&field.to_le_bytes());
        }
    }

    /// Reads it from the start of a page of a list of `total` postings.
    pub fn parse(payload: &[u8], total: u32) -> Decoded<Head> {
        let word = |i: usize| get_u32(payload, i * 4);
        let (rank, count, last) = (word(0)?, word(1)?, word(3)?);
        let before = if rank == 0 { None } else { Some(word(2)?) };
        if count == 0 || rank.checked_add(count).is_none_or(|end| end > total) {
            return Err("a posting page's counts are not its list's");
        }
        if before.is_some_and(|b| b >= last) {
            return Err("a posting page does not ascend");
        }
        Ok(Head { rank, count, before, last })
    }
}

/// A run being put together.
#[derive(Default)]
pub struct RunBuilder {
    first: u32,
    before: Option<u32>,
    last: Option<u32>,
    count: u32,
    index: Vec<u8>,
    data: Vec<u8>,
}

impl RunBuilder {
    /// Empties it for a run behind `before`.
    pub fn restart(&mut self, before: Option<u32>) {
        self.before = before;
        self.last = None;
        self.count = 0;
        self.index.clear();
        self.data.clear();
    }

    /// Bytes that the run takes now.
    pub fn bytes(&self) -> usize {
        FIRST_BYTES + self.index.len() + self.data.len()
    }

    /// Ordinals in it.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The head for a page that holds this run alone, `rank` postings into its list.
    pub fn head(&self, rank: u32) -> Head {
        Head { rank, count: self.count, before: self.before, last: self.last.unwrap_or(0) }
    }

    /// What stands before the next ordinal, as far as a reader of this run alone can know.
    fn previous(&mut self, first: u32) -> Option<u32> {
        if self.count == 0 {
            self.first = first;
            return first.checked_sub(1);
        }
        self.last
    }

    /// Adds a packed block unless the run would then be over `room` bytes.
    pub fn push_block(&mut self, values: &[u32; BLOCK], room: usize) -> bool {
        let previous = self.previous(values[0]);
        let bits = bits_for(previous, values);
        if self.bytes() + INDEX_BYTES + packed_bytes(bits) > room {
            return false;
        }
        self.index.extend_from_slice(&values[BLOCK - 1].to_le_bytes());
        self.index.extend_from_slice(&(self.data.len() as u16).to_le_bytes());
        self.index.extend_from_slice(&[bits, 0]);
        pack(previous, values, bits, &mut self.data);
        self.last = Some(values[BLOCK - 1]);
        self.count += BLOCK as u32;
        true
    }

    /// Adds the last ordinals, fewer than a block, unless the run would then be over `room` bytes.
    pub fn push_tail(&mut self, values: &[u32], room: usize) -> bool {
        let Some((&first, &last)) = values.first().zip(values.last()) else { return true };
        let previous = self.previous(first);
        let before = self.data.len();
        put_gaps(previous, values, &mut self.data);
        if self.bytes() > room {
            self.data.truncate(before);
            return false;
        }
        self.last = Some(last);
        self.count += values.len() as u32;
        true
    }

    /// Copies the run to the start of `out`.
    pub fn write(&self, out: &mut [u8]) {
        let (first, rest) = out.split_at_mut(FIRST_BYTES);
        first.copy_from_slice(&self.first.to_le_bytes());
        let (index, rest) = rest.split_at_mut(self.index.len());
        index.copy_from_slice(&self.index);
        rest[..self.data.len()].copy_from_slice(&self.data);
    }
}

/// A run as it lies in a page.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    first: u32,
    index: &'a [u8],
    data: &'a [u8],
    count: u32,
}

impl<'a> Run<'a> {
    /// The run of `count` ordinals at the start of `bytes`.
    pub fn parse(bytes: &'a [u8], count: u32) -> Decoded<Run<'a>> {
        let first = get_u32(bytes, 0)?;
        let index = (count as usize / BLOCK) * INDEX_BYTES;
        let rest = &bytes[FIRST_BYTES..];
        if count == 0 || index > rest.len() {
            return Err("a run's block index is cut off");
        }
        let (index, data) = rest.split_at(index);
        Ok(Run { first, index, data, count })
    }

    /// Its packed blocks.
    fn packed(&self) -> usize {
        self.count as usize / BLOCK
    }

    /// Blocks, the tail counted as one.
    pub fn blocks(&self) -> usize {
        (self.count as usize).div_ceil(BLOCK)
    }

    /// Last ordinal of packed block `i`.
    fn last(&self, i: usize) -> u32 {
        get_u32(self.index, i * INDEX_BYTES).unwrap_or(u32::MAX)
    }

    /// The block in which the lowest ordinal not below `target` stands, if the run has one; the last
    /// block if only the tail can tell.
    pub fn find(&self, target: u32) -> usize {
        let (mut low, mut high) = (0, self.packed());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.last(middle) < target { low = middle + 1 } else { high = middle }
        }
        low.min(self.blocks() - 1)
    }

    /// The ordinal before block `i` of this run; `None` for its first block.
    pub fn before(&self, i: usize) -> Option<u32> {
        i.checked_sub(1).map(|p| self.last(p))
    }

    /// Decodes block `i` into the start of `out` and returns how many ordinals it has.
    pub fn decode(&self, i: usize, out: &mut [u32; BLOCK]) -> Decoded<usize> {
        let before = self.before(i).or(self.first.checked_sub(1));
        if i < self.packed() {
            let entry = &self.index[i * INDEX_BYTES..][..INDEX_BYTES];
            let packed = self.data.get(usize::from(get_u16(entry, 4)?)..);
            let packed = packed.ok_or("a packed block lies outside its page")?;
            unpack(before, get_u32(entry, 0)?, entry[6], packed, out)?;
            return Ok(BLOCK);
        }
        let start = match self.packed().checked_sub(1) {
            Some(last) => {
                let entry = &self.index[last * INDEX_BYTES..][..INDEX_BYTES];
                usize::from(get_u16(entry, 4)?) + packed_bytes(entry[6])
            }
            None => 0,
        };
        let count = self.count as usize % BLOCK;
        let mut input = self.data.get(start..).ok_or("a run's tail lies outside its page")?;
        get_gaps(before, &mut input, &mut out[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(values: &[u32], room: usize) -> Option<(Vec<u8>, RunBuilder)> {
        let mut run = RunBuilder::default();
        run.restart(None);
        let (blocks, tail) = values.as_chunks::<BLOCK>();
        for block in blocks {
            if !run.push_block(block, room) {
                return None;
            }
        }
        if !run.push_tail(tail, room) {
            return None;
        }
        let mut bytes = vec![0; run.bytes()];
        run.write(&mut bytes);
        Some((bytes, run))
    }

    #[test]
    fn every_count_up_to_three_blocks_reads_back() {
        for count in 1..=3 * BLOCK as u32 {
            for (start, step) in [(0, 1), (0, 3), (70_000, 1), (1 << 31, 1000)] {
                let values: Vec<u32> = (0..count).map(|i| start + i * step).collect();
                let (bytes, built) = build(&values, 4000).unwrap();
                assert_eq!(built.count(), count);
                assert_eq!(built.head(0).last, values[values.len() - 1]);
                let run = Run::parse(&bytes, count).unwrap();
                let mut got = Vec::new();
                let mut out = [0; BLOCK];
                for i in 0..run.blocks() {
                    let n = run.decode(i, &mut out).unwrap();
                    got.extend_from_slice(&out[..n]);
                }
                assert_eq!(got, values);
            }
        }
    }

    #[test]
    fn find_names_the_block_of_every_target() {
        let values: Vec<u32> = (0..300).map(|i| 10 + i * 2).collect();
        let (bytes, _) = build(&values, 4000).unwrap();
        let run = Run::parse(&bytes, 300).unwrap();
        for target in 0..700 {
            let at = values.partition_point(|&v| v < target);
            assert_eq!(run.find(target), (at / BLOCK).min(2), "{target}");
        }
    }

    #[test]
    fn a_run_stays_within_its_room_and_can_go_on() {
        let values: Vec<u32> = (0..128).map(|i| i * 1000).collect();
        let (bytes, _) = build(&values, 4000).unwrap();
        assert!(build(&values, bytes.len()).is_some());
        assert!(build(&values, bytes.len() - 1).is_none());
        assert!(build(&values[..100], 10).is_none());
    }

    #[test]
    fn cut_off_runs_are_refused() {
        let values: Vec<u32> = (0..200).map(|i| i * 9).collect();
        let (bytes, _) = build(&values, 4000).unwrap();
        let mut out = [0; BLOCK];
        for cut in 0..bytes.len() {
            let whole = Run::parse(&bytes[..cut], 200)
                .and_then(|run| run.decode(0, &mut out).and_then(|_| run.decode(1, &mut out)));
            assert!(whole.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_head_reads_back_and_must_fit_its_list() {
        let head = Head { rank: 128, count: 256, before: Some(9), last: 800 };
        let mut bytes = [0; HEAD_BYTES];
        head.write(&mut bytes);
        assert_eq!(Head::parse(&bytes, 384), Ok(head));
        assert!(Head::parse(&bytes, 383).is_err());
        assert!(Head::parse(&bytes[..15], 384).is_err());
    }
}
