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
    /// A newer version is there.
    Older,
    /// Never stored, by its kind.
    Ephemeral,
    /// Its deletion was asked for, or its author or recipient asked to vanish.
    Deleted,
    /// It has expired.
    Expired,
    /// Not the JSON of an event.
    InvalidJson,
    /// The id is not that of the event.
    BadId,
    /// The signature is not the author's.
    BadSignature,
    /// Over a limit.
    TooLarge,
}

/// Those that are as they should be: the line is an event, and the store is as if it had taken it.
const PASSED: [Fate; 7] = [
    Fate::Inserted,
    Fate::Replaced,
    Fate::Duplicate,
    Fate::Older,
    Fate::Ephemeral,
    Fate::Deleted,
    Fate::Expired,
];

/// Those that the line is to blame for.
const REFUSED: [Fate; 4] = [Fate::InvalidJson, Fate::BadId, Fate::BadSignature, Fate::TooLarge];

const FATES: usize = PASSED.len() + REFUSED.len();

impl Fate {
    /// What the summary calls it.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Inserted => "inserted",
            Fate::Replaced => "replaced",
            Fate::Duplicate => "duplicate",
            Fate::Older => "older version",
            Fate::Ephemeral => "ephemeral",
            Fate::Deleted => "deleted",
            Fate::Expired => "expired",
            Fate::InvalidJson => "invalid json",
            Fate::BadId => "bad id",
            Fate::BadSignature => "bad signature",
            Fate::TooLarge => "too large",
        }
    }

    /// Whether the line is to blame.
    pub fn is_refused(self) -> bool {
        REFUSED.contains(&self)
    }
}

/// Counts of one thread, not yet added to the tally.
#[derive(Default)]
pub struct Counts([u64; FATES]);

impl Counts {
    /// Counts a line.
    pub fn count(&mut self, fate: Fate) {
        self.0[fate as usize] += 1;
    }
}

/// The counts of all threads.
#[derive(Default)]
pub struct Tally {
    fates: [AtomicU64; FATES],
    shown: AtomicU64,
}

impl Tally {
    /// Moves `counts` here.
    pub fn add(&self, counts: &mut Counts) {
        let counts = std::mem::take(counts);
        for (sum, count) in self.fates.iter().zip(counts.0) {
            sum.fetch_add(count, Relaxed);
        }
    }

    /// Says why a line is not stored, if it is among the first `show` of them.
    pub fn reject(&self, show: u64, write: impl FnOnce()) {
        if self.shown.fetch_add(1, Relaxed) < show {
            write();
        }
    }

    /// Lines whose fate is known.
    pub fn lines(&self) -> u64 {
        self.fates.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Lines that were refused.
    pub fn refused(&self) -> u64 {
        REFUSED.map(|fate| self.of(fate)).iter().sum()
    }

    fn of(&self, fate: Fate) -> u64 {
        self.fates[fate as usize].load(Relaxed)
    }

    /// Says the summary, one line, after what was not shown of up to `show` lines.
    pub fn say(&self, show: u64, seconds: f64) {
        let (refused, rejected) = (self.refused(), self.shown.load(Relaxed));
        if show == 0 && refused > 0 {
            let remedy = "--show-rejected names them, --refused FILE keeps them";
            let lines = if refused == 1 { "1 line is" } else { &format!("{refused} lines are") };
            say(format_args!("ratite: {lines} refused; {remedy}"));
        } else if show > 0 && rejected > show {
            say(format_args!("... and {} more; --show-rejected=N shows N", rejected - show));
        }
        let rate = self.lines() as f64 / seconds.max(0.001);
        say(format_args!("{self} in {seconds:.2} s, {rate:.0} a second"));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fate in PASSED {
            write!(f, "{} {}, ", fate.name(), self.of(fate))?;
        }
        write!(f, "refused {} (", self.refused())?;
        for (i, fate) in REFUSED.into_iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", fate.name(), self.of(fate))?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_every_count_once() {
        let (tally, mut counts) = (Tally::default(), Counts::default());
        for (times, fate) in (1..).zip(PASSED.into_iter().chain(REFUSED)) {
            (0..times).for_each(|_| counts.count(fate));
        }
        assert_eq!(tally.refused(), 0);
        tally.add(&mut counts);
        tally.add(&mut counts); // moved, so that nothing counts twice
        assert_eq!(
            tally.to_string(),
            "inserted 1, replaced 2, duplicate 3, older version 4, ephemeral 5, deleted 6, expired 7, \
             refused 38 (invalid json 8, bad id 9, bad signature 10, too large 11)"
        );
        assert_eq!((tally.lines(), tally.refused()), (66, 38));
    }
}
