//! From an event to JSON: `id`, `pubkey`, `created_at`, `kind`, `tags`, `content`, `sig`, no white
//! space. Parsing what was written gives the same event.

use super::scan::plain_len;
use crate::nostr::event::{Event, EventRef};

/// Takes bytes; the JSON goes to a `Vec`, the canonical form of the id to a hash.
pub(crate) trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What becomes of control characters that have no short escape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controls {
    /// `\u00XX`, as JSON demands.
    Escaped,
    /// They stand as they are, as NIP-01 demands for ids.
    Verbatim,
}

/// Appends the event as JSON. One allocation at most, and only if `out` is too small.
pub fn write_event(event: &EventRef<'_>, out: &mut Vec<u8>) {
    // Packed items double; the fixed part is some 350 bytes.
    out.reserve(400 + 3 * event.body().len() / 2);
    out.put(b"{\"id\":\"");
    put_hex(out, event.id());
    out.put(b"\",\"pubkey\":\"");
    put_hex(out, event.pubkey());
    out.put(b"\",\"created_at\":");
    put_integer(out, event.created_at());
    out.put(b",\"kind\":");
    put_integer(out, u64::from(event.kind()));
    out.put(b",\"tags\":");
    put_tags(out, event, Controls::Escaped);
    out.put(b",\"content\":");
    put_string(out, event.content_bytes(), Controls::Escaped);
    out.put(b",\"sig\":\"");
    put_hex(out, event.sig());
    out.put(b"\"}");
}

impl Event {
    /// The event as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_event(&self.as_ref(), &mut out);
        out
    }
}

/// Appends the tags as an array of arrays of strings.
pub(crate) fn put_tags<S: Sink>(out: &mut S, event: &EventRef<'_>, controls: Controls) {
    out.put(b"[");
    for (i, tag) in event.tags().enumerate() {
        out.put(if i == 0 { b"[" } else { b",[" });
        for (j, item) in tag.raw_items().enumerate() {
            if j > 0 {
                out.put(b",");
            }
            if item.packed {
                out.put(b"\"");
                put_hex(out, item.bytes);
                out.put(b"\"");
            } else {
                put_string(out, item.bytes, controls);
            }
        }
        out.put(b"]");
    }
    out.put(b"]");
}

/// Appends a string in quotes.
pub(crate) fn put_string<S: Sink>(out: &mut S, text: &[u8], controls: Controls) {
    out.put(b"\"");
    let mut done = 0;
    let mut at = 0;
    loop {
        at += plain_len(&text[at..]);
        let Some(&b) = text.get(at) else { break };
        let short: &[u8] = match b {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            _ if controls == Controls::Verbatim => {
                at += 1;
                continue;
            }
            _ => b"",
        };
        out.put(&text[done..at]);
        match short {
            b"" => {
                out.put(b"\\u00");
                put_hex(out, &[b]);
            }
            _ => out.put(short),
        }
        at += 1;
        done = at;
    }
    out.put(&text[done..]);
    out.put(b"\"");
}

/// Appends lowercase hex.
pub(crate) fn put_hex<S: Sink>(out: &mut S, bytes: &[u8]) {
    let mut text = [0; 128];
    for chunk in bytes.chunks(text.len() / 2) {
        let text = &mut text[..2 * chunk.len()];
        let encoded = const_hex::encode_to_slice(chunk, text);
        debug_assert!(encoded.is_ok(), "two characters a byte");
        out.put(text);
    }
}

/// Appends a decimal integer.
pub(crate) fn put_integer<S: Sink>(out: &mut S, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put(&digits[at..]);
}
