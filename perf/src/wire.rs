//! Relays through websockets: EVENT to OK, EVENT to its delivery, and REQ to EOSE.
//!
//! With several relays each row is cut into rounds, and each round is asked of one relay after the other; of every answer
//! it is known which events came in which order: where another relay's differ from the first one's, it says of how many.
//!
//! Closed loop: each connection asks again when it is answered. Open loop (`--rate`): requests have their
//! times beforehand, and a latency counts from when the request was due, so that a relay that stalls
//! cannot hide the requests that it kept from being sent.

mod drive;

use crate::Result;
use crate::clock::cpu_of;
use crate::events::Events;
use crate::figure::{Figures, print_head, quantiles, round};
use crate::workload::{Answer, Facts, rows};
use drive::{Driven, connect, deliver, drive};
use ratite::nostr::{Class, class, write_event, write_filter};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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
    /// Events of the file to pass over, with `--publish` and `--deliver`.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Publish the file's events instead of asking.
    #[arg(long)]
    publish: bool,
    /// Publish those of kind 1, one at a time, and wait until each comes out of a subscription on another connection.
    #[arg(long, conflicts_with = "publish")]
    deliver: bool,
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
    /// Parts of a row, each asked of one relay after the other; 1 with `--rate`.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds without a word from a relay, after which the row is given up.
    #[arg(long, default_value_t = 10.0)]
    patience: f64,
}

/// Who is asked.
struct Relay<'a> {
    name: &'a str,
    url: &'a str,
    pid: Option<u32>,
}

impl Args {
    fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }

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
    if args.publish || args.deliver {
        print_head("publish on the wire");
        let requests = published(args)?;
        let connections = args.connections.max(1);
        let row = match (args.deliver, connections) {
            (true, _) => "EVENT to delivery".to_string(),
            (_, 1) => "EVENT to OK".to_string(),
            (_, many) => format!("EVENT to OK, {many} connections"),
        };
        return measure(args, &relays, &row, &requests, figures);
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

/// The events to publish.
fn published(args: &Args) -> Result<Vec<Request>> {
    let mut events = Events::open(&args.file, None)?;
    events.skip(args.skip)?;
    let mut requests = Vec::new();
    events.first(args.events.unwrap_or(u64::MAX)).for_each(|event| {
        // Of ephemeral ones some relays (nostr-rs-relay) never say OK.
        let is_ephemeral = class(event.kind()) == Class::Ephemeral;
        if is_ephemeral || args.deliver && event.kind() != 1 {
            return Ok(());
        }
        let mut text = b"[\"EVENT\",".to_vec();
        write_event(&event, &mut text);
        text.push(b']');
        let name = event.id().iter().map(|b| format!("{b:02x}")).collect();
        requests.push(Request { text: String::from_utf8(text)?, name, close: None });
        Ok(())
    })?;
    Ok(requests)
}

/// What one relay's part of a row has come to.
struct Sum {
    driven: Driven,
    calls: usize,
    seconds: f64,
    cpu_nanos: Option<u64>,
}

/// Asks one relay after the other, round by round, and compares what they said with what the first one said.
fn measure(
    args: &Args,
    relays: &[Relay<'_>],
    row: &str,
    requests: &[Request],
    figures: &mut Figures,
) -> Result<()> {
    let new = |relay: &Relay<'_>| {
        let cpu_nanos = relay.pid.map(|_| 0);
        Sum { driven: Driven::new(), calls: 0, seconds: 0.0, cpu_nanos }
    };
    let mut sums: Vec<Sum> = relays.iter().map(new).collect();
    let rounds = if args.rate.is_some() { 1 } else { args.rounds.max(1) };
    for part in requests.chunks(requests.len().div_ceil(rounds).max(1)) {
        for (relay, sum) in relays.iter().zip(&mut sums) {
            // Who did not answer does not answer the rest.
            if sum.driven.unanswered == 0 {
                turn(args, relay, part, sum).map_err(|e| format!("{}: {e}", relay.name))?;
            }
        }
    }
    let (first, others) = sums.split_at(1);
    for (relay, sum) in relays.iter().zip(first) {
        report(args, relay, row, sum, None, figures)?;
    }
    for (relay, sum) in relays.iter().skip(1).zip(others) {
        report(args, relay, row, sum, first.first(), figures)?;
    }
    Ok(())
}

/// Deals requests out to connections, and sums up.
fn turn(args: &Args, relay: &Relay<'_>, requests: &[Request], sum: &mut Sum) -> Result<()> {
    // Delivery takes two: one publishes, the other one has a subscription.
    let count = if args.deliver { 2 } else { args.connections.max(1) };
    let mut shares: Vec<Vec<(usize, &Request)>> = Vec::new();
    shares.resize_with(count, Vec::new);
    for (i, request) in requests.iter().enumerate() {
        shares[i % count].push((i, request));
    }
    let mut sockets = (0..count).map(|_| connect(relay.url)).collect::<Result<Vec<_>>>()?;
    let cpu = relay.pid.map(cpu_of);
    let started = Instant::now();
    let driven = if args.deliver {
        let both = sockets.pop().zip(sockets.pop()).ok_or("two were opened")?;
        vec![deliver(both, requests, args)]
    } else {
        std::thread::scope(|scope| {
            let drive_one = |socket, share| move || drive(socket, share, started, args);
            let pairs = sockets.into_iter().zip(shares);
            let driving: Vec<_> = pairs.map(|(s, r)| scope.spawn(drive_one(s, r))).collect();
            let ended = |d: std::thread::ScopedJoinHandle<'_, Result<Driven>>| {
                d.join().unwrap_or_else(|_| Err("a connection's thread panicked".into()))
            };
            driving.into_iter().map(ended).collect::<Vec<_>>()
        })
    };
    sum.seconds += started.elapsed().as_secs_f64();
    sum.calls += requests.len();
    if let (Some(nanos), Some(pid), Some(before)) = (&mut sum.cpu_nanos, relay.pid, cpu) {
        *nanos += cpu_of(pid).saturating_sub(before);
    }
    driven.into_iter().try_for_each(|one| sum.driven.add(one?))
}

fn report(
    args: &Args,
    relay: &Relay<'_>,
    row: &str,
    sum: &Sum,
    first: Option<&Sum>,
    figures: &mut Figures,
) -> Result<()> {
    let Sum { driven, calls, seconds, cpu_nanos } = sum;
    let latency = &driven.latency;
    let each = |sum: f64| sum / (*calls).max(1) as f64;
    let cpu_us = cpu_nanos.map(|nanos| round(each(nanos as f64 / 1e3)));
    let differs = |first: &Sum| {
        let (mut events, mut order) = (0, 0);
        for name in (0..*calls).map(|i| format!("s{i}")) {
            let of = |sum: &Driven| sum.said.get(&name).copied().unwrap_or_default();
            let (ours, theirs) = (of(&first.driven), of(driven));
            events += u64::from(ours.events != theirs.events);
            order += u64::from(ours.events == theirs.events && ours.order != theirs.order);
        }
        (events, order)
    };
    // Where somebody gave up there is nothing to compare.
    let whole = |sum: &&Sum| sum.driven.unanswered == 0 && driven.unanswered == 0;
    let differing = first.filter(whole).map(differs);
    let sum = differing.map(|(events, order)| events + order);
    let ways = differing.map(|(events, order)| json!({ "events": events, "order": order }));
    let (per_second, rows) = ((*calls as f64 / seconds).round(), each(driven.rows as f64));
    let values = json!({
        "calls": calls, "connections": args.connections, "outstanding": args.outstanding,
        "rate_asked": args.rate, "per_second": per_second, "refused": driven.refused,
        "unanswered": driven.unanswered, "notice": driven.notice, "rows": round(rows),
        "wall_us": quantiles(latency), "server_cpu_us": cpu_us, "url": relay.url,
        "answers_that_differ": sum, "differ_in": ways,
    });
    let us = |q| latency.value_at_quantile(q) as f64 / 1e3;
    eprintln!(
        "{:<14} {row:<38} {rows:>8.1} | {per_second:>9}/s {:>7} refused {:>6} differ | {:>9.1} {:>9.1} {:>9.1} | {} server CPU us{}",
        relay.name,
        driven.refused,
        sum.unwrap_or_default(),
        us(0.5),
        us(0.99),
        us(0.999),
        cpu_us.unwrap_or_default(),
        if driven.unanswered > 0 { ", given up: no answer" } else { "" },
    );
    if let Some(notice) = &driven.notice {
        eprintln!("  it says: {notice}");
    }
    figures.add("wire", relay.name, row, values)
}
