//! Lists, work and rates over the wire.

use super::web::http;
use super::*;
use crate::relay::{Rate, Rule};

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn rate(count: u64, burst: u64) -> Option<Rate> {
    Some(Rate::new(count, Duration::from_secs(1), burst))
}

fn prefix((accepted, text): (bool, String)) -> (bool, String) {
    (accepted, text.split(':').next().unwrap().into())
}

#[test]
fn lists_decide_who_publishes_what() {
    let own = const_hex::encode(signer(1).pubkey());
    let banned = note(1, 7, "banned");
    let allow = format!("allow pubkey {own}");
    let deny = format!("deny event {}", const_hex::encode(banned.id()));
    let rig = rig_with(|config| config.policy.rules = rules(&[&allow, &deny, "deny kind 4"]));
    let mut client = rig.client();
    let mut answer = |event: &Event| prefix(client.publish(event));
    assert_eq!(answer(&note(1, 0, "")), (true, String::new()));
    assert_eq!(answer(&note(2, 0, "")), (false, "restricted".into()));
    assert_eq!(answer(&event(1, 4, 0, &[], "")), (false, "blocked".into()));
    assert_eq!(answer(&banned), (false, "blocked".into()));
    assert_eq!((rig.stored(), rig.relay.stats().events_unwanted), (1, 3));
    let document: Value = serde_json::from_str(&http(&rig, "GET /nip11 HTTP/1.1").1).unwrap();
    assert_eq!(document["limitation"]["restricted_writes"], true);
}

/// Row 15: lists are about authors, so no key that a stranger proves changes what he is told, be it on the list.
#[test]
fn who_is_not_on_the_list_is_restricted_whatever_key_it_has_proved() {
    let allow = format!("allow pubkey {}", const_hex::encode(signer(1).pubkey()));
    let rig = rig_with(|config| config.policy.rules = rules(&[&allow]));
    let restricted = (false, "restricted".to_string());
    let (mut nobody, mut stranger, mut listed) = (rig.client(), rig.known(2), rig.known(1));
    for (client, at) in [(&mut nobody, 0), (&mut stranger, 1), (&mut listed, 2)] {
        assert_eq!(prefix(client.publish(&note(2, at, ""))), restricted, "{at}");
        assert_eq!(prefix(client.publish(&note(3, at, ""))), restricted, "{at}");
        // Whoever brings it, what the listed author has signed is taken.
        assert_eq!(client.publish(&note(1, at, "")), accepted(""), "{at}");
    }
    assert_eq!(stranger.authenticate(1), accepted(""));
    assert_eq!(prefix(stranger.publish(&note(2, 3, ""))), restricted, "with both keys");
    assert_eq!((rig.stored(), rig.relay.stats().events_unwanted), (3, 7));
}

#[test]
fn rules_are_loaded_anew_while_clients_are_connected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules");
    std::fs::write(&file, "deny kind 1\n").unwrap();
    let mut policy = None;
    let rig = rig_with(|config| {
        config.policy.files = vec![file.clone()];
        policy = Some(config.policy.clone());
    });
    let mut client = rig.client();
    assert!(!client.publish(&note(1, 0, "")).0);
    std::fs::write(&file, "deny kind 40\n# and no other\n").unwrap();
    rig.relay.policy().reload(&policy.unwrap()).unwrap();
    assert!(client.publish(&note(1, 0, "")).0);
}

#[test]
fn a_changed_file_of_rules_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules");
    std::fs::write(&file, "deny kind 1\n").unwrap();
    let rig = rig_with(|config| config.policy.files = vec![file.clone()]);
    let mut client = rig.client();
    assert!(!client.publish(&note(1, 0, "")).0);
    std::fs::write(&file, "").unwrap();
    // Each answer takes its time, and the file is looked at every second.
    while !client.publish(&note(1, 0, "")).0 {}
}

#[test]
fn work_is_asked_for_and_what_was_committed_to_counts() {
    let rig = rig_with(|config| config.policy.pow_bits = 8);
    let mut client = rig.client();
    let mined = |target: &str| {
        let signer = signer(1);
        let with = |n: u64| {
            let nonce = n.to_string();
            Event::from_parts(*signer.pubkey(), T0, 1, &[&["nonce", &nonce, target]], "")
        };
        (0..).map(with).find(|event| event.id()[0] == 0).unwrap().sign(&signer)
    };
    assert_eq!(client.publish(&mined("8")), accepted(""));
    assert_eq!(prefix(client.publish(&mined("7"))), (false, "pow".into()));
    let document: Value = serde_json::from_str(&http(&rig, "GET /nip11 HTTP/1.1").1).unwrap();
    assert_eq!(document["limitation"]["min_pow_difficulty"], 8);
    assert!(document["supported_nips"].as_array().unwrap().contains(&json!(13)));
}

#[test]
fn who_is_too_fast_waits_for_the_clock() {
    let (rig, clock) = rig_at_t0(|config| {
        let rates = &mut config.limits.rates;
        rates.loopback = true;
        rates.connection.events = rate(2, 3);
        rates.connection.requests = rate(1, 1);
        rates.connection.bytes = rate(10_000, 10_000);
    });
    let mut client = rig.client();
    let answers = |client: &mut Client, n: u64| -> Vec<(bool, String)> {
        (0..n).map(|i| prefix(client.publish(&note(1, i, "")))).collect()
    };
    let (yes, no) = ((true, String::new()), (false, "rate-limited".to_string()));
    let duplicate = (true, "duplicate".to_string());
    assert_eq!(answers(&mut client, 4), [yes.clone(), yes.clone(), yes, no.clone()]);
    clock.advance(Duration::from_millis(500));
    assert_eq!(answers(&mut client, 2), [duplicate, no]);
    // Another connection has buckets of its own.
    let mut other = rig.client();
    assert!(answers(&mut other, 1)[0].0);
    assert_eq!(client.ask("a", "{}").len(), 3);
    client.say("[\"REQ\",\"a\",{}]");
    let closed = client.hear();
    assert_eq!((&closed[0], &closed[1]), (&json!("CLOSED"), &json!("a")));
    assert!(closed[2].as_str().unwrap().starts_with("rate-limited: "), "{closed}");
    client.say("[\"COUNT\",\"b\",{}]");
    assert_eq!(client.hear()[0], "CLOSED");
    clock.advance(Duration::from_secs(1));
    assert_eq!(client.ask("a", "{}").len(), 3);
    client.say("[\"CLOSE\",\"a\"]");
    // Bytes: a bucket of 10,000 is as good as empty after 9,000.
    clock.advance(Duration::from_secs(2));
    assert!(client.publish(&note(1, 8, &"x".repeat(9_000))).0);
    assert_eq!(prefix(client.publish(&note(1, 9, &"y".repeat(2_000)))).1, "rate-limited");
    assert_eq!(rig.relay.stats().rate_limited, 5);
    let junk = "[\"EVENT\",{}]";
    (0..3).for_each(|_| client.say(junk));
    let texts: Vec<Value> = (0..3).map(|_| client.hear()).collect();
    assert!(texts.iter().all(|text| text[0] == "NOTICE"), "{texts:?}");
    assert!(texts[2][1].as_str().unwrap().starts_with("rate-limited: "), "{texts:?}");
}

#[test]
fn a_comparison_is_a_request_and_its_messages_are_bytes() {
    let (rig, clock) = rig_at_t0(|config| {
        let rates = &mut config.limits.rates;
        rates.loopback = true;
        rates.connection.requests = rate(1, 1);
        rates.connection.bytes = rate(1_000, 1_000);
    });
    let mut client = rig.client();
    let mut answer = |message: &str| {
        client.say(message);
        let answer = client.hear();
        let text = answer[2].as_str().unwrap();
        let text = if answer[0] == "NEG-ERR" { text.split(':').next().unwrap() } else { "" };
        (answer[0].as_str().unwrap().to_string(), text.to_string())
    };
    let (said, limited) = (("NEG-MSG".to_string(), String::new()), "rate-limited".to_string());
    let limited = ("NEG-ERR".to_string(), limited);
    assert_eq!(answer("[\"NEG-OPEN\",\"a\",{},\"61\"]"), said);
    // What belongs to it is no request of its own.
    assert_eq!(answer("[\"NEG-MSG\",\"a\",\"61\"]"), said);
    assert_eq!(answer("[\"NEG-OPEN\",\"b\",{},\"61\"]"), limited);
    assert_eq!(answer("[\"NEG-MSG\",\"a\",\"61\"]"), said);
    clock.advance(Duration::from_secs(1));
    assert_eq!(answer("[\"NEG-OPEN\",\"b\",{},\"61\"]"), said);
    // Bytes; the refusal is the end of the session.
    clock.advance(Duration::from_secs(1));
    let long = format!("[\"NEG-MSG\",\"a\",\"61{}\"]", "00".repeat(480));
    answer(&long);
    assert_eq!(
        answer("[\"NEG-MSG\",\"b\",\"616161616161616161616161616161616161616161\"]"),
        limited
    );
    assert_eq!(rig.relay.stats().rate_limited, 2);
    clock.advance(Duration::from_secs(2));
    assert_eq!(answer("[\"NEG-MSG\",\"b\",\"61\"]").1, "closed");
}

#[test]
fn rates_of_an_address_and_of_all_hold_across_connections() {
    let (rig, _clock) = rig_at_t0(|config| {
        config.limits.rates.address.events = rate(1, 2);
        config.limits.rates.total.events = rate(1, 5);
        config.policy.proxies.header = Some("x-real-ip".into());
    });
    let from = |address: &str| {
        let request = tungstenite::http::Request::builder()
            .uri(format!("ws://{}/", rig.relay.local_addr()))
            .header("Host", "relay.test")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("X-Real-IP", address);
        let (socket, _) = tungstenite::client(request.body(()).unwrap(), rig.dial()).unwrap();
        rig.client_on(socket)
    };
    let mut next = 0;
    let mut may = |client: &mut Client| {
        next += 1;
        client.publish(&note(1, next, "")).0
    };
    let (mut a, mut b, mut c) = (from("2001:db8::1"), from("2001:db8::2"), from("192.0.2.1"));
    assert!(may(&mut a) && may(&mut b) && !may(&mut a) && !may(&mut b), "one /64");
    assert!(may(&mut c) && may(&mut c) && !may(&mut c));
    let (mut d, mut local) = (from("192.0.2.2"), rig.client());
    assert!(may(&mut d) && !may(&mut d), "five of all");
    assert!(may(&mut local) && may(&mut local), "this machine is exempt");
}

#[test]
fn addresses_are_kept_out_at_the_door_and_behind_a_proxy() {
    let rig = rig_with(|config| config.policy.rules = rules(&["deny address 127.0.0.0/8"]));
    assert!(tungstenite::client(format!("ws://{}/", rig.relay.local_addr()), rig.dial()).is_err());
    assert_eq!(rig.relay.stats().connections_refused, 1);
    let rig = rig_with(|config| {
        config.policy.rules = rules(&["deny address 192.0.2.0/24"]);
        config.policy.proxies.header = Some("x-forwarded-for".into());
    });
    let status = |lines: &str| http(&rig, lines).0[9..12].to_string();
    assert_eq!(status("GET / HTTP/1.1\nX-Forwarded-For: 192.0.2.7"), "403");
    assert_eq!(status("GET / HTTP/1.1\nX-Forwarded-For: 192.0.2.7, 198.51.100.1"), "200");
    assert_eq!(status("GET / HTTP/1.1"), "200");
    // Without the option, a header is anyone's word.
    let rig = rig_with(|config| config.policy.rules = rules(&["deny address 192.0.2.0/24"]));
    assert!(http(&rig, "GET / HTTP/1.1\nX-Forwarded-For: 192.0.2.7").0.starts_with("http/1.1 200"));
}

#[test]
fn a_policy_that_cannot_be_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(EventStore::open(dir.path(), &Options::tiny()).unwrap());
    let refused = |change: fn(&mut Config)| {
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        change(&mut config);
        Relay::start(store.clone(), config).err().map(|error| error.to_string()).unwrap()
    };
    assert!(refused(|c| c.policy.files = vec!["/nowhere/rules".into()]).contains("/nowhere/rules"));
    store.close().unwrap();
}
