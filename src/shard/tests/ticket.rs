//! Tickets by hand: answers, the reserve, what is dropped.

use crate::shard::Outcome;
use crate::shard::ticket::{RESERVE, Ticket, Tickets};

#[test]
fn an_answer_reaches_its_waiter_and_the_slot_comes_back() {
    let tickets = Tickets::new(1);
    for seq in 1..4 {
        let ticket = tickets.take().unwrap();
        assert!(tickets.take().is_none());
        let number = ticket.number();
        std::thread::scope(|s| {
            s.spawn(|| tickets.answer(number, Ok(Outcome::Stored { seq, replaced: 0 })));
            assert_eq!(ticket.wait().unwrap(), Outcome::Stored { seq, replaced: 0 });
        });
    }
}

#[test]
fn the_reserve_is_there_when_callers_hold_all() {
    let tickets = Tickets::new(2);
    let held = [tickets.take().unwrap(), tickets.take().unwrap()];
    assert!(tickets.take().is_none());
    let own: Vec<Ticket> = std::iter::from_fn(|| tickets.take_reserved()).collect();
    assert_eq!(own.len(), RESERVE as usize);
    own.into_iter().for_each(Ticket::cancel);
    assert!(tickets.take().is_none() && tickets.take_reserved().is_some());
    held.into_iter().for_each(Ticket::cancel);
    assert!(tickets.take().is_some());
}

#[test]
fn a_dropped_ticket_keeps_its_slot_until_the_answer() {
    let tickets = Tickets::new(1);
    let number = tickets.take().unwrap().number();
    assert!(tickets.take().is_none());
    tickets.answer(number, Ok(Outcome::Duplicate));
    tickets.take().unwrap().cancel();
    let ticket = tickets.take().unwrap();
    tickets.answer(ticket.number(), Ok(Outcome::Duplicate));
    drop(ticket);
    assert!(tickets.take().is_some());
}
