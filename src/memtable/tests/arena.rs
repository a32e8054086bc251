//! The arena by hand.

use crate::memtable::arena::{Arena, LARGE_BYTES};

#[test]
fn items_of_every_size_read_back_and_growth_covers_them() {
    let (mut writer, arena) = Arena::new(64 << 20);
    let source: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    let mut items = Vec::new();
    let mut sum = 0;
    for i in 0..3000 {
        let len = match i % 50 {
            0 => i * 700,
            1 => LARGE_BYTES - i % 3 + 1,
            _ => i * i % 1500,
        };
        let item = &source[i..i + len];
        let bound = arena.bytes() + writer.growth(len, 0);
        let place = writer.push(&[&item[..len / 3], &item[len / 3..]]);
        assert!(arena.bytes() <= bound);
        items.push((place, item));
        sum += len;
    }
    for (place, item) in items {
        assert_eq!(arena.get(place, item.len()), item);
    }
    assert!(arena.bytes() < sum * 4 / 3 + (1 << 20), "{} for {sum}", arena.bytes());
}

#[test]
fn the_largest_record_fits_an_arena_for_nothing() {
    let (mut writer, arena) = Arena::new(0);
    let bound = arena.bytes() + writer.growth((2 << 20) + 32, 65_536 * 80);
    writer.push(&[&[1; 32], &[2; 2 << 20]]);
    let last = (0..65_536u32).map(|i| writer.push(&[&[i as u8; 80]])).last().unwrap();
    assert_eq!(arena.get(last, 80), [255; 80]);
    assert!(arena.bytes() <= bound);
}

#[test]
#[should_panic(expected = "2 bytes at 0x2")]
fn nothing_is_read_that_was_not_published() {
    let (mut writer, arena) = Arena::new(0);
    writer.push(&[b"abc"]);
    arena.get(2, 2);
}

#[test]
#[should_panic(expected = "0 bytes at 0x100000000 of an arena")]
fn nothing_is_read_where_no_chunk_is() {
    Arena::new(0).1.get(1 << 32, 0);
}
