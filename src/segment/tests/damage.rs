//! Damaged files: a flipped byte is noticed, and nonsense behind a good checksum does no harm.

use super::*;
use crate::pool::format::seal_page;

fn small(page: PageSize) -> (Vec<u8>, NewSegment, Records) {
    let mut random = Random(11);
    let mut records = random_records(&mut random, 300, 400);
    // One body across pages, one list in its own pages, several in shared ones.
    let key = Key { time: 500, id: [3; 32] };
    records.insert(key, (vec![9; 3 * page.bytes()], vec![vec![8; 80]]));
    let (disk, new) = (MemDisk::default(), new_segment(1, page));
    write(&disk, new, &records);
    let bytes = disk.files.lock().unwrap().values().next().unwrap().bytes.lock().unwrap().clone();
    (bytes, new, records)
}

fn disk_with(bytes: Vec<u8>, new: NewSegment) -> MemDisk {
    let path = dir().join(file_name(new.id));
    let disk = MemDisk::default();
    disk.files.lock().unwrap().insert(path.clone(), MemFile::new(&path, bytes));
    disk
}

#[test]
fn a_flipped_byte_anywhere_is_noticed_and_never_answered() {
    let (bytes, new, records) = small(PageSize::K4);
    let mut random = Random(12);
    // Every byte of the header, and several of every page.
    let spots = (0..216).chain((0..bytes.len() / 4096).flat_map(|page| {
        let near = [0, 1, 2, 3, 4080, 4084, 4088, 4095, random.below(4096), random.below(4096)];
        near.map(|at| page * 4096 + at as usize)
    }));
    for spot in spots {
        let mut damaged = bytes.clone();
        damaged[spot] ^= 1 << (spot % 8);
        let disk = disk_with(damaged, new);
        let read = open(&disk, new, 200).and_then(|segment| compare(&segment, &records));
        match read {
            Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, spot as u64 / 4096 * 4096),
            other => panic!("byte {spot}: {other:?}"),
        }
    }
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let (bytes, new, _) = small(PageSize::K4);
    for len in [0, 512, 4096, 8192, bytes.len() - 4096, bytes.len() - 512] {
        let disk = disk_with(bytes[..len].to_vec(), new);
        assert!(matches!(open(&disk, new, 64), Err(Error::Corrupt { .. })), "{len}");
    }
    for more in [512, 4096] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        assert!(matches!(open(&disk_with(longer, new), new, 64), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn another_version_is_named() {
    let (mut bytes, new, _) = small(PageSize::K4);
    bytes[8] = 9;
    seal_page(&mut bytes[..4096], &new.id.0, 0, format::kind::HEADER);
    match open(&disk_with(bytes, new), new, 64) {
        Err(Error::WrongVersion { found: 9, supported: format::VERSION, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Reads all there is to read and ignores what it says.
fn read_all(segment: &Arc<Segment>, records: &Records) {
    let mut spare = Vec::new();
    for (ordinal, key) in (0..segment.records().min(2000)).zip(records.keys()) {
        let _ = segment.key(ordinal);
        let _ = segment.find(&key.id);
        let _ = segment.may_have_id(&key.id);
        if let Ok(body) = segment.body(ordinal, std::mem::take(&mut spare)) {
            spare = body.into_spare();
        }
        let _ = segment.bounds(key.time, key.time + 9);
    }
    segment.prefetch_bodies(&(0..600).collect::<Vec<_>>());
    for term in invert(records).keys() {
        let _ = segment.may_have_term(term);
        let _ = segment.term(term);
    }
    let mut scan = segment.terms();
    let mut lists = Vec::new();
    while let Ok(Some((_, postings))) = scan.next() {
        lists.push(postings);
    }
    for postings in lists {
        let mut cursor = postings.cursor(segment);
        let mut next = 0;
        while let Ok(Some(found)) = cursor.seek_ge(next) {
            assert!(found >= next && found < segment.records());
            next = found + 1;
        }
        let mut next = u32::MAX;
        while let Ok(Some(found)) = cursor.seek_le(next) {
            assert!(found <= next && found < segment.records());
            let Some(lower) = found.checked_sub(1) else { break };
            next = lower;
        }
        for target in [0, 1, 150, 299, 301, u32::MAX] {
            if let Ok(rank) = postings.rank(segment, target) {
                assert!(rank <= postings.count());
            }
        }
    }
}

#[test]
fn nonsense_behind_a_good_checksum_neither_panics_nor_hangs() {
    let (bytes, new, records) = small(PageSize::K4);
    let mut random = Random(13);
    let pages = bytes.len() / 4096;
    for round in 0..1500 {
        let mut damaged = bytes.clone();
        // Bodies are most of the file and hold little structure: aim at the other pages.
        let tail = random.below(2) == 0;
        let page = if tail {
            pages - 1 - random.below(30) as usize
        } else {
            random.below(pages as u64) as usize
        };
        let kind = u32::from_le_bytes(damaged[page * 4096 + 4084..][..4].try_into().unwrap());
        for _ in 0..1 + random.below(4) {
            let near = if random.below(2) == 0 { 260 } else { 4080 };
            let at = page * 4096 + random.below(near) as usize;
            damaged[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => damaged[at].wrapping_add(1),
                _ => random.next() as u8,
            };
        }
        seal_page(&mut damaged[page * 4096..][..4096], &new.id.0, page as u32, kind);
        if round % 7 == 0 {
            // A page in the place of another: right checksum and number, wrong content.
            let other = random.below(pages as u64) as usize;
            damaged.copy_within(other * 4096..other * 4096 + 4096, page * 4096);
            seal_page(&mut damaged[page * 4096..][..4096], &new.id.0, page as u32, kind);
        }
        if let Ok(segment) = open(&disk_with(damaged, new), new, 200) {
            read_all(&segment, &records);
        }
    }
}
