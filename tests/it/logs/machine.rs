//! A simulated machine with a log store, its list, and what is held open between two operations: pages that go on later,
//! and cursors.

use super::How;
use super::naive::{Ask, Line, Naive, Rec};
use crate::naive::random::pick;
use ratite::base::PageSize;
use ratite::io::{Env, Faults, ManualClock, Rng, SimDisk, simulated};
use ratite::logs::{Follow, LogCursor, LogOptions, LogStore, Resume};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where the store lies on the simulated disk.
const DIR: &str = "/logs";

/// Pages and cursors that are held at once.
pub const SLOTS: usize = 4;

/// An answer that is read in pages, with anything in between.
pub struct Paging {
    pub ask: Ask,
    /// `None` at the end.
    pub resume: Option<Resume>,
    /// What the first page froze, and how much of it was given.
    pub frozen: Vec<Arc<Line>>,
    pub given: usize,
}

/// A cursor, and what it saw when it was opened.
pub struct Walking {
    pub cursor: LogCursor,
    pub seen: Vec<Arc<Line>>,
    /// How many records lie before it.
    pub at: usize,
}

/// Who follows, and what it is to be given.
pub struct Following {
    pub follow: Follow,
    pub ask: Ask,
    pub left: VecDeque<Arc<Line>>,
}

pub struct Machine {
    pub env: Env,
    pub disk: Arc<SimDisk>,
    pub clock: Arc<ManualClock>,
    pub options: LogOptions,
    store: Option<LogStore>,
    pub naive: Naive,
    pub pages: [Option<Paging>; SLOTS],
    pub walks: [Option<Walking>; SLOTS],
    pub follows: [Option<Following>; SLOTS],
    /// What a failure left without an answer.
    pub open_recs: Option<(Vec<Rec>, How)>,
}

impl Machine {
    pub fn new(seed: u64) -> Machine {
        let faults = Faults { names_any_subset: seed.is_multiple_of(2), ..Faults::default() };
        let (env, disk, clock) = simulated(seed, faults);
        let mut rng = Rng::new(seed ^ 0x6c_6f67_735f_6c6f);
        let mut options = Options::tiny();
        options.shards = Some(pick(&mut rng, &[1, 2, 4]));
        options.page = Some(pick(&mut rng, &[PageSize::K4, PageSize::K8]));
        options.memtable_bytes = Some(pick(&mut rng, &[64 << 10, 192 << 10]));
        options.log_file_bytes = 128 << 10;
        let spare = pick(&mut rng, &[0, 1 << 20]);
        options.memory_bytes = options.memory_bytes_min(options.shards.unwrap()) + spare;
        options.sync = SyncMode::Always;
        let mut options = LogOptions::from(&options);
        options.segment_span = Duration::from_micros(pick(&mut rng, &[1_000, 86_400_000_000]));
        options.seal_records = pick(&mut rng, &[None, Some(200)]);
        let (pages, walks, follows) = Default::default();
        let naive = Naive::default();
        let store = None;
        let mut machine = Machine {
            env,
            disk,
            clock,
            options,
            store,
            naive,
            pages,
            walks,
            follows,
            open_recs: None,
        };
        machine.open();
        machine
    }

    pub fn store(&self) -> &LogStore {
        self.store.as_ref().expect("an open store")
    }

    pub fn now(&self) -> u64 {
        self.env.clock.unix_micros()
    }

    pub fn open(&mut self) {
        self.try_open().unwrap();
    }

    pub fn try_open(&mut self) -> ratite::base::Result<()> {
        // Which arrivals were given, the records, the mark of the last retention and the clock tell. When a power cut has
        // taken the newest records, as a sync mode may, the clock alone does, and it must not have been set back: this is
        // where a machine's has to be.
        let last = self.naive.last;
        let is_stored = self.naive.lines.iter().any(|line| line.position.arrival == last);
        if !is_stored && self.naive.marked < last {
            self.clock.set(self.now().max(self.naive.last + 1));
        }
        self.store = Some(LogStore::open_in(Path::new(DIR), &self.options, self.env.clone())?);
        // As it was created.
        (self.options.store.shards, self.options.store.page) = (None, None);
        Ok(())
    }

    pub fn close(&mut self) {
        self.store().close().unwrap();
        self.end();
    }

    /// Ends it without a word.
    pub fn end(&mut self) {
        self.walks = Default::default();
        self.follows = Default::default();
        self.store = None;
    }

    /// Bytes of all files of the store.
    pub fn bytes_used(&self) -> u64 {
        let shards = (0..64).map(|shard| format!("{DIR}/shard-{shard:02}"));
        let files = |dir: String| {
            let names = self.env.disk.list(Path::new(&dir)).unwrap_or_default();
            names.into_iter().map(move |name| format!("{dir}/{name}"))
        };
        let paths = std::iter::once(DIR.to_string()).chain(shards).flat_map(files);
        paths.filter_map(|path| self.disk.contents(path)).map(|bytes| bytes.len() as u64).sum()
    }
}
