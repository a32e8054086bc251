//! What the threads of a mixed run share: the stage, what is known to be stored, what was found wrong.

use ratite::base::{Key, hash64};
use ratite::nostr::EventStore;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The stages that are measured, by number. Between them the store settles.
pub const STAGES: [&str; 5] = ["quiet", "busy", "removing", "merging", "retaining"];
pub const QUIET: usize = 0;
pub const BUSY: usize = 1;
pub const REMOVING: usize = 2;
pub const MERGING: usize = 3;
pub const RETAINING: usize = 4;
pub const SETTLING: usize = 5;
pub const DONE: usize = 6;

/// Of the older half of a store one in so many goes in each round, so that nothing of it is left after the last.
pub const ROUNDS: u64 = 5;
/// The round in which a rule of retention takes all that is older than [`Removal::aged`].
pub const RETENTION: u64 = ROUNDS + 1;

/// Acknowledged events that are remembered.
const KEPT_MAX: usize = 200_000;

pub struct Shared<'a> {
    pub store: &'a EventStore,
    pub removal: Removal,
    pub wrong: Wrong,
    stage: AtomicUsize,
    /// Regular events whose insert was answered while all this ran.
    kept: Mutex<Vec<Key>>,
}

impl Shared<'_> {
    pub fn new(store: &EventStore, until: u64, aged: u64) -> Shared<'_> {
        let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Shared {
            store,
            removal: Removal { until, aged, begun, done },
            wrong: Wrong::default(),
            stage: AtomicUsize::new(SETTLING),
            kept: Mutex::default(),
        }
    }

    pub fn stage(&self) -> usize {
        self.stage.load(SeqCst)
    }

    pub fn enter(&self, stage: usize) {
        self.stage.store(stage, SeqCst);
    }

    /// Remembers an acknowledged event.
    pub fn keep(&self, key: Key) {
        if let Ok(mut kept) = self.kept.lock()
            && kept.len() < KEPT_MAX
        {
            kept.push(key);
        }
    }

    /// One of them, the last ones as likely as all others.
    pub fn kept(&self, chance: u64) -> Option<Key> {
        let kept = self.kept.lock().ok()?;
        let among = if chance.is_multiple_of(2) { kept.len().min(64) } else { kept.len() };
        let back = (chance >> 1) as usize % among.max(1) + 1;
        kept.get(kept.len().checked_sub(back)?).copied()
    }

    pub fn all_kept(&self) -> Vec<Key> {
        self.kept.lock().map(|kept| kept.clone()).unwrap_or_default()
    }
}

/// What goes: in round `r` the events up to a time whose id falls into group `r`, in the last all before a later time.
pub struct Removal {
    pub until: u64,
    /// Later than `until`.
    pub aged: u64,
    /// Rounds that have begun, and rounds that have ended.
    pub begun: AtomicU64,
    pub done: AtomicU64,
}

impl Removal {
    pub fn group(id: &[u8; 32]) -> u64 {
        hash64(id) % ROUNDS
    }

    /// Whether an event is one of those that `rounds` rounds remove.
    pub fn takes(&self, key: &Key, rounds: u64) -> bool {
        let is_in_round = key.time <= self.until && Self::group(&key.id) < rounds;
        is_in_round || (rounds == RETENTION && key.time < self.aged)
    }
}

/// Answers that cannot be. Each is to be 0.
#[derive(Default)]
pub struct Wrong {
    /// Out of order, or the same event twice.
    pub order: AtomicU64,
    /// Events that their filter does not match.
    pub strangers: AtomicU64,
    /// Events that are stored and were not found by id, or not by a query.
    pub lost_by_id: AtomicU64,
    pub lost_by_query: AtomicU64,
    /// Events that were found after their removal.
    pub ghosts: AtomicU64,
    /// Counts that are too small.
    pub counts: AtomicU64,
    /// Answers that were looked at.
    pub checked: AtomicU64,
}

impl Wrong {
    /// Counts one, and says so the first few times.
    pub fn found(&self, counter: &AtomicU64, what: &str, row: &str, key: Option<&Key>) {
        if counter.fetch_add(1, SeqCst) < 3 {
            eprintln!("WRONG: {what}: {row}, {key:?}");
        }
    }

    pub fn sum(&self) -> u64 {
        let all = [&self.order, &self.strangers, &self.lost_by_id, &self.lost_by_query];
        let more = [&self.ghosts, &self.counts];
        all.into_iter().chain(more).map(|counter| counter.load(SeqCst)).sum()
    }

    pub fn describe(&self) -> Value {
        let load = |counter: &AtomicU64| counter.load(SeqCst);
        json!({
            "order": load(&self.order), "strangers": load(&self.strangers),
            "lost_by_id": load(&self.lost_by_id), "lost_by_query": load(&self.lost_by_query),
            "ghosts": load(&self.ghosts), "counts": load(&self.counts),
            "checked": load(&self.checked),
        })
    }
}

/// The moments at which something is due, at a fixed rate, whether or not the one before is done.
pub struct Schedule {
    next: Instant,
    gap: Duration,
    stage: usize,
    /// Moments that were passed over because a stage ended.
    pub dropped: u64,
}

impl Schedule {
    pub fn new(per_second: f64) -> Schedule {
        // Or sleeping would add the kernel's slack of 50 us to every latency.
        let slack = std::num::NonZeroU64::new(1);
        let _kept_as_it_was = rustix::thread::set_current_timer_slack(slack);
        let gap = Duration::from_secs_f64(1.0 / per_second.max(0.001));
        Schedule { next: Instant::now(), gap, stage: SETTLING, dropped: 0 }
    }

    /// Sleeps until the next moment; gives it, and the stage. The backlog of one stage is no debt of the next.
    pub fn wait(&mut self, shared: &Shared<'_>) -> (Instant, usize) {
        let due = self.next;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let stage = shared.stage();
        if stage != self.stage {
            self.stage = stage;
            let late = due.elapsed();
            self.dropped += (late.as_secs_f64() / self.gap.as_secs_f64()) as u64;
            self.next = Instant::now() + self.gap;
            return (due + late, stage);
        }
        self.next += self.gap;
        (due, stage)
    }
}
