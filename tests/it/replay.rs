//! Seeds: a failing one is printed with the command that replays it.
//!
//! `RATITE_SEED=17 cargo test --test it NAME` runs only seed 17 of a test. `RATITE_SECONDS` or `RATITE_RUNS` bounds
//! the long versions, which are ignored by default.
#![allow(clippy::print_stderr, reason = "what a failing test has to say")]

use ratite::io::{Clock, Rng, SystemClock};
use std::ops::Range;

/// Runs `run` for every seed of the range, or for the one that the environment names.
pub fn each_seed(test: &str, seeds: Range<u64>, run: impl Fn(u64)) {
    let seeds = seed().map_or(seeds, |seed| seed..seed + 1);
    for seed in seeds {
        named(test, seed, &run);
    }
}

/// Runs `run` for one seed after the other until `RATITE_SECONDS` (default 60) are over.
pub fn for_seconds(test: &str, run: impl Fn(u64)) {
    let clock = SystemClock::new();
    let seconds = number("RATITE_SECONDS").unwrap_or(60);
    let end = clock.monotonic_nanos() + seconds * 1_000_000_000;
    let mut seed = seed().unwrap_or_else(|| clock.unix_micros());
    eprintln!("{test}: {seconds} seconds from seed {seed} on");
    while clock.monotonic_nanos() < end {
        named(test, seed, &run);
        seed += 1;
    }
}

/// Runs `run` for `RATITE_RUNS` seeds (`runs` if it says nothing), from the one that the environment names on.
pub fn for_runs(test: &str, runs: u64, run: impl Fn(u64)) {
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    let (first, runs) = (seed().unwrap_or(0), number("RATITE_RUNS").unwrap_or(runs));
    for seed in first..first + runs {
        named(test, seed, &run);
    }
    let seconds = (clock.monotonic_nanos() - start) / 1_000_000_000;
    eprintln!("{test}: {runs} seeds from {first} on passed in {seconds} s");
}

/// Runs one seed, and names it if it fails.
pub fn named(test: &str, seed: u64, run: &impl Fn(u64)) {
    let _named = Named(test, seed);
    run(seed);
}

/// Two bytes, to one more than `most`, by chance.
pub fn bytes(seed: u64, most: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut bytes = vec![0; 2 + rng.below(most as u64) as usize];
    rng.fill(&mut bytes);
    bytes
}

/// The seed that the environment names.
pub fn seed() -> Option<u64> {
    number("RATITE_SEED")
}

/// A number of the environment.
pub fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// Names the seed when its run panics.
struct Named<'a>(&'a str, u64);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Named(test, seed) = self;
            eprintln!("seed {seed} failed; again: RATITE_SEED={seed} cargo test --test it {test}");
        }
    }
}
