//! The two clocks: the system's, and one that a test moves by hand.
//!
//! Invariants: 1. monotonic time never goes back, in either clock; 2. a `ManualClock` changes only
//! when told to.

use super::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's clocks. Monotonic time comes from the CPU's time stamp counter where it is reliable
/// (about 10 ns a reading); the first clock of a process is calibrated, which may take some 100 ms.
#[derive(Debug)]
pub struct SystemClock {
    clock: quanta::Clock,
    start: quanta::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> SystemClock {
        let clock = quanta::Clock::new();
        let start = clock.now();
        SystemClock { clock, start }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn unix_micros(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "this is the door through which time enters")]
        let now = SystemTime::now();
        // A clock set before 1970 reads as 1970.
        now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
    }

    fn monotonic_nanos(&self) -> u64 {
        self.clock.now().duration_since(self.start).as_nanos() as u64
    }
}

/// A clock that stands still until it is moved; any thread may move it.
#[derive(Debug)]
pub struct ManualClock {
    unix_micros: AtomicU64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// A clock at `unix_micros` whose monotonic time is 0.
    pub fn new(unix_micros: u64) -> ManualClock {
        ManualClock { unix_micros: unix_micros.into(), monotonic_nanos: 0.into() }
    }

    /// Sets the wall clock, forward or back. Monotonic time does not change.
    pub fn set(&self, unix_micros: u64) {
        self.unix_micros.store(unix_micros, Ordering::Release);
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.unix_micros.fetch_add(by.as_micros() as u64, Ordering::AcqRel);
        self.monotonic_nanos.fetch_add(by.as_nanos() as u64, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn unix_micros(&self) -> u64 {
        self.unix_micros.load(Ordering::Acquire)
    }

    fn monotonic_nanos(&self) -> u64 {
        self.monotonic_nanos.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_of_this_century_and_never_goes_back() {
        let clock = SystemClock::new();
        let year_2024 = 1_704_067_200_000_000;
        assert!((year_2024..10 * year_2024).contains(&clock.unix_micros()));
        let mut last = clock.monotonic_nanos();
        for _ in 0..10_000 {
            let now = clock.monotonic_nanos();
            assert!(now >= last);
            last = now;
        }
        assert!(last > 0);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_to() {
        let clock = ManualClock::new(1_000);
        assert_eq!((clock.unix_micros(), clock.monotonic_nanos()), (1_000, 0));
        clock.advance(Duration::from_micros(5));
        assert_eq!((clock.unix_micros(), clock.monotonic_nanos()), (1_005, 5_000));
        clock.set(3);
        assert_eq!((clock.unix_micros(), clock.monotonic_nanos()), (3, 5_000));
    }
}
