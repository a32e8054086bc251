//! The posting lists of a flush: those of the memtable, with the ordinals of the segment.
//!
//! ```text
//!   memtable  term --> 7 5 2 (order of arrival)     map: 2 -> 1, 5 -> nowhere, 7 -> 0     segment  term --> 0 1
//! ```
//!
//! A memtable is inverted already: no text is split again, no term hashed or looked for.
//!
//! I1. Every early term of a record is in the memtable it was appended to, and no other: so what a model gives without
//!     late terms is what stands here.

use super::flush::NOWHERE;
use crate::base::{Ordinal, Result, prefix};
use crate::memtable::Memtable;
use crate::segment::Builder;

/// Adds the lists of a memtable that takes no more records, in the order of their terms, where `map` says what became of
/// each record. Terms without a record that is left are left out.
pub(super) fn add_lists(
    memtable: &Memtable,
    map: &[Ordinal],
    builder: &mut Builder,
) -> Result<()> {
    let term = |number| memtable.term(number).0;
    let numbers = 0..memtable.term_count();
    let mut order: Vec<(u64, u32)> = numbers.map(|n| (prefix(term(n)), n)).collect();
    order.sort_unstable_by(|x, y| x.0.cmp(&y.0).then_with(|| term(x.1).cmp(term(y.1))));
    let mut ordinals = Vec::new();
    for (_, number) in order {
        let (term, postings) = memtable.term(number);
        ordinals.clear();
        ordinals.extend(postings.iter_back().map(|o| map[o as usize]).filter(|&o| o != NOWHERE));
        ordinals.sort_unstable();
        builder.add_list(term, ordinals.iter().copied().map(Ok))?;
    }
    Ok(())
}
