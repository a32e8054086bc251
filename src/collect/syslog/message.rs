//! What a syslog message says of itself: its priority, its time, its host and its program.
//!
//! ```text
//!   RFC 5424   <34>1 2003-10-11T22:14:15.003Z host app procid msgid [data] text
//!   RFC 3164   <34>Oct 11 22:14:15 host app[pid]: text
//!   in use     no <34>; a year before or after the time; an ISO time; no host; no time; a BOM in front
//! ```
//!
//! Only what places a record is looked for: the rest of the message is searched as it came. Whatever cannot be
//! told is `None`, and nothing is an error, as RFC 5424 and RFC 3164 demand of who receives.
//!
//! I1. Total: any bytes give an answer, without an allocation, in time linear in the bytes looked at.

use super::stamp::{self, Stamp};

/// The largest priority: facility 23, severity 7.
const PRI_MAX: u8 = 191;

/// Bytes of a host or a program; RFC 5424 allows 255 and 48. What is longer is text that looks like one.
const NAME_BYTES_MAX: usize = 255;

/// What stands in front of UTF-8 text that some systems write.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The head of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// Facility times 8, and severity.
    pub(crate) pri: Option<u8>,
    /// Microseconds since the Unix epoch, if the message's time says its zone.
    pub(crate) micros: Option<u64>,
    /// The host that wrote it.
    pub(crate) host: Option<&'a [u8]>,
    /// The program that wrote it.
    pub(crate) app: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Reads the head of a message.
    pub(crate) fn of(message: &'a [u8]) -> Head<'a> {
        let message = message.strip_prefix(BOM).unwrap_or(message);
        let (pri, rest) = priority(message);
        // Also behind the priority, where a program's own text begins.
        let rest = rest.strip_prefix(BOM).unwrap_or(rest);
        let head = rfc_5424(rest).unwrap_or_else(|| rfc_3164(rest));
        Head { pri, ..head }
    }
}

/// The bytes of a message without what only ends it: line ends and NULs.
pub(crate) fn trimmed(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
    &message[..end.map_or(0, |last| last + 1)]
}

/// `<34>`, and what follows.
fn priority(message: &[u8]) -> (Option<u8>, &[u8]) {
    let parse = || {
        let rest = message.strip_prefix(b"<")?;
        let digits = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let number = std::str::from_utf8(&rest[..digits]).ok()?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let pri = number.parse().ok().filter(|pri| is_number && *pri <= PRI_MAX)?;
        Some((Some(pri), &rest[digits + 1..]))
    };
    parse().unwrap_or((None, message))
}

/// `1 TIME HOST APP ...`: whatever begins with a version and a time.
fn rfc_5424(text: &[u8]) -> Option<Head<'_>> {
    let (version, rest) = word(text);
    let is_version = matches!(version, [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
    let (time, rest) = word(rest);
    let micros = match time {
        b"-" => None,
        _ => Some(stamp::iso(time).filter(|(_, bytes)| *bytes == time.len())?.0.micros()?),
    };
    let (host, rest) = word(rest);
    let (app, _) = word(rest);
    // Text such as "1 - 2" has no host and no program.
    let is_head = is_version && !host.is_empty() && !app.is_empty();
    is_head.then(|| Head { pri: None, micros, host: named(host), app: named(app) })
}

/// `TIME HOST APP[PID]: ...`, each of which may be missing.
fn rfc_3164(text: &[u8]) -> Head<'_> {
    let text = spaced(text);
    let Some((stamp, bytes)) = stamp::iso(text).or_else(|| stamp::bsd(text)) else {
        // Without a time there is no host either: what comes is a program's name, or text.
        return Head { app: tag(text), ..Head::default() };
    };
    let micros = Stamp::micros(stamp);
    let rest = spaced(&text[bytes..]);
    if let Some(app) = tag(rest) {
        return Head { micros, app: Some(app), ..Head::default() };
    }
    let (host, rest) = word(rest);
    Head { pri: None, micros, host: named(host), app: tag(spaced(rest)) }
}

/// The program in `app: ...` or `app[pid]: ...`.
fn tag(text: &[u8]) -> Option<&[u8]> {
    let is_end = |byte: &u8| matches!(byte, b':' | b'[') || *byte <= b' ';
    let end = text.iter().take(NAME_BYTES_MAX + 1).position(is_end)?;
    let is_tag = match text[end] {
        // "host:port" and "http://" are text, and so is an address of IPv6.
        b':' => matches!(text.get(end + 1), None | Some(b' ' | b'\t')),
        b'[' => text[end..].iter().take(32).any(|byte| *byte == b']'),
        _ => false,
    };
    // What begins like a priority, and is none, is no name either.
    named(&text[..end]).filter(|name| is_tag && name[0] != b'<')
}

/// A name that says something.
fn named(word: &[u8]) -> Option<&[u8]> {
    (!matches!(word, b"" | b"-") && word.len() <= NAME_BYTES_MAX).then_some(word)
}

/// Up to the next space, and what is behind it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

/// Without the spaces in front, and without the colon that some systems put behind the time.
fn spaced(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests;
