//! What is measured of a running relay and its store, and how both are.
//!
//! ```text
//!   counters, histograms of each thread --+
//!   figures of shards, pool, memory ------+--> Vitals --> text      /metrics, for Prometheus
//!   poisoned? stopping? space on disk? ---+          --> health    /health, /ready
//!                                                    --> figures   /stats.json, for the page
//! ```
//!
//! 1. Nothing here runs on a thread that serves clients: it looks at every frame of the pool and at files.
//! 2. Whoever asks often gets the same answer: it is made anew [`KEPT`] after the last at the earliest.

mod families;
mod health;
mod histogram;
mod text;

pub use health::{Readiness, SPACE_BYTES_MIN};
pub(super) use histogram::Histogram;
pub(super) use text::MEDIA_TYPE;

use super::doors::Doors;
use super::stats::{Counters, RelayStats};
use crate::nostr::EventStore;
use crate::shard::ShardStats;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an answer is good for. A scrape is every few seconds; a crowd at the page asks all the time.
pub(super) const KEPT: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Everything, for Prometheus.
    Metrics,
    /// What the page shows, as JSON.
    Figures,
}

/// What is measured of a relay.
pub(super) struct Vitals {
    store: Arc<EventStore>,
    counters: Vec<Arc<Counters>>,
    doors: Arc<Doors>,
    stopping: AtomicBool,
    /// When the relay began.
    began_nanos: u64,
    /// The last answers, with the moment from which on they are too old.
    kept: [Mutex<(u64, Arc<str>)>; 2],
}

impl Vitals {
    pub(super) fn new(
        store: Arc<EventStore>,
        counters: Vec<Arc<Counters>>,
        doors: Arc<Doors>,
    ) -> Vitals {
        let began_nanos = store.engine().env().clock.monotonic_nanos();
        let kept = [Asked::Metrics, Asked::Figures].map(|_| Mutex::new((0, Arc::from(""))));
        let stopping = AtomicBool::new(false);
        Vitals { store, counters, doors, stopping, began_nanos, kept }
    }

    /// The relay takes no more clients.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub(super) fn stats(&self) -> RelayStats {
        RelayStats::sum(self.doors.count(), self.counters.iter().map(|counters| &**counters))
    }

    /// Whether clients should be sent here.
    pub(super) fn readiness(&self) -> Readiness {
        let engine = self.store.engine();
        let stats = engine.stats();
        let poisoned = stats.iter().filter(|s| s.poisoned).map(|s| s.shard).collect();
        let full = stats.iter().filter(|s| s.full).map(|s| s.shard).collect();
        let free_bytes = engine.disk_space().map(|space| space.free_bytes);
        Readiness { stopping: self.stopping.load(Relaxed), poisoned, full, free_bytes }
    }

    /// The answer, which may be [`KEPT`] old.
    pub(super) fn answer(&self, asked: Asked) -> Arc<str> {
        let mut kept = self.kept(asked);
        let now = self.store.engine().env().clock.monotonic_nanos();
        if kept.0 <= now {
            let text = match asked {
                Asked::Metrics => self.text(),
                Asked::Figures => self.figures(),
            };
            *kept = (now + KEPT.as_nanos() as u64, text.into());
        }
        kept.1.clone()
    }

    fn kept(&self, asked: Asked) -> MutexGuard<'_, (u64, Arc<str>)> {
        self.kept[asked as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, in the text format of OpenMetrics.
    pub(super) fn text(&self) -> String {
        let mut latencies = families::Latencies::default();
        for counters in &self.counters {
            latencies.add(&counters.latencies);
        }
        let engine = self.store.engine();
        text::encode(families::Measured {
            uptime_seconds: self.uptime_seconds(),
            relay: self.stats(),
            latencies,
            logs: families::Log::of_each(engine.dir(), engine.shard_count()),
            shards: engine.stats(),
            pool: engine.pool_stats(),
            memory: engine.memory(),
            space: engine.disk_space(),
        })
    }

    fn uptime_seconds(&self) -> f64 {
        let now = self.store.engine().env().clock.monotonic_nanos();
        now.saturating_sub(self.began_nanos) as f64 / 1e9
    }

    /// What everyone may know, as JSON. Rates are the reader's to make of two answers.
    fn figures(&self) -> String {
        let stats = self.stats();
        let events: u64 = self.store.engine().stats().iter().map(live).sum();
        json!({
            "events": events,
            "connections": stats.connections,
            "subscriptions": stats.subscriptions_begun.saturating_sub(stats.subscriptions_ended),
            "stored": stats.events_stored,
            "queries": stats.messages_req + stats.messages_count,
            "sent": stats.sent_stored + stats.sent_live,
            "uptime": self.uptime_seconds(),
        })
        .to_string()
    }
}

/// Live records of a shard.
fn live(shard: &ShardStats) -> u64 {
    let dead = shard.segment_dead + shard.memtable_dead;
    // The figures are of one moment each, and so may contradict one another.
    (shard.segment_records + shard.memtable_records).saturating_sub(dead)
}
