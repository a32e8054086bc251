//! Columns: items of a fixed width, one for each ordinal, none crossing a page.
//!
//! `page of item i = first + i / (payload / width)`, so an item costs one page read and no search.
//!
//! Invariant K1: every page of a column has the full payload, so that an index below `items` is in range.

use super::format::{Region, pages_for};
use super::pages::{PageWriter, Pages, bytes_at};
use crate::base::{Error, Result};
use std::ops::Range;

/// Writes a column.
///
/// # Errors
/// As [`PageWriter::reserve`].
pub fn write_column<const N: usize>(
    out: &mut PageWriter,
    kind: u32,
    items: impl Iterator<Item = [u8; N]>,
) -> Result<Region> {
    let first = out.next();
    let per_page = out.payload_bytes() / N;
    let (mut page, mut filled) = (0, per_page);
    for item in items {
        if filled == per_page {
            page = out.reserve(kind)?;
            filled = 0;
        }
        if let Some(payload) = out.payload_mut(page) {
            payload[filled * N..][..N].copy_from_slice(&item);
        }
        filled += 1;
    }
    Ok(Region { first, pages: out.next() - first })
}

/// A column of items of `N` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Column<const N: usize> {
    first: u32,
    kind: u32,
    per_page: u32,
    items: u32,
}

impl<const N: usize> Column<N> {
    /// The column of `items` items in the pages of `kind` of `region`, whose size was checked against them (F2).
    pub fn new(region: Region, kind: u32, items: u32, payload: usize) -> Column<N> {
        debug_assert_eq!(u64::from(region.pages), pages_for(u64::from(items), N, payload));
        Column { first: region.first, kind, per_page: (payload / N) as u32, items }
    }

    /// Items in it.
    pub fn items(&self) -> u32 {
        self.items
    }

    /// Items on each page but the last.
    pub fn per_page(&self) -> u32 {
        self.per_page
    }

    /// Its pages.
    pub fn pages(&self) -> Range<u32> {
        self.first..self.first + self.items.div_ceil(self.per_page)
    }

    /// The page of item `i`.
    pub fn page_of(&self, i: u32) -> u32 {
        self.first + i / self.per_page
    }

    /// Where item `i` stands: its page, and the byte of it.
    pub fn place_of(&self, i: u32) -> (u32, usize) {
        (self.page_of(i), (i % self.per_page) as usize * N)
    }

    fn check(&self, i: u32) -> Result<()> {
        match i < self.items {
            true => Ok(()),
            false => Err(Error::invalid("ordinal", format!("{i} of {} records", self.items))),
        }
    }

    /// Item `i`. One page.
    ///
    /// # Errors
    /// `Invalid` beyond the last item; `Io` and `Corrupt` as a page read says.
    pub fn get(&self, pages: &Pages, i: u32) -> Result<[u8; N]> {
        self.check(i)?;
        let page = pages.page(self.page_of(i), self.kind)?;
        Ok(bytes_at(&page, (i % self.per_page) as usize * N))
    }

    /// Hands `f` the items of the page of item `i`, and the index of the first of them. One page.
    ///
    /// # Errors
    /// As `get`.
    pub fn with_page<R>(
        &self,
        pages: &Pages,
        i: u32,
        f: impl FnOnce(u32, &[[u8; N]]) -> R,
    ) -> Result<R> {
        self.check(i)?;
        let start = i - i % self.per_page;
        pages.hint([(self.page_of(i), 0)]);
        let page = pages.page(self.page_of(i), self.kind)?;
        let (items, _) = page.as_chunks::<N>();
        let count = self.per_page.min(self.items - start) as usize;
        Ok(f(start, items.get(..count).unwrap_or(items)))
    }

    /// Hands the items `indexes` to `f`, in their order, with one page read for all that stand on one
    /// page in a row.
    ///
    /// # Errors
    /// As `get`; `f` has then had the items before.
    pub fn get_each(
        &self,
        pages: &Pages,
        indexes: &[u32],
        mut f: impl FnMut(u32, [u8; N]),
    ) -> Result<()> {
        let mut rest = indexes;
        while let Some(&first) = rest.first() {
            if first >= self.items {
                return self.get(pages, first).map(drop);
            }
            let start = first - first % self.per_page;
            let end = start.saturating_add(self.per_page).min(self.items);
            let page = pages.page(self.page_of(first), self.kind)?;
            let count = rest.iter().take_while(|i| (start..end).contains(i)).count();
            let (here, later) = rest.split_at(count);
            here.iter().for_each(|&i| f(i, bytes_at(&page, (i - start) as usize * N)));
            rest = later;
        }
        Ok(())
    }

    /// The first item in `low..high` for which `below` no longer holds, or `high`. Items must be
    /// partitioned by it. One page for each halving of the pages, then one.
    ///
    /// # Errors
    /// As `get`.
    pub fn partition_point(
        &self,
        pages: &Pages,
        (low, high): (u32, u32),
        below: impl Fn([u8; N]) -> bool,
    ) -> Result<u32> {
        let high = high.min(self.items);
        if low >= high {
            return Ok(low);
        }
        // The last page of the range whose first item is still below holds the boundary.
        let (mut from, mut to) = (low / self.per_page, (high - 1) / self.per_page);
        while from < to {
            let middle = to - (to - from) / 2;
            if below(self.get(pages, middle * self.per_page)?) {
                from = middle
            } else {
                to = middle - 1
            }
        }
        let start = from * self.per_page;
        let page = pages.page(self.first + from, self.kind)?;
        let (mut low, mut end) = (low.max(start), high.min(start.saturating_add(self.per_page)));
        while low < end {
            let middle = low + (end - low) / 2;
            let item = bytes_at(&page, (middle - start) as usize * N);
            if below(item) { low = middle + 1 } else { end = middle }
        }
        Ok(low)
    }
}
