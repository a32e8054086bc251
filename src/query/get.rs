//! One record by its id: no plan, no order, no cursor.
//!
//! An id lives at most once at any moment, so the first live record that has it is the answer.

use super::expired::Veil;
use super::{Expired, Side};
use crate::base::{Error, Key, Ordinal, Result, hash64};
use crate::model::Record;
use crate::segment::Body;
use crate::shard::{LiveSegment, Snapshot};

/// Gives the live record with `id` in `snapshots` to `read`. Memtables first, then the segments whose
/// filters let the id pass: one of them, as a rule, and some four pages of it. What is not on `expired`'s side is not there.
///
/// # Errors
/// `Corrupt` or `Io`; `Invalid` if the store makes the ids itself.
pub fn get<T>(
    id: &[u8; 32],
    snapshots: &[Snapshot],
    expired: Option<Expired>,
    read: impl FnOnce(Record<'_>) -> T,
) -> Result<Option<T>> {
    if snapshots.iter().any(|snapshot| !snapshot.view.active.finds_ids()) {
        let why = "the store makes its ids itself and has no index of them";
        return Err(Error::invalid("look-up by id", why));
    }
    for snapshot in snapshots {
        for memtable in snapshot.view.memtables() {
            let visible = snapshot.visible(memtable);
            let mut found = memtable.find_all(id);
            if let Some(o) = found.find(|&o| o < visible && memtable.is_live(o, snapshot.at)) {
                let record = Record { key: memtable.key(o), body: memtable.body(o) };
                let expired = expired.and_then(|expired| expired.in_memtable(memtable));
                let is_there = expired.is_none_or(|expired| expired.admits(record));
                return Ok(is_there.then(|| read(record)));
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
                if let Some(expired) = expired
                    && !is_there(live, expired, o)?
                {
                    return Ok(None);
                }
                let key = Key { time: live.segment.time(o)?, id: *id };
                let body: Body = live.segment.body(o, Body::default())?;
                return Ok(Some(read(Record { key, body: &body })));
            }
        }
    }
    Ok(None)
}

/// Whether the record is on the side that is asked for.
fn is_there(live: &LiveSegment, expired: Expired, o: Ordinal) -> Result<bool> {
    let veil = Veil::over(&live.segment, expired)?;
    let is_over = veil.map_or(Ok(false), |veil| veil.covers(o))?;
    Ok(is_over == (expired.side == Side::Only))
}
