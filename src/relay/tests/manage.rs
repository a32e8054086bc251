//! NIP-86 over the wire: who may, what it does, and that it lasts.

use super::web::http;
use super::*;
use crate::relay::manage::base64;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};

pub(super) const ADMIN: u8 = 200;

pub(super) fn managed(change: impl FnOnce(&mut Config)) -> (Rig, Arc<ManualClock>) {
    rig_at_t0(|config| {
        config.policy.admins = vec![*signer(ADMIN).pubkey()];
        config.relay_urls = ["wss://relay.test", "ws://relay.test"].map(String::from).to_vec();
        change(config);
    })
}

/// The Authorization of a call; `at` is seconds after [`T0`].
fn proof(signer_of: u8, at: u64, body: &str, url: &str) -> String {
    proof_of(signer_of, "POST", at, body, url)
}

/// The Authorization of a request of this method.
pub(super) fn proof_of(signer_of: u8, method: &str, at: u64, body: &str, url: &str) -> String {
    let signer = signer(signer_of);
    let payload = const_hex::encode(Sha256::digest(body));
    let tags = [["u", url], ["method", method], ["payload", &payload]];
    let event = Event::from_parts(*signer.pubkey(), T0 + at, 27_235, &tags, "").sign(&signer);
    format!("Nostr {}", base64::encode(&event.to_json()))
}

/// Status, head and body of the answer to a call.
fn post(rig: &Rig, authorization: &str, body: &str) -> (u16, String, Value) {
    raw_post(rig, "relay.test", authorization, body)
}

/// The same, to a host of any name.
pub(super) fn raw_post(
    rig: &Rig,
    host: &str,
    authorization: &str,
    body: &str,
) -> (u16, String, Value) {
    let mut stream = rig.dial();
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/nostr+json+rpc\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

/// Calls as the admin. Each call needs another second, since equal calls of one second are one.
struct Caller<'a> {
    rig: &'a Rig,
    clock: &'a ManualClock,
    at: u64,
}

impl Caller<'_> {
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.at += 1;
        self.clock.advance(Duration::from_secs(1));
        let body = json!({ "method": method, "params": params }).to_string();
        let (status, _, answer) =
            post(self.rig, &proof(ADMIN, self.at, &body, "ws://relay.test/"), &body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn done(&mut self, method: &str, params: Value) {
        assert_eq!(self.call(method, params), json!({ "result": true }), "{method}");
    }

    fn result(&mut self, method: &str) -> Value {
        self.call(method, json!([]))["result"].clone()
    }
}

#[test]
fn only_a_proven_admin_calls_and_each_proof_counts_once() {
    let (rig, clock) = managed(|_| {});
    let body = r#"{"method":"supportedmethods","params":[]}"#;
    let right = proof(ADMIN, 0, body, "https://relay.test");
    let (status, head, answer) = post(&rig, &right, body);
    assert_eq!(status, 200, "{answer}");
    assert!(head.contains("access-control-allow-origin: *") && head.contains("application/json"));
    assert!(answer["result"].as_array().unwrap().contains(&json!("banevent")), "{answer}");
    let refused = |authorization: &str, body: &str| {
        let (status, head, answer) = post(&rig, authorization, body);
        assert!(answer["error"].is_string() && answer.get("result").is_none(), "{answer}");
        assert_eq!(head.contains("www-authenticate: nostr"), status == 401);
        status
    };
    assert_eq!(refused(&right, body), 401, "used already");
    assert_eq!(refused("", body), 401);
    assert_eq!(refused("Nostr AAAA", body), 401);
    assert_eq!(refused(&proof(ADMIN, 0, "{}", "https://relay.test"), body), 401, "another body");
    assert_eq!(refused(&proof(ADMIN, 0, body, "https://other.test"), body), 401);
    assert_eq!(refused(&proof(ADMIN, 61, body, "https://relay.test"), body), 401);
    assert_eq!(refused(&proof(1, 0, body, "https://relay.test"), body), 403);
    clock.advance(Duration::from_secs(61));
    assert_eq!(refused(&proof(ADMIN, 0, body, "https://relay.test"), body), 401, "too late");
    let large = "x".repeat(100_000);
    assert_eq!(refused(&proof(ADMIN, 61, &large, "https://relay.test"), &large), 413);
    assert_eq!((rig.relay.stats().management_calls, rig.relay.stats().management_refused), (10, 9));
}

#[test]
fn a_configured_url_is_the_one_that_counts_and_without_admins_there_is_no_management() {
    let (rig, _) = managed(|config| config.relay_urls = vec!["wss://bird.example/relay".into()]);
    let body = r#"{"method":"listallowedkinds"}"#;
    assert_eq!(post(&rig, &proof(ADMIN, 0, body, "wss://relay.test/"), body).0, 401);
    let right = proof(ADMIN, 0, body, "https://bird.example/relay/");
    assert_eq!(post(&rig, &right, body).2, json!({ "result": [] }));
    let (rig, _) = rig_at_t0(|_| {});
    assert_eq!(post(&rig, &proof(ADMIN, 0, body, "wss://relay.test/"), body).0, 405);
}

#[test]
fn what_is_decided_counts_at_once() {
    let (rig, clock) = managed(|_| {});
    let mut admin = Caller { rig: &rig, clock: &clock, at: 0 };
    let mut client = rig.client();
    let author = const_hex::encode(signer(1).pubkey());
    let event = note(1, 0, "first");
    let id = const_hex::encode(event.id());
    assert!(client.publish(&event).0);

    admin.done("banevent", json!([id, "spam"]));
    assert_eq!(rig.stored(), 0, "it is removed");
    assert!(client.publish(&event).1.starts_with("blocked: "), "and stays away");
    assert_eq!(admin.result("listbannedevents"), json!([{ "id": id, "reason": "spam" }]));
    admin.done("allowevent", json!([id]));
    assert_eq!(admin.result("listbannedevents"), json!([]));
    assert!(client.publish(&event).0);

    admin.done("banpubkey", json!([author, "rude"]));
    assert!(client.publish(&note(1, 1, "")).1.starts_with("blocked: "));
    assert_eq!(admin.result("listbannedpubkeys"), json!([{ "pubkey": author, "reason": "rude" }]));
    admin.done("unbanpubkey", json!([author]));
    assert!(client.publish(&note(1, 1, "")).0);

    admin.done("allowkind", json!([7]));
    assert!(client.publish(&note(1, 2, "")).1.starts_with("restricted: "));
    admin.done("unallowkind", json!([7]));
    assert!(client.publish(&note(1, 2, "")).0);

    let error = admin.call("banpubkey", json!(["x"]));
    assert!(error["error"].as_str().unwrap().contains("64 hex"), "{error}");
    admin.done("changerelayname", json!(["<Bird>"]));
    admin.done("changerelayicon", json!(["https://bird.example/icon.png"]));
    let document: Value = serde_json::from_str(&http(&rig, "GET /nip11 HTTP/1.1").1).unwrap();
    assert_eq!(
        (&document["name"], &document["icon"]),
        (&json!("<Bird>"), &json!("https://bird.example/icon.png"))
    );
    assert!(http(&rig, "GET / HTTP/1.1").1.contains("<h1>&lt;Bird&gt;</h1>"));

    admin.done("blockip", json!(["127.0.0.1", "flood"]));
    assert!(client.publish(&note(1, 3, "")).1.starts_with("blocked: "), "who is in is kept quiet");
    client.say("[\"REQ\",\"r\",{}]");
    assert_eq!(client.hear()[0], "CLOSED");
    assert!(tungstenite::client(format!("ws://{}/", rig.relay.local_addr()), rig.dial()).is_err());
}

#[test]
fn what_is_decided_outlives_the_relay() {
    let (rig, clock) = managed(|_| {});
    let mut admin = Caller { rig: &rig, clock: &clock, at: 0 };
    admin.done("disallowkind", json!([1]));
    admin.done("changerelaydescription", json!(["told"]));
    rig.relay.stop().unwrap();
    // Also without admins: what was decided is in force until it is taken back.
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), threads: 1, ..Config::default() };
    let relay = Relay::start(rig.store.clone(), config).unwrap();
    let stream = TcpStream::connect(relay.local_addr()).unwrap();
    let url = format!("ws://{}/", relay.local_addr());
    let (socket, _) = tungstenite::client(url, stream).unwrap();
    let mut client = rig.client_on(socket);
    assert!(client.publish(&note(1, 0, "")).1.starts_with("blocked: "));
    drop(client);
    relay.stop().unwrap();
}
