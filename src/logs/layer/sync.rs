//! What the queue of a tracing layer takes from outside, so that loom can stand in for it.
//!
//! `queue.rs` names only `super::sync`. The loom models (`model.rs`) include that very file a second time beneath another
//! `sync`.

pub(super) use crate::wal::{Drainer, Ring};
pub(super) use crossbeam::sync::{Parker, Unparker};
pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};
pub(super) use std::thread::yield_now;
