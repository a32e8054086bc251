//! Columns of numbers: each less a base, in 4 bytes if all of them fit, else in 8.
//!
//! ```text
//!   TIMES      time - lowest time       4 bytes: a segment that spans 136 years or less
//!   LOCATIONS  offset in BODIES         4 bytes: bodies of 4 GiB or less
//! ```
//!
//! The width is one of the whole column, so that an item stays one division away from its page.
//! Errors are those of `columns`.

use super::columns::{Column, write_column};
use super::format::Region;
use super::pages::{PageWriter, Pages};
use crate::base::Result;

/// Bytes of an item of a column whose numbers fit 32 bits.
pub const NARROW_BYTES: usize = 4;
/// Bytes of an item of any other.
pub const WIDE_BYTES: usize = 8;

/// Bytes that an item needs for numbers up to `range` above the base.
pub fn width_for(range: u64) -> u8 {
    if range <= u64::from(u32::MAX) { NARROW_BYTES as u8 } else { WIDE_BYTES as u8 }
}

/// Whether a column may have items of `width` bytes.
pub fn is_width(width: u8) -> bool {
    [NARROW_BYTES, WIDE_BYTES].contains(&usize::from(width))
}

/// Writes `numbers`, which are `base` or more, in items of `width` bytes, which they fit.
///
/// # Errors
/// As [`PageWriter::reserve`].
pub fn write_numbers(
    out: &mut PageWriter,
    kind: u32,
    width: u8,
    base: u64,
    numbers: &[u64],
) -> Result<Region> {
    let numbers = numbers.iter().map(|n| n - base);
    if usize::from(width) == NARROW_BYTES {
        write_column(out, kind, numbers.map(|n| (n as u32).to_le_bytes()))
    } else {
        write_column(out, kind, numbers.map(u64::to_le_bytes))
    }
}

/// A column of numbers.
#[derive(Clone, Copy, Debug)]
pub enum Numbers {
    /// In 4 bytes, less the base.
    Narrow(Column<NARROW_BYTES>, u64),
    /// In 8 bytes, less the base.
    Wide(Column<WIDE_BYTES>, u64),
}

fn narrow(base: u64, item: [u8; NARROW_BYTES]) -> u64 {
    base.wrapping_add(u32::from_le_bytes(item).into()) // wraps in a damaged page only
}

fn wide(base: u64, item: [u8; WIDE_BYTES]) -> u64 {
    base.wrapping_add(u64::from_le_bytes(item))
}

impl Numbers {
    /// The column of `items` items of `width` bytes in the pages of `kind` of `region`, whose size was
    /// checked against them (F2).
    pub fn new(
        region: Region,
        kind: u32,
        (width, base): (u8, u64),
        items: u32,
        payload: usize,
    ) -> Numbers {
        if usize::from(width) == NARROW_BYTES {
            Numbers::Narrow(Column::new(region, kind, items, payload), base)
        } else {
            Numbers::Wide(Column::new(region, kind, items, payload), base)
        }
    }

    /// Items in it.
    pub fn items(&self) -> u32 {
        match self {
            Numbers::Narrow(column, _) => column.items(),
            Numbers::Wide(column, _) => column.items(),
        }
    }

    /// The page of number `i`.
    pub fn page_of(&self, i: u32) -> u32 {
        match self {
            Numbers::Narrow(column, _) => column.page_of(i),
            Numbers::Wide(column, _) => column.page_of(i),
        }
    }

    /// As [`Column::place_of`].
    pub fn place_of(&self, i: u32) -> (u32, usize) {
        match self {
            Numbers::Narrow(column, _) => column.place_of(i),
            Numbers::Wide(column, _) => column.place_of(i),
        }
    }

    /// Number `i`. One page.
    ///
    /// # Errors
    /// As [`Column::get`].
    pub fn get(&self, pages: &Pages, i: u32) -> Result<u64> {
        match self {
            Numbers::Narrow(column, base) => column.get(pages, i).map(|item| narrow(*base, item)),
            Numbers::Wide(column, base) => column.get(pages, i).map(|item| wide(*base, item)),
        }
    }

    /// As [`Column::get_each`].
    ///
    /// # Errors
    /// As [`Column::get_each`].
    pub fn get_each(
        &self,
        pages: &Pages,
        indexes: &[u32],
        mut f: impl FnMut(u32, u64),
    ) -> Result<()> {
        match self {
            Numbers::Narrow(column, base) => {
                column.get_each(pages, indexes, |i, item| f(i, narrow(*base, item)))
            }
            Numbers::Wide(column, base) => {
                column.get_each(pages, indexes, |i, item| f(i, wide(*base, item)))
            }
        }
    }

    /// As [`Column::partition_point`].
    ///
    /// # Errors
    /// As [`Column::partition_point`].
    pub fn partition_point(
        &self,
        pages: &Pages,
        range: (u32, u32),
        below: impl Fn(u64) -> bool,
    ) -> Result<u32> {
        match self {
            Numbers::Narrow(column, base) => {
                column.partition_point(pages, range, |item| below(narrow(*base, item)))
            }
            Numbers::Wide(column, base) => {
                column.partition_point(pages, range, |item| below(wide(*base, item)))
            }
        }
    }
}
