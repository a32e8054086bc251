//! A request in protocol buffers, read in place.
//!
//! ```text
//!   ExportLogsServiceRequest  1 ResourceLogs*
//!   ResourceLogs  1 Resource  2 ScopeLogs*          Resource  1 KeyValue*
//!   ScopeLogs     1 Scope     2 LogRecord*          Scope     1 name
//!   LogRecord     1 time  11 observed  2, 3 severity  5 body  6 KeyValue*  9 trace  10 span  12 event
//!   AnyValue      1 string  2 bool  3 int  4 double  5 array  6 KeyValue*  7 bytes
//! ```
//!
//! Numbers and types are those of opentelemetry-proto 1.x; a test reads what its structs write.
//!
//! I1. A resource and a scope may stand behind their records: each list is walked twice.

use super::intake::{Intake, Origin, Refused};
use super::line::{Body, Draft, base64, push_display, push_double, push_name, push_text};
use super::wire::{Fields, Malformed, Value};

/// Values within values. OpenTelemetry has no limit; what people send has two or three.
pub(super) const DEPTH_MAX: usize = 32;

/// Hands the records of `request` to `intake`.
///
/// # Errors
/// `Malformed`, `TooLarge`; what was taken before is of no use then.
pub(crate) fn read(request: &[u8], intake: &mut Intake<'_>) -> Result<(), Refused> {
    let mut fields = Fields::of(request);
    while let Some(field) = fields.next()? {
        if let (1, Value::Bytes(logs)) = field {
            resource_logs(logs, intake)?;
        }
    }
    Ok(())
}

fn resource_logs(message: &[u8], intake: &mut Intake<'_>) -> Result<(), Refused> {
    let mut origin = Origin::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        let (1, Value::Bytes(resource)) = field else { continue };
        let mut fields = Fields::of(resource);
        while let Some(field) = fields.next()? {
            if let (1, Value::Bytes(attribute)) = field {
                resource_attribute(attribute, &mut origin)?;
            }
        }
    }
    let place = intake.place(origin);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        let (2, Value::Bytes(message)) = field else { continue };
        let mut scope: &[u8] = b"";
        for pass in [1, 2] {
            let mut fields = Fields::of(message);
            while let Some(field) = fields.next()? {
                match field {
                    (1, Value::Bytes(message)) if pass == 1 => scope = last_bytes(message, 1)?,
                    (2, Value::Bytes(record)) if pass == 2 => {
                        intake.record(&place, scope, &draft(record)?)?;
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn resource_attribute(message: &[u8], origin: &mut Origin) -> Result<(), Refused> {
    let (name, value) = key_value(message)?;
    let mut json = Vec::new();
    let text = text_of(value)?;
    push_value(value, DEPTH_MAX, &mut json)?;
    origin.attribute(name, text, &json);
    Ok(())
}

fn draft(message: &[u8]) -> Result<Draft<'_>, Refused> {
    let mut draft = Draft::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Eight(nanos)) => draft.time_nanos = nanos,
            (11, Value::Eight(nanos)) => draft.observed_nanos = nanos,
            (2, Value::Varint(number)) => draft.severity_number = number,
            (3, Value::Bytes(text)) => draft.severity = text.into(),
            (12, Value::Bytes(text)) => draft.event = text.into(),
            (5, Value::Bytes(value)) => draft.body = body(value)?,
            (6, Value::Bytes(attribute)) => member(attribute, DEPTH_MAX, &mut draft.attributes)?,
            // Of another length an id counts as none.
            (9, Value::Bytes(id)) => draft.trace_id = id.try_into().unwrap_or_default(),
            (10, Value::Bytes(id)) => draft.span_id = id.try_into().unwrap_or_default(),
            _ => {}
        }
    }
    Ok(draft)
}

fn body(value: &[u8]) -> Result<Body<'_>, Refused> {
    if let Some(text) = text_of(value)? {
        return Ok(Body::Text(text.into()));
    }
    Ok(match last(value)? {
        None => Body::None,
        Some((7, Value::Bytes(bytes))) => Body::Text(base64(bytes).into()),
        Some(_) => {
            let mut json = Vec::new();
            push_value(value, DEPTH_MAX, &mut json)?;
            Body::Json(json)
        }
    })
}

/// Appends an attribute to a list of members.
fn member(message: &[u8], depth: usize, members: &mut Vec<u8>) -> Result<(), Refused> {
    let (name, value) = key_value(message)?;
    push_name(name, members);
    push_value(value, depth, members)
}

fn key_value(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    Ok((last_bytes(message, 1)?, last_bytes(message, 2)?))
}

/// The text that an `AnyValue` is, if it is one.
fn text_of(value: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    Ok(match last(value)? {
        Some((1, Value::Bytes(text))) => Some(text),
        _ => None,
    })
}

/// Appends an `AnyValue` as a value of JSON.
fn push_value(value: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
    let Some(inner) = depth.checked_sub(1) else {
        return Err(Refused::TooLarge("values within values"));
    };
    match last(value)? {
        Some((1, Value::Bytes(text))) => push_text(text, out),
        Some((2, Value::Varint(truth))) => push_display(truth != 0, out),
        Some((3, Value::Varint(number))) => push_display(number as i64, out),
        Some((4, Value::Eight(bits))) => push_double(f64::from_bits(bits), out),
        Some((5, Value::Bytes(array))) => push_array(array, inner, out)?,
        Some((6, Value::Bytes(list))) => {
            let (mut members, mut fields) = (Vec::new(), Fields::of(list));
            while let Some(field) = fields.next()? {
                if let (1, Value::Bytes(attribute)) = field {
                    member(attribute, inner, &mut members)?;
                }
            }
            out.push(b'{');
            out.append(&mut members);
            out.push(b'}');
        }
        Some((7, Value::Bytes(bytes))) => push_text(&base64(bytes), out),
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}

fn push_array(array: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
    let (mut fields, mut between) = (Fields::of(array), &b"["[..]);
    while let Some(field) = fields.next()? {
        if let (1, Value::Bytes(value)) = field {
            out.extend_from_slice(std::mem::replace(&mut between, b","));
            push_value(value, depth, out)?;
        }
    }
    if between == b"[" {
        out.push(b'[');
    }
    out.push(b']');
    Ok(())
}

/// The last field of an `AnyValue` that is one of its values: of several, it counts.
fn last(value: &[u8]) -> Result<Option<(u64, Value<'_>)>, Malformed> {
    let (mut fields, mut found) = (Fields::of(value), None);
    while let Some(field) = fields.next()? {
        if (1..=7).contains(&field.0) {
            found = Some(field);
        }
    }
    Ok(found)
}

/// The bytes of the field of this number that counts: the last; nothing if there is none.
fn last_bytes(message: &[u8], number: u64) -> Result<&[u8], Malformed> {
    let (mut fields, mut found) = (Fields::of(message), &b""[..]);
    while let Some((field, value)) = fields.next()? {
        if let Value::Bytes(bytes) = value
            && field == number
        {
            found = bytes;
        }
    }
    Ok(found)
}
