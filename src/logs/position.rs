//! The place of a record in the order of its store: what appending returns and seeking takes.
//!
//! ```text
//!   1732243200000000-1732243200123456        its time, and its arrival
//! ```
//!
//! I1. Positions compare as their records come, oldest first.

use crate::base::{Error, Key, Result};
use std::fmt;
use std::str::FromStr;

/// Where a record stands. It stays good when records are sealed or merged, and when the store is opened again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The record's time, in microseconds since the Unix epoch.
    pub ts: u64,
    /// Its number in the order of appending, which leaves numbers out; no two records have the same.
    pub arrival: u64,
}

impl Position {
    /// The key of the record.
    pub(super) fn key(self) -> Key {
        Key::own(self.ts, !self.arrival)
    }

    /// The position of the record with `key`.
    pub(super) fn of(key: &Key) -> Position {
        let mut arrival = [0; 8];
        arrival.copy_from_slice(&key.id[..8]);
        Position { ts: key.time, arrival: !u64::from_be_bytes(arrival) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ts, self.arrival)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Position> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|_| plain)
        };
        let parsed = text.split_once('-').and_then(|(ts, arrival)| {
            Some(Position { ts: number(ts)?, arrival: number(arrival)? })
        });
        parsed.ok_or_else(|| Error::invalid("position", format!("{text:?} is not TIME-ARRIVAL")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_as_keys_do_and_come_back_from_keys_and_texts() {
        let edges = [0, 1, 2, 255, 256, u64::MAX - 1, u64::MAX];
        let all = edges.iter().flat_map(|&ts| edges.map(|arrival| Position { ts, arrival }));
        let all: Vec<Position> = all.collect();
        assert!(all.is_sorted());
        assert!(all.iter().map(|p| p.key()).is_sorted(), "I1");
        for p in all {
            assert_eq!((Position::of(&p.key()), p.to_string().parse().unwrap()), (p, p));
        }
        for bad in ["", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "18446744073709551616-0"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
