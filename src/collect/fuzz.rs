//! What has to hold of everything that a sender of logs can send: one function for each decoder, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::batch::Batch;
use super::body::unpack;
use super::names::Sources;
use super::otlp::intake::{Intake, Refused};
use super::otlp::{json, protobuf};
use super::syslog::frames::{Frame, Frames};
use super::syslog::message::{Head, trimmed};
use super::syslog::template::Template;
use crate::logs::{NAME_BYTES_MAX, RAW_BYTES_MAX};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes of a syslog message that comes in a stream.
const MESSAGE_BYTES_MAX: usize = 200;
/// Bytes that a request unpacks to.
const REQUEST_BYTES_MAX: usize = 1 << 16;
/// What a request's record takes beside the bytes of its resource, its scope and its own: names, quotes, escapes.
const ESCAPED_BYTES: usize = 6;

/// A message's head is made of the message's bytes, and its source has a name that is one.
pub(crate) fn syslog(message: &[u8]) {
    let head = Head::of(message);
    for word in [head.host, head.app].into_iter().flatten() {
        assert!(!word.is_empty() && word.len() <= NAME_BYTES_MAX);
        assert!(message.windows(word.len()).any(|window| window == word));
    }
    assert!(head.pri.is_none_or(|pri| pri <= 191));
    assert!(message.starts_with(trimmed(message)));
    let mut name = String::new();
    let templates = [Ok(Template::default()), "{facility}.{severity} {address} {app}".parse()];
    for template in templates.into_iter().flatten() {
        template.write(&head, IpAddr::V4(Ipv4Addr::LOCALHOST), &mut name);
        assert!((1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control));
        assert!(name.parse::<crate::logs::Source>().is_ok(), "{name}");
    }
    if let Ok(text) = std::str::from_utf8(message)
        && let Ok(template) = text.parse::<Template>()
    {
        assert!(template.to_string().parse().is_ok_and(|again: Template| again == template));
    }
}

/// A stream has the same messages however it is cut when it comes, and no more of it is kept than one may have.
pub(crate) fn syslog_frames(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = messages(bytes, bytes.len().max(1));
    assert_eq!(whole, messages(bytes, usize::from(piece % 64) + 1));
    let taken: usize = whole.iter().map(|(message, _)| message.len()).sum();
    assert!(taken <= bytes.len());
}

fn messages(bytes: &[u8], piece: usize) -> Vec<(Vec<u8>, bool)> {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| {
        assert!(frame.message.len() <= MESSAGE_BYTES_MAX);
        found.push((frame.message.to_vec(), frame.is_cut));
    };
    let mut frames = Frames::new(MESSAGE_BYTES_MAX);
    bytes.chunks(piece).for_each(|piece| frames.read(piece, &mut each));
    frames.end(&mut each);
    assert!(!frames.is_partial());
    found
}

/// See [`checked`].
pub(crate) fn otlp_protobuf(request: &[u8]) {
    checked(request, protobuf::read);
}

/// See [`checked`]; a body that says by its first byte that it is packed is unpacked before.
pub(crate) fn otlp_json(body: &[u8]) {
    checked(body, json::read);
    if body.first() == Some(&0x1f)
        && let Ok(request) = unpack(body, REQUEST_BYTES_MAX)
    {
        assert!(request.len() <= REQUEST_BYTES_MAX);
        checked(&request, json::read);
    }
}

type Read = fn(&[u8], &mut Intake<'_>) -> Result<(), Refused>;

/// The records of a request are each no larger than one may be and, if they are objects, JSON; the same request gives
/// the same again.
fn checked(request: &[u8], read: Read) {
    let Some(batch) = taken(request, read) else {
        return assert!(taken(request, read).is_none());
    };
    let again = taken(request, read);
    let raws = |batch: &Batch| -> Vec<Vec<u8>> {
        batch.records().iter().map(|record| record.raw.to_vec()).collect()
    };
    let found = raws(&batch);
    assert_eq!(Some(&found), again.as_ref().map(raws).as_ref());
    for record in batch.records() {
        let raw = record.raw;
        assert!(raw.len() <= RAW_BYTES_MAX.min(ESCAPED_BYTES * request.len() + 500));
        if raw.starts_with(b"{\"severity") {
            let value = serde_json::from_slice::<serde_json::Value>(raw);
            let why = || String::from_utf8_lossy(raw).into_owned();
            assert!(value.is_ok() || is_bare(request, raw), "{}: {value:?}", why());
        }
    }
}

/// Whether a record is a text as it was sent.
fn is_bare(request: &[u8], raw: &[u8]) -> bool {
    let escaped = |window: &[u8]| window == raw;
    request.windows(raw.len().max(1)).any(escaped) || request.contains(&b'\\')
}

fn taken(request: &[u8], read: Read) -> Option<Batch> {
    let mut sources = Sources::default();
    let mut intake = Intake::new(1_700_000_000_000_000, &mut sources);
    read(request, &mut intake).ok().map(|()| intake.end().0)
}
