//! `ratite log serve` and those who send to it: logger of util-linux, Python's SysLogHandler, OpenTelemetry's exporter.
//!
//! ```text
//!   sender --> ratite log serve --SIGTERM or kill -9--> its store, opened here: each record once
//! ```

use super::script::Runner;
use crate::tool::ratite;
use ratite::logs::{LogOptions, LogStore, Query};
use ratite::store::Options;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `ratite log serve` as a process, on small files; it ends with the test.
pub(super) struct Serve {
    pub(super) child: Child,
    err: File,
    addresses: Value,
}

impl Serve {
    /// Starts it on the store in `dir`; HTTP at `http`.
    fn start(dir: &Path, http: &str) -> Serve {
        Serve::start_with(dir, &["--syslog-tcp", "127.0.0.1:0", "--http", http])
    }

    /// The same with other arguments; syslog datagrams come to a port of their own.
    pub(super) fn start_with(dir: &Path, more: &[&str]) -> Serve {
        let err = tempfile::tempfile().unwrap();
        let mut child = ratite(&["log", "serve", "--ready", "--data", dir.to_str().unwrap()])
            .args(["--syslog-udp", "127.0.0.1:0", "--shards", "2", "--log-file", "8 MiB"])
            .args(["--memtable", "1 MiB", "--memory", "96 MiB"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(err.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut serve = Serve { child, err, addresses: Value::Null };
        let addresses = serde_json::from_str(&line);
        serve.addresses = addresses.unwrap_or_else(|_| panic!("{line:?}, {}", serve.said()));
        serve
    }

    pub(super) fn address(&self, way: &str) -> String {
        self.addresses[way].as_str().unwrap().into()
    }

    pub(super) fn said(&mut self) -> String {
        let mut text = String::new();
        self.err.rewind().unwrap();
        self.err.read_to_string(&mut text).unwrap();
        text
    }

    /// Stops it as a service manager does; it has to end well.
    pub(super) fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.said());
        assert!(!self.said().contains("panicked"), "{}", self.said());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It has ended already if the test went well.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The store that a server left.
pub(super) fn open(dir: &Path) -> LogStore {
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    LogStore::open(dir, &LogOptions::from(&options)).unwrap()
}

/// How often each "source raw" that has all of these words is in the store.
pub(super) fn found(store: &LogStore, words: &str) -> BTreeMap<String, u32> {
    let query = Query { tokens: vec![words.into()], ..Query::default() };
    let (mut search, mut found) = (store.search(&query).unwrap(), BTreeMap::new());
    while let Some(record) = search.next().unwrap() {
        let raw = String::from_utf8(record.raw().to_vec()).unwrap();
        *found.entry(format!("{} {raw}", record.source())).or_default() += 1;
    }
    found
}

/// Whether `program` is there; says that `test` is left out, if not.
pub(super) fn is_there(program: &str, test: &str) -> bool {
    let mut version = Command::new(program);
    let there =
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        let mut past_capture = std::io::stderr();
        writeln!(past_capture, "SKIPPED {test}: {program} is not there").unwrap();
    }
    there
}

#[test]
fn what_logger_sends_in_each_form_is_found() {
    if !is_there("logger", "what_logger_sends_in_each_form_is_found") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path(), "127.0.0.1:0");
    let mut forms = Vec::new();
    for (way, transport) in [("syslog_udp", "--udp"), ("syslog_tcp", "--tcp")] {
        for form in ["--rfc3164", "--rfc5424"] {
            for count in [&[][..], &["--octet-count"]] {
                if way == "syslog_udp" && !count.is_empty() {
                    continue;
                }
                let word = format!("form{}", forms.len());
                let address = serve.address(way);
                let (host, port) = address.rsplit_once(':').unwrap();
                // Several lines: a message each, on one connection.
                let mut logger = Command::new("logger")
                    .args(["--server", host, "--port", port, transport, form, "--tag", "tester"])
                    .args(["--priority", "local3.warning"])
                    .args(count)
                    .stdin(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut lines = logger.stdin.take().unwrap();
                (0..50).for_each(|i| writeln!(lines, "{word} number{i} Größe 12 <b>").unwrap());
                drop(lines);
                assert!(logger.wait().unwrap().success());
                forms.push(word);
            }
        }
    }
    serve.stop();
    let store = open(dir.path());
    for word in &forms {
        let records = found(&store, word);
        assert_eq!(records.len(), 50, "{word}: {records:?}");
        for (record, times) in &records {
            let (source, raw) = record.split_once(' ').unwrap();
            assert!(source.ends_with("/tester") && *times == 1, "{times} times {record}");
            assert!(raw.starts_with("<156>") && raw.ends_with("Größe 12 <b>"), "{raw:?}");
        }
    }
    assert_eq!(found(&store, "form0 number17 größe").len(), 1);
    store.close().unwrap();
}

#[test]
fn what_pythons_syslog_handler_sends_is_found() {
    let test = "what_pythons_syslog_handler_sends_is_found";
    if !Runner::Python.is_there(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path(), "127.0.0.1:0");
    for (way, kind, ident) in [("syslog_udp", "udp", "shop"), ("syslog_tcp", "tcp", "-")] {
        let mut script = Runner::Python.command("syslog.py");
        let ran = script.args([&serve.address(way), kind, ident, "100"]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    serve.stop();
    let store = open(dir.path());
    for (kind, source, ident) in [("udp", "127.0.0.1/shop", "shop: "), ("tcp", "127.0.0.1/-", "")] {
        for i in 0..100 {
            let wanted = format!("{source} <12>{ident}größe python{kind}{i}");
            assert_eq!(found(&store, &format!("python{kind}{i}")), BTreeMap::from([(wanted, 1)]));
        }
    }
    assert_eq!(found(&store, "größe").len(), 200);
    store.close().unwrap();
}

/// Starts `otlp.py`.
fn exporter(serve: &Serve, how: &str, count: u32) -> Child {
    let url = format!("http://{}/v1/logs", serve.address("http"));
    let mut script = Runner::Python.command("otlp.py");
    script.args([&url, how, &count.to_string()]).stdout(Stdio::piped()).spawn().unwrap()
}

/// Each order that was sent, with how often it is there; found by its word.
fn orders(store: &LogStore, count: u32) -> Vec<u32> {
    let order = |i: u32| {
        let records = found(store, &format!("order{i} customer{} checkout", i % 7));
        assert!(records.is_empty(), "checkout is the source, and stands in no record");
        let records = found(store, &format!("order{i} error customer{}", i % 7));
        for record in records.keys() {
            let (source, raw) = record.split_once(' ').unwrap();
            let raw: Value = serde_json::from_str(raw).unwrap();
            assert_eq!(
                (source, &raw["body"]),
                ("checkout", &format!("order{i} was refused").into())
            );
            assert_eq!((&raw["severity"], &raw["scope"]), (&"ERROR".into(), &"shop.orders".into()));
            assert_eq!(raw["resource"]["deployment.environment"], "test");
        }
        records.values().sum()
    };
    (0..count).map(order).collect()
}

#[test]
fn an_exporter_that_is_told_to_come_again_does_and_each_record_is_there_once() {
    let test = "an_exporter_that_is_told_to_come_again_does_and_each_record_is_there_once";
    if !Runner::Python.is_there(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path(), "127.0.0.1:0");
    let ran = exporter(&serve, "stage", 300).wait_with_output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success() && out.ends_with("refused 2\n"), "{out}");
    assert_eq!(out.matches("acked ").count(), 300, "{out}");
    serve.stop();
    let store = open(dir.path());
    assert_eq!(orders(&store, 300), [1; 300]);
    store.close().unwrap();
}

#[test]
fn what_an_exporter_was_answered_survives_kill_9() {
    let test = "what_an_exporter_was_answered_survives_kill_9";
    if !Runner::Python.is_there(test) {
        return;
    }
    const COUNT: u32 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let mut serve = Serve::start(dir.path(), "127.0.0.1:0");
    let http = serve.address("http");
    let mut script = exporter(&serve, "send", COUNT);
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acked = Vec::new();
    for kills in [150, 400] {
        while acked.len() < kills {
            acked.push(lines.next().unwrap());
        }
        serve.child.kill().unwrap();
        serve.child.wait().unwrap();
        // The exporter tries again and again meanwhile.
        serve = Serve::start(dir.path(), &http);
    }
    acked.extend(lines);
    assert!(script.wait().unwrap().success());
    assert_eq!(acked.pop().unwrap(), "refused 0");
    assert_eq!(
        acked.iter().filter(|line| line.starts_with("acked order")).count(),
        COUNT as usize,
        "{acked:?}"
    );
    serve.stop();
    let store = open(dir.path());
    let times = orders(&store, COUNT);
    assert!(times.iter().all(|times| *times >= 1), "{times:?}");
    // Only what was under way at a kill, a batch each, may be there again.
    let twice = times.iter().filter(|times| **times > 1).count();
    assert!(twice <= 2 * 50, "{twice} are there more than once");
    store.close().unwrap();
}
