//! permessage-deflate over the wire, spoken by hand; `ws` of npm speaks it in `tests/clients`.

use super::*;
use crate::relay::deflate::Deflate;
use std::io::{Read, Write};

/// A client of which both sides are bytes.
struct Bare(TcpStream);

impl Bare {
    /// Connects with this offer; gives the extensions that the relay answers.
    fn open(rig: &Rig, offer: &str) -> (Bare, Option<String>) {
        let mut stream = rig.dial();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let request = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Extensions: {offer}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let mut lines = head.lines();
        let extensions = lines.find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
        let extensions = extensions.map(String::from);
        let mut bare = Bare(stream);
        assert!(bare.hear().1.starts_with(b"[\"AUTH\""));
        (bare, extensions)
    }

    fn say(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = vec![first, 0xff];
        bytes.extend((payload.len() as u64).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        self.0.write_all(&bytes).unwrap();
    }

    /// The first byte of a frame, and its payload.
    fn hear(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let extended = [0, 2, 8][usize::from(head[1] >= 126) + usize::from(head[1] == 127)];
        let mut length = [0; 8];
        self.0.read_exact(&mut length[8 - extended..]).unwrap();
        let length = if extended == 0 { u64::from(head[1]) } else { u64::from_be_bytes(length) };
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    /// The code of the close frame, whatever comes before.
    fn hear_close(&mut self) -> u16 {
        loop {
            if let (0x88, payload) = self.hear() {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

#[test]
fn large_messages_are_compressed_both_ways_and_small_ones_are_not() {
    let rig = rig();
    let (mut bare, extensions) = Bare::open(&rig, "permessage-deflate; client_max_window_bits");
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(extensions.as_deref(), Some(agreed));
    let mut deflate = Deflate::new();
    let event = note(1, 0, &"compressible ".repeat(1_000));
    let message = event_message(&event);
    bare.say(0xc1, &deflate.smaller(message.as_bytes()).unwrap());
    let (first, ok) = bare.hear();
    assert_eq!(first, 0x81);
    assert!(String::from_utf8(ok).unwrap().ends_with(",true,\"\"]"));
    bare.say(0x81, b"[\"REQ\",\"s\",{}]");
    let (first, small) = bare.hear();
    assert!(first == 0xc1 && small.len() < message.len() / 10, "{first:x} {}", small.len());
    let large = deflate.larger(small, 1 << 20).unwrap();
    let json = String::from_utf8(event.to_json()).unwrap();
    assert_eq!(String::from_utf8(large).unwrap(), format!("[\"EVENT\",\"s\",{json}]"));
    assert_eq!(bare.hear(), (0x81, b"[\"EOSE\",\"s\"]".to_vec()));
    // Two in a row: none needs another.
    for n in 1..3 {
        let live = note(1, n, &"live ".repeat(1_000));
        assert_eq!(rig.client().publish(&live), accepted(""));
        let (first, small) = bare.hear();
        assert_eq!(first, 0xc1);
        let large = deflate.larger(small, 1 << 20).unwrap();
        assert!(large.starts_with(b"[\"EVENT\",\"s\",{\"id\":\""));
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit_on_messages() {
    let rig = rig();
    let mut deflate = Deflate::new();
    for (payload, code) in [
        (deflate.smaller(&vec![b'x'; 131_073]).unwrap(), 1009),
        (deflate.smaller(&vec![b'x'; 64 << 20]).unwrap(), 1009),
        (vec![0xff; 20], 1002),
    ] {
        let (mut bare, _) = Bare::open(&rig, "permessage-deflate");
        bare.say(0xc1, &payload);
        assert_eq!(bare.hear_close(), code);
    }
    let (mut bare, _) = Bare::open(&rig, "permessage-deflate");
    bare.say(0xc1, &deflate.smaller(&vec![b'x'; 131_072]).unwrap());
    assert!(bare.hear().1.starts_with(b"[\"NOTICE\""), "the largest message is no offence");
}

#[test]
fn nothing_is_compressed_that_was_not_agreed_on() {
    let off = rig_with(|config| config.compression = false);
    let on = rig();
    for (rig, offer) in [
        (&off, "permessage-deflate"),
        (&on, "permessage-deflate; server_max_window_bits=9"),
        (&on, "x-webkit-deflate-frame"),
    ] {
        let (mut bare, extensions) = Bare::open(rig, offer);
        assert_eq!(extensions, None, "{offer}");
        let mut writer = rig.client();
        writer.publish(&note(1, 0, &"compressible ".repeat(1_000)));
        bare.say(0x81, b"[\"REQ\",\"s\",{}]");
        assert_eq!(bare.hear().0, 0x81);
        bare.say(0xc1, &[0]);
        assert_eq!(bare.hear_close(), 1002);
    }
}
