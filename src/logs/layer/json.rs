//! Events and spans as text: one JSON object each, written straight into a buffer that is used again.
//!
//! ```text
//!   {"level":"INFO","target":"ratite::relay","message":"it listens","fields":{"threads":2},
//!    "spans":[{"name":"outer","fields":{"id":7}},{"name":"inner"}]}
//! ```
//!
//! J1. What is written is JSON whatever the values are: their text is escaped as it is formatted.
//! J2. A value takes [`VALUE_BYTES_MAX`] and a record [`LINE_BYTES_MAX`] bytes, and a few: what a value has to say beyond
//!     is cut at a character, what a record has to say is left out whole, and `"cut":true` tells of either.

use std::fmt::{self, Debug, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Bytes of one value as text: a page of it says enough, and an event may carry a whole message of a client.
pub(super) const VALUE_BYTES_MAX: usize = 16 << 10;

/// Bytes of a record, so that a few always fit into the smallest queue.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// Spans that are named: recursion that is traced makes more, and they say the same.
const SPANS_MAX: usize = 32;

/// What a span was given, kept with it. Values are text that is JSON already.
pub(super) struct SpanFields {
    fields: Vec<(&'static str, Vec<u8>)>,
    /// Monotonic nanoseconds.
    began: u64,
    cut: bool,
}

impl SpanFields {
    pub fn new(began: u64) -> SpanFields {
        SpanFields { fields: Vec::new(), began, cut: false }
    }

    pub fn began(&self) -> u64 {
        self.began
    }

    fn set(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let mut value = Vec::new();
        self.cut |= write(&mut value);
        match self.fields.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field.name(), value)),
        }
    }
}

/// A span that has ended.
pub(super) struct Closed {
    pub metadata: &'static Metadata<'static>,
    pub micros: u64,
}

/// The text of one record.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    cut: bool,
}

impl<'a> Line<'a> {
    /// Writes to the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Line<'a> {
        Line { out, cut: false }
    }

    /// The record of an event in `scope`.
    pub fn event<S>(&mut self, event: &Event<'_>, scope: Option<Scope<'_, S>>)
    where
        S: for<'s> LookupSpan<'s>,
    {
        self.head(event.metadata());
        let mut message = Fields { out: self.out, is_message: true, open: false, cut: false };
        event.record(&mut message);
        self.cut |= message.cut;
        let mut fields = Fields { out: self.out, is_message: false, open: false, cut: false };
        event.record(&mut fields);
        let (open, cut) = (fields.open, fields.cut);
        self.cut |= cut;
        if open {
            self.out.push(b'}');
        }
        self.end(scope);
    }

    /// The record of the end of a span, the innermost of `scope`.
    pub fn closed<S>(&mut self, closed: &Closed, scope: Scope<'_, S>)
    where
        S: for<'s> LookupSpan<'s>,
    {
        self.head(closed.metadata);
        self.out.extend_from_slice(b",\"message\":\"the span ended\",\"fields\":{\"duration_us\":");
        number(self.out, format_args!("{}", closed.micros));
        self.out.push(b'}');
        self.end(Some(scope));
    }

    fn head(&mut self, metadata: &Metadata<'_>) {
        self.out.extend_from_slice(b"{\"level\":\"");
        self.out.extend_from_slice(metadata.level().as_str().as_bytes());
        self.out.extend_from_slice(b"\",\"target\":");
        self.cut |= string(self.out, metadata.target());
    }

    fn end<S>(&mut self, scope: Option<Scope<'_, S>>)
    where
        S: for<'s> LookupSpan<'s>,
    {
        let mut begin: &[u8] = b",\"spans\":[";
        for (nth, span) in scope.into_iter().flat_map(Scope::from_root).enumerate() {
            if nth == SPANS_MAX || self.out.len() >= LINE_BYTES_MAX {
                self.cut = true;
                break;
            }
            self.out.extend_from_slice(begin);
            begin = b",";
            self.out.extend_from_slice(b"{\"name\":");
            self.cut |= string(self.out, span.name());
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                self.span_fields(fields);
            }
            self.out.push(b'}');
        }
        if begin == b"," {
            self.out.push(b']');
        }
        let end: &[u8] = if self.cut { b",\"cut\":true}" } else { b"}" };
        self.out.extend_from_slice(end);
    }

    fn span_fields(&mut self, fields: &SpanFields) {
        self.cut |= fields.cut;
        let mut begin: &[u8] = b",\"fields\":{";
        for (name, value) in &fields.fields {
            if self.out.len() >= LINE_BYTES_MAX {
                self.cut = true;
                break;
            }
            self.out.extend_from_slice(begin);
            begin = b",";
            self.cut |= string(self.out, name);
            self.out.push(b':');
            self.out.extend_from_slice(value);
        }
        if begin == b"," {
            self.out.push(b'}');
        }
    }
}

/// The fields of an event: its message, or all others.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    is_message: bool,
    /// Whether the object of fields was begun.
    open: bool,
    cut: bool,
}

impl Fields<'_> {
    fn set(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        if (field.name() == "message") != self.is_message {
            return;
        }
        if self.is_message {
            self.out.extend_from_slice(b",\"message\":");
        } else if self.out.len() >= LINE_BYTES_MAX {
            self.cut = true; // J2
            return;
        } else {
            let begin: &[u8] = if self.open { b"," } else { b",\"fields\":{" };
            self.open = true;
            self.out.extend_from_slice(begin);
            self.cut |= string(self.out, field.name());
            self.out.push(b':');
        }
        self.cut |= write(self.out);
    }
}

/// Both kinds of visitors write a value in the same way.
macro_rules! visits {
    ($($name:ty),+) => {$(
        impl Visit for $name {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.set(field, |out| text(out, format_args!("{value:?}")));
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                self.set(field, |out| string(out, value));
            }

            fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
                self.set(field, |out| text(out, format_args!("{value}")));
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                self.set(field, |out| number(out, format_args!("{value}")));
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                self.set(field, |out| number(out, format_args!("{value}")));
            }

            fn record_u128(&mut self, field: &Field, value: u128) {
                self.set(field, |out| number(out, format_args!("{value}")));
            }

            fn record_i128(&mut self, field: &Field, value: i128) {
                self.set(field, |out| number(out, format_args!("{value}")));
            }

            fn record_f64(&mut self, field: &Field, value: f64) {
                // JSON has no number for the others.
                self.set(field, |out| match value.is_finite() {
                    true => number(out, format_args!("{value:?}")),
                    false => text(out, format_args!("{value}")),
                });
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                self.set(field, |out| number(out, format_args!("{value}")));
            }
        }
    )+};
}

visits!(Fields<'_>, SpanFields);

/// What needs no quotes. Nothing of it is ever cut.
fn number(out: &mut Vec<u8>, value: fmt::Arguments<'_>) -> bool {
    let _a_vector_takes_all = std::io::Write::write_fmt(out, value);
    false
}

/// What has to be formatted; whether it was cut.
fn text(out: &mut Vec<u8>, value: fmt::Arguments<'_>) -> bool {
    out.push(b'"');
    let mut escaped = Escaped { end: out.len() + VALUE_BYTES_MAX, out, cut: false };
    // Ends when it is cut; a value that cannot say itself says what it did.
    let _cut_or_refused = escaped.write_fmt(value);
    let cut = escaped.cut;
    out.push(b'"');
    cut
}

/// A text; whether it was cut.
fn string(out: &mut Vec<u8>, value: &str) -> bool {
    out.push(b'"');
    let mut escaped = Escaped { end: out.len() + VALUE_BYTES_MAX, out, cut: false };
    let _cut = escaped.write_str(value);
    let cut = escaped.cut;
    out.push(b'"');
    cut
}

/// The inside of a JSON string.
struct Escaped<'a> {
    out: &'a mut Vec<u8>,
    /// Where it is cut.
    end: usize,
    cut: bool,
}

impl Escaped<'_> {
    /// Writes what needs no escapes, as far as there is room.
    fn plain(&mut self, part: &str) -> fmt::Result {
        let mut fits = self.end.saturating_sub(self.out.len()).min(part.len());
        while !part.is_char_boundary(fits) {
            fits -= 1;
        }
        self.out.extend_from_slice(&part.as_bytes()[..fits]);
        self.cut = fits < part.len();
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            let short = match byte {
                b'"' | b'\\' => byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0..=0x1f => b'u',
                _ => continue,
            };
            self.plain(&text[start..at])?;
            start = at + 1;
            if self.out.len() >= self.end {
                self.cut = true;
                return Err(fmt::Error);
            }
            self.out.extend_from_slice(&[b'\\', short]);
            if short == b'u' {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                self.out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        self.plain(&text[start..])
    }
}
