//! The options of the store, of its compaction, and of the log.

use super::kind::Built;
use super::table::{
    GIB, KIB, MIB, MS, SECOND, Section, Setting, TIB, count, size, size_power, text, time, word,
    words,
};
use super::{kind::Kind, kind::Word};
use crate::logging::{self, Format};
use ratite::base::PageSize;
use ratite::base::limits::SHARDS_MAX;
use ratite::io::Backend;
use ratite::nostr::SearchKinds;
use ratite::shard::{Compress, SyncMode};

const fn store(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::Store, key, kind, default, effect)
}

const SYNCS: &[Word] = &[
    word("always", "After it is synced: survives power loss", |b| {
        b.store.sync = SyncMode::Always;
    }),
    word(
        "batch",
        "After it is written, synced within the interval: survives a crash of this program at once, \
         power loss after the interval",
        |b| b.store.sync = SyncMode::BATCH,
    ),
    word("never", "After it is written: survives a crash of this program", |b| {
        b.store.sync = SyncMode::Never;
    }),
];

const BACKENDS: &[Word] = &[
    word("auto", "io_uring where the system allows it, else posix", |b| b.io = Backend::Auto),
    word("uring", "io_uring, or an error that says why not", |b| b.io = Backend::Uring),
    word("posix", "pread and pwrite", |b| b.io = Backend::Posix),
];

/// `[store]`. The table of docs/operations.md has the same order.
pub static STORE: &[Setting] = &[
    store("data", Kind::Dir { set: |b, dir| b.data = dir }, "./data", "Directory of the store")
        .common(),
    store("sync", words(SYNCS), "always", "When a write is answered, and so what it survives")
        .common(),
    store(
        "sync-interval",
        time(MS, SECOND.saturating_mul(60), MS, |b, longest| {
            if let SyncMode::Batch { interval, .. } = &mut b.store.sync {
                *interval = longest;
            }
        }),
        "100 ms",
        "The longest time that a stored event may be lost to a power failure",
    )
    .needs("sync", "batch"),
    store(
        "sync-bytes",
        size(64 * KIB, GIB, |b, most| {
            if let SyncMode::Batch { bytes, .. } = &mut b.store.sync {
                *bytes = most as u64;
            }
        }),
        "8 MiB",
        "The most log of a shard that may be lost to a power failure",
    )
    .needs("sync", "batch"),
    store(
        "shards",
        Kind::Count {
            of: "shards",
            least: 1,
            most: SHARDS_MAX as u64,
            power_of_two: true,
            set: |b, n| b.store.shards = Some(n as usize),
        },
        "auto",
        "Shards of a new store; an existing store keeps its number; auto: the cores at hand",
    )
    .word(),
    store(
        "page-size",
        size_power(4 * KIB, 16 * KIB, |b, bytes| b.store.page = PageSize::from_bytes(bytes)),
        "auto",
        "Page size of a new store; an existing store keeps its size; auto: 4 KiB",
    )
    .word(),
    store(
        "search",
        text("KINDS", "default, off, or up to 31 kinds with commas", search),
        "auto",
        "Whose words a new store indexes for searches, of which kinds of event; an existing store keeps its \
         choice; auto: default",
    )
    .word(),
    store(
        "memory",
        size(MIB, 16 * TIB, |b, bytes| b.store.memory_bytes = bytes),
        "auto",
        "Memory for everything that the store keeps in it; pages of stored events have what the rest \
         leaves; auto: 1 GiB, or 40 MiB a core if that is more",
    )
    .word()
    .common(),
    store(
        "memtable",
        size(MIB, 4 * GIB, |b, bytes| b.store.memtable_bytes = Some(bytes)),
        "auto",
        "Memory for new events before they are written as a segment; each shard has up to three; \
         auto: a 16th of the memory, divided among the shards",
    )
    .word(),
    store(
        "ring",
        size_power(MIB, GIB, |b, bytes| b.store.ring_bytes = bytes),
        "8 MiB",
        "Memory of each shard through which writes are handed to it",
    ),
    store(
        "in-flight",
        count("writes", 1, 1 << 20, |b, n| b.store.in_flight = n as usize),
        "8192",
        "Writes of each shard that may wait for their answers at once",
    ),
    store(
        "readers",
        count("threads", 0, 1024, |b, n| b.store.readers = n as usize),
        "auto",
        "Threads that read for large queries; auto: the cores at hand; 0: whoever asks reads",
    )
    .word(),
    store(
        "log-file",
        size(8 * MIB, GIB, |b, bytes| b.store.log_file_bytes = bytes),
        "64 MiB",
        "Size of one log file",
    ),
    store(
        "disk-reserve",
        size(MIB, TIB, |b, bytes| b.store.disk_reserve_bytes = Some(bytes as u64)),
        "auto",
        "What is kept free on the disk for removals and merges: with less, records are refused; auto: a 20th \
         of the disk, 256 MiB at most",
    )
    .word(),
    store("io", words(BACKENDS), "auto", "How files are read and written"),
];

const fn compaction(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::Compaction, key, kind, default, effect)
}

const COMPRESSES: &[Word] = &[
    word("full", "Segments that are as large as they get: windows of the past", |b| {
        b.store.compaction.compress = Compress::Full;
    }),
    word("never", "None", |b| b.store.compaction.compress = Compress::Never),
    word("always", "All that merges write", |b| b.store.compaction.compress = Compress::Always),
];

/// `[compaction]`.
pub static COMPACTION: &[Setting] = &[
    compaction(
        "max-records",
        count("records", 1000, 1 << 24, |b, n| b.store.compaction.records_max = n as u32),
        "1048576",
        "Records of the largest segment; a merge takes 60 bytes of memory for each",
    )
    .flag("compaction-max-records"),
    compaction(
        "fan-in",
        count("segments", 2, 16, |b, n| b.store.compaction.fan_in = n as usize),
        "4",
        "How many segments of a size make one of the next",
    )
    .flag("compaction-fan-in"),
    compaction(
        "garbage",
        count("percent", 1, 100, |b, n| b.store.compaction.garbage_percent = n as u32),
        "20",
        "The share of dead records, in percent, from which a segment is written anew",
    )
    .flag("compaction-garbage"),
    compaction(
        "bandwidth",
        size(MIB, TIB, |b, n| b.store.compaction_bytes_per_second = n as u64),
        "256 MiB",
        "What merges read and write in a second, in all shards together",
    )
    .flag("compaction-bandwidth"),
    compaction(
        "compress",
        words(COMPRESSES),
        "full",
        "Which merged segments have compressed bodies; what is there stays until it is merged",
    )
    .flag("compaction-compress"),
];

fn search(built: &mut Built, text: &str) -> Result<String, String> {
    let kinds: SearchKinds = text.parse()?;
    let printed = kinds.to_string();
    built.search = Some(kinds);
    Ok(printed)
}

fn filter(built: &mut Built, text: &str) -> Result<String, String> {
    logging::parse(text).map_err(|error| format!("{error}; try warn, info or ratite=debug"))?;
    built.log = Some(text.into());
    Ok(text.into())
}

const FORMATS: &[Word] = &[
    word("text", "Lines for people, in colours on a terminal", |b| b.log_format = Format::Text),
    word("json", "A JSON object a line, for collectors", |b| b.log_format = Format::Json),
];

/// `[log]`.
pub static LOG: &[Setting] = &[
    Setting::new(
        Section::Log,
        "level",
        text("LEVEL", "error, warn, info, debug, trace, or module=level, several with commas", filter),
        "auto",
        "What is logged on standard error; auto: what RUST_LOG says, else info for the relay and warn \
         for the rest",
    )
    .word()
    .flag("log")
    .common(),
    Setting::new(Section::Log, "format", words(FORMATS), "text", "How a line of the log is written")
        .flag("log-format"),
];
