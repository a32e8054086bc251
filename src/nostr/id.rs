//! Ids: the SHA-256 of `[0,pubkey,created_at,kind,tags,content]` in the form of NIP-01.
//!
//! No white space; in strings exactly `\n \" \\ \r \t \b \f` are escaped and every other byte stands
//! as it is, other control characters too. The form is streamed into the hash, never built.
//!
//! JSON forbids what NIP-01 says of those other control characters, and clients that hash what
//! `JSON.stringify`, serde_json or the like write have them as `\u00XX` in their ids. Both are ids of
//! the event; which of them its author signed is for [`check`] to find out.

use sha2::{Digest, Sha256};

use super::event::EventRef;
use super::format::RawItem;
use super::json::write::{Controls, Sink, put_hex, put_integer, put_string, put_tags};

/// The id that the event ought to have. Costs the hash of some 1.2 times the event's bytes.
pub fn compute(event: &EventRef<'_>) -> [u8; 32] {
    hash(event, Controls::Verbatim)
}

/// Whether the event has the id that it ought to have, in either of the two ways to write control
/// characters. The second way is tried only on events with such characters.
pub fn check(event: &EventRef<'_>) -> bool {
    compute(event) == *event.id()
        || has_rare_controls(event) && hash(event, Controls::Escaped) == *event.id()
}

/// Whether a string of the event has a control character without a short escape.
fn has_rare_controls(event: &EventRef<'_>) -> bool {
    let rare = |bytes: &[u8]| {
        let short = |b| matches!(b, b'\n' | b'\r' | b'\t' | 0x08 | 0x0c);
        bytes.iter().any(|&b| b < b' ' && !short(b))
    };
    let in_tag = |item: RawItem<'_>| !item.packed && rare(item.bytes);
    rare(event.content_bytes()) || event.tags().any(|tag| tag.raw_items().any(in_tag))
}

fn hash(event: &EventRef<'_>, controls: Controls) -> [u8; 32] {
    let mut hash = HashSink { sha: Sha256::new(), buffer: [0; 512], filled: 0 };
    hash.put(b"[0,\"");
    put_hex(&mut hash, event.pubkey());
    hash.put(b"\",");
    put_integer(&mut hash, event.created_at());
    hash.put(b",");
    put_integer(&mut hash, u64::from(event.kind()));
    hash.put(b",");
    put_tags(&mut hash, event, controls);
    hash.put(b",");
    put_string(&mut hash, event.content_bytes(), controls);
    hash.put(b"]");
    hash.finish()
}

/// Gathers the many small pieces, so that the hash takes whole blocks.
struct HashSink {
    sha: Sha256,
    buffer: [u8; 512],
    filled: usize,
}

impl HashSink {
    fn flush(&mut self) {
        self.sha.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    fn finish(mut self) -> [u8; 32] {
        self.flush();
        self.sha.finalize().into()
    }
}

impl Sink for HashSink {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.buffer.len() - self.filled {
            self.flush();
        }
        if bytes.len() > self.buffer.len() {
            return self.sha.update(bytes);
        }
        self.buffer[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;

    /// An event with this id; the hashes below were made by Python's hashlib.
    fn claims(id: &str, tags: &[[&str; 2]], content: &str) -> bool {
        let event = Event::from_parts([7; 32], 5, 1, tags, content);
        let mut key = event.key();
        key.id = const_hex::decode_to_array(id).unwrap();
        check(&Event::new(key, event.body().to_vec()).unwrap().as_ref())
    }

    #[test]
    fn control_characters_are_hashed_either_way() {
        let escaped = "53630a1d8ac092cf10f584530d7f11c1a6cdf9ca09aeff9f36f6893ea40ba07b";
        let verbatim = "592f815f8c733d481d6b1b4d148e98089314a35dd1fe056146d80888413463f6";
        let content = "nul \0, escape \u{1b}, delete \u{7f}";
        assert!(claims(verbatim, &[["t", "a\u{1}b"]], content));
        assert!(claims(escaped, &[["t", "a\u{1}b"]], content));
        assert!(!claims(escaped, &[["t", "a\u{2}b"]], content));
        assert!(!claims(verbatim, &[["t", "a\\u0001b"]], content));
    }

    #[test]
    fn they_are_looked_for_in_every_string() {
        let rare = |tags: &[[&str; 2]], content: &str| {
            has_rare_controls(&Event::from_parts([7; 32], 5, 1, tags, content).as_ref())
        };
        // What is packed has bytes of any value.
        let hex = "01".repeat(32);
        assert!(!rare(&[["e", &hex], ["\n\r\t", "\u{8}\u{c} \u{7f}"]], "\n\r\t\u{8}\u{c}"));
        assert!(rare(&[], "\0") && rare(&[], "a\u{1f}"));
        assert!(rare(&[["e", "\u{b}"]], "") && rare(&[["\u{1}", ""]], ""));
    }
}
