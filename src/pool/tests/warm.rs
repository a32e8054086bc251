//! Warming: what comes, by how many reads, and what stays.

use super::*;
use std::ops::Range;

/// Warms `range` to its end; the reads of the file that it took.
fn warm(paged: &PagedFile, file: &TestFile, mut range: Range<u32>, keep: bool) -> usize {
    let before = file.reads();
    while !range.is_empty() {
        range = paged.warm(range, keep).unwrap();
    }
    file.reads() - before
}

#[test]
fn many_pages_come_by_one_read_and_are_the_file_s() {
    let pool = Pool::new(200 * 4096, PageSize::K4);
    let (paged, file) = open(&pool, TestFile::new(1, 100));
    assert_eq!(warm(&paged, &file, 10..80, false), 3);
    assert_eq!(paged.resident_pages(), 70);
    for number in 10..80 {
        assert!(is_page(&paged.page_if_resident(number).unwrap(), 1, number));
    }
    // What is there is not read again; what is beyond the file is nobody's.
    assert_eq!(warm(&paged, &file, 10..80, false), 0);
    assert_eq!(warm(&paged, &file, 80..1000, false), 1);
    assert_eq!((paged.resident_pages(), pool.stats().pinned), (90, 0));
}

#[test]
fn a_page_that_is_pinned_or_on_its_way_is_left_alone() {
    let pool = Pool::new(200 * 4096, PageSize::K4);
    let shelf = Arc::new(Shelf::default());
    let (paged, file) = open_with(&pool, TestFile::new(1, 20), Some(shelf.clone() as _));
    let held = paged.page(3).unwrap();
    assert_eq!(paged.prefetch(&[5]), 1);
    assert_eq!(warm(&paged, &file, 0..20, true), 1);
    assert!(is_page(&held, 1, 3) && !paged.resident(5) && paged.resident(4));
    for read in shelf.take() {
        let (op, token) = read.into_parts();
        let (result, buf) = perform(op);
        token.complete(result, buf);
    }
    assert!(is_page(&paged.page_if_resident(5).unwrap(), 1, 5));
}

#[test]
fn a_damaged_page_ends_it_and_leaves_no_claim() {
    let pool = pool();
    let spoil = |_, number, page: &mut [u8]| {
        page[0] ^= u8::from(number == 4);
        Ok(())
    };
    let (paged, _) = open(&pool, TestFile::new(1, 10).hooked(spoil));
    assert_eq!(paged.warm(0..10, false).unwrap_err().code(), "ERR_CORRUPT");
    assert!(paged.resident(3) && !paged.resident(4) && paged.resident_pages() == 4);
    assert!(is_page(&paged.page(9).unwrap(), 1, 9));
}

#[test]
fn without_a_frame_it_ends_early() {
    let pool = Pool::new(0, PageSize::K4);
    let (paged, _) = open(&pool, TestFile::new(1, 500));
    let frames = pool.stats().frames as u32;
    let pins: Vec<_> = (0..frames).map(|number| paged.page(number).unwrap()).collect();
    assert_eq!(paged.warm(frames..500, false).unwrap(), 500..500);
    assert_eq!(paged.resident_pages(), frames);
    drop(pins);
}

#[test]
fn it_is_known_when_little_is_free() {
    let pool = Pool::new(200 * 4096, PageSize::K4);
    let (paged, file) = open(&pool, TestFile::new(1, 1000));
    warm(&paged, &file, 0..149, true);
    assert!(pool.has_free(4));
    warm(&paged, &file, 149..150, true);
    assert!(!pool.has_free(4) && pool.has_free(5));
    // A smaller allowance is a smaller share.
    pool.resize(180 * 4096);
    assert!(!pool.has_free(5) && pool.has_free(7));
}

#[test]
fn what_is_kept_outlives_a_scan_and_what_is_not_goes_first() {
    for keep in [true, false] {
        let pool = Pool::new(200 * 4096, PageSize::K4);
        let (paged, file) = open(&pool, TestFile::new(1, 1000));
        warm(&paged, &file, 0..100, keep);
        (100..1000).for_each(|number| drop(paged.page(number).unwrap()));
        let left = (0..100).filter(|&number| paged.resident(number)).count();
        assert_eq!(left, if keep { 100 } else { 0 });
    }
}
