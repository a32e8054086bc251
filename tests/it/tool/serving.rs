//! `relay` as a process, and the lock that keeps a store to one of them.

use super::*;
use ratite::nostr::EventStore;
use ratite::store::Options;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use tungstenite::Message;

#[test]
fn a_store_in_use_is_refused_with_the_holders_pid() {
    let store = Store::of(&events(20, 31));
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let held = EventStore::open(store.dir(), &options).unwrap();
    let pid = format!("pid {}", std::process::id());
    for verb in [&["stats"][..], &["scan", "{}"], &["export"]] {
        let why = store.run(verb[0], &verb[1..]).badly();
        assert!(why.contains(&pid) && why.contains("in use"), "{why}");
    }
    let import = ratite(&store.args("import", &[])).output().unwrap();
    assert!(String::from_utf8(import.stderr).unwrap().contains(&pid));
    held.close().unwrap();
    drop(held);
    store.run("stats", &[]).well();
}

/// A relay that ends with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already if the test went well.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

impl Served {
    /// A relay on `store` and a free port, what it says from now on, and where it listens.
    fn start(store: &Store, more: &[&str]) -> (Served, BufReader<ChildStdout>, String) {
        let usual = ["--shards", "2", "--listen", "127.0.0.1:0", "--threads", "1"];
        let mut command = ratite(&store.args("relay", &[&usual, more].concat()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut relay = Served(command.spawn().unwrap());
        let mut out = BufReader::new(relay.0.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect("the one line").to_string();
        (relay, out, url)
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

#[test]
fn a_relay_serves_until_it_is_told_to_stop() {
    let store = Store::new();
    let (mut relay, mut out, url) = Served::start(&store, &[]);

    let (mut client, _response) = tungstenite::connect(&url).unwrap();
    let event = Generator::new(1, &Config::default()).find(|event| event.kind() == 1).unwrap();
    let json = String::from_utf8(event.to_json()).unwrap();
    client.send(Message::text(format!("[\"EVENT\",{json}]"))).unwrap();
    let challenge = client.read().unwrap().into_text().unwrap();
    assert!(challenge.starts_with("[\"AUTH\","), "{challenge}");
    let answer = client.read().unwrap().into_text().unwrap();
    assert!(answer.starts_with("[\"OK\",") && answer.contains("true"), "{answer}");

    let why = store.run("count", &["{}"]).badly();
    assert!(why.contains(&format!("pid {}", relay.0.id())), "{why}");

    relay.signal("-TERM");
    let (mut err, mut rest) = (String::new(), String::new());
    relay.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(relay.0.wait().unwrap().code(), Some(0), "{err}");
    assert_eq!(rest, "", "one line on standard output");
    for said in ["data ", "shards  2", "never: ", "SIGTERM", "stopped: 1 events"] {
        assert!(err.contains(said), "{said} in {err}");
    }
    assert_eq!(store.run("scan", &["{}"]).well(), format!("{json}\n"));
}

#[test]
fn a_relay_keeps_its_store_to_the_rules_of_the_configuration() {
    let store = Store::of(&events(300, 34));
    let stored = store.run("export", &[]).well().lines().count();
    let rules = ["--retain", "count=100", "--retention-interval", "1 s"];
    let (mut relay, _out, url) = Served::start(&store, &rules);
    let mut err = BufReader::new(relay.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut removed = |count: usize| {
        let line = err.find(|line| line.contains("retention removed records"));
        let line = line.expect("a run that removes");
        assert!(line.contains(&format!("removed={count} ")), "{line}");
    };
    removed(stored - 100);
    let clock = ratite::io::system(ratite::io::Backend::Posix).unwrap().clock;
    let began = clock.monotonic_nanos();
    // What came in later goes with a later run.
    let (mut client, _response) = tungstenite::connect(&url).unwrap();
    let event = Generator::new(1, &Config::default()).find(|event| event.kind() == 1).unwrap();
    let json = String::from_utf8(event.to_json()).unwrap();
    client.send(Message::text(format!("[\"EVENT\",{json}]"))).unwrap();
    removed(1);
    let seconds = (clock.monotonic_nanos() - began) / 1_000_000_000;
    assert!(seconds < 40, "{seconds} s: not the interval, which by default is 60 s");
    relay.signal("-TERM");
    assert_eq!(relay.0.wait().unwrap().code(), Some(0));
    assert_eq!(store.run("export", &[]).well().lines().count(), 100);
}

#[test]
fn a_second_signal_ends_a_relay_at_once() {
    let store = Store::new();
    let (mut relay, _out, url) = Served::start(&store, &[]);
    // A client that does not take part in closing keeps the first stop waiting for seconds.
    let _client = tungstenite::connect(&url).unwrap();
    relay.signal("-INT");
    let mut err = BufReader::new(relay.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(err.any(|line| line.starts_with("SIGINT: closing connections")));
    relay.signal("-INT");
    assert_eq!(relay.0.wait().unwrap().code(), Some(130));
    assert!(!err.any(|line| line.starts_with("stopped")));
    store.run("stats", &[]).well();
}

#[test]
fn an_address_in_use_is_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let store = Store::new();
    let ran = store.run("relay", &["--shards", "1", "--listen", &address]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.summary().starts_with("ratite: ") && ran.out.is_empty(), "{}", ran.err);
    assert!(ran.err.contains(&address), "{}", ran.err);
}
