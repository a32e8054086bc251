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
use super::background::Background;
use super::budget::ItemBudget;
use super::config::Config;
use super::connection::LINGER;
use super::doors::{Doors, Entry};
use super::feed::{Bell, follow};
use super::front::{EPHEMERAL_MAX, Front, Gate};
use super::http;
use super::manage::Manager;
use super::metrics::{Readiness, Vitals};
use super::plugin::Plugin;
use super::policy::Policy;
use super::rounds::turn;
use super::runtime::Runtime;
use super::scrape::Scrape;
use super::stats::{Counters, RelayStats};
use crate::base::{Error, Result};
use crate::io::{Wake, threads};
use crate::nostr::{Event, EventStore};
use crossbeam::channel;
use std::io;
use std::net::{IpAddr, SocketAddr};
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
    config: watch::Sender<&'static Config>,
    doors: Arc<Doors>,
    threads: Mutex<Vec<threads::Thread<()>>>,
    vitals: Arc<Vitals>,
    scrape: Option<Scrape>,
    policy: Arc<Policy>,
    /// After the threads, which ask its plugin.
    background: Mutex<Option<Background>>,
}

/// What a thread is started with.
struct Seat {
    store: Arc<EventStore>,
    config: watch::Receiver<&'static Config>,
    hosts: Arc<[String]>,
    counters: Arc<Counters>,
    doors: Arc<Doors>,
    vitals: Arc<Vitals>,
    gate: Gate,
    socket: Socket,
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
    /// `Invalid` limits or settings ([`Config::check`]) or rules; `Io` if the address cannot be listened on; what
    /// the files of the policy met.
    pub fn start(store: Arc<EventStore>, config: Config) -> Result<Relay> {
        Relay::start_on(store, config, None)
    }

    /// The same on a socket that listens already, and that somebody else may hold on to: clients that come
    /// while no relay accepts wait in its queue. `Config::listen` does not count then.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start_on(
        store: Arc<EventStore>,
        config: Config,
        listener: Option<std::net::TcpListener>,
    ) -> Result<Relay> {
        config.check()?;
        store.keep_private(&config.private_kinds);
        let count = config.threads;
        let counters: Vec<Arc<Counters>> = (0..=count).map(|_| Arc::default()).collect();
        let cannot_listen = |error| Error::io("listen on", config.listen.to_string(), error);
        let (address, sockets) = match listener {
            Some(listener) => share(&listener, count).map_err(cannot_listen)?,
            None => bind(config.listen, count).map_err(cannot_listen)?,
        };
        // After the binding: what may fail first costs no start of a plugin.
        let (gate, background) = gate(&store, (&config, address), counters[count].clone())?;
        let (feeds, feed_ends): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::channel(EPHEMERAL_MAX)).unzip();
        let hosts: Arc<[String]> = auth::hosts(&config, address).into();
        let doors = Doors::new(&config.limits);
        let (most, asked) = (doors.most(), config.limits.connections);
        if most < asked {
            tracing::warn!(most, asked, "no more connections are let in than descriptors allow");
        }
        let vitals = Arc::new(Vitals::new(store.clone(), counters.clone(), doors.clone()));
        let scrape = Scrape::start(&config, &vitals)?;
        let (stop, stopped) = watch::channel(false);
        let (config, configs) = watch::channel(&*Box::leak(Box::new(config)));
        let threads = Mutex::default();
        let policy = gate.policy.clone();
        let background = Mutex::new(Some(background));
        let mut relay =
            Relay { address, stop, config, doors, threads, vitals, scrape, policy, background };
        let (ready, readiness) = channel::bounded(count);
        for (number, (socket, feed)) in sockets.into_iter().zip(feed_ends).enumerate() {
            let seat = Seat {
                store: store.clone(),
                config: configs.clone(),
                hosts: hosts.clone(),
                counters: counters[number].clone(),
                doors: relay.doors.clone(),
                vitals: relay.vitals.clone(),
                gate: gate.clone(),
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
        drop((ready, gate));
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

    /// Takes another configuration: limits, name, description, contact and public key count from now on, for
    /// what clients do next; what was set when a client connected (its queue, the size of its messages) for
    /// those that come. The rest needs a new start. A relay that was started keeps some KiB for each change.
    ///
    /// # Errors
    /// `Invalid` limits, naming the limit; then everything stays as it is.
    pub fn change(&self, config: &Config) -> Result<()> {
        config.limits.check()?;
        let config: &'static Config = Box::leak(Box::new(self.config.borrow().changed_to(config)));
        self.doors.change(&config.limits);
        self.config.send_replace(config);
        Ok(())
    }

    /// The address that it listens on, with the port it was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it lets in, to be loaded anew.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What it has done so far.
    pub fn stats(&self) -> RelayStats {
        self.vitals.stats()
    }

    /// The address that `/metrics` is served on, if it has one of its own.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.scrape.as_ref().map(Scrape::local_addr)
    }

    /// What `/metrics` answers: every figure of the relay and its store, in the text format of
    /// OpenMetrics. Looks at every frame of the pool.
    pub fn metrics(&self) -> String {
        self.vitals.text()
    }

    /// Whether clients should be sent here, and why not.
    pub fn readiness(&self) -> Readiness {
        self.vitals.readiness()
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
        self.vitals.stop();
        self.stop.send_replace(true);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<Result<()>> = threads.drain(..).map(threads::Thread::join).collect();
        // Nobody asks the plugin any more, so it ends.
        drop(self.background.lock().unwrap_or_else(PoisonError::into_inner).take());
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

/// What a thread listens on.
enum Socket {
    /// One of its own, which does not listen yet.
    Own(TcpSocket),
    /// One that all threads, and whoever made it, share.
    Shared(std::net::TcpListener),
}

impl Socket {
    fn listen(self) -> io::Result<TcpListener> {
        match self {
            Socket::Own(socket) => socket.listen(BACKLOG),
            Socket::Shared(listener) => TcpListener::from_std(listener),
        }
    }
}

/// The same socket for each thread: one queue, from which whoever is free takes.
fn share(listener: &std::net::TcpListener, count: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let shared = (0..count).map(|_| listener.try_clone().map(Socket::Shared));
    Ok((address, shared.collect::<io::Result<_>>()?))
}

/// Makes what decides on what is let in, and starts what works for it.
fn gate(
    store: &Arc<EventStore>,
    (config, address): (&Config, SocketAddr),
    counters: Arc<Counters>,
) -> Result<(Gate, Background)> {
    let engine = store.engine();
    let policy = Policy::open(&config.policy, &config.limits.rates, engine.env(), engine.dir())
        .map(Arc::new)?;
    let manager = Manager::new((config, address), &policy, store).map(Arc::new);
    let plugin = &config.policy.plugin;
    let (plugin, served) = match plugin.is_there() {
        false => (None, None),
        true => {
            let (asker, asks) = Plugin::new(plugin);
            (Some(Arc::new(asker)), Some((plugin.clone(), asks)))
        }
    };
    let background = Background::start(&policy, served, counters)?;
    let items = Arc::new(ItemBudget::new(&config.limits));
    Ok((Gate { policy, plugin, manager, items }, background))
}

/// Binds a socket for each thread; port 0 becomes the one that the first is given.
fn bind(listen: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
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
        sockets.push(Socket::Own(socket));
    }
    Ok((address, sockets))
}

fn run_thread(seat: Seat, ready: channel::Sender<io::Result<()>>) {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.run(async move {
        let Seat { store, config, hosts, counters, doors, vitals, gate, socket, .. } = seat;
        let Seat { stop, feeds, feed, .. } = seat;
        let listener = match socket.listen() {
            Ok(listener) => listener,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let bell = Arc::new(Bell::new(store.engine().env().clock.clone()));
        let wake: Arc<dyn Wake> = bell.clone();
        let tails = store.tails(&store.snapshot(), &wake);
        let front = Rc::new(Front::new(store, *config.borrow(), hosts, counters, gate, feeds));
        let renewer = tokio::task::spawn_local(renew(front.clone(), config));
        let follower = tokio::task::spawn_local(follow(front.clone(), bell, tails, feed));
        let rounds = tokio::task::spawn_local(turn(front.rounds.clone()));
        let told = front.clone();
        let teller = tokio::task::spawn_local(async move { told.tell_of_sent_away().await });
        drop(ready.send(Ok(())));
        // The starting thread waits until every sender is gone.
        drop(ready);
        let mut clients = JoinSet::new();
        accept(&front, &doors, &vitals, listener, &mut clients, stop).await;
        front.stop();
        let all_gone = async { while clients.join_next().await.is_some() {} };
        // Twice: once for the writes, once for the goodbye. Then whoever is left is cut off (I1).
        if timeout(front.limits().closing * 2 + LINGER, all_gone).await.is_err() {
            tracing::warn!(clients = clients.len(), "clients did not go in time and are cut off");
        }
        clients.shutdown().await;
        follower.abort();
        renewer.abort();
        rounds.abort();
        teller.abort();
        front.tell_all_of_sent_away();
    });
}

/// Gives the thread each new configuration.
async fn renew(front: Rc<Front>, mut config: watch::Receiver<&'static Config>) {
    while config.changed().await.is_ok() {
        front.config.change(*config.borrow_and_update());
    }
}

/// Lets clients in until the relay stops. The listener is closed when it returns.
async fn accept(
    front: &Rc<Front>,
    doors: &Arc<Doors>,
    vitals: &Arc<Vitals>,
    listener: TcpListener,
    clients: &mut JoinSet<()>,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match enter(front, doors, from.ip()) {
                    Ok(entry) => {
                        front.counters.connections_accepted.add();
                        let (front, vitals) = (front.clone(), vitals.clone());
                        clients.spawn_local(client(front, vitals, stream, entry, stopped.clone()));
                    }
                    Err(why) => {
                        front.send_away(&front.counters.connections_refused, from.ip(), why);
                    }
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

/// Lets a connection in, if its address may and there is room for it; else says why not. Of what a proxy brings, the
/// address is known later.
fn enter(
    front: &Front,
    doors: &Arc<Doors>,
    from: IpAddr,
) -> std::result::Result<Entry, &'static str> {
    let policy = &front.policy;
    if !policy.proxies().believe(from) {
        policy.admit_address(from).map_err(|refusal| refusal.0)?;
    }
    doors.enter(from).ok_or("no room for a connection")
}

async fn client(
    front: Rc<Front>,
    vitals: Arc<Vitals>,
    stream: TcpStream,
    entry: Entry,
    stop: watch::Receiver<bool>,
) {
    // Answers are gathered before they are written; waiting for more would only delay them.
    if stream.set_nodelay(true).is_ok() {
        http::serve(front, vitals, stream, entry, stop).await;
    }
}

fn is_clients_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let own = [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted];
    own.contains(&error.kind())
}
