//! Does an operation to store and list, and compares their answers.

use super::machine::Machine;
use super::naive::{Ask, Rec};
use super::{How, Op};
use crate::logs::ask::{answer, same};
use futures::executor::block_on;
use ratite::base::Result;
use ratite::logs::{LogRecord, LogStore, Position, Query};
use std::collections::BTreeMap;

/// The record that the store is given.
fn given(rec: &Rec) -> LogRecord<'_> {
    LogRecord { ts: rec.ts, source: &rec.source, raw: &rec.raw }
}

/// Hands `recs` over; `took` is told of each that was answered, and of each batch at once.
pub fn append(
    store: &LogStore,
    recs: &[Rec],
    how: How,
    took: &mut dyn FnMut(&[Rec], Vec<Position>),
) -> Result<()> {
    let all: Vec<LogRecord<'_>> = recs.iter().map(given).collect();
    match how {
        How::Batch => took(recs, store.append_batch(&all)?),
        How::BatchAsync => took(recs, block_on(store.append_batch_async(&all))?),
        How::OneByOne | How::Try | How::Async => {
            for (rec, record) in recs.iter().zip(all) {
                let position = match how {
                    How::Try => store.try_append(record)?.expect("room for one"),
                    How::Async => block_on(store.append_async(record))?,
                    _ => store.append(record)?,
                };
                took(std::slice::from_ref(rec), vec![position]);
            }
        }
    }
    Ok(())
}

impl Machine {
    /// # Panics
    /// If store and list differ.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Append { recs, how } => self.append(recs, *how).unwrap(),
            Op::Ask { ask, bucket } => self.ask(ask, *bucket),
            Op::Page { slot, ask } => self.page(*slot, ask),
            Op::Next { slot, pages, limit } => self.next(*slot, *pages, *limit),
            Op::Foreign { slot, seed } => self.foreign(*slot, *seed),
            Op::Walk { slot, fresh, steps, seed } => self.walk(*slot, *fresh, *steps, *seed),
            Op::Clock(micros) => self.clock.set(self.now().saturating_add_signed(*micros)),
            Op::Follow { slot, ask } => self.follow(*slot, ask),
            Op::Followed { slot, most } => self.followed(*slot, *most),
            Op::Segments => drop(self.segments()),
            Op::Seal => self.seal(),
            Op::Retain(rules) => self.retain(rules),
            Op::Flush => self.store().engine().flush().unwrap(),
            Op::Compact => self.store().engine().compact().unwrap(),
            Op::Reopen => {
                self.close();
                self.open();
            }
            Op::Cut { after, recs, how, then } => self.cut(*after, recs, *how, *then),
            Op::Everything => self.everything(),
        }
    }

    /// Appends; what was answered is in the list also if a later one was not.
    pub fn append(&mut self, recs: &[Rec], how: How) -> Result<()> {
        let mut naive = std::mem::take(&mut self.naive);
        let before = naive.lines.len();
        let appended = append(self.store(), recs, how, &mut |recs, positions| {
            assert_eq!(recs.len(), positions.len());
            recs.iter().zip(positions).for_each(|(rec, at)| naive.push(rec.clone(), at));
        });
        for line in &naive.lines[before..] {
            let follows = self.follows.iter_mut().flatten();
            let concerned = follows.filter(|following| following.ask.matches(&line.rec));
            concerned.for_each(|following| following.left.push_back(line.clone()));
        }
        self.naive = naive;
        appended
    }

    pub fn everything(&self) {
        let store = self.store();
        for reverse in [false, true] {
            let ask = Ask { reverse, ..Ask::default() };
            let (found, resume) = answer(store, &ask.query());
            same(&found, &self.naive.matching(&ask), &|| format!("everything, reverse: {reverse}"));
            assert!(resume.is_none());
        }
        assert_eq!(store.count(&Query::default()).unwrap(), self.naive.lines.len() as u64);
        let sources = store.sources().unwrap().into_iter().map(|(s, n)| (s.uuid(), n));
        assert_eq!(sources.collect::<BTreeMap<_, _>>(), self.naive.sources());
    }
}
