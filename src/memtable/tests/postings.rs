//! Posting lists: every length, and many lists in one pool.

use crate::memtable::postings::*;
use crate::memtable::sync::Ordering;

#[test]
fn every_length_up_to_ten_thousand_walks_back() {
    let pool = Pool::new(100_000);
    let list = List::default();
    assert_eq!(list.read(&pool).iter_back().count(), 0);
    list.start(0);
    for n in 1..10_000u32 {
        // Odd gaps, so that a slot number is never taken for its ordinal.
        assert!(list.read(&pool).iter_back().take(40).eq((0..n).rev().take(40).map(|i| i * 7)));
        assert_eq!(list.read(&pool).count(), n);
        if n < 300 || n % 997 == 0 {
            // Slice by slice too, from every place in the first slices on.
            for skipped in [0, 1, 2, 3, 5, 9] {
                let (mut rest, mut found) = (list.read(&pool).iter_back(), Vec::new());
                rest.by_ref().take(skipped).count();
                rest.for_each(|o| found.push(o));
                assert!(found.into_iter().eq((0..n).rev().skip(skipped).map(|i| i * 7)));
            }
        }
        list.push(&pool, n * 7);
    }
    assert!(list.read(&pool).iter_back().eq((0..10_000).rev().map(|i| i * 7)));
}

#[test]
fn many_lists_share_the_pool_and_stay_apart() {
    let pool = Pool::new(1 << 20);
    let lists: Vec<List> = (0..97).map(|_| List::default()).collect();
    let mut twins = vec![Vec::new(); 97];
    for ordinal in 0..40_000u32 {
        let i = (ordinal as usize).pow(2) % 97;
        let wanted = lists[i].slots_wanted() as usize;
        let before = (pool.used.load(Ordering::Relaxed), pool.bytes(), pool.growth(wanted));
        match twins[i].is_empty() {
            true => lists[i].start(ordinal),
            false => {
                lists[i].push(&pool, ordinal);
                let taken = pool.used.load(Ordering::Relaxed) - before.0;
                assert_eq!(taken == 0, wanted == 0, "slots_wanted foretells the pool");
                assert!(pool.bytes() <= before.1 + before.2);
            }
        }
        twins[i].push(ordinal);
    }
    for (list, twin) in lists.iter().zip(&twins) {
        assert!(list.read(&pool).iter_back().eq(twin.iter().rev().copied()));
    }
}

#[test]
fn a_snapshot_does_not_grow() {
    let pool = Pool::new(1000);
    let list = List::default();
    list.start(1);
    (2..6).for_each(|o| list.push(&pool, o));
    let then = list.read(&pool);
    (6..99).for_each(|o| list.push(&pool, o));
    assert!(then.iter_back().eq([5, 4, 3, 2, 1]));
}
