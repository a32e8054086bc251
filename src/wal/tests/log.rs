//! The log by hand: names, groups, files that fill exactly, recycling, and what is refused.

use super::*;
use crate::io::{Backend, Wait};

#[test]
fn an_empty_log_ends_at_its_beginning() {
    let (_, files) = new_files(512, 16384);
    let nothing = Replayed {
        end: Lsn(0),
        next_number: 1,
        blocks: 0,
        entries: 0,
        bytes: 0,
        torn: false,
        closed: false,
    };
    assert_eq!(read(&files, Lsn(0)).unwrap(), (vec![], nothing));
    // Prepared is not written.
    files.prepare(1, None).unwrap();
    files.prepare(5, None).unwrap();
    let next_number = 6;
    assert_eq!(read(&files, Lsn(0)).unwrap(), (vec![], Replayed { next_number, ..nothing }));
    // A writer that wrote nothing may be checkpointed at its position.
    let from = Lsn::new(5, 512);
    let found = Replayed { end: from, next_number, ..nothing };
    assert_eq!(read(&files, from).unwrap(), (vec![], found));
}

#[test]
fn replay_visits_what_was_placed_from_any_group_on() {
    let mut log = Log::new(512, 16384);
    for i in 0..40 {
        let entries: Vec<_> = (0..i % 5).map(|j| entry(i * 37 % 900 + j, i)).collect();
        log.append(&entries, true);
    }
    assert!(log.files.list().unwrap().len() > 2);
    let (entries, found) = read(&log.files, Lsn(0)).unwrap();
    assert_eq!(entries, log.expected());
    assert_eq!((found.blocks, found.torn), (40, false));
    assert_eq!((found.end, found.end), (log.writer.end(), log.writer.position()));
    assert_eq!(found.next_number, log.next_number);
    let last = log.disk.file(&log.files.path(found.end.file())).unwrap();
    assert_eq!(last.syncs.load(Ordering::Relaxed), 1, "the end is made durable");
    for group in log.twin.clone() {
        for from in [group.start, group.end] {
            log.from = from;
            assert_eq!(read(&log.files, from).unwrap().0, log.expected(), "from {from}");
        }
    }
}

#[test]
fn a_visitor_that_fails_ends_the_replay() {
    let mut log = Log::new(512, 16384);
    log.append(&[entry(3, 1), entry(3, 2)], true);
    let mut visits = 0;
    let error = replay(&log.files, Lsn(0), &mut |_, _| {
        visits += 1;
        Err(Error::Closed)
    });
    assert!(matches!(error, Err(Error::Closed)));
    assert_eq!(visits, 1);
}

#[test]
fn groups_that_fill_a_file_to_the_last_byte() {
    for align in [1, 512, 4096] {
        let mut log = Log::new(align, 16384);
        let max = log.files.group_bytes_max();
        assert_eq!(max, 16384 - 4096 - 48);
        for i in 0..3 {
            let mut group = Group::new(max, align);
            assert!(group.push(&[&entry(max - 8, i)]));
            assert_eq!((group.bytes(), group.capacity_bytes()), (max, max));
            assert!(!group.push(&[]) && group.entries() == 1, "a full group");
            log.append(&[entry(max - 8, i)], true);
            if align < 4096 {
                // The smaller grain leaves room that the bound for all disks does not promise.
                log.append(&[entry(4096 - 512 - 48 - 8, i)], true);
            }
            assert_eq!(log.writer.position().offset(), 16384);
            let group = log.group(&[]);
            assert!(!log.writer.fits(&group));
        }
        assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
        log.append(&[entry(1, 9)], true);
        assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
    }
}

#[test]
fn a_recycled_file_shows_nothing_of_its_old_round() {
    let mut log = Log::new(512, 16384);
    for i in 0..60 {
        log.append(&[entry(1000, i)], true);
        // Keep one file behind the checkpoint, so that old rounds lie under new blocks.
        log.from = log.twin[log.twin.len().saturating_sub(12)].start;
        let (entries, found) = read(&log.files, log.from).unwrap();
        assert_eq!(entries, log.expected());
        assert!(!found.torn);
    }
    let numbers = log.files.list().unwrap();
    assert!(numbers.len() <= 3 && numbers[0] > 3, "{numbers:?} were recycled");
}

#[test]
fn a_reused_buffer_leaves_no_bytes_of_the_group_before() {
    let mut log = Log::new(512, 16384);
    (0..2).for_each(|_| log.append(&[vec![0xee; 6000]], true));
    log.append(&[vec![1]], true);
    let file = log.disk.file(&log.files.path(1)).unwrap();
    let at = log.twin[2].start.offset() as usize;
    let bytes = file.bytes.lock().unwrap()[at + 48..at + 512].to_vec();
    assert_eq!(bytes[..5], [1, 0, 0, 0, 1]);
    assert!(bytes[5..].iter().all(|&b| b == 0));
}

#[test]
fn a_group_takes_every_length_up_to_its_capacity() {
    for len in 0..=4096 {
        let mut group = Group::new(4000, 512);
        let capacity = group.capacity_bytes();
        assert_eq!(capacity, 4096 - 48);
        let fits = len + 4 <= capacity;
        assert_eq!(group.push(&[&entry(len, 0)]), fits, "{len}");
        let bytes = if fits { (len + 4).next_multiple_of(8) } else { 0 };
        assert_eq!((group.bytes(), group.is_empty()), (bytes, !fits));
    }
}

#[test]
fn only_unsynced_files_are_synced_at_rotation() {
    let mut log = Log::new(512, 16384);
    log.rotate();
    log.append(&[entry(9, 0)], true);
    log.rotate();
    log.append(&[entry(9, 1)], false);
    log.append(&[entry(9, 2)], false);
    let Op::Sync { file } = log.writer.sync() else { panic!("no sync") };
    assert_eq!(file.path(), log.files.path(3));
    log.sync();
    log.writer.synced(log.writer.end());
    log.rotate();
    assert_eq!((log.writer.position(), log.writer.end()), (Lsn::new(4, 512), log.twin[2].end));
    // Files without blocks are no part of the chain.
    assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
}

#[test]
fn names_are_eight_small_hex_digits() {
    let (disk, files) = new_files(512, 16384);
    let others = ["wal-", "wal-0000000A", "wal-00000000", "wal-1", "wal-000000001", "wal-+0000001"];
    for name in others.iter().chain(&["wal-ffffffff", "wal-0000000a", "manifest"]) {
        disk.create(&files.dir.join(name), 512).unwrap();
    }
    assert_eq!(files.list().unwrap(), vec![10, u32::MAX]);
    let error = read(&files, Lsn(0)).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    files.remove(u32::MAX).unwrap();
    assert_eq!(read(&files, Lsn(0)).unwrap().1.next_number, 11);
}

#[test]
fn preparing_refuses_what_would_lose_a_file() {
    let (disk, files) = new_files(512, 16384);
    files.prepare(4, None).unwrap();
    for (number, recycle) in [(0, None), (4, None), (4, Some(4)), (3, Some(4))] {
        let error = files.prepare(number, recycle).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert!(matches!(files.prepare(9, Some(8)), Err(Error::Io { .. })));
    assert_eq!(files.list().unwrap(), vec![4]);

    // A full disk leaves no half-made file in the way of the next try.
    disk.full.store(true, Ordering::Relaxed);
    assert!(matches!(files.prepare(5, None), Err(Error::Io { .. })));
    assert_eq!(files.list().unwrap(), vec![4]);
    assert_eq!(files.prepare(5, Some(4)).unwrap().len(), 16384);
    disk.full.store(false, Ordering::Relaxed);

    // A file of another size is not recycled but replaced.
    let larger = Files { file_bytes: 32768, ..files };
    assert_eq!(larger.prepare(6, Some(5)).unwrap().len(), 32768);
    assert_eq!(larger.list().unwrap(), vec![6]);

    let (_, coarse) = new_files(8192, 16384);
    assert!(matches!(coarse.prepare(1, None), Err(Error::Invalid { .. })));
}

#[test]
fn the_room_of_a_file_is_the_largest_group_that_fits() {
    for align in [512, 1024, 4096] {
        let mut log = Log::new(align, 16384);
        for i in 0..30 {
            let room = log.writer.room();
            let mut group = Group::new(16384, align);
            if let Some(bytes) = room.checked_sub(8) {
                assert!(group.push(&[&entry(bytes, i)]));
                assert_eq!((group.bytes(), log.writer.fits(&group)), (room, true));
                assert!(group.push(&[&[]]), "8 bytes more");
            } else {
                assert!(group.push(&[&[]]));
                assert_eq!((room, log.writer.position().offset()), (0, 16384));
            }
            assert!(!log.writer.fits(&group), "{align}: {room} bytes of room");
            log.append(&[entry(i * 97 % 1500, i)], true);
        }
    }
    let (_, files) = new_files(512, 16384);
    assert_eq!(Writer::waiting(&files, 1, Lsn(0)).room(), 0);
}

#[test]
fn a_group_is_made_in_a_buffer_of_a_group_only() {
    let is_taken = |bytes| {
        let buf = crate::io::Buf::zeroed(bytes, 4096);
        let reuse = std::panic::AssertUnwindSafe(|| Group::reuse(buf));
        std::panic::catch_unwind(reuse).map(|group| group.capacity_bytes()).ok()
    };
    assert_eq!(is_taken(8192), Some(4096 - 48));
    assert_eq!(is_taken(12288), Some(8192 - 48));
    assert_eq!((is_taken(4096), is_taken(8192 + 512), is_taken(512)), (None, None, None));
}

#[test]
fn what_is_not_known_to_be_durable_is_written_again_once_and_nothing_else_is() {
    // More than one read, a part of one, and nothing.
    for (durable, loose) in [(3, 5), (5, 1), (0, 4), (0, 1), (4, 0)] {
        let mut log = Log::new(4096, 8 << 20);
        for i in 0..durable + loose {
            log.append(&[entry(500_000, i)], i < durable);
        }
        log.sync();
        let file = log.disk.file(&log.files.path(1)).unwrap();
        let before = file.bytes.lock().unwrap().clone();
        file.written.lock().unwrap().clear();
        assert_eq!(read(&log.files, Lsn(0)).unwrap().0, log.expected());
        assert!(*file.bytes.lock().unwrap() == before, "the same bytes");
        assert_eq!(file.syncs.load(Ordering::Relaxed), 1);
        // The block that was synced last says only of those before it that they are durable.
        let from = match durable {
            0 | 1 => 0,
            _ => log.twin[durable - if loose > 0 { 0 } else { 1 }].start.offset(),
        };
        let mut at = u64::from(from);
        for written in &*file.written.lock().unwrap() {
            assert_eq!(written.start, at, "{durable} durable, {loose} not");
            at = written.end;
        }
        assert_eq!(at, u64::from(log.writer.end().offset()));
    }
}

/// What the doubles promise, on the machine's file system, with and without rings.
#[test]
fn a_log_on_the_machine_is_read_back() {
    for backend in [Backend::Auto, Backend::Posix] {
        let disk = crate::io::system(backend).unwrap().disk;
        let dir = tempfile::tempdir().unwrap();
        let (dir, store) = (dir.path().to_path_buf(), StoreId([7; 16]));
        let files = Files { disk: disk.clone(), dir, file_bytes: 32768, store, shard: 3 };
        let mut writer = Writer::new(&files, files.prepare(1, None).unwrap(), 1, Lsn(0));
        let mut queue = disk.queue(4).unwrap();
        let mut group = Group::new(files.group_bytes_max(), 4096);
        let mut expected = Vec::new();
        for i in 0..30 {
            let bytes = entry(i * 300 % 5000, i);
            assert!(group.push(&[&bytes]));
            if !writer.fits(&group) {
                let number = writer.position().file() + 1;
                // Replay is from the beginning, so nothing is recycled.
                assert!(writer.rotate(files.prepare(number, None).unwrap(), number).is_none());
            }
            let Placed { op, start, .. } = writer.place(group, true);
            expected.push((start, bytes));
            queue.push(i as u64, op).unwrap();
            let mut done = Vec::new();
            queue.wait(Wait::Forever, &mut done).unwrap();
            let done = done.pop().unwrap();
            done.result.unwrap();
            group = Group::reuse(done.buf.unwrap());
        }
        let (entries, found) = read(&files, Lsn(0)).unwrap();
        assert_eq!((entries, found.end, found.torn), (expected, writer.end(), false));
        assert!(found.next_number > 3);
    }
}
