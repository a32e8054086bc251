//! Plugins as processes: small shell programs here; the whole way from a client to a plugin in Python is
//! tested in `relay/tests/plugin.rs`.

use super::*;
use crate::nostr::Event;
use crate::relay::stats::Counters;
use std::future::Future;

/// Longer than any test takes, so that what ends sooner did not end by it.
const LONG: Duration = Duration::from_secs(30);

fn run<T>(config: &PluginConfig, with: impl AsyncFnOnce(Plugin) -> T) -> (T, Counters) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (plugin, asks) = Plugin::new(config);
    let counters = Counters::default();
    let (outcome, ()) =
        runtime.block_on(async { tokio::join!(with(plugin), serve(config, asks, &counters)) });
    (outcome, counters)
}

fn config(command: &str, timeout: Duration) -> PluginConfig {
    PluginConfig { timeout, ..PluginConfig::new(command) }
}

fn event(n: u64) -> Event {
    Event::from_parts::<[&str; 0], &str>([1; 32], n, 1, &[], &"x".repeat(1_000))
}

fn ask<'a>(plugin: &'a Plugin, event: &'a Event) -> impl Future<Output = Verdict> + 'a {
    let question = Question {
        event: event.as_ref(),
        received_at: 7,
        from: [192, 0, 2, 1].into(),
        authed: None,
    };
    async move { plugin.ask(&question).await }
}

/// A shell program that does `each` for every line, with the event's id in `$id`.
fn for_each(each: &str) -> String {
    format!(r#"while read -r line; do id=${{line#*\"id\":\"}}; id=${{id%%\"*}}; {each}; done"#)
}

const ACCEPTS: &str = r#"echo "{\"id\":\"$id\",\"action\":\"accept\"}""#;

#[test]
fn questions_are_answered_many_at_a_time() {
    let config = config(&for_each(ACCEPTS), LONG);
    let ((), counters) = run(&config, async |plugin| {
        let events: Vec<Event> = (0..200).map(event).collect();
        let asked = events.iter().map(|event| ask(&plugin, event));
        let verdicts = futures_util::future::join_all(asked).await;
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accept));
    });
    assert_eq!((counters.plugin_failures.get(), counters.plugin_stray_lines.get()), (0, 0));
}

#[test]
fn a_plugin_that_does_not_read_or_does_not_answer_is_given_up_in_time() {
    // It reads nothing: a pipe holds 64 KiB, so that writing to it soon waits.
    for command in ["exec sleep 1000", "sleep 1000 & wait", &for_each(":")] {
        let config = config(command, Duration::from_millis(200));
        let ((), counters) = run(&config, async |plugin| {
            let events: Vec<Event> = (0..300).map(event).collect();
            let asked = events.iter().map(|event| ask(&plugin, event));
            let verdicts = futures_util::future::join_all(asked).await;
            assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Failed));
        });
        assert!(counters.plugin_failures.get() >= 1, "{command}");
    }
}

#[test]
fn a_plugin_that_forgets_a_question_goes_on() {
    let config = config(&for_each(&format!("n=${{n}}x; [ $n = x ] || {ACCEPTS}")), LONG);
    let config = PluginConfig { timeout: Duration::from_secs(1), ..config };
    let ((), counters) = run(&config, async |plugin| {
        let (first, second) = (event(1), event(2));
        let both = futures_util::future::join(ask(&plugin, &first), ask(&plugin, &second)).await;
        assert_eq!(both, (Verdict::Failed, Verdict::Accept));
        assert_eq!(ask(&plugin, &first).await, Verdict::Accept);
    });
    assert_eq!(counters.plugin_failures.get(), 0);
}

#[test]
fn a_plugin_that_ends_is_started_again() {
    let config = config(&format!("{ACCEPTS_ONE}; exit 3"), LONG);
    let ((), counters) = run(&config, async |plugin| {
        let (mut accepted, event) = (0, event(1));
        // What comes while it is down fails at once, not after the time-out.
        while accepted < 3 {
            accepted += u32::from(ask(&plugin, &event).await == Verdict::Accept);
            tokio::task::yield_now().await;
        }
    });
    assert!(counters.plugin_failures.get() >= 2);
}

const ACCEPTS_ONE: &str = r#"read -r line; id=${line#*\"id\":\"}; id=${id%%\"*}; echo "{\"id\":\"$id\",\"action\":\"accept\"}""#;

#[test]
fn a_command_that_is_none_fails_at_once() {
    let config = config("/nowhere/plugin", LONG);
    let ((), counters) = run(&config, async |plugin| {
        assert_eq!(ask(&plugin, &event(1)).await, Verdict::Failed);
    });
    assert!(counters.plugin_failures.get() >= 1);
}

#[test]
fn a_changed_file_is_a_new_plugin_and_no_question_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin");
    let write = |n: u64, action: &str| {
        let each = format!(r#"echo "{{\"id\":\"$id\",\"action\":\"{action}\"}}""#);
        let new = dir.path().join("new");
        std::fs::write(&new, format!("#!/bin/sh\n{}\n", for_each(&each))).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&new, mode).unwrap();
        // Two writes of one test may come within a tick of the file system's clock.
        let at = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n);
        std::fs::File::open(&new).unwrap().set_modified(at).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    write(0, "accept");
    let config = config(path.to_str().unwrap(), LONG);
    let ((), counters) = run(&config, async |plugin| {
        let event = event(1);
        assert_eq!(ask(&plugin, &event).await, Verdict::Accept);
        write(1, "shadowReject");
        assert_eq!(ask(&plugin, &event).await, Verdict::ShadowReject);
        write(2, "accept");
        let asked = (0..50).map(|_| ask(&plugin, &event));
        let verdicts = futures_util::future::join_all(asked).await;
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accept));
    });
    assert_eq!(counters.plugin_failures.get(), 0);
}
