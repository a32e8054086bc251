//! EVENT: an event's way from a client's JSON to the store, the cheap checks before the dear ones.
//!
//! ```text
//!   size -> parse -> who may publish it -> created_at -> id (a hash) -> signature (some 50 us) -> store | broadcast
//! ```

use super::auth::{AUTH_KIND, Identity};
use super::config::AuthMode;
use super::front::Front;
use super::reply;
use super::split::member;
use crate::base::Result;
use crate::nostr::{Class, Event, EventRef, EventStore, Inserted, class, id, verify};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Kinds whose content may be an event (NIP-18).
const REPOSTS: [u16; 2] = [6, 16];

/// What is to be done about an EVENT message.
pub(super) enum Publish {
    /// The answer is known.
    Answer(Message),
    /// The store has to answer.
    Store(Event),
}

/// Checks the event in a client's message; delivers it if it is ephemeral.
pub(super) fn receive(front: &Front, identity: &Identity, json: &[u8]) -> Publish {
    let (limits, counters) = (front.limits(), &front.counters);
    let event = match Event::from_json(json, &limits.event) {
        Ok(event) => event,
        Err(error) => {
            counters.events_malformed.add();
            let text = format!("invalid: {error}");
            return Publish::Answer(match claimed_id(json) {
                Some(id) => reply::ok(&id, false, &text),
                None => reply::notice(&text),
            });
        }
    };
    let refuse = |text: &str| Publish::Answer(reply::ok(event.id(), false, text));
    let refusal = identity.refusal(&front.config);
    if let Some(text) = refusal.or_else(|| authorship(front, identity, &event.as_ref())) {
        counters.events_unauthenticated.add();
        return refuse(text);
    }
    let now = front.now();
    if event.created_at() > now.saturating_add(limits.future_seconds) {
        counters.events_untimely.add();
        return refuse("invalid: created_at is too far in the future");
    }
    if limits.past_seconds.is_some_and(|past| event.created_at() < now.saturating_sub(past)) {
        counters.events_untimely.add();
        return refuse("invalid: created_at is too far in the past");
    }
    if !id::check(&event.as_ref()) {
        counters.events_bad_id.add();
        return refuse("invalid: the id is not the hash of the event");
    }
    if !verify::signature(&event.as_ref()) {
        counters.events_bad_signature.add();
        return refuse("invalid: bad signature");
    }
    if class(event.kind()) == Class::Ephemeral {
        // What would not be stored if it were of another kind is not delivered either.
        match front.store.refusal(&event.as_ref()) {
            Ok(None) => {}
            refused => {
                let refused = refused.map(|inserted| inserted.unwrap_or(Inserted::Ephemeral));
                return Publish::Answer(answer(front, event.id(), refused));
            }
        }
        counters.events_ephemeral.add();
        let answer = reply::ok(event.id(), true, "");
        front.broadcast(event);
        return Publish::Answer(answer);
    }
    Publish::Store(event)
}

/// Why the event may not be published by this client, if it may not: protected events (NIP-70) come from
/// their author alone, and are not passed on inside a repost.
fn authorship(front: &Front, identity: &Identity, event: &EventRef<'_>) -> Option<&'static str> {
    if event.kind() == AUTH_KIND {
        return Some("invalid: this kind is for AUTH and is not published");
    }
    if REPOSTS.contains(&event.kind()) {
        let embedded = Event::from_json(event.content_bytes(), &front.limits().event);
        if embedded.is_ok_and(|inner| is_protected(&inner.as_ref())) {
            return Some("blocked: a repost does not embed a protected event");
        }
    }
    if !is_protected(event) || identity.keys().contains(event.pubkey()) {
        return None;
    }
    Some(match (front.config.auth, identity.keys().is_empty()) {
        (AuthMode::Off, _) => "blocked: protected events are not taken here",
        (_, true) => "auth-required: this event is taken from its author only",
        (_, false) => "restricted: this event is taken from its author only",
    })
}

fn is_protected(event: &EventRef<'_>) -> bool {
    event.tags().any(|tag| tag.name().is_some_and(|name| name == "-"))
}

/// Waits for what the store says of an event.
pub(super) async fn store(store: Arc<EventStore>, event: Event) -> ([u8; 32], Result<Inserted>) {
    let inserted = store.insert_async(&event.as_ref()).await;
    (*event.id(), inserted)
}

/// The answer to the client once the store has given its own.
pub(super) fn answer(front: &Front, id: &[u8; 32], inserted: Result<Inserted>) -> Message {
    let counters = &front.counters;
    let (counter, accepted, text) = match inserted {
        Ok(Inserted::Stored | Inserted::Replaced) => (&counters.events_stored, true, ""),
        Ok(Inserted::Duplicate) => {
            (&counters.events_duplicate, true, "duplicate: already have this event")
        }
        Ok(Inserted::Older) => (&counters.events_older, true, "duplicate: have a newer version"),
        Ok(Inserted::Ephemeral) => (&counters.events_ephemeral, true, ""),
        Ok(Inserted::Deleted) => {
            (&counters.events_deleted, false, "blocked: the deletion of this event was asked for")
        }
        Ok(Inserted::Vanished) => (
            &counters.events_deleted,
            false,
            "blocked: its author or recipient asked to vanish from this relay",
        ),
        Ok(Inserted::Expired) => {
            (&counters.events_expired, false, "invalid: this event has expired")
        }
        Ok(Inserted::InvalidDelete) => (
            &counters.events_invalid_deletes,
            false,
            "invalid: only the author of an event can ask for its deletion",
        ),
        Ok(Inserted::Malformed) => {
            (&counters.events_malformed, false, "invalid: the store does not take this event")
        }
        Err(error) => {
            if counters.events_failed.add_and_tell() {
                tracing::warn!(%error, "the store did not take an event");
            }
            // Its text names files, which are nobody's business out there.
            let text = format!("error: the store did not take the event ({})", error.code());
            return reply::ok(id, false, &text);
        }
    };
    counter.add();
    reply::ok(id, accepted, text)
}

/// The id that a malformed event claims, if that much of it can be read.
pub(super) fn claimed_id(json: &[u8]) -> Option<[u8; 32]> {
    let [b'"', hex @ .., b'"'] = member(json, "id")? else { return None };
    let lower = hex.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lower { const_hex::decode_to_array(hex).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_event_may_still_say_its_id() {
        let hex = "0a".repeat(32);
        let claimed = |json: String| claimed_id(json.as_bytes());
        assert_eq!(claimed(format!("{{\"kind\":1e3,\"id\":\"{hex}\"}}")), Some([10; 32]));
        assert_eq!(claimed(format!("{{\"id\":\"{}\"}}", hex.to_uppercase())), None);
        assert_eq!(claimed(format!("{{\"id\":\"{}\"}}", &hex[1..])), None);
        assert_eq!(claimed("{\"id\":\"\"}".into()), None);
        assert_eq!(claimed("{\"id\":\"0x\"}".into()), None);
        assert_eq!(claimed("7".into()), None);
    }
}
