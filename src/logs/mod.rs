//! The log store: records of a time, a source and raw bytes, found by time, source and word.
//!
//! ```text
//!   LogRecord --append--> LogStore --(model, tokens)--> Store    the engine: WAL, memtables, segments
//!   Query --search--> Select --> Search, pages by Resume          LogCursor: next, prev, seek(Position)
//! ```
//!
//! A thin skin over the engine: a log line is one engine record. `model` says how it is indexed, `tokens` what a
//! word is, `position` and `resume` how one comes back to a place, `search` and `cursor` how records are read.
//!
//! Reading order: `source`, `record`, `tokens`, `model`, `position`, `query`, `resume`, `store`, `append`,
//! `walk`, `search`, `cursor`, `follow`; `segments`, `seal`, `retention`; `histogram`.
//!
//! `generate` makes lines for tests and benches.
//!
//! L1. Records are in order of their time, then of their arrival; forward and backward are exact mirrors.
//! L2. Index, query and verification use one tokenizer, so that an answer does not depend on where a record is.
//! L3. A position is never given twice, and means the same record for ever.

mod append;
mod cursor;
mod follow;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod generate;
mod histogram;
#[cfg(feature = "tracing-layer")]
mod layer;
mod model;
mod position;
mod query;
mod record;
mod resume;
mod retention;
mod seal;
mod search;
mod segments;
mod source;
mod store;
pub mod time;
pub mod tokens;
mod walk;

pub use cursor::LogCursor;
pub use follow::Follow;
pub use histogram::{BUCKETS_MAX, SOURCES_MAX};
#[cfg(feature = "tracing-layer")]
pub use layer::{TracingHandle, TracingLayer, TracingOptions, tracing_layer};
pub use model::LogModel;
pub use position::Position;
pub use query::Query;
pub use record::{LogRecord, LogRef, RAW_BYTES_MAX};
pub use resume::Resume;
pub use retention::{LogRetainer, LogRetention, Retained};
pub use search::{CancelHandle, Search};
pub use segments::SegmentMeta;
pub use source::{NAME_BYTES_MAX, NAMESPACE, Source, SourceRef};
pub use store::{LogOptions, LogStore};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
