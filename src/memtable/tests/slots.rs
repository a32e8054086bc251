//! Columns: every index, and the figures.

use crate::memtable::slots::*;
use crate::memtable::sync::{AtomicU32, Ordering};

#[test]
fn indexes_fill_chunk_after_chunk_without_a_gap() {
    let mut want = (0, 0);
    for index in 0..100_000 {
        assert_eq!(locate::<AtomicU32>(index), want, "{index}");
        let end = index + chunk_len::<AtomicU32>(want.0) - want.1;
        assert_eq!(chunk_end::<AtomicU32>(index as u32) as usize, end);
        want.1 += 1;
        if want.1 == chunk_len::<AtomicU32>(want.0) {
            want = (want.0 + 1, 0);
        }
    }
    assert_eq!(chunk_len::<AtomicU32>(0), 1024);
    assert_eq!(chunk_len::<AtomicU32>(9), 16384);
}

#[test]
fn growth_foretells_the_bytes() {
    let column = Column::<AtomicU32>::new(100_000);
    assert!(column.get(0).is_none());
    for index in 0..100_000 {
        let (before, growth) = (column.bytes(), column.growth(index as usize + 1));
        column.make(index).store(index, Ordering::Relaxed);
        assert_eq!(column.bytes(), before + growth);
    }
    assert_eq!(column.at(70_000).load(Ordering::Relaxed), 70_000);
    assert_eq!(column.growth(100_000), 0);
    assert!(column.bytes() < 100_000 * 4 + 65_536 + 1024);
}

#[test]
#[should_panic(expected = "beyond a column")]
fn does_not_grow_past_its_table() {
    Column::<AtomicU32>::new(1).make(1024);
}
