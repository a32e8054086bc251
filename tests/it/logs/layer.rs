//! The layer for `tracing`: what a program says of itself, as records.

use super::gate::Gate;
use super::slow::gated;
use ratite::logs::{LogStore, Query, Source, TracingHandle, TracingOptions, tracing_layer};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::{Dispatch, debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, filter::LevelFilter};

/// Long enough for any machine.
const WAIT: Duration = Duration::from_secs(60);

/// A subscriber of this layer alone.
fn listen(store: &Arc<LogStore>, options: &TracingOptions) -> (Dispatch, TracingHandle) {
    let layer = tracing_layer(store.clone(), options).unwrap();
    let handle = layer.handle();
    (Dispatch::new(Registry::default().with(layer)), handle)
}

/// No waiting for company.
fn at_once() -> TracingOptions {
    let mut options = TracingOptions::named("me");
    options.linger = Duration::ZERO;
    options
}

fn records(store: &LogStore) -> Vec<Value> {
    let sources = vec![Source::named("me").unwrap().uuid()];
    let mut search = store.search(&Query { sources, ..Query::default() }).unwrap();
    let mut found = Vec::new();
    while let Some(record) = search.next().unwrap() {
        assert_eq!(record.source().name(), Some("me"));
        found.push(serde_json::from_slice(record.raw()).expect("a record is JSON"));
    }
    found
}

/// The records of what `emit` emits.
fn told(options: &TracingOptions, emit: impl FnOnce()) -> Vec<Value> {
    let store = Arc::new(LogStore::in_memory().unwrap());
    let (dispatch, handle) = listen(&store, options);
    tracing::dispatcher::with_default(&dispatch, emit);
    assert!(handle.flush(WAIT));
    assert_eq!(handle.dropped(), 0);
    records(&store)
}

#[test]
fn events_are_records_in_order_with_level_target_message_and_fields() {
    let found = told(&at_once(), || {
        trace!("one");
        debug!(target: "other::place", n = 2_u64, "two");
        info!(i = -3, f = 0.5, nan = f64::NAN, b = true, text = "a\"b\\c\n\u{1}ü", "three");
        warn!(error = &fmt::Error as &dyn std::error::Error, d = ?[1, 2], s = %"shown");
        error!(big = u128::MAX, "five {}", 5);
    });
    let here = module_path!();
    let expected = [
        json!({"level": "TRACE", "target": here, "message": "one"}),
        json!({"level": "DEBUG", "target": "other::place", "message": "two", "fields": {"n": 2}}),
        json!({"level": "INFO", "target": here, "message": "three",
               "fields": {"i": -3, "f": 0.5, "nan": "NaN", "b": true, "text": "a\"b\\c\n\u{1}ü"}}),
        json!({"level": "WARN", "target": here,
               "fields": {"error": fmt::Error.to_string(), "d": "[1, 2]", "s": "shown"}}),
        json!({"level": "ERROR", "target": here, "message": "five 5", "fields": {"big": u128::MAX as f64}}),
    ];
    assert_eq!(found[..4], expected[..4]);
    assert_eq!(found[4]["message"], expected[4]["message"]);
    assert!(found[4]["fields"]["big"].is_number());
}

#[test]
fn spans_are_told_from_the_outermost_and_their_ends_if_asked_for() {
    let mut options = at_once();
    options.span_ends = true;
    let found = told(&options, || {
        let outer = info_span!("outer", id = 7, late = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("late", "known");
        outer.record("id", 8);
        {
            let _inner = info_span!("inner").entered();
            info!("deep");
        }
        info!(parent: None, "alone");
    });
    let outer = json!({"name": "outer", "fields": {"id": 8, "late": "known"}});
    let spans = json!([outer, {"name": "inner"}]);
    assert_eq!(found[0]["spans"], spans);
    assert_eq!((&found[1]["message"], &found[1]["spans"]), (&json!("the span ended"), &spans));
    assert!(found[1]["fields"]["duration_us"].is_u64());
    assert_eq!(found[2]["message"], "alone");
    assert!(found[2].get("spans").is_none());
    assert_eq!(found[3]["spans"], json!([outer]));
    assert_eq!(found.len(), 4);
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let long = "ü\"".repeat(20_000);
    let found = told(&at_once(), || {
        info!(a = long, b = ?long, c = %long, d = long, e = long, f = long, g = 1, "{long}");
        info!("short");
    });
    assert_eq!(found[0]["cut"], true);
    assert!(found[0].to_string().len() < 200_000);
    let message = found[0]["message"].as_str().unwrap();
    assert!(long.starts_with(message) && message.len() > 8_000, "{}", message.len());
    assert!(found[1].get("cut").is_none());
}

#[test]
fn filters_of_other_layers_work_on_it() {
    let store = Arc::new(LogStore::in_memory().unwrap());
    let layer = tracing_layer(store.clone(), &at_once()).unwrap();
    let handle = layer.handle();
    let dispatch = Dispatch::new(Registry::default().with(layer.with_filter(LevelFilter::WARN)));
    tracing::dispatcher::with_default(&dispatch, || {
        let _span = info_span!("not seen").entered();
        info!("not seen");
        warn!("seen");
    });
    assert!(handle.flush(WAIT));
    let found = records(&store);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].get("spans").is_none());
}

/// A value that logs while it is logged.
struct Talks;

impl fmt::Debug for Talks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!("inner");
        f.write_str("said")
    }
}

#[test]
fn a_value_may_emit_events_while_it_is_formatted() {
    let found = told(&at_once(), || info!(value = ?Talks, "outer"));
    let messages: Vec<_> = found.iter().map(|record| record["message"].as_str().unwrap()).collect();
    // The guard of `tracing` keeps the inner one from most subscribers.
    assert!(messages == ["inner", "outer"] || messages == ["outer"], "{messages:?}");
    assert_eq!(found.last().unwrap()["fields"]["value"], "said");
}

#[test]
fn threads_do_not_lose_or_mix_their_events() {
    let store = Arc::new(LogStore::in_memory().unwrap());
    let (dispatch, handle) = listen(&store, &TracingOptions::named("me"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (0..2_000).for_each(|n| info!(thread, n));
                });
            });
        }
    });
    assert!(handle.flush(WAIT));
    let found = records(&store);
    let mut next = [0; 4];
    for record in &found {
        let of = |name: &str| record["fields"][name].as_u64().unwrap();
        let thread = of("thread") as usize;
        assert_eq!(of("n"), next[thread], "thread {thread}");
        next[thread] += 1;
    }
    assert_eq!((next, handle.dropped()), ([2_000; 4], 0));
}

#[test]
fn events_that_find_no_room_are_counted_and_the_count_is_told() {
    let (store, gate, _env) = gated(1, true);
    let mut options = at_once();
    options.queue_bytes = 512 << 10;
    let (dispatch, handle) = listen(&store, &options);
    gate.close();
    const EVENTS: u64 = 20_000;
    // It would never end if one of them waited.
    tracing::dispatcher::with_default(&dispatch, || (0..EVENTS).for_each(|n| info!(n, "busy")));
    let dropped = handle.dropped();
    assert!(dropped > EVENTS / 2 && dropped < EVENTS, "{dropped}");
    assert!(!handle.flush(Duration::from_millis(20)), "nothing can be stored");
    assert!(!handle.close(Duration::from_millis(20)), "nothing waits longer than it is told to");
    gate.open();
    assert!(handle.close(WAIT));
    let found = records(&store);
    let stored: Vec<u64> = found.iter().filter_map(|r| r["fields"]["n"].as_u64()).collect();
    let counts = found.iter().filter_map(|r| r["fields"]["dropped"].as_u64());
    assert_eq!(counts.sum::<u64>(), dropped);
    assert!(stored.is_sorted() && stored.len() as u64 + dropped == EVENTS);
    // Behind the end nothing is taken, and nobody waits.
    tracing::dispatcher::with_default(&dispatch, || info!("too late"));
    assert_eq!((handle.dropped(), handle.flush(Duration::from_millis(1))), (dropped + 1, false));
    store.close().unwrap();
}

#[test]
fn events_of_the_stores_own_threads_are_not_taken_and_those_of_others_are() {
    for threads in [true, false] {
        let (store, gate, _env) = gated(1, threads);
        let (dispatch, handle) = listen(&store, &at_once());
        // As if the layer were the process's: each operation of the disk is an event.
        gate.listener.set(dispatch.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || info!("the only one"));
        for _ in 0..5 {
            assert!(handle.flush(WAIT));
        }
        assert_eq!(records(&store).len(), 1, "threads: {threads}");

        let (other, gate, _env): (_, Arc<Gate>, _) = gated(2, true);
        gate.listener.set(dispatch.clone()).unwrap();
        let source = Source::named("them").unwrap();
        let record = ratite::logs::LogRecord { ts: 1, source: &source, raw: b"x" };
        other.append(record).unwrap();
        assert!(handle.flush(WAIT));
        assert!(records(&store).len() > 1, "another store's events are nobody's loop");
        other.close().unwrap();
    }
}

#[test]
fn a_store_that_fails_costs_records_and_nothing_else() {
    let (env, disk, _clock) = ratite::io::simulated(1, Default::default());
    let options = ratite::logs::LogOptions::from(&ratite::store::Options::tiny());
    let path = std::path::Path::new("/full");
    let store = Arc::new(LogStore::open_in(path, &options, env).unwrap());
    let (dispatch, handle) = listen(&store, &at_once());
    let emit = |n: u64| tracing::dispatcher::with_default(&dispatch, || info!(n));
    emit(0);
    assert!(handle.flush(WAIT));
    disk.set_quota(Some(0));
    disk.set_faults(ratite::io::Faults { eio_write: 1, ..Default::default() });
    (1..100).for_each(emit);
    assert!(handle.flush(WAIT), "what is refused is given up");
    assert_eq!(handle.dropped(), 99);
    assert_eq!(records(&store).len(), 1, "reads go on");
    assert!(handle.close(WAIT));
}

#[test]
fn dropping_the_subscriber_appends_what_is_queued() {
    let store = Arc::new(LogStore::in_memory().unwrap());
    let mut options = TracingOptions::named("me");
    options.linger = WAIT;
    let (dispatch, handle) = listen(&store, &options);
    tracing::dispatcher::with_default(&dispatch, || (0..10).for_each(|n| info!(n)));
    drop(dispatch);
    assert_eq!((records(&store).len(), handle.dropped()), (10, 0));
}

#[test]
fn options_that_cannot_be_are_refused() {
    let store = Arc::new(LogStore::in_memory().unwrap());
    for bytes in [0, 1000, 1 << 18, (1 << 20) + 1, 1 << 31] {
        let mut options = TracingOptions::named("me");
        options.queue_bytes = bytes;
        let refused = tracing_layer(store.clone(), &options).unwrap_err();
        assert_eq!(refused.code(), "ERR_INVALID");
    }
    assert!(tracing_layer(store, &TracingOptions::named("")).is_err());
}
