//! Does an operation to store and list, and compares their answers.

use super::Op;
use super::machine::{Machine, Side};
use crate::compare::{collect, filters, ids, one};
use crate::naive::registers::registers;
use crate::naive::{Ask, Ev, Naive, words};
use ratite::io::Rng;
use ratite::maintain::{How, restore};
use ratite::nostr::negentropy::{Differences, Items, Referee, Side as Which, opening, respond};
use ratite::nostr::{Event, Gathered, retention};
use ratite::query::Order;
use ratite::retention::{Limits, apply};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Machine {
    /// # Panics
    /// If store and list differ.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert { events, also } => {
                insert(&mut self.main, events);
                if *also {
                    insert(&mut self.other, events);
                }
            }
            Op::Ask { asks, seed } => {
                one(self.main.store(), &self.seen(), asks, &mut Rng::new(*seed)).unwrap();
            }
            Op::Search { asks, seed } => self.search(asks, &mut Rng::new(*seed)),
            Op::Get(ev) => {
                let found = self.main.store().get(&ev.id_bytes()).unwrap();
                let found = found.map(|event| serde_json::from_slice(&event.to_json()).unwrap());
                let expected: Option<Value> = self.seen().find(&ev.id).map(|ev| ev.value());
                assert_eq!(found, expected, "get {}", ev.id);
            }
            Op::Items { asks, frame } => self.items(asks, *frame),
            Op::Registers(ask) => self.registers(ask),
            Op::Clock(seconds) => {
                let now = self.env.clock.unix_micros().saturating_add_signed(seconds * 1_000_000);
                self.clock.set(now);
                self.tell_time();
            }
            Op::Sweep => self.sweep(),
            Op::Flush => {
                self.main.store().engine().flush().unwrap();
                self.other.store().engine().flush().unwrap();
            }
            Op::Compact => self.main.store().engine().compact().unwrap(),
            Op::Reopen => {
                self.main.close();
                self.other.close();
                self.open();
            }
            Op::Cut { after, events, merges } => self.cut(*after, events, *merges),
            Op::Reshard { shards, after } => self.reshard(*shards, *after),
            Op::Restore => self.restore(),
            Op::Everything => self.everything(),
        }
    }

    fn search(&self, asks: &[Ask], rng: &mut Rng) {
        let (store, naive) = (self.main.store(), self.seen());
        let parsed = filters(asks, rng);
        let oldest = rng.chance(3);
        let order = if oldest { Order::Oldest } else { Order::Newest };
        let snapshot = store.snapshot();
        let answer = |filters: &[_]| store.query_at(&snapshot, filters, order).unwrap();
        let found = collect(answer(&parsed), &naive, rng.chance(4)).unwrap();
        let show = || asks.iter().map(|ask| ask.value().to_string()).collect::<String>();
        let is_ranked = |ask: &Ask| ask.search.as_ref().is_some_and(|text| words::asks(text));
        let (ranked, plain): (Vec<Ask>, Vec<Ask>) = asks.iter().cloned().partition(is_ranked);
        let best: BTreeSet<String> = ids(&naive.answer(&ranked, false)).into_iter().collect();
        let mut rest = ids(&naive.answer(&plain, oldest));
        rest.retain(|id| !best.contains(id));
        assert_eq!(found.len(), best.len() + rest.len(), "{}", show());
        let (first, last) = found.split_at(best.len());
        assert_eq!(first.iter().cloned().collect::<BTreeSet<_>>(), best, "{}", show());
        assert_eq!(last, rest, "behind what is ranked by {}", show());
        assert_eq!(store.count(&parsed).unwrap(), naive.count(asks), "count of {}", show());
        if let [ask] = asks
            && is_ranked(ask)
        {
            let few = Ask { limit: Some(rng.below(6)), ..ask.clone() };
            let most = found.len().min(few.limit.unwrap_or(0) as usize);
            let few = filters(&[few], rng);
            let limited = collect(answer(&few), &naive, false).unwrap();
            assert_eq!(limited, found[..most], "the best of {}", show());
        }
    }

    /// The sets of both stores, and what is found to differ.
    fn items(&self, asks: &[Ask], frame: usize) {
        let mut rng = Rng::new(1);
        let sides = [&self.main, &self.other].map(|side| {
            let store = side.store();
            let filters = filters(asks, &mut rng);
            let gathered = store.items_at(&store.snapshot(), &filters, 1 << 20, || true).unwrap();
            let Gathered::All(items) = gathered else { panic!("{gathered:?}") };
            let mut expected = side.naive.at(self.now()).answer(asks, false);
            // The protocol has no number for the last second.
            expected.retain(|ev| ev.created_at != u64::MAX);
            // The protocol wants time and id both ascending.
            expected.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            let found: Vec<(u64, [u8; 32])> = items.keys().iter().map(|k| (k.time, k.id)).collect();
            let expected: Vec<_> =
                expected.iter().map(|ev| (ev.created_at, ev.id_bytes())).collect();
            assert_eq!(found, expected, "items of {:?}", asks);
            items
        });
        let ids = |items: &Items| items.keys().iter().map(|key| key.id).collect::<BTreeSet<_>>();
        let (first, second) = (ids(&sides[0]), ids(&sides[1]));
        let found = reconcile(&sides, frame);
        let only = |ids: Vec<[u8; 32]>| ids.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(only(found.first), &first - &second, "only in the first, of {asks:?}");
        assert_eq!(only(found.second), &second - &first, "only in the second, of {asks:?}");
    }

    fn registers(&self, ask: &Ask) {
        let filter = filters(std::slice::from_ref(ask), &mut Rng::new(2)).remove(0);
        let store = self.main.store();
        let found = store.hll(&filter, std::slice::from_ref(&filter), usize::MAX).unwrap();
        let unlimited = Ask { limit: None, ..ask.clone() };
        let expected = registers(ask, &self.seen().answer(&[unlimited], false));
        assert_eq!(found.map(|hll| *hll.registers()), expected, "authors of {}", ask.value());
    }

    /// Removes from the main store what has expired.
    fn sweep(&mut self) {
        let limits = Limits { records_per_second: None, ..Limits::default() };
        let rules = retention::rules(&[]).unwrap();
        let now = self.now();
        let end = AtomicBool::new(false);
        let report = apply(self.main.store().engine(), &rules, now, limits, &end).unwrap();
        let now = self.naive().now;
        let held = self.naive().live.len();
        // What requests ask for holds for ever: they stay, though nobody is shown them.
        self.main.naive.live.retain(|ev| ev.is_request() || !ev.is_over(now));
        let gone = (held - self.naive().live.len()) as u64;
        assert_eq!((report.ended, report.removed(), report.expired), (true, gone, gone));
    }

    /// Backs the main store up twice, with a write in between, restores that, and goes on with the copy.
    fn restore(&mut self) {
        let (backup, copy) = (self.next_copy("backup"), self.next_copy("copy"));
        self.copies += 1;
        self.main.store().backup(&backup).unwrap();
        self.main.store().engine().flush().unwrap();
        self.main.store().backup(&backup).unwrap();
        self.main.close();
        let how = if self.copies.is_multiple_of(2) { How::Copy } else { How::Link };
        restore::run(&self.env.disk, &backup, &copy, how, &mut |_| ()).unwrap();
        self.main.dir = copy;
        self.main.open(&self.env).unwrap();
        self.everything();
    }
}

/// The answers are as if the events came one by one.
fn insert(side: &mut Side, batch: &[Arc<Ev>]) {
    let events: Vec<Event> = batch.iter().map(|ev| ev.event(ev.created_at % 4 == 0)).collect();
    let naive: &mut Naive = &mut side.naive.clone();
    let pending: Vec<_> =
        events.iter().map(|event| side.store().insert(&event.as_ref()).unwrap()).collect();
    for (ev, pending) in batch.iter().zip(pending) {
        assert_eq!(pending.wait().unwrap(), naive.insert(ev), "{}", ev.value());
    }
    side.naive = std::mem::take(naive);
}

fn reconcile(sides: &[Items; 2], frame: usize) -> Differences {
    let (mut referee, mut found) = (Referee::new(), Differences::default());
    let mut next = Some(opening());
    for turn in 0..100_000 {
        let Some(message) = next else { return found };
        let which = [Which::First, Which::Second][turn % 2];
        let answer = respond(&sides[turn % 2], &message, frame).unwrap();
        next = referee.pass(which, &answer, &mut found).unwrap();
    }
    panic!("the session does not end");
}
