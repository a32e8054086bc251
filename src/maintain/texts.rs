//! Texts (`store::texts`) in copies and under verification.
//!
//! ```text
//!   source DIR/relay/NAME.json --checked--> target DIR/relay/NAME.json.part --READY (target.rs)--> NAME.json
//! ```
//!
//! I1. They are brought when all else has arrived: what follows from a text, as the removal of an event from its ban,
//!     is not in the copy without the text.

use super::report::Notebook;
use super::target::{drop_parts, part_of};
use crate::base::Result;
use crate::io::Disk;
use crate::store::texts;
use std::collections::BTreeSet;
use std::path::Path;

/// Brings the texts of the store in `source` into `target` as parts, durably; gives their names.
///
/// # Errors
/// `Corrupt` where one is damaged; `Io`.
pub(super) fn bring(disk: &dyn Disk, source: &Path, target: &Path) -> Result<BTreeSet<String>> {
    drop_parts(disk, &texts::dir(target))?;
    let mut brought = BTreeSet::new();
    for name in texts::names(disk, source)?.into_iter().filter(|name| texts::is_text(name)) {
        if let Some(text) = texts::read(disk, source, &name)? {
            let part = part_of(Path::new(&name));
            texts::put(disk, target, &part.to_string_lossy(), &text)?;
            brought.insert(name);
        }
    }
    Ok(brought)
}

/// Removes what is there beside the texts `needed`; how many files that was.
///
/// # Errors
/// `Io`.
pub(super) fn clean(disk: &dyn Disk, target: &Path, needed: &BTreeSet<String>) -> Result<u64> {
    let dir = texts::dir(target);
    let names = texts::names(disk, target)?;
    let mut removed = 0;
    for name in names.iter().filter(|name| !needed.contains(*name)) {
        disk.remove(&dir.join(name))?;
        removed += 1;
    }
    if removed > 0 {
        disk.sync_dir(&dir)?;
    }
    Ok(removed)
}

/// Whether each text of the store in `store` is what was written.
///
/// # Errors
/// What is no finding.
pub(super) fn check(disk: &dyn Disk, store: &Path, book: &mut Notebook<'_>) -> Result<()> {
    for name in texts::names(disk, store)? {
        let path = texts::dir(store).join(&name);
        if texts::is_text(&name) {
            book.report.counts.files += 1;
            match texts::read(disk, store, &name) {
                Ok(text) => book.read(text.map_or(0, |text| text.len() as u64)),
                Err(error) => super::verify::found(error, &path, "text", book)?,
            }
        } else if name.ends_with(".new") || name.ends_with(".part") {
            book.note(&path, None, "orphan", "its writing was interrupted");
        } else {
            book.note(&path, None, "unknown", "the store has no such file");
        }
    }
    Ok(())
}
