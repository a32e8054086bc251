//! What the records of a store take on disk: estimates from counts, without reading a record.
//!
//! ```text
//!   segment   bytes * live / records          memtable   bytes * live / records, as of a segment to be
//! ```
//!
//! S1. An estimate of nothing is 0: what is dead counts nowhere, wherever its bytes still are.

use super::Store;

/// The space of a store's records. The log is not in it: its files are of fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Space {
    /// Bytes of the segments' files, the dead included.
    pub segment_bytes: u64,
    /// The share of them that is of live records, and what the live records in memory will take.
    pub live_bytes: u64,
    /// Records of the segments, the dead included.
    pub segment_records: u64,
    /// Bytes of their bodies, unpacked.
    pub segment_raw_bytes: u64,
    /// The share of dead records in percent that compaction leaves in a segment.
    pub garbage_percent: u32,
}

impl Store {
    /// What the records take. Cost: some loads for each memtable and segment.
    pub fn space(&self) -> Space {
        let share = |bytes: u64, live: u64, of: u64| {
            (u128::from(bytes) * u128::from(live) / u128::from(of.max(1))) as u64 // S1
        };
        let mut space = Space { garbage_percent: self.garbage_percent, ..Space::default() };
        for snapshot in self.snapshot().shards() {
            for memtable in snapshot.view.memtables() {
                let (all, dead) = (memtable.len(), memtable.dead());
                let live = u64::from(all.saturating_sub(dead));
                space.live_bytes += share(memtable.bytes_used() as u64, live, u64::from(all));
            }
            for live in &snapshot.view.segments {
                let info = live.segment.info();
                let living = u64::from(info.records.saturating_sub(live.dead.count()));
                space.segment_bytes += info.bytes;
                space.live_bytes += share(info.bytes, living, u64::from(info.records));
                space.segment_raw_bytes += info.raw_bytes;
                space.segment_records += u64::from(info.records);
            }
        }
        space
    }
}
