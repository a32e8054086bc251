//! Batches: records that come in one message, enter one group of the log and one memtable, and have one answer.
//!
//! ```text
//!   message   each record: key time u64 | number in front of its id u64 | body bytes u32 | body
//!   1 rules and terms of all      3 room in the group and in the memtable for all
//!   2 refused or wrong: answer    4 memtable, group
//! ```
//!
//! All integers are little endian. Ids are own ones, of which 8 bytes count.
//!
//! I1. A batch is there wholly or not at all: a group is one block of the log, whose checksum covers it; it is
//!     published by one number, and nothing is changed before there is room for all of it.
//! I2. Nothing is allocated for a record on the shard's thread.

use super::format::{EntryKind, entry_head};
use super::run::Shard;
use super::ticket::Ticket;
use super::work::log_files;
use super::write::{Applied, Core};
use super::{Outcome, Shared};
use crate::base::limits::{
    BATCH_BYTES_MAX, BATCH_RECORD_BYTES, GROUP_BYTES_MAX, RECORD_BYTES_MAX, TERMS_PER_RECORD_MAX,
};
#[cfg(test)]
use crate::base::planted;
use crate::base::{Error, Key, Result};
use crate::model::Record;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

/// Bytes of a record in a message before its body.
const HEAD_BYTES: usize = 20;
const _: () = assert!(HEAD_BYTES <= BATCH_RECORD_BYTES);
const _: () = assert!(super::format::ENTRY_HEADER_BYTES + 4 + 7 <= BATCH_RECORD_BYTES);

/// Bytes of `records` as the limits of a batch count them.
pub fn batch_bytes(records: &[Record<'_>]) -> usize {
    records.iter().fold(0, |sum, r| sum.saturating_add(BATCH_RECORD_BYTES + r.body.len()))
}

/// The message with `records`.
///
/// # Errors
/// `Invalid` if there is none, or an id is no own one.
pub fn write_batch(records: &[Record<'_>]) -> Result<Vec<u8>> {
    if records.is_empty() {
        return Err(Error::invalid("batch", "it has no records"));
    }
    let mut message = Vec::with_capacity(batch_bytes(records));
    for Record { key, body } in records {
        let number = key.own_number();
        let why = || format!("{key:?} has an id of more than 8 bytes");
        let number = number.ok_or_else(|| Error::invalid("batch", why()))?;
        message.extend_from_slice(&key.time.to_le_bytes());
        message.extend_from_slice(&number.to_le_bytes());
        message.extend_from_slice(&(body.len() as u32).to_le_bytes());
        message.extend_from_slice(body);
    }
    Ok(message)
}

/// The records of a message, which was read through once.
#[derive(Clone, Copy)]
struct Batch<'a> {
    message: &'a [u8],
    /// Bytes as `batch_bytes` has them.
    bytes: usize,
}

/// Reads a message through; an error names what does not hold.
fn read_batch(message: &[u8]) -> std::result::Result<Batch<'_>, &'static str> {
    let (mut rest, mut bytes) = (message, 0usize);
    while !rest.is_empty() {
        let (record, behind) = next(rest).ok_or("a record is cut off")?;
        if record.body.len() > RECORD_BYTES_MAX {
            return Err("a record exceeds the limit");
        }
        bytes += BATCH_RECORD_BYTES + record.body.len();
        rest = behind;
    }
    match bytes {
        0 => Err("it has no records"),
        bytes => Ok(Batch { message, bytes }),
    }
}

/// The first record, and what is behind it.
fn next(message: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (time, rest) = message.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*bytes) as usize)?;
    let key = Key::own(u64::from_le_bytes(*time), u64::from_le_bytes(*number));
    Some((Record { key, body }, rest))
}

impl<'a> Batch<'a> {
    fn records(self) -> impl Iterator<Item = Record<'a>> + Clone {
        let mut rest = self.message;
        std::iter::from_fn(move || {
            let (record, behind) = next(rest)?;
            rest = behind;
            Some(record)
        })
    }
}

impl Core {
    /// Stores the records of a message, all or none.
    pub(super) fn apply_many(&mut self, message: &[u8]) -> Applied {
        let batch = match read_batch(message) {
            Ok(batch) => batch,
            Err(what) => return Applied::Answer(Err(Error::invalid("batch", what))),
        };
        #[cfg(test)]
        let batch = self.first_half_first(batch);
        // 1, 2
        match self.decide_many(batch) {
            Ok(None) => {}
            Ok(Some(refused)) => {
                self.shared.stats.refused.fetch_add(batch.records().count() as u64, Relaxed);
                return Applied::Answer(Ok(refused));
            }
            Err(error) => return Applied::Answer(Err(error)),
        }
        // 3
        let (limit, room) = (self.group_bytes_max, self.group_room);
        let room = |group: &crate::wal::Group| group.bytes() + batch.bytes <= room;
        let Some(group) = self.group.as_mut().filter(|group| room(group)) else {
            return if batch.bytes <= limit {
                Applied::GroupFull
            } else {
                let (what, limit) = ("log block, bytes of one batch", limit as u64);
                Applied::Answer(Err(Error::Full { what, limit }))
            };
        };
        // 4
        let records = batch.records().map(|record| (record.key, record.body));
        let Some(first) = self.memtable.append_many(records, &mut self.batch_terms) else {
            let memtable = self.memtable.memtable();
            return if memtable.is_empty() {
                let (what, limit) =
                    ("memtable, bytes of one batch", self.shared.batch_bytes_max() as u64);
                Applied::Answer(Err(Error::Full { what, limit }))
            } else {
                Applied::MemtableFull
            };
        };
        let mut seq = self.next_seq;
        debug_assert_eq!(seq, self.memtable.memtable().base() + u64::from(first) + 1);
        for record in batch.records() {
            let head = entry_head(EntryKind::Put, record, 0);
            let pushed = group.push(&[&head, record.body]);
            assert!(pushed, "the group had room for {} bytes", batch.bytes);
            seq += 1;
        }
        self.shared.stats.stored.fetch_add(seq - self.next_seq, Relaxed);
        self.next_seq = seq;
        self.open.last = Some(seq - 1);
        Applied::Answer(Ok(Outcome::Stored { seq: seq - 1, replaced: 0 }))
    }

    /// The bug of a batch in two blocks, if it is planted: stores the first half, and gives the second.
    #[cfg(test)]
    fn first_half_first<'m>(&mut self, batch: Batch<'m>) -> Batch<'m> {
        let count = batch.records().count();
        let free = self.flying.is_none() && self.spare_group.is_some() && !self.rotating;
        let fresh = free && self.group.as_ref().is_some_and(|group| group.is_empty());
        if !planted!(BatchInTwoBlocks) || count < 2 || !fresh {
            return batch;
        }
        let records: Vec<Record<'_>> = batch.records().take(count / 2).collect();
        let first: usize = records.iter().map(|record| HEAD_BYTES + record.body.len()).sum();
        let (first, rest) = batch.message.split_at(first);
        if !matches!(self.apply_many(first), Applied::Answer(Ok(Outcome::Stored { .. }))) {
            return batch;
        }
        self.commit();
        read_batch(rest).unwrap_or(batch)
    }

    /// What the rules say: the first refusal, if there is one; and the early terms of all.
    fn decide_many(&mut self, batch: Batch<'_>) -> Result<Option<Outcome>> {
        let now = self.now();
        self.batch_terms.clear();
        for record in batch.records() {
            if let Some(refused) = self.decide_own(record, now)? {
                return Ok(Some(refused));
            }
            self.terms.clear();
            self.shared.model.early_terms(record, &mut self.terms);
            self.terms.seal();
            self.batch_terms.add(&self.terms);
            if self.batch_terms.postings() > TERMS_PER_RECORD_MAX {
                let limit = TERMS_PER_RECORD_MAX as u64;
                return Err(Error::Full { what: "terms of one batch", limit });
            }
        }
        Ok(None)
    }
}

impl Shared {
    /// Bytes that a batch may have: what ring, group and memtable take, and no more than is of use.
    pub(super) fn batch_bytes_max(&self) -> usize {
        *self.batch_bytes_max.get_or_init(|| {
            let group = log_files(&self.config, self).group_bytes_max().min(GROUP_BYTES_MAX);
            // Of a memtable a part, so that what no batch fits any more is little. An empty one takes any batch, though records
            // of few bytes take more of it than their bytes.
            let memtable = self.config.memtable_bytes / 4;
            let least = self.inbox.message_bytes_max().min(group).min(memtable);
            least.min(BATCH_BYTES_MAX)
        })
    }
}

impl Shard {
    /// Bytes that a batch may have, as [`batch_bytes`] counts them.
    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.shared().batch_bytes_max()
    }

    /// Hands a batch over ([`write_batch`]) and waits for room if there is none.
    ///
    /// # Errors
    /// `Closed`, or `Full` if it can never be taken.
    pub(crate) fn insert_many(&self, message: &[u8]) -> Result<Ticket> {
        let inbox = &self.shared().inbox;
        loop {
            if let Some(ticket) = self.why(inbox.try_insert_many(message))? {
                return Ok(ticket);
            }
            if !self.turn_inline()? {
                let waited = inbox.until_room(|context| inbox.poll_insert_many(message, context));
                return self.why(waited);
            }
        }
    }

    /// As [`Shard::insert_many`], but returns `None` instead of waiting.
    pub(crate) fn try_insert_many(&self, message: &[u8]) -> Result<Option<Ticket>> {
        self.why(self.shared().inbox.try_insert_many(message))
    }

    /// As [`Shard::insert_many`], waiting as a future does.
    pub(crate) fn poll_insert_many(
        &self,
        message: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        let polled = self.shared().inbox.poll_insert_many(message, context);
        polled.map(|polled| self.why(polled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_and_no_cut_or_flipped_bit_makes_it_panic() {
        let bodies: Vec<Vec<u8>> = (0..7).map(|n| vec![n as u8; n * 5]).collect();
        let records: Vec<Record<'_>> =
            (0..7).map(|n| Record { key: Key::own(n, !n), body: &bodies[n as usize] }).collect();
        let message = write_batch(&records).unwrap();
        let batch = read_batch(&message).ok().unwrap();
        assert_eq!(batch.bytes, batch_bytes(&records));
        let pairs = |batch: Batch<'_>| -> Vec<(Key, Vec<u8>)> {
            batch.records().map(|r| (r.key, r.body.to_vec())).collect()
        };
        let whole: Vec<_> = records.iter().map(|r| (r.key, r.body.to_vec())).collect();
        assert_eq!(pairs(batch), whole);
        let mut ends = 0;
        for cut in 0..message.len() {
            // A cut between two records is not seen here: the ring gives messages whole.
            ends += usize::from(read_batch(&message[..cut]).is_ok());
        }
        assert_eq!(ends, 6);
        for bit in 0..message.len() * 8 {
            let mut bytes = message.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(batch) = read_batch(&bytes) {
                assert_ne!(pairs(batch), whole);
            }
        }
        assert!(write_batch(&[]).is_err());
        assert!(write_batch(&[Record { key: Key { time: 1, id: [1; 32] }, body: b"" }]).is_err());
    }
}
