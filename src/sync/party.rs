//! One of the two sides of a sync: a store that is open here, or a relay at a URL.
//!
//! ```text
//!   begin, go_on, end    negentropy: a message in, the answer out
//!   fetch, put           events by their ids, and events to be stored
//! ```

use super::socket::{Heard, Socket};
use super::{Failed, Patience, Tally};
use crate::base::Error;
use crate::nostr::negentropy::{Items, respond};
use crate::nostr::{Event, EventStore, Filter, Gathered, Inserted, JsonLimits};
use crate::nostr::{id, parse_event, verify, write_filter};
use futures_util::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of an own negentropy message: in hex it fits the 128 KiB that relays commonly take.
const FRAME_BYTES: usize = 60_000;

/// Items of a store at most, in one session: some 400 MB.
const ITEMS_MAX: usize = 10_000_000;

/// Events that are on their way at once.
pub(super) const BATCH: usize = 200;

/// Bytes of the events that a relay sends for a batch.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Events that are sent to a relay before its answers are read: their answers fit any socket's buffer.
const WINDOW: usize = 64;

/// The id of negentropy sessions; there is one at a time.
const SESSION: &str = "ratite";

/// One side.
pub struct Party(Kind);

enum Kind {
    Store { store: Arc<EventStore>, items: Items },
    Relay { socket: Box<Socket>, requests: u64 },
}

/// Why a session does not begin.
pub(super) enum Refusal {
    /// There is too much to compare at once.
    TooMuch(Failed),
    /// Anything else.
    Failed(Failed),
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Refusal {
        Refusal::Failed(failed)
    }
}

impl Party {
    /// The store as a side.
    pub fn store(store: Arc<EventStore>) -> Party {
        Party(Kind::Store { store, items: Items::default() })
    }

    /// The relay at `url` as a side.
    ///
    /// # Errors
    /// [`Failed::Connect`].
    pub async fn connect(url: &str, patience: Patience) -> Result<Party, Failed> {
        let socket = Box::new(Socket::connect(url, patience).await?);
        Ok(Party(Kind::Relay { socket, requests: 0 }))
    }

    /// Says goodbye, if there is somebody.
    pub async fn close(&mut self) {
        if let Kind::Relay { socket, .. } = &mut self.0 {
            socket.close().await;
        }
    }

    /// Begins a session about `filter` and answers its first message.
    pub(super) async fn begin(
        &mut self,
        filter: &Filter,
        message: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        match &mut self.0 {
            Kind::Store { store, items } => {
                let filter = std::slice::from_ref(filter);
                match store.items_at(&store.snapshot(), filter, ITEMS_MAX, || true) {
                    Ok(Gathered::All(all)) => *items = all,
                    Ok(Gathered::OverMax | Gathered::NoRoom) => {
                        let full = Error::Full { what: "a sync", limit: ITEMS_MAX as u64 };
                        return Err(Refusal::TooMuch(full.into()));
                    }
                    Err(error) => return Err(Refusal::Failed(error.into())),
                }
                Ok(own_answer(items, message)?)
            }
            Kind::Relay { socket, .. } => {
                let mut json = Vec::new();
                write_filter(filter, &mut json);
                let (json, hex) = (String::from_utf8_lossy(&json), const_hex::encode(message));
                socket.send(format!("[\"NEG-OPEN\",\"{SESSION}\",{json},\"{hex}\"]")).await?;
                negentropy_answer(socket).await
            }
        }
    }

    /// Answers the next message of the session.
    pub(super) async fn go_on(&mut self, message: &[u8]) -> Result<Vec<u8>, Failed> {
        match &mut self.0 {
            Kind::Store { items, .. } => own_answer(items, message),
            Kind::Relay { socket, .. } => {
                let hex = const_hex::encode(message);
                socket.send(format!("[\"NEG-MSG\",\"{SESSION}\",\"{hex}\"]")).await?;
                let answer = negentropy_answer(socket).await;
                answer.map_err(|(Refusal::TooMuch(failed) | Refusal::Failed(failed))| failed)
            }
        }
    }

    /// Ends the session.
    pub(super) async fn end(&mut self) -> Result<(), Failed> {
        match &mut self.0 {
            Kind::Store { items, .. } => *items = Items::default(),
            Kind::Relay { socket, .. } => {
                socket.send(format!("[\"NEG-CLOSE\",\"{SESSION}\"]")).await?;
            }
        }
        Ok(())
    }

    /// The events with these ids, up to [`BATCH`], as far as there are any; checked, if they are a relay's.
    pub(super) async fn fetch(&mut self, ids: &[[u8; 32]]) -> Result<Vec<Event>, Failed> {
        match &mut self.0 {
            Kind::Store { store, .. } => {
                let got = ids.iter().map(|id| store.get(id));
                Ok(got.filter_map(Result::transpose).collect::<Result<_, Error>>()?)
            }
            Kind::Relay { socket, requests } => {
                *requests += 1;
                request(socket, &format!("ratite-{requests}"), ids).await
            }
        }
    }

    /// Stores events that were checked, a batch at most.
    pub(super) async fn put(&mut self, events: &[Event], tally: &mut Tally) -> Result<(), Failed> {
        match &mut self.0 {
            Kind::Store { store, .. } => insert(store, events, tally).await,
            Kind::Relay { socket, .. } => publish(socket, events, tally).await,
        }
    }
}

fn own_answer(items: &Items, message: &[u8]) -> Result<Vec<u8>, Failed> {
    respond(items, message, FRAME_BYTES).map_err(|malformed| Failed::Protocol {
        url: "the other side".into(),
        why: malformed.to_string(),
    })
}

async fn negentropy_answer(socket: &mut Socket) -> Result<Vec<u8>, Refusal> {
    loop {
        match socket.answer().await? {
            Heard::Negentropy(id, message) if id == SESSION => return Ok(message),
            Heard::NegentropyError(id, why) if id == SESSION => {
                let failed = socket.refused(&why);
                let too_much = why.starts_with("blocked") || why.contains("too many");
                return Err(if too_much { Refusal::TooMuch(failed) } else { failed.into() });
            }
            // A relay that does not know the verb can say it in no other way.
            Heard::Notice(why) => return Err(socket.refused(why).into()),
            _ => {}
        }
    }
}

/// Asks a relay for events by ids, and checks what it sends.
async fn request(socket: &mut Socket, sub: &str, ids: &[[u8; 32]]) -> Result<Vec<Event>, Failed> {
    let list: Vec<String> = ids.iter().map(|id| format!("\"{}\"", const_hex::encode(id))).collect();
    let limit = ids.len();
    let filter = format!("{{\"ids\":[{}],\"limit\":{limit}}}", list.join(","));
    socket.send(format!("[\"REQ\",\"{sub}\",{filter}]")).await?;
    let mut wanted: HashSet<[u8; 32]> = ids.iter().copied().collect();
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        match socket.answer().await? {
            Heard::Event(of, json) if of == sub => {
                bytes += json.len();
                if bytes > BATCH_BYTES_MAX {
                    return Err(socket.broken("it sends more than was asked for"));
                }
                // What was not asked for, or is not what its id says, is as good as nothing.
                let event = checked(&json).filter(|event| wanted.remove(event.id()));
                events.extend(event);
            }
            Heard::Eose(of) if of == sub => break,
            Heard::Closed(of, why) if of == sub => return Err(socket.refused(why)),
            _ => {}
        }
    }
    socket.send(format!("[\"CLOSE\",\"{sub}\"]")).await?;
    Ok(events)
}

/// The event that `json` is, if its id and its signature are right (I2 of the module).
pub(super) fn checked(json: &[u8]) -> Option<Event> {
    let mut body = Vec::new();
    let key = parse_event(json, &JsonLimits::WIDEST, &mut body).ok()?;
    let event = Event::new(key, body).ok()?;
    let right = id::check(&event.as_ref()) && verify::signature(&event.as_ref());
    right.then_some(event)
}

pub(super) async fn insert(
    store: &EventStore,
    events: &[Event],
    tally: &mut Tally,
) -> Result<(), Failed> {
    let inserts = events.iter().map(async |event| store.insert_async(&event.as_ref()).await);
    for inserted in join_all(inserts).await {
        match inserted {
            Ok(Inserted::Stored | Inserted::Replaced) => tally.stored += 1,
            Ok(Inserted::Duplicate) => tally.duplicate += 1,
            // Larger than the store takes, or against a rule: this event's own fault.
            Ok(_) | Err(Error::Invalid { .. } | Error::Full { .. }) => tally.refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn publish(socket: &mut Socket, events: &[Event], tally: &mut Tally) -> Result<(), Failed> {
    for window in events.chunks(WINDOW) {
        for event in window {
            socket.send(event_message(event)).await?;
        }
        let mut answered = 0;
        while answered < window.len() {
            if let Heard::Ok { accepted, text } = socket.answer().await? {
                tally.answered(accepted, &text);
                answered += 1;
            }
        }
    }
    Ok(())
}

pub(super) fn event_message(event: &Event) -> String {
    format!("[\"EVENT\",{}]", String::from_utf8_lossy(&event.to_json()))
}

impl Tally {
    /// Counts an OK.
    pub(super) fn answered(&mut self, accepted: bool, text: &str) {
        match accepted {
            true if text.starts_with("duplicate:") => self.duplicate += 1,
            true => self.stored += 1,
            false => self.refused += 1,
        }
    }
}
