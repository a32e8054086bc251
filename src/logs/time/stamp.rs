//! Recognising the time that a log line carries.
//!
//! ```text
//!   2026-11-22T14:00:00.123456+01:00 ..   RFC 3339, ISO 8601: T or space, point or comma, with or without seconds
//!   2026/11/22 14:00:00 ..                nginx's error log, Go's log
//!   <34>1 2026-11-22T14:00:00Z ..         syslog, RFC 5424
//!   <34>Nov 22 14:00:00 host ..           syslog, RFC 3164: the year nearest to now
//!   [Sun Nov 22 14:00:00.123 2026] ..     Apache's error log
//!   1.2.3.4 - - [22/Nov/2026:14:00:00 +0100] ..   common log of Apache, nginx, HAProxy
//!   I1122 14:00:00.123456 ..              klog, glog: the year nearest to now
//!   1763820000.123 ..                     epoch: 10 digits are s, 13 ms, 16 us, 19 ns
//!   time="2026-11-22T14:00:00Z" ..        logfmt that begins with it
//! ```
//!
//! 1. Any bytes are taken, and never more than [`REACH_BYTES`] of them are looked at, digits of a fraction aside.
//! 2. A time without an offset is one of UTC.
//! 3. A time stands at the beginning of a line, behind brackets and what syslog puts there; only that of the
//!    common log may stand later.
//! 4. What is no date or no time of day (the 30th of February, 25:00) is not recognised, rather than guessed.

pub(super) mod forms;
#[cfg(test)]
mod tests;

use forms::Text;
use memchr::memchr;
use std::ops::Range;

/// How far into a line a time of the common log is looked for: host, identity and user are short.
pub const REACH_BYTES: usize = 256;

/// Brackets that are looked behind for a time of the common log: user names may have some.
const BRACKETS_MAX: usize = 3;

/// The names that logfmt gives a time.
const NAMES: [&[u8]; 4] = [b"time=", b"ts=", b"timestamp=", b"t="];

/// The time of a line, in microseconds since the Unix epoch, and where in the line it stands. `now_us` is what years
/// are taken from that the line does not tell. Costs some tens of nanoseconds and no allocation.
#[inline]
pub fn recognise(line: &[u8], now_us: u64) -> Option<(u64, Range<usize>)> {
    let start = head(line);
    at(line, start, now_us).or_else(|| common(line, start))
}

/// The time that a text consists of, spaces around it aside: the value of a field, say.
pub fn whole(text: &[u8], now_us: u64) -> Option<u64> {
    let text = text.trim_ascii();
    at(text, 0, now_us).filter(|(_, range)| range.end == text.len()).map(|(us, _)| us)
}

/// A number of seconds, milliseconds, microseconds or nanoseconds since the Unix epoch, by its size, in microseconds.
/// Below 10^11 it is seconds (until the year 5138), below 10^14 milliseconds, below 10^17 microseconds.
pub fn epoch(number: u64) -> u64 {
    match number {
        0..=99_999_999_999 => number * 1_000_000,
        100_000_000_000..=99_999_999_999_999 => number * 1_000,
        100_000_000_000_000..=99_999_999_999_999_999 => number,
        _ => number / 1_000,
    }
}

/// Where a line begins, behind what may stand before a time.
fn head(line: &[u8]) -> usize {
    let mut at = line.iter().take(8).take_while(|b| matches!(b, b' ' | b'\t')).count();
    if let Some(rest) = line.get(at..).filter(|rest| rest.first() == Some(&b'<')) {
        at += priority(rest);
    } else if matches!(line.get(at), Some(b't')) {
        let rest = &line[at..];
        let name = NAMES.iter().find(|name| rest.starts_with(name));
        at += name.map_or(0, |name| name.len());
        at += usize::from(line.get(at) == Some(&b'"') && name.is_some());
    }
    at + usize::from(matches!(line.get(at), Some(b'[' | b'(')))
}

/// Bytes of `<34>` or `<34>1 `.
fn priority(line: &[u8]) -> usize {
    let digits = line[1..].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let end = 1 + digits;
    if !(1..=3).contains(&digits) || line.get(end) != Some(&b'>') {
        return 0;
    }
    match line.get(end + 1..) {
        Some([b'1'..=b'9', b' ', ..]) => end + 3,
        _ => end + 1,
    }
}

/// A time that begins exactly here.
fn at(line: &[u8], start: usize, now_us: u64) -> Option<(u64, Range<usize>)> {
    let mut text = Text::new(line, start);
    let us = match text.peek() {
        b'0'..=b'9' => text.iso().or_else(|| {
            text = Text::new(line, start);
            text.epoch()
        })?,
        b'A'..=b'Z' | b'a'..=b'z' => text.klog(now_us).or_else(|| {
            text = Text::new(line, start);
            text.named_month(now_us)
        })?,
        _ => return None,
    };
    Some((us, start..text.at()))
}

/// A time of the common log, somewhere in the first bytes.
fn common(line: &[u8], from: usize) -> Option<(u64, Range<usize>)> {
    let reach = &line[..line.len().min(REACH_BYTES)];
    let mut start = from;
    let is_bracketed = from > 0 && line[from - 1] == b'[';
    for bracket in 0..=BRACKETS_MAX {
        if bracket > 0 || !is_bracketed {
            start += memchr(b'[', reach.get(start..)?)? + 1;
        }
        let mut text = Text::new(line, start);
        if let Some(us) = text.common() {
            return Some((us, start..text.at()));
        }
    }
    None
}
