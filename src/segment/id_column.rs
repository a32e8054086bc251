//! The column of ids: whole, or, if the store makes them itself, the number in front of each.
//!
//! ```text
//!   foreign   32 bytes                     id
//!   own       number - lowest number       4 or 8 bytes (`numbers`); 24 zeroes are not kept
//! ```
//!
//! Errors are those of `columns`.

use super::columns::{Column, write_column};
use super::format::{Header, ID_BYTES, Region, kind};
use super::numbers::{Numbers, width_for, write_numbers};
use super::pages::{PageWriter, Pages};
use crate::base::{Error, Ids, Key, Result, hash64};

/// The ids of a segment in the making, in ordinal order.
#[derive(Debug)]
pub enum NewIds {
    /// As they are.
    Whole(Vec<[u8; ID_BYTES]>),
    /// The numbers in front of own ones.
    Own(Vec<u64>),
}

impl NewIds {
    /// None yet.
    pub fn new(ids: Ids) -> NewIds {
        match ids {
            Ids::Foreign => NewIds::Whole(Vec::new()),
            Ids::Own => NewIds::Own(Vec::new()),
        }
    }

    /// Adds the id of `key`.
    ///
    /// # Errors
    /// `Invalid` if it is to be an own one and is not.
    pub fn push(&mut self, key: &Key) -> Result<()> {
        match self {
            NewIds::Whole(ids) => ids.push(key.id),
            NewIds::Own(numbers) => {
                let number = key.own_number();
                let why = || format!("{key:?} has more than 8 bytes");
                numbers.push(number.ok_or_else(|| Error::invalid("record's own id", why()))?);
            }
        }
        Ok(())
    }

    /// Writes the column and notes its width in `header`.
    ///
    /// # Errors
    /// As [`PageWriter::reserve`].
    pub fn write(&self, out: &mut PageWriter, header: &mut Header) -> Result<Region> {
        match self {
            NewIds::Whole(ids) => write_column(out, kind::IDS, ids.iter().copied()),
            NewIds::Own(numbers) => {
                let lowest = numbers.iter().min().copied().unwrap_or(0);
                let highest = numbers.iter().max().copied().unwrap_or(0);
                header.id_width = width_for(highest - lowest);
                header.id_base = lowest.into();
                write_numbers(out, kind::IDS, header.id_width, lowest, numbers)
            }
        }
    }

    /// The ids that are indexed.
    pub fn indexed(&self) -> &[[u8; ID_BYTES]] {
        match self {
            NewIds::Whole(ids) => ids,
            NewIds::Own(_) => &[],
        }
    }

    /// Their hashes, for the filter.
    pub fn hashes(&self) -> Vec<u64> {
        self.indexed().iter().map(|id| hash64(id)).collect()
    }
}

/// The column of an open segment.
#[derive(Clone, Copy, Debug)]
pub enum IdColumn {
    /// Of whole ids.
    Whole(Column<ID_BYTES>),
    /// Of own ids.
    Own(Numbers),
}

fn whole(number: u64) -> [u8; ID_BYTES] {
    Key::own(0, number).id
}

impl IdColumn {
    /// The column in `region`, of which `header`, which was checked, says the width (F2).
    pub fn new(region: Region, header: &Header, payload: usize) -> IdColumn {
        let (items, kind) = (header.records.get(), kind::IDS);
        if header.has_own_ids() {
            let width = (header.id_width, header.id_base.get());
            IdColumn::Own(Numbers::new(region, kind, width, items, payload))
        } else {
            IdColumn::Whole(Column::new(region, kind, items, payload))
        }
    }

    /// The page of id `i`.
    pub fn page_of(&self, i: u32) -> u32 {
        match self {
            IdColumn::Whole(column) => column.page_of(i),
            IdColumn::Own(numbers) => numbers.page_of(i),
        }
    }

    /// As [`Column::place_of`].
    pub fn place_of(&self, i: u32) -> (u32, usize) {
        match self {
            IdColumn::Whole(column) => column.place_of(i),
            IdColumn::Own(numbers) => numbers.place_of(i),
        }
    }

    /// Id `i`. One page.
    ///
    /// # Errors
    /// As [`Column::get`].
    pub fn get(&self, pages: &Pages, i: u32) -> Result<[u8; ID_BYTES]> {
        match self {
            IdColumn::Whole(column) => column.get(pages, i),
            IdColumn::Own(numbers) => numbers.get(pages, i).map(whole),
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
        mut f: impl FnMut(u32, [u8; ID_BYTES]),
    ) -> Result<()> {
        match self {
            IdColumn::Whole(column) => column.get_each(pages, indexes, f),
            IdColumn::Own(numbers) => numbers.get_each(pages, indexes, |i, n| f(i, whole(n))),
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
        below: impl Fn([u8; ID_BYTES]) -> bool,
    ) -> Result<u32> {
        match self {
            IdColumn::Whole(column) => column.partition_point(pages, range, below),
            IdColumn::Own(numbers) => numbers.partition_point(pages, range, |n| below(whole(n))),
        }
    }
}
