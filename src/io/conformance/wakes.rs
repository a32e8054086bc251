//! Checks of waits and wakes (I4). A lost wake hangs the check.

use super::*;
use crate::io::{Clock, SystemClock};
use std::sync::atomic::AtomicU64;
use std::thread::scope;
use std::time::Duration;

pub(super) const CHECKS: [Check; 5] = [
    ("wake-before", a_wake_before_a_wait_ends_it_and_counts_once),
    ("wake-during", a_wake_during_a_wait_ends_it),
    ("wake-many", no_wake_of_many_threads_is_lost_beside_operations),
    ("timeout", a_wait_ends_when_its_time_is_over),
    ("wake-outlives", a_waker_may_outlive_its_queue),
];

fn a_wake_before_a_wait_ends_it_and_counts_once(env: &Env, _: &Path) {
    let mut queue = env.disk.queue(4).unwrap();
    let waker = queue.waker();
    let mut done = Vec::new();
    for round in 0..100 {
        for _ in 0..=round % 3 {
            waker.wake();
        }
        queue.wait(Wait::Forever, &mut done).unwrap();
        if round % 10 == 0 {
            // Many wakes counted as one: no second is left to end this wait before its time.
            assert!(waited(&mut *queue, Duration::from_millis(1)) > 980_000);
        }
    }
    waker.wake();
    queue.wait(Wait::No, &mut done).unwrap();
    scope(|scope| {
        scope.spawn(|| waker.wake()).join().unwrap();
    });
    queue.wait(Wait::For(Duration::from_secs(1_000_000)), &mut done).unwrap();
    assert!(done.is_empty());
}

fn a_wake_during_a_wait_ends_it(env: &Env, _: &Path) {
    let mut queue = env.disk.queue(4).unwrap();
    let waker = queue.waker();
    let (rounds, round) = (2_000, AtomicU64::new(0));
    scope(|scope| {
        scope.spawn(|| {
            for expected in 1..=rounds {
                // The owner is about to wait, or waits: both must be met over the rounds.
                while round.load(Ordering::Acquire) < expected {
                    std::thread::yield_now();
                }
                waker.wake();
            }
        });
        for _ in 0..rounds {
            round.fetch_add(1, Ordering::Release);
            queue.wait(Wait::Forever, &mut Vec::new()).unwrap();
        }
    });
}

/// Threads count up and wake; the owner reads and writes meanwhile, and must see every count.
fn no_wake_of_many_threads_is_lost_beside_operations(env: &Env, dir: &Path) {
    const EACH: u64 = 2_000;
    let file = create(env, &dir.join("a"), 8);
    let mut queue = env.disk.queue(4).unwrap();
    let (waker, sent) = (queue.waker(), AtomicU64::new(0));
    let taken = AtomicU64::new(0);
    scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    sent.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                    // Not too far ahead, so that the owner falls asleep again and again.
                    while sent.load(Ordering::Relaxed) > taken.load(Ordering::Relaxed) + 3 {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let (mut done, mut operations) = (Vec::new(), 0);
        while taken.load(Ordering::Relaxed) < 3 * EACH {
            if operations < 500 && queue.in_flight() < 2 {
                let block = operations % 8;
                let op = match operations % 10 {
                    0 => write(&file, block, blocks(1, 1), true),
                    _ => read(&file, block, 1),
                };
                queue.push(operations as u64, op).unwrap();
                operations += 1;
            }
            queue.wait(Wait::Forever, &mut done).unwrap();
            assert!(done.drain(..).all(|done| done.result.is_ok()));
            taken.store(sent.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        finish(&mut *queue);
    });
}

/// How many nanoseconds a wait of at most `limit` takes in which nothing completes.
fn waited(queue: &mut dyn Queue, limit: Duration) -> u64 {
    let clock = SystemClock::new();
    let (start, mut done) = (clock.monotonic_nanos(), Vec::new());
    queue.wait(Wait::For(limit), &mut done).unwrap();
    assert!(done.is_empty());
    clock.monotonic_nanos() - start
}

fn a_wait_ends_when_its_time_is_over(env: &Env, dir: &Path) {
    let mut queue = env.disk.queue(4).unwrap();
    for limit in [0, 1, 1_000, 5_000_000] {
        let waited = waited(&mut *queue, Duration::from_nanos(limit));
        // Two clocks measure here; they agree to a percent.
        assert!(waited >= limit / 100 * 98, "{waited} of {limit}");
    }
    // Time left over does not keep a completion back.
    let file = create(env, &dir.join("a"), 1);
    queue.push(1, read(&file, 0, 1)).unwrap();
    let mut done = Vec::new();
    while done.is_empty() {
        queue.wait(Wait::For(Duration::MAX), &mut done).unwrap();
    }
    queue.wait(Wait::No, &mut done).unwrap();
    assert_eq!(done.len(), 1);
}

fn a_waker_may_outlive_its_queue(env: &Env, _: &Path) {
    let mut queue = env.disk.queue(1).unwrap();
    let waker = queue.waker();
    queue.wait(Wait::For(Duration::ZERO), &mut Vec::new()).unwrap();
    drop(queue);
    waker.wake();
    waker.wake();
}
