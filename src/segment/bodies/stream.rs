//! The stream of bodies: which pages its bytes are on, and copies of a part of it.

use super::PREFETCH_PAGES_MAX;
use crate::base::Result;
use crate::segment::format::{Region, kind};
use crate::segment::pages::Pages;
use std::ops::Range;

/// The stream of `bytes` bytes in the pages of `region`, which are as many as that takes (F2).
#[derive(Clone, Copy)]
pub struct Stream {
    pub region: Region,
    pub bytes: u64,
}

impl Stream {
    /// The page of byte `at`, which is below `bytes`, and the byte in its payload.
    pub fn place(&self, payload: usize, at: u64) -> (u32, usize) {
        let (page, within) = (at / payload as u64, at % payload as u64);
        (self.region.first + page as u32, within as usize)
    }

    /// The pages of bytes `start..end` of the stream.
    pub fn pages_of(&self, pages: &Pages, start: u64, end: u64) -> Range<u32> {
        let payload = pages.payload_bytes() as u64;
        let page = |at: u64| (at.min(self.bytes) / payload) as u32;
        let last = if end > start { page(end - 1) } else { page(start) };
        self.region.first + page(start)..self.region.first + last + 1
    }

    /// Replaces `out` by `len` bytes from byte `start` on, which are within the stream. Pages that are not in memory are
    /// read together.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn read(&self, pages: &Pages, start: u64, len: usize, out: &mut Vec<u8>) -> Result<()> {
        let numbers = self.pages_of(pages, start, start + len as u64);
        if numbers.len() > 1 {
            pages.prefetch(&numbers.take(PREFETCH_PAGES_MAX).collect::<Vec<_>>());
        }
        out.clear();
        out.resize(len, 0);
        pages.read_stream(self.region, kind::BODIES, start, out)
    }

    /// Copies bytes from byte `start` on, as `read` does, without asking for pages ahead.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_few(&self, pages: &Pages, start: u64, out: &mut [u8]) -> Result<()> {
        pages.read_stream(self.region, kind::BODIES, start, out)
    }
}
