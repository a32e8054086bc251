//! Masks against a list of times: forward, back, by steps, and what they cost.

use super::*;

/// Records of which some expire, between terms that are neighbours of those of times.
fn expiring(random: &mut Random, count: u64, of: u64) -> (Records, Vec<Option<u64>>) {
    let mut records = Records::new();
    for time in 0..count {
        let expires = (random.below(of) == 0).then(|| match random.below(8) {
            0 => random.next(),
            1 => [0, u64::MAX][random.below(2) as usize],
            _ => 1000 + random.below(50) * 7,
        });
        let mut terms = vec![b"\x05a".to_vec(), vec![8]];
        if let Some(at) = expires {
            terms.extend([vec![6], [&[7], &at.to_be_bytes()[..]].concat()]);
        }
        // The time of the key says when, for the list below.
        let body = expires.map_or(Vec::new(), |at| at.to_le_bytes().to_vec());
        records.insert(Key { time, id: random.id() }, (body, terms));
    }
    let times = records.values().map(|(body, _)| body.first_chunk().copied());
    let times = times.map(|at| at.map(u64::from_le_bytes)).collect();
    (records, times)
}

fn members(mask: Option<&Mask>) -> Vec<u32> {
    let mut next = 0;
    let step = || {
        let o = mask?.next(next)?;
        next = o + 1;
        Some(o)
    };
    std::iter::from_fn(step).collect()
}

fn expected(times: &[Option<u64>], upto: u64) -> Vec<u32> {
    let over = |&(_, at): &(u32, &Option<u64>)| at.is_some_and(|at| at <= upto);
    (0..).zip(times).filter(over).map(|(o, _)| o).collect()
}

fn made(records: &Records, filters: bool) -> (Arc<Pool>, Arc<Segment>) {
    let (disk, new) = (disk(), new_segment(0, PageSize::K4));
    write(&*disk, new, records);
    let pool = Pool::new(64 * 4096, new.page);
    let segment = Segment::open(&pool, &*disk, dir(), new.id, EXPECT, None).unwrap();
    assert!(!filters || segment.load_filters());
    (pool, segment)
}

#[test]
fn masks_agree_with_a_list_whatever_way_time_goes() {
    let mut random = Random(1);
    let (mut exact, mut ahead) = (0, 0);
    for round in 0..60 {
        let most = if round % 10 == 0 { 9_000 } else { 700 };
        let (count, of) = (1 + random.below(most), 1 + random.below(40) * (most / 700));
        let (records, times) = expiring(&mut random, count, of);
        let (_pool, segment) = made(&records, round % 2 == 0);
        let mut highest = 0;
        for _ in 0..40 {
            let upto = match random.below(9) {
                0 => [0, u64::MAX, 1 << 63][random.below(3) as usize],
                _ => 990 + random.below(400),
            };
            let mask = segment.mask(&[6], &[7], upto).unwrap();
            highest = upto.max(highest);
            let found = members(mask.as_deref());
            if mask.as_ref().is_none_or(|mask| mask.is_exact(upto)) {
                assert_eq!(found, expected(&times, upto), "{upto}");
                exact += 1;
            } else {
                assert_eq!(found, expected(&times, highest), "{upto}, behind {highest}");
                ahead += 1;
            }
            assert!(
                (0..records.len() as u32).all(|o| {
                    mask.as_ref().is_some_and(|mask| mask.has(o)) == found.contains(&o)
                })
            );
        }
    }
    assert!(exact > 200 && ahead > 200, "{exact} {ahead}");
}

#[test]
fn a_mask_costs_pages_only_when_a_time_comes_and_nothing_where_nothing_expires() {
    let mut random = Random(2);
    let asked = |pool: &Pool| pool.stats().hits + pool.stats().misses;
    let (records, _) = expiring(&mut random, 3000, u64::MAX);
    for filters in [true, false] {
        let (pool, segment) = made(&records, filters);
        let before = segment.memory_bytes();
        assert!(segment.mask(&[6], &[7], 5000).unwrap().is_none());
        // Once, if no filter says so.
        let first = asked(&pool);
        assert!(if filters { first == 0 } else { (1..5).contains(&first) }, "{first}");
        for upto in 0..10_000 {
            assert!(segment.mask(&[6], &[7], upto).unwrap().is_none());
        }
        assert_eq!((asked(&pool), segment.memory_bytes()), (first, before));
    }
    let (records, times) = expiring(&mut random, 3000, 2);
    let (pool, segment) = made(&records, true);
    let before = segment.memory_bytes();
    assert!(segment.mask(&[6], &[7], 1076).unwrap().is_some());
    assert_eq!(segment.memory_bytes() - before, (3000u64.div_ceil(64) + 1) * 8);
    let read = asked(&pool);
    let next = times.iter().flatten().copied().filter(|&at| at > 1076).min().unwrap();
    for upto in (1076..next).chain(0..1076) {
        segment.mask(&[6], &[7], upto).unwrap();
    }
    assert_eq!(asked(&pool), read, "no time came");
    let held = segment.mask(&[6], &[7], next - 1).unwrap().unwrap();
    let later = segment.mask(&[6], &[7], next).unwrap().unwrap();
    assert!(asked(&pool) > read && asked(&pool) < read + 20, "the dictionary is read on");
    assert_eq!(members(Some(&later)), expected(&times, next));
    assert_eq!(members(Some(&held)), expected(&times, next - 1), "M2");
    segment.mask(&[6], &[7], u64::MAX).unwrap();
    assert_eq!(segment.memory_bytes() - before, (3000u64.div_ceil(64) + 1) * 8, "whatever expires");
}
