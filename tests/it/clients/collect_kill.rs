//! kill -9 of `ratite log serve` under syslog over TCP and OTLP at once: what a request was answered for is there once,
//! and of each syslog stream a beginning.
//!
//! ```text
//!   thread: OTLP requests, each with an answer ---\
//!                                                  +-- log serve --kill -9--> its store, opened here
//!   thread: a syslog stream, without answers -----/
//! ```

use super::DEADLINE;
use super::collect::{Serve, found, open};
use ratite::io::threads::{self, Thread};
use ratite::logs::LogStore;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// Records of one request.
pub(super) const BATCH: u64 = 25;

/// Requests that are answered before the kill.
const ANSWERS: u64 = 30;

/// One request with records `from..from + BATCH`, whose status is the answer; none if the connection broke.
pub(super) fn post(stream: &mut TcpStream, cycle: usize, from: u64) -> Option<u16> {
    let record = |number: u64| {
        let body = json!({ "stringValue": format!("otlp cycle{cycle} number{number}") });
        json!({ "timeUnixNano": format!("17000000000{number:08}"), "body": body })
    };
    let service = json!({ "key": "service.name", "value": { "stringValue": "shop" } });
    let records: Vec<_> = (from..from + BATCH).map(record).collect();
    let body = json!({ "resourceLogs": [{
        "resource": { "attributes": [service] },
        "scopeLogs": [{ "logRecords": records }],
    }]})
    .to_string();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        (stream.read(&mut byte).ok()? == 1).then(|| answer.push(byte[0]))?;
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut rest = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut rest).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

pub(super) fn connected(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends requests until the connection breaks, and tells the first number of each that was answered with 200.
fn send_otlp(serve: &Serve, cycle: usize) -> (Receiver<u64>, Thread<()>) {
    let (told, answered) = channel();
    let mut stream = connected(&serve.address("http"));
    let sender = threads::spawn("otlp", move || {
        for from in (0..).step_by(BATCH as usize) {
            match post(&mut stream, cycle, from) {
                Some(200) => told.send(from).unwrap(),
                Some(status) => assert!([429, 503].contains(&status), "{status}"),
                None => break,
            }
        }
    });
    (answered, sender)
}

/// Sends messages until the connection breaks; how many there were.
fn send_syslog(serve: &Serve, cycle: usize) -> Thread<u64> {
    let mut stream = connected(&serve.address("syslog_tcp"));
    threads::spawn("syslog", move || {
        let line = |number: u64| {
            format!(
                "<13>1 2026-11-22T10:00:00Z box{cycle} app - - - syslog cycle{cycle} number{number}\n"
            )
        };
        (0..).find(|number| stream.write_all(line(*number).as_bytes()).is_err()).unwrap()
    })
}

/// How often each number of a cycle is there.
pub(super) fn numbers(store: &LogStore, way: &str, cycle: usize) -> Vec<u32> {
    let mut times = Vec::new();
    for (record, count) in found(store, &format!("{way} cycle{cycle}")) {
        let number: usize = record.rsplit_once("number").unwrap().1.parse().unwrap();
        times.resize(times.len().max(number + 1), 0);
        times[number] += count;
    }
    times
}

fn check(dir: &Path, cycle: usize, answered: &[u64], sent: u64) {
    let store = open(dir);
    let times = numbers(&store, "otlp", cycle);
    for from in answered {
        let of_it = &times[*from as usize..(from + BATCH) as usize];
        assert!(of_it.iter().all(|times| *times == 1), "cycle {cycle}, {from}: {of_it:?}");
    }
    assert!(times.iter().all(|times| *times <= 1), "there twice, and sent once");
    // A stream is stored in its order, so what is missing is its end.
    let stored = numbers(&store, "syslog", cycle);
    assert!(stored.iter().all(|times| *times == 1), "a hole, or twice: {stored:?}");
    assert!(stored.len() as u64 <= sent, "{} of {sent}", stored.len());
    store.close().unwrap();
}

#[test]
fn what_log_serve_answered_under_load_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut syslog = 0;
    for cycle in 0..6 {
        let sync = ["always", "batch", "never"][cycle % 3];
        let any = "127.0.0.1:0";
        let more = ["--syslog-tcp", any, "--http", any, "--sync", sync];
        let mut serve = Serve::start_with(dir.path(), &more);
        let streams = send_syslog(&serve, cycle);
        let (requests, sender) = send_otlp(&serve, cycle);
        let mut answered: Vec<u64> = requests.iter().take(ANSWERS as usize).collect();
        serve.child.kill().unwrap();
        serve.child.wait().unwrap();
        answered.extend(requests.iter());
        sender.join().unwrap();
        assert!(answered.len() as u64 >= ANSWERS, "{answered:?}");
        let sent = streams.join().unwrap();
        check(dir.path(), cycle, &answered, sent);
        syslog += sent;
    }
    assert!(syslog > 0, "no syslog was under way");
}
