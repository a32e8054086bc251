//! A simulated machine with two stores, and the list of each.

use crate::compare::same;
use crate::naive::random::pick;
use crate::naive::{HERE, Naive};
use ratite::io::{Env, Faults, ManualClock, Rng, SimDisk, simulated};
use ratite::nostr::{EventOptions, EventStore};
use ratite::store::Options;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One store, and what it has to hold.
pub struct Side {
    store: Option<EventStore>,
    pub naive: Naive,
    pub dir: PathBuf,
    pub options: EventOptions,
}

impl Side {
    fn new(dir: &str, shards: usize, options: &Options) -> Side {
        let mut options = options.clone();
        options.shards = Some(shards);
        let options =
            EventOptions { relay_urls: vec![HERE.into()], ..EventOptions::from(&options) };
        let naive = Naive { strict: true, ..Naive::default() };
        Side { store: None, naive, dir: dir.into(), options }
    }

    pub fn store(&self) -> &EventStore {
        self.store.as_ref().expect("an open store")
    }

    /// Ends it without a word, as far as it was open.
    pub fn end(&mut self) {
        self.store = None;
    }

    pub fn open(&mut self, env: &Env) -> ratite::base::Result<()> {
        self.store = Some(EventStore::open_with(&self.dir, &self.options, env.clone())?);
        // Another number of shards may be there next time.
        self.options.store.shards = None;
        Ok(())
    }

    pub fn close(&mut self) {
        self.store().close().unwrap();
        self.end();
    }
}

pub struct Machine {
    pub env: Env,
    pub disk: Arc<SimDisk>,
    pub clock: Arc<ManualClock>,
    pub main: Side,
    pub other: Side,
    /// Stores that were made from backups.
    pub copies: u32,
}

impl Machine {
    pub fn new(seed: u64) -> Machine {
        let faults = Faults { names_any_subset: seed.is_multiple_of(2), ..Faults::default() };
        let (env, disk, clock) = simulated(seed, faults);
        let mut rng = Rng::new(seed ^ 0x6d_696c_6c69_6f6e);
        let mut options = Options::tiny();
        options.memtable_bytes = Some(pick(&mut rng, &[64 << 10, 192 << 10]));
        options.log_file_bytes = 128 << 10;
        options.memory_bytes = options.memory_bytes_min(4) + pick(&mut rng, &[0, 1 << 20]);
        options.sync = ratite::shard::SyncMode::Always;
        let shards = pick(&mut rng, &[1, 2, 4]);
        let main = Side::new("/store", shards, &options);
        let other = Side::new("/other", 1, &options);
        let mut machine = Machine { env, disk, clock, main, other, copies: 0 };
        machine.open();
        machine
    }

    pub fn open(&mut self) {
        self.main.open(&self.env).unwrap();
        self.other.open(&self.env).unwrap();
        self.tell_time();
    }

    pub fn now(&self) -> u64 {
        self.env.clock.unix_micros() / 1_000_000
    }

    /// The list of the main store.
    pub fn naive(&self) -> &Naive {
        &self.main.naive
    }

    /// What the main store has to answer from.
    pub fn seen(&self) -> Naive {
        self.main.naive.at(self.now())
    }

    pub fn tell_time(&mut self) {
        let now = self.now();
        (self.main.naive.now, self.other.naive.now) = (now, now);
    }

    pub fn everything(&self) {
        for side in [&self.main, &self.other] {
            same(side.store(), &side.naive.at(self.now()));
        }
    }

    /// A path for the next copy.
    pub fn next_copy(&mut self, of: &str) -> PathBuf {
        Path::new("/").join(format!("{of}-{}", self.copies))
    }
}
