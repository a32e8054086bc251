//! AUTH: who is believed, who is not, and what a relay asks of those it does not know.

use super::*;
use crate::relay::AUTH_KEYS_MAX;

/// What a client signs to say that it is this author.
pub(super) fn answer(author: u8, challenge: &str, now: u64) -> Event {
    signed(author, 22_242, now, &[["relay", "ws://localhost:7777/"], ["challenge", challenge]])
}

pub(super) fn message(event: &Event) -> String {
    format!("[\"AUTH\",{}]", String::from_utf8(event.to_json()).unwrap())
}

fn signed(author: u8, kind: u16, at: u64, tags: &[[&str; 2]]) -> Event {
    let signer = signer(author);
    Event::from_parts(*signer.pubkey(), at, kind, tags, "").sign(&signer)
}

/// An event that only its author may publish.
fn protected(author: u8, kind: u16, content: &str) -> Event {
    let signer = signer(author);
    Event::from_parts(*signer.pubkey(), T0, kind, &[["-"]], content).sign(&signer)
}

#[test]
fn a_right_answer_proves_its_key_and_no_wrong_one_does() {
    let rig = rig();
    let mut client = rig.client();
    let (challenge, now) = (client.challenge.clone(), rig.now());
    let other = rig.client().challenge;
    assert_ne!(challenge, other);
    let relay = ["relay", "ws://127.0.0.1/"];
    let own = ["challenge", &challenge];
    let good = answer(1, &challenge, now);
    let json = String::from_utf8(good.to_json()).unwrap();
    let sig = const_hex::encode(good.sig());
    let changed = json.replace("22242", "22243");
    let cases = [
        (signed(1, 22_241, now, &[relay, own]), "invalid: the kind"),
        (signed(1, 22_242, now - 700, &[relay, own]), "invalid: created_at"),
        (signed(1, 22_242, now + 700, &[relay, own]), "invalid: created_at"),
        (signed(1, 22_242, 0, &[relay, own]), "invalid: created_at"),
        (signed(1, 22_242, u64::MAX, &[relay, own]), "invalid: created_at"),
        (answer(1, &other, now), "invalid: the challenge"),
        (answer(1, "", now), "invalid: the challenge"),
        (answer(1, &challenge.to_uppercase(), now), "invalid: the challenge"),
        (signed(1, 22_242, now, &[relay]), "invalid: the challenge"),
        (signed(1, 22_242, now, &[own]), "invalid: the relay"),
        (signed(1, 22_242, now, &[["relay", "wss://evil.com"], own]), "invalid: the relay"),
        (signed(1, 22_242, now, &[["relay", "127.0.0.1"], own]), "invalid: the relay"),
    ];
    let wrong = cases.len() as u64;
    for (event, why) in cases {
        client.say(&message(&event));
        let (ok, text) = client.hear_ok(event.id());
        assert!(!ok && text.starts_with(why), "{text}, not {why}");
    }
    for (json, why) in [
        (json.replace(&sig, &"1".repeat(128)), "invalid: bad signature"),
        (json.replace("\"content\":\"\"", "\"content\":\"x\""), "invalid: the id is not"),
        (changed, "invalid: the kind"),
        (json.replace("22242", "1e3"), "invalid: "),
    ] {
        client.say(&format!("[\"AUTH\",{json}]"));
        let (ok, text) = client.hear_ok(good.id());
        assert!(!ok && text.starts_with(why), "{text}, not {why}");
    }
    // Nothing of that proved anything.
    assert!(client.publish(&protected(1, 1, "")).1.starts_with("auth-required: "));
    client.say(&message(&good));
    assert_eq!(client.hear_ok(good.id()), accepted(""));
    client.say(&message(&good));
    assert_eq!(client.hear_ok(good.id()), accepted(""));
    assert_eq!(client.publish(&protected(1, 1, "")), accepted(""));
    let stats = rig.relay.stats();
    assert_eq!((stats.auths_accepted, stats.auths_refused), (2, wrong + 4));
    assert_eq!(stats.messages_auth, wrong + 6);
}

/// What was signed for one connection says nothing on another, and is not passed on as an event.
#[test]
fn an_answer_is_good_for_its_connection_alone() {
    let rig = rig();
    let mut listener = rig.client();
    listener.ask("s", "{\"kinds\":[22242,20000]}");
    let mut one = rig.client();
    let event = answer(1, &one.challenge, rig.now());
    let (ok, text) = one.publish(&event);
    assert!(!ok && text.starts_with("invalid: this kind is for AUTH"), "{text}");
    one.say(&message(&event));
    assert_eq!(one.hear_ok(event.id()), accepted(""));
    let mut two = rig.client();
    two.say(&message(&event));
    assert!(two.hear_ok(event.id()).1.starts_with("invalid: the challenge"));
    assert!(two.publish(&protected(1, 1, "")).1.starts_with("auth-required: "));
    // What is heard first is what was published behind it.
    assert_eq!(two.publish(&super::event(3, 20_000, 0, &[], "")), accepted(""));
    assert_eq!(listener.hear()[2]["kind"], 20_000);
}

#[test]
fn a_configured_url_is_the_only_name() {
    let rig = rig_with(|config| config.relay_urls = vec!["wss://Relay.Example.com".into()]);
    let mut client = rig.client();
    assert!(client.authenticate(1).1.starts_with("invalid: the relay"));
    let challenge = client.challenge.clone();
    let tags = [["relay", "wss://relay.example.com:443/"], ["challenge", &challenge]];
    let right = signed(1, 22_242, rig.now(), &tags);
    client.say(&message(&right));
    assert_eq!(client.hear_ok(right.id()), accepted(""));
}

#[test]
fn several_keys_are_proved_on_one_connection_and_not_endlessly_many() {
    let rig = rig();
    let mut client = rig.client();
    let most = AUTH_KEYS_MAX as u8;
    for author in 1..=most {
        assert_eq!(client.authenticate(author), accepted(""));
    }
    let (ok, text) = client.authenticate(most + 1);
    assert!(!ok && text.starts_with("restricted: "), "{text}");
    assert_eq!(client.authenticate(1), accepted(""));
    for author in [1, most] {
        assert_eq!(client.publish(&protected(author, 1, "")), accepted(""));
    }
}

#[test]
fn protected_events_come_from_their_author_alone() {
    let rig = rig();
    let mut stranger = rig.client();
    let event = protected(1, 1, "mine");
    let (ok, text) = stranger.publish(&event);
    assert!(!ok && text.starts_with("auth-required: "), "{text}");
    let (ok, text) = rig.known(2).publish(&event);
    assert!(!ok && text.starts_with("restricted: "), "{text}");
    let (ok, text) = stranger.publish(&protected(1, 20_001, "heard by nobody"));
    assert!(!ok && text.starts_with("auth-required: "), "{text}");
    let repost = |content: &str, kind| {
        let signer = signer(2);
        Event::from_parts(*signer.pubkey(), T0, kind, &[["p", "x"]], content).sign(&signer)
    };
    let json = String::from_utf8(event.to_json()).unwrap();
    for kind in [6, 16] {
        let (ok, text) = stranger.publish(&repost(&json, kind));
        assert!(!ok && text.starts_with("blocked: "), "{text}");
    }
    assert_eq!(rig.stored(), 0);
    let open = String::from_utf8(note(1, 0, "open").to_json()).unwrap();
    assert_eq!(stranger.publish(&repost(&open, 6)), accepted(""));
    assert_eq!(stranger.publish(&repost("", 16)), accepted(""));
    assert_eq!(stranger.publish(&repost(&json, 1)), accepted(""));
    assert_eq!(rig.known(1).publish(&event), accepted(""));
    assert_eq!(stranger.ask("s", "{\"kinds\":[1],\"limit\":5}").len(), 2, "to read, it is for all");
    assert_eq!(rig.relay.stats().events_unauthenticated, 5);
}

#[test]
fn where_authentication_is_off_nobody_is_asked_and_nothing_protected_is_taken() {
    let rig = rig_with(|config| (config.auth, config.private_kinds) = (AuthMode::Off, vec![]));
    let mut client = rig.client();
    let event = answer(1, "", rig.now());
    client.say(&message(&event));
    assert!(client.hear_ok(event.id()).1.starts_with("unsupported: "));
    assert!(client.publish(&protected(1, 1, "")).1.starts_with("blocked: "));
    let dm = super::event(1, 4, 0, &[], "for all");
    assert_eq!(client.publish(&dm), accepted(""));
    assert_eq!(client.ask("s", "{\"kinds\":[4]}"), ["for all"]);
}

#[test]
fn where_authentication_is_required_nothing_goes_without() {
    let rig = rig_with(|config| config.auth = AuthMode::Required);
    let mut client = rig.client();
    let (ok, text) = client.publish(&note(1, 0, "one"));
    assert!(!ok && text.starts_with("auth-required: "), "{text}");
    for verb in ["REQ", "COUNT"] {
        client.say(&format!("[\"{verb}\",\"s\",{{}}]"));
        let heard = client.hear();
        assert_eq!((&heard[0], &heard[1]), (&json!("CLOSED"), &json!("s")));
        assert!(heard[2].as_str().unwrap().starts_with("auth-required: "), "{heard}");
    }
    assert_eq!(client.authenticate(2), accepted(""));
    assert_eq!(client.publish(&note(1, 0, "one")), accepted(""));
    assert_eq!(client.ask("s", "{}"), ["one"]);
    assert_eq!(rig.relay.stats().requests_refused, 2);
}
