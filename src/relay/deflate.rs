//! permessage-deflate (RFC 7692): what is agreed with a client, and messages smaller and larger again.
//!
//! ```text
//!   offer:   permessage-deflate; client_max_window_bits, ...
//!   answer:  permessage-deflate; server_no_context_takeover; client_no_context_takeover
//! ```
//!
//! I1. No message needs another: neither side takes its window over. So one compressor and one
//!     decompressor serve all clients of a thread, and a client costs no memory for them.
//! I2. What comes out of a message is never longer than the limit on messages, and stops there.
//! I3. An event that many clients of a thread are sent is compressed once: its messages differ in the subscription's id
//!     only, which goes before it in a block of its own, as it is. No block looks back into the one before.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::collections::VecDeque;

/// What is answered to an offer that is accepted.
pub(super) const ACCEPTED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Messages below this are sent as they are: most are answers of a few words, or single notes that each
/// client would have to be given a compressed copy of.
const COMPRESSED_BYTES_MIN: usize = 1024;

/// What ends every message and is not sent: an empty stored block.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Events whose compressed form a thread keeps: as many as come between the first and the last client's turn.
const KEPT_MAX: usize = 8;
/// Bytes of these, plain and compressed.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Whether one of the offers of a `Sec-WebSocket-Extensions` header can be accepted.
pub(super) fn is_offered(header: &str) -> bool {
    header.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let mut seen = Vec::new();
        parts.next() == Some("permessage-deflate")
            && parts.all(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let (name, value) = (name.trim(), value.trim().trim_matches('"'));
                let is_new = !seen.contains(&name);
                seen.push(name);
                let bits = || value.parse::<u8>().is_ok_and(|bits| (8..=15).contains(&bits));
                is_new
                    && match name {
                        "server_no_context_takeover" | "client_no_context_takeover" => {
                            value.is_empty()
                        }
                        // Any window of the client's is within ours; ours cannot be made smaller.
                        "client_max_window_bits" => value.is_empty() || bits(),
                        "server_max_window_bits" => value == "15",
                        _ => false,
                    }
            })
    })
}

/// Why a message cannot be made larger again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unfit {
    /// It would pass the limit (I2).
    TooLarge,
    /// It is not what a compressor makes.
    Corrupt,
}

/// Both directions, for all clients of one thread (I1).
pub(super) struct Deflate {
    compress: Compress,
    decompress: Decompress,
    /// The newest last (I3).
    kept: VecDeque<Kept>,
    kept_bytes: usize,
}

/// The end of a message, from the event on, and its compressed form, if that is worth it.
struct Kept {
    plain: Box<[u8]>,
    small: Option<Box<[u8]>>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.plain.len() + self.small.as_ref().map_or(0, |small| small.len())
    }
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate {
            compress: Compress::new(Compression::fast(), false),
            decompress: Decompress::new(false),
            kept: VecDeque::new(),
            kept_bytes: 0,
        }
    }

    /// The payload of a message in its compressed form, if that is worth it.
    pub(super) fn smaller(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() < COMPRESSED_BYTES_MIN {
            return None;
        }
        let Some(at) = event_begins(message) else { return self.squeezed(message) };
        let (head, event) = message.split_at(at);
        let small = self.shared(event)?;
        // A stored block: its kind, its length twice, its bytes.
        let length = u16::try_from(head.len()).ok()?.to_le_bytes();
        let mut out = Vec::with_capacity(5 + head.len() + small.len());
        out.extend([0, length[0], length[1], !length[0], !length[1]]);
        out.extend_from_slice(head);
        out.extend_from_slice(small);
        (out.len() < message.len()).then_some(out)
    }

    /// As [`Deflate::squeezed`], once for all who ask in a row (I3).
    fn shared(&mut self, plain: &[u8]) -> Option<&[u8]> {
        let found = self.kept.iter().rposition(|kept| *kept.plain == *plain);
        let index = match found {
            Some(index) => index,
            None => {
                let small = self.squeezed(plain).map(Vec::into_boxed_slice);
                let kept = Kept { plain: plain.into(), small };
                self.kept_bytes += kept.bytes();
                self.kept.push_back(kept);
                // The new one stays, whatever its length, until the next comes.
                while self.kept.len() > KEPT_MAX
                    || self.kept_bytes > KEPT_BYTES_MAX && self.kept.len() > 1
                {
                    self.kept_bytes -= self.kept.pop_front().map_or(0, |old| old.bytes());
                }
                self.kept.len() - 1
            }
        };
        self.kept[index].small.as_deref()
    }

    /// The compressed form, if it is smaller.
    fn squeezed(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.compress.reset();
        // With less room than the message takes, what does not get smaller is given up in time.
        let mut out = Vec::with_capacity(message.len());
        self.compress.compress_vec(message, &mut out, FlushCompress::Sync).ok()?;
        let whole = self.compress.total_in() == message.len() as u64 && out.len() < out.capacity();
        out.truncate(out.strip_suffix(&TAIL)?.len());
        whole.then_some(out)
    }

    /// The message of a compressed payload, of `bytes_max` at most.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(super) fn larger(
        &mut self,
        mut payload: Vec<u8>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Unfit> {
        payload.extend_from_slice(&TAIL);
        self.decompress.reset(false);
        // One more than is allowed shows that there is more.
        let mut out = Vec::with_capacity((4 * payload.len()).min(bytes_max + 1));
        loop {
            let (taken, made) = (self.decompress.total_in() as usize, out.len());
            let step =
                self.decompress.decompress_vec(&payload[taken..], &mut out, FlushDecompress::Sync);
            let status = step.map_err(|_| Unfit::Corrupt)?;
            if out.len() > bytes_max {
                return Err(Unfit::TooLarge);
            }
            let all_taken = self.decompress.total_in() as usize == payload.len();
            if status == Status::StreamEnd || all_taken && out.len() < out.capacity() {
                return Ok(out);
            }
            if out.len() == out.capacity() {
                let room = out.capacity().max(1024).min(bytes_max + 1 - out.len());
                out.reserve_exact(room);
            } else if self.decompress.total_in() as usize == taken && out.len() == made {
                return Err(Unfit::Corrupt);
            }
        }
    }
}

/// Where the event begins in a message that sends one.
fn event_begins(message: &[u8]) -> Option<usize> {
    let id = message.strip_prefix(b"[\"EVENT\",\"")?;
    // A subscription's id cannot be so long, even escaped.
    let id = &id[..id.len().min(512)];
    let end = id.windows(3).position(|bytes| bytes == b"\",{")?;
    Some(message.len().min(b"[\"EVENT\",\"".len() + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    #[test]
    fn an_event_is_compressed_once_for_all_subscriptions() {
        let mut deflate = Deflate::new();
        let mut rng = Rng::new(7);
        let event =
            |n: usize| format!("{{\"id\":{n},\"content\":\"{}\"}}]", "words ".repeat(400 + n));
        let message = |id: &str, n: usize| format!("[\"EVENT\",{id},{}", event(n)).into_bytes();
        let ids = ["\"a\"", "\"\"", "\"other\\\"one\"", "\"\\\",{\""];
        for _ in 0..200 {
            let (id, n) = (ids[rng.below(4) as usize], rng.below(12) as usize);
            let small = deflate.smaller(&message(id, n)).unwrap();
            assert!(small.len() < 200);
            assert_eq!(deflate.larger(small, 10_000), Ok(message(id, n)));
            assert!(deflate.kept.len() <= KEPT_MAX);
            assert_eq!(deflate.kept_bytes, deflate.kept.iter().map(Kept::bytes).sum::<usize>());
        }
        // What is kept is what is sent.
        deflate.smaller(&message(ids[0], 50)).unwrap();
        deflate.kept.back_mut().unwrap().small = Some(Box::new(*b"mark"));
        assert!(deflate.smaller(&message(ids[2], 50)).unwrap().ends_with(b"mark"));
        // Of large ones few are kept, and what does not get smaller is not tried again.
        let mut deflate = Deflate::new();
        for _ in 0..4 {
            let mut noise = vec![0; 600 << 10];
            rng.fill(&mut noise);
            let large = [&b"[\"EVENT\",\"a\",{"[..], &noise].concat();
            assert_eq!(deflate.smaller(&large), None);
            assert!(deflate.kept.len() == 1 && deflate.kept[0].small.is_none());
        }
    }

    #[test]
    fn offers_are_read_as_the_standard_has_it() {
        for good in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits=\"10\"",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=15",
        ] {
            assert!(is_offered(good), "{good}");
        }
        for bad in [
            "",
            "permessage-bzip2",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
        ] {
            assert!(!is_offered(bad), "{bad}");
        }
    }

    #[test]
    fn what_gets_smaller_comes_back_and_the_rest_is_left_alone() {
        let mut deflate = Deflate::new();
        let mut rng = Rng::new(5);
        for length in [1024, 1025, 5_000, 40_000, 131_072] {
            let text: Vec<u8> = (0..length).map(|_| b"abcd \""[rng.below(6) as usize]).collect();
            let small = deflate.smaller(&text).unwrap();
            assert!(small.len() < length / 2, "{} of {length}", small.len());
            assert_eq!(deflate.larger(small.clone(), length), Ok(text));
            assert_eq!(deflate.larger(small, length - 1), Err(Unfit::TooLarge));
            let mut noise = vec![0; length];
            rng.fill(&mut noise);
            assert_eq!(deflate.smaller(&noise), None);
        }
        assert_eq!(deflate.smaller(&[b'x'; 1023]), None);
        assert_eq!(deflate.larger(vec![0], 10), Ok(vec![]));
        // "Hello", from RFC 7692, 7.2.3.1 and 7.2.3.2, and with the final bit, 7.2.3.4.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(deflate.larger(hello.to_vec(), 5), Ok(b"Hello".to_vec()));
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(deflate.larger(stored.to_vec(), 5), Ok(b"Hello".to_vec()));
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(deflate.larger(last.to_vec(), 5), Ok(b"Hello".to_vec()));
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_noise_is_no_panic() {
        let mut deflate = Deflate::new();
        let bomb = deflate.smaller(&vec![b'x'; 50 << 20]).unwrap();
        assert!(bomb.len() < 512 << 10);
        assert_eq!(deflate.larger(bomb, 131_072), Err(Unfit::TooLarge));
        let mut rng = Rng::new(6);
        for _ in 0..20_000 {
            let mut noise = vec![0; rng.below(40) as usize];
            rng.fill(&mut noise);
            if let Ok(out) = deflate.larger(noise, 1_000) {
                assert!(out.len() <= 1_000);
            }
        }
        assert_eq!(deflate.larger(vec![0xff; 10], 1_000), Err(Unfit::Corrupt));
    }
}
