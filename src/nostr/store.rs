//! `EventStore`: the engine with the rules of Nostr, in the words of Nostr.

use super::event::{Event, EventRef};
use super::filter::Filter;
use super::format::FormatError;
use super::plan::select;
use super::rules::{self, EventModel};
use crate::base::{Error, Result};
use crate::io::{self, Backend, Env, Wake};
use crate::maintain::{Transferred, backup};
use crate::model::Record;
use crate::query::{Cursor, Order, Select};
use crate::shard::{Outcome, Tail};
use crate::store::{self, Options, Store, StoreSnapshot};
use std::path::Path;
use std::sync::Arc;

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It is stored.
    Stored,
    /// It is stored, and an older version of it is gone.
    Replaced,
    /// It was there already.
    Duplicate,
    /// A newer version of it is there.
    Older,
    /// Its kind is delivered live and never stored.
    Ephemeral,
    /// The bytes are not an event's.
    Malformed,
}

impl From<Outcome> for Inserted {
    fn from(outcome: Outcome) -> Inserted {
        match outcome {
            Outcome::Stored { replaced: 0, .. } => Inserted::Stored,
            Outcome::Stored { .. } => Inserted::Replaced,
            Outcome::Duplicate => Inserted::Duplicate,
            Outcome::Refused(rules::OLDER) => Inserted::Older,
            Outcome::Refused(rules::EPHEMERAL) => Inserted::Ephemeral,
            // The last two answer no insert.
            Outcome::Refused(_) | Outcome::Removed { .. } | Outcome::Done => Inserted::Malformed,
        }
    }
}

/// A store of Nostr events. Events are taken as they are: whether id and signature are right
/// (`id::check`, `verify::signature`) is the caller's to ask, who may know it already.
///
/// Share it behind an `Arc`; every method takes `&self`, from any thread.
pub struct EventStore {
    store: Store,
}

impl EventStore {
    /// Opens the store in `dir`, or creates it there; recovery is part of opening. io_uring is used
    /// where the system allows it.
    ///
    /// # Errors
    /// `Locked`, `Mismatch`, `Invalid` options, `Corrupt` with file and offset.
    pub fn open(dir: impl AsRef<Path>, options: &Options) -> Result<EventStore> {
        EventStore::open_in(dir.as_ref(), options, io::system(Backend::Auto)?)
    }

    /// As [`EventStore::open`], on a machine of the caller's choice: another backend, or a simulation.
    ///
    /// # Errors
    /// As [`EventStore::open`].
    pub fn open_in(dir: &Path, options: &Options, env: Env) -> Result<EventStore> {
        Ok(EventStore { store: Store::open(dir, Arc::new(EventModel), options, env)? })
    }

    /// The engine below, for figures and settings.
    pub fn engine(&self) -> &Store {
        &self.store
    }

    /// Hands `event` to its shard, waiting only for room; the answer is waited for separately, so that
    /// many events can be under way. A caller who holds `Options::in_flight` of them, and takes no
    /// answer, makes no room and waits here for ever.
    ///
    /// # Errors
    /// `Invalid` or `Full` if it can never be stored, `Closed`.
    pub fn insert(&self, event: &EventRef<'_>) -> Result<Pending<'_>> {
        Ok(Pending(self.store.insert(event.record())?))
    }

    /// Stores `event` as a future, of any executor; ready when it is as durable as the sync mode says.
    ///
    /// # Errors
    /// As [`EventStore::insert`], and `Poisoned` if the log failed.
    pub async fn insert_async(&self, event: &EventRef<'_>) -> Result<Inserted> {
        self.store.insert_async(event.record()).await.map(Inserted::from)
    }

    /// The event with `id`.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn get(&self, id: &[u8; 32]) -> Result<Option<Event>> {
        let owned = |record: Record<'_>| EventRef::stored(record).map(|event| event.to_owned());
        self.store.get(id, owned)?.transpose().map_err(damaged)
    }

    /// What is stored now, for several queries on the same state.
    pub fn snapshot(&self) -> StoreSnapshot {
        self.store.snapshot()
    }

    /// The events that match at least one of `filters`, newest first, lowest id first among equals;
    /// of each filter the newest `limit`. Sees everything that was acknowledged before the call.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn query(&self, filters: &[Filter]) -> Result<Events> {
        self.query_at(&self.snapshot(), filters, Order::Newest)
    }

    /// As [`EventStore::query`], on `snapshot` and in either order.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn query_at(
        &self,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        order: Order,
    ) -> Result<Events> {
        Ok(Events(self.store.query_at(snapshot, &selects(filters), order)?))
    }

    /// How many events a query without limits would give. Reads no events where posting lists decide.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, filters: &[Filter]) -> Result<u64> {
        self.store.count(&selects(filters))
    }

    /// How a query would be answered, for a person.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn explain(&self, filters: &[Filter]) -> Result<String> {
        self.store.explain(&selects(filters), Order::Newest)
    }

    /// Everything that is stored after `snapshot`, a tail for each shard; `wake` is told when there is
    /// more, as long as its owner keeps it.
    pub fn tails(&self, snapshot: &StoreSnapshot, wake: &Arc<dyn Wake>) -> Vec<Tail> {
        self.store.tails(snapshot, wake)
    }

    /// Backs the store up to `target`, a new directory or one with an earlier backup of it, while it goes on
    /// serving. What was answered before is in it: see [`backup::run`].
    ///
    /// # Errors
    /// As [`backup::run`].
    pub fn backup(&self, target: &Path) -> Result<Transferred> {
        backup::of(&self.store, target)
    }

    /// Answers all writes that came in, syncs, and ends the shards.
    ///
    /// # Errors
    /// The first failure to make something durable.
    pub fn close(&self) -> Result<()> {
        self.store.close()
    }
}

impl AsRef<Store> for EventStore {
    fn as_ref(&self) -> &Store {
        &self.store
    }
}

/// An event on its way into the store.
#[must_use = "the answer says whether the event was stored"]
pub struct Pending<'a>(store::Pending<'a>);

impl Pending<'_> {
    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// `Poisoned` if the log failed.
    pub fn wait(self) -> Result<Inserted> {
        self.0.wait().map(Inserted::from)
    }

    /// The answer as a future.
    ///
    /// # Errors
    /// `Poisoned` if the log failed.
    pub async fn answer(self) -> Result<Inserted> {
        self.0.into_future().await.map(Inserted::from)
    }
}

/// The answer to a query, event by event.
pub struct Events(Cursor);

impl Events {
    /// The next event, good until the next call; `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` or `Io`; the answer ends there.
    #[expect(clippy::should_implement_trait, reason = "the event borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<EventRef<'_>>> {
        let Some(record) = self.0.next()? else { return Ok(None) };
        EventRef::stored(record).map(Some).map_err(damaged)
    }
}

fn damaged(error: FormatError) -> Error {
    Error::invalid("stored event", error.to_string())
}

pub(super) fn selects(filters: &[Filter]) -> Vec<Select> {
    filters.iter().map(select).collect()
}
