//! Pages brought into memory before anybody asks: those of a file that takes the place of others.
//!
//! ```text
//!   warm(range): read in large pieces --each page: claimed? checked, copied, published--> frames
//! ```
//!
//! W1. What is in memory, or on its way, is left alone. Reads go past the frames, so that one read brings many
//!     pages; each page is checked as always (I2 of `file`).
//!
//! Errors are those of the file; a pool without a free frame ends the warming early and is none.

use super::file::PagedFile;
use super::{Claim, format};
use crate::base::{Error, Result};
use crate::io::Buf;
use std::ops::Range;

/// Bytes of one read: a device gives these at once, and who reads a page meanwhile waits for one of them at most.
const READ_BYTES: usize = 128 << 10;

impl PagedFile {
    /// How many of its pages are in memory, or on their way there.
    pub fn resident_pages(&self) -> u32 {
        (0..self.pages()).filter(|&number| self.table.frame(number).is_some()).count() as u32
    }

    /// Brings the first of the pages `range` into memory, as many as one read gives, on this thread. With `keep`
    /// they count as pages that were used before, and a scan does not drive them out. Returns the pages that are
    /// left; empty if no frame is to be had.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if a page is not what was sealed.
    pub fn warm(&self, range: Range<u32>, keep: bool) -> Result<Range<u32>> {
        let page_bytes = self.payload_bytes() + format::PAGE_TRAILER_BYTES;
        let at_once = (READ_BYTES / page_bytes).max(1) as u32;
        let end = range.end.min(self.pages());
        let piece = range.start..end.min(range.start.saturating_add(at_once));
        let rest = piece.end.min(end)..end;
        if piece.clone().all(|number| self.table.frame(number).is_some()) {
            return Ok(rest); // W1
        }
        let mut buf = Buf::zeroed(piece.len() * page_bytes, self.file().align().max(page_bytes));
        self.file().read_at(self.offset(piece.start), &mut buf)?;
        for (number, bytes) in piece.zip(buf.chunks_exact(page_bytes)) {
            self.check(bytes, number)?;
            match self.claim(number, None, false) {
                Ok(Claim::Granted(mut taken, was_ghost)) => {
                    taken.bytes_mut().copy_from_slice(bytes);
                    self.publish_ahead(taken, number, keep || was_ghost);
                }
                Ok(Claim::Resident | Claim::Loading(..)) => {}
                Err(Error::Full { .. }) => return Ok(end..end),
                Err(error) => return Err(error),
            }
        }
        Ok(rest)
    }
}
