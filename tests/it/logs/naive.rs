//! The list that the store is compared with, and the literal rules: a tokenizer, a filter and a sort, written as one
//! would explain them, without a look at the store's.
//!
//! N1. The list is in order of arrival; an answer is the stable sort of what matches by time, or that turned around.

use ratite::logs::{Position, Query, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A record as it is appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rec {
    pub ts: u64,
    pub source: Source,
    pub raw: Vec<u8>,
}

/// A record that the store has taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub rec: Rec,
    pub position: Position,
}

/// A question: what [`Query`] says, without its page.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub reverse: bool,
    pub sources: Vec<Source>,
    pub tokens: Vec<Vec<u8>>,
    pub limit: usize,
}

impl Ask {
    /// As the store is asked.
    pub fn query(&self) -> Query {
        Query {
            from: self.from,
            to: self.to,
            reverse: self.reverse,
            sources: self.sources.iter().map(Source::uuid).collect(),
            tokens: self.tokens.clone(),
            limit: self.limit,
            resume: None,
        }
    }

    pub fn matches(&self, rec: &Rec) -> bool {
        let early = self.from.is_some_and(|from| rec.ts < from);
        let late = self.to.is_some_and(|to| rec.ts >= to);
        let of_source = self.sources.is_empty()
            || self.sources.iter().any(|source| source.uuid() == rec.source.uuid());
        let there = words(&rec.raw);
        let asked = self.tokens.iter().flat_map(|token| words(token));
        !early && !late && of_source && asked.into_iter().all(|word| there.contains(&word))
    }
}

/// The words of a text: letters and digits of ASCII, letters made small, and all bytes that are not ASCII; the rest
/// stands between words. A single byte is no word.
pub fn words(raw: &[u8]) -> BTreeSet<Vec<u8>> {
    let (mut found, mut word) = (BTreeSet::new(), Vec::new());
    for byte in raw.iter().copied().chain([b' ']) {
        match byte {
            b'A'..=b'Z' => word.push(byte - b'A' + b'a'),
            b'a'..=b'z' | b'0'..=b'9' | 0x80..=0xff => word.push(byte),
            _ => {
                if word.len() > 1 {
                    found.insert(word.clone());
                }
                word.clear();
            }
        }
    }
    found
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    /// By arrival.
    pub lines: Vec<Arc<Line>>,
    /// The highest arrival that was ever answered.
    pub last: u64,
    /// The highest that was answered when retention dropped something: no later one is below.
    pub marked: u64,
}

impl Naive {
    /// # Panics
    /// If the store gave the record a place before one that it gave earlier.
    pub fn push(&mut self, rec: Rec, position: Position) {
        assert_eq!(position.ts, rec.ts, "the time of a position is the record's");
        assert!(position.arrival > self.last, "{position} after arrival {}", self.last);
        self.last = position.arrival;
        self.lines.push(Arc::new(Line { rec, position }));
    }

    /// Takes in what is there although nobody was told.
    pub fn adopt(&mut self, rec: Rec, position: Position) {
        self.last = self.last.max(position.arrival);
        let at = self.lines.partition_point(|line| line.position.arrival < position.arrival);
        self.lines.insert(at, Arc::new(Line { rec, position }));
    }

    /// All that matches, limit aside.
    pub fn matching(&self, ask: &Ask) -> Vec<Arc<Line>> {
        let matching = self.lines.iter().filter(|line| ask.matches(&line.rec));
        let mut found: Vec<Arc<Line>> = matching.cloned().collect();
        found.sort_by_key(|line| line.rec.ts); // stable: N1
        if ask.reverse {
            found.reverse();
        }
        found
    }

    /// Everything, oldest first.
    pub fn sorted(&self) -> Vec<Arc<Line>> {
        self.matching(&Ask::default())
    }

    /// How many of what matches are in which bucket, empty ones left out.
    pub fn histogram(&self, ask: &Ask, bucket: u64) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for line in self.matching(ask) {
            *counts.entry(line.rec.ts / bucket * bucket).or_insert(0) += 1;
        }
        counts
    }

    /// How many records each source has, by the source's UUID.
    pub fn sources(&self) -> BTreeMap<[u8; 16], u64> {
        let mut counts = BTreeMap::new();
        for line in &self.lines {
            *counts.entry(line.rec.source.uuid()).or_insert(0) += 1;
        }
        counts
    }

    /// Whether a record is there.
    pub fn has(&self, position: Position) -> bool {
        self.lines.iter().any(|line| line.position == position)
    }
}

#[test]
fn the_rules_are_those_of_the_cases() {
    let cases: [(&[u8], &[&str]); 8] = [
        (b"user-agent: mozilla/5.0", &["agent", "mozilla", "user"]),
        (br#"{"level":"ERROR","msg":"failed"}"#, &["error", "failed", "level", "msg"]),
        (b"status=200 duration=15ms", &["15ms", "200", "duration", "status"]),
        (b"a b c de fg", &["de", "fg"]),
        ("Größe überschritten".as_bytes(), &["größe", "überschritten"]),
        (b"", &[]),
        (b"---", &[]),
        (b"x a1 A1\na_b", &["a1"]),
    ];
    for (raw, expected) in cases {
        let found: Vec<Vec<u8>> = words(raw).into_iter().collect();
        let expected: Vec<Vec<u8>> = expected.iter().map(|w| w.as_bytes().to_vec()).collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(raw));
    }
    assert_eq!(words(b"a\xa0b c"), BTreeSet::from([b"a\xa0b".to_vec()]), "never cut at 0xA0");
}
