//! The budget of items that all negentropy sessions of a relay share, whatever thread they are on.
//!
//! B1. What is charged is given back when the charge is dropped, so that no end of a session can forget it.

use super::limits::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many items all sessions of a relay may hold.
#[derive(Default)]
pub(super) struct ItemBudget {
    used: AtomicUsize,
    max: usize,
}

impl ItemBudget {
    pub(super) fn new(limits: &Limits) -> ItemBudget {
        ItemBudget { used: AtomicUsize::new(0), max: limits.negentropy_items_total }
    }

    /// How many there may be in all.
    pub(super) fn max(&self) -> usize {
        self.max
    }
}

/// What one session holds of a budget.
pub(super) struct Charge {
    budget: Arc<ItemBudget>,
    items: usize,
}

impl Charge {
    /// Nothing yet.
    pub(super) fn of(budget: &Arc<ItemBudget>) -> Charge {
        Charge { budget: budget.clone(), items: 0 }
    }

    /// Takes so many more; false if they are not there.
    pub(super) fn grow(&mut self, items: usize) -> bool {
        let more = |used: usize| used.checked_add(items).filter(|used| *used <= self.budget.max);
        let taken = self.budget.used.fetch_update(Relaxed, Relaxed, more).is_ok();
        self.items += if taken { items } else { 0 };
        taken
    }

    /// Gives back all but so many.
    pub(super) fn settle(&mut self, items: usize) {
        self.budget.used.fetch_sub(self.items.saturating_sub(items), Relaxed);
        self.items = self.items.min(items);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_overdrawn_and_always_given_back() {
        let budget = Arc::new(ItemBudget { used: AtomicUsize::new(0), max: 10 });
        let charge = || Charge::of(&budget);
        let (mut one, mut two) = (charge(), charge());
        assert!(one.grow(6) && !two.grow(6) && two.grow(4) && !one.grow(1));
        one.settle(2);
        assert!(two.grow(4) && !two.grow(1));
        drop(two);
        assert_eq!(budget.used.load(Relaxed), 2);
        drop(one);
        assert_eq!(budget.used.load(Relaxed), 0);
    }
}
