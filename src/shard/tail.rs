//! Following a shard: every record stored after a snapshot, in order of arrival, without a queue.
//!
//! A tail holds the memtable it stands in and follows the links from one memtable to the next, so
//! that the writer does nothing for it but wake it, and it can neither miss nor repeat a record. A
//! tail that does not move keeps the memtables behind it in memory: its owner must poll it.

use super::{Shared, Snapshot};
use crate::base::{Ordinal, Seq};
use crate::memtable::Memtable;
use crate::model::Record;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A position in the stream of a shard's new records.
pub struct Tail {
    shared: Arc<Shared>,
    memtable: Arc<Memtable>,
    next: Ordinal,
}

impl Tail {
    /// The records after `snapshot`.
    pub(super) fn after(shared: Arc<Shared>, snapshot: &Snapshot) -> Tail {
        // What is not yet published may still stand in a sealed memtable; a flushed one is published.
        let mut memtables = snapshot.view.memtables();
        let memtable = memtables.find(|m| m.base() <= snapshot.at);
        let memtable = memtable.unwrap_or(&snapshot.view.active).clone();
        let next = snapshot.visible(&memtable);
        Tail { shared, memtable, next }
    }

    /// Calls `visit` with each record that was published since the last call, and its number.
    /// Returns how many there were.
    pub fn poll(&mut self, visit: &mut dyn FnMut(Seq, Record<'_>)) -> usize {
        self.poll_some(&mut |seq, record| {
            visit(seq, record);
            ControlFlow::Continue(())
        })
    }

    /// As [`Tail::poll`], until `visit` breaks off: the next call goes on behind the record that it was given last.
    pub fn poll_some(
        &mut self,
        visit: &mut dyn FnMut(Seq, Record<'_>) -> ControlFlow<()>,
    ) -> usize {
        let at = self.shared.published.seq();
        let mut visited = 0;
        loop {
            let memtable = &self.memtable;
            let end = at.saturating_sub(memtable.base()).min(u64::from(memtable.len())) as Ordinal;
            for o in self.next..end {
                // What is dead from its own number on was never a record (`remove`).
                if memtable.killed_at(o) == memtable.base() + u64::from(o) + 1 {
                    continue;
                }
                let record = Record { key: memtable.key(o), body: memtable.body(o) };
                visited += 1;
                if visit(memtable.base() + u64::from(o) + 1, record).is_break() {
                    self.next = o + 1;
                    return visited;
                }
            }
            self.next = self.next.max(end);
            // A memtable with a successor grows no more, so its length is final.
            match memtable.next() {
                Some(next) if self.next == memtable.len() => {
                    self.memtable = next.clone();
                    self.next = 0;
                }
                _ => return visited,
            }
        }
    }

    /// Bytes of the memtables that the tail has still to go through, and that are segments by now: nobody else needs
    /// them. A look at each.
    pub fn held_bytes(&self) -> usize {
        let view = self.shared.published.view();
        let (mut bytes, mut memtable) = (0, &self.memtable);
        while let Some(next) = memtable.next() {
            if !view.memtables().any(|current| Arc::ptr_eq(current, memtable)) {
                bytes += memtable.bytes_used();
            }
            memtable = next;
        }
        bytes
    }
}
