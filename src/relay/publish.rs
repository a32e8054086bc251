//! EVENT: an event's way from a client's JSON to the store, the cheap checks before the dear ones.
//!
//! ```text
//!   rate -> size -> parse -> who may publish it -> lists, work -> created_at -> id (a hash)
//!        -> signature (some 50 us) -> plugin -> store | broadcast
//! ```

use super::auth::{AUTH_KIND, Identity};
use super::client::Client;
use super::config::AuthMode;
use super::front::Front;
use super::plugin::{Question, Verdict};
use super::policy::{Refusal, Spent, Unwanted};
use super::reply;
use super::split::member;
use super::stats::WriteUnderWay;
use crate::base::{Result, planted};
use crate::nostr::{Class, Event, EventRef, Inserted, class, id, verify};
use std::net::IpAddr;
use std::rc::Rc;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Kinds whose content may be an event (NIP-18).
const REPOSTS: [u16; 2] = [6, 16];

/// Whom an event comes from.
pub(super) struct Sender {
    pub(super) address: IpAddr,
    /// The first key that the client has proved to be its own.
    pub(super) key: Option<[u8; 32]>,
    /// Whether it may know that the event was there before.
    pub(super) is_party: bool,
}

/// What is to be done about an EVENT message.
pub(super) enum Publish {
    /// The answer is known.
    Answer(Message),
    /// The plugin or the store has to answer.
    Store(Event),
}

/// Checks the event in a client's message; delivers it if it is ephemeral.
pub(super) fn receive(front: &Front, client: &Client, identity: &Identity, json: &[u8]) -> Publish {
    let (limits, counters) = (front.limits(), &front.counters);
    if let Err(Refusal(text)) = client.may(front, Spent::Event, json.len()) {
        return Publish::Answer(unread(json, text));
    }
    let event = match Event::from_json(json, &limits.event) {
        Ok(event) => event,
        Err(error) => {
            let why = "invalid: what is published is no event, or too large a one";
            front.send_away(&counters.events_malformed, client.address, why);
            return Publish::Answer(unread(json, &format!("invalid: {error}")));
        }
    };
    let refuse = |text: &str| Publish::Answer(reply::ok(event.id(), false, text));
    let wrong = |counter, text: &'static str| {
        front.send_away(counter, client.address, text);
        refuse(text)
    };
    let refusal = identity.refusal(&front.config);
    if let Some(text) = refusal.or_else(|| authorship(front, identity, &event.as_ref())) {
        counters.events_unauthenticated.add();
        return refuse(text);
    }
    if let Some(text) = unwanted(front, client.address, &event.as_ref()) {
        return refuse(&text);
    }
    let now = front.now();
    if event.created_at() > now.saturating_add(limits.future_seconds) {
        let text = "invalid: created_at is too far in the future";
        return wrong(&counters.events_untimely, text);
    }
    if limits.past_seconds.is_some_and(|past| event.created_at() < now.saturating_sub(past)) {
        return wrong(&counters.events_untimely, "invalid: created_at is too far in the past");
    }
    if !id::check(&event.as_ref()) {
        return wrong(&counters.events_bad_id, "invalid: the id is not the hash of the event");
    }
    if !verify::signature(&event.as_ref()) {
        return wrong(&counters.events_bad_signature, "invalid: bad signature");
    }
    match front.plugin.is_none() && class(event.kind()) == Class::Ephemeral {
        true => Publish::Answer(broadcast(front, event)),
        false => Publish::Store(event),
    }
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

/// Why lists or work keep an event out, as the client is told. So is the log.
fn unwanted(front: &Front, from: IpAddr, event: &EventRef<'_>) -> Option<String> {
    let (why, text) = match front.policy.admit(event).err()? {
        Unwanted::Listed(Refusal(text)) => (text, text.into()),
        Unwanted::Work(asked, done) => (
            "pow: too little work",
            format!(
                "pow: an id here begins with {asked} zero bits, and this one counts for {done}"
            ),
        ),
    };
    front.send_away(&front.counters.events_unwanted, from, why);
    Some(text)
}

/// Delivers an ephemeral event. What would not be stored if it were of another kind is not delivered either.
fn broadcast(front: &Front, event: Event) -> Message {
    match front.store.refusal(&event.as_ref()) {
        Ok(None) => {}
        refused => {
            let refused = refused.map(|inserted| inserted.unwrap_or(Inserted::Ephemeral));
            return answer(front, event.id(), refused, true);
        }
    }
    front.counters.events_ephemeral.add();
    let answer = reply::ok(event.id(), true, "");
    front.broadcast(event);
    answer
}

/// Waits for what the plugin and the store say of an event, and gives the answer to the client.
pub(super) async fn store(front: Rc<Front>, event: Event, sender: Sender) -> Message {
    if let Some(answer) = ask(&front, &event, &sender).await {
        return answer;
    }
    if class(event.kind()) == Class::Ephemeral {
        return broadcast(&front, event);
    }
    let (began, _under_way) = (front.nanos(), WriteUnderWay::begin(&front.counters));
    let inserted = front.store.insert_async(&event.as_ref()).await;
    front.counters.latencies.insert.record(front.nanos().saturating_sub(began));
    answer(&front, event.id(), inserted, sender.is_party)
}

/// Asks the plugin, if there is one; the answer to the client if the event is not to be stored.
async fn ask(front: &Front, event: &Event, sender: &Sender) -> Option<Message> {
    let plugin = front.plugin.as_ref()?;
    let question = Question {
        event: event.as_ref(),
        received_at: front.now(),
        from: sender.address,
        authed: sender.key,
    };
    let counters = &front.counters;
    let (counter, refused) = match plugin.ask(&question).await {
        Verdict::Accept => (&counters.plugin_accepted, None),
        Verdict::Reject(text) => (&counters.plugin_rejected, Some((false, text))),
        Verdict::ShadowReject => (&counters.plugin_shadowed, Some((true, String::new()))),
        Verdict::Failed if plugin.accepts_on_failure => (&counters.plugin_unanswered, None),
        Verdict::Failed => {
            let text = "error: this relay's policy gave no answer; try again later";
            (&counters.plugin_unanswered, Some((false, text.into())))
        }
    };
    counter.add();
    if let Some((accepted, text)) = refused {
        return Some(reply::ok(event.id(), accepted, &text));
    }
    // It may have been banned while the plugin thought about it.
    unwanted(front, sender.address, &event.as_ref()).map(|text| reply::ok(event.id(), false, &text))
}

/// The answer to the client once the store has given its own. That a private event was there, or a newer version of it,
/// is told to its parties only: who is none, and has it from elsewhere, would learn that this relay has it.
fn answer(front: &Front, id: &[u8; 32], inserted: Result<Inserted>, is_party: bool) -> Message {
    let counters = &front.counters;
    let is_party = is_party || planted!(DuplicateToldToStrangers);
    let (counter, accepted, text) = match inserted {
        Ok(Inserted::Stored | Inserted::Replaced) => (&counters.events_stored, true, ""),
        Ok(Inserted::Duplicate) if !is_party => (&counters.events_duplicate, true, ""),
        Ok(Inserted::Older) if !is_party => (&counters.events_older, true, ""),
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
        // The shard has said so, once.
        Err(error) if error.is_disk_full() => {
            counters.events_failed.add();
            let text = "error: the disk is full, so the event is not stored; try again later";
            return reply::ok(id, false, text);
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

/// The answer about an event that was not read.
pub(super) fn unread(json: &[u8], text: &str) -> Message {
    match claimed_id(json) {
        Some(id) => reply::ok(&id, false, text),
        None => reply::notice(text),
    }
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
