//! Giving space back: what rules and expiry say goes, then what is dead goes from the files.
//!
//! ```text
//!   figures --> sweep (retention::apply) --> Store::compact --> figures
//!                     a thread shows on a terminal how far it is
//! ```

use crate::failure::Outcome;
use crate::progress::{Progress, TICK};
use crate::stats::mib;
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use ratite::io::threads;
use ratite::retention::{Limits, Report, Rules, apply};
use ratite::shard::ShardStats;
use ratite::store::Store;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The second that rules are applied at.
pub fn now(store: &Store) -> u64 {
    store.env().clock.unix_micros() / 1_000_000
}

/// Removes what goes, as fast as it can: nobody else is served meanwhile.
pub fn sweep(store: &Store, rules: &Rules) -> Outcome<Report> {
    let limits = Limits { records_per_second: None, ..Limits::default() };
    Ok(apply(store, rules, now(store), limits, &AtomicBool::new(false))?)
}

/// What a sweep and a compaction did.
pub struct Reclaimed {
    /// What was removed first.
    pub swept: Report,
    before: Figures,
    after: Figures,
    seconds: f64,
}

/// Of the log nothing is said: how many files of it there are depends on openings, not on what is dead.
struct Figures {
    segments: u64,
    segment_bytes: u64,
    /// In segments and memtables, the dead included.
    records: u64,
    dead: u64,
    merges: u64,
    merge_bytes: u64,
}

impl Figures {
    fn of(store: &Store) -> Figures {
        let shards = store.stats();
        let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(of).sum();
        Figures {
            segments: sum(|s| s.segments),
            segment_bytes: sum(|s| s.segment_bytes),
            records: sum(|s| s.segment_records + s.memtable_records),
            dead: sum(|s| s.segment_dead + s.memtable_dead),
            merges: sum(|s| s.compactions),
            merge_bytes: sum(|s| s.compaction_bytes),
        }
    }

    fn json(&self) -> Value {
        json!({
            "segments": self.segments,
            "bytes": self.segment_bytes,
            "dead": self.dead,
        })
    }
}

impl Reclaimed {
    /// Sweeps by `rules`, if there are any, and compacts `store`.
    pub fn of<S: AsRef<Store> + Send + Sync + 'static>(
        store: &Arc<S>,
        rules: Option<&Rules>,
    ) -> Outcome<Reclaimed> {
        let engine = (**store).as_ref();
        let clock = engine.env().clock.clone();
        let began = clock.monotonic_nanos();
        let before = Figures::of(engine);
        let swept = watched(store, || {
            let swept = rules.map(|rules| sweep(engine, rules)).transpose()?;
            engine.compact()?;
            Ok(swept.unwrap_or_default())
        })?;
        let after = Figures::of(engine);
        let seconds = clock.monotonic_nanos().saturating_sub(began) as f64 / 1e9;
        Ok(Reclaimed { swept, before, after, seconds })
    }

    /// Records that are in no file any more.
    fn gone(&self) -> u64 {
        self.before.records.saturating_sub(self.after.records)
    }

    fn merges(&self) -> (u64, u64) {
        let (before, after) = (&self.before, &self.after);
        (after.merges - before.merges, after.merge_bytes - before.merge_bytes)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (merges, merge_bytes) = self.merges();
        json!({
            "before": self.before.json(),
            "after": self.after.json(),
            "expired": self.swept.expired,
            "dead_removed": self.gone(),
            "merges": merges,
            "merge_bytes": merge_bytes,
            "seconds": self.seconds,
        })
    }

    /// For a person.
    pub fn text(&self) -> String {
        let (before, after) = (&self.before, &self.after);
        let ((merges, merge_bytes), seconds) = (self.merges(), self.seconds);
        let (bytes, bytes_before) = (mib(after.segment_bytes), mib(before.segment_bytes));
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "{name:<10} {value}");
        };
        line("expired", format!("{} events", self.swept.expired));
        line("dead", format!("{} removed, {} left", self.gone(), after.dead));
        line(
            "segments",
            format!(
                "{} with {bytes}, before {} with {bytes_before}",
                after.segments, before.segments
            ),
        );
        line("merges", format!("{merges}, {} read and written", mib(merge_bytes)));
        line("time", format!("{seconds:.2} s"));
        out
    }
}

/// Runs `work` while a terminal shows what merges have done.
fn watched<S: AsRef<Store> + Send + Sync + 'static, T>(
    store: &Arc<S>,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    let progress = Progress::of_bytes(None);
    if progress.is_hidden() {
        return work();
    }
    let (end, ended) = bounded(0);
    let watcher = threads::spawn("progress", {
        let store = store.clone();
        move || watch((*store).as_ref(), &progress, &ended)
    });
    let worked = work();
    drop(end);
    watcher.join()?;
    worked
}

fn watch(store: &Store, progress: &Progress, ended: &Receiver<Infallible>) {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
        let shards = store.stats();
        let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(of).sum::<u64>();
        let (merges, moved) = (sum(|s| s.compactions), mib(sum(|s| s.compaction_bytes)));
        let (removed, segments) = (sum(|s| s.removed), sum(|s| s.segments));
        progress.say(format!(
            "{removed} events removed, {merges} merges, {moved}, {segments} segments"
        ));
    }
    progress.clear();
}
