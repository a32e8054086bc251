//! Events that a writer stores with 64 under way: plain, replaceable and addressable ones.

use super::{Checked, Kind};
use ratite::base::{Error, Key, Result};
use ratite::io::Rng;
use ratite::nostr::{Class, Event, EventStore, Filter, Inserted, Pending, TagValue, class};
use ratite::store::Options;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// Writes that are under way at a time.
const WINDOW: usize = 64;

fn event(number: u64) -> Event {
    let mut rng = Rng::new(number);
    let kind = match number {
        n if n.is_multiple_of(5) => 10_002,
        n if n.is_multiple_of(7) => 30_023,
        _ => 1,
    };
    let late = if number.is_multiple_of(11) { rng.below(60) } else { 0 };
    let d = format!("slug {}", number % 3);
    let tags = [vec!["d", &d], vec!["t", "kill"]];
    let content = "x".repeat(rng.below(900) as usize) + &number.to_string();
    Event::from_parts(
        [(number % 17) as u8; 32],
        1_700_000_000 + number - late,
        kind,
        &tags,
        &content,
    )
}

/// What events replace one another under, if they do.
type Slot = (u64, u16, u64);

fn slot(number: u64, kind: u16) -> Slot {
    let own = match class(kind) {
        Class::Replaceable => 0,
        Class::Addressable => number % 3,
        Class::Regular | Class::Ephemeral => number,
    };
    (number % 17, kind, own)
}

/// The answers of a store.
#[derive(Default)]
pub struct Told {
    /// The newest of each slot.
    newest: HashMap<Slot, Key>,
    highest: u64,
}

/// A store of events.
pub struct Events;

impl Kind for Events {
    const NAME: &'static str = "events";
    const WRITER: &'static str = "real::events::writer";
    type Store = EventStore;
    type Told = Told;

    fn open(dir: &Path, options: Options) -> Result<EventStore> {
        EventStore::open(dir, &options)
    }

    fn write(store: &EventStore, from: u64, say: &mut dyn FnMut(String)) -> (u64, Error) {
        let mut pending: VecDeque<(u64, Pending<'_>)> = VecDeque::new();
        let mut failed: Option<(u64, Error)> = None;
        for next in from.. {
            if pending.len() == WINDOW || failed.is_some() {
                let Some((number, write)) = pending.pop_front() else { break };
                match write.wait() {
                    Ok(answer) => {
                        assert_ne!(answer, Inserted::Malformed);
                        say(number.to_string());
                    }
                    Err(error) => failed = failed.or(Some((number, error))),
                }
            }
            if failed.is_none() {
                match store.insert(&event(next).as_ref()) {
                    Ok(write) => pending.push_back((next, write)),
                    Err(error) => failed = Some((next, error)),
                }
            }
        }
        failed.unwrap()
    }

    fn read(store: &EventStore) -> Result<u64> {
        let (mut all, mut count) = (store.query(&[Filter::default()])?, 0);
        while all.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn segments(store: &EventStore) -> u64 {
        store.engine().stats().iter().map(|shard| shard.segments).sum()
    }

    fn close(store: EventStore) -> Result<()> {
        store.close()
    }

    fn tell(told: &mut Told, answer: &str) {
        let number = answer.parse().unwrap();
        let event = event(number);
        let kept = told.newest.entry(slot(number, event.kind())).or_insert(event.key());
        *kept = event.key().max(*kept);
        told.highest = told.highest.max(number);
    }

    fn submitted(told: &mut Told, answer: &str) {
        told.highest = told.highest.max(answer.parse().unwrap());
    }

    /// Of what was answered each is there, or a newer version of it.
    fn check(store: &EventStore, told: &Told) -> Checked {
        // What was under way may have been written too.
        let submitted = told.highest + 1 + 2 * WINDOW as u64;
        let mut found = HashMap::new();
        let mut all = store.query(&[Filter::default()]).unwrap();
        while let Some(stored) = all.next().unwrap() {
            let tail = stored.content().trim_start_matches('x');
            let number: u64 = tail.parse().unwrap();
            assert!(number < submitted, "event {number} was never submitted");
            assert_eq!(stored.to_owned(), event(number));
            let slot = slot(number, stored.kind());
            assert!(found.insert(slot, stored.key()).is_none(), "two versions of {number}");
        }
        for (slot, key) in &told.newest {
            let there = found.get(slot).unwrap_or_else(|| panic!("lost {key:?} {slot:?}"));
            assert!(there >= key, "an older version came back: {slot:?}");
        }
        let tagged = vec![(b't', vec![TagValue::new("kill")])];
        let count = store.count(&[Filter { tags: tagged, ..Filter::default() }]).unwrap();
        assert_eq!(count, found.len() as u64);
        Checked { found: count, next: told.highest + 1 }
    }
}

#[test]
#[ignore = "a process of its own, started by other tests"]
fn writer() {
    super::be_writer::<Events>();
}

#[test]
#[ignore = "a process of its own, started by tests/blkrec"]
fn checker() {
    super::be_checker::<Events>();
}
