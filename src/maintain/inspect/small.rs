//! STORE, manifests and texts: files of a header and what is behind it.

use super::bytes::read;
use super::{Line, Printer};
use crate::base::{Result, StoreId};
use crate::io::File;
use crate::shard::format::{
    MANIFEST_HEADER_BYTES, Manifest, ManifestSegment, belongs_to, header_fields, look_at_segments,
};
use crate::store::{birth, texts};
use std::path::Path;

/// Bytes of the longest files that are taken for what they say.
const STORE_BYTES_MAX: u64 = 1 << 20;
const MANIFEST_BYTES_MAX: u64 = 1 << 32;

/// The bytes of a small file; `None` if it has more than `most`.
fn whole(file: &dyn File, most: u64) -> Result<Option<Vec<u8>>> {
    if file.len() > most { Ok(None) } else { read(file, 0, file.len()).map(Some) }
}

/// STORE.
pub fn store(file: &dyn File, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = whole(file, STORE_BYTES_MAX)? else {
        print(Line::new(0, "header").damaged("no STORE file is that long"))?;
        return Ok(());
    };
    let (fields, whole) = birth::fields(&bytes);
    let mut line = Line::new(0, "header");
    for (name, value) in fields {
        line = line.text(name, value);
    }
    if !whole {
        line = line.damaged("its checksum does not match, or it does not begin like a STORE file");
    }
    print(line).map(drop)
}

/// A text of whoever serves the store: its checksum, then all of it.
pub fn text(file: &dyn File, path: &Path, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = whole(file, texts::BYTES_MAX)? else {
        print(Line::new(0, "header").damaged("no text is that long"))?;
        return Ok(());
    };
    let digits = bytes.get(texts::MAGIC.len() + 2..texts::HEAD_BYTES - 2).unwrap_or_default();
    let mut line = Line::new(0, "header").text("crc64", String::from_utf8_lossy(digits));
    if let Err(error) = texts::checked(path, &bytes) {
        line = line.damaged(error);
    }
    if print(line)? {
        let json = String::from_utf8_lossy(bytes.trim_ascii_end());
        print(Line::new(0, "text").text("json", json))?;
    }
    Ok(())
}

/// A manifest: its header, then a line for each segment. Of a damaged one, what can be read.
pub fn manifest(file: &dyn File, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = whole(file, MANIFEST_BYTES_MAX)? else {
        print(Line::new(0, "header").damaged("no manifest is that long"))?;
        return Ok(());
    };
    let mut line = Line::new(0, "header");
    let fields = header_fields(&bytes);
    for (name, value) in fields.iter().flatten() {
        line = line.text(name, value);
    }
    // Whoever it says that it belongs to: it is looked at alone.
    let of = belongs_to(&bytes).unwrap_or((StoreId([0; 16]), 0));
    let manifest = Manifest::decode(file.path(), &bytes, of.0, of.1);
    let (segments, broken) = look_at_segments(&bytes);
    if let Err(error) = &manifest {
        // One checksum is over all of it.
        line = line.damaged(format!("{error}; what is below may be what is damaged"));
    }
    if !print(line)? {
        return Ok(());
    }
    for (at, segment) in segments {
        if !print(segment_line(at, &segment))? {
            return Ok(());
        }
    }
    match broken.filter(|_| manifest.is_err() && bytes.len() >= MANIFEST_HEADER_BYTES) {
        Some(at) => print(Line::new(at, "segment").damaged("from here on no segment can be read")),
        None => Ok(true),
    }
    .map(drop)
}

fn segment_line(at: u64, segment: &ManifestSegment) -> Line {
    let dead: Vec<u64> = segment.dead.iter().map(|&ordinal| u64::from(ordinal)).collect();
    let line = Line::new(at, "segment").text("id", segment.id);
    let line = line.number("records", segment.records).number("dead", dead.len() as u64);
    line.list("ordinals", dead)
}
