//! Pages going out in one pass, and pages coming in through the pool.
//!
//! ```text
//!   reserve -> [ window of 64 pages, numbered from `first` ] -> sealed, one write -> file
//!                ^ payload_mut, as long as the page is in the window
//! ```
//!
//! Invariants: W1. pages get ascending numbers from 1 and each is written once; page 0 is written last.
//! W2. a page may be filled until the window leaves, so that a shared page needs no second write.
//! Errors of the reading side carry the offset of the page that does not hold.

use super::format::{Region, field, kind, payload_bytes};
use crate::base::{Error, Result, planted};
use crate::io::{Buf, File};
use crate::pool::format::{PAGE_TRAILER_BYTES, check_page, seal_page};
use crate::pool::{HeldPage, Page, PagedFile, Part};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Pages written at once: 256 KiB of the smallest pages saturate the device.
const WINDOW_PAGES: usize = 64;
/// Pages that the window begins with; it doubles as they fill. The segments of small stores need no more.
const FIRST_PAGES: usize = 8;
/// Bytes read at once beside the pool: what a device reads in one go.
const READ_BYTES: usize = 1 << 20;
const OTHER_KIND: &str = "a page of another kind stands where this one is referred to";

/// Appends sealed pages to a file.
pub struct PageWriter {
    file: Arc<dyn File>,
    id: [u8; 16],
    page_bytes: usize,
    window: Buf,
    /// Kinds of the pages in the window, and the number of the first of them.
    kinds: Vec<u32>,
    first: u32,
}

impl PageWriter {
    /// Writes to `file`, from page 1 on.
    pub fn new(file: Arc<dyn File>, id: [u8; 16], page_bytes: usize) -> PageWriter {
        let window = Buf::zeroed(FIRST_PAGES * page_bytes, file.align().max(page_bytes));
        let kinds = Vec::with_capacity(WINDOW_PAGES);
        PageWriter { file, id, page_bytes, window, kinds, first: 1 }
    }

    /// Makes room in the window.
    fn widen(&mut self) {
        let align = self.file.align().max(self.page_bytes);
        let mut wider = Buf::zeroed(2 * self.window.len(), align);
        wider[..self.window.len()].copy_from_slice(&self.window);
        self.window = wider;
    }

    /// Payload bytes of each page.
    pub fn payload_bytes(&self) -> usize {
        payload_bytes(self.page_bytes)
    }

    /// The number that the next reserved page gets.
    pub fn next(&self) -> u32 {
        self.first + self.kinds.len() as u32
    }

    /// Starts the next page, zeroed, and returns its number. Older pages may leave the window.
    ///
    /// # Errors
    /// `Io`; `Full` at 2^32 pages.
    pub fn reserve(&mut self, kind: u32) -> Result<u32> {
        if self.kinds.len() == WINDOW_PAGES {
            self.flush()?;
        } else if self.kinds.len() * self.page_bytes == self.window.len() {
            self.widen();
        }
        if self.next() >= u32::MAX - WINDOW_PAGES as u32 {
            return Err(Error::Full { what: "segment pages", limit: u64::from(u32::MAX) });
        }
        let number = self.next();
        self.kinds.push(kind);
        Ok(number)
    }

    /// The payload of a page that is still in the window.
    pub fn payload_mut(&mut self, page: u32) -> Option<&mut [u8]> {
        let slot = page.checked_sub(self.first)? as usize;
        if slot >= self.kinds.len() {
            return None;
        }
        let payload = self.payload_bytes();
        Some(&mut self.window[slot * self.page_bytes..][..payload])
    }

    /// Appends a page with this payload and returns its number.
    ///
    /// # Errors
    /// As `reserve`.
    pub fn append(&mut self, kind: u32, payload: &[u8]) -> Result<u32> {
        let page = self.reserve(kind)?;
        if let Some(out) = self.payload_mut(page) {
            out[..payload.len()].copy_from_slice(payload);
        }
        Ok(page)
    }

    fn flush(&mut self) -> Result<()> {
        let used = self.kinds.len() * self.page_bytes;
        let pages = self.window[..used].chunks_exact_mut(self.page_bytes);
        for ((page, &kind), number) in pages.zip(&self.kinds).zip(self.first..) {
            seal_page(page, &self.id, number, kind);
        }
        if used > 0 {
            let offset = u64::from(self.first) * self.page_bytes as u64;
            self.file.write_at(offset, &self.window[..used])?;
        }
        self.window[..used].fill(0);
        self.first += self.kinds.len() as u32;
        self.kinds.clear();
        Ok(())
    }

    /// Writes what is buffered, then page 0, and makes all of it durable.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self, header: &[u8]) -> Result<()> {
        self.flush()?;
        let page = &mut self.window[..self.page_bytes];
        page[..header.len()].copy_from_slice(header);
        seal_page(page, &self.id, 0, kind::HEADER);
        self.file.write_at(0, page)?;
        if planted!(SegmentNotSynced) { Ok(()) } else { self.file.sync() }
    }
}

/// A byte stream over the payloads of consecutive pages.
pub struct StreamWriter {
    kind: u32,
    page: Option<u32>,
    bytes: u64,
}

impl StreamWriter {
    /// An empty stream in pages of `kind`.
    pub fn new(kind: u32) -> StreamWriter {
        StreamWriter { kind, page: None, bytes: 0 }
    }

    /// Bytes written so far: where the next byte goes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends `bytes`; nobody else may have reserved a page since the stream began.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn write(&mut self, out: &mut PageWriter, mut bytes: &[u8]) -> Result<()> {
        let payload = out.payload_bytes();
        while !bytes.is_empty() {
            let used = (self.bytes % payload as u64) as usize;
            let page = match self.page.filter(|_| used > 0) {
                Some(page) => page,
                None => *self.page.insert(out.reserve(self.kind)?),
            };
            let (now, later) = bytes.split_at(bytes.len().min(payload - used));
            if let Some(room) = out.payload_mut(page) {
                room[used..][..now.len()].copy_from_slice(now);
            }
            self.bytes += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}

/// The part of the store that pages of `kind` are counted for.
fn part_of(kind: u32) -> Part {
    match kind {
        kind::BODIES => Part::Bodies,
        kind::TIMES | kind::IDS | kind::LOCATIONS | kind::MARKS => Part::Columns,
        kind::ID_INDEX => Part::IdIndex,
        kind::LEAF | kind::INTERIOR => Part::Dictionary,
        kind::POSTINGS => Part::Postings,
        _ => Part::Other,
    }
}

/// The pages of an open segment.
pub struct Pages {
    pooled: Arc<PagedFile>,
    /// The same file, for what should not pass through the pool.
    file: Arc<dyn File>,
    id: [u8; 16],
}

impl Pages {
    /// The pages of `file`, sealed with `id`, which are also `pooled`.
    pub fn new(pooled: Arc<PagedFile>, file: Arc<dyn File>, id: [u8; 16]) -> Pages {
        Pages { pooled, file, id }
    }

    /// The payload of page `number`, which is of `kind`, pinned until dropped.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if the page is not what was written, is of another kind, or is not there.
    pub fn page(&self, number: u32, kind: u32) -> Result<Page<'_>> {
        let page = self.pooled.page_for(number, part_of(kind))?;
        if page.kind() == kind { Ok(page) } else { Err(self.corrupt(number, OTHER_KIND)) }
    }

    /// As `page`, for keeping.
    ///
    /// # Errors
    /// As `page`.
    pub fn hold(&self, number: u32, kind: u32) -> Result<HeldPage> {
        let page = self.pooled.hold_for(number, part_of(kind))?;
        if page.kind() == kind { Ok(page) } else { Err(self.corrupt(number, OTHER_KIND)) }
    }

    /// Whether `page` is page `number` of this segment.
    pub fn is(&self, page: &HeldPage, number: u32) -> bool {
        page.number() == number && Arc::ptr_eq(page.file(), &self.pooled)
    }

    /// As [`PagedFile::hint`].
    #[inline]
    pub fn hint<const N: usize>(&self, places: [(u32, usize); N]) {
        self.pooled.hint(places);
    }

    /// Asks for pages ahead of their use, best effort.
    pub fn prefetch(&self, numbers: &[u32]) -> usize {
        self.pooled.prefetch(numbers)
    }

    /// Pages that are in memory.
    pub fn resident(&self) -> u32 {
        self.pooled.resident_pages()
    }

    /// Brings a piece of `range` into memory; what is left of it.
    ///
    /// # Errors
    /// As `page`.
    pub fn warm(&self, range: Range<u32>, keep: bool) -> Result<Range<u32>> {
        self.pooled.warm(range, keep)
    }

    /// Payload bytes of a page.
    pub fn payload_bytes(&self) -> usize {
        self.pooled.payload_bytes()
    }

    /// The segment.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Byte of the file at which page `number` begins.
    pub fn offset(&self, number: u32) -> u64 {
        u64::from(number) * (self.payload_bytes() + PAGE_TRAILER_BYTES) as u64
    }

    /// The segment's file.
    pub fn path(&self) -> &Path {
        self.pooled.path()
    }

    /// Damage found in page `number`.
    pub fn corrupt(&self, number: u32, what: &str) -> Error {
        Error::corrupt(self.path(), self.offset(number), what)
    }

    /// Copies the first `len` bytes of the stream in `region`, whose pages are of `kind` and have so many
    /// (F2), in large reads and past the pool, from which this drives no page out.
    ///
    /// # Errors
    /// As `page`.
    pub fn read_past_pool(&self, region: Region, kind: u32, len: u64) -> Result<Vec<u8>> {
        let page_bytes = self.payload_bytes() + PAGE_TRAILER_BYTES;
        let pages_at_once = (READ_BYTES / page_bytes).min(region.pages as usize).max(1);
        let align = self.file.align().max(page_bytes);
        let mut buf = Buf::zeroed(pages_at_once * page_bytes, align);
        let mut out = Vec::with_capacity(len as usize);
        let mut number = region.first;
        while number - region.first < region.pages {
            let left = (region.pages - (number - region.first)) as usize;
            if left < pages_at_once {
                buf = Buf::zeroed(left * page_bytes, align);
            }
            self.file.read_at(u64::from(number) * page_bytes as u64, &mut buf)?;
            for page in buf.chunks_exact(page_bytes) {
                let found = check_page(page, &self.id, number);
                if found.map_err(|what| self.corrupt(number, what))? != kind {
                    return Err(self.corrupt(number, OTHER_KIND));
                }
                let now = self.payload_bytes().min(len as usize - out.len());
                out.extend_from_slice(&page[..now]);
                number += 1;
            }
        }
        Ok(out)
    }

    /// Copies `out.len()` bytes from byte `at` of the stream in `region`, whose pages are of `kind`.
    ///
    /// # Errors
    /// As `page`; `Corrupt` if the region ends before.
    pub fn read_stream(
        &self,
        region: Region,
        kind: u32,
        mut at: u64,
        mut out: &mut [u8],
    ) -> Result<()> {
        let payload = self.payload_bytes();
        while !out.is_empty() {
            let (page, within) = (at / payload as u64, (at % payload as u64) as usize);
            if page >= u64::from(region.pages) {
                return Err(self.corrupt(region.first, "a stream ends before its data"));
            }
            let now = out.len().min(payload - within);
            let source = self.page(region.first + page as u32, kind)?;
            out[..now].copy_from_slice(&source[within..][..now]);
            out = &mut out[now..];
            at += now as u64;
        }
        Ok(())
    }
}

/// The `N` bytes at `at`, where the page is known to reach that far.
pub fn bytes_at<const N: usize>(payload: &[u8], at: usize) -> [u8; N] {
    field(payload, at).unwrap_or([0; N])
}
