//! What the loom models of several floors need: how far they explore, where their threads sleep, and atomics that loom
//! takes for sequentially consistent.

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use loom::sync::{Condvar, Mutex};
use std::ops::Deref;
use std::sync::Arc;
use std::task::Wake;

/// Runs every schedule of `model` with up to three preemptions.
pub fn explore(model: impl Fn() + Sync + Send + 'static) {
    explore_with(3, model);
}

/// Runs every schedule of `model` with up to so many preemptions.
pub fn explore_with(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Where a thread sleeps until it is woken; a wake that comes first is kept. One that never comes is a deadlock, which
/// loom reports.
#[derive(Debug, Default)]
pub struct Bed {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Bed {
    /// Sleeps until the next wake, unless it has come.
    pub fn sleep(&self) {
        let mut is_woken = self.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }

    /// Takes a wake that has come.
    pub fn rise(&self) {
        *self.is_woken.lock().unwrap() = false;
    }

    /// Ends the sleep, or keeps the next from beginning.
    pub fn ring(&self) {
        *self.is_woken.lock().unwrap() = true;
        self.woken.notify_one();
    }
}

impl Wake for Bed {
    fn wake(self: Arc<Bed>) {
        self.ring();
    }
}

/// An atomic that begins with a store. With loom a `SeqCst` load sees the last of the `SeqCst` stores, as it must; but in
/// place of them all it may see the value that the atomic was made with, which is no store.
macro_rules! begun {
    ($name:ident, $atomic:ident, $value:ty) => {
        #[derive(Debug)]
        pub struct $name($atomic);

        impl $name {
            pub fn new(value: $value) -> $name {
                let atomic = $atomic::new(value);
                atomic.store(value, SeqCst);
                $name(atomic)
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new(<$value>::default())
            }
        }

        impl Deref for $name {
            type Target = $atomic;

            fn deref(&self) -> &$atomic {
                &self.0
            }
        }
    };
}

begun!(BegunBool, AtomicBool, bool);
begun!(BegunU32, AtomicU32, u32);
