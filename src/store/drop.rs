//! Whole segments that go at once: for stores whose oldest records go together, as those of logs do.

use super::Store;
use crate::base::{Error, Result, SegmentId, ShardId};

impl Store {
    /// Drops `segments` of `shard` with all their records: at one moment for readers, and durably before this
    /// returns. Their files are removed then; whoever has a snapshot from before reads on. False, and nothing has
    /// changed, if one of them is not there (any more): a merge has put another in its place, so look at a new
    /// snapshot and choose again.
    ///
    /// Costs two manifests, whatever the segments hold. A merge that reads one of them begins anew without it.
    ///
    /// The model is not asked: what died by a record that goes stays dead, and rules that look for it (a request to
    /// delete, a newer version) do not find it any more. For models whose records stand alone.
    ///
    /// # Errors
    /// `Invalid` if there is no such shard; `Full` if there are more than `DROPS_MAX` segments; `Poisoned`, `Closed`.
    pub fn drop_segments(&self, shard: ShardId, segments: &[SegmentId]) -> Result<bool> {
        let Some(shard) = self.shards.get(usize::from(shard)) else {
            return Err(Error::invalid("shard", format!("{shard} of {}", self.shards.len())));
        };
        shard.drop_segments(segments)
    }
}
