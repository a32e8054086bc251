//! Where a collector listens, what it calls the sources of syslog, and how much it takes.

use super::Template;
use crate::base::{Error, Result};
use crate::logs::RAW_BYTES_MAX;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The port of syslog here. 514 is root's alone.
const SYSLOG_PORT: u16 = 5514;

/// The registered port of OTLP over HTTP.
const OTLP_PORT: u16 = 4318;

/// How a collector is started. `Default` listens on loopback alone, on every way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where syslog datagrams come. Default: 127.0.0.1:5514.
    pub syslog_udp: Option<SocketAddr>,
    /// Where syslog streams come. Default: 127.0.0.1:5514.
    pub syslog_tcp: Option<SocketAddr>,
    /// Where OTLP requests come, and those for figures. Default: 127.0.0.1:4318.
    pub http: Option<SocketAddr>,
    /// What the source of a syslog message is called. Default: `{host}/{app}`.
    pub source: Template,
    /// How much is taken.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        let local = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Config {
            syslog_udp: local(SYSLOG_PORT),
            syslog_tcp: local(SYSLOG_PORT),
            http: local(OTLP_PORT),
            source: Template::default(),
            limits: Limits::default(),
        }
    }
}

/// How much is taken, and how long is waited. Together they bound a collector's memory:
/// `syslog_connections * message_bytes + 2 * batch_bytes + in_flight_bytes`, and one request while it is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one syslog message; what is longer is cut there. Default: 64 KiB, all that fits a datagram.
    pub message_bytes: usize,
    /// Syslog connections at once. More are closed as they come. Default: 512.
    pub syslog_connections: usize,
    /// How long a syslog connection may say nothing. Default: 1 h, since senders keep theirs, and lose what
    /// they send into one that was closed.
    pub idle: Duration,
    /// How long a syslog message may take to be complete. Default: 30 s.
    pub partial: Duration,
    /// Bytes of syslog records, with what they take besides, that wait while others are appended.
    /// Default: 4 MiB, what two shards take in at once.
    pub batch_bytes: usize,
    /// HTTP connections at once. More are closed as they come. Default: 256.
    pub http_connections: usize,
    /// Bytes of one OTLP request, packed and unpacked. Default: 8 MiB; collectors send 8,192 records at
    /// once, some 4 MB.
    pub request_bytes: usize,
    /// Bytes of all OTLP requests that are being read or appended. Default: 64 MiB.
    pub in_flight_bytes: usize,
    /// How long a request's head may take, and how long a connection may wait for its next. Default: 1 min.
    pub head: Duration,
    /// How long a request's body may take. Default: 30 s.
    pub body: Duration,
    /// How long a request may wait for room before it is told to come again. Default: 3 s, a third of what
    /// exporters wait.
    pub room: Duration,
    /// How long a stop waits for what is under way on connections. Default: 10 s.
    pub closing: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes: 64 * 1024,
            syslog_connections: 512,
            idle: Duration::from_secs(3600),
            partial: Duration::from_secs(30),
            batch_bytes: 4 << 20,
            http_connections: 256,
            request_bytes: 8 << 20,
            in_flight_bytes: 64 << 20,
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            room: Duration::from_secs(3),
            closing: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// # Errors
    /// `Invalid`, naming the limit.
    pub(super) fn check(&self) -> Result<()> {
        let within = |what, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(what, format!("{value} is not from {least} to {most}")))
        };
        within("message_bytes", self.message_bytes, 480, RAW_BYTES_MAX)?;
        within("syslog_connections", self.syslog_connections, 1, 1 << 16)?;
        within("batch_bytes", self.batch_bytes, 64 << 10, 1 << 30)?;
        within("http_connections", self.http_connections, 1, 1 << 16)?;
        within("request_bytes", self.request_bytes, 1 << 10, 64 << 20)?;
        // One request has to find room when it is alone.
        within("in_flight_bytes", self.in_flight_bytes, self.request_bytes, 1 << 31)
    }
}
