//! Batches against the same records one by one.

use super::*;
use crate::io::Rng;

#[test]
fn a_batch_is_what_its_records_one_by_one_are_and_stays_in_the_budget() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let ids = if rng.chance(2) { Ids::Own } else { Ids::Foreign };
        let bytes = 40_000 + rng.below(400_000) as usize;
        let config = Config { ids, ..config(bytes, 3000) };
        let bits = if rng.chance(3) { 2 } else { u32::BITS };
        let (mut writer, memtable) = build(config, 0, bits);
        let (mut twin_writer, twin) = new(Config { bytes: 64 << 20, ..config }, 0);
        let (mut batch, mut n, mut refused) = (BatchTerms::default(), 0u64, 0);
        while refused < 3 {
            let most = if rng.chance(4) { 600 } else { 30 };
            let count = 1 + rng.below(most);
            let many = 1 + rng.below(40);
            let records: Vec<(Key, Vec<u8>, Terms)> = (n..n + count)
                .map(|n| {
                    let long = if rng.chance(400) { 70_000 } else { 150 };
                    let body = vec![n as u8; rng.below(long) as usize];
                    let alone = rng.chance(9).then(|| n.to_le_bytes().to_vec());
                    let list: Vec<Vec<u8>> = (0..rng.below(5))
                        .map(|_| vec![b't'; 1 + rng.below(many) as usize])
                        .chain(alone)
                        .collect();
                    (Key::own(1000 + n / 3, !n), body, sealed(list))
                })
                .collect();
            batch.clear();
            records.iter().for_each(|(_, _, terms)| batch.add(terms));
            let (len, used) = (memtable.len(), memtable.bytes_used());
            let pairs = records.iter().map(|(key, body, _)| (*key, &body[..]));
            match writer.append_many(pairs, &mut batch) {
                Some(first) => {
                    assert_eq!((first, memtable.len()), (len, len + count as u32), "seed {seed}");
                    // An empty one takes any.
                    assert!(len == 0 || memtable.bytes_used() <= bytes, "seed {seed}");
                    for (key, body, terms) in &records {
                        twin_writer.append(*key, body, terms).unwrap();
                    }
                    n += count;
                }
                None => {
                    assert_eq!((memtable.len(), memtable.bytes_used()), (len, used));
                    refused += 1;
                }
            }
        }
        assert_eq!(memtable.len(), twin.len(), "seed {seed}");
        for o in 0..twin.len() {
            assert_eq!((memtable.key(o), memtable.body(o)), (twin.key(o), twin.body(o)));
        }
        let mut lists = 0;
        for (term, postings) in twin.terms() {
            assert_eq!(walk(&memtable, term), postings.iter_back().collect::<Vec<_>>());
            lists += 1;
        }
        assert_eq!(memtable.terms().count(), lists, "seed {seed}");
        if ids == Ids::Foreign && n > 0 {
            assert_eq!(memtable.find(&Key::own(0, !0).id), Some(0));
        }
    }
}
