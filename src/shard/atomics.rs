//! What the lock-free parts of a shard take from outside, so that loom can stand in for it.
//!
//! `dead.rs`, `inbox.rs`, `published.rs`, `room.rs` and `ticket.rs` name only `super::atomics`. The loom models (`tests/model.rs`)
//! include those very files a second time beneath another `atomics`.

pub(super) use crate::wal::Ring;
pub(super) use arc_swap::{ArcSwap, Guard};
pub(super) use crossbeam::queue::ArrayQueue;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
pub(super) use std::sync::{Mutex, MutexGuard};
pub(super) use std::thread::yield_now;
