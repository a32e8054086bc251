//! The ring by hand, over every small message, against a locked twin on real threads, and its real
//! code under loom (weak memory, every schedule with few preemptions) and shuttle (many schedules).

use super::*;
use crate::wal::sync::Word;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

type Message = (u64, Vec<u8>);

/// Everything that can be drained now; a broken ring might go on for ever.
fn drain_all<W: Word>(drainer: &mut Drainer<W>, out: &mut Vec<Message>) {
    drainer.drain(64, &mut |tag, payload| {
        out.push((tag, payload.to_vec()));
        ControlFlow::Continue(())
    });
}

#[test]
fn messages_come_out_as_they_went_in_and_the_drainer_can_stop() {
    let (ring, mut drainer) = Ring::new(256);
    assert!(ring.is_empty() && !drainer.is_ready());
    ring.try_push(7, &[b"he", b"", b"llo"]).unwrap();
    ring.try_push(8, &[]).unwrap();
    ring.try_push(9, &[b"world, 9 bytes and more"]).unwrap();
    assert!(drainer.is_ready());
    assert_eq!(ring.used_bytes(), 24 + 16 + 40);

    let mut seen = Vec::new();
    let mut stop_at_8 = |tag, payload: &[u8]| {
        seen.push((tag, payload.to_vec()));
        if tag == 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(drainer.drain(0, &mut stop_at_8), 0);
    assert_eq!(drainer.drain(1, &mut stop_at_8), 1);
    assert_eq!(drainer.drain(9, &mut stop_at_8), 1);
    assert_eq!(seen, vec![(7, b"hello".to_vec()), (8, vec![])]);
    drain_all(&mut drainer, &mut seen);
    assert_eq!(seen[2], (9, b"world, 9 bytes and more".to_vec()));
    assert!(ring.is_empty() && !drainer.is_ready());
}

#[test]
fn a_full_ring_says_so_and_takes_messages_again_once_drained() {
    let (ring, mut drainer) = Ring::new(64);
    assert_eq!(ring.message_bytes_max(), 48);
    assert_eq!(ring.try_push(1, &[&[1; 48], &[1]]), Err(Full::Never));
    ring.try_push(1, &[&[1; 48]]).unwrap();
    assert_eq!(ring.try_push(2, &[]), Err(Full::Now));
    let mut seen = Vec::new();
    drain_all(&mut drainer, &mut seen);
    ring.try_push(2, &[&[2; 33]]).unwrap();
    assert_eq!(ring.try_push(3, &[]), Err(Full::Now));
    drain_all(&mut drainer, &mut seen);
    assert_eq!(seen, vec![(1, vec![1; 48]), (2, vec![2; 33])]);
}

#[test]
#[should_panic(expected = "a ring of 48 bytes")]
fn a_ring_is_a_power_of_two() {
    let _ = Ring::new(48);
}

/// Every length, cut into three parts everywhere, at every position of an 8-word ring.
#[test]
fn every_small_message_at_every_position() {
    let bytes: Vec<u8> = (1..=48).collect();
    for start in 0..8 {
        for len in 0..=48 {
            let (ring, mut drainer) = Ring::new(64);
            let mut seen = Vec::new();
            for _ in 0..start {
                // Two headers and a word of payload: three words of eight, so every start is met.
                ring.try_push(0, &[&[0xff; 8]]).unwrap();
                drain_all(&mut drainer, &mut seen);
            }
            seen.clear();
            for cut in 0..=len {
                let second = cut + (len - cut) / 3;
                let parts = [&bytes[..cut], &bytes[cut..second], &bytes[second..len]];
                ring.try_push(cut as u64, &parts).unwrap();
                drain_all(&mut drainer, &mut seen);
                assert_eq!(seen.pop(), Some((cut as u64, bytes[..len].to_vec())));
                assert!(ring.words.iter().all(|w| w.load(Ordering::Relaxed) == 0), "I2");
            }
        }
    }
}

/// A small generator, so that the twin needs no locks around chance.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn agrees_with_locked_queues_under_real_threads() {
    const PRODUCERS: usize = 3;
    const MESSAGES: u64 = 20_000;
    let (ring, mut drainer) = Ring::new(1024);
    let twins: Vec<Mutex<VecDeque<Message>>> = (0..PRODUCERS).map(|_| Mutex::default()).collect();
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (producer, twin) in twins.iter().enumerate() {
            let (ring, failed) = (&ring, &failed);
            scope.spawn(move || {
                let mut state = 0x9e37_79b9 + producer as u64;
                for _ in 0..MESSAGES {
                    let len = (next(&mut state) % 200) as usize;
                    let payload: Vec<u8> = (0..len).map(|_| next(&mut state) as u8).collect();
                    let tag = producer as u64 | next(&mut state) << 8;
                    let (a, b) = payload.split_at((next(&mut state) as usize) % (len + 1));
                    twin.lock().unwrap().push_back((tag, payload.clone()));
                    while ring.try_push(tag, &[a, b]) == Err(Full::Now) {
                        if failed.load(Ordering::Relaxed) {
                            return;
                        }
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut count = 0;
        while count < PRODUCERS as u64 * MESSAGES {
            let got = drainer.drain(17, &mut |tag, payload| {
                let producer = (tag & 0xff) as usize;
                let expected = twins[producer].lock().unwrap().pop_front();
                let same = expected.is_some_and(|(t, p)| t == tag && p == payload);
                failed.fetch_or(!same, Ordering::Relaxed);
                ControlFlow::Continue(())
            });
            if failed.load(Ordering::Relaxed) {
                break;
            }
            count += got as u64;
            if got == 0 {
                std::thread::yield_now();
            }
        }
    });
    assert!(!failed.into_inner(), "a message was lost, changed or out of its producer's order");
    assert!(ring.is_empty() && twins.iter().all(|t| t.lock().unwrap().is_empty()));
}

/// What a model's producer does: up to `tries` tries for each of its messages, in order. Returns the
/// messages that were taken. Payloads have no zero word, so that a word not seen is noticed.
fn produce<W: Word>(
    ring: &Ring<W>,
    producer: u64,
    messages: u64,
    tries: usize,
    payload_words: usize,
    pause: fn(),
) -> Vec<Message> {
    let mut taken = Vec::new();
    for n in 1..=messages {
        let tag = producer << 32 | n;
        let payload = ((tag * 0x0101_0101) | (1 << 60)).to_le_bytes().repeat(payload_words);
        for _ in 0..tries {
            if ring.try_push(tag, &[&payload]).is_ok() {
                taken.push((tag, payload));
                break;
            }
            pause();
        }
    }
    taken
}

/// What was drained is what was taken, each producer's messages in order, and the ring is clean.
fn check<W: Word>(ring: &Ring<W>, drained: &[Message], taken: &[Vec<Message>]) {
    for messages in taken {
        let Some((tag, _)) = messages.first() else { continue };
        let of_producer: Vec<&Message> =
            drained.iter().filter(|(t, _)| t >> 32 == tag >> 32).collect();
        assert_eq!(of_producer, messages.iter().collect::<Vec<_>>());
    }
    assert_eq!(drained.len(), taken.iter().map(Vec::len).sum::<usize>());
    assert!(ring.is_empty());
}

/// A ring of `bytes`, through which `first` messages went before, then two producers with `messages`
/// messages of `payload_words` each, and a drainer that looks twice while they push.
#[derive(Clone, Copy)]
struct Model {
    bytes: usize,
    first: usize,
    messages: u64,
    payload_words: usize,
    /// How often a thread may be taken off at a place where it could go on.
    preemptions: usize,
}

impl Model {
    /// Runs every schedule; returns how many there were.
    fn check<W: Word + 'static>(self) -> usize {
        let Model { bytes, first, messages, payload_words, preemptions } = self;
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        let schedules = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&schedules);
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            let (ring, mut drainer) = Ring::<W>::with_words(bytes);
            let mut drained = Vec::new();
            for _ in 0..first {
                assert_eq!(produce(&ring, 9, 1, 1, payload_words, || ()).len(), 1);
                drain_all(&mut drainer, &mut drained);
            }
            assert_eq!(drained.len(), first);
            drained.clear();
            let producers: Vec<_> = (0..2)
                .map(|producer| {
                    let ring = Arc::clone(&ring);
                    loom::thread::spawn(move || {
                        produce(&ring, producer, messages, 1, payload_words, || ())
                    })
                })
                .collect();
            drain_all(&mut drainer, &mut drained);
            loom::thread::yield_now();
            drain_all(&mut drainer, &mut drained);
            let taken: Vec<_> = producers.into_iter().map(|p| p.join().unwrap()).collect();
            drain_all(&mut drainer, &mut drained);
            check(&ring, &drained, &taken);
        });
        schedules.load(Ordering::Relaxed)
    }
}

type LoomWord = loom::sync::atomic::AtomicU64;

#[test]
fn loom_with_room_for_all() {
    let model = Model { bytes: 64, first: 0, messages: 1, payload_words: 1, preemptions: 4 };
    assert!(model.check::<LoomWord>() > 1000, "the model lost its schedules");
}

/// The second message begins at word 6 of 8; four messages of three words do not fit at once.
#[test]
fn loom_two_messages_each_wrapping_and_full() {
    let model = Model { bytes: 64, first: 1, messages: 2, payload_words: 1, preemptions: 3 };
    assert!(model.check::<LoomWord>() > 1000, "the model lost its schedules");
}

/// Each message is one word short of the ring, and begins at word 3 of 4.
#[test]
fn loom_one_message_fills_the_ring_and_wraps() {
    let model = Model { bytes: 32, first: 1, messages: 1, payload_words: 1, preemptions: 4 };
    assert!(model.check::<LoomWord>() > 1000, "the model lost its schedules");
}

/// A word of a broken ring: `RELAXED` publishes without Release, otherwise nothing is zeroed.
#[derive(Debug)]
struct Mutant<const RELAXED: bool>(LoomWord);

impl<const RELAXED: bool> Word for Mutant<RELAXED> {
    fn new(value: u64) -> Self {
        Mutant(LoomWord::new(value))
    }

    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        match (RELAXED, value) {
            (true, _) => self.0.store(value, Ordering::Relaxed),
            (false, 0) => {}
            (false, _) => self.0.store(value, order),
        }
    }

    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.0.compare_exchange(current, new, success, failure)
    }
}

#[test]
#[should_panic(expected = "left == right")]
fn loom_sees_a_ring_that_publishes_relaxed() {
    Model { bytes: 64, first: 0, messages: 1, payload_words: 1, preemptions: 2 }
        .check::<Mutant<true>>();
}

#[test]
#[should_panic(expected = "left == right")]
fn loom_sees_a_ring_that_does_not_zero() {
    Model { bytes: 32, first: 1, messages: 1, payload_words: 2, preemptions: 2 }
        .check::<Mutant<false>>();
}

/// Schedules with priorities changed at three places (PCT), which finds what needs many steps.
#[test]
fn shuttle_three_producers_on_a_small_ring() {
    type ShuttleWord = shuttle::sync::atomic::AtomicU64;
    const MESSAGES: usize = 4;
    const SCHEDULES: usize = 100_000;
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    shuttle::check_pct(
        move || {
            let (ring, mut drainer) = Ring::<ShuttleWord>::with_words(64);
            let producers: Vec<_> = (0..3)
                .map(|producer| {
                    let ring = Arc::clone(&ring);
                    let pause = shuttle::thread::yield_now;
                    shuttle::thread::spawn(move || {
                        produce(&ring, producer, MESSAGES as u64, 3, 2, pause)
                    })
                })
                .collect();
            let mut drained = Vec::new();
            for _ in 0..6 {
                drain_all(&mut drainer, &mut drained);
                shuttle::thread::yield_now();
            }
            let taken: Vec<_> = producers.into_iter().map(|p| p.join().unwrap()).collect();
            drain_all(&mut drainer, &mut drained);
            check(&ring, &drained, &taken);
            counter.fetch_add(3 * MESSAGES - drained.len(), Ordering::Relaxed);
        },
        SCHEDULES,
        3,
    );
    let refused = refused.load(Ordering::Relaxed);
    assert!(
        (1..SCHEDULES * 3 * MESSAGES / 2).contains(&refused),
        "{refused} refusals: too few or many"
    );
}
