//! Frames by hand: what tungstenite gets of what a client sent, however it was cut.

use super::*;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

const MAX: usize = 5_000;

fn frames() -> Frames {
    Frames::new(Rc::new(RefCell::new(Deflate::new())), MAX)
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        short @ ..126 => out.push(MASKED | short as u8),
        length => {
            out.push(MASKED | 126);
            out.extend((length as u16).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fn small(text: &str) -> Vec<u8> {
    Deflate::new().smaller(text.as_bytes()).unwrap()
}

/// A client that was written down: what it sends, and nothing that it hears.
struct Script(io::Cursor<Vec<u8>>);

impl io::Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl io::Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that a server gets, and how it ends, with the bytes coming `chunk` at a time.
fn heard(bytes: &[u8], chunk: usize) -> (Vec<Message>, String) {
    let mut frames = frames();
    let mut plain = Vec::new();
    for part in bytes.chunks(chunk) {
        let mut rest = part;
        while !rest.is_empty() {
            rest = &rest[frames.take(rest)..];
            plain.append(&mut frames.plain);
        }
    }
    let config = tungstenite::protocol::WebSocketConfig::default()
        .max_message_size(Some(MAX))
        .max_frame_size(Some(MAX));
    let script = Script(io::Cursor::new(plain));
    let mut server = WebSocket::from_raw_socket(script, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match server.read() {
            Ok(message) => messages.push(message),
            Err(Error::Capacity(_)) => return (messages, "too large".into()),
            Err(Error::Utf8(_)) => return (messages, "no text".into()),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => {
                return (messages, "end".into());
            }
            Err(Error::Protocol(_)) => return (messages, "refused".into()),
            Err(other) => panic!("{other}"),
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Message> {
    texts.iter().map(|text| Message::text(*text)).collect()
}

#[test]
fn compressed_messages_come_out_plain_however_they_were_cut() {
    let long = "a Nostr event, more or less; ".repeat(100);
    let packed = small(&long);
    let (head, tail) = packed.split_at(packed.len() / 2);
    let script = [
        frame(FINAL | 1, b"plain"),
        frame(FINAL | COMPRESSED | 1, &packed),
        // In three, with a ping between, the last of them empty.
        frame(COMPRESSED | 1, head),
        frame(FINAL | 9, b"ping"),
        frame(0, tail),
        frame(FINAL, b""),
        // A plain one in two.
        frame(1, b"pl"),
        frame(FINAL, b"ain"),
        frame(FINAL | COMPRESSED | 1, &[0]),
        frame(FINAL | COMPRESSED | 2, &packed),
    ]
    .concat();
    let mut expected = texts(&["plain", &long]);
    expected.push(Message::Ping(b"ping"[..].into()));
    expected.extend(texts(&[&long, "plain", ""]));
    expected.push(Message::binary(long.clone().into_bytes()));
    for chunk in [1, 2, 3, 7, 100, script.len()] {
        assert_eq!(heard(&script, chunk), (expected.clone(), "end".into()), "{chunk} at a time");
    }
}

#[test]
fn what_breaks_rules_is_refused_for_what_it_breaks() {
    let packed = small(&"x".repeat(MAX));
    let over = small(&"x".repeat(MAX + 1));
    let bomb = small(&"x".repeat(1 << 20));
    let whole = |payload: &[u8]| frame(FINAL | COMPRESSED | 1, payload);
    assert_eq!(heard(&whole(&packed), 100).1, "end");
    assert_eq!(heard(&whole(&over), 100), (vec![], "too large".into()));
    assert_eq!(heard(&whole(&bomb), 100), (vec![], "too large".into()));
    let endless: Vec<u8> =
        (0..100).flat_map(|n| frame(if n == 0 { COMPRESSED | 1 } else { 0 }, &[0; 100])).collect();
    assert_eq!(heard(&endless, 1_000), (vec![], "too large".into()));
    let huge = [&[0xc1, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(heard(&huge, 100), (vec![], "too large".into()));
    for (name, script) in [
        ("noise", whole(&[0xff; 20])),
        ("another bit", frame(FINAL | COMPRESSED | 0x20 | 1, &packed)),
        ("a compressed ping", frame(FINAL | COMPRESSED | 9, b"")),
        ("a marked continuation", [frame(COMPRESSED | 1, &packed), frame(0xc0, b"")].concat()),
        ("a message within one", [frame(COMPRESSED | 1, &packed), frame(FINAL | 1, b"x")].concat()),
        ("a compressed one within a plain one", [frame(1, b"x"), whole(&packed)].concat()),
        ("the middle of nothing", frame(FINAL, b"x")),
        ("no mask", [&[0xc1, packed.len() as u8][..], &packed].concat()),
    ] {
        assert_eq!(heard(&script, 50), (vec![], "refused".into()), "{name}");
    }
    let no_text = Deflate::new().smaller(&[0xc3; 2_000]).unwrap();
    assert_eq!(heard(&whole(&no_text), 50).1, "no text");
    // Nothing behind a refusal is looked at.
    let after = [whole(&[0xff; 20]), whole(&packed)].concat();
    assert_eq!(heard(&after, 10_000), (vec![], "refused".into()));
}

#[test]
fn random_bytes_are_no_panic_and_stay_bounded() {
    let mut rng = crate::io::Rng::new(9);
    for _ in 0..3_000 {
        let mut bytes = vec![0; rng.below(300) as usize];
        rng.fill(&mut bytes);
        if let [first, second, ..] = &mut bytes[..] {
            (*first, *second) = (COMPRESSED | 1 | *first & FINAL, *second | MASKED);
        }
        let mut frames = frames();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = &rest[frames.take(rest)..];
            assert!(frames.plain.len() <= MAX + HEAD_BYTES_MAX);
            frames.plain.clear();
        }
    }
}
