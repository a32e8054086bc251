//! Records that came in and are not stored yet: their bytes in one piece, their sources shared.
//!
//! ```text
//!   bytes    [raw of 0][raw of 1][raw of 2]...
//!   items    ts, source, where its raw is
//! ```

use crate::base::Result;
use crate::logs::{LogRecord, LogStore, Source};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that a record takes besides its raw: here, and while the store has it under way.
pub(super) const RECORD_OVERHEAD: usize = 128;

/// Records on their way into the store.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

struct Item {
    ts: u64,
    source: Arc<Source>,
    raw: Range<usize>,
}

impl Batch {
    /// Adds a record.
    pub(super) fn push(&mut self, ts: u64, source: Arc<Source>, raw: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw);
        self.items.push(Item { ts, source, raw: start..self.bytes.len() });
    }

    /// Adds a record whose raw is what `write` appends, if that is at most `most` bytes.
    pub(super) fn push_with(
        &mut self,
        ts: u64,
        source: &Arc<Source>,
        most: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let fits = self.bytes.len() - start <= most;
        match fits {
            true => {
                let raw = start..self.bytes.len();
                self.items.push(Item { ts, source: source.clone(), raw });
            }
            false => self.bytes.truncate(start),
        }
        fits
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all raws.
    pub(super) fn raw_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.items.len() * RECORD_OVERHEAD
    }

    /// Forgets the records, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    /// The records, in order.
    pub(super) fn records(&self) -> Vec<LogRecord<'_>> {
        let items = self.items.iter();
        let raw = |item: &Item| &self.bytes[item.raw.clone()];
        items.map(|item| LogRecord { ts: item.ts, source: &item.source, raw: raw(item) }).collect()
    }

    /// Stores the records, and returns when they are as durable as the sync mode says.
    ///
    /// # Errors
    /// Those of [`LogStore::append_batch_async`]; some may be stored then.
    pub(super) async fn append(&self, store: &LogStore) -> Result<()> {
        store.append_batch_async(&self.records()).await.map(drop)
    }
}
