//! Filters from JSON, strictly, and back.
//!
//! [`FilterError::Invalid`] is for what no relay may accept, [`FilterError::Unsupported`] for what
//! this one does not know; their texts can stand behind `invalid: ` and `unsupported: `. A filter
//! that is both is invalid.

use super::filter::{Filter, TagValue};
use super::format;
use super::json::scan::{Scanner, Text};
use super::json::write::{Controls, Sink, put_hex, put_integer, put_string};
use super::json::{ParseError, Refused};
use super::search::Search;

/// Levels of nesting in a value under an unknown key.
const DEPTH: u32 = 8;

/// Characters of a client's own text that an error repeats.
const QUOTED_CHARS_MAX: usize = 32;

/// Why a filter was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It breaks NIP-01.
    #[error("{0}")]
    Invalid(String),
    /// It asks for something that is not known here.
    #[error("{0}")]
    Unsupported(String),
}

impl From<ParseError> for FilterError {
    fn from(error: ParseError) -> FilterError {
        FilterError::Invalid(error.to_string())
    }
}

type Result<T> = std::result::Result<T, FilterError>;

/// Parses one filter, an object; its lists come back sorted and without repetitions.
///
/// # Errors
/// See [`FilterError`].
pub fn parse_filter(json: &[u8]) -> Result<Filter> {
    let mut scan = Scanner::new(json)?;
    let mut unsupported = None;
    let filter = filter(&mut scan, &mut unsupported)?;
    scan.end()?;
    unsupported.map_or(Ok(filter), Err)
}

/// Parses one filter, or an array of filters.
///
/// # Errors
/// See [`FilterError`].
pub fn parse_filters(json: &[u8]) -> Result<Vec<Filter>> {
    let mut scan = Scanner::new(json)?;
    let mut unsupported = None;
    let mut filters = Vec::new();
    if scan.peek() == Some(b'[') {
        scan.take(b'[', "an array of filters")?;
        while scan.element(filters.is_empty())? {
            filters.push(filter(&mut scan, &mut unsupported)?);
        }
    } else {
        filters.push(filter(&mut scan, &mut unsupported)?);
    }
    scan.end()?;
    unsupported.map_or(Ok(filters), Err)
}

/// Parses the filter that comes next; notes the first thing in it that is not known here.
fn filter(scan: &mut Scanner<'_>, unsupported: &mut Option<FilterError>) -> Result<Filter> {
    let mut filter = Filter::default();
    let (mut since, mut until) = (None, None);
    scan.take(b'{', "a filter, which is an object")?;
    let mut first = true;
    while let Some(key) = scan.member(first)? {
        first = false;
        let once = |new: bool| if new { Ok(()) } else { Err(twice(&key)) };
        match &*key.bytes() {
            b"ids" => {
                once(filter.ids.is_none())?;
                filter.ids = Some(list(scan, |scan| id(scan, "ids"))?);
            }
            b"authors" => {
                once(filter.authors.is_none())?;
                filter.authors = Some(list(scan, |scan| id(scan, "authors"))?);
            }
            b"kinds" => {
                once(filter.kinds.is_none())?;
                let max = u64::from(u16::MAX);
                filter.kinds =
                    Some(list(scan, |scan| Ok(scan.integer("each of kinds", max)? as u16))?);
            }
            b"since" => {
                once(since.is_none())?;
                since = Some(scan.integer("since", u64::MAX)?);
            }
            b"until" => {
                once(until.is_none())?;
                until = Some(scan.integer("until", u64::MAX)?);
            }
            b"limit" => {
                once(filter.limit.is_none())?;
                filter.limit = Some(scan.integer("limit", u64::MAX)?);
            }
            b"search" => {
                once(filter.search.is_none())?;
                let text = scan.string()?;
                let text = String::from_utf8_lossy(&text.bytes()).into_owned();
                filter.search = Some(Search::new(&text).map_err(FilterError::Invalid)?);
            }
            &[b'#', letter] if letter.is_ascii_alphabetic() => {
                once(filter.tags.iter().all(|(other, _)| *other != letter))?;
                let values = list(scan, |scan| tag_value(scan, letter))?;
                filter.tags.push((letter, values));
            }
            _ => {
                scan.skip_value(DEPTH)?;
                unsupported.get_or_insert_with(|| unknown(&key));
            }
        }
    }
    filter.since = since.unwrap_or(0);
    filter.until = until.unwrap_or(u64::MAX);
    filter.normalize();
    Ok(filter)
}

fn list<'a, T>(
    scan: &mut Scanner<'a>,
    mut value: impl FnMut(&mut Scanner<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    scan.take(b'[', "an array")?;
    let mut values = Vec::new();
    while scan.element(values.is_empty())? {
        values.push(value(scan)?);
    }
    Ok(values)
}

fn id(scan: &mut Scanner<'_>, field: &'static str) -> Result<[u8; 32]> {
    let text = scan.string()?;
    let refused = ParseError { what: Refused::Hex { field, chars: 64 }, offset: text.offset };
    Ok(format::from_hex(&text.bytes()).ok_or(refused)?)
}

fn tag_value(scan: &mut Scanner<'_>, letter: u8) -> Result<TagValue> {
    match letter {
        b'e' => id(scan, "each of #e").map(TagValue::from),
        b'p' => id(scan, "each of #p").map(TagValue::from),
        _ => Ok(TagValue::new(&String::from_utf8_lossy(&scan.string()?.bytes()))),
    }
}

fn twice(key: &Text<'_>) -> FilterError {
    FilterError::Invalid(format!("{} stands twice (byte {})", quoted(key), key.offset))
}

fn unknown(key: &Text<'_>) -> FilterError {
    FilterError::Unsupported(match &*key.bytes() {
        [b'#', ..] => {
            format!("{}: filters can ask for tags of a single letter only", quoted(key))
        }
        _ => format!("the filter key {} is unknown here", quoted(key)),
    })
}

fn quoted(key: &Text<'_>) -> String {
    let bytes = key.bytes();
    let text: String = String::from_utf8_lossy(&bytes).chars().take(QUOTED_CHARS_MAX).collect();
    format!("{text:?}")
}

/// Appends the filter as JSON; parsing it gives the same filter, normalized. `not_kinds` has no JSON.
pub fn write_filter(filter: &Filter, out: &mut Vec<u8>) {
    let start = out.len();
    let key = |out: &mut Vec<u8>, name: &[u8]| {
        out.put(if out.len() == start { b"{\"" } else { b",\"" });
        out.put(name);
        out.put(b"\":");
    };
    for (name, list) in [(&b"ids"[..], &filter.ids), (b"authors", &filter.authors)] {
        if let Some(list) = list {
            key(out, name);
            put_list(out, list, |out, id| {
                out.put(b"\"");
                put_hex(out, id);
                out.put(b"\"");
            });
        }
    }
    if let Some(kinds) = &filter.kinds {
        key(out, b"kinds");
        put_list(out, kinds, |out, kind| put_integer(out, u64::from(*kind)));
    }
    for (letter, values) in &filter.tags {
        key(out, &[b'#', *letter]);
        put_list(out, values, |out, value| {
            put_string(out, value.to_string().as_bytes(), Controls::Escaped);
        });
    }
    let times = [(&b"since"[..], filter.since, 0), (b"until", filter.until, u64::MAX)];
    for (name, value, _) in times.into_iter().filter(|(_, value, default)| value != default) {
        key(out, name);
        put_integer(out, value);
    }
    if let Some(search) = &filter.search {
        key(out, b"search");
        put_string(out, search.text().as_bytes(), Controls::Escaped);
    }
    if let Some(limit) = filter.limit {
        key(out, b"limit");
        put_integer(out, limit);
    }
    out.put(if out.len() == start { b"{}" } else { b"}" });
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    out.put(b"[");
    for (i, value) in list.iter().enumerate() {
        if i > 0 {
            out.put(b",");
        }
        put(out, value);
    }
    out.put(b"]");
}

#[cfg(test)]
mod tests;
