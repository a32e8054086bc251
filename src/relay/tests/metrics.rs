//! Metrics, health and the figures of the page, over HTTP.

use super::*;
use crate::io::{Faults, simulated};
use crate::relay::Metrics;
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::SocketAddr;

/// Status and body of a GET.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.into())
}

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !name.is_empty() && name.starts_with("ratite_") && name.bytes().all(letter)
}

/// What a scrape says, by name and labels; panics at the first line that is not as it should be.
struct Scraped {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scraped {
    fn parse(text: &str) -> Scraped {
        let (mut types, mut samples) = (BTreeMap::<String, String>::new(), BTreeMap::new());
        let (mut family, mut helped) = (String::new(), HashSet::new());
        let text = text.strip_suffix("# EOF\n").expect("the end is said");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').expect("a name and its help");
                assert!(is_name(name) && text.len() > 3, "{line}");
                assert!(helped.insert(name.to_string()), "twice: {line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(helped.contains(name), "no help before {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                family = name.into();
                types.insert(name.into(), kind.into());
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(value.is_finite() && value >= 0.0, "{line}");
                let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
                let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
                for label in labels.split(',').filter(|label| !label.is_empty()) {
                    let (key, value) = label.split_once('=').unwrap();
                    assert!(key.bytes().all(|b| b.is_ascii_lowercase()), "{line}");
                    assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'));
                }
                let ends: &[&str] = match types[&family].as_str() {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    _ => &["_bucket", "_sum", "_count"],
                };
                assert!(ends.iter().any(|end| name == format!("{family}{end}")), "{line}");
                assert_eq!(samples.insert(sample.to_string(), value), None, "twice: {line}");
            }
        }
        Scraped { types, samples }
    }

    #[track_caller]
    fn of(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample}: {:#?}", self.samples))
    }

    fn is_counter(&self, sample: &str) -> bool {
        let grows = ["_total", "_count", "_sum", "_bucket"];
        grows.iter().any(|end| sample.split('{').next().unwrap().ends_with(end))
    }

    /// Buckets are cumulative and the last is the count.
    fn check_histograms(&self) {
        let histograms = self.types.iter().filter(|(_, kind)| *kind == "histogram");
        let mut seen = 0;
        for (name, _) in histograms {
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter_map(|(sample, count)| {
                    let le = sample.strip_prefix(&format!("{name}_bucket{{le=\""))?;
                    Some((
                        le.trim_end_matches("\"}").replace("+Inf", "inf").parse().unwrap(),
                        *count,
                    ))
                })
                .collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.len() > 10 && buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, self.of(&format!("{name}_count")))));
            seen += 1;
        }
        assert_eq!(seen, 4);
    }
}

#[test]
fn metrics_are_well_formed_say_what_happened_and_never_count_backwards() {
    let rig = rig_with(|config| config.metrics = Metrics::At("127.0.0.1:0".parse().unwrap()));
    let address = rig.relay.metrics_addr().unwrap();
    let scrape = || Scraped::parse(&rig.relay.metrics());
    let before = scrape();
    before.check_histograms();
    let mut reader = rig.client();
    reader.ask("live", "{}");
    let mut client = rig.client();
    for n in 0..20 {
        assert_eq!(client.publish(&note(1, n, "hello")), accepted(""));
        assert_eq!(reader.hear()[0], "EVENT");
    }
    assert!(client.publish(&note(1, 3, "hello")).0, "a duplicate");
    client.say("nonsense");
    assert_eq!(client.hear()[0], "NOTICE");
    assert_eq!(client.ask("s", "{\"limit\":5}").len(), 5);
    client.say("[\"COUNT\",\"c\",{}]");
    assert_eq!(client.hear()[2]["count"], 20);
    client.say("[\"REQ\",\"bad\",{\"ids\":[\"abc\"]}]");
    assert_eq!(client.hear()[0], "CLOSED");
    rig.store.engine().flush().unwrap();

    let after = scrape();
    after.check_histograms();
    for (sample, value) in &before.samples {
        let now = after.of(sample);
        assert!(!before.is_counter(sample) || now >= *value, "{sample}: {value} then {now}");
    }
    for (sample, value) in [
        ("ratite_relay_events_total{outcome=\"stored\"}", 20.0),
        ("ratite_relay_events_total{outcome=\"duplicate\"}", 1.0),
        ("ratite_relay_messages_total{type=\"event\"}", 21.0),
        ("ratite_relay_messages_total{type=\"req\"}", 3.0),
        ("ratite_relay_messages_total{type=\"invalid\"}", 1.0),
        ("ratite_relay_requests_ended_total{outcome=\"refused\"}", 1.0),
        ("ratite_relay_connections", 2.0),
        ("ratite_relay_subscriptions", 2.0),
        ("ratite_relay_writes", 0.0),
        ("ratite_relay_insert_seconds_count", 21.0),
        ("ratite_relay_req_seconds_count", 2.0),
        ("ratite_relay_count_seconds_count", 1.0),
        ("ratite_shard_poisoned{shard=\"0\"}", 0.0),
        ("ratite_relay_sent_live_total", 20.0),
    ] {
        assert_eq!(after.of(sample), value, "{sample}");
    }
    let live = after.of("ratite_relay_live_seconds_count");
    assert!((1.0..=20.0).contains(&live), "{live}: several events may come at once");
    assert!(after.of("ratite_relay_received_bytes_total") > 20.0 * 200.0);
    assert!(after.of("ratite_relay_sent_bytes_total") > 20.0 * 200.0);
    let sum = |name: &str| -> f64 {
        let of = |shard: u32| after.of(&format!("{name}{{shard=\"{shard}\"}}"));
        of(0) + of(1)
    };
    assert_eq!(
        (sum("ratite_records_stored_total"), sum("ratite_records_duplicate_total")),
        (20.0, 1.0)
    );
    assert!(sum("ratite_segments") >= 1.0 && sum("ratite_log_files") >= 2.0);
    assert!(after.of("ratite_memory_bytes{part=\"budget\"}") == f64::from(64 << 20));
    assert!(after.of("ratite_disk_free_bytes") > 0.0);
    let (status, body) = get(address, "/metrics");
    assert_eq!((status, Scraped::parse(&body).types), (200, after.types));
}

#[test]
fn metrics_are_where_the_configuration_says_and_nowhere_else() {
    let off = rig();
    assert_eq!(off.relay.metrics_addr(), None);
    assert_eq!(get(off.relay.local_addr(), "/metrics").0, 404);
    let public = rig_with(|config| config.metrics = Metrics::Public);
    assert_eq!(public.relay.metrics_addr(), None);
    assert_eq!(get(public.relay.local_addr(), "/metrics").0, 200);
    let own = rig_with(|config| config.metrics = Metrics::At("127.0.0.1:0".parse().unwrap()));
    assert_eq!(get(own.relay.local_addr(), "/metrics").0, 404);
    let address = own.relay.metrics_addr().unwrap();
    for (path, status) in [("/metrics", 200), ("/health", 200), ("/ready", 200), ("/", 404)] {
        assert_eq!(get(address, path).0, status, "{path}");
    }
    let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
    config.metrics = Metrics::At(address);
    let taken = Relay::start(own.store.clone(), config).err().unwrap().to_string();
    assert!(taken.contains(&address.to_string()), "{taken}");
}

#[test]
fn the_figures_of_the_page_are_those_of_the_store() {
    let rig = rig();
    let mut client = rig.client();
    client.publish(&event(1, 0, 1, &[], "one name"));
    client.publish(&event(1, 0, 2, &[], "another"));
    client.ask("s", "{}");
    let (status, body) = get(rig.relay.local_addr(), "/stats.json");
    let figures: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    for (name, value) in [("events", 1), ("stored", 2), ("connections", 2), ("queries", 1)] {
        // The one who asks is a connection too.
        assert_eq!(figures[name], value, "{name} in {body}");
    }
    assert_eq!(figures["subscriptions"], 1);
}

#[test]
fn a_relay_that_is_well_says_so() {
    let rig = rig();
    let address = rig.relay.local_addr();
    assert_eq!(get(address, "/health"), (200, "{\"healthy\":true}".into()));
    // The disk of a test machine may be full, which is then said.
    let readiness = rig.relay.readiness();
    let expected = if readiness.is_ready() { 200 } else { 503 };
    assert_eq!(get(address, "/ready").0, expected, "{readiness:?}");
    assert!(readiness.poisoned.is_empty() && !readiness.stopping);
    rig.relay.stop().unwrap();
    assert_eq!(rig.relay.readiness().reasons()[0], "the relay is stopping");
}

#[test]
fn a_poisoned_shard_is_seen_from_outside_and_queries_go_on() {
    // A disk that fails a write after some.
    let (env, disk, _) = simulated(7, Faults::default());
    let dir = std::path::Path::new("/simulated");
    let store = Arc::new(EventStore::open_in(dir, &Options::tiny(), env).unwrap());
    let long = "x".repeat(8 << 10);
    let mut events = (0..100).map(|at| note(1, at, &long));
    let put = |event: Event| store.insert(&event.as_ref()).unwrap().wait();
    assert!(events.by_ref().take(10).all(|event| put(event).is_ok()));
    disk.set_faults(Faults { eio_write: 1, ..Faults::default() });
    let refused = events.find_map(|event| put(event).err()).expect("the disk fails");
    assert_eq!(refused.code(), "ERR_POISONED");
    let mut config =
        Config { listen: "127.0.0.1:0".parse().unwrap(), threads: 1, ..Config::default() };
    config.metrics = Metrics::Public;
    let relay = Relay::start(store.clone(), config).unwrap();
    let (status, body) = get(relay.local_addr(), "/ready");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["ready"]), (503, &json!(false)), "{body}");
    assert!(answer["reasons"][0].as_str().unwrap().contains("takes no writes"), "{body}");
    assert!(!body.contains("/simulated"), "no file is named to everyone");
    assert_eq!(get(relay.local_addr(), "/health").0, 200, "a restart would mend nothing");
    let scraped = Scraped::parse(&get(relay.local_addr(), "/metrics").1);
    let poisoned = |shard| scraped.of(&format!("ratite_shard_poisoned{{shard=\"{shard}\"}}"));
    assert_eq!(poisoned(0) + poisoned(1), 1.0);
    let (mut client, _) = tungstenite::connect(format!("ws://{}/", relay.local_addr())).unwrap();
    client.send(Message::text("[\"REQ\",\"s\",{\"limit\":3}]")).unwrap();
    for said in ["AUTH", "EVENT", "EVENT", "EVENT", "EOSE"] {
        let text = client.read().unwrap().into_text().unwrap();
        assert!(text.starts_with(&format!("[\"{said}\"")), "{text}");
    }
    drop(client);
    relay.stop().unwrap();
}

#[test]
fn a_full_disk_is_told_to_clients_and_ends_without_a_restart() {
    let (env, disk, clock) = simulated(8, Faults::default());
    let dir = std::path::Path::new("/simulated");
    let options = Options { threads: true, ..Options::tiny() };
    let store = Arc::new(EventStore::open_in(dir, &options, env).unwrap());
    disk.set_quota(Some(4 << 20));
    let mut config =
        Config { listen: "127.0.0.1:0".parse().unwrap(), threads: 1, ..Config::default() };
    config.metrics = Metrics::Public;
    let relay = Relay::start(store.clone(), config).unwrap();
    let url = format!("ws://{}/", relay.local_addr());
    let (mut client, _) = tungstenite::connect(url).unwrap();
    assert!(client.read().unwrap().into_text().unwrap().starts_with("[\"AUTH\""));
    // Nothing that a merge could pack.
    let mut rng = crate::io::Rng::new(8);
    let mut publish = |at| {
        let long: String = (0..512).map(|_| format!("{:016x}", rng.next_u64())).collect();
        client.send(Message::text(event_message(&note(1, at, &long)))).unwrap();
        let answer: Value =
            serde_json::from_str(&client.read().unwrap().into_text().unwrap()).unwrap();
        (answer[2].as_bool().unwrap(), answer[3].as_str().unwrap().to_string())
    };
    // What is given back at the brink may be enough for a while.
    let body = (0..10_000).find_map(|at| {
        let (taken, why) = publish(at);
        assert!(taken || why.starts_with("error: the disk is full"), "{why}");
        if taken {
            return None;
        }
        let (status, body) = get(relay.local_addr(), "/ready");
        clock.advance(crate::relay::metrics::KEPT);
        let scraped = Scraped::parse(&get(relay.local_addr(), "/metrics").1);
        let full = |shard| scraped.of(&format!("ratite_shard_full{{shard=\"{shard}\"}}"));
        let is_told = body.contains("takes no events for now, since the disk is full");
        (is_told && full(0) + full(1) >= 1.0).then_some((status, body))
    });
    let (status, body) = body.expect("the disk is full, stays so, and whoever asks is told");
    assert_eq!(status, 503, "{body}");
    assert!(!body.contains("/simulated"), "no file is named to everyone");
    // There is space again, and the store looks every second of its clock.
    disk.set_quota(None);
    let taken = (10_000..11_000).find(|&at| {
        clock.advance(std::time::Duration::from_secs(10));
        std::thread::yield_now();
        publish(at).0
    });
    assert!(taken.is_some(), "{:?}", store.engine().disk_full());
    assert!(relay.readiness().full.is_empty());
    drop(client);
    relay.stop().unwrap();
}
