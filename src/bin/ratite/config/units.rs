//! Sizes and times as people write them: a whole number and a unit, and back.
//!
//! 1. What is printed reads back as the same value.
//! 2. A number alone is bytes where a size is asked for. It is refused where a time is: a guess
//!    between seconds and milliseconds would be wrong by a thousand.
//! 3. `KB`, `MB` and single letters are refused: some mean 1,000 by them and some 1,024.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const SIZES: [(&str, u64); 5] = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// In microseconds.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The digits and what stands behind them.
fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}

fn scaled(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let (number, unit) = split(text.trim());
    let known = || units.iter().rev().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let what = format!("it is not a whole number and a unit ({}), like \"{example}\"", known());
    if number.is_empty() || unit.starts_with(|c: char| !c.is_ascii_alphabetic()) {
        return Err(what);
    }
    if unit.is_empty() {
        return Err(format!(
            "it has no unit; write \"{number} {}\", say",
            units[units.len() / 2].0
        ));
    }
    let named = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let Some((_, scale)) = named else {
        return Err(format!("{unit} is none of the units {}", known()));
    };
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
    value.ok_or_else(|| "it is too large a number".into())
}

/// Bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text.trim());
    if unit.is_empty() && !number.is_empty() {
        return number.parse().map_err(|_| "it is too large a number".into()); // 2.
    }
    scaled(text, &SIZES, "64 MiB").map_err(|why| match unit.to_ascii_lowercase().as_str() {
        "k" | "kb" => "it is not clear whether a thousand or 1,024 is meant; write KiB".into(),
        "m" | "mb" => "it is not clear whether a million or 1,024 KiB is meant; write MiB".into(),
        "g" | "gb" => "it is not clear whether a billion or 1,024 MiB is meant; write GiB".into(),
        _ => why,
    })
}

/// A time.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    scaled(text, &TIMES, "100 ms").map(Duration::from_micros)
}

fn written(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: u64| value >= scale && value.is_multiple_of(scale);
    let unit = units.iter().find(|(_, scale)| fits(*scale));
    unit.map_or_else(|| "0".into(), |(name, scale)| format!("{} {name}", value / scale))
}

/// Bytes in the largest unit that is exact.
pub fn size(bytes: u64) -> String {
    if bytes == 0 { "0 B".into() } else { written(bytes, &SIZES) }
}

/// A time in the largest unit that is exact, down to microseconds.
pub fn time(time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 { "0 s".into() } else { written(micros, &TIMES) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        let mut value = 1u64;
        for step in 0..4_000u64 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step) | 1;
            let value = (value >> (step % 64)) << (step % 21);
            assert_eq!(parse_size(&size(value)), Ok(value), "{}", size(value));
            let whole = Duration::from_micros(value);
            assert_eq!(parse_time(&time(whole)), Ok(whole), "{}", time(whole));
        }
        assert_eq!((size(0), time(Duration::ZERO)), ("0 B".into(), "0 s".into()));
        assert_eq!((parse_size("0 B"), parse_time("0 s")), (Ok(0), Ok(Duration::ZERO)));
    }

    #[test]
    fn units_are_read_as_people_write_them() {
        for text in ["256 MiB", "256MiB", " 256 mib ", "262144 KiB", "268435456", "268435456 B"] {
            assert_eq!(parse_size(text), Ok(256 << 20), "{text}");
        }
        for text in ["1500 ms", "1500ms", "1500000 us"] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(1500)), "{text}");
        }
        assert_eq!(parse_time("7 d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_time("2min"), parse_time("120 s"));
    }

    #[test]
    fn a_guess_is_refused_with_what_to_write() {
        let cases = [
            ("64 MB", "MiB"),
            ("64m", "MiB"),
            ("1G", "GiB"),
            ("2k", "KiB"),
            ("1.5 GiB", "whole number"),
            ("-1 B", "whole number"),
            ("", "whole number"),
            ("MiB", "whole number"),
            ("5 parsecs", "parsecs"),
            ("99999999999999999999", "too large"),
            ("99999999999 TiB", "too large"),
        ];
        for (text, says) in cases {
            let why = parse_size(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
        for (text, says) in
            [("100", "no unit"), ("5 m", "min"), ("1 h 5 min", "h 5 min"), ("soon", "whole")]
        {
            let why = parse_time(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
