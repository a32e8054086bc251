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

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What is answered to an offer that is accepted.
pub(super) const ACCEPTED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Messages below this are sent as they are: most are answers of a few words, or single notes that each
/// client would have to be given a compressed copy of.
const COMPRESSED_BYTES_MIN: usize = 1024;

/// What ends every message and is not sent: an empty stored block.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

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
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate {
            compress: Compress::new(Compression::fast(), false),
            decompress: Decompress::new(false),
        }
    }

    /// The payload of a message in its compressed form, if that is worth it.
    pub(super) fn smaller(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() < COMPRESSED_BYTES_MIN {
            return None;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

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
