//! Power lost on the way: what was answered is there, and what was not is whole, or is asked again.

use super::machine::{Machine, Side};
use crate::compare::{everything, ids, insert};
use crate::naive::{Ask, Ev, Naive};
use ratite::maintain::reshard;
use ratite::model::Model;
use ratite::nostr::{EventModel, Inserted};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Machine {
    /// Cuts the power after so many writes and syncs, or at the end.
    pub fn cut(&mut self, after: u64, events: &[Arc<Ev>], merges: bool) {
        self.disk.crash_after(after);
        let mut lost = None;
        for ev in events {
            match insert(self.main.store(), &ev.event(false)) {
                Ok(answer) => assert_eq!(answer, self.main.naive.insert(ev), "{}", ev.value()),
                Err(error) => {
                    assert!(self.disk.is_off(), "no failure without a cut: {error}");
                    lost = Some(ev);
                    break;
                }
            }
        }
        if merges && lost.is_none() {
            let merged = self.main.store().engine().flush();
            let merged = merged.and_then(|()| self.main.store().engine().compact());
            assert!(merged.is_ok() || self.disk.is_off(), "no failure without a cut: {merged:?}");
        }
        self.restart();
        let now = self.now();
        if let Some(ev) = lost {
            settle(&mut self.main, ev, now);
        }
        self.everything();
    }

    /// Cuts the power, switches the machine on and opens both stores.
    fn restart(&mut self) {
        self.disk.power_loss();
        self.main.end();
        self.other.end();
        self.disk.power_loss();
        self.disk.crash_after(0);
        self.open();
    }

    /// Gives the main store so many shards, unless the power fails on the way.
    pub fn reshard(&mut self, shards: usize, after: u64) {
        self.main.close();
        let model: Arc<dyn Model> = Arc::new(EventModel::default());
        self.disk.crash_after(after);
        let (dir, options) = (self.main.dir.clone(), self.main.options.store.clone());
        let done = reshard::run(&dir, &model, shards, &options, &self.env, &mut |_| ());
        match done {
            Ok(done) => assert_eq!(done.to, shards),
            Err(error) => assert!(self.disk.is_off(), "no failure without a cut: {error}"),
        }
        if after > 0 {
            self.restart();
        } else {
            self.main.open(&self.env).unwrap();
        }
        if after == 0 {
            assert_eq!(self.main.store().engine().shard_count(), shards);
        }
        self.everything();
    }
}

fn set(naive: &Naive) -> BTreeSet<String> {
    ids(&naive.answer(&[Ask::default()], false)).into_iter().collect()
}

/// What became of an event that was not answered; it is asked again.
fn settle(side: &mut Side, ev: &Arc<Ev>, now: u64) {
    let mut after = side.naive.clone();
    let _nobody_was_told = after.insert(ev);
    let mut known = side.naive.clone();
    known.live.push(ev.clone());
    let found: BTreeSet<String> = everything(side.store(), &known).unwrap().into_iter().collect();
    let (without, with) = (set(&side.naive.at(now)), set(&after.at(now)));
    let is_there = found.contains(&ev.id);
    if ev.is_request() && !is_there {
        // Its deeds come before it.
        assert!(found.is_subset(&without), "{}", ev.value());
        assert!(found.is_superset(&with.iter().filter(|id| **id != ev.id).cloned().collect()));
    } else {
        assert!(found == without || found == with, "neither before nor after {}", ev.value());
    }
    // It is answered from what is left, what has expired included. A request that named gift wraps to its author, gone
    // now, and besides only events of others, is refused then.
    let engine = side.store().engine();
    let mut left = if is_there { after } else { side.naive.clone() };
    left.live.retain(|ev| engine.get(&ev.id_bytes(), |_| ()).unwrap().is_some());
    let answer = left.insert(ev);
    assert!(!is_there || answer == Inserted::Duplicate, "{answer:?}");
    assert_eq!(insert(side.store(), &ev.event(false)).unwrap(), answer, "again {}", ev.value());
    assert!(answer == Inserted::InvalidDelete || set(&left.at(now)) == with, "not done again");
    side.naive = left;
}
