//! Rot, missing files, foreign files and forged bytes: reported, never returned, never fatal.

use super::*;
use crate::wal::format::{BLOCK_HEADER_BYTES, FileInfo};
use proptest::prelude::*;

/// Files 2 to 5, and 6, prepared of 1. Replay begins behind the one block of file 2; then come three
/// files of three blocks of two entries, but the last, which has `last`. All is durable.
fn small_log(last: usize) -> Log {
    let mut log = Log::new(512, 4096);
    log.append(&[entry(9, 0)], true);
    log.rotate();
    log.append(&[entry(9, 0)], true);
    let from = log.writer.end();
    for file in 3..6 {
        log.rotate();
        for i in 0..if file == 5 { last } else { 3 } {
            log.append(&[entry(20 + i, i), entry(600 * (i % 2), file)], true);
        }
    }
    log.from = from;
    log.files.prepare(6, Some(1)).unwrap();
    log
}

/// The log on `disk` with `bytes` over what is at `at` of file `number`.
fn read_damaged(log: &Log, number: u32, at: usize, bytes: &[u8]) -> Result<(Entries, Replayed)> {
    let disk = Arc::new(log.disk.copy());
    write_raw(&*disk.file(&log.files.path(number)).unwrap(), at, bytes);
    read(&Files { disk, ..log.files.clone() }, log.from)
}

fn byte_at(log: &Log, number: u32, at: usize) -> u8 {
    log.disk.file(&log.files.path(number)).unwrap().bytes.lock().unwrap()[at]
}

#[test]
fn every_flipped_byte_is_reported_or_ends_the_last_write() {
    for last in [1, 3] {
        let log = small_log(last);
        let (whole, found) = read(&log.files, log.from).unwrap();
        assert_eq!(whole, log.expected());
        let numbers = log.files.list().unwrap();
        let final_group = log.twin.last().unwrap();
        // The first block of a file is one write with the file's header.
        let final_start = if last == 1 { 0 } else { final_group.start.offset() };
        let (mut reported, mut torn) = (0, 0);
        for &number in &numbers {
            let end = log.twin.iter().filter(|g| g.end.file() == number).map(|g| g.end.offset());
            let end = end.max().unwrap_or(0);
            for at in 0..4096 {
                let in_final = number == found.end.file() && (final_start..end).contains(&at);
                for flip in [0x01, 0xff] {
                    let byte = byte_at(&log, number, at as usize) ^ flip;
                    match read_damaged(&log, number, at as usize, &[byte]) {
                        Ok(same) if same == (whole.clone(), found) => {
                            assert!(at >= end || Lsn::new(number, at) < log.from);
                        }
                        Ok((entries, cut)) => {
                            assert!(in_final, "byte {at} of file {number} was cut off");
                            assert_eq!(entries, whole[..whole.len() - 2]);
                            assert!(cut.end < found.end && cut.next_number == found.next_number);
                            torn += 1;
                        }
                        Err(Error::Corrupt { path, .. }) => {
                            assert!(!in_final && at < end, "byte {at} of file {number}");
                            assert_eq!(path, log.files.path(number));
                            reported += 1;
                        }
                        Err(Error::WrongVersion { .. }) => assert!((8..12).contains(&at)),
                        Err(other) => panic!("byte {at} of file {number}: {other}"),
                    }
                }
            }
        }
        assert!(reported > 10_000 && torn > 1_000, "{reported} reported, {torn} torn");
    }
}

#[test]
fn a_hole_before_synced_blocks_is_rot_and_before_others_a_torn_tail() {
    for synced in [false, true] {
        let mut log = Log::new(512, 16384);
        log.append(&[entry(9, 0)], true);
        (1..4).for_each(|i| log.append(&[entry(9, i)], false));
        if synced {
            log.sync();
            log.writer.synced(log.writer.end());
        }
        log.append(&[entry(9, 4)], synced);
        log.sync();
        assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
        let hole = log.twin[2].start;
        match read_damaged(&log, 1, hole.offset() as usize, &[0; 512]) {
            Ok((entries, found)) => {
                assert!(!synced && found.torn && found.end == hole);
                assert_eq!(entries, log.expected()[..2]);
            }
            Err(Error::Corrupt { path, offset, .. }) => {
                assert!(synced);
                assert_eq!((path, offset), (log.files.path(1), u64::from(hole.offset())));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Expects damage at a place.
#[track_caller]
fn assert_corrupt(result: Result<(Entries, Replayed)>, path: PathBuf, at: u32) {
    match result {
        Err(Error::Corrupt { path: p, offset, .. }) => {
            assert_eq!((p, offset), (path, u64::from(at)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_gone_is_missed() {
    let log = small_log(3);
    let path = |number| log.files.path(number);
    let without = |numbers: &[u32]| {
        let disk = Arc::new(log.disk.copy());
        numbers.iter().for_each(|&number| disk.remove(&path(number)).unwrap());
        Files { disk, ..log.files.clone() }
    };
    // Nothing that is asked for lies in file 2: file 3 goes on from there.
    assert_eq!(read(&without(&[2]), log.from).unwrap().0, log.expected());
    assert_corrupt(read(&without(&[3]), log.from), path(3), 0);
    assert_corrupt(read(&without(&[4]), log.from), path(4), 0);
    assert_corrupt(read(&without(&[2, 3]), log.from), path(2), 0);
    assert_corrupt(read(&without(&[2, 3, 4, 5]), log.from), path(2), 0);
    assert_corrupt(read(&without(&[2, 3, 4, 5, 6]), log.from), path(2), 0);
    // File 1, the log's beginning, is file 6 now.
    assert_corrupt(read(&log.files, Lsn(0)), path(2), 0);
}

#[test]
fn a_place_that_is_not_in_the_log_is_refused() {
    let log = small_log(3);
    let read = |file, offset| read(&log.files, Lsn::new(file, offset));
    let path = |number| log.files.path(number);
    for offset in [0, 48, 513, 2560 - 8] {
        assert_corrupt(read(3, offset), path(3), offset);
    }
    // Inside a block of two sectors, and beyond the end of the file's blocks.
    assert_corrupt(read(3, 1536), path(3), 1536);
    assert_corrupt(read(3, 3072), path(3), 3072);
    assert_corrupt(read(5, 1536), path(5), 1536);
    assert_corrupt(read(5, 4096 + 512), path(5), 4096 + 512);
    // With nothing behind it that would prove it wrong.
    assert_corrupt(super::read(&small_log(1).files, Lsn::new(5, 0)), path(5), 0);
    // File 6 was prepared, so its first block may be asked for and no other; there is no file 7.
    assert_eq!(read(6, 512).unwrap().1.end, Lsn::new(6, 512));
    assert_corrupt(read(6, 1024), path(6), 0);
    assert_corrupt(read(7, 512), path(7), 0);
}

#[test]
fn a_header_that_names_another_end_is_refused() {
    let log = small_log(3);
    let of = log.files.identity();
    let path = |number| log.files.path(number);
    let with = |number, prev_end| {
        let mut area = [0; 512];
        format::put_file_header(&mut area, of, FileInfo { number, grain: 512, prev_end });
        read_damaged(&log, number, 0, &area)
    };
    assert_eq!(with(4, Lsn::new(3, 2560)).unwrap().0, log.expected());
    assert_corrupt(with(4, Lsn::new(3, 2560 + 512)), path(3), 2560);
    assert_corrupt(with(4, Lsn::new(3, 1536)), path(3), 2048);
    assert_corrupt(with(4, Lsn::new(2, 1024)), path(4), 0);
    assert_corrupt(with(4, Lsn::new(9, 512)), path(4), 0);
    assert_corrupt(with(4, Lsn(0)), path(4), 0);
    // A file between, of which nothing is left but its number.
    assert_corrupt(with(5, Lsn::new(3, 2560)), path(5), 0);
}

#[test]
fn files_of_another_version_store_or_shard_are_refused_by_name() {
    let log = small_log(3);
    let of = log.files.identity();
    let with = |of| {
        let mut area = [0; 512];
        let info = FileInfo { number: 3, grain: 512, prev_end: log.from };
        format::put_file_header(&mut area, of, info);
        read_damaged(&log, 3, 0, &area)
    };
    assert_eq!(with(of).unwrap().0, log.expected());
    for (other, what) in [
        (format::Identity { store: StoreId([8; 16]), ..of }, "store id"),
        (format::Identity { shard: 4, ..of }, "shard"),
    ] {
        match with(other) {
            Err(Error::Mismatch { path, what: w, .. }) => {
                assert_eq!((path, w), (log.files.path(3), what));
            }
            other => panic!("{other:?}"),
        }
    }
    let version = read_damaged(&log, 3, 8, &2u32.to_le_bytes());
    assert!(matches!(version, Err(Error::WrongVersion { found: 2, supported: 1, .. })));
    // An older round of another version is only a prepared file.
    let disk = Arc::new(log.disk.copy());
    write_raw(&*disk.file(&log.files.path(6)).unwrap(), 8, &2u32.to_le_bytes());
    assert_eq!(read(&Files { disk, ..log.files.clone() }, log.from).unwrap().0, log.expected());
}

#[test]
fn a_block_of_another_store_or_shard_is_none() {
    let log = small_log(3);
    let of = log.files.identity();
    let bytes = log.disk.file(&log.files.path(3)).unwrap().bytes.lock().unwrap().clone();
    let lsn = Lsn::new(3, 512);
    assert!(format::read_block_header(&bytes[512..], of, lsn).is_some());
    for of in
        [format::Identity { store: StoreId([8; 16]), ..of }, format::Identity { shard: 4, ..of }]
    {
        assert_eq!(format::read_block_header(&bytes[512..], of, lsn), None);
    }
    assert_eq!(format::read_block_header(&bytes[512..], of, Lsn::new(4, 512)), None);
    assert_eq!(format::read_block_header(&bytes[512..559], of, lsn), None);
}

#[test]
fn entries_that_do_not_fill_their_block_are_refused() {
    let log = small_log(3);
    let of = log.files.identity();
    let (number, lsn) = (3, Lsn::new(3, 512));
    let with = |payload_bytes, entries| {
        let file = log.disk.file(&log.files.path(number)).unwrap();
        let mut block = file.bytes.lock().unwrap()[512..1024].to_vec();
        format::put_block_header(&mut block, of, lsn, log.from, payload_bytes, entries);
        read_damaged(&log, number, 512, &block)
    };
    // The block holds entries of 20 and 0 bytes.
    assert_eq!(with(32, 2).unwrap().0, log.expected());
    for (payload_bytes, entries) in [(32, 1), (32, 3), (40, 2), (24, 2), (31, 2), (464, 2)] {
        assert_corrupt(with(payload_bytes, entries), log.files.path(number), 512);
    }
    // A block of this length is another block, or none.
    assert_corrupt(with(465, 2), log.files.path(number), 512);
    assert_corrupt(with(u32::MAX as usize, u32::MAX), log.files.path(number), 512);
}

#[test]
fn files_of_any_length_are_read() {
    for bytes in [0, 1, 48, 511, 512, 513, 560, 4095, 5000] {
        let log = small_log(3);
        let file = log.disk.file(&log.files.path(6)).unwrap();
        file.bytes.lock().unwrap().resize(bytes, 0xff);
        assert_eq!(read(&log.files, log.from).unwrap().0, log.expected(), "{bytes} bytes");
        // The last file, cut: its blocks may be torn off, or be missed.
        let file = log.disk.file(&log.files.path(5)).unwrap();
        file.bytes.lock().unwrap().resize(bytes, 0xff);
        match read(&log.files, log.from) {
            Ok((entries, _)) => assert_eq!(entries, log.expected()[..entries.len()]),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Blocks with right checksums and wrong contents, as only an enemy writes them.
    #[test]
    fn forged_blocks_never_panic(
        blocks in prop::collection::vec(
            (1usize..4, any::<u32>(), 0usize..2048, prop::option::of(any::<u32>()), 0u32..9, any::<u64>()),
            1..7,
        ),
        lengths in prop::collection::vec(prop_oneof![0u32..600, any::<u32>()], 256),
    ) {
        let (disk, files) = new_files(512, 4096);
        let file = files.prepare(1, None).unwrap();
        let mut bytes = vec![0; 4096];
        for (chunk, length) in bytes.chunks_mut(16).zip(&lengths) {
            chunk[..4].copy_from_slice(&length.to_le_bytes());
        }
        let of = files.identity();
        let info = FileInfo { number: 1, grain: 512, prev_end: Lsn(0) };
        format::put_file_header(&mut bytes[..512], of, info);
        let mut at = 512;
        for (sectors, wild_bytes, some_bytes, wild_entries, entries, durable_to) in blocks {
            let end = (at + sectors * 512).min(4096);
            if at == end {
                break;
            }
            let wild = wild_bytes % 4 == 0;
            let payload = if wild { wild_bytes as usize } else { some_bytes.min(end - at - BLOCK_HEADER_BYTES) };
            let lsn = Lsn::new(1, at as u32);
            let entries = wild_entries.filter(|n| n % 4 == 0).unwrap_or(entries);
            let durable_to = Lsn(durable_to % (lsn.0 + 2));
            format::put_block_header(&mut bytes[at..end], of, lsn, durable_to, payload, entries);
            at = end;
        }
        write_raw(&*file, 0, &bytes);
        for from in [Lsn(0), Lsn::new(1, 512), Lsn::new(1, 1024)] {
            if let Ok((entries, _)) = read(&Files { disk: disk.clone(), ..files.clone() }, from) {
                prop_assert!(entries.iter().map(|(_, e)| 4 + e.len()).sum::<usize>() <= 4096);
            }
        }
    }

    /// Any bytes over any part of a log.
    #[test]
    fn garbage_is_reported_or_cut_off_at_the_end(
        number in 2u32..7, at in 0usize..4096, garbage in prop::collection::vec(any::<u8>(), 1..1500),
    ) {
        let log = small_log(3);
        let garbage = &garbage[..garbage.len().min(4096 - at)];
        match read_damaged(&log, number, at, garbage) {
            Ok((entries, _)) => {
                let expected = log.expected();
                // The final block is the only one that may go without a word.
                let cut = expected.len() - entries.len();
                prop_assert!(cut == 0 || cut == 2 || number == 5 && at < 2560 && at + garbage.len() > 2048);
                prop_assert_eq!(&entries[..], &expected[..entries.len()]);
            }
            Err(Error::Corrupt { .. } | Error::WrongVersion { .. } | Error::Mismatch { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
