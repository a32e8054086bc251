//! REQ, COUNT and CLOSE, and what else a client may say.

use super::*;

fn filled(rig: &Rig) -> Client {
    let mut client = rig.client();
    for n in 0..10 {
        let author = n as u8 % 2 + 1;
        let event = event(author, 1 + n as u16 % 2, n / 2, &[["t", "x"]], &n.to_string());
        assert_eq!(client.publish(&event), accepted(""));
    }
    client
}

#[test]
fn stored_events_come_newest_first_within_the_limits() {
    let rig = rig_with(|config| {
        (config.limits.limit_default, config.limits.limit_max) = (3, 5);
    });
    let mut client = filled(&rig);
    let mut expected: Vec<(u64, [u8; 32], String)> = (0..10u64)
        .map(|n| {
            let author = n as u8 % 2 + 1;
            let e = event(author, 1 + n as u16 % 2, n / 2, &[["t", "x"]], &n.to_string());
            (u64::MAX - e.created_at(), *e.id(), n.to_string())
        })
        .collect();
    expected.sort();
    let newest = |n| expected[..n].iter().map(|e| e.2.clone()).collect::<Vec<_>>();
    assert_eq!(client.ask("a", "{}"), newest(3));
    assert_eq!(client.ask("a", "{\"limit\":4}"), newest(4));
    assert_eq!(client.ask("a", "{\"limit\":100}"), newest(5));
    assert!(client.ask("a", "{\"limit\":0}").is_empty());
    assert!(client.ask("a", "{\"kinds\":[]}").is_empty());
    let odd = client.ask("b", "{\"kinds\":[2],\"limit\":2}");
    assert_eq!(odd, ["9", "7"]);
    // The newest of each filter, each event once.
    let union = client.ask("c", "{\"kinds\":[2],\"limit\":2},{\"#t\":[\"x\"],\"limit\":2}");
    assert_eq!(union.len(), 3);
    assert_eq!(union.iter().filter(|c| *c == "9").count(), 1);
}

#[test]
fn limit_zero_is_live_only() {
    let rig = rig();
    let mut client = filled(&rig);
    assert!(client.ask("live", "{\"limit\":0}").is_empty());
    let mut other = rig.client();
    assert_eq!(other.publish(&note(3, 50, "new")), accepted(""));
    let heard = client.hear();
    assert_eq!((&heard[1], &heard[2]["content"]), (&json!("live"), &json!("new")));
}

#[test]
fn events_are_counted_without_limits_as_one_union() {
    let rig = rig_with(|config| (config.limits.limit_default, config.limits.limit_max) = (2, 2));
    let mut client = filled(&rig);
    for (filters, count) in [
        ("{}", 10),
        ("{\"kinds\":[2],\"limit\":1}", 5),
        ("{\"kinds\":[2]},{\"#t\":[\"x\"]}", 10),
        ("{\"kinds\":[7]}", 0),
    ] {
        client.say(&format!("[\"COUNT\",\"c\",{filters}]"));
        assert_eq!(client.hear(), json!(["COUNT", "c", {"count": count}]), "{filters}");
    }
}

#[test]
fn close_ends_a_subscription_and_a_known_id_replaces_one() {
    let rig = rig();
    let mut client = rig.client();
    assert!(client.ask("a", "{\"kinds\":[1]}").is_empty());
    assert!(client.ask("b", "{\"kinds\":[1]}").is_empty());
    assert!(client.ask("b", "{\"kinds\":[2]}").is_empty());
    client.say("[\"CLOSE\",\"a\"]");
    client.say("[\"CLOSE\",\"never\"]");
    // Its own events come to a subscriber too; the OK may come before or behind.
    let first = event(1, 1, 0, &[], "to nobody");
    assert_eq!(client.publish(&first), accepted(""));
    client.say(&event_message(&event(1, 2, 0, &[], "to b")));
    let mut heard = [client.hear(), client.hear()];
    heard.sort_by_key(|message| message[0].to_string());
    assert_eq!((&heard[0][1], &heard[0][2]["content"]), (&json!("b"), &json!("to b")));
    assert_eq!(heard[1][0], "OK");
    let stats = rig.relay.stats();
    assert_eq!((stats.messages_close, stats.messages_req, stats.sent_live), (2, 3, 1));
}

#[test]
fn what_is_no_message_is_noticed_and_the_connection_goes_on() {
    let rig = rig();
    let mut client = rig.client();
    for (message, answer, why) in [
        ("", "NOTICE", "invalid: "),
        ("nonsense", "NOTICE", "invalid: "),
        ("{}", "NOTICE", "invalid: "),
        ("[\"EVENT\",5]", "NOTICE", "invalid: "),
        ("[\"HELLO\",{}]", "NOTICE", "unsupported: "),
        ("[\"AUTH\"]", "NOTICE", "invalid: "),
        ("[\"AUTH\",{}]", "NOTICE", "invalid: "),
        ("[\"REQ\",\"s\"]", "CLOSED", "invalid: "),
        ("[\"REQ\",\"s\",7]", "CLOSED", "invalid: "),
        ("[\"REQ\",\"s\",{\"ids\":[\"ab\"]}]", "CLOSED", "invalid: "),
        ("[\"COUNT\",\"s\",{\"search\":7}]", "CLOSED", "invalid: "),
        ("[\"REQ\",\"s\",{\"#tt\":[]}]", "CLOSED", "unsupported: "),
        ("[\"REQ\",\"s\",{\"since\":-1}]", "CLOSED", "invalid: "),
    ] {
        client.say(message);
        let heard = client.hear();
        assert_eq!(heard[0], answer, "{message}");
        let text = heard.as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(text.starts_with(why), "{message}: {text}");
    }
    let deep = format!("[\"REQ\",\"s\",{}{}]", "[".repeat(60_000), "]".repeat(60_000));
    client.say(&deep);
    assert_eq!(client.hear()[0], "CLOSED");
    assert!(client.ask("s", "{}").is_empty());
    assert_eq!(rig.relay.stats().messages_invalid, 5);
}

#[test]
fn a_refused_req_ends_the_one_that_it_would_have_replaced() {
    let rig = rig();
    let mut client = rig.client();
    client.ask("s", "{}");
    client.say("[\"REQ\",\"s\",{\"bad\":1}]");
    assert_eq!(client.hear()[0], "CLOSED");
    assert_eq!(client.publish(&note(1, 0, "")), accepted(""));
    client.ask("t", "{\"limit\":0}");
    assert_eq!(rig.relay.stats().sent_live, 0);
}

#[test]
fn subscriptions_filters_and_values_are_limited() {
    let rig = rig_with(|config| {
        let limits = &mut config.limits;
        (limits.subscriptions, limits.filters) = (3, 2);
        (limits.filter_values, limits.connection_values) = (4, 6);
    });
    let mut client = rig.client();
    let refused = |client: &mut Client, id: &str, filters: &str, why: &str| {
        client.say(&format!("[\"REQ\",\"{id}\",{filters}]"));
        let heard = client.hear();
        assert_eq!((&heard[0], &heard[1]), (&json!("CLOSED"), &json!(id)));
        assert!(heard[2].as_str().unwrap().starts_with(why), "{heard}");
    };
    refused(&mut client, "a", "{},{},{}", "invalid: a request has at most 2 filters");
    refused(&mut client, "a", "{\"kinds\":[1,2,3,4,5]}", "invalid: a filter has at most 4");
    client.ask("a", "{\"kinds\":[1,2,3,4]}");
    refused(&mut client, "b", "{\"kinds\":[1,2,3]}", "restricted: ");
    client.ask("b", "{\"kinds\":[1,2]}");
    client.ask("c", "{}");
    refused(&mut client, "d", "{}", "restricted: a connection has at most 3");
    // One more is no more if it takes another's place, or another has gone.
    client.ask("c", "{\"limit\":1}");
    client.say("[\"CLOSE\",\"a\"]");
    client.ask("d", "{\"kinds\":[1,2,3,4]}");
}
