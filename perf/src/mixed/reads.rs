//! The reads of a mixed run: a fixed mix at a fixed rate, every answer checked.
//!
//! Some filters of each row are asked before anything changes. Of what they gave then every regular event has to
//! be in every later answer, unless newer ones filled the limit or it was removed; and what was removed has to be
//! in none.

use super::shared::{DONE, Removal, STAGES, Schedule, Shared};
use crate::Result;
use crate::clock::{Meter, RunDelay, histogram, thread_cpu};
use crate::workload::{Answer, Facts, Row, rows};
use hdrhistogram::Histogram;
use ratite::base::Key;
use ratite::io::Rng;
use ratite::nostr::{Class, EventStore, Filter, class};
use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

/// Rows of the mix, and how many of a hundred reads are of each. The rest gets what was just acknowledged.
const MIX: [(&str, usize); 12] = [
    ("get by id", 20),
    ("profile, kind 0", 12),
    ("author feed, limit 50", 14),
    ("follow feed, 200 authors, limit 100", 8),
    ("thread, #e, limit 100", 12),
    ("notifications, #p, since, limit 50", 10),
    ("global kind 1, limit 500", 4),
    ("global kind 1 until then, limit 100", 3),
    ("hashtag, limit 50", 6),
    ("one hour of kind 30023", 3),
    ("count of reactions to a note", 5),
    ("count of kind 1", 1),
];

/// The last row: an event that was acknowledged during the run.
pub const ACKNOWLEDGED: &str = "get what was acknowledged";

/// Filters of a row, and those of them whose first answers are kept.
const FILTERS: usize = 1_000;
const WITNESSES: usize = 20;

/// One of so many answers is compared with its filter, event by event.
const MATCHED: u64 = 8;

/// What is asked, and what is known of the answers.
pub struct Mix {
    rows: Vec<(Row, Vec<Filter>)>,
    witnesses: Vec<Vec<Witness>>,
    known: HashMap<[u8; 32], Key>,
    /// Rows in the order in which they are asked, over and over.
    order: Vec<usize>,
}

/// What a filter gave before anything changed: regular events, or a number.
struct Witness {
    keys: Vec<Key>,
    count: u64,
}

/// What one stage came to.
pub struct Reads {
    pub all: Meter,
    pub rows: Vec<Meter>,
    /// Wall time from when a read really began, and the same without waiting for a core.
    pub service: Histogram<u64>,
    pub on_core: Histogram<u64>,
    /// The slowest: nanoseconds from when it began, of these without a core, of these at work; row.
    pub slowest: Vec<(u64, u64, u64, usize)>,
}

/// How many of the slowest are kept.
const SLOWEST: usize = 10;

impl Mix {
    /// Draws the parameters and asks the witnesses.
    pub fn new(store: &EventStore, facts: &Facts, seed: u64) -> Result<Mix> {
        let (mut chosen, mut order) = (Vec::new(), Vec::new());
        for (i, (name, share)) in MIX.iter().enumerate() {
            let row = rows().into_iter().find(|row| row.name == *name);
            let mut row = row.ok_or_else(|| format!("there is no row {name}"))?;
            row.calls = FILTERS;
            let filters = row.filters(facts, seed)?;
            chosen.push((row, filters));
            order.extend(std::iter::repeat_n(i, *share));
        }
        order.resize(100, MIX.len());
        Rng::new(seed).shuffle(&mut order);
        let known = facts.regular().map(|key| (key.id, key)).collect();
        let mut witnesses = Vec::new();
        for (row, filters) in &chosen {
            let asked =
                filters.iter().take(WITNESSES).map(|filter| Witness::ask(store, row, filter));
            witnesses.push(asked.collect::<Result<Vec<_>>>()?);
        }
        Ok(Mix { rows: chosen, witnesses, known, order })
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.rows.iter().map(|(row, _)| row.name).chain([ACKNOWLEDGED])
    }

    /// Reads until all is done; gives what each stage came to, and how many reads were passed over.
    pub fn read(&self, shared: &Shared<'_>, per_second: f64) -> Result<(Vec<Reads>, u64)> {
        let mut stages: Vec<Reads> =
            STAGES.iter().map(|_| Reads::new(self.rows.len() + 1)).collect();
        let mut reader = Reader { mix: self, shared, rng: Rng::new(11), got: Vec::new(), asked: 0 };
        let mut schedule = Schedule::new(per_second);
        let delay = RunDelay::start();
        loop {
            let (due, stage) = schedule.wait(shared);
            if stage == DONE {
                stages.iter_mut().for_each(Reads::keep_slowest);
                return Ok((stages, schedule.dropped));
            }
            let waited = delay.nanos();
            let (begun, cpu) = (Instant::now(), thread_cpu());
            let (row, rows) = reader.ask()?;
            let cpu = thread_cpu() - cpu;
            let (wall, service) = (due.elapsed(), begun.elapsed().as_nanos() as u64);
            let Some(reads) = stages.get_mut(stage) else { continue };
            let wall = wall.as_nanos() as u64;
            reads.all.record(wall, cpu, rows);
            reads.rows[row].record(wall, cpu, rows);
            reads.served(service, delay.nanos() - waited, cpu, row);
        }
    }

    /// Gets everything that is known to be stored, once; returns how much that was.
    pub fn audit(&self, shared: &Shared<'_>) -> Result<u64> {
        let kept = shared.all_kept();
        let reader = Reader { mix: self, shared, rng: Rng::new(1), got: Vec::new(), asked: 0 };
        for key in self.known.values().chain(&kept) {
            reader.get(key, "audit at the end")?;
        }
        Ok((self.known.len() + kept.len()) as u64)
    }
}

impl Reads {
    fn new(rows: usize) -> Reads {
        let rows = (0..rows).map(|_| Meter::new()).collect();
        let (service, on_core) = (histogram(), histogram());
        Reads { all: Meter::new(), rows, service, on_core, slowest: Vec::new() }
    }

    fn served(&mut self, service: u64, waited: u64, cpu: u64, row: usize) {
        self.service.saturating_record(service);
        self.on_core.saturating_record(service.saturating_sub(waited).max(1));
        self.slowest.push((service, waited, cpu, row));
        if self.slowest.len() >= 64 {
            self.keep_slowest();
        }
    }

    /// Forgets all but the slowest.
    pub fn keep_slowest(&mut self) {
        self.slowest.sort_unstable_by(|a, b| b.cmp(a));
        self.slowest.truncate(SLOWEST);
    }
}

impl Witness {
    fn ask(store: &EventStore, row: &Row, filter: &Filter) -> Result<Witness> {
        let mut witness = Witness { keys: Vec::new(), count: 0 };
        match row.answer {
            Answer::Count => witness.count = store.count(std::slice::from_ref(filter))?,
            Answer::Get => {}
            _ => {
                let mut events = store.query(std::slice::from_ref(filter))?;
                while let Some(event) = events.next()? {
                    if class(event.kind()) == Class::Regular {
                        witness.keys.push(Key { time: event.created_at(), id: *event.id() });
                    }
                }
            }
        }
        Ok(witness)
    }
}

struct Reader<'a> {
    mix: &'a Mix,
    shared: &'a Shared<'a>,
    rng: Rng,
    /// The answer, kept for its witness.
    got: Vec<Key>,
    asked: u64,
}

impl Reader<'_> {
    /// One read of the mix: its row, and the events that it gave.
    fn ask(&mut self) -> Result<(usize, u64)> {
        let mix = self.mix;
        let number = mix.order[self.asked as usize % mix.order.len()];
        self.asked += 1;
        self.shared.wrong.checked.fetch_add(1, SeqCst);
        let kept =
            (number == mix.rows.len()).then(|| self.shared.kept(self.rng.next_u64())).flatten();
        if let Some(key) = kept {
            return Ok((number, self.get(&key, ACKNOWLEDGED)?));
        }
        // Before anything is acknowledged the last row is one more of the first.
        let number = number % mix.rows.len();
        let (row, filters) = &mix.rows[number];
        // Witnesses come as often as all others together.
        let among = if self.rng.chance(2) { WITNESSES } else { filters.len() };
        let at = self.rng.below(among as u64) as usize;
        let (filter, witness) = (&filters[at], mix.witnesses[number].get(at));
        let rows = match (row.answer, filter.ids.as_deref()) {
            (Answer::Get, Some([id])) => match mix.known.get(id) {
                Some(key) => self.get(key, row.name)?,
                None => u64::from(self.shared.store.get(id)?.is_some()),
            },
            (Answer::Count, _) => self.count(row, filter, witness)?,
            _ => self.query(row, filter, witness)?,
        };
        Ok((number, rows))
    }

    fn get(&self, key: &Key, row: &str) -> Result<u64> {
        let (wrong, removal) = (&self.shared.wrong, &self.shared.removal);
        let done = removal.done.load(SeqCst);
        let found = self.shared.store.get(&key.id)?;
        let begun = removal.begun.load(SeqCst);
        let right = found.as_ref().is_none_or(|event| event.key() == *key);
        if !right {
            wrong.found(&wrong.strangers, "another event", row, Some(key));
        }
        if found.is_none() && !removal.takes(key, begun) {
            wrong.found(&wrong.lost_by_id, "not found", row, Some(key));
        }
        if found.is_some() && self.is_gone(key, done) {
            wrong.found(&wrong.ghosts, "found after its removal", row, Some(key));
        }
        Ok(u64::from(found.is_some()))
    }

    /// Whether an event was removed by `rounds` rounds; one that came later may be stored all the same.
    fn is_gone(&self, key: &Key, rounds: u64) -> bool {
        self.mix.known.contains_key(&key.id) && self.shared.removal.takes(key, rounds)
    }

    fn count(&self, row: &Row, filter: &Filter, witness: Option<&Witness>) -> Result<u64> {
        let count = self.shared.store.count(std::slice::from_ref(filter))?;
        let untouched = self.shared.removal.begun.load(SeqCst) == 0;
        if untouched && witness.is_some_and(|witness| count < witness.count) {
            let wrong = &self.shared.wrong;
            wrong.found(&wrong.counts, "too few counted", row.name, None);
        }
        Ok(count)
    }

    fn query(&mut self, row: &Row, filter: &Filter, witness: Option<&Witness>) -> Result<u64> {
        let (wrong, removal) = (&self.shared.wrong, &self.shared.removal);
        let done = removal.done.load(SeqCst);
        let compare = self.asked.is_multiple_of(MATCHED);
        let mut rows = 0;
        let mut last: Option<Key> = None;
        self.got.clear();
        let mut events = self.shared.store.query(std::slice::from_ref(filter))?;
        while let Some(event) = events.next()? {
            let key = Key { time: event.created_at(), id: *event.id() };
            if last.is_some_and(|last| last <= key) {
                wrong.found(&wrong.order, "out of order, or twice", row.name, Some(&key));
            }
            if compare && !filter.matches(&event) {
                wrong.found(&wrong.strangers, "not asked for", row.name, Some(&key));
            }
            last = Some(key);
            rows += 1;
            if witness.is_some() {
                self.got.push(key);
            }
        }
        if let Some(witness) = witness {
            let begun = removal.begun.load(SeqCst);
            let full = filter.limit.is_some_and(|limit| rows >= limit);
            self.compare(row, &witness.keys, last.filter(|_| full), (done, begun));
        }
        Ok(rows)
    }

    /// Looks for what the witness saw. `floor`: the last event of a full answer.
    fn compare(&self, row: &Row, saw: &[Key], floor: Option<Key>, (done, begun): (u64, u64)) {
        let (wrong, removal): (_, &Removal) = (&self.shared.wrong, &self.shared.removal);
        for key in saw {
            // Answers are newest first.
            let found = self.got.binary_search_by(|got| key.cmp(got)).is_ok();
            let pushed_out = floor.is_some_and(|floor| *key < floor);
            if !found && !pushed_out && !removal.takes(key, begun) {
                wrong.found(&wrong.lost_by_query, "missing", row.name, Some(key));
            }
            if found && removal.takes(key, done) {
                wrong.found(&wrong.ghosts, "answered after its removal", row.name, Some(key));
            }
        }
    }
}
