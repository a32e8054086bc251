//! `ratite stats`: figures of the store, for a person on a terminal, as JSON for everyone else.

use crate::failure::{Failure, Outcome};
use crate::output::print;
use crate::store::StoreArgs;
use ratite::nostr::{EventStore, Filter};
use ratite::pool::PoolStats;
use ratite::shard::ShardStats;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::io::{self, IsTerminal};
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
    args.store.with(|store| {
        let figures = Figures::of(store)?;
        match io::stdout().is_terminal() && !args.json {
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
}

impl Figures {
    fn of(store: &EventStore) -> Outcome<Figures> {
        let engine = store.engine();
        let dir = fs::canonicalize(engine.dir()).unwrap_or_else(|_| engine.dir().into());
        Ok(Figures {
            id: engine.id().to_string(),
            page_bytes: engine.page_size().bytes(),
            io: engine.env().disk.backend(),
            records: store.count(&[Filter::default()])?,
            disk_bytes: bytes_below(&dir).map_err(|error| {
                Failure::Sentence(format!("cannot add up the files in {}: {error}", dir.display()))
            })?,
            shards: engine.stats(),
            pool: engine.pool_stats(),
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
            "pool": {
                "frames": self.pool.frames,
                "resident": self.pool.resident,
                "pinned": self.pool.pinned,
                "hits": self.pool.hits,
                "misses": self.pool.misses,
                "prefetched": self.pool.prefetched,
                "evictions": self.pool.evictions,
                "waits": self.pool.waits,
            },
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "{name:<10} {value}");
        };
        line("store", format!("{} in {}", self.id, self.data));
        line("files", format!("{} on disk, by {}", mib(self.disk_bytes), self.io));
        line("records", self.records.to_string());
        let (segments, bytes) = (self.sum(|s| s.segments), self.sum(|s| s.segment_bytes));
        let page = self.page_bytes;
        line("segments", format!("{segments} with {}, pages of {page} bytes", mib(bytes)));
        let (memory, replayed) = (self.sum(|s| s.memtable_bytes), self.sum(|s| s.replayed));
        line("memtables", format!("{}; {replayed} log entries replayed at opening", mib(memory)));
        let pool = self.pool;
        let bytes = (pool.frames * page) as u64;
        line("pool", format!("{} frames of {}, {} in use", pool.frames, mib(bytes), pool.resident));
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
        "stored": shard.stored,
        "duplicates": shard.duplicates,
        "refused": shard.refused,
        "commits": shard.commits,
        "log_bytes": shard.log_bytes,
        "flushes": shard.flushes,
        "replayed": shard.replayed,
    })
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Bytes of all files below `dir`. Files may come and go meanwhile.
fn bytes_below(dir: &Path) -> io::Result<u64> {
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
