//! Counting what matches filters: of a filter that leaves kinds out, by what it would be with them.
//!
//! ```text
//!   F without kinds a, b   =   F   -   F and kind a   -   F and kind b        all at one moment
//! ```
//!
//! Where one posting list decides about F, its count is two look-ups; so are the others, or they walk the lists of what
//! is left out. The difference itself would walk all of F.
//!
//! I1. An event has one kind: each that is left out is subtracted once.

use super::filter::Filter;
use super::plan::selects_at;
use super::store::EventStore;
use crate::base::Result;

impl EventStore {
    /// How many events a query without limits would give. Reads no events where posting lists decide.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn count(&self, filters: &[Filter]) -> Result<u64> {
        let (filters, now) = (self.adopted(filters)?, self.now());
        match &filters[..] {
            [one] if is_cheaper_whole(one) => self.count_without(one, now),
            filters => self.engine().count(&selects_at(filters, now)),
        }
    }

    fn count_without(&self, filter: &Filter, now: u64) -> Result<u64> {
        let mut without = filter.not_kinds.clone();
        without.sort_unstable();
        without.dedup(); // I1
        let snapshot = self.snapshot();
        let count = |kinds| {
            let part = Filter { kinds, not_kinds: Vec::new(), ..filter.clone() };
            self.engine().count_at(&snapshot, &selects_at(&[part], now))
        };
        let all = count(None)?;
        without.into_iter().try_fold(all, |left, kind| Ok(left - count(Some(vec![kind]))?))
    }
}

/// Whether the filter leaves kinds out, and one posting list at most would decide about the rest of it.
fn is_cheaper_whole(filter: &Filter) -> bool {
    let authors = filter.authors.as_ref().map_or(0, Vec::len);
    let values = authors + filter.tags.iter().map(|(_, values)| values.len()).sum::<usize>();
    let plain = filter.ids.is_none() && filter.kinds.is_none() && filter.search.is_none();
    plain && !filter.not_kinds.is_empty() && values <= 1 && !filter.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Faults, Rng, simulated};
    use crate::nostr::event::Event;
    use crate::nostr::filter::TagValue;
    use crate::store::Options;
    use std::path::Path;
    use std::time::Duration;

    /// Where the simulated clock begins.
    const NOW: u64 = 1_704_067_200;
    const KINDS: [u16; 5] = [1, 4, 13, 7, 1059];

    fn random_event(rng: &mut Rng, n: u64) -> Event {
        let author = [rng.below(4) as u8; 32];
        let kind = KINDS[rng.below(5) as usize];
        let end = (NOW + rng.below(20)).to_string();
        let mut tags = vec![["t", ["a", "b"][rng.below(2) as usize]]];
        if rng.chance(4) {
            tags.push(["expiration", &end]);
        }
        Event::from_parts(author, 1000 + rng.below(90), kind, &tags, &n.to_string())
    }

    fn random_filter(rng: &mut Rng) -> Filter {
        let mut filter = Filter {
            // With repetitions, as a configuration may have them.
            not_kinds: (0..1 + rng.below(4)).map(|_| KINDS[rng.below(5) as usize]).collect(),
            ..Filter::default()
        };
        match rng.below(5) {
            0 => {}
            1 => filter.authors = Some(vec![[rng.below(5) as u8; 32]]),
            2 => filter.tags = vec![(b't', vec![TagValue::new("a")])],
            3 => filter.authors = Some(vec![]),
            _ => filter.tags = vec![(b't', vec![TagValue::new("a"), TagValue::new("b")])],
        }
        if rng.chance(2) {
            (filter.since, filter.until) = (1000 + rng.below(50), 1040 + rng.below(60));
        }
        filter
    }

    #[test]
    fn a_count_without_kinds_is_what_a_query_gives() {
        for seed in 0..6 {
            let (env, _disk, clock) = simulated(seed, Faults::default());
            let mut rng = Rng::new(seed);
            let store = EventStore::open_in(Path::new("/store"), &Options::tiny(), env).unwrap();
            let (mut cheap, mut events) = (0, Vec::new());
            for round in 0..4 {
                for n in 0..150 {
                    let event = random_event(&mut rng, round * 1000 + n);
                    store.insert(&event.as_ref()).unwrap().wait().unwrap();
                    events.push(event);
                }
                if round % 2 == 0 {
                    store.engine().flush().unwrap();
                }
                for _ in 0..12 {
                    let gone = &events[rng.below(events.len() as u64) as usize];
                    let id: String = gone.id().iter().map(|b| format!("{b:02x}")).collect();
                    let delete = Event::from_parts(*gone.pubkey(), 2000, 5, &[["e", &id]], &id);
                    store.insert(&delete.as_ref()).unwrap().wait().unwrap();
                }
                clock.advance(Duration::from_secs(3));
                for _ in 0..40 {
                    let filter = random_filter(&mut rng);
                    cheap += u64::from(is_cheaper_whole(&filter));
                    let filter = std::slice::from_ref(&filter);
                    let (mut found, mut given) = (store.query(filter).unwrap(), 0);
                    while found.next().unwrap().is_some() {
                        given += 1;
                    }
                    assert_eq!(store.count(filter).unwrap(), given, "{seed} {round} {filter:?}");
                }
            }
            assert!(cheap > 40, "{cheap}");
        }
    }
}
