//! The id index: from an id to its ordinal, by interpolation.
//!
//! ```text
//!   id -> its first 4 bytes as a number -> guessed page -> gallop -> page -> entries with that prefix
//!                                                                            `-> the IDS column decides
//! ```
//!
//! Entries are sorted by the whole id, so that many ids with one prefix (counters as ids) are searched
//! by halving too. Hashes as ids are guessed within a page or two: two or three pages are read. Of ten
//! million hashes one in 400 shares its 4 bytes with another, which costs it a page.
//!
//! Invariant D1: an ordinal is answered only after its whole id was compared.

use super::columns::Column;
use super::format::{ID_BYTES, ID_ENTRY_BYTES, Region, kind};
use super::id_column::IdColumn;
use super::pages::{PageWriter, Pages, bytes_at};
use crate::base::{Ordinal, Result};

const PREFIX_BYTES: usize = 4;

fn prefix_of(id: &[u8; ID_BYTES]) -> u32 {
    u32::from_be_bytes(bytes_at(id, 0))
}

/// Writes the index of `ids`, which are in ordinal order. Memory: 4 bytes an id.
///
/// # Errors
/// As [`PageWriter::reserve`].
pub fn write_id_index(out: &mut PageWriter, ids: &[[u8; ID_BYTES]]) -> Result<Region> {
    let mut order: Vec<Ordinal> = (0..ids.len() as Ordinal).collect();
    order.sort_unstable_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize]));
    let entries = order.iter().map(|&ordinal| {
        let mut entry = [0; ID_ENTRY_BYTES];
        entry[..PREFIX_BYTES].copy_from_slice(&ids[ordinal as usize][..PREFIX_BYTES]);
        entry[PREFIX_BYTES..].copy_from_slice(&ordinal.to_le_bytes());
        entry
    });
    super::columns::write_column(out, kind::ID_INDEX, entries)
}

/// The id index of an open segment.
#[derive(Clone, Copy, Debug)]
pub struct IdIndex {
    entries: Column<ID_ENTRY_BYTES>,
    per_page: u32,
}

fn split(entry: [u8; ID_ENTRY_BYTES]) -> (u32, Ordinal) {
    let ordinal = u32::from_le_bytes(bytes_at(&entry, PREFIX_BYTES));
    (u32::from_be_bytes(bytes_at(&entry, 0)), ordinal)
}

impl IdIndex {
    /// The index of `items` ids in `region`.
    pub fn new(region: Region, items: u32, payload: usize) -> IdIndex {
        let per_page = (payload / ID_ENTRY_BYTES) as u32;
        IdIndex { entries: Column::new(region, kind::ID_INDEX, items, payload), per_page }
    }

    /// The ordinal of `id`, whose column is `ids`.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; `Corrupt` if an entry names no record.
    pub fn find(
        &self,
        pages: &Pages,
        ids: &IdColumn,
        id: &[u8; ID_BYTES],
    ) -> Result<Option<Ordinal>> {
        let prefix = prefix_of(id);
        let (low, high) = self.around(pages, prefix)?;
        let at = self.entries.partition_point(pages, (low, high), |e| split(e).0 < prefix)?;
        let Some(found) = self.candidate(pages, ids, at, prefix)? else { return Ok(None) };
        if found.1 >= *id {
            return Ok((found.1 == *id).then_some(found.0));
        }
        // The lowest id with this prefix is another: halve among all that have the prefix.
        let end = (at, self.entries.items());
        let end = self.entries.partition_point(pages, end, |e| split(e).0 <= prefix)?;
        let (mut low, mut high) = (at + 1, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((ordinal, other)) = self.candidate(pages, ids, middle, prefix)? else { break };
            match other.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(ordinal)),
            }
        }
        Ok(None)
    }

    /// Entry `at`, if it has the prefix: its ordinal and whole id.
    fn candidate(
        &self,
        pages: &Pages,
        ids: &IdColumn,
        at: u32,
        prefix: u32,
    ) -> Result<Option<(Ordinal, [u8; ID_BYTES])>> {
        if at >= self.entries.items() {
            return Ok(None);
        }
        let (found, ordinal) = split(self.entries.get(pages, at)?);
        if found != prefix {
            return Ok(None);
        }
        if ordinal >= self.entries.items() {
            return Err(pages.corrupt(self.entries.page_of(at), "an id entry names no record"));
        }
        Ok(Some((ordinal, ids.get(pages, ordinal)?)))
    }

    /// Entries between which the first with `prefix` or more stands: gallops from the page where it
    /// would be if ids were uniform.
    fn around(&self, pages: &Pages, prefix: u32) -> Result<(u32, u32)> {
        let items = self.entries.items();
        if items == 0 {
            return Ok((0, 0));
        }
        let last = (items - 1) / self.per_page;
        let starts_below = |page: u32| -> Result<bool> {
            Ok(split(self.entries.get(pages, page * self.per_page)?).0 < prefix)
        };
        let guess = ((u64::from(prefix) * u64::from(items)) >> 32) as u32 / self.per_page;
        let (mut low, mut high, mut step) = (guess, guess, 1u32);
        if starts_below(guess)? {
            loop {
                high = low.saturating_add(step).min(last + 1);
                if high > last || !starts_below(high)? {
                    break;
                }
                low = high;
                step = step.saturating_mul(2);
            }
        } else {
            while low > 0 {
                low = high.saturating_sub(step);
                if starts_below(low)? {
                    break;
                }
                high = low;
                step = step.saturating_mul(2);
            }
        }
        let end = u64::from(high) * u64::from(self.per_page);
        Ok((low * self.per_page, end.min(u64::from(items)) as u32))
    }
}
