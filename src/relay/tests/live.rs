//! Live delivery: to everyone, once, without a gap; and not at anyone's expense.

use super::*;
use std::collections::{HashMap, HashSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[test]
fn events_reach_every_subscription_that_they_belong_to() {
    let rig = rig();
    let author = const_hex::encode(signer(1).pubkey());
    let mut clients: Vec<Client> = (0..6).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.ask("all", "{\"limit\":0}");
        client.ask("author", &format!("{{\"authors\":[\"{author}\"]}}"));
        client.ask("tag", "{\"#t\":[\"x\"]}");
        client.ask("none", "{\"kinds\":[9]}");
    }
    let mut writer = rig.client();
    assert_eq!(writer.publish(&event(1, 1, 0, &[["t", "x"]], "three")), accepted(""));
    assert_eq!(writer.publish(&event(2, 1, 0, &[["t", "x"]], "two")), accepted(""));
    assert_eq!(writer.publish(&event(2, 1, 0, &[["t", "y"]], "one")), accepted(""));
    for client in &mut clients {
        let mut heard = HashMap::<String, HashSet<String>>::new();
        for _ in 0..6 {
            let message = client.hear();
            let content = message[2]["content"].as_str().unwrap().to_string();
            assert!(heard.entry(content).or_default().insert(message[1].to_string()));
        }
        let count = |content: &str| heard[content].len();
        assert_eq!((count("three"), count("two"), count("one")), (3, 2, 1));
    }
}

/// Every event comes to every subscription once, stored or live, however requests and writes race.
#[test]
fn no_gap_and_no_duplicate_between_stored_and_live() {
    const WRITERS: u8 = 2;
    const EVENTS: u64 = 250;
    const READERS: usize = 2;
    const REQS: usize = 12;
    let rig = rig_with(|config| {
        (config.limits.limit_default, config.limits.limit_max) = (10_000, 10_000);
    });
    let signed: Vec<Vec<Event>> = (1..=WRITERS)
        .map(|author| (0..EVENTS).map(|n| note(author, n % 50, &n.to_string())).collect())
        .collect();
    let last = note(9, 100, "the last");
    // The last is published when every subscription stands: it comes live, behind all the others.
    let all = usize::from(WRITERS) * EVENTS as usize;
    let acknowledged = AtomicUsize::new(0);
    let all_stand = Barrier::new(READERS + 1);
    std::thread::scope(|scope| {
        let writers: Vec<_> = signed
            .iter()
            .map(|events| {
                let (mut writer, acknowledged) = (rig.client(), &acknowledged);
                scope.spawn(move || {
                    events.iter().for_each(|event| writer.say(&event_message(event)));
                    for _ in events {
                        assert_eq!(writer.hear()[2], true);
                        acknowledged.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for _ in 0..READERS {
            let (mut client, all_stand, acknowledged) = (rig.client(), &all_stand, &acknowledged);
            scope.spawn(move || {
                let mut seen = vec![HashSet::new(); REQS];
                let (mut asked, mut stored, mut done) = (0, 0, 0);
                while done < REQS {
                    // One REQ after the other, spread over the race.
                    if asked == stored && asked < REQS {
                        while acknowledged.load(SeqCst) < asked * all / REQS {
                            std::thread::yield_now();
                        }
                        client.say(&format!("[\"REQ\",\"{asked}\",{{}}]"));
                        asked += 1;
                    }
                    let message = client.hear();
                    let sub: usize = message[1].as_str().unwrap().parse().unwrap();
                    if message[0] == "EOSE" {
                        assert_eq!(sub, stored);
                        let due = sub * all / REQS;
                        assert!(seen[sub].len() >= due, "what was acknowledged before is stored");
                        stored += 1;
                        if stored == REQS {
                            all_stand.wait();
                        }
                        continue;
                    }
                    assert_eq!(message[0], "EVENT");
                    let id = message[2]["id"].as_str().unwrap().to_string();
                    assert!(seen[sub].insert(id), "twice: {message}");
                    done += usize::from(message[2]["content"] == "the last");
                }
                seen.iter().for_each(|seen| assert_eq!(seen.len(), all + 1));
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        all_stand.wait();
        assert_eq!(rig.client().publish(&last), accepted(""));
    });
    assert!(rig.relay.stats().sent_stored > 0);
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_hurts_no_one() {
    let rig = rig_with(|config| config.limits.outbound_bytes = 256 << 10);
    let mut slow = rig.client();
    slow.ask("s", "{}");
    let mut fast = rig.client();
    fast.ask("f", "{}");
    let mut writer = rig.client();
    let long = "x".repeat(40_000);
    let mut published = 0;
    while rig.relay.stats().slow_clients == 0 {
        assert!(published < 2_000, "the sockets cannot hold so much");
        let event = note(1, published, &format!("{published} {long}"));
        assert_eq!(writer.publish(&event), accepted(""));
        let heard = fast.hear();
        assert_eq!(
            (&heard[0], &heard[2]["id"]),
            (&json!("EVENT"), &json!(const_hex::encode(event.id())))
        );
        published += 1;
    }
    // What the slow one does get is a beginning without a gap, and the reason.
    let (said, code) = slow.hear_out();
    let (notice, events) = said.split_last().unwrap();
    assert_eq!(*notice, json!(["NOTICE", "error: this client reads too slowly"]));
    assert_eq!(code, CloseCode::Policy);
    for (event, n) in events.iter().zip(0..) {
        assert_eq!(event[2]["created_at"], T0 + n);
    }
    assert!(events.len() as u64 <= published);
    assert_eq!(writer.publish(&note(1, 9_999, "after")), accepted(""));
    assert_eq!(fast.hear()[2]["content"], "after");
    assert_eq!(rig.relay.stats().slow_clients, 1);
}

/// `relay.close-timeout`.
#[test]
fn a_client_that_does_not_take_its_goodbye_is_waited_for_as_long_as_that_is_set() {
    let with_slow_client = |closing| {
        let rig = rig_with(|config| {
            config.limits.outbound_bytes = 256 << 10;
            config.limits.closing = closing;
        });
        let mut slow = rig.client();
        slow.ask("s", "{}");
        let mut writer = rig.client();
        let long = "x".repeat(40_000);
        for n in 0.. {
            if rig.relay.stats().slow_clients > 0 {
                break;
            }
            assert!(n < 2_000, "the sockets cannot hold so much");
            assert_eq!(writer.publish(&note(1, n, &format!("{n} {long}"))), accepted(""));
        }
        (rig, slow, writer)
    };
    let (patient, _slow, _other) = with_slow_client(Duration::from_secs(86_400));
    let (hasty, _slow, mut writer) = with_slow_client(Duration::from_millis(20));
    for n in 0.. {
        if hasty.relay.stats().connections == 1 {
            break;
        }
        assert!(n < 100_000, "it is still there after so many round trips");
        assert_eq!(writer.publish(&note(2, n, "meanwhile")), accepted(""));
    }
    assert_eq!(patient.relay.stats().connections, 2);
}

/// A large answer waits for its reader in the store, not in memory.
#[test]
fn a_large_answer_waits_for_its_reader() {
    let rig = rig_with(|config| config.limits.outbound_bytes = 256 << 10);
    let mut writer = rig.client();
    let long = "x".repeat(50_000);
    let (events, rounds) = (100, 4);
    for n in 0..events {
        assert_eq!(writer.publish(&note(1, n, &long)), accepted(""));
    }
    let mut reader = rig.client();
    for round in 0..rounds {
        reader.say(&format!("[\"REQ\",\"{round}\",{{\"until\":{}}}]", T0 + 1_000));
    }
    // While the answers wait, the writer is served.
    assert_eq!(writer.publish(&note(2, 2_000, "meanwhile")), accepted(""));
    for round in 0..rounds {
        for n in (0..events).rev() {
            let heard = reader.hear();
            assert_eq!(
                (&heard[1], &heard[2]["created_at"]),
                (&json!(round.to_string()), &json!(T0 + n))
            );
        }
        assert_eq!(reader.hear(), json!(["EOSE", round.to_string()]));
    }
    assert_eq!(rig.relay.stats().slow_clients, 0);
}

#[test]
fn stopping_answers_what_is_under_way_and_says_goodbye() {
    let rig = rig();
    let mut idle = rig.client();
    idle.ask("s", "{\"kinds\":[7]}");
    let mut writer = rig.client();
    let events: Vec<Event> = (0..200).map(|n| note(1, n, "")).collect();
    events.iter().for_each(|event| writer.say(&event_message(event)));
    assert_eq!(writer.hear()[2], true);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| rig.relay.stop().unwrap());
        let (said, code) = idle.hear_out();
        assert_eq!(said, [json!(["NOTICE", "error: the relay is stopping"])]);
        assert_eq!(code, CloseCode::Away);
        let (said, code) = writer.hear_out();
        assert_eq!(code, CloseCode::Away);
        let (notice, oks) = said.split_last().unwrap();
        assert_eq!(notice[0], "NOTICE");
        assert!(oks.iter().all(|ok| ok[0] == "OK" && ok[2] == true));
        drop((idle, writer));
        stopping.join().unwrap();
        // What was answered is what was stored.
        assert_eq!(rig.stored(), oks.len() as u64 + 1);
    });
    assert_eq!(rig.relay.stats().connections, 0);
    assert!(TcpStream::connect(rig.relay.local_addr()).is_err());
    rig.relay.stop().unwrap();
}
