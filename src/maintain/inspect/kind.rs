//! What a file is: by its bytes, and by its name, which a copy or the quarantine may have changed.
//!
//! ```text
//!   segment    magic at 0, and in the copy of the header on the last page
//!   log file   magic at 0; the magic of a block where the first block begins
//!   manifest, STORE, text    magic at 0 and nothing else
//! ```

use super::bytes::read;
use crate::base::{PageSize, Result, SegmentId, ShardId};
use crate::io::File;
use crate::store::{birth, texts};
use crate::wal::survey;
use crate::{segment, shard};
use std::path::Path;

/// The kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// STORE.
    Store,
    /// A manifest.
    Manifest,
    /// A log file.
    Log,
    /// A segment.
    Segment,
    /// A text of whoever serves the store.
    Text,
}

/// What `file` is by its bytes.
pub fn by_bytes(file: &dyn File) -> Result<Option<Kind>> {
    let start = read(file, 0, survey::FIRST_BLOCK_MAX + 4)?;
    let magics = [
        (birth::MAGIC, Kind::Store),
        (shard::format::MANIFEST_MAGIC, Kind::Manifest),
        (survey::FILE_MAGIC, Kind::Log),
        (segment::format::MAGIC, Kind::Segment),
        (texts::MAGIC, Kind::Text),
    ];
    if let Some((_, kind)) = magics.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Ok(Some(*kind));
    }
    if survey::begins_a_block(&start) {
        return Ok(Some(Kind::Log));
    }
    for size in PageSize::ALL.map(|size| size.bytes() as u64) {
        let Some(last) = (file.len() / size).checked_sub(1).filter(|&last| last > 0) else {
            continue;
        };
        if read(file, last * size, 8)?.starts_with(&segment::format::MAGIC) {
            return Ok(Some(Kind::Segment));
        }
    }
    Ok(None)
}

/// The name that a file had in its place: without what the quarantine puts before and behind it.
fn name_of(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let rest = name.strip_prefix("shard-").and_then(|rest| rest.split_once('-'));
    let name = rest.map_or(name, |(_number, name)| name);
    match name.rsplit_once('.') {
        Some((front, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => front,
        _ => name,
    }
}

/// What `path` is by its name.
pub fn by_name(path: &Path) -> Option<Kind> {
    let name = name_of(path);
    match name {
        "STORE" => Some(Kind::Store),
        _ if name.starts_with("manifest-") => Some(Kind::Manifest),
        _ if log_number(path).is_some() => Some(Kind::Log),
        _ if texts::is_text(name) && is_among_texts(path) => Some(Kind::Text),
        _ => segment_id(path).map(|_| Kind::Segment),
    }
}

fn is_among_texts(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with(texts::DIR))
}

/// The segment that `path` is, by its name.
pub fn segment_id(path: &Path) -> Option<SegmentId> {
    segment::parse_file_name(name_of(path))
}

/// The number of the log file that `path` is, by its name.
pub fn log_number(path: &Path) -> Option<u32> {
    survey::number_of(Path::new(name_of(path)))
}

/// The shard that `path` belongs to, by its directory, or in quarantine by its name.
pub fn shard_of(path: &Path) -> Option<ShardId> {
    let names = [path.file_name(), path.parent().and_then(Path::file_name)];
    names.into_iter().flatten().find_map(|name| {
        let rest = name.to_str()?.strip_prefix("shard-")?;
        rest.split('-').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_its_place_and_in_quarantine() {
        let id = "01920000-0000-7000-8000-000000000001";
        let segment = format!("{id}.seg");
        for (name, kind) in [
            ("STORE", Kind::Store),
            ("manifest-0000000000000009", Kind::Manifest),
            ("wal-0000002a", Kind::Log),
            (segment.as_str(), Kind::Segment),
        ] {
            let names = [
                name.to_string(),
                format!("shard-00-{name}"),
                format!("shard-63-{name}.1"),
                format!("{name}.12"),
            ];
            for name in names {
                assert_eq!(by_name(&Path::new("/elsewhere").join(&name)), Some(kind), "{name}");
            }
        }
        assert_eq!(by_name(Path::new("data/relay/policy.json")), Some(Kind::Text));
        assert_eq!(log_number(Path::new("q/shard-01-wal-0000002a.3")), Some(42));
        assert_eq!(segment_id(Path::new("x.seg")), None);
        for path in ["data/shard-05/wal-00000001", "data/quarantine/shard-05-wal-00000001"] {
            assert_eq!(shard_of(Path::new(path)), Some(5), "{path}");
        }
        assert_eq!(shard_of(Path::new("data/STORE")), None);
        for name in
            ["", "notes.txt", "policy.json", "shard-00", "wal-2a", "report-1767225600.jsonl"]
        {
            assert_eq!(by_name(Path::new(name)), None, "{name}");
        }
    }
}
