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
    let id = |event: &Event| serde_json::from_str::<Value>(&json(event)).unwrap()["id"].to_string();
    events.into_iter().map(id).collect()
}

fn stored(url: &str) -> BTreeSet<String> {
    let events = Socket::connect(url).query(&json!({"limit": 1000}));
    events.iter().map(|event| event["id"].to_string()).collect()
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
    let all = notes(600);
    let of = |rest: &'static [usize]| {
        all.iter().enumerate().filter(|(i, _)| rest.contains(&(i % 6))).map(|(_, event)| event)
    };
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    let peer = Peer::start();
    publish(&relay.url, of(&[0, 1, 2]));
    publish(&peer.url, of(&[2, 3, 4, 5]));

    let local = ["--local", &relay.url];
    let author = hex_author(&all[3]);
    let filter = json!({ "authors": [author] }).to_string();
    let by_author = of(&[3, 4, 5]).filter(|event| hex_author(event) == author).count() as u64;
    let narrow = sync(&peer, &local, &["--dir", "down", "--filter", &filter]);
    assert_eq!(narrow[1..], [0, by_author, by_author]);
    assert!(by_author > 0 && by_author < 300, "{by_author}");
    assert_eq!(stored(&peer.url), ids(of(&[2, 3, 4, 5])));

    let left = 300 - by_author;
    assert_eq!(sync(&peer, &local, &["--dir", "down"]), [200, 0, left, left]);
    assert_eq!((stored(&relay.url), stored(&peer.url)), (ids(&all), ids(of(&[2, 3, 4, 5]))));
    assert_eq!(sync(&peer, &local, &["--dir", "up"]), [200, 200, 0, 0]);
    assert_eq!(stored(&peer.url), ids(&all));
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
    assert_eq!((stored(&relay.url), stored(&peer.url)), (ids(&all), ids(&all)));
    relay.stop();
}

fn hex_author(event: &Event) -> String {
    let event: Value = serde_json::from_str(&json(event)).unwrap();
    event["pubkey"].as_str().unwrap().into()
}
