//! How the pages of a segment lie: their size, whose they are, and the header, as far as any of it can be known.
//!
//! ```text
//!   1 header or its copy, whole    2 what was asked for    3 checksums of some pages    4 their numbers and kinds
//!   5 a damaged header             6 the smallest size
//! ```
//!
//! The checksum of a page goes over the segment's id too. That is tried as the name and as the headers have it; without
//! it, numbers and kinds still tell where pages end.

use super::bytes::read;
use crate::base::{PageSize, SegmentId};
use crate::io::File;
use crate::pool::format::{check_page, look_at_trailer};
use crate::segment::format::{Header, MAGIC, is_kind};

/// Pages that are looked at to find their size.
const TRIED: u32 = 64;

/// A header, and where it stands.
#[derive(Clone, Copy)]
pub struct Placed {
    pub header: Header,
    pub at: u64,
    /// Whether its page is.
    pub whole: bool,
}

/// What is known of a segment's pages.
pub struct Layout {
    pub size: PageSize,
    /// How the size is known.
    pub by: &'static str,
    pub id: Option<SegmentId>,
    /// A whole one if there is one.
    pub header: Option<Placed>,
}

impl Layout {
    /// Looks at `file`, whose name says that it is the segment `named`; `asked` is the size of its pages.
    pub fn find(file: &dyn File, named: Option<SegmentId>, asked: Option<PageSize>) -> Layout {
        let placed = headers(file, named);
        let header = placed.iter().find(|(placed, _)| placed.whole).or(placed.first()).copied();
        let mut ids: Vec<SegmentId> = named.into_iter().collect();
        ids.extend(
            placed.iter().map(|(placed, id)| id.unwrap_or(SegmentId(placed.header.segment))),
        );
        let id = header.and_then(|(_, id)| id).or(ids.first().copied());
        let header = header.map(|(placed, _)| placed);
        let of = |size, by, id| Layout { size, by, id, header };
        let stated = |placed: Placed| PageSize::from_bytes(placed.header.page_bytes.get() as usize);
        if let Some(size) = header.filter(|placed| placed.whole).and_then(stated) {
            let is_copy = header.is_some_and(|placed| placed.at > 0);
            let by = if is_copy { "the copy of the header" } else { "the header" };
            // Whoever asks for another size has a reason.
            let differs = asked.filter(|&asked| asked != size);
            return differs.map_or(of(size, by, id), |asked| of(asked, "the flag", id));
        }
        let sizes: Vec<PageSize> = asked.map_or(PageSize::ALL.to_vec(), |size| vec![size]);
        for &size in &sizes {
            if let Some(id) = ids.iter().find(|id| sealed(file, size, id)) {
                let by = if asked.is_some() { "the flag" } else { "checksums of pages" };
                return of(size, by, Some(*id));
            }
        }
        if let Some(size) = asked {
            return of(size, "the flag", id);
        }
        let most = sizes.iter().max_by_key(|&&size| (numbered(file, size), size.bytes()));
        match (most.filter(|&&size| numbered(file, size) > 0), header.and_then(stated)) {
            (Some(&size), _) => of(size, "numbers of pages", id),
            (None, Some(size)) => of(size, "a damaged header", id),
            (None, None) => of(PageSize::default(), "nothing: it is the smallest", id),
        }
    }

    /// Whether anything in the file speaks for it.
    pub fn is_known(&self) -> bool {
        !self.by.starts_with("nothing")
    }

    /// Whole pages of `file`.
    pub fn pages(&self, file: &dyn File) -> u32 {
        pages(file, self.size)
    }
}

fn pages(file: &dyn File, size: PageSize) -> u32 {
    u32::try_from(file.len() / size.bytes() as u64).unwrap_or(u32::MAX)
}

/// A page; nothing if it cannot be read.
fn page(file: &dyn File, size: PageSize, number: u32) -> Vec<u8> {
    let bytes = size.bytes() as u64;
    let page = read(file, u64::from(number) * bytes, bytes).unwrap_or_default();
    if page.len() == size.bytes() { page } else { Vec::new() }
}

/// The headers and their copies that are like one, each with the id with which its page is whole.
fn headers(file: &dyn File, named: Option<SegmentId>) -> Vec<(Placed, Option<SegmentId>)> {
    let mut found = Vec::new();
    for size in PageSize::ALL {
        for number in [0, pages(file, size).saturating_sub(1)] {
            let page = page(file, size, number);
            let Ok(header) = Header::parse(&page) else { continue };
            if header.page_bytes.get() as usize != size.bytes() || header.magic != MAGIC {
                continue;
            }
            let own = SegmentId(header.segment);
            let mut ids = named.into_iter().chain([own]);
            let id = ids.find(|id| check_page(&page, &id.0, number).is_ok());
            let at = u64::from(number) * size.bytes() as u64;
            found.push((Placed { header, at, whole: id.is_some() }, id));
        }
    }
    found
}

/// Numbers of pages to look at: the first, and the last.
fn some(file: &dyn File, size: PageSize) -> impl Iterator<Item = u32> {
    let count = pages(file, size);
    (0..count.min(TRIED)).chain(count.saturating_sub(TRIED).max(TRIED)..count)
}

/// Whether a page of this size is whole and of this segment.
fn sealed(file: &dyn File, size: PageSize, id: &SegmentId) -> bool {
    some(file, size).any(|number| check_page(&page(file, size, number), &id.0, number).is_ok())
}

/// Pages of this size that have the number of their place, and a kind.
fn numbered(file: &dyn File, size: PageSize) -> usize {
    let own = |&number: &u32| {
        look_at_trailer(&page(file, size, number))
            .is_some_and(|(found, kind)| found == number && is_kind(kind))
    };
    some(file, size).filter(own).count()
}
