//! The questions, and their answers by brute force: from the generator alone, without a store and an index.
//!
//! A line is made in 0.13 us and known to lie near its due time, so that a range is answered by making its lines, and
//! the newest by making lines from the last one backward until no earlier one can be newer.

use super::lines::Lines;
use crate::Result;
use ratite::base::hash64;
use ratite::io::Rng;

/// A line lies at most so much before its due time.
const LATE_US_MAX: u64 = 2_000_000;

/// Words by how often they are written: in a fifth of the lines, in one of 40, in one of 75.
const FREQUENT: &str = "request";
const ERROR: &str = "error";
const MEDIUM: &str = "carrier";

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub tokens: Vec<String>,
    /// Rank of the source.
    pub source: Option<usize>,
    /// Inclusive, exclusive.
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub newest: bool,
    /// 0: all.
    pub limit: usize,
    pub answer: Answer,
    /// A line that is known to be all of the answer.
    pub known: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Answer {
    #[default]
    Rows,
    Count,
    /// Counts of so many microseconds each.
    Histogram(u64),
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub calls: usize,
    pub goal_us: Option<u64>,
    draw: fn(&Lines, &mut Rng) -> Question,
}

impl Row {
    /// Its questions, the same for a seed.
    pub fn questions(&self, lines: &Lines, seed: u64) -> Vec<Question> {
        let mut rng = Rng::new(seed ^ hash64(self.name.as_bytes()));
        (0..self.calls).map(|_| (self.draw)(lines, &mut rng)).collect()
    }
}

/// All rows. N14 wants 1 ms of CPU for each that has a goal.
pub fn rows() -> Vec<Row> {
    let row = |name, calls, goal_us, draw| Row { name, calls, goal_us, draw };
    vec![
        row("needle: one line of all", 500, Some(1_000), |lines, rng| {
            let known = rng.below(lines.count);
            let tokens = vec![lines.generator.needle(known)];
            Question { tokens, known: Some(known), ..Question::default() }
        }),
        row("needle that is not there", 500, Some(1_000), |lines, rng| {
            let tokens = vec![lines.generator.missing(rng.below(1 << 40))];
            Question { tokens, ..Question::default() }
        }),
        row("frequent word, newest 100", 200, Some(1_000), |_, _| newest(&[FREQUENT])),
        row("less frequent word, newest 100", 200, Some(1_000), |_, _| newest(&[ERROR])),
        row("two words, newest 100", 200, Some(1_000), |_, _| newest(&[FREQUENT, MEDIUM])),
        row("two words, 100 before then", 200, None, |lines, rng| {
            let to = Some(moment(lines, rng, 0));
            Question { to, ..newest(&[FREQUENT, MEDIUM]) }
        }),
        row("source, 10 s", 100, Some(1_000), |lines, rng| {
            let source = Some(10 + rng.below(100) as usize);
            Question { source, ..range(lines, rng, 10_000_000) }
        }),
        row("source, 10 s, first 100", 100, None, |lines, rng| {
            let source = Some(10 + rng.below(100) as usize);
            Question { source, limit: 100, ..range(lines, rng, 10_000_000) }
        }),
        row("1 s", 60, None, |lines, rng| range(lines, rng, 1_000_000)),
        row("some 1,000 lines by time", 200, Some(1_000), |lines, rng| range(lines, rng, 55_000)),
        row("count of a less frequent word", 60, None, |_, _| Question {
            answer: Answer::Count,
            limit: 0,
            ..newest(&[ERROR])
        }),
        row("histogram of all, 10 buckets", 20, None, |lines, _| {
            let bucket = (lines.count * lines.config.gap_us / 10).max(1);
            Question { answer: Answer::Histogram(bucket), ..Question::default() }
        }),
        row("histogram of a word, 10 buckets", 20, None, |lines, _| {
            let bucket = (lines.count * lines.config.gap_us / 10).max(1);
            let tokens = vec![ERROR.into()];
            Question { tokens, answer: Answer::Histogram(bucket), ..Question::default() }
        }),
    ]
}

fn newest(tokens: &[&str]) -> Question {
    let tokens = tokens.iter().map(|token| String::from(*token)).collect();
    Question { tokens, newest: true, limit: 100, ..Question::default() }
}

/// So many microseconds from anywhere, as far as they are covered by lines.
fn range(lines: &Lines, rng: &mut Rng, us: u64) -> Question {
    let from = moment(lines, rng, us);
    Question { from: Some(from), to: Some(from + us), ..Question::default() }
}

/// A moment that so many microseconds of lines follow.
fn moment(lines: &Lines, rng: &mut Rng, us: u64) -> u64 {
    let span = lines.count * lines.config.gap_us;
    lines.config.start_us + rng.below(span.saturating_sub(us).max(1))
}

/// What an answer was, to be compared: how many rows, and their bytes whatever their order. Where a limit cuts rows of
/// one time, stores may choose: rows of the last time are counted only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Digest {
    pub rows: u64,
    sum: u64,
    last_ts: u64,
    last_sum: u64,
}

impl Digest {
    /// Adds the row that comes next.
    pub fn row(&mut self, ts: u64, raw: &[u8]) {
        if ts != self.last_ts {
            self.sum = self.sum.wrapping_add(self.last_sum);
            (self.last_ts, self.last_sum) = (ts, 0);
        }
        self.rows += 1;
        self.last_sum = self.last_sum.wrapping_add(hash64(raw) ^ ts);
    }

    /// A number for what has no rows.
    pub fn count(rows: u64) -> Digest {
        Digest { rows, ..Digest::default() }
    }

    /// Whether both are the answer to `question`.
    pub fn is(&self, other: &Digest, question: &Question) -> bool {
        let cut = question.limit > 0 && self.rows == question.limit as u64;
        self.rows == other.rows && self.sum == other.sum && (cut || self.last_sum == other.last_sum)
    }
}

/// The answer by brute force; `None` where that would take too long.
pub fn truth(lines: &Lines, question: &Question) -> Option<Digest> {
    if question.answer != Answer::Rows {
        return None;
    }
    if let Some(known) = question.known {
        return Some(digest(lines, question, known..known + 1));
    }
    let before = |us: u64| us.saturating_sub(lines.config.start_us) / lines.config.gap_us;
    match (question.from, question.to) {
        // What is due later cannot be earlier, but for the late.
        (Some(from), Some(to)) => {
            let end = lines.count.min(before(to + LATE_US_MAX) + 1);
            Some(digest(lines, question, before(from).saturating_sub(1)..end))
        }
        (None, to) if question.newest && question.limit > 0 => {
            let end = to.map_or(lines.count, |to| lines.count.min(before(to + LATE_US_MAX) + 1));
            let mut span = 4 * LATE_US_MAX / lines.config.gap_us;
            loop {
                let start = end.saturating_sub(span);
                let found = digest(lines, question, start..end);
                // Nothing before `start` is as new as its due time and a gap.
                let settled = lines.due(start) + lines.config.gap_us;
                if start == 0 || found.rows >= question.limit as u64 && found.last_ts > settled {
                    return Some(found);
                }
                span *= 4;
            }
        }
        // A token that no line has.
        _ if question.tokens.len() == 1 => Some(Digest::default()),
        _ => None,
    }
}

fn digest(lines: &Lines, question: &Question, indexes: std::ops::Range<u64>) -> Digest {
    let mut matching = Vec::new();
    let mut raw = Vec::new();
    for index in indexes {
        let about = lines.generator.about(index);
        let in_range = question.from.is_none_or(|from| about.ts >= from)
            && question.to.is_none_or(|to| about.ts < to)
            && question.source.is_none_or(|source| about.source == source);
        if in_range {
            raw.clear();
            lines.generator.line(index, &mut raw);
            if question.tokens.iter().all(|token| tokens(&raw).any(|t| is(t, token))) {
                matching.push((about.ts, index));
            }
        }
    }
    matching.sort_unstable();
    if question.newest {
        matching.reverse();
    }
    if question.limit > 0 {
        matching.truncate(question.limit);
    }
    let mut digest = Digest::default();
    for (ts, index) in matching {
        raw.clear();
        lines.generator.line(index, &mut raw);
        digest.row(ts, &raw);
    }
    digest
}

/// The words of a line, by the rule that every store here is told.
pub fn tokens(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let separates = |b: &u8| !b.is_ascii_alphanumeric() && *b < 0x80;
    raw.split(separates).filter(|token| token.len() > 1)
}

fn is(token: &[u8], wanted: &str) -> bool {
    token.eq_ignore_ascii_case(wanted.as_bytes())
}

/// Whether an answer is what it must be; the truth is looked up once for a question.
pub fn check(
    lines: &Lines,
    question: &Question,
    answer: &Digest,
    what: &str,
) -> Result<Option<bool>> {
    let Some(truth) = truth(lines, question) else { return Ok(None) };
    let right = answer.is(&truth, question);
    if !right {
        eprintln!("{what}: {question:?}: {answer:?}, but by brute force {truth:?}");
    }
    Ok(Some(right))
}
