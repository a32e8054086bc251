//! Columns, the id index, bodies and filters, each pushed to its edges.

use super::*;
use crate::pool::PagedFile;
use crate::segment::filter::{Filters, Salt, write_filter};
use crate::segment::format::{Region, kind};
use crate::segment::pages::{PageWriter, Pages, StreamWriter};

fn keyed(keys: impl IntoIterator<Item = Key>) -> Records {
    keys.into_iter().map(|key| (key, (key.id[..4].to_vec(), Vec::new()))).collect()
}

fn made(records: &Records, page: PageSize) -> Arc<Segment> {
    made_as(records, new_segment(0, page))
}

fn made_as(records: &Records, new: NewSegment) -> Arc<Segment> {
    let disk = disk();
    write(&*disk, new, records);
    open(&*disk, new, 64).unwrap()
}

#[test]
fn bounds_hold_at_both_ends_of_time() {
    let times = [0, 0, 1, 5, 5, 5, u64::MAX - 1, u64::MAX, u64::MAX];
    let mut random = Random(1);
    let records = keyed(times.map(|time| Key { time, id: random.id() }));
    let segment = made(&records, PageSize::K4);
    let edges = [0, 1, 2, 4, 5, 6, 1 << 40, u64::MAX - 2, u64::MAX - 1, u64::MAX];
    for since in edges {
        for until in edges {
            let range = segment.bounds(since, until).unwrap();
            let twin: Vec<usize> =
                (0..times.len()).filter(|&i| since <= times[i] && times[i] <= until).collect();
            assert_eq!(range.clone().map(|o| o as usize).collect::<Vec<_>>(), twin);
        }
    }
}

#[test]
fn times_take_four_bytes_while_their_range_fits() {
    let fits = u64::from(u32::MAX);
    for (first, range, width) in [(0, 0, 4), (7, fits, 4), (7, fits + 1, 8), (0, u64::MAX, 8)] {
        let mut random = Random(5);
        let times = [first, first + range / 2, first + range];
        let records = keyed(times.map(|time| Key { time, id: random.id() }));
        let (disk, new) = (disk(), new_segment(0, PageSize::K4));
        write(&*disk, new, &records);
        let bytes = disk.contents(dir().join(file_name(new.id))).unwrap();
        assert_eq!((bytes[149], bytes[150]), (width, 4));
        let segment = open(&*disk, new, 64).unwrap();
        compare(&segment, &records).unwrap();
        for (ordinal, key) in (0..).zip(records.keys()) {
            assert_eq!(segment.bounds(key.time, u64::MAX).unwrap().end, records.len() as u32);
            let mut entries = Vec::new();
            segment.entries(&[ordinal], &mut entries).unwrap();
            assert_eq!(entries[0].key, *key);
        }
    }
}

#[test]
fn an_open_reads_the_header_alone_and_answers_right_before_its_filters_are_there() {
    let records = random_records(&mut Random(9), 2000, 500);
    let (disk, new) = (disk(), new_segment(0, PageSize::K4));
    write(&*disk, new, &records);
    let pool = Pool::new(64 * 4096, new.page);
    let segment = Segment::open(&pool, &*disk, dir(), new.id, EXPECT, None).unwrap();
    let asked = || pool.stats().hits + pool.stats().misses;
    assert_eq!(asked(), 0);
    let before = segment.memory_bytes();
    let mut random = Random(10);
    let absent: Vec<[u8; 32]> = (0..500).map(|_| random.id()).collect();
    let passing = |segment: &Segment| {
        let ids = absent.iter().filter(|id| segment.may_have_id(id)).count();
        ids + absent.iter().filter(|id| segment.may_have_term(&id[..])).count()
    };
    assert_eq!(passing(&segment), 1000);
    compare(&segment, &records).unwrap();
    assert!(absent.iter().all(|id| segment.find(id).unwrap().is_none()));
    let (read, left) = (asked(), pool.stats().evictions);
    assert!(segment.load_filters() && segment.load_filters());
    assert_eq!(
        (asked(), pool.stats().evictions),
        (read, left),
        "they do not pass through the pool"
    );
    assert!(passing(&segment) < 40, "{} of 1,000", passing(&segment));
    assert!(segment.memory_bytes() > before + 2000);
    compare(&segment, &records).unwrap();
}

#[test]
fn bounds_of_many_equal_times_span_pages() {
    let mut random = Random(2);
    let keys = (0..5000u64).map(|i| Key { time: 10 + i / 1700, id: random.id() });
    let segment = made(&keyed(keys), PageSize::K4);
    assert_eq!(segment.bounds(10, 10).unwrap(), 0..1700);
    assert_eq!(segment.bounds(11, 11).unwrap(), 1700..3400);
    assert_eq!(segment.bounds(11, 99).unwrap(), 1700..5000);
    assert_eq!(segment.bounds(0, 9).unwrap().len(), 0);
    assert_eq!(segment.bounds(13, u64::MAX).unwrap().len(), 0);
    assert_eq!(segment.bounds(12, 10).unwrap().len(), 0);
}

#[test]
fn columns_that_end_with_a_page_are_searched_to_their_end() {
    // 1,020 times, 127 ids or 510 id entries fill a page of 4 KiB.
    for count in [126u64, 127, 128, 509, 510, 511, 1019, 1020, 1021, 1530, 2040, 2041] {
        let mut random = Random(count);
        let records = keyed((0..count).map(|time| Key { time, id: random.id() }));
        let segment = made(&records, PageSize::K4);
        for since in 0..count {
            assert_eq!(segment.bounds(since, u64::MAX).unwrap(), since as u32..count as u32);
            assert_eq!(segment.bounds(0, since).unwrap(), 0..since as u32 + 1);
        }
        for (ordinal, key) in (0u32..).zip(records.keys()) {
            assert_eq!(segment.find(&key.id).unwrap(), Some(ordinal));
        }
        assert!((0..500).all(|_| segment.find(&random.id()).unwrap().is_none()));
    }
}

/// Every id is found, its neighbours are not.
fn find_all(ids: &[[u8; 32]]) {
    let keys = ids.iter().zip(0u64..).map(|(&id, time)| Key { time, id });
    let segment = made(&keyed(keys), PageSize::K4);
    for (id, ordinal) in ids.iter().zip(0u32..) {
        assert_eq!(segment.find(id).unwrap(), Some(ordinal));
        for at in [0, 3, 4, 7, 8, 31] {
            let mut other = *id;
            other[at] ^= 0x55;
            let twin = ids.iter().position(|i| *i == other).map(|i| i as u32);
            assert_eq!(segment.find(&other).unwrap(), twin);
        }
    }
    for id in [[0; 32], [0xff; 32], [0x80; 32]] {
        let twin = ids.iter().position(|i| *i == id).map(|i| i as u32);
        assert_eq!(segment.find(&id).unwrap(), twin);
    }
}

#[test]
fn ids_that_are_anything_but_uniform_are_found() {
    let mut random = Random(4);
    let id = |prefix: u64, rest: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&prefix.to_be_bytes());
        id[24..].copy_from_slice(&rest.to_be_bytes());
        id
    };
    let n = 1500u64;
    find_all(&(0..n).map(|i| id(i << 32, 0)).collect::<Vec<_>>()); // counters in front
    find_all(&(0..n).map(|i| id(i, 0)).collect::<Vec<_>>()); // counters behind the prefix
    find_all(&(0..n).map(|i| id(0, i)).collect::<Vec<_>>()); // counters behind: one prefix
    find_all(&(0..n).map(|i| id(u64::MAX, i)).collect::<Vec<_>>());
    find_all(&(0..n).map(|i| id(u64::MAX - i, 0)).collect::<Vec<_>>());
    find_all(&(0..n).map(|i| id(i / 400 * 77, i)).collect::<Vec<_>>());
    find_all(&(0..n).map(|i| id((i / 400 * 77) << 32, i)).collect::<Vec<_>>()); // runs of equal prefixes
    find_all(&(0..n).map(|i| id(1 << (i % 64), i)).collect::<Vec<_>>());
    find_all(&(0..n).map(|_| random.id()).collect::<Vec<_>>());
    for few in 1..5 {
        find_all(&(0..few).map(|i| id(i, i)).collect::<Vec<_>>());
    }
}

#[test]
fn bodies_of_every_length_around_a_page_and_far_beyond() {
    let forms = PAGES.map(|page| every_form(0, page));
    for new in forms.into_iter().flatten() {
        let payload = new.page.bytes() - 16;
        let mut lens = vec![0, 0, 1, 3 * payload, (1 << 20) + 77, 0, 2 << 20];
        lens.extend(payload - 12..payload + 5);
        lens.extend([0; 9]);
        let mut random = Random(6);
        let records: Records = lens
            .iter()
            .zip(0u64..)
            .map(|(&len, time)| {
                let body = (0..len).map(|i| (i * 31 + time as usize) as u8).collect();
                (Key { time, id: random.id() }, (body, Vec::new()))
            })
            .collect();
        let segment = made_as(&records, new);
        let mut found = Body::default();
        for (ordinal, (body, _)) in (0..).zip(records.values()) {
            found = segment.body(ordinal, found).unwrap();
            assert!(*found == **body, "{} bytes", body.len());
        }
        assert!(segment.body(records.len() as u32, found).is_err());
        segment.prefetch_bodies(&(0..records.len() as u32 + 2).collect::<Vec<_>>());
    }
}

#[test]
fn a_body_within_a_page_is_not_copied() {
    let segment = made(&random_records(&mut Random(3), 40, 10), PageSize::K16);
    let body = segment.body(0, Body::default()).unwrap();
    assert!(!body.is_empty());
    assert!(!body.is_copy());
}

fn filters(ids: Vec<u64>, terms: Vec<u64>) -> Filters {
    let file = file();
    let mut out = PageWriter::new(file.clone(), [3; 16], 4096);
    let mut stream = StreamWriter::new(kind::FILTER);
    let salt = Salt::new(SegmentId([9; 16]));
    write_filter(&mut out, &mut stream, salt, ids).unwrap();
    write_filter(&mut out, &mut stream, salt, terms).unwrap();
    let (count, bytes) = (out.next(), stream.bytes());
    out.finish(&[]).unwrap();
    let pool = Pool::new(1 << 20, PageSize::K4);
    let pooled = PagedFile::new(&pool, file.clone(), [3; 16], count, None);
    let pages = Pages::new(pooled, file, [3; 16]);
    Filters::load(&pages, Region { first: 1, pages: count - 1 }, bytes, salt).unwrap()
}

#[test]
fn filters_of_every_small_size_find_all_that_is_in_them() {
    let mut random = Random(7);
    for count in 0..200 {
        let ids: Vec<u64> = (0..count).map(|_| random.next()).collect();
        let terms: Vec<u64> = (0..2 * count).collect();
        let filters = filters(ids.clone(), terms.clone());
        assert!(ids.iter().all(|&h| filters.may_have_id(h)));
        assert!(terms.iter().all(|&h| filters.may_have_term(h)));
    }
}

#[test]
fn filters_pass_few_that_are_absent_and_bear_repetitions() {
    let mut random = Random(8);
    let mut ids: Vec<u64> = (0..30_000).map(|_| random.next()).collect();
    ids.extend_from_within(..1000);
    let filters = filters(ids.clone(), vec![5; 1000]);
    assert!(ids.iter().all(|&h| filters.may_have_id(h)));
    assert!(filters.may_have_term(5));
    let passed = (0..20_000).filter(|_| filters.may_have_id(random.next())).count();
    assert!((20..200).contains(&passed), "{passed} of 20,000 absent ids pass");
    assert!(filters.bytes() < 37_000);
}

#[test]
fn filters_of_several_parts_find_all_that_is_in_them() {
    let ids: Vec<u64> =
        (0..1_200_000).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let filters = filters(ids.clone(), Vec::new());
    assert!(ids.iter().all(|&h| filters.may_have_id(h)));
    let passed = (0..20_000u64).filter(|i| filters.may_have_id(i.wrapping_mul(77) + 1)).count();
    assert!(passed < 200, "{passed}");
}
