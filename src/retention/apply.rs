//! A run: everything up to the cuts goes, in groups that stand alone, no faster than allowed.
//!
//! ```text
//!   for each cut:  pass: snapshot -> walk -> up to PASS_RECORDS ids   (then the snapshot is let go)
//!                  for each group of a shard: look the ids up, so that their pages are resident
//!                                             remove: one message to the shard, one entry of the log
//!                                             wait for the pace, look at the flag
//! ```
//!
//! A1. The shard's thread is held up by one group at a time, whose look-ups find their pages in the pool: that is what
//!     bounds the time that a write waits behind it.

use super::decide::{Cut, decide};
use super::rule::Rules;
use crate::base::Result;
use crate::query::Order;
use crate::store::Store;
use crossbeam::channel::never;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Records of one pass: what is read before something is removed.
const PASS_RECORDS: usize = 4096;

/// The longest pause between two looks at the flag.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How fast a run goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Records removed in a second, or twice what is stored meanwhile if that is more, so that a limit holds
    /// under any load. `None`: as fast as it goes, for simulations, whose clock stands still. Default: 5,000.
    pub records_per_second: Option<u64>,
    /// Records removed at one moment. Default: 128, less than a millisecond of the shard's thread.
    pub group_records: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { records_per_second: Some(5_000), group_records: 128 }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records removed because they had expired.
    pub expired: u64,
    /// Records removed by each rule; one that goes by several counts for the first.
    pub rules: Vec<u64>,
    /// Whether it came to its end, and was not stopped.
    pub ended: bool,
}

impl Report {
    /// Records removed in all.
    pub fn removed(&self) -> u64 {
        self.expired + self.rules.iter().sum::<u64>()
    }
}

/// Removes what goes at `now`, until `stop` is set. What is stored meanwhile is not looked at, unless it is older than
/// what goes.
///
/// # Errors
/// `Corrupt` or `Io` from what is read; `Poisoned`, `Closed`. What was removed until then is removed.
pub fn apply(
    store: &Store,
    rules: &Rules,
    now: u64,
    limits: Limits,
    stop: &AtomicBool,
) -> Result<Report> {
    let cuts = decide(store, &store.snapshot(), rules, now)?;
    let mut report = Report { rules: vec![0; rules.rules.len()], ..Report::default() };
    let mut pace = Pace::new(store, limits);
    for cut in &cuts {
        while !stop.load(Relaxed) {
            let (ids, more) = pass(store, rules, cut)?;
            let removed = match cut.rule {
                Some(i) => &mut report.rules[i],
                None => &mut report.expired,
            };
            for (shard, ids) in ids.iter().enumerate() {
                for group in ids.chunks(limits.group_records.max(1)) {
                    if stop.load(Relaxed) {
                        return Ok(report);
                    }
                    *removed += remove(store, shard, group)?;
                    pace.keep(group.len() as u64, stop);
                }
            }
            if !more {
                break;
            }
        }
    }
    report.ended = !stop.load(Relaxed);
    Ok(report)
}

/// The first ids up to the cut, by shard, and whether there may be more.
fn pass(store: &Store, rules: &Rules, cut: &Cut) -> Result<(Vec<Vec<[u8; 32]>>, bool)> {
    let mut ids = vec![Vec::new(); store.shard_count()];
    let mut count = 0;
    let select = std::slice::from_ref(&cut.select);
    let mut cursor = store.walk_at(&store.snapshot(), select, Order::Oldest)?;
    while let Some(record) = cursor.next()? {
        if cut.takes(rules, record) {
            ids[store.shard_number(record)].push(record.key.id);
            count += 1;
            if count == PASS_RECORDS {
                return Ok((ids, true));
            }
        }
    }
    Ok((ids, false))
}

fn remove(store: &Store, shard: usize, ids: &[[u8; 32]]) -> Result<u64> {
    for id in ids {
        store.get(id, |_| ())?; // A1
    }
    store.remove(shard as u64, ids)
}

/// Holds a run to its rate.
struct Pace<'a> {
    store: &'a Store,
    limits: Limits,
    began: u64,
    stored_before: u64,
    done: u64,
}

impl Pace<'_> {
    fn new(store: &Store, limits: Limits) -> Pace<'_> {
        let began = store.env().clock.monotonic_nanos();
        Pace { store, limits, began, stored_before: stored(store), done: 0 }
    }

    /// Waits until `more` removals are due.
    fn keep(&mut self, more: u64, stop: &AtomicBool) {
        self.done += more;
        let Some(rate) = self.limits.records_per_second else { return };
        while !stop.load(Relaxed) {
            let nanos = self.store.env().clock.monotonic_nanos() - self.began;
            let by_time = u128::from(nanos) * u128::from(rate.max(1)) / 1_000_000_000;
            let by_load = 2 * (stored(self.store) - self.stored_before);
            let early = u128::from(self.done).saturating_sub(by_time + u128::from(by_load));
            if early == 0 {
                return;
            }
            let wait =
                Duration::from_nanos((early * 1_000_000_000 / u128::from(rate.max(1))) as u64);
            // Nothing ever comes: a pause that needs no clock of its own.
            let _nothing = never::<()>().recv_timeout(wait.min(PAUSE_MAX));
        }
    }
}

fn stored(store: &Store) -> u64 {
    store.stats().iter().map(|shard| shard.stored).sum()
}
