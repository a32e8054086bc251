//! The store that a verb works on: its options on the command line, its opening, its closing.

use crate::failure::{Failure, Outcome};
use clap::{Args, ValueEnum};
use ratite::base::PageSize;
use ratite::base::limits::SHARDS_MAX;
use ratite::io::{self, Backend};
use ratite::nostr::EventStore;
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Options of every verb that opens a store.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Directory of the store
    #[arg(long, value_name = "DIR", env = "RATITE_DATA", default_value = "./data")]
    pub data: PathBuf,

    /// When a write is answered, and so what a stored event survives
    #[arg(long, value_enum, default_value_t = Sync::Always)]
    pub sync: Sync,

    /// With `--sync batch`: the longest time that a stored event may be lost to a power failure
    /// [default: 100]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub sync_interval_ms: Option<u64>,

    /// Shards of a new store, a power of two up to 64; an existing store keeps its number
    /// [default: the cores at hand]
    #[arg(long, value_name = "N", value_parser = shards)]
    pub shards: Option<usize>,

    /// Page size of a new store, in bytes; an existing store keeps its size [default: 4096]
    #[arg(long, value_name = "BYTES", value_parser = page_size)]
    pub page_size: Option<PageSize>,

    /// Memory for everything that the store keeps in it; pages of stored events have what new events,
    /// filters and work under way leave [default: 1024, or 40 a core if that is more]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=16 << 20))]
    pub memory_mib: Option<u32>,

    /// Memory for new events before they are written as a segment; each shard has up to three
    /// [default: a 16th of the memory, divided among the shards]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub memtable_mib: Option<u32>,

    /// Size of one log file
    #[arg(long, value_name = "MIB", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(8..=1024))]
    pub log_file_mib: u32,

    /// How files are read and written
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub io: Io,
}

/// When a write is answered.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// After it is synced: survives power loss
    Always,
    /// After it is written, synced within the interval: survives a crash of this program at once,
    /// power loss after the interval
    Batch,
    /// After it is written: survives a crash of this program
    Never,
}

/// How files are read and written.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Io {
    /// io_uring where the system allows it, else posix
    Auto,
    /// io_uring, or an error that says why not
    Uring,
    /// pread and pwrite
    Posix,
}

fn shards(text: &str) -> Result<usize, String> {
    let count = text.parse().unwrap_or(0);
    match usize::is_power_of_two(count) && count <= SHARDS_MAX {
        true => Ok(count),
        false => Err(format!("it is not a power of two from 1 to {SHARDS_MAX}")),
    }
}

fn page_size(text: &str) -> Result<PageSize, String> {
    let size = text.parse().ok().and_then(PageSize::from_bytes);
    size.ok_or_else(|| "it is not 4096, 8192 or 16384".into())
}

fn mib(count: u32) -> usize {
    (count as usize) << 20
}

impl StoreArgs {
    /// The engine's options.
    pub fn options(&self) -> Outcome<Options> {
        let mut options = Options::default();
        options.shards = self.shards;
        options.page = self.page_size;
        options.sync = self.sync_mode()?;
        options.memory_bytes = self.memory_mib.map_or(options.memory_bytes, mib);
        options.memtable_bytes = self.memtable_mib.map(mib);
        options.log_file_bytes = mib(self.log_file_mib);
        Ok(options)
    }

    fn sync_mode(&self) -> Outcome<SyncMode> {
        if self.sync_interval_ms.is_some() && self.sync != Sync::Batch {
            let sentence = "--sync-interval-ms says nothing without --sync batch";
            return Err(Failure::Usage(sentence.into()));
        }
        Ok(match (self.sync, SyncMode::BATCH) {
            (Sync::Always, _) => SyncMode::Always,
            (Sync::Never, _) => SyncMode::Never,
            (Sync::Batch, SyncMode::Batch { interval, bytes }) => {
                let interval = self.sync_interval_ms.map_or(interval, Duration::from_millis);
                SyncMode::Batch { interval, bytes }
            }
            (Sync::Batch, other) => other,
        })
    }

    /// Opens the store, or creates it if `options` say so.
    pub fn open(&self, options: &Options) -> Outcome<Arc<EventStore>> {
        // Asked here, because opening would leave its lock file in a place that is no store.
        if !options.create && !self.data.join("STORE").is_file() {
            let dir = self.data.display();
            let remedy = "`ratite import` and `ratite relay` make one";
            return Err(Failure::Sentence(format!("there is no store in {dir}; {remedy}")));
        }
        let backend = match self.io {
            Io::Auto => Backend::Auto,
            Io::Uring => Backend::Uring,
            Io::Posix => Backend::Posix,
        };
        let env = io::system(backend)?;
        Ok(Arc::new(EventStore::open_in(&self.data, options, env)?))
    }

    /// Runs `ask` on the existing store and closes it.
    pub fn with<T>(&self, ask: impl FnOnce(&EventStore) -> Outcome<T>) -> Outcome<T> {
        let mut options = self.options()?;
        options.create = false;
        let store = self.open(&options)?;
        let answer = ask(&store);
        let closed = store.close();
        let answer = answer?;
        closed?;
        Ok(answer)
    }

    /// What a stored event survives, in words.
    pub fn promise(mode: SyncMode) -> String {
        match mode {
            SyncMode::Always => "always: a stored event survives power loss".into(),
            SyncMode::Batch { interval, .. } => format!(
                "batch: a stored event survives a crash of this program at once, and power loss \
                 after {} ms",
                interval.as_millis()
            ),
            SyncMode::Never => "never: a stored event survives a crash of this program, but not \
                 power loss"
                .into(),
        }
    }
}
