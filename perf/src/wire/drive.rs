//! One connection: sends requests when they are due, times their last answers, and knows what came for each.
//!
//! A relay that says nothing for `--patience` seconds while something is under way is given up: some do not know COUNT, and
//! answer it with a NOTICE that names no request, or with nothing.

use super::{Args, Request};
use crate::Result;
use crate::clock::histogram;
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use std::collections::HashMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

pub type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

pub fn connect(url: &str) -> Result<Socket> {
    let (socket, _) = tungstenite::connect(url)?;
    if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
    }
    Ok(socket)
}

/// What came for one request.
#[derive(Clone, Copy, Default)]
pub struct Said {
    /// A sum over the ids in whatever order; of a COUNT its answer.
    pub events: u64,
    /// A sum over the ids in their order.
    pub order: u64,
}

/// What came of one connection's requests.
pub struct Driven {
    pub latency: Histogram<u64>,
    pub rows: u64,
    pub refused: u64,
    /// Requests that were given up.
    pub unanswered: u64,
    pub said: HashMap<String, Said>,
    /// The last NOTICE, and the last reason of a refusal.
    pub notice: Option<String>,
}

impl Driven {
    pub fn new() -> Driven {
        let (rows, refused, unanswered) = (0, 0, 0);
        let (latency, said) = (histogram(), HashMap::new());
        Driven { latency, rows, refused, unanswered, said, notice: None }
    }

    pub fn add(&mut self, more: Driven) -> Result<()> {
        self.latency.add(&more.latency)?;
        self.rows += more.rows;
        self.refused += more.refused;
        self.unanswered += more.unanswered;
        self.said.extend(more.said);
        self.notice = more.notice.or(self.notice.take());
        Ok(())
    }
}

/// Sends requests when they are due, and times their last answers.
pub fn drive(
    mut socket: Socket,
    requests: Vec<(usize, &Request)>,
    started: Instant,
    args: &Args,
) -> Result<Driven> {
    let mut done = Driven::new();
    let mut heard = Instant::now();
    let mut waiting: HashMap<String, (Instant, Option<String>)> = HashMap::new();
    let mut requests = requests.into_iter().peekable();
    while requests.peek().is_some() || !waiting.is_empty() {
        let now = Instant::now();
        let due = requests.peek().map(|(i, _)| match args.rate {
            Some(rate) => started + Duration::from_secs_f64(*i as f64 / rate),
            None if waiting.len() < args.outstanding => now,
            None => now + Duration::from_secs(1),
        });
        if due.is_some_and(|due| due <= now)
            && let Some((_, request)) = requests.next()
        {
            let from = if args.rate.is_some() { due.unwrap_or(now) } else { now };
            if waiting.is_empty() {
                heard = now;
            }
            waiting.insert(request.name.clone(), (from, request.close.clone()));
            send(&mut socket, request.text.clone())?;
            continue;
        }
        match socket.read() {
            Ok(Message::Text(text)) => {
                heard = now;
                if let Some(close) = take(text.as_str(), &mut waiting, &mut done) {
                    send(&mut socket, close)?;
                }
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
                if !waiting.is_empty() && now - heard > args.patience() {
                    done.unanswered = (waiting.len() + requests.count()) as u64;
                    return Ok(done);
                }
                let until = due.map_or(Duration::from_secs(1), |due| due - now);
                wait(&[&socket], until)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// Notes an answer; gives what is to be sent after it.
fn take(
    text: &str,
    waiting: &mut HashMap<String, (Instant, Option<String>)>,
    done: &mut Driven,
) -> Option<String> {
    if text.starts_with("[\"EVENT\"") {
        done.rows += 1;
        note(text, &mut done.said);
        return None;
    }
    let answer: Value = serde_json::from_str(text).ok()?;
    let (verb, name) = (answer[0].as_str()?, answer[1].as_str()?);
    if verb == "NOTICE" {
        done.notice = Some(name.into());
    }
    let refused = verb == "CLOSED" || verb == "OK" && answer[2] == Value::Bool(false);
    if matches!(verb, "OK" | "EOSE" | "COUNT" | "CLOSED") {
        let (from, close) = waiting.remove(name)?;
        done.latency.saturating_record(from.elapsed().as_nanos() as u64);
        done.refused += u64::from(refused);
        if refused {
            // The reason stands after what is refused: third of a CLOSED, fourth of an OK.
            let reason = if verb == "OK" { &answer[3] } else { &answer[2] };
            done.notice = reason.as_str().map(String::from);
        }
        if let Some(count) = answer[2]["count"].as_u64() {
            done.said.insert(name.into(), Said { events: count, order: 0 });
        }
        return close.filter(|_| !refused);
    }
    None
}

/// Adds an event's id to what was said for its request. Within a text a quote has a backslash before it, so the first
/// that looks like the id is the id, or that of somebody who writes another member before it.
fn note(text: &str, said: &mut HashMap<String, Said>) {
    let name = text.split('"').nth(3).unwrap_or_default();
    let id = text.split_once("\"id\"").and_then(|(_, rest)| rest.split('"').nth(1));
    let id = id.and_then(|id| u64::from_str_radix(id.get(..16)?, 16).ok()).unwrap_or(0);
    let sums = match said.get_mut(name) {
        Some(sums) => sums,
        None => said.entry(name.into()).or_default(),
    };
    sums.events = sums.events.wrapping_add(id);
    sums.order = sums.order.wrapping_mul(31).wrapping_add(id);
}

fn send(socket: &mut Socket, text: String) -> Result<()> {
    let mut sent = socket.send(Message::text(text));
    // The socket takes the rest when it can; the message is in the buffer already.
    while let Err(tungstenite::Error::Io(error)) = &sent {
        if error.kind() != std::io::ErrorKind::WouldBlock {
            break;
        }
        sent = socket.flush();
    }
    Ok(sent?)
}

/// Waits until one of the sockets can be read, at most so long.
fn wait(sockets: &[&Socket], at_most: Duration) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> = sockets
        .iter()
        .filter_map(|s| match s.get_ref() {
            MaybeTlsStream::Plain(tcp) => Some(PollFd::new(tcp, PollFlags::IN)),
            _ => None,
        })
        .collect();
    let timeout =
        Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
    poll(&mut fds, Some(&timeout))?;
    Ok(())
}

/// Publishes one event after the other through one connection, and times how long each takes to come out of another one
/// that has a subscription.
pub fn deliver(
    (mut from, mut to): (Socket, Socket),
    requests: &[Request],
    args: &Args,
) -> Result<Driven> {
    let mut done = Driven::new();
    send(&mut to, "[\"REQ\",\"live\",{\"kinds\":[1],\"limit\":1}]".into())?;
    let began = Instant::now();
    let patient = |since: Instant| since.elapsed() < args.patience();
    while !next(&mut to)?.is_some_and(|text| text.starts_with("[\"EOSE\"")) {
        if !patient(began) {
            return Err("the relay does not end what is stored: no EOSE".into());
        }
        wait(&[&to], Duration::from_millis(1))?;
    }
    for (i, request) in requests.iter().enumerate() {
        let sent = Instant::now();
        let (mut is_there, mut is_answered) = (false, false);
        send(&mut from, request.text.clone())?;
        while !(is_there && is_answered) {
            let (came, said) = (next(&mut to)?, next(&mut from)?);
            if !is_there && came.as_ref().is_some_and(|text| text.contains(&request.name)) {
                done.latency.saturating_record(sent.elapsed().as_nanos() as u64);
                (is_there, done.rows) = (true, done.rows + 1);
            }
            if let Some(text) = said.as_ref().filter(|text| text.starts_with("[\"OK\"")) {
                is_answered = true;
                if text.contains(",false,") {
                    done.refused += 1;
                    done.notice = Some(text.clone());
                    break;
                }
            }
            if !patient(sent) {
                done.unanswered = (requests.len() - i) as u64;
                return Ok(done);
            }
            if came.is_none() && said.is_none() {
                wait(&[&from, &to], Duration::from_secs(1))?;
            }
        }
    }
    Ok(done)
}

/// The next text, if one is there.
fn next(socket: &mut Socket) -> Result<Option<String>> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Ok(Some(text.to_string())),
            // Behind it may be a text that was read from the socket with it.
            Ok(_) => {}
            Err(tungstenite::Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
