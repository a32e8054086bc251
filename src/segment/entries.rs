//! Entries: what leads to records, read for many ordinals at a time.
//!
//! ```text
//!   ordinals, in the order of a walk --> times, ids, locations: a page is pinned once for all that
//!                                        stand on it in a row --> keys, and where the bodies begin
//! ```
//!
//! A walk gives some of its ordinals ahead of their use, so that three columns cost it three pins for
//! dozens of records instead of three for each.

use super::bodies::Bodies;
use super::format::ID_BYTES;
use super::id_column::IdColumn;
use super::numbers::Numbers;
use super::pages::Pages;
use crate::base::{Key, Ordinal, Result};

/// What leads to one record. Good for the segment that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub ordinal: Ordinal,
    /// Its key.
    pub key: Key,
    /// Where its body begins in the stream of bodies, or which block it is in.
    pub(super) at: u64,
}

/// Appends the entries of `ordinals` to `out`.
///
/// # Errors
/// `Invalid` if there is no such record; `Io` and `Corrupt` as a page read says. `out` is then
/// unspecified from its old end on.
pub fn read_entries(
    pages: &Pages,
    (times, ids): (&Numbers, &IdColumn),
    bodies: &Bodies,
    ordinals: &[Ordinal],
    out: &mut Vec<Entry>,
) -> Result<()> {
    let start = out.len();
    bodies.locations(pages, ordinals, |ordinal, at| {
        out.push(Entry { ordinal, key: Key { time: 0, id: [0; ID_BYTES] }, at });
    })?;
    let mut entries = out[start..].iter_mut();
    times.get_each(pages, ordinals, |_, time| {
        if let Some(entry) = entries.next() {
            entry.key.time = time;
        }
    })?;
    let mut entries = out[start..].iter_mut();
    ids.get_each(pages, ordinals, |_, id| {
        if let Some(entry) = entries.next() {
            entry.key.id = id;
        }
    })
}

/// Appends the keys of `ordinals` to `out`.
///
/// # Errors
/// As [`read_entries`].
pub fn read_keys(
    pages: &Pages,
    (times, ids): (&Numbers, &IdColumn),
    ordinals: &[Ordinal],
    out: &mut Vec<Key>,
) -> Result<()> {
    let start = out.len();
    times.get_each(pages, ordinals, |_, time| out.push(Key { time, id: [0; ID_BYTES] }))?;
    let mut keys = out[start..].iter_mut();
    ids.get_each(pages, ordinals, |_, id| {
        if let Some(key) = keys.next() {
            key.id = id;
        }
    })
}
