//! Sockets and HTTP: handshake, NIP-11, the page, frames that break rules, silence.

use super::*;
use std::io::{Read, Write};

/// The answer to a request of these lines, head and body.
pub(super) fn http(rig: &Rig, lines: &str) -> (String, String) {
    let mut stream = rig.dial();
    let head = lines.replace('\n', "\r\n");
    let request = format!("{head}\r\nHost: relay.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.into())
}

#[test]
fn http_is_answered() {
    let rig = rig_with(|config| config.name = "Bird & Co".into());
    assert_eq!(rig.client().publish(&note(1, 0, "")), accepted(""));
    let (head, body) = http(&rig, "GET / HTTP/1.1\nAccept: application/nostr+json");
    assert!(head.starts_with("http/1.1 200") && head.contains("access-control-allow-origin: *"));
    assert!(head.contains("content-type: application/nostr+json"));
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["name"], "Bird & Co");
    assert_eq!(document["limitation"]["max_subscriptions"], 200);
    assert_eq!(http(&rig, "GET /nip11 HTTP/1.1").1, body);
    let (head, body) = http(&rig, "GET / HTTP/1.1\nX-Forwarded-Proto: https");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-security-policy"));
    assert!(body.contains("Bird &amp; Co") && body.contains("wss://relay.test/"), "{body}");
    assert!(body.contains("1 events stored"));
    let (head, body) = http(&rig, "HEAD / HTTP/1.1\nAccept: application/nostr+json");
    assert!(
        head.starts_with("http/1.1 200")
            && head.contains("application/nostr+json")
            && body.is_empty()
    );
    assert!(head.contains("content-length: ") && !head.contains("content-length: 0"), "{head}");
    assert!(http(&rig, "HEAD / HTTP/1.1").0.contains("text/html"));
    let (head, _) = http(&rig, "OPTIONS / HTTP/1.1");
    assert!(head.starts_with("http/1.1 204") && head.contains("access-control-allow-headers: *"));
    assert!(http(&rig, "GET /../etc/passwd HTTP/1.1").0.starts_with("http/1.1 404"));
    let (head, _) = http(&rig, "DELETE / HTTP/1.1");
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head, options"));
    assert!(rig.relay.stats().http_answers >= 6);
}

#[test]
fn a_head_that_does_not_end_is_not_kept() {
    let rig = rig();
    let mut stream = rig.dial();
    let (mut sent, endless) = (0, [b'x'; 4096]);
    stream.write_all(b"GET / HTTP/1.1\r\nX-Long: ").unwrap();
    // Closed with bytes unread, the connection is reset, sooner or later.
    while stream.write_all(&endless).is_ok() {
        sent += endless.len();
        assert!(sent < 64 << 20, "nobody keeps that much");
    }
    assert_eq!(rig.relay.stats().http_answers, 0);
}

/// One who is still sending when the answer to too long a head arrives can finish and read it whole.
#[test]
fn a_client_in_the_middle_of_a_long_head_gets_its_answer() {
    let rig = rig();
    for _ in 0..20 {
        let mut stream = rig.dial();
        let (head, more) = ("GET / HTTP/1.1\r\nX-Long: ", [b'x'; 10_000]);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&more).unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        (0..10).for_each(|_| stream.write_all(&more).unwrap());
        let mut answer = String::from(first[0] as char);
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let rig = rig_with(|config| config.limits.head = Duration::from_millis(50));
    let mut stream = rig.dial();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let rig = rig_with(|config| config.limits.http = Duration::from_millis(50));
    let mut idle = rig.dial();
    assert_eq!(idle.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn frames_that_break_rules_end_the_connection_and_say_why() {
    let rig = rig();
    let ends = |name: &str, frame: &dyn Fn(&mut Client), code: CloseCode| {
        let mut client = rig.client();
        frame(&mut client);
        let (said, closed) = client.hear_out();
        assert_eq!(closed, code, "{name}: {said:?}");
        assert_eq!(said.len(), 1, "{name}");
        assert!(said[0][1].as_str().unwrap().starts_with("invalid: "), "{name}: {said:?}");
    };
    let raw = |bytes: &'static [u8]| {
        move |client: &mut Client| client.socket.get_mut().write_all(bytes).unwrap()
    };
    let say = |client: &mut Client, message| client.socket.send(message).unwrap();
    ends("oversize", &|c| say(c, Message::text("x".repeat(131_073))), CloseCode::Size);
    ends("binary", &|c| say(c, Message::binary(vec![1, 2])), CloseCode::Unsupported);
    ends(
        "declared huge",
        &raw(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
        CloseCode::Size,
    );
    ends("not masked", &raw(b"\x81\x01x"), CloseCode::Protocol);
    ends("reserved bit", &raw(b"\xf1\x81\0\0\0\0x"), CloseCode::Protocol);
    ends("no UTF-8", &raw(b"\x81\x81\0\0\0\0\xff"), CloseCode::Invalid);
    // The largest message is no offence.
    let mut client = rig.client();
    say(&mut client, Message::text("x".repeat(131_072)));
    assert_eq!(client.hear()[0], "NOTICE");
}

#[test]
fn a_client_may_say_goodbye_and_its_subscriptions_go_with_it() {
    let rig = rig();
    let mut leaving = rig.client();
    leaving.ask("s", "{}");
    leaving.socket.close(None).unwrap();
    assert!(matches!(leaving.socket.read(), Ok(Message::Close(None))));
    assert!(matches!(leaving.socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    let mut dropped = rig.client();
    dropped.ask("s", "{}");
    drop(dropped);
    let mut client = rig.client();
    while rig.relay.stats().connections > 1 {
        client.ask("wait", "{\"limit\":0}");
    }
    client.say("[\"CLOSE\",\"wait\"]");
    assert_eq!(client.publish(&note(1, 0, "")), accepted(""));
    client.ask("after", "{}");
    assert_eq!(rig.relay.stats().sent_live, 0);
}

#[test]
fn silence_is_pinged_and_then_ended() {
    let rig = rig_with(|config| {
        (config.limits.ping, config.limits.pong) = (Duration::from_millis(20), PATIENCE);
    });
    let mut client = rig.client();
    for _ in 0..3 {
        assert!(matches!(client.socket.read(), Ok(Message::Ping(_))));
    }
    assert!(client.ask("s", "{}").is_empty());
    let rig = rig_with(|config| {
        (config.limits.ping, config.limits.pong) =
            (Duration::from_millis(20), Duration::from_millis(50));
    });
    // Reading bytes is not answering them.
    let mut silent = rig.client();
    let mut bytes = Vec::new();
    silent.socket.get_mut().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0x89, 0]);
    assert_eq!(rig.relay.stats().silent_clients, 1);
}

#[test]
fn the_doors_close_when_the_house_is_full() {
    let rig = rig_with(|config| config.limits.connections = 1);
    let mut first = rig.client();
    let mut second = rig.dial();
    // Closed unread, or reset: either way nothing is served.
    assert!(matches!(second.read(&mut [0; 9]), Ok(0) | Err(_)));
    assert_eq!(rig.relay.stats().connections_refused, 1);
    assert!(first.ask("s", "{}").is_empty());
    drop(first);
    while rig.relay.stats().connections > 0 {
        std::thread::yield_now();
    }
    assert!(rig.client().ask("s", "{}").is_empty());
}

#[test]
fn a_relay_that_cannot_start_says_why() {
    let rig = rig();
    let start = |change: &dyn Fn(&mut Config)| {
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        change(&mut config);
        Relay::start(rig.store.clone(), config).err().unwrap().to_string()
    };
    assert!(start(&|c| c.limits.writes = 0).contains("writes"));
    assert!(start(&|c| c.threads = 0).contains("threads"));
    assert!(start(&|c| c.listen = "192.0.2.1:1".parse().unwrap()).contains("192.0.2.1:1"));
    let _taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = _taken.local_addr().unwrap();
    assert!(start(&|c| c.listen = taken).contains("cannot listen on"));
    let other_relay = rig.relay.local_addr();
    assert!(start(&|c| c.listen = other_relay).contains("cannot listen on"));
}
