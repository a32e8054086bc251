//! What of a shard is published: the current view, and the sequence number up to which records and removals count.
//!
//! ```text
//!   writer: install(view) ... advance(seq) ... log_to(end)      reader: view, seq, the same view again?
//! ```
//!
//! I1. What a reader is given together belongs together: the number was read while the view was the current one, so
//!     that no removal that it should see is recorded only in a later view.
//! I2. Who reads a log end and takes a snapshot then has all that the log holds up to there.

use super::atomics::{ArcSwap, AtomicU64, Guard, Ordering::*};
use crate::base::{Lsn, Seq};
use std::sync::Arc;

/// The current view and watermark of a shard.
pub(super) struct Published<V> {
    view: ArcSwap<V>,
    seq: AtomicU64,
    /// Behind the last block of the log whose records are published.
    log_end: AtomicU64,
}

impl<V> Published<V> {
    pub(super) fn new(view: V, seq: Seq) -> Published<V> {
        Published {
            view: ArcSwap::from_pointee(view),
            seq: AtomicU64::new(seq),
            log_end: AtomicU64::new(0),
        }
    }

    /// The records and removals up to `seq` are durable as promised: readers may see them.
    pub(super) fn advance(&self, seq: Seq) {
        self.seq.store(seq, Release);
    }

    /// The log up to `end` is published: said after `advance` (I2).
    pub(super) fn log_to(&self, end: Lsn) {
        self.log_end.fetch_max(end.0, AcqRel);
    }

    pub(super) fn log_end(&self) -> Lsn {
        Lsn(self.log_end.load(Acquire))
    }

    pub(super) fn seq(&self) -> Seq {
        self.seq.load(Acquire)
    }

    pub(super) fn install(&self, view: V) {
        self.view.store(Arc::new(view));
    }

    pub(super) fn view(&self) -> Arc<V> {
        self.view.load_full()
    }

    /// A view, and a number that was read while it was the current one (I1).
    pub(super) fn consistent(&self) -> (Arc<V>, Seq) {
        let mut view = self.view.load_full();
        loop {
            let at = self.seq();
            let again = self.view.load();
            if Arc::ptr_eq(&view, &again) {
                return (view, at);
            }
            view = Guard::into_inner(again);
        }
    }
}
