//! Loom models of publication, on the real code: the five files are included a second time here, above
//! loom's atomics, with chunks and slices small enough to be explored.
//!
//! Loom runs every interleaving with up to three preemptions, and lets a relaxed load return any value
//! that the memory model allows. With the release stores of `postings.rs`, `index.rs`, `arena.rs` or `records.rs` made relaxed, with an
//! acquire load of the last two made so, or with a store moved behind the one that publishes it, these tests fail.
#![expect(dead_code, reason = "the models call a part of what they include")]

#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "arena.rs"]
mod arena;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "index.rs"]
mod index;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "postings.rs"]
mod postings;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "records.rs"]
mod records;
#[expect(clippy::duplicate_mod, reason = "the very same code, above other atomics")]
#[path = "slots.rs"]
mod slots;

/// Loom's atomics in place of `super::sync`.
mod sync {
    use loom::cell::UnsafeCell;
    use loom::sync::atomic::AtomicBool;
    pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

    /// Chunks of 16 bytes, 32 and so on.
    pub(super) const CHUNK_BYTES_FIRST: usize = 16;

    pub(super) const SLICE_SLOTS_MAX: u32 = 8;

    /// Chunks of 8 items, and of 16.
    #[expect(clippy::extra_unused_type_parameters, reason = "the signature of the real one")]
    pub(super) const fn chunk_bits<T>() -> (u32, u32) {
        (3, 4)
    }

    /// A cell that is set once, and loom sees how.
    pub(super) struct OnceLock<T> {
        is_set: AtomicBool,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(super) fn new() -> OnceLock<T> {
            OnceLock { is_set: AtomicBool::new(false), value: std::sync::OnceLock::new() }
        }

        pub(super) fn get(&self) -> Option<&T> {
            self.is_set.load(Ordering::Acquire).then(|| self.value.get())?
        }

        pub(super) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let value = self.value.get_or_init(make);
            self.is_set.store(true, Ordering::Release);
            value
        }
    }

    /// A cell for each byte. Loom reports who reads one while another may write it.
    pub(super) struct Accesses(Box<[UnsafeCell<()>]>);

    impl Accesses {
        pub(super) fn new(bytes: usize) -> Accesses {
            Accesses((0..bytes).map(|_| UnsafeCell::new(())).collect())
        }

        pub(super) fn read(&self, offset: usize, len: usize) {
            self.0[offset..offset + len].iter().for_each(|byte| byte.with(|_| ()));
        }

        pub(super) fn write(&self, offset: usize, len: usize) {
            self.0[offset..offset + len].iter().for_each(|byte| byte.with_mut(|_| ()));
        }
    }
}

use crate::base::loomed::explore;
use crate::base::{Ids, Key};
use arena::Arena;
use index::Index;
use loom::sync::Arc;
use loom::thread;
use postings::{List, Pool};
use records::Records;
use sync::{AtomicU32, AtomicU64, Ordering};

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

/// A reader that was led to no place looks for three items, and for what lies across two of them: it finds nothing, or
/// bytes that nobody writes any more. The second item begins a chunk, the third follows it.
#[test]
fn arena_bytes_are_found_whole_or_not_at_all() {
    const ITEM: usize = 12;
    explore(|| {
        let (mut writer, arena) = Arena::new(0);
        let reader = {
            let arena = std::sync::Arc::clone(&arena);
            thread::spawn(move || {
                for (place, items) in [(1 << 32 | ITEM as u64, 3..4), (1 << 32, 2..4), (0, 1..2)] {
                    let found = arena.published(place, items.len() * ITEM);
                    let expected = items.flat_map(|item| [item; ITEM]);
                    assert!(found.is_none_or(|bytes| bytes.iter().copied().eq(expected)));
                }
            })
        };
        for item in 1..4 {
            let place = writer.push(&[&[item; 5], &[item; ITEM - 5]]);
            assert_eq!(arena.get(place, ITEM), [item; ITEM]);
        }
        reader.join().unwrap();
    });
}

/// Time, id and body of an ordinal. The times go both ways from the first.
fn record(ordinal: u32) -> (Key, [u8; 4]) {
    let time =
        if ordinal.is_multiple_of(2) { 50 - u64::from(ordinal) } else { 50 + u64::from(ordinal) };
    let mut id = [0; 32];
    id[..8].fill(ordinal as u8 + 1);
    (Key { time, id }, [ordinal as u8 + 7; 4])
}

/// A reader beside the writer finds each record that it knows of whole, bounds that hold for all up to it, and the
/// deaths that were published.
#[test]
fn records_are_found_whole_with_their_bounds_and_deaths() {
    explore(|| {
        let (mut writer, arena) = Arena::new(0);
        let shared = Arc::new((Records::new(8, Ids::Own, arena), AtomicU64::new(1)));
        let (records, visible) = &*shared;
        let mut append = |ordinal| {
            let (key, body) = record(ordinal);
            assert_eq!(records.append(&mut writer, key, &body), ordinal);
        };
        append(0);
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (records, visible) = &*shared;
                let known = visible.load(Ordering::Acquire);
                assert!(known == 1 || records.killed_at(0) == 2);
                let len = records.len();
                assert!(u64::from(len) >= known);
                for ordinal in (0..len).rev() {
                    let (key, body) = record(ordinal);
                    assert_eq!((records.key(ordinal), records.body(ordinal)), (key, &body[..]));
                    let (min, max) = records.bounds_upto(ordinal);
                    for before in 0..=ordinal {
                        assert!((min..=max).contains(&record(before).0.time));
                    }
                }
            })
        };
        append(1);
        records.kill(0, 2);
        records.kill(0, 3);
        visible.store(2, Ordering::Release);
        append(2);
        assert_eq!((records.dead(), records.len()), (1, 3));
        reader.join().unwrap();
    });
}
