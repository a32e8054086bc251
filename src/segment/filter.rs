//! Filters over ids and over terms: most look-ups of what a segment does not have end here, in memory.
//!
//! ```text
//!   hash64(id or term) -> salted with the segment's name -> part -> three fingerprints, xored
//! ```
//!
//! The stream, once for ids and once for terms:
//!
//! | bytes | field |
//! | ---: | --- |
//! | 4 | parts; 0: no filter, everything may be there |
//! | each part: 8 | seed |
//! | 4 | slots of a segment of the part, a power of two |
//! | 4 | slots of the part less two such segments |
//! | slots | fingerprints of 8 bits |
//!
//! Invariants: X1. what was put in is always found; X2. the slots of a part are checked against its
//! descriptor before a fingerprint is read; X3. the salt keeps who chooses terms from choosing slots.
//! Built after Graf and Lemire, "Binary Fuse Filters" (2022), with the crate `xorf`. About 9 bits a key;
//! 0.4 % of absent keys pass. A part has at most 2^20 keys, so that building one takes 30 MB at most.

use super::format::{Decoded, Region, get_u32, get_u64, kind};
use super::pages::{PageWriter, Pages, StreamWriter};
use crate::base::{Result, SegmentId, hash64};
use std::ops::Range;
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};

/// Keys of one part.
const PART_KEYS_MAX: usize = 1 << 20;
const PART_HEAD_BYTES: usize = 16;
const DESCRIPTOR_BYTES: usize = <BinaryFuse8 as DmaSerializable>::DESCRIPTOR_LEN;

const _: () = assert!(DESCRIPTOR_BYTES == 20);

/// Turns a hash into this segment's filter key.
#[derive(Clone, Copy, Debug)]
pub struct Salt(u64, u64);

impl Salt {
    /// The salt of a segment: its name is not known to anybody before its terms are.
    pub fn new(id: SegmentId) -> Salt {
        let first = hash64(&id.0);
        // Through the hash once more: a name with a pattern in it makes a factor that mixes badly.
        Salt(first, hash64(&first.to_le_bytes()) | 1)
    }

    /// The key of something with this hash.
    pub fn key(self, hash: u64) -> u64 {
        let product = u128::from(hash ^ self.0) * u128::from(self.1);
        (product >> 64) as u64 ^ product as u64
    }
}

fn part_of(key: u64, parts: u32) -> usize {
    ((u128::from(key) * u128::from(parts)) >> 64) as usize
}

/// Writes a filter of `hashes`, which are used up. Without keys, or if one cannot be built, it is left
/// out, which costs page reads but no answer.
///
/// # Errors
/// As [`PageWriter::reserve`].
pub fn write_filter(
    out: &mut PageWriter,
    stream: &mut StreamWriter,
    salt: Salt,
    mut hashes: Vec<u64>,
) -> Result<()> {
    hashes.iter_mut().for_each(|h| *h = salt.key(*h));
    hashes.sort_unstable();
    hashes.dedup();
    let filters = build(&hashes).unwrap_or_else(|| {
        tracing::warn!(keys = hashes.len(), "a filter could not be built and is left out");
        Vec::new()
    });
    stream.write(out, &(filters.len() as u32).to_le_bytes())?;
    for filter in filters {
        let descriptor = &filter.descriptor;
        stream.write(out, &descriptor.seed.to_le_bytes())?;
        stream.write(out, &descriptor.segment_length.to_le_bytes())?;
        stream.write(out, &descriptor.segment_count_length.to_le_bytes())?;
        stream.write(out, &filter.fingerprints)?;
    }
    Ok(())
}

fn build(keys: &[u64]) -> Option<Vec<BinaryFuse8>> {
    // Keys are sorted and spread evenly, so a part is a slice and about as large as the others.
    let parts = keys.len().div_ceil(PART_KEYS_MAX) as u32;
    let mut rest = keys;
    let mut filters = Vec::with_capacity(parts as usize);
    for part in 0..parts as usize {
        let (now, later) = rest.split_at(rest.partition_point(|&k| part_of(k, parts) <= part));
        rest = later;
        filters.push(BinaryFuse8::try_from(now).ok()?);
    }
    Some(filters)
}

struct Part {
    descriptor: [u8; DESCRIPTOR_BYTES],
    slots: Range<usize>,
}

/// The filters of an open segment.
pub struct Filters {
    salt: Salt,
    bytes: Vec<u8>,
    ids: Vec<Part>,
    terms: Vec<Part>,
}

impl Filters {
    /// Reads the filters, `len` bytes in `region`, into memory, past the pool.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if a page or a descriptor does not hold.
    pub fn load(pages: &Pages, region: Region, len: u64, salt: Salt) -> Result<Filters> {
        // The region's pages are in the file (F1, F2), which bounds this allocation.
        let bytes = pages.read_past_pool(region, kind::FILTER, len)?;
        Filters::parse(bytes, salt).map_err(|what| pages.corrupt(region.first, what))
    }

    fn parse(bytes: Vec<u8>, salt: Salt) -> Decoded<Filters> {
        let mut at = 0;
        let ids = parse_parts(&bytes, &mut at)?;
        let terms = parse_parts(&bytes, &mut at)?;
        if at != bytes.len() {
            return Err("the filters have bytes left over");
        }
        Ok(Filters { salt, bytes, ids, terms })
    }

    /// Whether an id with this `hash64` may be in the segment.
    pub fn may_have_id(&self, hash: u64) -> bool {
        self.may_have(&self.ids, hash)
    }

    /// Whether a term with this `hash64` may be in the segment.
    pub fn may_have_term(&self, hash: u64) -> bool {
        self.may_have(&self.terms, hash)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn may_have(&self, parts: &[Part], hash: u64) -> bool {
        let key = self.salt.key(hash);
        let part = parts.get(part_of(key, parts.len() as u32));
        part.is_none_or(|part| {
            let fingerprints = &self.bytes[part.slots.clone()];
            BinaryFuse8Ref::from_dma(&part.descriptor, fingerprints).contains(&key)
        })
    }
}

/// Where the fingerprints of the filters of ids and of terms stand in their stream, a range for each part. For tools.
pub fn look_at_parts(bytes: &[u8]) -> Decoded<[Vec<Range<usize>>; 2]> {
    let mut at = 0;
    let slots = |parts: Vec<Part>| parts.into_iter().map(|part| part.slots).collect();
    let ids = parse_parts(bytes, &mut at)?;
    Ok([slots(ids), slots(parse_parts(bytes, &mut at)?)])
}

fn parse_parts(bytes: &[u8], at: &mut usize) -> Decoded<Vec<Part>> {
    let count = get_u32(bytes, *at)? as usize;
    *at += 4;
    if count > bytes.len() / PART_HEAD_BYTES {
        return Err("a filter has more parts than bytes");
    }
    (0..count).map(|_| parse_part(bytes, at)).collect()
}

fn parse_part(bytes: &[u8], at: &mut usize) -> Decoded<Part> {
    let (seed, segment) = (get_u64(bytes, *at)?, get_u32(bytes, *at + 8)?);
    let counted = get_u32(bytes, *at + 12)?;
    if !segment.is_power_of_two() || counted == 0 || !counted.is_multiple_of(segment) {
        return Err("a filter's descriptor is impossible");
    }
    // X2: the three slots of a key are below `counted`, and one and two segments behind.
    let slots = u64::from(counted) + 2 * u64::from(segment);
    let start = *at + PART_HEAD_BYTES;
    if slots > (bytes.len() - start) as u64 || slots > u64::from(u32::MAX) {
        return Err("a filter's fingerprints are cut off");
    }
    *at = start + slots as usize;
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    descriptor[..8].copy_from_slice(&seed.to_le_bytes());
    descriptor[8..12].copy_from_slice(&segment.to_le_bytes());
    descriptor[12..16].copy_from_slice(&(segment - 1).to_le_bytes());
    descriptor[16..].copy_from_slice(&counted.to_le_bytes());
    Ok(Part { descriptor, slots: start..*at })
}
