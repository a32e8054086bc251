//! NEG-OPEN, NEG-MSG, NEG-CLOSE (NIP-77): a client compares its events with the store's.
//!
//! ```text
//!   NEG-OPEN --> [ waiting ] --> snapshot, items of the filter --> session --> NEG-MSG | NEG-ERR
//!   NEG-MSG  --> [ waiting ] --> respond(items, message) ------------^
//! ```
//!
//! I1. A session is one moment: its items are those of one snapshot, whatever comes in meanwhile.
//! I2. All items of all sessions of a relay are counted against one limit before they are held, and given
//!     back when the session ends: by NEG-CLOSE, another NEG-OPEN, an error, silence, or the connection's end.
//! I3. A connection runs one message at a time, on a thread that serves nobody.

use super::auth::Identity;
use super::budget::{Charge, ItemBudget};
use super::front::Front;
use super::limits::Limits;
use super::message::SubId;
use super::outbox::Outbox;
use super::reply;
use super::request;
use super::visibility::{asks_private_only, narrowed};
use crate::base::{Error, Result};
use crate::nostr::negentropy::{Items, respond};
use crate::nostr::{EventStore, Filter, FilterError, Gathered, ROOM_ITEMS, parse_filter};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// The negentropy sessions of one client.
#[derive(Default)]
pub(super) struct Syncs {
    open: HashMap<SubId, Sync>,
    waiting: VecDeque<Turn>,
    running: Option<Running>,
}

/// A session that was opened.
struct Sync {
    held: Arc<Held>,
    /// When the client last said something in it.
    heard: Instant,
}

/// Items, and what they count for.
struct Held {
    items: Items,
    _charge: Charge,
}

/// A message that waits for its turn.
struct Turn {
    id: SubId,
    /// Of a NEG-OPEN: what is offered.
    filters: Option<Vec<Filter>>,
    message: Vec<u8>,
}

struct Running {
    id: SubId,
    opens: bool,
    answer: Pin<Box<dyn Future<Output = Result<Answer>>>>,
}

enum Answer {
    /// A NEG-MSG of these bytes, of a session with these items.
    Said(Arc<Held>, Vec<u8>),
    /// A NEG-ERR of this text, which ends the session.
    Refused(String),
}

impl Syncs {
    /// Whether another message may be taken: one waits for each session at most, as a client that waits for its
    /// answers never makes more.
    pub(super) fn may_read(&self, limits: &Limits) -> bool {
        self.waiting.len() < limits.negentropy_sessions
    }

    /// Whether [`Syncs::step`] has anything to wait for.
    pub(super) fn is_any(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty() || !self.open.is_empty()
    }

    /// Whether a message waits for its answer.
    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// A NEG-OPEN.
    pub(super) fn begin(
        &mut self,
        front: &Front,
        outbox: &Outbox,
        identity: &Identity,
        id: SubId,
        (filter, message): (&[u8], &[u8]),
    ) {
        self.end(&id);
        let limits = front.limits();
        let offered =
            filter_of(limits, filter).and_then(|filter| offered(front, identity, &filter));
        let parsed = offered.and_then(|filters| Ok((filters, bytes(message)?)));
        let (filters, message) = match parsed {
            Ok(parsed) => parsed,
            Err(text) => return refuse(front, outbox, &id, &text),
        };
        let begun = self.waiting.iter().filter(|turn| turn.filters.is_some()).count();
        let opening = self.running.as_ref().is_some_and(|running| running.opens);
        let max = limits.negentropy_sessions;
        if self.open.len() + begun + usize::from(opening) >= max {
            let text = format!("blocked: a connection has at most {max} negentropy sessions");
            return refuse(front, outbox, &id, &text);
        }
        self.waiting.push_back(Turn { id, filters: Some(filters), message });
    }

    /// A NEG-MSG.
    pub(super) fn go_on(&mut self, front: &Front, outbox: &Outbox, id: SubId, message: &[u8]) {
        let opens = |turn: &Turn| turn.id == id && turn.filters.is_some();
        let opening = self.running.as_ref().is_some_and(|r| r.opens && r.id == id);
        match bytes(message) {
            Ok(message)
                if self.open.contains_key(&id) || opening || self.waiting.iter().any(opens) =>
            {
                self.waiting.push_back(Turn { id, filters: None, message });
            }
            Ok(_) => refuse(front, outbox, &id, "closed: there is no such session"),
            Err(text) => {
                self.end(&id);
                refuse(front, outbox, &id, &text);
            }
        }
    }

    /// Ends a session, wherever it stands, and says why.
    pub(super) fn refuse(&mut self, front: &Front, outbox: &Outbox, id: &SubId, text: &str) {
        self.end(id);
        refuse(front, outbox, id, text);
    }

    /// Ends a session, wherever it stands.
    pub(super) fn end(&mut self, id: &SubId) {
        self.open.remove(id);
        self.waiting.retain(|turn| turn.id != *id);
        // What it works on goes when it is done; nobody hears of it.
        self.running.take_if(|running| running.id == *id);
    }

    /// Goes on until a message is answered, or a session was silent for too long. Dropping it half-way loses
    /// nothing.
    pub(super) async fn step(&mut self, front: &Front, outbox: &Outbox) {
        while self.running.is_none() && !self.waiting.is_empty() {
            self.begin_next(front, outbox);
        }
        let silent = self.open.iter().min_by_key(|(_, sync)| sync.heard);
        let silent = silent.map(|(id, sync)| (id.clone(), sync.heard));
        let Some(running) = &mut self.running else {
            let Some((id, heard)) = silent else { return };
            sleep_until(heard + front.limits().negentropy_idle).await;
            self.end(&id);
            return refuse(front, outbox, &id, "closed: the session was silent for too long");
        };
        let answer = running.answer.as_mut().await;
        let Some(Running { id, .. }) = self.running.take() else { return };
        let refused = match answer {
            Ok(Answer::Said(held, message)) => {
                outbox.push(reply::negentropy(&id, &message));
                self.open.insert(id, Sync { held, heard: Instant::now() });
                return;
            }
            Ok(Answer::Refused(text)) => text,
            Err(error) => {
                if front.counters.requests_failed.add_and_tell() {
                    tracing::warn!(%error, "the store did not answer a request");
                }
                format!("error: the store did not answer ({})", error.code())
            }
        };
        self.end(&id);
        refuse(front, outbox, &id, &refused);
    }

    /// Starts the message that has waited longest.
    fn begin_next(&mut self, front: &Front, outbox: &Outbox) {
        let Some(Turn { id, filters, message }) = self.waiting.pop_front() else { return };
        let frame = front.limits().negentropy_frame_bytes();
        let opens = filters.is_some();
        let turns = front.counting.clone();
        let answer: Pin<Box<dyn Future<Output = Result<Answer>>>> = match filters {
            Some(filters) => {
                let (store, budget) = (front.store.clone(), front.items.clone());
                let max = front.limits().negentropy_items;
                Box::pin(apart(turns, move || {
                    open(&store, &budget, &filters, max, &message, frame)
                }))
            }
            None => {
                let Some(sync) = self.open.get(&id) else {
                    return refuse(front, outbox, &id, "closed: there is no such session");
                };
                let held = sync.held.clone();
                Box::pin(apart(turns, move || Ok(answer(held, &message, frame))))
            }
        };
        self.running = Some(Running { id, opens, answer });
    }
}

fn refuse(front: &Front, outbox: &Outbox, id: &SubId, text: &str) {
    front.counters.negentropy_refused.add();
    outbox.push(reply::negentropy_error(id, text));
}

/// Runs `work` on a thread of its own, one of a few (I3).
async fn apart<T: Send + 'static>(
    turns: Arc<Semaphore>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let _turn = turns.acquire_owned().await.map_err(|_| Error::Closed)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

fn open(
    store: &EventStore,
    budget: &Arc<ItemBudget>,
    filters: &[Filter],
    max: usize,
    message: &[u8],
    frame: usize,
) -> Result<Answer> {
    let mut charge = Charge::of(budget);
    let room = || charge.grow(ROOM_ITEMS);
    let gathered = store.items_at(&store.snapshot(), filters, max, room)?;
    Ok(match gathered {
        Gathered::All(items) => {
            charge.settle(items.len());
            answer(Arc::new(Held { items, _charge: charge }), message, frame)
        }
        Gathered::OverMax => Answer::Refused(format!(
            "blocked: the filter matches more than {max} events; ask for less time at once"
        )),
        Gathered::NoRoom => Answer::Refused(format!(
            "blocked: this relay compares at most {} events at once; try again later",
            budget.max()
        )),
    })
}

/// What of the store is offered to a client that asks for `filter`: the filters whose union it is. Who may see what
/// is decided here and nowhere else, before anything is read.
fn offered(
    front: &Front,
    identity: &Identity,
    filter: &Filter,
) -> std::result::Result<Vec<Filter>, String> {
    let (config, keys) = (&front.config, identity.keys());
    if let Some(text) = identity.refusal(config) {
        return Err(text.into());
    }
    if keys.is_empty() && asks_private_only(filter, &config.private_kinds) {
        return Err("auth-required: these kinds are shown to their parties only".into());
    }
    Ok(narrowed(filter, &config.private_kinds, &keys))
}

fn answer(held: Arc<Held>, message: &[u8], frame: usize) -> Answer {
    match respond(&held.items, message, frame) {
        Ok(said) => Answer::Said(held, said),
        Err(malformed) => Answer::Refused(format!("invalid: {malformed}")),
    }
}

/// The filter of a NEG-OPEN, its limit as it is.
fn filter_of(limits: &Limits, json: &[u8]) -> std::result::Result<Filter, String> {
    let filter = parse_filter(json).map_err(|error| match error {
        FilterError::Invalid(why) => format!("invalid: {why}"),
        FilterError::Unsupported(why) => format!("unsupported: {why}"),
    })?;
    if filter.search.is_some() {
        return Err("unsupported: what a search finds is ranked, and no set to be compared".into());
    }
    match request::values(&filter) > limits.filter_values {
        true => Err(format!("invalid: a filter has at most {} values", limits.filter_values)),
        false => Ok(filter),
    }
}

/// The bytes of a JSON string of hex.
fn bytes(element: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let hex = element.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let bytes = hex.and_then(|hex| const_hex::decode(hex).ok());
    bytes.ok_or_else(|| "invalid: a negentropy message is a string of hex".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_plain_hex() {
        assert_eq!(bytes(b"\"61Ff\""), Ok(vec![0x61, 0xff]));
        assert_eq!(bytes(b"\"\""), Ok(vec![]));
        for text in ["61", "\"6\"", "\"0x61\"", "\"\\u0036\"", "null", "\"zz\"", "\""] {
            assert!(bytes(text.as_bytes()).is_err(), "{text}");
        }
    }
}
