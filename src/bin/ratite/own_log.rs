//! What a relay says of itself, kept as records of a log store: `[logs]`.
//!
//! ```text
//!   events of the process --level--+--> standard error
//!                                  +--> queue --> log store, source `relay`     (with logs.data)
//! ```
//!
//! 1. It is opened before anything is logged and closed after the store of events, so that it has all in between.
//! 2. A log store that does not open ends the program; one that fails later costs its records and one line on standard
//!    error, and nothing else.
//! 3. One program has a store open at a time: `ratite log` reads it when the relay has ended.

use crate::config::{Built, OwnLogging};
use crate::failure::{Failure, Outcome};
use crate::output::say;
use ratite::io;
use ratite::logs::{LogOptions, LogRetainer, LogRetention, LogStore};
use ratite::logs::{TracingHandle, TracingLayer, TracingOptions};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The name that its records have as their source.
const SOURCE: &str = "relay";

/// Memory of the store: a relay says little of itself, and its memory is for events.
const MEMORY_BYTES: usize = 64 << 20;

/// How long the end of the program waits for a disk that does not take the rest.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);

/// The open log store of a relay.
pub struct OwnLog {
    store: Arc<LogStore>,
    handle: TracingHandle,
    retainer: Option<LogRetainer>,
}

impl OwnLog {
    /// Opens the store that the options name, if they do, and makes the layer that fills it.
    pub fn open(built: &Built) -> Outcome<Option<(OwnLog, TracingLayer)>> {
        let OwnLogging { data: Some(dir), retain } = &built.own_log else { return Ok(None) };
        let failed = |error| Failure::Sentence(format!("the relay's own log: {error}"));
        let env = io::system(built.io).map_err(failed)?;
        let store = LogStore::open_in(dir, &LogOptions::from(&options(dir)), env);
        let store = Arc::new(store.map_err(failed)?);
        let layer = TracingOptions::named(SOURCE);
        let layer = ratite::tracing_layer(store.clone(), &layer).map_err(failed)?;
        let handle = layer.handle();
        let retainer = (*retain != LogRetention::default())
            .then(|| LogRetainer::start(&store, *retain, LogRetainer::INTERVAL));
        Ok(Some((OwnLog { store, handle, retainer }, layer)))
    }

    /// Appends what is queued and closes the store; says what is missing.
    pub fn close(self) {
        // What it says is the last.
        drop(self.retainer);
        let ended = self.handle.close(CLOSE_WAIT_MAX);
        let dropped = self.handle.dropped();
        if dropped > 0 || !ended {
            say(format_args!("ratite: {dropped} events of the relay's own log are lost"));
        }
        // A store that does not answer would keep the program for ever.
        if ended && let Err(error) = self.store.close() {
            say(format_args!("ratite: the relay's own log: {error}"));
        }
    }
}

fn options(dir: &Path) -> Options {
    let mut options = Options::default();
    // An existing store keeps what it was created with.
    options.shards = (!dir.join("STORE").is_file()).then_some(1);
    options.memory_bytes = MEMORY_BYTES;
    (options.ring_bytes, options.log_file_bytes) = (1 << 20, 8 << 20);
    options.readers = 1;
    // Nobody is told that a record is kept, so no flush is owed to each.
    options.sync = SyncMode::BATCH;
    options
}
