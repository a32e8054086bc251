//! The relay as a process, under abuse, with honest clients beside it.
//!
//! ```text
//!   Siege: ratite relay --+-- honest: publish, hear it live, ask for it, round after round; how long each answer took,
//!                         |           first in the quiet, then beside the attack
//!                         +-- attack: one way of abuse, bounded, over loopback; again, until there are enough answers
//!   afterwards: memory at its highest, what the log and the metrics say, how the attackers were sent off
//! ```
//!
//! Each attack is a function of a scale. Scale 1 runs always; `the_long_siege` runs all of them larger and prints the
//! figures of docs/operations.md.
//!
//! What is asserted of honest clients: their answers are right, and the 99th percentile of how long they take is within a
//! factor of what it was in the quiet, or below a floor, since the machine of a CI has other things to do
//! (`honest.rs` has both). Figures are printed (`--nocapture`). A tick of a slow attacker is a round trip of a health
//! check, so that nothing here sleeps.

#![allow(clippy::print_stderr, reason = "what was measured, and why a test is left out")]

mod floods;
mod frames;
mod heads;
mod held;
mod honest;
mod secrets;

use crate::clients::garbage::{close_code, connect, resident_kib, rest, switch};
use crate::clients::{Relay, Socket, until};
use honest::{ANSWERS_MIN, Answers, Over, Progress};
use ratite::io::{Clock, SystemClock};
use ratite::nostr::{Event, Signer};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

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
    /// Of the honest client.
    progress: Progress,
    _dir: TempDir,
}

impl Siege {
    fn begin(more: &[&str]) -> Siege {
        let dir = tempfile::tempdir().unwrap();
        let always = ["--log", "info,ratite::relay=debug", "--metrics-listen", "relay"];
        let relay = Relay::start(dir.path(), &[&always[..], more].concat());
        Siege { relay, progress: Progress::default(), _dir: dir }
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
        until(name, || (self.metric(name) >= least).then_some(()));
    }

    /// Waits until a figure is no larger.
    fn until_most(&self, name: &str, most: u64) {
        until(name, || (self.metric(name) <= most).then_some(()));
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

    /// Carries out an attack while an honest client goes its rounds, as often as it takes to say how long answers take;
    /// holds the relay to its memory, and to what is stated of others. Gives how often that was.
    fn beside(&self, name: &str, grown_max_mib: u64, mut attack: impl FnMut(&Siege)) -> u64 {
        let (quiet, _) = self.measured(|siege| siege.hold());
        let before = self.forget_peak();
        let (answers, passes) = self.measured(&mut attack);
        let grown_kib = self.peak_kib().saturating_sub(before);
        let row = answers.held_to(&quiet, name);
        eprintln!("{row} {:.1} |", grown_kib as f64 / 1024.0);
        let grown_mib = grown_kib >> 10;
        assert!(grown_mib < grown_max_mib, "{name}: {grown_mib} MiB more, not {grown_max_mib}");
        passes
    }

    /// How long answers take while `attack` is carried out again and again, and how often it was.
    fn measured(&self, mut attack: impl FnMut(&Siege)) -> (Answers, u64) {
        self.progress.begin();
        std::thread::scope(|scope| {
            let honest = scope.spawn(|| honest::rounds(&self.relay.url, &self.progress));
            let over = Over(&self.progress);
            let (mut passes, before) = (0, self.progress.answers());
            while self.progress.answers() < before + ANSWERS_MIN && !honest.is_finished() {
                attack(self);
                passes += 1;
            }
            drop(over);
            (honest.join().unwrap(), passes)
        })
    }

    /// Waits while an honest client is served: what is held meanwhile is what it is served beside.
    fn hold(&self) {
        self.progress.wait(ANSWERS_MIN);
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

    /// Ends it; gives all that it has logged.
    fn log(self) -> String {
        self.relay.stop()
    }
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
    siege.beside("nobody else", 32, Siege::hold);
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
    eprintln!(
        "| beside | answers | quiet p99, ms | p50, ms | p99, ms | worst, ms | times | MiB more |"
    );
    eprintln!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let siege = Siege::begin(&[]);
    siege.beside("nobody else", 64, |siege| (0..2_000).for_each(|_| siege.tick()));
    siege.end();
    heads::all(scale);
    frames::all(scale);
    floods::all(scale);
    held::all(scale);
}
