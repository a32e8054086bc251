//! A log record of OpenTelemetry as the raw bytes of a record: its text, or one line of JSON.
//!
//! ```text
//!   only a body                        the body as text
//!   anything else                      {"severity":"ERROR","severity_number":17,"event":"...","body":"...",
//!                                       "attributes":{...},"scope":"...","resource":{...},
//!                                       "trace_id":"...","span_id":"..."}
//! ```
//!
//! What is not there is left out. A body that is no text is a value of JSON; bytes are text in base64; a severity
//! without a text is named by its number. Of the resource, what became the source is left out, and what
//! describes the sender's library (`telemetry.sdk.*`).
//!
//! I1. Strings are made UTF-8: senders pass on what a program wrote, whatever it is. A body alone is kept as it came.

use std::borrow::Cow;
use std::io::Write;

/// A record while it is read.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) time_nanos: u64,
    pub(super) observed_nanos: u64,
    /// From 1 to 24; 0 is none.
    pub(super) severity_number: u64,
    pub(super) severity: Cow<'a, [u8]>,
    pub(super) event: Cow<'a, [u8]>,
    pub(super) body: Body<'a>,
    /// The members of an object, without its braces.
    pub(super) attributes: Vec<u8>,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
}

/// What a record says.
#[derive(Default)]
pub(super) enum Body<'a> {
    #[default]
    None,
    Text(Cow<'a, [u8]>),
    /// A value of JSON.
    Json(Vec<u8>),
}

/// What the records of a scope share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    /// The members of an object, without its braces.
    pub(super) resource: &'a [u8],
    pub(super) scope: &'a [u8],
}

impl Draft<'_> {
    /// When it happened, in microseconds; what is not said is `now`.
    pub(super) fn micros(&self, now: u64) -> u64 {
        let said = [self.time_nanos, self.observed_nanos].into_iter().find(|nanos| *nanos > 0);
        said.map_or(now, |nanos| nanos / 1000)
    }

    /// Appends the raw bytes.
    pub(super) fn write(&self, shared: Shared<'_>, out: &mut Vec<u8>) {
        let is_bare = self.severity_number == 0
            && self.trace_id == [0; 16]
            && self.span_id == [0; 8]
            && [&self.severity[..], &self.event, &self.attributes, shared.resource, shared.scope]
                .iter()
                .all(|part| part.is_empty());
        match &self.body {
            Body::None if is_bare => {}
            Body::Text(text) if is_bare => out.extend_from_slice(text),
            Body::Json(json) if is_bare => out.extend_from_slice(json),
            _ => self.write_json(shared, out),
        }
    }

    fn write_json(&self, shared: Shared<'_>, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        if !self.severity.is_empty() {
            push_text(&self.severity, object.member("severity"));
        } else if let Some(name) = severity_name(self.severity_number) {
            push_text(name.as_bytes(), object.member("severity"));
        }
        if self.severity_number > 0 {
            push_display(self.severity_number, object.member("severity_number"));
        }
        if !self.event.is_empty() {
            push_text(&self.event, object.member("event"));
        }
        match &self.body {
            Body::None => {}
            Body::Text(text) => push_text(text, object.member("body")),
            Body::Json(json) => object.member("body").extend_from_slice(json),
        }
        if !self.attributes.is_empty() {
            push_object(&self.attributes, object.member("attributes"));
        }
        if !shared.scope.is_empty() {
            push_text(shared.scope, object.member("scope"));
        }
        if !shared.resource.is_empty() {
            push_object(shared.resource, object.member("resource"));
        }
        for (name, id) in [("trace_id", &self.trace_id[..]), ("span_id", &self.span_id)] {
            if id.iter().any(|byte| *byte != 0) {
                push_display(format_args!("\"{}\"", const_hex::encode(id)), object.member(name));
            }
        }
        object.end();
    }
}

/// The short name of a severity, as the data model of OpenTelemetry displays it.
fn severity_name(number: u64) -> Option<&'static str> {
    const NAMES: [&str; 24] = [
        "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO",
        "INFO2", "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3",
        "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4",
    ];
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    NAMES.get(at).copied()
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, is_first: true }
    }

    /// Where the value of the next member goes.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b',');
        }
        push_text(name.as_bytes(), self.out);
        self.out.push(b':');
        self.out
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends the name of a member to a list of members; its value is to follow.
pub(super) fn push_name(name: &[u8], members: &mut Vec<u8>) {
    if !members.is_empty() {
        members.push(b',');
    }
    push_text(name, members);
    members.push(b':');
}

fn push_object(members: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    out.extend_from_slice(members);
    out.push(b'}');
}

/// Appends a string of JSON (I1).
pub(super) fn push_text(text: &[u8], out: &mut Vec<u8>) {
    // Writing a string to memory cannot fail.
    let _written = serde_json::to_writer(out, &String::from_utf8_lossy(text));
}

/// Appends a number of JSON; what is none, such as infinity, as a string.
pub(super) fn push_double(number: f64, out: &mut Vec<u8>) {
    match number.is_finite() {
        true => drop(serde_json::to_writer(out, &number)),
        false => push_text(number.to_string().as_bytes(), out),
    }
}

/// Appends what something looks like.
pub(super) fn push_display(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _written = write!(out, "{value}");
}

/// Bytes as text in base64 of RFC 4648.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let char = |at: usize| match at <= three.len() {
            true => CHARS[(bits >> (18 - 6 * at) & 63) as usize],
            false => b'=',
        };
        text.extend((0..4).map(char));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Shared<'_> = Shared { resource: b"", scope: b"" };

    fn raw(draft: &Draft<'_>, shared: Shared<'_>) -> String {
        let mut out = Vec::new();
        draft.write(shared, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_alone_is_kept_as_it_came() {
        let text =
            |bytes: &'static [u8]| Draft { body: Body::Text(bytes.into()), ..Draft::default() };
        assert_eq!(raw(&text(b"a \"b\""), NOTHING), "a \"b\"");
        let mut out = Vec::new();
        text(b"\xff\0").write(NOTHING, &mut out);
        assert_eq!(out, b"\xff\0");
        let json = Draft { body: Body::Json(b"[1]".to_vec()), ..Draft::default() };
        assert_eq!(raw(&json, NOTHING), "[1]");
        assert_eq!(raw(&Draft::default(), NOTHING), "");
    }

    #[test]
    fn all_else_is_one_line_of_json_with_what_is_there() {
        let mut draft = Draft { body: Body::Text(b"a\n\"b\" \xff".into()), ..Draft::default() };
        draft.severity_number = 18;
        let wanted = r#"{"severity":"ERROR2","severity_number":18,"body":"a\n\"b\" �"}"#;
        assert_eq!(raw(&draft, NOTHING), wanted);
        draft.severity = b"warn"[..].into();
        draft.event = b"e"[..].into();
        draft.attributes = br#""k":1"#.to_vec();
        (draft.trace_id[15], draft.span_id[0]) = (1, 0xab);
        draft.body = Body::Json(b"{\"a\":null}".to_vec());
        let shared = Shared { resource: br#""host.name":"h""#, scope: b"s" };
        let line = raw(&draft, shared);
        let found: serde_json::Value = serde_json::from_str(&line).unwrap();
        let wanted = serde_json::json!({
            "severity": "warn", "severity_number": 18, "event": "e", "body": { "a": null },
            "attributes": { "k": 1 }, "scope": "s", "resource": { "host.name": "h" },
            "trace_id": "00000000000000000000000000000001", "span_id": "ab00000000000000",
        });
        assert_eq!(found, wanted);
        let scope = Shared { resource: b"", scope: b"s" };
        assert_eq!(raw(&Draft::default(), scope), r#"{"scope":"s"}"#);
        let unknown = Draft { severity_number: 25, ..Draft::default() };
        assert_eq!(raw(&unknown, NOTHING), r#"{"severity_number":25}"#);
    }

    #[test]
    fn a_record_is_of_the_first_time_that_is_said() {
        let draft =
            |time_nanos, observed_nanos| Draft { time_nanos, observed_nanos, ..Draft::default() };
        assert_eq!(draft(1_999, 5_000).micros(7), 1);
        assert_eq!(draft(0, 5_000).micros(7), 5);
        assert_eq!(draft(0, 0).micros(7), 7);
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text.as_bytes());
        }
        assert_eq!(base64(b"\xfb\xff"), b"+/8=");
    }

    #[test]
    fn numbers_that_json_has_not_are_text() {
        let text = |number| {
            let mut out = Vec::new();
            push_double(number, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            [text(1.5), text(f64::NAN), text(f64::NEG_INFINITY)],
            ["1.5", "\"NaN\"", "\"-inf\""]
        );
    }
}
