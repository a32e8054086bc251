//! Backups of stores at rest, in use, and cut off in the middle.

use super::*;
use crate::io::Backend;
use crate::io::threads;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

#[test]
fn a_backup_is_the_store_and_the_next_one_brings_only_what_is_new() {
    for (how, no_links) in [(How::Link, false), (How::Copy, false), (How::Link, true)] {
        let machine = Machine::new(1);
        machine.disk.set_faults(Faults { no_links, ..Faults::default() });
        machine.fill("/a", 0..2000);
        machine.leave("/a", 2000..2004);
        let before = machine.files("/a");
        let first = machine.backup("/a", "/b", how).unwrap();
        assert_eq!(machine.files("/a"), before, "a backup changes nothing");
        assert_eq!(first.kept + first.retries, 0);
        let (linked, copied) = (first.linked > 2, first.copied > 2);
        assert_eq!((linked, copied), (how == How::Link && !no_links, how == How::Copy || no_links));
        assert!(first.log_blocks > 0 && first.log_bytes > 0);

        machine.fill("/a", 2004..3000);
        let second = machine.backup("/a", "/b", how).unwrap();
        assert!(second.kept > 0 && second.kept <= first.linked + first.copied, "{second:?}");
        assert!(second.linked + second.copied > 0 && second.removed > 0, "{second:?}");
        let third = machine.backup("/a", "/b", how).unwrap();
        assert_eq!((third.linked + third.copied, third.removed), (0, 0), "{third:?}");
        assert_eq!(machine.contents("/a"), expected(3000));
        assert_eq!(machine.contents("/b"), expected(3000));
    }
}

#[test]
fn a_manifest_that_was_passed_over_has_a_number_that_no_other_gets() {
    let machine = Machine::new(1);
    machine.fill("/a", 0..2000);
    machine.backup("/a", "/b", How::Link).unwrap();
    // The newest manifest of each shard rots, of which the backup has a copy.
    let files = machine.files("/a");
    let newest_of = |dir: &Path| {
        let of_dir = files.keys().filter(|path| path.parent() == Some(dir));
        of_dir.filter(|path| path.to_string_lossy().contains("manifest-")).max().unwrap().clone()
    };
    let dirs: BTreeSet<&Path> = files.keys().filter_map(|path| path.parent()).collect();
    for dir in dirs.into_iter().filter(|dir| dir.ends_with("shard-00") || dir.ends_with("shard-01"))
    {
        machine.disk.flip_bit(newest_of(dir), 40, 1).unwrap();
    }
    let store = machine.open("/a");
    (2000..2004).for_each(|n| insert(&store, n).unwrap());
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    machine.backup("/a", "/b", How::Link).unwrap();
    assert_eq!(machine.contents("/a"), expected(2004));
    assert_eq!(machine.contents("/b"), expected(2004));
}

#[test]
fn an_empty_store_and_one_that_was_never_flushed_are_backed_up() {
    for count in [0, 1, 30] {
        let machine = Machine::new(count);
        machine.fill("/a", 0..count);
        machine.backup("/a", "/b", How::Link).unwrap();
        assert_eq!(machine.contents("/b"), expected(count));
        // The copy has a life of its own, whatever is in its log.
        let store = machine.open("/b");
        (count..count + 500).for_each(|n| insert(&store, n).unwrap());
        store.close().unwrap();
        drop(store);
        assert_eq!(machine.contents("/b"), expected(count + 500));
        assert_eq!(machine.contents("/a"), expected(count));
    }
}

#[test]
fn an_open_store_is_backed_up_with_all_that_it_has_answered() {
    let machine = Machine::new(3);
    machine.fill("/a", 0..1);
    let store = machine.open("/a");
    let mut retries = 0;
    for round in 0..40 {
        let (from, to) = (1 + round * 61, 1 + (round + 1) * 61);
        (from..to).for_each(|n| insert(&store, n).unwrap());
        let done = backing::of(&store, Path::new("/b")).unwrap();
        retries += done.retries;
        if round % 7 == 0 {
            assert_eq!(machine.contents("/b"), expected(to));
            // Opening has made it another store's in all but name: it is not added to.
            insert(&machine.open("/b"), 1_000_000 + round).unwrap();
            let error = backing::of(&store, Path::new("/b")).unwrap_err();
            named(&error, &["backup directory", "use another directory"]);
            for path in machine.files("/b").keys() {
                machine.env.disk.remove(path).unwrap();
            }
        }
    }
    assert_eq!(retries, 0, "nothing moves while it is read");
    assert_eq!(contents(&store), expected(1 + 40 * 61));
}

#[test]
fn a_target_that_is_something_else_is_refused_by_name() {
    let machine = Machine::new(4);
    machine.fill("/a", 0..300);
    machine.fill("/other", 0..10);
    named(&machine.backup("/a", "/other", How::Link).unwrap_err(), &["/other", "holds the store"]);
    assert_eq!(machine.contents("/other"), expected(10));
    named(&machine.backup("/none", "/b", How::Link).unwrap_err(), &["/none"]);
    named(&machine.backup("/a", "/a", How::Link).unwrap_err(), &["lie in one another"]);
    named(&machine.backup("/a", "/a/b", How::Link).unwrap_err(), &["lie in one another"]);
    machine.env.disk.create_dir("/full".as_ref()).unwrap();
    machine.env.disk.create("/full/letters".as_ref(), 512).unwrap();
    named(&machine.backup("/a", "/full", How::Link).unwrap_err(), &["/full", "letters"]);
    machine.backup("/a", "/b", How::Link).unwrap();
    let open = machine.open("/b");
    assert_eq!(machine.backup("/a", "/b", How::Link).unwrap_err().code(), "ERR_LOCKED");
    drop(open);
}

/// Cut at every write and sync, a backup leaves what was there before, and is completed by running it again.
#[test]
fn a_backup_cut_off_anywhere_harms_nothing_and_is_completed_by_the_next() {
    let (mut cuts, mut openings, mut readies, mut news) = (0, 0, 0, 0);
    for (first, how) in [(0, How::Link), (900, How::Link), (900, How::Copy)] {
        for n in 1.. {
            let machine = Machine::new(n);
            if first > 0 {
                machine.fill("/a", 0..first);
                machine.backup("/a", "/b", how).unwrap();
            }
            machine.fill("/a", first..1390);
            machine.leave("/a", 1390..1400);
            machine.disk.crash_after(n);
            let done = machine.backup("/a", "/b", how);
            if done.is_ok() {
                machine.disk.crash_after(0);
                break;
            }
            machine.disk.power_loss();
            cuts += 1;
            if first > 0 {
                // It is as it was, or as it is, or ready to be finished without the source.
                let ready = machine.env.disk.list("/b".as_ref()).unwrap().contains(&"READY".into());
                readies += usize::from(ready);
                // Looked at through a copy: opening it would write to it.
                machine.restore("/b", "/c", How::Link).unwrap();
                let found = machine.contents("/c");
                let (old, new) = (expected(first), expected(1400));
                assert!(found == new || found == old && !ready, "cut {n}");
                news += usize::from(found == new);
            } else if machine
                .env
                .disk
                .list("/b".as_ref())
                .is_ok_and(|l| l.contains(&"STORE".into()))
            {
                openings += 1;
                machine.restore("/b", "/c", How::Copy).unwrap();
                assert_eq!(machine.contents("/c"), expected(1400), "cut {n}");
            } else if let Ok(store) = machine.try_open("/b") {
                panic!("cut {n}: a backup without its end opens: {}", contents(&store).len());
            }
            assert_eq!(machine.contents("/a"), expected(1400), "cut {n}");
            machine.backup("/a", "/b", how).unwrap();
            assert_eq!(machine.contents("/b"), expected(1400), "cut {n}");
        }
    }
    println!("{cuts} cuts, {openings} openings, {readies} ready, {news} new");
    assert!(cuts > 80 && openings > 0 && readies > 2 && news > readies);
}

#[test]
fn a_shard_that_moves_on_while_it_is_copied_is_copied_anew() {
    let mut retries = 0;
    for (how, nth) in
        [How::Link, How::Copy].into_iter().flat_map(|how| (0..3).map(move |n| (how, n)))
    {
        let machine = Machine::new(nth);
        let options = Options { shards: Some(1), ..tiny() };
        let store = Store::open("/a".as_ref(), model(), &options, machine.env.clone()).unwrap();
        (0..1500).for_each(|n| insert(&store, n).unwrap());
        let (mut step, mut count) = (0, 1500);
        let mut tell = |_| {
            if step == nth {
                (count..count + 300).for_each(|n| insert(&store, n).unwrap());
                count += 300;
                store.compact().unwrap();
            }
            step += 1;
        };
        let done = backing::run(&machine.env.disk, "/a".as_ref(), "/b".as_ref(), how, &mut tell);
        retries += done.unwrap().retries;
        assert!(step > nth, "{how:?} {nth}: the shard moved on");
        assert_eq!(machine.contents("/b"), expected(1800), "{how:?} {nth}");
    }
    assert!(retries > 1, "{retries} retries");
}

/// On files, beside a writer that flushes, compacts and recycles as fast as it can.
#[test]
fn a_store_that_is_written_to_is_backed_up_with_all_that_was_answered_before() {
    let dir = tempfile::tempdir().unwrap();
    let env = io::system(Backend::Auto).unwrap();
    let options = Options { threads: true, shards: Some(2), ..tiny() };
    let options = Options { sync: SyncMode::Never, ..options };
    let open = |dir: &Path| Store::open(dir, model(), &options, env.clone()).unwrap();
    let source = dir.path().join("store");
    let store = Arc::new(open(&source));
    let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (store, answered, stop) = (store.clone(), answered.clone(), stop.clone());
        threads::spawn("writer", move || {
            let mut next = 0;
            // A slow machine has as much to compare as a fast one.
            while !stop.load(SeqCst) && next < 64 << 10 {
                let batch: Vec<_> = (next..next + 64)
                    .map(|n| store.insert(Record { key: key(n), body: &body(n) }).unwrap())
                    .collect();
                batch.into_iter().for_each(|pending| {
                    pending.wait().unwrap();
                });
                next += 64;
                answered.store(next, SeqCst);
            }
        })
    };
    let (mut retries, mut runs) = (0, 0);
    while runs < 20 {
        let how = if runs % 4 == 3 { How::Copy } else { How::Link };
        let target = dir.path().join(format!("backup-{}", runs / 2));
        let before = answered.load(SeqCst);
        // Once a run at least, the shards move on in the middle of it.
        let mut moved_on = false;
        let mut tell = |_| {
            if !std::mem::replace(&mut moved_on, true) {
                store.flush().unwrap();
                store.compact().unwrap();
            }
        };
        let done = backing::run(&env.disk, &source, &target, how, &mut tell).unwrap();
        let after = answered.load(SeqCst) + 64;
        retries += done.retries;
        // Even ones are added to by the odd ones, and so must not be opened themselves.
        if runs % 2 == 1 {
            let copy = open(&target);
            let found = contents(&copy);
            copy.close().unwrap();
            for n in (0..before).filter(|&n| slot(n).is_none()) {
                assert_eq!(
                    found.get(&key(n)),
                    Some(&body(n)),
                    "{n} was answered: {before}, {after}"
                );
            }
            let mut slots = 0;
            for (key_found, body_found) in &found {
                let n = u64::from_le_bytes(*body_found.first_chunk().unwrap());
                assert!(n < after && (*key_found, body_found) == (key(n), &body(n)), "{n}");
                if let Some(slot_found) = slot(n) {
                    slots |= 1u64 << slot_found;
                    assert!(n + 4 * SLOTS >= before, "{n} had been replaced before {before}");
                }
            }
            assert_eq!(slots.count_ones() as u64, SLOTS.min(before / 4), "{before}");
        }
        runs += 1;
    }
    stop.store(true, SeqCst);
    writer.join().unwrap();
    println!("{runs} backups beside {} records, {retries} retries", answered.load(SeqCst));
    store.close().unwrap();
}
