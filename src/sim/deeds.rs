//! What a run does to records: deeds, in bursts, and drops of segments, each beside the oracle.
//!
//! ```text
//!   draw --> plan: the rows, a version of each shard it changes --> hand over: submitted, answered --> marks
//!                                                     refused: a version like the one before it
//! ```

use super::history::{Expect, Rows, Version};
use super::run::{Flow, Run};
use super::subject::{Answer, Subject, Told};
use crate::base::{Error, SegmentId};
use crate::io::Clock;
use crate::shard::SyncMode;
use std::mem::take;
use std::time::Duration;

/// A deed that is to be done.
struct Planned<D> {
    deed: D,
    answer: Answer,
    /// The shards of which it makes a version each.
    steps: Vec<usize>,
}

impl<S: Subject> Run<S> {
    /// Some deeds, handed over together, but for those that stand alone.
    pub fn burst(&mut self, open: &S::Open) -> Result<Flow, String> {
        let count = if self.rng.chance(3) { 1 } else { 1 + self.rng.below(6) };
        self.clock.advance(Duration::from_millis(self.rng.below(3_000)));
        let now = self.now();
        let mut group = Vec::new();
        for _ in 0..count {
            let deed = self.subject.draw(&mut self.rng, now, &self.rows);
            let is_alone = self.subject.is_alone(&deed);
            if is_alone && let over @ Flow::Over(_) = self.hand_over(open, take(&mut group))? {
                return Ok(over);
            }
            group.push(self.plan(deed));
            if is_alone && let over @ Flow::Over(_) = self.hand_over(open, take(&mut group))? {
                return Ok(over);
            }
        }
        self.hand_over(open, group)
    }

    /// Does a deed to the rows and to the history.
    fn plan(&mut self, deed: S::Deed) -> Planned<S::Deed> {
        let mut steps = Vec::new();
        let (now, last) = (self.now(), self.histories.len() - 1);
        let history = &mut self.histories[last];
        let answer = self.subject.apply(&deed, now, &mut self.rows, &mut |shard, rows| {
            history[shard].push(Version::of(rows));
            steps.push(shard);
        });
        Planned { deed, answer, steps }
    }

    /// Has the store do the deeds.
    fn hand_over(
        &mut self,
        open: &S::Open,
        mut group: Vec<Planned<S::Deed>>,
    ) -> Result<Flow, String> {
        self.stats.deeds += group.len() as u64;
        let deeds: Vec<S::Deed> = group.iter().map(|planned| planned.deed.clone()).collect();
        let least = usize::from(self.subject.options().sync == SyncMode::Always);
        let (mut failed, mut wrong, mut why) = (vec![false; self.rows.len()], None, None);
        let (mut refused, mut answered) = (vec![false; deeds.len()], Vec::new());
        let (disk, marks, is_unsure) = (&self.disk, &mut self.marks, &mut self.is_unsure);
        let now = self.clock.unix_micros() / 1_000_000;
        let mut told = |told: Told| {
            let mut expect: Expect = marks[marks.len() - 1].clone();
            expect.now = now;
            let steps = |nth: usize| group[nth].steps.iter().copied();
            match told {
                Told::Submitted(nth) => steps(nth).for_each(|at| expect.ranges[at].most += 1),
                Told::Answered(nth, Ok(answer)) => {
                    // What is refused may be so by what another shard holds; nothing else is answered any more.
                    match steps(nth).any(|shard| failed[shard]) {
                        true if answer == Answer::Refused => {}
                        true => wrong = Some(format!("{answer:?} after a failure")),
                        false => steps(nth).for_each(|at| expect.ranges[at].least += least),
                    }
                    answered.push((nth, answer));
                }
                Told::Answered(nth, Err(error)) => {
                    // It was not taken in: what comes behind it stands where it stood. Of several steps, the first may
                    // be done.
                    let is_one = group[nth].steps.len() == 1;
                    *is_unsure |= !is_one;
                    why = Some(error.to_string());
                    refused[nth] = match error {
                        // Who is kept from looking by damage has done nothing.
                        Error::Corrupt { .. } => disk.misplaced().is_some(),
                        error => error.is_disk_full(),
                    };
                    match refused[nth] {
                        true if is_one => {
                            steps(nth).for_each(|at| expect.ranges[at].least += least);
                        }
                        true => {}
                        false => steps(nth).for_each(|shard| failed[shard] = true),
                    }
                }
            }
            marks.push(expect);
            disk.mark(marks.len() as u64 - 1);
        };
        self.subject.perform(open, &deeds, &mut told);
        if refused.contains(&true) {
            group = self.without(&refused, group);
        }
        for (nth, answer) in answered {
            let Planned { deed, answer: expected, .. } = &group[nth];
            if answer != *expected {
                wrong = Some(format!("{deed:?} was answered {answer:?}, not {expected:?}"));
            }
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(why.map_or(Flow::On, Flow::Over)),
        }
    }

    /// What came of `group`, where some were refused for want of space: no deeds, but for the first steps of those that
    /// have several.
    fn without(&mut self, refused: &[bool], group: Vec<Planned<S::Deed>>) -> Vec<Planned<S::Deed>> {
        let last = self.histories.len() - 1;
        for &shard in group.iter().flat_map(|planned| &planned.steps) {
            let versions = &mut self.histories[last][shard];
            versions.pop();
            self.rows[shard] = Rows::clone(&versions[versions.len() - 1].rows);
        }
        let again = group.into_iter().zip(refused).map(|(planned, refused)| {
            let before = self.rows.clone();
            let planned = self.plan(planned.deed);
            if *refused {
                self.rows = before;
                let shard = planned.steps[planned.steps.len() - 1];
                let versions = &mut self.histories[last][shard];
                versions.pop();
                versions.push(Version::of(&self.rows[shard]));
            }
            planned
        });
        again.collect()
    }

    /// Drops some segments of a shard, as retention does.
    pub fn drop_segments(&mut self, open: &S::Open) -> Result<Flow, String> {
        let store = S::store(open);
        let shard = self.rng.below(self.rows.len() as u64) as usize;
        let snapshot = store.snapshot();
        let oldest = self.rng.chance(2);
        let (mut ids, mut rows): (Vec<SegmentId>, Rows) = (Vec::new(), self.rows[shard].clone());
        for live in snapshot.shards()[shard].view.segments.iter().rev() {
            if ids.len() < 2 && (oldest || self.rng.chance(3)) {
                ids.push(live.segment.info().id);
                for ordinal in 0..live.segment.records() {
                    let key = live.segment.key(ordinal).map_err(|error| error.to_string())?;
                    if !live.dead.is_killed(ordinal) && rows.remove(&key).is_none() {
                        return Err(format!("a segment has {key:?} alive, which is nowhere"));
                    }
                }
            }
        }
        drop(snapshot);
        if ids.is_empty() {
            return Ok(Flow::On);
        }
        let mut expect = self.expected().clone();
        let history = expect.history;
        self.histories[history][shard].push(Version::of(&rows));
        expect.ranges[shard].most += 1;
        self.mark(expect.clone());
        match store.drop_segments(shard as u16, &ids, 0) {
            Ok(true) => {
                self.stats.drops += 1;
                self.rows[shard] = rows;
                expect.ranges[shard].least = expect.ranges[shard].most;
                self.mark(expect);
                Ok(Flow::On)
            }
            // A merge has put another in its place, and nothing has changed.
            Ok(false) => {
                let versions = &mut self.histories[history][shard];
                let (same, last) = (expect.ranges[shard].most - 1, versions.len() - 1);
                versions[last] = versions[same].clone();
                Ok(Flow::On)
            }
            Err(error) => Ok(Flow::Over(error.to_string())),
        }
    }
}
