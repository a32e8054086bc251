//! Slices: order, ends, errors, backpressure, and dropping at every point.

use super::*;
use crate::query::Large;
use crate::shard::block_on;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts up to `to`, `each` a slice, and then ends, fails, or is idle.
struct Counter {
    at: usize,
    to: usize,
    each: usize,
    then: fn() -> Result<Next>,
    made: Arc<AtomicUsize>,
    alive: Arc<()>,
}

impl Produce for Counter {
    type Item = usize;

    fn slice(&mut self, out: &mut Vec<usize>) -> Result<Next> {
        self.made.fetch_add(1, SeqCst);
        let end = (self.at + self.each).min(self.to);
        out.extend(self.at..end);
        self.at = end;
        if end == self.to { (self.then)() } else { Ok(Next::More) }
    }
}

fn counter(to: usize, each: usize, then: fn() -> Result<Next>) -> Counter {
    Counter { at: 0, to, each, then, made: Arc::default(), alive: Arc::new(()) }
}

fn next<P: Produce>(slices: &mut Slices<P>) -> Option<Result<P::Item>> {
    block_on(poll_fn(|context| slices.poll_next(context)))
}

#[test]
fn everything_comes_once_in_order_and_then_the_end() {
    for readers in [0, 1, 2] {
        let readers = Readers::start(readers, Large::default());
        for (to, each) in [(0, 1), (1, 1), (10, 3), (1000, 7)] {
            let made = counter(to, each, || Ok(Next::End));
            let mut slices = Slices::new(&readers, |_| made);
            let got: Vec<usize> =
                std::iter::from_fn(|| next(&mut slices)).map(Result::unwrap).collect();
            assert_eq!(got, (0..to).collect::<Vec<_>>());
            assert!(next(&mut slices).is_none());
        }
    }
}

#[test]
fn an_error_comes_behind_what_was_made_and_once() {
    for readers in [0, 1] {
        let readers = Readers::start(readers, Large::default());
        let made = counter(5, 2, || Err(Error::Closed));
        let mut slices = Slices::new(&readers, |_| made);
        for n in 0..5 {
            assert_eq!(next(&mut slices).unwrap().unwrap(), n);
        }
        assert!(next(&mut slices).unwrap().is_err() && next(&mut slices).is_none());
    }
}

/// Nothing is made beyond what is ahead, however long the consumer waits: the reader has done its last job when
/// a job given later is done.
#[test]
fn a_consumer_that_does_not_take_stops_the_work() {
    let readers = Readers::start(1, Large::default());
    let made = counter(usize::MAX, 1, || Ok(Next::End));
    let count = Arc::clone(&made.made);
    let mut slices = Slices::new(&readers, |_| made);
    let settled = || {
        for _ in 0..SLICES_AHEAD + 1 {
            block_on(crate::query::Task::new(&readers, || Ok(()))).unwrap();
        }
        count.load(SeqCst)
    };
    assert_eq!(settled(), SLICES_AHEAD);
    for taken in 1..50 {
        assert_eq!(next(&mut slices).unwrap().unwrap(), taken - 1);
        assert_eq!(settled(), SLICES_AHEAD + taken);
    }
}

#[test]
fn dropping_at_any_point_drops_the_producer() {
    for readers in [0, 1, 2] {
        for take in 0..40 {
            let readers = Readers::start(readers, Large::default());
            let made = counter(30, 4, || Ok(Next::Idle));
            let alive = Arc::downgrade(&made.alive);
            let mut slices = Slices::new(&readers, |_| made);
            for _ in 0..take.min(30) {
                next(&mut slices).unwrap().unwrap();
            }
            if take > 30 {
                let mut context = Context::from_waker(Waker::noop());
                assert!(slices.poll_next(&mut context).is_pending());
            }
            drop(slices);
            drop(readers); // joins: a slice under way is over
            assert!(alive.upgrade().is_none(), "after {take}");
        }
    }
}

#[test]
fn an_idle_producer_goes_on_when_the_bell_rings() {
    for readers in [0, 1] {
        let readers = Readers::start(readers, Large::default());
        let mut made = counter(1, 1, || Ok(Next::Idle));
        made.to = 1;
        let mut slices = Slices::new(&readers, |_| Step(made));
        assert_eq!(next(&mut slices).unwrap().unwrap(), 0);
        for n in 1..20 {
            let mut context = Context::from_waker(Waker::noop());
            assert!(slices.poll_next(&mut context).is_pending());
            let bell = Arc::clone(&slices.bell);
            let ringer = crate::io::threads::spawn("ringer", move || bell.wake());
            assert_eq!(next(&mut slices).unwrap().unwrap(), n);
            ringer.join().unwrap();
        }
    }
}

/// One more item each time it is woken.
struct Step(Counter);

impl Produce for Step {
    type Item = usize;

    fn slice(&mut self, out: &mut Vec<usize>) -> Result<Next> {
        let next = self.0.slice(out);
        self.0.to += 1;
        next
    }
}

#[test]
fn a_stream_that_outlives_its_readers_says_that_the_store_is_closed() {
    let readers = Readers::start(1, Large::default());
    let made = counter(usize::MAX, 1, || Ok(Next::End));
    let mut slices = Slices::new(&readers, |_| made);
    next(&mut slices).unwrap().unwrap();
    drop(readers);
    let rest: Vec<_> = std::iter::from_fn(|| next(&mut slices)).collect();
    assert!(rest.len() <= SLICES_AHEAD + 2);
    assert!(matches!(rest.last(), Some(Err(Error::Closed))));
}
