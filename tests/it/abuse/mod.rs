//! The relay as a process, under abuse, with honest clients beside it.
//!
//! ```text
//!   Siege: ratite relay --+-- honest: publish, ask, hear it live, round after round; how long each round took
//!                         +-- attack: one way of abuse, bounded, over loopback
//!   afterwards: memory at its highest, what the log and the metrics say, how the attackers were sent off
//! ```
//!
//! Each attack is a function of a scale. Scale 1 runs always; `the_long_siege` runs all of them larger and prints the
//! figures of docs/operations.md.
//!
//! What is asserted of honest clients is only that their answers are right and come within seconds: figures are printed
//! (`--nocapture`), and the machine of a CI has other things to do. A tick of a slow attacker is a round trip of a
//! health check, so that nothing here sleeps.

#![allow(clippy::print_stderr, reason = "what was measured, and why a test is left out")]

mod floods;
mod frames;
mod heads;
mod held;
mod secrets;

use crate::clients::garbage::{close_code, connect, resident_kib, rest, switch};
use crate::clients::{Relay, Socket};
use ratite::io::{Clock, SystemClock};
use ratite::nostr::{Event, Signer};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The longest that an honest client may ever wait for the three answers of a round.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// Rounds of the honest client that an attack is measured by, at least.
const ROUNDS_MIN: usize = 20;

/// How long something takes.
struct Watch {
    clock: SystemClock,
    begun: u64,
}

impl Watch {
    fn begin() -> Watch {
        let clock = SystemClock::new();
        Watch { begun: clock.monotonic_nanos(), clock }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_nanos() - self.begun)
    }
}

fn signer(n: u8) -> Signer {
    Signer::new([n; 32]).unwrap()
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn note(by: u8, at: u64, content: &str) -> Event {
    let signer = signer(by);
    Event::from_parts(*signer.pubkey(), at, 1, &[["t", "abuse"]], content).sign(&signer)
}

/// A relay that is about to be abused.
struct Siege {
    relay: Relay,
    _dir: TempDir,
}

/// What one attack did to others.
struct Toll {
    rounds: Vec<Duration>,
    /// KiB more than before, at the highest.
    grown_kib: u64,
}

impl Toll {
    fn at(&self, share: f64) -> Duration {
        self.rounds[((self.rounds.len() - 1) as f64 * share) as usize]
    }
}

impl Siege {
    fn begin(more: &[&str]) -> Siege {
        let dir = tempfile::tempdir().unwrap();
        let always = ["--log", "info,ratite::relay=debug", "--metrics-listen", "relay"];
        let relay = Relay::start(dir.path(), &[&always[..], more].concat());
        Siege { relay, _dir: dir }
    }

    /// A figure of `/metrics`, by the beginning of its line.
    fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64
    }

    fn get(&self, path: &str) -> String {
        let mut stream = connect(&self.relay);
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A round trip, for who does something bit by bit.
    fn tick(&self) {
        assert!(self.get("/health").starts_with("HTTP/1.1 200"));
    }

    /// Waits until a figure has become so large.
    fn until(&self, name: &str, least: u64) {
        let begun = Watch::begin();
        while self.metric(name) < least {
            assert!(begun.elapsed() < crate::clients::DEADLINE, "{name} is {}", self.metric(name));
        }
    }

    /// A websocket of an attacker, behind its handshake.
    fn wire(&self) -> TcpStream {
        let mut stream = connect(&self.relay);
        stream.set_write_timeout(Some(crate::clients::DEADLINE / 4)).unwrap();
        switch(&mut stream);
        stream
    }

    fn socket(&self) -> Socket {
        Socket::connect(&self.relay.url)
    }

    /// Carries out an attack while an honest client goes its rounds, and holds the relay to its memory.
    fn beside<T>(&self, name: &str, grown_max_mib: u64, attack: impl FnOnce(&Siege) -> T) -> T {
        let before = self.forget_peak();
        let over = AtomicBool::new(false);
        let (result, toll) = std::thread::scope(|scope| {
            let honest = scope.spawn(|| honest(&self.relay.url, &over));
            let ended = Over(&over);
            let result = attack(self);
            drop(ended);
            let mut rounds = honest.join().unwrap();
            rounds.sort();
            let grown_kib = self.peak_kib().saturating_sub(before);
            (result, Toll { rounds, grown_kib })
        });
        let (p50, p99, worst) = (toll.at(0.5), toll.at(0.99), toll.at(1.0));
        eprintln!(
            "| {name} | {} | {:.1} | {:.1} | {:.1} | {:.1} |",
            toll.rounds.len(),
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3,
            toll.grown_kib as f64 / 1024.0
        );
        assert!(worst < ROUND_MAX, "{name}: an honest client waited for {worst:?}");
        let grown_mib = toll.grown_kib >> 10;
        assert!(grown_mib < grown_max_mib, "{name}: {grown_mib} MiB more, not {grown_max_mib}");
        result
    }

    /// Makes the highest memory so far what it is now; gives that.
    fn forget_peak(&self) -> u64 {
        let path = format!("/proc/{}/clear_refs", self.relay.child.id());
        std::fs::write(path, "5").unwrap();
        resident_kib(&self.relay)
    }

    fn peak_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.relay.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Asserts that the log says this, of a client of this machine.
    #[track_caller]
    fn said(&mut self, why: &str) {
        let log = self.relay.said();
        let told = log.lines().any(|line| line.contains(why) && line.contains("from=127.0.0.1"));
        assert!(told, "nothing says {why:?} in\n{}", &log[..log.len().min(4_000)]);
    }

    fn end(self) {
        self.relay.stop();
    }
}

/// Ends the honest client's rounds, also if the attack panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Publishes, asks for it, hears it live, until it is over; how long each round took.
fn honest(url: &str, over: &AtomicBool) -> Vec<Duration> {
    let (mut client, mut listener) = (Socket::connect(url), Socket::connect(url));
    let author = const_hex(signer(1).pubkey());
    listener
        .send(format!("[\"REQ\",\"live\",{{\"authors\":[\"{author}\"],\"limit\":0}}]"))
        .unwrap();
    assert_eq!(listener.next().unwrap()[0], "EOSE");
    let mut rounds = Vec::new();
    while !over.load(SeqCst) || rounds.len() < ROUNDS_MIN {
        let event = note(1, now(), &rounds.len().to_string());
        let id = const_hex(event.id());
        let begun = Watch::begin();
        client.publish(&event).unwrap();
        assert_eq!(client.next().unwrap(), json!(["OK", id, true, ""]));
        let found = client.query(&json!({ "ids": [id] }));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["content"], event.content().to_string());
        assert_eq!(listener.next().unwrap()[2]["id"], id);
        rounds.push(begun.elapsed());
    }
    rounds
}

fn const_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A frame of a client: its first byte, and a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of a frame that says it has so many bytes.
fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | length as u8),
        126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// Whether the relay has hung up. What it said meanwhile is dropped.
fn is_gone(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    let gone = loop {
        match stream.read(&mut bytes) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    gone
}

/// Honest clients alone, to compare with.
#[test]
fn without_abuse_nothing_is_said_of_it() {
    let mut siege = Siege::begin(&[]);
    siege.beside("nobody else", 32, |_| ());
    assert!(!siege.relay.said().contains("sent away"));
    for name in
        ["slow_clients", "silent_clients", "frames_refused", "heads_refused", "rate_limited"]
    {
        assert_eq!(siege.metric(&format!("ratite_relay_{name}_total")), 0, "{name}");
    }
    siege.end();
}

/// `RATITE_SCALE` says how much larger than the short form.
#[test]
#[ignore = "takes minutes: cargo test --test it the_long_siege -- --ignored --nocapture"]
fn the_long_siege() {
    let scale = std::env::var("RATITE_SCALE").map_or(10, |text| text.parse().unwrap());
    println!("| beside | rounds | p50, ms | p99, ms | worst, ms | MiB more |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let siege = Siege::begin(&[]);
    siege.beside("nobody else", 64, |siege| (0..2_000).for_each(|_| siege.tick()));
    siege.end();
    heads::all(scale);
    frames::all(scale);
    floods::all(scale);
    held::all(scale);
}
