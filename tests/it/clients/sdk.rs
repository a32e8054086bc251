//! nostr-sdk, the library that most Rust clients and bots are built on.

use super::{DEADLINE, Relay};
use nostr_sdk::prelude::Relay as Connection;
use nostr_sdk::prelude::{
    Alphabet, Client, ClientMessage, Event, EventBuilder, EventId, Filter, Keys, Kind, Metadata,
    RelayMessage, RelayNotification, RelayOptions, ReqExitPolicy, SingleLetterTag,
    SubscribeOptions, SubscriptionId, Tag, Timestamp,
};
use std::collections::BTreeSet;
use tokio::sync::broadcast::Receiver;

const START: u64 = 1_700_000_000;

/// A client of its own, with its own memory, that gives up on a relay that sends what was not asked for.
async fn connect(url: &str) -> (Client, Connection) {
    let client = Client::default();
    let options = RelayOptions::new().reconnect(false).verify_subscriptions(true);
    client.pool().add_relay(url, options.ban_relay_on_mismatch(true)).await.unwrap();
    let relay = client.relay(url).await.unwrap();
    relay.try_connect(DEADLINE).await.unwrap();
    (client, relay)
}

fn note(keys: &Keys, at: u64, tag: &str, text: &str) -> Event {
    let note = EventBuilder::text_note(text).tag(Tag::hashtag(tag));
    note.custom_created_at(Timestamp::from(START + at)).sign_with_keys(keys).unwrap()
}

async fn fetch(relay: &Connection, filter: Filter) -> Vec<Event> {
    let found = relay.fetch_events(filter, DEADLINE, ReqExitPolicy::ExitOnEOSE).await;
    found.unwrap().into_iter().collect()
}

/// The next message of the relay.
async fn message(inbox: &mut Receiver<RelayNotification>) -> RelayMessage<'static> {
    let next = async {
        loop {
            if let RelayNotification::Message { message } = inbox.recv().await.unwrap() {
                return message;
            }
        }
    };
    tokio::time::timeout(DEADLINE, next).await.expect("a message of the relay")
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<EventId> {
    events.into_iter().map(|event| event.id).collect()
}

/// Publishes and asks; gives the notes that are stored then, newest first.
async fn publish_and_query(relay: &Connection, other: &Connection, keys: &[Keys; 2]) -> Vec<Event> {
    let mut notes = Vec::new();
    for i in 0..60 {
        let tag = if i % 2 == 0 { "even" } else { "odd" };
        let text = format!("Ünïcode 🦩 \u{1} \" \\ {i}");
        let note = note(&keys[i as usize % 2], i / 2, tag, &text);
        assert_eq!(relay.send_event(&note).await.unwrap(), note.id);
        notes.push(note);
    }
    notes.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));

    let all = fetch(other, Filter::new().kind(Kind::TextNote)).await;
    assert_eq!(all, notes);
    assert!(all.iter().all(|event| event.verify().is_ok()));
    let of_one = |event: &&Event| event.pubkey == keys[0].public_key();
    let (since, until) = (Timestamp::from(START + 5), Timestamp::from(START + 10));
    let filter = Filter::new().author(keys[0].public_key()).hashtag("even");
    let wanted = notes.iter().filter(of_one);
    assert_eq!(ids(&fetch(other, filter.clone()).await), ids(wanted));
    let between = |event: &&Event| event.created_at >= since && event.created_at <= until;
    let wanted = ids(notes.iter().filter(of_one).filter(between));
    let found = fetch(other, filter.clone().since(since).until(until)).await;
    assert!(ids(&found) == wanted && wanted.len() == 6, "{found:?}");
    assert_eq!(ids(&fetch(other, Filter::new().limit(7)).await), ids(&notes[..7]));
    assert_eq!(ids(&fetch(other, Filter::new().ids([notes[3].id])).await), ids([&notes[3]]));
    assert_eq!(fetch(other, Filter::new().hashtag("neither")).await, []);
    assert_eq!(other.count_events(filter, DEADLINE).await.unwrap(), 30);
    assert_eq!(other.count_events(Filter::new(), DEADLINE).await.unwrap(), 60);
    notes
}

/// The newest profile stands, and an article for each `d`.
async fn replace(relay: &Connection, keys: &Keys) {
    let profile = |at, name| {
        let profile = EventBuilder::metadata(&Metadata::new().name(name));
        profile.custom_created_at(Timestamp::from(START + at)).sign_with_keys(keys).unwrap()
    };
    let article = |at, d| {
        let article = EventBuilder::long_form_text_note("text").tag(Tag::identifier(d));
        article.custom_created_at(Timestamp::from(START + at)).sign_with_keys(keys).unwrap()
    };
    let profiles = [profile(10, "second"), profile(20, "third"), profile(5, "first")];
    let articles = [article(1, "a"), article(2, "b"), article(3, "a")];
    for event in profiles.iter().chain(&articles) {
        relay.send_event(event).await.unwrap();
    }
    let filter = Filter::new().author(keys.public_key());
    let found = fetch(relay, filter.clone().kind(Kind::Metadata)).await;
    assert_eq!(ids(&found), ids([&profiles[1]]));
    let found = fetch(relay, filter.clone().kind(Kind::LongFormTextNote)).await;
    assert_eq!(ids(&found), ids(&articles[1..]));
    let found = fetch(relay, filter.kind(Kind::LongFormTextNote).identifier("a")).await;
    assert_eq!(ids(&found), ids([&articles[2]]));
}

/// What the library would not make is refused, and what is known is called so.
async fn refuse(relay: &Connection, keys: &[Keys; 2], stored: &Event) {
    let good = note(&keys[0], 100, "bad", "good");
    let with = |id, content: &str, sig| {
        let tags = good.tags.clone();
        Event::new(id, good.pubkey, good.created_at, good.kind, tags, content, sig)
    };
    let bad = [
        ("a signature of another", with(good.id, "good", stored.sig), "bad signature"),
        (
            "the id of another",
            with(EventId::all_zeros(), "good", good.sig),
            "the id is not the hash",
        ),
        ("another content", with(good.id, "bad", good.sig), "the id is not the hash"),
    ];
    for (what, event, why) in bad {
        let error = relay.send_event(&event).await.unwrap_err().to_string();
        assert!(error.contains("invalid: ") && error.contains(why), "{what}: {error}");
    }
    let tag = SingleLetterTag::lowercase(Alphabet::T);
    let filter = Filter::new().custom_tag(tag, "bad");
    assert_eq!(relay.count_events(filter, DEADLINE).await.unwrap(), 0);

    let mut inbox = relay.notifications();
    relay.send_msg(ClientMessage::event(stored.clone())).unwrap();
    loop {
        if let RelayMessage::Ok { event_id, status, message } = message(&mut inbox).await {
            assert!(event_id == stored.id && status, "{message}");
            assert!(message.starts_with("duplicate: "), "{message}");
            break;
        }
    }
}

/// Live events come behind EOSE, each once; nothing comes after the subscription was ended.
async fn live(relay: &Connection, other: &Connection, keys: &Keys) {
    let mut inbox = other.notifications();
    let subscribe = async |name: &str, filter: Filter| {
        let id = SubscriptionId::new(name);
        other.subscribe_with_id(id.clone(), filter, SubscribeOptions::default()).await.unwrap();
        id
    };
    let ended = subscribe("ended", Filter::new().hashtag("live")).await;
    let open = subscribe("open", Filter::new().hashtag("live").kind(Kind::TextNote)).await;
    let mut eose = BTreeSet::new();
    while eose.len() < 2 {
        match message(&mut inbox).await {
            RelayMessage::EndOfStoredEvents(id) => assert!(eose.insert(id.into_owned())),
            RelayMessage::Event { event, .. } => panic!("nothing of the kind is stored: {event:?}"),
            _ => {}
        }
    }
    let notes: Vec<_> = (0..20).map(|i| note(keys, 200 + i, "live", &i.to_string())).collect();
    let arrived = async |inbox: &mut Receiver<RelayNotification>, count: usize| {
        let mut arrived = Vec::new();
        while arrived.len() < count {
            if let RelayMessage::Event { subscription_id, event } = message(inbox).await {
                arrived.push((subscription_id.into_owned(), event.id));
            }
        }
        arrived.sort();
        arrived
    };
    let both = |id: &EventId| [(ended.clone(), *id), (open.clone(), *id)];
    for event in &notes[..10] {
        relay.send_event(event).await.unwrap();
    }
    let mut wanted: Vec<_> = notes[..10].iter().flat_map(|event| both(&event.id)).collect();
    wanted.sort();
    assert_eq!(arrived(&mut inbox, 20).await, wanted);

    other.unsubscribe(&ended).await.unwrap();
    // Messages are taken in turn: once this is answered, the end of the subscription was taken.
    assert_eq!(other.count_events(Filter::new().hashtag("live"), DEADLINE).await.unwrap(), 10);
    for event in &notes[10..] {
        relay.send_event(event).await.unwrap();
    }
    let mut wanted: Vec<_> = notes[10..].iter().map(|event| (open.clone(), event.id)).collect();
    wanted.sort();
    assert_eq!(arrived(&mut inbox, 10).await, wanted);
}

#[test]
fn nostr_sdk_finds_what_it_expects() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // A connection ends with its client.
        let (_client, one) = connect(&relay.url).await;
        let (_other_client, other) = connect(&relay.url).await;
        let keys = [Keys::generate(), Keys::generate()];
        let notes = publish_and_query(&one, &other, &keys).await;
        replace(&one, &keys[0]).await;
        refuse(&one, &keys, &notes[0]).await;
        live(&one, &other, &keys[0]).await;
        assert!(one.is_connected() && other.is_connected());
    });
    relay.stop();
}
