//! EVENT: what is stored, what is refused, and what is said about it.

use super::*;

#[test]
fn an_event_is_stored_once_and_served_as_it_came() {
    let rig = rig();
    let mut client = rig.client();
    let tags = [["t", "x\u{1}\"\\é"], ["e", &"ab".repeat(32)]];
    let event = event(1, 1, 0, &tags, "line\nline \u{7f} ✓");
    assert_eq!(client.publish(&event), accepted(""));
    assert_eq!(rig.stored(), 1);
    assert_eq!(client.publish(&event), accepted("duplicate: already have this event"));
    let mut other = rig.client();
    other.say("[\"REQ\",\"s\",{}]");
    let Message::Text(text) = other.socket.read().unwrap() else { panic!() };
    let json = String::from_utf8(event.to_json()).unwrap();
    assert_eq!(text, format!("[\"EVENT\",\"s\",{json}]"));
    assert_eq!(other.hear(), json!(["EOSE", "s"]));
    let stats = rig.relay.stats();
    assert_eq!((stats.events_stored, stats.events_duplicate, stats.messages_event), (1, 1, 2));
}

#[test]
fn what_is_no_event_of_its_author_is_refused_and_not_stored() {
    let rig = rig_with(|config| config.limits.past_seconds = Some(1 << 30));
    let mut client = rig.client();
    let good = note(1, 0, "good");
    let json = String::from_utf8(good.to_json()).unwrap();
    let hex = const_hex::encode(good.id());
    let sig = const_hex::encode(good.sig());
    let far = (rig.store.engine().env().clock.unix_micros() / 1_000_000 + 1_000) - T0;
    let zeros = "0".repeat(64);
    let cases = [
        (json.replace("good", "evil"), &hex, "invalid: the id is not the hash"),
        (json.replace(&hex, &zeros), &zeros, "invalid: the id is not the hash"),
        (json.replace(&sig, &"1".repeat(128)), &hex, "invalid: bad signature"),
        (json.replace("\"kind\":1", "\"kind\":1.0"), &hex, "invalid: kind must be an integer"),
        (json.replace("\"tags\":[]", "\"tags\":[1]"), &hex, "invalid: expected a tag"),
        (json.replace("good", &"x".repeat(70_000)), &hex, "invalid: the event takes more than"),
    ];
    for (json, id, why) in cases {
        client.say(&format!("[\"EVENT\",{json}]"));
        let answer = client.hear();
        assert_eq!((&answer[0], &answer[1], &answer[2]), (&json!("OK"), &json!(id), &json!(false)));
        assert!(answer[3].as_str().unwrap().starts_with(why), "{answer}");
    }
    for (late, why) in [(note(1, far, ""), "future"), (note(1, 0, ""), "past")] {
        let late =
            if why == "past" { Event::from_parts(*late.pubkey(), 5, 1, &[[""]], "") } else { late };
        let (ok, text) = client.publish(&late);
        assert!(
            !ok && text.starts_with("invalid: created_at is too far in the") && text.ends_with(why)
        );
    }
    client.say(&format!("[\"EVENT\",{}]", json.replace(&hex, "short")));
    let notice = client.hear();
    assert_eq!(notice[0], "NOTICE");
    assert!(notice[1].as_str().unwrap().starts_with("invalid: id must be 64"), "{notice}");
    assert_eq!(rig.stored(), 0);
    assert_eq!(client.publish(&good), accepted(""));
    let stats = rig.relay.stats();
    assert_eq!((stats.events_malformed, stats.events_untimely), (4, 2));
    assert_eq!((stats.events_bad_id, stats.events_bad_signature), (2, 1));
}

#[test]
fn only_the_newest_version_stays() {
    let rig = rig();
    let mut client = rig.client();
    let version = |at, content| event(1, 30_000, at, &[["d", "x"]], content);
    assert_eq!(client.publish(&version(5, "five")), accepted(""));
    assert_eq!(client.publish(&version(4, "four")), accepted("duplicate: have a newer version"));
    assert_eq!(client.publish(&version(6, "six")), accepted(""));
    assert_eq!(client.ask("s", "{\"kinds\":[30000]}"), ["six"]);
    let stats = rig.relay.stats();
    assert_eq!((stats.events_stored, stats.events_older), (2, 1));
}

#[test]
fn ephemeral_events_reach_who_listens_and_nobody_else() {
    let rig = rig();
    // On both threads, most likely; the kernel spreads clients by their port.
    let mut listeners: Vec<Client> = (0..8).map(|_| rig.client()).collect();
    for listener in &mut listeners {
        assert!(listener.ask("s", "{\"kinds\":[20001],\"#t\":[\"x\"]}").is_empty());
    }
    let mut client = rig.client();
    assert_eq!(client.publish(&event(1, 20_001, 0, &[["t", "y"]], "unheard")), accepted(""));
    assert_eq!(client.publish(&event(1, 20_001, 0, &[["t", "x"]], "heard")), accepted(""));
    for listener in &mut listeners {
        let heard = listener.hear();
        assert_eq!((&heard[1], &heard[2]["content"]), (&json!("s"), &json!("heard")));
    }
    assert!(client.ask("s", "{\"kinds\":[20001]}").is_empty());
    assert_eq!((rig.stored(), rig.relay.stats().events_ephemeral), (0, 2));
}

#[test]
fn many_events_in_a_row_are_all_answered() {
    let rig = rig_with(|config| config.limits.writes = 8);
    let mut client = rig.client();
    let events: Vec<Event> = (0..100).map(|n| note(n as u8 % 5 + 1, n, "n")).collect();
    events.iter().for_each(|event| client.say(&event_message(event)));
    let mut answered: Vec<String> = events
        .iter()
        .map(|_| {
            let answer = client.hear();
            assert_eq!((&answer[0], &answer[2]), (&json!("OK"), &json!(true)), "{answer}");
            answer[1].as_str().unwrap().to_string()
        })
        .collect();
    answered.sort();
    let mut ids: Vec<String> = events.iter().map(|e| const_hex::encode(e.id())).collect();
    ids.sort();
    assert_eq!(answered, ids);
    assert_eq!(rig.stored(), 100);
}

#[test]
fn a_closed_store_is_an_error_and_no_lie() {
    let rig = rig();
    let mut client = rig.client();
    rig.store.close().unwrap();
    let (ok, text) = client.publish(&note(1, 0, ""));
    assert!(!ok && text.starts_with("error: the store did not take the event"), "{text}");
    assert_eq!(rig.relay.stats().events_failed, 1);
}
