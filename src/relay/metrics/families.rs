//! Every metric, by name: what is measured, and how it is called.
//!
//! 1. Names are `ratite_WHAT_UNIT`, counters end in `_total`; units are seconds and bytes.
//! 2. A counter of `RelayStats` is here by itself: `events_stored` is `relay_events{outcome="stored"}`,
//!    and what belongs to no such group is a family of its own.

use super::histogram::Distribution;
use super::text::{Family, Labels, Values};
use crate::io::DiskSpace;
use crate::pool::{Part, PartStats, PoolStats};
use crate::relay::stats::{self, RelayStats};
use crate::shard::ShardStats;
use crate::store::StoreMemory;
use std::fs;
use std::path::Path;

/// Everything that was measured at a moment.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) uptime_seconds: f64,
    pub(super) relay: RelayStats,
    pub(super) latencies: Latencies,
    pub(super) shards: Vec<ShardStats>,
    pub(super) logs: Vec<Log>,
    pub(super) pool: PoolStats,
    pub(super) memory: StoreMemory,
    pub(super) space: Option<DiskSpace>,
}

/// The latencies of all threads.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    insert: Distribution,
    req: Distribution,
    count: Distribution,
    live: Distribution,
}

impl Latencies {
    pub(super) fn add(&mut self, thread: &stats::Latencies) {
        self.insert.add(&thread.insert);
        self.req.add(&thread.req);
        self.count.add(&thread.count);
        self.live.add(&thread.live);
    }
}

/// The log files of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Log {
    files: u64,
    bytes: u64,
}

impl Log {
    /// Those of each shard; none where they cannot be counted.
    pub(super) fn of_each(dir: &Path, shards: usize) -> Vec<Log> {
        let of = |shard| Log::of(&dir.join(format!("shard-{shard:02}"))).unwrap_or_default();
        (0..shards).map(of).collect()
    }

    fn of(dir: &Path) -> std::io::Result<Log> {
        let mut log = Log::default();
        for entry in fs::read_dir(dir)?.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"wal-") {
                log.files += 1;
                // It may be gone by now.
                log.bytes += entry.metadata().map_or(0, |found| found.len());
            }
        }
        Ok(log)
    }
}

/// Counters of the relay that are one family each: by the beginning of their names, with the label.
const GROUPS: [(&str, &str, &str, &str); 3] = [
    ("events_", "relay_events", "outcome", "Events of clients, by what became of them."),
    ("messages_", "relay_messages", "type", "Messages of clients, by type."),
    ("requests_", "relay_requests_ended", "outcome", "REQ and COUNT that were not answered."),
];

/// Pairs of counters of which only the difference says something: what there is now.
const NOW: [(&str, &str, &str, &str); 3] = [
    ("subscriptions_begun", "subscriptions_ended", "relay_subscriptions", "Subscriptions now."),
    ("writes_begun", "writes_ended", "relay_writes", "Events that wait for the store now."),
    ("queued_bytes", "unqueued_bytes", "relay_queued_bytes", "Bytes that wait for clients now."),
];

/// All of them.
pub(super) fn families(measured: &Measured) -> Vec<Family> {
    let mut families = relay(&measured.relay);
    families.extend(latencies(&measured.latencies));
    families.extend(shards(&measured.shards));
    families.extend(logs(&measured.logs));
    families.extend(pool(&measured.pool));
    families.extend(machine(measured));
    families
}

fn relay(stats: &RelayStats) -> Vec<Family> {
    let described = stats.described();
    let of = |name: &str| described.iter().find(|(n, ..)| *n == name).map_or(0, |d| d.2);
    let mut families = vec![gauge("relay_connections", "Connections now.", stats.connections)];
    for (begun, ended, name, help) in NOW {
        // Read one after the other, so the second may be ahead.
        families.push(gauge(name, help, of(begun).saturating_sub(of(ended))));
    }
    for (prefix, name, label, help) in GROUPS {
        let values = described.iter().filter_map(|(counter, _, value)| {
            Some((vec![(label, counter.strip_prefix(prefix)?.to_string())], *value))
        });
        families.push(Family {
            name: name.into(),
            help,
            values: Values::Counter(values.collect()),
        });
    }
    let elsewhere = |name: &str| {
        GROUPS.iter().any(|(prefix, ..)| name.starts_with(prefix))
            || NOW.iter().any(|(begun, ended, ..)| [*begun, *ended].contains(&name))
    };
    for (name, help, value) in &described {
        if !elsewhere(name) {
            let values = Values::Counter(vec![(Labels::new(), *value)]);
            families.push(Family { name: format!("relay_{name}"), help, values });
        }
    }
    families
}

fn latencies(of: &Latencies) -> Vec<Family> {
    let histogram = |name: &str, help, of: &Distribution| Family {
        name: name.into(),
        help,
        values: Values::Histogram(of.clone()),
    };
    vec![
        histogram(
            "relay_insert_seconds",
            "From handing an event to the store until it is as durable as the sync mode says.",
            &of.insert,
        ),
        histogram("relay_req_seconds", "From a REQ until its EOSE is queued.", &of.req),
        histogram("relay_count_seconds", "From a COUNT until its answer is queued.", &of.count),
        histogram(
            "relay_live_seconds",
            "From an event's publication until it is queued for all subscribers of a thread.",
            &of.live,
        ),
    ]
}

fn gauge(name: &str, help: &'static str, value: u64) -> Family {
    let values = Values::Gauge(vec![(Labels::new(), value as f64)]);
    Family { name: name.into(), help, values }
}

fn counter(name: &str, help: &'static str, value: u64) -> Family {
    let values = Values::Counter(vec![(Labels::new(), value)]);
    Family { name: name.into(), help, values }
}

fn label(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

type OfShard = (&'static str, &'static str, fn(&ShardStats) -> u64);

const SHARD_GAUGES: [OfShard; 10] = [
    ("shard_poisoned", "1 if the shard takes no writes, since one failed.", |s| {
        u64::from(s.poisoned)
    }),
    ("shard_full", "1 if the shard takes no records for now, since the disk is full.", |s| {
        u64::from(s.full)
    }),
    ("segments", "Segments now.", |s| s.segments),
    ("segment_records", "Records in segments now, the dead included.", |s| s.segment_records),
    ("segment_dead_records", "Dead records in segments now.", |s| s.segment_dead),
    ("segment_bytes", "Bytes of the segments now.", |s| s.segment_bytes),
    ("memtables", "Memtables now.", |s| s.memtables),
    ("memtable_records", "Records in memtables now, the dead included.", |s| s.memtable_records),
    ("memtable_dead_records", "Dead records in memtables now.", |s| s.memtable_dead),
    ("memtable_bytes", "Bytes of the memtables now.", |s| s.memtable_bytes),
];

const SHARD_COUNTERS: [OfShard; 10] = [
    ("records_stored", "Records stored.", |s| s.stored),
    ("records_duplicate", "Records that were there already.", |s| s.duplicates),
    ("records_refused", "Records that the rules refused.", |s| s.refused),
    ("records_removed", "Records removed without one in their place.", |s| s.removed),
    ("commits", "Groups written to the log.", |s| s.commits),
    ("log_written_bytes", "Bytes written to the log.", |s| s.log_bytes),
    ("flushes", "Memtables flushed.", |s| s.flushes),
    ("compactions", "Merges of segments.", |s| s.compactions),
    ("compaction_bytes", "Bytes that merges read and wrote.", |s| s.compaction_bytes),
    ("replayed_entries", "Log entries replayed at opening.", |s| s.replayed),
];

fn shards(shards: &[ShardStats]) -> Vec<Family> {
    let each = |of: fn(&ShardStats) -> u64| {
        shards.iter().map(move |shard| (label("shard", shard.shard), of(shard)))
    };
    let gauges = SHARD_GAUGES.into_iter().map(|(name, help, of)| {
        let values = each(of).map(|(labels, value)| (labels, value as f64)).collect();
        Family { name: name.into(), help, values: Values::Gauge(values) }
    });
    let counters = SHARD_COUNTERS.into_iter().map(|(name, help, of)| {
        let values = Values::Counter(each(of).collect());
        Family { name: name.into(), help, values }
    });
    gauges.chain(counters).collect()
}

fn logs(logs: &[Log]) -> Vec<Family> {
    let family = |name: &str, help, of: fn(&Log) -> u64| {
        let value = |(shard, log)| (label("shard", shard), of(log) as f64);
        let values = Values::Gauge(logs.iter().enumerate().map(value).collect());
        Family { name: name.into(), help, values }
    };
    vec![
        family("log_files", "Log files now.", |log| log.files),
        family("log_file_bytes", "Bytes of the log files now.", |log| log.bytes),
    ]
}

fn pool(pool: &PoolStats) -> Vec<Family> {
    let parts = |name: &str, help, of: fn(&PartStats) -> u64| {
        let value = |part: Part| (label("part", part.name()), of(&pool.parts[part as usize]));
        let values = Values::Counter(Part::ALL.into_iter().map(value).collect());
        Family { name: name.into(), help, values }
    };
    vec![
        gauge("pool_frames", "Frames that may be used now.", pool.frames as u64),
        gauge("pool_resident_frames", "Frames that hold a page now.", pool.resident as u64),
        gauge("pool_pinned_frames", "Frames that hold a pinned page now.", pool.pinned as u64),
        parts("pool_hits", "Pages found in memory.", |part| part.hits),
        parts("pool_misses", "Pages read by the thread that asked for them.", |part| part.misses),
        counter("pool_prefetched", "Pages handed over to be read ahead.", pool.prefetched),
        counter("pool_evictions", "Pages that left the pool.", pool.evictions),
        counter("pool_waits", "Requests that waited for another's read.", pool.waits),
    ]
}

fn machine(measured: &Measured) -> Vec<Family> {
    let memory = &measured.memory;
    let parts = [
        ("budget", memory.budget_bytes),
        ("pool", memory.pool_bytes),
        ("pool_resident", memory.pool_resident_bytes),
        ("pool_state", memory.pool_state_bytes),
        ("memtables_reserved", memory.memtable_reserved_bytes),
        ("memtables", memory.memtable_bytes),
        ("segments", memory.segment_bytes),
        ("in_flight", memory.in_flight_bytes),
        ("slack", memory.slack_bytes),
        ("working", memory.working_bytes),
    ];
    let parts = parts.into_iter().map(|(part, bytes)| (label("part", part), bytes as f64));
    let mut families = vec![Family {
        name: "memory_bytes".into(),
        help: "The memory budget and its division now.",
        values: Values::Gauge(parts.collect()),
    }];
    if let Some(space) = measured.space {
        let help = "Bytes that may be written to the file system of the store.";
        families.push(gauge("disk_free_bytes", help, space.free_bytes));
        families.push(gauge("disk_size_bytes", "Bytes of that file system.", space.size_bytes));
    }
    let uptime = Values::Gauge(vec![(Labels::new(), measured.uptime_seconds)]);
    let help = "Since the relay began.";
    families.push(Family { name: "uptime_seconds".into(), help, values: uptime });
    let build = Values::Gauge(vec![(label("version", env!("CARGO_PKG_VERSION")), 1.0)]);
    let help = "1, with the version.";
    families.push(Family { name: "build_info".into(), help, values: build });
    families
}
