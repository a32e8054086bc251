//! The worker: requests in batches, through the steps of `deletions`.
//!
//! I1. A batch holds no request to vanish beside another one of its author, so that each finds those before it stored.

use super::super::event::EventRef;
use super::super::filter::{Filter, TagValue};
use super::super::plan::select;
use super::super::private::PrivateKinds;
use super::super::rules::{self, EventModel};
use super::super::store::Inserted;
use super::super::{expiration, requests, terms};
use super::queue::{Job, Jobs, Message, Queue};
use super::{Asked, Reply, Requests};
use crate::base::{Result, Terms, hash64, planted};
use crate::io::threads::{self, Thread};
use crate::model::Record;
use crate::query::{Order, Select};
use crate::shard::Outcome;
use crate::store::{Pending, Store};
use crossbeam::channel::Receiver;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Requests of one batch, which share the wait for the shards. Each takes a ticket of the reserve.
const BATCH_REQUESTS: usize = 16;

/// Events of its author that a request kills itself, all at one moment: less than a millisecond of the shard's thread.
/// What is beyond is removed before, in groups of as many.
pub(crate) const OWN_KILLS_MAX: usize = 128;

/// Ids that are read before they are removed.
const PASS_IDS: usize = 4096;

/// What the worker and its callers share.
pub(crate) struct Deleter {
    pub(crate) store: Arc<Store>,
    pub(crate) model: Arc<EventModel>,
    pub(crate) requests: Requests,
    /// Whether requests that name events of others only are refused.
    refuse_foreign: bool,
    /// Kinds of which such a refusal would say that they are there.
    pub(crate) private: PrivateKinds,
    /// Without threads, whoever asks works.
    way: Way,
}

enum Way {
    Queue(Queue),
    Inline(Mutex<()>),
}

impl Deleter {
    /// The worker of `store`, and its thread if it is to have one.
    pub(crate) fn start(
        store: Arc<Store>,
        model: Arc<EventModel>,
        refuse_foreign: bool,
        has_threads: bool,
    ) -> (Arc<Deleter>, Option<Thread<()>>) {
        let requests = Requests::new(model.clone());
        let (queue, jobs) = Queue::new();
        let way = if has_threads { Way::Queue(queue) } else { Way::Inline(Mutex::default()) };
        let private = PrivateKinds::default();
        let deleter = Arc::new(Deleter { store, model, requests, refuse_foreign, private, way });
        let own = deleter.clone();
        let thread = has_threads.then(|| threads::spawn("ratite-delete", move || own.run(&jobs)));
        (deleter, thread)
    }

    /// Ends the thread once it has done what came before.
    pub(crate) fn stop(&self) {
        if let Way::Queue(queue) = &self.way {
            queue.stop();
        }
    }

    /// Whether `event` is a request that may reach into other shards, and has to come this way.
    pub(crate) fn takes(&self, event: &EventRef<'_>) -> bool {
        event.kind() == requests::DELETION || self.model.is_vanish(event)
    }

    /// Hands over a request, if there is room. Without a thread the answer is there at once.
    pub(crate) fn poll_ask(
        &self,
        event: &EventRef<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reply>> {
        match &self.way {
            Way::Queue(queue) => queue.poll_send(event, context),
            Way::Inline(alone) => {
                let _alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
                let (job, reply) = Job::new(event);
                self.batch(vec![job]);
                Poll::Ready(Ok(reply))
            }
        }
    }

    // --- the worker's side ---

    fn run(&self, jobs: &Jobs) {
        let mut held = None;
        while let Some((batch, ends)) = next_batch(&jobs.receiver, &mut held) {
            if let Way::Queue(queue) = &self.way {
                queue.made_room();
            }
            // Who asked is answered as the jobs are dropped, and the next ones have their worker.
            if let Err(why) = threads::caught(|| self.batch(batch)) {
                tracing::error!("the worker of requests panicked: {why}");
            }
            if ends {
                return;
            }
        }
    }

    /// The steps a to e.
    fn batch(&self, jobs: Vec<Job>) {
        // a
        let asked: Vec<([u8; 32], Arc<Asked>)> = jobs.iter().map(|job| self.asked(job)).collect();
        self.requests.announce(&asked);
        let announced = Announced(&self.requests, &asked);
        // b
        let barrier = self.store.barrier();
        // c, d
        let prepared = jobs.iter().map(|job| match &barrier {
            _ if planted!(RequestBeforeWraps) => Ok(None),
            Ok(()) => self.prepare(&job.event.as_ref()),
            // Each request gets the error from a barrier of its own.
            Err(_) => self.store.barrier().and_then(|()| self.prepare(&job.event.as_ref())),
        });
        let prepared: Vec<Result<Option<Inserted>>> = prepared.collect();
        // e
        let handed = jobs.iter().zip(prepared).map(|(job, prepared)| match prepared {
            Ok(None) => self.store.insert_own(job.event.as_ref().record()).map(Answer::Awaited),
            Ok(Some(answer)) => Ok(Answer::Known(answer)),
            Err(error) => Err(error),
        });
        let handed: Vec<Result<Answer<'_>>> = handed.collect();
        let answers = handed.into_iter().map(|handed| match handed? {
            // What it killed were no versions of it.
            Answer::Awaited(pending) => pending.wait().map(|outcome| match outcome {
                Outcome::Stored { .. } => Inserted::Stored,
                other => Inserted::from(other),
            }),
            Answer::Known(answer) => Ok(answer),
        });
        let answers: Vec<Result<Inserted>> = answers.collect();
        if planted!(RequestBeforeWraps) {
            let is_stored = |of: &(&Job, &Result<Inserted>)| matches!(of.1, Ok(Inserted::Stored));
            for (job, _) in jobs.iter().zip(&answers).filter(is_stored) {
                let event = job.event.as_ref();
                let _late = match event.kind() {
                    requests::VANISH => self.prepare_vanish(&event),
                    _ => self.prepare_deletion(&event).map(drop),
                };
            }
        }
        drop(announced);
        jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer));
    }

    fn asked(&self, job: &Job) -> ([u8; 32], Arc<Asked>) {
        let event = job.event.as_ref();
        let asked = match event.kind() {
            requests::VANISH => Asked::Until(event.created_at()),
            _ => Asked::Ids(ids(&event)),
        };
        (*event.pubkey(), Arc::new(asked))
    }

    /// Steps c and d; an answer if the request is not to be stored.
    fn prepare(&self, event: &EventRef<'_>) -> Result<Option<Inserted>> {
        // Before anything is removed: what cannot be stored is not to be done by half.
        if let Some(full) = self.store.disk_out() {
            return Err(full);
        }
        let now = self.store.env().clock.unix_micros() / 1_000_000;
        let is_there = self.store.get(event.id(), |_| ())?.is_some();
        if is_there || expiration::is_over(event.record(), now) {
            return Ok(None); // its shard says so
        }
        if event.kind() == requests::VANISH {
            return self.prepare_vanish(event).map(|()| None);
        }
        match self.requests.has_vanished(&self.store, event.pubkey(), event.created_at())? {
            true => Ok(None),
            false => self.prepare_deletion(event),
        }
    }

    fn prepare_deletion(&self, event: &EventRef<'_>) -> Result<Option<Inserted>> {
        // c
        let Targets { mut own, wraps, addresses, has_own, has_foreign, has_hidden } =
            self.targets(event)?;
        if has_foreign && !has_own && !has_hidden && self.refuse_foreign {
            return Ok(Some(Inserted::InvalidDelete));
        }
        // d
        self.remove(&wraps)?;
        if addresses + own.len() > OWN_KILLS_MAX {
            let mut named = Terms::new();
            rules::versions(event, &mut named);
            let named: Vec<Vec<u8>> = named.iter().map(<[u8]>::to_vec).collect();
            if !named.is_empty() {
                let what = self.own(event, named);
                // A version an address: as many as the event has tags.
                self.each(&what, usize::MAX, |_, id| own.push(id))?;
            }
        }
        let shard = hash64(event.pubkey());
        let going = own.len().saturating_sub(OWN_KILLS_MAX);
        let going: Vec<(u64, [u8; 32])> = own[..going].iter().map(|id| (shard, *id)).collect();
        self.remove(&going)?;
        Ok(None)
    }

    /// What a request to delete names, as far as it is known.
    fn targets(&self, event: &EventRef<'_>) -> Result<Targets> {
        let mut targets = Targets::default();
        let author = event.pubkey();
        for id in ids(event) {
            let look = |record: Record<'_>| {
                let found = EventRef::stored(record).ok()?;
                let shard = self.store.shard_number(record) as u64;
                Some((requests::may_delete(author, &found), *found.pubkey(), found.kind(), shard))
            };
            match self.store.get(&id, look)?.flatten() {
                None => targets.has_hidden |= !self.private.is_empty(),
                // As if it were not there: who asks may be a stranger to it.
                Some((false, _, kind, _))
                    if self.private.has(kind) && !planted!(DeletionRefusedByTheHidden) =>
                {
                    targets.has_hidden = true;
                }
                Some((false, ..)) => targets.has_foreign = true,
                Some((true, pubkey, kind, shard)) => {
                    targets.has_own = true;
                    match pubkey == *author {
                        false => targets.wraps.push((shard, id)),
                        true if requests::is_request(kind) => {}
                        true => targets.own.push(id),
                    }
                }
            }
        }
        for address in requests::addresses(event) {
            let is_own = address.pubkey == *author;
            targets.addresses += usize::from(is_own);
            targets.has_own |= is_own;
            targets.has_foreign |= !is_own;
        }
        Ok(targets)
    }

    /// Removes the gift wraps addressed to who vanishes, and all but the newest of its own events.
    fn prepare_vanish(&self, event: &EventRef<'_>) -> Result<()> {
        let (author, until) = (*event.pubkey(), event.created_at());
        let wraps = select(&Filter {
            kinds: Some(vec![requests::GIFT_WRAP]),
            tags: vec![(b'p', vec![TagValue::from(author)])],
            until,
            ..Filter::default()
        });
        let mut own = self.own(event, vec![term(|out| terms::author(&author, out))]);
        own.none_of = vec![term(|out| terms::author_kind(&author, requests::VANISH, out))];
        for (what, spared) in [(wraps, 0), (own, OWN_KILLS_MAX)] {
            loop {
                let mut found = Vec::new();
                self.each(&what, PASS_IDS, |shard, id| found.push((shard, id)))?;
                let going = found.len().saturating_sub(spared);
                if going == 0 {
                    break;
                }
                self.remove(&found[..going])?;
            }
        }
        Ok(())
    }

    /// The events of the author of `event` under one of these terms, up to its time, requests to vanish aside.
    fn own(&self, event: &EventRef<'_>, mut under: Vec<Vec<u8>>) -> Select {
        under.sort_unstable();
        let (author, until) = (*event.pubkey(), event.created_at());
        let named: HashSet<Vec<u8>> = under.iter().cloned().collect();
        Select {
            all_of: vec![under.into()],
            until,
            routes: Some(vec![hash64(&author)]),
            matches: Arc::new(move |record| {
                EventRef::stored(record).is_ok_and(|found| {
                    let mut terms = Terms::new();
                    terms::of_event(&found, &mut terms);
                    *found.pubkey() == author
                        && found.kind() != requests::VANISH
                        && found.created_at() <= until
                        && terms.iter().any(|term| named.contains(term))
                })
            }),
            ..Select::all()
        }
    }

    /// Gives shard and id of the first `most` of what is selected to `take`, oldest first.
    fn each(&self, what: &Select, most: usize, mut take: impl FnMut(u64, [u8; 32])) -> Result<()> {
        let what = std::slice::from_ref(what);
        let mut found = self.store.walk_at(&self.store.snapshot(), what, Order::Oldest)?;
        let mut left = most;
        while left > 0
            && let Some(record) = found.next()?
        {
            take(self.store.shard_number(record) as u64, record.key.id);
            left -= 1;
        }
        Ok(())
    }

    /// Removes these from their shards, in groups.
    fn remove(&self, what: &[(u64, [u8; 32])]) -> Result<()> {
        let mut what = what.to_vec();
        what.sort_unstable();
        for of_shard in what.chunk_by(|a, b| a.0 == b.0) {
            for group in of_shard.chunks(OWN_KILLS_MAX) {
                let ids: Vec<[u8; 32]> = group.iter().map(|(_, id)| *id).collect();
                // So that their pages are resident when the shard looks.
                ids.iter().try_for_each(|id| self.store.get(id, |_| ()).map(drop))?;
                self.store.remove(group[0].0, &ids)?;
            }
        }
        Ok(())
    }
}

/// Requests that are announced; retired when it goes.
struct Announced<'a>(&'a Requests, &'a [([u8; 32], Arc<Asked>)]);

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.0.retire(self.1);
    }
}

/// What a request to delete names.
#[derive(Default)]
struct Targets {
    /// Live events of its author that it kills by id.
    own: Vec<[u8; 32]>,
    /// Gift wraps to its author, with their shards.
    wraps: Vec<(u64, [u8; 32])>,
    /// How many addresses of its author it names.
    addresses: usize,
    /// Whether it names anything that is its author's to delete.
    has_own: bool,
    /// Whether it names anything of others.
    has_foreign: bool,
    /// Whether it names anything of which nobody is told whether it is there.
    has_hidden: bool,
}

enum Answer<'a> {
    Awaited(Pending<'a>),
    Known(Inserted),
}

/// The next requests, at least one, and whether they are the last; `held` is one that has to wait for them.
fn next_batch(jobs: &Receiver<Message>, held: &mut Option<Job>) -> Option<(Vec<Job>, bool)> {
    let first = match held.take() {
        Some(job) => job,
        None => match jobs.recv() {
            Ok(Message::Job(job)) => job,
            Ok(Message::Stop) | Err(_) => return None,
        },
    };
    let is_vanish = |job: &Job| job.event.kind() == requests::VANISH;
    let mut batch = vec![first];
    while batch.len() < BATCH_REQUESTS {
        let job = match jobs.try_recv() {
            Ok(Message::Job(job)) => job,
            Ok(Message::Stop) => return Some((batch, true)),
            Err(_) => break,
        };
        let same_author = |other: &&Job| other.event.pubkey() == job.event.pubkey();
        if batch.iter().filter(same_author).any(|other| is_vanish(other) || is_vanish(&job)) {
            *held = Some(job); // I1
            break;
        }
        batch.push(job);
    }
    Some((batch, false))
}

/// The ids that a request names, sorted, each once.
fn ids(event: &EventRef<'_>) -> Vec<[u8; 32]> {
    let mut ids: Vec<[u8; 32]> = requests::ids(event).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn term(build: impl Fn(&mut Terms)) -> Vec<u8> {
    let mut out = Terms::new();
    build(&mut out);
    out.iter().flatten().copied().collect()
}
