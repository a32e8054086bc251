//! Loom models of publication, on the real code: the three files are included a second time here, above
//! loom's atomics, with chunks and slices small enough to be explored.
//!
//! Loom runs every interleaving with up to three preemptions, and lets a relaxed load return any value
//! that the memory model allows. With the release stores of `postings.rs` or `index.rs` made relaxed, these tests fail.
#![expect(dead_code, reason = "the models call a part of what they include")]

#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "index.rs"]
mod index;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "postings.rs"]
mod postings;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "slots.rs"]
mod slots;

/// Loom's atomics in place of `super::sync`.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    pub(super) const SLICE_SLOTS_MAX: u32 = 8;

    /// Chunks of 8 items, and of 16.
    #[expect(clippy::extra_unused_type_parameters, reason = "the signature of the real one")]
    pub(super) const fn chunk_bits<T>() -> (u32, u32) {
        (3, 4)
    }
}

use index::Index;
use loom::sync::Arc;
use loom::thread;
use postings::{List, Pool};
use sync::{AtomicU32, Ordering};

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A reader beside the writer finds each prefix whole and in order, across the step from the inline
/// ordinal to the first slice and from slice to slice.
fn a_reader_finds_a_whole_prefix(from: u32, to: u32) {
    explore(move || {
        let shared = Arc::new((Pool::new(64), List::default()));
        let (pool, list) = &*shared;
        list.start(100);
        (1..from).for_each(|n| list.push(pool, 100 + n));
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (pool, list) = &*shared;
                let postings = list.read(pool);
                let count = postings.count();
                assert!((from..=to).contains(&count));
                assert!(postings.iter_back().eq((100..100 + count).rev()));
            })
        };
        (from..to).for_each(|n| list.push(pool, 100 + n));
        reader.join().unwrap();
    });
}

#[test]
fn postings_from_the_inline_ordinal_to_the_first_slice() {
    a_reader_finds_a_whole_prefix(1, 4);
}

#[test]
fn postings_from_slice_to_slice() {
    a_reader_finds_a_whole_prefix(3, 6);
    a_reader_finds_a_whole_prefix(10, 13);
}

/// A reader that knows of `n` nodes finds each of them, while the writer inserts more, doubles the
/// buckets and splits them; and a node that it finds has its value.
fn a_reader_finds_all_it_knows_of(hashes: &'static [u64]) {
    explore(move || {
        let shared = Arc::new((Index::<AtomicU32>::new(8, 30, 0), AtomicU32::default()));
        let (index, visible) = &*shared;
        let insert = |n: usize| {
            index.insert(hashes[n], n as u32, |v| v.store(n as u32 + 50, Ordering::Relaxed));
            visible.store(n as u32 + 1, Ordering::Release);
        };
        let before = hashes.len() - 2;
        (0..before).for_each(insert);
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (index, visible) = &*shared;
                let known = visible.load(Ordering::Acquire) as usize;
                for number in [before - 1, before, before + 1] {
                    let mut found = false;
                    for (n, value) in index.candidates(hashes[number]) {
                        assert_eq!(value.load(Ordering::Relaxed), n + 50);
                        found |= n as usize == number;
                    }
                    assert!(found || number >= known, "{number} of {known}");
                }
            })
        };
        (before..hashes.len()).for_each(insert);
        reader.join().unwrap();
    });
}

#[test]
fn index_insertions_that_split_buckets() {
    a_reader_finds_all_it_knows_of(&[0b000, 0b110, 0b001, 0b010]);
    a_reader_finds_all_it_knows_of(&[0b111, 0b011, 0b101, 0b001, 0b111]);
}

#[test]
fn index_insertions_behind_what_was_found() {
    a_reader_finds_all_it_knows_of(&[0b000, 0b100, 0b010]);
}

#[test]
fn index_insertions_of_equal_hashes() {
    a_reader_finds_all_it_knows_of(&[5, 5, 5]);
}
