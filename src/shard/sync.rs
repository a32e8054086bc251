//! Syncs of the `Batch` mode: no answered write stays unsynced longer, or with more bytes behind it,
//! than the window says.
//!
//! I1. A sync covers the writes that completed before it began, so it starts between two writes.
//! I2. Once the window is full, nothing more is written until its sync is done.

use super::SyncMode;
use super::commit::TOKEN_SYNC;
use super::write::Core;
use crate::io::{File, Op};
use std::sync::Arc;
use std::time::Duration;

/// Files that are synced at once: their places in the queue are reserved. Without syncs there are as many at the end as
/// were written.
const SYNC_FILES_MAX: usize = 4;

impl Core {
    pub(super) fn note_unsynced(&mut self, durable: bool, file: &Arc<dyn File>, bytes: u64) {
        if durable {
            return;
        }
        if !self.unsynced.iter().any(|f| Arc::ptr_eq(f, file)) {
            self.unsynced.push(file.clone());
        }
        if self.unsynced_bytes == 0 {
            self.unsynced_since = self.shared.env.clock.monotonic_nanos();
        }
        self.unsynced_bytes += bytes;
    }

    pub(super) fn until_sync(&self) -> Option<Duration> {
        let SyncMode::Batch { interval, .. } = self.shared.config.sync else { return None };
        if self.unsynced_bytes == 0 || self.syncing > 0 {
            return None;
        }
        let waited = self.shared.env.clock.monotonic_nanos().saturating_sub(self.unsynced_since);
        Some(interval.saturating_sub(Duration::from_nanos(waited)))
    }

    pub(super) fn must_sync_first(&self) -> bool {
        // What is being synced is not synced yet.
        matches!(self.shared.config.sync, SyncMode::Batch { bytes, .. }
            if self.unsynced_bytes + self.in_sync_bytes >= bytes
                || self.syncing > 0 && self.window_is_over())
    }

    pub(super) fn window_is_over(&self) -> bool {
        let SyncMode::Batch { interval, .. } = self.shared.config.sync else { return false };
        let waited = self.shared.env.clock.monotonic_nanos().saturating_sub(self.unsynced_since);
        self.unsynced_bytes > 0 && waited >= interval.as_nanos() as u64
    }

    pub(super) fn sync_if_due(&mut self) {
        let SyncMode::Batch { bytes, .. } = self.shared.config.sync else { return };
        // A sync covers the writes that completed before it, so it waits for the one in flight.
        if self.syncing > 0 || self.flying.is_some() || self.shared.poison.get().is_some() {
            return;
        }
        // At half the window, so that writes go on into the other half meanwhile.
        if self.unsynced_bytes >= bytes.div_ceil(2) || self.window_is_over() {
            self.sync_now();
        }
    }

    /// Starts a sync of everything written so far; if that is in too many files, of the oldest of them, and what is left
    /// counts as unsynced still.
    pub(super) fn sync_now(&mut self) {
        let rest = self.unsynced.split_off(self.unsynced.len().min(SYNC_FILES_MAX));
        self.in_sync = std::mem::replace(&mut self.unsynced, rest);
        if self.unsynced.is_empty() {
            self.sync_to = self.log.end();
            self.in_sync_bytes = std::mem::take(&mut self.unsynced_bytes);
        }
        for file in self.in_sync.clone() {
            self.push(TOKEN_SYNC, Op::Sync { file });
            self.syncing += 1;
        }
    }
}
