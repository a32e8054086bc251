//! Opening, of logs that are written by hand: block by block, so that it is known which of them recovery meets, in
//! which file, and what it has to make of them.

use super::super::format::entry_head;
use super::super::{Shard, SyncMode};
use super::*;
use crate::base::{PageSize, StoreId};
use crate::io::sim::Failure;
use crate::io::{Faults, Op, SimDisk, simulated};
use crate::model::{Decision, Probes};
use crate::wal::{Group, Writer};
use std::time::Duration;

/// A record is any bytes. With `dense`, each four of them are a term, and there are some.
struct Plain {
    ids: Ids,
    dense: bool,
}

impl Model for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }
    fn version(&self) -> u32 {
        1
    }
    fn ids(&self) -> Ids {
        self.ids
    }
    fn route(&self, _record: Record<'_>) -> u64 {
        0
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        if self.dense {
            assert!(!record.body.is_empty(), "what is no record is not asked about");
            record.body.chunks(4).for_each(|chunk| out.push(&[chunk]));
        }
    }
    fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}
    fn decide(&self, _record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
        Decision::Store { kills: Vec::new() }
    }
}

/// A shard's directory on a disk of its own.
struct Bench {
    env: Env,
    disk: Arc<SimDisk>,
    clock: Arc<crate::io::ManualClock>,
    model: Arc<Plain>,
    config: Config,
}

const LOG_FILE_BYTES: u32 = 1 << 20;
const MEMTABLE_BYTES: usize = 256 << 10;

impl Bench {
    fn new(ids: Ids) -> Bench {
        let (env, disk, clock) = simulated(1, Faults::default());
        let config = Config {
            sync: SyncMode::Always,
            memtable_bytes: MEMTABLE_BYTES,
            ring_bytes: 1 << 20,
            log_file_bytes: LOG_FILE_BYTES,
            flush_at_close_bytes: 0,
            reserve_bytes: Some(0),
            ..crate::store::config_of_files(Path::new("/s"), StoreId([1; 16]), PageSize::K4, 0)
        };
        create(&env, &config).unwrap();
        Bench { env, disk, clock, model: Arc::new(Plain { ids, dense: false }), config }
    }

    fn files(&self) -> wal::Files {
        wal::Files {
            disk: self.disk.clone(),
            dir: self.config.dir.clone(),
            file_bytes: self.config.log_file_bytes,
            store: self.config.store,
            shard: self.config.shard,
        }
    }

    /// Writes a log: of each file the blocks, of each block the entries. Where each block begins.
    fn log(&self, log: &[Vec<Vec<Vec<u8>>>]) -> Vec<Lsn> {
        let files = self.files();
        let mut writer: Option<Writer> = None;
        let mut starts = Vec::new();
        for (number, blocks) in (1..).zip(log) {
            let file = files.prepare(number, None).unwrap();
            match &mut writer {
                None => writer = Some(Writer::new(&files, file, number, Lsn(0))),
                Some(writer) => assert!(writer.rotate(file, number).is_none(), "all is synced"),
            }
            let writer = writer.as_mut().unwrap();
            for entries in blocks {
                let mut group = Group::new(files.group_bytes_max(), 512);
                entries.iter().for_each(|entry| assert!(group.push(&[entry])));
                let placed = writer.place(group, true);
                let Op::Write { file, offset, buf, .. } = placed.op else { unreachable!() };
                file.write_at(offset, &buf).unwrap();
                file.sync().unwrap();
                starts.push(placed.start);
            }
        }
        starts
    }

    fn pool() -> Arc<Pool> {
        Pool::new(4 << 20, PageSize::K4)
    }

    /// Recovery alone.
    fn recover(&self) -> Result<Opened> {
        let (env, model) = (self.env.clone(), self.model.clone());
        open(env, model, Bench::pool(), self.config.clone(), Gate::new())
    }

    /// The whole shard, run by who waits for it.
    fn open(&self) -> Result<Shard> {
        let (env, model) = (self.env.clone(), self.model.clone());
        Shard::open(env, model, Bench::pool(), self.config.clone(), Gate::new(), true)
    }

    fn log_files(&self) -> Vec<u32> {
        self.files().list().unwrap()
    }

    fn manifests(&self) -> Vec<u64> {
        manifest::list(&*self.disk, &self.config).unwrap()
    }

    fn manifest(&self) -> Manifest {
        manifest::read(&*self.disk, &self.config).unwrap().unwrap()
    }
}

/// The key of record `n`.
fn key(ids: Ids, n: u64) -> Key {
    if ids == Ids::Own {
        return Key::own(n, !n);
    }
    let mut id = [7; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    Key { time: n, id }
}

/// A log entry of record `n`, which kills `kills`.
fn entry(kind: EntryKind, ids: Ids, n: u64, kills: &[u64], body: &[u8]) -> Vec<u8> {
    let record = Record { key: key(ids, n), body };
    let killed: Vec<[u8; 32]> = kills.iter().map(|&n| key(ids, n).id).collect();
    [&entry_head(kind, record, kills.len())[..], killed.as_flattened(), body].concat()
}

fn put(n: u64, body: &[u8]) -> Vec<u8> {
    entry(EntryKind::Put, Ids::Foreign, n, &[], body)
}

/// The times of the live records, in order: the numbers that they were written under.
fn live(shared: &Shared) -> Vec<u64> {
    let snapshot = shared.published.snapshot();
    let mut found = Vec::new();
    for memtable in snapshot.view.memtables() {
        let visible = snapshot.visible(memtable);
        let lives = (0..visible).filter(|&o| memtable.is_live(o, snapshot.at));
        found.extend(lives.map(|o| memtable.key(o).time));
    }
    for live in &snapshot.view.segments {
        let dead: HashSet<u32> = live.dead.iter(0..live.segment.records(), snapshot.at).collect();
        let lives = (0..live.segment.records()).filter(|o| !dead.contains(o));
        found.extend(lives.map(|o| live.segment.key(o).unwrap().time));
    }
    found.sort_unstable();
    found
}

fn all(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

/// Records `from..` as blocks of `per_block` each.
fn blocks(count: usize, per_block: usize, body: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let of = |block: usize| (0..per_block).map(move |i| (block * per_block + i + 1) as u64);
    (0..count).map(|block| of(block).map(|n| put(n, body)).collect()).collect()
}

#[test]
fn an_entry_that_kills_where_nobody_has_an_id_is_damage_at_its_place() {
    use EntryKind::{Put, Remove};
    let cases = [(Put, &[][..], true), (Put, &[1][..], false), (Remove, &[1], false)];
    for ids in [Ids::Own, Ids::Foreign] {
        for (kind, kills, is_sound) in cases {
            let bench = Bench::new(ids);
            let first = vec![entry(Put, ids, 1, &[], b"a"), entry(Put, ids, 2, &[], b"b")];
            let second = if kind == Put { 3 } else { 1 };
            let starts = bench.log(&[vec![first, vec![entry(kind, ids, second, kills, b"")]]]);
            let opened = bench.recover();
            if ids == Ids::Foreign || is_sound {
                let mut expected = vec![1, 2, 3];
                expected.retain(|n| !kills.contains(n) && (*n < 3 || kind == Put));
                assert_eq!(live(&opened.unwrap().shared), expected);
                continue;
            }
            let Err(Error::Corrupt { path, offset, .. }) = opened else {
                panic!("{kind:?} {kills:?}: {:?}", opened.err());
            };
            assert_eq!((path, offset), (bench.files().path(1), u64::from(starts[1].offset())));
        }
    }
}

#[test]
fn four_log_files_are_left_to_the_next_opening_and_five_become_a_segment() {
    for files in 1..=6 {
        let bench = Bench::new(Ids::Foreign);
        let log: Vec<_> = (1..=files).map(|n| vec![vec![put(n, b"body")]]).collect();
        bench.log(&log);
        let opened = bench.recover().unwrap();
        assert_eq!(live(&opened.shared), all(files));
        let segments = opened.shared.published.view().segments.len();
        assert_eq!(segments, usize::from(files > 4), "{files} files");
        assert_eq!(bench.manifests(), if files > 4 { vec![1, 2] } else { vec![1] });
        // Behind the manifest one is enough: of the others one is the new one, and one waits to be the next.
        let left = bench.log_files().len() as u64;
        assert_eq!(left, if files > 4 { 3 } else { files + 1 }, "{files} files");
        drop(opened);
        bench.disk.power_loss();
        assert_eq!(live(&bench.recover().unwrap().shared), all(files));
    }
}

#[test]
fn log_files_that_nothing_needs_give_back_their_space_all_but_two() {
    for unneeded in 0..6 {
        let bench = Bench::new(Ids::Foreign);
        bench.log(&[vec![vec![put(1, b"body")]]]);
        for number in 2..2 + unneeded {
            bench.files().prepare(number, None).unwrap();
        }
        let opened = bench.recover().unwrap();
        assert_eq!(live(&opened.shared), [1]);
        // One is the new file, under a number that was never given; one is kept for the worker.
        let left = bench.log_files();
        assert_eq!(left.len() as u32, 2 + unneeded.saturating_sub(1).min(1), "{left:?}");
        assert_eq!((left[0], *left.last().unwrap()), (1, 2 + unneeded));
    }
}

#[test]
fn a_log_longer_than_memory_becomes_a_segment_for_each_memtable() {
    // By their count: 1,024 records of next to nothing fill a memtable of this size.
    let bench = Bench::new(Ids::Foreign);
    bench.log(&[blocks(16, 512, b"")]);
    let opened = bench.recover().unwrap();
    assert_eq!(live(&opened.shared), all(16 * 512));
    let view = opened.shared.published.view();
    let records: Vec<u32> = view.segments.iter().map(|live| live.segment.records()).collect();
    assert_eq!((records, view.active.len()), (vec![1024; 7], 1024));
    drop(opened);
    // By their bytes.
    let bench = Bench::new(Ids::Foreign);
    bench.log(&[blocks(32, 30, &[7; 1000])]);
    let opened = bench.recover().unwrap();
    assert_eq!(live(&opened.shared), all(32 * 30));
    let view = opened.shared.published.view();
    let records: Vec<u32> = view.segments.iter().map(|live| live.segment.records()).collect();
    assert!((2..=10).contains(&records.len()), "{records:?}");
    // What is left is a memtable and a block at most.
    assert!(view.active.bytes_of_records() <= MEMTABLE_BYTES + (64 << 10));
}

#[test]
fn numbers_go_on_where_the_log_ended_and_generations_where_the_manifests_did() {
    for files in [1, 5] {
        let bench = Bench::new(Ids::Foreign);
        let log: Vec<_> = (1..=files).map(|n| vec![vec![put(n, b"body")]]).collect();
        bench.log(&log);
        let shard = bench.open().unwrap();
        let at = shard.snapshot().at;
        assert_eq!(at, files);
        let record = Record { key: key(Ids::Foreign, 100), body: b"new" };
        let answer = shard.wait(shard.insert(record).unwrap()).unwrap();
        assert_eq!(answer, crate::shard::Outcome::Stored { seq: files + 1, replaced: 0 });
        let before = bench.manifests();
        shard.flush().unwrap();
        let newest = before.last().unwrap() + 1;
        assert_eq!(bench.manifests(), [newest - 1, newest], "no number is given twice");
        shard.close().unwrap();
        let expected: Vec<u64> = (1..=files).chain([100]).collect();
        assert_eq!(live(&bench.recover().unwrap().shared), expected);
    }
}

#[test]
fn what_is_in_a_segment_already_is_skipped_in_the_log() {
    for ids in [Ids::Foreign, Ids::Own] {
        let bench = Bench::new(ids);
        let of = |n: u64| entry(EntryKind::Put, ids, n, &[], b"body");
        bench.log(&[vec![(1..=5).map(of).collect(), (6..=9).map(of).collect()]]);
        let shard = bench.open().unwrap();
        shard.flush().unwrap();
        shard.close().unwrap();
        drop(shard);
        let manifest = bench.manifest();
        assert_eq!(manifest.segments.len(), 1);
        // A manifest that reaches back further than its segments ask for.
        let start = Lsn(0);
        let generation = manifest.generation + 1;
        let again = Manifest { generation, log_start: start, ..manifest };
        manifest::put(&*bench.disk, &bench.config, &again).unwrap();
        let opened = bench.recover().unwrap();
        assert_eq!(live(&opened.shared), all(9), "{ids:?}");
        assert!(opened.shared.stats.replayed.load(Relaxed) >= 9);
    }
}

#[test]
fn a_log_that_ends_before_the_place_to_which_a_manifest_found_it_durable_is_damaged() {
    let bench = Bench::new(Ids::Foreign);
    let starts = bench.log(&[(1..=3).map(|n| vec![put(n, b"body")]).collect()]);
    let last = starts[2];
    bench.disk.flip_bit(bench.files().path(1), u64::from(last.offset()) + 60, 1).unwrap();
    // Of the flipped block itself, nothing in the log says that it was durable.
    for (log_end, is_told) in [(last, false), (Lsn::new(1, last.offset() + 512), true)] {
        let before = bench.manifest();
        let manifest = Manifest { generation: before.generation + 1, log_end, ..before };
        manifest::put(&*bench.disk, &bench.config, &manifest).unwrap();
        let error = match bench.recover() {
            Ok(opened) => {
                assert!(!is_told);
                assert_eq!(live(&opened.shared), [1, 2]);
                continue;
            }
            Err(error) => error.to_string(),
        };
        let says = format!("wal-00000001 is damaged at byte {}", last.offset());
        assert!(is_told && error.contains(&says), "{error}");
    }
}

#[test]
fn a_block_of_any_records_fits_whatever_was_replayed_before() {
    // More small records in one block than a memtable of the smaller size takes.
    let bench = Bench::new(Ids::Foreign);
    let mut log = blocks(1, 1000, b"");
    log.push((1001..=9000).map(|n| put(n, b"")).collect());
    bench.log(&[log]);
    assert_eq!(live(&bench.recover().unwrap().shared), all(9000));

    // Terms that take many times what the log takes: two blocks, for each of which a shard had an empty memtable.
    let mut bench = Bench::new(Ids::Foreign);
    bench.config.log_file_bytes = 16 << 20;
    bench.config.memtable_bytes = 40 << 20;
    bench.model = Arc::new(Plain { ids: Ids::Foreign, dense: true });
    let body = |n: u64| {
        let words = (0..16_000u32).map(|word| ((n as u32) << 16 | word).to_be_bytes());
        words.collect::<Vec<_>>().concat()
    };
    let (mut writer, memtable) = memtable::new(memtable_config(40 << 20, &*bench.model), 0);
    for n in 1..=44 {
        let (key, body, mut terms) = (key(Ids::Foreign, n), body(n), Terms::new());
        bench.model.terms(Record { key, body: &body }, &mut terms);
        terms.seal();
        assert!(writer.append(key, &body, &terms).is_some(), "{n}: {}", memtable.bytes_used());
    }
    // A removal and what it removes are in the memtable that has to grow.
    let mut first: Vec<Vec<u8>> = (1..=44).map(|n| put(n, &body(n))).collect();
    first.push(entry(EntryKind::Remove, Ids::Foreign, 2, &[2], b""));
    let mut second: Vec<Vec<u8>> = (45..=88).map(|n| put(n, &body(n))).collect();
    second.push(entry(EntryKind::Put, Ids::Foreign, 89, &[3, 50], b"body"));
    bench.log(&[vec![first, second]]);
    let opened = bench.recover().unwrap();
    let expected: Vec<u64> = (1..=89).filter(|n| ![2, 3, 50].contains(n)).collect();
    assert_eq!(live(&opened.shared), expected);
    let view = opened.shared.published.view();
    assert_eq!(view.segments.len(), 0, "one memtable: two blocks");
    for n in [1u32, 46, 88] {
        let term = (n << 16 | 7).to_be_bytes();
        let found = view.active.postings(&term).map(|found| found.count());
        assert_eq!(found, Some(1), "{n}");
    }
}

/// A log of `count` blocks of 15 records, of which a memtable takes four; beside it an orphan.
fn long_log(count: usize) -> Bench {
    let mut bench = Bench::new(Ids::Foreign);
    (bench.config.memtable_bytes, bench.config.log_file_bytes) = (64 << 10, 128 << 10);
    let log = blocks(count, 15, &[7; 1000]);
    let (first, second) = log.split_at(count.min(5));
    let files = if second.is_empty() { &[first][..] } else { &[first, second] };
    bench.log(&files.iter().map(|blocks| blocks.to_vec()).collect::<Vec<_>>());
    let orphan = segment::file_name(crate::base::SegmentId([9; 16]));
    bench.env.disk.create(&bench.config.dir.join(orphan), 0).unwrap();
    bench
}

/// Whether the operation of this name is one by which an opening makes something new. No manifest gets the number of the
/// torn one.
fn makes_new(failed: &str) -> bool {
    let new = [".seg", "manifest-0000000000000003", "wal-00000003"];
    !failed.contains("of read") && new.iter().any(|name| failed.contains(name))
}

#[test]
fn an_opening_of_which_any_operation_fails_says_so_and_loses_nothing() {
    for failure in [Failure::Eio, Failure::NoSpace] {
        let (mut n, mut said) = (0, 0);
        loop {
            n += 1;
            let (bench, count) = (long_log(9), 9 * 15);
            // A newer manifest, which was torn.
            manifest::put(&*bench.disk, &bench.config, &Manifest::first(2)).unwrap();
            bench.disk.flip_bit(bench.config.dir.join(manifest::name(2)), 3, 1).unwrap();
            bench.disk.fail_nth(n, failure);
            let opened = bench.recover();
            let Some(failed) = bench.disk.failed() else { break };
            // Only of space, and only of what is made again later, an opening does without.
            let needs = failure == Failure::Eio && makes_new(&failed);
            match &opened {
                Ok(opened) => {
                    assert!(!needs, "{n}: {failed} was passed over");
                    assert_eq!(live(&opened.shared), all(count), "{n}: {failed}");
                }
                Err(error) => {
                    assert_eq!(error.code(), "ERR_IO", "{n}: {failed}");
                    assert!(failure == Failure::Eio || !makes_new(&failed), "{n}: {failed}");
                    said += 1;
                }
            }
            drop(opened);
            bench.disk.mend();
            bench.disk.power_loss();
            assert_eq!(live(&bench.recover().unwrap().shared), all(count), "{n}: {failed}");
        }
        assert!(n > 10 && said > 0, "{failure:?}: {said} of {n} were said");
    }
}

/// Bytes of all files in the shard's directory.
fn bytes(bench: &Bench) -> u64 {
    let names = bench.env.disk.list(&bench.config.dir).unwrap();
    let of = |name| bench.disk.contents(bench.config.dir.join(name)).unwrap().len() as u64;
    names.into_iter().map(of).sum()
}

#[test]
fn a_disk_that_is_full_while_a_shard_opens_keeps_nobody_out_and_what_is_owed_is_made() {
    // Of the first segments and the manifest are owed, of the second the next log file. A segment is whole pages, so
    // there is an opening that has space for all of them and not for the manifest.
    let mut owed = [0; 3];
    for blocks in [9, 1] {
        for free in (0..).step_by(4096) {
            let (bench, count) = (long_log(blocks), 15 * blocks as u64);
            bench.disk.set_quota(Some(bytes(&bench) + free));
            let opened = bench.recover().unwrap();
            assert_eq!(live(&opened.shared), all(count), "{free} bytes");
            let owes = match &opened.start {
                start if !start.sealed.is_empty() => 0,
                start if start.owes_manifest => 1,
                start if start.log.room() == 0 => 2,
                _ => break,
            };
            owed[owes] += 1;
            drop(opened);
            // It ends before there is space.
            bench.disk.power_loss();
            let shard = bench.open().unwrap();
            assert_eq!(live(shard.shared()), all(count), "{free} bytes");
            // There is space.
            bench.disk.set_quota(None);
            let record = Record { key: key(Ids::Foreign, count + 1), body: b"new" };
            let taken = (0..50).any(|_| {
                bench.clock.advance(Duration::from_secs(1));
                shard.wait(shard.barrier().unwrap()).unwrap();
                shard.insert(record).and_then(|ticket| shard.wait(ticket)).is_ok()
            });
            assert!(taken, "{free} bytes: {:?}", shard.disk_full());
            assert_eq!(live(shard.shared()), all(count + 1), "{free} bytes");
            let named = bench.manifest().segments.len();
            assert_eq!(named > 0, blocks > 1, "{free} bytes: what was owed is named");
            bench.disk.power_loss();
            std::mem::forget(shard);
            let opened = bench.recover().unwrap();
            assert_eq!(live(&opened.shared), all(count + 1), "{free} bytes");
        }
    }
    assert!(owed.iter().all(|&count| count > 0), "segments, manifest, log file: {owed:?}");
}
