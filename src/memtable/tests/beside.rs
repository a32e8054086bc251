//! Readers beside the writer, on real threads: whole records and whole lists at every moment.

use super::{ROOMY, key, sealed};
use crate::base::{Key, Terms, hash64};
use crate::memtable::{Memtable, build};
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything about record `o` follows from `o`.
fn record(o: u64) -> (Key, Vec<u8>, Terms) {
    let len = if o.is_multiple_of(997) { 70_000 } else { o as usize * 13 % 400 };
    (key(1000 + o % 17, o), vec![o as u8; len], sealed(TERMS.map(|m| term(m, o % m))))
}

/// Term `(m, r)` has the ordinals that leave `r` when divided by `m`.
const TERMS: [u64; 5] = [1, 2, 7, 100, 1009];

fn term(m: u64, r: u64) -> Vec<u8> {
    [b"m".as_slice(), &m.to_le_bytes(), &r.to_le_bytes()].concat()
}

fn read_beside_the_writer(memtable: &Memtable, visible: &AtomicU64, total: u64, seed: u64) {
    let mut chance = seed;
    loop {
        let seen = visible.load(Ordering::Acquire);
        chance = hash64(&chance.to_le_bytes());
        if seen > 0 {
            // 1. Any visible record is complete and found, and what was killed by then is dead.
            let o = chance % seen;
            let (key, body, _) = record(o);
            assert_eq!((memtable.key(o as u32), memtable.body(o as u32)), (key, &body[..]));
            assert_eq!(memtable.find(&key.id), Some(o as u32));
            assert!(memtable.time_max_upto(o as u32) >= key.time);
            assert!(memtable.time_min_upto(o as u32) <= key.time);
            let dead = o.is_multiple_of(5) && o + 10 <= seen;
            assert_eq!(memtable.is_live(o as u32, seen), !dead, "{o} of {seen}");
            // 2. A term's postings below `visible` are the twin's; those above can be read already.
            let m = TERMS[(chance >> 32) as usize % TERMS.len()];
            let walk = memtable.postings(&term(m, o % m)).unwrap().iter_back();
            let mut want = (0..seen).rev().filter(|n| n % m == o % m);
            for found in walk.map(u64::from) {
                if found < seen {
                    assert_eq!(Some(found), want.next());
                    if seen - found > 2000 {
                        break;
                    }
                } else {
                    assert_eq!(memtable.key(found as u32), record(found).0);
                }
            }
            assert!(want.next().is_none_or(|n| seen - n > 1000), "the walk came to its end");
        }
        if seen == total {
            return;
        }
    }
}

#[test]
fn readers_beside_the_writer_see_whole_records_and_whole_lists() {
    for bits_max in [32, 4] {
        let total = if bits_max == 32 { 20_000 } else { 2000 };
        let (mut writer, memtable) = build(ROOMY, 0, bits_max);
        let visible = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for seed in 0..3 {
                let (memtable, visible) = (&*memtable, &visible);
                scope.spawn(move || read_beside_the_writer(memtable, visible, total, seed));
            }
            for o in 0..total {
                let (key, body, terms) = record(o);
                assert_eq!(writer.append(key, &body, &terms), Some(o as u32));
                // Record `o - 9` dies with this one's number.
                if o >= 9 && (o - 9).is_multiple_of(5) {
                    writer.kill(o as u32 - 9, o + 1);
                }
                visible.store(o + 1, Ordering::Release);
            }
        });
    }
}
