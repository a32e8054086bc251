//! A collector as a whole: its sockets, its threads, and a stop that loses nothing.
//!
//! ```text
//!   start: bind all -> a thread for syslog, a thread for HTTP
//!   stop:  no new connections -> what has come is taken, requests are answered -> batches durable -> joined
//! ```
//!
//! I1. When `start` returns, senders can send. When `stop` returns, everything taken is in the store.

use super::config::{Config, Limits};
use super::sink::Sink;
use super::stats::{Inode, Stats};
use super::{http, tcp, udp};
use crate::base::{Error, Result, ShardId};
use crate::io::threads::{self, Thread};
use crate::logs::LogStore;
use serde_json::json;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Space below which a collector is not ready: the next log file, memtable and merge of a shard or two.
const SPACE_BYTES_MIN: u64 = 256 << 20;

/// What the kernel is asked to keep of datagrams that are not read yet; it gives less if `net.core.rmem_max` is less.
const RECEIVE_BYTES: usize = 8 << 20;

/// Where a collector listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// Syslog datagrams.
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog streams.
    pub syslog_tcp: Option<SocketAddr>,
    /// OTLP and figures.
    pub http: Option<SocketAddr>,
}

/// A running collector. Dropping it stops it.
pub struct Collector {
    addresses: Addresses,
    vitals: Arc<Vitals>,
    stop: watch::Sender<bool>,
    threads: Mutex<Vec<Thread<()>>>,
}

/// What a collector's threads share.
pub(super) struct Vitals {
    pub(super) store: Arc<LogStore>,
    pub(super) stats: Arc<Stats>,
    failed: Arc<AtomicBool>,
    stopping: AtomicBool,
}

/// Whether senders should be sent to a collector, and why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    stopping: bool,
    failed: bool,
    poisoned: Vec<ShardId>,
    full: Vec<ShardId>,
    free_bytes: Option<u64>,
}

impl Readiness {
    pub(super) fn is_ready(&self) -> bool {
        self.reasons().is_empty()
    }

    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        reasons.extend(self.stopping.then(|| "the collector is stopping".into()));
        reasons.extend(self.failed.then(|| "the store failed to take records".into()));
        let poisoned = |shard| format!("shard {shard} takes no writes, since one failed");
        reasons.extend(self.poisoned.iter().map(poisoned));
        let full =
            |shard| format!("shard {shard} takes no records for now, since the disk is full");
        reasons.extend(self.full.iter().map(full));
        let little = self.free_bytes.filter(|free| *free < SPACE_BYTES_MIN);
        reasons.extend(little.map(|free| format!("{} MiB are left on the disk", free >> 20)));
        reasons
    }

    pub(super) fn json(&self) -> String {
        json!({ "ready": self.is_ready(), "reasons": self.reasons() }).to_string()
    }
}

impl Vitals {
    /// Microseconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.store.engine().env().clock.unix_micros()
    }

    /// Nanoseconds of a clock that only goes forward.
    pub(super) fn nanos(&self) -> u64 {
        self.store.engine().env().clock.monotonic_nanos()
    }

    pub(super) fn readiness(&self) -> Readiness {
        let stats = self.store.stats();
        let stats = stats.iter();
        Readiness {
            stopping: self.stopping.load(Relaxed),
            failed: self.failed.load(Relaxed),
            poisoned: stats.clone().filter(|of| of.poisoned).map(|of| of.shard).collect(),
            full: stats.filter(|of| of.full).map(|of| of.shard).collect(),
            free_bytes: self.store.engine().disk_space().map(|space| space.free_bytes),
        }
    }

    pub(super) fn metrics(&self) -> String {
        self.stats.text(&self.readiness())
    }
}

/// The sockets, before any thread has them.
#[derive(Default)]
struct Sockets {
    udp: Option<UdpSocket>,
    tcp: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl Sockets {
    fn bind(config: &Config) -> Result<(Sockets, Addresses)> {
        let (mut sockets, mut addresses) = (Sockets::default(), Addresses::default());
        if let Some(listen) = config.syslog_udp {
            let socket = bound(listen, UdpSocket::bind(listen))?;
            // What it is given is what it has; `/metrics` says what was dropped.
            let _refused =
                rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BYTES);
            bound(listen, socket.set_nonblocking(true))?;
            addresses.syslog_udp = Some(bound(listen, socket.local_addr())?);
            sockets.udp = Some(socket);
        }
        let tcp = |listen: SocketAddr| {
            let listener = bound(listen, TcpListener::bind(listen))?;
            bound(listen, listener.set_nonblocking(true))?;
            Ok::<_, Error>((bound(listen, listener.local_addr())?, listener))
        };
        (addresses.syslog_tcp, sockets.tcp) = config.syslog_tcp.map(tcp).transpose()?.unzip();
        (addresses.http, sockets.http) = config.http.map(tcp).transpose()?.unzip();
        Ok((sockets, addresses))
    }
}

fn bound<T>(listen: SocketAddr, result: io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::io("listen on", listen.to_string(), error))
}

impl Collector {
    /// Starts a collector on `store`. The store is the caller's: stop the collector before closing it.
    ///
    /// # Errors
    /// `Invalid` limits; `Io` if an address cannot be listened on.
    pub fn start(store: Arc<LogStore>, config: &Config) -> Result<Collector> {
        config.limits.check()?;
        let (sockets, addresses) = Sockets::bind(config)?;
        let (stop, stopped) = watch::channel(false);
        let stats = Arc::new(Stats::new());
        stats.watch(sockets.udp.as_ref().and_then(Inode::of));
        let failed = Arc::default();
        let vitals = Vitals { store, stats, failed, stopping: AtomicBool::new(false) };
        let vitals = Arc::new(vitals);
        let collector = Collector { addresses, vitals, stop, threads: Mutex::default() };
        let Sockets { udp, tcp, http } = sockets;
        if udp.is_some() || tcp.is_some() {
            let (vitals, config) = (collector.vitals.clone(), config.clone());
            let stop = stopped.clone();
            collector.spawn("ratite-syslog", move || syslog(vitals, config, udp, tcp, stop))?;
        }
        if let Some(listener) = http {
            let (vitals, limits) = (collector.vitals.clone(), config.limits.clone());
            collector.spawn("ratite-otlp", move || otlp(vitals, limits, listener, stopped))?;
        }
        tracing::info!(?addresses, "the collector listens");
        Ok(collector)
    }

    /// Starts a thread that runs what `task` makes there.
    fn spawn<F: Future<Output = io::Result<()>>>(
        &self,
        name: &'static str,
        task: impl FnOnce() -> F + Send + 'static,
    ) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime: Runtime = runtime.map_err(|error| Error::io("start", name, error))?;
        let thread = threads::spawn(name, move || {
            if let Err(error) = LocalSet::new().block_on(&runtime, async { task().await }) {
                tracing::error!(%error, "a way into the store is closed");
            }
        });
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Where it listens, with the ports that it was given.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What `/metrics` answers.
    pub fn metrics(&self) -> String {
        self.vitals.metrics()
    }

    /// Stops: no new connections, what has come is stored, requests under way are answered, the threads end. Takes
    /// `Limits::closing` and the last append at most. Stopping again does nothing.
    ///
    /// # Errors
    /// `Poisoned`, naming the thread, if one had panicked.
    pub fn stop(&self) -> Result<()> {
        self.vitals.stopping.store(true, Relaxed);
        self.stop.send_replace(true);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<Result<()>> = threads.drain(..).map(Thread::join).collect();
        ended.into_iter().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "a thread of the collector ended badly");
        }
    }
}

/// The thread of syslog.
async fn syslog(
    vitals: Arc<Vitals>,
    config: Config,
    udp: Option<UdpSocket>,
    tcp: Option<TcpListener>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (store, stats) = (vitals.store.clone(), vitals.stats.clone());
    let sink = Rc::new(Sink::new(store, stats.clone(), &config, vitals.failed.clone()));
    let udp = udp.map(tokio::net::UdpSocket::from_std).transpose()?;
    let tcp = tcp.map(tokio::net::TcpListener::from_std).transpose()?;
    let datagrams = async {
        if let Some(socket) = udp {
            udp::receive(socket, sink.clone(), stop.clone()).await;
        }
    };
    let streams = async {
        if let Some(listener) = tcp {
            tcp::serve(listener, sink.clone(), stats, config.limits, stop.clone()).await;
        }
    };
    let take = async {
        tokio::join!(datagrams, streams);
        sink.end();
    };
    tokio::join!(take, sink.run());
    Ok(())
}

/// The thread of OTLP.
async fn otlp(
    vitals: Arc<Vitals>,
    limits: Limits,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    http::serve(listener, vitals, limits, stop).await;
    Ok(())
}
