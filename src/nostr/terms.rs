//! The engine terms of events, and the same terms for what filters ask.
//!
//! ```text
//!   1 pubkey:32                      author
//!   2 kind:2                         kind
//!   3 pubkey:32 kind:2               author and kind
//!   4 kind:2 pubkey:32 value         address (addressable kinds; the value is that of `d`)
//!   5 letter:1 value                 first value of a tag of one letter
//!   6                                it expires at all
//!   7 at:8                           second since 1970 from which on it has expired
//!   8 pubkey:32 id:32                a request of this author to delete this id
//!   9 kind:2 pubkey:32 value         a request of this author to delete this address, `d` being the value
//!  10 pubkey:32 value                a request of this author to vanish from this relay, or from ALL_RELAYS
//!  11 text                           a word of the search index (`search::words`)
//!
//!   value:  0 id:32                  64 lowercase hex characters
//!           1 text                   another text, if the term stays within TERM_BYTES_MAX
//!           2 sha256:32              SHA-256 of a longer text
//! ```
//!
//! Kinds and seconds are big-endian, so that a range of them is a range of terms.
//!
//! I1. No two values share a term: the form depends on the text only, and each is injective (a
//!     collision of SHA-256 aside, which the residual filter would still tell apart).

use sha2::{Digest, Sha256};

use super::event::{EventRef, Item};
use super::filter::TagValue;
use super::rules::{Class, class};
use super::{expiration, requests};
use crate::base::Terms;
use crate::base::limits::TERM_BYTES_MAX;

/// First byte of author terms.
pub const AUTHOR: u8 = 1;
/// First byte of kind terms.
pub const KIND: u8 = 2;
/// First byte of author-and-kind terms.
pub const AUTHOR_KIND: u8 = 3;
/// First byte of address terms.
pub const ADDRESS: u8 = 4;
/// First byte of tag terms.
pub const TAG: u8 = 5;
/// The one byte of the term of all events that expire.
pub const EXPIRES: u8 = 6;
/// First byte of expiration terms.
pub const EXPIRATION: u8 = 7;

/// First byte of the terms of requests to delete by id.
pub const DELETED_ID: u8 = 8;
/// First byte of the terms of requests to delete by address.
pub const DELETED_ADDRESS: u8 = 9;
/// First byte of the terms of requests to vanish.
pub const VANISHED: u8 = 10;

/// First byte of terms of words.
pub const WORD: u8 = 11;

const VALUE_ID: u8 = 0;
const VALUE_TEXT: u8 = 1;
const VALUE_SHA256: u8 = 2;

/// Adds all terms of an event but those of its words: author, kind, both, its address if it has one, and its
/// tags'.
pub fn of_event(event: &EventRef<'_>, out: &mut Terms) {
    author(event.pubkey(), out);
    kind(event.kind(), out);
    author_kind(event.pubkey(), event.kind(), out);
    if class(event.kind()) == Class::Addressable {
        address(event.kind(), event.pubkey(), event.d(), out);
    }
    for t in event.tags() {
        if let (Some(letter), Some(value)) = (t.letter(), t.value()) {
            tag(letter, value, out);
        }
    }
    if let Some(at) = expiration::of(event) {
        expiration(at, out);
    }
    of_request(event, out);
}

/// Adds the terms under which a request to delete or to vanish is known.
fn of_request(event: &EventRef<'_>, out: &mut Terms) {
    let pubkey = event.pubkey();
    if event.kind() == requests::DELETION {
        requests::ids(event).for_each(|id| deleted_id(pubkey, id, out));
        let own = requests::addresses(event).filter(|address| address.pubkey == *pubkey);
        own.for_each(|address| deleted_address(address.kind, pubkey, address.d.item(), out));
    }
    if event.kind() == requests::VANISH {
        requests::relays(event).for_each(|url| vanished(pubkey, TagValue::new(&url).item(), out));
    }
}

/// Adds the term of a request of `pubkey` to delete `id`.
pub fn deleted_id(pubkey: &[u8; 32], id: &[u8; 32], out: &mut Terms) {
    out.push(&[&[DELETED_ID], pubkey, id]);
}

/// Adds the term of a request of `pubkey` to delete its address; replaceable kinds have `d` empty.
pub fn deleted_address(kind: u16, pubkey: &[u8; 32], d: Item<'_>, out: &mut Terms) {
    push_value(&[&[DELETED_ADDRESS], &kind.to_be_bytes(), pubkey], d, out);
}

/// Adds the term of a request of `pubkey` to vanish from `url`, which is one in normal form.
pub fn vanished(pubkey: &[u8; 32], url: Item<'_>, out: &mut Terms) {
    push_value(&[&[VANISHED], pubkey], url, out);
}

/// Adds the term of an author.
pub fn author(pubkey: &[u8; 32], out: &mut Terms) {
    out.push(&[&[AUTHOR], pubkey]);
}

/// Adds the term of a kind.
pub fn kind(kind: u16, out: &mut Terms) {
    out.push(&[&[KIND], &kind.to_be_bytes()]);
}

/// Adds the term of an author and a kind together.
pub fn author_kind(pubkey: &[u8; 32], kind: u16, out: &mut Terms) {
    out.push(&[&[AUTHOR_KIND], pubkey, &kind.to_be_bytes()]);
}

/// Adds the term of an address.
pub fn address(kind: u16, pubkey: &[u8; 32], d: Item<'_>, out: &mut Terms) {
    push_value(&[&[ADDRESS], &kind.to_be_bytes(), pubkey], d, out);
}

/// Adds the term of a tag of one letter and its first value.
pub fn tag(letter: u8, value: Item<'_>, out: &mut Terms) {
    push_value(&[&[TAG], &[letter]], value, out);
}

/// Adds the terms of an expiration, in seconds.
pub fn expiration(at: u64, out: &mut Terms) {
    out.push(&[&[EXPIRES]]);
    out.push(&[&[EXPIRATION], &at.to_be_bytes()]);
}

/// Adds the term of a word, or of two characters, in the one spelling of `search::words`.
pub fn word(word: &str, out: &mut Terms) {
    out.push(&[&[WORD], word.as_bytes()]);
}

/// Adds a term of up to three parts and a value.
fn push_value(head: &[&[u8]], value: Item<'_>, out: &mut Terms) {
    let head_len: usize = head.iter().map(|part| part.len()).sum();
    let mut push = |form: u8, value: &[u8]| match *head {
        [a, b] => out.push(&[a, b, &[form], value]),
        [a, b, c] => out.push(&[a, b, c, &[form], value]),
        _ => debug_assert!(false, "heads have two or three parts"),
    };
    let fits = head_len + 1 + value.text_len() <= TERM_BYTES_MAX;
    let mut chars = [0; TERM_BYTES_MAX];
    match value {
        Item::Hex(id) if id.len() == 32 => push(VALUE_ID, id),
        Item::Text(text) if fits => push(VALUE_TEXT, text.as_bytes()),
        Item::Text(text) => push(VALUE_SHA256, &Sha256::digest(text)),
        Item::Hex(bytes) if fits => {
            let chars = &mut chars[..value.text_len()];
            let encoded = const_hex::encode_to_slice(bytes, chars);
            debug_assert!(encoded.is_ok(), "two characters a byte");
            push(VALUE_TEXT, chars);
        }
        Item::Hex(_) => push(VALUE_SHA256, &Sha256::digest(value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::{Event, TagValue};

    fn term(build: impl Fn(&mut Terms)) -> Vec<u8> {
        let mut out = Terms::new();
        build(&mut out);
        assert_eq!(out.len(), 1);
        out.iter().next().unwrap().to_vec()
    }

    #[test]
    fn no_two_values_share_a_term() {
        let mut values: Vec<String> = (0..200).map(|n| "x".repeat(n)).collect();
        values.extend((0..200).map(|n| "0".repeat(n)));
        values.extend(["ab", "é", "\0", "\u{1}"].map(String::from));
        values.extend((0..64).map(|n| format!("{}A{}", "a".repeat(n), "a".repeat(63 - n))));
        // A text that spells the bytes of a hashed or packed form must not collide with it.
        values.push(const_hex::encode(Sha256::digest("x".repeat(100))));
        values.push(String::from_utf8(vec![0x30; 32]).unwrap());
        values.push("30".repeat(32));
        values.sort();
        values.dedup();
        for build in [
            |value: &str| term(|out| tag(b'd', TagValue::new(value).item(), out)),
            |value: &str| term(|out| address(30000, &[9; 32], TagValue::new(value).item(), out)),
        ] {
            let mut terms: Vec<_> = values.iter().map(|v| build(v)).collect();
            assert!(terms.iter().all(|t| t.len() <= TERM_BYTES_MAX));
            terms.sort();
            terms.dedup();
            assert_eq!(terms.len(), values.len());
        }
    }

    #[test]
    fn values_change_form_exactly_at_the_limit() {
        let form = |n| term(|out| tag(b't', Item::Text(&"x".repeat(n)), out))[2];
        assert_eq!((form(77), form(78)), (VALUE_TEXT, VALUE_SHA256));
        let d = |n| term(|out| address(30000, &[0; 32], Item::Text(&"x".repeat(n)), out))[35];
        assert_eq!((d(44), d(45)), (VALUE_TEXT, VALUE_SHA256));
        let id = term(|out| tag(b'e', Item::Hex(&[7; 32]), out));
        assert_eq!((id.len(), id[2]), (35, VALUE_ID));
    }

    #[test]
    fn an_event_has_the_terms_that_filters_ask_for() {
        let id = "ab".repeat(32);
        let tags =
            [vec!["e", &id, "relay"], vec!["t"], vec!["alt", "x"], vec![], vec!["d", "slug"]];
        for (number, addresses) in [(30023u16, 1), (1, 0)] {
            let event = Event::from_parts([5; 32], 9, number, &tags, "");
            let mut found = Terms::new();
            of_event(&event.as_ref(), &mut found);
            let mut asked = Terms::new();
            author(&[5; 32], &mut asked);
            kind(number, &mut asked);
            author_kind(&[5; 32], number, &mut asked);
            if addresses == 1 {
                address(number, &[5; 32], TagValue::new("slug").item(), &mut asked);
            }
            tag(b'e', TagValue::from([0xab; 32]).item(), &mut asked);
            tag(b'd', TagValue::new("slug").item(), &mut asked);
            found.seal();
            asked.seal();
            assert!(found.iter().eq(asked.iter()), "{number}");
        }
    }

    #[test]
    fn kinds_sort_as_numbers() {
        assert!(term(|out| kind(255, out)) < term(|out| kind(256, out)));
    }
}
