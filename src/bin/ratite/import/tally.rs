//! What became of the lines, counted.

use crate::output::say;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Stored.
    Inserted,
    /// Stored, and an older version is gone.
    Replaced,
    /// It was there already.
    Duplicate,
    /// Not the JSON of an event.
    InvalidJson,
    /// The id is not that of the event.
    BadId,
    /// The signature is not the author's.
    BadSignature,
    /// A newer version is there.
    Older,
    /// Never stored, by its kind.
    Ephemeral,
    /// Its deletion was asked for, or its author or recipient asked to vanish.
    Deleted,
    /// It has expired.
    Expired,
    /// Over a limit.
    TooLarge,
}

const FATES: usize = Fate::TooLarge as usize + 1;

impl Fate {
    /// What the summary calls it.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Inserted => "inserted",
            Fate::Replaced => "replaced",
            Fate::Duplicate => "duplicate",
            Fate::InvalidJson => "invalid json",
            Fate::BadId => "bad id",
            Fate::BadSignature => "bad signature",
            Fate::Older => "older version",
            Fate::Ephemeral => "ephemeral",
            Fate::Deleted => "deleted",
            Fate::Expired => "expired",
            Fate::TooLarge => "too large",
        }
    }
}

/// Why a line counts among the refused.
const REFUSALS: [Fate; 8] = [
    Fate::InvalidJson,
    Fate::BadId,
    Fate::BadSignature,
    Fate::Older,
    Fate::Ephemeral,
    Fate::Deleted,
    Fate::Expired,
    Fate::TooLarge,
];

/// Those that the sender of the line is to blame for.
const FAULTS: [Fate; 4] = [Fate::InvalidJson, Fate::BadId, Fate::BadSignature, Fate::TooLarge];

/// Counts of one thread, not yet added to the tally.
#[derive(Default)]
pub struct Counts {
    fates: [u64; FATES],
    bytes: u64,
}

impl Counts {
    /// Counts a line.
    pub fn count(&mut self, fate: Fate) {
        self.fates[fate as usize] += 1;
    }

    /// Counts bytes of input.
    pub fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

/// The counts of all threads.
#[derive(Default)]
pub struct Tally {
    fates: [AtomicU64; FATES],
    bytes: AtomicU64,
    rejected: AtomicU64,
}

impl Tally {
    /// Moves `counts` here.
    pub fn add(&self, counts: &mut Counts) {
        let counts = std::mem::take(counts);
        for (sum, count) in self.fates.iter().zip(counts.fates) {
            sum.fetch_add(count, Relaxed);
        }
        self.bytes.fetch_add(counts.bytes, Relaxed);
    }

    /// Says why a line is not stored, if it is among the first `show` of them.
    pub fn reject(&self, show: u64, write: impl FnOnce()) {
        if self.rejected.fetch_add(1, Relaxed) < show {
            write();
        }
    }

    /// Bytes of input that were worked on.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Lines whose fate is known.
    pub fn lines(&self) -> u64 {
        self.fates.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Whether every line was an event that is stored, or that the rules have no place for.
    pub fn is_clean(&self) -> bool {
        self.of(&FAULTS) == 0
    }

    fn of(&self, fates: &[Fate]) -> u64 {
        fates.iter().map(|fate| self.fates[*fate as usize].load(Relaxed)).sum()
    }

    /// Says the summary, one line, after what was not shown of up to `show` rejected lines.
    pub fn say(&self, show: u64, seconds: f64) {
        let (faults, rejected) = (self.of(&FAULTS), self.rejected.load(Relaxed));
        if show == 0 && faults > 0 {
            say(format_args!("ratite: {faults} lines are no events; --show-rejected names them"));
        } else if show > 0 && rejected > show {
            say(format_args!("... and {} more; --show-rejected=N shows N", rejected - show));
        }
        let rate = self.lines() as f64 / seconds.max(0.001);
        say(format_args!("{self} in {seconds:.2} s, {rate:.0} a second"));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fate in [Fate::Inserted, Fate::Replaced, Fate::Duplicate] {
            write!(f, "{} {}, ", fate.name(), self.of(&[fate]))?;
        }
        write!(f, "refused {} (", self.of(&REFUSALS))?;
        for (i, fate) in REFUSALS.into_iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", fate.name(), self.of(&[fate]))?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_every_count_once() {
        let all = [
            Fate::Inserted,
            Fate::Replaced,
            Fate::Duplicate,
            Fate::InvalidJson,
            Fate::BadId,
            Fate::BadSignature,
            Fate::Older,
            Fate::Ephemeral,
            Fate::TooLarge,
        ];
        let (tally, mut counts) = (Tally::default(), Counts::default());
        for (times, fate) in (1..).zip(all) {
            (0..times).for_each(|_| counts.count(fate));
        }
        assert!(tally.is_clean());
        tally.add(&mut counts);
        tally.add(&mut counts); // moved, so that nothing counts twice
        assert_eq!(
            tally.to_string(),
            "inserted 1, replaced 2, duplicate 3, refused 39 (invalid json 4, bad id 5, \
             bad signature 6, older version 7, ephemeral 8, too large 9)"
        );
        assert_eq!(tally.lines(), 45);
        assert!(!tally.is_clean());
    }

    #[test]
    fn older_and_ephemeral_events_are_nobodys_fault() {
        let (tally, mut counts) = (Tally::default(), Counts::default());
        for fate in [Fate::Inserted, Fate::Duplicate, Fate::Older, Fate::Ephemeral] {
            counts.count(fate);
        }
        tally.add(&mut counts);
        assert!(tally.is_clean());
    }
}
