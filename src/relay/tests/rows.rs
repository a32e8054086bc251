//! Rows of the wire rules that no other file here has; docs/testing.md says which test holds which row.

use super::manage::{ADMIN, managed, proof_of, raw_post};
use super::web::http;
use super::*;
use crate::relay::manage::base64;
use std::collections::HashSet;
use std::path::Path;

/// A client that hears whether an event of kind 7 has come yet, and what came before it.
fn until_end(client: &mut Client) -> Vec<String> {
    let mut contents = Vec::new();
    loop {
        let heard = client.hear();
        let content = heard[2]["content"].as_str().unwrap_or_else(|| panic!("{heard}"));
        if content == "end" {
            return contents;
        }
        contents.push(content.to_string());
    }
}

/// Row 1.
#[test]
fn every_connection_has_a_challenge_of_128_bits_of_its_own() {
    let rig = rig();
    let mut challenges = HashSet::new();
    for _ in 0..100 {
        let challenge = rig.client().challenge;
        assert_eq!(const_hex::decode(&challenge).unwrap().len(), 16);
        assert!(challenges.insert(challenge));
    }
}

/// Row 6.
#[test]
fn a_subscription_from_before_auth_gets_what_comes_after_it() {
    let rig = rig();
    let mut client = rig.client();
    assert!(client.ask("s", "{}").is_empty());
    let mut writer = rig.client();
    let recipient = const_hex::encode(signer(2).pubkey());
    let dm = |at| event(1, 4, at, &[["p", &recipient]], &format!("dm {at}"));
    assert_eq!(writer.publish(&dm(1)), accepted(""));
    assert_eq!(writer.publish(&note(1, 2, "end")), accepted(""));
    assert!(until_end(&mut client).is_empty());
    assert_eq!(client.authenticate(2), accepted(""));
    assert_eq!(writer.publish(&dm(3)), accepted(""));
    assert_eq!(writer.publish(&note(1, 4, "end")), accepted(""));
    assert_eq!(until_end(&mut client), ["dm 3"]);
}

/// Every way to see an event: asked for, by id, counted, compared, searched.
fn is_seen(client: &mut Client, event: &Event) -> bool {
    let id = const_hex::encode(event.id());
    let by_id = !client.ask("i", &format!("{{\"ids\":[\"{id}\"]}}")).is_empty();
    let author = const_hex::encode(event.pubkey());
    let asked = !client
        .ask("a", &format!("{{\"authors\":[\"{author}\"],\"kinds\":[{}]}}", event.kind()))
        .is_empty();
    client.say(&format!("[\"COUNT\",\"c\",{{\"ids\":[\"{id}\"]}}]"));
    let counted = client.hear()[2]["count"] == 1;
    let [_, need] = client.compare("{}", &negentropy::twin([]));
    let compared = need.contains(event.id());
    let found = client.ask("f", "{\"search\":\"needle\"}").contains(&event.content().to_string());
    assert_eq!((by_id, counted, compared), (asked, asked, asked), "{event:?}");
    assert!(found == asked || event.kind() != 1, "{event:?}");
    for sub in ["i", "a", "f"] {
        client.say(&format!("[\"CLOSE\",\"{sub}\"]"));
    }
    asked
}

/// Row 21.
#[test]
fn what_is_deleted_stays_away_and_only_its_author_deletes() {
    let rig = rig();
    let mut client = rig.client();
    let gone = note(1, 0, "needle gone");
    let id = const_hex::encode(gone.id());
    let ask = |by, at| event(by, 5, at, &[["e", &id]], "");
    assert_eq!(client.publish(&gone), accepted(""));
    assert!(client.publish(&ask(2, 1)).1.starts_with("invalid: "));
    assert!(is_seen(&mut client, &gone));
    assert_eq!(client.publish(&ask(1, 2)), accepted(""));
    assert!(!is_seen(&mut client, &gone));
    assert!(client.publish(&gone).1.starts_with("blocked: "));
    // An address is deleted up to the time of the request.
    let author = const_hex::encode(signer(1).pubkey());
    let version = |at| event(1, 30_023, at, &[["d", "x"]], "needle");
    let delete = event(1, 5, 6, &[["a", &format!("30023:{author}:x")]], "");
    assert_eq!(client.publish(&version(5)), accepted(""));
    assert_eq!(client.publish(&delete), accepted(""));
    assert!(client.publish(&version(6)).1.starts_with("blocked: "));
    assert_eq!(client.publish(&version(7)), accepted(""));
    assert!(is_seen(&mut client, &version(7)));
}

/// Row 22, on a whole store; crashes and merges are `requests_hold_after_compaction_backup_reshard_and_repair`'s.
#[test]
fn who_vanishes_is_gone_in_every_way() {
    let rig = rig();
    let mut client = rig.known(2);
    let recipient = const_hex::encode(signer(2).pubkey());
    let own = note(2, 0, "needle own");
    let other = note(1, 0, "needle other");
    let wrap = event(3, 1059, 1, &[["p", &recipient]], "wrap");
    for event in [&own, &other, &wrap] {
        assert_eq!(client.publish(event), accepted(""));
    }
    rig.store.engine().flush().unwrap();
    assert!([&own, &other, &wrap].into_iter().all(|event| is_seen(&mut client, event)));
    let vanish = event(2, 62, 9, &[["relay", "ALL_RELAYS"]], "");
    assert_eq!(client.publish(&vanish), accepted(""));
    assert!(is_seen(&mut client, &other));
    for event in [&own, &wrap] {
        assert!(!is_seen(&mut client, event));
        assert!(client.publish(event).1.starts_with("blocked: "));
    }
}

/// Row 23.
#[test]
fn what_expires_is_refused_late_and_never_served_from_then_on() {
    let (rig, clock) = rig_at_t0(|_| {});
    let mut client = rig.client();
    let ending =
        |at: u64, content| event(1, 1, 0, &[["expiration", &(T0 + at).to_string()]], content);
    assert!(client.publish(&ending(0, "needle")).1.starts_with("invalid: "));
    let event = ending(10, "needle soon");
    assert_eq!(client.publish(&event), accepted(""));
    assert!(is_seen(&mut client, &event));
    clock.advance(Duration::from_secs(10));
    assert!(!is_seen(&mut client, &event));
    assert!(client.publish(&event).1.starts_with("invalid: "));
}

fn files_hold(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_hold(&path, bytes),
            false => std::fs::read(&path).unwrap().windows(bytes.len()).any(|found| found == bytes),
        }
    })
}

/// Row 24.
#[test]
fn ephemeral_events_are_in_no_file() {
    let rig = rig();
    let mut client = rig.client();
    let (kept, passing) = (note(1, 0, "kept"), event(1, 20_001, 0, &[], "passing"));
    for event in [&kept, &passing] {
        assert_eq!(client.publish(event), accepted(""));
    }
    rig.store.close().unwrap();
    assert!(files_hold(rig._dir.path(), kept.id()), "the search finds what is there");
    assert!(!files_hold(rig._dir.path(), passing.id()));
    assert!(!files_hold(rig._dir.path(), b"passing"));
}

/// Row 25, over the wire; `a_wrong_request_is_refused_for_its_reason` has each reason.
#[test]
fn a_call_without_proof_is_refused_whatever_its_body_is() {
    let (rig, _clock) = managed(|_| {});
    let url = "wss://relay.test";
    let post =
        |authorization: &str, body: &str| raw_post(&rig, "relay.test", authorization, body).0;
    for body in ["", "{", "[[[[[[", "\0\0", r#"{"method":"banpubkey"}"#] {
        assert_eq!(post("", body), 401, "{body}");
        assert_eq!(post("Nostr ", body), 401, "{body}");
        assert_eq!(post("Basic eDp4", body), 401, "{body}");
        assert_eq!(post(&proof_of(ADMIN, "GET", 0, body, url), body), 401, "{body}");
        assert_eq!(post(&proof_of(1, "POST", 0, body, url), body), 403, "{body}");
    }
    // Over the limit on heads, it is not looked at; within, it is taken apart within its length.
    let long = |bytes: usize| format!("Nostr {}", base64::encode(&vec![b'['; bytes]));
    assert_eq!(post(&long(6 << 10), "{}"), 431);
    assert_eq!(post(&long(5 << 10), "{}"), 401);
    assert_eq!(rig.relay.stats().management_calls, rig.relay.stats().management_refused);
}

/// Rows 25 and 30: what was signed for another relay is not taken because a request names that one as its host.
#[test]
fn a_call_that_was_made_for_another_relay_is_not_passed_on() {
    let (rig, _clock) = managed(|config| config.relay_urls = Vec::new());
    let body = r#"{"method":"supportedmethods","params":[]}"#;
    let post = |host: &str, url: &str, at| {
        raw_post(&rig, host, &proof_of(ADMIN, "POST", at, body, url), body).0
    };
    let own = rig.relay.local_addr().to_string();
    assert_eq!(post("evil.test", "https://evil.test", 0), 401);
    assert_eq!(post(&own, "https://evil.test", 1), 401);
    assert_eq!(post("evil.test", &format!("http://{own}"), 2), 200, "the host is not looked at");
    assert_eq!(post(&own, &format!("ws://{own}/"), 3), 200);
}

/// Row 28.
#[test]
fn a_subscription_id_means_nothing_to_another_connection() {
    let rig = rig();
    let (mut one, mut two) = (rig.client(), rig.client());
    assert!(one.ask("s", "{\"kinds\":[1]}").is_empty());
    assert!(two.ask("s", "{\"kinds\":[2]}").is_empty());
    two.say("[\"CLOSE\",\"s\"]");
    two.say("[\"NEG-CLOSE\",\"s\"]");
    assert_eq!(two.publish(&note(1, 0, "for one")), accepted(""));
    let heard = one.hear();
    assert_eq!((&heard[1], &heard[2]["content"]), (&json!("s"), &json!("for one")));
}

/// Row 30.
#[test]
fn tricks_with_paths_hosts_and_origins_open_nothing() {
    let rig = rig();
    let status = |lines: &str| http(&rig, lines).0[9..12].to_string();
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%00",
        "/STORE",
        "/shard-00/",
        "/metrics",
        "/relay/policy.json",
        "//etc/passwd",
    ] {
        assert_eq!(status(&format!("GET {path} HTTP/1.1")), "404", "{path}");
    }
    for headers in [
        "Origin: https://evil.test",
        "Origin: null",
        "X-Forwarded-Host: evil.test",
        "X-Original-URL: /metrics",
        "X-HTTP-Method-Override: DELETE",
    ] {
        let (head, body) = http(&rig, &format!("GET / HTTP/1.1\n{headers}"));
        assert!(head.starts_with("http/1.1 200"), "{headers}: {head}");
        assert!(!body.contains("evil.test") && !head.contains("evil.test"), "{headers}");
    }
    // Browsers may connect from any page, as Nostr wants it; nothing is remembered for them that a page could use.
    assert!(!http(&rig, "GET / HTTP/1.1").0.contains("set-cookie"));
    assert_eq!(
        status("POST / HTTP/1.1\nContent-Type: application/nostr+json+rpc"),
        "405",
        "nobody manages it"
    );
}
