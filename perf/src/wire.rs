//! Relays through websockets: EVENT to OK, and REQ to EOSE.
//!
//! With several relays each row is asked of one after the other, and of every answer it is known which events came in
//! which order: where another relay's differ from the first one's, it says of how many.
//!
//! Closed loop: each connection asks again when it is answered. Open loop (`--rate`): requests have their
//! times beforehand, and a latency counts from when the request was due, so that a relay that stalls
//! cannot hide the requests that it kept from being sent.

use crate::Result;
use crate::clock::{cpu_of, histogram};
use crate::events::Events;
use crate::figure::{Figures, print_head, quantiles, round};
use crate::workload::{Answer, Facts, rows};
use hdrhistogram::Histogram;
use ratite::nostr::{write_event, write_filter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

#[derive(clap::Args)]
pub struct Args {
    /// The relay, `ws://HOST:PORT`; more than once for several in turn.
    #[arg(long, required = true)]
    url: Vec<String>,
    /// Its name for the table, and the process whose CPU time is its own: `NAME` or `NAME:PID`, in the order of the URLs.
    #[arg(long)]
    store: Vec<String>,
    /// Events file: what queries are drawn from, and, with `--publish`, what is published.
    #[arg(long)]
    file: PathBuf,
    /// How many of its events.
    #[arg(long)]
    events: Option<u64>,
    /// Publish the file's events instead of asking.
    #[arg(long)]
    publish: bool,
    /// Connections, each on its own thread.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests a second over all connections, with times given beforehand; default: closed loop.
    #[arg(long)]
    rate: Option<f64>,
    /// Closed loop: requests under way on each connection.
    #[arg(long, default_value_t = 1)]
    outstanding: usize,
    /// Percent of the calls of each row.
    #[arg(long, default_value_t = 20)]
    calls: usize,
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Who is asked.
struct Relay<'a> {
    name: &'a str,
    url: &'a str,
    pid: Option<u32>,
}

impl Args {
    fn relays(&self) -> Result<Vec<Relay<'_>>> {
        let named = self.url.iter().enumerate().map(|(i, url)| {
            let named = self.store.get(i).map_or("ratite", String::as_str);
            let Some((name, pid)) = named.split_once(':') else {
                return Ok(Relay { name: named, url, pid: None });
            };
            Ok(Relay { name, url, pid: Some(pid.parse()?) })
        });
        named.collect()
    }
}

/// A request, and what its last answer is called.
struct Request {
    text: String,
    name: String,
    /// To be sent when this has ended.
    close: Option<String>,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let relays = args.relays()?;
    if args.publish {
        print_head("publish on the wire");
        let mut requests = Vec::new();
        Events::open(&args.file, args.events)?.for_each(|event| {
            let mut text = b"[\"EVENT\",".to_vec();
            write_event(&event, &mut text);
            text.push(b']');
            let name = event.id().iter().map(|b| format!("{b:02x}")).collect();
            requests.push(Request { text: String::from_utf8(text)?, name, close: None });
            Ok(())
        })?;
        return measure(args, &relays, "EVENT to OK", &requests, figures);
    }
    let mut facts = Facts::new(args.seed);
    Events::open(&args.file, args.events)?.for_each(|event| {
        facts.see(&event);
        Ok(())
    })?;
    print_head("query on the wire");
    for mut row in
        rows().into_iter().filter(|row| matches!(row.answer, Answer::Views | Answer::Count))
    {
        row.calls = (row.calls * args.calls / 100).max(1);
        let verb = if row.answer == Answer::Count { "COUNT" } else { "REQ" };
        let request = |(i, filter): (usize, &ratite::nostr::Filter)| -> Result<Request> {
            let mut json = Vec::new();
            write_filter(filter, &mut json);
            let (name, json) = (format!("s{i}"), String::from_utf8(json)?);
            let close = (verb == "REQ").then(|| format!("[\"CLOSE\",\"{name}\"]"));
            Ok(Request { text: format!("[\"{verb}\",\"{name}\",{json}]"), name, close })
        };
        let filters = row.filters(&facts, args.seed)?;
        let requests = filters.iter().enumerate().map(request).collect::<Result<Vec<_>>>()?;
        measure(args, &relays, row.name, &requests, figures)?;
    }
    Ok(())
}

/// Asks one relay after the other, and compares what they said with what the first one said.
fn measure(
    args: &Args,
    relays: &[Relay<'_>],
    row: &str,
    requests: &[Request],
    figures: &mut Figures,
) -> Result<()> {
    let mut first: Option<HashMap<String, u64>> = None;
    for relay in relays {
        let said = one(args, relay, row, requests, first.as_ref(), figures)?;
        first.get_or_insert(said);
    }
    Ok(())
}

/// Deals requests out to connections, and sums up; what came for each request.
fn one(
    args: &Args,
    relay: &Relay<'_>,
    row: &str,
    requests: &[Request],
    first: Option<&HashMap<String, u64>>,
    figures: &mut Figures,
) -> Result<HashMap<String, u64>> {
    let count = requests.len();
    let mut shares: Vec<Vec<(usize, &Request)>> = Vec::new();
    shares.resize_with(args.connections.max(1), Vec::new);
    for (i, request) in requests.iter().enumerate() {
        shares[i % args.connections.max(1)].push((i, request));
    }
    let mut sockets = Vec::new();
    for _ in 0..shares.len() {
        sockets.push(connect(relay.url)?);
    }
    let cpu = relay.pid.map(cpu_of);
    let started = Instant::now();
    let driven = std::thread::scope(|scope| {
        let drive_one = |socket, share| move || drive(socket, share, started, args);
        let driving: Vec<_> =
            sockets.into_iter().zip(shares).map(|(s, r)| scope.spawn(drive_one(s, r))).collect();
        driving.into_iter().map(|d| d.join()).collect::<Vec<_>>()
    });
    let seconds = started.elapsed().as_secs_f64();
    let cpu = relay.pid.map(cpu_of).zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let cpu_us = cpu.map(|nanos| round(nanos as f64 / 1e3 / count.max(1) as f64));
    let (mut latency, mut rows, mut refused) = (histogram(), 0, 0);
    let mut said = HashMap::new();
    for one in driven {
        let one = one.map_err(|_| "a connection's thread panicked")??;
        latency.add(&one.latency)?;
        rows += one.rows;
        refused += one.refused;
        said.extend(one.said);
    }
    let differing =
        first.map(|first| said.iter().filter(|(name, sum)| first.get(*name) != Some(sum)).count());
    let per_second = (count as f64 / seconds).round();
    let rows = rows as f64 / count.max(1) as f64;
    let values = json!({
        "calls": count, "connections": args.connections, "outstanding": args.outstanding,
        "rate_asked": args.rate, "per_second": per_second, "refused": refused, "rows": rows,
        "wall_us": quantiles(&latency), "server_cpu_us": cpu_us, "url": relay.url,
        "answers_that_differ": differing,
    });
    let us = |q| latency.value_at_quantile(q) as f64 / 1e3;
    eprintln!(
        "{:<14} {row:<38} {rows:>8.1} | {per_second:>9}/s {refused:>7} refused {:>6} differ | {:>9.1} {:>9.1} {:>9.1} | {} server CPU us",
        relay.name,
        differing.unwrap_or_default(),
        us(0.5),
        us(0.99),
        us(0.999),
        cpu_us.unwrap_or_default(),
    );
    figures.add("wire", relay.name, row, values)?;
    Ok(said)
}

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn connect(url: &str) -> Result<Socket> {
    let (socket, _) = tungstenite::connect(url)?;
    if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
    }
    Ok(socket)
}

/// What came of one connection's requests.
struct Driven {
    latency: Histogram<u64>,
    rows: u64,
    refused: u64,
    /// A sum over the ids that came for each request, and their order; of a COUNT its answer.
    said: HashMap<String, u64>,
}

/// Sends requests when they are due, and times their last answers.
fn drive(
    mut socket: Socket,
    requests: Vec<(usize, &Request)>,
    started: Instant,
    args: &Args,
) -> Result<Driven> {
    let mut done = Driven { latency: histogram(), rows: 0, refused: 0, said: HashMap::new() };
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
            waiting.insert(request.name.clone(), (from, request.close.clone()));
            send(&mut socket, request.text.clone())?;
            continue;
        }
        match socket.read() {
            Ok(Message::Text(text)) => {
                if let Some(close) = take(text.as_str(), &mut waiting, &mut done) {
                    send(&mut socket, close)?;
                }
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
                let until = due.map_or(Duration::from_secs(1), |due| due - now);
                wait(&socket, until)?;
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
    let refused = verb == "CLOSED" || verb == "OK" && answer[2] == Value::Bool(false);
    if matches!(verb, "OK" | "EOSE" | "COUNT" | "CLOSED") {
        let (from, close) = waiting.remove(name)?;
        done.latency.saturating_record(from.elapsed().as_nanos() as u64);
        done.refused += u64::from(refused);
        if let Some(count) = answer[2]["count"].as_u64() {
            done.said.insert(name.into(), count);
        }
        return close.filter(|_| !refused);
    }
    None
}

/// Adds an event's id to what was said for its request. Within a text a quote has a backslash before it, so the first
/// that looks like the id is the id, or that of somebody who writes another member before it.
fn note(text: &str, said: &mut HashMap<String, u64>) {
    let name = text.split('"').nth(3).unwrap_or_default();
    let id = text.split_once("\"id\"").and_then(|(_, rest)| rest.split('"').nth(1));
    let id = id.and_then(|id| u64::from_str_radix(id.get(..16)?, 16).ok()).unwrap_or(0);
    match said.get_mut(name) {
        Some(sum) => *sum = sum.wrapping_mul(31).wrapping_add(id),
        None => drop(said.insert(name.into(), id)),
    }
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

/// Waits until the socket can be read, at most so long.
fn wait(socket: &Socket, at_most: Duration) -> Result<()> {
    let MaybeTlsStream::Plain(tcp) = socket.get_ref() else { return Ok(()) };
    let mut fds = [PollFd::new(tcp, PollFlags::IN)];
    let timeout =
        Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
    poll(&mut fds, Some(&timeout))?;
    Ok(())
}
