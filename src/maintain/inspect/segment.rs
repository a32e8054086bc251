//! A segment: header, regions, pages by kind, and if asked for, records and terms.
//!
//! Pages are named in runs of one kind; a damaged one stands alone. Records and terms are read as a query
//! reads them, so a damaged page costs what stands on it and no more.

use super::kind::segment_id;
use super::layout::{Layout, Placed};
use super::log::hex;
use super::{Ask, Line, Printer, bytes};
use crate::base::{Error, Result, SegmentId, StoreId};
use crate::io::{Buf, File};
use crate::model::Record;
use crate::pool::Pool;
use crate::pool::format::check_page;
use crate::segment::format::{Header, kind_name, region_names};
use crate::segment::{Body, Segment};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the pool that records and terms are read through.
const POOL_BYTES: usize = 8 << 20;

/// Ordinals of a posting list on its line.
const POSTINGS_SHOWN: usize = 64;

pub fn file(file: &Arc<dyn File>, path: &Path, ask: &Ask<'_>, print: Printer<'_>) -> Result<()> {
    let layout = Layout::find(&**file, segment_id(path), ask.page_size);
    let shown = match &layout.header {
        Some(placed) => print_header(&placed.header, placed.at, Some(placed.whole), print)?,
        None => {
            print(Line::new(0, "header").damaged("neither the header nor its copy can be read"))?
        }
    };
    if !shown {
        return Ok(());
    }
    if !layout.is_known() {
        return bytes::dump(&**file, 0, None, print);
    }
    if !pages(&**file, &layout, print)? || !ask.records && !ask.terms {
        return Ok(());
    }
    let segment = match open(file, &layout) {
        Ok(segment) => segment,
        Err(error) => return print(Line::new(0, "records").damaged(error)).map(drop),
    };
    if ask.records && !(blocks(&segment, print)? && records(&segment, ask, print)?) {
        return Ok(());
    }
    if ask.terms { terms(&segment, print) } else { Ok(()) }
}

/// The segment, opened by itself, as what it says that it is.
///
/// # Errors
/// As [`Segment::open`].
pub fn open(file: &Arc<dyn File>, layout: &Layout) -> Result<Arc<Segment>> {
    let without = || Error::corrupt(file.path(), 0, "its header and its copy are damaged");
    let (Some(Placed { header, .. }), Some(id)) = (&layout.header, layout.id) else {
        return Err(without());
    };
    let model = header.model_name().unwrap_or("");
    let expect = (StoreId(header.store), header.shard.get(), model, header.model_version.get());
    let pool = Pool::new(POOL_BYTES, layout.size);
    Segment::open_file(&pool, file.clone(), id, expect, None)
}

/// What a header says, from its page, which is at `at`; and what follows from where it was found, and how.
pub fn print_header(
    header: &Header,
    at: u64,
    whole: Option<bool>,
    print: Printer<'_>,
) -> Result<bool> {
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
    let line = match (whole, at > 0) {
        (Some(false), _) => line.damaged("neither this page nor its copy is whole"),
        (Some(true), true) => line.damaged("page 0 is damaged; this is its copy"),
        _ => line,
    };
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
fn pages(file: &dyn File, layout: &Layout, print: Printer<'_>) -> Result<bool> {
    let (size, count) = (layout.size.bytes(), layout.pages(file));
    let id = layout.id.unwrap_or(SegmentId([0; 16]));
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
        let line = Line::new(None, "term")
            .text("term", escaped(term))
            .number("postings", postings.count());
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

/// A term, of which any byte may be none of a text.
pub fn escaped(term: &[u8]) -> String {
    term.iter().flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect()
}

fn offset_of(error: &Error) -> Option<u64> {
    if let Error::Corrupt { offset, .. } = error { Some(*offset) } else { None }
}
