//! Posting lists written to pages and read back, against a sorted `Vec`.

use super::cursor::List;
use super::*;
use crate::base::PageSize;
use crate::pool::{PagedFile, Pool};
use crate::segment::pages::{PageWriter, Pages};
use crate::segment::tests::{PAGES, Random, file};

/// Writes `lists` one behind the other.
fn write(lists: &[Vec<u32>], page: PageSize) -> (Pages, Vec<Postings>) {
    let (pages, places, _) = write_in(lists, page);
    (pages, places)
}

fn write_in(lists: &[Vec<u32>], page: PageSize) -> (Pages, Vec<Postings>, Arc<Pool>) {
    let file = file();
    let mut out = PageWriter::new(file.clone(), [1; 16], page.bytes());
    let mut writer = ListWriter::new();
    let mut places = Vec::new();
    for list in lists {
        for &ordinal in list {
            writer.push(&mut out, ordinal).unwrap();
        }
        places.push(writer.finish(&mut out).unwrap());
    }
    let count = out.next();
    out.finish(&[]).unwrap();
    let pool = Pool::new(64 * page.bytes(), page);
    let pooled = PagedFile::new(&pool, file.clone(), [1; 16], count, None);
    (Pages::new(pooled, file, [1; 16]), places, pool)
}

/// Compares seeks and ranks at `target` with the twin.
fn check(list: &mut List, pages: &Pages, twin: &[u32], target: u32) {
    let at = twin.partition_point(|&v| v < target);
    assert_eq!(list.seek_ge(pages, u32::MAX, target).unwrap(), twin.get(at).copied(), "{target}");
    let up_to = twin.partition_point(|&v| v <= target);
    let expected = up_to.checked_sub(1).map(|i| twin[i]);
    assert_eq!(list.seek_le(pages, u32::MAX, target).unwrap(), expected, "{target}");
    assert_eq!(list.rank(pages, u32::MAX, target).unwrap() as usize, at, "{target}");
}

#[test]
fn every_set_of_small_ordinals_answers_every_seek() {
    let lists: Vec<Vec<u32>> =
        (1..1u32 << 9).map(|bits| (0..9).filter(|i| bits >> i & 1 == 1).collect()).collect();
    let (pages, places) = write(&lists, PageSize::K4);
    for (twin, postings) in lists.iter().zip(&places) {
        assert!(matches!(postings.place(), Place::Inline { .. }));
        for target in (0..11).chain([u32::MAX]) {
            check(&mut List::new(*postings), &pages, twin, target);
        }
    }
}

#[test]
fn every_length_around_the_changes_of_place_reads_back() {
    let around = [1, 12, 23, 24, 25, 127, 128, 129, 255, 256, 257, 2000, 4100];
    for step in [1, 2, 300, 100_000] {
        let lists: Vec<Vec<u32>> =
            around.iter().map(|&n| (0..n).map(|i| 17 + i * step).collect()).collect();
        let (pages, places) = write(&lists, PageSize::K4);
        for (twin, postings) in lists.iter().zip(&places) {
            assert_eq!(postings.count() as usize, twin.len());
            let (mut list, mut next, mut got) = (List::new(*postings), 0, Vec::new());
            while let Some(found) = list.seek_ge(&pages, u32::MAX, next).unwrap() {
                got.push(found);
                next = found + 1;
            }
            assert!(got == *twin);
            let (mut down, mut next) = (Vec::new(), u32::MAX);
            while let Some(found) = list.seek_le(&pages, u32::MAX, next).unwrap() {
                down.push(found);
                next = found.wrapping_sub(1);
                if found == 0 {
                    break;
                }
            }
            down.reverse();
            assert!(down == *twin);
        }
    }
}

#[test]
fn lists_of_every_density_answer_like_a_sorted_vec() {
    let mut random = Random(42);
    for page in PAGES {
        let lists: Vec<Vec<u32>> = [1u64, 2, 3, 10, 100, 1000, 10_000]
            .iter()
            .flat_map(|&sparse| [(sparse, 150_000u32), (sparse, 1_500_000)])
            .map(|(sparse, records)| {
                let mut list: Vec<u32> =
                    (0..records).filter(|_| random.below(sparse) == 0).collect();
                list.truncate(60_000);
                list.push(records + random.below(9) as u32);
                list
            })
            .collect();
        let (pages, places) = write(&lists, page);
        let exclusive = |p: &&Postings| matches!(p.place(), Place::Exclusive { .. });
        assert!(places.iter().filter(exclusive).count() > 2);
        for (twin, postings) in lists.iter().zip(&places) {
            let mut list = List::new(*postings);
            let end = u64::from(twin[twin.len() - 1]) + 3;
            for _ in 0..1500 {
                check(&mut list, &pages, twin, random.below(end) as u32);
            }
            for _ in 0..500 {
                let near = twin[random.below(twin.len() as u64) as usize];
                for target in near.saturating_sub(1)..=near + 1 {
                    check(&mut list, &pages, twin, target);
                }
            }
            check(&mut list, &pages, twin, 0);
            check(&mut list, &pages, twin, u32::MAX);
        }
    }
}

#[test]
fn the_last_ordinal_before_every_block_is_found_from_within_the_block() {
    for step in [1, 3, 5000] {
        let twin: Vec<u32> = (0..30_000).map(|i| 4 + i * step).collect();
        let (pages, places) = write(std::slice::from_ref(&twin), PageSize::K4);
        for start in (BLOCK..twin.len()).step_by(BLOCK) {
            for target in [twin[start - 1], twin[start] - 1, twin[start - 1] - 1] {
                let mut list = List::new(places[0]);
                list.seek_ge(&pages, u32::MAX, twin[start]).unwrap();
                check(&mut list, &pages, &twin, target);
                list.seek_ge(&pages, u32::MAX, twin[start]).unwrap();
                let up_to = twin.partition_point(|&v| v <= target);
                let found = list.seek_le(&pages, u32::MAX, target).unwrap();
                assert_eq!(found, Some(twin[up_to - 1]));
            }
        }
    }
}

#[test]
fn a_walk_over_a_long_list_reads_each_page_once_a_block_and_once_more() {
    let twin: Vec<u32> = (0..100_000).map(|i| i * 3 + i % 2).collect();
    let (pages, places, pool) = write_in(std::slice::from_ref(&twin), PageSize::K4);
    let Place::Exclusive { pages: count, .. } = *places[0].place() else { panic!("{places:?}") };
    assert!(count > 5);
    let asked = || pool.stats().hits + pool.stats().misses;
    let most = (twin.len().div_ceil(BLOCK) + count as usize) as u64;
    let mut list = List::new(places[0]);
    let (mut next, mut seen, before) = (0, 0, asked());
    while let Some(found) = list.seek_ge(&pages, u32::MAX, next).unwrap() {
        (seen, next) = (seen + 1, found + 1);
    }
    assert_eq!(seen, twin.len());
    assert!(asked() - before <= most, "{} pages asked for, {most} expected", asked() - before);
    let (mut next, mut seen, before) = (u32::MAX, 0, asked());
    while let Some(found) = list.seek_le(&pages, u32::MAX, next).unwrap() {
        seen += 1;
        let Some(lower) = found.checked_sub(1) else { break };
        next = lower;
    }
    assert_eq!(seen, twin.len());
    assert!(asked() - before <= most, "{} pages asked for, {most} expected", asked() - before);
}

#[test]
fn short_lists_share_pages() {
    let lists: Vec<Vec<u32>> = (0..1000).map(|n| (0..40).map(|i| n + i * 1000).collect()).collect();
    let (_, places) = write(&lists, PageSize::K4);
    let mut used: Vec<u32> = places
        .iter()
        .map(|p| match p.place() {
            Place::Shared { page, .. } => *page,
            other => panic!("{other:?}"),
        })
        .collect();
    used.dedup();
    assert!(used.len() < 30, "{} pages for 40 lists each", used.len());
}

#[test]
fn an_ordinal_beyond_the_records_is_damage() {
    for list in [vec![5, 9], (0..500).collect(), (0..100_000).map(|i| i * 3).collect()] {
        let (pages, places) = write(std::slice::from_ref(&list), PageSize::K4);
        let last = list[list.len() - 1];
        let mut good = List::new(places[0]);
        assert_eq!(good.seek_le(&pages, last + 1, u32::MAX).unwrap(), Some(last));
        let mut bad = List::new(places[0]);
        assert!(bad.seek_le(&pages, last, u32::MAX).is_err());
        assert!(bad.seek_ge(&pages, last, last).is_err());
    }
}

#[test]
fn entries_read_back_and_refuse_what_is_no_list() {
    let mut random = Random(5);
    let lists: Vec<Vec<u32>> = [1u32, 5, 24, 300, 90_000]
        .iter()
        .map(|&n| (0..n).map(|i| i * 7 + random.below(7) as u32).collect())
        .collect();
    let (_, places) = write(&lists, PageSize::K4);
    for postings in places {
        let mut tail = Vec::new();
        postings.write(&mut tail);
        assert_eq!(Postings::parse(&tail, 1 << 30), Ok(postings));
        assert!(Postings::parse(&tail, postings.count() - 1).is_err());
        assert!(Postings::parse(&tail[..tail.len() - 1], 1 << 30).is_err());
        tail.push(0);
        assert!(Postings::parse(&tail, 1 << 30).is_err());
    }
    assert!(Postings::parse(&[], 10).is_err());
    assert!(Postings::parse(&[3 << 2 | 3, 1, 1], 10).is_err());
    assert!(Postings::parse(&[0, 0], 10).is_err(), "no postings");
    assert!(Postings::parse(&[1 << 2, 10], 10).is_err(), "beyond the records");
}

#[test]
fn the_writer_refuses_what_does_not_ascend() {
    let file = file();
    let mut out = PageWriter::new(file, [1; 16], 4096);
    let mut writer = ListWriter::new();
    assert!(writer.finish(&mut out).is_err());
    writer.push(&mut out, 5).unwrap();
    assert!(writer.push(&mut out, 5).is_err());
    assert!(writer.push(&mut out, 4).is_err());
}
