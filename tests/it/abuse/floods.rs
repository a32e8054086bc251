//! Floods of messages that are each allowed: subscriptions, filters, events, requests.

use super::*;
use std::net::Shutdown;
use std::sync::atomic::AtomicUsize;

pub(super) fn all(scale: usize) {
    subscriptions(scale);
    values(scale);
    events(scale);
    requests(scale);
    auths(scale);
    pings(scale);
    rates();
}

/// Reads up to the answer to a COUNT that was sent last; how many answers of each verb came before it.
fn drained(socket: &mut Socket) -> Vec<(String, String)> {
    socket.send("[\"COUNT\",\"last\",{\"ids\":[]}]".into()).unwrap();
    let mut heard = Vec::new();
    loop {
        let message = socket.next().unwrap();
        if message[1] == "last" {
            return heard;
        }
        let text = message[2].as_str().unwrap_or_default().to_string();
        heard.push((message[0].as_str().unwrap().into(), text));
    }
}

fn count_of(heard: &[(String, String)], verb: &str, text: &str) -> usize {
    heard.iter().filter(|(v, t)| v == verb && t.starts_with(text)).count()
}

/// Thousands of subscriptions, one id ten thousand times, REQ and CLOSE without end.
fn subscriptions(scale: usize) {
    let mut siege = Siege::begin(&[]);
    siege.beside("subscriptions", 32, |siege| {
        let mut socket = siege.socket();
        (0..3_000 * scale).for_each(|n| {
            socket.send(format!("[\"REQ\",\"{n}\",{{\"kinds\":[9]}}]")).unwrap();
        });
        let heard = drained(&mut socket);
        assert_eq!(count_of(&heard, "EOSE", ""), 200);
        assert_eq!(count_of(&heard, "CLOSED", "restricted: "), 3_000 * scale - 200);
        // Those of the honest client come and go.
        siege.until("ratite_relay_subscriptions ", 200);
        assert!(siege.metric("ratite_relay_subscriptions ") <= 210);
        drop(socket);
        let mut socket = siege.socket();
        for _ in 0..10_000 * scale {
            socket.send("[\"REQ\",\"same\",{\"kinds\":[9]}]".into()).unwrap();
        }
        let heard = drained(&mut socket);
        assert!(count_of(&heard, "EOSE", "") >= 1 && count_of(&heard, "CLOSED", "") == 0);
        for n in 0..10_000 * scale {
            socket.send(format!("[\"REQ\",\"{n}\",{{\"kinds\":[9]}}]")).unwrap();
            socket.send(format!("[\"CLOSE\",\"{n}\"]")).unwrap();
        }
        assert_eq!(count_of(&drained(&mut socket), "CLOSED", ""), 0);
        siege.until_most("ratite_relay_subscriptions ", 10);
    });
    siege.said("restricted: a connection has too many subscriptions");
    siege.end();
}

/// Filters with thousands of values, live and waiting: held to their limits, of a connection and of all.
fn values(scale: usize) {
    let mut siege = Siege::begin(&["--max-total-values", "200000"]);
    let ids: Vec<String> = (0..1_900).map(|n| format!("{n:064x}")).collect();
    let large = json!({ "ids": ids });
    let short = json!({ "#t": (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>() }).to_string();
    let many = [&*short; 9].join(",");
    // 200 bytes a value, a megabyte and a half for each message that is being taken apart, and as much again.
    siege.beside("values of filters", 128, |siege| {
        let mut open = Vec::new();
        for _ in 0..10 {
            let mut socket = siege.socket();
            (0..30).for_each(|n| socket.send(format!("[\"REQ\",\"{n}\",{large}]")).unwrap());
            let heard = drained(&mut socket);
            assert!(count_of(&heard, "EOSE", "") <= 26);
            let refused =
                count_of(&heard, "CLOSED", "restricted: ") + count_of(&heard, "CLOSED", "error: ");
            assert_eq!(count_of(&heard, "EOSE", "") + refused, 30);
            open.push(socket);
        }
        for _ in 0..2 * scale {
            let mut socket = siege.socket();
            for n in 0..20 {
                socket.send(format!("[\"COUNT\",\"{n}\",{many}]")).unwrap();
            }
            // In whatever order: a request for less is answered in front of one for more.
            for _ in 0..20 {
                let verb = socket.next().unwrap()[0].clone();
                assert!(verb == "COUNT" || verb == "CLOSED", "{verb}");
            }
        }
        assert!(siege.metric("ratite_relay_requests_ended_total{outcome=\"refused\"}") > 0);
        let mut socket = siege.socket();
        for too_many in
            [json!([{ "kinds": (0..2_001).collect::<Vec<_>>() }]), json!(vec![json!({}); 21])]
        {
            let filters = too_many.to_string();
            socket.send(format!("[\"REQ\",\"q\",{}", &filters[1..])).unwrap();
            assert_eq!(socket.next().unwrap()[0], "CLOSED");
        }
    });
    siege.said("invalid: a filter has too many values");
    siege.said("or has too many filters");
    siege.said("error: this relay holds as many filters as it can");
    siege.end();
}

/// One connection that has so many messages under way at once; gives its answers.
fn pipelined(
    socket: &mut Socket,
    messages: impl Iterator<Item = String>,
) -> Vec<serde_json::Value> {
    let (mut heard, mut waiting) = (Vec::new(), 0);
    for message in messages {
        socket.send(message).unwrap();
        waiting += 1;
        if waiting == 64 {
            heard.push(socket.next().unwrap());
            waiting -= 1;
        }
    }
    (0..waiting).for_each(|_| heard.push(socket.next().unwrap()));
    heard
}

/// So many messages with events whose signatures are wrong.
fn forged(count: usize) -> Vec<String> {
    let forge = |n: usize| {
        let event = crate::clients::json(&note(4, now(), &n.to_string()));
        let at = event.find("\"sig\":\"").unwrap() + 7;
        let signature = "0123456789abcdef".repeat(8);
        format!("[\"EVENT\",{}{signature}{}]", &event[..at], &event[at + 128..])
    };
    (0..count).map(forge).collect()
}

/// Events with wrong signatures, and one event again and again.
fn events(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let forged = forged(500);
    let again = format!("[\"EVENT\",{}]", crate::clients::json(&note(5, now(), "again")));
    let passes = siege.beside("floods of EVENT", 32, |siege| {
        std::thread::scope(|scope| {
            let flood = |messages: &[String], text: &'static str, stored: usize| {
                let (mut socket, messages) = (siege.socket(), messages.to_vec());
                scope.spawn(move || {
                    let messages = messages.iter().cycle().take(10_000 * scale).cloned();
                    let heard = pipelined(&mut socket, messages);
                    let other =
                        heard.iter().filter(|ok| !ok[3].as_str().unwrap().starts_with(text));
                    // Those of one group are answered together, in no order of theirs.
                    assert!(other.count() <= stored);
                });
            };
            flood(&forged, "invalid: bad signature", 0);
            flood(&forged, "invalid: bad signature", 0);
            flood(std::slice::from_ref(&again), "duplicate: ", 1);
        });
    });
    let refused = siege.metric("ratite_relay_events_total{outcome=\"bad_signature\"}");
    assert_eq!(refused, 20_000 * scale as u64 * passes);
    siege.said("invalid: bad signature");
    every_time_is_told(siege, refused);
}

/// The dearest requests, from several at once.
fn requests(scale: usize) {
    let siege = Siege::begin(&["--sync", "never"]);
    let mut writer = siege.socket();
    let stored = (0..3_000).map(|n| {
        format!("[\"EVENT\",{}]", crate::clients::json(&note(6, now(), &format!("word {n}"))))
    });
    assert!(pipelined(&mut writer, stored).iter().all(|ok| ok[2] == true));
    siege.beside("floods of REQ, COUNT, NEG-OPEN", 96, |siege| {
        std::thread::scope(|scope| {
            let flood = |message: &'static str, answer: &'static str, count: usize| {
                let mut socket = siege.socket();
                scope.spawn(move || {
                    let hear = |socket: &mut Socket| assert_eq!(socket.next().unwrap()[0], answer);
                    for n in 0..count {
                        // An id comes again when it has been answered.
                        if n >= 8 {
                            hear(&mut socket);
                        }
                        socket.send(message.replace("SUB", &(n % 8).to_string())).unwrap();
                    }
                    (0..count.min(8)).for_each(|_| hear(&mut socket));
                });
            };
            flood("[\"COUNT\",\"SUB\",{\"search\":\"word\"}]", "COUNT", 100 * scale);
            flood("[\"COUNT\",\"SUB\",{\"#t\":[\"abuse\"]}]", "COUNT", 200 * scale);
            flood("[\"NEG-OPEN\",\"SUB\",{},\"6100000200\"]", "NEG-MSG", 200 * scale);
        });
        let mut socket = siege.socket();
        for n in 0..60 * scale {
            socket.send(format!("[\"REQ\",\"{n}\",{{\"limit\":1000}}]")).unwrap();
            while socket.next().unwrap()[0] != "EOSE" {}
            socket.send(format!("[\"CLOSE\",\"{n}\"]")).unwrap();
        }
    });
    siege.end();
}

/// AUTHs that prove nothing; each is an event whose signature would be checked.
fn auths(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let key = signer(8);
    let wrong: Vec<String> = (0..100)
        .map(|n| {
            let challenge = n.to_string();
            let tags = [["relay", "ws://127.0.0.1"], ["challenge", &challenge]];
            let auth = Event::from_parts(*key.pubkey(), now(), 22_242, &tags, "").sign(&key);
            format!("[\"AUTH\",{}]", crate::clients::json(&auth))
        })
        .collect();
    let passes = siege.beside("floods of AUTH", 32, |siege| {
        let mut socket = siege.socket();
        let messages = wrong.iter().cycle().take(5_000 * scale).cloned();
        let heard = pipelined(&mut socket, messages);
        assert!(heard.iter().all(|ok| ok[2] == false));
    });
    siege.said("invalid: the challenge is not the one of this connection");
    every_time_is_told(siege, 5_000 * scale as u64 * passes);
}

/// Pings and pongs without end, a hundred to a packet, on the thread of all others: none is a message, and each takes
/// its part of a turn.
fn pings(scale: usize) {
    let siege = Siege::begin(&["--threads", "1"]);
    let mut bytes = [frame(0x89, b""), frame(0x8a, b"")].concat().repeat(50_000 * scale);
    bytes.extend(frame(0x81, b"[\"COUNT\",\"last\",{\"ids\":[]}]"));
    siege.beside("floods of pings", 32, |siege| {
        let mut stream = siege.wire();
        stream.write_all(&bytes).unwrap();
        // What is answered last was asked for behind all of them.
        let (mut heard, mut some) = (Vec::new(), [0; 4096]);
        while !heard.ends_with(b"{\"count\":0}]") {
            let read = stream.read(&mut some).unwrap();
            assert!(read > 0, "{} bytes of answers, and none to the COUNT", heard.len());
            heard.extend(&some[..read]);
        }
    });
    siege.end();
}

/// Of the lines that say who, each says how many times: all together as often as it was. None is a flood of lines.
fn every_time_is_told(siege: Siege, times: u64) {
    let log = siege.log();
    let number = |line: &str, name: &str| {
        let (_, rest) = line.rsplit_once(name)?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" left_out=")).collect();
    let told =
        |line: &&str| number(line, "times=").unwrap_or(0) + number(line, "left_out=").unwrap_or(0);
    assert_eq!(lines.iter().map(told).sum::<u64>(), times, "{}", lines.join("\n"));
    assert!(lines.len() < 200, "{} lines", lines.len());
}

/// Where rates are set, who is over them is told so, and so is the log.
fn rates() {
    let limited = ["--policy-requests", "100/s", "--policy-events", "100/s"];
    let mut siege = Siege::begin(&[&["--policy-loopback", "limited"], &limited[..]].concat());
    let event = crate::clients::json(&note(5, now(), "again"));
    let mut all = 0;
    for message in [
        "[\"REQ\",\"SUB\",{\"ids\":[]}]",
        "[\"COUNT\",\"SUB\",{\"ids\":[]}]",
        "[\"NEG-OPEN\",\"SUB\",{\"ids\":[]},\"6100000200\"]",
        &format!("[\"EVENT\",{event}]"),
        &format!("[\"AUTH\",{event}]"),
    ] {
        let mut socket = siege.socket();
        let messages = (0..2_000).map(|n| message.replace("SUB", &n.to_string()));
        let heard = pipelined(&mut socket, messages);
        let is_refused = |answer: &&serde_json::Value| {
            let text = answer.as_array().unwrap().last().unwrap().as_str();
            text.is_some_and(|text| text.starts_with("rate-limited: "))
        };
        let refused = heard.iter().filter(is_refused).count() as u64;
        assert!(refused > 500, "{refused} of {message}");
        all += refused;
        siege.until("ratite_relay_rate_limited_total", all);
    }
    assert_eq!(siege.metric("ratite_relay_rate_limited_total"), all);
    siege.said("rate-limited: slow down");
    let log = siege.log();
    // A flood of refusals is no flood of lines: of each thread at most one in ten seconds has this reason.
    let lines = log.lines().filter(|line| line.contains("rate-limited")).count();
    assert!(lines < 200, "{lines}");
}

#[test]
fn subscriptions_are_bounded() {
    subscriptions(1);
}

#[test]
fn values_of_filters_are_bounded() {
    values(1);
}

#[test]
fn floods_of_events_leave_others_their_turn() {
    events(1);
}

/// One thread, and one client that sends as fast as it can: a few of its events are answered between two answers to
/// others, and not all that the socket holds.
#[test]
fn a_flood_gives_way_every_few_messages() {
    const EVENTS: usize = 5_000;
    let siege = Siege::begin(&["--threads", "1"]);
    let bytes: Vec<u8> =
        forged(500).iter().flat_map(|message| frame(0x81, message.as_bytes())).collect();
    let bytes = bytes.repeat(EVENTS / 500);
    let mut writer = siege.wire();
    let (mut reader, both) = (writer.try_clone().unwrap(), writer.try_clone().unwrap());
    // Bytes of answers: a frame of some hundred for each.
    let heard = AtomicUsize::new(0);
    let (mut steps, mut before) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&bytes).unwrap());
        scope.spawn(|| {
            let mut answers = vec![0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut answers) {
                heard.fetch_add(read, SeqCst);
            }
        });
        while before < EVENTS * 100 {
            siege.tick();
            let now = heard.load(SeqCst);
            steps.push((now - before) / 100);
            before = now;
        }
        both.shutdown(Shutdown::Both).unwrap();
    });
    siege.end();
    steps.retain(|&step| step > 0);
    steps.sort();
    let usual = steps[steps.len() / 2];
    assert!(usual <= 200, "{usual} between two answers; {steps:?}");
}

#[test]
fn floods_of_requests_leave_others_their_turn() {
    requests(1);
}

#[test]
fn floods_of_auths_leave_others_their_turn() {
    auths(1);
}

#[test]
fn floods_of_pings_leave_others_their_turn() {
    pings(1);
}

#[test]
fn who_is_too_fast_is_told_and_so_is_the_log() {
    rates();
}
