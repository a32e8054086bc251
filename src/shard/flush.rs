//! Flush: a sealed memtable becomes one immutable segment.
//!
//! ```text
//!   1 take the records that live, in key order     4 name durable (directory synced)
//!   2 add each to a builder, then its terms        5 open the segment for reading
//!   3 write and sync the file                      6 shard's thread: install (checkpoint.rs)
//! ```
//!
//! I1. Only a memtable whose records are all published is flushed: a segment never holds a record
//!     that a crash could take back.
//! I2. Only records whose death is published are left out. Those that die later, while the flush runs,
//!     are in the segment, and the map of ordinals lets the shard's thread carry their deaths over: a
//!     death that a crash takes back must not have taken its record along.

use super::Shared;
use super::choose::Compress;
use super::lists::add_lists;
use super::view::LiveSegment;
use super::write::Core;
use crate::base::{Ordinal, Result, SegmentId, Seq, Terms, planted};
use crate::memtable::Memtable;
use crate::model::{Bodies, Record};
use crate::segment::{self, Builder, Compression, Expect, NewSegment, Segment};
use std::sync::Arc;

use super::work::Job;

/// Stands for no ordinal: the record was dead and is not in the segment.
pub(super) const NOWHERE: Ordinal = Ordinal::MAX;

/// A flush that is done and not yet installed.
pub(super) struct Flushed {
    pub(super) memtable: Arc<Memtable>,
    /// None if nothing in the memtable lives.
    pub(super) segment: Option<Arc<Segment>>,
    /// The segment's ordinal of each of the memtable's, or `NOWHERE`.
    pub(super) map: Vec<Ordinal>,
}

impl Core {
    /// Hands the oldest sealed memtable to the worker, once all its records are published (I1); not if there was no
    /// space for it, which is tried again in its time (`full`).
    pub(super) fn flush_if_ready(&mut self) {
        if !self.short.owes_flush() {
            self.flush_oldest();
        }
    }

    pub(super) fn flush_oldest(&mut self) {
        let published = self.shared.published.seq();
        let Some(oldest) = self.sealed.front_mut() else { return };
        let memtable = oldest.memtable.memtable().clone();
        if !oldest.flushing && published >= memtable.base() + u64::from(memtable.len()) {
            oldest.flushing = true;
            let believed = planted!(FlushBelievesUncommittedDeaths);
            self.send(Job::Flush(memtable, if believed { Seq::MAX } else { published }));
        }
    }
}

/// Writes the records of `memtable` that live for a reader at `at` as a segment.
pub(super) fn flush(shared: &Shared, memtable: &Arc<Memtable>, at: Seq) -> Result<Flushed> {
    let mut map = vec![NOWHERE; memtable.len() as usize];
    // 1
    let live = (0..memtable.len()).filter(|&o| memtable.is_live(o, at));
    let mut live: Vec<(u64, Ordinal)> = live.map(|o| (memtable.time(o), o)).collect();
    // Most keys differ in their times.
    let key = |o| memtable.key(o);
    live.sort_unstable_by(|x, y| x.0.cmp(&y.0).then_with(|| key(x.1).cmp(&key(y.1))));
    if live.is_empty() {
        return Ok(Flushed { memtable: memtable.clone(), segment: None, map });
    }
    let (id, builder) = create(shared, compression(shared))?;
    let filled = fill(shared, memtable, &live, builder, &mut map);
    let segment = filled.and_then(|()| {
        // 4
        if !planted!(SegmentNameNotSynced) {
            shared.env.disk.sync_dir(&shared.config.dir)?;
        }
        // 5
        open(shared, id)
    });
    let segment = segment.inspect_err(|_| {
        // What is there of it is of no use. If it stays, the next opening removes it.
        let _gone = shared.env.disk.remove(&shared.config.dir.join(segment::file_name(id)));
    })?;
    Ok(Flushed { memtable: memtable.clone(), segment: Some(segment), map })
}

/// Steps 2 and 3.
fn fill(
    shared: &Shared,
    memtable: &Memtable,
    live: &[(u64, Ordinal)],
    mut builder: Builder,
    map: &mut [Ordinal],
) -> Result<()> {
    // 2
    let is_inverted = shared.model.late_from() == u8::MAX;
    let mut terms = Terms::new();
    for &(_, o) in live {
        let record = Record { key: memtable.key(o), body: memtable.body(o) };
        if !is_inverted {
            terms.clear();
            shared.model.terms(record, &mut terms);
        }
        map[o as usize] = builder.add(record.key, record.body, &terms)?;
    }
    if is_inverted {
        add_lists(memtable, map, &mut builder)?;
    }
    // 3
    builder.finish().map(drop)
}

/// How a flush packs bodies. What is new is read soon and often, so not one by one; a block is packed in less time than
/// its bytes take to the disk.
fn compression(shared: &Shared) -> Compression {
    match (shared.model.bodies(), shared.config.compaction.compress) {
        (Bodies::Each, _) | (Bodies::Blocks, Compress::Never) => Compression::None,
        (Bodies::Blocks, Compress::Full | Compress::Always) => Compression::FastBlocks,
    }
}

/// Opens the shard's segment `id`, which is ready for all that is asked of it.
pub(super) fn open(shared: &Shared, id: SegmentId) -> Result<Arc<Segment>> {
    let segment = open_later(shared, id)?;
    warm(&segment);
    Ok(segment)
}

/// Opens the shard's segment `id` and reads its header only.
pub(super) fn open_later(shared: &Shared, id: SegmentId) -> Result<Arc<Segment>> {
    let fetch = Some(shared.reads.clone() as Arc<dyn crate::pool::Fetch>);
    let (disk, dir) = (&*shared.env.disk, &shared.config.dir);
    Segment::open(&shared.pool, disk, dir, id, expected(shared), fetch)
}

/// Reads what the shard's thread would otherwise have to read, or do without.
pub(super) fn warm(segment: &Segment) {
    segment.load_filters();
    segment.middle();
}

/// What a segment of the shard belongs to.
pub(super) fn expected(shared: &Shared) -> Expect<'_> {
    let (config, model) = (&shared.config, &shared.model);
    (config.store, config.shard, model.name(), model.version())
}

/// Begins a segment of the shard, under a new name.
pub(super) fn create(shared: &Shared, compression: Compression) -> Result<(SegmentId, Builder)> {
    let mut random = [0; 10];
    shared.env.entropy.fill(&mut random);
    let id = SegmentId::v7(shared.env.clock.unix_micros() / 1000, random);
    let config = &shared.config;
    let model = (shared.model.name(), shared.model.version());
    let (store, shard, page) = (config.store, config.shard, config.page);
    let ids = shared.model.ids();
    let mark = shared.model.mark();
    let new = NewSegment { id, store, shard, page, model, ids, mark, compression };
    Ok((id, Builder::create(&*shared.env.disk, &config.dir, new)?))
}

/// A segment with the tombstones of what died in its memtable while it was flushed (I2).
pub(super) fn with_late_deaths(flushed: &Flushed) -> Option<LiveSegment> {
    let segment = flushed.segment.clone()?;
    let dead = super::Dead::new(segment.records());
    for (o, &to) in flushed.map.iter().enumerate() {
        let killed_at = flushed.memtable.killed_at(o as Ordinal);
        if to != NOWHERE && killed_at != 0 {
            dead.kill(to, killed_at);
        }
    }
    Some(LiveSegment { segment, dead: Arc::new(dead) })
}

#[cfg(test)]
mod tests {
    use super::super::recover;
    use super::super::{Config, SyncMode};
    use super::*;
    use crate::base::{Key, PageSize, StoreId};
    use crate::io::sim::Faults;
    use crate::memtable;
    use crate::model::{Decision, Model, Probes};
    use crate::pool::Pool;

    struct Plain;

    impl Model for Plain {
        fn name(&self) -> &'static str {
            "plain"
        }
        fn version(&self) -> u32 {
            1
        }
        fn route(&self, _record: Record<'_>) -> u64 {
            0
        }
        fn terms(&self, _record: Record<'_>, _out: &mut Terms) {}
        fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}
        fn decide(&self, _record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
            Decision::Store { kills: Vec::new() }
        }
    }

    #[test]
    fn a_death_that_is_not_published_leaves_its_record_in_the_segment() {
        let (env, _disk, _clock) = crate::io::simulated(1, Faults::default());
        let config = Config {
            dir: "/shard".into(),
            store: StoreId([1; 16]),
            shard: 0,
            page: PageSize::K4,
            sync: SyncMode::Always,
            memtable_bytes: 1 << 20,
            memtable_records: None,
            ring_bytes: 1 << 16,
            log_file_bytes: 1 << 16,
            in_flight: 8,
            adjust: None,
            flush_at_close_bytes: 0,
            compaction: crate::shard::Policy::default(),
            reserve_bytes: None,
            compaction_bytes_per_second: u64::MAX,
        };
        recover::create(&env, &config).unwrap();
        let pool = Pool::new(1 << 20, PageSize::K4);
        let shared = recover::open(env, Arc::new(Plain), pool, config, crate::shard::Gate::new())
            .unwrap()
            .shared;
        let (mut writer, memtable) =
            memtable::new(super::super::write::memtable_config(1 << 20, &Plain), 0);
        for time in 1..=4 {
            let key = Key { time, id: [time as u8; 32] };
            writer.append(key, b"body", &Terms::new()).unwrap();
        }
        writer.kill(0, 3);
        writer.kill(1, 4);
        let flushed = flush(&shared, &memtable, 3).unwrap();
        assert_eq!(flushed.map[0], NOWHERE);
        let live = with_late_deaths(&flushed).unwrap();
        assert_eq!(live.segment.records(), 2, "the fourth record is not published either");
        let dead = |at| live.dead.iter(0..2, at).collect::<Vec<_>>();
        assert_eq!((dead(3), dead(4)), (vec![], vec![flushed.map[1]]));
    }
}
