//! The atomic word that the ring is built of, so that the ring's real code runs under model checkers.
//!
//! In production a [`Word`] is `std`'s `AtomicU64`. Under test it is also loom's, which knows the
//! weak memory model, and shuttle's, which schedules many more threads; both run the code of
//! `ring.rs` itself, not a copy. Only what the ring uses is in the trait.

use std::sync::atomic::Ordering;

/// An atomic `u64`.
pub trait Word: Send + Sync {
    /// A word that holds `value`.
    fn new(value: u64) -> Self;
    /// Reads it.
    fn load(&self, order: Ordering) -> u64;
    /// Writes it.
    fn store(&self, value: u64, order: Ordering);
    /// Replaces `current` by `new`; may fail without reason. The error is what it holds.
    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64>;
}

/// Forwards to the methods of the same names.
macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn new(value: u64) -> Self {
                <$atomic>::new(value)
            }

            fn load(&self, order: Ordering) -> u64 {
                <$atomic>::load(self, order)
            }

            fn store(&self, value: u64, order: Ordering) {
                <$atomic>::store(self, value, order);
            }

            fn compare_exchange_weak(
                &self,
                current: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                <$atomic>::compare_exchange_weak(self, current, new, success, failure)
            }
        }
    };
}

word!(std::sync::atomic::AtomicU64);
#[cfg(test)]
word!(loom::sync::atomic::AtomicU64);
#[cfg(test)]
word!(shuttle::sync::atomic::AtomicU64);
