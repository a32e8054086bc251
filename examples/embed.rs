//! A store in a program: JSON in, a batch, queries, counts, what comes in live, and every change.
//!
//! `cargo run --example embed` uses a directory that it throws away.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{
    Change, Event, EventStore, Filter, Inserted, JsonLimits, Signer, TagValue, Update, id, verify,
    write_event,
};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    // Small, so that the example is quick; `Options::default()` suits a server.
    let mut options = Options::default();
    options.sync = SyncMode::Always;
    options.shards = Some(2);
    options.memory_bytes = 64 << 20;
    options.log_file_bytes = 8 << 20;
    let store = EventStore::open(dir.path(), &options)?;

    publish(&store)?;
    import(&store)?;
    ask(&store)?;
    follow(&store)?;

    // Dropping the store closes it too, but can only log a failure.
    store.close()?;
    Ok(())
}

/// One event: made, signed, sent as JSON, checked, stored.
fn publish(store: &EventStore) -> Result<(), Box<dyn Error>> {
    let signer = Signer::new([7; 32]).ok_or("not a secret key")?;
    let note = Event::from_parts(*signer.pubkey(), 1_700_000_000, 1, &[["t", "nostr"]], "hello");
    let mut json = Vec::new();
    write_event(&note.sign(&signer).as_ref(), &mut json);

    let event = Event::from_json(&json, &JsonLimits::default())?;
    // The store takes what it is given: these two checks are the caller's.
    assert!(id::check(&event.as_ref()) && verify::signature(&event.as_ref()));
    assert_eq!(store.insert(&event.as_ref())?.wait()?, Inserted::Stored);
    assert_eq!(store.insert(&event.as_ref())?.wait()?, Inserted::Duplicate);
    Ok(())
}

/// Many events: handed over first and waited for afterwards, so that they share their syncs.
fn import(store: &EventStore) -> Result<(), Box<dyn Error>> {
    let config = Config { events: 1000, ..Config::default() };
    let mut generator = Generator::new(1, &config);
    let events: Vec<Event> = (0..1000).map(|_| generator.next_unsigned().sign()).collect();
    let views: Vec<_> = events.iter().map(Event::as_ref).collect();
    let mut stored = 0;
    for answer in store.insert_batch(&views) {
        stored += usize::from(matches!(answer?, Inserted::Stored | Inserted::Replaced));
    }
    println!("{stored} of 1000 events stored");
    Ok(())
}

/// A query, a count, and a plan.
fn ask(store: &EventStore) -> Result<(), Box<dyn Error>> {
    let notes = Filter { kinds: Some(vec![1]), limit: Some(3), ..Filter::default() };
    let tagged = Filter { tags: vec![(b't', vec![TagValue::new("nostr")])], ..Filter::default() };
    let mut events = store.query(&[notes.clone(), tagged.clone()])?;
    while let Some(event) = events.next()? {
        println!("{} kind {}: {} bytes", event.created_at(), event.kind(), event.content().len());
    }
    let notes = [notes];
    println!("{} notes, {} tagged nostr", store.count(&notes)?, store.count(&[tagged])?);
    print!("{}", store.explain(&notes)?);
    Ok(())
}

/// What is stored, then what comes in, exactly once; and every change since a position.
fn follow(store: &EventStore) -> Result<(), Box<dyn Error>> {
    let position = store.position();
    let newest = Filter { limit: Some(2), ..Filter::default() };
    // Both are streams of any executor too.
    let mut updates = store.subscribe(&[newest]).blocking();
    let event = Event::from_parts([9; 32], 1_800_000_000, 1, &[["t", "live"]], "new");
    store.insert(&event.as_ref())?.wait()?;
    for update in updates.by_ref() {
        match update? {
            Update::Stored(event) => println!("stored: {}", event.created_at()),
            Update::Eose => println!("what follows is new"),
            Update::Live(live) => {
                assert_eq!(*live, event);
                break;
            }
        }
    }
    let mut changes = store.changes(&position)?.blocking();
    let change = changes.next().ok_or("the feed has ended")??;
    assert_eq!(change, Change::Stored { event, removed: Vec::new() });
    Ok(())
}
