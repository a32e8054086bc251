//! Bodies going out: written as they come, or held until there are enough to train a dictionary on.
//!
//! ```text
//!   None    add --------------------------------------------------> BODIES
//!   Zstd    add -> [the first 6.4 MB] -> train -> pack each --------> BODIES
//!           add ------------------------------> pack ---------------^        finish -> ZDICT, twice
//! ```
//!
//! Invariant: bodies leave in the order they came in, so that locations ascend.
//! Memory: 8 bytes a record, and with compression 6.4 MB and a body.

use super::compression::{Compression, Encoder, SAMPLE_BYTES_MAX};
use super::format::{BODY_HEAD_BYTES, BODY_PACKED, Region, kind};
use super::pages::{PageWriter, StreamWriter};
use crate::base::Result;

/// Writes the bodies of one segment.
pub struct BodyWriter {
    stream: StreamWriter,
    locations: Vec<u64>,
    raw_bytes: u64,
    packing: Packing,
    zdict: Vec<u8>,
}

enum Packing {
    None,
    /// Bodies in a row, and the length of each.
    Sampling(Vec<u8>, Vec<usize>),
    Zstd(Box<Encoder>),
}

/// What is known once all bodies are written.
pub struct Written {
    /// Bytes in BODIES.
    pub bytes: u64,
    /// Bytes of all bodies, unpacked.
    pub raw_bytes: u64,
    /// Where each body begins.
    pub locations: Vec<u64>,
    /// Bytes of the compression dictionary.
    pub zdict_bytes: u32,
    /// The stream's pages.
    pub bodies: Region,
    /// The pages of the two copies of the dictionary.
    pub zdict: Region,
}

impl BodyWriter {
    /// A writer of nothing yet.
    pub fn new(compression: Compression) -> BodyWriter {
        BodyWriter {
            stream: StreamWriter::new(kind::BODIES),
            locations: Vec::new(),
            raw_bytes: 0,
            packing: match compression {
                Compression::None => Packing::None,
                Compression::Zstd => Packing::Sampling(Vec::new(), Vec::new()),
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
        if let Packing::Sampling(samples, sizes) = &mut self.packing {
            samples.extend_from_slice(body);
            sizes.push(body.len());
            return if samples.len() < SAMPLE_BYTES_MAX { Ok(()) } else { self.train(out) };
        }
        self.write(out, body)
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
            Packing::None | Packing::Sampling(..) => None,
        };
        let (bytes, flag) = packed.map_or((body, 0), |packed| (packed, BODY_PACKED));
        let head: [u8; BODY_HEAD_BYTES] = (bytes.len() as u32 | flag).to_le_bytes();
        self.stream.write(out, &head)?;
        self.stream.write(out, bytes)
    }

    /// Writes what was held back, and the dictionary. Pages before the first body are not the writer's.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn finish(mut self, out: &mut PageWriter) -> Result<Written> {
        self.train(out)?;
        let bodies = Region { first: 1, pages: out.next() - 1 };
        let first = out.next();
        for _copy in 0..2 {
            StreamWriter::new(kind::ZDICT).write(out, &self.zdict)?;
        }
        Ok(Written {
            bytes: self.stream.bytes(),
            raw_bytes: self.raw_bytes,
            locations: self.locations,
            zdict_bytes: self.zdict.len() as u32,
            bodies,
            zdict: Region { first, pages: out.next() - first },
        })
    }
}
