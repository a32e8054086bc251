//! What has to hold of a block of bodies, damaged or forged behind a right checksum, for fuzzing.

use super::block::Block;
use crate::segment::compression::{Decoder, Encoder, LEVEL_FAST};
use std::cell::RefCell;

/// Bytes that a block may unpack to.
const UNPACKED_BYTES_MAX: usize = 3_000;

/// The bodies of a block lie in it one behind the other to its end, and nothing unpacks to more than it may.
pub(crate) fn segment_bodies(bytes: &[u8]) {
    thread_local! {
        static PLAIN: Decoder = Decoder::plain();
        static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new(LEVEL_FAST, &[]));
    }
    let Some((count, contents)) = bytes.split_first() else { return };
    check_block(contents, u32::from(*count));
    let mut out = Vec::new();
    if PLAIN.with(|plain| plain.unpack(contents, UNPACKED_BYTES_MAX, &mut out)).is_ok() {
        assert!(out.len() <= UNPACKED_BYTES_MAX);
        check_block(&out, u32::from(*count));
    } else {
        assert!(out.is_empty());
    }
    assert!(out.capacity() <= UNPACKED_BYTES_MAX);
    if count % 16 == 0 {
        let packed = ENCODER.with_borrow_mut(|encoder| encoder.pack(contents).map(<[u8]>::to_vec));
        if let Some(packed) = packed {
            let unpacked = PLAIN.with(|plain| plain.unpack(&packed, contents.len(), &mut out));
            assert!(unpacked.is_ok() && out == contents);
        }
    }
}

fn check_block(contents: &[u8], bodies: u32) {
    let first = 70;
    let mut block = Block::default();
    block.refill().extend_from_slice(contents);
    if block.parse(([1; 16], 2), first..first + bodies).is_err() {
        return assert!(!block.is(&[1; 16], 2));
    }
    let mut end = None;
    for ordinal in first..first + bodies {
        let place = block.place(ordinal).expect("a body of the block");
        assert!(end.is_none_or(|end| end == place.start) && place.start <= place.end);
        end = Some(place.end);
    }
    assert!(end.is_none_or(|end| end == contents.len()));
    assert!(block.place(first - 1).is_none() && block.place(first + bodies).is_none());
}
