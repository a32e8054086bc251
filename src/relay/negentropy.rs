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
use crate::nostr::{EventStore, Filter, Gathered, ROOM_ITEMS};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// What is said of a message of no session.
const NO_SESSION: &str = "closed: there is no such session";

/// The negentropy sessions of one client.
pub(super) struct Syncs {
    from: IpAddr,
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
    /// A NEG-ERR, which ends the session.
    Refused(Refused),
}

/// Why a session is refused, or ends.
struct Refused {
    /// What the client is told.
    text: String,
    /// What the log is told, if it is; it repeats nothing of the client's.
    why: Option<&'static str>,
}

impl Refused {
    /// The client did nothing wrong, or the log knows.
    fn quiet(text: impl Into<String>) -> Refused {
        Refused { text: text.into(), why: None }
    }

    fn told(why: &'static str) -> Refused {
        Refused { text: why.into(), why: Some(why) }
    }
}

impl Syncs {
    /// Those of a client at `from`: none.
    pub(super) fn new(from: IpAddr) -> Syncs {
        Syncs { from, open: HashMap::new(), waiting: VecDeque::new(), running: None }
    }

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
            Err(refused) => return self.say(front, outbox, &id, &refused),
        };
        let begun = self.waiting.iter().filter(|turn| turn.filters.is_some()).count();
        let opening = self.running.as_ref().is_some_and(|running| running.opens);
        let max = limits.negentropy_sessions;
        if self.open.len() + begun + usize::from(opening) >= max {
            let text = format!("blocked: a connection has at most {max} negentropy sessions");
            let why = Some("blocked: a connection has too many negentropy sessions");
            return self.say(front, outbox, &id, &Refused { text, why });
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
            Ok(_) => self.say(front, outbox, &id, &Refused::told(NO_SESSION)),
            Err(refused) => {
                self.end(&id);
                self.say(front, outbox, &id, &refused);
            }
        }
    }

    /// Ends a session, wherever it stands, and tells the client why; the log knows.
    pub(super) fn refuse(&mut self, front: &Front, outbox: &Outbox, id: &SubId, text: &str) {
        self.end(id);
        self.say(front, outbox, id, &Refused::quiet(text));
    }

    fn say(&self, front: &Front, outbox: &Outbox, id: &SubId, refused: &Refused) {
        let counter = &front.counters.negentropy_refused;
        match refused.why {
            Some(why) => front.send_away(counter, self.from, why),
            None => counter.add(),
        }
        outbox.push(reply::negentropy_error(id, &refused.text));
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
            let refused = Refused::quiet("closed: the session was silent for too long");
            return self.say(front, outbox, &id, &refused);
        };
        let answer = running.answer.as_mut().await;
        let Some(Running { id, .. }) = self.running.take() else { return };
        let refused = match answer {
            Ok(Answer::Said(held, message)) => {
                outbox.push(reply::negentropy(&id, &message));
                self.open.insert(id, Sync { held, heard: Instant::now() });
                return;
            }
            Ok(Answer::Refused(refused)) => refused,
            Err(error) => {
                if front.counters.requests_failed.add_and_tell() {
                    tracing::warn!(%error, "the store did not answer a request");
                }
                Refused::quiet(format!("error: the store did not answer ({})", error.code()))
            }
        };
        self.end(&id);
        self.say(front, outbox, &id, &refused);
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
                    return self.say(front, outbox, &id, &Refused::told(NO_SESSION));
                };
                let held = sync.held.clone();
                Box::pin(apart(turns, move || Ok(answer(held, &message, frame))))
            }
        };
        self.running = Some(Running { id, opens, answer });
    }
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
        Gathered::OverMax => Answer::Refused(Refused {
            text: format!(
                "blocked: the filter matches more than {max} events; ask for less time at once"
            ),
            why: Some("blocked: the filter of a negentropy session matches too many events"),
        }),
        Gathered::NoRoom => Answer::Refused(Refused {
            text: format!(
                "blocked: this relay compares at most {} events at once; try again later",
                budget.max()
            ),
            why: Some("blocked: all negentropy sessions together hold too many events"),
        }),
    })
}

/// What of the store is offered to a client that asks for `filter`: the filters whose union it is. Who may see what
/// is decided here and nowhere else, before anything is read.
fn offered(
    front: &Front,
    identity: &Identity,
    filter: &Filter,
) -> std::result::Result<Vec<Filter>, Refused> {
    let (config, keys) = (&front.config, identity.keys());
    if let Some(text) = identity.refusal(config) {
        return Err(Refused::quiet(text));
    }
    if keys.is_empty() && asks_private_only(filter, &config.private_kinds) {
        return Err(Refused::quiet("auth-required: these kinds are shown to their parties only"));
    }
    Ok(narrowed(filter, &config.private_kinds, &keys))
}

fn answer(held: Arc<Held>, message: &[u8], frame: usize) -> Answer {
    match respond(&held.items, message, frame) {
        Ok(said) => Answer::Said(held, said),
        Err(malformed) => Answer::Refused(Refused {
            text: format!("invalid: {malformed}"),
            why: Some("invalid: what is to be compared is no negentropy message"),
        }),
    }
}

/// The filter of a NEG-OPEN, its limit as it is.
fn filter_of(limits: &Limits, json: &[u8]) -> std::result::Result<Filter, Refused> {
    let filter = request::filter(limits, json)
        .map_err(|refused| Refused { text: refused.to_string(), why: Some(refused.why()) })?;
    if filter.search.is_some() {
        let why = "unsupported: what a search finds is ranked, and no set to be compared";
        return Err(Refused::told(why));
    }
    Ok(filter)
}

/// The bytes of a JSON string of hex.
fn bytes(element: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
    let hex = element.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let bytes = hex.and_then(|hex| const_hex::decode(hex).ok());
    bytes.ok_or_else(|| Refused::told("invalid: a negentropy message is a string of hex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_plain_hex() {
        assert_eq!(bytes(b"\"61Ff\"").ok(), Some(vec![0x61, 0xff]));
        assert_eq!(bytes(b"\"\"").ok(), Some(vec![]));
        for text in ["61", "\"6\"", "\"0x61\"", "\"\\u0036\"", "null", "\"zz\"", "\""] {
            assert!(bytes(text.as_bytes()).is_err(), "{text}");
        }
    }
}
