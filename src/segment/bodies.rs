//! Bodies: a byte stream of length-prefixed records, and the offset of each in a column.
//!
//! ```text
//!   LOCATIONS[ordinal] -> offset -> | u32 packed, length | bytes ... | next
//!                                    within a page: borrowed; across pages: copied; packed: unpacked
//! ```
//!
//! Invariants: Y1. a length over `RECORD_BYTES_MAX` or beyond the stream is `Corrupt`, so that no
//! damage allocates more; Y2. bodies stand in ordinal order.
//! Written by `body_writer`; what packed bytes are is `compression`'s to say.

use super::compression::{LazyDecoder, with_scratch};
use super::format::{BODY_HEAD_BYTES, BODY_PACKED, Region, get_u32, kind};
use super::numbers::Numbers;
use super::pages::Pages;
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Ordinal, Result};
use crate::pool::HeldPage;
use std::fmt;
use std::ops::{Deref, Range};

/// Pages that one call asks for ahead; more would push one another out of a small pool.
const PREFETCH_PAGES_MAX: usize = 512;

/// A record's body: a part of a page that stays pinned while it lives, or a copy. The default is empty.
#[derive(Default)]
pub struct Body {
    page: Option<(HeldPage, Range<usize>)>,
    /// The copy, or memory for a later one.
    copy: Vec<u8>,
}

impl Body {
    /// Gives back the memory that a copy would use, for the next call.
    pub fn into_spare(self) -> Vec<u8> {
        self.copy
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.page {
            Some((page, range)) => &page[range.clone()],
            None => &self.copy,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// The bodies of an open segment.
pub struct Bodies {
    region: Region,
    bytes: u64,
    locations: Numbers,
    decoder: LazyDecoder,
}

/// What stands before a body.
#[derive(Clone, Copy)]
struct Head {
    len: usize,
    packed: bool,
}

impl Bodies {
    /// The stream of `bytes` bytes in `region`.
    pub fn new(region: Region, bytes: u64, locations: Numbers, decoder: LazyDecoder) -> Bodies {
        Bodies { region, bytes, locations, decoder }
    }

    /// Bytes in memory: the compression dictionary, once a packed body was read.
    pub fn memory_bytes(&self) -> usize {
        self.decoder.bytes()
    }

    fn location(&self, pages: &Pages, ordinal: Ordinal) -> Result<u64> {
        let at = self.locations.get(pages, ordinal)?;
        self.check_location(pages, ordinal, at).map(|()| at)
    }

    /// The page that says where the body of `ordinal` is.
    pub fn page_of(&self, ordinal: Ordinal) -> u32 {
        self.locations.page_of(ordinal)
    }

    fn check_location(&self, pages: &Pages, ordinal: Ordinal, at: u64) -> Result<()> {
        if at.checked_add(BODY_HEAD_BYTES as u64).is_none_or(|end| end > self.bytes) {
            let page = self.locations.page_of(ordinal);
            return Err(pages.corrupt(page, "a body's location lies outside the bodies"));
        }
        Ok(())
    }

    /// Hands `ordinals` to `f`, each with where its body begins.
    ///
    /// # Errors
    /// As `get`; `f` has then had some of them.
    pub fn locations(
        &self,
        pages: &Pages,
        ordinals: &[Ordinal],
        mut f: impl FnMut(Ordinal, u64),
    ) -> Result<()> {
        let mut checked = Ok(());
        self.locations.get_each(pages, ordinals, |ordinal, at| {
            if checked.is_ok() {
                checked = self.check_location(pages, ordinal, at);
            }
            f(ordinal, at);
        })?;
        checked
    }

    /// The body of `ordinal`; `spare` is used if it has to be copied or unpacked.
    ///
    /// # Errors
    /// `Invalid` beyond the last record; `Io` and `Corrupt` as a page read says.
    pub fn get(&self, pages: &Pages, ordinal: Ordinal, spare: Vec<u8>) -> Result<Body> {
        let at = self.location(pages, ordinal)?;
        self.read(pages, at, Body { page: None, copy: spare })
    }

    /// The body that begins at `at`, a location that was checked. `previous` gives its page, if that is
    /// the same one, and its memory.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn read(&self, pages: &Pages, at: u64, previous: Body) -> Result<Body> {
        let payload = pages.payload_bytes();
        let (number, within) = self.place(payload, at);
        let Body { page: held, copy: mut spare } = previous;
        let page = match held {
            Some((page, _)) if pages.is(&page, number) => page,
            other => {
                drop(other); // first, so that a reader has one page pinned at a time
                pages.hold(number, kind::BODIES)?
            }
        };
        let start = within + BODY_HEAD_BYTES;
        if start > payload {
            drop(page);
            let mut head = [0; BODY_HEAD_BYTES];
            pages.read_stream(self.region, kind::BODIES, at, &mut head)?;
            let head = self.check(pages, at, u32::from_le_bytes(head))?;
            return self.copy(pages, at, head, spare);
        }
        let head = get_u32(&page, within).map_err(|what| pages.corrupt(number, what))?;
        let head = self.check(pages, at, head)?;
        let range = start..start + head.len;
        if range.end > payload {
            drop(page);
            return self.copy(pages, at, head, spare);
        }
        if head.packed {
            self.unpack(pages, number, &page[range], &mut spare)?;
            return Ok(Body { page: None, copy: spare });
        }
        spare.clear();
        Ok(Body { page: Some((page, range)), copy: spare })
    }

    /// The page of byte `at`, which is below `bytes`, and the byte in its payload.
    fn place(&self, payload: usize, at: u64) -> (u32, usize) {
        let (page, within) = (at / payload as u64, at % payload as u64);
        (self.region.first + page as u32, within as usize)
    }

    fn check(&self, pages: &Pages, at: u64, head: u32) -> Result<Head> {
        let (len, packed) = (head & !BODY_PACKED, head & BODY_PACKED != 0);
        let end = at + BODY_HEAD_BYTES as u64 + u64::from(len);
        if len as usize > RECORD_BYTES_MAX || end > self.bytes {
            let (page, _) = self.place(pages.payload_bytes(), at);
            return Err(pages.corrupt(page, "a body is longer than there are bytes"));
        }
        Ok(Head { len: len as usize, packed })
    }

    /// The body at `at`, which crosses pages.
    fn copy(&self, pages: &Pages, at: u64, head: Head, mut spare: Vec<u8>) -> Result<Body> {
        if head.packed {
            let (number, _) = self.place(pages.payload_bytes(), at);
            with_scratch(|packed| {
                self.bytes(pages, at, head.len, packed)?;
                self.unpack(pages, number, packed, &mut spare)
            })?;
        } else {
            self.bytes(pages, at, head.len, &mut spare)?;
        }
        Ok(Body { page: None, copy: spare })
    }

    fn bytes(&self, pages: &Pages, at: u64, len: usize, out: &mut Vec<u8>) -> Result<()> {
        let start = at + BODY_HEAD_BYTES as u64;
        let numbers = self.pages_of(pages, start, start + len as u64);
        if numbers.len() > 1 {
            pages.prefetch(&numbers.take(PREFETCH_PAGES_MAX).collect::<Vec<_>>());
        }
        out.clear();
        out.resize(len, 0);
        pages.read_stream(self.region, kind::BODIES, start, out)
    }

    fn unpack(&self, pages: &Pages, number: u32, packed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let unpacked = self.decoder.get(pages)?.unpack(packed, out);
        unpacked.map_err(|what| pages.corrupt(number, what))
    }

    /// The pages of bytes `start..end` of the stream.
    fn pages_of(&self, pages: &Pages, start: u64, end: u64) -> Range<u32> {
        let payload = pages.payload_bytes() as u64;
        let page = |at: u64| (at.min(self.bytes) / payload) as u32;
        let last = if end > start { page(end - 1) } else { page(start) };
        self.region.first + page(start)..self.region.first + last + 1
    }

    /// Asks for the pages of `ordinals` in one batch, best effort: whatever fails here is reported
    /// where the body is read. Returns how many pages were asked for.
    pub fn prefetch(&self, pages: &Pages, ordinals: &[Ordinal]) -> usize {
        let known = ordinals.iter().filter(|&&o| o < self.locations.items());
        let mut numbers: Vec<u32> = known.clone().map(|&o| self.locations.page_of(o)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(PREFETCH_PAGES_MAX);
        let mut asked = if numbers.len() > 1 { pages.prefetch(&numbers) } else { 0 };
        numbers.clear();
        for &ordinal in known {
            let Ok(start) = self.location(pages, ordinal) else { return asked };
            // Y2: the next body's start is this one's end.
            let next = (ordinal + 1 < self.locations.items()).then_some(ordinal + 1);
            let end = next.map_or(Ok(self.bytes), |next| self.location(pages, next));
            let Ok(end) = end else { return asked };
            if end > start {
                let room = PREFETCH_PAGES_MAX - numbers.len();
                numbers.extend(self.pages_of(pages, start, end).take(room));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        asked += pages.prefetch(&numbers);
        asked
    }
}
