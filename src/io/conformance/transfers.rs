//! Checks of reads, writes and syncs: blocking, and through queues.

use super::*;
use crate::io::Rng;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) const CHECKS: [Check; 9] = [
    ("blocking", blocking_calls_transfer_everything_or_fail),
    ("misaligned", what_is_off_the_grid_is_refused),
    ("queue", every_operation_comes_back_once_with_its_buffer),
    ("full", a_full_queue_gives_the_operation_back),
    ("durable", durable_writes_and_syncs_complete_once),
    ("past-end", a_read_past_the_end_fails_alone),
    ("extend", writes_past_the_end_lengthen_the_file),
    ("large", a_large_transfer_is_whole),
    ("drop", dropping_a_queue_waits_for_what_is_in_flight),
];

fn blocking_calls_transfer_everything_or_fail(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 4);
    for block in 0..4 {
        file.write_at(at(block), &blocks(1, block as u8 + 1)).unwrap();
    }
    file.sync().unwrap();
    let mut two = blocks(2, 0);
    file.read_at(at(1), &mut two).unwrap();
    assert!(two[..BLOCK].iter().all(|&byte| byte == 2) && two[BLOCK..].iter().all(|&b| b == 3));
    let error = file.read_at(at(3), &mut two).unwrap_err();
    assert!(is_corrupt_at(&error, at(4)), "{error}");
    let error = file.read_at(at(100), &mut two).unwrap_err();
    assert!(is_corrupt_at(&error, at(100)), "{error}");
    file.read_at(at(100), &mut []).unwrap();
}

/// Debug builds stop at the faulty caller, release builds answer `Invalid`.
fn what_is_off_the_grid_is_refused(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 4);
    let align = file.align();
    if align == 1 {
        return;
    }
    let half = (align / 2) as u64;
    let mut memory = blocks(2, 9);
    let refused = |call: &mut dyn FnMut() -> crate::base::Result<()>| match catch_unwind(
        AssertUnwindSafe(call),
    ) {
        Ok(result) => result.unwrap_err().code() == "ERR_INVALID",
        Err(_) => cfg!(debug_assertions),
    };
    assert!(refused(&mut || file.write_at(half, &blocks(1, 1))));
    assert!(refused(&mut || file.write_at(0, &blocks(1, 1)[..align / 2])));
    assert!(refused(&mut || file.read_at(0, &mut memory[align / 2..][..align])));
    let mut queue = env.disk.queue(2).unwrap();
    assert!(refused(&mut || {
        let op = Op::Write { file: file.clone(), offset: half, buf: blocks(1, 1), durable: true };
        queue.push(1, op).unwrap();
        let done = finish(&mut *queue).remove(0);
        assert!(done.buf.is_some());
        done.result
    }));
    drop(queue);
    assert!(contents(&file).iter().all(|&byte| byte == 0));
}

fn every_operation_comes_back_once_with_its_buffer(env: &Env, dir: &Path) {
    const COUNT: usize = 64;
    let file = create(env, &dir.join("a"), COUNT);
    let mut queue = env.disk.queue(COUNT).unwrap();
    for block in 0..COUNT {
        queue.push(block as u64, write(&file, block, blocks(1, block as u8), false)).unwrap();
    }
    assert_eq!(queue.in_flight(), COUNT);
    for done in finish(&mut *queue) {
        done.result.unwrap();
        assert!(done.buf.unwrap().iter().all(|&byte| u64::from(byte) == done.token));
    }
    for block in (0..COUNT).rev() {
        queue.push(block as u64, read(&file, block, 1)).unwrap();
    }
    // Never blocking, and counted: each comes back once.
    let (mut seen, mut done) = (vec![false; COUNT], Vec::new());
    while queue.in_flight() > 0 {
        let (before, had) = (queue.in_flight(), done.len());
        queue.wait(Wait::No, &mut done).unwrap();
        assert_eq!(before - queue.in_flight(), done.len() - had);
    }
    for done in done {
        done.result.unwrap();
        assert!(!std::mem::replace(&mut seen[done.token as usize], true));
        assert!(done.buf.unwrap().iter().all(|&byte| u64::from(byte) == done.token));
    }
    assert!(seen.iter().all(|&seen| seen));
    let mut none = Vec::new();
    queue.wait(Wait::No, &mut none).unwrap();
    assert!(none.is_empty());
}

fn a_full_queue_gives_the_operation_back(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 8);
    for depth in 1..=8 {
        let mut queue = env.disk.queue(depth).unwrap();
        for round in 0..3 {
            for block in 0..depth {
                queue.push(0, write(&file, block, blocks(1, round), true)).unwrap();
            }
            match queue.push(0, write(&file, 7, blocks(1, 0xAA), true)) {
                Err(Op::Write { offset, buf, durable: true, .. }) => {
                    assert!(offset == at(7) && buf[BLOCK - 1] == 0xAA);
                }
                other => panic!("{other:?}"),
            }
            assert!(queue.push(0, Op::Sync { file: file.clone() }).is_err());
            assert_eq!(finish(&mut *queue).len(), depth);
        }
    }
    assert!(contents(&file).iter().all(|&byte| byte == 2));
}

fn durable_writes_and_syncs_complete_once(env: &Env, dir: &Path) {
    let path = dir.join("a");
    let file = create(env, &path, 16);
    let mut queue = env.disk.queue(20).unwrap();
    for block in 0..16 {
        let durable = block % 2 == 0;
        queue.push(block as u64, write(&file, block, blocks(1, 1), durable)).unwrap();
    }
    queue.push(16, Op::Sync { file: file.clone() }).unwrap();
    let done = finish(&mut *queue);
    let tokens: Vec<u64> = done.iter().map(|done| done.token).collect();
    assert_eq!(tokens, (0..17).collect::<Vec<_>>());
    assert!(done.iter().all(|done| done.result.is_ok()));
    assert!(done[..16].iter().all(|done| done.buf.is_some()) && done[16].buf.is_none());
    drop((queue, file));
    let file = env.disk.open(&path).unwrap();
    assert!(contents(&file).iter().all(|&byte| byte == 1));
}

fn a_read_past_the_end_fails_alone(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 4);
    let short = env.disk.create(&dir.join("short"), 1_000).unwrap();
    let mut queue = env.disk.queue(8).unwrap();
    queue.push(0, read(&file, 0, 4)).unwrap();
    queue.push(1, read(&file, 3, 2)).unwrap();
    queue.push(2, read(&file, 4, 1)).unwrap();
    queue.push(3, read(&short, 0, 1)).unwrap();
    queue.push(4, write(&file, 3, blocks(1, 8), true)).unwrap();
    let done = finish(&mut *queue);
    for (token, end) in [(1, at(4)), (2, at(4)), (3, 1_000)] {
        let error = done[token].result.as_ref().unwrap_err();
        assert!(is_corrupt_at(error, end), "{error}");
        assert!(done[token].buf.is_some());
    }
    assert!(done[0].result.is_ok() && done[4].result.is_ok());
}

fn writes_past_the_end_lengthen_the_file(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 0);
    file.write_at(at(1), &blocks(1, 1)).unwrap();
    assert_eq!(file.len(), at(2));
    let mut queue = env.disk.queue(1).unwrap();
    queue.push(1, write(&file, 4, blocks(1, 4), true)).unwrap();
    assert!(finish(&mut *queue)[0].result.is_ok());
    let all = contents(&file);
    let kinds: Vec<u8> = all.chunks(BLOCK).map(|block| block[9]).collect();
    assert_eq!(kinds, [0, 1, 0, 0, 4]);
}

fn a_large_transfer_is_whole(env: &Env, dir: &Path) {
    const COUNT: usize = 1024;
    let file = create(env, &dir.join("a"), COUNT);
    let mut buf = blocks(COUNT, 0);
    for (block, bytes) in buf.chunks_mut(BLOCK).enumerate() {
        bytes.fill((block % 251) as u8);
    }
    let mut queue = env.disk.queue(2).unwrap();
    queue.push(1, write(&file, 0, buf, true)).unwrap();
    assert!(finish(&mut *queue)[0].result.is_ok());
    queue.push(2, read(&file, 0, COUNT)).unwrap();
    let done = finish(&mut *queue).remove(0);
    done.result.unwrap();
    let back = done.buf.unwrap();
    assert!(back.chunks(BLOCK).enumerate().all(|(block, bytes)| bytes[1] == (block % 251) as u8));
}

fn dropping_a_queue_waits_for_what_is_in_flight(env: &Env, dir: &Path) {
    let file = create(env, &dir.join("a"), 32);
    for round in 1..20 {
        let mut queue = env.disk.queue(64).unwrap();
        for block in 0..32 {
            let durable = block % 3 == 0;
            queue.push(0, write(&file, block, blocks(1, round), durable)).unwrap();
        }
        if round % 2 == 0 {
            queue.wait(Wait::No, &mut Vec::new()).unwrap();
        }
        if round % 3 == 0 {
            // A wait that armed what wakes must not keep the drop from ending.
            queue.waker().wake();
            queue.wait(Wait::Forever, &mut Vec::new()).unwrap();
        }
        let waker = queue.waker();
        drop(queue);
        waker.wake();
        assert_eq!(Arc::strong_count(&file), 1, "nothing holds the file any more");
        assert!(contents(&file).iter().all(|&byte| byte == round));
    }
}

/// `count` operations, none of which overlaps another in flight, against a twin in memory.
pub(super) fn random_operations_agree_with_memory(env: &Env, dir: &Path, seed: u64, count: u64) {
    const BLOCKS: u64 = 64;
    let mut rng = Rng::new(seed);
    let file = create(env, &dir.join("a"), BLOCKS as usize);
    let mut twin = vec![0; BLOCKS as usize * BLOCK];
    let mut queue = env.disk.queue(16).unwrap();
    let mut busy = BTreeMap::new();
    let (mut pushed, mut done) = (0u64, Vec::new());
    while pushed < count || queue.in_flight() > 0 {
        let start = rng.below(BLOCKS);
        let end = BLOCKS.min(start + 1 + rng.below(4));
        let free = busy.values().all(|&(from, to)| end <= from || to <= start);
        let room = pushed < count && queue.in_flight() < 16;
        let range = start as usize * BLOCK..end as usize * BLOCK;
        if room && free {
            let mut buf = blocks((end - start) as usize, 0);
            let op = match rng.below(20) {
                0 => Op::Sync { file: file.clone() },
                kind @ 1..10 => {
                    rng.fill(&mut buf);
                    twin[range].copy_from_slice(&buf);
                    write(&file, start as usize, buf, kind == 1)
                }
                _ => Op::Read { file: file.clone(), offset: start * BLOCK as u64, buf },
            };
            queue.push(pushed, op).unwrap();
            busy.insert(pushed, (start, end));
            pushed += 1;
        }
        let wait = match rng.below(4) {
            _ if queue.in_flight() == 16 => Wait::Forever,
            0 if queue.in_flight() > 0 => Wait::Forever,
            1 => Wait::No,
            _ => continue,
        };
        queue.wait(wait, &mut done).unwrap();
        for finished in done.drain(..) {
            finished.result.unwrap();
            let (start, end) = busy.remove(&finished.token).unwrap();
            if let Some(buf) = finished.buf {
                assert!(*buf == twin[start as usize * BLOCK..end as usize * BLOCK], "seed {seed}");
            }
        }
    }
    assert!(busy.is_empty() && *contents(&file) == twin, "seed {seed}");
}
