//! What a store keeps when the machine, the process, the disk or a bit fails: the promises 1, 2, 3 and 7
//! of the design, held on the simulated disk against the oracle.
//!
//! ```text
//!   World --events--> store under faults --answers--> Ledger:  per shard  base | acknowledged | tail
//!                       cut, kill, EIO, ENOSPC                            must be there | may, in order
//!   reopened store ---- what it holds --------------> Ledger::adopt: which prefix is it?
//! ```

mod cuts;
mod errors;
mod full;
mod kills;
mod ledger;
mod rot;

use ledger::Ledger;
use ratite::base::Result;
use ratite::io::{Env, Faults, ManualClock, SimDisk, simulated};
use ratite::nostr::{EventOptions, EventStore};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::path::Path;
use std::sync::Arc;

/// Where the store lies on the simulated disk.
const DIR: &str = "/store";

/// A simulated machine.
struct Machine {
    env: Env,
    disk: Arc<SimDisk>,
    clock: Arc<ManualClock>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let faults = Faults { names_any_subset: seed.is_multiple_of(2), ..Faults::default() };
        let (env, disk, clock) = simulated(seed, faults);
        Machine { env, disk, clock }
    }

    fn open(&self, options: &Options) -> Result<EventStore> {
        // Each shard's prefix is judged alone, so answers must not depend on what others hold.
        let options = EventOptions { refuse_foreign_deletes: false, ..EventOptions::from(options) };
        EventStore::open_with(Path::new(DIR), &options, self.env.clone())
    }

    /// Paths of all files of the store.
    fn files(&self, shards: usize) -> Vec<String> {
        let dirs = (0..shards).map(|shard| format!("{DIR}/shard-{shard:02}"));
        let dirs = std::iter::once(DIR.to_string()).chain(dirs);
        let files = |dir: String| {
            let names = self.env.disk.list(Path::new(&dir)).unwrap();
            names.into_iter().map(move |name| format!("{dir}/{name}"))
        };
        dirs.flat_map(files).collect()
    }

    fn bytes_used(&self, shards: usize) -> u64 {
        let contents = self.files(shards).into_iter().filter_map(|path| self.disk.contents(path));
        contents.map(|bytes| bytes.len() as u64).sum()
    }
}

/// Small files, so that logs rotate and memtables flush within a short run.
fn options(shards: usize, sync: SyncMode) -> Options {
    let mut options = Options::tiny();
    options.shards = Some(shards);
    options.sync = sync;
    options.memtable_bytes = Some(64 << 10);
    options.log_file_bytes = 96 << 10;
    options
}

const MODES: [SyncMode; 3] = [SyncMode::Always, SyncMode::BATCH, SyncMode::Never];
