//! Damaged files: a flipped byte is noticed, and nonsense behind a good checksum does no harm.

use super::*;
use crate::pool::format::seal_page;

fn small(new: NewSegment) -> (Vec<u8>, Records) {
    let mut random = Random(11);
    let mut records = random_records(&mut random, 300, 400);
    // One body across pages, one list in its own pages, several in shared ones.
    let key = Key { time: 500, id: [3; 32] };
    let body = (0..3 * new.page.bytes()).map(|_| random.next() as u8).collect();
    records.insert(key, (body, vec![vec![8; 80]]));
    let disk = disk();
    write(&*disk, new, &records);
    let bytes = disk.contents(dir().join(file_name(new.id))).unwrap();
    (bytes, records)
}

/// A segment as a flush writes it, and as a compaction may.
fn all_forms() -> [NewSegment; 4] {
    every_form(1, PageSize::K4)
}

fn kind_of(page: &[u8]) -> u32 {
    u32::from_le_bytes(page[4084..4088].try_into().unwrap())
}

/// The pages of a kind.
fn pages_of(bytes: &[u8], kind: u32) -> Vec<usize> {
    let pages = bytes.chunks(4096).enumerate();
    pages.filter(|(_, page)| kind_of(page) == kind).map(|(number, _)| number).collect()
}

/// A disk with this file on it, and the file.
fn disk_with(bytes: &[u8], new: NewSegment) -> (Arc<SimDisk>, Arc<dyn File>) {
    let disk = disk();
    let file = disk.create(&dir().join(file_name(new.id)), 0).unwrap();
    put(&*file, 0, bytes);
    (disk, file)
}

fn put(file: &dyn File, offset: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        let mut buf = Buf::zeroed(bytes.len(), 4096);
        buf.copy_from_slice(bytes);
        file.write_at(offset as u64, &buf).unwrap();
    }
}

#[test]
fn a_flipped_byte_anywhere_is_noticed_and_never_answered() {
    use format::kind::{FILTER, HEADER, HEADER_COPY, ZDICT};
    for new in all_forms() {
        let (bytes, records) = small(new);
        let (disk, _file) = disk_with(&bytes, new);
        let path = dir().join(file_name(new.id));
        let mut random = Random(12);
        // Every byte of the header, and several of every page.
        let spots = (0..format::HEADER_BYTES).chain((0..bytes.len() / 4096).flat_map(|page| {
            let near = [0, 1, 2, 3, 4080, 4084, 4088, 4095, random.below(4096), random.below(4096)];
            near.map(|at| page * 4096 + at as usize)
        }));
        for spot in spots {
            disk.flip_bit(&path, spot as u64, spot as u32 % 8).unwrap();
            let segment = open_only(&*disk, new, 200).unwrap();
            let kind = kind_of(&bytes[spot / 4096 * 4096..]);
            assert_eq!(segment.load_filters(), kind != FILTER, "byte {spot}");
            let read = compare(&segment, &records);
            disk.flip_bit(&path, spot as u64, spot as u32 % 8).unwrap();
            assert_eq!(segment.header_damaged(), kind == HEADER, "byte {spot}");
            match read {
                Ok(()) if [HEADER, HEADER_COPY, FILTER, ZDICT].contains(&kind) => {}
                Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, spot as u64 / 4096 * 4096),
                other => panic!("byte {spot}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_header_or_its_copy_has_to_be_whole() {
    let new = new_segment(1, PageSize::K4);
    let (bytes, records) = small(new);
    let (disk, _file) = disk_with(&bytes, new);
    let path = dir().join(file_name(new.id));
    let mut random = Random(15);
    let copy = bytes.len() as u64 - 4096;
    assert_eq!(kind_of(&bytes[copy as usize..]), format::kind::HEADER_COPY);
    for at in (0..format::HEADER_BYTES as u64).chain((0..50).map(|_| random.below(4096))) {
        disk.flip_bit(&path, at, 0).unwrap();
        let segment = open_only(&*disk, new, 200).unwrap();
        assert!(segment.header_damaged());
        compare(&segment, &records).unwrap();
        drop(segment);
        disk.flip_bit(&path, copy + at, 1).unwrap();
        let refused = open_only(&*disk, new, 200);
        assert!(matches!(refused, Err(Error::Corrupt { offset: 0, .. })), "{at}: {refused:?}");
        disk.flip_bit(&path, at, 0).unwrap();
        assert!(!open_only(&*disk, new, 200).unwrap().header_damaged());
        disk.flip_bit(&path, copy + at, 1).unwrap();
    }
}

#[test]
fn the_compression_dictionary_or_its_copy_has_to_be_whole() {
    let new = packed_segment(1, PageSize::K4);
    let (bytes, records) = small(new);
    let path = dir().join(file_name(new.id));
    let pages = pages_of(&bytes, format::kind::ZDICT);
    assert!(!pages.is_empty() && pages.len().is_multiple_of(2));
    let (first, copy) = (pages[0] as u64 * 4096, pages[pages.len() / 2] as u64 * 4096);
    for (damaged, whole) in [(vec![first], true), (vec![copy], true), (vec![first, copy], false)] {
        let (disk, _file) = disk_with(&bytes, new);
        damaged.iter().for_each(|&at| disk.flip_bit(&path, at + 77, 3).unwrap());
        match compare(&open(&*disk, new, 200).unwrap(), &records) {
            Ok(()) => assert!(whole, "{damaged:?}"),
            Err(Error::Corrupt { offset, .. }) => assert!(!whole && offset == first),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let new = new_segment(1, PageSize::K4);
    let (bytes, _) = small(new);
    for len in [0, 512, 4096, 8192, bytes.len() - 4096, bytes.len() - 512] {
        let (disk, _file) = disk_with(&bytes[..len], new);
        assert!(matches!(open(&*disk, new, 64), Err(Error::Corrupt { .. })), "{len}");
    }
    for more in [512, 4096] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        let (disk, _file) = disk_with(&longer, new);
        assert!(matches!(open(&*disk, new, 64), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn another_version_is_named() {
    let new = new_segment(1, PageSize::K4);
    let (mut bytes, _) = small(new);
    bytes[8] = 9;
    seal_page(&mut bytes[..4096], &new.id.0, 0, format::kind::HEADER);
    match open(&*disk_with(&bytes, new).0, new, 64) {
        Err(Error::WrongVersion { found: 9, supported: format::VERSION, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_version_without_marks_is_read() {
    let new = NewSegment { mark: None, ..new_segment(1, PageSize::K4) };
    let (mut bytes, records) = small(new);
    // What version 3 had instead of the place of marks are zeroes.
    assert_eq!(bytes[240..248], [0; 8]);
    let copy = bytes.len() - 4096;
    for (at, kind) in [(0, format::kind::HEADER), (copy, format::kind::HEADER_COPY)] {
        bytes[at + 8] = 3;
        seal_page(&mut bytes[at..at + 4096], &new.id.0, (at / 4096) as u32, kind);
    }
    let segment = open(&*disk_with(&bytes, new).0, new, 200).unwrap();
    assert!(!segment.has_marks() && segment.mark(0).unwrap().is_none());
    compare(&segment, &records).unwrap();
}

#[test]
fn a_header_that_contradicts_itself_or_its_file_is_refused() {
    let new = new_segment(1, PageSize::K4);
    let (bytes, _) = small(new);
    let (disk, file) = disk_with(&bytes, new);
    let counts = [88, 92, 112, 136, 144, 160];
    for at in counts.into_iter().chain((168..232).step_by(4)).chain([240, 244]) {
        for change in [1u32, 5000, 1 << 31] {
            let mut page = bytes[..4096].to_vec();
            let field = page[at..].first_chunk_mut::<4>().unwrap();
            // A root one page on may be a page of the dictionary: that shows when it is read.
            let change = if at == 144 { change.max(5000) } else { change };
            *field = u32::from_le_bytes(*field).wrapping_add(change).to_le_bytes();
            // One record or byte more may need no page more.
            if change == 1 && [88, 112, 136].contains(&at) {
                continue;
            }
            seal_page(&mut page, &new.id.0, 0, format::kind::HEADER);
            put(&*file, 0, &page);
            let refused = open(&*disk, new, 64);
            assert!(matches!(refused, Err(Error::Corrupt { offset: 0, .. })), "{at} + {change}");
        }
    }
    // A compression that is none, or by block without blocks, blocks without one, widths that are none, and times that
    // do not fit theirs.
    for (at, value) in [
        (148, 4),
        (148, 2),
        (164, 1),
        (148, 255),
        (149, 0),
        (149, 5),
        (150, 0),
        (150, 7),
        (109, 255),
    ] {
        let mut page = bytes[..4096].to_vec();
        page[at] = value;
        seal_page(&mut page, &new.id.0, 0, format::kind::HEADER);
        put(&*file, 0, &page);
        let refused = open(&*disk, new, 64);
        assert!(matches!(refused, Err(Error::Corrupt { offset: 0, .. })), "{at} = {value}");
    }
    // Fewer records than the columns have pages for.
    let mut page = bytes[..4096].to_vec();
    page[88..92].copy_from_slice(&100u32.to_le_bytes());
    seal_page(&mut page, &new.id.0, 0, format::kind::HEADER);
    put(&*file, 0, &page);
    assert!(matches!(open(&*disk, new, 64), Err(Error::Corrupt { offset: 0, .. })));
    // All regions fill the pages that the header counts, but the file has one more.
    let mut longer = bytes.clone();
    longer[92] = longer[92].wrapping_add(1);
    seal_page(&mut longer[..4096], &new.id.0, 0, format::kind::HEADER);
    longer.resize(bytes.len() + 4096, 0);
    let refused = open(&*disk_with(&longer, new).0, new, 64);
    assert!(matches!(refused, Err(Error::Corrupt { .. })));
}

/// Reads all there is to read and ignores what it says.
fn read_all(segment: &Arc<Segment>, records: &Records) {
    let mut previous = Body::default();
    for (ordinal, key) in (0..segment.records().min(2000)).zip(records.keys()) {
        let _ = segment.key(ordinal);
        let _ = segment.mark(ordinal);
        let _ = segment.find(&key.id);
        let _ = segment.may_have_id(&key.id);
        previous = segment.body(ordinal, previous).unwrap_or_default();
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
    all_forms().into_iter().for_each(nonsense);
}

fn nonsense(new: NewSegment) {
    let (bytes, records) = small(new);
    let (disk, file) = disk_with(&bytes, new);
    let mut random = Random(13);
    let pages: Vec<&[u8]> = bytes.chunks(4096).collect();
    for round in 0..1500 {
        // Bodies are most of the file and hold little structure: aim at the other pages too.
        let number = match random.below(2) {
            0 => pages.len() - 1 - random.below(pages.len().min(30) as u64) as usize,
            _ => random.below(pages.len() as u64) as usize,
        };
        let mut page = pages[number].to_vec();
        let kind = kind_of(&page);
        if round % 7 == 0 {
            // Another page's content: right checksum, number and kind.
            page.copy_from_slice(pages[random.below(pages.len() as u64) as usize]);
        }
        for _ in 0..1 + random.below(4) {
            let near = if random.below(2) == 0 { 260 } else { 4080 };
            let at = random.below(near) as usize;
            page[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => page[at].wrapping_add(1),
                _ => random.next() as u8,
            };
        }
        seal_page(&mut page, &new.id.0, number as u32, kind);
        put(&*file, number * 4096, &page);
        if let Ok(segment) = open(&*disk, new, 200) {
            read_all(&segment, &records);
        }
        put(&*file, number * 4096, pages[number]);
    }
    compare(&open(&*disk, new, 200).unwrap(), &records).unwrap();
}
