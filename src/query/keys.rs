//! Keys of matches, without bodies: for who compares sets of records and does not read them.
//!
//! ```text
//!   memtable: the keys of its matches       segment: ordinals of the walk --> columns of times and ids
//! ```
//!
//! Source by source, so there is no merge, and no order over the whole. Bodies are read only where a condition is
//! residual (`segment`), as they are for a query.

use super::segment::SegmentSource;
use super::{Order, Select, memtable};
use crate::base::{Key, Result};
use crate::shard::Snapshot;

/// Hands the key of every record that matches one of `selects` to `take`, in no order over the whole, until that
/// says false; false if it did. A record that several match comes once for each. Of a selection with a limit, each
/// source gives its newest so many: which of all are the newest is the caller's to find.
///
/// # Errors
/// `Corrupt` or `Io`.
pub fn keys(
    selects: &[Select],
    snapshots: &[Snapshot],
    take: &mut dyn FnMut(Key) -> bool,
) -> Result<bool> {
    for select in selects.iter().filter(|select| !select.is_empty()) {
        for snapshot in snapshots {
            for table in snapshot.view.memtables() {
                let found = memtable::scan(table, snapshot, select, Order::Newest);
                if !found.into_iter().all(|(key, _)| take(key)) {
                    return Ok(false);
                }
            }
            for live in &snapshot.view.segments {
                let source = SegmentSource::open(live, snapshot.at, select, Order::Newest)?;
                let mut left = select.limit.unwrap_or(usize::MAX);
                let mut limited = |key| {
                    left -= 1;
                    (take(key), left > 0)
                };
                if let Some(source) = source
                    && !source.for_each_key(&mut limited)?
                {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
