//! What has to hold of the bytes on a websocket where compression was agreed on, for fuzzing.

use super::{Frames, HEAD_BYTES_MAX};
use crate::relay::deflate::Deflate;
use std::cell::RefCell;
use std::rc::Rc;

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 600;

/// However the bytes are cut when they come, what is passed on is the same, and no more than a message is ever held.
pub(crate) fn websocket(bytes: &[u8]) {
    thread_local! {
        static DEFLATE: Rc<RefCell<Deflate>> = Rc::new(RefCell::new(Deflate::new()));
    }
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let deflate = DEFLATE.with(Rc::clone);
    let whole = passed_on(deflate.clone(), bytes, bytes.len().max(1));
    if bytes.len() > usize::from(*cut) {
        let pieces = passed_on(deflate, bytes, usize::from(*cut) % 64 + 1);
        assert!(whole == pieces, "{whole:02x?}\n{pieces:02x?}");
    }
}

/// What is passed on of bytes that come in pieces of this length.
fn passed_on(deflate: Rc<RefCell<Deflate>>, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut frames = Frames::new(deflate, MESSAGE_BYTES_MAX);
    let mut out = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        loop {
            let taken = frames.take(rest);
            rest = &rest[taken..];
            let held = frames.message.as_ref().map_or(0, |(_, message)| message.len());
            assert!(held <= MESSAGE_BYTES_MAX && frames.head.len() < HEAD_BYTES_MAX);
            assert!(frames.plain.len() <= piece.len() + MESSAGE_BYTES_MAX + HEAD_BYTES_MAX);
            if frames.plain.is_empty() {
                assert!(rest.is_empty(), "bytes are left over");
                break;
            }
            out.append(&mut frames.plain);
        }
    }
    out
}
