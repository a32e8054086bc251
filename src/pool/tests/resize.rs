//! The pool growing and shrinking: what stays, what leaves, what the kernel gets back, and readers who
//! notice nothing.

use super::*;
use std::thread::scope;

const FRAMES: usize = 512;

/// A pool with room for `FRAMES` frames, and a file read through it.
fn roomy(pages: u32) -> (Arc<Pool>, Arc<PagedFile>, Arc<TestFile>) {
    let pool = Pool::new(FRAMES * 4096, PageSize::K4);
    let (paged, file) = open(&pool, TestFile::new(1, pages));
    (pool, paged, file)
}

fn read(paged: &PagedFile, numbers: impl IntoIterator<Item = u32>) {
    numbers.into_iter().for_each(|n| assert!(is_page(&paged.page(n).unwrap(), 1, n), "page {n}"));
}

fn shrink(pool: &Pool, frames: usize) {
    pool.resize(frames * 4096);
    assert_eq!(pool.stats().frames, frames);
}

#[test]
fn pages_that_still_fit_stay_wherever_they_stood() {
    let (pool, paged, file) = roomy(1000);
    read(&paged, 0..FRAMES as u32);
    // Half of what is there goes with a file, so that the rest has room below.
    let (other, _) = open(&pool, TestFile::new(2, 1));
    drop(other);
    let keep: Vec<u32> = (FRAMES as u32 - 100..FRAMES as u32).collect();
    (0..3).for_each(|_| read(&paged, keep.iter().copied()));
    shrink(&pool, 128);
    let stats = pool.stats();
    assert_eq!((stats.resident, stats.evictions), (128, FRAMES as u64 - 128));
    let reads = file.reads();
    read(&paged, keep);
    assert_eq!(file.reads(), reads, "the pages in use moved, and were not read again");
}

#[test]
fn a_pool_that_is_not_full_shrinks_without_losing_a_page() {
    let (pool, paged, file) = roomy(1000);
    read(&paged, 0..300);
    let (two, _) = open(&pool, TestFile::new(2, 200));
    (0..200).for_each(|n| drop(two.page(n).unwrap()));
    drop(paged); // its frames are free, and the other file's stand at the end
    shrink(&pool, 200);
    let stats = pool.stats();
    assert_eq!((stats.resident, stats.evictions), (200, 0));
    (0..200).for_each(|n| assert!(is_page(&two.page(n).unwrap(), 2, n)));
    assert_eq!((pool.stats().hits, file.reads()), (200, 300));
}

#[test]
fn pages_that_move_leave_in_the_order_in_which_they_came() {
    let (pool, paged, _) = roomy(1000);
    let (first, _) = open(&pool, TestFile::new(2, 200));
    (0..200).for_each(|n| drop(first.page(n).unwrap()));
    drop(first); // its frames come back the other way round
    read(&paged, 0..100);
    shrink(&pool, 100);
    for number in 0..100 {
        assert!(paged.resident(number), "page {number} left before its turn");
        drop(paged.page(500 + number).unwrap());
        assert!(!paged.resident(number), "page {number} is still there");
    }
}

#[test]
fn a_pool_that_grew_again_uses_all_its_frames_and_no_more() {
    let (pool, paged, _) = roomy(2000);
    for frames in [64, 200, 100, FRAMES, 64, 65, FRAMES] {
        shrink(&pool, frames);
        read(&paged, 0..1000);
        assert_eq!(pool.stats().resident, frames);
        let all: Vec<_> = (1000..1000 + frames as u32).map(|n| paged.page(n).unwrap()).collect();
        let error = paged.page(1999).unwrap_err();
        assert!(matches!(error, Error::Full { limit, .. } if limit == frames as u64), "{error}");
        assert!(all.iter().zip(1000..).all(|(page, n)| is_page(page, 1, n)));
    }
    pool.resize(usize::MAX);
    assert_eq!(pool.stats().frames, FRAMES);
    pool.resize(0);
    assert_eq!(pool.stats().frames, FRAMES_MIN);
}

#[test]
fn pinned_pages_stay_and_leave_with_the_next_resize() {
    let (pool, paged, _) = roomy(2000);
    let mut pins: Vec<_> = (0..FRAMES as u32).map(|n| paged.page(n).unwrap()).collect();
    shrink(&pool, 64);
    assert_eq!(pool.stats().resident, FRAMES);
    assert!(pins.iter().zip(0..).all(|(page, n)| is_page(page, 1, n)));
    assert_eq!(paged.page(1000).unwrap_err().code(), "ERR_FULL");
    pins.drain(..480);
    shrink(&pool, 64);
    assert_eq!(pool.stats().resident, 64 + 32);
    assert!(pins.iter().zip(480..).all(|(page, n)| is_page(page, 1, n)));
    // What stands beyond is found there, and not read again into a frame below.
    read(&paged, 1000..1100);
    read(&paged, 480..FRAMES as u32);
    assert_eq!((pool.stats().resident, pool.stats().misses), (64 + 32, FRAMES as u64 + 100));
    drop(pins);
    // Those below are all pinned: the others are chosen, and leave, and are not used again.
    let below = |n: &u32| paged.table.frame(*n).is_some_and(|frame| frame < 64);
    let below: Vec<_> = (0..2000).filter(below).map(|n| paged.page(n).unwrap()).collect();
    assert_eq!((below.len(), paged.page(1999).unwrap_err().code()), (64, "ERR_FULL"));
    assert_eq!((pool.stats().resident, backed(&pool)), (64, 64 * 4096));
    drop(below);
    shrink(&pool, 64);
    assert_eq!((pool.stats().resident, backed(&pool) <= 64 * 4096), (64, true));
}

#[test]
fn a_frame_whose_read_was_under_way_retires_at_its_end() {
    let (pool, shelf) = (Pool::new(FRAMES * 4096, PageSize::K4), Arc::new(Shelf::default()));
    let (paged, _) = open_with(&pool, TestFile::new(1, 1000), Some(Arc::clone(&shelf) as _));
    let low: Vec<_> = (0..400).map(|n| paged.page(n).unwrap()).collect();
    assert_eq!(paged.prefetch(&(500..600).collect::<Vec<_>>()), 100);
    drop(low);
    shrink(&pool, 64);
    let mut reads = shelf.take().into_iter();
    // Half are lost, half arrive and are there.
    reads.by_ref().take(50).for_each(drop);
    for read in reads {
        let (op, token) = read.into_parts();
        let (result, buf) = perform(op);
        token.complete(result, buf);
    }
    read(&paged, 550..600);
    assert_eq!(pool.stats().misses, 400);
    shrink(&pool, 64);
    assert_eq!(pool.stats().resident, 64);
    assert!(backed(&pool) <= 64 * 4096);
    // No frame was lost or doubled.
    shrink(&pool, FRAMES);
    let all: Vec<_> = (0..FRAMES as u32).map(|n| paged.page(n).unwrap()).collect();
    assert!(all.iter().zip(0..).all(|(page, n)| is_page(page, 1, n)));
}

/// Bytes of the pool's mapping that the kernel backs with memory.
fn backed(pool: &Pool) -> usize {
    pool.frames.backed_pages().len() * 4096
}

#[test]
fn the_kernel_gets_the_memory_back() {
    let (pool, frames) = (Pool::new(16 << 20, PageSize::K4), (16 << 20) / 4096);
    let (paged, _) = open(&pool, TestFile::new(1, 2 * frames));
    assert_eq!(backed(&pool), 0);
    read(&paged, 0..frames);
    assert_eq!(backed(&pool), 16 << 20);
    for mib in [8, 16, 4, 10] {
        pool.resize(mib << 20);
        assert!(backed(&pool) <= mib << 20, "{} bytes of {mib} MiB", backed(&pool));
        read(&paged, frames..2 * frames);
        assert_eq!(backed(&pool), mib << 20);
    }
}

#[test]
fn readers_see_every_page_right_while_the_pool_changes_its_size() {
    let pool = Pool::new(FRAMES * 4096, PageSize::K4);
    let files = [1, 2].map(|id| open(&pool, TestFile::new(id, 400)).0);
    // A huge page that comes in later would bring frames that nobody uses.
    [1, 2].into_iter().zip(&files).for_each(|(id, file)| {
        (0..400).for_each(|n| assert!(is_page(&file.page(n).unwrap(), id, n)));
    });
    let left = AtomicUsize::new(3);
    scope(|s| {
        for thread in 0..3u64 {
            let (files, left) = (&files, &left);
            s.spawn(move || {
                let (mut seed, mut held) = (thread + 1, Vec::new());
                for _ in 0..30_000 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let (number, id) = ((seed >> 33) as u32 % 400, (seed >> 60) as usize % 2);
                    let page = files[id].hold(number).unwrap();
                    assert!(is_page(&page, id as u8 + 1, number), "page {number} of {id}");
                    if number % 16 == 0 {
                        held.push((page, id as u8 + 1));
                    }
                    if held.len() > 12 {
                        let (page, id) = held.swap_remove(number as usize % 12);
                        assert!(is_page(&page, id, page.number()));
                    }
                }
                left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let mut seed = 7u64;
        while left.load(Ordering::SeqCst) > 0 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let frames = 64 + (seed >> 33) as usize % (FRAMES - 64);
            pool.resize(frames * 4096);
            // Others load and hold meanwhile, at most 16 pages each.
            assert!(pool.stats().resident <= frames + 3 * 16);
            std::thread::yield_now();
        }
    });
    assert!(pool.stats().evictions > 1000);
    pool.resize(0);
    // A frame that a resize had emptied for a page that a reader pinned just then may still wait for another.
    (0..400).for_each(|n| assert!(is_page(&files[0].page(n).unwrap(), 1, n)));
    assert_eq!((pool.stats().resident, pool.stats().pinned), (64, 0));
    assert!(backed(&pool) <= 64 * 4096, "{:?}", pool.frames.backed_pages());
}
