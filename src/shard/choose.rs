//! Which segments to merge next: a pure function of what there is, without I/O and without a clock.
//!
//! ```text
//!   time --->   [ full ][ full ][ full ] [  .  ][ . ] [.][.][.]     sizes grow with age; a merge takes
//!                                                     `--------'    a run of neighbours of one tier
//! ```
//!
//! In this order, so that the cheapest comes first:
//! C1. A segment of which nothing lives is dropped; nothing is written.
//! C2. `fan_in` neighbours of one tier (sizes within a factor of `fan_in`) become one, with whatever smaller
//!     ones stand between them. So a record is written once for each tier: log(segment / flush) times. Where larger
//!     ones stand between them all, as after an import in no order of time, twice as many are waited for, and the
//!     closest are taken.
//! C3. A segment whose dead exceed `garbage_percent` is written anew.
//! C4. `fan_in` full segments over the same time (of records that came in no order of time) become as many
//!     that follow one another. Overlap is judged by the middle 96 % of the records: a few that came late, or
//!     with a wrong clock, do not count.
//! C5. A full segment is written once more, compressed, when as many newer records as fill a segment stand in
//!     others: what is read most is never compressed, and most of a large store is.
//! C7. On a disk that is full, one segment alone, of which what lives fits the space that is left: the one that gives
//!     most back for what it writes.
//! A full segment, of `records_max` or nearly, is left alone but for C3 to C5: the old converges to windows of
//! time with one segment each.
//!
//! With `Policy::span`, only segments that begin in one span of time and end in one are merged with one another, so
//! that a merge never makes a segment span more than its inputs did: what retention drops as a whole stays of one age.
//! C6. What is left in a span that is past becomes one, the smallest first, up to one that outweighs those before it
//!     `fan_in` times: else the few of each size that C2 waits with would stay, in every span, for ever.
//!
//! After the size-tiered policy of Cassandra, by time windows as there; the garbage rule after Bigtable.

use crate::base::SegmentId;
use crate::base::limits::SEGMENTS_YOUNG_MAX;

/// What one merge may read, in multiples of `records_max`.
const INPUT_WINDOWS_MAX: u64 = 4;

/// When to compact, and into what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Records of the largest segment. One merge takes 60 bytes of memory for each.
    pub records_max: u32,
    /// How many segments of a size make one of the next.
    pub fan_in: usize,
    /// The share of dead records, in percent, from which a segment is written anew.
    pub garbage_percent: u32,
    /// Segments that one merge reads at most: each takes 2.3 MiB of buffers.
    pub inputs_max: usize,
    /// Which merged segments have compressed bodies.
    pub compress: Compress,
    /// How long the spans are whose segments are merged, in units of the records' time. `None`: all is one.
    pub span: Option<u64>,
}

/// Which merged segments have compressed bodies. What a flush writes has none, for it is what is read most, unless the
/// model's bodies go by block, which a flush compresses too, but for `Never`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compress {
    /// None.
    Never,
    /// The full ones, once as many newer records stand in other segments: windows of the past (C5).
    Full,
    /// All.
    Always,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            records_max: 1 << 20,
            fan_in: 4,
            garbage_percent: 20,
            inputs_max: 32,
            compress: Compress::Full,
            span: None,
        }
    }
}

/// What the choice knows of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its name.
    pub id: SegmentId,
    /// Its records, the dead included.
    pub records: u32,
    /// Of those, the dead.
    pub dead: u32,
    /// The lowest time of a record.
    pub time_min: u64,
    /// The highest time of a record.
    pub time_max: u64,
    /// The times between which the middle 96 % of its records lie.
    pub middle: (u64, u64),
    /// Bytes of its file.
    pub bytes: u64,
    /// Whether its bodies are compressed.
    pub compressed: bool,
}

/// Why segments are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Nothing in it lives.
    Empty,
    /// Many of one size.
    Tier,
    /// Too many dead.
    Garbage,
    /// Full ones over the same time.
    Overlap,
    /// What is left of a span that is past.
    Past,
    /// A full one that is no longer read much, to be compressed.
    Cold,
    /// Somebody asked for whatever can be gained.
    Asked,
}

/// Segments to be merged into one, or as many as the limit of records makes necessary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What is read, and gone afterwards.
    pub inputs: Vec<SegmentId>,
    /// Whether what is written is compressed.
    pub compress: bool,
    /// Why.
    pub reason: Reason,
}

impl Policy {
    /// The spans in which a segment ends and begins.
    fn spans(&self, item: &Item) -> (u64, u64) {
        let span = |time| self.span.map_or(0, |span| time / span.max(1));
        (span(item.time_max), span(item.time_min))
    }

    /// Whether there are so many segments of these numbers of records that more would do harm until merges have made
    /// them fewer. Full ones do not count: they stay, and a large store has many.
    pub(super) fn is_behind(&self, records: impl Iterator<Item = u32>) -> bool {
        records.filter(|&records| !self.is_full(records.into())).count() >= SEGMENTS_YOUNG_MAX
    }

    /// Whether so many records fill a segment.
    fn is_full(&self, records: u64) -> bool {
        records * 4 > u64::from(self.records_max) * 3
    }
}

impl Item {
    fn live(&self) -> u64 {
        u64::from(self.records - self.dead.min(self.records))
    }

    fn is_garbage(&self, policy: &Policy) -> bool {
        u64::from(self.dead) * 100 > u64::from(self.records) * u64::from(policy.garbage_percent)
    }

    fn is_full(&self, policy: &Policy) -> bool {
        policy.is_full(self.live())
    }

    fn tier(&self, policy: &Policy) -> u32 {
        self.live().max(1).ilog(policy.fan_in.max(2) as u64)
    }
}

/// What to merge next, if anything. `asked`: somebody wants whatever can be gained.
pub fn choose(items: &[Item], policy: &Policy, asked: bool) -> Option<Choice> {
    let mut items = items.to_vec();
    items.sort_by_key(|item| (item.time_max, item.id));
    // A stable sort: by time and name within each.
    items.sort_by_key(|item| policy.spans(item));
    let newest = items.last().map_or(0, |item| policy.spans(item).0);
    let found = items.chunk_by(|a, b| policy.spans(a) == policy.spans(b)).find_map(|items| {
        let is_past = items.first().is_some_and(|item| policy.spans(item).0 < newest);
        let found = empty(items, policy)
            .or_else(|| tier(items, policy))
            .or_else(|| garbage(items, policy))
            .or_else(|| overlap(items, policy));
        let found = found.or_else(|| is_past.then(|| past(items, policy)).flatten());
        if asked { found.or_else(|| any_gain(items, policy)) } else { found }
    });
    let mut choice = found.or_else(|| cold(&items, policy))?;
    let is_input = |item: &&Item| choice.inputs.contains(&item.id);
    choice.compress = match policy.compress {
        Compress::Never => false,
        Compress::Always => true,
        // What is compressed stays so.
        Compress::Full => {
            choice.reason == Reason::Cold || items.iter().filter(is_input).all(|i| i.compressed)
        }
    };
    Some(choice)
}

fn choice(inputs: impl IntoIterator<Item = SegmentId>, reason: Reason) -> Choice {
    Choice { inputs: inputs.into_iter().collect(), compress: false, reason }
}

/// The dead of a segment in percent from which writing it anew is worth it on a full disk.
const FREEING_PERCENT_MIN: u64 = 5;

/// What to merge next on a disk of which `free` bytes may be written, if that is known (C7).
pub fn freeing(items: &[Item], policy: &Policy, free: Option<u64>) -> Option<Choice> {
    // An eighth is left for manifests.
    let free = free.map_or(u64::MAX, |free| free - free / 8);
    let written = |i: &Item| {
        (u128::from(i.bytes) * u128::from(i.live()) / u128::from(i.records.max(1))) as u64
    };
    let dead = |i: &Item| u64::from(i.dead) * 100 / u64::from(i.records.max(1));
    let fits = items.iter().filter(|i| dead(i) >= FREEING_PERCENT_MIN && written(i) <= free);
    let best = || fits.max_by_key(|i| dead(i));
    empty(items, policy).or_else(|| {
        let best = best()?;
        Some(Choice { compress: best.compressed, ..choice([best.id], Reason::Garbage) })
    })
}

/// C1
fn empty(items: &[Item], policy: &Policy) -> Option<Choice> {
    let empty: Vec<SegmentId> =
        items.iter().filter(|i| i.live() == 0).map(|i| i.id).take(policy.inputs_max).collect();
    (!empty.is_empty()).then(|| choice(empty, Reason::Empty))
}

/// C2
fn tier(items: &[Item], policy: &Policy) -> Option<Choice> {
    let open: Vec<&Item> = items.iter().filter(|i| !i.is_full(policy)).collect();
    let mut tiers: Vec<u32> = open.iter().map(|i| i.tier(policy)).collect();
    tiers.sort_unstable();
    tiers.dedup();
    for tier in tiers {
        for run in open.chunk_by(|a, b| a.tier(policy) <= tier && b.tier(policy) <= tier) {
            let run = &run[..affordable(run, policy)];
            if run.iter().filter(|i| i.tier(policy) == tier).count() >= policy.fan_in {
                return Some(choice(run.iter().map(|i| i.id), Reason::Tier));
            }
        }
        let apart: Vec<&Item> = open.iter().copied().filter(|i| i.tier(policy) == tier).collect();
        if apart.len() >= 2 * policy.fan_in {
            let span =
                |run: &&[&Item]| run[run.len() - 1].time_max - run[0].middle.0.min(run[0].time_max);
            let closest = apart.windows(policy.fan_in).min_by_key(span)?;
            return Some(choice(closest.iter().map(|i| i.id), Reason::Tier));
        }
    }
    None
}

/// How many of `run`, from the oldest on, one merge may take.
fn affordable(run: &[&Item], policy: &Policy) -> usize {
    let mut left = u64::from(policy.records_max) * INPUT_WINDOWS_MAX;
    let fits = run.iter().take(policy.inputs_max).take_while(|item| {
        let fits = item.live() <= left;
        left = left.saturating_sub(item.live());
        fits
    });
    fits.count()
}

/// C3
fn garbage(items: &[Item], policy: &Policy) -> Option<Choice> {
    let dirty = items.iter().filter(|i| i.is_garbage(policy));
    // The one that gives most back.
    dirty.max_by_key(|i| i.dead).map(|i| choice([i.id], Reason::Garbage))
}

/// C4
fn overlap(items: &[Item], policy: &Policy) -> Option<Choice> {
    let full: Vec<&Item> = items.iter().filter(|i| i.is_full(policy)).collect();
    full.iter().find_map(|of| {
        // A moment inside the middle of `fan_in` of them is in particular one where some begins.
        let at = of.middle.0;
        let covers = |i: &&&Item| i.middle.0 <= at && at < i.middle.1;
        let over: Vec<SegmentId> =
            full.iter().filter(covers).map(|i| i.id).take(policy.fan_in).collect();
        (over.len() == policy.fan_in).then(|| choice(over, Reason::Overlap))
    })
}

/// C6
fn past(items: &[Item], policy: &Policy) -> Option<Choice> {
    let mut open: Vec<&Item> = items.iter().filter(|i| !i.is_full(policy)).collect();
    open.sort_by_key(|item| item.live());
    let mut sum = 0;
    let worth = open.iter().take(policy.inputs_max).map(|item| {
        let is_worth = item.live() <= sum * policy.fan_in as u64;
        sum += item.live();
        is_worth && sum <= u64::from(policy.records_max)
    });
    let last = worth.collect::<Vec<bool>>().iter().rposition(|&is_worth| is_worth)?;
    Some(choice(open[..=last].iter().map(|i| i.id), Reason::Past))
}

/// The first neighbours that fit one segment, as many as do.
fn neighbours<'a>(items: &[&'a Item], policy: &Policy) -> Option<Vec<&'a Item>> {
    items.iter().enumerate().find_map(|(i, first)| {
        let mut sum = first.live();
        let fits = items[i + 1..].iter().take(policy.inputs_max - 1).take_while(|item| {
            sum += item.live();
            sum <= u64::from(policy.records_max)
        });
        let run = fits.count() + 1;
        (run > 1).then(|| items[i..i + run].to_vec())
    })
}

/// C5
fn cold(items: &[Item], policy: &Policy) -> Option<Choice> {
    if policy.compress == Compress::Never {
        return None;
    }
    let is_cold = |item: &&Item| {
        // By the middle of a segment: a twentieth of what is new comes late.
        let center = |i: &Item| i.middle.0 + (i.middle.1 - i.middle.0) / 2;
        let newer = items.iter().filter(|other| center(other) >= item.middle.1);
        newer.map(Item::live).sum::<u64>() >= u64::from(policy.records_max)
    };
    let mut open = items.iter().filter(|i| i.is_full(policy) && !i.compressed);
    open.find(is_cold).map(|i| choice([i.id], Reason::Cold))
}

/// What a person who asks for a compaction gets beyond the rules: neighbours that fit one segment become one,
/// and no dead are left.
fn any_gain(items: &[Item], policy: &Policy) -> Option<Choice> {
    let all: Vec<&Item> = items.iter().collect();
    if let Some(run) = neighbours(&all, policy) {
        return Some(choice(run.iter().map(|i| i.id), Reason::Asked));
    }
    items.iter().find(|i| i.dead > 0).map(|i| choice([i.id], Reason::Asked))
}

#[cfg(test)]
mod tests;
