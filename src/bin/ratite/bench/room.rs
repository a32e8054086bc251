//! What the events take: bytes of files as loaded and as compacted, memory of the store and of the process.

use super::Bench;
use super::table::Figure;
use crate::failure::{Failure, Outcome};
use crate::stats::bytes_below;
use ratite::bench::clock::{memory as of_process, round};
use ratite::nostr::EventStore;
use ratite::shard::ShardStats;
use serde_json::json;

/// The goal of `docs/performance.md`: bytes an event with all indexes.
const GOAL_BYTES: f64 = 700.0;

/// Seals what is in memory, compacts, and says what is in files before and after.
pub fn disk(bench: &mut Bench<'_>, store: &EventStore) -> Outcome<()> {
    bench.doing("writing segments");
    store.engine().flush()?;
    bench.check()?;
    segments(bench, store, "segments, as loaded", String::new())?;
    bench.doing("compacting");
    store.engine().compact()?;
    bench.check()?;
    segments(bench, store, "segments, compacted", format!("goal {GOAL_BYTES:.0}"))?;
    let dir = bench.scratch.store();
    let bytes = bytes_below(&dir).map_err(|error| {
        Failure::Sentence(format!("cannot add up the files in {}: {error}", dir.display()))
    })?;
    let count = bench.args.events.max(1);
    add(bench, "all files, the log's too", (bytes, bytes as f64 / count as f64), String::new())
}

fn segments(bench: &mut Bench<'_>, store: &EventStore, row: &str, note: String) -> Outcome<()> {
    let shards = store.engine().stats();
    let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(of).sum::<u64>();
    let (bytes, records) = (sum(|s| s.segment_bytes), sum(|s| s.segment_records));
    add(bench, row, (bytes, bytes as f64 / records.max(1) as f64), note)
}

fn add(bench: &mut Bench<'_>, row: &str, (bytes, each): (u64, f64), note: String) -> Outcome<()> {
    let mib = bytes as f64 / f64::from(1 << 20);
    bench.table.add(Figure {
        section: "disk",
        row,
        cells: vec![("MiB", Some(mib)), ("bytes/event", Some(each))],
        note,
        values: json!({ "bytes": bytes, "bytes_per_event": round(each), "goal_bytes_per_event": GOAL_BYTES }),
    })
}

/// What is in memory now, and what the process had at most.
pub fn memory(bench: &mut Bench<'_>, store: &EventStore) -> Outcome<()> {
    let memory = store.engine().memory();
    let rows = [
        ("budget of the store", memory.budget_bytes, ""),
        ("pages of segments in it", memory.pool_resident_bytes, ""),
        ("the whole process", of_process("VmRSS"), ""),
        ("the whole process, at most", of_process("VmHWM"), "with the events that were made up"),
    ];
    for (row, bytes, note) in rows {
        bench.table.add(Figure {
            section: "memory",
            row,
            cells: vec![("MiB", Some(bytes as f64 / f64::from(1 << 20)))],
            note: note.into(),
            values: json!({ "bytes": bytes }),
        })?;
    }
    Ok(())
}
