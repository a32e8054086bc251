//! An immutable file of sealed pages, read through the pool.
//!
//! ```text
//!   page(n):  1. resident: pin it                                  (no lock)
//!             2. else look again under the mutex:
//!                claimed by another: wait for the end of the claim, go to 1
//!                else claim a frame, read into it, check, publish with a pin
//! ```
//!
//! I1. A file's frames outlive its readers: `Page` borrows the file, `HeldPage` and a fetch token own it,
//!     and its drop gives the frames back.
//! I2. A page is published only after `check_page` held for its bytes, file id and number.
//! I3. The claim of a reader that fails or panics is released, and those who waited try for themselves.
//!
//! Errors are those of the module.

use super::fetch::{Fetch, FetchRead};
use super::format::{PAGE_TRAILER_BYTES, check_page};
use super::frames::{HeldPin, Page, Taken};
use super::stats::{Part, count};
use super::table::PageTable;
use super::{Claim, LEASED_SHARE, Pool, join};
use crate::base::{Error, Result};
use crate::io;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a reader waits for a read ahead before it reads the page itself: far longer than a device
/// takes, so that it ends only what would never end (two rings that wait for each other).
const FETCH_PATIENCE: Duration = Duration::from_millis(100);

/// Wakes, vain or not, after which patience is over too.
const FETCH_WAKES: u32 = 64;

/// A file of sealed pages, and which of them are in memory.
pub struct PagedFile {
    me: Weak<PagedFile>,
    pool: Arc<Pool>,
    pub(super) table: Arc<PageTable>,
    slot: u32,
    file: Arc<dyn io::File>,
    id: [u8; 16],
    fetch: Option<Arc<dyn Fetch>>,
}

impl PagedFile {
    /// The first `pages` pages of `file`, sealed with `id`. Page `n` starts at byte `n` times the pool's
    /// page size. Reads nothing; takes 4 bytes of memory a page.
    pub fn new(
        pool: &Arc<Pool>,
        file: Arc<dyn io::File>,
        id: [u8; 16],
        pages: u32,
        fetch: Option<Arc<dyn Fetch>>,
    ) -> Arc<PagedFile> {
        let table = Arc::new(PageTable::new(pages));
        let slot = pool.register(&table);
        let pool = Arc::clone(pool);
        Arc::new_cyclic(|me| PagedFile { me: me.clone(), pool, table, slot, file, id, fetch })
    }

    /// Page `number`, pinned while the answer lives. If it is not in memory, this thread reads it, or
    /// waits for the one that does.
    ///
    /// # Errors
    /// `Corrupt` if the file has no such page or it is not what was sealed, `Full` if every frame is in
    /// use, `Io`.
    pub fn page(&self, number: u32) -> Result<Page<'_>> {
        self.page_for(number, Part::Other)
    }

    /// As [`PagedFile::page`], counted as a page of `part`.
    ///
    /// # Errors
    /// As [`PagedFile::page`].
    pub fn page_for(&self, number: u32, part: Part) -> Result<Page<'_>> {
        match self.pin(number) {
            Some(page) => {
                self.pool.counters.hit(part);
                Ok(page)
            }
            None => self.load(number, part),
        }
    }

    /// Whether page `number` is in memory at this moment.
    pub fn resident(&self, number: u32) -> bool {
        self.table.frame(number).is_some_and(|frame| {
            let state = self.pool.frames.state(frame);
            state.is_valid() && state.owner() == join(self.slot, number)
        })
    }

    /// Page `number` if it is in memory; takes no lock and reads nothing.
    pub fn page_if_resident(&self, number: u32) -> Option<Page<'_>> {
        let page = self.pin(number)?;
        self.pool.counters.hit(Part::Other);
        Some(page)
    }

    /// Has the processor fetch what reads of these pages, each at its byte, will want, all at once, and goes on: for who is
    /// about to read several that memory may be slow to give. Pages that are not in the pool are left alone.
    #[inline]
    pub fn hint<const N: usize>(&self, places: [(u32, usize); N]) {
        // All entries first, which do not wait for one another.
        let frames = places.map(|(number, at)| (self.table.frame(number), at));
        for (frame, at) in frames {
            if let Some(frame) = frame {
                self.pool.frames.fetch_lines(frame, at);
            }
        }
    }

    /// Asks for pages to be read ahead, in one batch, and returns at once. Best effort: pages that are in
    /// memory or under way are left out, and so is the rest when no frame is to be had. Without a `Fetch`
    /// it does nothing. Returns how many pages were asked for: 0 means that a further batch is likely
    /// to be in memory too.
    pub fn prefetch(&self, numbers: &[u32]) -> usize {
        let (Some(fetch), Some(me)) = (&self.fetch, self.me.upgrade()) else { return 0 };
        let frames = &self.pool.frames;
        let mut reads = Vec::new();
        for &number in numbers {
            if number >= self.pages() || self.table.frame(number).is_some() {
                continue;
            }
            if frames.leased() >= frames.allowed() / LEASED_SHARE {
                break; // P5
            }
            match self.claim(number, None, true) {
                Ok(Claim::Granted(taken, was_ghost)) => {
                    count(&self.pool.counters.prefetched);
                    reads.push(FetchRead::new(Arc::clone(&me), number, taken, was_ghost));
                }
                Ok(Claim::Resident | Claim::Loading(..)) => {}
                Err(_) => break,
            }
        }
        let asked = reads.len();
        if asked > 0 {
            fetch.fetch(reads);
        }
        asked
    }

    /// Page `number` with a pin that borrows nothing, for records handed to callers.
    ///
    /// # Errors
    /// As for [`PagedFile::page`].
    pub fn hold(self: &Arc<Self>, number: u32) -> Result<HeldPage> {
        self.hold_for(number, Part::Other)
    }

    /// As [`PagedFile::hold`], counted as a page of `part`.
    ///
    /// # Errors
    /// As [`PagedFile::page`].
    pub fn hold_for(self: &Arc<Self>, number: u32, part: Part) -> Result<HeldPage> {
        let pin = self.page_for(number, part)?.into_held();
        Ok(HeldPage { pin, file: Arc::clone(self), number })
    }

    /// Bytes of a page without its trailer.
    pub fn payload_bytes(&self) -> usize {
        self.pool.payload_bytes()
    }

    /// Number of pages.
    pub fn pages(&self) -> u32 {
        self.table.pages()
    }

    /// The path the file was opened under.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The pool it is read through.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn file(&self) -> &Arc<dyn io::File> {
        &self.file
    }

    /// Byte offset of page `number`.
    pub(super) fn offset(&self, number: u32) -> u64 {
        u64::from(number) * self.pool.page.bytes() as u64
    }

    /// Checks bytes that were read as page `number`.
    pub(super) fn check(&self, page: &[u8], number: u32) -> Result<u32> {
        check_page(page, &self.id, number).map_err(|what| self.corrupt(number, what))
    }

    pub(super) fn publish_ahead(&self, taken: Taken, number: u32, was_ghost: bool) {
        self.pool.publish_ahead(&self.table, number, taken, was_ghost);
    }

    pub(super) fn release(&self, number: u32, frame: u32) {
        self.pool.release(&self.table, number, frame);
    }

    fn corrupt(&self, number: u32, what: &str) -> Error {
        Error::corrupt(self.path(), self.offset(number), format!("page {number}: {what}"))
    }

    fn pin(&self, number: u32) -> Option<Page<'_>> {
        self.pool.frames.pin(self.table.frame(number)?, join(self.slot, number))
    }

    pub(super) fn claim(
        &self,
        number: u32,
        instead_of: Option<u32>,
        fetched: bool,
    ) -> Result<Claim> {
        self.pool.claim(&self.table, join(self.slot, number), number, instead_of, fetched)
    }

    fn load(&self, number: u32, part: Part) -> Result<Page<'_>> {
        if number >= self.pages() {
            let what = format!("asked for in a file of {} pages", self.pages());
            return Err(self.corrupt(number, &what));
        }
        let (mut waits, mut instead_of) = (0, None);
        loop {
            match self.claim(number, instead_of, false)? {
                Claim::Granted(taken, was_ghost) => {
                    if let Some(replaced) = instead_of {
                        self.pool.frames.dismiss(replaced); // its waiters have a better claim to wait for
                    }
                    self.pool.counters.miss(part);
                    return self.read(number, taken, was_ghost);
                }
                Claim::Resident => {
                    if let Some(page) = self.pin(number) {
                        if waits == 0 {
                            self.pool.counters.hit(part);
                        }
                        return Ok(page);
                    }
                }
                Claim::Loading(frame, fetched) => {
                    if waits == 0 {
                        count(&self.pool.counters.waits);
                    }
                    waits += 1;
                    let here = fetched && self.fetch.as_ref().is_some_and(|f| f.completes_here());
                    let patient = !here && self.wait(number, frame, fetched);
                    let over = fetched && (!patient || waits >= FETCH_WAKES);
                    instead_of = over.then_some(frame);
                }
            }
        }
    }

    /// Reads a page into the frame that was claimed for it.
    fn read(&self, number: u32, mut taken: Taken, was_ghost: bool) -> Result<Page<'_>> {
        // Dropped before `taken`: once the frame is free, it may be claimed for this very page again,
        // and that claim is not ours to release.
        let claim = ReadClaim { file: self, number, frame: taken.frame() };
        let bytes = taken.bytes_mut();
        self.file.read_at(self.offset(number), bytes)?;
        self.check(bytes, number)?;
        std::mem::forget(claim);
        Ok(self.pool.publish_pinned(taken, was_ghost))
    }

    /// Waits for the end of a claim; false if patience ran out.
    fn wait(&self, number: u32, frame: u32, fetched: bool) -> bool {
        let still = || self.table.frame(number) == Some(frame);
        self.pool.frames.wait(frame, still, fetched.then_some(FETCH_PATIENCE))
    }
}

impl Drop for PagedFile {
    fn drop(&mut self) {
        self.pool.unregister(self.slot, &self.table);
    }
}

impl fmt::Debug for PagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PagedFile({}, {} pages)", self.path().display(), self.pages())
    }
}

/// A reader's claim; released if it is dropped on the way, by an error or a panic.
struct ReadClaim<'a> {
    file: &'a PagedFile,
    number: u32,
    frame: u32,
}

impl Drop for ReadClaim<'_> {
    fn drop(&mut self) {
        self.file.release(self.number, self.frame);
    }
}

/// A page pinned by a value that owns its file. Dereferences to the payload.
pub struct HeldPage {
    pin: HeldPin, // goes before the file, whose drop gives the frames back (I1)
    file: Arc<PagedFile>,
    number: u32,
}

impl HeldPage {
    /// The kind it was sealed with.
    pub fn kind(&self) -> u32 {
        self.pin.kind()
    }

    /// The page's number in its file.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The file it is a page of.
    pub fn file(&self) -> &Arc<PagedFile> {
        &self.file
    }
}

impl Deref for HeldPage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let page = self.pin.bytes();
        &page[..page.len() - PAGE_TRAILER_BYTES]
    }
}

impl fmt::Debug for HeldPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {} of {:?}", self.number, self.file)
    }
}
