//! Codecs of ascending ordinals: 128 of them bit-packed, or fewer as delta varints.
//!
//! A packed block stores `value - previous - 1` of each ordinal in as many bits as the largest needs;
//! consecutive ordinals take no bits at all. What stands before a block's first ordinal is known to
//! whoever reads it (`before`), so that blocks decode independently of one another.
//!
//! Invariant B1: whatever the bytes, a decoder yields strictly ascending values above `before` or
//! says what does not hold.
//! Built after the layout of Lemire's simdcomp (crate `bitpacking`), strictly sorted form.

use crate::base::{get_varint, put_varint};
use crate::segment::format::Decoded;
use bitpacking::{BitPacker, BitPacker4x};

/// Ordinals in a packed block.
pub const BLOCK: usize = 128;

const _: () = assert!(BLOCK == BitPacker4x::BLOCK_LEN);

/// Packed bytes of a block of `bits` bits an ordinal.
pub const fn packed_bytes(bits: u8) -> usize {
    bits as usize * (BLOCK / 8)
}

/// Bits an ordinal that `values`, behind `before`, needs.
pub fn bits_for(before: Option<u32>, values: &[u32; BLOCK]) -> u8 {
    BitPacker4x::new().num_bits_strictly_sorted(before, values)
}

/// Appends `values` packed with `bits` bits each.
pub fn pack(before: Option<u32>, values: &[u32; BLOCK], bits: u8, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + packed_bytes(bits), 0);
    BitPacker4x::new().compress_strictly_sorted(before, values, &mut out[start..], bits);
}

/// Unpacks a block whose last ordinal is known to be `last`.
pub fn unpack(
    before: Option<u32>,
    last: u32,
    bits: u8,
    packed: &[u8],
    out: &mut [u32; BLOCK],
) -> Decoded<()> {
    if bits > 32 || packed.len() < packed_bytes(bits) {
        return Err("a packed block is cut off");
    }
    BitPacker4x::new().decompress_strictly_sorted(before, packed, out, bits);
    let ascending = out.windows(2).fold(true, |yes, w| yes & (w[0] < w[1])); // B1
    if !ascending || before.is_some_and(|b| b >= out[0]) || out[BLOCK - 1] != last {
        return Err("a packed block does not ascend to its last ordinal");
    }
    Ok(())
}

/// Appends `values` as varints of the gaps between them.
pub fn put_gaps(before: Option<u32>, values: &[u32], out: &mut Vec<u8>) {
    let mut next = before.map_or(0, |b| u64::from(b) + 1);
    for &value in values {
        put_varint(out, u64::from(value) - next);
        next = u64::from(value) + 1;
    }
}

/// Reads `out.len()` ordinals and moves `input` behind them.
pub fn get_gaps(before: Option<u32>, input: &mut &[u8], out: &mut [u32]) -> Decoded<()> {
    let mut next = before.map_or(0, |b| u64::from(b) + 1);
    for slot in out {
        let gap = get_varint(input).ok_or("a gap between ordinals is cut off")?;
        let value = next.checked_add(gap).and_then(|v| u32::try_from(v).ok());
        *slot = value.ok_or("an ordinal is over 32 bits")?;
        next = u64::from(*slot) + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(start: u32, step: u32) -> [u32; BLOCK] {
        std::array::from_fn(|i| start + i as u32 * step)
    }

    #[test]
    fn a_block_reads_back_at_every_width() {
        for (before, values) in [
            (None, block(0, 1)),
            (Some(9), block(10, 1)),
            (Some(0), block(1, 2)),
            (Some(7), block(1000, 3)),
            (None, block(5, 33_000_000)),
            (Some(u32::MAX - 200), block(u32::MAX - 127, 1)),
        ] {
            let bits = bits_for(before, &values);
            let mut packed = Vec::new();
            pack(before, &values, bits, &mut packed);
            assert_eq!(packed.len(), packed_bytes(bits));
            let mut out = [0; BLOCK];
            unpack(before, values[127], bits, &packed, &mut out).unwrap();
            assert_eq!(out, values);
            assert!(unpack(before, values[127] - 1, bits, &packed, &mut out).is_err());
            if bits > 0 {
                assert!(unpack(before, values[127], bits, &packed[1..], &mut out).is_err());
            }
        }
        assert_eq!(bits_for(Some(9), &block(10, 1)), 0, "consecutive ordinals take no bits");
    }

    #[test]
    fn a_block_that_wraps_around_is_refused() {
        let mut out = [0; BLOCK];
        let packed = [0xff; 512];
        assert!(unpack(None, 127, 32, &packed, &mut out).is_err());
        assert!(unpack(Some(u32::MAX - 5), 121, 0, &[], &mut out).is_err());
        assert!(unpack(None, 127, 33, &packed, &mut out).is_err());
        assert!(unpack(None, 127, 0, &[], &mut out).is_ok());
    }

    #[test]
    fn gaps_read_back_and_refuse_overflow() {
        for (before, values) in
            [(None, vec![0, 1, 5, u32::MAX]), (Some(4), vec![5]), (None, vec![]), (None, vec![300])]
        {
            let mut bytes = Vec::new();
            put_gaps(before, &values, &mut bytes);
            let mut out = vec![0; values.len()];
            let mut input = &bytes[..];
            get_gaps(before, &mut input, &mut out).unwrap();
            assert_eq!(out, values);
            assert!(input.is_empty());
            let mut more = vec![0; values.len() + 1];
            assert!(get_gaps(before, &mut &bytes[..], &mut more).is_err());
        }
        assert!(get_gaps(Some(u32::MAX), &mut &[0u8][..], &mut [0]).is_err());
        assert!(get_gaps(None, &mut &[0xff; 20][..], &mut [0]).is_err());
    }
}
