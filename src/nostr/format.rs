//! The bytes of an event's body: what the engine stores beside `Key { time: created_at, id }`.
//!
//! ```text
//!   at  bytes  field
//!    0     32  pubkey
//!   32     64  sig
//!   96      2  kind, little-endian
//!   98      v  bytes of the tags, their number included
//!           v  number of tags
//!              each tag:  v  number of items
//!              each item: v  bytes << 1 | packed, then the bytes
//!              the content, to the end of the body
//! ```
//!
//! `v` is a LEB128 integer in its shortest form. An item of at least 16 characters that is lowercase
//! hex of even length (ids and keys) is stored packed, as the bytes it spells; every other item
//! verbatim.
//!
//! So the content is found without a walk over the tags: most of who reads an event asks for few of them.
//!
//! I1. Everything that is not packed is UTF-8.
//! I2. The form is canonical: equal events have equal bodies, since packing is never a choice.
//!
//! [`FormatError`] means that the bytes never came from this program, or were damaged since.

use crate::base::{get_varint, put_varint, varint_len};

/// Where the author's key starts.
pub const PUBKEY_AT: usize = 0;
/// Where the signature starts.
pub const SIG_AT: usize = 32;
/// Where the kind starts.
pub const KIND_AT: usize = 96;
/// Where the tags start, and the shortest body but two numbers ends.
pub const TAGS_AT: usize = 98;
/// Characters from which a hex item is packed. Shorter ones are mostly words and numbers.
pub const PACKED_CHARS_MIN: usize = 16;

const _: () = assert!(SIG_AT == PUBKEY_AT + 32);
const _: () = assert!(KIND_AT == SIG_AT + 64);
const _: () = assert!(TAGS_AT == KIND_AT + 2);
const _: () = assert!(PACKED_CHARS_MIN.is_multiple_of(2));

/// A body that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event's body is damaged at byte {offset}: {what}")]
pub struct FormatError {
    /// Byte offset in the body.
    pub offset: usize,
    /// What does not hold.
    pub what: &'static str,
}

/// Where the parts of a checked body lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many tags there are.
    pub(super) tag_count: u32,
    /// Where the first tag starts.
    pub(super) tags_at: u32,
    /// Where the last tag ends and the content starts; it goes to the end.
    pub(super) content_at: u32,
}

/// A tag item as it is stored.
#[derive(Clone, Copy)]
pub(super) struct RawItem<'a> {
    /// Whether `bytes` are what a hex string spells.
    pub(super) packed: bool,
    /// The stored bytes.
    pub(super) bytes: &'a [u8],
}

/// Checks a whole body, one pass over it, and says where its parts lie.
pub(super) fn check(body: &[u8]) -> Result<Layout, FormatError> {
    let layout = layout(body)?;
    let (tags, content) = body.split_at(layout.content_at as usize);
    let fail = |rest: &[u8], what| FormatError { offset: tags.len() - rest.len(), what };
    let mut rest = &tags[layout.tags_at as usize..];
    // Both loops end with the bytes: a tag takes at least one, an item too.
    for _ in 0..layout.tag_count {
        let items = get_varint(&mut rest).ok_or_else(|| fail(rest, CUT))?;
        for _ in 0..items {
            let start = rest;
            let item = take_item(&mut rest).ok_or_else(|| fail(start, "a tag item is cut off"))?;
            check_item(item).map_err(|what| fail(start, what))?;
        }
    }
    if !rest.is_empty() {
        return Err(fail(rest, "the tags take less than their bytes"));
    }
    if std::str::from_utf8(content).is_err() {
        return Err(FormatError { offset: tags.len(), what: "the content is not UTF-8" });
    }
    Ok(layout)
}

const CUT: &str = "a number is cut off or not in its shortest form";

/// Says where the parts of a body lie that was checked before it was stored, and that a page's checksum
/// has held since: two numbers are read. Still refuses parts that reach beyond the body.
#[inline]
pub(super) fn layout(body: &[u8]) -> Result<Layout, FormatError> {
    let fail = |rest: &[u8], what| FormatError { offset: body.len() - rest.len(), what };
    if u32::try_from(body.len()).is_err() {
        return Err(FormatError { offset: 0, what: "it is longer than 4 GiB" });
    }
    let Some(mut rest) = body.get(TAGS_AT..) else {
        return Err(FormatError { offset: body.len(), what: "it ends in the fixed part" });
    };
    let bytes = get_varint(&mut rest).ok_or_else(|| fail(rest, CUT))?;
    if bytes > rest.len() as u64 {
        return Err(fail(rest, "the tags are cut off"));
    }
    let content = &rest[bytes as usize..];
    let tag_count = get_varint(&mut rest).ok_or_else(|| fail(rest, CUT))?;
    // A tag takes a byte at least.
    let is_room =
        rest.len().checked_sub(content.len()).is_some_and(|room| tag_count <= room as u64);
    if !is_room {
        return Err(fail(rest, "the tags take more than their bytes"));
    }
    Ok(Layout {
        tag_count: tag_count as u32,
        tags_at: (body.len() - rest.len()) as u32,
        content_at: (body.len() - content.len()) as u32,
    })
}

fn check_item(item: RawItem<'_>) -> Result<(), &'static str> {
    if item.packed {
        return match item.bytes.len() < PACKED_CHARS_MIN / 2 {
            true => Err("a tag item is packed that is too short for it"), // I2
            false => Ok(()),
        };
    }
    if packs(item.bytes) {
        return Err("a tag item is not packed that ought to be"); // I2
    }
    match std::str::from_utf8(item.bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err("a tag item is not UTF-8"), // I1
    }
}

/// Reads an item and moves `input` behind it; `None` if it is cut off.
#[inline]
pub(super) fn take_item<'a>(input: &mut &'a [u8]) -> Option<RawItem<'a>> {
    let mut rest = *input;
    let head = get_varint(&mut rest)?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(head >> 1).ok()?)?;
    *input = rest;
    Some(RawItem { packed: head & 1 == 1, bytes })
}

/// Appends an item.
pub(super) fn put_item(out: &mut Vec<u8>, text: &[u8]) {
    if !packs(text) {
        put_varint(out, (text.len() as u64) << 1);
        out.extend_from_slice(text);
        return;
    }
    put_varint(out, text.len() as u64 | 1); // the length is even, and half of it doubled is itself
    let at = out.len();
    out.resize(at + text.len() / 2, 0);
    let decoded = const_hex::decode_to_slice(text, &mut out[at..]);
    debug_assert!(decoded.is_ok(), "packs() promised hex");
}

/// Makes an item of the text that stands from `start` to the end of `out`.
pub(super) fn close_item(out: &mut Vec<u8>, start: usize) {
    if packs(&out[start..]) {
        let text = out.split_off(start); // rare: hex written with escapes
        return put_item(out, &text);
    }
    let head = ((out.len() - start) as u64) << 1;
    put_before(out, start, head);
}

/// Makes the tags of what stands from [`TAGS_AT`] to the end of `out`: their number and each of them.
pub(super) fn close_tags(out: &mut Vec<u8>) {
    let bytes = out.len() - TAGS_AT;
    put_before(out, TAGS_AT, bytes as u64);
}

/// Puts a number in front of what stands from `start` to the end.
fn put_before(out: &mut Vec<u8>, start: usize, number: u64) {
    put_varint(out, number);
    out[start..].rotate_right(varint_len(number));
}

/// Puts `count` where one byte was kept free for it at `at`.
pub(super) fn set_count(out: &mut Vec<u8>, at: usize, count: usize) {
    match u8::try_from(count) {
        Ok(count @ 0..0x80) => out[at] = count,
        _ => {
            let mut bytes = Vec::with_capacity(10);
            put_varint(&mut bytes, count as u64);
            out.splice(at..=at, bytes);
        }
    }
}

/// Whether an item of this text is stored packed.
pub(super) fn packs(text: &[u8]) -> bool {
    text.len() >= PACKED_CHARS_MIN && text.len().is_multiple_of(2) && is_lower_hex(text)
}

/// Whether all of `text` is `0-9a-f`.
pub(super) fn is_lower_hex(text: &[u8]) -> bool {
    let hex = |b: u8| b.is_ascii_digit() | (b'a'..=b'f').contains(&b);
    // Most texts that are not hex show it at once; the fold without exits becomes vector code.
    text.first().is_none_or(|&b| hex(b)) && text.iter().fold(true, |all, &b| all & hex(b))
}

/// The `N` bytes that exactly `2 * N` lowercase hex characters spell.
pub(super) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N || !is_lower_hex(text) {
        return None;
    }
    const_hex::decode_to_array(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Key;
    use crate::nostr::EventRef;

    fn body(tags: &[&[&str]], content: &str) -> Vec<u8> {
        let mut out = vec![7; TAGS_AT];
        put_varint(&mut out, tags.len() as u64);
        for tag in tags {
            put_varint(&mut out, tag.len() as u64);
            tag.iter().for_each(|item| put_item(&mut out, item.as_bytes()));
        }
        close_tags(&mut out);
        out.extend_from_slice(content.as_bytes());
        out
    }

    #[test]
    fn hex_is_packed_from_16_lowercase_characters_of_even_length_on() {
        for (text, packed) in [
            ("", false),
            ("0123456789abcd", false),
            ("0123456789abcdef", true),
            ("0123456789abcdef0", false),
            ("0123456789ABCDEF", false),
            ("0123456789abcdeg", false),
            ("g123456789abcdef", false),
            ("0x23456789abcdef", false),
            (&"ab".repeat(32), true),
        ] {
            assert_eq!(packs(text.as_bytes()), packed, "{text}");
            let mut direct = vec![1, 2];
            put_item(&mut direct, text.as_bytes());
            let mut closed = vec![1, 2];
            closed.extend_from_slice(text.as_bytes());
            close_item(&mut closed, 2);
            assert_eq!(direct, closed, "{text}");
            let item = take_item(&mut &direct[2..]).unwrap();
            assert_eq!(item.packed, packed);
            let back =
                if packed { const_hex::encode(item.bytes).into() } else { item.bytes.to_vec() };
            assert_eq!(back, text.as_bytes());
        }
    }

    #[test]
    fn counts_take_the_place_kept_for_them() {
        for count in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut out = vec![9, 0, 8];
            set_count(&mut out, 1, count);
            let mut rest = &out[1..];
            assert_eq!(get_varint(&mut rest), Some(count as u64));
            assert_eq!((out[0], rest), (9, &[8][..]));
        }
    }

    #[test]
    fn every_cut_within_the_tags_and_every_byte_too_many_in_them_is_refused() {
        let whole = body(&[&["e", &"0a".repeat(32), ""], &[], &["t", "nostr"]], "h\u{e9}");
        let at = check(&whole).unwrap().content_at as usize;
        assert_eq!(&whole[at..], "h\u{e9}".as_bytes());
        for cut in 0..at {
            assert!(check(&whole[..cut]).is_err() && layout(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(check(&whole[..at]).is_ok()); // no content
        assert!(check(&whole[..whole.len() - 1]).unwrap_err().what.contains("UTF-8"));
        for bytes in [whole[TAGS_AT] - 1, whole[TAGS_AT] + 1] {
            let mut other = whole.clone();
            other[TAGS_AT] = bytes;
            assert!(check(&other).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_layout_reaches_nowhere_beyond_the_body() {
        let of = |rest: &[u8]| layout(&[&[0; TAGS_AT][..], rest].concat());
        let parts = |rest: &[u8]| of(rest).map(|l| (l.tag_count, l.tags_at, l.content_at)).ok();
        assert_eq!(parts(&[1, 0]), Some((0, 100, 100)));
        assert_eq!(parts(&[2, 1, 0, b'x']), Some((1, 100, 101)));
        for (rest, what) in [
            (&[][..], "cut off"),
            (&[0], "cut off"),         // no number of tags
            (&[0, 0], "more than"),    // a number behind the tags
            (&[1, 1, 0], "more than"), // a tag in no byte
            (&[2, 2, 0], "more than"), // two in one
            (&[2, 0x80, 1, b'x'], "more than"),
            (&[3, 0, 0], "cut off"),
            (&[0xff; 9], "cut off"),
        ] {
            assert!(of(rest).unwrap_err().what.contains(what), "{rest:?}: {:?}", of(rest));
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let with_item = |head: u64, bytes: &[u8]| {
            let mut out = vec![0; TAGS_AT];
            out.extend_from_slice(&[1, 1]);
            put_varint(&mut out, head);
            out.extend_from_slice(bytes);
            close_tags(&mut out);
            check(&out).map_err(|e| e.what)
        };
        assert!(with_item(8 << 1 | 1, &[0xab; 8]).is_ok());
        assert!(with_item(7 << 1 | 1, &[0xab; 7]).unwrap_err().contains("too short"));
        assert!(with_item(16 << 1, b"0123456789abcdef").unwrap_err().contains("not packed"));
        assert!(with_item(2 << 1, &[0xff, 0xfe]).unwrap_err().contains("UTF-8"));
        assert!(with_item(u64::MAX, b"x").unwrap_err().contains("cut off"));
        let mut bad_content = body(&[], "ab");
        *bad_content.last_mut().unwrap() = 0xff;
        assert!(check(&bad_content).unwrap_err().what.contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut body = vec![0; TAGS_AT];
            body.extend_from_slice(&bytes);
            for body in [&bytes, &body] {
                if let Ok(event) = EventRef::new(Key { time: 1, id: [2; 32] }, body) {
                    let items: usize = event.tags().map(|tag| tag.items().count()).sum();
                    prop_assert!(items <= body.len());
                    prop_assert!(event.content().len() <= body.len());
                }
            }
        }

        #[test]
        fn damaged_bodies_never_panic_and_stay_canonical(
            at in 0..1000usize, byte in any::<u8>(), content in any::<String>(),
        ) {
            let mut body = body(&[&["e", &"0a".repeat(32), "é"], &[], &["t", "nostr"]], &content);
            let at = at % body.len();
            body[at] = byte;
            if let Ok(event) = EventRef::new(Key { time: 1, id: [2; 32] }, &body) {
                // I2: whatever was accepted is what its own parts encode to.
                let tags: Vec<Vec<String>> =
                    event.tags().map(|t| t.items().map(|i| i.to_string()).collect()).collect();
                let again = crate::nostr::Event::from_parts(
                    *event.pubkey(), 1, event.kind(), &tags, event.content());
                prop_assert_eq!(&again.body()[TAGS_AT..], &body[TAGS_AT..]);
            }
        }
    }
}
