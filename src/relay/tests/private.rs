//! Direct messages on every path: a stranger, the author, the recipient, and who is neither.

use super::*;
use std::collections::BTreeSet;

fn hex(author: u8) -> String {
    const_hex::encode(signer(author).pubkey())
}

/// One event of each private kind from author 1 to author 2, one from 3 to 4, and notes of 1.
fn filled(rig: &Rig) -> Vec<Event> {
    let mut client = rig.client();
    let mut events = vec![note(1, 0, "note 0"), note(1, 9, "note 9")];
    for (at, kind) in [(1, 4), (2, 13), (3, 14), (4, 1059)] {
        events.push(event(1, kind, at, &[["p", &hex(2)]], &format!("1 to 2 of {kind}")));
        events.push(event(3, kind, at, &[["p", &hex(4)]], &format!("3 to 4 of {kind}")));
    }
    events.iter().for_each(|event| assert_eq!(client.publish(event), accepted("")));
    events
}

fn count(client: &mut Client, filters: &str) -> Value {
    client.say(&format!("[\"COUNT\",\"c\",{filters}]"));
    client.hear()
}

/// Every way to ask for stored events gives each client its own, and no other.
#[test]
fn stored_messages_go_to_their_parties_only() {
    let rig = rig();
    let events = filled(&rig);
    let ids: Vec<String> = events.iter().map(|event| const_hex::encode(event.id())).collect();
    let ways = [
        "{}".to_string(),
        format!("{{\"ids\":{}}}", json!(ids)),
        format!("{{\"authors\":[\"{}\",\"{}\"]}}", hex(1), hex(3)),
        "{\"kinds\":[1,4,13,14,1059]}".into(),
        "{\"since\":5}".into(),
        format!("{{\"#p\":[\"{}\",\"{}\"]}},{{\"kinds\":[1]}}", hex(2), hex(4)),
        format!(
            "{{\"kinds\":[4,13,14,1059],\"#p\":[\"{}\"]}},{{\"kinds\":[1]}},{{\"kinds\":[4,13,14,1059]}}",
            hex(4)
        ),
    ];
    let (author, recipient, both) = ("1 to 2", "1 to 2", "");
    let who = [
        (None, "note"),
        (Some(1), author),
        (Some(2), recipient),
        (Some(4), "3 to 4"),
        (Some(5), "note"),
    ];
    for (key, own) in who {
        let mut client = key.map_or_else(|| rig.client(), |key| rig.known(key));
        for filters in &ways {
            let heard: BTreeSet<String> = client.ask("s", filters).into_iter().collect();
            let may = |event: &&Event| event.kind() == 1 || event.content().starts_with(own);
            let expected: BTreeSet<String> =
                events.iter().filter(may).map(|event| event.content().to_string()).collect();
            assert_eq!(heard, expected, "{key:?} {filters}");
            let counted = count(&mut client, filters);
            assert_eq!(counted[2]["count"], expected.len(), "{key:?} {filters}: {counted}");
        }
    }
    // One connection with two keys sees what either may.
    let mut client = rig.known(2);
    assert_eq!(client.authenticate(3), accepted(""));
    assert_eq!(client.ask("s", "{}").iter().filter(|c| c.starts_with(both)).count(), events.len());
}

#[test]
fn who_asks_for_private_kinds_alone_is_asked_back() {
    let rig = rig();
    filled(&rig);
    let mut stranger = rig.client();
    for verb in ["REQ", "COUNT"] {
        for filters in ["{\"kinds\":[4]}", "{\"kinds\":[1059,4]},{\"kinds\":[13],\"limit\":1}"] {
            stranger.say(&format!("[\"{verb}\",\"s\",{filters}]"));
            let heard = stranger.hear();
            assert_eq!((&heard[0], &heard[1]), (&json!("CLOSED"), &json!("s")), "{verb} {filters}");
            assert!(heard[2].as_str().unwrap().starts_with("auth-required: "), "{heard}");
        }
    }
    assert_eq!(stranger.authenticate(2), accepted(""));
    assert_eq!(stranger.ask("s", "{\"kinds\":[4]}"), ["1 to 2 of 4"]);
    // Another's messages are an empty answer, as if there were none.
    assert!(
        stranger.ask("s", &format!("{{\"kinds\":[4],\"authors\":[\"{}\"]}}", hex(3))).is_empty()
    );
}

/// A limit counts what is shown: hidden events between do not make a page short, nor own ones long.
#[test]
fn pages_are_full_whoever_reads_them() {
    let rig = rig();
    let mut writer = rig.client();
    for n in 0..60u64 {
        let dm = event(3, 4, 2 * n, &[["p", &hex(4)]], "hidden");
        let own = event(1, 4, 2 * n + 1, &[["p", &hex(2)]], "own");
        for event in [note(1, 2 * n, "note"), dm, own] {
            assert_eq!(writer.publish(&event), accepted(""));
        }
    }
    let mut stranger = rig.client();
    assert_eq!(stranger.ask("s", "{\"limit\":50}"), ["note"; 50]);
    assert_eq!(count(&mut stranger, "{}")[2]["count"], 60);
    let mut party = rig.known(2);
    let page = party.ask("s", "{\"limit\":50}");
    assert_eq!((page.len(), page.iter().filter(|c| *c == "own").count()), (50, 25));
    let two = party.ask("s", "{\"limit\":10},{\"kinds\":[1],\"limit\":20}");
    assert_eq!((two.len(), two.iter().filter(|c| *c == "own").count()), (25, 5));
    assert_eq!(count(&mut party, "{\"limit\":1}")[2]["count"], 120);
}

#[test]
fn live_messages_reach_their_parties_only() {
    let rig = rig();
    let mut clients: Vec<(Option<u8>, Client)> = Vec::new();
    // Several of each, so that both threads deliver.
    for key in [None, Some(1), Some(2), Some(4)].repeat(3) {
        let mut client = key.map_or_else(|| rig.client(), |key| rig.known(key));
        assert!(client.ask("all", "{\"limit\":0}").is_empty());
        clients.push((key, client));
    }
    let mut writer = rig.client();
    for (at, kind) in [(1, 4), (2, 13), (3, 14), (4, 1059)] {
        let dm = event(1, kind, at, &[["p", &hex(2)]], &kind.to_string());
        assert_eq!(writer.publish(&dm), accepted(""));
    }
    assert_eq!(writer.publish(&note(1, 9, "last")), accepted(""));
    for (key, client) in &mut clients {
        let mut heard = BTreeSet::new();
        // Events of one author come in the order in which they were stored.
        while !heard.contains("last") {
            heard.insert(client.hear()[2]["content"].as_str().unwrap().to_string());
        }
        let expected: &[&str] = match key {
            Some(1 | 2) => &["4", "13", "14", "1059", "last"],
            _ => &["last"],
        };
        assert_eq!(heard, expected.iter().map(|c| c.to_string()).collect(), "{key:?}");
    }
}

/// Ephemeral kinds may be private too; they are never stored.
#[test]
fn private_kinds_are_as_configured() {
    let rig = rig_with(|config| config.private_kinds = vec![24_133, 30_000]);
    let mut stranger = rig.client();
    assert!(stranger.ask("s", "{\"limit\":0}").is_empty());
    let mut party = rig.known(2);
    assert!(party.ask("s", "{\"kinds\":[24133]}").is_empty());
    let mut writer = rig.client();
    assert_eq!(writer.publish(&event(1, 24_133, 0, &[["p", &hex(2)]], "call")), accepted(""));
    assert_eq!(writer.publish(&event(1, 4, 0, &[["p", &hex(2)]], "open")), accepted(""));
    assert_eq!(party.hear()[2]["content"], "call");
    assert_eq!(stranger.hear()[2]["content"], "open");
    assert_eq!(stranger.ask("t", "{}"), ["open"]);
}

/// A subscription that stands when its client authenticates gets what comes from then on; the stored half of
/// a REQ under way does not change under it, and what comes twice or not at all would be seen here.
#[test]
fn authenticating_while_requests_run_shows_no_more_and_no_less() {
    let rig = rig_with(|config| config.limits.outbound_bytes = 256 << 10);
    let mut writer = rig.client();
    let long = "x".repeat(2_000);
    for n in 0..300 {
        let dm = event(1, 4, n, &[["p", &hex(2)]], &format!("dm {long}"));
        for event in [note(1, n, &format!("note {long}")), dm] {
            assert_eq!(writer.publish(&event), accepted(""));
        }
    }
    for round in 0..4 {
        let mut client = rig.client();
        let filter = "{\"limit\":1000}";
        client.say(&format!("[\"REQ\",\"before\",{filter}]"));
        if round % 2 == 1 {
            // The answer has begun.
            assert!(client.hear()[2]["content"].as_str().unwrap().starts_with("note"));
        }
        let auth = auth::answer(2, &client.challenge, rig.now());
        client.say(&auth::message(&auth));
        client.say(&format!("[\"REQ\",\"after\",{filter}]"));
        let (mut before, mut after, mut ended) = (round % 2, BTreeSet::new(), 0);
        while ended < 2 {
            let heard = client.hear();
            match (heard[0].as_str().unwrap(), heard[1].as_str().unwrap()) {
                ("EOSE", _) => ended += 1,
                ("EVENT", "before") => {
                    let kind = &heard[2]["kind"];
                    before += 1;
                    assert_eq!(*kind, 1, "what was asked for before is not for this key");
                }
                ("EVENT", _) => assert!(after.insert(heard[2]["id"].to_string()), "twice"),
                _ => assert_eq!((&heard[0], &heard[2]), (&json!("OK"), &json!(true))),
            }
        }
        assert_eq!((before, after.len()), (300, 600 + round));
        let live = event(1, 4, 1_000, &[["p", &hex(2)]], &format!("live {round}"));
        assert_eq!(writer.publish(&live), accepted(""));
        let subs = [client.hear(), client.hear()];
        assert!(subs.iter().all(|heard| heard[2]["content"] == format!("live {round}")));
        assert_ne!(subs[0][1], subs[1][1]);
    }
}
