//! Writes posting lists, one after another, in one pass: inline, into a shared page, or into pages of
//! their own as it turns out how long they are.
//!
//! ```text
//!   push -> [block of 128] -> [run] --full--> exclusive page
//!                                 `--finish--> inline | shared page | last exclusive page
//! ```
//!
//! Memory is one block, one run and what the page writer buffers, however long the list is.

use super::block::{BLOCK, put_gaps};
use super::run::{HEAD_BYTES, RunBuilder};
use super::{INLINE_BYTES, Place, Postings};
use crate::base::{Error, Ordinal, Result};
use crate::segment::format::kind;
use crate::segment::pages::PageWriter;

/// Writes lists into the pages of a `PageWriter`, which nobody else appends to within a list.
pub struct ListWriter {
    block: [u32; BLOCK],
    filled: usize,
    last: Option<Ordinal>,
    run: RunBuilder,
    /// Postings in the exclusive pages written so far, and those pages.
    rank: u32,
    first_page: u32,
    pages: u32,
    /// The shared page with room left: its number and the bytes in use.
    open: Option<(u32, usize)>,
    gaps: Vec<u8>,
}

impl ListWriter {
    /// A writer without an open page.
    pub fn new() -> ListWriter {
        ListWriter {
            block: [0; BLOCK],
            filled: 0,
            last: None,
            run: RunBuilder::default(),
            rank: 0,
            first_page: 0,
            pages: 0,
            open: None,
            gaps: Vec::new(),
        }
    }

    /// Adds the next ordinal of the list.
    ///
    /// # Errors
    /// `Invalid` if it is not above the one before it; `Io`.
    pub fn push(&mut self, out: &mut PageWriter, ordinal: Ordinal) -> Result<()> {
        if self.last.is_some_and(|last| last >= ordinal) {
            return Err(Error::invalid("posting list", format!("{ordinal} does not ascend")));
        }
        self.last = Some(ordinal);
        self.block[self.filled] = ordinal;
        self.filled += 1;
        if self.filled == BLOCK {
            self.filled = 0;
            let room = out.payload_bytes() - HEAD_BYTES;
            if !self.run.push_block(&self.block, room) {
                self.emit(out)?;
                let fits = self.run.push_block(&self.block, room);
                assert!(fits, "a page has room for one block");
            }
        }
        Ok(())
    }

    /// Ends the list and says where it is.
    ///
    /// # Errors
    /// `Invalid` if nothing was pushed; `Io`.
    pub fn finish(&mut self, out: &mut PageWriter) -> Result<Postings> {
        if self.last.is_none() {
            return Err(Error::invalid("posting list", "it is empty"));
        }
        let count = self.rank + self.run.count() + self.filled as u32;
        let place = match self.inline() {
            Some(place) => place,
            None => self.place(out)?,
        };
        self.run.restart(None);
        (self.filled, self.last, self.rank, self.pages) = (0, None, 0, 0);
        Ok(Postings::new(count, place))
    }

    fn inline(&mut self) -> Option<Place> {
        if self.rank > 0 || self.run.count() > 0 || self.filled > INLINE_BYTES {
            return None;
        }
        self.gaps.clear();
        put_gaps(None, &self.block[..self.filled], &mut self.gaps);
        let mut bytes = [0; INLINE_BYTES];
        bytes.get_mut(..self.gaps.len())?.copy_from_slice(&self.gaps);
        Some(Place::Inline { len: self.gaps.len() as u8, bytes })
    }

    fn place(&mut self, out: &mut PageWriter) -> Result<Place> {
        let room = out.payload_bytes() - HEAD_BYTES;
        if !self.run.push_tail(&self.block[..self.filled], room) {
            self.emit(out)?;
            let fits = self.run.push_tail(&self.block[..self.filled], room);
            assert!(fits, "a page has room for a tail");
        }
        if self.pages == 0 {
            return self.share(out);
        }
        if self.run.count() > 0 {
            self.emit(out)?;
        }
        Ok(Place::Exclusive { page: self.first_page, pages: self.pages })
    }

    /// Writes the run as the list's next exclusive page and starts another behind it.
    fn emit(&mut self, out: &mut PageWriter) -> Result<()> {
        let page = out.reserve(kind::POSTINGS)?;
        if self.pages == 0 {
            self.first_page = page;
        }
        assert!(page - self.first_page == self.pages, "a list's pages are consecutive");
        let head = self.run.head(self.rank);
        if let Some(payload) = out.payload_mut(page) {
            head.write(payload);
            self.run.write(&mut payload[HEAD_BYTES..]);
        }
        self.pages += 1;
        self.rank += head.count;
        self.run.restart(Some(head.last));
        Ok(())
    }

    /// Writes the run into a shared page: the open one, or a new one if it has no room.
    fn share(&mut self, out: &mut PageWriter) -> Result<Place> {
        let (bytes, payload_bytes) = (self.run.bytes(), out.payload_bytes());
        let open = self.open.filter(|&(page, used)| {
            out.payload_mut(page).is_some() && used + bytes <= payload_bytes
        });
        let (page, offset) = match open {
            Some(found) => found,
            None => (out.reserve(kind::POSTINGS)?, 0),
        };
        if let Some(payload) = out.payload_mut(page) {
            self.run.write(&mut payload[offset..]);
        }
        let used = offset + bytes;
        // Of a new and an old open page the emptier stays open.
        if self
            .open
            .is_none_or(|(old, n)| page == old || used < n || out.payload_mut(old).is_none())
        {
            self.open = Some((page, used));
        }
        Ok(Place::Shared { page, offset: offset as u16 })
    }
}
