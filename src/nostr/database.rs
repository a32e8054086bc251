//! [`EventStore`] as the `NostrDatabase` of rust-nostr, 0.45 (feature `nostr-database`).
//!
//! ```text
//!   let database: Arc<dyn NostrDatabase> = EventStore::open_default("./data")?.into_nostr_database();
//! ```
//!
//! I1. No future blocks its thread: writes wait on tickets, reads are done by the store's reader threads.
//! I2. Every future is cancel-safe. What was handed over before a drop stays: an event to be saved, the part of a
//!     deletion that was carried out.
//!
//! The trait's answers are whole sets of that crate's events, each item of each tag an allocation: to stream, to borrow,
//! to page or to subscribe, use [`EventStore`]'s own methods beside it. Errors are `ErrorKind::Storage` with an
//! [`Error`](crate::base::Error) inside.

use super::event::{Event, EventRef};
use super::filter::{Filter, TagValue};
use super::plan::select;
use super::store::{EventStore, Inserted, damaged};
use crate::base::hash64;
use crate::base::limits::KILLS_PER_RECORD_MAX;
use crate::model::Record;
use crate::query::{Order, Select};
use crate::store::Stream;
use nostr_database::error::Error;
use nostr_database::{
    DatabaseEventStatus, Features, NostrDatabase, RejectedReason, SaveEventStatus,
};
use nostr_types::event::{Event as TheirEvent, EventId};
use nostr_types::filter::Filter as TheirFilter;
use nostr_types::types::Timestamp;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Kind of a deletion request (NIP-09).
const DELETION: u16 = 5;

impl From<Inserted> for SaveEventStatus {
    fn from(inserted: Inserted) -> SaveEventStatus {
        SaveEventStatus::Rejected(match inserted {
            Inserted::Stored | Inserted::Replaced => return SaveEventStatus::Success,
            Inserted::Duplicate => RejectedReason::Duplicate,
            Inserted::Older => RejectedReason::Replaced,
            Inserted::Ephemeral => RejectedReason::Ephemeral,
            Inserted::Deleted => RejectedReason::Deleted,
            Inserted::Vanished => RejectedReason::Vanished,
            Inserted::Expired => RejectedReason::Expired,
            Inserted::InvalidDelete => RejectedReason::InvalidDelete,
            Inserted::Malformed => RejectedReason::Other,
        })
    }
}

impl NostrDatabase for EventStore {
    fn backend(&self) -> &'static str {
        "ratite"
    }

    fn features(&self) -> Features {
        Features {
            persistent: self.engine().env().disk.backend() != "simulated",
            event_expiration: true,
            full_text_search: !self.search_kinds().is_off(),
            request_to_vanish: true,
        }
    }

    fn save_event<'a>(&'a self, event: &'a TheirEvent) -> Answer<'a, SaveEventStatus> {
        Box::pin(async move {
            let event = Event::from(event);
            Ok(self.insert_async(&event.as_ref()).await.map_err(Error::storage)?.into())
        })
    }

    /// `Deleted` if the event is not there and a stored deletion request names its id, whoever's.
    fn check_id<'a>(&'a self, event_id: &'a EventId) -> Answer<'a, DatabaseEventStatus> {
        Box::pin(async move {
            let id = event_id.to_bytes();
            let found = self.get_async(&id).await.map_err(Error::storage)?;
            if found.is_some() {
                return Ok(DatabaseEventStatus::Saved);
            }
            let request = Filter {
                kinds: Some(vec![DELETION]),
                tags: vec![(b'e', vec![TagValue::from(id)])],
                ..Filter::default()
            };
            Ok(match self.count_async(&[request]).await.map_err(Error::storage)? {
                0 => DatabaseEventStatus::NotExistent,
                _ => DatabaseEventStatus::Deleted,
            })
        })
    }

    fn event_by_id<'a>(&'a self, event_id: &'a EventId) -> Answer<'a, Option<TheirEvent>> {
        Box::pin(async move {
            let found = self.get_async(event_id.as_bytes()).await.map_err(Error::storage)?;
            found.as_ref().map(TheirEvent::try_from).transpose().map_err(Error::storage)
        })
    }

    fn count(&self, filter: TheirFilter) -> Answer<'_, usize> {
        Box::pin(async move {
            let limit = filter.limit.unwrap_or(usize::MAX);
            let filter = Filter::try_from(&filter).map_err(Error::storage)?;
            let count = self.count_async(&[filter]).await.map_err(Error::storage)?;
            Ok(usize::try_from(count).unwrap_or(usize::MAX).min(limit))
        })
    }

    fn query(&self, filter: TheirFilter) -> Answer<'_, BTreeSet<TheirEvent>> {
        Box::pin(async move {
            let theirs = |record: Record<'_>| {
                TheirEvent::try_from(&EventRef::stored(record).map_err(damaged)?)
            };
            let mut found = self.walk(self.asked(&filter)?, theirs);
            let mut events = BTreeSet::new();
            while let Some(event) = next(&mut found).await? {
                events.insert(event);
            }
            Ok(events)
        })
    }

    fn negentropy_items(&self, filter: TheirFilter) -> Answer<'_, Vec<(EventId, Timestamp)>> {
        Box::pin(async move {
            let item = |record: Record<'_>| {
                let key = record.key;
                Ok((EventId::from_byte_array(key.id), Timestamp::from_secs(key.time)))
            };
            let mut found = self.walk(self.asked(&filter)?, item);
            let mut items = Vec::new();
            while let Some(item) = next(&mut found).await? {
                items.push(item);
            }
            Ok(items)
        })
    }

    fn delete(&self, filter: TheirFilter) -> Answer<'_, ()> {
        Box::pin(self.remove_matches(filter))
    }

    fn wipe(&self) -> Answer<'_, ()> {
        Box::pin(self.remove_matches(TheirFilter::new()))
    }
}

impl EventStore {
    fn asked(&self, filter: &TheirFilter) -> Result<Vec<Select>, Error> {
        Ok(self.selects(&[Filter::try_from(filter).map_err(Error::storage)?]))
    }

    /// What `reading` makes of each match now, newest first.
    fn walk<T: Send + 'static>(
        &self,
        selects: Vec<Select>,
        reading: impl Fn(Record<'_>) -> crate::base::Result<T> + Send + 'static,
    ) -> Stream<T> {
        self.engine().stream_at(&self.snapshot(), selects, Order::Newest, None, reading)
    }

    /// Removes what matches now, shard by shard in groups; a group vanishes at one moment.
    async fn remove_matches(&self, filter: TheirFilter) -> Result<(), Error> {
        let store = self.engine();
        let place = |record: Record<'_>| {
            let event = EventRef::stored(record).map_err(damaged)?;
            Ok((hash64(event.pubkey()), record.key.id))
        };
        // Also what has expired and is still there.
        let asked = Filter::try_from(&filter).map_err(Error::storage)?;
        let mut found = self.walk(vec![select(&asked)], place);
        // Of each shard, a route that leads there, and ids.
        let mut groups: Vec<(u64, Vec<[u8; 32]>)> = vec![(0, Vec::new()); store.shard_count()];
        while let Some((route, id)) = next(&mut found).await? {
            let shard = (route % groups.len() as u64) as usize;
            let (its_route, ids) = &mut groups[shard];
            *its_route = route;
            ids.push(id);
            if ids.len() == KILLS_PER_RECORD_MAX {
                store.remove_async(route, ids).await.map_err(Error::storage)?;
                ids.clear();
            }
        }
        for (route, ids) in groups {
            store.remove_async(route, &ids).await.map_err(Error::storage)?;
        }
        Ok(())
    }
}

async fn next<T: Send + 'static>(found: &mut Stream<T>) -> Result<Option<T>, Error> {
    let next = poll_fn(|context| found.poll_next(context)).await;
    next.transpose().map_err(Error::storage)
}

#[cfg(test)]
mod tests;
