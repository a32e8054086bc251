//! What measuring a store takes, for `ratite bench` and for the package in `perf/`; no part of the public API.
//!
//! ```text
//!   host      facts about the machine       clock     wall and CPU time, histograms, `Meter`
//!   device    a file, written and read      workload  the queries of a client, drawn from what is stored
//!   events    made, and signed by all       ingest    events into a store, many under way; signatures alone
//!   ask       a query, every event seen     publish   one durable insert, in turn with the bare write
//!   victim    inserts, until it is killed
//! ```
//!
//! 1. Nothing here prints, and nothing decides how often: that is for who measures.
//! 2. What takes long asks a [`Going`] between two steps, and ends early with what it has.
//! 3. Errors are those of the store and of files.

pub mod ask;
pub mod clock;
pub mod device;
pub mod events;
pub mod host;
pub mod ingest;
pub mod publish;
pub mod victim;
pub mod workload;

use std::sync::Arc;

/// Whether to go on.
pub type Going = Arc<dyn Fn() -> bool + Send + Sync>;

/// Goes on to its end.
pub fn always() -> Going {
    Arc::new(|| true)
}

/// As `going`, for so many nanoseconds from now on.
pub fn for_nanos(nanos: u64, going: &Going) -> Going {
    let (until, going) = (clock::wall() + nanos, going.clone());
    Arc::new(move || going() && clock::wall() < until)
}
