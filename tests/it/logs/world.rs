//! Records and questions by chance: few sources, words as often as words are (Zipf), many equal times.

use super::naive::{Ask, Naive, Rec, words};
use crate::naive::random::pick;
use ratite::io::Rng;
use ratite::logs::Source;

/// Words by how often they are used. Some begin like others, some are just as long as the index takes them whole or a byte
/// longer, one is longer than a page, one is no UTF-8.
fn vocabulary() -> Vec<Vec<u8>> {
    let texts = [
        "error",
        "info",
        "GET",
        "200",
        "user",
        "ERROR",
        "failed",
        "a",
        "status",
        "r1",
        "Größe",
        "x",
        "timeout",
        "15ms",
        "mozilla",
        "connection",
        "connections",
        "connectionx",
        "abcdefghij",
        "abcdefghijk",
        "abcdefghijkl",
        "überschritten",
        "ab",
        "abc",
        "5",
        "0",
        "err",
        "errors",
        "Мир",
        "verylongwordthatnobodytypes",
        "verylongwordthatnobodytypes2",
        "EE",
        "e",
        "日本語",
    ];
    let mut words: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    words.push(b"nbsp\xa0inside".to_vec());
    words.push(b"\xff\xfe".to_vec());
    words.push(b"w".repeat(300));
    words.push([&b"w".repeat(300)[..], b"v"].concat());
    words.extend((0..60).map(|n| format!("id{n}").into_bytes()));
    words.push(b"q".repeat(6_000));
    words
}

const SEPARATORS: [&str; 12] = [" ", " ", " ", "=", "/", "-", ": ", "\"", "_", "\n", "\0", "  "];

pub struct World {
    pub rng: Rng,
    vocabulary: Vec<Vec<u8>>,
    pub sources: Vec<Source>,
    /// The time that the next record is likely to be near to.
    last_ts: u64,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let named = ["nginx", "relay", "ü"].map(|name| Source::named(name).unwrap());
        let mut sources: Vec<Source> = (1..=3).map(|n| Source::of([n; 16])).collect();
        sources.extend(named);
        // The same as another, by its UUID.
        sources.push(Source::of(sources[3].uuid()));
        rng.shuffle(&mut sources);
        World { rng, vocabulary: vocabulary(), sources, last_ts: 1_704_067_200_000_000 }
    }

    /// The word of rank n is used about 1/n as often as the first.
    fn word(&mut self) -> Vec<u8> {
        let most = self.vocabulary.len() as f64;
        let drawn = most.powf(self.rng.below(1 << 30) as f64 / f64::from(1 << 30)) - 1.0;
        self.vocabulary[(drawn as usize).min(self.vocabulary.len() - 1)].clone()
    }

    fn raw(&mut self) -> Vec<u8> {
        if self.rng.chance(40) {
            return Vec::new();
        }
        let mut raw = Vec::new();
        for _ in 0..1 + self.rng.below(8) {
            raw.extend(self.word());
            raw.extend(pick(&mut self.rng, &SEPARATORS).as_bytes());
        }
        if self.rng.chance(2) {
            raw.pop();
        }
        raw
    }

    /// Times go on slowly as a rule, stand still often, go back at times, and have been anything now and then.
    fn ts(&mut self, now: u64) -> u64 {
        match self.rng.below(40) {
            0 => pick(&mut self.rng, &[0, 1, 2, u64::MAX, u64::MAX - 1, u64::MAX - 2, 1 << 63]),
            1 => self.rng.below(1_000_000_000),
            2 => {
                self.last_ts = now;
                now
            }
            3..12 => self.last_ts.saturating_sub(self.rng.below(300)),
            12..24 => self.last_ts,
            _ => {
                self.last_ts = self.last_ts.saturating_add(self.rng.below(60));
                self.last_ts
            }
        }
    }

    pub fn rec(&mut self, now: u64) -> Rec {
        let source = self.sources[self.rng.below(self.sources.len() as u64) as usize].clone();
        Rec { ts: self.ts(now), source, raw: self.raw() }
    }

    pub fn recs(&mut self, most: u64, now: u64) -> Vec<Rec> {
        (0..1 + self.rng.below(most)).map(|_| self.rec(now)).collect()
    }

    /// A time of a record, or next to one, or any.
    fn bound(&mut self, naive: &Naive) -> u64 {
        let count = naive.lines.len() as u64;
        if count == 0 || self.rng.chance(12) {
            return pick(&mut self.rng, &[0, 1, u64::MAX, u64::MAX - 1, 1_704_067_200_000_000]);
        }
        let ts = naive.lines[self.rng.below(count) as usize].rec.ts;
        match self.rng.below(3) {
            0 => ts.saturating_add(1),
            1 => ts.saturating_sub(self.rng.below(2)),
            _ => ts,
        }
    }

    /// A term as somebody types it: another case, several words, part of a line.
    fn term(&mut self, naive: &Naive) -> Vec<u8> {
        let mut term = self.word();
        if let Some(line) = naive.lines.last().filter(|_| self.rng.chance(6)) {
            let there: Vec<Vec<u8>> = words(&line.rec.raw).into_iter().collect();
            if !there.is_empty() {
                term = there[self.rng.below(there.len() as u64) as usize].clone();
            }
        }
        match self.rng.below(12) {
            0 => term.make_ascii_uppercase(),
            1 => {
                term.push(b'-');
                term.extend(self.word());
            }
            // No whole word any more, as a rule.
            2 => drop(term.pop()),
            3 => term.insert(0, b'='),
            _ => {}
        }
        term
    }

    pub fn ask(&mut self, naive: &Naive) -> Ask {
        let mut ask = Ask { reverse: self.rng.chance(2), ..Ask::default() };
        if self.rng.chance(2) {
            ask.from = Some(self.bound(naive));
        }
        if self.rng.chance(2) {
            ask.to = Some(self.bound(naive));
        }
        if self.rng.chance(2) {
            let count = 1 + self.rng.below(3);
            ask.sources = (0..count)
                .map(|_| match self.rng.chance(10) {
                    true => Source::of([99; 16]),
                    false => {
                        self.sources[self.rng.below(self.sources.len() as u64) as usize].clone()
                    }
                })
                .collect();
        }
        let tokens = pick(&mut self.rng, &[0, 0, 1, 1, 2, 3]);
        ask.tokens = (0..tokens).map(|_| self.term(naive)).collect();
        if self.rng.chance(2) {
            ask.limit = 1 + self.rng.below(12) as usize;
        }
        ask
    }
}
