//! Which files are meant, and what they say of their records: a source, a time.

use crate::failure::{Failure, Outcome};
use ratite::logs::{NAME_BYTES_MAX, Source};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Endings that say how a file is packed, not what it is.
const PACKED: [&str; 3] = [".gz", ".zst", ".zstd"];

/// `paths` with the files of directories in their place, in the order of their names. What is neither (a socket) is
/// left out of directories.
pub fn expanded(paths: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => add(path, &mut files)?,
            false => files.push(path.clone()),
        }
    }
    if files.is_empty() && !paths.is_empty() {
        return Err(Failure::Sentence("there is no file in what is named".into()));
    }
    Ok(files)
}

fn add(dir: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    let failed =
        |error| Failure::Sentence(format!("cannot read the directory {}: {error}", dir.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for path in entries {
        // A link to a directory above would never end.
        let is_link = path.is_symlink();
        match (path.is_dir(), path.is_file()) {
            (true, _) if !is_link => add(&path, files)?,
            (false, true) => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// The source that a file's name is: `access.log` for `access.log`, `access.log.1` and `access.log.2.gz`.
pub fn source_of(path: &Path) -> Option<Source> {
    let name = path.file_name()?.to_string_lossy();
    let mut name = name.as_ref();
    if let Some(rest) = PACKED.iter().find_map(|end| name.strip_suffix(end)) {
        name = rest;
    }
    if let Some((rest, number)) = name.rsplit_once('.')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        name = rest;
    }
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= NAME_BYTES_MAX).last()?;
    name[..end].parse().ok()
}

/// When a file was last written, in microseconds since the epoch.
pub fn written(path: &Path) -> Option<u64> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    u64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_one_source() {
        for name in ["access.log", "access.log.1", "x/access.log.12.gz", "/access.log.zst"] {
            assert_eq!(source_of(Path::new(name)).unwrap().name(), Some("access.log"), "{name}");
        }
        assert_eq!(source_of(Path::new("syslog")).unwrap().name(), Some("syslog"));
        assert!(source_of(Path::new("/")).is_none());
        let long = "é".repeat(200);
        assert_eq!(source_of(Path::new(&long)).unwrap().name().unwrap().len(), 254);
    }
}
