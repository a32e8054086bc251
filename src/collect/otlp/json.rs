//! A request in JSON, as OTLP has it: the names of protocol buffers in camel case.
//!
//! ```text
//!   {"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
//!     "scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"b"}}]}]}]}
//! ```
//!
//! 64-bit numbers are numbers or text, ids are hex, bytes are base64, unknown names are ignored, as the
//! specification demands.
//!
//! I1. A list is never held as a whole: each of its items is read, used and forgotten, so that memory does not
//!     depend on what is sent.

use super::intake::{Intake, Origin, Refused};
use super::line::{Body, Draft, push_display, push_double, push_name, push_text};
use super::protobuf::DEPTH_MAX;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_logs: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    scope_logs: Raw<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow)]
    scope: Option<Scope<'a>>,
    #[serde(borrow)]
    log_records: Raw<'a>,
}

#[derive(Deserialize)]
struct Scope<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    time_unix_nano: Option<Number<u64>>,
    observed_time_unix_nano: Option<Number<u64>>,
    severity_number: Option<u64>,
    #[serde(borrow)]
    severity_text: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow)]
    attributes: Raw<'a>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    span_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Number<i64>>,
    #[serde(borrow)]
    double_value: Raw<'a>,
    #[serde(borrow)]
    array_value: Option<Values<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<Values<'a>>,
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: Raw<'a>,
}

/// A string, in place if it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        match self.0 {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        }
    }
}

/// A number, or text that is one.
struct Number<T>(T);

impl<'de, T: Deserialize<'de> + std::str::FromStr> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Number<T>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Number(T),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(number) => Ok(Number(number)),
            Either::Text(text) => {
                text.parse().map(Number).map_err(|_| D::Error::custom("a text that is no number"))
            }
        }
    }
}

/// Calls `each` for every item of a list (I1).
struct Items<'c, E>(&'c mut E);

impl<'de, 'c, E: FnMut(&'de RawValue) -> Result<(), Refused>> DeserializeSeed<'de>
    for Items<'c, E>
{
    type Value = Result<(), Refused>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, 'c, E: FnMut(&'de RawValue) -> Result<(), Refused>> Visitor<'de> for Items<'c, E> {
    type Value = Result<(), Refused>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            if let Err(refused) = self.0(item) {
                // The rest of the list is of no interest, but has to be read for the list to end.
                while items.next_element::<de::IgnoredAny>()?.is_some() {}
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    }
}

fn malformed(error: &serde_json::Error) -> Refused {
    Refused::Malformed(format!("it is no ExportLogsServiceRequest in JSON: {error}"))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refused> {
    serde_json::from_str(text).map_err(|error| malformed(&error))
}

fn items<'a>(
    list: Raw<'a>,
    mut each: impl FnMut(&'a str) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let Some(list) = list else { return Ok(()) };
    let mut from = serde_json::Deserializer::from_str(list.get());
    let mut each = |item: &'a RawValue| each(item.get());
    Items(&mut each).deserialize(&mut from).map_err(|error| malformed(&error))?
}

/// Hands the records of `request` to `intake`.
///
/// # Errors
/// `Malformed`, `TooLarge`; what was taken before is of no use then.
pub(crate) fn read(request: &[u8], intake: &mut Intake<'_>) -> Result<(), Refused> {
    let request = std::str::from_utf8(request);
    let request =
        request.map_err(|_| Refused::Malformed("it is no JSON: it is not UTF-8".into()))?;
    let request: Request<'_> = parse(request)?;
    items(request.resource_logs, |logs| {
        let logs: ResourceLogs<'_> = parse(logs)?;
        let mut origin = Origin::default();
        items(logs.resource.and_then(|resource| resource.attributes), |attribute| {
            resource_attribute(attribute, &mut origin)
        })?;
        let place = intake.place(origin);
        items(logs.scope_logs, |logs| {
            let logs: ScopeLogs<'_> = parse(logs)?;
            let scope = bytes_of(logs.scope.and_then(|scope| scope.name));
            items(logs.log_records, |record| intake.record(&place, &scope, &draft(record)?))
        })
    })
}

fn resource_attribute(attribute: &str, origin: &mut Origin) -> Result<(), Refused> {
    let KeyValue { key, value } = parse(attribute)?;
    let value = value.unwrap_or_default();
    let mut json = Vec::new();
    push_value(&value, DEPTH_MAX, &mut json)?;
    let text = value.string_value.map(Text::into_bytes);
    origin.attribute(&bytes_of(key), text.as_deref(), &json);
    Ok(())
}

fn draft(record: &str) -> Result<Draft<'_>, Refused> {
    let record: LogRecord<'_> = parse(record)?;
    let nanos = |number: Option<Number<u64>>| number.map_or(0, |number| number.0);
    let mut draft = Draft {
        time_nanos: nanos(record.time_unix_nano),
        observed_nanos: nanos(record.observed_time_unix_nano),
        severity_number: record.severity_number.unwrap_or(0),
        severity: bytes_of(record.severity_text),
        event: bytes_of(record.event_name),
        body: record.body.map_or(Ok(Body::None), body)?,
        trace_id: id(record.trace_id),
        span_id: id(record.span_id),
        ..Draft::default()
    };
    items(record.attributes, |attribute| member(attribute, DEPTH_MAX, &mut draft.attributes))?;
    Ok(draft)
}

fn bytes_of(text: Option<Text<'_>>) -> Cow<'_, [u8]> {
    text.map(Text::into_bytes).unwrap_or_default()
}

/// The bytes of an id in hex; of another length it counts as none.
fn id<const N: usize>(text: Option<Text<'_>>) -> [u8; N] {
    let mut id = [0; N];
    match text.map(|Text(text)| const_hex::decode_to_slice(&*text, &mut id)) {
        Some(Ok(())) => id,
        _ => [0; N],
    }
}

fn body(value: AnyValue<'_>) -> Result<Body<'_>, Refused> {
    if value.is_none() {
        return Ok(Body::None);
    }
    match (value.string_value, value.bytes_value) {
        (Some(text), _) | (None, Some(text)) => Ok(Body::Text(text.into_bytes())),
        (None, None) => {
            let mut json = Vec::new();
            let value = AnyValue { string_value: None, bytes_value: None, ..value };
            push_value(&value, DEPTH_MAX, &mut json)?;
            Ok(Body::Json(json))
        }
    }
}

fn member(attribute: &str, depth: usize, members: &mut Vec<u8>) -> Result<(), Refused> {
    let KeyValue { key, value } = parse(attribute)?;
    push_name(&bytes_of(key), members);
    push_value(&value.unwrap_or_default(), depth, members)
}

impl AnyValue<'_> {
    fn is_none(&self) -> bool {
        let is_text = self.string_value.is_some() || self.bytes_value.is_some();
        let is_list = self.array_value.is_some() || self.kvlist_value.is_some();
        let is_number = self.int_value.is_some() || self.double_value.is_some();
        !is_text && !is_list && !is_number && self.bool_value.is_none()
    }
}

/// Appends an `AnyValue` as a value of JSON.
fn push_value(value: &AnyValue<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
    let Some(inner) = depth.checked_sub(1) else {
        return Err(Refused::TooLarge("values within values"));
    };
    if let Some(Text(text)) = value.string_value.as_ref().or(value.bytes_value.as_ref()) {
        push_text(text.as_bytes(), out);
    } else if let Some(truth) = value.bool_value {
        push_display(truth, out);
    } else if let Some(Number(number)) = value.int_value {
        push_display(number, out);
    } else if let Some(number) = value.double_value {
        push_number(number.get(), out)?;
    } else if let Some(list) = &value.array_value {
        out.push(b'[');
        let mut is_first = true;
        items(list.values, |item| {
            if !std::mem::replace(&mut is_first, false) {
                out.push(b',');
            }
            push_value(&parse(item)?, inner, out)
        })?;
        out.push(b']');
    } else if let Some(list) = &value.kvlist_value {
        let mut members = Vec::new();
        items(list.values, |item| member(item, inner, &mut members))?;
        out.push(b'{');
        out.append(&mut members);
        out.push(b'}');
    } else {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Appends a number as it is written, so that no digit of it changes; or text that is one.
fn push_number(number: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    match number.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => out.extend_from_slice(number.as_bytes()),
        _ => match parse::<Text<'_>>(number)?.0.parse() {
            Ok(number) => push_double(number, out),
            Err(_) => return Err(Refused::Malformed("a double is no number".into())),
        },
    }
    Ok(())
}
