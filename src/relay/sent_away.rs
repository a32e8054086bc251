//! Who was turned away or dropped, and why: counted for everyone, said to the log without letting anyone flood it.
//!
//! ```text
//!   warn   which reason, how often so far           at the 1st, 2nd, 4th, 8th ... time
//!   debug  which reason, from where                 LINES_MAX a second, and how many were left out
//! ```
//!
//! Addresses are personal data, so they are said at `debug` only.
//!
//! I1. What is logged is the relay's own words and an address, never what a client sent.

use super::stats::Counter;
use std::cell::Cell;
use std::net::IpAddr;

/// Lines with addresses of one thread in one second: a few MB an hour if it never ends.
const LINES_MAX: u32 = 10;

const SECOND_NANOS: u64 = 1_000_000_000;

/// What one thread has logged in this second.
#[derive(Default)]
pub(super) struct SentAway {
    since_nanos: Cell<u64>,
    lines: Cell<u32>,
    left_out: Cell<u64>,
}

impl SentAway {
    /// Counts a client that was sent away and says so to the log. `now` in nanoseconds of the monotonic clock.
    pub(super) fn note(&self, counter: &Counter, now: u64, from: IpAddr, why: &str) {
        let why = why.trim_end();
        if counter.add_and_tell() {
            let so_far = counter.get();
            tracing::warn!(why, so_far, "clients are sent away; from where, the log says at debug");
        }
        if let Some(left_out) = self.admit(now) {
            tracing::debug!(%from, why, left_out, "a client was sent away");
        }
    }

    /// Whether a line may be logged now; if so, how many were not since the last.
    fn admit(&self, now: u64) -> Option<u64> {
        if now.saturating_sub(self.since_nanos.get()) >= SECOND_NANOS {
            self.since_nanos.set(now);
            self.lines.set(0);
        }
        if self.lines.get() >= LINES_MAX {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_a_second_and_none_is_forgotten() {
        let sent = SentAway::default();
        let lines = |now: u64| (0..1_000).filter_map(|_| sent.admit(now)).collect::<Vec<_>>();
        assert_eq!(lines(5), [0; 10]);
        assert_eq!(lines(SECOND_NANOS - 1), [0; 0]);
        let later = lines(SECOND_NANOS);
        assert_eq!((later.len(), later[0], later[1..].iter().sum::<u64>()), (10, 1_990, 0));
    }
}
