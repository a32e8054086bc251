//! Bodies in blocks: some 16 KiB of consecutive ones, packed together.
//!
//! ```text
//!   LOCATIONS, one entry a block     | u32 first ordinal | u64 offset |     halved for an ordinal
//!                                                             |
//!   BODIES                           ... | u32 packed, length | a block (`block`), packed or not | next block ...
//! ```
//!
//! Invariants: B1. block 0 begins with ordinal 0 at offset 0; ordinals and offsets ascend; a block ends where the next one,
//! or the stream, begins. What says otherwise is `Corrupt` where it stands. B2. memory is taken for what a block may
//! be at most, `BLOCK_BYTES_MAX`, whatever it claims.
//! There is no cache of blocks: who reads on hands the block along, and who reads once waits 0.05 ms
//! (`docs/decisions/0018-body-blocks.md`).

use super::block::Block;
use super::stream::Stream;
use super::{Body, Held, PREFETCH_PAGES_MAX};
use crate::base::{Error, Ordinal, Result};
use crate::segment::columns::Column;
use crate::segment::compression::{Decoder, with_scratch};
use crate::segment::format::{
    BLOCK_BYTES_MAX, BLOCK_ENTRY_BYTES, BODY_HEAD_BYTES, BODY_PACKED, Region, get_u32, get_u64,
};
use crate::segment::pages::Pages;
use std::ops::Range;

/// Bodies that are packed many together.
pub struct Blocks {
    stream: Stream,
    /// Of each block its first ordinal and its offset in the stream.
    index: Column<BLOCK_ENTRY_BYTES>,
    records: u32,
    decoder: Decoder,
}

/// One block as the index has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Its number, from 0.
    pub number: u32,
    /// Its records.
    pub ordinals: Range<Ordinal>,
    /// Where it stands in the stream of bodies, its head included.
    pub bytes: Range<u64>,
    /// Byte of the file at which the page begins on which it begins.
    pub page_at: u64,
}

type Item = [u8; BLOCK_ENTRY_BYTES];

/// The bytes of an entry of the index.
pub fn to_item((first, at): (Ordinal, u64)) -> Item {
    let mut item = [0; BLOCK_ENTRY_BYTES];
    item[..4].copy_from_slice(&first.to_le_bytes());
    item[4..].copy_from_slice(&at.to_le_bytes());
    item
}

fn first_of(item: Item) -> Ordinal {
    get_u32(&item, 0).unwrap_or_default()
}

fn of_item(item: Item) -> (Ordinal, u64) {
    (first_of(item), get_u64(&item, 4).unwrap_or_default())
}

impl Blocks {
    /// The stream of `bytes` bytes in `region`, with the bodies of `records` records.
    pub fn new(
        (region, bytes): (Region, u64),
        index: Column<BLOCK_ENTRY_BYTES>,
        records: u32,
    ) -> Blocks {
        let decoder = Decoder::plain();
        Blocks { stream: Stream { region, bytes }, index, records, decoder }
    }

    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Pages of the index.
    pub fn index_pages(&self) -> u32 {
        self.index.pages().len() as u32
    }

    /// Blocks in it.
    pub fn count(&self) -> u32 {
        self.index.items()
    }

    /// Block `number`, checked (B1). One page, or two.
    ///
    /// # Errors
    /// `Invalid` beyond the last block; `Io` and `Corrupt` as a page read says.
    pub fn info(&self, pages: &Pages, number: u32) -> Result<BlockInfo> {
        let (first, at) = of_item(self.index.get(pages, number)?);
        let (end, end_at) = match number + 1 < self.count() {
            true => of_item(self.index.get(pages, number + 1)?),
            false => (self.records, self.stream.bytes),
        };
        let holds = (number > 0 || (first, at) == (0, 0)) // B1
            && first < end
            && end <= self.records
            && end_at <= self.stream.bytes
            && at.checked_add(BODY_HEAD_BYTES as u64).is_some_and(|head| head <= end_at);
        if !holds {
            let page = self.index.page_of(number);
            return Err(pages.corrupt(page, "the places of two blocks contradict each other"));
        }
        let (page, _) = self.stream.place(pages.payload_bytes(), at);
        let page_at = pages.offset(page);
        Ok(BlockInfo { number, ordinals: first..end, bytes: at..end_at, page_at })
    }

    /// The block of `ordinal`. A page for each halving of the index's pages, then one.
    fn find(&self, pages: &Pages, ordinal: Ordinal) -> Result<BlockInfo> {
        if ordinal >= self.records {
            let why = format!("{ordinal} of {} records", self.records);
            return Err(Error::invalid("ordinal", why));
        }
        let all = (0, self.count());
        let after = self.index.partition_point(pages, all, |item| first_of(item) <= ordinal)?;
        let info = self.info(pages, after.saturating_sub(1))?;
        if !info.ordinals.contains(&ordinal) {
            let page = self.index.page_of(info.number);
            return Err(pages.corrupt(page, "the places of blocks do not ascend"));
        }
        Ok(info)
    }

    /// Hands `ordinals` to `f`, each with the number of its block. A search for all in a row that are in one block.
    ///
    /// # Errors
    /// As `get`; `f` has then had some of them.
    pub fn locations(
        &self,
        pages: &Pages,
        ordinals: &[Ordinal],
        mut f: impl FnMut(Ordinal, u64),
    ) -> Result<()> {
        let (mut number, mut here) = (0, 0..0);
        for &ordinal in ordinals {
            if !here.contains(&ordinal) {
                let info = self.find(pages, ordinal)?;
                (number, here) = (info.number, info.ordinals);
            }
            f(ordinal, number.into());
        }
        Ok(())
    }

    /// The body of `ordinal`. Finds and unpacks its block, unless `previous` has it.
    ///
    /// # Errors
    /// `Invalid` beyond the last record; `Io` and `Corrupt` as a page read says.
    pub fn get(&self, pages: &Pages, ordinal: Ordinal, previous: Body) -> Result<Body> {
        match previous {
            Body { held: Held::Block(block, _), copy } if block.is_of(pages.id()) => {
                if let Some(range) = block.place(ordinal) {
                    return Ok(Body { held: Held::Block(block, range), copy });
                }
                let number = self.find(pages, ordinal)?.number;
                self.read(pages, number, ordinal, Body { held: Held::Block(block, 0..0), copy })
            }
            other => self.read(pages, self.find(pages, ordinal)?.number, ordinal, other),
        }
    }

    /// The body of `ordinal` in block `number`. `previous` gives the block, if it is the same one, and its memory.
    ///
    /// # Errors
    /// As `get`.
    pub fn read(
        &self,
        pages: &Pages,
        number: u32,
        ordinal: Ordinal,
        previous: Body,
    ) -> Result<Body> {
        let Body { held, copy } = previous;
        let block = match held {
            Held::Block(block, _) if block.is(pages.id(), number) => block,
            Held::Block(block, _) => self.load(pages, number, block)?,
            Held::Copy => self.load(pages, number, Box::default())?,
            Held::Page(page, _) => {
                drop(page); // first, so that a reader has one page pinned at a time
                self.load(pages, number, Box::default())?
            }
        };
        match block.place(ordinal) {
            Some(range) => Ok(Body { held: Held::Block(block, range), copy }),
            None => Err(pages.corrupt(self.index.page_of(number), "a body is not in its block")),
        }
    }

    /// Reads and unpacks block `number` into the memory of `block`.
    fn load(&self, pages: &Pages, number: u32, mut block: Box<Block>) -> Result<Box<Block>> {
        let info = self.info(pages, number)?;
        let (page, _) = self.stream.place(pages.payload_bytes(), info.bytes.start);
        let bad = |what: &str| pages.corrupt(page, what);
        let len = info.bytes.end - info.bytes.start; // a head at least (B1)
        if len > (BODY_HEAD_BYTES + BLOCK_BYTES_MAX) as u64 {
            return Err(bad("a block is longer than a block may be")); // B2
        }
        let out = block.refill();
        with_scratch(|bytes| {
            self.stream.read(pages, info.bytes.start, len as usize, bytes)?;
            let (head, rest) = bytes.split_at(BODY_HEAD_BYTES);
            let head = get_u32(head, 0).map_err(bad)?;
            if (head & !BODY_PACKED) as usize != rest.len() {
                return Err(bad("a block does not end where the next one begins")); // B1
            }
            if head & BODY_PACKED != 0 {
                return self.decoder.unpack(rest, BLOCK_BYTES_MAX, out).map_err(bad);
            }
            out.clear();
            out.extend_from_slice(rest);
            Ok(())
        })?;
        block.parse((*pages.id(), number), info.ordinals).map_err(bad)?;
        Ok(block)
    }

    /// Asks for the pages of the blocks of `ordinals` in one batch. Returns how many pages were asked for.
    pub fn prefetch(&self, pages: &Pages, ordinals: &[Ordinal]) -> usize {
        let (mut numbers, mut here) = (Vec::new(), 0..0);
        for &ordinal in ordinals.iter().filter(|&&o| o < self.records) {
            if here.contains(&ordinal) {
                continue;
            }
            let Ok(info) = self.find(pages, ordinal) else { break };
            let room = PREFETCH_PAGES_MAX - numbers.len();
            let (start, end) = (info.bytes.start, info.bytes.end);
            numbers.extend(self.stream.pages_of(pages, start, end).take(room));
            here = info.ordinals;
        }
        numbers.sort_unstable();
        numbers.dedup();
        pages.prefetch(&numbers)
    }
}
