//! What the log never says, and what management keeps through a kill, copies and damage.

use super::*;
use crate::tool::run;
use ratite::nostr::Event;
use sha2::{Digest, Sha256};
use std::path::Path;

const ADMIN: u8 = 42;
const TRACE: [&str; 2] = ["--log", "trace"];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let number = three.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        let digit = |at: usize| match at <= three.len() {
            true => char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(digits).collect()
}

/// The Authorization of a call.
fn proof(by: u8, url: &str, body: &str) -> String {
    let signer = signer(by);
    let payload = const_hex(&Sha256::digest(body));
    let tags = [["u", url], ["method", "POST"], ["payload", &payload]];
    let event = Event::from_parts(*signer.pubkey(), now(), 27_235, &tags, "").sign(&signer);
    base64(&event.to_json())
}

/// A call of NIP-86; its status, and what it answers.
fn call(relay: &Relay, authorization: &str, body: &str) -> (String, String) {
    let mut stream = connect(relay);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Nostr {authorization}\r\n\
         Content-Type: application/nostr+json+rpc\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = String::from_utf8(rest(stream)).unwrap();
    (answer[9..12].into(), answer.split_once("\r\n\r\n").unwrap().1.into())
}

fn started(dir: &Path) -> Relay {
    let admin = const_hex(signer(ADMIN).pubkey());
    let given = ["--policy-admins", &admin, "--relay-url", "wss://relay.test"];
    Relay::start(dir, &[&given[..], &TRACE].concat())
}

/// Everything that only its owner or its addressee is to know: what is signed to prove a key, and what is private.
#[test]
fn no_proof_and_no_private_content_is_ever_logged() {
    let dir = tempfile::tempdir().unwrap();
    let relay = started(dir.path());
    let mut secrets: Vec<(&str, String)> = Vec::new();
    let (mut socket, _) = tungstenite::connect(&relay.url).unwrap();
    let challenge: serde_json::Value =
        serde_json::from_str(&socket.read().unwrap().into_text().unwrap()).unwrap();
    let challenge = challenge[1].as_str().unwrap().to_string();
    for (by, url, is_right) in [(1, "wss://relay.test", true), (2, "wss://evil.test", false)] {
        let key = signer(by);
        let tags = [["relay", url], ["challenge", &challenge]];
        let auth = Event::from_parts(*key.pubkey(), now(), 22_242, &tags, "").sign(&key);
        let message = format!("[\"AUTH\",{}]", crate::clients::json(&auth));
        socket.send(tungstenite::Message::text(message)).unwrap();
        let answer = socket.read().unwrap().into_text().unwrap();
        assert_eq!(answer.contains(",true,"), is_right, "{answer}");
        secrets.push(("the signature of an AUTH", const_hex(auth.sig())));
        secrets.push(("the id of an AUTH", const_hex(auth.id())));
    }
    secrets.push(("a challenge", challenge));
    let recipient = const_hex(signer(2).pubkey());
    let dm = Event::from_parts(*signer(1).pubkey(), now(), 4, &[["p", &recipient]], "tell-nobody")
        .sign(&signer(1));
    // Right, with another id, without an end.
    let json = crate::clients::json(&dm);
    for text in
        [json.clone(), json.replace("tell-nobody", "tell-nobody!"), json[..json.len() - 9].into()]
    {
        socket.send(tungstenite::Message::text(format!("[\"EVENT\",{text}]"))).unwrap();
        let _answer = socket.read().unwrap();
    }
    socket
        .send(tungstenite::Message::text("[\"REQ\",\"s\",{\"search\":\"tell-nobody\"}]"))
        .unwrap();
    let _answer = socket.read().unwrap();
    secrets.push(("what a message says", "tell-nobody".into()));
    let body = r#"{"method":"banpubkey","params":["00","a-reason-for-nobody"]}"#;
    for (by, url, said) in [
        (ADMIN, "wss://relay.test", body),
        (1, "wss://relay.test", body),
        (ADMIN, "wss://evil.test", body),
        (ADMIN, "wss://relay.test", "{}"),
    ] {
        let proof = proof(by, url, said);
        let _answer = call(&relay, &proof, body);
        secrets.push(("an Authorization", proof[..80].into()));
    }
    drop(socket);
    let log = relay.stop();
    assert!(log.contains("ratite::relay"), "there is a log: {log}");
    for (what, secret) in &secrets {
        assert!(!log.contains(secret.as_str()), "the log says {what}");
    }
}

/// Bans a key over NIP-86.
fn ban(relay: &Relay, n: u8) {
    let key = const_hex(signer(n).pubkey());
    let body = json!({ "method": "banpubkey", "params": [key, "rude"] }).to_string();
    let (status, answer) = call(relay, &proof(ADMIN, "wss://relay.test", &body), &body);
    assert_eq!((&*status, &*answer), ("200", "{\"result\":true}"));
}

/// Whether a relay on this store refuses the key, and no other.
fn keeps_out(dir: &Path, n: u8) -> bool {
    let relay = started(dir);
    let mut client = Socket::connect(&relay.url);
    let mut refuses = |n: u8| {
        client.publish(&note(n, now(), "again")).unwrap();
        client.next().unwrap()[3].as_str().unwrap().starts_with("blocked: ")
    };
    let kept_out = refuses(n) && !refuses(99);
    relay.stop();
    kept_out
}

/// What a relay says that does not start.
fn refusal(dir: &Path) -> String {
    match std::panic::catch_unwind(|| started(dir)) {
        Ok(relay) => {
            relay.stop();
            panic!("it starts");
        }
        Err(why) => *why.downcast::<String>().unwrap(),
    }
}

/// Row 27: what an administrator decides is in force at once, and after a kill right behind the answer.
#[test]
fn a_ban_outlives_a_kill_right_after_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut relay = started(dir.path());
        let mut inside = Socket::connect(&relay.url);
        let author = 100 + round;
        ban(&relay, author);
        inside.publish(&note(author, now(), "")).unwrap();
        assert!(inside.next().unwrap()[3].as_str().unwrap().starts_with("blocked: "));
        relay.kill();
        let relay = started(dir.path());
        let mut client = Socket::connect(&relay.url);
        for banned in 100..=author {
            client.publish(&note(banned, now(), "again")).unwrap();
            let heard = client.next().unwrap();
            assert!(
                heard[3].as_str().unwrap().starts_with("blocked: "),
                "{round}, {banned}: {heard}"
            );
        }
        client.publish(&note(99, now(), "")).unwrap();
        assert_eq!(client.next().unwrap()[2], true);
        relay.stop();
    }
}

/// The same of everything that is done to a store: what was decided goes where the store goes, or is said to be damaged.
#[test]
fn a_ban_is_in_copies_and_through_a_reshard_and_is_never_lost_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let [store, backup, back] = ["store", "backup", "back"].map(|name| place.path().join(name));
    let relay = started(&store);
    ban(&relay, 100);
    let text = |path: &Path| path.to_str().unwrap().to_string();
    let data = |dir: &Path| ["--data".to_string(), text(dir)];
    let on = |verb: &str, dir: &Path, more: &[&str]| {
        let data = data(dir);
        run(&[&[verb, &data[0], &data[1]], more].concat())
    };
    on("backup", &store, &[&text(&backup)]).well();
    relay.stop();
    on("restore", &back, &[&text(&backup)]).well();
    assert!(keeps_out(&back, 100));
    // The relay of these tests asks for two.
    for shards in ["4", "2"] {
        on("reshard", &back, &["--shards", shards]).well();
    }
    on("verify", &back, &[]).well();
    assert!(keeps_out(&back, 100));

    let policy = back.join("relay/policy.json");
    let whole = std::fs::read(&policy).unwrap();
    let shown = run(&["inspect", &text(&policy)]).well();
    assert!(shown.contains(&const_hex(signer(100).pubkey())), "{shown}");
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    std::fs::write(&policy, damaged).unwrap();
    let verified = on("verify", &back, &[]);
    let line = format!("problem: {} at byte 28: text: ", text(&policy));
    assert!(verified.status == Some(1) && verified.out.starts_with(&line), "{}", verified.out);
    let refused = refusal(&back);
    assert!(refused.contains(&text(&policy)) && refused.contains("byte 28"), "{refused}");
    let repaired = on("repair", &back, &[]);
    assert!(
        repaired.status == Some(1) && repaired.out.contains("left as it is"),
        "{}",
        repaired.out
    );
    assert!(refusal(&back).contains("byte 28"), "not even then");
    // That of a backup is whole by itself.
    std::fs::copy(backup.join("relay/policy.json"), &policy).unwrap();
    assert!(std::fs::read(&policy).unwrap() == whole && keeps_out(&back, 100));
}
