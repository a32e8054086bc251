//! Write-policy plugins as operators of strfry write them, in Python, run by `ratite relay --policy-plugin`.
//!
//! ```text
//!   plugin.py   tests/it/plugin/plugin.py: what it does is told to it by the event's content
//!   GUARD       one that is replaced while the relay runs
//! ```

use super::{Relay, Socket, json};
use ratite::nostr::{Event, Signer};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A plugin that refuses events in which its word stands. `{}` is the word.
const GUARD: &str = r#"#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    event = json.loads(line)["event"]
    refused = "{}" in event["content"]
    answer = {"id": event["id"], "action": "reject" if refused else "accept", "msg": "blocked: {}"}
    print(json.dumps(answer), flush=True)
"#;

/// Events after which something should have happened: minutes of them.
const TRIES: u64 = 500_000;

/// Whether there is a Python; says that `test` is left out, if not.
fn python(test: &str) -> bool {
    let mut python = Command::new("python3");
    let python = python.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let there = python.status().is_ok_and(|status| status.success());
    if !there {
        let mut past_capture = std::io::stderr();
        writeln!(past_capture, "SKIPPED {test}: python3 is not there").unwrap();
    }
    there
}

fn note(at: u64, content: &str) -> Event {
    let signer = Signer::new([7; 32]).unwrap();
    let tags: [[&str; 2]; 0] = [];
    Event::from_parts(*signer.pubkey(), 1_700_000_000 + at, 1, &tags, content).sign(&signer)
}

/// The answer to an event: whether it was accepted, and what was said.
fn publish(socket: &mut Socket, event: &Event) -> (bool, String) {
    socket.publish(event).unwrap();
    let answer = socket.next().unwrap();
    assert_eq!(answer[0], "OK", "{answer}");
    (answer[2].as_bool().unwrap(), answer[3].as_str().unwrap().into())
}

fn contents(socket: &mut Socket) -> Vec<String> {
    let text = |event: &Value| event["content"].as_str().unwrap().to_string();
    socket.query(&json!({})).iter().map(text).collect()
}

#[test]
fn a_plugin_in_python_decides_what_the_relay_takes() {
    if !python("a_plugin_in_python_decides_what_the_relay_takes") {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/plugin/plugin.py");
    let dir = tempfile::tempdir().unwrap();
    let mut relay =
        Relay::start(dir.path(), &["--policy-plugin", path, "--policy-plugin-timeout", "60 s"]);
    let mut socket = Socket::connect(&relay.url);
    let mut say = |at, content: &str| publish(&mut socket, &note(at, content));
    let took = |text: &str| (true, text.to_string());
    let refused = |text: &str| (false, text.to_string());
    assert_eq!(say(0, "fine"), took(""));
    assert_eq!(say(1, "reject spam: go away"), refused("spam: go away"));
    assert_eq!(say(2, "reject go away"), refused("blocked: go away"));
    assert_eq!(say(3, "shadow"), took(""));
    let (_, source) = say(4, "source");
    assert!(source.starts_with("blocked: IP4 127.0.0.1 "), "{source}");
    // It is not asked about what the relay itself refuses. It is about what is there, which only the store knows.
    let forged = json(&note(5, "forged")).replace("forged", "changed");
    assert_eq!(say(6, "count"), refused("blocked: 6"));
    assert_eq!(say(0, "fine"), took("duplicate: already have this event"));
    socket.send(format!("[\"EVENT\",{forged}]")).unwrap();
    assert_eq!(socket.next().unwrap()[2], false);
    assert_eq!(publish(&mut socket, &note(7, "count")), refused("blocked: 8"));

    // It ends in the midst of its work, and is there again.
    let (accepted, why) = publish(&mut socket, &note(8, "crash"));
    assert!(!accepted && why.starts_with("error: "), "{why}");
    let again = note(9, "again");
    assert!((0..TRIES).any(|_| publish(&mut socket, &again).0));
    assert_eq!(publish(&mut socket, &note(10, "reject no")), refused("blocked: no"));
    assert_eq!(contents(&mut socket), ["again", "fine"]);
    let log = relay.said();
    assert_eq!(log.matches("the plugin starts").count(), 2, "{log}");
    relay.stop();
}

/// Puts an executable plugin in place, at once. By another process: a file that this one had open for writing could
/// be open still in a child that some other test starts, and then it cannot be run.
fn install(path: &Path, word: &str) {
    let script = "printf %s \"$1\" > \"$0.new\" && chmod +x \"$0.new\" && mv \"$0.new\" \"$0\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(path).arg(GUARD.replace("{}", word));
    assert!(shell.status().unwrap().success());
}

#[test]
fn a_plugin_that_changes_takes_over_and_no_event_fails() {
    if !python("a_plugin_that_changes_takes_over_and_no_event_fails") {
        return;
    }
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let path = dirs[1].path().join("guard");
    install(&path, "apple");
    let plugin = ["--policy-plugin", path.to_str().unwrap(), "--policy-plugin-timeout", "60 s"];
    let relay = Relay::start(dirs[0].path(), &plugin);
    let mut socket = Socket::connect(&relay.url);
    let refused = |word: &str| (false, format!("blocked: {word}"));
    assert_eq!(publish(&mut socket, &note(0, "an apple")), refused("apple"));
    assert_eq!(publish(&mut socket, &note(1, "a pear")), (true, String::new()));
    install(&path, "pear");
    let mut said = (2..TRIES).map(|at| (at, publish(&mut socket, &note(at, "a pear"))));
    // What is not accepted any more is refused by the new one, and does not fail.
    let (pears, answer) = said.find(|(_, (accepted, _))| !accepted).unwrap();
    assert_eq!(answer, refused("pear"));
    assert_eq!(publish(&mut socket, &note(0, "an apple")), (true, String::new()));
    // The apple is there, and the last pear is not.
    assert_eq!(socket.count(&json!({})), pears);
    relay.stop();
}
