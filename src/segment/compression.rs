//! Compression of bodies: zstd, one body at a time with a dictionary trained on the segment's own, or by block without.
//!
//! ```text
//!   the first 6.4 MB of bodies --train--> dictionary, 64 KiB at most --> ZDICT
//!   body --zstd with it--> | varint bytes of the body | frame |       if that is a sixteenth shorter
//!   block ---zstd--------> | varint bytes of the block | frame |      likewise
//! ```
//!
//! A body that is packed alone waits for no neighbour's bytes: a point read unpacks what it asked for. What is read in
//! rows, and is much like its neighbours, goes by block: the model says which (`Model::bodies`).
//! The frame has no magic, size, checksum or dictionary id, which the page and the segment know better.
//!
//! Invariants: Z1. a length over the reader's limit is refused before memory is taken, and a frame that
//! gives another is; Z2. a segment's dictionary is digested once, by the first reader of a packed body;
//! Z3. one damaged page costs no more than the bodies in it: the dictionary is there twice.
//! An `Err` says what does not hold; the caller knows the page. Figures: `docs/decisions/0010-compression.md` and, of
//! blocks, `docs/decisions/0018-body-blocks.md`.

use super::format::{Decoded, Region, ZDICT_BYTES_MAX, kind};
use super::pages::Pages;
use crate::base::{Result, get_varint, put_varint};
use std::cell::RefCell;
use std::sync::OnceLock;
use zstd_safe::{CCtx, CParameter, DCtx, DDict, DParameter, FrameFormat, compress_bound};

/// Whether a segment's bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// No body is: what a flush writes, to be read soon and often.
    #[default]
    None = 0,
    /// By zstd, each body that it shortens by a sixteenth.
    Zstd = 1,
    /// By zstd, bodies in blocks, each block that it shortens by a sixteenth.
    Blocks = 2,
    /// As `Blocks`, with less effort: for a flush, which others wait for.
    FastBlocks = 3,
}

impl Compression {
    /// As the header has it; `None` of a number that is none.
    pub fn of(byte: u8) -> Option<Compression> {
        use Compression::{Blocks, FastBlocks, None, Zstd};
        [None, Zstd, Blocks, FastBlocks].into_iter().find(|&known| known as u8 == byte)
    }

    /// Whether bodies go by block.
    pub fn is_by_block(self) -> bool {
        matches!(self, Compression::Blocks | Compression::FastBlocks)
    }
}

/// zstd's effort. 1 is half again as fast and 5 % larger; 6 takes three times as long for 2 %.
pub const LEVEL: i32 = 3;

/// zstd's effort in a flush: 3 takes half again as long for 3 %.
pub const LEVEL_FAST: i32 = 1;

/// Bytes of bodies to train on, for a byte of dictionary.
const SAMPLES_A_BYTE: usize = 100;

/// Bytes of bodies to train on: those that come first, which did as well as a sample of all.
pub const SAMPLE_BYTES_MAX: usize = ZDICT_BYTES_MAX * SAMPLES_A_BYTE;

/// A dictionary below this is not worth its pages.
const ZDICT_BYTES_MIN: usize = 1024;

/// A packed body saves at least this part of itself, or reading it is not worth the time.
const SAVES_AT_LEAST: usize = 16;

/// Memory that a thread keeps for packed bodies that cross pages.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Packs bodies.
pub struct Encoder {
    context: CCtx<'static>,
    packed: Vec<u8>,
    frame: Vec<u8>,
}

impl Encoder {
    /// An encoder for bodies like `samples`, whose lengths are `sizes`, and its dictionary, empty if there
    /// are too few to learn from. Some 50 ms a megabyte.
    pub fn train(samples: &[u8], sizes: &[usize]) -> (Encoder, Vec<u8>) {
        let zdict = train(samples, sizes);
        (Encoder::new(LEVEL, &zdict), zdict)
    }

    /// An encoder of this effort, with a dictionary if that is not empty.
    pub fn new(level: i32, zdict: &[u8]) -> Encoder {
        let mut context = CCtx::create();
        let parameters = [
            CParameter::CompressionLevel(level),
            CParameter::Format(FrameFormat::Magicless),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ];
        let set = parameters.into_iter().all(|p| context.set_parameter(p).is_ok());
        assert!(set, "zstd has the parameters of its version");
        if !zdict.is_empty() {
            let loaded = context.load_dictionary(zdict).is_ok();
            assert!(loaded, "zstd takes the dictionary that it made");
        }
        Encoder { context, packed: Vec::new(), frame: Vec::new() }
    }

    /// The body, or block, packed, unless that saves too little.
    pub fn pack(&mut self, body: &[u8]) -> Option<&[u8]> {
        self.frame.clear();
        self.frame.reserve(compress_bound(body.len()));
        self.context.compress2(&mut self.frame, body).ok()?;
        self.packed.clear();
        put_varint(&mut self.packed, body.len() as u64);
        self.packed.extend_from_slice(&self.frame);
        let saves = self.packed.len() + body.len() / SAVES_AT_LEAST < body.len();
        saves.then_some(&self.packed)
    }
}

fn train(samples: &[u8], sizes: &[usize]) -> Vec<u8> {
    let bytes = (samples.len() / SAMPLES_A_BYTE).min(ZDICT_BYTES_MAX);
    let mut zdict = Vec::with_capacity(bytes);
    let trained = bytes >= ZDICT_BYTES_MIN
        && zstd_safe::train_from_buffer(&mut zdict, samples, sizes)
            .inspect_err(|&code| {
                let why = zstd_safe::get_error_name(code);
                tracing::debug!(why, "bodies are compressed without a dictionary");
            })
            .is_ok();
    if trained { zdict } else { Vec::new() }
}

/// Unpacks the bodies, or the blocks, of one segment.
pub struct Decoder {
    zdict: Option<DDict<'static>>,
}

thread_local! {
    /// A context is 160 KB and takes longer to make than a body to unpack.
    static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Decoder {
    /// A decoder with a dictionary, or without if it is empty.
    pub fn new(zdict: &[u8]) -> Decoded<Decoder> {
        if zdict.is_empty() {
            return Ok(Decoder::plain());
        }
        let digested = DDict::try_create(zdict).ok_or("the compression dictionary is none")?;
        Ok(Decoder { zdict: Some(digested) })
    }

    /// A decoder without a dictionary.
    pub fn plain() -> Decoder {
        Decoder { zdict: None }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.zdict.as_ref().map_or(0, DDict::sizeof)
    }

    /// Unpacks what becomes `limit` bytes at most into `out`, whose memory is used if there is enough.
    pub fn unpack(&self, mut packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Decoded<()> {
        out.clear();
        let len = get_varint(&mut packed).ok_or("a packed body is cut off")?;
        if len > limit as u64 {
            return Err("a packed body is longer than it may be"); // Z1
        }
        out.reserve_exact(len as usize);
        let unpacked = CONTEXT.with_borrow_mut(|context| {
            let context = context.get_or_insert_with(context_of_a_thread);
            match &self.zdict {
                Some(zdict) => context.decompress_using_ddict(out, packed, zdict),
                None => context.decompress(out, packed),
            }
        });
        if unpacked.is_ok_and(|n| n as u64 == len) {
            return Ok(());
        }
        out.clear();
        Err("a packed body does not unpack to its length")
    }
}

/// The decoder of an open segment, made when the first packed body is read.
pub struct LazyDecoder {
    /// The dictionary's two copies, one behind the other.
    region: Region,
    zdict_bytes: u32,
    decoder: OnceLock<Decoder>,
}

impl LazyDecoder {
    /// The decoder whose dictionary of `zdict_bytes` bytes lies in `region`, twice (F2). Reads nothing.
    pub fn new(region: Region, zdict_bytes: u32) -> LazyDecoder {
        LazyDecoder { region, zdict_bytes, decoder: OnceLock::new() }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.decoder.get().map_or(0, Decoder::bytes)
    }

    /// Pages of the dictionary, both copies.
    pub fn pages(&self) -> u32 {
        self.region.pages
    }

    /// The decoder. Reads the dictionary the first time: some 16 pages, from the copy if they are damaged.
    ///
    /// # Errors
    /// `Io` and `Corrupt`, of the first copy, if both cannot be read.
    pub fn get(&self, pages: &Pages) -> Result<&Decoder> {
        if let Some(decoder) = self.decoder.get() {
            return Ok(decoder);
        }
        let half = self.region.pages / 2;
        let first = Region { pages: half, ..self.region };
        let loaded = self.load(pages, first).or_else(|error| {
            tracing::warn!(%error, "a compression dictionary is damaged; its copy is used");
            let copy = Region { first: first.first + half, pages: half };
            self.load(pages, copy).map_err(|_| error)
        })?;
        Ok(self.decoder.get_or_init(|| loaded))
    }

    fn load(&self, pages: &Pages, region: Region) -> Result<Decoder> {
        let mut zdict = vec![0; self.zdict_bytes as usize];
        pages.read_stream(region, kind::ZDICT, 0, &mut zdict)?;
        Decoder::new(&zdict).map_err(|what| pages.corrupt(region.first, what))
    }
}

fn context_of_a_thread() -> DCtx<'static> {
    let mut context = DCtx::create();
    let set = context.set_parameter(DParameter::Format(FrameFormat::Magicless)).is_ok();
    assert!(set, "zstd has the parameters of its version");
    context
}

/// Lends the thread's scratch memory, empty. Where it is lent already, new memory.
pub fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.take();
    let result = f(&mut scratch);
    scratch.clear();
    scratch.shrink_to(SCRATCH_BYTES);
    SCRATCH.set(scratch);
    result
}
