//! What the rules ask before a record is decided on: live records by id and by term, in the newest state,
//! published or not. Only the shard's own thread, and recovery in its place, look here.
//!
//! I1. A `Place` is good until the view changes, so it is used within the message it was found for.

use super::view::{LiveSegment, View};
use super::write::Sealed;
use crate::base::limits::KILLS_PER_RECORD_MAX;
use crate::base::{Error, Key, Ordinal, Result, Seq, hash64};
use crate::memtable::{self, Memtable};
use crate::model::{Probes, Record};
use crate::segment::Body;
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

impl Place {
    /// Gives the record to `read`.
    fn read<T>(&self, read: impl FnOnce(Record<'_>) -> T) -> Result<T> {
        match self {
            Place::Memtable(memtable, o) => {
                Ok(read(Record { key: memtable.key(*o), body: memtable.body(*o) }))
            }
            Place::Segment(live, o) => {
                let body = live.segment.body(*o, Body::default())?;
                Ok(read(Record { key: live.segment.key(*o)?, body: &body }))
            }
        }
    }
}

/// The live record with `id`, in the newest state.
///
/// # Errors
/// `Invalid` if the store makes the ids itself: nobody has one to ask for.
pub(super) fn find_live(view: &View, id: &[u8; 32]) -> Result<Option<Place>> {
    if !view.active.finds_ids() {
        let why = "the store makes its ids itself and has no index of them";
        return Err(Error::invalid("look-up by id", why));
    }
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
                let body = live.segment.body(o, Body::default())?.to_vec();
                let place = Place::Segment(live.clone(), o);
                hits.push(Hit { key: live.segment.key(o)?, body, place });
            }
            from = if o == 0 { None } else { cursor.seek_le(o - 1)? };
        }
    }
    Ok(())
}

/// Adds the newest live record by key under `term`. Only its body is copied, however many there are.
pub(super) fn probe_newest(view: &View, term: &[u8], hits: &mut Vec<Hit>) -> Result<()> {
    let mut newest: Option<(Key, Place)> = None;
    for memtable in view.memtables() {
        let Some(postings) = memtable.postings(term) else { continue };
        for o in postings.iter_back() {
            let least = newest.as_ref().map(|(key, _)| *key);
            if least.is_some_and(|key| memtable.time_max_upto(o) < key.time) {
                break;
            }
            let key = memtable.key(o);
            if memtable.killed_at(o) == 0 && least.is_none_or(|least| key > least) {
                newest = Some((key, Place::Memtable(memtable.clone(), o)));
            }
        }
    }
    let hash = hash64(term);
    for live in view.segments.iter().filter(|live| live.segment.may_have_term_hash(hash)) {
        let Some(postings) = live.segment.term(term)? else { continue };
        let mut cursor = postings.cursor(&live.segment);
        let mut at = cursor.seek_le(Ordinal::MAX)?;
        // In the order of keys, so the first that lives is the segment's newest.
        while let Some(o) = at.filter(|&o| live.dead.is_killed(o)) {
            at = if o == 0 { None } else { cursor.seek_le(o - 1)? };
        }
        let Some(o) = at else { continue };
        let key = live.segment.key(o)?;
        if newest.as_ref().is_none_or(|(newest, _)| key > *newest) {
            newest = Some((key, Place::Segment(live.clone(), o)));
        }
    }
    if let Some((key, place)) = newest {
        let body = place.read(|record| record.body.to_vec())?;
        hits.push(Hit { key, body, place });
    }
    Ok(())
}

/// Adds the live records that `probes` names as dying, and of which `dies` says so: without their bodies.
///
/// # Errors
/// `Full` if there are far more than one record may kill.
pub(super) fn dying(
    view: &View,
    probes: &Probes,
    dies: impl Fn(Record<'_>) -> bool,
    hits: &mut Vec<Hit>,
) -> Result<()> {
    let mut add = |place: Place| -> Result<()> {
        // A record can be named by its id and by a term.
        if hits.len() > 2 * KILLS_PER_RECORD_MAX {
            return Err(too_many());
        }
        if let Some(key) = place.read(|record| dies(record).then_some(record.key))? {
            hits.push(Hit { key, body: Vec::new(), place });
        }
        Ok(())
    };
    for id in &probes.dying_ids {
        find_live(view, id)?.map_or(Ok(()), &mut add)?;
    }
    for term in probes.dying_terms.iter() {
        for memtable in view.memtables() {
            let Some(postings) = memtable.postings(term) else { continue };
            let old = |o: &Ordinal| memtable.time(*o) <= probes.dying_until;
            for o in postings.iter_back().filter(old).filter(|&o| memtable.killed_at(o) == 0) {
                add(Place::Memtable(memtable.clone(), o))?;
            }
        }
        let hash = hash64(term);
        for live in view.segments.iter().filter(|live| live.segment.may_have_term_hash(hash)) {
            let Some(postings) = live.segment.term(term)? else { continue };
            let mut cursor = postings.cursor(&live.segment);
            let mut end = live.segment.bounds(0, probes.dying_until)?.end;
            while end > 0
                && let Some(o) = cursor.seek_le(end - 1)?
            {
                if !live.dead.is_killed(o) {
                    add(Place::Segment(live.clone(), o))?;
                }
                end = o;
            }
        }
    }
    Ok(())
}

/// The error about a record that would kill more than one may.
pub(super) fn too_many() -> Error {
    Error::Full { what: "removals by one record", limit: KILLS_PER_RECORD_MAX as u64 }
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
    sealed: &mut VecDeque<Sealed>,
    id: &[u8; 32],
    seq: Seq,
) -> Result<()> {
    if let Some(place) = find_live(view, id)? {
        kill(active, sealed, &place, seq);
    }
    Ok(())
}
