//! What a store consists of, beside a list; and that an answer does not depend on it.

use super::super::testing::{Line, Sim, append, in_order, options};
use super::*;
use crate::io::Rng;
use crate::logs::{LogCursor, LogRecord, Query, Source};

/// The positions that a cursor gives, forward; backward it has to give the same.
fn walk(mut cursor: LogCursor) -> Vec<crate::logs::Position> {
    let mut found = Vec::new();
    while let Some(record) = cursor.next().unwrap() {
        found.push(record.position());
    }
    let mut back = Vec::new();
    while let Some(record) = cursor.prev().unwrap() {
        back.push(record.position());
    }
    back.reverse();
    assert_eq!(back, found);
    found
}

#[test]
fn segments_partition_the_records_with_exact_bounds_in_order_of_time() {
    let mut kinds = [0, 0];
    for seed in 0..10 {
        let (sim, mut rng, mut list) = (Sim::new(seed), Rng::new(seed), Vec::<Line>::new());
        let reopen = options(1 << rng.below(3));
        let mut log = sim.open(&reopen);
        assert_eq!(log.segments().unwrap(), [], "S3");
        let mut now = 50_000_000;
        for _ in 0..12 {
            for _ in 0..rng.below(400) {
                now += rng.below(20_000);
                // An import of what is long past, now and then.
                let ts = if rng.chance(50) { rng.below(1_000_000) } else { now };
                append(&log, &mut rng, ts, &mut list);
            }
            if rng.chance(4) {
                log.engine().flush().unwrap();
            }
            if rng.chance(5) {
                log.close().unwrap();
                drop(log);
                log = sim.open(&reopen);
            }
            let metas = log.segments().unwrap();
            assert!(metas.is_sorted_by_key(|meta| (meta.start, meta.id)), "{metas:?}");
            let mut seen = Vec::new();
            for meta in &metas {
                kinds[usize::from(meta.sealed)] += 1;
                let found = walk(log.cursor_of(meta.id).unwrap());
                assert_eq!(meta.records, found.len() as u64, "{meta:?}");
                let bounds = (found.first().unwrap().ts, found.last().unwrap().ts);
                assert_eq!((meta.start, meta.end), bounds, "S1, {meta:?}");
                assert!(meta.bytes > 0 && meta.raw_bytes > 0);
                assert_eq!(log.segment(meta.id).unwrap(), Some(*meta));
                seen.extend(found);
            }
            seen.sort_unstable();
            let all: Vec<_> = in_order(&list).into_iter().map(|line| line.position).collect();
            assert_eq!(seen, all, "each record is in one of them");
            let active: Vec<_> = metas.into_iter().filter(|meta| !meta.sealed).collect();
            assert_eq!(log.active().unwrap(), active);
        }
    }
    assert!(kinds[0] > 20 && kinds[1] > 50, "{kinds:?}");
}

#[test]
fn an_import_of_the_past_has_its_own_bounds_before_and_after_it_is_sealed() {
    let log = Sim::new(1).open(&options(1));
    let source = Source::named("old").unwrap();
    for ts in [7, 5, 9] {
        log.append(LogRecord { ts, source: &source, raw: b"long past" }).unwrap();
    }
    let [active] = log.segments().unwrap()[..] else { panic!("one, not sealed") };
    assert_eq!((active.start, active.end, active.sealed), (5, 9, false));
    assert_eq!((active.records, active.raw_bytes), (3, 27));
    let [sealed] = log.seal().unwrap()[..] else { panic!("one, sealed") };
    assert_eq!((sealed.start, sealed.end, sealed.records, sealed.sealed), (5, 9, 3, true));
    assert_eq!(log.segments().unwrap(), [sealed]);
    // The memtable's id is gone with it.
    assert_eq!(log.segment(active.id).unwrap(), None);
    assert_eq!(log.cursor_of(active.id).err().unwrap().code(), "ERR_GONE");
    assert_eq!(log.cursor_of(SegmentId([1; 16])).err().unwrap().code(), "ERR_GONE");
}

#[test]
fn ids_of_memtables_are_uuids_of_version_8_and_no_others_are_taken_for_them() {
    for shard in [0, 1, 63, u16::MAX] {
        for base in [0, 1, 255, 256, 1 << 40, u64::MAX] {
            let id = id_of(shard, base);
            assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (8, 2), "{id}");
            assert_eq!(place_of(id), Some((shard, base)));
        }
    }
    assert_eq!(place_of(SegmentId::v7(1_700_000_000_000, [7; 10])), None);
    assert_eq!(place_of(SegmentId([0; 16])), None);
}

#[test]
fn an_answer_is_the_same_in_memory_sealed_merged_and_after_a_restart() {
    use crate::logs::testing::random_query;
    for seed in 0..6 {
        let (sim, mut rng, mut list) = (Sim::new(seed), Rng::new(seed), Vec::<Line>::new());
        let mut options = options(1 << rng.below(2));
        options.store.memtable_bytes = Some(1 << 20);
        options.store.memory_bytes = 32 << 20;
        let mut log = sim.open(&options);
        for _ in 0..300 {
            let ts = rng.below(3_000_000);
            append(&log, &mut rng, ts, &mut list);
        }
        let queries: Vec<Query> = (0..40).map(|_| random_query(&mut rng, 0..3_000_000)).collect();
        // What is appended below is behind all of them.
        let queries: Vec<Query> =
            queries.into_iter().map(|q| Query { to: q.to.or(Some(4_000_000)), ..q }).collect();
        let answers = |log: &LogStore| {
            let answer = |query: &Query| {
                let (mut search, mut found) = (log.search(query).unwrap(), Vec::new());
                while let Some(record) = search.next().unwrap() {
                    found.push((record.position(), record.raw().to_vec()));
                }
                found
            };
            queries.iter().map(answer).collect::<Vec<_>>()
        };
        let expected: Vec<Vec<_>> = queries
            .iter()
            .map(|query| {
                let matching = in_order(&list).into_iter().filter(|line| line.matches(query));
                matching.map(|line| (line.position, line.raw)).collect()
            })
            .collect();
        assert!(log.segments().unwrap().iter().all(|meta| !meta.sealed));
        assert_eq!(answers(&log), expected, "in memory, seed {seed}");
        log.seal().unwrap();
        assert!(log.segments().unwrap().iter().all(|meta| meta.sealed));
        assert_eq!(answers(&log), expected, "sealed, seed {seed}");
        for _ in 0..3 {
            (0..20).for_each(|_| append(&log, &mut rng, 9_000_000, &mut list));
            log.seal().unwrap();
        }
        log.engine().compact().unwrap();
        assert_eq!(answers(&log), expected, "merged, seed {seed}");
        drop(log);
        log = sim.open(&options);
        assert_eq!(answers(&log), expected, "after a restart, seed {seed}");
    }
}
