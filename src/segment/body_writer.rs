//! Bodies going out: written as they come, held until there are enough to train a dictionary on, or gathered in blocks.
//!
//! ```text
//!   None    add --------------------------------------------------> BODIES
//!   Zstd    add -> [the first 6.4 MB] -> train -> pack each --------> BODIES
//!           add ------------------------------> pack ---------------^        finish -> ZDICT, twice
//!   Blocks  add -> [16 KiB] -> pack all together ------------------> BODIES
//! ```
//!
//! Invariant: bodies leave in the order they came in, so that locations ascend.
//! Memory: 8 bytes a record or 16 a block, and with compression 6.4 MB and a body, or two blocks.

use super::bodies::{BlockBuilder, to_item};
use super::columns::write_column;
use super::compression::{Compression, Encoder, LEVEL, LEVEL_FAST, SAMPLE_BYTES_MAX};
use super::format::{BLOCK_ENTRY_BYTES, BODY_HEAD_BYTES, BODY_PACKED, Region, kind};
use super::numbers::{width_for, write_numbers};
use super::pages::{PageWriter, StreamWriter};
use crate::base::{Ordinal, Result};

/// Writes the bodies of one segment.
pub struct BodyWriter {
    stream: StreamWriter,
    locations: Vec<u64>,
    blocks: Vec<(Ordinal, u64)>,
    records: u32,
    raw_bytes: u64,
    packing: Packing,
    zdict: Vec<u8>,
}

enum Packing {
    None,
    /// Bodies in a row, and the length of each.
    Sampling(Vec<u8>, Vec<usize>),
    Zstd(Box<Encoder>),
    Blocks(Box<Gathering>),
}

/// The block at hand.
struct Gathering {
    encoder: Encoder,
    block: BlockBuilder,
    /// The block in a row, once it is full.
    whole: Vec<u8>,
}

/// What is known once all bodies are written.
pub struct Written {
    /// Bytes in BODIES.
    pub bytes: u64,
    /// Bytes of all bodies, unpacked.
    pub raw_bytes: u64,
    /// Where each body begins, if not by block.
    locations: Vec<u64>,
    /// Of each block its first ordinal, and where it begins.
    pub blocks: Vec<(Ordinal, u64)>,
    by_block: bool,
    /// Bytes of the compression dictionary.
    pub zdict_bytes: u32,
    /// The stream's pages.
    pub bodies: Region,
    /// The pages of the two copies of the dictionary.
    pub zdict: Region,
}

impl Written {
    /// Bytes of an item of LOCATIONS.
    pub fn location_width(&self) -> u8 {
        if self.by_block { BLOCK_ENTRY_BYTES as u8 } else { width_for(self.bytes) }
    }

    /// Writes LOCATIONS.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn write_locations(&self, out: &mut PageWriter) -> Result<Region> {
        if self.by_block {
            return write_column(out, kind::LOCATIONS, self.blocks.iter().copied().map(to_item));
        }
        write_numbers(out, kind::LOCATIONS, self.location_width(), 0, &self.locations)
    }
}

impl BodyWriter {
    /// A writer of nothing yet.
    pub fn new(compression: Compression) -> BodyWriter {
        let gathering = |level| {
            let (encoder, block) = (Encoder::new(level, &[]), BlockBuilder::default());
            Packing::Blocks(Box::new(Gathering { encoder, block, whole: Vec::new() }))
        };
        BodyWriter {
            stream: StreamWriter::new(kind::BODIES),
            locations: Vec::new(),
            blocks: Vec::new(),
            records: 0,
            raw_bytes: 0,
            packing: match compression {
                Compression::None => Packing::None,
                Compression::Zstd => Packing::Sampling(Vec::new(), Vec::new()),
                Compression::Blocks => gathering(LEVEL),
                Compression::FastBlocks => gathering(LEVEL_FAST),
            },
            zdict: Vec::new(),
        }
    }

    /// Adds the next body.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn add(&mut self, out: &mut PageWriter, body: &[u8]) -> Result<()> {
        self.raw_bytes += body.len() as u64;
        match &mut self.packing {
            Packing::None | Packing::Zstd(_) => self.write(out, body)?,
            Packing::Sampling(samples, sizes) => {
                samples.extend_from_slice(body);
                sizes.push(body.len());
                if samples.len() >= SAMPLE_BYTES_MAX {
                    self.train(out)?;
                }
            }
            Packing::Blocks(gathering) => {
                if !gathering.block.has_room(body.len()) {
                    gathering.end(out, &mut self.stream, &mut self.blocks, self.records)?;
                }
                gathering.block.add(body);
            }
        }
        self.records += 1;
        Ok(())
    }

    /// Ends the sampling, and writes what it held back.
    fn train(&mut self, out: &mut PageWriter) -> Result<()> {
        let Packing::Sampling(samples, sizes) = &mut self.packing else { return Ok(()) };
        let (samples, sizes) = (std::mem::take(samples), std::mem::take(sizes));
        let (encoder, zdict) = Encoder::train(&samples, &sizes);
        self.packing = Packing::Zstd(Box::new(encoder));
        self.zdict = zdict;
        let mut rest = &samples[..];
        for size in sizes {
            let (body, later) = rest.split_at(size);
            self.write(out, body)?;
            rest = later;
        }
        Ok(())
    }

    fn write(&mut self, out: &mut PageWriter, body: &[u8]) -> Result<()> {
        self.locations.push(self.stream.bytes());
        let packed = match &mut self.packing {
            Packing::Zstd(encoder) => encoder.pack(body),
            Packing::None | Packing::Sampling(..) | Packing::Blocks(_) => None,
        };
        let (bytes, flag) = packed.map_or((body, 0), |packed| (packed, BODY_PACKED));
        append(&mut self.stream, out, bytes, flag)
    }

    /// Writes what was held back, and the dictionary. Pages before the first body are not the writer's.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn finish(mut self, out: &mut PageWriter) -> Result<Written> {
        self.train(out)?;
        if let Packing::Blocks(gathering) = &mut self.packing {
            gathering.end(out, &mut self.stream, &mut self.blocks, self.records)?;
        }
        let bodies = Region { first: 1, pages: out.next() - 1 };
        let first = out.next();
        for _copy in 0..2 {
            StreamWriter::new(kind::ZDICT).write(out, &self.zdict)?;
        }
        Ok(Written {
            bytes: self.stream.bytes(),
            raw_bytes: self.raw_bytes,
            locations: self.locations,
            blocks: self.blocks,
            by_block: matches!(self.packing, Packing::Blocks(_)),
            zdict_bytes: self.zdict.len() as u32,
            bodies,
            zdict: Region { first, pages: out.next() - first },
        })
    }
}

impl Gathering {
    /// Packs and writes the block at hand, if there is one. The next body will be that of `next`.
    fn end(
        &mut self,
        out: &mut PageWriter,
        stream: &mut StreamWriter,
        blocks: &mut Vec<(Ordinal, u64)>,
        next: Ordinal,
    ) -> Result<()> {
        let Gathering { encoder, block, whole } = self;
        if block.bodies() == 0 {
            return Ok(());
        }
        blocks.push((next - block.bodies(), stream.bytes()));
        block.finish(whole);
        let packed = encoder.pack(whole);
        let (bytes, flag) = packed.map_or((&whole[..], 0), |packed| (packed, BODY_PACKED));
        append(stream, out, bytes, flag)
    }
}

/// Writes a head, and `bytes`.
fn append(stream: &mut StreamWriter, out: &mut PageWriter, bytes: &[u8], flag: u32) -> Result<()> {
    let head: [u8; BODY_HEAD_BYTES] = (bytes.len() as u32 | flag).to_le_bytes();
    stream.write(out, &head)?;
    stream.write(out, bytes)
}
