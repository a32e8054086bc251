//! A log file as tools see it: each block that is whole, whatever became of the others.

use super::*;
use crate::wal::format::{BLOCK_HEADER_BYTES, Identity};
use crate::wal::survey::{self, Header, Survey};

/// A block that was seen: where it begins and ends, up to where the log was durable, and its entries if it is whole.
type Seen = (Lsn, u32, Lsn, Option<Vec<Vec<u8>>>);

fn open(log: &Log, number: u32) -> Survey {
    Survey::open(&*log.disk, &log.files.path(number), number).unwrap()
}

fn seen(survey: &mut Survey, of: Identity, grain: Option<u32>, from: u32) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut visit = |block: survey::Block<'_>| {
        let entries = survey::entries(&block);
        let entries = entries.map(|entries| entries.into_iter().map(<[u8]>::to_vec).collect());
        found.push((block.lsn, block.end, block.durable_to, entries));
        Ok(true)
    };
    survey.blocks(of, grain, from, &mut visit).unwrap();
    found
}

/// What should be seen of `log` in its file 1 from `from` on.
fn expected(log: &Log, from: u32) -> Vec<Seen> {
    let behind = |group: &&Twin| group.start.file() == 1 && group.start.offset() >= from;
    let before = |start: Lsn| log.twin.iter().rfind(|group| group.end <= start);
    let seen = |group: &Twin| {
        let durable_to = before(group.start).map_or(Lsn(0), |group| group.end);
        (group.start, group.end.offset(), durable_to, Some(group.entries.clone()))
    };
    log.twin.iter().filter(behind).map(seen).collect()
}

/// One file with blocks of several sizes, one of them empty.
fn log_of(align: usize, sizes: &[usize], file_bytes: u32) -> Log {
    let mut log = Log::new(align, file_bytes);
    for (i, &size) in sizes.iter().enumerate() {
        let entries = if size == 0 { vec![] } else { vec![entry(size, i), entry(5, i)] };
        log.append(&entries, true);
    }
    assert_eq!(log.next_number, 2, "all of it in one file");
    log
}

const SIZES: [usize; 6] = [9, 700, 0, 4000, 400, 1500];

#[test]
fn every_block_is_seen_from_every_place_on() {
    for align in [512, 1024, 2048, 4096] {
        let log = log_of(align, &SIZES, 1 << 16);
        let of = log.files.identity();
        let mut survey = open(&log, 1);
        assert_eq!((survey.bytes(), survey.first_block()), (1 << 16, align as u32));
        for grain in [None, Some(align as u32)] {
            for from in (0..1 << 15).step_by(256) {
                let found = seen(&mut survey, of, grain, from);
                assert_eq!(found, expected(&log, from), "{align}: {grain:?} from {from}");
            }
        }
        let other = Identity { shard: of.shard + 1, ..of };
        assert_eq!(seen(&mut survey, other, None, 0), []);
    }
}

#[test]
fn a_flipped_byte_hides_its_own_block_and_no_other() {
    for align in [512, 4096] {
        let log = log_of(align, &SIZES, 1 << 16);
        let of = log.files.identity();
        let file = log.disk.file(&log.files.path(1)).unwrap();
        let whole = expected(&log, 0);
        let end = log.writer.position().offset() as usize;
        for at in (0..end).step_by(8) {
            file.bytes.lock().unwrap()[at] ^= 0x10;
            let hit = whole
                .iter()
                .position(|seen| (seen.0.offset() as usize..seen.1 as usize).contains(&at));
            for grain in [None, Some(align as u32)] {
                let mut right = whole.clone();
                if let Some(hit) = hit {
                    let start = right[hit].0.offset() as usize;
                    if at < start + BLOCK_HEADER_BYTES {
                        right.remove(hit);
                    } else {
                        right[hit].3 = None;
                        // As short as it can be, if nobody knows the grain.
                        let payload: usize = log.twin[hit]
                            .entries
                            .iter()
                            .map(|e| format::entry_bytes(e.len()))
                            .sum();
                        let grain = grain.map_or(512, |grain| grain as usize);
                        right[hit].1 = (start + format::block_bytes(payload, grain)) as u32;
                    }
                }
                assert_eq!(seen(&mut open(&log, 1), of, grain, 0), right, "{align}: byte {at}");
            }
            file.bytes.lock().unwrap()[at] ^= 0x10;
        }
    }
}

#[test]
fn a_file_of_many_reads_is_seen_as_a_whole() {
    let sizes = [300_000, 5, 800_000, 1_000_000, 70, 600_000, 9];
    let log = log_of(4096, &sizes, 8 << 20);
    let found = seen(&mut open(&log, 1), log.files.identity(), None, 0);
    assert_eq!(found, expected(&log, 0));
    assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
    // Behind where the one before ended, and far in front of it.
    let mut survey = open(&log, 1);
    for group in log.twin.iter().rev() {
        let from = group.start.offset();
        let found = seen(&mut survey, log.files.identity(), Some(4096), from);
        assert_eq!(found, expected(&log, from), "from {from}");
    }
}

#[test]
fn who_has_seen_enough_is_shown_no_more() {
    let log = log_of(512, &SIZES, 1 << 16);
    for enough in 1..=SIZES.len() {
        let mut count = 0;
        let mut visit = |_: survey::Block<'_>| {
            count += 1;
            Ok(count < enough)
        };
        open(&log, 1).blocks(log.files.identity(), None, 0, &mut visit).unwrap();
        assert_eq!(count, enough);
    }
}

#[test]
fn a_header_is_known_as_long_as_it_looks_like_one() {
    let log = log_of(512, &SIZES, 1 << 16);
    let of = log.files.identity();
    let file = log.disk.file(&log.files.path(1)).unwrap();
    let right = Header {
        store: of.store,
        shard: of.shard,
        number: 1,
        version: survey::VERSION,
        grain: 512,
        prev_end: Lsn(0),
        whole: true,
    };
    let header = || open(&log, 1).header().unwrap();
    assert_eq!(header(), Some(right));
    for at in 0..512 {
        file.bytes.lock().unwrap()[at] ^= 0x40;
        let found = header().expect("one byte leaves it known");
        assert!(!found.whole, "byte {at}");
        // The magic, what is in front of the grain as zeroes, the checksum and what is behind it name nothing.
        let silent = [0..8, 34..36, 48..512].iter().any(|bytes| bytes.contains(&at));
        assert_eq!(Header { whole: true, ..found } == right, silent, "byte {at}");
        file.bytes.lock().unwrap()[at] ^= 0x40;
    }
    // Neither its magic nor its version is left.
    file.bytes.lock().unwrap()[0] ^= 1;
    file.bytes.lock().unwrap()[8] ^= 1;
    assert_eq!(header(), None);
    for bytes in [511, 55, 0] {
        file.bytes.lock().unwrap().truncate(bytes);
        assert_eq!((header(), open(&log, 1).bytes()), (None, 0), "{bytes} bytes");
    }
}

#[test]
fn a_file_is_seen_up_to_its_last_whole_sector() {
    let log = log_of(512, &SIZES, 1 << 16);
    let whole = expected(&log, 0);
    let file = log.disk.file(&log.files.path(1)).unwrap();
    for bytes in (1..1 << 14).rev().step_by(333) {
        file.bytes.lock().unwrap().truncate(bytes);
        let mut survey = open(&log, 1);
        assert_eq!(survey.bytes(), bytes as u64 / 512 * 512);
        let found = seen(&mut survey, log.files.identity(), None, 0);
        let fits = whole.iter().take_while(|seen| u64::from(seen.1) <= survey.bytes()).count();
        assert_eq!(found[..fits], whole[..fits]);
        assert!(found[fits..].iter().all(|cut| cut.3.is_none()) && found.len() <= fits + 1);
    }
}

#[test]
fn a_block_that_was_begun_is_told_from_nothing() {
    let mut log = log_of(512, &SIZES, 1 << 16);
    let of = log.files.identity();
    let end = log.writer.position().offset();
    let begun = |log: &Log, at| open(log, 1).begun(of, at).unwrap();
    assert!(!begun(&log, end) && !begun(&log, (1 << 16) - 512) && !begun(&log, 1 << 16));
    let group = log.group(&[entry(900, 1)]);
    let placed = log.place(group, &[entry(900, 1)], false);
    log.finish(placed);
    log.sync();
    let file = log.disk.file(&log.files.path(1)).unwrap();
    let flip = |at: u32| file.bytes.lock().unwrap()[(end + at) as usize] ^= 1;
    // Each field but the two that say what it is and where.
    for at in [4, 8, 24, 32, 40] {
        flip(at);
        assert!(begun(&log, end), "byte {at}");
        flip(at);
    }
    // One of the two is enough, none is not; a whole block of another place was not begun here.
    for (gone, is_begun) in [(vec![0], true), (vec![16], true), (vec![0, 16], false)] {
        gone.iter().for_each(|&at| flip(at));
        assert_eq!(begun(&log, end), is_begun, "{gone:?}");
        gone.iter().for_each(|&at| flip(at));
    }
    let moved = file.bytes.lock().unwrap()[end as usize..][..512].to_vec();
    let elsewhere = end as usize + 4096;
    file.bytes.lock().unwrap()[elsewhere..][..512].copy_from_slice(&moved);
    assert!(!begun(&log, elsewhere as u32));
}

#[test]
fn entries_are_those_that_fill_their_block() {
    let mut payload = vec![0; format::entry_bytes(3) + format::entry_bytes(9)];
    let (first, second) = payload.split_at_mut(format::entry_bytes(3));
    format::put_entry(first, 3, &[b"abc"]);
    format::put_entry(second, 9, &[b"0123", b"45678"]);
    let entries = |payload, entries| {
        let (lsn, durable_to) = (Lsn::new(1, 512), Lsn(0));
        let block = survey::Block { lsn, end: 1024, entries, durable_to, payload };
        survey::entries(&block).map(|found| found.concat())
    };
    assert_eq!(entries(Some(&payload), 2).unwrap(), b"abc012345678");
    assert_eq!(entries(Some(&payload), 1), None);
    assert_eq!(entries(Some(&payload), 3), None);
    assert_eq!(entries(Some(&payload[..8]), 1).unwrap(), b"abc");
    assert_eq!(entries(Some(&[]), 0).unwrap(), b"");
    assert_eq!(entries(Some(&[]), u32::MAX), None);
    assert_eq!(entries(None, 0), None);
    assert_eq!(survey::number_of(Path::new("/log/wal-0000000a")), Some(10));
    assert_eq!(survey::number_of(Path::new("/log/wal-0000000a/other")), None);
}
