//! The relay as a whole: its threads, their listeners, and a stop that ends.
//!
//! ```text
//!   start: bind -> a thread each: runtime, listen, tails, feed -> all listen -> started
//!   stop:  no new clients -> writes answered -> goodbye, close frame -> threads joined
//! ```
//!
//! Every thread has a socket of its own on the same address (SO_REUSEPORT): the kernel spreads the
//! clients, and a client stays on its thread.
//!
//! I1. `stop` ends: every step of every connection has its deadline, and so has their sum.

use super::auth;
use super::budget::ItemBudget;
use super::config::Config;
use super::connection::LINGER;
use super::doors::{Doors, Entry};
use super::feed::{Bell, follow};
use super::front::{EPHEMERAL_MAX, Front};
use super::http;
use super::runtime::Runtime;
use super::stats::{Counters, RelayStats};
use crate::base::{Error, Result};
use crate::io::{Wake, threads};
use crate::nostr::{Event, EventStore};
use crossbeam::channel;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long accepting pauses when the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running relay. Dropping it stops it.
pub struct Relay {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Mutex<Vec<threads::Thread<()>>>,
    counters: Vec<Arc<Counters>>,
    doors: Arc<Doors>,
}

/// What a thread is started with.
struct Seat {
    store: Arc<EventStore>,
    config: Arc<Config>,
    hosts: Arc<[String]>,
    counters: Arc<Counters>,
    items: Arc<ItemBudget>,
    doors: Arc<Doors>,
    socket: TcpSocket,
    stop: watch::Receiver<bool>,
    feeds: Vec<mpsc::Sender<Arc<Event>>>,
    feed: mpsc::Receiver<Arc<Event>>,
}

impl Relay {
    /// Starts a relay on `store`. When it returns, clients can connect.
    ///
    /// The store is the caller's: stop the relay before closing it.
    ///
    /// # Errors
    /// `Invalid` limits or settings ([`Config::check`]); `Io` if the address cannot be listened on.
    pub fn start(store: Arc<EventStore>, config: Config) -> Result<Relay> {
        config.check()?;
        let count = config.threads;
        let cannot_listen = |error| Error::io("listen on", config.listen.to_string(), error);
        let (address, sockets) = bind(config.listen, count).map_err(cannot_listen)?;
        let (feeds, feed_ends): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::channel(EPHEMERAL_MAX)).unzip();
        let hosts: Arc<[String]> = auth::hosts(&config, address).into();
        let config = Arc::new(config);
        let items = Arc::new(ItemBudget::new(&config.limits));
        let (stop, stopped) = watch::channel(false);
        let mut relay = Relay {
            address,
            stop,
            threads: Mutex::default(),
            counters: (0..count).map(|_| Arc::default()).collect(),
            doors: Doors::new(&config.limits),
        };
        let (ready, readiness) = channel::bounded(count);
        for (number, (socket, feed)) in sockets.into_iter().zip(feed_ends).enumerate() {
            let seat = Seat {
                store: store.clone(),
                config: config.clone(),
                hosts: hosts.clone(),
                counters: relay.counters[number].clone(),
                items: items.clone(),
                doors: relay.doors.clone(),
                socket,
                stop: stopped.clone(),
                feeds: feeds.clone(),
                feed,
            };
            let ready = ready.clone();
            let run = move || run_thread(seat, ready);
            let thread = threads::spawn(format!("ratite-relay-{number}"), run);
            relay.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        drop(ready);
        // A thread that could not start, or died, has dropped its sender without a word.
        let started: Vec<io::Result<()>> = readiness.iter().collect();
        let all = started.len() == count;
        if let Some(error) = started.into_iter().find_map(io::Result::err) {
            return Err(Error::io("listen on", address.to_string(), error));
        }
        if !all {
            relay.join()?;
            return Err(Error::Closed);
        }
        tracing::info!(%address, threads = count, "the relay listens");
        Ok(relay)
    }

    /// The address that it listens on, with the port it was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn stats(&self) -> RelayStats {
        RelayStats::sum(self.doors.count(), self.counters.iter().map(|counters| &**counters))
    }

    /// Stops: no new connections; events under way are answered; every client is told and its
    /// connection closed (1001); the threads end. Takes twice `Limits::closing` and a second at most,
    /// a COUNT under way aside. Stopping again does nothing.
    ///
    /// # Errors
    /// `Poisoned`, naming the thread, if one had panicked.
    pub fn stop(&self) -> Result<()> {
        self.join()
    }

    fn join(&self) -> Result<()> {
        self.stop.send_replace(true);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<Result<()>> = threads.drain(..).map(threads::Thread::join).collect();
        ended.into_iter().collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!(%error, "a thread of the relay ended badly");
        }
    }
}

/// Binds a socket for each thread; port 0 becomes the one that the first is given.
fn bind(listen: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    let socket = |address: SocketAddr, shared: bool| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Without this, connections of an earlier run that linger keep the port taken. Not for port
        // 0: of two that bind and do not yet listen, both could be given the same port.
        socket.set_reuseaddr(address.port() != 0)?;
        socket.set_reuseport(shared)?;
        socket.bind(address)?;
        io::Result::Ok(socket)
    };
    // Sharing the port among threads would share it with another relay of this user too.
    drop(socket(listen, false)?);
    let mut address = listen;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = socket(address, true)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

fn run_thread(seat: Seat, ready: channel::Sender<io::Result<()>>) {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.run(async move {
        let Seat { store, config, hosts, counters, items, doors, socket, stop, feeds, feed } = seat;
        let listener = match socket.listen(BACKLOG) {
            Ok(listener) => listener,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let bell: Arc<Bell> = Arc::default();
        let wake: Arc<dyn Wake> = bell.clone();
        let tails = store.tails(&store.snapshot(), &wake);
        let front = Rc::new(Front::new(store, config, hosts, counters, items, feeds));
        let follower = tokio::task::spawn_local(follow(front.clone(), bell, tails, feed));
        drop(ready.send(Ok(())));
        // The starting thread waits until every sender is gone.
        drop(ready);
        let mut clients = JoinSet::new();
        accept(&front, &doors, listener, &mut clients, stop).await;
        front.stop();
        let all_gone = async { while clients.join_next().await.is_some() {} };
        // Twice: once for the writes, once for the goodbye. Then whoever is left is cut off (I1).
        if timeout(front.limits().closing * 2 + LINGER, all_gone).await.is_err() {
            tracing::warn!(clients = clients.len(), "clients did not go in time and are cut off");
        }
        clients.shutdown().await;
        follower.abort();
    });
}

/// Lets clients in until the relay stops. The listener is closed when it returns.
async fn accept(
    front: &Rc<Front>,
    doors: &Arc<Doors>,
    listener: TcpListener,
    clients: &mut JoinSet<()>,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match doors.enter(from.ip()) {
                    Some(entry) => {
                        front.counters.connections_accepted.add();
                        clients.spawn_local(client(front.clone(), stream, entry, stopped.clone()));
                    }
                    None => front.counters.connections_refused.add(),
                },
                // The client was gone before it was let in.
                Err(error) if is_clients_own(&error) => {}
                Err(error) => {
                    if front.counters.accept_errors.add_and_tell() {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = clients.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task ended badly");
                }
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn client(front: Rc<Front>, stream: TcpStream, entry: Entry, stop: watch::Receiver<bool>) {
    // Answers are gathered before they are written; waiting for more would only delay them.
    if stream.set_nodelay(true).is_ok() {
        http::serve(front, stream, stop).await;
    }
    drop(entry);
}

fn is_clients_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let own = [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted];
    own.contains(&error.kind())
}
