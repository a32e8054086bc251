//! The id index: from an id to its ordinal, by interpolation.
//!
//! ```text
//!   id -> its first 4 bytes as a number -> guessed page -> guessed place -> entries with that prefix
//!                                           gallop ^        gallop ^           `-> the IDS column decides
//! ```
//!
//! Entries are sorted by the whole id, so that many ids with one prefix (counters as ids) are searched
//! by halving too. Hashes as ids are on the guessed page or one beside it, and within a page a few entries from where
//! its first one says: two pages are read as a rule, three lines of memory of the first. Of ten million hashes one in
//! 400 shares its 4 bytes with another, which costs it a page.
//!
//! Invariant D1: an ordinal is answered only after its whole id was compared.

use super::columns::Column;
use super::format::{ID_BYTES, ID_ENTRY_BYTES, Region, kind};
use super::id_column::IdColumn;
use super::pages::{PageWriter, Pages, bytes_at};
use crate::base::{Ordinal, Result};
use std::ops::Range;

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

/// Entries that the first guess within a page is off by, about: they stand on one line of memory.
const STEP: u32 = 8;

/// The id index of an open segment.
#[derive(Clone, Copy, Debug)]
pub struct IdIndex {
    entries: Column<ID_ENTRY_BYTES>,
}

fn split(entry: [u8; ID_ENTRY_BYTES]) -> (u32, Ordinal) {
    let ordinal = u32::from_le_bytes(bytes_at(&entry, PREFIX_BYTES));
    (u32::from_be_bytes(bytes_at(&entry, 0)), ordinal)
}

impl IdIndex {
    /// The index of `items` ids in `region`.
    pub fn new(region: Region, items: u32, payload: usize) -> IdIndex {
        IdIndex { entries: Column::new(region, kind::ID_INDEX, items, payload) }
    }

    /// The ordinal of `id`, whose column is `ids`. `about` hears of a record before it is looked at.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; `Corrupt` if an entry names no record.
    pub fn find(
        &self,
        pages: &Pages,
        ids: &IdColumn,
        id: &[u8; ID_BYTES],
        about: impl Fn(Ordinal),
    ) -> Result<Option<Ordinal>> {
        let prefix = prefix_of(id);
        let (at, Some(entry)) = self.first_from(pages, prefix)? else { return Ok(None) };
        let (first, ordinal) = split(entry);
        if first != prefix {
            return Ok(None);
        }
        about(ordinal);
        let found = self.id_of(pages, ids, at, ordinal)?;
        if found >= *id {
            return Ok((found == *id).then_some(ordinal));
        }
        // The lowest id with this prefix is another: halve among all that have the prefix.
        let end = (at, self.entries.items());
        let end = self.entries.partition_point(pages, end, |e| split(e).0 <= prefix)?;
        let (mut low, mut high) = (at + 1, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let (other, ordinal) = split(self.entries.get(pages, middle)?);
            if other != prefix {
                break;
            }
            let other = self.id_of(pages, ids, middle, ordinal)?;
            match other.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(ordinal)),
            }
        }
        Ok(None)
    }

    /// The whole id of the record that entry `at` names.
    fn id_of(
        &self,
        pages: &Pages,
        ids: &IdColumn,
        at: u32,
        ordinal: Ordinal,
    ) -> Result<[u8; ID_BYTES]> {
        if ordinal >= self.entries.items() {
            return Err(pages.corrupt(self.entries.page_of(at), "an id entry names no record"));
        }
        ids.get(pages, ordinal)
    }

    /// Where the first entry with `prefix` or more stands, or would, and that entry, if there is one. A page, or two;
    /// more if ids are not uniform.
    fn first_from(
        &self,
        pages: &Pages,
        prefix: u32,
    ) -> Result<(u32, Option<[u8; ID_ENTRY_BYTES]>)> {
        let (items, per_page) = (self.entries.items(), self.entries.per_page());
        // Entries that ids would have, if they were uniform, below a number.
        let below = |number: u32| ((u64::from(number) * u64::from(items)) >> 32) as u32;
        // It is behind the first entry of one of these pages, or the first entry of the page behind them.
        let mut search = Gallop::new(0..items.div_ceil(per_page), below(prefix) / per_page, 1);
        while let Some(page) = search.probe() {
            let (start, at, entry) =
                self.entries.with_page(pages, page * per_page, |start, entries| {
                    let at = partition_near(entries, prefix, below);
                    (start, at, entries.get(at as usize).copied())
                })?;
            match entry {
                None => search.up(),
                Some(_) if at == 0 => search.down(),
                found => return Ok((start + at, found)),
            }
        }
        let at = search.low.saturating_mul(per_page).min(items);
        Ok((at, if at < items { Some(self.entries.get(pages, at)?) } else { None }))
    }
}

/// Where the first of `entries` with `prefix` or more stands, or would: from where its distance from the first of them
/// says.
fn partition_near(
    entries: &[[u8; ID_ENTRY_BYTES]],
    prefix: u32,
    below: impl Fn(u32) -> u32,
) -> u32 {
    let first = entries.first().map_or(0, |first| split(*first).0);
    let all = 0..entries.len() as u32;
    let mut search = Gallop::new(all, below(prefix.saturating_sub(first)), STEP);
    while let Some(at) = search.probe() {
        match split(entries[at as usize]).0 < prefix {
            true => search.up(),
            false => search.down(),
        }
    }
    search.low
}

/// A search among what ascends that begins at a guess: it goes away from there in steps that double, and halves what is
/// left once that is nearer. Steps are twice those of halving at most.
struct Gallop {
    low: u32,
    high: u32,
    at: u32,
    step: u32,
}

impl Gallop {
    fn new(Range { start, end }: Range<u32>, guess: u32, step: u32) -> Gallop {
        Gallop { low: start, high: end, at: guess.clamp(start, end.saturating_sub(1)), step }
    }

    /// What to look at; none once it is found, and stands at `low`.
    fn probe(&self) -> Option<u32> {
        (self.low < self.high).then_some(self.at)
    }

    fn middle(&self) -> u32 {
        self.low + (self.high - self.low) / 2
    }

    /// It stands behind what was looked at.
    fn up(&mut self) {
        self.low = self.at + 1;
        self.at = self.middle().min(self.low.saturating_add(self.step - 1));
        self.step = self.step.saturating_mul(2);
    }

    /// It is what was looked at, or stands before that.
    fn down(&mut self) {
        self.high = self.at;
        self.at = self.middle().max(self.high.saturating_sub(self.step));
        self.step = self.step.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_from_any_guess_finds_the_place_in_twice_the_steps_of_halving() {
        for items in 0..70u32 {
            for bound in 0..=items {
                for (guess, step) in (0..=items + 3).flat_map(|guess| [1, 8].map(|s| (guess, s))) {
                    let mut search = Gallop::new(0..items, guess, step);
                    let mut steps = 0;
                    while let Some(at) = search.probe() {
                        if at < bound {
                            search.up()
                        } else {
                            search.down()
                        }
                        steps += 1;
                    }
                    assert_eq!(search.low, bound, "of {items} from {guess} by {step}");
                    let most = 2 * (items.max(1).ilog2() + 1);
                    assert!(steps <= most, "{steps} of {most}, {bound} of {items} from {guess}");
                }
            }
        }
    }

    #[test]
    fn entries_are_found_where_numbers_are_even_crowded_or_all_the_same() {
        let entry = |prefix: u32| {
            let mut entry = [0; ID_ENTRY_BYTES];
            entry[..PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
            entry
        };
        let even = |i: u32| i << 23;
        let crowded = |i: u32| i * i;
        for prefixes in [even as fn(u32) -> u32, crowded, |_| 7, |i| u32::MAX - 500 + i] {
            let entries: Vec<_> = (0..500).map(|i| entry(prefixes(i))).collect();
            let below = |number: u32| ((u64::from(number) * 500) >> 32) as u32;
            for asked in (0..500).map(prefixes).flat_map(|p| [p.saturating_sub(1), p, p + 1]) {
                let naive = (0..500).filter(|&i| prefixes(i) < asked).count() as u32;
                assert_eq!(partition_near(&entries, asked, below), naive, "{asked}");
            }
        }
        assert_eq!(partition_near(&[], 7, |_| 0), 0);
    }
}
