//! nostr-tools, the library that most web clients are built on.

use super::{Relay, Socket};
use ratite::nostr::{EventStore, Filter, id, verify};
use ratite::store::Options;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why the script cannot be run here, if it cannot.
fn missing(clients: &Path) -> Option<&'static str> {
    let mut node = Command::new("node");
    let node = node.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !node.status().is_ok_and(|status| status.success()) {
        return Some("node is not there; install Node.js 20 or newer");
    }
    let installed = clients.join("node_modules/nostr-tools").exists();
    (!installed).then_some("nostr-tools is not there; run `npm ci` in tests/clients")
}

#[test]
fn nostr_tools_finds_what_it_expects() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    if let Some(why) = missing(&clients) {
        // Past the test runner's capture: a test that did not run is worth a line.
        writeln!(std::io::stderr(), "SKIPPED nostr_tools_finds_what_it_expects: {why}").unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(dir.path(), &[]);
    let script = Command::new("node")
        .arg("nostr-tools.mjs")
        .arg(&relay.url)
        .current_dir(&clients)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&script.stdout), String::from_utf8_lossy(&script.stderr));
    assert!(script.status.success(), "{err}{out}{}", relay.said());
    let passed = out.lines().last().and_then(|line| line.strip_suffix(" passed, 0 failed"));
    let passed: u32 = passed.expect(&out).parse().unwrap();
    assert!(passed > 150, "{passed} checks only");

    // And the one direct message, which is not shown to strangers.
    let count = Socket::connect(&relay.url).count(&json!({})) + 1;
    relay.stop();
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let store = EventStore::open(dir.path(), &options).unwrap();
    assert_eq!(store.count(&[Filter::default()]).unwrap(), count);
    let mut stored = 0;
    let mut events = store.query(&[Filter::default()]).unwrap();
    while let Some(event) = events.next().unwrap() {
        assert!(id::check(&event) && verify::signature(&event), "{:?}", event.key());
        stored += 1;
    }
    assert!(stored == count && count > 500, "{stored} of {count}");
    store.close().unwrap();
}
