//! The service: a thread that applies the rules now and then, as long as somebody keeps the store.
//!
//! I1. It keeps the store only while it works, so that dropping the store ends it.

use super::LogRetention;
use crate::base::Error;
use crate::io::threads::{self, Thread};
use crate::logs::LogStore;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A running service. Dropping it waits for the end of a run.
pub struct LogRetainer {
    // Dropped before the thread, which it ends.
    _wake: Sender<()>,
    _thread: Thread<()>,
}

impl LogRetainer {
    /// How long the default lets pass between two runs.
    pub const INTERVAL: Duration = Duration::from_secs(60);

    /// Starts a thread that applies `rules` to `log` at once, and then in every `interval`.
    pub fn start(log: &Arc<LogStore>, rules: LogRetention, interval: Duration) -> LogRetainer {
        let (wake, woken) = bounded(0);
        let log = Arc::downgrade(log);
        let thread = threads::spawn("ratite-retain", move || run(&log, &rules, interval, &woken));
        LogRetainer { _wake: wake, _thread: thread }
    }
}

fn run(log: &Weak<LogStore>, rules: &LogRetention, interval: Duration, woken: &Receiver<()>) {
    threads::lower_priority_current();
    while let Some(log) = log.upgrade() {
        if let Err(error) = once(&log, rules) {
            match error {
                Error::Closed | Error::Poisoned { .. } => return,
                error => tracing::warn!(code = error.code(), "retention: {error}"),
            }
        }
        drop(log); // I1
        match woken.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

fn once(log: &LogStore, rules: &LogRetention) -> crate::base::Result<()> {
    let gone = log.retain(rules, log.engine().env().clock.unix_micros())?;
    if !gone.segments.is_empty() {
        let (segments, records, bytes) = (gone.segments.len(), gone.records(), gone.bytes());
        tracing::info!(segments, records, bytes, "retention dropped segments");
    }
    Ok(())
}
