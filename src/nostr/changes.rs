//! A feed of changes: every event that was stored and every one that was removed, in the order of each shard, with
//! positions that can be kept and gone on from in another process.
//!
//! ```text
//!   changes(position)  log from there on ................ as it grows
//!   changes_from_all   all that is stored | log from there on
//! ```
//!
//! I1. From a position on, each change comes once, and those of one author in their order. Of two shards, either may come
//!     first.
//! I2. A position is behind the last change that was given: who does its work and then keeps it sees some changes again
//!     after a crash, and misses none.
//! I3. Nothing waits for a feed: it holds no memory but two slices, and its backlog is the log itself. A log file is
//!     recycled once its events are in segments; a feed that is further behind gets `ChangesGone`, and begins again with
//!     `changes_from_all`.
//!
//! A position's bytes: version u8 (1), then of each shard LSN u64 and entry u32, little endian, behind the store's id.

use super::event::{Event, EventRef};
use super::filter::Filter;
use super::store::{EventStore, damaged};
use super::streams::{Blocking, EventStream};
use crate::base::{Error, Lsn, Result, StoreId};
use crate::model::Record;
use crate::query::{Next, Order, Produce, Slices};
use crate::shard::format::{Entry, EntryKind};
use crate::shard::{ChangeReader, LogPosition};
use futures_core::Stream;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Changes and bytes of one slice.
const SLICE_CHANGES: usize = 128;
const SLICE_BYTES: usize = 64 << 10;

const VERSION: u8 = 1;

/// One change, which happened at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// An event was stored, and others went with it: older versions, what it asked to delete.
    Stored {
        /// The event.
        event: Event,
        /// Ids of those that went.
        removed: Vec<[u8; 32]>,
    },
    /// Events were removed: by retention, or whoever owns the store.
    Removed {
        /// Their ids.
        ids: Vec<[u8; 32]>,
    },
}

/// A place in a store's changes: what comes behind it has not been given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    store: StoreId,
    shards: Vec<LogPosition>,
}

impl Position {
    /// The position in 17 bytes and 12 for each shard.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.store.0);
        for shard in &self.shards {
            out.extend_from_slice(&shard.block.0.to_le_bytes());
            out.extend_from_slice(&shard.entry.to_le_bytes());
        }
        out
    }

    /// Reads what `to_bytes` wrote.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Position> {
        let invalid = || Error::invalid("position", "these bytes are none of this version");
        let (&version, rest) = bytes.split_first().ok_or_else(invalid)?;
        let (store, rest) = rest.split_first_chunk::<16>().ok_or_else(invalid)?;
        let (shards, odd) = rest.as_chunks::<12>();
        if version != VERSION || !odd.is_empty() || shards.is_empty() {
            return Err(invalid());
        }
        let shard = |bytes: &[u8; 12]| {
            let word = |at: usize, len: usize| {
                bytes[at..at + len].iter().rev().fold(0, |sum, &b| sum << 8 | u64::from(b))
            };
            LogPosition { block: Lsn(word(0, 8)), entry: word(8, 4) as u32 }
        };
        Ok(Position { store: StoreId(*store), shards: shards.iter().map(shard).collect() })
    }
}

impl EventStore {
    /// The position behind all that was answered before the call.
    pub fn position(&self) -> Position {
        Position { store: self.engine().id(), shards: self.engine().log_ends() }
    }

    /// The changes behind `from`, those that happened and then those that happen, as far as the log reaches: at least what
    /// is not yet in segments, and the current log file of each shard. See the module for the order and for positions.
    ///
    /// Read from the log files, slice by slice on a reader thread, while it is polled; a live change costs some 100 us of
    /// one, beside the reading. [`EventStore::subscribe`] is quicker, filters, and tells no removals.
    ///
    /// # Errors
    /// `Mismatch` if the position is another store's. The stream ends with `ChangesGone` if the log does not reach back.
    pub fn changes(&self, from: &Position) -> Result<Changes> {
        let store = self.engine();
        if from.store != store.id() || from.shards.len() != store.shard_count() {
            let (stored, asked) = (store.id(), from.store);
            return Err(Error::mismatch(store.dir(), "id, of the position", stored, asked));
        }
        let log = store.changes(&from.shards, |readers| Feed { readers });
        Ok(Changes { all: None, log, position: from.clone() })
    }

    /// All that is stored, oldest first, as [`Change::Stored`], and then the changes since. What changes while this call
    /// looks may come twice, once in each half: changes are by id, so that applying one again changes nothing.
    pub fn changes_from_all(&self) -> Result<Changes> {
        let position = self.position(); // before the snapshot
        let all = [Filter::default()];
        let all = self.query_stream_at(&self.snapshot(), &all, Order::Oldest, None);
        Ok(Changes { all: Some(all), ..self.changes(&position)? })
    }
}

/// The changes of a store: a stream, and with [`Changes::blocking`] an iterator. It ends when the store is dropped, with
/// `Closed`.
#[must_use = "a feed that is not polled reads two slices and no more"]
pub struct Changes {
    all: Option<EventStream>,
    log: Slices<Feed>,
    position: Position,
}

impl Changes {
    /// The place behind the change that was given last; `None` while [`EventStore::changes_from_all`] gives what is
    /// stored, which is only of use as a whole.
    pub fn position(&self) -> Option<&Position> {
        self.all.is_none().then_some(&self.position)
    }

    /// The same as an iterator, which waits on its thread: for ever, if nothing changes and the store stays open.
    pub fn blocking(self) -> Blocking<Changes> {
        Blocking(self)
    }
}

impl Stream for Changes {
    type Item = Result<Change>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Change>>> {
        if let Some(all) = &mut self.all {
            match std::task::ready!(Pin::new(all).poll_next(context)) {
                Some(event) => {
                    let stored = |event| Change::Stored { event, removed: Vec::new() };
                    return Poll::Ready(Some(event.map(stored)));
                }
                None => self.all = None,
            }
        }
        let next = std::task::ready!(self.log.poll_next(context));
        Poll::Ready(next.map(|next| {
            let (shard, behind, change) = next?;
            self.position.shards[shard] = behind;
            Ok(change)
        }))
    }
}

/// Reads the shards' logs in turn.
struct Feed {
    readers: Vec<ChangeReader>,
}

impl Produce for Feed {
    type Item = (usize, LogPosition, Change);

    fn slice(&mut self, out: &mut Vec<Self::Item>) -> Result<Next> {
        let mut more = false;
        let each = SLICE_CHANGES.div_ceil(self.readers.len());
        for (shard, reader) in self.readers.iter_mut().enumerate() {
            let (mut changes, mut bytes, mut failed) = (0, 0, None);
            more |= reader.read(&mut |entry, behind| {
                changes += 1;
                bytes += entry.record.body.len() + 32 * entry.kills.len();
                match change(&entry) {
                    Ok(change) => out.push((shard, behind, change)),
                    Err(error) => failed = Some(error),
                }
                match changes < each && bytes < SLICE_BYTES && failed.is_none() {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(if more { Next::More } else { Next::Idle })
    }
}

fn change(entry: &Entry<'_>) -> Result<Change> {
    let ids = entry.kills.to_vec();
    Ok(match entry.kind {
        EntryKind::Put => {
            let Record { key, body } = entry.record;
            let event = EventRef::new(key, body).map_err(damaged)?.to_owned();
            Change::Stored { event, removed: ids }
        }
        EntryKind::Remove => Change::Removed { ids },
    })
}

#[cfg(test)]
mod tests;
