//! STORE, manifests and texts: files of a header and what is behind it.

use super::{Line, Printer};
use crate::base::{Result, StoreId};
use crate::io::Disk;
use crate::maintain::site::small_file;
use crate::shard::format::{Manifest, belongs_to, header_fields};
use crate::store::{birth, texts};
use std::path::Path;

/// STORE.
pub fn store(disk: &dyn Disk, path: &Path, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = small_file(disk, path, 1 << 20)? else {
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
pub fn text(disk: &dyn Disk, path: &Path, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = small_file(disk, path, texts::BYTES_MAX)? else {
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

/// A manifest: its header, then a line for each segment.
pub fn manifest(disk: &dyn Disk, path: &Path, print: Printer<'_>) -> Result<()> {
    let Some(bytes) = small_file(disk, path, 1 << 32)? else {
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
    let manifest = match Manifest::decode(path, &bytes, of.0, of.1) {
        Ok(manifest) => manifest,
        Err(error) => return print(line.damaged(error)).map(drop),
    };
    if !print(line)? {
        return Ok(());
    }
    for segment in manifest.segments {
        let dead: Vec<u64> = segment.dead.iter().map(|&ordinal| u64::from(ordinal)).collect();
        let line = Line::new(None, "segment").text("id", segment.id);
        let line = line.number("records", segment.records).number("dead", dead.len() as u64);
        if !print(line.list("ordinals", dead))? {
            return Ok(());
        }
    }
    Ok(())
}
