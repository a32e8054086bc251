//! `EventStore`: the engine with the rules of Nostr, in the words of Nostr.

use super::deletions::{Deleter, Entered, Reply};
use super::event::{Event, EventRef};
use super::filter::Filter;
use super::format::FormatError;
use super::hub::Hub;
use super::plan::selects_at;
use super::ranked::{Answer, Corpus, Ranked};
use super::rules::{self, EventModel};
use super::search::SearchKinds;
use super::{expiration, requests};
use crate::base::{Error, Key, Result, hash64};
use crate::io::threads::Thread;
use crate::io::{self, Backend, Env, Wake};
use crate::maintain::{Transferred, backup};
use crate::model::Record;
use crate::query::{Cursor, Order, Select};
use crate::shard::{Outcome, Tail};
use crate::store::{self, Options, Store, StoreSnapshot};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

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
    /// Its author, or who it is addressed to as a gift wrap, has asked for its deletion.
    Deleted,
    /// Its author, or who it is addressed to as a gift wrap, has asked to vanish from this relay.
    Vanished,
    /// It has expired.
    Expired,
    /// It asks for the deletion of events of others, and of none of its own, as far as they are known.
    InvalidDelete,
    /// The bytes are not an event's.
    Malformed,
}

impl From<Outcome> for Inserted {
    fn from(outcome: Outcome) -> Inserted {
        match outcome {
            Outcome::Stored { replaced: 0, .. } => Inserted::Stored,
            Outcome::Stored { .. } => Inserted::Replaced,
            Outcome::Duplicate => Inserted::Duplicate,
            Outcome::Refused(reason) => Inserted::of_reason(reason),
            // These answer no insert.
            Outcome::Removed { .. } | Outcome::Done => Inserted::Malformed,
        }
    }
}

/// Every refusal and its reason in `rules`.
const REASONS: [(Inserted, u8); 7] = [
    (Inserted::Older, rules::OLDER),
    (Inserted::Ephemeral, rules::EPHEMERAL),
    (Inserted::Malformed, rules::MALFORMED),
    (Inserted::Deleted, rules::DELETED),
    (Inserted::Vanished, rules::VANISHED),
    (Inserted::Expired, rules::EXPIRED),
    (Inserted::InvalidDelete, rules::INVALID_DELETE),
];

impl Inserted {
    /// The reason of `rules` for a refusal; `None` if the event is stored, or was already.
    pub fn reason(self) -> Option<u8> {
        REASONS.iter().find(|(inserted, _)| *inserted == self).map(|(_, reason)| *reason)
    }

    fn of_reason(reason: u8) -> Inserted {
        let found = REASONS.iter().find(|(_, other)| *other == reason);
        found.map_or(Inserted::Malformed, |(inserted, _)| *inserted)
    }
}

/// How a store of events is opened.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// The engine's options.
    pub store: Options,
    /// The relay's own URLs, as clients know it: requests to vanish (NIP-62) that name one of them are honoured, as are
    /// those that name `ALL_RELAYS`. Default: none.
    pub relay_urls: Vec<String>,
    /// The kinds of event whose words are indexed, which is decided when the store is created, for ever. `None`, the
    /// default, takes what an existing store has, and the usual kinds for a new one.
    pub search: Option<SearchKinds>,
    /// Whether a request to delete is refused if all of its targets that are known are events of others. It has no effect
    /// either way; a copy of a store takes it as it is. Default: yes.
    pub refuse_foreign_deletes: bool,
}

impl Default for EventOptions {
    fn default() -> EventOptions {
        EventOptions::from(&Options::default())
    }
}

impl From<&Options> for EventOptions {
    fn from(store: &Options) -> EventOptions {
        let store = store.clone();
        EventOptions { store, relay_urls: Vec::new(), search: None, refuse_foreign_deletes: true }
    }
}

/// A store of Nostr events. Events are taken as they are: whether id and signature are right
/// (`id::check`, `verify::signature`) is the caller's to ask, who may know it already.
///
/// Share it behind an `Arc`; every method takes `&self`, from any thread.
pub struct EventStore {
    deleter: Arc<Deleter>,
    /// Taken when it is closed.
    worker: Mutex<Option<Thread<()>>>,
    search: SearchKinds,
    /// Behind the store, so that it ends after it.
    pub(super) hub: Hub,
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
        EventStore::open_with(dir, &EventOptions::from(options), env)
    }

    /// The kinds of event that searches find.
    pub fn search_kinds(&self) -> &SearchKinds {
        &self.search
    }

    /// Makes the searches of `filters` this store's, so that [`Filter::matches`] says of an event what the store says
    /// of it. The store does so by itself with what it is asked; who matches events beside it does it once.
    ///
    /// # Errors
    /// `Invalid` if there is a search, and the store was created without.
    pub fn adopt(&self, filters: &mut [Filter]) -> Result<()> {
        for filter in filters.iter_mut().filter(|filter| filter.ranked().is_some()) {
            if self.search.is_off() {
                return Err(Error::invalid("search", "this store was created without"));
            }
            filter.search = filter.search.take().map(|search| search.among(&self.search));
        }
        Ok(())
    }

    /// From here on, and until it is closed, no answer that speaks of events which were not asked for depends on events
    /// of these kinds: requests to delete that name them are taken as if they were not there, and they do not count in
    /// the order of a search. Who serves strangers and keeps kinds from them says so here.
    pub fn keep_private(&self, kinds: &[u16]) {
        self.deleter.private.add(kinds);
    }

    pub(super) fn adopted<'a>(&self, filters: &'a [Filter]) -> Result<Cow<'a, [Filter]>> {
        if filters.iter().all(|filter| filter.ranked().is_none()) {
            return Ok(filters.into());
        }
        let mut filters = filters.to_vec();
        self.adopt(&mut filters)?;
        Ok(filters.into())
    }

    /// As [`EventStore::open_in`], with what the rules have to know.
    ///
    /// # Errors
    /// As [`EventStore::open`]; `Mismatch` if an existing store searches other kinds.
    pub fn open_with(dir: &Path, options: &EventOptions, env: Env) -> Result<EventStore> {
        let model = EventModel::of_store(dir, options.search.as_ref(), &env)?;
        let model = Arc::new(model.of_relays(&options.relay_urls));
        let search = model.search().clone();
        let store = Arc::new(Store::open(dir, model.clone(), &options.store, env)?);
        let (strict, threads) = (options.refuse_foreign_deletes, options.store.threads);
        let (deleter, worker) = Deleter::start(store, model, strict, threads);
        Ok(EventStore { deleter, worker: Mutex::new(worker), search, hub: Hub::new(threads) })
    }

    /// The engine below, for figures and settings. What is inserted there passes by the rules about gift wraps.
    pub fn engine(&self) -> &Store {
        &self.deleter.store
    }

    /// Hands `event` to its shard, waiting only for room; the answer is waited for separately, so that
    /// many events can be under way. A caller who holds `Options::in_flight` of them, and takes no
    /// answer, makes no room and waits here for ever.
    ///
    /// # Errors
    /// `Invalid` or `Full` if it can never be stored, `Closed`.
    pub fn insert(&self, event: &EventRef<'_>) -> Result<Pending<'_>> {
        let (store, route) = (self.engine(), hash64(event.pubkey()));
        Ok(Pending(match self.way(event) {
            Way::Nowhere => Awaited::Known(Inserted::Expired),
            Way::Shard => Awaited::Shard(store.insert(event.record())?),
            Way::Wrap => {
                let mut enter = |context: &mut Context<'_>| self.poll_wrap(event, context);
                store.block_on(route, &mut enter)??
            }
            Way::Deleter => {
                let mut ask = |context: &mut Context<'_>| self.deleter.poll_ask(event, context);
                Awaited::Deleter(store.block_on(route, &mut ask)??, store)
            }
        }))
    }

    /// Stores `event` as a future, of any executor; ready when it is as durable as the sync mode says. A request to
    /// delete or to vanish that was handed over is carried out even if the future is dropped.
    ///
    /// # Errors
    /// As [`EventStore::insert`], and `Poisoned` if the log failed.
    pub async fn insert_async(&self, event: &EventRef<'_>) -> Result<Inserted> {
        match self.way(event) {
            Way::Nowhere => Ok(Inserted::Expired),
            Way::Shard => self.engine().insert_async(event.record()).await.map(Inserted::from),
            Way::Wrap => {
                let (engine, route) = (self.engine(), self.engine().route(event.record()));
                let entered = poll_fn(|context| {
                    engine.poll_running(route, || self.poll_wrap(event, context))
                });
                Pending(entered.await?).answer().await
            }
            Way::Deleter => {
                let asked = poll_fn(|context| self.deleter.poll_ask(event, context));
                asked.await?.await
            }
        }
    }

    /// What an insert of `event` would be refused for without a look at what it would replace: whether it has expired,
    /// and whether its author has vanished. For events that are delivered and not stored.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn refusal(&self, event: &EventRef<'_>) -> Result<Option<Inserted>> {
        if self.is_over(event) {
            return Ok(Some(Inserted::Expired));
        }
        let (pubkey, at) = (event.pubkey(), event.created_at());
        let vanished = self.deleter.requests.has_vanished(self.engine(), pubkey, at)?;
        Ok(vanished.then_some(Inserted::Vanished))
    }

    fn is_over(&self, event: &EventRef<'_>) -> bool {
        expiration::is_over(event.record(), self.now())
    }

    fn way(&self, event: &EventRef<'_>) -> Way {
        match event.kind() {
            // Said here too: one that is still stored would be a duplicate.
            _ if self.is_over(event) => Way::Nowhere,
            requests::GIFT_WRAP => Way::Wrap,
            _ if self.deleter.takes(event) => Way::Deleter,
            _ => Way::Shard,
        }
    }

    /// As [`EventStore::insert`], but `None` instead of waiting for room.
    ///
    /// # Errors
    /// As [`EventStore::insert`].
    pub fn try_insert(&self, event: &EventRef<'_>) -> Result<Option<Pending<'_>>> {
        // Nobody is to be told of room: who wants some takes an answer, and asks again.
        let context = &mut Context::from_waker(std::task::Waker::noop());
        let awaited = match self.way(event) {
            Way::Nowhere => Poll::Ready(Ok(Awaited::Known(Inserted::Expired))),
            Way::Shard => match self.engine().try_insert(event.record())? {
                Some(pending) => Poll::Ready(Ok(Awaited::Shard(pending))),
                None => Poll::Pending,
            },
            Way::Wrap => self.poll_wrap(event, context),
            Way::Deleter => {
                let asked = self.deleter.poll_ask(event, context);
                asked.map_ok(|reply| Awaited::Deleter(reply, self.engine()))
            }
        };
        match awaited {
            Poll::Ready(awaited) => awaited.map(|awaited| Some(Pending(awaited))),
            Poll::Pending => Ok(None),
        }
    }

    fn poll_wrap(
        &self,
        event: &EventRef<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Awaited<'_>>> {
        let entered = self.deleter.requests.poll_wrap(self.engine(), event, context);
        entered.map_ok(|entered| match entered {
            Entered::Handed(pending) => Awaited::Shard(pending),
            Entered::Refused(reason) => Awaited::Known(Inserted::of_reason(reason)),
        })
    }

    /// Seconds since the Unix epoch by the store's clock, which say what has expired.
    pub fn now(&self) -> u64 {
        self.engine().env().clock.unix_micros() / 1_000_000
    }

    /// The event with `id`, unless it has expired.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn get(&self, id: &[u8; 32]) -> Result<Option<Event>> {
        let owned = |record: Record<'_>| EventRef::stored(record).map(|event| event.to_owned());
        self.engine()
            .get_by_time(id, expiration::hidden(self.now()), owned)?
            .transpose()
            .map_err(damaged)
    }

    /// What is stored now, for several queries on the same state.
    pub fn snapshot(&self) -> StoreSnapshot {
        self.engine().snapshot()
    }

    /// The events that match at least one of `filters`, newest first, lowest id first among equals;
    /// of each filter the newest `limit`. Sees everything that was acknowledged before the call, and nothing that
    /// has expired at its second, however long the answer is held: see also [`Events::pass_time`].
    ///
    /// A filter with a search gives its best `limit` instead, the best first (docs/search.md). Filters with a search
    /// come first, each in its turn, then all others together; no event comes twice.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn query(&self, filters: &[Filter]) -> Result<Events> {
        self.query_at(&self.snapshot(), filters, Order::Newest)
    }

    /// As [`EventStore::query`], on `snapshot` and in either order; what is ranked is ranked in both. What has expired
    /// since the snapshot is not in it.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn query_at(
        &self,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        order: Order,
    ) -> Result<Events> {
        let (filters, now) = (self.adopted(filters)?, self.now());
        let answer = if filters.iter().all(|filter| filter.ranked().is_none()) {
            let selects = selects_at(&filters, now);
            Answer::Ordered(self.engine().query_at(snapshot, &selects, order)?)
        } else {
            let corpus = Corpus { private: &self.deleter.private, searched: &self.search };
            let ranked = Ranked::open(self.engine(), snapshot, &filters, order, (now, corpus))?;
            Answer::Ranked(Box::new(ranked))
        };
        Ok(Events { answer, last: None })
    }

    /// As `adopted`, for who gives no error: a search in a store that was created without finds nothing, since it has
    /// no words.
    pub(super) fn adopted_if_it_can<'a>(&self, filters: &'a [Filter]) -> Cow<'a, [Filter]> {
        self.adopted(filters).unwrap_or(filters.into())
    }

    /// The selections of `filters`, without what has expired now.
    pub(super) fn selects(&self, filters: &[Filter]) -> Vec<Select> {
        selects_at(&self.adopted_if_it_can(filters), self.now())
    }

    /// How a query would be answered, for a person.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn explain(&self, filters: &[Filter]) -> Result<String> {
        self.engine().explain(&selects_at(&self.adopted(filters)?, self.now()), Order::Newest)
    }

    /// Everything that is stored after `snapshot`, a tail for each shard; `wake` is told when there is
    /// more, as long as its owner keeps it.
    pub fn tails(&self, snapshot: &StoreSnapshot, wake: &Arc<dyn Wake>) -> Vec<Tail> {
        self.engine().tails(snapshot, wake)
    }

    /// Backs the store up to `target`, a new directory or one with an earlier backup of it, while it goes on
    /// serving. What was answered before is in it: see [`backup::run`].
    ///
    /// # Errors
    /// As [`backup::run`].
    pub fn backup(&self, target: &Path) -> Result<Transferred> {
        backup::of(self.engine(), target)
    }

    /// Answers all writes that came in, syncs, ends the shards, and then the subscriptions, behind the last event.
    ///
    /// # Errors
    /// The first failure to make something durable.
    pub fn close(&self) -> Result<()> {
        let ended = self.end_worker();
        let closed = self.engine().close().and(ended);
        self.hub.end();
        closed
    }

    /// Lets the worker do what came before, and end.
    fn end_worker(&self) -> Result<()> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(worker) = worker else { return Ok(()) };
        self.deleter.stop();
        worker.join()
    }
}

impl Drop for EventStore {
    fn drop(&mut self) {
        if let Err(error) = self.end_worker() {
            tracing::error!(code = error.code(), "ending the thread of deletions: {error}");
        }
    }
}

impl AsRef<Store> for EventStore {
    fn as_ref(&self) -> &Store {
        self.engine()
    }
}

/// Who decides on an event.
enum Way {
    Nowhere,
    Shard,
    Wrap,
    Deleter,
}

/// An event on its way into the store.
#[must_use = "the answer says whether the event was stored"]
pub struct Pending<'a>(Awaited<'a>);

enum Awaited<'a> {
    Shard(store::Pending<'a>),
    Known(Inserted),
    Deleter(Reply, &'a Store),
}

impl Pending<'_> {
    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// `Poisoned` if the log failed.
    pub fn wait(self) -> Result<Inserted> {
        match self.0 {
            Awaited::Shard(pending) => pending.wait().map(Inserted::from),
            Awaited::Known(answer) => Ok(answer),
            Awaited::Deleter(mut reply, store) => {
                store.block_on(0, |context| Pin::new(&mut reply).poll(context))?
            }
        }
    }

    /// The answer as a future.
    ///
    /// # Errors
    /// `Poisoned` if the log failed.
    pub async fn answer(self) -> Result<Inserted> {
        match self.0 {
            Awaited::Shard(pending) => pending.await.map(Inserted::from),
            Awaited::Known(answer) => Ok(answer),
            Awaited::Deleter(reply, _) => reply.await,
        }
    }
}

/// The answer to a query, event by event. It owns its snapshot: it is `Send` and `'static`, and keeps the memtables
/// and segments of its moment until it is dropped, whatever is flushed, merged or removed meanwhile.
pub struct Events {
    answer: Answer,
    last: Option<Key>,
}

impl Events {
    pub(super) fn over(cursor: Cursor) -> Events {
        Events { answer: Answer::Ordered(cursor), last: None }
    }

    /// The next event, good until the next call; `None` at the end. No allocation and no copy.
    ///
    /// # Errors
    /// `Corrupt` or `Io`; the answer ends there.
    #[expect(clippy::should_implement_trait, reason = "the event borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<EventRef<'_>>> {
        match &mut self.answer {
            Answer::Ordered(cursor) => {
                let Some(record) = cursor.next()? else { return Ok(None) };
                self.last = Some(record.key);
                EventRef::stored(record).map(Some).map_err(damaged)
            }
            Answer::Ranked(ranked) => ranked.next(),
        }
    }

    /// From here on, what has expired by `now` is not given: for an answer that is held open for seconds. Limits
    /// count as they did when the query began. Each event is looked at then.
    pub fn pass_time(&mut self, now: u64) {
        match &mut self.answer {
            Answer::Ordered(cursor) => cursor.pass_time(now),
            Answer::Ranked(ranked) => ranked.pass_time(now),
        }
    }

    /// The place of the event that was given last: where [`EventStore::query_after`] goes on, in this process or
    /// another one. None in an answer that is ranked.
    pub fn position(&self) -> Option<Key> {
        self.last
    }
}

pub(super) fn damaged(error: FormatError) -> Error {
    Error::invalid("stored event", error.to_string())
}
