//! STORE and manifests: files of a header and a list.

use super::{Line, Printer};
use crate::base::{Result, StoreId};
use crate::io::Disk;
use crate::maintain::site::small_file;
use crate::shard::format::{Manifest, belongs_to, header_fields};
use crate::store::birth;
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
