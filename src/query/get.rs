//! One record by its id: no plan, no order, no cursor.
//!
//! An id lives at most once at any moment, so the first live record that has it is the answer.

use crate::base::{Key, Result, hash64};
use crate::model::Record;
use crate::segment::Body;
use crate::shard::Snapshot;

/// Gives the live record with `id` in `snapshots` to `read`. Memtables first, then the segments whose
/// filters let the id pass: one of them, as a rule, and some four pages of it.
///
/// # Errors
/// `Corrupt` or `Io`.
pub fn get<T>(
    id: &[u8; 32],
    snapshots: &[Snapshot],
    read: impl FnOnce(Record<'_>) -> T,
) -> Result<Option<T>> {
    for snapshot in snapshots {
        for memtable in snapshot.view.memtables() {
            let visible = snapshot.visible(memtable);
            let mut found = memtable.find_all(id);
            if let Some(o) = found.find(|&o| o < visible && memtable.is_live(o, snapshot.at)) {
                return Ok(Some(read(Record { key: memtable.key(o), body: memtable.body(o) })));
            }
        }
    }
    let hash = hash64(id);
    for snapshot in snapshots {
        for live in &snapshot.view.segments {
            if live.segment.may_have_id_hash(hash)
                && let Some(o) = live.segment.find(id)?
                && !live.dead.is_dead(o, snapshot.at)
            {
                let key = Key { time: live.segment.time(o)?, id: *id };
                let body: Body = live.segment.body(o, Vec::new())?;
                return Ok(Some(read(Record { key, body: &body })));
            }
        }
    }
    Ok(None)
}
