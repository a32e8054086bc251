//! The log of a shard: the ring through which writers hand records over, group commits on disk, and
//! their replay.
//!
//! ```text
//!   caller threads            the shard's thread                          disk
//!   try_push --> Ring --> Drainer::drain --> Group::push
//!                                            Writer::place --> io::Op --> [block] in wal-0000002a
//!                                                 |    Group::reuse <---- completion
//!                         Files::prepare --> Writer::rotate               [file header|block] ...
//!   after a crash:        replay(from) -- entries --> the shard; Writer::new in a new file
//!   meanwhile:            scan::follow(from) -- blocks --> a backup, without writing
//! ```
//!
//! Reading order: `ring` (and `sync`, what it is built of), `format` (the bytes), `files`, `group`,
//! `writer`, `scan`, `replay`.
//!
//! A position in the log is an LSN: file number and byte offset. One block is one group commit. What this
//! floor promises, given that the caller keeps to I2 and I3 of `writer`:
//! 1. A group whose durable write completed is replayed, in order and byte for byte, or the damage is
//!    reported as `Corrupt` with file and offset.
//! 2. What was never acknowledged is replayed as a whole group or not at all, and a group never without
//!    those before it.
//! 3. Replay finds the same end again however often it is interrupted.
//! 4. No content of any file makes replay panic, run for ever, or allocate more than a file's size.
//!
//! Built after the log of leveldb (one format for writer and reader), PostgreSQL's recycled, pre-zeroed
//! segments, and the group commit of Gray and Reuter.

mod files;
mod format;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod group;
mod replay;
mod ring;
pub mod scan;
pub mod survey;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

pub use files::Files;
pub use format::{BlockInfo, FileInfo, GRAIN_BYTES_MAX, Identity};
pub use group::Group;
pub use replay::{Replayed, replay};
pub use ring::{Drainer, Full, Ring};
pub use sync::Word;
#[cfg(test)]
pub use writer::go_on_in_the_torn_file;
pub use writer::{Placed, Writer};
