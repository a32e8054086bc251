//! nostr-tools, the library that most web clients are built on.

use super::script::Runner;
use super::{Relay, Socket};
use ratite::nostr::{EventStore, Filter, id, verify};
use ratite::store::Options;
use serde_json::json;

#[test]
fn nostr_tools_finds_what_it_expects() {
    let node = Runner::Node("nostr-tools");
    if !node.is_there("nostr_tools_finds_what_it_expects") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(dir.path(), &[]);
    node.run("nostr-tools.mjs", &mut relay, 150);

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
