//! Requests that reach into other shards: deletions by id, and vanishing, with the gift wraps addressed to their author.
//!
//! ```text
//!   kind 5, 62 --> queue --> worker:  a pending: what is asked for, in memory     --.
//!                                     b barrier: all shards publish what they have  | a gift wrap that comes now is
//!                                     c are its known targets all foreign?          | refused by what is pending
//!                                     d remove wraps, and own events in excess      |
//!                                     e insert the request, wait                  --'
//!   kind 1059 ---> refused by a pending or a stored request of a recipient? else handed to its shard
//! ```
//!
//! All else that a request does is decided in its author's shard (`rules`). Gift wraps are there not; they are written by
//! keys of their own and found by `p`.
//!
//! I1. A wrap is looked for among what is pending, and handed to its shard, in one hold of the lock. So it is refused, or
//!     the barrier waits for it and step d finds it. The lock is never held while waiting for room or for an answer.
//! I2. What is pending is taken out after the request is published: whoever finds nothing pending finds what is stored.
//! I3. A crash in between leaves a request without an answer half done; asked again it is done, unless all that it still
//!     finds is events of others: then it is refused, and the wraps that it has removed may come again. A request that has
//!     an answer is whole.
//! I4. The worker waits for shards only, with tickets of the reserve, and its queue is bounded: nobody waits for ever.
//!
//! A shard that fails gives its error to the requests at hand; nothing of them is tried again by itself.

#[cfg(test)]
mod model;
mod queue;
mod sync;
#[cfg(test)]
mod tests;
mod work;

pub(super) use queue::Reply;
pub(super) use work::Deleter;

use super::event::EventRef;
use super::rules::{DELETED, EventModel, VANISHED};
use super::{requests, terms};
use crate::base::{Result, Terms, hash64};
use crate::query::{Order, Select};
use crate::store::{Pending, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// What a request asks for that is not in force yet.
pub(super) enum Asked {
    /// These ids, sorted.
    Ids(Vec<[u8; 32]>),
    /// Everything up to this time.
    Until(u64),
}

/// What is pending, and how much was.
#[derive(Default)]
struct State {
    /// By author. An author can have several requests under way.
    pending: HashMap<[u8; 32], Vec<Arc<Asked>>>,
    /// Batches of requests that have been stored.
    done: u64,
}

/// What becomes of a gift wrap.
pub(super) enum Entered<'a> {
    /// Its shard decides.
    Handed(Pending<'a>),
    /// Refused, for this reason of `rules`.
    Refused(u8),
}

/// The requests that are under way, and what is stored of others.
pub(super) struct Requests {
    model: Arc<EventModel>,
    state: Mutex<State>,
}

impl Requests {
    pub(super) fn new(model: Arc<EventModel>) -> Requests {
        Requests { model, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each critical section leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Step a, for all at once.
    fn announce(&self, asked: &[([u8; 32], Arc<Asked>)]) {
        let mut state = self.state();
        for (author, asked) in asked {
            state.pending.entry(*author).or_default().push(asked.clone());
        }
    }

    /// The end of step e (I2).
    fn retire(&self, asked: &[([u8; 32], Arc<Asked>)]) {
        let mut state = self.state();
        for (author, asked) in asked {
            if let Some(list) = state.pending.get_mut(author) {
                list.retain(|other| !Arc::ptr_eq(other, asked));
                if list.is_empty() {
                    state.pending.remove(author);
                }
            }
        }
        state.done += 1;
    }

    /// Hands a gift wrap to its shard if no request of a recipient stands against it and there is room (I1).
    pub(super) fn poll_wrap<'a>(
        &self,
        store: &'a Store,
        wrap: &EventRef<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Entered<'a>>> {
        // Pages may be read, so first without the lock.
        let before = self.state().done;
        if let Some(reason) = self.stored_against(store, wrap)? {
            return Poll::Ready(Ok(Entered::Refused(reason)));
        }
        let state = self.state();
        if state.done != before
            && let Some(reason) = self.stored_against(store, wrap)?
        {
            return Poll::Ready(Ok(Entered::Refused(reason)));
        }
        if let Some(reason) = state.against(wrap) {
            return Poll::Ready(Ok(Entered::Refused(reason)));
        }
        store.poll_insert(wrap.record(), context).map_ok(Entered::Handed)
    }

    /// Why the stored requests of its recipients refuse a gift wrap, if they do.
    fn stored_against(&self, store: &Store, wrap: &EventRef<'_>) -> Result<Option<u8>> {
        for recipient in requests::recipients(wrap) {
            if self.has_vanished(store, recipient, wrap.created_at())? {
                return Ok(Some(VANISHED));
            }
            let id = *wrap.id();
            let mut under = Terms::new();
            terms::deleted_id(recipient, &id, &mut under);
            let names = move |request: &EventRef<'_>| requests::ids(request).any(|i| *i == id);
            if is_stored(store, recipient, requests::DELETION, &under, 0, names)? {
                return Ok(Some(DELETED));
            }
        }
        Ok(None)
    }

    /// Whether `pubkey` has asked to vanish from here, as is published now, with everything up to `at`.
    pub(super) fn has_vanished(&self, store: &Store, pubkey: &[u8; 32], at: u64) -> Result<bool> {
        let mut under = Terms::new();
        self.model.vanished(pubkey, &mut under);
        let model = self.model.clone();
        let is_here = move |request: &EventRef<'_>| model.is_vanish(request);
        is_stored(store, pubkey, requests::VANISH, &under, at, is_here)
    }
}

impl State {
    fn against(&self, wrap: &EventRef<'_>) -> Option<u8> {
        if self.pending.is_empty() {
            return None;
        }
        let asked = requests::recipients(wrap).filter_map(|p| self.pending.get(p)).flatten();
        let mut reasons = asked.filter_map(|asked| match &**asked {
            Asked::Ids(ids) => ids.binary_search(wrap.id()).is_ok().then_some(DELETED),
            Asked::Until(until) => (wrap.created_at() <= *until).then_some(VANISHED),
        });
        reasons.next()
    }
}

/// Whether a request of `author` of this kind is stored under one of the terms, from `since` on.
fn is_stored(
    store: &Store,
    author: &[u8; 32],
    kind: u16,
    under: &Terms,
    since: u64,
    says: impl Fn(&EventRef<'_>) -> bool + Send + Sync + 'static,
) -> Result<bool> {
    let author = *author;
    let mut list: Vec<Vec<u8>> = under.iter().map(<[u8]>::to_vec).collect();
    list.sort_unstable();
    let select = Select {
        all_of: vec![list.into()],
        since,
        limit: Some(1),
        routes: Some(vec![hash64(&author)]),
        matches: Arc::new(move |record| {
            EventRef::stored(record).is_ok_and(|request| {
                request.kind() == kind
                    && *request.pubkey() == author
                    && request.created_at() >= since
                    && says(&request)
            })
        }),
        ..Select::all()
    };
    let mut found = store.walk_at(&store.snapshot(), &[select], Order::Newest)?;
    Ok(found.next()?.is_some())
}
