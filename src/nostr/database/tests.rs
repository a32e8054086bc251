//! The trait's methods, and against rust-nostr's own database in memory by random events and filters.

use super::*;
use crate::io::Rng;
use crate::shard::block_on;
use crate::store::Options;
use nostr_database::IntoNostrDatabase;
use nostr_memory::MemoryDatabase;
use nostr_types::filter::SingleLetterTag;
use std::sync::Arc;

type Database = Arc<dyn NostrDatabase>;

fn theirs(event: &Event) -> TheirEvent {
    TheirEvent::try_from(event).unwrap()
}

fn event(author: u8, at: u64, kind: u16, tags: &[[&str; 2]]) -> Event {
    Event::from_parts([author; 32], at, kind, tags, "content")
}

fn save(database: &Database, event: &Event) -> SaveEventStatus {
    block_on(database.save_event(&theirs(event))).unwrap()
}

/// The one line that an application changes.
fn open() -> Database {
    EventStore::in_memory().unwrap().into_nostr_database()
}

#[test]
fn what_becomes_of_an_event_is_said_in_the_words_of_the_trait() {
    let database = open();
    let rejected = SaveEventStatus::Rejected;
    let note = event(1, 10, 1, &[["t", "x"]]);
    assert_eq!(save(&database, &note), SaveEventStatus::Success);
    assert_eq!(save(&database, &note), rejected(RejectedReason::Duplicate));
    assert_eq!(save(&database, &event(1, 10, 0, &[])), SaveEventStatus::Success);
    assert_eq!(save(&database, &event(1, 11, 0, &[])), SaveEventStatus::Success);
    assert_eq!(save(&database, &event(1, 9, 0, &[])), rejected(RejectedReason::Replaced));
    assert_eq!(save(&database, &event(1, 9, 20000, &[])), rejected(RejectedReason::Ephemeral));
    assert!(!database.features().persistent && database.backend() == "ratite");
    assert!(format!("{database:?}").contains("EventStore"));
}

#[test]
fn events_are_found_counted_deleted_and_wiped() {
    let database = open();
    let events: Vec<Event> =
        (0..50).map(|n| event(n % 3, u64::from(n), 1, &[["t", "x"]])).collect();
    for event in &events {
        assert_eq!(save(&database, event), SaveEventStatus::Success);
    }
    let id = EventId::from_byte_array(*events[7].id());
    assert_eq!(block_on(database.event_by_id(&id)).unwrap(), Some(theirs(&events[7])));
    assert_eq!(block_on(database.check_id(&id)).unwrap(), DatabaseEventStatus::Saved);
    let author = TheirFilter::new().author(nostr_types::key::PublicKey::from_byte_array([1; 32]));
    let newest = block_on(database.query(author.clone().limit(2))).unwrap();
    let expected = [theirs(&events[49]), theirs(&events[46])];
    assert_eq!(newest.into_iter().collect::<Vec<_>>(), expected);
    let items = block_on(database.negentropy_items(author.clone().limit(2))).unwrap();
    assert_eq!(items, expected.map(|event| (event.id, event.created_at)));
    assert_eq!(block_on(database.count(author.clone())).unwrap(), 17);
    block_on(database.delete(author.clone())).unwrap();
    assert_eq!(block_on(database.count(author)).unwrap(), 0);
    assert_eq!(block_on(database.check_id(&id)).unwrap(), DatabaseEventStatus::NotExistent);
    assert_eq!(block_on(database.count(TheirFilter::new())).unwrap(), 33);
    block_on(database.wipe()).unwrap();
    assert_eq!(block_on(database.query(TheirFilter::new())).unwrap().len(), 0);
    // What was deleted by its owner, and not by a request, may come again.
    assert_eq!(save(&database, &events[7]), SaveEventStatus::Success);
}

#[test]
fn what_has_expired_is_no_item_of_negentropy() {
    let database = open();
    let old = event(1, 10, 1, &[["expiration", "1000"]]);
    let new = event(1, 11, 1, &[["expiration", "99999999999"]]);
    save(&database, &old);
    save(&database, &new);
    let items = block_on(database.negentropy_items(TheirFilter::new())).unwrap();
    assert_eq!(items, [(theirs(&new).id, theirs(&new).created_at)]);
}

fn random_filter(rng: &mut Rng) -> TheirFilter {
    let mut filter = TheirFilter::new();
    if rng.chance(2) {
        let key = nostr_types::key::PublicKey::from_byte_array([rng.below(4) as u8; 32]);
        filter = filter.author(key);
    }
    if rng.chance(2) {
        let kind = [1, 2, 0, 30000][rng.below(4) as usize];
        filter = filter.kind(nostr_types::event::Kind::from_u16(kind));
    }
    if rng.chance(3) {
        filter = filter.custom_tag(SingleLetterTag::from_byte(b't').unwrap(), "a");
    }
    if rng.chance(3) {
        filter = filter.since(Timestamp::from_secs(rng.below(40)));
    }
    if rng.chance(3) {
        filter = filter.until(Timestamp::from_secs(rng.below(40)));
    }
    if rng.chance(3) { filter.limit(rng.below(20) as usize + 1) } else { filter }
}

/// Both give the same answers to the same random history, several shards and threads included.
#[test]
fn it_answers_as_the_database_in_memory_of_rust_nostr_does() {
    for seed in 0..3 {
        let mut rng = Rng::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let options = Options { threads: true, readers: 1, ..Options::tiny() };
        let ours = EventStore::open(dir.path(), &options).unwrap().into_nostr_database();
        assert!(ours.features().persistent);
        let other: Database = MemoryDatabase::unbounded().into_nostr_database();
        for round in 0..300 {
            let kind = [1, 1, 2, 0, 30000][rng.below(5) as usize];
            let tags =
                [["d", ["", "x"][rng.below(2) as usize]], ["t", ["a", "b"][rng.below(2) as usize]]];
            let event = event(rng.below(4) as u8, rng.below(40), kind, &tags);
            let (a, b) = (save(&ours, &event), save(&other, &event));
            assert_eq!(a, b, "seed {seed} round {round}: {event:?}");
            if rng.chance(40) {
                let filter = random_filter(&mut rng);
                block_on(ours.delete(filter.clone())).unwrap();
                block_on(other.delete(filter)).unwrap();
            }
            let filter = random_filter(&mut rng);
            let found = block_on(ours.query(filter.clone())).unwrap();
            assert_eq!(found, block_on(other.query(filter.clone())).unwrap(), "{filter:?}");
            if filter.limit.is_none() {
                assert_eq!(block_on(ours.count(filter.clone())).unwrap(), found.len());
                let items = block_on(ours.negentropy_items(filter)).unwrap();
                let expected: Vec<_> = found.iter().map(|e| (e.id, e.created_at)).collect();
                assert_eq!(items, expected);
            }
        }
    }
}
