//! What syslog's sockets share: messages become records of a batch, and batches are appended one after the other.
//!
//! ```text
//!   message --take--> filling, at most batch_bytes --+ swapped when the one before is durable
//!                                  appending <-------+ --> LogStore
//! ```
//!
//! I1. A batch is what came while the one before was appended: nothing waits for more to come.
//! I2. Whoever has no [`room`](Sink::room) reads nothing, so that a slow store slows streams.
//! I3. While the disk is full a batch is tried again, and nothing is read meanwhile: streams are slowed, and datagrams
//!     dropped by the kernel, which counts them. Of a batch of several groups some may be stored twice by that.
//! I4. A store that failed stays failed: nothing is acknowledged in syslog, so streams are closed and datagrams
//!     counted as dropped.

use super::batch::Batch;
use super::config::Config;
use super::names::Sources;
use super::stats::{Dropped, Stats, Way};
use super::syslog::message::{Head, trimmed};
use super::syslog::template::Template;
use crate::base::{Error, Result};
use crate::io::Clock;
use crate::logs::LogStore;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// How far ahead of its arrival a message's time may be: one whose clock is set to another zone. Beyond, a clock is
/// not set, and its records would be in the way of every retention by age.
const AHEAD_MICROS_MAX: u64 = 86_400_000_000;

/// The pause between two tries on a full disk, where the store looks for space as often.
const AGAIN: Duration = Duration::from_secs(1);

/// One thread's records of syslog.
pub(super) struct Sink {
    store: Arc<LogStore>,
    stats: Arc<Stats>,
    clock: Arc<dyn Clock>,
    template: Template,
    batch_bytes: usize,
    /// Shared with who asks whether the collector is ready.
    failed: Arc<AtomicBool>,
    state: RefCell<State>,
    arrived: Notify,
    room: Notify,
    broken: Notify,
}

#[derive(Default)]
struct State {
    filling: Batch,
    /// How many of the records that are filled in came by each way, with their bytes.
    of_tcp: (usize, usize),
    sources: Sources,
    name: String,
    is_ended: bool,
}

impl Sink {
    pub(super) fn new(
        store: Arc<LogStore>,
        stats: Arc<Stats>,
        config: &Config,
        failed: Arc<AtomicBool>,
    ) -> Sink {
        let clock = store.engine().env().clock.clone();
        let template = config.source.clone();
        let batch_bytes = config.limits.batch_bytes;
        let (state, arrived) = (RefCell::default(), Notify::new());
        let (room, broken) = (Notify::new(), Notify::new());
        Sink { store, stats, clock, template, batch_bytes, failed, state, arrived, room, broken }
    }

    pub(super) fn is_full(&self) -> bool {
        self.state.borrow().filling.memory_bytes() >= self.batch_bytes
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Waits until there is room for what one socket has to read; false if the store has failed.
    pub(super) async fn room(&self) -> bool {
        loop {
            // Before looking, so that no notice is missed.
            let room = self.room.notified();
            if self.has_failed() {
                return false;
            }
            if !self.is_full() {
                return true;
            }
            room.await;
        }
    }

    /// Returns when the store has failed.
    pub(super) async fn failure(&self) {
        // Before looking, so that no notice is missed.
        let broken = self.broken.notified();
        if !self.has_failed() {
            broken.await;
        }
    }

    /// Takes a message that came from there.
    pub(super) fn take(&self, message: &[u8], from: IpAddr, way: Way) {
        let message = trimmed(message);
        if message.is_empty() {
            return self.stats.dropped(Dropped::Empty, 1);
        }
        if self.has_failed() {
            return self.stats.dropped(Dropped::Failed, 1);
        }
        let head = Head::of(message);
        let now = self.clock.unix_micros();
        let said = head.micros.filter(|micros| *micros <= now.saturating_add(AHEAD_MICROS_MAX));
        let mut state = self.state.borrow_mut();
        let State { filling, of_tcp, sources, name, .. } = &mut *state;
        self.template.write(&head, from, name);
        filling.push(said.unwrap_or(now), sources.named(name), message);
        if way == Way::SyslogTcp {
            *of_tcp = (of_tcp.0 + 1, of_tcp.1 + message.len());
        }
        self.arrived.notify_one();
    }

    /// Counts a message that was longer than it may be.
    pub(super) fn cut(&self) {
        self.stats.cut();
    }

    /// No more messages come: [`Sink::run`] ends when all are stored.
    pub(super) fn end(&self) {
        self.state.borrow_mut().is_ended = true;
        self.arrived.notify_one();
    }

    /// Appends what comes until the end.
    pub(super) async fn run(&self) {
        let mut appending = Batch::default();
        while let Some(of_tcp) = self.next(&mut appending).await {
            self.room.notify_waiters();
            let begin = self.clock.monotonic_nanos();
            let appended = self.append(&appending).await;
            let (records, bytes) = (appending.len(), appending.raw_bytes());
            match appended {
                Ok(()) => {
                    self.stats.appended(self.clock.monotonic_nanos().saturating_sub(begin));
                    self.stats.stored(Way::SyslogTcp, of_tcp.0, of_tcp.1);
                    self.stats.stored(Way::SyslogUdp, records - of_tcp.0, bytes - of_tcp.1);
                }
                Err(error) => {
                    self.stats.dropped(Dropped::Failed, records);
                    self.failed.store(true, Relaxed);
                    tracing::error!(%error, records, "syslog messages cannot be stored");
                    self.room.notify_waiters();
                    self.broken.notify_waiters();
                }
            }
            appending.clear();
        }
    }

    /// Appends a batch, again and again while the disk is full, until the end (I3).
    async fn append(&self, batch: &Batch) -> Result<()> {
        loop {
            let appended = batch.append(&self.store).await;
            let is_full = appended.as_ref().is_err_and(Error::is_disk_full);
            if !is_full || self.state.borrow().is_ended {
                return appended;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Waits for records and moves them into `batch`, which is empty; `None` at the end.
    async fn next(&self, batch: &mut Batch) -> Option<(usize, usize)> {
        loop {
            {
                let mut state = self.state.borrow_mut();
                if !state.filling.is_empty() {
                    std::mem::swap(&mut state.filling, batch);
                    return Some(std::mem::take(&mut state.of_tcp));
                }
                if state.is_ended {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}
