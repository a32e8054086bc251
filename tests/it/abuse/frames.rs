//! Frames: slow ones, many, empty ones, lying ones, compressed ones; and JSON that is none.

use super::*;
use flate2::{Compress, Compression, FlushCompress};

pub(super) fn all(scale: usize) {
    slow(scale);
    lying(scale);
    halves(scale.min(4));
    fragments(scale);
    controls(scale);
    bombs(scale);
    broken(scale);
}

/// A byte of a message at each tick: it is no sign of life, so the client is silent.
fn slow(scale: usize) {
    let mut siege = Siege::begin(&["--ping", "1 s", "--pong", "5 s"]);
    let count = 100 * scale;
    siege.beside("slow frames", 32 + 2 * scale as u64, |siege| {
        let mut open: Vec<TcpStream> = (0..count).map(|_| siege.wire()).collect();
        open.iter_mut().for_each(|stream| stream.write_all(&head(0x81, 100_000)).unwrap());
        let begun = Watch::begin();
        while !open.is_empty() {
            siege.tick();
            open.retain_mut(|stream| stream.write_all(b"x").is_ok() && !is_gone(stream));
            assert!(begun.elapsed() < crate::clients::DEADLINE, "{} are still in", open.len());
        }
    });
    siege.until("ratite_relay_silent_clients_total", count as u64);
    siege.said("this client does not answer a ping");
    siege.end();
}

/// What a head promises takes no memory before it comes, and too much is refused at the head.
fn lying(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let count = 600 * scale;
    // Half of what is promised, and the program.
    let most = ((count * 65_536) as u64 >> 20) + 24;
    let passes = siege.beside("promised lengths", most, |siege| {
        let mut open: Vec<TcpStream> = (0..count).map(|_| siege.wire()).collect();
        for stream in &mut open {
            stream.write_all(&[&head(0x81, 131_072)[..], b"[\"REQ\",\"x"].concat()).unwrap();
        }
        for length in [1 << 63, u64::MAX, u64::MAX >> 1, 1 << 40, 1 << 32, 131_073] {
            for first in [0x81, 0x01, 0x82] {
                let mut stream = siege.wire();
                stream.write_all(&head(first, length)).unwrap();
                assert_eq!(close_code(&rest(stream)), Some(1009), "{length} {first:#x}");
            }
        }
        assert!(open.iter_mut().all(|stream| !is_gone(stream)), "they have done nothing wrong yet");
    });
    assert_eq!(siege.metric("ratite_relay_frames_refused_total"), 18 * passes);
    siege.said("the message is too large");
    siege.end();
}

/// Messages of which all but the end comes: what all of them may take is bounded, and who sends small ones is served.
fn halves(scale: usize) {
    let mut siege = Siege::begin(&[]);
    // 64 MiB for each of two threads, what each may have beside, and buffers.
    let count = 1_500 * scale;
    let half = [&head(0x81, 131_072)[..], &[b'['; 120_000]].concat();
    siege.beside("halves of messages", 240 + (count / 16) as u64, |siege| {
        let mut open = Vec::new();
        let refused = siege.metric("ratite_relay_frames_refused_total");
        for _ in 0..count {
            let mut stream = siege.wire();
            // It may be sent away meanwhile.
            let _written = stream.write_all(&half);
            open.push(stream);
        }
        siege.until("ratite_relay_frames_refused_total", refused + 100);
    });
    siege.said("error: too much is sent here by halves");
    siege.end();
}

/// A message in as many fragments as it has bytes is one; one that never ends is too large; empty fragments are nothing.
fn fragments(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let text = format!("[\"COUNT\",\"f\",{{\"kinds\":[9]}}{}]", " ".repeat(100_000));
    let cut = |text: &[u8], first: u8| {
        let last = text.len() - 1;
        let mut bytes = Vec::with_capacity(text.len() * 7);
        for (at, byte) in text.iter().enumerate() {
            let opcode = if at == 0 { first } else { 0 };
            bytes.extend(frame(opcode | if at == last { 0x80 } else { 0 }, &[*byte]));
        }
        bytes
    };
    siege.beside("tiny fragments", 32, |siege| {
        for _ in 0..scale {
            let mut socket = siege.socket();
            let tungstenite::stream::MaybeTlsStream::Plain(stream) = socket.0.get_mut() else {
                panic!("no TLS here")
            };
            stream.write_all(&cut(text.as_bytes(), 1)).unwrap();
            assert_eq!(socket.next().unwrap()[2]["count"], 0);
        }
        // The beginning of a text, a million fragments of nothing, and its end.
        let mut stream = siege.wire();
        let empty = frame(0, b"").repeat(10_000);
        stream.write_all(&frame(1, b"[]")).unwrap();
        (0..100 * scale).for_each(|_| stream.write_all(&empty).unwrap());
        stream.write_all(&frame(0x80, b"")).unwrap();
        stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
        assert_eq!(close_code(&rest(stream)), Some(1000), "it was a message, and it is over");
        // A character cut in two is one; half of one, and another character, are none.
        for (text, code) in [
            ("\"\u{e9}\u{1f600}\"".as_bytes(), 1000),
            (b"\"\xc3\x28\"", 1007),
            (b"\"\xf0\x9f\x98\"", 1007),
        ] {
            let mut stream = siege.wire();
            stream.write_all(&cut(text, 1)).unwrap();
            stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
            assert_eq!(close_code(&rest(stream)), Some(code), "{}", text.escape_ascii());
        }
        let mut stream = siege.wire();
        // It may hang up before all is written.
        let _written = stream.write_all(&cut(&[b'['; 140_000], 1));
        assert_eq!(close_code(&rest(stream)), Some(1009));
    });
    siege.said("the message is too large");
    siege.said("invalid: a message is UTF-8");
    siege.end();
}

/// Pings whose answers nobody reads, pongs that nobody asked for.
fn controls(scale: usize) {
    let mut siege = Siege::begin(&[]);
    siege.beside("pings and pongs", 24, |siege| {
        let dropped = siege.metric("ratite_relay_slow_clients_total");
        for first in [0x89, 0x8a] {
            let mut stream = siege.wire();
            let some = frame(first, &[b'p'; 125]).repeat(1_000);
            for _ in 0..100 * scale {
                // It may have enough of them.
                if stream.write_all(&some).is_err() {
                    break;
                }
            }
            if first == 0x89 {
                siege.until("ratite_relay_slow_clients_total", dropped + 1);
            }
        }
    });
    siege.said("this client reads too slowly");
    siege.end();
}

/// Small messages that become large.
fn bombs(scale: usize) {
    let mut siege = Siege::begin(&["--compression", "on"]);
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 131_072);
    let passes = siege.beside("compression bombs", 32, |siege| {
        for _ in 0..20 * scale {
            let mut stream = connect(&siege.relay);
            let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
            let upgrade =
                crate::clients::garbage::UPGRADE.replace("\r\n\r\n", &format!("\r\n{offer}"));
            stream.write_all(upgrade.as_bytes()).unwrap();
            stream.write_all(&frame(0xc1, &bomb)).unwrap();
            let answer = rest(stream);
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            assert_eq!(close_code(&answer[end..]), Some(1009));
        }
    });
    let refused = siege.metric("ratite_relay_frames_refused_total");
    assert_eq!(refused, 20 * scale as u64 * passes);
    siege.said("the message is too large");
    siege.end();
}

/// As permessage-deflate has it: without the four bytes at the end.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate.compress_vec(bytes, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

/// JSON that goes too deep, says things twice, or stops: answered, and the client goes on.
fn broken(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let deep = |open: &str, close: &str| open.repeat(50_000) + &close.repeat(50_000);
    let event = note(3, now(), "x");
    let (id, event) = (const_hex(event.id()), crate::clients::json(&event));
    let messages = [
        deep("[", "]"),
        "{\"a\":".repeat(20_000) + &"}".repeat(20_000),
        "[".repeat(130_000),
        format!("[\"EVENT\",{}]", deep("[", "]")),
        format!("[\"EVENT\",{{\"x\":{},{}]", deep("[", "]"), &event[1..]),
        format!("[\"EVENT\",{{\"x\":{}{}]", "[".repeat(60_000), &event[1..]),
        format!("[\"REQ\",\"q\",{{\"x\":{}}}]", deep("[", "]")),
        format!("[\"REQ\",{},{{}}]", deep("[", "]")),
        format!("[\"AUTH\",{}]", deep("[", "]")),
        format!("[\"NEG-OPEN\",\"q\",{{}},{}]", deep("[", "]")),
        // The same member twice; names and values written otherwise.
        format!("[\"EVENT\",{}]", event.replacen('{', "{\"kind\":2,", 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"kind\"", "\"k\\u0069nd\":2,\"kind\"", 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"kind\":1", "\"kind\":1.0", 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"kind\":1", "\"kind\":65537", 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"created_at\":", "\"created_at\":-", 1)),
        format!(
            "[\"EVENT\",{}]",
            event.replacen("\"created_at\":", "\"created_at\":99999999999999999999", 1)
        ),
        format!("[\"EVENT\",{}]", event.replacen(&id, &id.to_uppercase(), 1)),
        format!("[\"EVENT\",{}]", event.replacen(&id, &"0".repeat(64), 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"x\"", "\"\\ud800\"", 1)),
        format!("[\"EVENT\",{}]", event.replacen("\"x\"", "\"a\nb\"", 1)),
        "[\"REQ\",\"q\",{\"kinds\":[1],\"kinds\":[2]}]".into(),
        "[\"REQ\",\"q\",{\"kinds\":[65536]}]".into(),
        "[\"REQ\",\"q\",{\"since\":-1}]".into(),
        "[\"REQ\",\"q\",{\"limit\":1e3}]".into(),
        "[\"REQ\",\"\\ud800\",{}]".into(),
        "\u{feff}[\"REQ\",\"q\",{}]".into(),
        "[\"REQ\",\"q\",{}] x".into(),
        "[\"REQ\",\"q\",{}".into(),
        "\0".into(),
    ];
    siege.beside("broken JSON", 32, |siege| {
        let mut socket = siege.socket();
        for message in messages.iter().cycle().take(messages.len() * scale) {
            socket.send(message.clone()).unwrap();
            let heard = socket.next().unwrap();
            let verb = heard[0].as_str().unwrap();
            let text = heard.as_array().unwrap().last().unwrap().as_str().unwrap_or_default();
            let refused = ["NOTICE", "CLOSED", "NEG-ERR"].contains(&verb) || heard[2] == false;
            let why = ["invalid: ", "unsupported: "].iter().any(|word| text.starts_with(word));
            let start: String = message.chars().take(60).collect();
            assert!(refused && why, "{start}: {heard}");
            assert!(text.len() < 300, "{start}: {heard}");
        }
        assert_eq!(socket.count(&json!({ "kinds": [2] })), 0);
    });
    for why in [
        "invalid: what came is no message",
        "invalid: what came is no request",
        "invalid: what is published is no event",
        "invalid: the id is not the hash of the event",
        "invalid: what is asked by is no filter",
        "invalid: what is to prove a key is no event",
        "invalid: a negentropy message is a string of hex",
    ] {
        siege.said(why);
    }
    siege.end();
}

#[test]
fn slow_frames_are_silence() {
    slow(1);
}

#[test]
fn promised_bytes_take_no_memory() {
    lying(1);
}

#[test]
fn halves_of_messages_are_bounded_together() {
    halves(1);
}

#[test]
fn fragments_are_bounded_by_what_they_carry() {
    fragments(1);
}

#[test]
fn control_frames_hold_up_nobody() {
    controls(1);
}

#[test]
fn compression_bombs_do_not_go_off() {
    bombs(1);
}

#[test]
fn broken_json_is_answered_and_forgotten() {
    broken(1);
}
