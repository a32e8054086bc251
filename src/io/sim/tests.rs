//! Each fault of the policy happens, happens as described, and happens again from the same seed.

use super::*;
use crate::base::Error;
use crate::io::{Buf, Env, Op, Rng, Wait, simulated};
use std::collections::BTreeSet;

const SECTOR: usize = 512;

fn machine(seed: u64, faults: Faults) -> (Env, Arc<SimDisk>) {
    let (env, disk, _) = simulated(seed, faults);
    env.disk.create_dir("/d".as_ref()).unwrap();
    (env, disk)
}

fn bytes(len: usize, byte: u8) -> Buf {
    let mut buf = Buf::zeroed(len, SECTOR);
    buf.fill(byte);
    buf
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

/// A file whose creation is durable.
fn durable_file(env: &Env, name: &str, sectors: usize) -> Arc<dyn File> {
    let file = env.disk.create(&path(name), (sectors * SECTOR) as u64).unwrap();
    env.disk.sync_dir("/d".as_ref()).unwrap();
    file
}

fn first_bytes(disk: &SimDisk, name: &str) -> Vec<u8> {
    let contents = disk.contents(path(name)).unwrap();
    for sector in contents.chunks(SECTOR) {
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
    }
    contents.chunks(SECTOR).map(|sector| sector[0]).collect()
}

fn is_switched_off<T: std::fmt::Debug>(result: Result<T>) -> bool {
    let error = result.unwrap_err();
    error.code() == "ERR_IO" && error.to_string().ends_with("the machine was switched off")
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_loses_tears_or_keeps_the_rest() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let (env, disk) = machine(seed, Faults::default());
        let file = durable_file(&env, "a", 8);
        file.write_at(0, &bytes(2 * SECTOR, 1)).unwrap();
        file.sync().unwrap();
        file.write_at(2 * SECTOR as u64, &bytes(4 * SECTOR, 2)).unwrap();
        disk.power_loss();
        let found = first_bytes(&disk, "a");
        assert_eq!((&found[..2], &found[6..]), (&[1, 1][..], &[0, 0][..]), "seed {seed}");
        assert!(found[2..6].iter().all(|byte| [0, 2].contains(byte)));
        seen.insert(found);
    }
    assert_eq!(seen.len(), 16, "every subset of four unsynced sectors is met");
}

#[test]
fn unsynced_writes_of_one_file_may_survive_while_those_of_another_are_lost() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let (env, disk) = machine(seed, Faults::default());
        let (a, b) = (durable_file(&env, "a", 1), durable_file(&env, "b", 1));
        a.write_at(0, &bytes(SECTOR, 1)).unwrap();
        b.write_at(0, &bytes(SECTOR, 1)).unwrap();
        disk.power_loss();
        seen.insert((first_bytes(&disk, "a")[0], first_bytes(&disk, "b")[0]));
    }
    assert_eq!(Vec::from_iter(seen), [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

/// The names that a cut leaves of three creations, the last of which is renamed.
fn names_after_a_cut(faults: Faults, sync: bool) -> BTreeSet<Vec<String>> {
    let names = |seed| {
        let (env, disk) = machine(seed, faults);
        for name in ["a", "b", "temporary"] {
            env.disk.create(&path(name), 0).unwrap();
        }
        env.disk.rename(&path("temporary"), &path("c")).unwrap();
        if sync {
            env.disk.sync_dir("/d".as_ref()).unwrap();
        }
        disk.power_loss();
        env.disk.list("/d".as_ref()).unwrap()
    };
    (0..200).map(names).collect()
}

/// Two writes, a rename and a sync, with a mark before each; then `after`.
fn recorded(seed: u64, after: impl FnOnce(&Env, &SimDisk)) -> Vec<Moment> {
    let (env, disk) = machine(seed, Faults::default());
    let file = durable_file(&env, "a", 4);
    disk.record(0, u64::MAX);
    for step in 0..2 {
        disk.mark(step);
        file.write_at(step * SECTOR as u64, &bytes(2 * SECTOR, 1 + step as u8)).unwrap();
    }
    disk.mark(2);
    env.disk.rename(&path("a"), &path("b")).unwrap();
    env.disk.sync_dir("/d".as_ref()).unwrap();
    disk.mark(3);
    file.sync().unwrap();
    after(&env, &disk);
    let (moments, passed) = disk.recorded();
    assert_eq!(moments.len() as u64, passed);
    moments
}

#[test]
fn a_moment_is_taken_after_each_write_and_before_each_sync_with_its_mark() {
    let moments = recorded(1, |_, _| ());
    assert_eq!(moments.iter().map(Moment::mark).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let has = |moment: &Moment| (moment.has_unsynced_bytes(), moment.has_unsynced_names());
    let has: Vec<_> = moments.iter().map(has).collect();
    assert_eq!(has, [(true, false), (true, false), (true, true), (true, false)]);
    // Some go by, and of the others some are taken.
    let (_, disk) = machine(1, Faults::default());
    let file = disk.create(&path("a"), 512).unwrap();
    disk.record(1, 2);
    for byte in 1..5 {
        file.write_at(0, &bytes(SECTOR, byte)).unwrap();
    }
    let (moments, passed) = disk.recorded();
    let kept = moments.iter().map(|moment| moment.crash(1, Survivors::All, Survivors::All));
    let kept: Vec<u8> = kept.map(|disk| first_bytes(&disk, "a")[0]).collect();
    assert_eq!((kept, passed), (vec![2, 3], 4));
}

#[test]
fn a_moment_does_not_change_with_the_disk_it_was_taken_from() {
    let crashed = |moments: &[Moment]| -> Vec<u64> {
        use Survivors::{All, None, Some};
        let ways = [(None, None), (None, All), (All, None), (All, All), (Some, Some)];
        let crash =
            |moment: &Moment| ways.map(|(bytes, names)| moment.crash(9, bytes, names).image_hash());
        moments.iter().flat_map(crash).collect()
    };
    let alone = crashed(&recorded(2, |_, _| ()));
    let mut moments = recorded(2, |env, disk| {
        let file = env.disk.open(&path("b")).unwrap();
        file.write_at(0, &bytes(4 * SECTOR, 9)).unwrap();
        env.disk.remove(&path("b")).unwrap();
        disk.power_loss();
    });
    moments.truncate(4);
    assert_eq!(crashed(&moments), alone);
    let distinct: BTreeSet<u64> = alone.iter().copied().collect();
    assert!(distinct.len() > 6, "{alone:?}");
}

#[test]
fn a_crash_at_a_moment_leaves_what_a_power_cut_there_may_leave() {
    use Survivors::{All, None, Some};
    let moments = recorded(3, |_, _| ());
    // At the rename: both writes are pending.
    let crash = |seed, bytes, names| {
        let disk = moments[2].crash(seed, bytes, names);
        let name = if disk.contents(path("a")).is_some() { "a" } else { "b" };
        assert!(disk.contents(path(if name == "a" { "b" } else { "a" })).is_none());
        (name, first_bytes(&disk, name))
    };
    assert_eq!(crash(1, None, None), ("a", vec![0; 4]));
    assert_eq!(crash(1, All, None), ("a", vec![1, 2, 2, 0]));
    assert_eq!(crash(1, None, All), ("b", vec![0; 4]));
    let drawn: BTreeSet<_> = (0..3_000).map(|seed| crash(seed, Some, Some)).collect();
    let cut: BTreeSet<_> = (0..3_000)
        .map(|seed| {
            let (env, disk) = machine(seed, Faults::default());
            let file = durable_file(&env, "a", 4);
            file.write_at(0, &bytes(2 * SECTOR, 1)).unwrap();
            file.write_at(SECTOR as u64, &bytes(2 * SECTOR, 2)).unwrap();
            env.disk.rename(&path("a"), &path("b")).unwrap();
            disk.power_loss();
            let name = if disk.contents(path("a")).is_some() { "a" } else { "b" };
            (name, first_bytes(&disk, name))
        })
        .collect();
    assert_eq!(drawn, cut, "the same subsets of sectors and names");
    // It is a disk like any other.
    let disk = moments[2].crash(5, All, All);
    let file = disk.open(&path("b")).unwrap();
    file.write_at(0, &bytes(SECTOR, 7)).unwrap();
    assert_eq!(first_bytes(&disk, "b")[0], 7);
    assert_eq!(crash(1, All, All).1, [1, 2, 2, 0], "and another is none the wiser");
}

#[test]
fn names_survive_as_a_prefix_or_as_any_subset_unless_synced() {
    let all = BTreeSet::from([vec!["a".to_owned(), "b".into(), "c".into()]]);
    let subsets = Faults { names_any_subset: true, ..Faults::default() };
    assert_eq!(names_after_a_cut(Faults::default(), true), all);
    assert_eq!(names_after_a_cut(subsets, true), all);
    let prefixes: [&[&str]; 5] =
        [&[], &["a"], &["a", "b"], &["a", "b", "temporary"], &["a", "b", "c"]];
    let prefixes = prefixes.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(names_after_a_cut(Faults::default(), false), BTreeSet::from(prefixes));
    let met = names_after_a_cut(subsets, false);
    assert_eq!(met.len(), 12, "a, b: there or not; the third absent, old or new");
}

#[test]
fn a_link_survives_with_its_bytes_or_not_at_all_and_always_once_synced() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        for sync in [false, true] {
            let (env, disk) = machine(seed, Faults::default());
            let file = durable_file(&env, "a", 1);
            file.write_at(0, &bytes(SECTOR, 7)).unwrap();
            file.sync().unwrap();
            env.disk.create_dir("/e".as_ref()).unwrap();
            env.disk.hard_link(&path("a"), "/e/b".as_ref()).unwrap();
            env.disk.remove(&path("a")).unwrap();
            env.disk.sync_dir("/d".as_ref()).unwrap();
            if sync {
                env.disk.sync_dir("/e".as_ref()).unwrap();
            }
            drop(file);
            disk.power_loss();
            let linked = disk.contents("/e/b");
            assert!(linked.is_some() || !sync);
            assert!(linked.as_ref().is_none_or(|bytes| bytes.iter().all(|&byte| byte == 7)));
            seen.insert(linked.is_some());
        }
    }
    assert_eq!(seen.len(), 2, "a link that was not synced survives now and then");
    let (env, _disk) = machine(1, Faults { no_links: true, ..Faults::default() });
    durable_file(&env, "a", 1);
    assert_eq!(env.disk.hard_link(&path("a"), &path("b")).unwrap_err().code(), "ERR_IO");
}

#[test]
fn a_removal_without_sync_may_come_undone_with_its_bytes() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let (env, disk) = machine(seed, Faults::default());
        let file = durable_file(&env, "a", 1);
        file.write_at(0, &bytes(SECTOR, 7)).unwrap();
        file.sync().unwrap();
        drop(file);
        env.disk.remove(&path("a")).unwrap();
        disk.power_loss();
        seen.insert(disk.contents(path("a")).map(|contents| contents[0]));
    }
    assert_eq!(Vec::from_iter(seen), [None, Some(7)]);
}

#[test]
fn no_handle_outlives_the_power_and_fresh_opens_work() {
    let (env, disk) = machine(1, Faults::default());
    let file = durable_file(&env, "a", 2);
    let guard = env.disk.lock(&path("LOCK")).unwrap();
    let mut queue = env.disk.queue(4).unwrap();
    let idle = env.disk.queue(4).unwrap();
    for token in 0..3 {
        let op = Op::Write { file: file.clone(), offset: 0, buf: bytes(SECTOR, 1), durable: true };
        queue.push(token, op).unwrap();
    }
    disk.power_loss();
    assert!(!disk.is_off());
    assert!(is_switched_off(file.read_at(0, &mut bytes(SECTOR, 0))));
    assert!(is_switched_off(file.write_at(0, &bytes(SECTOR, 9))));
    assert!(is_switched_off(file.sync()));
    let mut done = Vec::new();
    queue.wait(Wait::Forever, &mut done).unwrap();
    assert!(done.len() == 3 && done.iter().all(|done| done.buf.is_some()));
    assert!(done.into_iter().all(|done| is_switched_off(done.result)));
    assert!(is_switched_off(queue.wait(Wait::Forever, &mut Vec::new())));
    drop(idle);
    let again = env.disk.lock(&path("LOCK")).unwrap();
    drop(guard);
    assert!(env.disk.lock(&path("LOCK")).is_err(), "the old guard does not free the new lock");
    drop(again);
    let fresh = env.disk.open(&path("a")).unwrap();
    drop(file);
    fresh.write_at(0, &bytes(SECTOR, 3)).unwrap();
    assert_eq!(first_bytes(&disk, "a")[0], 3);
}

#[test]
fn a_thread_that_waits_for_a_wake_learns_of_the_cut() {
    let (env, disk) = machine(1, Faults::default());
    std::thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let disk_of_thread = env.disk.clone();
        let waiting = scope.spawn(move || {
            let mut queue = disk_of_thread.queue(1).unwrap();
            ready.send(()).unwrap();
            queue.wait(Wait::Forever, &mut Vec::new())
        });
        is_ready.recv().unwrap();
        disk.power_loss();
        assert!(is_switched_off(waiting.join().unwrap()));
    });
}

#[test]
fn a_kill_keeps_all_writes_and_makes_none_durable() {
    let mut lost_later = false;
    for seed in 0..20 {
        let (env, disk) = machine(seed, Faults::default());
        let file = durable_file(&env, "a", 1);
        let guard = env.disk.lock(&path("LOCK")).unwrap();
        file.write_at(0, &bytes(SECTOR, 5)).unwrap();
        disk.kill();
        let error = file.sync().unwrap_err().to_string();
        assert!(error.ends_with("the process was killed"), "{error}");
        assert_eq!(first_bytes(&disk, "a"), [5]);
        drop((guard, env.disk.lock(&path("LOCK")).unwrap()));
        disk.power_loss();
        lost_later |= first_bytes(&disk, "a") == [0];
    }
    assert!(lost_later);
}

/// Creates, writes and syncs; every step counts, and each may be the one at which the power fails.
fn workload(env: &Env) -> Result<()> {
    let file = env.disk.create(&path("a"), 4 * SECTOR as u64)?;
    env.disk.sync_dir("/d".as_ref())?;
    file.write_at(0, &bytes(2 * SECTOR, 1))?;
    file.sync()?;
    let mut queue = env.disk.queue(1)?;
    let op = Op::Write { file, offset: 1024, buf: bytes(2 * SECTOR, 2), durable: true };
    queue.push(1, op).map_err(|_| Error::Closed)?;
    let mut done = Vec::new();
    while queue.in_flight() > 0 {
        queue.wait(Wait::Forever, &mut done)?;
    }
    done.remove(0).result
}

#[test]
fn a_planned_cut_comes_at_exactly_that_operation_and_lasts() {
    let (env, disk) = machine(0, Faults::default());
    let before = disk.writes_and_syncs();
    workload(&env).unwrap();
    let total = disk.writes_and_syncs() - before;
    assert_eq!(total, 2 + 1 + 1 + 1 + 2);
    let mut partly_created = false;
    for seed in 0..50 {
        for n in 1..=total {
            let (env, disk) = machine(seed, Faults::default());
            let before = disk.writes_and_syncs();
            disk.crash_after(n);
            assert!(is_switched_off(workload(&env)), "seed {seed}, n {n}");
            assert_eq!(disk.writes_and_syncs() - before, n);
            assert!(disk.is_off());
            assert!(is_switched_off(env.disk.list("/d".as_ref())));
            assert!(is_switched_off(env.disk.open(&path("a"))));
            assert!(is_switched_off(env.disk.queue(1).map(drop)));
            let at_rest = disk.contents(path("a"));
            disk.power_loss();
            assert_eq!(disk.contents(path("a")), at_rest, "one cut, not two");
            match at_rest {
                None => assert!(n <= 3, "the name was durable"),
                Some(found) if n <= 3 => partly_created |= found.len() < 4 * SECTOR,
                Some(found) => {
                    assert_eq!(found.len(), 4 * SECTOR);
                    assert!(n <= 5 || found[..2 * SECTOR].iter().all(|&byte| byte == 1));
                }
            }
        }
        let (env, disk) = machine(seed, Faults::default());
        disk.crash_after(total + 1);
        workload(&env).unwrap();
    }
    assert!(partly_created);
}

#[test]
fn reads_and_writes_fail_as_often_as_told_and_a_failed_write_is_a_prefix() {
    let (env, disk) = machine(3, Faults { eio_read: 5, eio_write: 5, ..Faults::default() });
    let file = loop {
        if let Ok(file) = env.disk.create(&path("a"), 4 * SECTOR as u64) {
            break file;
        }
    };
    let (mut reads, mut writes, mut partial) = (0, 0, 0);
    let mut old = 0;
    for round in 0..1_000 {
        reads += u32::from(file.read_at(0, &mut bytes(SECTOR, 0)).is_err());
        let new = (round % 250) as u8 + 1;
        let failed = file.write_at(0, &bytes(4 * SECTOR, new)).is_err();
        let found = first_bytes(&disk, "a");
        let kept = found.iter().take_while(|&&byte| byte == new).count();
        assert!(failed || kept == 4);
        assert!(found[kept..].iter().all(|&byte| byte == old));
        writes += u32::from(failed);
        partial += u32::from(failed && kept > 0 && kept < 4);
        disk.set_faults(Faults::default());
        file.write_at(0, &bytes(4 * SECTOR, new)).unwrap();
        disk.set_faults(Faults { eio_read: 5, eio_write: 5, ..Faults::default() });
        old = new;
    }
    assert!((150..250).contains(&reads) && (150..250).contains(&writes), "{reads} {writes}");
    assert!(partial > 50);
}

#[test]
fn after_a_failed_sync_the_next_succeeds_and_proves_nothing() {
    let mut lost = BTreeSet::new();
    for seed in 0..50 {
        let (env, disk) = machine(seed, Faults::default());
        let file = durable_file(&env, "a", 2);
        file.write_at(0, &bytes(SECTOR, 1)).unwrap();
        file.write_at(SECTOR as u64, &bytes(SECTOR, 1)).unwrap();
        disk.set_faults(Faults { eio_sync: 1, ..Faults::default() });
        assert_eq!(file.sync().unwrap_err().code(), "ERR_IO");
        disk.set_faults(Faults::default());
        file.sync().unwrap();
        assert_eq!(first_bytes(&disk, "a"), [1, 1], "until the power fails, it looks well");
        disk.power_loss();
        lost.insert(first_bytes(&disk, "a"));
    }
    assert_eq!(lost.len(), 4);
}

#[test]
fn a_full_disk_refuses_growth_until_there_is_room() {
    let (env, disk) = machine(1, Faults::default());
    disk.set_quota(Some(8 * SECTOR as u64));
    let file = env.disk.create(&path("a"), 6 * SECTOR as u64).unwrap();
    let full = |result: Result<()>| result.unwrap_err().to_string().contains("No space left");
    assert!(full(env.disk.create(&path("b"), 4 * SECTOR as u64).map(drop)));
    assert_eq!(env.disk.list("/d".as_ref()).unwrap(), ["a"], "no half of a file is left");
    assert!(full(file.write_at(6 * SECTOR as u64, &bytes(3 * SECTOR, 1))));
    file.write_at(0, &bytes(6 * SECTOR, 1)).unwrap();
    file.write_at(6 * SECTOR as u64, &bytes(2 * SECTOR, 1)).unwrap();
    assert!(full(env.disk.create(&path("b"), 1).map(drop)));
    env.disk.remove(&path("a")).unwrap();
    assert!(full(env.disk.create(&path("b"), 1).map(drop)), "an open file keeps its space");
    drop(file);
    env.disk.create(&path("b"), 8 * SECTOR as u64).unwrap();
    disk.set_quota(Some(9 * SECTOR as u64));
    env.disk.create(&path("c"), SECTOR as u64).unwrap();
}

#[test]
fn a_flipped_bit_is_read_and_stays() {
    let (env, disk) = machine(1, Faults::default());
    let file = durable_file(&env, "a", 1);
    disk.flip_bit(path("a"), 100, 3).unwrap();
    let mut buf = bytes(SECTOR, 0);
    file.read_at(0, &mut buf).unwrap();
    assert_eq!((buf[100], buf.iter().filter(|&&byte| byte != 0).count()), (8, 1));
    disk.power_loss();
    assert_eq!(disk.contents(path("a")).unwrap()[100], 8);
    assert_eq!(disk.flip_bit(path("a"), 512, 0).unwrap_err().code(), "ERR_INVALID");
    assert_eq!(disk.flip_bit(path("a"), 0, 8).unwrap_err().code(), "ERR_INVALID");
    assert_eq!(disk.flip_bit(path("b"), 0, 0).unwrap_err().code(), "ERR_IO");
}

#[test]
fn the_alignment_is_a_knob() {
    let (env, _) = machine(1, Faults { align: 4096, ..Faults::default() });
    assert_eq!(durable_file(&env, "a", 8).align(), 4096);
}

/// A run with everything in it: faults, queues, names and cuts. Returns its hash, the order of its
/// completions and whether an operation overtook an earlier one.
fn eventful_run(seed: u64) -> (u64, Vec<u64>) {
    let faults = Faults { eio_read: 50, eio_write: 50, eio_sync: 50, ..Faults::default() };
    let (env, disk) = machine(seed, faults);
    let mut rng = Rng::new(seed);
    let mut order = Vec::new();
    for round in 0..10 {
        let Ok(file) = env.disk.create(&path(&format!("file-{round}")), 4096) else { continue };
        let Ok(mut queue) = env.disk.queue(8) else { continue };
        for token in 0..8 {
            let (offset, buf) = (512 * rng.below(8), bytes(SECTOR, token as u8));
            let durable = rng.chance(2);
            let op = match rng.chance(3) {
                true => Op::Read { file: file.clone(), offset, buf },
                false => Op::Write { file: file.clone(), offset, buf, durable },
            };
            queue.push(token, op).unwrap();
        }
        let mut done = Vec::new();
        while queue.in_flight() > rng.below(3) as usize {
            queue.wait(Wait::No, &mut done).unwrap();
        }
        order.extend(done.iter().map(|done| done.token));
        drop(queue);
        let _ = env.disk.sync_dir("/d".as_ref());
        if rng.chance(3) {
            disk.power_loss();
        }
    }
    (disk.io_hash(), order)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_gives_another() {
    let mut hashes = BTreeSet::new();
    for seed in 0..50 {
        let (hash, order) = eventful_run(seed);
        assert_eq!(eventful_run(seed), (hash, order.clone()));
        assert!(!order.is_sorted(), "completions come out of order");
        hashes.insert(hash);
    }
    assert_eq!(hashes.len(), 50);
}

/// Random writes, syncs and cuts against a list, for each sector, of what it may hold: its last
/// synced value, and every value written since.
#[test]
fn whatever_is_found_after_cuts_was_synced_or_written_since() {
    for seed in 0..100 {
        let (env, disk) = machine(seed, Faults::default());
        let mut rng = Rng::new(seed);
        let mut file = durable_file(&env, "a", 8);
        let mut possible = vec![vec![0u8]; 8];
        for round in 0..200u32 {
            match rng.below(10) {
                0 => {
                    disk.power_loss();
                    let found = first_bytes(&disk, "a");
                    for (sector, byte) in found.iter().enumerate() {
                        assert!(possible[sector].contains(byte), "seed {seed}, round {round}");
                        possible[sector] = vec![*byte];
                    }
                    file = env.disk.open(&path("a")).unwrap();
                }
                1 | 2 => {
                    file.sync().unwrap();
                    possible.iter_mut().for_each(|values| drop(values.drain(..values.len() - 1)));
                }
                _ => {
                    let start = rng.below(8) as usize;
                    let count = 1 + rng.below(8 - start as u64) as usize;
                    let byte = (round % 250) as u8 + 1;
                    file.write_at((start * SECTOR) as u64, &bytes(count * SECTOR, byte)).unwrap();
                    possible[start..start + count].iter_mut().for_each(|values| values.push(byte));
                }
            }
        }
    }
}

/// The names of the operations of `workload` that fail in this way, one run each.
fn planned(failure: Failure) -> Vec<String> {
    let mut met = Vec::new();
    for n in 1.. {
        let (env, disk) = machine(n, Faults::default());
        disk.fail_nth(n, failure);
        let done = workload(&env).and_then(|()| {
            env.disk.rename(&path("a"), &path("b"))?;
            env.disk.hard_link(&path("b"), &path("c"))?;
            env.disk.remove(&path("b"))?;
            env.disk.list("/d".as_ref())?;
            env.disk.open(&path("c"))?.read_at(0, &mut bytes(2 * SECTOR, 0))?;
            drop(env.disk.lock(&path("LOCK"))?);
            env.disk.create_dir("/e".as_ref())?;
            env.disk.remove_dir("/e".as_ref())
        });
        let failed = disk.failed();
        assert_eq!(done.is_err(), failed.is_some(), "{done:?}");
        let Some(failed) = failed else { break };
        let text = done.unwrap_err().to_string();
        let says = match failure {
            Failure::Eio => "Input/output error",
            Failure::NoSpace | Failure::Full => "No space left on device",
            Failure::Quota => "Disk quota exceeded",
            Failure::ReadOnly => "Read-only file system",
            Failure::Files => "Too many open files",
            Failure::Again => "Resource temporarily unavailable",
            // Lies have no error.
            Failure::Short | Failure::Lost | Failure::Misdirected => "",
        };
        assert!(text.contains(says), "{failed}: {text}");
        let again = env.disk.create(&path("new"), 512);
        let kinds = [Failure::Full, Failure::Quota, Failure::ReadOnly, Failure::Files];
        let lasts = kinds.contains(&failure);
        assert_eq!(again.is_err(), lasts, "{failed}");
        disk.mend();
        env.disk.create(&path("newer"), 512).unwrap();
        met.push(failed.split(' ').nth(2).unwrap().to_owned());
    }
    met
}

#[test]
fn every_operation_can_be_made_to_fail_in_every_way_that_it_can() {
    let writes = ["create", "write", "write", "write"];
    let all = ["create", "write", "sync", "sync", "write", "sync", "write", "sync"];
    let rest = ["rename", "link", "remove", "list", "open", "read", "lock", "create", "remove"];
    assert_eq!(planned(Failure::Eio), [&all[..], &rest[..]].concat());
    let names = ["rename", "link", "create"];
    assert_eq!(planned(Failure::NoSpace), [&writes[..], &names[..]].concat());
    assert_eq!(planned(Failure::Full), [&writes[..], &names[..]].concat());
    assert_eq!(planned(Failure::Quota), [&writes[..], &names[..]].concat());
    let changes = ["rename", "link", "remove", "create", "remove"];
    assert_eq!(planned(Failure::ReadOnly), [&writes[..], &changes[..]].concat());
    let opens = ["create", "write", "sync", "rename", "link", "list", "open", "lock", "create"];
    assert_eq!(planned(Failure::Files), opens);
    assert_eq!(planned(Failure::Short), ["write", "write", "write", "read"]);
    let again = ["write", "sync", "write", "sync", "write", "sync", "read"];
    assert_eq!(planned(Failure::Again), again);
}

#[test]
fn the_power_lasts_for_the_steps_that_were_granted_and_what_was_written_stays() {
    let (env, disk) = machine(1, Faults::default());
    let file = durable_file(&env, "a", 1);
    disk.power_lasts(Some(5));
    let failed = (0..).find(|_| file.write_at(0, &bytes(SECTOR, 3)).is_err());
    assert_eq!((failed, disk.is_off()), (Some(5), true));
    disk.kill();
    assert_eq!(first_bytes(&disk, "a"), [3]);
    // Waits are steps.
    let mut queue = env.disk.queue(1).unwrap();
    disk.power_lasts(Some(5));
    let failed = (0..).find(|_| queue.wait(Wait::No, &mut Vec::new()).is_err());
    assert_eq!((failed, disk.is_off()), (Some(4), true));
}
