//! `ratite sync` with a relay that others wrote: the one of nostr-sdk for Python, `tests/clients/peer.py`.

use super::script::Runner;
use super::sync::{notes, publish};
use super::{Relay, Socket, json};
use crate::tool::run;
use ratite::nostr::Event;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// The relay of others as a process; it ends with its standard input.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    fn start() -> Peer {
        let mut command = Runner::Python.command("peer.py");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line).into();
        Peer { child, url }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing is asserted about how it ends: it is not ours.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<String> {
    events.into_iter().map(|event| format!("\"{}\"", text(event, "id"))).collect()
}

/// Which of `all` a relay has; it has no others. Asked for in parts, as the peer gives 500 at most, and each over a
/// connection of its own, as it answers a CLOSE.
fn stored(url: &str, all: &[Event]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in all.chunks(400) {
        let ids: Vec<String> = part.iter().map(|event| text(event, "id")).collect();
        let events = Socket::connect(url).query(&json!({ "ids": ids }));
        found.extend(events.iter().map(|event| event["id"].to_string()));
    }
    assert_eq!(Socket::connect(url).count(&json!({})), found.len() as u64);
    found
}

fn text(event: &Event, key: &str) -> String {
    let event: Value = serde_json::from_str(&json(event)).unwrap();
    event[key].as_str().unwrap().into()
}

/// Runs `ratite sync` between the peer and `local`; gives how many events were found and taken, up and down. They are
/// found in both directions, whichever they go.
fn sync(peer: &Peer, local: &[&str], more: &[&str]) -> [u64; 4] {
    let report = run(&[&["sync", &peer.url], local, more].concat()).well();
    let report: Value = serde_json::from_str(&report).unwrap();
    let numbers = [("up", "found"), ("up", "stored"), ("down", "found"), ("down", "stored")];
    numbers.map(|(way, what)| report[way][what].as_u64().unwrap())
}

#[test]
fn sync_with_a_relay_of_others_goes_down_up_and_both_ways() {
    let test = "sync_with_a_relay_of_others_goes_down_up_and_both_ways";
    if !Runner::Python.is_there(test) {
        return;
    }
    // One in six is here only, one on both sides, four there only: more than the peer gives at once.
    let all = notes(780);
    let numbered = || all.iter().enumerate();
    let here = || numbered().filter(|(i, _)| i % 6 < 2).map(|(_, event)| event);
    let there = || numbered().filter(|(i, _)| i % 6 > 0).map(|(_, event)| event);
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    let peer = Peer::start();
    publish(&relay.url, here());
    publish(&peer.url, there());

    let local = ["--local", &relay.url];
    let author = all[3].pubkey();
    let filter = json!({ "authors": [text(&all[3], "pubkey")] }).to_string();
    let of_author = numbered().filter(|(i, event)| i % 6 > 1 && event.pubkey() == author).count();
    let few = of_author as u64;
    let narrow = sync(&peer, &local, &["--dir", "down", "--filter", &filter]);
    assert!(narrow[1..] == [0, few, few] && few > 0 && few < 500, "{narrow:?}, {few}");

    let rest = 520 - few;
    assert_eq!(sync(&peer, &local, &["--dir", "down"]), [130, 0, rest, rest]);
    assert_eq!(stored(&relay.url, &all), ids(&all));
    assert_eq!(stored(&peer.url, &all), ids(there()));
    assert_eq!(sync(&peer, &local, &["--dir", "up"]), [130, 130, 0, 0]);
    assert_eq!(stored(&peer.url, &all), ids(&all));
    assert_eq!(sync(&peer, &local, &[]), [0; 4]);
    relay.stop();
}

#[test]
fn a_store_and_a_relay_of_others_come_together() {
    let test = "a_store_and_a_relay_of_others_come_together";
    if !Runner::Python.is_there(test) {
        return;
    }
    let all = notes(300);
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    publish(&relay.url, all[..200].iter());
    relay.stop();
    let peer = Peer::start();
    publish(&peer.url, all[100..].iter());

    let data = dir.path().to_str().unwrap();
    let sizes = ["--log-file", "8 MiB", "--memtable", "1 MiB", "--memory", "96 MiB"];
    let store = [&["--data", data][..], &sizes].concat();
    assert_eq!(sync(&peer, &store, &[]), [100; 4]);
    assert_eq!(sync(&peer, &store, &[]), [0; 4]);
    let relay = Relay::start(dir.path(), &[]);
    assert_eq!(stored(&relay.url, &all), ids(&all));
    assert_eq!(stored(&peer.url, &all), ids(&all));
    relay.stop();
}
