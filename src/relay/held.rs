//! How much of something clients make the relay hold, one of them or all of a thread: values of filters, bytes of events
//! under way.
//!
//! H1. What is held is given back when it is dropped, so that no end of a request or a connection can forget it.

use super::limits::{INCOMING_BYTES_FEW, INCOMING_BYTES_MAX};
use std::cell::Cell;
use std::rc::Rc;

/// A sum.
#[derive(Clone, Default)]
pub(super) struct Tally(Rc<Cell<usize>>);

/// What one request or write holds.
pub(super) struct Held {
    tallies: [Tally; 2],
    amount: usize,
}

impl Tally {
    /// So much more, of this and of another one.
    pub(super) fn hold(&self, other: &Tally, amount: usize) -> Held {
        let tallies = [self.clone(), other.clone()];
        tallies.iter().for_each(|tally| tally.0.set(tally.0.get() + amount));
        Held { tallies, amount }
    }

    pub(super) fn sum(&self) -> usize {
        self.0.get()
    }
}

/// Bytes of one client that came in since its last whole message.
pub(super) struct Halves {
    all: Tally,
    own: Cell<usize>,
}

impl Halves {
    /// None yet, of all that clients of a thread have sent half.
    pub(super) fn of(all: &Tally) -> Rc<Halves> {
        Rc::new(Halves { all: all.clone(), own: Cell::new(0) })
    }

    /// So many more; false if all together are too many, and this client's are not few.
    pub(super) fn add(&self, bytes: usize) -> bool {
        self.own.set(self.own.get() + bytes);
        self.all.0.set(self.all.0.get() + bytes);
        self.all.sum() <= INCOMING_BYTES_MAX || self.own.get() <= INCOMING_BYTES_FEW
    }

    /// A message is whole.
    pub(super) fn is_whole(&self) {
        self.all.0.set(self.all.0.get() - self.own.take());
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        self.is_whole();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tallies.iter().for_each(|tally| tally.0.set(tally.0.get() - self.amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let [all, one, two] = [(); 3].map(|()| Tally::default());
        let (first, second) = (all.hold(&one, 3), all.hold(&two, 4));
        assert_eq!((all.sum(), one.sum(), two.sum()), (7, 3, 4));
        drop(first);
        assert_eq!((all.sum(), one.sum(), two.sum()), (4, 0, 4));
        drop(second);
        assert_eq!(all.sum() + two.sum(), 0);
    }

    #[test]
    fn when_all_have_sent_too_much_by_halves_few_bytes_are_still_taken() {
        let all = Tally::default();
        let (much, few) = (Halves::of(&all), Halves::of(&all));
        assert!(much.add(INCOMING_BYTES_MAX) && few.add(100) && !much.add(1));
        assert!(few.add(INCOMING_BYTES_FEW - 100) && !few.add(1));
        few.is_whole();
        assert_eq!(all.sum(), INCOMING_BYTES_MAX + 1);
        assert!(few.add(9));
        drop(much);
        assert!(few.add(INCOMING_BYTES_FEW));
        drop(few);
        assert_eq!(all.sum(), 0);
    }
}
