//! Events in memory: [`EventRef`], a checked view over key and body, and [`Event`], which owns them.
//!
//! I1. The body of both was checked once by `format::check`; the accessors rely on it. A text that is none
//!     after all (a stored body whose page lied) reads as empty, and a tag that is cut off is the last, never undefined.

use std::fmt;

use super::format::{self, FormatError, Layout, RawItem};
use crate::base::{Key, get_varint};
use crate::model::Record;

/// A view over a stored event. Copying it is cheap; accessors cost nothing but what they say.
#[derive(Clone, Copy)]
pub struct EventRef<'a> {
    key: Key,
    body: &'a [u8],
    layout: Layout,
}

impl<'a> EventRef<'a> {
    /// Views `body` as an event, after one checking pass over it.
    ///
    /// # Errors
    /// If the body is not one that this program wrote.
    pub fn new(key: Key, body: &'a [u8]) -> Result<EventRef<'a>, FormatError> {
        Ok(EventRef { key, body, layout: format::check(body)? })
    }

    /// Views a record that a store gave back: it was checked when it was stored, and its pages' checksums have held
    /// since. Reads two numbers; the tags are walked by whoever asks for them.
    ///
    /// # Errors
    /// If the parts of the body reach beyond it.
    pub fn stored(record: Record<'a>) -> Result<EventRef<'a>, FormatError> {
        let layout = format::layout(record.body)?;
        Ok(EventRef { key: record.key, body: record.body, layout })
    }

    /// The event's place in the total order: `created_at` and id.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The stored bytes.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The event as the engine takes it.
    pub fn record(&self) -> Record<'a> {
        Record { key: self.key, body: self.body }
    }

    /// The id as it was given; `id::check` says whether it is right.
    pub fn id(&self) -> &[u8; 32] {
        &self.key.id
    }

    /// The author's key.
    pub fn pubkey(&self) -> &'a [u8; 32] {
        self.chunk(format::PUBKEY_AT)
    }

    /// The signature as it was given; `verify::signature` says whether it is right.
    pub fn sig(&self) -> &'a [u8; 64] {
        self.chunk(format::SIG_AT)
    }

    /// Seconds since the Unix epoch, as the author says.
    pub fn created_at(&self) -> u64 {
        self.key.time
    }

    /// The kind.
    pub fn kind(&self) -> u16 {
        u16::from_le_bytes(*self.chunk(format::KIND_AT))
    }

    /// The content, verbatim. Costs a UTF-8 pass over it, since there is no `unsafe` here.
    pub fn content(&self) -> &'a str {
        std::str::from_utf8(self.content_bytes()).unwrap_or_default() // I1
    }

    /// The content's UTF-8 bytes.
    pub fn content_bytes(&self) -> &'a [u8] {
        &self.body[self.layout.content_at as usize..]
    }

    /// How many tags there are.
    pub fn tag_count(&self) -> usize {
        self.layout.tag_count as usize
    }

    /// The tags in their order.
    pub fn tags(&self) -> impl Iterator<Item = TagRef<'a>> + use<'a> {
        let mut rest = &self.body[self.layout.tags_at as usize..self.layout.content_at as usize];
        (0..self.layout.tag_count).map_while(move |_| {
            let item_count = get_varint(&mut rest)? as usize;
            let items = rest;
            for _ in 0..item_count {
                format::take_item(&mut rest)?;
            }
            Some(TagRef { item_count, items: &items[..items.len() - rest.len()] })
        })
    }

    /// The `d` value of an addressable event: the first `d` tag's value, empty if there is none.
    pub fn d(&self) -> Item<'a> {
        let first = self.tags().find(|tag| tag.letter() == Some(b'd'));
        first.and_then(|tag| tag.value()).unwrap_or(Item::Text(""))
    }

    /// An owned copy; one allocation.
    pub fn to_owned(&self) -> Event {
        Event { key: self.key, body: self.body.to_vec(), layout: self.layout }
    }

    fn chunk<const N: usize>(&self, at: usize) -> &'a [u8; N] {
        self.body[at..].first_chunk().expect("I1: a checked body has its fixed part")
    }
}

impl PartialEq for EventRef<'_> {
    fn eq(&self, other: &EventRef<'_>) -> bool {
        self.key == other.key && self.body == other.body
    }
}

impl Eq for EventRef<'_> {}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {:?} of kind {}", self.key, self.kind())
    }
}

/// One tag of an event.
#[derive(Clone, Copy)]
pub struct TagRef<'a> {
    item_count: usize,
    items: &'a [u8],
}

impl<'a> TagRef<'a> {
    /// How many items there are, the name included.
    pub fn len(&self) -> usize {
        self.item_count
    }

    /// Whether it is the empty tag `[]`.
    pub fn is_empty(&self) -> bool {
        self.item_count == 0
    }

    /// All items, the name first.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        self.raw_items().map(Item::from_raw)
    }

    /// The first item.
    pub fn name(&self) -> Option<Item<'a>> {
        self.items().next()
    }

    /// Whether the first item is `name`, which has fewer characters than are ever packed.
    pub(super) fn is_named(&self, name: &str) -> bool {
        debug_assert!(name.len() < format::PACKED_CHARS_MIN);
        self.raw_items().next().is_some_and(|item| !item.packed && item.bytes == name.as_bytes())
    }

    /// The second item, the one that filters look at.
    pub fn value(&self) -> Option<Item<'a>> {
        self.items().nth(1)
    }

    /// The name, if it is a single letter `a-z` or `A-Z`: the tags that filters can ask for.
    pub fn letter(&self) -> Option<u8> {
        match self.raw_items().next()?.bytes {
            &[letter] if letter.is_ascii_alphabetic() => Some(letter),
            _ => None,
        }
    }

    pub(super) fn raw_items(&self) -> impl Iterator<Item = RawItem<'a>> + use<'a> {
        let mut rest = self.items;
        std::iter::from_fn(move || format::take_item(&mut rest))
    }
}

/// One item of a tag. Equal texts are equal items: which form an item has depends on its text only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// The bytes that a lowercase hex text of at least 16 characters spells.
    Hex(&'a [u8]),
    /// Every other text.
    Text(&'a str),
}

impl<'a> Item<'a> {
    fn from_raw(raw: RawItem<'a>) -> Item<'a> {
        match raw.packed {
            true => Item::Hex(raw.bytes),
            false => Item::Text(std::str::from_utf8(raw.bytes).unwrap_or_default()), // I1
        }
    }

    /// The id or key, if the text is 64 hex characters.
    pub fn id(self) -> Option<&'a [u8; 32]> {
        match self {
            Item::Hex(bytes) => bytes.try_into().ok(),
            Item::Text(_) => None,
        }
    }

    /// Bytes of the text.
    pub fn text_len(self) -> usize {
        match self {
            Item::Hex(bytes) => 2 * bytes.len(),
            Item::Text(text) => text.len(),
        }
    }

    /// Appends the text.
    pub fn write(self, out: &mut String) {
        match self {
            Item::Hex(bytes) => out.push_str(&const_hex::encode(bytes)),
            Item::Text(text) => out.push_str(text),
        }
    }
}

impl PartialEq<str> for Item<'_> {
    fn eq(&self, other: &str) -> bool {
        match self {
            Item::Text(text) => *text == other,
            Item::Hex(bytes) => {
                let pairs = other.as_bytes().chunks(2);
                let same = |(b, pair): (&u8, &[u8])| format::from_hex(pair) == Some([*b]);
                other.len() == 2 * bytes.len() && bytes.iter().zip(pairs).all(same)
            }
        }
    }
}

impl PartialEq<&str> for Item<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Hex(bytes) => f.write_str(&const_hex::encode(bytes)),
            Item::Text(text) => f.write_str(text),
        }
    }
}

/// An event that owns its bytes: a key and one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    key: Key,
    body: Vec<u8>,
    layout: Layout,
}

impl Event {
    /// Takes `body` as an event, after one checking pass over it.
    ///
    /// # Errors
    /// If the body is not one that this program wrote.
    pub fn new(key: Key, body: Vec<u8>) -> Result<Event, FormatError> {
        let layout = format::check(&body)?;
        Ok(Event { key, body, layout })
    }

    /// A view, for which nothing is checked again.
    pub fn as_ref(&self) -> EventRef<'_> {
        EventRef { key: self.key, body: &self.body, layout: self.layout }
    }

    /// The event's place in the total order.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The stored bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Key and body, without a copy.
    pub fn into_parts(self) -> (Key, Vec<u8>) {
        (self.key, self.body)
    }

    /// See [`EventRef::id`].
    pub fn id(&self) -> &[u8; 32] {
        &self.key.id
    }

    /// See [`EventRef::pubkey`].
    pub fn pubkey(&self) -> &[u8; 32] {
        self.as_ref().pubkey()
    }

    /// See [`EventRef::sig`].
    pub fn sig(&self) -> &[u8; 64] {
        self.as_ref().sig()
    }

    /// See [`EventRef::created_at`].
    pub fn created_at(&self) -> u64 {
        self.key.time
    }

    /// See [`EventRef::kind`].
    pub fn kind(&self) -> u16 {
        self.as_ref().kind()
    }

    /// See [`EventRef::content`].
    pub fn content(&self) -> &str {
        self.as_ref().content()
    }

    /// See [`EventRef::tags`].
    pub fn tags(&self) -> impl Iterator<Item = TagRef<'_>> {
        self.as_ref().tags()
    }

    pub(super) fn set_id(&mut self, id: [u8; 32]) {
        self.key.id = id;
    }

    pub(super) fn set_sig(&mut self, sig: &[u8; 64]) {
        self.body[format::SIG_AT..format::KIND_AT].copy_from_slice(sig);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_compare_and_print_as_the_text_they_were() {
        let hex = "0123456789abcdef".repeat(4);
        let tags = [vec!["e", &hex, ""], vec![], vec!["t"], vec!["é", "0123456789abcdef"]];
        let event = Event::from_parts([3; 32], 77, 30023, &tags, "text");
        let back: Vec<Vec<String>> =
            event.tags().map(|t| t.items().map(|i| i.to_string()).collect()).collect();
        assert_eq!(back, tags);
        let e = event.tags().next().unwrap();
        let value = e.value().unwrap();
        assert!(value == hex.as_str() && value != hex.to_uppercase().as_str() && value != "0123");
        assert_eq!(const_hex::encode(value.id().unwrap()), hex);
        assert_eq!((e.len(), e.letter(), value.text_len()), (3, Some(b'e'), 64));
        let mut out = String::from(">");
        value.write(&mut out);
        assert_eq!(out, format!(">{hex}"));
        let letters: Vec<_> = event.tags().map(|t| t.letter()).collect();
        assert_eq!(letters, [Some(b'e'), None, Some(b't'), None]);
        assert!(event.tags().nth(1).unwrap().is_empty());
        assert_eq!(event.tags().nth(3).unwrap().value().unwrap().id(), None);
        assert_eq!((event.kind(), event.created_at(), event.content()), (30023, 77, "text"));
        assert_eq!(event.as_ref().to_owned(), event);
        assert_eq!(event.as_ref().tag_count(), 4);
    }

    #[test]
    fn d_is_the_value_of_the_first_d_tag() {
        let d = |tags: &[Vec<&str>]| {
            Event::from_parts([0; 32], 0, 30000, tags, "").as_ref().d().to_string()
        };
        assert_eq!(d(&[]), "");
        assert_eq!(d(&[vec!["d"], vec!["d", "later"]]), "");
        assert_eq!(d(&[vec!["t", "x"], vec!["d", "first", "y"], vec!["d", "later"]]), "first");
    }
}
