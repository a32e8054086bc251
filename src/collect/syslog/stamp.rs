//! Times in syslog messages: ISO 8601 as RFC 5424 has it, and the form of RFC 3164.
//!
//! ```text
//!   iso   2003-10-11T22:14:15.003Z   -07:00, +0200; a space for the T; no zone
//!   bsd   Oct 11 22:14:15            Oct  1, a year before or behind, .123, a zone's name, a colon behind
//! ```
//!
//! I1. A time counts only if it says its zone. RFC 3164's has no year, no zone and whole seconds: when the message
//!     arrived is known better. It is recognised, so that what stands behind it is found.

/// A time as it was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<u64>);

impl Stamp {
    /// Microseconds since the Unix epoch, if the zone is known (I1) and it is not before the epoch.
    pub(super) fn micros(self) -> Option<u64> {
        self.0
    }
}

const MICROS: u64 = 1_000_000;

/// A time of ISO 8601 at the start of `text`, and its bytes.
pub(super) fn iso(text: &[u8]) -> Option<(Stamp, usize)> {
    let mut rest = text;
    let year = digits::<4>(&mut rest)?;
    let month = after(&mut rest, b"-").and_then(|()| digits::<2>(&mut rest))?;
    let day = after(&mut rest, b"-").and_then(|()| digits::<2>(&mut rest))?;
    after(&mut rest, b"Tt ")?;
    let seconds = of_day(&mut rest)?;
    if !(1..=12).contains(&month) || day == 0 || day > days_of(year, month) {
        return None;
    }
    let fraction = fraction(&mut rest);
    let zone = zone(&mut rest);
    let in_zone = days_since_epoch(year, month, day) * 86_400 + seconds as i64;
    let utc = zone.and_then(|zone| u64::try_from(in_zone - zone).ok());
    let bytes = text.len() - rest.len();
    // "2026-11-22T06:00:00x" is a word, and no time.
    let ends = matches!(rest.first(), None | Some(b' ' | b':'));
    ends.then_some((Stamp(utc.map(|seconds| seconds * MICROS + fraction)), bytes))
}

/// A time of RFC 3164 at the start of `text`, with the variants that are in use, and its bytes.
pub(super) fn bsd(text: &[u8]) -> Option<(Stamp, usize)> {
    let mut rest = text;
    // What Cisco's devices say of a clock that is not set.
    let _unset = after(&mut rest, b"*.");
    month(&mut rest)?;
    after(&mut rest, b" ")?;
    let _padding = after(&mut rest, b" ");
    let day = digits::<2>(&mut rest).or_else(|| digits::<1>(&mut rest))?;
    after(&mut rest, b" ")?;
    if year(&mut rest).is_some() {
        after(&mut rest, b" ")?;
    }
    of_day(&mut rest)?;
    fraction(&mut rest);
    // A year belongs to the time, with a zone's name in front or not; a zone's name alone may be a host.
    let mut behind = rest;
    if after(&mut behind, b" ").is_some() {
        let _zone = zone_name(&mut behind);
        if year(&mut behind).is_some() {
            rest = behind;
        }
    }
    let _colon = after(&mut rest, b":");
    let ends = matches!(rest.first(), None | Some(b' '));
    (ends && (1..=31).contains(&day)).then_some((Stamp(None), text.len() - rest.len()))
}

/// `22:14:15`, in seconds. A leap second is the one before.
fn of_day(rest: &mut &[u8]) -> Option<u64> {
    let hour = digits::<2>(rest)?;
    let minute = after(rest, b":").and_then(|()| digits::<2>(rest))?;
    let second = after(rest, b":").and_then(|()| digits::<2>(rest))?;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    is_time.then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// `.123`, in microseconds; finer digits are dropped.
fn fraction(rest: &mut &[u8]) -> u64 {
    let behind = match rest {
        [b'.' | b',', behind @ ..] => behind,
        _ => return 0,
    };
    let count = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return 0;
    }
    *rest = &behind[count..];
    let digits = behind[..count].iter().copied().chain(std::iter::repeat(b'0')).take(6);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// `Z`, `+02:00` or `+0200`, in seconds east.
fn zone(rest: &mut &[u8]) -> Option<i64> {
    if after(rest, b"Zz").is_some() {
        return Some(0);
    }
    let mut behind = *rest;
    let sign = match behind.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    behind = &behind[1..];
    let hours = digits::<2>(&mut behind)?;
    let _colon = after(&mut behind, b":");
    let minutes = digits::<2>(&mut behind)?;
    *rest = behind;
    (hours < 24 && minutes < 60).then(|| sign * (hours * 3600 + minutes * 60) as i64)
}

/// Letters such as `CET` or `TZ`, and the space behind them.
fn zone_name(rest: &mut &[u8]) -> Option<()> {
    let letters = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let behind = rest[letters..].strip_prefix(b" ")?;
    (2..=5).contains(&letters).then(|| *rest = behind)
}

fn year(rest: &mut &[u8]) -> Option<()> {
    let mut behind = *rest;
    digits::<4>(&mut behind)?;
    matches!(behind.first(), None | Some(b' ' | b':')).then(|| *rest = behind)
}

fn month(rest: &mut &[u8]) -> Option<()> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (name, behind) = rest.split_first_chunk::<3>()?;
    let is_month = MONTHS.chunks(3).any(|month| month.eq_ignore_ascii_case(name));
    is_month.then(|| *rest = behind)
}

/// Exactly `N` digits.
fn digits<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let (number, behind) = rest.split_first_chunk::<N>()?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = behind;
    Some(number.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// One of the bytes of `any`.
fn after(rest: &mut &[u8], any: &[u8]) -> Option<()> {
    let (first, behind) = rest.split_first()?;
    any.contains(first).then(|| *rest = behind)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01; negative before.
fn days_since_epoch(year: u64, month: u64, day: u64) -> i64 {
    let leaps = |years: u64| (years / 4 - years / 100 + years / 400) as i64;
    // The years before this one, as the Gregorian calendar would have had them from year 1 on.
    let before = year.saturating_sub(1);
    let years = year as i64 * 365 + leaps(before) - (1970 * 365 + leaps(1969));
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years + (months + day) as i64 - 1
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A time as RFC 5424 has it, by walking the calendar day by day: slow, and another way than above.
    pub(in crate::collect::syslog) fn written(micros: u64) -> String {
        let (mut days, in_day) = (micros / 86_400_000_000, micros % 86_400_000_000);
        let (mut year, mut month) = (1970, 1);
        while days >= days_of(year, month) {
            days -= days_of(year, month);
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        let (seconds, micros) = (in_day / MICROS, in_day % MICROS);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!(
            "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z",
            days + 1
        )
    }

    fn micros(text: &str) -> Option<u64> {
        let (stamp, bytes) = iso(text.as_bytes())?;
        assert_eq!(bytes, text.len());
        stamp.micros()
    }

    #[test]
    fn each_day_of_two_centuries_is_read_as_it_was_written() {
        for day in 0..73_000 {
            let then = day * 86_400_000_000 + day * 1_000_003;
            assert_eq!(micros(&written(then)), Some(then));
        }
    }

    #[test]
    fn zones_count_and_times_without_one_are_recognised_only() {
        assert_eq!(micros("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(micros("1970-01-01T01:00:00.5+0100"), Some(500_000));
        assert_eq!(micros("1969-12-31T23:59:59-00:01"), Some(59_000_000));
        assert_eq!(micros("1970-01-01t00:00:01z"), Some(1_000_000));
        assert_eq!(micros("1970-01-01 00:00:01,123456789Z"), Some(1_123_456));
        assert_eq!(micros("2016-12-31T23:59:60Z"), Some(1_483_228_799_000_000));
        assert_eq!(micros("1970-01-01T00:00:00"), None);
        assert_eq!(micros("1960-01-01T00:00:00Z"), None);
        assert_eq!(micros("0000-01-01T00:00:00Z"), None);
        for no_time in
            ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-22T24:00:00Z", "2026-1"]
        {
            assert_eq!(iso(no_time.as_bytes()), None, "{no_time}");
        }
        assert_eq!(iso(b"2026-11-22T06:00:00Zebra"), None);
    }

    #[test]
    fn the_forms_of_rfc_3164_end_where_they_end() {
        let behind = |text: &'static str| bsd(text.as_bytes()).map(|(_, bytes)| &text[bytes..]);
        assert_eq!(behind("Oct 11 22:14:15 host"), Some(" host"));
        assert_eq!(behind("Oct  1 22:14:15.123 host"), Some(" host"));
        assert_eq!(behind("Oct 1 22:14:15"), Some(""));
        assert_eq!(behind("Oct 11 2003 22:14:15: %ASA"), Some(" %ASA"));
        assert_eq!(behind("Oct 11 22:14:15 2003 host"), Some(" host"));
        assert_eq!(behind("Oct 11 22:14:15 CEST 2003: host"), Some(" host"));
        assert_eq!(behind("Oct 11 22:14:15 CEST app:"), Some(" CEST app:"));
        assert_eq!(behind(".Oct 11 22:14:15 host"), Some(" host"));
        for no_time in
            ["Okt 11 22:14:15", "Oct 32 22:14:15", "Oct 11 22:14", "Oct 11 22:14:15x", "Oct"]
        {
            assert_eq!(behind(no_time), None, "{no_time}");
        }
    }
}
