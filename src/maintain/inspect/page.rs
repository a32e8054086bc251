//! One page of a segment: what its trailer says, what stands in it, by its kind, and its bytes.
//!
//! ```text
//!   header, header-copy     the fields         bodies    which bodies or blocks begin here
//!   times, ids, locations,                     filter    which parts of which filter
//!   id-index, marks         first and last     zdict     which copy
//!   leaf                    terms and where their postings are
//!   interior                children           postings  the lists here, which the dictionary names
//! ```
//!
//! A page does not say of itself which items of a column or which bytes of a stream it holds: that is counted from the
//! header, and without a header only dictionary pages can be read. A damaged page is read too, as the kind that it says.

mod columns;

use super::kind::segment_id;
use super::layout::Layout;
use super::segment::{escaped, open, print_header};
use super::{Ask, Line, Printer, bytes};
use crate::base::{Error, Result};
use crate::io::File;
use crate::pool::format::{check_page, look_at_trailer};
use crate::segment::format::{
    BODY_HEAD_BYTES, BODY_PACKED, Header, Region, Regions, get_u32, is_kind, kind, kind_name,
    payload_bytes,
};
use crate::segment::{Segment, look};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A page, and what is known around it.
struct Scene<'a> {
    file: &'a Arc<dyn File>,
    layout: &'a Layout,
    number: u32,
    payload: &'a [u8],
}

/// Shows page `number` of the segment `path`.
///
/// # Errors
/// `Invalid` if there is no such page; `Io`; what `print` says.
pub fn show(
    file: &Arc<dyn File>,
    path: &Path,
    number: u32,
    ask: &Ask<'_>,
    print: Printer<'_>,
) -> Result<()> {
    let layout = Layout::find(&**file, segment_id(path), ask.page_size);
    let (size, pages) = (layout.size.bytes(), layout.pages(&**file));
    if number >= pages {
        let why = format!("{} has {pages} pages of {size} bytes, from 0 on", path.display());
        return Err(Error::invalid("page", why));
    }
    let at = u64::from(number) * size as u64;
    let page = bytes::read(&**file, at, size as u64)?;
    let checked = check_page(&page, &layout.id.map_or([0; 16], |id| id.0), number);
    let (says, kind) = look_at_trailer(&page).unwrap_or_default();
    let line = Line::new(at, "page").number("page", number).text("kind", kind_name(kind));
    let line = line.number("page_bytes", size as u64).text("as_says", layout.by);
    let line = match checked {
        Ok(_) => line,
        Err(what) if layout.id.is_none() => line.damaged(format!("{what}; the id is not known")),
        Err(what) if says == number && is_kind(kind) => line.damaged(what),
        Err(what) => line.number("says_page", says).damaged(what),
    };
    if !print(line)? {
        return Ok(());
    }
    let payload = page.get(..payload_bytes(size)).unwrap_or(&[]);
    let scene = Scene { file, layout: &layout, number, payload };
    if scene.contents(kind, print)? {
        bytes::dump(&**file, at, Some(size as u64), print)?;
    }
    Ok(())
}

impl Scene<'_> {
    fn at(&self) -> u64 {
        u64::from(self.number) * self.layout.size.bytes() as u64
    }

    /// A line about `byte` of this page.
    fn line(&self, byte: usize, what: &'static str) -> Line {
        Line::new(self.at() + byte as u64, what)
    }

    fn contents(&self, kind: u32, print: Printer<'_>) -> Result<bool> {
        match kind {
            kind::HEADER | kind::HEADER_COPY => match Header::parse(self.payload) {
                // Whether it is whole stands on the line before.
                Ok(header) => print_header(&header, self.at(), None, print),
                Err(what) => print(self.line(0, "header").damaged(what)),
            },
            kind::LEAF => self.leaf(print),
            kind::INTERIOR => self.interior(print),
            _ if !is_kind(kind) => Ok(true),
            _ => match self.regions() {
                Some((header, regions)) => self.counted(kind, &header, &regions, print),
                None => {
                    let what = "what it holds is counted from the header, which is damaged";
                    print(self.line(0, kind_name(kind)).damaged(what))
                }
            },
        }
    }

    /// The header and the regions, if they are to be believed.
    fn regions(&self) -> Option<(Header, Regions)> {
        let header = self.layout.header.filter(|placed| placed.whole)?.header;
        let fits = header.page_bytes.get() as usize == self.layout.size.bytes();
        let regions = header.regions(self.payload.len()).ok().filter(|_| fits)?;
        Some((header, regions))
    }

    /// What stands in a page whose contents are counted from the first page of its region.
    fn counted(
        &self,
        kind: u32,
        header: &Header,
        regions: &Regions,
        print: Printer<'_>,
    ) -> Result<bool> {
        let region = match kind {
            kind::BODIES => regions.bodies,
            kind::ZDICT => regions.zdict,
            kind::TIMES => regions.times,
            kind::IDS => regions.ids,
            kind::LOCATIONS => regions.locations,
            kind::ID_INDEX => regions.id_index,
            kind::FILTER => regions.filter,
            kind::MARKS => regions.marks,
            _ => regions.terms,
        };
        if !region.contains(self.number) {
            let what = "it stands outside the region of its kind";
            return print(self.line(0, kind_name(kind)).damaged(what));
        }
        match kind {
            kind::BODIES => self.bodies(region, header, print),
            kind::ZDICT => self.zdict(region, header, print),
            kind::FILTER => self.filter(region, header, print),
            kind::POSTINGS => self.postings(print),
            _ => print(columns::line_of(self, kind, region, header)),
        }
    }

    fn leaf(&self, print: Printer<'_>) -> Result<bool> {
        let records = self.layout.header.map_or(u32::MAX, |placed| placed.header.records.get());
        let mut lines = Vec::new();
        let walked = look::leaf(self.payload, records, &mut |term, list| {
            let line = Line::new(None, "term").text("term", escaped(term));
            let line = line.number("postings", list.count());
            lines.push(match look::place_of(list) {
                (place, None) => line.text("place", place),
                (place @ "shared", Some((page, offset))) => {
                    line.text("place", place).number("on", page).number("offset", offset)
                }
                (place, Some((page, pages))) => {
                    line.text("place", place).number("on", page).number("pages", pages)
                }
            });
        });
        let line = self.line(0, "leaf").number("terms", lines.len() as u64);
        print_all(if let Err(what) = walked { line.damaged(what) } else { line }, lines, print)
    }

    fn interior(&self, print: Printer<'_>) -> Result<bool> {
        let (level, children) = match look::interior(self.payload) {
            Ok(found) => found,
            Err(what) => return print(self.line(0, "interior").damaged(what)),
        };
        let line = self.line(0, "interior").number("level", level);
        let line = line.number("children", children.len() as u64);
        let lines = children.iter().map(|(from, page)| {
            Line::new(None, "child").number("on", *page).text("from", escaped(from))
        });
        print_all(line, lines, print)
    }

    /// The lists here: the dictionary is walked for them, since their page does not tell where one begins.
    fn postings(&self, print: Printer<'_>) -> Result<bool> {
        let mut lines = Vec::new();
        let walked = open(self.file, self.layout).and_then(|segment| {
            let mut scan = segment.terms();
            while let Some((term, list)) = scan.next()? {
                let Some(found) = look::list_on(&list, self.number, self.payload) else { continue };
                let line = |at| self.line(at, "list").text("term", escaped(term));
                lines.push(match found {
                    Ok(here) => line(here.at)
                        .number("postings", here.postings)
                        .number("before", here.rank)
                        .number("of", list.count())
                        .number("first", here.first)
                        .number("last", here.last),
                    Err(what) => line(0).damaged(what),
                });
            }
            Ok(())
        });
        let line = self.line(0, "postings").number("lists", lines.len() as u64);
        let line = match walked {
            Ok(()) => line,
            Err(error) => line.damaged(format!("the dictionary cannot be walked: {error}")),
        };
        print_all(line, lines, print)
    }

    /// The bytes of a stream of `bytes` bytes in `region` that stand here.
    fn within(&self, region: Region, bytes: u64) -> Range<u64> {
        let from = u64::from(self.number - region.first) * self.payload.len() as u64;
        from..(from + self.payload.len() as u64).min(bytes)
    }

    fn bodies(&self, region: Region, header: &Header, print: Printer<'_>) -> Result<bool> {
        let here = self.within(region, header.body_bytes.get());
        let mut lines = Vec::new();
        let walked = open(self.file, self.layout)
            .and_then(|segment| self.begin(&segment, &here, &mut lines));
        let line = self.line(0, "bodies").number("from", here.start).number("to", here.end);
        let line = line.number("begin", lines.len() as u64);
        let line = match walked {
            Ok(()) => line,
            Err(error) => line.damaged(format!("where bodies begin cannot be read: {error}")),
        };
        print_all(line, lines, print)
    }

    /// A line for each body or block that begins among `here` of the stream.
    fn begin(&self, segment: &Segment, here: &Range<u64>, lines: &mut Vec<Line>) -> Result<()> {
        let by_block = segment.blocks() > 0;
        let count = if by_block { segment.blocks() } else { segment.records() };
        let begins = |i| match by_block {
            true => segment.block(i).map(|block| block.bytes.start),
            false => segment.place(i),
        };
        let (mut first, mut end) = (0, count);
        while first < end {
            let middle = first + (end - first) / 2;
            if begins(middle)? < here.start { first = middle + 1 } else { end = middle }
        }
        for i in first..count {
            let begins = begins(i)?;
            if begins >= here.end {
                break;
            }
            let byte = (begins - here.start) as usize;
            let line = match by_block {
                true => {
                    let ordinals = segment.block(i)?.ordinals;
                    let line = self.line(byte, "block").number("number", i);
                    line.number("first", ordinals.start)
                        .number("records", ordinals.end - ordinals.start)
                }
                false => self.line(byte, "body").number("ordinal", i),
            };
            // A head may lie across the end of the page.
            lines.push(match get_u32(self.payload, byte) {
                Ok(head) if byte + BODY_HEAD_BYTES <= self.payload.len() => line
                    .number("bytes", head & !BODY_PACKED)
                    .text("packed", if head & BODY_PACKED > 0 { "yes" } else { "no" }),
                _ => line,
            });
        }
        Ok(())
    }

    fn zdict(&self, region: Region, header: &Header, print: Printer<'_>) -> Result<bool> {
        let of_copy = region.pages / 2;
        let index = self.number - region.first;
        let (copy, index) = if index < of_copy { (1u32, index) } else { (2, index - of_copy) };
        let from = u64::from(index) * self.payload.len() as u64;
        let to = (from + self.payload.len() as u64).min(header.zdict_bytes.get().into());
        let line = self.line(0, "zdict").number("copy", copy).number("from", from);
        print(line.number("to", to).number("of", header.zdict_bytes.get()))
    }

    fn filter(&self, region: Region, header: &Header, print: Printer<'_>) -> Result<bool> {
        let here = self.within(region, header.filter_bytes.get());
        let line = self.line(0, "filter").number("from", here.start).number("to", here.end);
        let line = line.number("of", header.filter_bytes.get());
        let parts = match look::look_at_parts(&self.stream(region, header.filter_bytes.get())?) {
            Ok(parts) => parts,
            Err(what) => return print(line.damaged(what)),
        };
        let lines = ["ids", "terms"].into_iter().zip(parts).flat_map(|(of, parts)| {
            let here = &here;
            parts.into_iter().enumerate().filter_map(move |(number, slots)| {
                let slots = slots.start as u64..slots.end as u64;
                let within = slots.start < here.end && slots.end > here.start;
                let line = Line::new(None, "part").text("of", of).number("number", number as u64);
                within.then(|| line.number("from", slots.start).number("to", slots.end))
            })
        });
        print_all(line, lines, print)
    }

    /// A stream as it lies there. It is as long as its region, which is in the file.
    fn stream(&self, region: Region, bytes: u64) -> Result<Vec<u8>> {
        let (size, payload) = (self.layout.size.bytes() as u64, self.payload.len());
        let mut stream = Vec::new();
        for number in region.first..region.first + region.pages {
            let page = bytes::read(&**self.file, u64::from(number) * size, payload as u64)?;
            stream.extend_from_slice(&page);
        }
        stream.truncate(bytes as usize);
        Ok(stream)
    }
}

fn print_all(
    head: Line,
    lines: impl IntoIterator<Item = Line>,
    print: Printer<'_>,
) -> Result<bool> {
    for line in std::iter::once(head).chain(lines) {
        if !print(line)? {
            return Ok(false);
        }
    }
    Ok(true)
}
