//! Logs: appending lines, what they take on the disk, and finding them, beside what people search text with.
//!
//! ```text
//!   generator --1,000 a batch--> append (a store for each sync mode) --> seal, merge --> open --> rows
//!        '-----------------------> peers, and the text of ripgrep and zstd ------------------------^
//! ```
//!
//! Every call of a row is made on each store in turn. While a row warms up, answers are compared with those that
//! [`questions`] finds without any store.

mod append;
mod ask;
mod child;
mod cold;
mod dialects;
#[cfg(feature = "log-peers")]
mod fts;
pub mod lines;
mod peer;
mod questions;
mod sql;
#[cfg(feature = "log-peers")]
mod tantivy;
mod text;

use crate::Result;
use crate::clock::memory;
use crate::figure::Figures;
use crate::load::Sync;
use clap::ValueEnum;
use lines::Lines;
use peer::Peer;
use ratite::logs::{LogOptions, LogStore};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// How many lines.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory for the stores. What an earlier run kept there is asked, not loaded again.
    #[arg(long)]
    data: PathBuf,
    /// Leave the store, the peers and the text for another run.
    #[arg(long)]
    keep: bool,
    /// When appends are answered; each gets a store of its own, and the last one is asked.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["always", "batch", "never"])]
    sync: Vec<Sync>,
    /// Threads that make lines and append them.
    #[arg(long, default_value_t = 1)]
    producers: usize,
    /// Lines of a batch.
    #[arg(long, default_value_t = 1_000)]
    batch: u64,
    /// MiB of memory for everything in the store.
    #[arg(long, default_value_t = 1024)]
    memory: usize,
    /// MiB of it while cold.
    #[arg(long, default_value_t = 128)]
    cold_memory: usize,
    /// Shards of a new store; default: the cores.
    #[arg(long)]
    shards: Option<usize>,
    /// MiB a second that merges read and write; default: the store's.
    #[arg(long)]
    compaction: Option<u64>,
    /// Stop if all that is in the directory grows beyond so many GiB.
    #[arg(long, default_value_t = 30)]
    disk: u64,
    /// Who else is asked.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// A Python that has `duckdb` and `chdb`, for the peers of these names.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Only rows whose name contains this.
    #[arg(long)]
    row: Option<String>,
    /// Percent of the calls of each row.
    #[arg(long, default_value_t = 100)]
    calls: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Kind {
    /// ripgrep on the text, and on the text compressed by zstd.
    Text,
    /// SQLite with FTS5.
    Sqlite,
    /// An index of tantivy.
    Tantivy,
    /// DuckDB without an index; wants --python.
    Duckdb,
    /// ClickHouse with a text index; wants --python.
    Clickhouse,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let lines = Lines::new(args.seed, args.lines);
    std::fs::create_dir_all(&args.data)?;
    let dir = args.data.join("ratite");
    if !dir.exists() {
        append::run(args, &lines, &dir, figures)?;
    }
    let mut peers = Vec::new();
    for kind in &args.peers {
        peers.extend(load(*kind, args, &lines, figures)?);
    }
    ask::run(args, &lines, &dir, &mut peers, figures)?;
    cold::run(args, &lines, &dir, &mut peers, figures)?;
    eprintln!("peak RSS of this process {} MiB", memory("VmHWM") >> 20);
    drop(peers);
    if !args.keep {
        std::fs::remove_dir_all(&args.data)?;
    }
    Ok(())
}

/// The peers of a kind, loaded unless they are there.
fn load(
    kind: Kind,
    args: &Args,
    lines: &Lines,
    figures: &mut Figures,
) -> Result<Vec<Box<dyn Peer>>> {
    Ok(match kind {
        Kind::Text => text::load(&args.data, lines, figures)?,
        #[cfg(feature = "log-peers")]
        Kind::Sqlite => vec![fts::load(&args.data, lines, figures)?],
        #[cfg(feature = "log-peers")]
        Kind::Tantivy => vec![tantivy::load(&args.data, lines, figures)?],
        Kind::Duckdb | Kind::Clickhouse => {
            let dialect = match kind {
                Kind::Duckdb => &dialects::DUCKDB,
                _ => &dialects::CLICKHOUSE,
            };
            vec![sql::load(dialect, &args.python, &args.data, lines, figures)?]
        }
        #[cfg(not(feature = "log-peers"))]
        Kind::Sqlite | Kind::Tantivy => return Err("built without --features log-peers".into()),
    })
}

impl Args {
    /// How the store is opened.
    fn options(&self, sync: Sync, memory: usize) -> LogOptions {
        let mut options = LogOptions::default();
        options.store.sync = sync.mode();
        options.store.memory_bytes = memory << 20;
        options.store.shards = self.shards;
        if let Some(mib) = self.compaction {
            options.store.compaction_bytes_per_second = mib << 20;
        }
        options
    }

    fn open(&self, dir: &Path, memory: usize) -> Result<LogStore> {
        Ok(LogStore::open(dir, &self.options(Sync::Always, memory))?)
    }

    fn describe(&self) -> serde_json::Value {
        serde_json::json!({
            "lines": self.lines, "seed": self.seed, "memory_mib": self.memory,
            "shards": self.shards, "producers": self.producers, "batch": self.batch,
            "compaction_mib_per_second": self.compaction,
        })
    }
}
