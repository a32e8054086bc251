//! `ratite sync` and `ratite stream` as processes, between relays that are processes too.

use super::{Relay, Socket, until};
use crate::tool::{ratite, run};
use ratite::nostr::Event;
use ratite::nostr::generate::{Config, Generator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Notes: nothing replaces another, so that every relay can hold all of them.
pub fn notes(count: usize) -> Vec<Event> {
    let generator = Generator::new(77, &Config::default());
    generator.filter(|event| event.kind() == 1).take(count).collect()
}

pub fn publish<'a>(url: &str, events: impl Iterator<Item = &'a Event>) -> u64 {
    let mut socket = Socket::connect(url);
    let mut count = 0;
    for event in events {
        socket.publish(event).unwrap();
        let answer = socket.next().unwrap();
        assert_eq!((&answer[0], &answer[2]), (&json!("OK"), &json!(true)), "{answer}");
        count += 1;
    }
    count
}

fn count(relay: &Relay) -> u64 {
    Socket::connect(&relay.url).count(&json!({}))
}

#[test]
fn two_relays_come_together_though_a_sync_is_killed() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [here, there] = [&dirs[0], &dirs[1]].map(|dir| Relay::start(dir.path(), &[]));
    let all = notes(900);
    let numbered = || all.iter().enumerate();
    let only_here = numbered().filter(|(i, _)| i % 3 == 1).count() as u64;
    publish(&here.url, numbered().filter(|(i, _)| i % 3 != 0).map(|(_, event)| event));
    let had = publish(&there.url, numbered().filter(|(i, _)| i % 3 != 1).map(|(_, event)| event));

    let args = ["sync", &there.url, "--local", &here.url];
    let mut killed = ratite(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Killed when it has begun, or, on a quick machine, when it is done.
    while count(&there) == had && killed.try_wait().unwrap().is_none() {}
    killed.kill().unwrap();
    killed.wait().unwrap();

    let report: Value = serde_json::from_str(&run(&args).well()).unwrap();
    assert_eq!((count(&here), count(&there)), (900, 900), "{report}");
    let up = report["up"]["stored"].as_u64().unwrap();
    assert!(up <= only_here && report["up"]["refused"] == 0, "{report}");
    let again: Value = serde_json::from_str(&run(&args).well()).unwrap();
    assert_eq!((&again["up"]["found"], &again["down"]["found"]), (&json!(0), &json!(0)));

    // A store as the local side, and that of a relay that runs.
    let archive = tempfile::tempdir().unwrap();
    let data = archive.path().to_str().unwrap();
    let small = ["--log-file", "8 MiB", "--memtable", "1 MiB", "--memory", "96 MiB"];
    let half = json!({"since": all[450].created_at()}).to_string();
    let down = ["sync", &there.url, "--data", data, "--dir", "down", "--filter", &half];
    let report = run(&[&down[..], &small].concat()).well();
    let stored = Socket::connect(&there.url).count(&json!({"since": all[450].created_at()}));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["down"]["stored"], stored, "{report}");
    let busy = run(&["sync", &there.url, "--data", dirs[0].path().to_str().unwrap()]);
    assert!(busy.status == Some(1) && busy.err.contains("in use"), "{}", busy.err);
    here.stop();
    there.stop();
}

#[test]
fn a_stream_passes_what_comes_until_a_signal() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [here, there] = [&dirs[0], &dirs[1]].map(|dir| Relay::start(dir.path(), &[]));
    let all = notes(40);
    let mut streaming = ratite(&["stream", &there.url, "--local", &here.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(streaming.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.ends_with(": connected")));
    publish(&here.url, all[..20].iter());
    publish(&there.url, all[20..].iter());
    until("all events", || ((count(&here), count(&there)) == (40, 40)).then_some(()));
    let pid = streaming.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let out = streaming.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&report["up"]["found"], &report["down"]["found"]), (&json!(20), &json!(20)));
    here.stop();
    there.stop();
}

#[test]
fn what_cannot_be_is_a_sentence() {
    let nobody = run(&["sync", "ws://127.0.0.1:1", "--local", "ws://127.0.0.1:1"]);
    assert!(nobody.status == Some(1) && nobody.err.contains("cannot connect"), "{}", nobody.err);
    let up = run(&["stream", "ws://127.0.0.1:1", "--dir", "up"]);
    assert!(up.status == Some(2) && up.err.contains("--local"), "{}", up.err);
    for bad in [&["--dir", "left"][..], &["--filter", "{"], &["--timeout", "0"]] {
        assert_eq!(run(&[&["sync", "ws://x"], bad].concat()).status, Some(2), "{bad:?}");
    }
}
