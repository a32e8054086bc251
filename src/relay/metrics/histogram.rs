//! How long things took: a histogram of one thread, and the sum over the threads.
//!
//! Each front-end thread writes its own, so that recording is two additions to a cache line that no other
//! core writes to. The bounds are those that dashboards are used to, and finer below a millisecond, where most
//! of what a relay does ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Upper bounds of the buckets, in nanoseconds, inclusive.
const BOUNDS: [u64; 19] = [
    10 * MICROSECOND,
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2_500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2_500 * MILLISECOND,
    5 * SECOND,
    10 * SECOND,
];

/// The bounded ones, and one for what took longer.
const BUCKETS: usize = BOUNDS.len() + 1;

/// The latencies of one thread.
#[derive(Default)]
pub(in crate::relay) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts something that took so long.
    pub(in crate::relay) fn record(&self, nanos: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_nanos.fetch_add(nanos, Relaxed);
    }
}

/// The latencies of several threads together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::relay) struct Distribution {
    counts: [u64; BUCKETS],
    sum_nanos: u64,
}

impl Distribution {
    pub(in crate::relay) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Relaxed);
        }
        self.sum_nanos += histogram.sum_nanos.load(Relaxed);
    }

    /// Upper bounds in seconds, and how many came between a bound and the one before.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let seconds = |nanos: &u64| *nanos as f64 / SECOND as f64;
        let bounds = BOUNDS.iter().map(seconds).chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_nanos as f64 / SECOND as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_first_bucket_that_it_fits() {
        let (a, b) = (Histogram::default(), Histogram::default());
        a.record(0);
        a.record(10 * MICROSECOND);
        b.record(10 * MICROSECOND + 1);
        b.record(SECOND);
        b.record(u64::from(u32::MAX) * SECOND);
        let mut sum = Distribution::default();
        sum.add(&a);
        sum.add(&b);
        assert_eq!(sum.count(), 5);
        let buckets = sum.buckets();
        assert_eq!(buckets[0], (0.00001, 2));
        assert_eq!(buckets[1], (0.000025, 1));
        assert!(buckets.contains(&(1.0, 1)) && buckets.contains(&(f64::INFINITY, 1)));
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 5);
    }
}
