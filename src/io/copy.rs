//! The bytes of one file written to another: what a link is where names cannot be shared.

use super::{Buf, File};
use crate::base::Result;

/// Bytes of one transfer.
const CHUNK_BYTES: u64 = 1 << 20;

/// Copies `source` to `target` and syncs it. What does not fill a unit of alignment at the end is padded
/// with zeros.
///
/// # Errors
/// `Io`.
pub(super) fn whole(source: &dyn File, target: &dyn File) -> Result<()> {
    let align = source.align().max(target.align());
    let mut buf = Buf::zeroed(CHUNK_BYTES as usize, align);
    let (len, unit) = (source.len(), source.align() as u64);
    // A file that ends inside a unit cannot be read to its end past the page cache.
    let readable = len - len % unit;
    let mut at = 0;
    while at < readable {
        let bytes = CHUNK_BYTES.min(readable - at) as usize;
        buf.set_len(bytes.next_multiple_of(align));
        buf.fill(0);
        source.read_at(at, &mut buf[..bytes])?;
        target.write_at(at, &buf)?;
        at += bytes as u64;
    }
    target.sync()
}
