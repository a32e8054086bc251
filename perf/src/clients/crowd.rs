//! The clients: thousands of sockets, read by one thread as they become readable.

use crate::Result;
use crate::clock::histogram;
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

/// A client's end.
pub type Socket = WebSocket<TcpStream>;

/// How long after the last event something may still come.
const PATIENCE: Duration = Duration::from_secs(10);

/// When which event is due.
pub struct Schedule {
    pub stage: usize,
    pub start: Instant,
    pub rate: f64,
}

impl Schedule {
    /// When event `i` is due.
    pub fn due(&self, i: usize) -> Instant {
        self.start + Duration::from_secs_f64(i as f64 / self.rate)
    }

    /// When the event in a relay's message was due, if it is one of this stage.
    fn due_of(&self, text: &str) -> Option<Instant> {
        let content = text.split_once("\"content\":\"")?.1;
        let (stage, rest) = content.split_once(':')?;
        let i = rest.split_once(' ')?.0.parse().ok()?;
        (stage.parse() == Ok(self.stage)).then(|| self.due(i))
    }
}

/// Connected clients, each with a live subscription to one topic.
pub struct Crowd {
    sockets: Vec<Socket>,
    epoll: OwnedFd,
    topics: usize,
}

impl Crowd {
    /// Connects `count` clients and waits for the `EOSE` of each.
    pub fn connect(url: &str, count: usize, topics: usize) -> Result<Crowd> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut sockets = Vec::with_capacity(count);
        for i in 0..count {
            let mut socket = connect(url)?;
            let topic = i % topics;
            let ask =
                format!("[\"REQ\",\"s\",{{\"kinds\":[1],\"#t\":[\"topic{topic}\"],\"limit\":0}}]");
            send(&mut socket, Message::text(ask))?;
            let data = epoll::EventData::new_u64(i as u64);
            epoll::add(&epoll, socket.get_ref(), data, epoll::EventFlags::IN)?;
            sockets.push(socket);
        }
        let mut crowd = Crowd { sockets, epoll, topics };
        let mut ended = 0;
        crowd.each(&mut |text| {
            ended += u64::from(text.starts_with("[\"EOSE\""));
            ended < count as u64
        })?;
        if ended < count as u64 {
            return Err(format!("{ended} of {count} subscriptions were answered").into());
        }
        Ok(crowd)
    }

    /// Clients that listen to a topic.
    pub fn listeners(&self, topic: usize) -> u64 {
        (topic..self.sockets.len()).step_by(self.topics).count() as u64
    }

    /// Reads until `expected` deliveries have come, or nothing comes any more once it is `over`.
    pub fn listen(
        &mut self,
        schedule: &Schedule,
        expected: u64,
        over: &AtomicBool,
    ) -> Result<Histogram<u64>> {
        let mut latency = histogram();
        while latency.len() < expected {
            let before = latency.len();
            let ended = over.load(Ordering::Relaxed);
            self.each(&mut |text| {
                if let Some(due) = schedule.due_of(text) {
                    latency.saturating_record(due.elapsed().as_nanos() as u64);
                }
                latency.len() < expected
            })?;
            if ended && latency.len() == before {
                break;
            }
        }
        Ok(latency)
    }

    /// Hands every message that comes to `take`, until that says no or nothing has come for a while.
    fn each(&mut self, take: &mut dyn FnMut(&str) -> bool) -> Result<()> {
        let mut ready = Vec::with_capacity(256);
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        loop {
            ready.clear();
            if epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&patience))? == 0 {
                return Ok(());
            }
            for event in &ready {
                let socket = &mut self.sockets[event.data.u64() as usize];
                while let Some(message) = read(socket)? {
                    if let Message::Text(text) = message
                        && !take(&text)
                    {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// A client that does not block and keeps small buffers.
pub fn connect(url: &str) -> Result<Socket> {
    let address = url.strip_prefix("ws://").ok_or("the URL is not ws://HOST:PORT")?;
    let stream = TcpStream::connect(address.trim_end_matches('/'))?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
        .map_err(|error| error.to_string())?;
    socket.get_ref().set_nonblocking(true)?;
    Ok(socket)
}

/// The next message, if one has come.
pub fn read(socket: &mut Socket) -> Result<Option<Message>> {
    match socket.read() {
        Ok(message) => Ok(Some(message)),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends a message, as the socket takes it.
pub fn send(socket: &mut Socket, message: Message) -> Result<()> {
    let mut sent = socket.send(message);
    while let Err(Error::Io(error)) = &sent
        && error.kind() == ErrorKind::WouldBlock
    {
        std::thread::yield_now();
        sent = socket.flush();
    }
    Ok(sent?)
}
