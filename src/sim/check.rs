//! What is asked of a store that was opened: that it is a state it may be, whole, in every way of asking.

use super::history::{Expect, Rows, locate};
use super::run::Run;
use super::subject::Subject;
use crate::base::Key;
use crate::io::sim::SimDisk;
use crate::io::{Disk, Rng};
use crate::query::{Order, Select};
use crate::store::{Options, Store};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Manifests that a shard may have: the two that are kept, and what a crash left until the next one is written.
const MANIFESTS_MAX: usize = 8;
/// Log files that a shard may have: those of the log, one that goes on, and what is to be recycled.
const LOGS_MAX: usize = 12;

/// The version of each shard that is there.
///
/// # Errors
/// What does not hold.
pub fn check<S: Subject>(
    run: &Run<S>,
    open: &S::Open,
    expect: &Expect,
    seed: u64,
) -> Result<Vec<usize>, String> {
    let store = S::store(open);
    let mut found = vec![Rows::new(); expect.ranges.len()];
    let forward = walk(store, Order::Oldest, &mut |key, body| {
        let shard = run.subject.shard(body);
        match found[shard].insert(key, Arc::from(body)) {
            None => Ok(()),
            Some(_) => Err(format!("{key:?} is there twice")),
        }
    })?;
    if !forward.is_sorted() {
        return Err("an answer out of order".into());
    }
    let history = &run.histories[expect.history];
    let mut at = Vec::with_capacity(found.len());
    for (shard, rows) in found.iter().enumerate() {
        let located = locate(&history[shard], expect.ranges[shard], rows);
        at.push(located.map_err(|what| format!("shard {shard}: {what}"))?);
    }
    let mut backward = walk(store, Order::Newest, &mut |_, _| Ok(()))?;
    backward.reverse();
    if backward != forward {
        return Err("newest first is not the reverse of oldest first".into());
    }
    let count = store.count(&[Select::all()]).map_err(|error| format!("counting: {error}"))?;
    if count != forward.len() as u64 {
        return Err(format!("{count} counted, {} there", forward.len()));
    }
    let rows = found.into_iter().reduce(|mut all, mut more| {
        all.append(&mut more);
        all
    });
    run.subject.probe(open, &rows.unwrap_or_default(), &mut Rng::new(seed))?;
    Ok(at)
}

/// Who is handed a record, and may refuse it.
type Take<'a> = dyn FnMut(Key, &[u8]) -> Result<(), String> + 'a;

/// Hands every record to `take`; the keys in their order.
fn walk(store: &Store, order: Order, take: &mut Take<'_>) -> Result<Vec<Key>, String> {
    let failed = |error| format!("asking for everything: {error}");
    let mut cursor = store.query(&[Select::all()], order).map_err(failed)?;
    let mut keys = Vec::new();
    while let Some(record) = cursor.next().map_err(failed)? {
        keys.push(record.key);
        take(record.key, record.body)?;
    }
    Ok(keys)
}

/// Whether opening has read no more than the log, a few times, and what else there is once: its work is bounded by the
/// log, which is bounded by the memtables.
///
/// # Errors
/// What was read.
pub fn reads(disk: &SimDisk, store: &Store, options: &Options, read: u64) -> Result<(), String> {
    let mut logs = 0;
    for shard in 0..store.shard_count() {
        let dir = store.dir().join(format!("shard-{shard:02}"));
        let names = disk.list(&dir).map_err(|error| error.to_string())?;
        logs += names.iter().filter(|name| name.starts_with("wal-")).count();
    }
    // Headers, blocks, traces behind the end, what is settled.
    let most = disk.used_bytes() + 3 * (logs * options.log_file_bytes) as u64;
    if read > most {
        return Err(format!("opening read {read} bytes, with {logs} log files {most} at most"));
    }
    Ok(())
}

/// Whether the files are those of the store and no others.
///
/// # Errors
/// What is there and should not be.
pub fn files(disk: &SimDisk, store: &Store) -> Result<(), String> {
    for (number, shard) in store.snapshot().shards().iter().enumerate() {
        let dir = PathBuf::from(format!("{}/shard-{number:02}", store.dir().display()));
        let names = disk.list(&dir).map_err(|error| error.to_string())?;
        let named: BTreeSet<String> = shard
            .view
            .segments
            .iter()
            .map(|live| {
                live.segment
                    .path()
                    .file_name()
                    .map_or(String::new(), |name| name.to_string_lossy().into())
            })
            .collect();
        let (mut logs, mut manifests, mut segments) = (0, 0, 0);
        for name in &names {
            match name {
                name if name.starts_with("wal-") => logs += 1,
                name if name.starts_with("manifest-") => manifests += 1,
                name if named.contains(name) => segments += 1,
                name => return Err(format!("an orphan: {name}")),
            }
        }
        if logs > LOGS_MAX || manifests > MANIFESTS_MAX || segments != named.len() {
            return Err(format!("too many files, or too few: {names:?}, segments {named:?}"));
        }
    }
    Ok(())
}
