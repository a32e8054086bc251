//! The service: a thread that applies the rules now and then, as long as somebody keeps the store.
//!
//! ```text
//!   every second:  time for a run?  or  live bytes above what a rule for the disk allows?  --> apply
//! ```
//!
//! V1. It keeps the store only while it works, so that dropping the store ends it.

use super::apply::{Limits, apply};
use super::keep::live_bytes_max;
use super::rule::{Keep, Rules};
use crate::base::{Error, Result};
use crate::io::threads::{self, Thread};
use crate::store::Store;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the figures of the disk are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A running service. Dropping it stops a run between two groups, and waits for that.
pub struct Retention {
    stop: Arc<AtomicBool>,
    // Dropped before the thread, which it ends.
    _wake: Sender<()>,
    _thread: Thread<()>,
}

impl Retention {
    /// How long the default lets pass between two runs.
    pub const INTERVAL: Duration = Duration::from_secs(60);

    /// Starts a thread that applies `rules` to `store` at once, and then in every `interval`; sooner while the records
    /// take more of the disk than a rule allows. Times of records are taken to be seconds since the Unix epoch.
    pub fn start<S: AsRef<Store> + Send + Sync + 'static>(
        store: &Arc<S>,
        rules: Rules,
        interval: Duration,
        limits: Limits,
    ) -> Retention {
        let stop = Arc::new(AtomicBool::new(false));
        let (wake, woken) = bounded(0);
        let service = Service { store: Arc::downgrade(store), rules, limits, stop: stop.clone() };
        let thread = threads::spawn("ratite-retain", move || service.run(&woken, interval));
        Retention { stop, _wake: wake, _thread: thread }
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

struct Service<S> {
    store: Weak<S>,
    rules: Rules,
    limits: Limits,
    stop: Arc<AtomicBool>,
}

impl<S: AsRef<Store>> Service<S> {
    fn run(&self, woken: &Receiver<()>, interval: Duration) {
        threads::lower_priority_current();
        // Monotonic time of the next run; and what the records took after the last one.
        let (mut next, mut after) = (0, 0);
        while let Some(store) = self.store.upgrade() {
            let store_ref = (*store).as_ref();
            let clock = store_ref.env().clock.clone();
            if clock.monotonic_nanos() >= next || self.is_over(store_ref, after) {
                match self.once(store_ref) {
                    Ok(()) => {}
                    Err(Error::Closed | Error::Poisoned { .. }) => return,
                    Err(error) => tracing::warn!(code = error.code(), "retention: {error}"),
                }
                next = clock.monotonic_nanos() + interval.as_nanos() as u64;
                after = store_ref.space().live_bytes;
            }
            drop(store); // V1
            match woken.recv_timeout(LOOK.min(interval)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// Whether the records take more than a rule for the disk allows, and more than a run left.
    fn is_over(&self, store: &Store, after: u64) -> bool {
        let space = store.space();
        self.rules.rules.iter().any(|rule| match rule.keep {
            Keep::DiskBytes(bytes) => {
                space.live_bytes > live_bytes_max(bytes, space.garbage_percent).max(after)
            }
            _ => false,
        })
    }

    fn once(&self, store: &Store) -> Result<()> {
        let now = store.env().clock.unix_micros() / 1_000_000;
        let report = apply(store, &self.rules, now, self.limits, &self.stop)?;
        if report.removed() > 0 {
            let (removed, expired) = (report.removed(), report.expired);
            tracing::info!(removed, expired, ended = report.ended, "retention removed records");
        }
        Ok(())
    }
}
