//! Power lost on the way: what was answered is there, and what was not is there whole or not at all.

use super::machine::Machine;
use super::naive::Rec;
use super::{How, Then};
use ratite::logs::{Position, Query};
use std::collections::{BTreeMap, BTreeSet};

impl Machine {
    /// Cuts the power after so many writes and syncs, or at the end.
    pub fn cut(&mut self, after: u64, recs: &[Rec], how: How, then: Then) {
        self.disk.crash_after(after);
        let answered = self.naive.lines.len();
        if let Err(error) = self.append(recs, how) {
            assert!(self.disk.is_off(), "no failure without a cut: {error}");
        }
        let mut doomed = Vec::new();
        match then {
            _ if self.naive.lines.len() < answered + recs.len() => {}
            Then::Nothing => {}
            Then::Merges => {
                let merged = self.store().engine().flush();
                let merged = merged.and_then(|()| self.store().engine().compact());
                assert!(
                    merged.is_ok() || self.disk.is_off(),
                    "no failure without a cut: {merged:?}"
                );
            }
            Then::Retention(rules) => {
                let contents = self.segments();
                doomed.extend(self.doomed(&rules).iter().map(|meta| contents[&meta.id].clone()));
                let retained = self.store().retain(&rules, self.now());
                assert!(retained.is_ok() || self.disk.is_off(), "no failure without a cut");
            }
        }
        let open = &recs[self.naive.lines.len() - answered..];
        self.restart();
        // What retention began is done in part: a part of its beginning.
        let count = self.store().count(&Query::default()).unwrap();
        let gone = (0..=doomed.len()).find(|&gone| {
            let forgotten: usize = doomed[..gone].iter().map(BTreeSet::len).sum();
            (self.naive.lines.len() - forgotten) as u64 == count
        });
        if !doomed.is_empty() {
            self.forget(doomed[..gone.expect("some of the segments that go")].iter());
        }
        self.adopt(open, how);
        self.everything();
    }

    /// Cuts the power, switches the machine on and opens the store.
    fn restart(&mut self) {
        self.disk.power_loss();
        self.end();
        self.disk.power_loss();
        self.disk.crash_after(0);
        self.open();
    }

    /// Takes into the list what is stored of `open`, which nobody was answered.
    pub fn adopt(&mut self, open: &[Rec], how: How) {
        let mut search = self.store().search(&Query::default()).unwrap();
        let mut new: BTreeMap<u64, Rec> = BTreeMap::new();
        let known: std::collections::HashSet<Position> =
            self.naive.lines.iter().map(|line| line.position).collect();
        while let Some(record) = search.next().unwrap() {
            if !known.contains(&record.position()) {
                let (ts, raw) = (record.ts(), record.raw().to_vec());
                let rec = Rec { ts, source: record.source().to_source(), raw };
                new.insert(record.position().arrival, rec);
            }
        }
        // They are of those that were handed over, in their order.
        let mut left = open.iter();
        for rec in new.values() {
            assert!(left.any(|asked| asked == rec), "nobody appended {rec:?}");
        }
        match how {
            // The records of a source are in one shard, and there they are a batch.
            How::Batch | How::BatchAsync => {
                let count = |recs: &mut dyn Iterator<Item = &Rec>| {
                    let mut counts = BTreeMap::new();
                    recs.for_each(|rec| *counts.entry(rec.source.uuid()).or_insert(0) += 1);
                    counts
                };
                let (found, asked) = (count(&mut new.values()), count(&mut open.iter()));
                assert!(found.iter().all(|(source, count)| *count <= asked[source]));
            }
            _ => assert!(new.len() <= 1, "one was under way, not {}", new.len()),
        }
        for (arrival, rec) in new {
            let ts = rec.ts;
            self.naive.adopt(rec, Position { ts, arrival });
        }
    }
}
