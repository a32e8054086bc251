//! What an object of NDJSON says: a time, a source, the record's bytes.
//!
//! 1. What `ratite log search` and `export` write is read as it was, unless a flag names another field.
//! 2. A field that a flag names has to be there.

use crate::log::base64;
use ratite::logs::Resume;
use ratite::logs::time::{read, stamp};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Where a time stands if nobody says it.
const TIMES: [&str; 4] = ["ts", "timestamp", "@timestamp", "time"];

/// The fields of what we write (1).
const OWN: [&str; 6] = ["ts", "source", "source_id", "raw", "raw_base64", "context"];

/// The fields that flags name.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub ts: Option<String>,
    pub source: Option<String>,
    pub raw: Option<String>,
}

/// What was read of an object.
#[derive(Debug, PartialEq)]
pub struct Read<'a> {
    /// The time, if there is one.
    pub ts: Option<u64>,
    /// The source, if there is one, and whether a flag named its field.
    pub source: Option<(String, bool)>,
    /// The record's bytes; `None` for the whole line.
    pub raw: Option<Cow<'a, [u8]>>,
}

/// What a line is in NDJSON.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// An object with a record.
    Record(Read<'a>),
    /// The last line of a page of a search.
    Resume,
}

/// The object of a line; `None` if it is none.
pub fn parse(line: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Whether it is the last line of a page of ours. A token has a checksum, so no line of others is taken for one.
fn is_resume(object: &Map<String, Value>) -> bool {
    let token = object.get("resume").and_then(Value::as_str).filter(|_| object.len() == 1);
    token.is_some_and(|token| token.parse::<Resume>().is_ok())
}

/// What an object says.
///
/// # Errors
/// What is wrong with it, in words.
pub fn of<'a>(
    object: &'a Map<String, Value>,
    fields: &Fields,
    now_us: u64,
) -> Result<Line<'a>, String> {
    if is_resume(object) {
        return Ok(Line::Resume);
    }
    let is_own = ["ts", "raw"].iter().all(|key| object.get(*key).is_some_and(Value::is_string))
        && object.keys().all(|key| OWN.contains(&key.as_str()));
    let ts = match &fields.ts {
        Some(field) => {
            let value = named(object, field)?;
            Some(time(value, now_us).ok_or_else(|| format!("{field} is no time: {value}"))?)
        }
        None => TIMES.iter().find_map(|key| time(object.get(*key)?, now_us)),
    };
    let source = match &fields.source {
        Some(field) => Some((text(named(object, field)?).into_owned(), true)),
        None => {
            object.get("source").filter(|_| is_own).map(|value| (text(value).into_owned(), false))
        }
    };
    let raw = match &fields.raw {
        Some(field) => Some(bytes(text(named(object, field)?))),
        None if is_own => Some(own_bytes(object)?),
        None => None,
    };
    Ok(Line::Record(Read { ts, source, raw }))
}

/// The bytes of a record that we wrote.
fn own_bytes(object: &Map<String, Value>) -> Result<Cow<'_, [u8]>, String> {
    match object.get("raw_base64") {
        None => Ok(object.get("raw").map(text).map_or(Cow::Borrowed(&b""[..]), bytes)),
        Some(value) => {
            let decoded = value.as_str().and_then(base64::decode);
            decoded.map(Cow::Owned).ok_or_else(|| "raw_base64 is no base64".into())
        }
    }
}

/// The field of this name; if there is none, `a.b` is b within a.
fn named<'a>(object: &'a Map<String, Value>, field: &str) -> Result<&'a Value, String> {
    find(object, field).ok_or_else(|| format!("there is no field {field}"))
}

fn find<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(field) {
        return Some(value);
    }
    let dots = field.match_indices('.').map(|(at, _)| at);
    dots.filter_map(|at| find(object.get(&field[..at])?.as_object()?, &field[at + 1..])).next()
}

fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A time: RFC 3339 and what else lines carry, or a number, also as text.
fn time(value: &Value, now_us: u64) -> Option<u64> {
    match value {
        Value::String(text) => match text.parse::<u64>() {
            Ok(number) => Some(stamp::epoch(number)),
            Err(_) => read(text.trim(), now_us),
        },
        Value::Number(number) => match number.as_u64() {
            Some(number) => Some(stamp::epoch(number)),
            None => number.as_f64().filter(|number| *number >= 0.0).map(fraction),
        },
        _ => None,
    }
}

/// A number with a fraction, by the size of its whole part.
fn fraction(number: f64) -> u64 {
    let (whole, rest) = (number.trunc(), number.fract());
    let unit = match whole as u64 {
        0..=99_999_999_999 => 1e6,
        100_000_000_000..=99_999_999_999_999 => 1e3,
        _ => 0.0,
    };
    stamp::epoch(whole as u64).saturating_add((rest * unit).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::RESUME;
    use super::*;

    /// Time, source and raw, as far as they are said.
    type Said = (Option<u64>, Option<String>, Option<String>);

    fn read_of(json: &str, fields: &Fields) -> Result<Said, String> {
        let object = parse(json.as_bytes()).expect("an object");
        match of(&object, fields, 0)? {
            Line::Resume => Err("resume".into()),
            Line::Record(Read { ts, source, raw }) => {
                let raw = raw.map(|raw| String::from_utf8_lossy(&raw).into_owned());
                Ok((ts, source.map(|(source, _)| source), raw))
            }
        }
    }

    #[test]
    fn times_are_found_and_read_in_every_unit() {
        let at = Some(1_700_000_000_000_000);
        for json in [
            r#"{"ts":"2023-11-14T22:13:20Z"}"#,
            r#"{"timestamp":1700000000}"#,
            r#"{"@timestamp":"2023-11-14T23:13:20+01:00","ts":"nonsense"}"#,
            r#"{"time":1700000000000}"#,
            r#"{"time":1700000000000000}"#,
            r#"{"time":1700000000000000000}"#,
            r#"{"time":"1700000000"}"#,
            r#"{"time":1700000000.0}"#,
        ] {
            assert_eq!(read_of(json, &Fields::default()), Ok((at, None, None)), "{json}");
        }
        let fractions = [("1700000000.25", 250_000), ("1700000000000.5", 500)];
        for (number, more) in fractions {
            let json = format!("{{\"ts\":{number}}}");
            let ts = Some(1_700_000_000_000_000 + more);
            assert_eq!(read_of(&json, &Fields::default()), Ok((ts, None, None)), "{json}");
        }
        assert_eq!(read_of(r#"{"ts":-5}"#, &Fields::default()), Ok((None, None, None)));
    }

    #[test]
    fn fields_are_named_also_within_others() {
        let name = |name: &str| Some(name.to_string());
        let fields =
            Fields { ts: name("a.ts"), source: name("kube.pod.name"), raw: name("log.line") };
        let json = r#"{"a":{"ts":5},"kube.pod":{"name":"web"},"log":{"line":"x","more":1}}"#;
        let read = Ok((Some(5_000_000), name("web"), name("x")));
        assert_eq!(read_of(json, &fields), read);
        let dotted =
            r#"{"a.ts":"1970-01-01T00:00:05Z","kube":{"pod":{"name":"web"}},"log.line":"x"}"#;
        assert_eq!(read_of(dotted, &fields), read);
        let nested = r#"{"a.ts":5,"kube.pod.name":"web","log":{"line":{"k":1}}}"#;
        assert_eq!(read_of(nested, &fields).unwrap().2, name("{\"k\":1}"));
        for (json, why) in [
            (r#"{"a":{}}"#, "there is no field a.ts"),
            (r#"{"a":{"ts":"soon"}}"#, "a.ts is no time: \"soon\""),
            (r#"{"a.ts":5}"#, "there is no field kube.pod.name"),
        ] {
            assert_eq!(read_of(json, &fields), Err(why.into()));
        }
    }

    #[test]
    fn what_we_write_is_read_as_it_was_and_nothing_else_is_taken_for_it() {
        let own =
            r#"{"ts":"1970-01-01T00:00:05.000001Z","source":"web","source_id":"x","raw":"a\nb"}"#;
        let read = read_of(own, &Fields::default()).unwrap();
        assert_eq!(read, (Some(5_000_001), Some("web".into()), Some("a\nb".into())));
        let binary = r#"{"ts":"@99us","source":"web","raw":"\ufffd","raw_base64":"/w=="}"#;
        let object = parse(binary.as_bytes()).unwrap();
        let Ok(Line::Record(read)) = of(&object, &Fields::default(), 0) else { panic!() };
        assert_eq!((read.ts, read.raw.as_deref()), (Some(99), Some(&b"\xff"[..])));
        let foreign = r#"{"ts":5,"source":"web","raw":"x","level":"info"}"#;
        assert_eq!(read_of(foreign, &Fields::default()), Ok((Some(5_000_000), None, None)));
        assert_eq!(read_of(RESUME, &Fields::default()), Err("resume".into()));
        // None of ours: no token, and one with a wrong digit.
        for foreign in [r#"{"resume":"abc"}"#, &RESUME.replace('7', "8")] {
            assert_eq!(read_of(foreign, &Fields::default()), Ok((None, None, None)));
        }
        let bad = r#"{"ts":"@99us","raw":"","raw_base64":"!"}"#;
        assert_eq!(read_of(bad, &Fields::default()), Err("raw_base64 is no base64".into()));
    }
}
