//! Many events into a store, as fast as it takes them, with their signatures checked or not; or the check alone.
//!
//! ```text
//!   events in memory --take 256--> a thread each: check? --> Feeder: insert, settle the oldest when many are under way
//! ```

use super::{Going, clock};
use crate::base::{Error, Result};
use crate::io::threads;
use crate::nostr::{Event, EventRef, EventStore, Inserted, Pending, id, verify};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Events that a thread takes at once: some 10 ms of checks.
const TAKEN: usize = 256;

/// Inserts with many under way, answers awaited in their order.
pub struct Feeder<'a> {
    store: &'a EventStore,
    under_way: VecDeque<(u64, Pending<'a>)>,
    most: usize,
    stored: u64,
}

impl<'a> Feeder<'a> {
    /// Inserts into `store` with at most so many under way, which all feeders together have to keep below
    /// `Options::in_flight`.
    pub fn new(store: &'a EventStore, most: usize) -> Feeder<'a> {
        Feeder { store, under_way: VecDeque::new(), most: most.max(1), stored: 0 }
    }

    /// Hands an event over, and waits for the oldest answer if there is no room; `settled` is told the nanoseconds
    /// between an insert and its answer.
    ///
    /// # Errors
    /// Of the store.
    pub fn insert(&mut self, event: &EventRef<'_>, settled: &mut impl FnMut(u64)) -> Result<()> {
        if self.under_way.len() >= self.most {
            self.settle(settled)?;
        }
        self.under_way.push_back((clock::wall(), self.store.insert(event)?));
        Ok(())
    }

    /// Waits for all answers; how many events are stored.
    ///
    /// # Errors
    /// Of the store.
    pub fn finish(mut self, settled: &mut impl FnMut(u64)) -> Result<u64> {
        while !self.under_way.is_empty() {
            self.settle(settled)?;
        }
        Ok(self.stored)
    }

    fn settle(&mut self, settled: &mut impl FnMut(u64)) -> Result<()> {
        if let Some((began, pending)) = self.under_way.pop_front() {
            let inserted = pending.wait()?;
            self.stored += u64::from(matches!(inserted, Inserted::Stored | Inserted::Replaced));
            settled(clock::wall() - began);
        }
        Ok(())
    }
}

/// Whether id and signature are the event's; some 30 to 50 us.
pub fn is_right(event: &EventRef<'_>) -> bool {
    id::check(event) && verify::signature(event)
}

/// How events are gone through.
#[derive(Clone)]
pub struct Pass {
    /// On so many threads.
    pub threads: usize,
    /// Whether ids and signatures are checked.
    pub check: bool,
    /// Where they go, if anywhere, and the most that each thread has under way.
    pub into: Option<(Arc<EventStore>, usize)>,
}

/// What a pass came to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Passed {
    /// Events that were gone through.
    pub events: u64,
    /// Of them, what is stored.
    pub stored: u64,
    /// Wall time.
    pub nanos: u64,
    /// CPU time of the process meanwhile, the store's threads included.
    pub cpu_nanos: u64,
}

impl Passed {
    /// Adds another pass.
    pub fn add(&mut self, more: Passed) {
        self.events += more.events;
        self.stored += more.stored;
        self.nanos += more.nanos;
        self.cpu_nanos += more.cpu_nanos;
    }

    /// Events a second.
    pub fn per_second(&self) -> f64 {
        self.events as f64 * 1e9 / self.nanos.max(1) as f64
    }

    /// CPU microseconds an event.
    pub fn cpu_us(&self) -> f64 {
        self.cpu_nanos as f64 / 1e3 / self.events.max(1) as f64
    }
}

impl Pass {
    /// Goes through these events; ends early if told to.
    ///
    /// # Errors
    /// Of the store; `Invalid` if an event is not what it says.
    pub fn run(
        &self,
        events: &Arc<Vec<Event>>,
        range: Range<usize>,
        going: &Going,
    ) -> Result<Passed> {
        let next = Arc::new(AtomicUsize::new(range.start));
        let (began, cpu) = (clock::wall(), clock::process_cpu());
        let threads: Vec<_> = (0..self.threads.max(1))
            .map(|i| {
                let (pass, events, next) = (self.clone(), events.clone(), next.clone());
                let (end, going) = (range.end.min(events.len()), going.clone());
                threads::spawn(format!("pass-{i}"), move || pass.work(&events, &next, end, &going))
            })
            .collect();
        let mut passed = Passed::default();
        let mut failed = None;
        for thread in threads {
            // All of them are waited for, also when one has failed.
            match thread.join().and_then(|worked| worked) {
                Ok(more) => passed.add(more),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        passed.nanos = clock::wall() - began;
        passed.cpu_nanos = clock::process_cpu() - cpu;
        failed.map_or(Ok(passed), Err)
    }

    fn work(
        &self,
        events: &[Event],
        next: &AtomicUsize,
        end: usize,
        going: &Going,
    ) -> Result<Passed> {
        let mut feeder = self.into.as_ref().map(|(store, most)| Feeder::new(store, *most));
        let mut passed = Passed::default();
        while going() {
            let start = next.fetch_add(TAKEN, Relaxed).min(end);
            let taken = &events[start..(start + TAKEN).min(end)];
            if taken.is_empty() {
                break;
            }
            for event in taken.iter().map(Event::as_ref) {
                if self.check && !is_right(&event) {
                    return Err(Error::invalid("event", "its id or its signature is not its own"));
                }
                if let Some(feeder) = &mut feeder {
                    feeder.insert(&event, &mut |_| {})?;
                }
            }
            passed.events += taken.len() as u64;
        }
        passed.stored = feeder.map_or(Ok(0), |feeder| feeder.finish(&mut |_| {}))?;
        Ok(passed)
    }
}

/// Groups and bytes that the logs of a store have written.
pub fn written(store: &EventStore) -> (u64, u64) {
    let stats = store.engine().stats();
    (stats.iter().map(|s| s.commits).sum(), stats.iter().map(|s| s.log_bytes).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::always;
    use crate::io::in_memory;
    use crate::nostr::Filter;
    use crate::nostr::generate::{Config, Generator};
    use crate::store::Options;

    fn store() -> Arc<EventStore> {
        let env = in_memory();
        Arc::new(EventStore::open_in("store".as_ref(), &Options::in_memory(), env).unwrap())
    }

    #[test]
    fn every_event_is_passed_once_whatever_the_threads() {
        let config = Config { events: 1000, ..Config::default() };
        let mut generator = Generator::new(4, &config);
        let events: Vec<Event> =
            (0..1000).map(|_| generator.next_unsigned().into_event()).collect();
        let events = Arc::new(events);
        for threads in [1, 3] {
            let store = store();
            let into = Some((store.clone(), 64));
            let pass = Pass { threads, check: false, into };
            let passed = pass.run(&events, 0..600, &always()).unwrap();
            assert_eq!(passed.events, 600);
            let more = pass.run(&events, 600..5000, &always()).unwrap();
            assert_eq!(more.events, 400);
            // Ephemeral ones, older and replaced ones are passed and not there.
            let live = store.count(&[Filter::default()]).unwrap();
            assert!(live > 500 && live <= passed.stored + more.stored, "{live} {passed:?}");
            assert!(written(&store).0 > 0);
            drop(pass);
            store.close().unwrap();
        }
        let none: Going = Arc::new(|| false);
        let pass = Pass { threads: 2, check: false, into: None };
        assert_eq!(pass.run(&events, 0..1000, &none).unwrap().events, 0);
    }

    #[test]
    fn what_is_not_signed_is_found_out() {
        let mut generator = Generator::new(4, &Config { events: 50, ..Config::default() });
        let mut events: Vec<Event> = generator.by_ref().take(20).collect();
        let pass = Pass { threads: 2, check: true, into: None };
        let all_right = pass.run(&Arc::new(events.clone()), 0..20, &always()).unwrap();
        assert!(all_right.events == 20 && all_right.per_second() > 0.0 && all_right.cpu_us() > 1.0);
        events.push(generator.next_unsigned().into_event());
        let error = pass.run(&Arc::new(events), 0..21, &always()).unwrap_err().to_string();
        assert!(error.contains("signature"), "{error}");
    }
}
