//! Questions to the store, and what the list says: answers, pages, cursors.

use super::machine::{Machine, Paging, Walking};
use super::naive::{Ask, Line};
use ratite::io::Rng;
use ratite::logs::{LogRef, LogStore, Position, Query, Resume};
use std::sync::Arc;

/// What is said of a record: where it stands, whose it is, and itself.
type Said = (Position, String, Vec<u8>);

pub fn said(record: LogRef<'_>) -> Said {
    assert_eq!(record.ts(), record.position().ts);
    (record.position(), record.source().to_string(), record.raw().to_vec())
}

pub fn expected(line: &Line) -> Said {
    (line.position, line.rec.source.to_string(), line.rec.raw.clone())
}

fn all_expected(lines: &[Arc<Line>]) -> Vec<Said> {
    lines.iter().map(|line| expected(line)).collect()
}

/// # Panics
/// With the first place where they differ.
#[track_caller]
pub fn same(found: &[Said], lines: &[Arc<Line>], what: &dyn Fn() -> String) {
    let expected = all_expected(lines);
    if found == expected {
        return;
    }
    let at = found.iter().zip(&expected).position(|(a, b)| a != b);
    let at = at.unwrap_or(found.len().min(expected.len()));
    let (one, other) = (found.get(at), expected.get(at));
    let (many, most) = (found.len(), expected.len());
    panic!("{}\nrecord {at} of {many} is {one:?}\nnot (of {most}) {other:?}", what());
}

/// A whole answer, and where it goes on.
pub fn answer(store: &LogStore, query: &Query) -> (Vec<Said>, Option<Resume>) {
    let mut search = store.search(query).unwrap();
    let mut found = Vec::new();
    while let Some(record) = search.next().unwrap() {
        found.push(said(record));
    }
    (found, search.resume().unwrap())
}

/// As somebody keeps it: as text.
fn kept(resume: Option<Resume>) -> Option<Resume> {
    resume.map(|resume| resume.to_string().parse().unwrap())
}

impl Machine {
    pub fn ask(&self, ask: &Ask, bucket: u64) {
        let (store, matching) = (self.store(), self.naive.matching(ask));
        let most = if ask.limit == 0 { usize::MAX } else { ask.limit };
        let (found, resume) = answer(store, &ask.query());
        same(&found, &matching[..most.min(matching.len())], &|| format!("answer to {ask:?}"));
        assert_eq!(resume.is_some(), matching.len() > most, "whether there is more of {ask:?}");
        let query = Query { limit: 0, ..ask.query() };
        assert_eq!(store.count(&query).unwrap(), matching.len() as u64, "count of {ask:?}");
        self.histogram(ask, bucket);
    }

    fn histogram(&self, ask: &Ask, bucket: u64) {
        let query = Query { limit: 0, ..ask.query() };
        let found = self.store().histogram(&query, bucket).unwrap();
        let expected: Vec<(u64, u64)> = self.naive.histogram(ask, bucket).into_iter().collect();
        assert_eq!(found, expected, "by {bucket}: {ask:?}");
    }

    pub fn page(&mut self, slot: usize, ask: &Ask) {
        let frozen = self.naive.matching(ask);
        let paging = Paging { ask: ask.clone(), resume: None, frozen, given: 0 };
        self.pages[slot] = self.next_page(paging, ask.limit);
    }

    pub fn next(&mut self, slot: usize, pages: usize, limit: usize) {
        for _ in 0..pages {
            let Some(paging) = self.pages[slot].take_if(|paging| paging.resume.is_some()) else {
                return;
            };
            self.pages[slot] = self.next_page(paging, limit);
        }
    }

    /// The page behind what was given; what remains to be asked, if anything does.
    fn next_page(&self, mut paging: Paging, limit: usize) -> Option<Paging> {
        let query = Query { limit, resume: kept(paging.resume.take()), ..paging.ask.query() };
        if let Some(last) = paging.given.checked_sub(1).map(|last| paging.frozen[last].position)
            && !self.naive.has(last)
        {
            // Retention has taken it: it cannot be said what lies behind.
            let Err(error) = self.store().search(&query) else {
                panic!("{last} is gone: {query:?}")
            };
            assert_eq!(error.code(), "ERR_GONE", "{error}");
            return None;
        }
        // Of what was frozen, what is left.
        let behind = paging.frozen.split_off(paging.given);
        paging.frozen.extend(behind.into_iter().filter(|line| self.naive.has(line.position)));
        let (found, resume) = answer(self.store(), &query);
        let left = &paging.frozen[paging.given..];
        let page = if limit == 0 { left } else { &left[..limit.min(left.len())] };
        let what = || format!("page of {limit} behind {} of {:?}", paging.given, paging.ask);
        same(&found, page, &what);
        assert_eq!(resume.is_some(), page.len() < left.len(), "whether there is more: {}", what());
        paging.given += page.len();
        paging.resume = resume;
        paging.resume.is_some().then_some(paging)
    }

    /// A token that is not this question's is refused, and so is one with another byte.
    pub fn foreign(&self, slot: usize, seed: u64) {
        let Some(Paging { ask, resume: Some(resume), .. }) = &self.pages[slot] else { return };
        let mut rng = Rng::new(seed);
        let others = [
            Query { reverse: !ask.reverse, ..ask.query() },
            Query { tokens: vec![b"anotherword".to_vec()], ..ask.query() },
            Query { sources: vec![[77; 16]], ..ask.query() },
            Query { from: Some(ask.from.map_or(1, |from| from ^ 1)), ..ask.query() },
            Query { to: Some(ask.to.map_or(1, |to| to ^ 1)), ..ask.query() },
        ];
        for other in others {
            let refused = self.store().search(&Query { resume: Some(*resume), ..other });
            let Err(error) = refused else { panic!("a token of another question is taken") };
            assert_eq!(error.code(), "ERR_INVALID", "{error}");
        }
        let mut text = resume.to_string().into_bytes();
        let at = rng.below(text.len() as u64) as usize;
        let before = text[at];
        text[at] = b"abcXYZ019-_+/ ="[rng.below(15) as usize];
        if text[at] != before {
            let text = String::from_utf8(text).unwrap();
            assert!(text.parse::<Resume>().is_err(), "{text} is taken");
        }
    }

    pub fn walk(&mut self, slot: usize, fresh: bool, steps: u64, seed: u64) {
        let mut rng = Rng::new(seed);
        if fresh || self.walks[slot].is_none() {
            let (cursor, seen) = (self.store().cursor().unwrap(), self.naive.sorted());
            self.walks[slot] = Some(Walking { cursor, seen, at: 0 });
        }
        let Some(walking) = &mut self.walks[slot] else { return };
        // A direction for a while, as readers go.
        let mut forward = true;
        for step in 0..steps {
            if rng.chance(5) {
                forward = !forward;
            }
            walking.step(forward, &mut rng, step);
        }
    }
}

impl Walking {
    fn step(&mut self, forward: bool, rng: &mut Rng, step: u64) {
        let Walking { cursor, seen, at } = self;
        if rng.chance(8) && !seen.is_empty() {
            *at = rng.below(seen.len() as u64) as usize;
            cursor.seek(seen[*at].position).unwrap();
        } else if forward {
            let found = cursor.next().unwrap().map(said);
            assert_eq!(
                found,
                seen.get(*at).map(|line| expected(line)),
                "step {step}: next at {at}"
            );
            *at = (*at + 1).min(seen.len());
        } else {
            let found = cursor.prev().unwrap().map(said);
            let before = at.checked_sub(1).map(|before| expected(&seen[before]));
            assert_eq!(found, before, "step {step}: prev at {at}");
            *at = at.saturating_sub(1);
        }
    }
}
