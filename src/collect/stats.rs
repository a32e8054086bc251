//! What a collector has done, for Prometheus.
//!
//! ```text
//!   ratite_collect_records_total{way="syslog_udp"}    stored; _bytes_total, their raws
//!   ratite_collect_dropped_total{reason="kernel"}     not stored
//!   ratite_collect_cut_total                          syslog messages that were longer than the limit
//!   ratite_collect_connections{way="syslog_tcp"}      now; _refused_total, no room for them
//!   ratite_collect_requests_total{status="200"}       answers to OTLP requests
//!   ratite_collect_append_seconds                     histogram: from handing over a batch until it is durable
//! ```

use super::server::Readiness;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::sync::PoisonError;

/// The media type of [`Stats::text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What stands before each name.
const PREFIX: &str = "ratite";

/// The way that a record came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    SyslogUdp,
    SyslogTcp,
    Otlp,
}

/// Why a record was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A datagram for which the kernel had no room.
    Kernel,
    /// A syslog message without a byte.
    Empty,
    /// The store failed.
    Failed,
    /// An OTLP record of more bytes than a record has.
    TooLong,
}

type Labelled<T> = Family<[(&'static str, &'static str); 1], T>;

/// The counters of a collector, shared by its threads.
pub(super) struct Stats {
    registry: Registry,
    records: Labelled<Counter>,
    bytes: Labelled<Counter>,
    dropped: Labelled<Counter>,
    cut: Counter,
    connections: Labelled<Gauge>,
    refused: Labelled<Counter>,
    requests: Labelled<Counter>,
    append: Histogram,
    /// The datagrams' socket and the drops of it that are counted already.
    kernel: Mutex<(Option<Inode>, u64)>,
}

/// The kernel's number for a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode(u64);

impl Inode {
    /// That of a socket of this process.
    pub(super) fn of(socket: &impl AsRawFd) -> Option<Inode> {
        let found = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
        Some(Inode(found.ino()))
    }

    /// Datagrams for it that the kernel dropped: the last column of its line.
    fn drops(self) -> Option<u64> {
        let tables = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
        tables.into_iter().flatten().find_map(|table| drops_of(&table, self.0))
    }
}

fn drops_of(table: &str, inode: u64) -> Option<u64> {
    let is_it = |columns: &Vec<&str>| columns.get(9).is_some_and(|it| it.parse() == Ok(inode));
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(is_it)?.last()?.parse().ok()
}

impl Stats {
    pub(super) fn new() -> Stats {
        let mut registry = Registry::with_prefix(PREFIX);
        let stats = Stats {
            records: Family::default(),
            bytes: Family::default(),
            dropped: Family::default(),
            cut: Counter::default(),
            connections: Family::default(),
            refused: Family::default(),
            requests: Family::default(),
            // From 50 us to 26 s.
            append: Histogram::new(exponential_buckets(0.000_05, 2.0, 20)),
            kernel: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register(
            "collect_records",
            "Records stored, by the way they came",
            stats.records.clone(),
        );
        registry.register("collect_bytes", "Raw bytes of the records stored", stats.bytes.clone());
        registry.register(
            "collect_dropped",
            "Records not stored, by reason",
            stats.dropped.clone(),
        );
        registry.register(
            "collect_cut",
            "Syslog messages longer than the limit",
            stats.cut.clone(),
        );
        registry.register("collect_connections", "Connections now", stats.connections.clone());
        registry.register(
            "collect_refused",
            "Connections for which there was no room",
            stats.refused.clone(),
        );
        registry.register(
            "collect_requests",
            "Answers to OTLP requests, by status",
            stats.requests.clone(),
        );
        registry.register(
            "collect_append_seconds",
            "From a batch to its durability",
            stats.append.clone(),
        );
        Stats { registry, ..stats }
    }

    /// The socket whose dropped datagrams are counted.
    pub(super) fn watch(&self, socket: Option<Inode>) {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner).0 = socket;
    }

    pub(super) fn stored(&self, way: Way, records: usize, bytes: usize) {
        self.records.get_or_create(&[way.label()]).inc_by(records as u64);
        self.bytes.get_or_create(&[way.label()]).inc_by(bytes as u64);
    }

    pub(super) fn dropped(&self, reason: Dropped, records: usize) {
        self.dropped.get_or_create(&[reason.label()]).inc_by(records as u64);
    }

    pub(super) fn cut(&self) {
        self.cut.inc();
    }

    pub(super) fn refused(&self, way: Way) {
        self.refused.get_or_create(&[way.label()]).inc();
    }

    pub(super) fn connected(&self, way: Way, change: i64) {
        self.connections.get_or_create(&[way.label()]).inc_by(change);
    }

    pub(super) fn answered(&self, status: &'static str) {
        self.requests.get_or_create(&[("status", status)]).inc();
    }

    pub(super) fn appended(&self, nanos: u64) {
        self.append.observe(nanos as f64 / 1e9);
    }

    /// Everything, in the text format of OpenMetrics. Reads a table of the kernel's.
    pub(super) fn text(&self, readiness: &Readiness) -> String {
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drops) = kernel.0.and_then(Inode::drops) {
            self.dropped(Dropped::Kernel, drops.saturating_sub(kernel.1) as usize);
            kernel.1 = drops.max(kernel.1);
        }
        drop(kernel);
        let mut text = String::with_capacity(8 * 1024);
        let ready = u8::from(readiness.is_ready());
        text += &format!("# HELP {PREFIX}_collect_ready Whether senders should be sent here.\n");
        text += &format!("# TYPE {PREFIX}_collect_ready gauge\n{PREFIX}_collect_ready {ready}\n");
        // Writing to a String cannot fail.
        let _written = encode(&mut text, &self.registry);
        text
    }
}

impl Way {
    fn label(self) -> (&'static str, &'static str) {
        let name = match self {
            Way::SyslogUdp => "syslog_udp",
            Way::SyslogTcp => "syslog_tcp",
            Way::Otlp => "otlp",
        };
        ("way", name)
    }
}

impl Dropped {
    fn label(self) -> (&'static str, &'static str) {
        let name = match self {
            Dropped::Kernel => "kernel",
            Dropped::Empty => "empty",
            Dropped::Failed => "failed",
            Dropped::TooLong => "too_long",
        };
        ("reason", name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_kernel_says_what_it_dropped() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = Inode::of(&socket).unwrap();
        assert_eq!(inode.drops(), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than any default buffer holds; nobody reads.
        for _ in 0..2000 {
            sender.send_to(&[0; 8000], socket.local_addr().unwrap()).unwrap();
        }
        assert!(inode.drops().unwrap() > 0);
        let stats = Stats::new();
        stats.watch(Some(inode));
        let text = |stats: &Stats| stats.text(&Readiness::default());
        let dropped = format!("dropped_total{{reason=\"kernel\"}} {}", inode.drops().unwrap());
        assert!(text(&stats).contains(&dropped), "{}", text(&stats));
        assert!(text(&stats).contains(&dropped), "counted once");
        assert!(text(&stats).ends_with("# EOF\n"));
    }

    #[test]
    fn a_line_of_the_kernels_table_is_found_by_its_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             \x20 12: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 00000000 88\n";
        assert_eq!((drops_of(table, 4711), drops_of(table, 471)), (Some(88), None));
    }
}
