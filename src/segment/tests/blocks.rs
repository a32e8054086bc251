//! Bodies by block against a list of them: every shape of block, both orders, and damage.

use super::*;
use crate::base::limits::RECORD_BYTES_MAX;
use crate::pool::format::seal_page;
use crate::segment::bodies::BlockBuilder;
use crate::segment::format::{BLOCK_BYTES, kind};

/// Bodies under ascending keys.
fn numbered(bodies: &[Vec<u8>]) -> Records {
    let key = |time: u64| Key { time, id: std::array::from_fn(|i| time.to_be_bytes()[i % 8]) };
    (0u64..).zip(bodies).map(|(time, body)| (key(time), (body.clone(), Vec::new()))).collect()
}

fn written(bodies: &[Vec<u8>], new: NewSegment, pool_pages: usize) -> Arc<Segment> {
    let disk = disk();
    write(&*disk, new, &numbered(bodies));
    open(&*disk, new, pool_pages).unwrap()
}

/// A line of a log, more or less.
fn line(random: &mut Random) -> Vec<u8> {
    let (source, code) = (random.below(20), random.below(1 << 40));
    format!("\x09service{source:02}GET /items/{code} 200 took {} us", random.below(9000)).into()
}

fn random_body(random: &mut Random) -> Vec<u8> {
    let len = match random.below(300) {
        0 => BLOCK_BYTES as u64 - 9 + random.below(20),
        1 => random.below(5 * BLOCK_BYTES as u64),
        2..20 => 0,
        20..60 => random.below(9000),
        _ => return line(random),
    };
    let noise = random.below(2) == 0;
    (0..len).map(|i| if noise { random.next() as u8 } else { i as u8 }).collect()
}

/// The bodies of all entries in this order, by `body_of`.
fn walk(segment: &Segment, ordinals: &[u32], bodies: &[Vec<u8>]) {
    let (mut entries, mut body) = (Vec::new(), Body::default());
    for ahead in ordinals.chunks(64) {
        entries.clear();
        segment.prefetch_entries(ahead);
        segment.prefetch_bodies(ahead);
        segment.entries(ahead, &mut entries).unwrap();
        for entry in &entries {
            body = segment.body_of(entry, body).unwrap();
            assert!(*body == *bodies[entry.ordinal as usize], "body {}", entry.ordinal);
        }
    }
}

#[test]
fn a_block_is_a_count_lengths_and_bytes() {
    let mut block = BlockBuilder::default();
    let mut out = vec![9; 5];
    for body in [&b"ab"[..], b"", &[7; 130]] {
        assert!(block.has_room(body.len()));
        block.add(body);
    }
    block.finish(&mut out);
    assert_eq!(out[..7], [3, 2, 0, 130, 1, b'a', b'b']);
    assert_eq!(out[7..], [7; 130]);
    block.finish(&mut out);
    assert_eq!(out, [0]);
    assert!(block.has_room(RECORD_BYTES_MAX), "alone, a body of any length");
    block.add(b"");
    assert!(block.has_room(BLOCK_BYTES - 3) && !block.has_room(BLOCK_BYTES - 2));
}

#[test]
fn every_small_row_of_lengths_is_its_twin() {
    let lens = [0, 1, 127, BLOCK_BYTES - 3];
    for shape in 0..4usize.pow(4) {
        let row: Vec<usize> = (0..4).map(|i| lens[shape / 4usize.pow(i) % 4]).collect();
        let bodies: Vec<Vec<u8>> =
            row.iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect();
        let segment = written(&bodies, blocks_segment(0, PageSize::K4), 200);
        walk(&segment, &[0, 1, 2, 3, 2, 1, 0, 3, 1], &bodies);
        let long = row.iter().filter(|&&len| len > 127).count() as u32;
        assert!(segment.blocks() >= long.max(1) && segment.blocks() <= 4, "{row:?}");
    }
}

#[test]
fn random_bodies_are_their_twin_in_both_orders_and_in_none() {
    for (n, page) in PAGES.into_iter().enumerate() {
        for compression in [Compression::Blocks, Compression::FastBlocks] {
            let mut random = Random(n as u64);
            let mut bodies: Vec<_> = (0..1500).map(|_| random_body(&mut random)).collect();
            bodies.insert(700, vec![3; RECORD_BYTES_MAX]);
            bodies.insert(900, (0..RECORD_BYTES_MAX).map(|_| random.next() as u8).collect());
            let new = NewSegment { compression, ..new_segment(n as u8, page) };
            let segment = written(&bodies, new, 60);
            assert_eq!(segment.info().compression, compression);
            assert!(segment.blocks() > 10);
            let mut ordinals: Vec<u32> = (0..bodies.len() as u32).collect();
            walk(&segment, &ordinals, &bodies);
            ordinals.reverse();
            walk(&segment, &ordinals, &bodies);
            ordinals.sort_by_cached_key(|_| random.next());
            ordinals.truncate(400);
            walk(&segment, &ordinals, &bodies);
            let mut body = Body::default();
            for &ordinal in &ordinals {
                let previous = if random.below(2) == 0 { body } else { Body::default() };
                body = segment.body(ordinal, previous).unwrap();
                assert!(*body == *bodies[ordinal as usize]);
            }
            assert!(segment.body(bodies.len() as u32, body).is_err());
        }
    }
}

#[test]
fn blocks_cover_all_ordinals_and_all_bytes() {
    let mut random = Random(5);
    let bodies: Vec<_> = (0..3000).map(|_| random_body(&mut random)).collect();
    let segment = written(&bodies, blocks_segment(0, PageSize::K4), 200);
    let (mut ordinal, mut at) = (0, 0);
    for number in 0..segment.blocks() {
        let block = segment.block(number).unwrap();
        assert_eq!((block.ordinals.start, block.bytes.start), (ordinal, at));
        let within = &bodies[block.ordinals.start as usize..block.ordinals.end as usize];
        let raw: usize = within.iter().map(Vec::len).sum();
        assert!(raw <= BLOCK_BYTES || within.len() == 1, "{raw} bytes of {}", within.len());
        (ordinal, at) = (block.ordinals.end, block.bytes.end);
    }
    assert_eq!((ordinal, at), (3000, segment.info().body_bytes));
    assert!(segment.block(segment.blocks()).is_err());
    assert_eq!(written(&bodies, packed_segment(0, PageSize::K4), 200).blocks(), 0);
}

#[test]
fn a_walk_reads_each_block_once_whichever_way_it_goes() {
    let mut random = Random(6);
    let bodies: Vec<_> = (0..4000).map(|_| line(&mut random)).collect();
    let disk = disk();
    let new = blocks_segment(0, PageSize::K4);
    write(&*disk, new, &numbered(&bodies));
    let pool = Pool::new(200 * 4096, PageSize::K4);
    let segment = Segment::open(&pool, &*disk, dir(), new.id, EXPECT, None).unwrap();
    let forward: Vec<u32> = (0..4000).collect();
    let backward: Vec<u32> = (0..4000).rev().step_by(3).collect();
    for ordinals in [forward, backward] {
        let mut entries = Vec::new();
        segment.entries(&ordinals, &mut entries).unwrap();
        let asked = || pool.stats().hits + pool.stats().misses;
        let (before, mut body, mut changes) = (asked(), Body::default(), 0);
        for entry in &entries {
            let now = asked();
            body = segment.body_of(entry, body).unwrap();
            changes += u32::from(asked() > now);
        }
        assert_eq!(changes, segment.blocks());
        assert!(asked() - before < u64::from(segment.info().pages) * 2);
        // By ordinal it is the same.
        let now = asked();
        let last = *ordinals.last().unwrap();
        assert_eq!(*segment.body(last, body).unwrap(), *bodies[last as usize]);
        assert_eq!(asked(), now);
    }
}

#[test]
fn lines_of_many_sources_take_less_than_a_third_by_block() {
    let mut random = Random(7);
    let bodies: Vec<_> = (0..5000).map(|_| line(&mut random)).collect();
    let share = |new: NewSegment| {
        let info = *written(&bodies, new, 400).info();
        assert_eq!(info.raw_bytes, bodies.iter().map(|b| b.len() as u64).sum::<u64>());
        info.body_bytes as f64 / info.raw_bytes as f64
    };
    let (blocks, each) =
        (share(blocks_segment(0, PageSize::K4)), share(packed_segment(0, PageSize::K4)));
    assert!(blocks < 0.33 && blocks < each * 0.8, "{blocks} by block, {each} one by one");
}

// --- damage ---

fn small() -> (Vec<u8>, Records, NewSegment) {
    let mut random = Random(8);
    let mut bodies: Vec<_> = (0..150).map(|_| line(&mut random)).collect();
    // Two blocks more, one of them as it came.
    bodies.push((0..5000).map(|_| random.next() as u8).collect());
    bodies.insert(3, vec![1; BLOCK_BYTES]);
    let (disk, new, records) = (disk(), blocks_segment(1, PageSize::K4), numbered(&bodies));
    write(&*disk, new, &records);
    assert!(open(&*disk, new, 64).unwrap().blocks() >= 3);
    (disk.contents(dir().join(file_name(new.id))).unwrap(), records, new)
}

/// What each record's body reads as, alone and along a walk back.
fn read_all(segment: &Segment) -> Vec<Result<Vec<u8>>> {
    let mut body = Body::default();
    let mut read: Vec<Result<Vec<u8>>> = Vec::new();
    for ordinal in (0..segment.records()).rev() {
        let found = segment.body(ordinal, std::mem::take(&mut body));
        read.push(found.map(|found| {
            body = found;
            body.to_vec()
        }));
    }
    read.reverse();
    read
}

#[test]
fn a_flipped_byte_anywhere_is_said_or_harmless() {
    let (bytes, records, new) = small();
    let disk = disk();
    let file = disk.create(&dir().join(file_name(new.id)), 0).unwrap();
    let mut whole = Buf::zeroed(bytes.len(), 4096);
    whole.copy_from_slice(&bytes);
    file.write_at(0, &whole).unwrap();
    let path = dir().join(file_name(new.id));
    let (mut harmless, mut said) = (0, 0);
    for at in 0..bytes.len() {
        disk.flip_bit(&path, at as u64, at as u32 % 8).unwrap();
        let segment = open_only(&*disk, new, 64).unwrap(); // the header has a copy
        let mut damaged = false;
        for (read, (body, _)) in read_all(&segment).into_iter().zip(records.values()) {
            match read {
                Ok(read) => assert!(read == *body, "byte {at}"),
                Err(Error::Corrupt { offset, .. }) => {
                    damaged = true;
                    assert_eq!(offset, at as u64 / 4096 * 4096, "byte {at}");
                }
                Err(other) => panic!("byte {at}: {other:?}"),
            }
        }
        *(if damaged { &mut said } else { &mut harmless }) += 1;
        disk.flip_bit(&path, at as u64, at as u32 % 8).unwrap();
    }
    assert!(harmless > 4096 && said > 2 * 4096, "{harmless} harmless, {said} said");
}

/// Changes a byte of a page of `of` and seals it again; what the bodies then read as.
fn with_nonsense(at: usize, change: u8, image: &(Vec<u8>, Records, NewSegment)) -> Vec<bool> {
    let (bytes, records, new) = image;
    let mut bytes = bytes.clone();
    let page = at / 4096;
    bytes[at] = bytes[at].wrapping_add(change);
    let kind = u32::from_le_bytes(bytes[page * 4096 + 4084..][..4].try_into().unwrap());
    seal_page(&mut bytes[page * 4096..][..4096], &new.id.0, page as u32, kind);
    let disk = disk();
    let file = disk.create(&dir().join(file_name(new.id)), 0).unwrap();
    let mut whole = Buf::zeroed(bytes.len(), 4096);
    whole.copy_from_slice(&bytes);
    file.write_at(0, &whole).unwrap();
    let segment = open_only(&*disk, *new, 64).unwrap();
    for number in 0..segment.blocks() {
        let _ = segment.block(number);
    }
    segment.prefetch_bodies(&(0..segment.records() + 2).collect::<Vec<_>>());
    let _ = segment.entries(&(0..segment.records()).collect::<Vec<_>>(), &mut Vec::new());
    let read = read_all(&segment).into_iter().zip(records.values());
    read.map(|(read, (body, _))| match read {
        Ok(read) => read == *body,
        Err(Error::Corrupt { .. }) => false,
        Err(other) => panic!("byte {at}: {other:?}"),
    })
    .collect()
}

#[test]
fn nonsense_behind_a_good_checksum_is_said_or_other_bytes_and_nothing_worse() {
    let image = small();
    let first_of = |of: u32| {
        let is_of = |page: &[u8]| page[4084..4088] == of.to_le_bytes();
        image.0.chunks(4096).position(is_of).unwrap() * 4096
    };
    // Every place in the index but for what no record needs is checked: nothing reads as another's body.
    let (index, blocks) = (first_of(kind::LOCATIONS), 3);
    for at in 0..12 * blocks {
        for change in [1, 0x7f, 0x80, 0xff] {
            let right = with_nonsense(index + at, change, &image);
            assert!(right.iter().any(|right| !right), "byte {at} of the index, {change}");
        }
    }
    let bodies = first_of(kind::BODIES);
    let mut random = Random(9);
    for at in (0..24).chain((0..400).map(|_| random.below(4080) as usize)) {
        for change in [1, 0xff] {
            with_nonsense(bodies + at, change, &image);
        }
    }
}
