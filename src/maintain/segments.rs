//! One segment on its way into another directory: linked, copied, verified.
//!
//! ```text
//!   there with the right length            -> kept
//!   link -- refused --> copy: NAME.part, every page checked, synced, renamed to NAME
//! ```
//!
//! I1. A segment has its name only when it is whole and synced, so one with a name need not be looked at
//!     again: segments never change, and their names are never given twice.

use super::target::part_of;
use crate::base::{Error, PageSize, Result, SegmentId};
use crate::io::{Buf, Disk, File};
use crate::pool::format::check_page;
use crate::segment::format::{Header, MAGIC, VERSION, VERSION_MIN};
use std::io::ErrorKind;
use std::path::Path;

/// Bytes read and written at once; a multiple of every page size.
const CHUNK_BYTES: u64 = 1 << 20;

/// How segments come into a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum How {
    /// By another name of the same file, where the file system allows it, else as a copy.
    #[default]
    Link,
    /// As a copy, which rot of the original does not touch.
    Copy,
}

/// What became of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Brought {
    Kept,
    Linked,
    Copied,
}

/// A segment to be brought somewhere.
pub(super) struct Wanted<'a> {
    pub disk: &'a dyn Disk,
    pub id: SegmentId,
    pub page: PageSize,
    /// Records that it has, as its manifest says.
    pub records: u32,
    pub from: &'a Path,
    pub to: &'a Path,
}

impl Wanted<'_> {
    /// Brings the segment; `there` says whether its name is taken. Its name is durable after a sync of the
    /// directory. Also gives its bytes.
    ///
    /// # Errors
    /// `Io`, with `NotFound` if it is gone; `Corrupt` where a page that was read is damaged.
    pub fn bring(&self, how: How, verify: bool, there: bool) -> Result<(Brought, u64)> {
        let source = self.disk.open(self.from)?;
        let bytes = source.len();
        if there {
            if self.disk.open(self.to)?.len() == bytes {
                return Ok((Brought::Kept, bytes));
            }
            self.disk.remove(self.to)?;
        }
        if how == How::Link {
            if verify {
                self.walk(&*source, None)?;
            }
            match self.disk.hard_link(self.from, self.to) {
                Ok(()) => return Ok((Brought::Linked, bytes)),
                Err(error) if is_not_found(&error) => return Err(error),
                Err(error) => tracing::debug!(%error, "copying instead"),
            }
        }
        self.copy(&*source)?;
        Ok((Brought::Copied, bytes))
    }

    fn copy(&self, source: &dyn File) -> Result<()> {
        let part = part_of(self.to);
        let target = self.disk.create(&part, 0)?;
        self.walk(source, Some(&*target))?;
        target.sync()?;
        self.disk.rename(&part, self.to)
    }

    /// Reads every page, checks it, and writes it to `target` if there is one.
    fn walk(&self, source: &dyn File, target: Option<&dyn File>) -> Result<()> {
        let page_bytes = self.page.bytes();
        let bad = |offset: u64, what: &str| Error::corrupt(self.from, offset, what);
        let (len, align) = (source.len(), target.map_or(1, |target| target.align()));
        if len == 0 || !len.is_multiple_of(page_bytes as u64) {
            return Err(bad(0, "it is not a whole number of pages long"));
        }
        let align = align.max(source.align()).max(page_bytes);
        let mut buf = Buf::zeroed(CHUNK_BYTES.min(len) as usize, align);
        let mut at = 0;
        while at < len {
            buf.set_len(CHUNK_BYTES.min(len - at) as usize);
            source.read_at(at, &mut buf)?;
            if at == 0 {
                self.check_header(&buf[..page_bytes], len)?;
            }
            for (i, page) in buf.chunks_exact(page_bytes).enumerate() {
                let offset = at + (i * page_bytes) as u64;
                let number = offset / page_bytes as u64;
                check_page(page, &self.id.0, number as u32).map_err(|what| bad(offset, what))?;
            }
            if let Some(target) = target {
                target.write_at(at, &buf)?;
            }
            at += buf.len() as u64;
        }
        Ok(())
    }

    /// Whether page 0 is that of this segment, of this length.
    fn check_header(&self, page: &[u8], len: u64) -> Result<()> {
        let bad = |what: &str| Error::corrupt(self.from, 0, what);
        let header = Header::parse(page).map_err(bad)?;
        if header.magic != MAGIC {
            return Err(bad("the file does not begin like a segment"));
        }
        let found = header.version.get();
        if !(VERSION_MIN..=VERSION).contains(&found) {
            let path = self.from.into();
            return Err(Error::WrongVersion { path, found, supported: VERSION });
        }
        let info = header.info();
        if info.bytes != len {
            return Err(bad(&format!("the file has {len} bytes, not {}", info.bytes)));
        }
        if info.records != self.records {
            let (found, listed) = (info.records, self.records);
            return Err(bad(&format!(
                "it holds {found} records where the manifest lists {listed}"
            )));
        }
        Ok(())
    }
}

/// Whether something is not there (any more).
pub(super) fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}
