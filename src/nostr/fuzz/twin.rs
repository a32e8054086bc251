//! The twin of the JSON parsers: serde_json, and the rules of NIP-01 by hand.
//!
//! I1. Nothing here calls the parsers under test, but to make the values that are compared.

use crate::nostr::json::UNKNOWN_KEYS_MAX;
use crate::nostr::{Event, Filter, Search, TagValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

type Result<T> = std::result::Result<T, String>;

/// The members of an object in their order, repeated ones too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Members, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Each)
    }
}

impl Members {
    /// The members of the object that `json` is; refused if one stands twice.
    fn of(json: &[u8]) -> Result<Members> {
        let members: Members = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let names: Vec<&String> = members.0.iter().map(|(name, _)| name).collect();
        let twice = |at: usize| names[..at].contains(&names[at]);
        if (0..names.len()).any(twice) { Err("a name stands twice".into()) } else { Ok(members) }
    }

    fn get(&self, name: &str) -> Result<&Value> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value).ok_or(format!("{name} is missing"))
    }
}

fn bytes<const N: usize>(value: &Value) -> Result<[u8; N]> {
    let text = value.as_str().filter(|text| text.len() == 2 * N);
    let text = text.filter(|text| text.chars().all(|c| "0123456789abcdef".contains(c)));
    text.and_then(|text| const_hex::decode_to_array(text).ok()).ok_or(format!("{value} is not hex"))
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().ok_or(format!("{value} is no number"))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or(format!("{value} is no text"))
}

fn array(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().ok_or(format!("{value} is no array"))
}

fn each<'a, T>(value: &'a Value, read: impl FnMut(&'a Value) -> Result<T>) -> Result<Vec<T>> {
    array(value)?.iter().map(read).collect()
}

fn kind(value: &Value) -> Result<u16> {
    u16::try_from(number(value)?).map_err(|error| error.to_string())
}

/// The event of a JSON text.
pub(super) fn event(json: &[u8]) -> Result<Event> {
    let members = Members::of(json)?;
    if members.0.len() > 7 + UNKNOWN_KEYS_MAX {
        return Err("too many names".into());
    }
    let tags = each(members.get("tags")?, |tag| each(tag, text))?;
    let mut event = Event::from_parts(
        bytes(members.get("pubkey")?)?,
        number(members.get("created_at")?)?,
        kind(members.get("kind")?)?,
        &tags,
        text(members.get("content")?)?,
    );
    event.set_id(bytes(members.get("id")?)?);
    event.set_sig(&bytes(members.get("sig")?)?);
    Ok(event)
}

/// The filter of a JSON text.
pub(super) fn filter(json: &[u8]) -> Result<Filter> {
    let mut filter = Filter::default();
    for (name, value) in &Members::of(json)?.0 {
        match name.as_bytes() {
            b"ids" => filter.ids = Some(each(value, bytes)?),
            b"authors" => filter.authors = Some(each(value, bytes)?),
            b"kinds" => filter.kinds = Some(each(value, kind)?),
            b"since" => filter.since = number(value)?,
            b"until" => filter.until = number(value)?,
            b"limit" => filter.limit = Some(number(value)?),
            b"search" => filter.search = Some(Search::new(text(value)?)?),
            &[b'#', letter] if letter.is_ascii_alphabetic() => {
                let of_tag = |value| match letter {
                    b'e' | b'p' => bytes(value).map(TagValue::from),
                    _ => text(value).map(TagValue::new),
                };
                filter.tags.push((letter, each(value, of_tag)?));
            }
            _ => return Err(format!("{name} is unknown")),
        }
    }
    filter.normalize();
    Ok(filter)
}
