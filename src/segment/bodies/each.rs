//! Bodies each for itself: a length, then the body, packed alone or as it came.
//!
//! ```text
//!   LOCATIONS[ordinal] -> offset -> | u32 packed, length | bytes ... | next
//!                                    within a page: borrowed; across pages: copied; packed: unpacked
//! ```
//!
//! Invariants Y1 and Y2 as in `bodies`.

use super::stream::Stream;
use super::{Body, Held, PREFETCH_PAGES_MAX};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Ordinal, Result};
use crate::segment::compression::{LazyDecoder, with_scratch};
use crate::segment::format::{BODY_HEAD_BYTES, BODY_PACKED, Region, get_u32, kind};
use crate::segment::numbers::Numbers;
use crate::segment::pages::Pages;

/// Bodies of which each has a location.
pub struct Each {
    stream: Stream,
    locations: Numbers,
    decoder: LazyDecoder,
}

/// What stands before a body.
#[derive(Clone, Copy)]
struct Head {
    len: usize,
    packed: bool,
}

impl Each {
    /// The stream of `bytes` bytes in `region`.
    pub fn new(region: Region, bytes: u64, locations: Numbers, decoder: LazyDecoder) -> Each {
        Each { stream: Stream { region, bytes }, locations, decoder }
    }

    /// Bytes in memory: the compression dictionary, once a packed body was read.
    pub fn memory_bytes(&self) -> usize {
        self.decoder.bytes()
    }

    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Pages of the compression dictionary, both copies.
    pub fn zdict_pages(&self) -> u32 {
        self.decoder.pages()
    }

    fn location(&self, pages: &Pages, ordinal: Ordinal) -> Result<u64> {
        let at = self.locations.get(pages, ordinal)?;
        self.check_location(pages, ordinal, at).map(|()| at)
    }

    /// What says where the body of `ordinal` is: its page, and the byte of it.
    pub fn place_of(&self, ordinal: Ordinal) -> (u32, usize) {
        self.locations.place_of(ordinal)
    }

    fn check_location(&self, pages: &Pages, ordinal: Ordinal, at: u64) -> Result<()> {
        if at.checked_add(BODY_HEAD_BYTES as u64).is_none_or(|end| end > self.stream.bytes) {
            let page = self.locations.page_of(ordinal);
            return Err(pages.corrupt(page, "a body's location lies outside the bodies"));
        }
        Ok(())
    }

    /// Hands `ordinals` to `f`, each with where its body begins in the stream.
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

    /// The body of `ordinal`.
    ///
    /// # Errors
    /// `Invalid` beyond the last record; `Io` and `Corrupt` as a page read says.
    pub fn get(&self, pages: &Pages, ordinal: Ordinal, previous: Body) -> Result<Body> {
        let at = self.location(pages, ordinal)?;
        self.read(pages, at, previous)
    }

    /// The body that begins at `at`, a location that was checked. `previous` gives its page, if that is
    /// the same one, and its memory.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn read(&self, pages: &Pages, at: u64, previous: Body) -> Result<Body> {
        let payload = pages.payload_bytes();
        let (number, within) = self.stream.place(payload, at);
        let Body { held, copy: mut spare } = previous;
        let page = match held {
            Held::Page(page, _) if pages.is(&page, number) => page,
            other => {
                drop(other); // first, so that a reader has one page pinned at a time
                pages.hint([(number, within)]);
                pages.hold(number, kind::BODIES)?
            }
        };
        let start = within + BODY_HEAD_BYTES;
        if start > payload {
            drop(page);
            let mut head = [0; BODY_HEAD_BYTES];
            self.stream.read_few(pages, at, &mut head)?;
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
            return Ok(Body { held: Held::Copy, copy: spare });
        }
        spare.clear();
        Ok(Body { held: Held::Page(page, range), copy: spare })
    }

    fn check(&self, pages: &Pages, at: u64, head: u32) -> Result<Head> {
        let (len, packed) = (head & !BODY_PACKED, head & BODY_PACKED != 0);
        let end = at + BODY_HEAD_BYTES as u64 + u64::from(len);
        if len as usize > RECORD_BYTES_MAX || end > self.stream.bytes {
            let (page, _) = self.stream.place(pages.payload_bytes(), at);
            return Err(pages.corrupt(page, "a body is longer than there are bytes"));
        }
        Ok(Head { len: len as usize, packed })
    }

    /// The body at `at`, which crosses pages.
    fn copy(&self, pages: &Pages, at: u64, head: Head, mut spare: Vec<u8>) -> Result<Body> {
        let start = at + BODY_HEAD_BYTES as u64;
        if head.packed {
            let (number, _) = self.stream.place(pages.payload_bytes(), at);
            with_scratch(|packed| {
                self.stream.read(pages, start, head.len, packed)?;
                self.unpack(pages, number, packed, &mut spare)
            })?;
        } else {
            self.stream.read(pages, start, head.len, &mut spare)?;
        }
        Ok(Body { held: Held::Copy, copy: spare })
    }

    fn unpack(&self, pages: &Pages, number: u32, packed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let unpacked = self.decoder.get(pages)?.unpack(packed, RECORD_BYTES_MAX, out);
        unpacked.map_err(|what| pages.corrupt(number, what))
    }

    /// Asks for the pages of `ordinals`, in two batches: where they are, and they. Returns how many pages were asked for.
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
            let end = next.map_or(Ok(self.stream.bytes), |next| self.location(pages, next));
            let Ok(end) = end else { return asked };
            if end > start {
                let room = PREFETCH_PAGES_MAX - numbers.len();
                numbers.extend(self.stream.pages_of(pages, start, end).take(room));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        asked += pages.prefetch(&numbers);
        asked
    }
}
