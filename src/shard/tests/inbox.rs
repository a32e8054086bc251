//! Who waits for room is woken, whoever makes it: the shard here is a drainer that the tests turn by hand.

use crate::base::{Key, Result};
use crate::model::Record;
use crate::shard::Outcome;
use crate::shard::inbox::Inbox;
use crate::shard::ticket::{Ticket, block_on};
use crate::wal::{Drainer, Ring};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

const RECORD: Record<'static> = Record { key: Key { time: 1, id: [7; 32] }, body: b"body" };

fn inbox(ring_bytes: usize, in_flight: usize) -> (Inbox, Drainer) {
    let (ring, drainer) = Ring::new(ring_bytes);
    (Inbox::new(ring, in_flight), drainer)
}

/// A turn of the shard: everything is taken in, answered, and room is said to be made.
fn turn(inbox: &Inbox, drainer: &mut Drainer) -> usize {
    let mut tickets = Vec::new();
    drainer.drain(64, &mut |tag, _| {
        tickets.push(tag as u32);
        ControlFlow::Continue(())
    });
    inbox.made_room();
    tickets.iter().for_each(|&ticket| inbox.tickets.answer(ticket, Ok(Outcome::Duplicate)));
    inbox.made_room();
    tickets.len()
}

/// Polls for room with a waker that counts.
fn poll(inbox: &Inbox, woken: &Arc<Woken>) -> Poll<Result<Ticket>> {
    inbox.poll_insert(RECORD, &mut Context::from_waker(&woken.clone().into()))
}

#[test]
fn a_ticket_that_is_given_back_after_the_shard_fell_asleep_wakes_who_waits_for_it() {
    let ways: [fn(Ticket); 3] =
        [|ticket| assert!(ticket.wait().is_ok()), |ticket| assert!(block_on(ticket).is_ok()), drop];
    for give_back in ways {
        let (inbox, mut drainer) = inbox(4096, 1);
        let ticket = inbox.try_insert(RECORD).unwrap().unwrap();
        let woken = Arc::new(Woken::default());
        assert!(poll(&inbox, &woken).is_pending());
        assert_eq!(turn(&inbox, &mut drainer), 1);
        // Told by the shard, and there is still no ticket.
        assert_eq!(woken.0.swap(0, SeqCst), 1);
        assert!(poll(&inbox, &woken).is_pending());
        assert_eq!(turn(&inbox, &mut drainer), 0);
        woken.0.store(0, SeqCst);
        assert!(poll(&inbox, &woken).is_pending());
        // The shard does nothing more by itself.
        give_back(ticket);
        assert_eq!(woken.0.load(SeqCst), 1);
        assert!(poll(&inbox, &woken).is_ready());
    }
}

#[test]
fn an_answer_to_nobody_wakes_who_waits_for_the_ticket() {
    let (inbox, mut drainer) = inbox(4096, 1);
    drop(inbox.try_insert(RECORD).unwrap().unwrap());
    let woken = Arc::new(Woken::default());
    assert!(poll(&inbox, &woken).is_pending());
    turn(&inbox, &mut drainer);
    assert!(woken.0.load(SeqCst) > 0 && poll(&inbox, &woken).is_ready());
}

#[test]
fn who_finds_the_ring_full_does_not_wake_itself_for_ever() {
    let (inbox, mut drainer) = inbox(64, 8);
    let mut held = Vec::new();
    while let Some(ticket) = inbox.try_insert(RECORD).unwrap() {
        held.push(ticket);
    }
    assert!(held.len() < 8, "the ring is what is full");
    let woken = Arc::new(Woken::default());
    (0..5).for_each(|_| assert!(poll(&inbox, &woken).is_pending()));
    assert_eq!(woken.0.load(SeqCst), 0);
    turn(&inbox, &mut drainer);
    assert!(woken.0.load(SeqCst) > 0 && poll(&inbox, &woken).is_ready());
}

/// Tries again as soon as it is woken, on the thread that wakes it.
struct AtOnce(Arc<Inbox>);

impl std::task::Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let again = self.0.poll_insert(RECORD, &mut Context::from_waker(Waker::noop()));
        assert!(again.is_pending());
    }
}

#[test]
fn who_is_woken_in_vain_may_register_again_at_once() {
    let (inbox, _drainer) = inbox(64, 1);
    let inbox = Arc::new(inbox);
    let _held = inbox.try_insert(RECORD).unwrap().unwrap();
    let waker = Waker::from(Arc::new(AtOnce(inbox.clone())));
    assert!(inbox.poll_insert(RECORD, &mut Context::from_waker(&waker)).is_pending());
    inbox.made_room();
}

#[test]
fn more_callers_than_tickets_all_get_through_blocking_and_as_futures() {
    const CALLERS: usize = 6;
    const EACH: usize = 300;
    let (inbox, mut drainer) = inbox(4096, 2);
    std::thread::scope(|s| {
        for caller in 0..CALLERS {
            let inbox = &inbox;
            s.spawn(move || {
                for n in 0..EACH {
                    let ticket = match caller % 2 {
                        0 => {
                            inbox.until_room(|context| inbox.poll_insert(RECORD, context)).unwrap()
                        }
                        _ => block_on(poll_fn(|cx| inbox.poll_insert(RECORD, cx))).unwrap(),
                    };
                    if n % 7 == 0 { drop(ticket) } else { drop(ticket.wait()) }
                }
            });
        }
        let mut answered = 0;
        while answered < CALLERS * EACH {
            answered += turn_if_any(&inbox, &mut drainer);
        }
    });
}

/// As [`turn`], but asleep, telling nobody anything, while there is no message.
fn turn_if_any(inbox: &Inbox, drainer: &mut Drainer) -> usize {
    match drainer.is_ready() {
        true => turn(inbox, drainer),
        false => {
            std::thread::yield_now();
            0
        }
    }
}
