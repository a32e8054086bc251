//! Reading the header: from page 0, or from its copy in the last page.
//!
//! ```text
//!   page 0 whole? ---yes---> the header
//!        `--no--> the last page, in the size that the pool has ---whole---> the header, with a warning
//!                                                        `--no--> the error of page 0
//! ```
//!
//! Errors: `Corrupt` at offset 0 if neither holds; `WrongVersion` and `Mismatch` of a header that does.

use super::Expect;
use super::format::{Header, MAGIC, VERSION, VERSION_MIN, kind};
use crate::base::{Error, PageSize, Result, SegmentId, StoreId, check_same};
use crate::io::{Buf, File};
use crate::pool::format::check_page;
use std::path::Path;

/// The header of segment `id`, and whether it is the copy's because page 0 is damaged.
///
/// # Errors
/// `Io`; `Corrupt` at offset 0 if page 0 and the copy are damaged.
pub fn read_header(file: &dyn File, id: SegmentId, page: PageSize) -> Result<(Header, bool)> {
    read_first(file, id).map(|header| (header, false)).or_else(|error| {
        let copy = read_copy(file, id, page).ok_or(error)?;
        tracing::warn!(
            path = %file.path().display(),
            offset = 0,
            "a segment's header is damaged; its copy is used"
        );
        Ok((copy, true))
    })
}

/// Reads page 0 in the size that it claims, so that another page size is told from damage.
fn read_first(file: &dyn File, id: SegmentId) -> Result<Header> {
    let bad = |what: &str| Error::corrupt(file.path(), 0, what);
    let read = |bytes: usize| -> Result<Buf> {
        if file.len() < bytes as u64 {
            return Err(bad("the file is shorter than its header"));
        }
        read_page(file, 0, bytes)
    };
    let claimed = Header::parse(&read(PageSize::K4.bytes())?).map_err(bad)?;
    if claimed.magic != MAGIC {
        return Err(bad("the file does not begin like a segment"));
    }
    let size = PageSize::from_bytes(claimed.page_bytes.get() as usize);
    let page = read(size.ok_or_else(|| bad("the page size is none"))?.bytes())?;
    check_page(&page, &id.0, 0).map_err(bad)?;
    Header::parse(&page).map_err(bad)
}

/// The header in the last page, if that is whole and the copy.
fn read_copy(file: &dyn File, id: SegmentId, page: PageSize) -> Option<Header> {
    let bytes = page.bytes();
    let number = u32::try_from(file.len() / bytes as u64).ok()?.checked_sub(1)?;
    let page = read_page(file, u64::from(number) * bytes as u64, bytes).ok()?;
    let is_copy = check_page(&page, &id.0, number).ok()? == kind::HEADER_COPY;
    Header::parse(&page).ok().filter(|header| is_copy && header.magic == MAGIC)
}

fn read_page(file: &dyn File, offset: u64, bytes: usize) -> Result<Buf> {
    let mut buf = Buf::zeroed(bytes, file.align().max(bytes));
    file.read_at(offset, &mut buf)?;
    Ok(buf)
}

/// Checks that the header is of a version that is read, page size, store, shard and model.
///
/// # Errors
/// `WrongVersion`; `Mismatch`; `Corrupt` if the model's name is no text.
pub fn check_belonging(
    header: &Header,
    path: &Path,
    page: PageSize,
    expect: Expect<'_>,
) -> Result<()> {
    let version = header.version.get();
    if !(VERSION_MIN..=VERSION).contains(&version) {
        let path = path.to_path_buf();
        return Err(Error::WrongVersion { path, found: version, supported: VERSION });
    }
    let name = header.model_name().map_err(|what| Error::corrupt(path, 0, what))?;
    check_same(path, "page bytes", header.page_bytes.get() as usize, page.bytes())?;
    check_same(path, "store id", StoreId(header.store), expect.0)?;
    check_same(path, "shard", header.shard.get(), expect.1)?;
    check_same(path, "model", name, expect.2)?;
    check_same(path, "model version", header.model_version.get(), expect.3)
}
