//! Realistic log lines from a seed, for tests, benches and the tool: the same bytes for ever.
//!
//! ```text
//!   Generator::line(index)   any line, on any thread, in any order: time, source, bytes; 0.2 us
//!   Generator::needle(index) a token that this line has and no other of the seed
//! ```
//!
//! Built after what a few hundred machines write: six kinds of programs ([`lines`]), few sources with most of
//! the lines, few words, users and addresses in most of them, every line with a request's id. A line depends
//! on the seed and its index alone, so that producers share nothing, and whoever knows the index knows what
//! is in the line. No floating point and no hash order takes part; a test pins the bytes.
//!
//! 1. Without the late ones, times ascend with the index.

mod lines;
mod text;
mod words;

use self::lines::SERVICES;
use self::words::{Table, Words};
use crate::io::Rng;

/// Sources that write; the n-th has a weight of 1/n.
pub const SOURCES: usize = 200;

/// One line of so many is late.
const LATE_ONE_IN: u32 = 500;

/// The furthest that a late line lies behind, in microseconds.
const LATE_US_MAX: u64 = 2_000_000;

/// Odd, so that indexes stay apart; the golden ratio's fraction, as in SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Config {
    /// Another seed gives other lines.
    pub seed: u64,
    /// Time of the first line, in microseconds since the Unix epoch.
    pub start_us: u64,
    /// Microseconds from line to line, on average; each gap is 0.18 to 1.82 of it.
    pub gap_us: u64,
}

impl Default for Config {
    /// Seed 1, from the first of 2026, 18,000 lines a second.
    fn default() -> Config {
        Config { seed: 1, start_us: 1_767_225_600_000_000, gap_us: 55 }
    }
}

/// What is to be known of a line beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds since the Unix epoch.
    pub ts: u64,
    /// Rank of the source, below [`SOURCES`]; see [`Generator::source`].
    pub source: usize,
}

/// An endless sequence of lines. Costs half a millisecond and 0.5 MB.
#[derive(Debug)]
pub struct Generator {
    config: Config,
    words: Words,
    sources: Table,
    names: Vec<String>,
}

impl Generator {
    /// The sequence of `config`.
    pub fn new(config: &Config) -> Generator {
        let name = |rank: usize| {
            let service = SERVICES[rank % SERVICES.len()].0;
            format!("{service}-{:02}", rank / SERVICES.len())
        };
        Generator {
            config: config.clone(),
            words: Words::new(),
            sources: Table::new(SOURCES),
            names: (0..SOURCES).map(name).collect(),
        }
    }

    /// Appends the bytes of line `index` to `out`, without a line break; there is none within either.
    pub fn line(&self, index: u64, out: &mut Vec<u8>) -> Line {
        let (line, mut rng) = self.head(index);
        let write = SERVICES[line.source % SERVICES.len()].1;
        write(&mut lines::Draft {
            out,
            rng: &mut rng,
            words: &self.words,
            ts: line.ts,
            source: &self.names[line.source],
            id: self.id(index),
        });
        line
    }

    /// Time and source of line `index`, which cost a tenth of the line.
    pub fn about(&self, index: u64) -> Line {
        self.head(index).0
    }

    /// The token that line `index` has and no other: its request's id.
    pub fn needle(&self, index: u64) -> String {
        format!("{:016x}", self.id(index))
    }

    /// A token of the shape of a needle that no line below `2^63` has.
    pub fn missing(&self, index: u64) -> String {
        self.needle(index | 1 << 63)
    }

    /// Name of the source of a rank.
    ///
    /// # Panics
    /// If `rank` is not below [`SOURCES`].
    pub fn source(&self, rank: usize) -> &str {
        &self.names[rank]
    }

    /// The word of a rank: rank 0 is in every sixth line, rank n about n times less often.
    ///
    /// # Panics
    /// If there is no such rank; there are 4,096.
    pub fn word(&self, rank: usize) -> &str {
        self.words.word(rank)
    }

    /// One to one from indexes to ids, as each step of it is.
    fn id(&self, index: u64) -> u64 {
        Rng::new(self.config.seed.wrapping_mul(STEP) ^ index).next_u64()
    }

    fn head(&self, index: u64) -> (Line, Rng) {
        // Not the id itself: what follows it in its own stream is the ids of other lines.
        let mut rng = Rng::new(self.id(index).rotate_left(32));
        let jitter = rng.below(self.config.gap_us * 9 / 11 + 1);
        let due = self.config.start_us + self.config.gap_us * index + jitter;
        let late = if rng.chance(LATE_ONE_IN) { rng.below(LATE_US_MAX) } else { 0 };
        let source = self.sources.rank(rng.next_u64());
        (Line { ts: due.saturating_sub(late), source }, rng)
    }
}

#[cfg(test)]
mod tests;
