//! The file in which the decisions over NIP-86 are kept: `relay/policy.json` in the store's directory, a text of the
//! store (`store::texts`), which has its checksum and goes where the store goes.
//!
//! I1. Damaged, it is an error: nothing is let in for want of what kept it out.

use super::managed::Managed;
use crate::base::Result;
use crate::io::Disk;
use crate::store::texts;
use std::path::Path;

/// The file's name.
const NAME: &str = "policy.json";

/// What is kept for the store in `store`; nothing if nothing was.
///
/// # Errors
/// `Corrupt`, `WrongVersion`, `Io`.
pub(super) fn load(disk: &dyn Disk, store: &Path) -> Result<Managed> {
    match texts::read(disk, store, NAME)? {
        Some(text) => Managed::from_bytes(&texts::dir(store).join(NAME), &text),
        None => Ok(Managed::default()),
    }
}

/// Keeps `managed` for the store in `store`: durable on return.
///
/// # Errors
/// `Io`; then what was kept before still is, or, if only the directory could not be synced, either.
pub(super) fn save(disk: &dyn Disk, store: &Path, managed: &Managed) -> Result<()> {
    texts::write(disk, store, NAME, &managed.to_bytes())
}
