//! Reading without writing: the same as replay finds, and a prefix of a log that grows meanwhile.

use super::*;
use crate::wal::scan::{Followed, LogFile, Piece, follow};
use std::cell::RefCell;

/// The log as `follow` sees it from `from`.
fn followed(files: &Files, from: Lsn) -> Result<(Entries, Followed)> {
    let mut entries = Vec::new();
    let followed = follow(files, from, &mut |piece| {
        if let Piece::Block(block) = piece {
            assert_eq!(block.bytes.len() % SECTOR_BYTES, 0);
            for entry in block.entries() {
                entries.push((block.info.lsn, entry.unwrap().to_vec()));
            }
        }
        Ok(())
    })?;
    Ok((entries, followed))
}

/// Three files of blocks, and one that is only prepared. Replay begins behind the first block.
fn small_log() -> Log {
    let mut log = Log::new(512, 4096);
    log.append(&[entry(9, 0)], true);
    log.from = log.writer.end();
    for file in 1..4 {
        for i in 0..3 {
            log.append(&[entry(20 + i, i), entry(600 * (i % 2), file)], true);
        }
        if file < 3 {
            log.rotate();
        }
    }
    log.files.prepare(4, None).unwrap();
    log
}

#[test]
fn it_finds_what_replay_finds_also_with_any_byte_flipped() {
    let log = small_log();
    let starts = || log.twin.iter().map(|group| group.start).filter(|start| *start >= log.from);
    for from in starts().chain([log.writer.end()]) {
        let (entries, found) = followed(&log.files, from).unwrap();
        let (replayed, end) = read(&log.files, from).unwrap();
        assert_eq!((entries, found.end), (replayed, end.end));
        assert_eq!(found.files.last(), Some(&3));
    }
    let (mut reported, mut cut) = (0, 0);
    for number in log.files.list().unwrap() {
        for at in 0..4096 {
            let disk = Arc::new(log.disk.copy());
            let files = Files { disk: disk.clone(), ..log.files.clone() };
            let file = disk.file(&files.path(number)).unwrap();
            let byte = !file.bytes.lock().unwrap()[at];
            write_raw(&*file, at, &[byte]);
            let before = file.bytes.lock().unwrap().clone();
            let seen = followed(&files, log.from);
            assert_eq!(*file.bytes.lock().unwrap(), before, "nothing is written (S3)");
            match (seen, read(&files, log.from)) {
                (Ok((entries, found)), Ok((replayed, end))) => {
                    assert_eq!((&entries, found.end), (&replayed, end.end), "{number}: {at}");
                    cut += usize::from(entries.len() < log.expected().len());
                }
                (Err(seen), Err(replayed)) => {
                    assert_eq!(seen.code(), replayed.code(), "{number}: {at}");
                    reported += 1;
                }
                (seen, replayed) => panic!("{number}: {at}: {seen:?}, replay {replayed:?}"),
            }
        }
    }
    assert!(reported > 3_000 && cut > 300, "{reported} reported, {cut} cut");
}

#[test]
fn a_log_that_grows_meanwhile_is_followed_to_where_it_was_at_least() {
    for burst in [1, 2, 7] {
        let log = RefCell::new(small_log());
        let (files, from) = (log.borrow().files.clone(), log.borrow().from);
        let before = log.borrow().expected();
        // Every block that is visited is followed by more writes, which rotate as they need to.
        log.borrow_mut().next_number = 5;
        let mut entries = Vec::new();
        let found = follow(&files, from, &mut |piece| {
            let Piece::Block(block) = piece else { return Ok(()) };
            entries.extend(block.entries().map(|e| (block.info.lsn, e.unwrap().to_vec())));
            (0..burst).for_each(|i| log.borrow_mut().append(&[entry(300, i)], true));
            Ok(())
        });
        assert!(entries.len() >= before.len(), "{} of {}", entries.len(), before.len());
        let all = log.borrow().expected();
        assert_eq!(entries, all[..entries.len()]);
        assert_eq!(found.unwrap().files, [1, 2, 3], "it ends with the file that was the last");
    }
}

#[test]
fn a_block_that_is_half_written_ends_the_log_until_it_is_whole() {
    let mut log = small_log();
    let (before, _) = followed(&log.files, log.from).unwrap();
    let group = log.group(&[entry(900, 1)]);
    let placed = log.place(group, &[entry(900, 1)], false);
    let Op::Write { file, offset, buf, .. } = &placed.op else { panic!("no write") };
    write_sectors(&**file, *offset, buf, &mut |sector| sector == 0);
    let (seen, found) = followed(&log.files, log.from).unwrap();
    assert_eq!((seen, found.end), (before, placed.start));
    log.finish(placed);
    log.sync();
    assert_eq!(followed(&log.files, log.from).unwrap().0, log.expected());
}

#[test]
fn a_file_that_is_recycled_gives_no_more_blocks_and_no_silence() {
    let log = small_log();
    let mut recycled = false;
    let seen = follow(&log.files, log.from, &mut |piece| {
        if matches!(piece, Piece::Block(_)) && !recycled {
            recycled = true;
            log.files.prepare(9, Some(2)).unwrap();
        }
        Ok(())
    });
    let error = seen.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = followed(&log.files, log.from).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_file_of_many_reads_is_read_from_any_block_on_in_any_order() {
    for align in [512, 4096] {
        let mut log = Log::new(align, 8 << 20);
        for (i, len) in [300_000, 5, 900_000, 1_100_000, 70, 600_000, 9].into_iter().enumerate() {
            log.append(&[entry(len, i)], true);
        }
        let (entries, found) = followed(&log.files, Lsn(0)).unwrap();
        assert_eq!((entries, found.end), (log.expected(), log.writer.end()));
        assert_eq!((found.blocks, &found.files[..]), (7, &[1][..]));
        let bytes: u64 =
            log.twin.iter().map(|g| u64::from(g.end.offset() - g.start.offset())).sum();
        assert_eq!(found.bytes, bytes);
        let mut file = LogFile::open(&log.files, 1).unwrap();
        for group in log.twin.iter().rev().chain(&log.twin) {
            let block = file.block(u64::from(group.start.offset()), align).unwrap().unwrap();
            let entries: Vec<_> = block.entries().map(|entry| entry.unwrap().to_vec()).collect();
            assert_eq!((block.info.lsn, &entries), (group.start, &group.entries));
        }
        assert!(file.block((8 << 20) - 48, align).unwrap().is_none());
        assert!(file.block(u64::MAX, align).unwrap().is_none());
    }
}
