//! What one client has under way: events that wait for the store, requests, subscriptions.
//!
//! ```text
//!   message --> EVENT --publish--> writes ----+
//!               REQ, COUNT --> waiting --> running --> outbox
//!               CLOSE --> subscriptions
//!               NEG-OPEN, NEG-MSG, NEG-CLOSE --> syncs --> outbox
//! ```
//!
//! I1. A subscription id belongs to at most one request: waiting, running or live. A REQ with a known
//!     id puts itself in that one's place.
//! I2. What a client has under way is bounded: nothing more is read while `may_read` says no.

use super::auth::{self, Identity};
use super::client::Client;
use super::config::AuthMode;
use super::front::Front;
use super::held::{Held, Tally};
use super::limits::{EVENT_BYTES_MAX, FILTER_VALUES};
use super::message::{ClientMessage, Refused, SubId, parse};
use super::negentropy::Syncs;
use super::outbox::Outbox;
use super::policy::Spent;
use super::publish::{self, Publish, Sender};
use super::reply;
use super::request::{self, Counting, Kind, Request, Running, Stored};
use super::subscriptions::SubKey;
use super::visibility::{Narrowed, asks_private_only, may_see};
use crate::base::Result;
use crate::nostr::{EventRef, Filter};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tokio_tungstenite::tungstenite::protocol::Message;

/// An event on its way; what comes out is the answer.
type Write = Pin<Box<dyn Future<Output = Message>>>;

/// The state of one client. Dropping it ends its subscriptions; events handed over are stored.
pub(super) struct Session {
    front: Rc<Front>,
    outbox: Rc<Outbox>,
    client: Client,
    identity: Rc<Identity>,
    writes: FuturesUnordered<Write>,
    waiting: VecDeque<Request>,
    running: Option<Running>,
    /// When the client asked for it.
    asked_nanos: u64,
    syncs: Syncs,
    live: HashMap<SubId, Subscribed>,
    /// Values of all filters of `live`.
    live_values: usize,
    /// What this client's part is of what all of the thread hold.
    own_values: Tally,
    own_bytes: Tally,
}

struct Subscribed {
    key: SubKey,
    values: usize,
    _held: Held,
}

impl Session {
    pub(super) fn new(front: Rc<Front>, outbox: Rc<Outbox>, client: Client) -> Session {
        let identity = Rc::new(Identity::new(&*front.store.engine().env().entropy));
        let syncs = Syncs::new(client.address);
        if front.config.auth != AuthMode::Off {
            outbox.push(reply::auth(identity.challenge()));
        }
        Session {
            front,
            outbox,
            client,
            identity,
            writes: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            running: None,
            asked_nanos: 0,
            syncs,
            live: HashMap::new(),
            live_values: 0,
            own_values: Tally::default(),
            own_bytes: Tally::default(),
        }
    }

    /// Whether the next message may be read (I2).
    pub(super) fn may_read(&self) -> bool {
        let limits = self.front.limits();
        let crowded = self.front.event_bytes.sum() >= EVENT_BYTES_MAX;
        self.writes.len() < limits.writes
            && (self.own_bytes.sum() == 0 || !crowded)
            && self.waiting_values() < limits.connection_values
            && self.waiting.len() < limits.subscriptions
            && self.syncs.may_read(limits)
            && !self.outbox.is_full()
    }

    /// Takes one message of the client.
    pub(super) fn take(&mut self, text: &str) {
        let counters = &self.front.counters;
        counters.received_bytes.add_many(text.len());
        match parse(text.as_bytes(), self.front.limits().filters) {
            Ok(ClientMessage::Event(json)) => {
                counters.messages_event.add();
                match publish::receive(&self.front, &self.client, &self.identity, json) {
                    Publish::Answer(answer) => self.outbox.push(answer),
                    Publish::Store(event) => {
                        let sender = self.sender(&event.as_ref());
                        let held = self.front.event_bytes.hold(&self.own_bytes, json.len());
                        let write = publish::store(self.front.clone(), event, sender);
                        let write = async {
                            let _held = held;
                            write.await
                        };
                        self.writes.push(Box::pin(write));
                    }
                }
            }
            Ok(ClientMessage::Auth(json)) => {
                counters.messages_auth.add();
                // A signature is checked, as for an event.
                let answer = match self.client.may(&self.front, Spent::Event, json.len()) {
                    Ok(()) => auth::receive(&self.front, &self.identity, self.client.address, json),
                    Err(refusal) => publish::unread(json, refusal.0),
                };
                self.outbox.push(answer);
            }
            Ok(ClientMessage::Req(id, filters)) => {
                counters.messages_req.add();
                self.ask(id, &filters, Kind::Events);
            }
            Ok(ClientMessage::Count(id, filters)) => {
                counters.messages_count.add();
                self.ask(id, &filters, Kind::Count);
            }
            Ok(ClientMessage::Close(id)) => {
                counters.messages_close.add();
                self.end(&id);
            }
            Ok(
                negentropy @ (ClientMessage::NegOpen(..)
                | ClientMessage::NegMsg(..)
                | ClientMessage::NegClose(_)),
            ) => {
                counters.messages_negentropy.add();
                self.compare(negentropy);
            }
            Err(Refused::Notice(text)) => {
                let why = "invalid: what came is no message";
                self.front.send_away(&counters.messages_invalid, self.client.address, why);
                self.outbox.push(reply::notice(&text));
            }
            Err(Refused::Closed(id, text)) => {
                self.end(&id);
                let why = "invalid: what came is no request, or has too many filters";
                self.refuse(&id, &text, Some(why));
            }
        }
    }

    /// Who sends this event.
    fn sender(&self, event: &EventRef<'_>) -> Sender {
        let (keys, private) = (self.identity.keys(), &self.front.config.private_kinds);
        let is_party = may_see(event, private, &keys);
        Sender { address: self.client.address, key: keys.first().copied(), is_party }
    }

    /// A message of NIP-77.
    fn compare(&mut self, message: ClientMessage<'_>) {
        let Session { front, outbox, identity, syncs, client, .. } = self;
        match message {
            ClientMessage::NegOpen(id, filter, message) => {
                let bytes = filter.len() + message.len();
                match client.may(front, Spent::Request, bytes) {
                    Ok(()) => syncs.begin(front, outbox, identity, id, (filter, message)),
                    Err(refusal) => syncs.refuse(front, outbox, &id, refusal.0),
                }
            }
            // A part of the request that was counted when it began.
            ClientMessage::NegMsg(id, message) => match client.may_send(front, message.len()) {
                Ok(()) => syncs.go_on(front, outbox, id, message),
                Err(refusal) => syncs.refuse(front, outbox, &id, refusal.0),
            },
            ClientMessage::NegClose(id) => syncs.end(&id),
            _ => {}
        }
    }

    /// Whether nothing is under way: then [`Session::work`] waits for ever, or for a session to have been silent.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let asked = self.running.is_some() || !self.waiting.is_empty();
        !asked && self.writes.is_empty() && !self.syncs.is_busy()
    }

    /// Goes on with what is under way until some of it is done. Dropping it half-way loses nothing;
    /// with nothing under way it waits for ever.
    pub(super) async fn work(&mut self) {
        if self.running.is_none() && !self.outbox.is_full() {
            self.begin_next();
        }
        let Session { front, outbox, writes, running, syncs, .. } = self;
        let stepped = tokio::select! {
            Some(answer) = writes.next() => {
                outbox.push(answer);
                return;
            }
            Some(stepped) = step(running, front, outbox), if !outbox.is_full() => stepped,
            () = syncs.step(front, outbox), if syncs.is_any() && !outbox.is_full() => return,
            else => std::future::pending().await,
        };
        self.stepped(stepped);
    }

    /// Waits until the store has answered every event that was handed to it.
    pub(super) async fn finish_writes(&mut self) {
        while let Some(answer) = self.writes.next().await {
            self.outbox.push(answer);
        }
    }

    /// A REQ or COUNT.
    fn ask(&mut self, id: SubId, json: &[&[u8]], kind: Kind) {
        if kind == Kind::Events {
            self.end(&id); // I1
        }
        let bytes = json.iter().map(|filter| filter.len()).sum();
        let may = self.client.may(&self.front, Spent::Request, bytes).map_err(|refusal| refusal.0);
        let refusal = may.err().or_else(|| self.identity.refusal(&self.front.config));
        if let Some(text) = refusal {
            // Of what is too fast the log knows; who is asked for a key has done nothing wrong.
            return self.refuse(&id, text, None);
        }
        let limits = self.front.limits();
        let filters = request::filters(limits, json)
            .and_then(|filters| request::adopted(&self.front.store, filters));
        let filters = match filters {
            Ok(filters) => filters,
            Err(refused) => {
                return self.refuse(&id, &refused.to_string(), Some(refused.why()));
            }
        };
        let private = &self.front.config.private_kinds;
        let asks_private = |filter: &Filter| asks_private_only(filter, private);
        if self.identity.keys().is_empty() && filters.iter().all(asks_private) {
            let text = "auth-required: these kinds are shown to their parties only";
            return self.refuse(&id, text, None);
        }
        let values: usize = filters.iter().map(request::values).sum();
        let all = values + FILTER_VALUES * filters.len();
        // The limit itself is for what stays, below; less than it is for all.
        let most = self.front.values_max();
        if most < limits.connection_values && self.own_values.sum() + all > most {
            let text = "error: this relay holds as many filters as it can; try again later";
            return self.refuse(&id, text, Some(text));
        }
        if kind == Kind::Events && self.subscriptions() >= limits.subscriptions {
            let text = format!(
                "restricted: a connection has at most {} subscriptions",
                limits.subscriptions
            );
            let why = "restricted: a connection has too many subscriptions";
            return self.refuse(&id, &text, Some(why));
        }
        if kind == Kind::Events
            && self.live_values + self.waiting_values() + values > limits.connection_values
        {
            let max = limits.connection_values;
            let text = format!("restricted: a connection's filters have at most {max} values");
            let why = "restricted: a connection's filters have too many values";
            return self.refuse(&id, &text, Some(why));
        }
        let (keys, asked_nanos) = (Box::from(&*self.identity.keys()), self.front.nanos());
        let held = self.front.values.hold(&self.own_values, all);
        self.waiting.push_back(Request { id, filters, kind, keys, asked_nanos, values, held });
    }

    /// Refuses a request; `why` is what the log is told, if it is.
    fn refuse(&self, id: &SubId, text: &str, why: Option<&'static str>) {
        let refused = &self.front.counters.requests_refused;
        match why {
            Some(why) => self.front.send_away(refused, self.client.address, why),
            None => refused.add(),
        }
        self.outbox.push(reply::closed(id, text));
    }

    fn subscriptions(&self) -> usize {
        self.live.len() + self.waiting.iter().filter(|r| r.kind == Kind::Events).count()
    }

    /// Values of the requests that wait.
    fn waiting_values(&self) -> usize {
        self.waiting.iter().map(|request| request.values).sum()
    }

    /// Starts the request that has waited longest.
    fn begin_next(&mut self) {
        let Some(next) = self.waiting.pop_front() else { return };
        let Request { id, filters, kind, keys, asked_nanos, values, held } = next;
        self.asked_nanos = asked_nanos;
        let asked = Narrowed::new(&filters, &self.front.config.private_kinds, &keys);
        self.running = Some(match kind {
            Kind::Count => {
                Running::Count(Counting::new(&self.front, (id, held), filters, asked.filters))
            }
            Kind::Events => self.begin_events((id, values, held), filters, asked),
        });
    }

    fn begin_events(
        &mut self,
        (id, values, held): (SubId, usize, Held),
        filters: Vec<Filter>,
        asked: Narrowed,
    ) -> Running {
        let (key, live, snapshot) =
            self.front.subscribe(id.clone(), filters, &self.outbox, &self.identity);
        self.live_values += values;
        self.live.insert(id, Subscribed { key, values, _held: held });
        Running::Events(Stored::new(live, snapshot, asked))
    }

    fn stepped(&mut self, stepped: Result<bool>) {
        if let Ok(false) = stepped {
            return;
        }
        let Some(ended) = self.running.take() else { return };
        let Err(error) = stepped else { return self.measure(ended.kind()) };
        if self.front.counters.requests_failed.add_and_tell() {
            tracing::warn!(%error, "the store did not answer a request");
        }
        if ended.kind() == Kind::Events {
            self.unsubscribe(ended.id());
        }
        let text = format!("error: the store did not answer ({})", error.code());
        self.outbox.push(reply::closed(ended.id(), &text));
    }

    fn measure(&self, kind: Kind) {
        let latencies = &self.front.counters.latencies;
        let latency = match kind {
            Kind::Events => &latencies.req,
            Kind::Count => &latencies.count,
        };
        latency.record(self.front.nanos().saturating_sub(self.asked_nanos));
    }

    /// Ends a subscription, wherever it stands (I1).
    fn end(&mut self, id: &SubId) {
        self.waiting.retain(|request| request.kind != Kind::Events || request.id != *id);
        let is_it = |running: &mut Running| running.kind() == Kind::Events && running.id() == id;
        drop(self.running.take_if(is_it));
        self.unsubscribe(id);
    }

    fn unsubscribe(&mut self, id: &SubId) {
        if let Some(Subscribed { key, values, .. }) = self.live.remove(id) {
            self.front.unsubscribe(key);
            self.live_values -= values;
        }
    }
}

async fn step(
    running: &mut Option<Running>,
    front: &Front,
    outbox: &Outbox,
) -> Option<Result<bool>> {
    match running {
        Some(running) => Some(running.step(front, outbox).await),
        None => None,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.live.values().for_each(|subscribed| self.front.unsubscribe(subscribed.key));
    }
}
