//! The time zone in which a person reads and writes times, and times as text.
//!
//! 1. What `write` writes, `read` reads back to the microsecond, in whatever zone.
//! 2. It is RFC 3339 with six digits of a fraction and, in UTC, `Z`. Beyond the year 9999, which RFC 3339 has no
//!    room for, it is `@` and microseconds, as in `@253402300800000000us`.

use super::calendar::{Clock, Date, moment};
use super::{DAY_US, SECOND_US, stamp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    is_utc: bool,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { zone: TimeZone::UTC, is_utc: true }
    }

    /// The zone of this machine, as `TZ` and `/etc/localtime` say; UTC if they do not.
    pub fn local() -> Zone {
        Zone { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC), is_utc: false }
    }

    /// The zone of a rule as `TZ` may hold it: `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn of_rule(rule: &str) -> Option<Zone> {
        Some(Zone { zone: TimeZone::posix(rule).ok()?, is_utc: false })
    }

    /// Appends a time in microseconds since the Unix epoch. No allocation but that of `out`.
    pub fn write(&self, us: u64, out: &mut Vec<u8>) {
        let Some(timestamp) = timestamp(us) else {
            out.extend_from_slice(format!("@{us}us").as_bytes());
            return;
        };
        let offset = self.zone.to_offset(timestamp);
        let at = offset.to_datetime(timestamp);
        let mut digits = |value: u32, count: u32, after: &[u8]| {
            (0..count)
                .rev()
                .for_each(|place| out.push(b'0' + (value / 10u32.pow(place) % 10) as u8));
            out.extend_from_slice(after);
        };
        digits(at.year().unsigned_abs().into(), 4, b"-");
        digits(at.month().unsigned_abs().into(), 2, b"-");
        digits(at.day().unsigned_abs().into(), 2, b"T");
        digits(at.hour().unsigned_abs().into(), 2, b":");
        digits(at.minute().unsigned_abs().into(), 2, b":");
        digits(at.second().unsigned_abs().into(), 2, b".");
        digits(at.subsec_nanosecond().unsigned_abs() / 1_000, 6, b"");
        if self.is_utc {
            return digits(0, 0, b"Z");
        }
        let minutes = offset.seconds() / 60;
        digits(0, 0, if minutes < 0 { b"-" } else { b"+" });
        digits(minutes.unsigned_abs() / 60, 2, b":");
        digits(minutes.unsigned_abs() % 60, 2, b"");
    }

    /// The same as text.
    pub fn text(&self, us: u64) -> String {
        let mut out = Vec::with_capacity(32);
        self.write(us, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A time on this zone's calendar.
    pub(super) fn zoned(&self, us: u64) -> Option<Zoned> {
        Some(timestamp(us)?.to_zoned(self.zone.clone()))
    }

    /// The moment of a date and a time of day. A clock without an offset is one of this zone; what it shows twice is the
    /// earlier, what it skips is as long after midnight as it would have been.
    pub(super) fn moment(&self, date: Date, clock: Clock) -> Option<u64> {
        if self.is_utc || clock.offset.is_some() {
            return moment(date, clock);
        }
        let as_if_utc = timestamp(moment(date, clock)?)?;
        let local: DateTime = TimeZone::UTC.to_datetime(as_if_utc);
        micros(&local.to_zoned(self.zone.clone()).ok()?)
    }
}

/// What [`Zone::write`] wrote, and other times that fill a text. `now_us` gives years that it does not tell.
pub fn read(text: &str, now_us: u64) -> Option<u64> {
    let beyond = text.strip_prefix('@').and_then(|rest| rest.strip_suffix("us"));
    beyond.map_or_else(|| stamp::whole(text.as_bytes(), now_us), |number| number.parse().ok())
}

/// The first microsecond after the year 9999, less a day: zones west of UTC show none beyond.
const END_US: u64 = 253_402_300_800 * SECOND_US - DAY_US;

fn timestamp(us: u64) -> Option<Timestamp> {
    let us = i64::try_from(us).ok().filter(|_| us < END_US)?;
    Timestamp::from_microsecond(us).ok()
}

pub(super) fn micros(zoned: &Zoned) -> Option<u64> {
    zoned.timestamp().as_microsecond().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of central Europe.
    pub fn cet() -> Zone {
        Zone::of_rule("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn what_is_written_reads_back() {
        let newfoundland = Zone::of_rule("NST3:30").unwrap();
        let times = [0, 1, SECOND_US, 1_795_348_800_123_456, END_US - 1, END_US, u64::MAX];
        for us in times.into_iter().chain((0..400).map(|day| day * DAY_US * 31 + 7)) {
            for zone in [&Zone::utc(), &cet(), &newfoundland, &Zone::local()] {
                let text = zone.text(us);
                let before_the_epoch = text.starts_with("1969");
                assert!(before_the_epoch || read(&text, 0) == Some(us), "{us} as {text}");
            }
        }
        assert_eq!(Zone::utc().text(1_795_348_800_000_007), "2026-11-22T12:00:00.000007Z");
        assert_eq!(cet().text(1_795_348_800_000_007), "2026-11-22T13:00:00.000007+01:00");
        assert_eq!(newfoundland.text(0), "1969-12-31T20:30:00.000000-03:30");
        assert_eq!(Zone::utc().text(u64::MAX), "@18446744073709551615us");
    }
}
