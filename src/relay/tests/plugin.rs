//! From a client through the relay to a plugin in Python and back: `tests/it/plugin/plugin.py`.

use super::*;
use crate::relay::PluginConfig;

/// The command of the plugin; nothing, and a word about it, where there is no Python.
fn plugin(before: &str) -> Option<PluginConfig> {
    let python = std::process::Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no python3 here");
        return None;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/plugin/plugin.py");
    let mut config = PluginConfig::new(format!("{before} exec python3 {path}"));
    config.timeout = PATIENCE;
    Some(config)
}

fn rig_of(config: PluginConfig) -> Rig {
    rig_with(|relay| relay.policy.plugin = config)
}

#[test]
fn a_plugin_of_strfry_decides() {
    let Some(config) = plugin("") else { return };
    let rig = rig_of(config);
    let mut client = rig.client();
    let refused = |text: &str| (false, text.to_string());
    let mut say = |at, content: &str| client.publish(&note(1, at, content));
    assert_eq!(say(0, "fine"), accepted(""));
    assert_eq!(say(0, "fine"), accepted("duplicate: already have this event"));
    assert_eq!(say(1, "reject spam: go away"), refused("spam: go away"));
    assert_eq!(say(2, "reject go away"), refused("blocked: go away"));
    assert_eq!(say(3, "shadow"), accepted(""));
    assert_eq!(say(4, "garbage"), accepted(""));
    assert_eq!(say(5, "unasked"), accepted(""));
    assert_eq!(say(6, "halves"), accepted(""));
    let (_, source) = say(7, "source");
    let words: Vec<&str> = source.split(' ').collect();
    assert_eq!(words[..3], ["blocked:", "IP4", "127.0.0.1"], "{source}");
    assert!(words[3].parse::<u64>().unwrap() > T0);
    assert_eq!(client.ask("all", "{}"), ["halves", "unasked", "garbage", "fine"]);
    let stats = rig.relay.stats();
    assert_eq!((stats.plugin_accepted, stats.plugin_rejected, stats.plugin_shadowed), (5, 3, 1));
    assert_eq!((stats.plugin_stray_lines, stats.plugin_failures), (5, 0));
}

#[test]
fn ephemeral_events_are_asked_about_and_only_what_is_accepted_is_delivered() {
    let Some(config) = plugin("") else { return };
    let rig = rig_of(config);
    let (mut sender, mut listener) = (rig.client(), rig.client());
    assert!(listener.ask("live", "{\"kinds\":[20000]}").is_empty());
    let mut say = |at, content: &str| sender.publish(&event(1, 20_000, at, &[], content));
    assert_eq!(say(0, "shadow"), accepted(""));
    assert!(!say(1, "reject no").0);
    assert_eq!(say(2, "yes"), accepted(""));
    assert_eq!(listener.hear()[2]["content"], "yes");
}

#[test]
fn one_process_counts_for_all_connections_and_answers_out_of_its_pipe_in_turn() {
    let Some(config) = plugin("") else { return };
    let rig = rig_of(config);
    let (mut a, mut b) = (rig.client(), rig.client());
    for at in 0..100 {
        a.say(&event_message(&note(1, at, "fine")));
        b.say(&event_message(&note(2, at, "fine")));
    }
    for client in [&mut a, &mut b] {
        (0..100).for_each(|_| assert_eq!(client.hear()[2], true));
    }
    assert_eq!(a.publish(&note(1, 0, "count")).1, "blocked: 201");
}

#[test]
fn a_plugin_that_crashes_costs_its_event_and_is_there_again() {
    let Some(config) = plugin("") else { return };
    let rig = rig_of(config);
    let (mut client, mut reader) = (rig.client(), rig.client());
    let (accepted, text) = client.publish(&note(1, 0, "crash"));
    assert!(!accepted && text.starts_with("error: "), "{text}");
    // Until it is, events are refused, and queries are answered.
    while !client.publish(&note(1, 1, "fine")).0 {
        assert!(reader.ask("meanwhile", "{}").is_empty());
    }
    assert_eq!(client.ask("after", "{}"), ["fine"]);
    assert_eq!(rig.relay.stats().plugin_failures, 1);
}

#[test]
fn a_plugin_that_hangs_holds_up_nobody_elses_reads_and_is_replaced() {
    let Some(config) = plugin("") else { return };
    let rig = rig_of(PluginConfig { timeout: Duration::from_millis(500), ..config });
    let (mut writer, mut reader) = (rig.client(), rig.client());
    // The first start of an interpreter may take longer than the time-out.
    while !writer.publish(&note(1, 0, "fine")).0 {}
    writer.say(&event_message(&note(1, 1, "hang")));
    assert_eq!(reader.ask("meanwhile", "{}"), ["fine"]);
    let (accepted, text) = writer.hear_ok(note(1, 1, "hang").id());
    assert!(!accepted && text.starts_with("error: "), "{text}");
    while !writer.publish(&note(1, 2, "again")).0 {}
    assert!(rig.relay.stats().plugin_failures >= 1);
}

#[test]
fn without_an_answer_events_are_accepted_if_so_configured() {
    let Some(config) = plugin("PLUGIN_NEVER_READS=1") else { return };
    let timeout = Duration::from_millis(100);
    let rig = rig_of(PluginConfig { timeout, accepts_on_failure: true, ..config });
    let mut client = rig.client();
    for at in 0..100 {
        client.say(&event_message(&note(1, at, &"x".repeat(2_000))));
    }
    (0..100).for_each(|_| assert_eq!(client.hear()[2], true));
    assert_eq!((rig.stored(), rig.relay.stats().plugin_unanswered), (100, 100));
}
