//! Floods of messages that are each allowed: subscriptions, filters, events, requests.

use super::*;

pub(super) fn all(scale: usize) {
    subscriptions(scale);
    values(scale);
    events(scale);
    requests(scale);
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
    let siege = Siege::begin(&[]);
    siege.beside("subscriptions", 32, |siege| {
        let mut socket = siege.socket();
        (0..3_000 * scale).for_each(|n| {
            socket.send(format!("[\"REQ\",\"{n}\",{{\"kinds\":[9]}}]")).unwrap();
        });
        let heard = drained(&mut socket);
        assert_eq!(count_of(&heard, "EOSE", ""), 200);
        assert_eq!(count_of(&heard, "CLOSED", "restricted: "), 3_000 * scale - 200);
        // Those of the honest client come and go.
        assert!((200..=210).contains(&siege.metric("ratite_relay_subscriptions ")));
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
        while siege.metric("ratite_relay_subscriptions ") > 10 {}
    });
    siege.end();
}

/// Filters with thousands of values, live and waiting: held to their limits, of a connection and of all.
fn values(scale: usize) {
    let siege = Siege::begin(&["--max-total-values", "200000"]);
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
            let heard = drained(&mut socket);
            assert_eq!(heard.len(), 20);
        }
        assert!(siege.metric("ratite_relay_requests_ended_total{outcome=\"refused\"}") > 0);
    });
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

/// Events with wrong signatures, and one event again and again.
fn events(scale: usize) {
    let siege = Siege::begin(&[]);
    let forged: Vec<String> = (0..500)
        .map(|n| {
            let event = crate::clients::json(&note(4, now(), &n.to_string()));
            let at = event.find("\"sig\":\"").unwrap() + 7;
            format!(
                "[\"EVENT\",{}{}{}]",
                &event[..at],
                "0123456789abcdef".repeat(8),
                &event[at + 128..]
            )
        })
        .collect();
    let again = format!("[\"EVENT\",{}]", crate::clients::json(&note(5, now(), "again")));
    siege.beside("floods of EVENT", 32, |siege| {
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
    assert_eq!(refused, 20_000 * scale as u64);
    siege.end();
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

/// Where rates are set, who is over them is told so, and so is the log.
fn rates() {
    let mut siege = Siege::begin(&[
        "--policy-loopback",
        "limited",
        "--policy-requests",
        "100/s",
        "--policy-events",
        "100/s",
    ]);
    let mut socket = siege.socket();
    for n in 0..2_000 {
        socket.send(format!("[\"REQ\",\"{n}\",{{\"ids\":[]}}]")).unwrap();
    }
    let mut refused = 0;
    for _ in 0..2_000 {
        let heard = socket.next().unwrap();
        refused += usize::from(
            heard[0] == "CLOSED" && heard[2].as_str().unwrap().starts_with("rate-limited: "),
        );
    }
    assert!(refused > 1_000, "{refused}");
    assert!(siege.metric("ratite_relay_rate_limited_total") >= refused as u64);
    siege.said("rate-limited: slow down");
    // A flood of refusals is no flood of lines.
    let lines = siege.relay.said().lines().filter(|line| line.contains("rate-limited")).count();
    assert!(lines < 200, "{lines}");
    siege.end();
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

#[test]
fn floods_of_requests_leave_others_their_turn() {
    requests(1);
}

#[test]
fn who_is_too_fast_is_told_and_so_is_the_log() {
    rates();
}
