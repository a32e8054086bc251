//! A token bucket as one number: the time at which it is full again.
//!
//! ```text
//!   now            full at                 now + time to fill an empty one
//!    |----- owed -----|---- what may still be taken ----|
//! ```
//!
//! Taking moves `full at` to the right by the time in which as many tokens come back; it is refused where
//! that would lie behind the right end. The number needs no upkeep while nothing is taken, and a bucket
//! whose number lies in the past is full: as good as one that was never used.
//!
//! I1. In any time `t` at most `burst + rate * t` tokens are taken, but for a nanosecond of rate for each
//!     taking, which rounding may give.

use std::time::Duration;

/// So many in a time, and so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rate {
    /// Tokens that come back ...
    pub count: u64,
    /// ... in this time.
    pub per: Duration,
    /// Tokens of a full bucket.
    pub burst: u64,
}

impl Rate {
    /// `count` in each `per`, `burst` at once. What is 0 is taken as the least that is not: one token, a
    /// nanosecond.
    pub fn new(count: u64, per: Duration, burst: u64) -> Rate {
        let per = per.max(Duration::from_nanos(1));
        Rate { count: count.max(1), per, burst: burst.max(1) }
    }

    /// What the number of a bucket becomes if `cost` tokens are taken at `now`, in nanoseconds; `None` if
    /// there are not so many. What costs more than a full bucket takes a full one, else it would never
    /// come through.
    pub(super) fn take(&self, full_at: u64, now: u64, cost: u64) -> Option<u64> {
        let after = full_at.max(now).saturating_add(self.nanos(cost.min(self.burst)));
        (after - now <= self.nanos(self.burst)).then_some(after)
    }

    /// The time in which `tokens` come back.
    fn nanos(&self, tokens: u64) -> u64 {
        // What is too long for 128 bits is too long for the clock.
        let nanos = u128::from(tokens).saturating_mul(self.per.as_nanos());
        let nanos = nanos / u128::from(self.count.max(1));
        // Half the range, so that sums with a clock's time stay in it: 292 years.
        u64::try_from(nanos).unwrap_or(u64::MAX).min(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_empties_and_fills_by_hand() {
        let rate = Rate::new(2, Duration::from_secs(1), 3);
        let mut full_at = 0;
        let mut take = |now, cost| match rate.take(full_at, now, cost) {
            Some(after) => {
                full_at = after;
                true
            }
            None => false,
        };
        let start = 100 * SECOND;
        assert_eq!([0; 4].map(|_| take(start, 1)), [true, true, true, false]);
        assert!(!take(start + SECOND / 2 - 1, 1));
        assert!(take(start + SECOND / 2, 1));
        assert!(!take(start + SECOND, 2) && take(start + SECOND, 1));
        // Full again, and no fuller for waiting longer.
        assert!(take(start + 100 * SECOND, 3) && !take(start + 100 * SECOND, 1));
        // More than a bucket holds takes all of it.
        assert!(take(start + 200 * SECOND, 1_000) && !take(start + 200 * SECOND, 1));
    }

    #[test]
    fn the_largest_numbers_are_no_trouble() {
        let slow = Rate::new(1, Duration::from_secs(u64::MAX), u64::MAX);
        assert!(slow.take(0, u64::MAX / 2, u64::MAX).is_some());
        let fast = Rate::new(u64::MAX, Duration::from_nanos(1), u64::MAX);
        assert_eq!(fast.take(0, 7, u64::MAX), Some(8));
        let nothing = Rate::new(0, Duration::ZERO, 0);
        assert_eq!((nothing.count, nothing.burst), (1, 1));
        assert!(nothing.take(u64::MAX, 0, 1).is_none());
    }

    /// A bucket as one pictures it: tokens in it, counted in nanotokens.
    struct Twin {
        nano_tokens: u128,
        at: u64,
    }

    impl Twin {
        fn take(&mut self, rate: &Rate, now: u64, cost: u64) -> bool {
            let per = rate.per.as_nanos();
            let came = u128::from(now - self.at) * u128::from(rate.count);
            self.nano_tokens = (self.nano_tokens + came).min(u128::from(rate.burst) * per);
            self.at = now;
            let cost = u128::from(cost.min(rate.burst)) * per;
            let enough = self.nano_tokens >= cost;
            self.nano_tokens -= if enough { cost } else { 0 };
            enough
        }
    }

    #[test]
    fn a_bucket_is_what_its_naive_twin_is() {
        let mut rng = Rng::new(4);
        for _ in 0..500 {
            // Rates whose tokens take whole nanoseconds, so that rounding makes no difference.
            let count = [1, 2, 5, 64, 1_000, 1 << 9][rng.below(6) as usize];
            let rate = Rate::new(count, Duration::from_secs(1 + rng.below(3)), 1 + rng.below(20));
            let start = rng.below(1 << 40);
            let (mut now, mut full_at) = (start, 0);
            let mut twin =
                Twin { nano_tokens: u128::from(rate.burst) * rate.per.as_nanos(), at: start };
            for _ in 0..200 {
                now += rng.below(2 * rate.per.as_nanos() as u64 / count);
                let cost = rng.below(4);
                let taken = rate.take(full_at, now, cost);
                assert_eq!(taken.is_some(), twin.take(&rate, now, cost), "{rate:?} at {now}");
                full_at = taken.unwrap_or(full_at);
            }
        }
    }

    #[test]
    fn no_more_is_taken_than_the_rate_allows_whatever_its_fractions() {
        let mut rng = Rng::new(5);
        for _ in 0..200 {
            let rate = Rate::new(1 + rng.below(997), Duration::from_secs(1), 1 + rng.below(50));
            let (mut now, mut full_at, mut taken) = (0, 0, 0);
            while now < 3 * SECOND {
                if let Some(after) = rate.take(full_at, now, 1) {
                    (full_at, taken) = (after, taken + 1);
                }
                now += rng.below(SECOND / rate.count / 8);
            }
            let most = rate.burst as f64 + rate.count as f64 * (now as f64 / SECOND as f64);
            assert!(taken as f64 <= most + 1e-3, "{rate:?}: {taken} of {most}");
            assert!(
                taken as f64 >= most * 0.9 - rate.burst as f64 - 2.0,
                "{rate:?}: only {taken} of {most}"
            );
        }
    }
}
