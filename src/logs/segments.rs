//! What a log store consists of: its segments, and what is not sealed yet, each with the bounds of its records' times.
//!
//! ```text
//!   shard:   [memtable] [memtable waiting for its flush]  |  [segment][segment]...
//!             sealed: false                               |   sealed: true
//! ```
//!
//! S1. Bounds are those of the records' own times, wherever these are: an import of what is long past has the bounds of
//!     what it brought, sealed or not.
//! S2. What is not sealed has an id as long as it is not, and as long as the store is open: a UUIDv8 made of its shard
//!     and of where it begins. A segment's is a UUIDv7, for ever.
//! S3. An empty memtable is no segment.

use super::record::decode;
use super::{LogCursor, LogStore};
use crate::base::{Error, Result, SegmentId, Seq, ShardId};
use crate::memtable::Memtable;
use crate::shard::{LiveSegment, Snapshot};
use crate::store::StoreSnapshot;

/// A segment, or what will be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentMeta {
    /// Its id (S2).
    pub id: SegmentId,
    /// The shard it is in.
    pub shard: ShardId,
    /// The time of its first record, in microseconds.
    pub start: u64,
    /// The time of its last record: there is one at it.
    pub end: u64,
    /// Bytes that it takes: of its file, or of memory.
    pub bytes: u64,
    /// Bytes of its records as they were given. Of a segment, what names their sources is counted too.
    pub raw_bytes: u64,
    /// Its records.
    pub records: u64,
    /// Whether it is a file that never changes.
    pub sealed: bool,
}

impl LogStore {
    /// All segments and what is not sealed yet, in order of time: by their first records, then by id. Looks at every
    /// record in memory, and at no file.
    ///
    /// # Errors
    /// None so far.
    pub fn segments(&self) -> Result<Vec<SegmentMeta>> {
        Ok(list(&self.store.snapshot(), true))
    }

    /// What is not sealed yet, likewise.
    ///
    /// # Errors
    /// As [`LogStore::segments`].
    pub fn active(&self) -> Result<Vec<SegmentMeta>> {
        Ok(list(&self.store.snapshot(), false))
    }

    /// The one with this id; `None` if there is none (any more).
    ///
    /// # Errors
    /// As [`LogStore::segments`].
    pub fn segment(&self, id: SegmentId) -> Result<Option<SegmentMeta>> {
        Ok(list(&self.store.snapshot(), true).into_iter().find(|meta| meta.id == id))
    }

    /// A cursor over the records of one segment, or of what is not sealed yet, before the first.
    ///
    /// # Errors
    /// `Gone` if there is none with this id (any more): a merge may have put another in its place.
    pub fn cursor_of(&self, segment: SegmentId) -> Result<LogCursor> {
        let snapshot = self.store.snapshot();
        let only = match place_of(segment) {
            Some((shard, base)) => snapshot.only_memtable(shard, base),
            None => snapshot.only_segment(segment),
        };
        let why = || format!("there is no segment {segment}");
        let only = only.ok_or_else(|| Error::Gone { what: "segment", why: why() })?;
        Ok(LogCursor::over(self.store.clone(), only))
    }
}

/// What `snapshot` consists of, in order of time; without what is sealed, if so asked.
pub(super) fn list(snapshot: &StoreSnapshot, with_sealed: bool) -> Vec<SegmentMeta> {
    let mut all = Vec::new();
    for (shard, snapshot) in (0..).zip(snapshot.shards()) {
        all.extend(snapshot.view.memtables().filter_map(|m| of_memtable(shard, snapshot, m)));
        if with_sealed {
            all.extend(snapshot.view.segments.iter().map(|live| of_segment(shard, live)));
        }
    }
    all.sort_unstable_by_key(|meta| (meta.start, meta.id));
    all
}

pub(super) fn of_segment(shard: ShardId, live: &LiveSegment) -> SegmentMeta {
    let info = live.segment.info();
    SegmentMeta {
        id: info.id,
        shard,
        start: info.time_min,
        end: info.time_max,
        bytes: info.bytes,
        raw_bytes: info.raw_bytes,
        records: u64::from(info.records - live.dead.count().min(info.records)),
        sealed: true,
    }
}

fn of_memtable(shard: ShardId, snapshot: &Snapshot, memtable: &Memtable) -> Option<SegmentMeta> {
    let mut meta = SegmentMeta {
        id: id_of(shard, memtable.base()),
        shard,
        start: u64::MAX,
        end: 0,
        bytes: memtable.bytes_used() as u64,
        raw_bytes: 0,
        records: 0,
        sealed: false,
    };
    // Not what the memtable knows of itself, which has what is not published yet.
    for o in (0..snapshot.visible(memtable)).filter(|&o| memtable.is_live(o, snapshot.at)) {
        let time = memtable.time(o);
        (meta.start, meta.end) = (meta.start.min(time), meta.end.max(time));
        meta.records += 1;
        meta.raw_bytes += decode(memtable.body(o)).map_or(0, |(_, raw)| raw.len() as u64);
    }
    (meta.records > 0).then_some(meta) // S3
}

/// The last bytes of the ids of memtables, by which they are told from others.
const ACTIVE: [u8; 5] = *b"activ";

/// The id of the memtable of `shard` that begins behind `base` (S2).
fn id_of(shard: ShardId, base: Seq) -> SegmentId {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = base.to_be_bytes();
    let [s0, s1] = shard.to_be_bytes();
    let [a0, a1, a2, a3, a4] = ACTIVE;
    // Version 8 in the seventh byte, the variant in the ninth: the bits of `base` stand around them.
    SegmentId([b0, b1, b2, b3, b4, b5, 0x80, b6, 0x80, b7, s0 ^ a0, s1 ^ a0, a1, a2, a3, a4])
}

/// The shard and the beginning of the memtable with this id; `None` if it is no memtable's.
fn place_of(id: SegmentId) -> Option<(ShardId, Seq)> {
    let [b0, b1, b2, b3, b4, b5, _, b6, _, b7, s0, s1, ..] = id.0;
    let shard = ShardId::from_be_bytes([s0 ^ ACTIVE[0], s1 ^ ACTIVE[0]]);
    let base = Seq::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    (id_of(shard, base) == id).then_some((shard, base))
}

#[cfg(test)]
mod tests;
