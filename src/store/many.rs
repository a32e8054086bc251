//! Many records at once: one message, one answer, all or nothing (`shard/batch.rs`).
//!
//! Errors: `Invalid` names what of a batch does not hold, `Full` the limit that it exceeds.

use super::{Pending, Store};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Error, Result};
use crate::model::{Ids, Record};
use crate::shard::{Outcome, Shard, batch_bytes, write_batch};
use std::future::poll_fn;
use std::task::{Context, Poll};

impl Store {
    /// Bytes that a batch may have, each record counted with
    /// [`BATCH_RECORD_BYTES`](crate::base::limits::BATCH_RECORD_BYTES) beside its body: 256 KiB, less in small stores.
    pub fn batch_bytes_max(&self) -> usize {
        self.shards.iter().map(Shard::batch_bytes_max).min().unwrap_or(0)
    }

    /// Hands `records`, all of one shard, over, and waits only for room. They become durable and visible together, in
    /// this order, or not at all; the answer is that of the last one, or the first refusal. Copies them once.
    ///
    /// # Errors
    /// `Invalid` if the model's ids are foreign, there is no record, or they are not all of one shard; `Full` beyond
    /// [`Store::batch_bytes_max`]; `Closed`.
    pub fn insert_many(&self, records: &[Record<'_>]) -> Result<Pending<'_>> {
        let (shard, message) = self.batch(records)?;
        Ok(Pending { shard, ticket: shard.insert_many(&message)? })
    }

    /// As [`Store::insert_many`], but `None` instead of waiting for room.
    ///
    /// # Errors
    /// As [`Store::insert_many`].
    pub fn try_insert_many(&self, records: &[Record<'_>]) -> Result<Option<Pending<'_>>> {
        let (shard, message) = self.batch(records)?;
        Ok(shard.try_insert_many(&message)?.map(|ticket| Pending { shard, ticket }))
    }

    /// As [`Store::insert_many`], waiting for room as a future does: see [`Store::poll_insert`]. Each call copies the
    /// records.
    ///
    /// # Errors
    /// As [`Store::insert_many`].
    pub fn poll_insert_many(
        &self,
        records: &[Record<'_>],
        context: &mut Context<'_>,
    ) -> Poll<Result<Pending<'_>>> {
        let (shard, message) = self.batch(records)?;
        shard.poll_insert_many(&message, context).map_ok(|ticket| Pending { shard, ticket })
    }

    /// As [`Store::insert_many`], as a future with the answer: see [`Store::insert_async`].
    ///
    /// # Errors
    /// As [`Store::insert_many`], and what the shard answers.
    pub async fn insert_many_async(&self, records: &[Record<'_>]) -> Result<Outcome> {
        let (shard, message) = self.batch(records)?;
        let entered =
            poll_fn(|context| shard.poll_running(|| shard.poll_insert_many(&message, context)));
        shard.answer(entered.await?).await
    }

    /// The shard of `records`, and the message to it.
    fn batch(&self, records: &[Record<'_>]) -> Result<(&Shard, Vec<u8>)> {
        if self.model.ids() == Ids::Foreign {
            return Err(Error::invalid("batch", "the model's ids have to be looked up one by one"));
        }
        let number = records.first().map_or(0, |first| self.shard_number(*first));
        if records.iter().any(|record| self.shard_number(*record) != number) {
            return Err(Error::invalid("batch", "its records are of several shards"));
        }
        let shard = &self.shards[number];
        let limit = shard.batch_bytes_max();
        let too_long = |record: &Record<'_>| record.body.len() > RECORD_BYTES_MAX;
        if batch_bytes(records) > limit || records.iter().any(too_long) {
            return Err(Error::Full { what: "batch, bytes", limit: limit as u64 });
        }
        Ok((shard, write_batch(records)?))
    }
}
