//! The scanner, the parser, the writer and the ids against serde_json.

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::Refused;
use super::super::scan::{Scanner, plain_len};
use super::{event_with, parse};
use crate::nostr::generate::{Config, Generator};
use crate::nostr::{Event, EventRef, id};

/// The canonical form by another path: serde_json for all but the strings with rare controls.
fn oracle_id(event: &Value) -> [u8; 32] {
    let text = |s: &Value| {
        let s = s.as_str().unwrap();
        let mut out = String::from("\"");
        for c in s.chars() {
            let quoted = serde_json::to_string(&c).unwrap();
            match quoted.starts_with("\"\\u") {
                true => out.push(c), // a control character without a short escape
                false => out.push_str(&quoted[1..quoted.len() - 1]),
            }
        }
        out + "\""
    };
    let tags: Vec<String> = event["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| {
            let items: Vec<String> = tag.as_array().unwrap().iter().map(text).collect();
            format!("[{}]", items.join(","))
        })
        .collect();
    let form = format!(
        "[0,{},{},{},[{}],{}]",
        text(&event["pubkey"]),
        event["created_at"],
        event["kind"],
        tags.join(","),
        text(&event["content"])
    );
    Sha256::digest(form).into()
}

#[test]
fn ids_are_those_of_serde_json() {
    let contents = ["", "plain", "\n\"\\\r\t\u{8}\u{c}", "/\u{7f}é\u{2028}\u{10ffff}", "日本"];
    for content in contents {
        let tags = [vec!["e", "\"", content], vec![], vec!["ab".repeat(40).leak()]];
        let event = Event::from_parts([9; 32], 5, 30023, &tags, content);
        let form = json!([0, "09".repeat(32), 5, 30023, tags, content]).to_string();
        assert_eq!(event.id(), <[u8; 32]>::from(Sha256::digest(form)).as_slice(), "{content:?}");
        assert!(id::check(&event.as_ref()));
    }
    for event in Generator::new(3, &Config::default()).take(60) {
        let value: Value = serde_json::from_slice(&event.to_json()).unwrap();
        let form = json!([
            0,
            value["pubkey"],
            value["created_at"],
            value["kind"],
            value["tags"],
            value["content"]
        ]);
        assert_eq!(event.id(), <[u8; 32]>::from(Sha256::digest(form.to_string())).as_slice());
        assert_eq!(oracle_id(&value), *event.id());
    }
}

#[test]
fn in_ids_other_control_characters_stand_as_they_are() {
    let event = Event::from_parts([9; 32], 5, 1, &[["t", "a\u{1}b"]], "\0\u{1f}\u{b}");
    let form = format!("[0,\"{}\",5,1,[[\"t\",\"a\u{1}b\"]],\"\0\u{1f}\u{b}\"]", "09".repeat(32));
    assert_eq!(event.id(), <[u8; 32]>::from(Sha256::digest(form)).as_slice());
}

/// What serde_json makes of the same bytes, held to the same rules by hand.
fn oracle(json: &[u8]) -> Result<Event, String> {
    let value: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let hex = |name: &str, bytes: usize| {
        let text = value[name].as_str().filter(|t| t.len() == 2 * bytes);
        let text = text.filter(|t| t.chars().all(|c| "0123456789abcdef".contains(c)));
        text.map(|t| const_hex::decode(t).unwrap()).ok_or(name.to_string())
    };
    if !value.is_object() {
        return Err("object".into());
    }
    let (id, pubkey, sig) = (hex("id", 32)?, hex("pubkey", 32)?, hex("sig", 64)?);
    let created_at = value["created_at"].as_u64().ok_or("created_at")?;
    let kind = value["kind"].as_u64().and_then(|k| u16::try_from(k).ok()).ok_or("kind")?;
    let content = value["content"].as_str().ok_or("content")?;
    let mut tags: Vec<Vec<&str>> = Vec::new();
    for tag in value["tags"].as_array().ok_or("tags")? {
        let items = tag.as_array().ok_or("tag")?;
        let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        tags.push(items.ok_or("item")?);
    }
    let mut event = Event::from_parts(pubkey.try_into().unwrap(), created_at, kind, &tags, content);
    event.set_id(id.try_into().unwrap());
    event.set_sig(sig.as_slice().try_into().unwrap());
    Ok(event)
}

fn agree(json: &[u8]) {
    match (parse(json), oracle(json)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(ours), Ok(_)) => {
            // Where this parser is stricter, and nowhere else. The last of two fields hides the
            // faults of the first from serde_json.
            let text = String::from_utf8_lossy(json);
            let twice = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"]
                .iter()
                .any(|name| text.matches(&format!("\"{name}\"")).count() > 1);
            let stricter = matches!(
                ours.what,
                Refused::Duplicate("an unknown field") | Refused::TooDeep | Refused::TooMany { .. }
            );
            assert!(twice || stricter, "{ours}: {text}");
        }
        (Ok(_), Err(theirs)) => assert!(
            // serde_json wants a value for each number, this parser none where nobody asks.
            theirs.contains("number out of range"),
            "{theirs}: {}",
            String::from_utf8_lossy(json)
        ),
        (Err(_), Err(_)) => {}
    }
}

#[test]
fn mutated_events_are_accepted_and_refused_as_by_serde_json() {
    let config = Config { events: 2_000, start: 1_700_000_000 };
    let mut generator = Generator::new(11, &config);
    let mut seed = 1u64;
    let mut chance = |end: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % end
    };
    let pieces: [&[u8]; 40] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"\0",
        b"0",
        b"1",
        b"9",
        b"-",
        b".",
        b"e",
        b"E",
        b"+",
        b"\\u",
        b"\\u0000",
        b"\\ud83d",
        b"\\ude00",
        b"\\n",
        b"\\/",
        b"\xff",
        b"\xc3",
        b"\xa9",
        b"null",
        b"true",
        b"\"x\":1,",
        b"\"kind\":1,",
        b"{\"a\":[]}",
        b"A",
        b"f",
        b"\"x\":{\"y\":1e5},",
        b"[[]]",
        b"\x7f",
        b"\xed\xa0\x80",
        b"18446744073709551616",
    ];
    let mut accepted = 0;
    for _ in 0..150 {
        let json = loop {
            let json = generator.next_unsigned().into_event().to_json();
            if json.len() < 3_000 {
                break json;
            }
        };
        agree(&json);
        for _ in 0..80 {
            let mut bytes = json.clone();
            for _ in 0..=chance(2) {
                let at = chance(bytes.len());
                match chance(4) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes[at] = pieces[chance(pieces.len())][0],
                    2 => drop(bytes.splice(at..at, pieces[chance(pieces.len())].iter().copied())),
                    _ => {
                        let end = (at + chance(40)).min(bytes.len());
                        let part = bytes[at..end].to_vec();
                        let to = chance(bytes.len());
                        drop(bytes.splice(to..to, part));
                    }
                }
            }
            accepted += usize::from(parse(&bytes).is_ok());
            agree(&bytes);
        }
    }
    assert!((1_000..11_000).contains(&accepted), "{accepted} of 12,000 mutants were events");
}

/// Any text, control characters and all planes as likely as letters.
fn text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        any::<char>(),
        proptest::char::range('\0', '\u{7f}'),
        Just('"'),
        Just('\\'),
        Just('a'),
        proptest::char::range('0', 'f'),
    ];
    prop_oneof![
        4 => prop::collection::vec(char, 0..40).prop_map(String::from_iter),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(const_hex::encode),
    ]
}

/// Arrays and objects in one another, in every order.
fn nested() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!(-0.5)), Just(json!(null)), Just(json!("a"))];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let members = prop::collection::btree_map("[a-c]", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn agree_on_value(text: &str) {
    let mut scan = Scanner::new(text.as_bytes()).unwrap();
    let ours = scan.skip_value(64).and_then(|()| scan.end());
    let theirs = serde_json::from_str::<Value>(text);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_reads_back(
        pubkey: [u8; 32], created_at: u64, kind: u16, sig: [u8; 32], content in text(),
        tags in prop::collection::vec(prop::collection::vec(text(), 0..5), 0..6),
    ) {
        let mut event = Event::from_parts(pubkey, created_at, kind, &tags, &content);
        event.set_sig(&[sig, pubkey].concat().try_into().unwrap());
        let json = event.to_json();
        prop_assert_eq!(&parse(&json).unwrap(), &event);
        // The writer's JSON is JSON, with the same values, in NIP-01's order of keys.
        let value: Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&value["content"], &json!(content));
        prop_assert_eq!(&value["tags"], &json!(tags));
        prop_assert_eq!(oracle_id(&value), *event.id());
        // So is serde_json's, whose escapes and order of keys differ.
        prop_assert_eq!(&parse(value.to_string().as_bytes()).unwrap(), &event);
        prop_assert_eq!(EventRef::new(event.key(), event.body()).unwrap(), event.as_ref());
    }

    #[test]
    fn any_escape_spells_what_serde_json_says(text in text()) {
        let mut spelled = String::new();
        for unit in text.encode_utf16() {
            spelled.push_str(&format!("\\u{unit:04x}"));
        }
        let event = parse(event_with("content", &format!("\"{spelled}\"")).as_bytes()).unwrap();
        prop_assert_eq!(event.content(), text);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes);
    }

    #[test]
    fn plain_runs_end_where_a_byte_walk_ends_them(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120), quiet in 0..120usize,
    ) {
        bytes.iter_mut().take(quiet).for_each(|b| *b |= 0x80);
        let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
        prop_assert_eq!(plain_len(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
    }

    #[test]
    fn nested_values_are_skipped_whole_and_their_damage_is_seen(
        value in nested(), at in 0..1_000usize, byte in "[\\[\\]{}:,\"1 ]",
    ) {
        let mut text = value.to_string();
        agree_on_value(&text);
        let at = at % text.len();
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &byte);
            agree_on_value(&text);
        }
    }

    #[test]
    fn skipping_a_value_is_what_serde_json_accepts(text in "[\\[\\]{}:,\"a1 .e-]{0,12}") {
        agree_on_value(&text);
    }
}

#[test]
fn plain_runs_stop_at_every_special_byte_at_every_place() {
    for length in 0..80 {
        for at in 0..length {
            for byte in (0..0x20).chain([b'"', b'\\']) {
                let mut bytes = vec![b'!'; length];
                bytes[at] = byte;
                assert_eq!(plain_len(&bytes), at);
            }
        }
        for byte in [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
            assert_eq!(plain_len(&vec![byte; length]), length);
        }
    }
}
