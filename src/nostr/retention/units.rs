//! Spans of time and sizes as people write them: `30d`, `10GiB`.

/// The seconds that `text` says: digits and one of s, m, h, d, w, y (365 days); digits alone are seconds.
///
/// # Errors
/// A sentence about the text.
pub fn seconds(text: &str) -> Result<u64, String> {
    let units =
        [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800), ("y", 31_536_000)];
    amount(text, &units).ok_or_else(|| format!("{text} is no span of time like 12h, 30d or 1y"))
}

/// The bytes that `text` says: digits and one of B, KiB, MiB, GiB, TiB; digits alone are bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    amount(text, &units).ok_or_else(|| format!("{text} is no size like 500MiB or 10GiB"))
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_what_they_say_and_nothing_else() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("30d"), Ok(30 * 86_400));
        assert_eq!((seconds("2w"), seconds("1y")), (Ok(1_209_600), Ok(31_536_000)));
        assert_eq!((bytes("10GiB"), bytes("7"), bytes("7B")), (Ok(10 << 30), Ok(7), Ok(7)));
        for wrong in ["", "d", "-1d", "1.5d", "1 d", "1D", "99999999999999999999", "1000000000000y"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "GiB", "10GB", "10 GiB", "99999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
