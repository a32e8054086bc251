//! What a store was given and what it said, shard by shard, and what it may hold after a crash.

use crate::compare::{check, everything};
use crate::naive::random::World;
use crate::naive::{Ev, Naive};
use ratite::base::{Error, Result};
use ratite::model::Model;
use ratite::nostr::{EventModel, EventStore, Inserted};
use std::sync::Arc;

/// What one shard was given since it was last known to be durable.
#[derive(Clone, Default)]
struct Given {
    base: Naive,
    /// Events that were answered, in their order, each with the bytes of its body if it was stored.
    acknowledged: Vec<(Arc<Ev>, u64)>,
    /// Events that were not, in their order.
    tail: Vec<Arc<Ev>>,
    /// `base` and what was acknowledged.
    now: Naive,
}

/// How much of what was acknowledged a crash may take.
#[derive(Clone, Copy)]
pub enum Loss {
    Nothing,
    /// The newest of each shard, up to so many bytes in the log.
    Bytes(u64),
}

/// All shards of a store.
#[derive(Clone)]
pub struct Ledger(Vec<Given>);

impl Ledger {
    pub fn new(shards: usize) -> Ledger {
        Ledger(vec![Given::default(); shards])
    }

    fn shard_of(&self, event: &ratite::nostr::Event) -> usize {
        EventModel::default().route(event.as_ref().record()) as usize & (self.0.len() - 1)
    }

    /// Inserts `group` at once and waits for the answers of the first `waited`; compares each with the
    /// oracle's. Returns the first failure.
    pub fn submit(&mut self, store: &EventStore, group: &[Arc<Ev>], waited: usize) -> Result<()> {
        let events: Vec<_> = group.iter().map(|ev| ev.event(false)).collect();
        let pending: Vec<_> = events.iter().map(|event| store.insert(&event.as_ref())).collect();
        let mut failure = Ok(());
        for (i, (event, pending)) in events.iter().zip(pending).enumerate() {
            let ev = &group[i];
            let shard = self.shard_of(event);
            let given = &mut self.0[shard];
            let answer = match pending {
                Ok(pending) if i < waited => pending.wait(),
                Ok(_given_up) => Err(Error::Closed),
                Err(error) => Err(error),
            };
            match answer {
                Ok(inserted) => {
                    // A request to delete waits for all shards, and fails with any of them.
                    assert!(
                        given.tail.iter().all(|ev| ev.kind == 5),
                        "acknowledged after a failure: {:?}",
                        ev.value()
                    );
                    assert_eq!(inserted, given.now.insert(ev), "{:?}", ev.value());
                    let stored = matches!(inserted, Inserted::Stored | Inserted::Replaced);
                    let bytes = if stored { event.body().len() as u64 } else { 0 };
                    given.acknowledged.push((ev.clone(), bytes));
                }
                // Not taken in, and so not stored.
                Err(error @ Error::DiskFull { .. }) if i < waited => {
                    failure = failure.and(Err(error));
                }
                Err(error) => {
                    given.tail.push(ev.clone());
                    if i < waited && failure.is_ok() {
                        failure = Err(error);
                    }
                }
            }
        }
        failure
    }

    /// What was acknowledged, of all shards.
    pub fn naive(&self) -> Naive {
        let live = self.0.iter().flat_map(|given| given.now.live.clone()).collect();
        Naive { live, ..Naive::default() }
    }

    /// What is left of all shards if the newest log entry of one of them is not, for each of them.
    pub fn without_newest(&self) -> Vec<Naive> {
        let without = |given: &Given| {
            let stored = given.acknowledged.iter().filter(|(_, bytes)| *bytes > 0);
            let stored: Vec<_> = stored.map(|(ev, _)| ev).collect();
            let mut state = given.base.clone();
            for ev in &stored[..stored.len().saturating_sub(1)] {
                let _answered_before = state.insert(ev);
            }
            state
        };
        let states = (0..self.0.len()).map(|damaged| {
            let one = |(i, given)| if i == damaged { without(given) } else { given.now.clone() };
            let live = self.0.iter().enumerate().flat_map(|pair| one(pair).live).collect();
            Naive { live, ..Naive::default() }
        });
        states.collect()
    }

    /// All that was acknowledged until now is durable.
    pub fn settle(&mut self) {
        for given in &mut self.0 {
            given.base = given.now.clone();
            given.acknowledged.clear();
        }
    }

    /// What was acknowledged `before` is durable in the shards that have stored `count` events since.
    pub fn settle_since(&mut self, before: &Ledger, count: usize) {
        for (given, before) in self.0.iter_mut().zip(&before.0) {
            let since = &given.acknowledged[before.acknowledged.len()..];
            if since.iter().filter(|(_, bytes)| *bytes > 0).count() >= count {
                given.base = before.now.clone();
                given.acknowledged.drain(..before.acknowledged.len());
            }
        }
    }

    /// Finds out after which prefix of what each shard was given the reopened store stands; this is
    /// the truth from now on.
    ///
    /// # Panics
    /// If it stands nowhere, or before something that `loss` does not allow to be lost.
    pub fn adopt(&mut self, store: &EventStore, loss: Loss) {
        // The oracle of everything ever given, to compare contents.
        let given = self.0.iter().flat_map(|given| {
            let acknowledged = given.acknowledged.iter().map(|(ev, _)| ev);
            given.base.live.iter().chain(acknowledged).chain(&given.tail).cloned()
        });
        let known = Naive { live: given.collect(), ..Naive::default() };
        let found = everything(store, &known).expect("a store that opens can be read");
        let mut by_shard = vec![Vec::new(); self.0.len()];
        for id in found {
            let ev = known.find(&id).expect("nothing that was never given");
            by_shard[self.shard_of(&ev.event(false))].push(id);
        }
        for (shard, (given, mut found)) in self.0.iter_mut().zip(by_shard).enumerate() {
            found.sort();
            let least = given.least(loss);
            let all: Vec<_> =
                given.acknowledged.iter().map(|(ev, _)| ev).chain(&given.tail).collect();
            // A request to delete may have failed before it was handed to its shard, which goes on.
            let mut loose: Vec<_> = given.tail.iter().filter(|ev| ev.kind == 5).collect();
            // One may have been sent twice.
            loose.sort_by(|a, b| a.id.cmp(&b.id));
            loose.dedup_by(|a, b| a.id == b.id);
            let mut state = given.base.clone();
            let mut reached = None;
            for given_count in 0..=all.len() {
                let mut here = state.clone();
                here.live.retain(|ev| loose.iter().all(|other| other.id != ev.id));
                let there = loose.iter().filter(|ev| found.binary_search(&ev.id).is_ok());
                here.live.extend(there.map(|ev| (*ev).clone()));
                let mut ids: Vec<_> = here.live.iter().map(|ev| ev.id.clone()).collect();
                ids.sort();
                if ids == found {
                    reached = Some((given_count, here));
                }
                if let Some(ev) = all.get(given_count) {
                    let _answered_to_nobody = state.insert(ev);
                }
            }
            let total = (given.acknowledged.len(), given.tail.len());
            let (count, state) = reached.unwrap_or_else(|| {
                panic!(
                    "shard {shard} holds {} events, no prefix of what it was given {total:?}",
                    found.len()
                )
            });
            assert!(count >= least, "shard {shard} stands after {count} of {total:?}, not {least}");
            *given = Given { base: state.clone(), now: state, ..Given::default() };
        }
    }

    /// Compares everything, and some queries, with what was acknowledged.
    pub fn check(&self, store: &EventStore, world: &mut World, queries: usize) {
        let naive = self.naive();
        crate::compare::same(store, &naive);
        check(store, &naive, world, queries);
    }
}

impl Given {
    /// How many of the acknowledged must be there.
    fn least(&self, loss: Loss) -> usize {
        let Loss::Bytes(mut left) = loss else { return self.acknowledged.len() };
        let newest_first = self.acknowledged.iter().rev();
        let lost = newest_first.take_while(|(_, bytes)| {
            // At least a sector each, since each was a group of its own.
            let bytes = bytes.next_multiple_of(512);
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        });
        self.acknowledged.len() - lost.count()
    }
}
