//! Bytes that are no protocol, on bare sockets: each is refused in its time, and others are served.

use super::{DEADLINE, Relay, Socket};
use ratite::io::Rng;
use ratite::nostr::generate::{Config, Generator};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Heads of requests that are refused, with the status that says so; 0 is an end without a word.
const HEADS: [(&str, u16); 12] = [
    ("hello\r\n\r\n", 400),
    ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03 a TLS hello\r\n\r\n", 400),
    ("GET\r\n\r\n", 400),
    ("GET / HTTP/9.9\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n", 405),
    ("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n", 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
];

/// What follows a right handshake and ends the connection, with the code of the close frame.
fn frames() -> Vec<(&'static str, Vec<u8>, u16)> {
    let mut endless = Vec::new();
    for i in 0..200 {
        // A text in parts of 1,000 bytes that never ends.
        endless.extend([u8::from(i == 0), 0xfe, 0x03, 0xe8, 0, 0, 0, 0]);
        endless.extend([b'x'; 1000]);
    }
    let huge =
        |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4], b"[\"REQ"].concat();
    vec![
        ("a frame of 2^64 - 1 bytes", huge(u64::MAX), 1009),
        ("a frame of 2^63 - 1 bytes", huge(u64::MAX >> 1), 1009),
        ("a frame of a gigabyte", huge(1 << 30), 1009),
        ("a frame of a byte too many", huge(131_073), 1009),
        ("a text without an end", endless, 1009),
        ("a frame without a mask", vec![0x81, 0x02, b'[', b']'], 1002),
        ("an opcode that is reserved", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("a bit that is reserved", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("the middle of nothing", vec![0x80, 0x80, 0, 0, 0, 0], 1002),
        ("a ping in parts", vec![0x09, 0x80, 0, 0, 0, 0], 1002),
        (
            "a ping that is too long",
            [&[0x89, 0xfe, 1, 0, 0, 0, 0, 0][..], &[0; 256]].concat(),
            1002,
        ),
        ("text that is not UTF-8", vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], 1007),
        ("bytes", vec![0x82, 0x82, 0, 0, 0, 0, b'[', b']'], 1003),
    ]
}

pub(crate) fn connect(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// What comes until the end, which may be a reset.
pub(crate) fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "it neither answers nor hangs up");
    }
    bytes
}

/// Reads the head of the answer to a handshake, a byte at a time to leave what follows.
pub(crate) fn switch(stream: &mut TcpStream) {
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
}

/// The code of the close frame among short frames of a server.
pub(crate) fn close_code(mut frames: &[u8]) -> Option<u16> {
    while let [head, length, rest @ ..] = frames {
        let (extended, length) = match length {
            126 => (2, usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]))),
            length => (0, usize::from(*length)),
        };
        let payload = rest.get(extended..extended + length)?;
        if head & 0x0f == 8 {
            return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
        }
        frames = &rest[extended + length..];
    }
    None
}

/// The resident memory of the relay, in KiB.
pub(crate) fn resident_kib(relay: &Relay) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn garbage_is_refused_and_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    let mut events = Generator::new(3, &Config::default()).filter(|event| event.kind() == 1);
    let mut client = Socket::connect(&relay.url);
    let mut serves = |after: &str| {
        client.publish(&events.next().unwrap()).unwrap();
        let answer = client.next().unwrap();
        assert!(answer[0] == "OK" && answer[2] == true, "after {after}: {answer}");
    };
    serves("nothing");
    let before = resident_kib(&relay);
    // Handshakes that stop half-way, and frames that stop half-way; they stay open to the end.
    let mut open = Vec::new();
    for i in 0..200 {
        let mut stream = connect(&relay);
        if i % 2 == 0 {
            stream.write_all(&UPGRADE.as_bytes()[..i % UPGRADE.len()]).unwrap();
        } else {
            switch(&mut stream);
            stream.write_all(&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff][..1 + i % 10]).unwrap();
        }
        open.push(stream);
    }
    serves("handshakes and frames without an end");
    for (head, status) in HEADS {
        let mut stream = connect(&relay);
        stream.write_all(head.as_bytes()).unwrap();
        let answer = rest(stream);
        match status {
            0 => assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii()),
            _ => {
                let line = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(line.as_bytes()), "{head:?}: {}", answer.escape_ascii());
            }
        }
        serves(head);
    }
    for (what, frames, code) in frames() {
        let mut stream = connect(&relay);
        switch(&mut stream);
        // It may hang up before it has read all of them.
        let _written = stream.write_all(&frames);
        let answer = rest(stream);
        assert_eq!(close_code(&answer), Some(code), "{what}: {}", answer.escape_ascii());
        serves(what);
    }
    let grown = resident_kib(&relay).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more than before");
    drop(open);
    relay.stop();
}

#[test]
fn random_bytes_are_survived() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &["--sync", "never"]);
    let mut rng = Rng::new(77);
    for i in 0..300 {
        let mut stream = connect(&relay);
        if i % 3 > 0 {
            switch(&mut stream);
        }
        let mut bytes: Vec<u8> = (0..rng.below(600)).map(|_| rng.next_u64() as u8).collect();
        if i % 3 == 2 {
            // A frame whose head is right, with a text that starts as a message does.
            let text = [&b"[\"REQ\",\"x\",{"[..], &bytes].concat();
            let length = (text.len() as u16).to_be_bytes();
            bytes = [&[0x81, 0xfe, length[0], length[1], 0, 0, 0, 0], &text[..]].concat();
        }
        // It may hang up while this is written.
        let _written = stream.write_all(&bytes);
        let _shut = stream.shutdown(std::net::Shutdown::Write);
        rest(stream);
    }
    let mut client = Socket::connect(&relay.url);
    assert_eq!(client.count(&json!({})), 0);
    relay.stop();
}
