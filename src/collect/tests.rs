//! A collector on real sockets: what is sent is stored once, and whoever abuses it harms nobody else.

use super::body::tests::packed;
use super::{Addresses, Collector, Config};
use crate::logs::{LogOptions, LogStore, Query};
use crate::store::Options;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// After this an answer that did not come is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// A collector on a store of its own.
struct Running {
    collector: Collector,
    store: Arc<LogStore>,
    at: Addresses,
    _dir: TempDir,
}

fn start(change: impl FnOnce(&mut Config)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { threads: true, ..Options::tiny() };
    let store = Arc::new(LogStore::open(dir.path(), &LogOptions::from(&options)).unwrap());
    let any = Some("127.0.0.1:0".parse().unwrap());
    let mut config = Config { syslog_udp: any, syslog_tcp: any, http: any, ..Config::default() };
    change(&mut config);
    let collector = Collector::start(store.clone(), &config).unwrap();
    let at = collector.addresses();
    Running { collector, store, at, _dir: dir }
}

impl Running {
    fn stream(&self) -> TcpStream {
        connect(self.at.syslog_tcp.unwrap())
    }

    fn http(&self) -> TcpStream {
        connect(self.at.http.unwrap())
    }

    /// Stops it, and gives all records as "source raw", in the order of their arrival.
    fn stop(self) -> Vec<String> {
        self.collector.stop().unwrap();
        assert_eq!(self.metric("dropped_total{reason=\"failed\"}"), 0);
        let mut search = self.store.search(&Query::default()).unwrap();
        let mut found = Vec::new();
        while let Some(record) = search.next().unwrap() {
            let raw = String::from_utf8_lossy(record.raw()).into_owned();
            found.push((record.position().arrival, format!("{} {raw}", record.source())));
        }
        found.sort();
        found.into_iter().map(|(_, record)| record).collect()
    }

    /// What `/metrics` says of a name with its labels.
    fn metric(&self, name: &str) -> u64 {
        let text = self.collector.metrics();
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("ratite_collect_{name} ")));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Waits until the other side has closed; what it said before.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ended = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// One request on a connection of its own: the whole answer.
fn ask(running: &Running, head: &str, body: &[u8]) -> String {
    let mut stream = running.http();
    let length = body.len();
    write!(stream, "{head}\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
        .unwrap();
    // One that is refused early may close before all is written.
    let _written = stream.write_all(body);
    rest(stream)
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"));
    status.parse().unwrap()
}

const POST: &str = "POST /v1/logs HTTP/1.1\r\ncontent-type: application/x-protobuf";

fn request(texts: &[&str]) -> Vec<u8> {
    let record = |text: &&str| LogRecord {
        body: Some(AnyValue { value: Some(Value::StringValue(text.to_string())) }),
        ..LogRecord::default()
    };
    let logs =
        ScopeLogs { log_records: texts.iter().map(record).collect(), ..ScopeLogs::default() };
    let logs = ResourceLogs { scope_logs: vec![logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
}

#[test]
fn what_comes_by_each_way_is_stored_once() {
    let running = start(|_| {});
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = running.at.syslog_udp.unwrap();
    socket.send_to(b"<13>1 - box udp - - - one\n", udp).unwrap();
    socket.send_to(b"\n", udp).unwrap();
    let mut stream = running.stream();
    stream.write_all(b"<13>1 - box tcp - - - two\n24 <13>1 - box tcp - - - th\nree").unwrap();
    drop(stream);
    assert_eq!(status(&ask(&running, POST, &request(&["four"]))), 200);
    let mut found = running.stop();
    found.sort();
    // The count says 24 bytes; what is behind them is a message of its own.
    let wanted = [
        "127.0.0.1/- ree",
        "box/tcp <13>1 - box tcp - - - th",
        "box/tcp <13>1 - box tcp - - - two",
        "box/udp <13>1 - box udp - - - one",
        "otlp four",
    ];
    let wanted: Vec<String> = wanted.into_iter().map(String::from).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_stop_takes_what_was_sent_before() {
    let running = start(|_| {});
    let (mut a, mut b) = (running.stream(), running.stream());
    for i in 0..2000 {
        writeln!(a, "<13>1 - box a - - - {i}").unwrap();
        writeln!(b, "<13>1 - box b - - - {i}").unwrap();
    }
    a.write_all(b"<13>1 - box a - - - not ended").unwrap();
    let found = running.stop();
    let of = |app: &str| {
        found.iter().filter(|r| r.starts_with(&format!("box/{app} "))).cloned().collect::<Vec<_>>()
    };
    let numbered = |app: &str| {
        (0..2000).map(move |i| format!("box/{app} <13>1 - box {app} - - - {i}")).collect::<Vec<_>>()
    };
    assert_eq!(of("b"), numbered("b"), "all of it, in order");
    assert_eq!(of("a")[..2000], numbered("a"));
    assert_eq!(of("a")[2000], "box/a <13>1 - box a - - - not ended");
}

#[test]
fn bad_streams_harm_no_other() {
    let running = start(|config| {
        config.limits.message_bytes = 1000;
        config.limits.syslog_connections = 8;
        config.limits.partial = Duration::from_millis(200);
    });
    let mut good = running.stream();
    good.write_all(b"<13>1 - box good - - - first\n").unwrap();
    // A message without an end, digits without an end, a count of 100 MB, and bytes that are nothing.
    let bad = [
        vec![b'x'; 300_000],
        vec![b'1'; 300_000],
        b"99999999 <a".repeat(9),
        (0..=255).cycle().take(99_999).collect(),
    ];
    let bad: Vec<TcpStream> = bad
        .into_iter()
        .map(|bytes| {
            let mut stream = running.stream();
            // It may be closed before all is written.
            let _written = stream.write_all(&bytes);
            stream
        })
        .collect();
    // They say nothing more, and are closed by their deadline; none is stored for more than its limit.
    bad.into_iter().for_each(|stream| drop(rest(stream)));
    // More connections than there is room for: closed at once, the one from before goes on.
    let crowd: Vec<TcpStream> = (0..1000).map(|_| running.stream()).collect();
    good.write_all(b"<13>1 - box good - - - last\n").unwrap();
    drop(good);
    drop(crowd);
    let cut = running.metric("cut_total");
    let found = running.stop();
    assert!(cut >= 2, "{cut}");
    assert!(found.iter().all(|record| record.len() < 3000 + 300));
    let good: Vec<_> = found.iter().filter(|record| record.starts_with("box/good")).collect();
    assert_eq!(good.len(), 2, "{found:?}");
}

#[test]
fn connections_over_the_limit_are_refused_and_counted() {
    let running = start(|config| {
        (config.limits.syslog_connections, config.limits.http_connections) = (2, 2);
    });
    let held: Vec<TcpStream> = (0..2).flat_map(|_| [running.stream(), running.http()]).collect();
    assert_eq!(rest(running.stream()), "");
    assert_eq!(rest(running.http()), "");
    let refused = ["syslog_tcp", "otlp"]
        .map(|way| running.metric(&format!("refused_total{{way=\"{way}\"}}")));
    assert_eq!(refused, [1, 1]);
    drop(held);
    assert!(running.stop().is_empty());
}

#[test]
fn requests_that_cannot_be_taken_are_told_why() {
    let running = start(|config| config.limits.request_bytes = 10_000);
    let post = |more: &str, body: &[u8]| ask(&running, &format!("{POST}{more}"), body);
    let gzip = "\r\ncontent-encoding: gzip";
    assert_eq!(status(&post("", b"\x0a\xff")), 400);
    assert_eq!(status(&post(gzip, b"no gzip")), 400);
    assert_eq!(status(&post("", &[0; 10_001])), 413);
    // A bomb: 100 MB in 100 KB, and one that fits packed.
    assert_eq!(status(&post(gzip, &packed(&vec![0; 100 << 20]))), 413);
    assert_eq!(status(&post(gzip, &packed(&vec![0; 1 << 20]))), 413);
    assert_eq!(status(&post("\r\ncontent-encoding: br", b"")), 415);
    assert_eq!(
        status(&ask(&running, "POST /v1/logs HTTP/1.1\r\ncontent-type: text/plain", b"")),
        415
    );
    let wrong = ask(&running, "GET /v1/logs HTTP/1.1", b"");
    assert!(status(&wrong) == 405 && wrong.contains("allow: POST"), "{wrong}");
    assert_eq!(status(&ask(&running, "GET /nothing HTTP/1.1", b"")), 404);
    // The packed, the plain, and JSON, all on one connection, with an answer each.
    assert_eq!(status(&post(gzip, &packed(&request(&["packed"])))), 200);
    let json = "POST /v1/logs HTTP/1.1\r\ncontent-type: application/json";
    let body =
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"json"}}]}]}]}"#;
    let answer = ask(&running, json, body);
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert_eq!(running.metric("requests_total{status=\"413\"}"), 3);
    assert_eq!(running.stop(), ["otlp packed", "otlp json"]);
}

/// Begins a request, sends all of its body but the end, and then nothing.
fn slow(running: &Running, bytes: usize) -> TcpStream {
    let mut slow = running.http();
    write!(slow, "{POST}\r\nhost: a\r\ncontent-length: {}\r\n\r\n", bytes + 1).unwrap();
    slow.write_all(&vec![0; bytes]).unwrap();
    slow
}

#[test]
fn without_room_a_request_is_told_to_come_again() {
    let running = start(|config| {
        (config.limits.request_bytes, config.limits.in_flight_bytes) = (10_000, 10_000);
    });
    let ask = || ask(&running, POST, &request(&[&"x".repeat(100)]));
    // Whichever is read first has the room, and the other is told so: until that is the slow one.
    let (busy, slow) = std::iter::repeat_with(|| slow(&running, 9_990))
        .map(|slow| (ask(), slow))
        .find(|(answer, _)| status(answer) != 200)
        .unwrap();
    assert!(status(&busy) == 429 && busy.contains("retry-after: 1"), "{busy}");
    drop(slow);
    let again = std::iter::repeat_with(ask).find(|answer| status(answer) != 429).unwrap();
    assert_eq!(status(&again), 200, "{again}");
    running.stop();
}

#[test]
fn a_body_that_does_not_end_is_given_up() {
    let running = start(|config| config.limits.body = Duration::from_millis(100));
    let mut slow = slow(&running, 1000);
    let mut said = [0; 12];
    slow.read_exact(&mut said).unwrap();
    // It may come again: the way was slow, not the request wrong.
    assert_eq!(&said, b"HTTP/1.1 503");
    assert!(running.stop().is_empty());
}

#[test]
fn a_store_that_takes_nothing_is_said_to_senders() {
    let running = start(|_| {});
    assert_eq!(status(&ask(&running, "GET /healthz HTTP/1.1", b"")), 200);
    assert_eq!(status(&ask(&running, "GET /ready HTTP/1.1", b"")), 200);
    running.store.close().unwrap();
    let failed = ask(&running, POST, &request(&["lost"]));
    assert!(status(&failed) == 503 && failed.contains("retry-after: 5"), "{failed}");
    let mut stream = running.stream();
    stream.write_all(b"<13>1 - box app - - - lost\n").unwrap();
    assert_eq!(rest(stream), "", "its stream is closed");
    let ready = ask(&running, "GET /ready HTTP/1.1", b"");
    assert!(status(&ready) == 503 && ready.contains("failed to take"), "{ready}");
    let metrics = ask(&running, "GET /metrics HTTP/1.1", b"");
    assert!(metrics.contains("ratite_collect_dropped_total{reason=\"failed\"} 1"), "{metrics}");
    running.collector.stop().unwrap();
}
