//! The answer of one side to a message of the other: a pure function, which needs nothing from before.
//!
//! For each range: the same fingerprint is skipped; another is split, into 16 fingerprints or into the ids
//! themselves; ids are answered with one's own ids of the range.
//!
//! R1. An answer has at most `frame_bytes`. What does not fit is said by one fingerprint of all the rest, which
//!     the other side comes back to.
//! R2. The work is that of reading the message and writing the answer: a fingerprint costs the same for any range.

use super::items::Items;
use super::message::{BOUND_BYTES_MAX, Bound, FINGERPRINT_BYTES, ID_BYTES, Malformed};
use super::message::{Mode, PROTOCOL_VERSION, Reader, Writer};
use std::ops::Range;

/// Ranges that one is split into.
const BUCKETS: usize = 16;
/// Ranges of fewer items are told by their ids.
const SPLIT_MIN: usize = 2 * BUCKETS;

/// Bytes of the largest piece of an answer that is not cut: a split range, or all ids of a small one.
const PIECE_BYTES_MAX: usize = if BUCKETS * FINGERPRINT_RANGE > SPLIT_MIN * ID_BYTES {
    BUCKETS * FINGERPRINT_RANGE
} else {
    SPLIT_MIN * ID_BYTES + BOUND_BYTES_MAX + 2
};
const FINGERPRINT_RANGE: usize = BOUND_BYTES_MAX + 1 + FINGERPRINT_BYTES;

/// The least frame: a piece, what is skipped before it, the fingerprint of the rest, and some ids.
pub const FRAME_BYTES_MIN: usize = 4096;
const _: () = assert!(FRAME_BYTES_MIN > 2 * PIECE_BYTES_MAX);

/// Answers `message` for the side that has `items`, in at most `frame_bytes` (or [`FRAME_BYTES_MIN`]). A message of
/// another version of the protocol is answered with the version alone, as is one that leaves nothing to say.
///
/// # Errors
/// [`Malformed`] if it is no message.
pub fn respond(items: &Items, message: &[u8], frame_bytes: usize) -> Result<Vec<u8>, Malformed> {
    let Some(mut reader) = Reader::new(message)? else { return Ok(vec![PROTOCOL_VERSION]) };
    // Up to here a piece still fits, and the fingerprint of the rest behind it.
    let full = frame_bytes.max(FRAME_BYTES_MIN) - PIECE_BYTES_MAX - 2 * FINGERPRINT_RANGE;
    let mut answer = Writer::new();
    let mut lower = 0;
    while let Some((bound, mode)) = reader.next()? {
        if answer.bytes() > full {
            answer.fingerprint(Bound::END, items.fingerprint(lower..items.len()));
            break;
        }
        let upper = items.lower_bound(lower, &bound);
        match mode {
            Mode::Skip => answer.skip(bound),
            Mode::Fingerprint(theirs) if theirs == items.fingerprint(lower..upper) => {
                answer.skip(bound);
            }
            Mode::Fingerprint(_) => split(items, lower..upper, bound, &mut answer),
            Mode::Ids(_) => {
                let fit = (full + PIECE_BYTES_MAX - answer.bytes() - BOUND_BYTES_MAX) / ID_BYTES;
                if fit < upper - lower {
                    // R1. The rest begins with the first id that is left out.
                    let next = items.keys()[lower + fit];
                    put_ids(
                        items,
                        lower..lower + fit,
                        Bound::before(next.time, next.id),
                        &mut answer,
                    );
                    let rest = items.fingerprint(lower + fit..items.len());
                    answer.fingerprint(Bound::END, rest);
                    break;
                }
                put_ids(items, lower..upper, bound, &mut answer);
            }
        }
        lower = upper;
    }
    Ok(answer.finish().0)
}

fn split(items: &Items, range: Range<usize>, bound: Bound, answer: &mut Writer) {
    let count = range.len();
    if count < SPLIT_MIN {
        return put_ids(items, range, bound, answer);
    }
    let mut from = range.start;
    for bucket in 0..BUCKETS {
        // As even as can be, the larger ones first.
        let to = from + count / BUCKETS + usize::from(bucket < count % BUCKETS);
        let end = match to == range.end {
            true => bound,
            false => {
                let (last, first) = (&items.keys()[to - 1], &items.keys()[to]);
                Bound::between((last.time, &last.id), (first.time, &first.id))
            }
        };
        answer.fingerprint(end, items.fingerprint(from..to));
        from = to;
    }
}

fn put_ids(items: &Items, range: Range<usize>, bound: Bound, answer: &mut Writer) {
    answer.ids(bound, items.keys()[range].iter().map(|key| &key.id));
}
