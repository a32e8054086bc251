//! Whole segments against a naive twin, and what the tests of the parts share.

mod blocks;
mod compression;
mod damage;
mod mask;
mod parts;

use super::*;
use crate::base::{Error, Key, Result, Terms, hash64};
use crate::io::{Backend, Buf, Disk, Faults, File, SimDisk, system};
use crate::pool::Pool;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A simulated disk without faults, with the directory of the tests.
pub fn disk() -> Arc<SimDisk> {
    let disk = SimDisk::new(1, Faults::default());
    disk.create_dir(dir()).unwrap();
    disk
}

/// An empty file on a disk of its own.
pub fn file() -> Arc<dyn File> {
    disk().create(&dir().join("pages"), 0).unwrap()
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn id(&mut self) -> [u8; 32] {
        let words = [self.next(), self.next(), self.next(), self.next()];
        std::array::from_fn(|i| words[i / 8].to_le_bytes()[i % 8])
    }
}

pub const STORE: StoreId = StoreId([7; 16]);
pub const MODEL: (&str, u32) = ("toy", 3);
pub const EXPECT: Expect<'static> = (STORE, 5, MODEL.0, MODEL.1);
pub const PAGES: [PageSize; 3] = [PageSize::K4, PageSize::K8, PageSize::K16];

/// A mark that tells bodies apart.
pub fn mark_of(body: &[u8]) -> u32 {
    hash64(body) as u32
}

pub fn new_segment(n: u8, page: PageSize) -> NewSegment {
    let id = SegmentId::v7(1_700_000_000_000, [n; 10]);
    let compression = Compression::None;
    let ids = Ids::Foreign;
    let mark = Some(mark_of as fn(&[u8]) -> u32);
    NewSegment { id, store: STORE, shard: 5, page, model: MODEL, ids, mark, compression }
}

pub fn packed_segment(n: u8, page: PageSize) -> NewSegment {
    NewSegment { compression: Compression::Zstd, ..new_segment(n, page) }
}

pub fn blocks_segment(n: u8, page: PageSize) -> NewSegment {
    NewSegment { compression: Compression::Blocks, mark: None, ..new_segment(n, page) }
}

/// A segment as flushes and compactions write it, of either kind of bodies.
pub fn every_form(n: u8, page: PageSize) -> [NewSegment; 4] {
    use Compression::{Blocks, FastBlocks, None, Zstd};
    [None, Zstd, Blocks, FastBlocks]
        .map(|compression| NewSegment { compression, ..new_segment(n, page) })
}

pub fn dir() -> &'static Path {
    Path::new("/segments")
}

/// The twin: bodies and terms by key.
pub type Records = BTreeMap<Key, (Vec<u8>, Vec<Vec<u8>>)>;

pub fn terms_of(list: &[Vec<u8>]) -> Terms {
    let mut terms = Terms::new();
    list.iter().for_each(|t| terms.push(&[t]));
    terms.seal();
    terms
}

pub fn write(disk: &dyn Disk, new: NewSegment, records: &Records) -> SegmentInfo {
    let mut builder = Builder::create(disk, dir(), new).unwrap();
    for (i, (key, (body, terms))) in records.iter().enumerate() {
        assert_eq!(builder.add(*key, body, &terms_of(terms)).unwrap(), i as u32);
    }
    builder.finish().unwrap()
}

pub fn open(disk: &dyn Disk, new: NewSegment, pool_pages: usize) -> Result<Arc<Segment>> {
    let segment = open_only(disk, new, pool_pages)?;
    segment.load_filters();
    Ok(segment)
}

pub fn open_only(disk: &dyn Disk, new: NewSegment, pool_pages: usize) -> Result<Arc<Segment>> {
    let pool = Pool::new(pool_pages * new.page.bytes(), new.page);
    Segment::open(&pool, disk, dir(), new.id, EXPECT, None)
}

/// The postings that the twin's terms should have.
pub fn invert(records: &Records) -> BTreeMap<Vec<u8>, Vec<u32>> {
    let mut lists: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for (ordinal, (_, terms)) in records.values().enumerate() {
        for term in terms {
            let list = lists.entry(term.clone()).or_default();
            if list.last() != Some(&(ordinal as u32)) {
                list.push(ordinal as u32);
            }
        }
    }
    lists
}

/// Reads everything that a segment says and compares it with the twin.
pub fn compare(segment: &Arc<Segment>, records: &Records) -> Result<()> {
    assert_eq!(segment.records() as usize, records.len());
    let mut found = Body::default();
    for (ordinal, (key, (body, _))) in (0..).zip(records) {
        assert_eq!(segment.key(ordinal)?, *key);
        assert!(segment.may_have_id(&key.id));
        assert_eq!(segment.find(&key.id)?, Some(ordinal));
        found = segment.body(ordinal, found)?;
        assert_eq!(*found, **body);
        assert_eq!(segment.mark(ordinal)?, segment.has_marks().then(|| mark_of(body)));
    }
    let lists = invert(records);
    for step in [1, 3, 50] {
        let known = lists.keys().step_by(step).map(Vec::as_slice);
        let mut terms: Vec<&[u8]> = known.chain([&b""[..], b"none", &[255; 9]]).collect();
        terms.sort_unstable();
        let (mut together, mut single) = (Vec::new(), Vec::new());
        segment.find_terms(&terms, &mut together)?;
        for term in terms {
            single.extend(segment.term(term)?);
        }
        assert_eq!(together, single);
        segment.prefetch_lists(&together, segment.records() / 2);
    }
    let mut scan = segment.terms();
    for (term, list) in &lists {
        let (found, postings) = scan.next()?.expect("a term more");
        assert_eq!(found, term);
        assert!(segment.may_have_term(term));
        assert_eq!(segment.term(term)?, Some(postings));
        assert_eq!(postings.count() as usize, list.len());
        let mut cursor = postings.cursor(segment);
        let mut next = 0;
        for &ordinal in list {
            assert_eq!(cursor.seek_ge(next)?, Some(ordinal));
            next = ordinal + 1;
        }
        assert_eq!(cursor.seek_ge(next)?, None);
    }
    assert!(scan.next()?.is_none());
    let info = segment.info();
    assert_eq!(info.terms as usize, lists.len());
    assert_eq!(info.postings as usize, lists.values().map(Vec::len).sum::<usize>());
    Ok(())
}

pub fn random_records(random: &mut Random, count: usize, times: u64) -> Records {
    let mut records = Records::new();
    while records.len() < count {
        let key = Key { time: random.below(times), id: random.id() };
        let len = match random.below(50) {
            0 => 0,
            1 => random.below(40_000),
            _ => random.below(900),
        };
        let fill = random.next() as u8;
        let body = (0..len).map(|i| fill.wrapping_add(i as u8)).collect();
        let mut terms = vec![b"all".to_vec(), vec![1, random.below(20) as u8]];
        terms.push([&b"tag "[..], &random.below(2000).to_le_bytes()[..3]].concat());
        if random.below(3) == 0 {
            terms.push([&[0xff][..], &key.id[..]].concat());
        }
        records.insert(key, (body, terms));
    }
    records
}

#[test]
fn random_segments_of_every_page_size_are_their_twin() {
    for (n, page) in PAGES.into_iter().enumerate() {
        let mut random = Random(n as u64);
        for (round, count) in [1, 2, 130, 3000].into_iter().enumerate() {
            let disk = disk();
            let records = random_records(&mut random, count, 2 * count as u64);
            let new = every_form(round as u8, page)[(n + round) % 4];
            let info = write(&*disk, new, &records);
            let segment = open(&*disk, new, 80).unwrap();
            assert_eq!(*segment.info(), info);
            assert_eq!(info.time_min, records.keys().next().unwrap().time);
            assert_eq!(info.time_max, records.keys().last().unwrap().time);
            compare(&segment, &records).unwrap();
            for _ in 0..200 {
                assert_eq!(segment.find(&random.id()).unwrap(), None);
                let (since, until) = (random.below(7000), random.below(7000));
                let inside = |key: &&Key| since <= key.time && key.time <= until;
                let (range, expected) =
                    (segment.bounds(since, until).unwrap(), records.keys().filter(inside));
                assert_eq!(range.len(), expected.count(), "{since}..={until}");
                if !range.is_empty() {
                    let before = records.keys().filter(|k| k.time < since).count();
                    assert_eq!(range.start as usize, before);
                }
            }
        }
    }
}

#[test]
fn a_segment_without_records_answers_nothing() {
    let (disk, new) = (disk(), new_segment(0, PageSize::K4));
    let info = write(&*disk, new, &Records::new());
    assert_eq!((info.records, info.pages, info.time_min, info.time_max), (0, 3, 0, 0));
    let segment = open(&*disk, new, 64).unwrap();
    compare(&segment, &Records::new()).unwrap();
    assert_eq!(segment.bounds(0, u64::MAX).unwrap(), 0..0);
    assert_eq!(segment.find(&[0; 32]).unwrap(), None);
    assert_eq!(segment.term(b"x").unwrap(), None);
    assert!(segment.time(0).is_err());
    segment.prefetch_bodies(&[0, 1]);
}

#[test]
fn a_compaction_merges_lists_into_the_same_file_as_adding_with_terms() {
    let mut random = Random(9);
    let records = random_records(&mut random, 2000, 500);
    let (one, two) = (disk(), disk());
    let new = new_segment(1, PageSize::K4);
    let info = write(&*one, new, &records);
    let source = open(&*one, new, 500).unwrap();
    let mut builder = Builder::create(&*two, dir(), new).unwrap();
    for ordinal in 0..source.records() {
        let body = source.body(ordinal, Body::default()).unwrap();
        builder.add_record(source.key(ordinal).unwrap(), &body).unwrap();
    }
    let mut terms = source.terms();
    while let Some((term, postings)) = terms.next().unwrap() {
        let (mut cursor, mut next) = (postings.cursor(&source), 0);
        let ordinals = std::iter::from_fn(|| {
            let found = cursor.seek_ge(next).transpose()?;
            next = found.as_ref().map_or(0, |f| f + 1);
            Some(found)
        });
        builder.add_list(term, ordinals).unwrap();
    }
    builder.add_list(&[0xff; 80], []).unwrap();
    assert_eq!(builder.finish().unwrap(), info);
    let path = dir().join(file_name(new.id));
    assert!(one.contents(&path).unwrap() == two.contents(&path).unwrap());
}

#[test]
fn a_finished_segment_survives_a_power_cut_and_an_unfinished_one_is_no_segment() {
    let records = random_records(&mut Random(10), 500, 500);
    let whole = disk();
    let new = new_segment(1, PageSize::K4);
    write(&*whole, new, &records);
    let steps = whole.writes_and_syncs();
    whole.sync_dir(dir()).unwrap();
    whole.power_loss();
    compare(&open(&*whole, new, 64).unwrap(), &records).unwrap();
    for step in 1..steps {
        let cut = disk();
        cut.crash_after(step);
        let written = Builder::create(&*cut, dir(), new).and_then(|mut builder| {
            for (key, (body, terms)) in &records {
                builder.add(*key, body, &terms_of(terms))?;
            }
            builder.finish()
        });
        assert!(written.is_err());
        cut.power_loss();
        // Without an acknowledgement it may be there in part; it must not pass for what it is not.
        if let Ok(segment) = open(&*cut, new, 64) {
            let _ = compare(&segment, &records);
        }
    }
}

#[test]
fn a_segment_lies_on_a_real_file_with_every_backend() {
    let records = random_records(&mut Random(14), 800, 500);
    for backend in [Backend::Auto, Backend::Posix] {
        let place = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let disk = system(backend).unwrap().disk;
        let new = new_segment(2, PageSize::K8);
        let mut builder = Builder::create(&*disk, place.path(), new).unwrap();
        for (key, (body, terms)) in &records {
            builder.add(*key, body, &terms_of(terms)).unwrap();
        }
        builder.finish().unwrap();
        let pool = Pool::new(1 << 20, new.page);
        let segment = Segment::open(&pool, &*disk, place.path(), new.id, EXPECT, None).unwrap();
        compare(&segment, &records).unwrap();
    }
}

#[test]
fn the_builder_refuses_what_would_not_be_a_segment() {
    let disk = disk();
    let mut builder = Builder::create(&*disk, dir(), new_segment(0, PageSize::K4)).unwrap();
    let key = |time, b| Key { time, id: [b; 32] };
    let add = |builder: &mut Builder, key| builder.add(key, b"", &Terms::new());
    add(&mut builder, key(5, 5)).unwrap();
    assert!(add(&mut builder, key(5, 5)).is_err());
    assert!(add(&mut builder, key(5, 6)).is_err(), "ids descend within a time");
    assert!(add(&mut builder, key(4, 1)).is_err());
    add(&mut builder, key(5, 4)).unwrap();
    let long = vec![0; crate::base::limits::RECORD_BYTES_MAX + 1];
    assert!(builder.add(key(6, 1), &long, &Terms::new()).is_err());
    builder.add_list(b"b", [Ok(0)]).unwrap();
    assert!(builder.add_list(b"b", [Ok(0)]).is_err());
    assert!(builder.add_list(b"a", [Ok(0)]).is_err());
    assert!(builder.add_list(b"", [Ok(0)]).is_err());
    assert!(builder.add_list(&[b'x'; 81], [Ok(0)]).is_err());
    assert!(builder.add_list(b"c", [Ok(2)]).is_err());
    assert!(add(&mut builder, key(7, 1)).is_err(), "lists were added");
    let unnamed = NewSegment { model: ("", 1), ..new_segment(1, PageSize::K4) };
    assert!(Builder::create(&*disk, dir(), unnamed).is_err());
}

#[test]
fn a_segment_of_another_store_shard_model_or_page_size_is_refused_by_name() {
    let (disk, new) = (disk(), new_segment(0, PageSize::K8));
    write(&*disk, new, &random_records(&mut Random(1), 10, 10));
    let refused = |page: PageSize, expect: Expect<'_>| {
        let pool = Pool::new(1 << 20, page);
        match Segment::open(&pool, &*disk, dir(), new.id, expect, None) {
            Err(Error::Mismatch { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    let (store, shard, model, version) = EXPECT;
    assert_eq!(refused(PageSize::K4, EXPECT), "page bytes");
    assert_eq!(refused(PageSize::K16, EXPECT), "page bytes");
    assert_eq!(refused(PageSize::K8, (StoreId([8; 16]), shard, model, version)), "store id");
    assert_eq!(refused(PageSize::K8, (store, 6, model, version)), "shard");
    assert_eq!(refused(PageSize::K8, (store, shard, "nostr", version)), "model");
    assert_eq!(refused(PageSize::K8, (store, shard, model, 4)), "model version");
    let pool = Pool::new(1 << 20, PageSize::K8);
    let other = SegmentId([1; 16]);
    assert!(matches!(
        Segment::open(&pool, &*disk, dir(), other, EXPECT, None),
        Err(Error::Io { op: "open", .. })
    ));
}

#[test]
fn file_names_read_what_they_write() {
    let id = new_segment(3, PageSize::K4).id;
    assert_eq!(parse_file_name(&file_name(id)), Some(id));
    assert_eq!(parse_file_name("x.seg"), None);
    assert_eq!(parse_file_name(&id.to_string()), None);
}
