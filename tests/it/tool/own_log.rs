//! `relay` with a log store for what it says of itself.

use super::serving::Served;
use super::*;
use ratite::logs::{LogOptions, LogStore, Query, Source};
use std::io::{BufRead, BufReader, Read};

/// The messages of the source relay, oldest first.
fn messages(dir: &Path) -> Vec<String> {
    let store = LogStore::open(dir, &LogOptions::default()).unwrap();
    let relay = Source::named("relay").unwrap();
    let query = Query { sources: vec![relay.uuid()], ..Query::default() };
    let mut search = store.search(&query).unwrap();
    let mut found = Vec::new();
    while let Some(record) = search.next().unwrap() {
        let json: Value = serde_json::from_slice(record.raw()).unwrap();
        assert!(json["level"].is_string() && json["target"].is_string(), "{json}");
        found.push(json["message"].as_str().unwrap_or("").to_string());
    }
    assert_eq!(store.count(&Query::default()).unwrap(), found.len() as u64);
    store.close().unwrap();
    found
}

#[test]
fn a_relay_keeps_what_it_says_of_itself() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    let dir = logs.path().join("own");
    let mut before = 0;
    for _ in 0..2 {
        let (mut relay, _out, _url) =
            Served::start(&store, &["--logs-data", dir.to_str().unwrap()]);
        relay.signal("-TERM");
        let mut err = String::new();
        relay.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(relay.0.wait().unwrap().code(), Some(0), "{err}");
        let said = messages(&dir);
        let of_this_run = &said[before..];
        assert!(of_this_run.contains(&"the relay listens".to_string()), "{said:?}");
        // What is on standard error is there too.
        let lines = err.lines().filter(|line| line.contains(" INFO ")).count();
        assert_eq!(of_this_run.len(), lines, "{err}\n{said:?}");
        before = said.len();
    }
}

#[test]
fn a_log_store_that_does_not_open_ends_the_relay_with_a_sentence() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    let file = logs.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let refused = |dir: &Path| {
        let args = ["--listen", "127.0.0.1:0", "--logs-data", dir.to_str().unwrap()];
        let ran = store.run("relay", &args);
        assert_eq!(ran.status, Some(1), "{}", ran.err);
        assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{}{}", ran.out, ran.err);
        assert!(ran.summary().starts_with("ratite: the relay's own log: "), "{}", ran.err);
        ran.err
    };
    assert!(refused(&file).contains("file"));
    // The events' own directory cannot be it: it is no log store.
    store.import(&["--no-verify"], b"").well();
    refused(store.dir());
    // One that another has open.
    let dir = logs.path().join("held");
    let held = LogStore::open(&dir, &LogOptions::default()).unwrap();
    assert!(refused(&dir).contains("in use"));
    held.close().unwrap();
}

/// What fails later costs records, and nothing else.
#[test]
fn a_relay_serves_on_when_its_log_store_is_gone() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    let dir = logs.path().join("own");
    let more = ["--logs-data", dir.to_str().unwrap(), "--log", "debug"];
    let (mut relay, _out, url) = Served::start(&store, &more);
    std::fs::remove_dir_all(&dir).unwrap();
    let (mut client, _response) = tungstenite::connect(&url).unwrap();
    client.send(tungstenite::Message::text("[\"REQ\",\"a\",{}]")).unwrap();
    let mut said = String::new();
    while !said.starts_with("[\"EOSE\"") {
        said = client.read().unwrap().into_text().unwrap().to_string();
    }
    relay.signal("-TERM");
    let lines = BufReader::new(relay.0.stderr.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line.starts_with("stopped: ")));
    assert!(relay.0.wait().unwrap().success());
}
