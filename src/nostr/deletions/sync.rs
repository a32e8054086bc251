//! What the queue of requests takes from outside, so that loom can stand in for it.
//!
//! `queue.rs` names only `super::sync`. The loom models (`model.rs`) include that very file a second time beneath another
//! `sync`, whose queue is small enough to be explored.

pub(super) use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
pub(super) use std::sync::Mutex;
pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Requests that may wait for the worker, each of at most `RECORD_BYTES_MAX`: beyond, their senders wait.
pub(super) const QUEUE_JOBS: usize = 64;
