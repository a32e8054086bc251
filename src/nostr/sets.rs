//! Sets of stored events for others to compare with theirs: items for negentropy, authors for HyperLogLog.
//!
//! Both are bounded by the caller, who answers clients: what is too many is no error, but an answer.

use super::hll::Hll;
use super::negentropy::Items;
use super::{EventStore, Filter, selects_at};
use crate::base::{Key, Result};
use crate::query::Order;
use crate::store::StoreSnapshot;

/// Items from one question whether there is room to the next.
pub const ROOM_ITEMS: usize = 4096;

/// The items of a selection.
#[derive(Debug)]
pub enum Gathered {
    /// All of them.
    All(Items),
    /// There are more than was asked for at most.
    OverMax,
    /// There was no room for them.
    NoRoom,
}

impl EventStore {
    /// The keys of the events in `snapshot` that match one of `filters` and have not expired; if all have a limit, of the newest so many
    /// as the largest says. Reads no bodies where posting lists decide. More than `items_max` are
    /// [`Gathered::OverMax`]; `room` is asked before each [`ROOM_ITEMS`] that are held, and ends it with
    /// [`Gathered::NoRoom`]. Those of a limit take up to a quarter more room while they are gathered.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn items_at(
        &self,
        snapshot: &StoreSnapshot,
        filters: &[Filter],
        items_max: usize,
        mut room: impl FnMut() -> bool,
    ) -> Result<Gathered> {
        let selects = selects_at(filters, self.now());
        let limits: Option<Vec<usize>> = selects.iter().map(|select| select.limit).collect();
        let limit = limits.map(|limits| limits.into_iter().max().unwrap_or(0));
        let most = limit.filter(|limit| *limit <= items_max).unwrap_or(usize::MAX);
        let (mut keys, mut over_max, mut no_room, mut granted) = (Vec::new(), false, false, 0);
        let mut take = |key: Key| {
            if keys.len() == granted {
                no_room = !room();
                granted += ROOM_ITEMS;
            }
            if no_room {
                return false;
            }
            keys.push(key);
            if most < usize::MAX {
                if keys.len() > most + most / 4 + ROOM_ITEMS {
                    keep_newest(&mut keys, most);
                }
            } else if keys.len() > items_max {
                // What several filters match came several times.
                keep_newest(&mut keys, usize::MAX);
                over_max = keys.len() > items_max;
            }
            !over_max
        };
        self.engine().keys_at(snapshot, &selects, &mut take)?;
        if over_max || no_room {
            return Ok(if over_max { Gathered::OverMax } else { Gathered::NoRoom });
        }
        keep_newest(&mut keys, most);
        keys.shrink_to_fit();
        Ok(Gathered::All(Items::new(keys)))
    }

    /// The authors of what matches `filter` now, for NIP-45, as far as one of `asked` matches it too; `None` if the
    /// filter has no place in it ([`Hll::new`]), or more than `events_max` match: their bodies have to be read.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn hll(&self, filter: &Filter, asked: &[Filter], events_max: usize) -> Result<Option<Hll>> {
        let Some(mut hll) = Hll::new(filter) else { return Ok(None) };
        let unlimited = |filter: &Filter| Filter { limit: None, ..filter.clone() };
        let filters: Vec<Filter> = asked.iter().map(unlimited).collect();
        if self.count(&filters)? > events_max as u64 {
            return Ok(None);
        }
        let mut events = self.query_at(&self.snapshot(), &filters, Order::Newest)?;
        let mut left = events_max;
        while let Some(event) = events.next()? {
            // What came in since it was counted does not make the work longer.
            let Some(less) = left.checked_sub(1) else { return Ok(None) };
            left = less;
            hll.add(event.pubkey());
        }
        Ok(Some(hll))
    }
}

/// Drops repetitions, and all but the newest `limit`.
fn keep_newest(keys: &mut Vec<Key>, limit: usize) {
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.dedup();
    keys.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::generate::{Config, Generator};
    use crate::nostr::{Event, TagValue};
    use crate::store::Options;
    use std::collections::BTreeSet;

    fn store(events: usize) -> (EventStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = EventStore::open(dir.path(), &Options::tiny()).unwrap();
        let config = Config { events: events as u64, ..Config::default() };
        let mut generator = Generator::new(5, &config);
        for i in 0..events {
            let event = generator.next_unsigned().into_event();
            let _inserted = store.insert(&event.as_ref()).unwrap().wait().unwrap();
            // Some in segments, some in memory.
            if i == events / 2 {
                store.engine().flush().unwrap();
            }
        }
        (store, dir)
    }

    fn items(store: &EventStore, filter: &Filter, max: usize) -> Gathered {
        store.items_at(&store.snapshot(), std::slice::from_ref(filter), max, || true).unwrap()
    }

    fn queried(store: &EventStore, filter: &Filter) -> BTreeSet<Key> {
        let mut events = store.query(std::slice::from_ref(filter)).unwrap();
        let mut keys = BTreeSet::new();
        while let Some(event) = events.next().unwrap() {
            keys.insert(event.key());
        }
        keys
    }

    #[test]
    fn items_are_the_keys_of_what_a_query_gives() {
        let (store, _dir) = store(3_000);
        let all = queried(&store, &Filter::default());
        let times: Vec<u64> = all.iter().map(|key| key.time).collect();
        let (since, until) = (times[times.len() / 3], times[times.len() / 2]);
        let authors: Vec<[u8; 32]> = (0..3)
            .filter_map(|i| store.get(&all.iter().nth(i * 50)?.id).unwrap())
            .map(|event| *event.pubkey())
            .collect();
        let base = Filter::default();
        for filter in [
            base.clone(),
            Filter { since, until, ..base.clone() },
            Filter { kinds: Some(vec![1, 7]), ..base.clone() },
            Filter { kinds: Some(vec![1]), limit: Some(100), ..base.clone() },
            Filter { limit: Some(1_000), until, ..base.clone() },
            Filter { limit: Some(0), ..base.clone() },
            Filter { authors: Some(authors.clone()), ..base.clone() },
            Filter { authors: Some(authors), kinds: Some((0..900).collect()), ..base.clone() },
            Filter { ids: Some(all.iter().take(9).map(|key| key.id).collect()), ..base.clone() },
            Filter { tags: vec![(b't', vec!["nostr".into()])], limit: Some(7), ..base },
        ] {
            let Gathered::All(items) = items(&store, &filter, 100_000) else {
                panic!("{filter:?}")
            };
            let found: BTreeSet<Key> = items.keys().iter().copied().collect();
            assert_eq!(found, queried(&store, &filter), "{filter:?}");
            assert_eq!(found.len(), items.len());
        }
    }

    #[test]
    fn what_has_expired_is_not_among_the_items() {
        let (env, _disk, clock) = crate::io::simulated(1, crate::io::Faults::default());
        let store = EventStore::open_in("/store".as_ref(), &Options::tiny(), env).unwrap();
        let now = store.now();
        let lasting = Event::from_parts([1; 32], now, 1, &[["t", "x"]], "");
        let end = (now + 10).to_string();
        let ending = Event::from_parts([1; 32], now, 1, &[["expiration", end.as_str()]], "");
        for event in [&lasting, &ending] {
            let _inserted = store.insert(&event.as_ref()).unwrap().wait().unwrap();
        }
        let count = || match items(&store, &Filter::default(), 9) {
            Gathered::All(items) => items.len(),
            other => panic!("{other:?}"),
        };
        for flushed in [false, true] {
            clock.set(now * 1_000_000 + 9_999_999);
            assert_eq!(count(), 2, "{flushed}");
            clock.set((now + 10) * 1_000_000);
            assert_eq!(count(), 1, "{flushed}");
            store.engine().flush().unwrap();
        }
        store.close().unwrap();
    }

    #[test]
    fn what_several_filters_match_is_there_once() {
        let (store, _dir) = store(1_500);
        let filters = [vec![1, 7], vec![1], vec![0, 1]].map(|kinds| Filter {
            kinds: Some(kinds),
            limit: Some(400),
            ..Filter::default()
        });
        let expected: BTreeSet<Key> = filters.iter().flat_map(|f| queried(&store, f)).collect();
        let newest: BTreeSet<Key> = expected.iter().rev().take(400).copied().collect();
        // Each comes once or twice, and just fits.
        let gathered = store.items_at(&store.snapshot(), &filters, 400, || true).unwrap();
        let Gathered::All(items) = gathered else { panic!() };
        assert_eq!(items.keys().iter().copied().collect::<BTreeSet<_>>(), newest);
        let all = filters.map(|filter| Filter { limit: None, ..filter });
        let count = store.count(&all).unwrap() as usize;
        let gathered = |max| store.items_at(&store.snapshot(), &all, max, || true).unwrap();
        assert!(matches!(gathered(count), Gathered::All(items) if items.len() == count));
        assert!(matches!(gathered(count - 1), Gathered::OverMax));
    }

    #[test]
    fn what_is_too_many_is_said() {
        let (store, _dir) = store(500);
        let all = Filter::default();
        let count = store.count(&[Filter::default()]).unwrap() as usize;
        assert!(matches!(items(&store, &all, count), Gathered::All(_)));
        assert!(matches!(items(&store, &all, count - 1), Gathered::OverMax));
        let limited = Filter { limit: Some(10), ..Filter::default() };
        assert!(matches!(items(&store, &limited, 10), Gathered::All(found) if found.len() == 10));
        assert!(matches!(items(&store, &limited, 9), Gathered::OverMax));
        let all = std::slice::from_ref(&all);
        let none = store.items_at(&store.snapshot(), all, count, || false).unwrap();
        assert!(matches!(none, Gathered::NoRoom));
    }

    #[test]
    fn the_registers_are_those_of_the_authors_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let store = EventStore::open(dir.path(), &Options::tiny()).unwrap();
        let value = "ab".repeat(32);
        for n in 0..60_u8 {
            let event = Event::from_parts([n % 20; 32], n.into(), 7, &[["e", value.as_str()]], "");
            let _inserted = store.insert(&event.as_ref()).unwrap().wait().unwrap();
        }
        let filter = Filter {
            tags: vec![(b'e', vec![TagValue::new(&value)])],
            limit: Some(1),
            ..Filter::default()
        };
        let mut expected = Hll::new(&filter).unwrap();
        (0..20_u8).for_each(|n| expected.add(&[n; 32]));
        assert_eq!(
            store.hll(&filter, std::slice::from_ref(&filter), 60).unwrap(),
            Some(expected),
            "limits do not count"
        );
        assert_eq!(store.hll(&filter, std::slice::from_ref(&filter), 59).unwrap(), None);
        assert_eq!(store.hll(&Filter::default(), &[], 60).unwrap(), None);
    }
}
