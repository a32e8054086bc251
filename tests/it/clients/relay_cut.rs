//! kill -9 of a relay in the middle of what it does by itself: a flush, a merge, a removal by the rules of retention.
//!
//! ```text
//!   publish --> a new file .seg --kill -9--> restart: the file was never finished, and no event is lost
//! ```

use super::kill::{Open, check, hex, publish_again, publish_and_kill};
use super::{Relay, Socket, until};
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Class, Event, class};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Gift wraps are asked for too; and small merges, often.
const FLAGS: [&str; 6] =
    ["--private-kinds", "none", "--compaction-fan-in", "2", "--log", "ratite::shard=debug,info"];

fn regular(seed: u64) -> impl Iterator<Item = Event> {
    // Replaceable events may rightly be gone; tests/it/real/events.rs has them.
    Generator::new(seed, &Config::default()).filter(|event| class(event.kind()) == Class::Regular)
}

/// The names of the segment files of all shards.
fn segments(dir: &Path) -> HashSet<String> {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let shards = entries(dir).map(|entry| entry.path());
    let files = shards.flat_map(|dir| entries(&dir).collect::<Vec<_>>());
    let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".seg")).collect()
}

/// Cuts off what the relay does, again and again, once `begins` says that it is about to; how often a file was not
/// finished.
fn cut_off(cycles: usize, mut begins: impl FnMut(&mut Relay) -> bool) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let mut events = regular(11);
    let (mut acked, mut open, mut unfinished) = (BTreeMap::new(), Open::new(), 0);
    for cycle in 0..=cycles {
        let more = [&FLAGS[..], &["--sync", ["always", "batch", "never"][cycle % 3]]].concat();
        let mut relay = Relay::start(dir.path(), &more);
        unfinished += usize::from(relay.said().contains("removing a segment that was never"));
        check(&relay, &acked, &open);
        publish_again(&relay, &mut open, &mut acked);
        if cycle == cycles {
            relay.stop();
            break;
        }
        let (mut begun, mut before) = (false, segments(dir.path()));
        let is_over = |relay: &mut Relay| {
            if !begun {
                // What is written from here on is what was waited for.
                before = segments(dir.path());
                begun = begins(relay);
                return false;
            }
            !segments(dir.path()).is_subset(&before)
        };
        publish_and_kill(&mut relay, &mut events, is_over, &mut open, &mut acked);
    }
    unfinished
}

#[test]
fn a_relay_that_is_killed_in_a_flush_loses_nothing() {
    let unfinished = cut_off(6, |_| true);
    assert!(unfinished > 0, "no kill came before the end of a flush");
}

#[test]
fn a_relay_that_is_killed_in_a_merge_loses_nothing() {
    let unfinished = cut_off(4, |relay| relay.said().contains("compaction"));
    assert!(unfinished > 0, "no kill came before the end of a merge");
}

fn ids(relay: &Relay) -> HashSet<String> {
    let events = Socket::connect(&relay.url).query(&json!({ "limit": 5000 }));
    events.iter().map(|event| event["id"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_relay_that_is_killed_while_retention_removes_brings_nothing_back_and_keeps_the_rest() {
    const EVENTS: usize = 3000;
    const KEPT: usize = 200;
    let dir = tempfile::tempdir().unwrap();
    let plain = ["--private-kinds", "none", "--max-limit", "5000"];
    let relay = Relay::start(dir.path(), &plain);
    let (mut open, mut acked) = (Open::new(), BTreeMap::new());
    let events: Vec<Event> = regular(12).take(EVENTS).collect();
    for events in events.chunks(50) {
        open.extend(events.iter().map(|event| (hex(event), event.clone())));
        publish_again(&relay, &mut open, &mut acked);
    }
    relay.stop();
    // Slowly, so that there is a middle.
    let rule = format!("count={KEPT}");
    let rules = ["--retain", &rule, "--retention-interval", "1 s", "--retention-rate", "400"];
    let (mut there, mut in_the_middle) = (EVENTS as u64, 0);
    for cycle in 0..4 {
        let sync = ["--sync", ["always", "batch", "never"][cycle % 3]];
        let mut relay = Relay::start(dir.path(), &[&plain[..], &rules, &sync].concat());
        let mut socket = Socket::connect(&relay.url);
        let goal = there.saturating_sub(500).max(KEPT as u64);
        until("removals", || (socket.count(&json!({})) <= goal).then_some(()));
        let seen = ids(&relay);
        relay.kill();
        in_the_middle += usize::from(seen.len() > KEPT);
        let relay = Relay::start(dir.path(), &plain);
        let left = ids(&relay);
        assert!(left.is_subset(&seen), "{} came back", left.difference(&seen).count());
        assert!(left.len() >= KEPT, "{} are left", left.len());
        let mut by_time: Vec<&Event> = acked.values().collect();
        by_time.sort_by_key(|event| std::cmp::Reverse(event.key()));
        let lost = by_time[..KEPT].iter().filter(|e| !left.contains(&hex(e))).count();
        assert_eq!(lost, 0, "of the newest");
        there = left.len() as u64;
        relay.stop();
    }
    assert!(in_the_middle > 0, "no kill came while events were removed");
    let relay = Relay::start(dir.path(), &[&plain[..], &rules].concat());
    let mut socket = Socket::connect(&relay.url);
    until("all removals", || (socket.count(&json!({})) == KEPT as u64).then_some(()));
    relay.stop();
}
