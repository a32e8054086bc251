//! The body of a request: read whole, unpacked, and never larger than it may be.
//!
//! ```text
//!   frames --(room of the collector)--> packed bytes --gzip--> bytes     each at most request_bytes
//! ```
//!
//! I1. What is held is paid for: bytes are kept only with permits of the collector's room for them.
//! I2. What cannot be kept is read on and dropped, up to [`DRAIN_BYTES_MAX`]: a connection that is closed with
//!     bytes unread is reset, and the reset overtakes the answer that says why.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::Read;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that are read and dropped at most.
const DRAIN_BYTES_MAX: usize = 64 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It has more bytes than a request may have.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// The connection ended.
    Broken,
    /// It is not packed as it says.
    Corrupt,
}

/// A body, and the room that it takes.
pub(super) struct Held<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) room: SemaphorePermit<'a>,
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read(
    mut body: Incoming,
    most: usize,
    room: &Semaphore,
) -> Result<Held<'_>, Unread> {
    let Ok(permit) = room.try_acquire_many(0) else { return Err(Unread::NoRoom) };
    let mut held = Held { bytes: Vec::new(), room: permit };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if let Err(unread) = held.push(&data, most, room) {
            drop(held);
            drain(body).await;
            return Err(unread);
        }
    }
    Ok(held)
}

impl<'a> Held<'a> {
    fn push(&mut self, data: &Bytes, most: usize, room: &'a Semaphore) -> Result<(), Unread> {
        if self.bytes.len() + data.len() > most {
            return Err(Unread::TooLarge);
        }
        let more = u32::try_from(data.len()).map_err(|_| Unread::TooLarge)?;
        let permit = room.try_acquire_many(more).map_err(|_| Unread::NoRoom)?;
        self.room.merge(permit);
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

async fn drain(mut body: Incoming) {
    let mut drained = 0;
    while drained < DRAIN_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// Unpacks gzip, to at most `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    // One more, so that what is too large is seen.
    let mut unpacked = MultiGzDecoder::new(packed).take(most as u64 + 1);
    unpacked.read_to_end(&mut bytes).map_err(|_| Unread::Corrupt)?;
    if bytes.len() > most { Err(Unread::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    pub(in crate::collect) fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        let bytes = vec![7; 100_000];
        let packed = packed(&bytes);
        assert!(packed.len() < 2000);
        assert_eq!(unpack(&packed, bytes.len()), Ok(bytes.clone()));
        assert_eq!(unpack(&packed, bytes.len() - 1), Err(Unread::TooLarge));
        assert_eq!(unpack(&packed[..packed.len() - 9], bytes.len()), Err(Unread::Corrupt));
        assert_eq!(unpack(b"no gzip", 100), Err(Unread::Corrupt));
        let twice = [&packed[..], &packed].concat();
        assert_eq!(unpack(&twice, 1 << 20).map(|bytes| bytes.len()), Ok(200_000));
    }
}
