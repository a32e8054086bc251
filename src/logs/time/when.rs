//! Times as people write them.
//!
//! ```text
//!   now                          90s, 15m, 2h, 1d12h, 2 weeks    so long ago; also `2h ago` and -2h; +5m is to come
//!   today, yesterday, tomorrow   their midnight; yesterday 14:00     14:00   of today
//!   2026-11-22                   its midnight                        2026-11-22 14:00, 2026-11-22T14:00:00.5+01:00
//!   1763820000, @1763820000.5    seconds since the epoch; ms, us, ns by size
//! ```
//!
//! 1. Days, weeks, months and years go by the calendar of the zone, shorter times by the clock.
//! 2. A time without an offset is one of the zone.
//! 3. What is not understood is named, and what could have been written.

use super::calendar::{Clock, Date};
use super::stamp::{self, forms::Text};
use super::zone::{Zone, micros};
use crate::base::{Error, Result};
use jiff::{Span, SpanRelativeTo};

const FORMS: &str = "write for example now, 90s, 2h ago, -15m, today, yesterday 14:00, 14:00, 2026-11-22, \
                     2026-11-22 14:00, 2026-11-22T14:00:00Z or 1795348800";

const LENGTHS: &str = "write for example 10s, 5m, 1h, 1h30m, 7d or 2w";

/// The longest name of a unit, and so of the word for one.
const WORD_BYTES_MAX: usize = 40;

/// The time that `text` says, in microseconds since the Unix epoch, if it is now `now_us`.
///
/// # Errors
/// `Invalid`, which names what was not understood.
pub fn parse(text: &str, now_us: u64, zone: &Zone) -> Result<u64> {
    let refused = |why: String| Error::invalid("time", format!("{why}; {FORMS}"));
    let given = text.trim();
    let lower = given.to_ascii_lowercase();
    if lower.is_empty() {
        return Err(refused("it is empty".into()));
    }
    let read = match lower.as_str() {
        "now" => Ok(now_us),
        _ => day(&lower, now_us, zone)
            .or_else(|| number(&lower))
            .or_else(|| date(given, zone))
            .or_else(|| clock(given).map(|clock| on_day(0, clock, now_us, zone)))
            .unwrap_or_else(|| ago(&lower, now_us, zone)),
    };
    read.map_err(|why| refused(format!("{why} in {given:?}")))
}

/// Whether `text` means another time later on.
pub fn is_relative(text: &str) -> bool {
    let text = text.trim();
    number(text).is_none() && date(text, &Zone::utc()).is_none()
}

/// A length of time as people write it, `90s`, `1h30m`, `7d`, in microseconds. A day has 24 hours.
///
/// # Errors
/// `Invalid`, which names what was not understood.
pub fn length(text: &str) -> Result<u64> {
    let given = text.trim();
    let refused =
        |why: String| Error::invalid("length of time", format!("{why} in {given:?}; {LENGTHS}"));
    let span = span_of(&given.to_ascii_lowercase()).map_err(refused)?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(refused("months and years have no fixed length".into()));
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let duration =
        span.to_duration(days).ok().and_then(|length| length.as_micros().try_into().ok());
    duration.filter(|us| *us > 0).ok_or_else(|| refused("there is no such length".into()))
}

/// What was read, or what was not understood; `None` if it is none of this form.
type Read = Option<std::result::Result<u64, String>>;

const TOO_FAR: &str = "the time is out of range";

/// `yesterday`, `today 14:00`.
fn day(text: &str, now_us: u64, zone: &Zone) -> Read {
    let (word, rest) = text.split_once(|c: char| c.is_whitespace()).unwrap_or((text, ""));
    let days = match word {
        "yesterday" => -1,
        "today" => 0,
        "tomorrow" => 1,
        _ => return None,
    };
    let rest = rest.trim();
    let time_of_day = match rest {
        "" => Some(Clock::default()),
        _ => clock(rest),
    };
    Some(match time_of_day {
        Some(clock) => on_day(days, clock, now_us, zone),
        None => Err(format!("{rest:?} is no time of day")),
    })
}

/// The moment of a time of day, so many days from today.
fn on_day(days: i64, clock: Clock, now_us: u64, zone: &Zone) -> std::result::Result<u64, String> {
    let moment = || {
        let that = zone.zoned(now_us)?.date().checked_add(Span::new().days(days)).ok()?;
        let [year, month, day] =
            [that.year().into(), i32::from(that.month()), i32::from(that.day())];
        let [year, month, day] = [year, month, day].map(i32::unsigned_abs);
        zone.moment(Date { year, month, day }, clock)
    };
    moment().ok_or_else(|| TOO_FAR.into())
}

/// `1763820000`, `@1763820000.5`.
fn number(text: &str) -> Read {
    let digits = text.strip_prefix('@').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    if whole.len() < 9 && digits == text {
        return Some(Err(format!("{text} has no unit and is too small a number for a date,")));
    }
    let millionths = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let millionths = millionths.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let us = whole.parse().ok().map(|number| match stamp::epoch(number) {
        us if us == number.wrapping_mul(1_000_000) => us + millionths,
        us => us,
    });
    Some(us.ok_or_else(|| TOO_FAR.into()))
}

/// `2026-11-22`, `2026-11-22 14:00`, RFC 3339.
fn date(text: &str, zone: &Zone) -> Read {
    let mut read = Text::new(text.as_bytes(), 0);
    let (date, clock) = read.iso_parts()?;
    if read.at() < text.len() {
        return Some(Err(format!(
            "{:?} is not understood",
            String::from_utf8_lossy(&text.as_bytes()[read.at()..])
        )));
    }
    let moment = zone.moment(date, clock.unwrap_or_default());
    Some(moment.ok_or_else(|| TOO_FAR.into()))
}

/// `14:00`, `14:00:05.5Z`.
fn clock(text: &str) -> Option<Clock> {
    let mut read = Text::new(text.as_bytes(), 0);
    let clock = read.time_of_day()?;
    (read.at() == text.len()).then_some(clock)
}

/// `2h ago`, `-15m`, `1d 12h`, `+5m`.
fn ago(text: &str, now_us: u64, zone: &Zone) -> std::result::Result<u64, String> {
    let past = text.strip_suffix("ago").map(str::trim_end);
    let rest = past.unwrap_or(text);
    let (is_future, rest) = match rest.as_bytes().first() {
        Some(b'+') if past.is_none() => (true, &rest[1..]),
        Some(b'-') if past.is_none() => (false, &rest[1..]),
        _ => (false, rest),
    };
    let span = span_of(rest.trim_start())?;
    let now = zone.zoned(now_us).ok_or(TOO_FAR)?;
    let then = if is_future { now.checked_add(span) } else { now.checked_sub(span) };
    then.ok().and_then(|then| micros(&then)).ok_or_else(|| TOO_FAR.into())
}

/// `1d 12h`.
fn span_of(text: &str) -> std::result::Result<Span, String> {
    let mut rest = text;
    let mut span = Span::new();
    if rest.is_empty() {
        return Err(format!("{rest:?} is not understood"));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let number: i64 = match number.parse() {
            Ok(number) => number,
            Err(_) if number.is_empty() => return Err(unknown(rest)),
            Err(_) => return Err(TOO_FAR.into()),
        };
        span = add(span, number, unit)?;
        rest = behind.trim_start();
    }
    Ok(span)
}

/// What stands where a number should.
fn unknown(rest: &str) -> String {
    let word: String =
        rest.chars().take_while(|c| !c.is_whitespace()).take(WORD_BYTES_MAX).collect();
    format!("{word:?} is not understood")
}

/// A longer span; one unit may stand in it once.
fn add(span: Span, number: i64, unit: &str) -> std::result::Result<Span, String> {
    let longer = match unit {
        "us" | "usec" => span.try_microseconds(span.get_microseconds().saturating_add(number)),
        "ms" | "msec" => span.try_milliseconds(span.get_milliseconds().saturating_add(number)),
        "s" | "sec" | "secs" | "second" | "seconds" => {
            span.try_seconds(span.get_seconds().saturating_add(number))
        }
        "m" | "min" | "mins" | "minute" | "minutes" => {
            span.try_minutes(span.get_minutes().saturating_add(number))
        }
        "h" | "hr" | "hrs" | "hour" | "hours" => {
            span.try_hours(i64::from(span.get_hours()).saturating_add(number))
        }
        "d" | "day" | "days" => span.try_days(i64::from(span.get_days()).saturating_add(number)),
        "w" | "week" | "weeks" => {
            span.try_weeks(i64::from(span.get_weeks()).saturating_add(number))
        }
        "mo" | "month" | "months" => {
            span.try_months(i64::from(span.get_months()).saturating_add(number))
        }
        "y" | "year" | "years" => {
            span.try_years(i64::from(span.get_years()).saturating_add(number))
        }
        "" => return Err(format!("{number} has no unit (us, ms, s, m, h, d, w, mo, y)")),
        _ => return Err(format!("{unit:?} is no unit (us, ms, s, m, h, d, w, mo, y)")),
    };
    longer.map_err(|_| TOO_FAR.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cet() -> Zone {
        Zone::of_rule("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn us(text: &str) -> u64 {
        stamp::whole(text.as_bytes(), 0).unwrap()
    }

    /// Asserts that `text`, at noon (UTC) of the 22nd of November 2026, in the zone means `at`.
    #[track_caller]
    fn means(text: &str, zone: &Zone, at: &str) {
        let read = parse(text, us("2026-11-22T12:00:00Z"), zone).unwrap();
        assert_eq!(Zone::utc().text(read), Zone::utc().text(us(at)), "{text}");
    }

    #[test]
    fn times_as_people_write_them() {
        let (utc, cet) = (Zone::utc(), cet());
        for (text, at) in [
            ("now", "2026-11-22T12:00:00Z"),
            (" NOW ", "2026-11-22T12:00:00Z"),
            ("90s", "2026-11-22T11:58:30Z"),
            ("90 seconds ago", "2026-11-22T11:58:30Z"),
            ("2h ago", "2026-11-22T10:00:00Z"),
            ("2 hours ago", "2026-11-22T10:00:00Z"),
            ("-15m", "2026-11-22T11:45:00Z"),
            ("+15m", "2026-11-22T12:15:00Z"),
            ("1h30m", "2026-11-22T10:30:00Z"),
            ("1 d 12 h ago", "2026-11-21T00:00:00Z"),
            ("2w", "2026-11-08T12:00:00Z"),
            ("1mo", "2026-10-22T12:00:00Z"),
            ("1y", "2025-11-22T12:00:00Z"),
            ("250ms", "2026-11-22T11:59:59.75Z"),
            ("7us", "2026-11-22T11:59:59.999993Z"),
            ("today", "2026-11-22T00:00:00Z"),
            ("Yesterday", "2026-11-21T00:00:00Z"),
            ("tomorrow", "2026-11-23T00:00:00Z"),
            ("today 14:00", "2026-11-22T14:00:00Z"),
            ("yesterday 06:30:15.5", "2026-11-21T06:30:15.5Z"),
            ("14:00", "2026-11-22T14:00:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("2026-11-22 14:00", "2026-11-22T14:00:00Z"),
            ("2026-11-22T14:00:00.123456Z", "2026-11-22T14:00:00.123456Z"),
            ("2026-11-22T14:00:00+02:00", "2026-11-22T12:00:00Z"),
            ("1795348800", "2026-11-22T12:00:00Z"),
            ("@1795348800.25", "2026-11-22T12:00:00.25Z"),
            ("@0", "1970-01-01T00:00:00Z"),
            ("1795348800123", "2026-11-22T12:00:00.123Z"),
            ("1795348800123456", "2026-11-22T12:00:00.123456Z"),
            ("1795348800123456789", "2026-11-22T12:00:00.123456Z"),
        ] {
            means(text, &utc, at);
        }
        means("today", &cet, "2026-11-21T23:00:00Z");
        means("14:00", &cet, "2026-11-22T13:00:00Z");
        means("2026-07-01 14:00", &cet, "2026-07-01T12:00:00Z");
        means("2026-07-01T14:00:00Z", &cet, "2026-07-01T14:00:00Z");
        // The days of a month ago had another offset; a day was 25 hours long, an hour was an hour.
        means("1mo", &cet, "2026-10-22T11:00:00Z");
        means("28d", &cet, "2026-10-25T12:00:00Z");
        means("672h", &cet, "2026-10-25T12:00:00Z");
        means("29d", &cet, "2026-10-24T11:00:00Z");
        means("696h", &cet, "2026-10-24T12:00:00Z");
    }

    #[test]
    fn what_is_not_understood_is_named_with_what_could_be() {
        for (text, named) in [
            ("", "empty"),
            ("soon", "\"soon\""),
            ("tomorow", "\"tomorow\""),
            ("today noon", "\"noon\" is no time of day"),
            ("5 parsecs ago", "\"parsecs\" is no unit"),
            ("2h30 ago", "30 has no unit"),
            ("15", "15 has no unit"),
            ("2026", "2026 has no unit"),
            ("2026-11-22 soon", "soon"),
            ("2026-02-30", "2026-02-30"),
            ("25:00", "25:00"),
            ("ago", "ago"),
            ("-", "-"),
            ("99999999999999999999s", "out of range"),
            ("9000000000000000000h", "out of range"),
            ("99y ago", "out of range"),
            ("99999999999999999999999", "out of range"),
            ("é 5m", "é"),
        ] {
            let error = parse(text, us("2026-11-22T12:00:00Z"), &Zone::utc()).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(named) && said.contains("2h ago"), "{text}: {said}");
        }
    }

    #[test]
    fn lengths_of_time() {
        for (text, us) in [
            ("10s", 10_000_000),
            ("250 ms", 250_000),
            ("1h30m", 5_400_000_000),
            ("7d", 604_800_000_000),
            ("2 weeks", 1_209_600_000_000),
        ] {
            assert_eq!(length(text).unwrap(), us, "{text}");
        }
        for (text, named) in [
            ("", "\"\""),
            ("0s", "no such"),
            ("5", "no unit"),
            ("1mo", "months"),
            ("-5s", "-5s"),
            ("5s ago", "ago"),
        ] {
            let said = length(text).unwrap_err().to_string();
            assert!(said.contains(named) && said.contains("1h30m"), "{text}: {said}");
        }
    }

    #[test]
    fn what_moves_with_the_time_is_known() {
        for text in ["now", "2h ago", "yesterday", "14:00", "-5m"] {
            assert!(is_relative(text), "{text}");
        }
        for text in ["2026-11-22", "2026-11-22T14:00:00Z", "1795348800", "@5"] {
            assert!(!is_relative(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in ".{0,40}", like in "[-+@0-9 :.TZamhdsyogw]{0,24}", now in any::<u64>()) {
            for text in [text, like] {
                for zone in [Zone::utc(), cet()] {
                    let _any_answer = parse(&text, now, &zone);
                }
                let _any_answer = is_relative(&text);
            }
        }
    }
}
