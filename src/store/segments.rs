//! Segments one by one: flushing a shard, dropping whole segments, looking at one alone. For stores whose records come
//! and go in order of time, as those of logs do.

use super::{Store, StoreSnapshot};
use crate::base::{Error, Ids, Result, SegmentId, Seq, ShardId};
use crate::memtable;
use crate::shard::{Shard, Snapshot, View};
use std::sync::Arc;

impl Store {
    /// Drops `segments` of `shard` with all their records: at one moment for readers, and durably before this
    /// returns. Their files are removed then; whoever has a snapshot from before reads on. False, and nothing has
    /// changed, if one of them is not there (any more): a merge has put another in its place, so look at a new
    /// snapshot and choose again.
    ///
    /// `mark` is a number that the caller wants kept though the records are gone, such as the last that it has numbered
    /// them by: [`Store::mark`] gives the highest from then on, also after a crash, a backup or a resharding. With a mark
    /// `segments` may be empty.
    ///
    /// Costs two manifests, whatever the segments hold. A merge that reads one of them begins anew without it.
    ///
    /// The model is not asked: what died by a record that goes stays dead, and rules that look for it (a request to
    /// delete, a newer version) do not find it any more. For models whose records stand alone.
    ///
    /// # Errors
    /// `Invalid` if there is no such shard; `Full` if there are more than `DROPS_MAX` segments; `Poisoned`, `Closed`.
    pub fn drop_segments(&self, shard: ShardId, segments: &[SegmentId], mark: u64) -> Result<bool> {
        self.shard(shard)?.drop_segments(segments, mark)
    }

    /// The highest mark that came with a drop, in any shard; 0 if none did.
    pub fn mark(&self) -> u64 {
        self.shards.iter().map(Shard::mark).max().unwrap_or(0)
    }

    /// As [`Store::flush`], of one shard.
    ///
    /// # Errors
    /// `Invalid` if there is no such shard; `Poisoned` or `Closed`.
    pub fn flush_shard(&self, shard: ShardId) -> Result<()> {
        self.shard(shard)?.flush()
    }

    fn shard(&self, shard: ShardId) -> Result<&Shard> {
        let none = || Error::invalid("shard", format!("{shard} of {}", self.shards.len()));
        self.shards.get(usize::from(shard)).ok_or_else(none)
    }
}

impl StoreSnapshot {
    /// The same with only this segment in it; `None` if it has no such segment.
    pub fn only_segment(&self, id: SegmentId) -> Option<StoreSnapshot> {
        self.only(|_, snapshot| {
            let of = &snapshot.view.segments;
            let found = of.iter().find(|live| live.segment.info().id == id)?.clone();
            let view = View { segments: vec![found], ..nothing(snapshot.at) };
            Some(Snapshot { view: Arc::new(view), at: snapshot.at })
        })
    }

    /// The same with only the memtable of `shard` that begins behind `base`; `None` if there is none.
    pub fn only_memtable(&self, shard: ShardId, base: Seq) -> Option<StoreSnapshot> {
        self.only(|number, snapshot| {
            let mut of = snapshot.view.memtables().filter(|_| number == shard);
            let active = of.find(|memtable| memtable.base() == base)?.clone();
            let view = View { active, ..nothing(snapshot.at) };
            Some(Snapshot { view: Arc::new(view), at: snapshot.at })
        })
    }

    /// What `choose` makes of one shard, and nothing of the others.
    fn only(
        &self,
        choose: impl Fn(ShardId, &Snapshot) -> Option<Snapshot>,
    ) -> Option<StoreSnapshot> {
        let chosen = (0..).zip(&self.shards).map(|(number, shard)| choose(number, shard));
        let chosen: Vec<Option<Snapshot>> = chosen.collect();
        chosen.iter().any(Option::is_some).then(|| {
            let rest = |at| Snapshot { view: Arc::new(nothing(at)), at };
            let shards = chosen.into_iter().zip(&self.shards);
            let shards = shards.map(|(chosen, shard)| chosen.unwrap_or_else(|| rest(shard.at)));
            StoreSnapshot { shards: shards.collect() }
        })
    }
}

/// A view without a record.
fn nothing(at: Seq) -> View {
    let (ids, late_from) = (Ids::Foreign, u8::MAX); // of records that never come
    let config = memtable::Config { bytes: 1 << 12, records: 1, ids, late_from };
    let (_, active) = memtable::new(config, at);
    View { active, sealed: Vec::new(), segments: Vec::new() }
}
