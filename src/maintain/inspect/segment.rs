//! A segment: header, regions, pages by kind, and if asked for, records and terms.
//!
//! Pages are named in runs of one kind; a damaged one stands alone. Records and terms are read as a query
//! reads them, so a damaged page costs what stands on it and no more.

use super::log::hex;
use super::{Ask, Line, Printer, bytes};
use crate::base::{Error, PageSize, Result, SegmentId, StoreId};
use crate::io::{Buf, Disk, File};
use crate::model::Record;
use crate::pool::Pool;
use crate::pool::format::check_page;
use crate::segment::format::{Header, kind_name, region_names};
use crate::segment::{Body, Segment, parse_file_name};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the pool that records and terms are read through.
const POOL_BYTES: usize = 8 << 20;

/// Ordinals of a posting list on its line.
const POSTINGS_SHOWN: usize = 64;

/// One page as bytes, and what its trailer says.
pub fn page(
    file: &dyn File,
    id: Option<SegmentId>,
    number: u32,
    size: usize,
    print: Printer<'_>,
) -> Result<()> {
    let at = u64::from(number) * size as u64;
    let mut buf = Buf::zeroed(size, file.align().max(size));
    file.read_at(at, &mut buf)?;
    let line = Line::new(at, "page").number("page", number);
    let line = match check_page(&buf, &id.map_or([0; 16], |id| id.0), number) {
        Ok(kind) => line.text("kind", kind_name(kind)),
        Err(what) => line.damaged(what),
    };
    if !print(line)? {
        return Ok(());
    }
    bytes::dump(file, at, Some(size as u64), print)
}

pub fn file(disk: &Arc<dyn Disk>, path: &Path, ask: &Ask<'_>, print: Printer<'_>) -> Result<()> {
    let file = disk.open_read(path)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let (header, at) = match header(&*file, parse_file_name(name)) {
        Ok(found) => found,
        Err(what) => {
            print(Line::new(0, "header").damaged(what))?;
            return bytes::dump(&*file, 0, None, print);
        }
    };
    let id = parse_file_name(name).unwrap_or(SegmentId(header.segment));
    let Some(size) = PageSize::from_bytes(header.page_bytes.get() as usize) else { return Ok(()) };
    if !print_header(&header, at, print)? || !pages(&*file, id, size, print)? {
        return Ok(());
    }
    if !ask.records && !ask.terms {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let model = header.model_name().unwrap_or("").to_string();
    let version = header.model_version.get();
    let expect = (StoreId(header.store), header.shard.get(), model.as_str(), version);
    let pool = Pool::new(POOL_BYTES, size);
    let segment = match Segment::open(&pool, &**disk, dir, id, expect, None) {
        Ok(segment) => segment,
        Err(error) => return print(Line::new(0, "records").damaged(error)).map(drop),
    };
    if ask.records && !(blocks(&segment, print)? && records(&segment, ask, print)?) {
        return Ok(());
    }
    if ask.terms { terms(&segment, print) } else { Ok(()) }
}

/// The header from page 0 or from its copy, whole or, if neither is, as page 0 has it; and where it stood.
fn header(file: &dyn File, id: Option<SegmentId>) -> std::result::Result<(Header, u64), String> {
    let mut first = None;
    for size in [PageSize::K4, PageSize::K8, PageSize::K16].map(PageSize::bytes) {
        let pages = file.len() / size as u64;
        for number in [0, pages.saturating_sub(1)] {
            let mut buf = Buf::zeroed(size, file.align().max(size));
            let read = file.read_at(number * size as u64, &mut buf);
            let Some(header) = read.ok().and_then(|()| Header::parse(&buf).ok()) else { continue };
            let id = id.map_or(header.segment, |id| id.0);
            let right = header.page_bytes.get() as usize == size
                && header.magic == crate::segment::format::MAGIC;
            if right && check_page(&buf, &id, number as u32).is_ok() {
                return Ok((header, number * size as u64));
            }
            if right && first.is_none() {
                first = Some((header, number * size as u64));
            }
        }
    }
    first.ok_or_else(|| "neither the header nor its copy can be read".into())
}

fn print_header(header: &Header, at: u64, print: Printer<'_>) -> Result<bool> {
    let info = header.info();
    let line = Line::new(at, "header").number("version", header.version.get());
    let line = line.text("store", StoreId(header.store)).text("segment", info.id);
    let line =
        line.number("shard", header.shard.get()).number("page_bytes", header.page_bytes.get());
    let line = line.text("model", header.model_name().unwrap_or("?"));
    let line = line.number("model_version", header.model_version.get());
    let line = line.number("records", info.records).number("pages", info.pages);
    let line = line.number("time_min", info.time_min).number("time_max", info.time_max);
    let line = line.number("body_bytes", info.body_bytes).number("terms", info.terms);
    let line = line.number("postings", info.postings).number("root", header.root.get());
    let line = line.number("levels", header.levels).number("compression", header.compression);
    let line = line.number("blocks", header.blocks.get());
    let copy = at > 0;
    let line = if copy { line.damaged("page 0 is damaged; this is its copy") } else { line };
    if !print(line)? {
        return Ok(false);
    }
    let size = u64::from(header.page_bytes.get());
    for (name, region) in region_names().iter().zip(header.regions.iter().chain([&header.marks])) {
        let line = Line::new(u64::from(region.first.get()) * size, "region").text("name", name);
        let line = line.number("first", region.first.get()).number("pages", region.pages.get());
        if !print(line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs of pages of one kind, and damaged pages.
fn pages(file: &dyn File, id: SegmentId, size: PageSize, print: Printer<'_>) -> Result<bool> {
    let size = size.bytes();
    let count = (file.len() / size as u64) as u32;
    let mut buf = Buf::zeroed(size, file.align().max(size));
    // First page and kind of the run at hand.
    let mut run: Option<(u32, u32)> = None;
    let line_of = |(first, kind): (u32, u32), next: u32| {
        let line = Line::new(u64::from(first) * size as u64, "pages").text("kind", kind_name(kind));
        line.number("first", first).number("pages", next - first)
    };
    for number in 0..count {
        let at = u64::from(number) * size as u64;
        let checked = match file.read_at(at, &mut buf) {
            Ok(()) => check_page(&buf, &id.0, number).map_err(String::from),
            Err(error) => Err(error.to_string()),
        };
        let same = run.is_some_and(|(_, kind)| checked.as_ref() == Ok(&kind));
        if same {
            continue;
        }
        if let Some(run) = run.take()
            && !print(line_of(run, number))?
        {
            return Ok(false);
        }
        match checked {
            Ok(kind) => run = Some((number, kind)),
            Err(what) => {
                if !print(Line::new(at, "page").number("page", number).damaged(what))? {
                    return Ok(false);
                }
            }
        }
    }
    match run {
        Some(run) => print(line_of(run, count)),
        None => Ok(true),
    }
}

/// The blocks of bodies: which records are in them, and whether they can be unpacked.
fn blocks(segment: &Arc<Segment>, print: Printer<'_>) -> Result<bool> {
    let mut previous = Body::default();
    for number in 0..segment.blocks() {
        let line = match segment.block(number) {
            Ok(block) => {
                let (ordinals, bytes) = (&block.ordinals, block.bytes);
                let line = Line::new(block.page_at, "block").number("number", number);
                let line = line.number("first", ordinals.start);
                let line = line.number("records", ordinals.end - ordinals.start);
                let line = line.number("at", bytes.start).number("bytes", bytes.end - bytes.start);
                match segment.body(ordinals.start, std::mem::take(&mut previous)) {
                    Ok(body) => {
                        previous = body;
                        line
                    }
                    Err(error) => line.damaged(error),
                }
            }
            Err(error) => {
                let line = Line::new(offset_of(&error), "block");
                line.number("number", number).damaged(error)
            }
        };
        if !print(line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn records(segment: &Arc<Segment>, ask: &Ask<'_>, print: Printer<'_>) -> Result<bool> {
    let mut previous = Body::default();
    for ordinal in 0..segment.records() {
        let line = Line::new(None, "record").number("ordinal", ordinal);
        let line = match segment.time(ordinal) {
            Ok(time) => line.number("time", time),
            Err(error) => line.damaged(error),
        };
        let (id, body) =
            (segment.id(ordinal), segment.body(ordinal, std::mem::take(&mut previous)));
        let line = match &id {
            Ok(id) => line.text("id", hex(id)),
            Err(error) => line.damaged(error),
        };
        let mut line = match &body {
            Ok(body) => line.number("body_bytes", body.len() as u64),
            Err(error) => line.damaged(error),
        };
        if let (Some(show), Ok(key), Ok(body)) = (ask.show, segment.key(ordinal), &body) {
            line = line.text("body", show(Record { key, body }));
        }
        if !print(line)? {
            return Ok(false);
        }
        previous = body.unwrap_or_default();
    }
    Ok(true)
}

fn terms(segment: &Arc<Segment>, print: Printer<'_>) -> Result<()> {
    let mut scan = segment.terms();
    loop {
        let (term, postings) = match scan.next() {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(()),
            // The walk cannot go on behind a leaf that is damaged.
            Err(error) => {
                return print(Line::new(offset_of(&error), "term").damaged(error)).map(drop);
            }
        };
        let text: String =
            term.iter().flat_map(|&b| std::ascii::escape_default(b)).map(char::from).collect();
        let line = Line::new(None, "term").text("term", text).number("postings", postings.count());
        let (mut cursor, mut next, mut shown) = (postings.cursor(segment), 0, Vec::new());
        let walked = loop {
            if shown.len() == POSTINGS_SHOWN {
                break Ok(());
            }
            match cursor.seek_ge(next) {
                Ok(Some(ordinal)) => {
                    shown.push(u64::from(ordinal));
                    next = ordinal + 1;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let line = line.list("ordinals", shown);
        let line = if let Err(error) = walked { line.damaged(error) } else { line };
        if !print(line)? {
            return Ok(());
        }
    }
}

fn offset_of(error: &Error) -> Option<u64> {
    if let Error::Corrupt { offset, .. } = error { Some(*offset) } else { None }
}
