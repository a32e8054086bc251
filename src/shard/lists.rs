//! The posting lists of a flush: those of the memtable, with the ordinals of the segment.
//!
//! ```text
//!   memtable  term --> 7 5 2 (order of arrival)     map: 2 -> 1, 5 -> nowhere, 7 -> 0     segment  term --> 0 1
//! ```
//!
//! A memtable is inverted already: no text is split again, no term hashed or looked for.
//!
//! I1. Every early term of a record is in the memtable it was appended to, and no other: so what a model gives without
//!     late terms is what stands here.

use super::flush::NOWHERE;
use crate::base::{Ordinal, Result, prefix, sort_by_term};
use crate::memtable::Memtable;
use crate::segment::Builder;

/// Adds the lists of a memtable that takes no more records, in the order of their terms, where `map` says what became of
/// each record. Terms without a record that is left are left out.
pub(super) fn add_lists(memtable: &Memtable, map: &[Ordinal], builder: &mut Builder) -> Result<()> {
    let term = |number| memtable.term(number).0;
    let numbers = 0..memtable.term_count();
    let mut order: Vec<(u64, u32)> = numbers.map(|n| (prefix(term(n)), n)).collect();
    sort_by_term(&mut order, term);
    let mut ordinals = Vec::new();
    for (_, number) in order {
        let (term, postings) = memtable.term(number);
        ordinals.clear();
        postings.iter_back().for_each(|o| match map[o as usize] {
            NOWHERE => {}
            to => ordinals.push(to),
        });
        ordinals.sort_unstable();
        builder.add_list(term, ordinals.iter().copied().map(Ok))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Ids, Key, PageSize, SegmentId, StoreId, Terms};
    use crate::io::sim::Faults;
    use crate::memtable::{self, Config};
    use crate::pool::Pool;
    use crate::segment::{Compression, NewSegment, Segment};
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Terms that many have, that few have, that one has, of one beginning, and two that only the dead have.
    fn terms_of(n: u64, dead: bool) -> Terms {
        let mut terms = Terms::new();
        terms.push(&[b"all"]);
        terms.push(&[b"of seven", &[(n % 7) as u8]]);
        terms.push(&[b"of hundreds, and of one beginning", &(n / 3).to_be_bytes()]);
        terms.push(&[&n.to_be_bytes()]);
        if dead {
            terms.push(&[b"dead"]);
            terms.push(&[b"zz dead", &[n as u8]]);
        }
        terms.seal();
        terms
    }

    #[test]
    fn lists_are_those_of_the_records_that_are_left() {
        let (mut writer, memtable) = memtable::new(
            Config { bytes: 4 << 20, records: 10_000, ids: Ids::Foreign, late_from: u8::MAX },
            0,
        );
        let mut left = Vec::new();
        for n in 0..2000u64 {
            // Late ones among those in order, and some of one time.
            let key = Key { time: n / 3 * 37 % 1009, id: [(n % 251) as u8; 32] };
            let dead = n % 5 == 0;
            let o = writer.append(key, b"body", &terms_of(n, dead)).unwrap();
            if dead {
                writer.kill(o, n + 2);
            } else {
                left.push((key, o, n));
            }
        }
        left.sort();
        let (env, _disk, _clock) = crate::io::simulated(1, Faults::default());
        let (dir, store) = (Path::new("/lists"), StoreId([1; 16]));
        env.disk.create_dir(dir).unwrap();
        let new = NewSegment {
            id: SegmentId([7; 16]),
            store,
            shard: 0,
            page: PageSize::K4,
            model: ("model", 1),
            ids: Ids::Foreign,
            mark: None,
            compression: Compression::None,
        };
        let mut builder = Builder::create(&*env.disk, dir, new).unwrap();
        let mut map = vec![NOWHERE; memtable.len() as usize];
        let mut wanted = BTreeMap::<Vec<u8>, Vec<Ordinal>>::new();
        for &(key, o, n) in &left {
            let ordinal = builder.add_record(key, b"body").unwrap();
            map[o as usize] = ordinal;
            for term in terms_of(n, false).iter() {
                wanted.entry(term.to_vec()).or_default().push(ordinal);
            }
        }
        add_lists(&memtable, &map, &mut builder).unwrap();
        builder.finish().unwrap();

        let pool = Pool::new(1 << 20, PageSize::K4);
        let expect = (store, 0, "model", 1);
        let segment = Segment::open(&pool, &*env.disk, dir, new.id, expect, None).unwrap();
        let mut scan = segment.terms();
        for (term, list) in wanted {
            let (found, postings) = scan.next().unwrap().unwrap();
            assert_eq!(found, term);
            let mut cursor = postings.cursor(&segment);
            let mut from = Some(0);
            let ordinals = std::iter::from_fn(|| {
                let ordinal = cursor.seek_ge(from?).unwrap();
                from = ordinal.map(|o| o + 1);
                ordinal
            });
            assert_eq!(ordinals.collect::<Vec<_>>(), list);
        }
        assert!(scan.next().unwrap().is_none());
    }
}
