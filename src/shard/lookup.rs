//! What the rules ask before a record is decided on: live records by id and by term, in the newest state,
//! published or not. Only the shard's own thread, and recovery in its place, look here.
//!
//! I1. A `Place` is good until the view changes, so it is used within the message it was found for.

use super::view::{LiveSegment, View};
use super::write::Sealed;
use crate::base::{Key, Ordinal, Result, Seq, hash64};
use crate::memtable::{self, Memtable};
use std::collections::VecDeque;
use std::sync::Arc;

/// A place of a live record, newest state.
pub(super) enum Place {
    Memtable(Arc<Memtable>, Ordinal),
    Segment(LiveSegment, Ordinal),
}

/// A live record that a probe found.
pub(super) struct Hit {
    pub(super) key: Key,
    pub(super) body: Vec<u8>,
    pub(super) place: Place,
}

/// The live record with `id`, in the newest state.
pub(super) fn find_live(view: &View, id: &[u8; 32]) -> Result<Option<Place>> {
    for memtable in view.memtables() {
        // The newest place of an id may be a removal's.
        let live = memtable.find_all(id).find(|&o| memtable.killed_at(o) == 0);
        if let Some(ordinal) = live {
            return Ok(Some(Place::Memtable(memtable.clone(), ordinal)));
        }
    }
    let hash = hash64(id);
    for live in &view.segments {
        if live.segment.may_have_id_hash(hash)
            && let Some(ordinal) = live.segment.find(id)?
            && !live.dead.is_killed(ordinal)
        {
            return Ok(Some(Place::Segment(live.clone(), ordinal)));
        }
    }
    Ok(None)
}

/// Whether a live record has `id`, in the newest state.
pub(super) fn is_live(view: &View, id: &[u8; 32]) -> Result<bool> {
    find_live(view, id).map(|place| place.is_some())
}

/// Adds the live records under `term`, in the newest state, newest arrival or time first.
pub(super) fn probe(view: &View, term: &[u8], hits: &mut Vec<Hit>) -> Result<()> {
    for memtable in view.memtables() {
        let Some(postings) = memtable.postings(term) else { continue };
        for o in postings.iter_back().filter(|&o| memtable.killed_at(o) == 0) {
            let body = memtable.body(o).to_vec();
            hits.push(Hit {
                key: memtable.key(o),
                body,
                place: Place::Memtable(memtable.clone(), o),
            });
        }
    }
    let hash = hash64(term);
    for live in view.segments.iter().filter(|live| live.segment.may_have_term_hash(hash)) {
        let Some(postings) = live.segment.term(term)? else { continue };
        let mut cursor = postings.cursor(&live.segment);
        let mut from = cursor.seek_le(Ordinal::MAX)?;
        while let Some(o) = from {
            if !live.dead.is_killed(o) {
                let body = live.segment.body(o, Vec::new())?.to_vec();
                let place = Place::Segment(live.clone(), o);
                hits.push(Hit { key: live.segment.key(o)?, body, place });
            }
            from = if o == 0 { None } else { cursor.seek_le(o - 1)? };
        }
    }
    Ok(())
}

/// Marks the record at `place` dead as of `seq`.
pub(super) fn kill(
    active: &mut memtable::Writer,
    sealed: &mut VecDeque<Sealed>,
    place: &Place,
    seq: Seq,
) {
    match place {
        Place::Segment(live, ordinal) => live.dead.kill(*ordinal, seq),
        Place::Memtable(memtable, ordinal) => {
            let sealed = sealed.iter_mut().map(|s| &mut s.memtable);
            let mut writers = std::iter::once(active).chain(sealed);
            if let Some(writer) = writers.find(|w| Arc::ptr_eq(w.memtable(), memtable)) {
                writer.kill(*ordinal, seq);
            }
        }
    }
}

/// Kills the live record with `id`, if there is one, as replay of the log does.
pub(super) fn kill_by_id(
    view: &View,
    active: &mut memtable::Writer,
    id: &[u8; 32],
    seq: Seq,
) -> Result<()> {
    if let Some(place) = find_live(view, id)? {
        kill(active, &mut VecDeque::new(), &place, seq);
    }
    Ok(())
}
