//! Removals without a record: how retention, and whoever owns the store, make records go.
//!
//! ```text
//!   ids -> those that live -> one log entry, one place in the memtable that is dead from the start
//! ```
//!
//! The entry takes a place in the memtable because a sequence number is one: the removal becomes visible with
//! its own number, and a snapshot before it stays as it was. The place carries the key of the first removed
//! record, so that a search for that id by newest place finds what is true: it is dead.

use super::Outcome;
use super::format::EntryKind;
use super::lookup::{Hit, Place, find_live};
use super::write::{Applied, Core};
use crate::base::{Key, Result};
use crate::model::Record;
use std::sync::atomic::Ordering::Relaxed;

impl Core {
    /// Removes the live records among `ids`, all at once.
    pub(super) fn remove(&mut self, ids: &[[u8; 32]]) -> Applied {
        let hits = match self.live(ids) {
            Ok(hits) => hits,
            Err(error) => return Applied::Answer(Err(error)),
        };
        let Some(first) = hits.first() else {
            return Applied::Answer(Ok(Outcome::Removed { records: 0 }));
        };
        self.terms.clear();
        self.terms.seal();
        let stand_in = Record { key: first.key, body: &[] };
        match self.put(EntryKind::Remove, stand_in, &hits) {
            Applied::Answer(Ok(_)) => {
                let records = hits.len() as u32;
                self.compactions.changed();
                self.shared.stats.removed.fetch_add(u64::from(records), Relaxed);
                Applied::Answer(Ok(Outcome::Removed { records }))
            }
            other => other,
        }
    }

    /// The live records among `ids`, each once.
    fn live(&self, ids: &[[u8; 32]]) -> Result<Vec<Hit>> {
        let view = self.shared.published.view();
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut hits = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(place) = find_live(&view, &id)? {
                let time = match &place {
                    Place::Memtable(memtable, ordinal) => memtable.time(*ordinal),
                    Place::Segment(live, ordinal) => live.segment.time(*ordinal)?,
                };
                hits.push(Hit { key: Key { time, id }, body: Vec::new(), place });
            }
        }
        Ok(hits)
    }
}
