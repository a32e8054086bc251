//! `ratite stats`: figures of the store, for a person on a terminal, as JSON for everyone else.

use crate::failure::{Failure, Outcome};
use crate::output::{is_for_person, print};
use crate::store::{Opened, StoreArgs};
use ratite::logs::Query;
use ratite::nostr::Filter;
use ratite::pool::{Part, PoolStats};
use ratite::shard::ShardStats;
use ratite::store::{Store, StoreMemory};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// Options of `ratite stats`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// JSON on a terminal too
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    args.store.with_any(|store| {
        let records = match store {
            Opened::Events(store) => store.count(&[Filter::default()])?,
            Opened::Logs(store) => store.count(&Query::default())?,
        };
        let figures = Figures::of(store.engine(), records)?;
        match is_for_person(args.json) {
            true => print(&figures.text()),
            false => print(&format!("{}\n", figures.json())),
        }
    })
}

struct Figures {
    data: String,
    id: String,
    page_bytes: usize,
    io: &'static str,
    /// Live records.
    records: u64,
    disk_bytes: u64,
    shards: Vec<ShardStats>,
    pool: PoolStats,
    memory: StoreMemory,
}

impl Figures {
    fn of(engine: &Store, records: u64) -> Outcome<Figures> {
        let dir = fs::canonicalize(engine.dir()).unwrap_or_else(|_| engine.dir().into());
        Ok(Figures {
            id: engine.id().to_string(),
            page_bytes: engine.page_size().bytes(),
            io: engine.env().disk.backend(),
            records,
            disk_bytes: bytes_below(&dir).map_err(|error| {
                Failure::Sentence(format!("cannot add up the files in {}: {error}", dir.display()))
            })?,
            shards: engine.stats(),
            pool: engine.pool_stats(),
            memory: engine.memory(),
            data: dir.display().to_string(),
        })
    }

    fn sum(&self, of: fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(of).sum()
    }

    fn json(&self) -> Value {
        json!({
            "data": self.data,
            "store": self.id,
            "io": self.io,
            "page_bytes": self.page_bytes,
            "records": self.records,
            "segments": self.sum(|s| s.segments),
            "bytes": self.disk_bytes,
            "segment_bytes": self.sum(|s| s.segment_bytes),
            "memtable_bytes": self.sum(|s| s.memtable_bytes),
            "shards": self.shards.iter().map(shard_json).collect::<Vec<_>>(),
            "pool": pool_json(&self.pool),
            "memory": memory_json(&self.memory),
        })
    }

    /// The memory table, then the hit rates of the pool's parts.
    fn memory_lines(&self, line: &mut dyn FnMut(&str, String)) {
        let memory = &self.memory;
        line("memory", format!("budget {}", mib(memory.budget_bytes)));
        let (allowed, resident) = (mib(memory.pool_bytes), mib(memory.pool_resident_bytes));
        line("  pool", format!("{allowed}, {resident} in use"));
        line("  its state", mib(memory.pool_state_bytes));
        let (reserved, used) = (mib(memory.memtable_reserved_bytes), mib(memory.memtable_bytes));
        line("  memtables", format!("{reserved}, {used} in use"));
        line(
            "  filters",
            format!("{}, with page tables and tombstones", mib(memory.segment_bytes)),
        );
        line("  in flight", mib(memory.in_flight_bytes));
        line("  working", mib(memory.working_bytes));
        line("  slack", format!("{} for the allocator", mib(memory.slack_bytes)));
        for part in Part::ALL {
            let counts = self.pool.parts[part as usize];
            let Some(rate) = counts.hit_rate() else { continue };
            let (name, percent) = (format!("hits of {}", part.name()), rate * 100.0);
            line(&name, format!("{percent:.1} % of {}", counts.hits + counts.misses));
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "{name:<18} {value}");
        };
        line("store", format!("{} in {}", self.id, self.data));
        line("files", format!("{} on disk, by {}", mib(self.disk_bytes), self.io));
        line("records", self.records.to_string());
        let (segments, bytes) = (self.sum(|s| s.segments), self.sum(|s| s.segment_bytes));
        let page = self.page_bytes;
        line("segments", format!("{segments} with {}, pages of {page} bytes", mib(bytes)));
        let (memory, replayed) = (self.sum(|s| s.memtable_bytes), self.sum(|s| s.replayed));
        line("memtables", format!("{}; {replayed} log entries replayed at opening", mib(memory)));
        self.memory_lines(&mut line);
        for shard in &self.shards {
            let name = format!("shard {}", shard.shard);
            let (segments, new) = (shard.segment_records, shard.memtable_records);
            let (count, dead) = (shard.segments, shard.segment_dead);
            line(
                &name,
                format!("{segments} records in {count} segments ({dead} dead), {new} in memory"),
            );
        }
        out
    }
}

fn pool_json(pool: &PoolStats) -> Value {
    let part = |part: Part| {
        let counts = pool.parts[part as usize];
        (part.name().to_owned(), json!({ "hits": counts.hits, "misses": counts.misses }))
    };
    json!({
        "frames": pool.frames,
        "resident": pool.resident,
        "pinned": pool.pinned,
        "hits": pool.hits,
        "misses": pool.misses,
        "parts": Part::ALL.into_iter().map(part).collect::<serde_json::Map<_, _>>(),
        "prefetched": pool.prefetched,
        "evictions": pool.evictions,
        "waits": pool.waits,
    })
}

fn memory_json(memory: &StoreMemory) -> Value {
    json!({
        "budget_bytes": memory.budget_bytes,
        "pool_bytes": memory.pool_bytes,
        "pool_resident_bytes": memory.pool_resident_bytes,
        "pool_state_bytes": memory.pool_state_bytes,
        "memtable_reserved_bytes": memory.memtable_reserved_bytes,
        "memtable_bytes": memory.memtable_bytes,
        "segment_bytes": memory.segment_bytes,
        "in_flight_bytes": memory.in_flight_bytes,
        "slack_bytes": memory.slack_bytes,
        "working_bytes": memory.working_bytes,
    })
}

fn shard_json(shard: &ShardStats) -> Value {
    json!({
        "shard": shard.shard,
        "segments": shard.segments,
        "segment_records": shard.segment_records,
        "segment_dead": shard.segment_dead,
        "segment_bytes": shard.segment_bytes,
        "memtable_records": shard.memtable_records,
        "memtable_dead": shard.memtable_dead,
        "memtable_bytes": shard.memtable_bytes,
        "memtables": shard.memtables,
        "poisoned": shard.poisoned,
        "full": shard.full,
        "stored": shard.stored,
        "duplicates": shard.duplicates,
        "refused": shard.refused,
        "commits": shard.commits,
        "log_bytes": shard.log_bytes,
        "removed": shard.removed,
        "flushes": shard.flushes,
        "compactions": shard.compactions,
        "compaction_bytes": shard.compaction_bytes,
        "replayed": shard.replayed,
    })
}

/// Bytes as a person reads them.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Bytes of all files below `dir`. Files may come and go meanwhile.
pub fn bytes_below(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += bytes_below(&entry.path())?,
            Ok(found) => bytes += found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
