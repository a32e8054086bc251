//! What has to hold of what people and files hand to the log store: one function for each decoder, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::record::decode;
use super::time::{Zone, read, stamp, when};
use super::{LogRef, Position, Resume, Source, SourceRef, tokens};
use crate::base::{Key, crc64};
use crate::model::Record;

/// The first microsecond that a calendar does not show.
const END_US: u64 = 253_402_300_800_000_000 - 86_400_000_000;
const NOW_US: u64 = 1_795_348_800_123_456;

/// A token or a position is refused, or it is spelled as it was given; behind a right checksum too.
pub(crate) fn resume(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = text.parse::<Resume>() {
        assert_eq!(token.to_string(), text);
    }
    if let Ok(position) = text.parse::<Position>() {
        let again = position.to_string().parse();
        assert!(again.is_ok_and(|again: Position| again == position), "{text}");
    }
    if let Some(forged) = bytes.first_chunk::<52>() {
        let text = base64([&forged[..], &crc64(forged).to_be_bytes()].concat().as_slice());
        let Ok(token) = text.parse::<Resume>() else {
            return assert!(forged[0] >> 4 != 1, "{text} is whole, and refused");
        };
        // What is said of what is not there, is dropped.
        let again: Resume = token.to_string().parse().expect("what is written reads back");
        assert_eq!(token, again);
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let three = |three: &[u8]| three.iter().fold(0, |bits, b| bits << 8 | usize::from(*b));
    let digits = bytes.chunks(3).map(three).flat_map(|bits| [18, 12, 6, 0].map(|at| bits >> at));
    digits.map(|digit| char::from(DIGITS[digit & 63])).collect()
}

/// A stored body is refused, or its parts make it again.
pub(crate) fn log_body(body: &[u8]) {
    let key = Key { time: 1, id: [2; 32] };
    let stored = LogRef::stored(Record { key, body });
    let Some((source, raw)) = decode(body) else {
        return assert!(stored.is_none());
    };
    let again = match source {
        SourceRef::Uuid(uuid) => [&[0][..], &uuid, raw].concat(),
        SourceRef::Name(name) => [&[name.len() as u8][..], name.as_bytes(), raw].concat(),
    };
    assert_eq!(again, body);
    assert!(
        stored.is_some_and(|stored| stored.raw() == raw && stored.source().uuid() == source.uuid())
    );
    let text = source.to_string();
    if let Ok(source) = text.parse::<Source>() {
        assert!(source.to_string() == text || source.name().is_none(), "{text:?}: {source}");
    }
}

/// A needle is found exactly where the tokenizer gives it.
pub(crate) fn log_tokens(bytes: &[u8]) {
    let Some((at, bytes)) = bytes.split_first() else { return };
    let (term, raw) = bytes.split_at(usize::from(*at).min(bytes.len()));
    let all = |text: &[u8]| {
        let mut found = Vec::new();
        tokens::each(text, |token| found.push(token.to_vec()));
        found
    };
    let (wanted, has) = (all(term), all(raw));
    let needles = tokens::Needles::new(&[term]);
    assert_eq!(needles.all_in(raw), wanted.iter().all(|token| has.contains(token)));
    assert!(needles.tokens().all(|token| token.len() >= tokens::TOKEN_BYTES_MIN));
}

/// A time that is recognised stands in its line, and one that is written is read as the same.
pub(crate) fn time(line: &[u8]) {
    if let Some((_, range)) = stamp::recognise(line, NOW_US) {
        assert!(range.start < range.end && range.end <= line.len(), "{range:?}");
    }
    let whole = stamp::whole(line, NOW_US);
    let text = String::from_utf8_lossy(line);
    let zones = [Zone::utc()].into_iter().chain(Zone::of_rule("CET-1CEST,M3.5.0,M10.5.0/3"));
    for zone in zones {
        let parsed = when::parse(&text, NOW_US, &zone).ok();
        for us in [whole, parsed].into_iter().flatten() {
            let written = zone.text(us);
            let again = read(&written, NOW_US);
            let same = again == Some(us) || us < 86_400_000_000;
            assert!(same, "{us} as {written} is {again:?}; {}", us < END_US);
        }
    }
    if let Ok(length) = when::length(&text) {
        assert!(length > 0, "{text}");
    }
    let _either = when::is_relative(&text);
}
