//! Lines as programs write them, and as nobody does.

use super::*;
use proptest::prelude::*;

fn us(text: &str) -> u64 {
    let timestamp: jiff::Timestamp = text.parse().expect("RFC 3339");
    timestamp.as_microsecond() as u64
}

/// 2026-11-22T12:00:00Z.
const NOW: u64 = 1_795_348_800_000_000;

/// Asserts that `line` carries the time `at`, as the text `stamp`.
#[track_caller]
fn carries(line: &str, at: &str, stamp: &str) {
    let (found, range) = recognise(line.as_bytes(), NOW).unwrap_or_else(|| panic!("{line}"));
    assert_eq!((found, &line[range]), (us(at), stamp), "{line}");
}

#[test]
fn iso_times_in_all_their_spellings() {
    let at = "2026-11-22T14:00:05.123456Z";
    for (stamp, moment) in [
        ("2026-11-22T14:00:05.123456Z", at),
        ("2026-11-22t14:00:05.123456z", at),
        ("2026-11-22 14:00:05.123456", at),
        ("2026-11-22 14:00:05,123456", at),
        ("2026-11-22_14:00:05.123456", at),
        ("2026-11-22T14:00:05.123456789Z", at),
        ("2026-11-22T15:00:05.123456+01:00", at),
        ("2026-11-22T15:00:05.123456+0100", at),
        ("2026-11-22T15:00:05.123456+01", at),
        ("2026-11-22T08:30:05.123456-05:30", at),
        ("2026-11-22 15:00:05.123456 +0100", at),
        ("2026-11-22 15:00:05.123456 +01:00", at),
        ("2026-11-22 14:00:05.123456 UTC", at),
        ("2026/11/22 14:00:05.123456", at),
        ("2026-11-22T14:00:05Z", "2026-11-22T14:00:05Z"),
        ("2026-11-22T14:00:05.5Z", "2026-11-22T14:00:05.5Z"),
        ("2026-11-22T14:00Z", "2026-11-22T14:00:00Z"),
        ("2026-11-22T23:59:60Z", "2026-11-23T00:00:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        for (before, after) in [
            ("", ""),
            ("", " INFO started"),
            ("  ", " x"),
            ("[", "] GET /"),
            ("(", ") x"),
            ("<34>1 ", " host app - - - msg"),
            ("<7>", " host app: msg"),
            ("time=\"", "\" level=info"),
            ("ts=", " level=info"),
        ] {
            carries(&format!("{before}{stamp}{after}"), moment, stamp);
        }
    }
}

#[test]
fn what_follows_a_time_is_not_mistaken_for_its_offset() {
    for after in [
        " - started",
        " -5 apples",
        " -1234 is the error",
        " +99",
        " 200 OK",
        " UTCISH",
        " -",
        " Zoe",
    ] {
        let line = format!("2026-11-22 14:00:05{after}");
        carries(&line, "2026-11-22T14:00:05Z", "2026-11-22 14:00:05");
    }
}

#[test]
fn syslog_without_a_year_is_of_the_nearest() {
    carries("<34>Oct 11 22:14:15 mymachine su: x", "2026-10-11T22:14:15Z", "Oct 11 22:14:15");
    carries("Nov  2 01:02:03 host cron[1]: x", "2026-11-02T01:02:03Z", "Nov  2 01:02:03");
    carries("Nov 2 01:02:03.25 host x", "2026-11-02T01:02:03.25Z", "Nov 2 01:02:03.25");
    carries("Jan  3 00:00:00 host x", "2027-01-03T00:00:00Z", "Jan  3 00:00:00");
    carries("Dec 31 23:59:59 host x", "2026-12-31T23:59:59Z", "Dec 31 23:59:59");
    carries("Mar 11 2003 22:14:15 cisco", "2003-03-11T22:14:15Z", "Mar 11 2003 22:14:15");
    let apache = "[Wed Oct 11 14:32:52.127 2000] [error] [client 127.0.0.1] denied";
    carries(apache, "2000-10-11T14:32:52.127Z", "Wed Oct 11 14:32:52.127 2000");
    // Two days after the turn of the year, yesterday's lines are of last year.
    let (found, _) = recognise(b"Dec 31 23:00:00 host x", us("2027-01-02T00:00:00Z")).unwrap();
    assert_eq!(found, us("2026-12-31T23:00:00Z"));
}

#[test]
fn the_common_log_klog_and_numbers() {
    let line = "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326";
    carries(line, "2000-10-10T20:55:36Z", "10/Oct/2000:13:55:36 -0700");
    let line = "[10/Oct/2000:13:55:36.125] frontend backend";
    carries(line, "2000-10-10T13:55:36.125Z", "10/Oct/2000:13:55:36.125");
    let line = "::1 - [a][b] [10/Oct/2000:13:55:36 +0000] x";
    carries(line, "2000-10-10T13:55:36Z", "10/Oct/2000:13:55:36 +0000");
    carries(
        "I1122 14:00:00.123456    7 a.go:1] x",
        "2026-11-22T14:00:00.123456Z",
        "I1122 14:00:00.123456",
    );
    carries("E20261122 14:00:00.5 7 a.cc:1] x", "2026-11-22T14:00:00.5Z", "E20261122 14:00:00.5");
    let at = "2023-11-14T22:13:20.123456Z";
    for stamp in ["1700000000.123456", "1700000000123456", "1700000000123456789"] {
        carries(&format!("{stamp} x"), at, stamp);
        carries(stamp, at, stamp);
    }
    carries("1700000000123: x", "2023-11-14T22:13:20.123Z", "1700000000123");
    carries("[1700000000] x", "2023-11-14T22:13:20Z", "1700000000");
}

#[test]
fn what_is_no_time_is_not_recognised() {
    for line in [
        "",
        " ",
        "[",
        "<",
        "<34>",
        "<34>1 - host app - - - no time",
        "<1234>x",
        "started",
        "March of the penguins",
        "Marc 11 22:14:15",
        "I was here",
        "Info 14:00:00",
        "2026-11-22 is the day",
        "2026-11-22",
        "2026-13-22T14:00:00Z",
        "2026-02-30T14:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T14:60:00Z",
        "2026-11-22T14:00:61Z",
        "2026-11-22T14:00:000Z",
        "2026-11/22 14:00:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "12345",
        "17000000001",
        "1700000000a",
        "1700000000-x",
        "1700000000.1.2.3",
        "0000000001 x",
        "17000000000000000000 x",
        "Feb 30 22:14:15 host",
        "time=",
        "[10/Oct/2000:13:55]",
        "[10/Okt/2000:13:55:36 -0700]",
    ] {
        assert_eq!(recognise(line.as_bytes(), NOW), None, "{line}");
    }
    let late = format!("{}[10/Oct/2000:13:55:36 -0700]", " x".repeat(REACH_BYTES));
    assert_eq!(recognise(late.as_bytes(), NOW), None);
}

#[test]
fn a_whole_text_is_a_time_or_it_is_not() {
    assert_eq!(whole(b" 2026-11-22T12:00:00Z ", NOW), Some(NOW));
    assert_eq!(whole(b"1795348800", NOW), Some(NOW));
    assert_eq!(whole(b"2026-11-22T12:00:00Z x", NOW), None);
    assert_eq!(whole(b"", NOW), None);
}

#[test]
fn numbers_are_taken_by_their_size() {
    let at = 1_700_000_000_000_000;
    for number in [1_700_000_000, 1_700_000_000_000, at, at * 1_000] {
        assert_eq!(epoch(number), at);
    }
    assert_eq!((epoch(0), epoch(99_999_999_999)), (0, 99_999_999_999_000_000));
    assert_eq!((epoch(u64::MAX), epoch(100_000_000_000)), (u64::MAX / 1_000, 100_000_000_000_000));
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_and_what_it_finds_lies_in_the_line(
        mut line in proptest::collection::vec(any::<u8>(), 0..80),
        now in any::<u64>(),
    ) {
        if let Some((_, range)) = recognise(&line, now) {
            prop_assert!(range.start < range.end && range.end <= line.len());
        }
        // What looks like a time goes deeper.
        line.iter_mut().for_each(|byte| *byte = b"0123456789-:TZ ./[<>JanIt=+,"[usize::from(*byte) % 28]);
        if let Some((_, range)) = recognise(&line, now) {
            prop_assert!(range.start < range.end && range.end <= line.len());
        }
    }

    #[test]
    fn a_time_with_a_byte_changed_is_another_or_none_and_never_a_panic(
        form in 0usize..7,
        at in 0usize..40,
        byte in any::<u8>(),
        cut in 0usize..60,
        now in any::<u64>(),
    ) {
        let mut line = [
            &b"<34>1 2026-11-22T14:00:05.123456+01:00 x"[..],
            b"[22/Nov/2026:14:00:00 +0100] x",
            b"Sun Nov 22 14:00:00.123 2026 x",
            b"<3>Nov 22 14:00:00 host",
            b"I1122 14:00:00.123456 7 x",
            b"1700000000.123456 x",
            b"time=\"2026-11-22 14:00:05 +0000\"",
        ][form].to_vec();
        let length = line.len();
        line[at % length] = byte;
        line.truncate(cut);
        if let Some((_, range)) = recognise(&line, now) {
            prop_assert!(range.start < range.end && range.end <= line.len());
        }
    }

    #[test]
    fn every_microsecond_reads_back(at in 0..253_402_300_800_000_000u64, minutes in -14 * 60..=14 * 60i32) {
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).expect("an offset");
        let timestamp = jiff::Timestamp::from_microsecond(at as i64).expect("a time");
        let shown = timestamp.to_zoned(offset.to_time_zone());
        prop_assume!((1970..=9999).contains(&shown.year()));
        let line = format!("{} x", shown.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z"));
        prop_assert_eq!(recognise(line.as_bytes(), NOW).map(|found| found.0), Some(at), "{}", line);
    }
}
