//! From the JSON of an event straight to the bytes of its body.
//!
//! Fields may come in any order, the body's order is fixed: tags are encoded where they are met,
//! the content is remembered as a slice and appended last, the rest has its place in the fixed part.
//!
//! Accepted: one object with `id`, `pubkey`, `created_at`, `kind`, `tags`, `content` and `sig` once
//! each, and up to [`UNKNOWN_KEYS_MAX`] other fields of any JSON value, which are checked and
//! dropped. Names count as what they spell, escapes or not. The id is not compared with the rest.

use super::scan::{Scanner, Text};
use super::{JsonLimits, ParseError, Refused, UNKNOWN_KEYS_MAX};
use crate::base::Key;
use crate::base::limits::RECORD_BYTES_MAX;
use crate::nostr::event::Event;
use crate::nostr::format::{self, KIND_AT, PUBKEY_AT, SIG_AT, TAGS_AT};

type Result<T> = std::result::Result<T, ParseError>;

const FIELDS: [&str; 7] = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"];

/// Parses the JSON of one event. `out` is cleared and then holds the body; its memory is reused.
/// Returns `created_at` and id. Two passes over the text, no other allocation than what `out` needs.
///
/// # Errors
/// If the text is not strict JSON, not an event, or over one of `limits`; `out` is then unspecified.
pub fn parse_event(json: &[u8], limits: &JsonLimits, out: &mut Vec<u8>) -> Result<Key> {
    if json.len() > limits.json_bytes {
        let what = Refused::TooLong(limits.json_bytes);
        return Err(ParseError { what, offset: limits.json_bytes });
    }
    out.clear();
    out.resize(TAGS_AT, 0);
    let mut parser = Parser { scan: Scanner::new(json)?, limits, out, content: None };
    let key = parser.event()?;
    parser.append_content()?;
    Ok(key)
}

impl Event {
    /// Parses the JSON of one event; see [`parse_event`].
    ///
    /// # Errors
    /// If the text is not strict JSON, not an event, or over one of `limits`.
    pub fn from_json(json: &[u8], limits: &JsonLimits) -> Result<Event> {
        let mut body = Vec::with_capacity(json.len());
        let key = parse_event(json, limits, &mut body)?;
        Ok(Event::new(key, body).expect("the parser writes checked bodies"))
    }
}

struct Parser<'a, 'o> {
    scan: Scanner<'a>,
    limits: &'o JsonLimits,
    out: &'o mut Vec<u8>,
    content: Option<Text<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn event(&mut self) -> Result<Key> {
        let mut key = Key { time: 0, id: [0; 32] };
        let mut seen = 0u8;
        let mut unknown = Vec::new(); // does not allocate while it is empty
        self.scan.take(b'{', "an event, which is an object")?;
        let mut first = true;
        while let Some(name) = self.scan.member(first)? {
            first = false;
            let bytes = name.bytes();
            let Some(field) = FIELDS.iter().position(|f| f.as_bytes() == &*bytes) else {
                self.unknown(name, &mut unknown)?;
                continue;
            };
            if seen & 1 << field != 0 {
                let what = Refused::Duplicate(FIELDS[field]);
                return Err(ParseError { what, offset: name.offset });
            }
            seen |= 1 << field;
            match FIELDS[field] {
                "id" => key.id = self.hex("id")?,
                "pubkey" => {
                    let pubkey: [u8; 32] = self.hex("pubkey")?;
                    self.out[PUBKEY_AT..SIG_AT].copy_from_slice(&pubkey);
                }
                "created_at" => key.time = self.scan.integer("created_at", u64::MAX)?,
                "kind" => {
                    let kind = self.scan.integer("kind", u64::from(u16::MAX))? as u16;
                    self.out[KIND_AT..TAGS_AT].copy_from_slice(&kind.to_le_bytes());
                }
                "tags" => self.tags()?,
                "content" => self.content = Some(self.scan.string()?),
                _ => {
                    let sig: [u8; 64] = self.hex("sig")?;
                    self.out[SIG_AT..KIND_AT].copy_from_slice(&sig);
                }
            }
        }
        self.scan.end()?;
        match FIELDS.iter().enumerate().find(|(i, _)| seen & 1 << i == 0) {
            Some((_, field)) => self.scan.refuse(Refused::Missing(field)),
            None => Ok(key),
        }
    }

    fn unknown(&mut self, name: Text<'a>, names: &mut Vec<Text<'a>>) -> Result<()> {
        let refuse = |what| Err(ParseError { what, offset: name.offset });
        if names.len() == UNKNOWN_KEYS_MAX {
            return refuse(Refused::TooMany { what: "unknown fields", limit: UNKNOWN_KEYS_MAX });
        }
        if names.iter().any(|other| other.bytes() == name.bytes()) {
            return refuse(Refused::Duplicate("an unknown field"));
        }
        names.push(name);
        self.scan.skip_value(self.limits.depth.saturating_sub(1))
    }

    fn hex<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let text = self.scan.string()?;
        format::from_hex(&text.bytes())
            .ok_or(ParseError { what: Refused::Hex { field, chars: 2 * N }, offset: text.offset })
    }

    fn tags(&mut self) -> Result<()> {
        self.scan.take(b'[', "tags, an array of arrays of strings")?;
        let at = self.out.len();
        self.out.push(0);
        let mut count = 0;
        while self.scan.element(count == 0)? {
            if count == self.limits.tags {
                return self.scan.refuse(Refused::TooMany { what: "tags", limit: count });
            }
            self.tag()?;
            count += 1;
        }
        format::set_count(self.out, at, count);
        format::close_tags(self.out);
        Ok(())
    }

    fn tag(&mut self) -> Result<()> {
        self.scan.take(b'[', "a tag, an array of strings")?;
        let at = self.out.len();
        self.out.push(0);
        let mut count = 0;
        while self.scan.element(count == 0)? {
            if count == self.limits.items {
                return self.scan.refuse(Refused::TooMany { what: "items in a tag", limit: count });
            }
            self.item()?;
            count += 1;
        }
        format::set_count(self.out, at, count);
        Ok(())
    }

    fn item(&mut self) -> Result<()> {
        let text = self.scan.string()?;
        let limit = self.limits.item_bytes;
        let too_long = ParseError {
            what: Refused::TooMany { what: "bytes in a tag item", limit },
            offset: text.offset,
        };
        if let Some(plain) = text.plain() {
            if plain.len() > limit {
                return Err(too_long);
            }
            format::put_item(self.out, plain);
            return Ok(());
        }
        let start = self.out.len();
        text.unescape(self.out);
        if self.out.len() - start > limit {
            return Err(too_long);
        }
        format::close_item(self.out, start);
        Ok(())
    }

    fn append_content(&mut self) -> Result<()> {
        let Some(content) = self.content else {
            return self.scan.refuse(Refused::Missing("content"));
        };
        let start = self.out.len();
        match content.plain() {
            Some(plain) => self.out.extend_from_slice(plain),
            None => content.unescape(self.out),
        }
        let length = self.out.len() - start;
        let refuse = |what, limit| {
            Err(ParseError { what: Refused::TooMany { what, limit }, offset: content.offset })
        };
        if length > self.limits.content_bytes {
            return refuse("bytes of content", self.limits.content_bytes);
        }
        if self.out.len() > RECORD_BYTES_MAX {
            return refuse("bytes of an event as stored", RECORD_BYTES_MAX);
        }
        Ok(())
    }
}
