//! Many connected clients: from publish to delivery, what a connection costs, and what bad neighbours do.
//!
//! ```text
//!   quiet      N clients, each subscribed to one of T topics; events of one topic at a fixed rate
//!   stalled    the same beside clients that subscribe to everything and never read
//!   flooded    the same beside clients that ask as fast as they are answered
//! ```
//!
//! Open loop: a delivery counts from when its event was due. One thread reads all clients, one publishes: on two
//! cores this tool takes about as much as the relay, and the figures are of both.

mod crowd;
mod neighbours;

use crate::Result;
use crate::clock::histogram;
use crate::figure::{Figures, quantiles, round};
use crowd::{Crowd, Schedule};
use hdrhistogram::Histogram;
use neighbours::Neighbours;
use ratite::nostr::{Event, Signer, write_event};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tungstenite::Message;

#[derive(clap::Args)]
pub struct Args {
    /// The relay, `ws://HOST:PORT`, on this machine. Its limits of connections have to allow for all of them.
    #[arg(long)]
    url: String,
    /// Its process, for the memory of a connection.
    #[arg(long)]
    pid: Option<u32>,
    /// Clients, each with one live subscription. Raise the limit of open files for them: `ulimit -n 40000`.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Topics: an event goes to `connections / topics` clients.
    #[arg(long, default_value_t = 1_000)]
    topics: usize,
    /// Events a second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Seconds of each stage.
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Clients that never read, in the second stage.
    #[arg(long, default_value_t = 20)]
    stalled: usize,
    /// Clients that ask without end, in the third.
    #[arg(long, default_value_t = 4)]
    floods: usize,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let before = resident_kib(args.pid);
    let started = Instant::now();
    let mut crowd = Crowd::connect(&args.url, args.connections, args.topics)?;
    let connected = started.elapsed().as_secs_f64();
    let after = resident_kib(args.pid);
    let bytes =
        after.zip(before).map(|(a, b)| (a.saturating_sub(b)) * 1024 / args.connections as u64);
    eprintln!(
        "{} clients in {connected:.1} s, {bytes:?} bytes of the relay's memory each",
        args.connections
    );
    figures.add(
        "clients",
        "ratite",
        "connect",
        json!({
            "connections": args.connections, "seconds": round(connected), "bytes_each": bytes,
        }),
    )?;
    eprintln!("{:<10} {:>9} {:>7} | us: p50 p99 p99.9 max", "stage", "delivered", "missing");
    let mut quiet = None;
    for (stage, name) in ["quiet", "stalled", "flooded"].into_iter().enumerate() {
        let neighbours = match name {
            "stalled" => Neighbours::stalled(&args.url, args.stalled)?,
            "flooded" => Neighbours::floods(&args.url, args.floods)?,
            _ => Neighbours::none(),
        };
        let seen = measure(args, &mut crowd, stage)?;
        let asked = neighbours.end();
        let p99 = seen.latency.value_at_quantile(0.99) as f64;
        let quiet_p99 = *quiet.get_or_insert(p99);
        let us = |q| seen.latency.value_at_quantile(q) as f64 / 1e3;
        eprintln!(
            "{name:<10} {:>9} {:>7} | {:.0} {:.0} {:.0} {:.0}",
            seen.latency.len(),
            seen.missing,
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0)
        );
        figures.add("clients", "ratite", name, json!({
            "connections": args.connections, "topics": args.topics, "rate": args.rate,
            "deliveries": seen.latency.len(), "missing": seen.missing, "refused": seen.refused,
            "delivery_us": quantiles(&seen.latency), "ok_us": quantiles(&seen.answers),
            "times_quiet_p99": round(p99 / quiet_p99), "neighbours": { "stalled": args.stalled, "floods": args.floods },
            "floods_asked": asked, "relay_resident_kib": resident_kib(args.pid),
        }))?;
    }
    Ok(())
}

/// What came of one stage.
struct Seen {
    latency: Histogram<u64>,
    answers: Histogram<u64>,
    missing: u64,
    refused: u64,
}

/// Publishes at the rate while the crowd listens.
fn measure(args: &Args, crowd: &mut Crowd, stage: usize) -> Result<Seen> {
    let events = (args.rate * args.seconds) as usize;
    let texts = messages(stage, events, args.topics)?;
    let schedule =
        Schedule { stage, start: Instant::now() + Duration::from_millis(100), rate: args.rate };
    let over = AtomicBool::new(false);
    let expected: u64 = (0..events).map(|i| crowd.listeners(i % args.topics)).sum();
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| crowd.listen(&schedule, expected, &over));
        let published = publish(&args.url, &texts, &schedule);
        over.store(true, Ordering::Relaxed);
        let latency = listening.join().map_err(|_| "the listening thread panicked")??;
        let (answers, refused) = published?;
        Ok(Seen { missing: expected.saturating_sub(latency.len()), latency, answers, refused })
    })
}

/// Signed events, each of one topic, which say in their content which they are.
fn messages(stage: usize, count: usize, topics: usize) -> Result<Vec<String>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let signer = Signer::new([7; 32]).ok_or("not a key")?;
    let message = |i: usize| {
        let topic = format!("topic{}", i % topics);
        let content = format!("{stage}:{i} ");
        let event = Event::from_parts(*signer.pubkey(), now, 1, &[["t", &topic]], &content);
        let mut text = b"[\"EVENT\",".to_vec();
        write_event(&event.sign(&signer).as_ref(), &mut text);
        text.push(b']');
        Ok(String::from_utf8(text)?)
    };
    (0..count).map(message).collect()
}

/// Publishes each message when it is due, on one connection; the latencies of their answers, from then.
fn publish(url: &str, texts: &[String], schedule: &Schedule) -> Result<(Histogram<u64>, u64)> {
    let mut socket = crowd::connect(url)?;
    let (mut answers, mut refused, mut answered) = (histogram(), 0, 0);
    for (i, text) in texts.iter().enumerate() {
        while Instant::now() < schedule.due(i) {
            answered += take_answer(&mut socket, schedule, answered, &mut answers, &mut refused)?;
            std::thread::sleep(
                Duration::from_micros(50)
                    .min(schedule.due(i) - Instant::now().min(schedule.due(i))),
            );
        }
        crowd::send(&mut socket, Message::text(text.as_str()))?;
    }
    let limit = Instant::now() + Duration::from_secs(10);
    while answered < texts.len() && Instant::now() < limit {
        answered += take_answer(&mut socket, schedule, answered, &mut answers, &mut refused)?;
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok((answers, refused))
}

/// Takes an `OK` if one has come: the relay answers one connection's events in order.
fn take_answer(
    socket: &mut crowd::Socket,
    schedule: &Schedule,
    nth: usize,
    answers: &mut Histogram<u64>,
    refused: &mut u64,
) -> Result<usize> {
    match crowd::read(socket)? {
        Some(Message::Text(text)) if text.starts_with("[\"OK\"") => {
            answers.saturating_record(schedule.due(nth).elapsed().as_nanos() as u64);
            *refused += u64::from(text.contains(",false,"));
            Ok(1)
        }
        _ => Ok(0),
    }
}

/// Anonymous memory of a process.
fn resident_kib(pid: Option<u32>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
