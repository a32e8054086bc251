//! Searches of whole stores, against a list of events, a naive split into words and a naive score.

mod measure;

use super::SCORED_MIN;
use crate::base::Error;
use crate::io::{Env, Faults, Rng, simulated};
use crate::model::Model;
use crate::nostr::{
    Event, EventModel, EventOptions, EventStore, Filter, Inserted, Search, SearchKinds,
};
use crate::query::Order;
use crate::store::Options;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

const WORDS: [&str; 12] = [
    "nostr", "bitcoin", "relay", "zap", "note", "key", "event", "the", "a", "of", "rare", "rarest",
];
const KINDS: [u16; 5] = [1, 1, 11, 7, 1059];

fn dir() -> &'static Path {
    Path::new("/store")
}

fn search(text: &str) -> Filter {
    Filter { search: Some(Search::new(text).unwrap()), ..Filter::default() }
}

fn insert(store: &EventStore, event: &Event) {
    assert_eq!(store.insert(&event.as_ref()).unwrap().wait().unwrap(), Inserted::Stored);
}

fn ids(store: &EventStore, filters: &[Filter]) -> Vec<[u8; 32]> {
    let mut events = store.query(filters).unwrap();
    let mut ids = Vec::new();
    while let Some(event) = events.next().unwrap() {
        ids.push(*event.id());
    }
    ids
}

/// Some words, the first of the list more often than the last.
fn text(rng: &mut Rng, most: u64) -> Vec<&'static str> {
    let word = |rng: &mut Rng| WORDS[rng.below(1 + rng.clone().below(WORDS.len() as u64)) as usize];
    (0..rng.below(most)).map(|_| word(rng)).collect()
}

fn event(rng: &mut Rng) -> Event {
    let content = text(rng, 14);
    let content = content.iter().fold(String::new(), |text, word| match rng.below(4) {
        0 => text + "\"" + &word.to_uppercase() + "\", ",
        1 => text + "#" + word + "\n",
        _ => text + word + " ",
    });
    let kind = KINDS[rng.below(KINDS.len() as u64) as usize];
    let tags = [["t", WORDS[rng.below(4) as usize]], ["x", "hidden"]];
    let tags = &tags[rng.below(2) as usize..];
    Event::from_parts(
        [rng.below(4) as u8; 32],
        1000 + rng.below(400) * 86_400,
        kind,
        tags,
        &content,
    )
}

/// The words of an event in their order, by a rule of its own.
fn naive_words(event: &Event) -> Vec<String> {
    if ![1, 11].contains(&event.kind()) {
        return Vec::new();
    }
    let values = event.tags().filter(|tag| tag.letter() == Some(b't'));
    let mut text: String = values.map(|tag| tag.value().unwrap().to_string() + " ").collect();
    text += &event.content().to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(String::from).collect()
}

struct Twin {
    events: HashMap<[u8; 32], (Event, Vec<String>)>,
    now: u64,
}

impl Twin {
    fn matches(&self, filter: &Filter, words: &[&str]) -> HashSet<[u8; 32]> {
        let plain = Filter { search: None, ..filter.clone() };
        let has = |own: &[String]| words.iter().all(|word| own.iter().any(|other| other == word));
        let all = self.events.iter();
        let found = all.filter(|(_, (event, own))| has(own) && plain.matches(&event.as_ref()));
        found.map(|(id, _)| *id).collect()
    }

    fn score(&self, words: &[&str], id: &[u8; 32]) -> f64 {
        let (event, own) = &self.events[id];
        let searched = |own: &&(Event, Vec<String>)| [1, 11].contains(&own.0.kind());
        let records = self.events.values().filter(searched).count() as f64;
        let mut score = 0.0;
        for word in words {
            let holds = |own: &&(Event, Vec<String>)| own.1.iter().any(|other| other == word);
            let holding = self.events.values().filter(holds).count() as f64;
            let times = own.iter().filter(|other| other == word).count() as f64;
            let length = own.len() as f64 / 32.0;
            let rarity = (1.0 + (records - holding + 0.5) / (holding + 0.5)).ln();
            score += rarity * times * 2.2 / (times + 1.2 * (0.6 + 0.4 * length));
        }
        let age = self.now.saturating_sub(event.created_at()) as f64;
        score * (1.0 + 1.0 / (1.0 + age / 2_592_000.0))
    }

    /// Whether `given` are the best of `all`, the best first.
    fn check_order(&self, words: &[&str], given: &[[u8; 32]], all: &HashSet<[u8; 32]>) {
        for pair in given.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            let (score_a, score_b) = (self.score(words, &a), self.score(words, &b));
            assert!(score_a > score_b - 1e-9, "{score_a} before {score_b}");
            let (event_a, event_b) = (&self.events[&a].0, &self.events[&b].0);
            let same = event_a.body()[96..] == event_b.body()[96..];
            if same && event_a.created_at() == event_b.created_at() {
                assert!(a < b, "ties by id");
            }
        }
        let Some(last) = given.last().map(|id| self.score(words, id)) else { return };
        let given: HashSet<_> = given.iter().copied().collect();
        for id in all.difference(&given) {
            assert!(self.score(words, id) < last + 1e-9, "a better one is left out");
        }
    }

    fn check(&self, store: &EventStore, rng: &mut Rng) {
        let words = text(rng, 4);
        let mut filter = search(&(words.join(" ") + " language:en"));
        if rng.below(3) == 0 {
            filter.authors = Some((0..rng.below(3) as u8).map(|n| [n; 32]).collect());
        }
        if rng.below(3) == 0 {
            filter.kinds = Some(vec![1, 7]);
        }
        if rng.below(4) == 0 {
            filter.tags = vec![(b't', vec!["nostr".into(), "zap".into()])];
        }
        if rng.below(3) == 0 {
            filter.since = 1000 + rng.below(400) * 86_400;
            filter.until = filter.since + rng.below(200) * 86_400;
        }
        if rng.below(6) == 0 {
            let all: Vec<_> = self.events.keys().copied().collect();
            filter.ids = Some((0..20).map(|_| all[rng.below(all.len() as u64) as usize]).collect());
        }
        let expected = match words.is_empty() {
            true => self.matches(&filter, &[]),
            false => {
                self.matches(&Filter { kinds: filter.kinds.clone(), ..filter.clone() }, &words)
            }
        };
        let found = ids(store, std::slice::from_ref(&filter));
        assert_eq!(found.iter().copied().collect::<HashSet<_>>(), expected, "{words:?}");
        assert_eq!(found.len(), expected.len());
        assert_eq!(store.count(std::slice::from_ref(&filter)).unwrap(), expected.len() as u64);
        for (event, _) in self.events.values() {
            let mut one = [filter.clone()];
            store.adopt(&mut one).unwrap();
            assert_eq!(one[0].matches(&event.as_ref()), expected.contains(event.id()));
        }
        if words.is_empty() {
            return;
        }
        let mut words = words;
        words.sort_unstable();
        words.dedup();
        self.check_order(&words, &found, &expected);
        let limit = rng.below(12);
        let few = ids(store, &[Filter { limit: Some(limit), ..filter }]);
        assert_eq!(few, found[..found.len().min(limit as usize)]);
    }
}

fn open(env: &Env, kinds: Option<&[u16]>) -> EventStore {
    let kinds = kinds.map(|kinds| SearchKinds::new(kinds).unwrap());
    open_in(dir(), &Options::tiny(), env.clone(), kinds.as_ref())
}

fn open_in(dir: &Path, options: &Options, env: Env, kinds: Option<&SearchKinds>) -> EventStore {
    let options = EventOptions { search: kinds.cloned(), ..EventOptions::from(options) };
    EventStore::open_with(dir, &options, env).unwrap()
}

#[test]
fn searches_find_what_has_the_words_and_rank_it() {
    for seed in 0..4 {
        let (env, ..) = simulated(seed, Faults::default());
        let mut rng = Rng::new(seed);
        let mut store = open(&env, Some(&[1, 11]));
        let mut twin = Twin { events: HashMap::new(), now: 0 };
        for round in 0..8 {
            for _ in 0..80 {
                let event = event(&mut rng);
                if twin.events.contains_key(event.id()) {
                    continue;
                }
                insert(&store, &event);
                twin.events.insert(*event.id(), (event.clone(), naive_words(&event)));
            }
            match round % 4 {
                1 => store.engine().flush().unwrap(),
                2 => store.engine().compact().unwrap(),
                3 => {
                    store.close().unwrap();
                    drop(store);
                    store = open(&env, None);
                }
                _ => {}
            }
            twin.now = env.clock.unix_micros() / 1_000_000;
            for _ in 0..25 {
                twin.check(&store, &mut rng);
            }
        }
        assert!(
            store.count(&[search("the")]).unwrap() > 50
                && store.count(&[search("hidden")]).unwrap() == 0
        );
    }
}

fn note(at: u64, content: &str) -> Event {
    Event::from_parts([1; 32], at, 1, &[] as &[[&str; 0]], content)
}

#[test]
fn phrases_are_checked_wherever_the_event_stands() {
    let (env, ..) = simulated(1, Faults::default());
    let store = open(&env, None);
    let yes = [note(1, "on layer two now"), note(2, "LAYER: two"), note(3, "x 東京タワー x")];
    let no = [note(4, "two layer"), note(5, "layer one, two"), note(6, "東京タ タワー")];
    for place in 0..2 {
        let known = |n: usize| HashSet::from([*yes[n].id()]);
        yes.iter().chain(&no).filter(|_| place == 0).for_each(|event| insert(&store, event));
        let found = |text: &str| ids(&store, &[search(text)]).into_iter().collect::<HashSet<_>>();
        assert_eq!(found("\"layer two\""), &known(0) | &known(1));
        assert_eq!(found("\"layer two now\" on"), known(0));
        assert_eq!(found("東京タワー"), known(2));
        assert_eq!(found("東京").len(), 2);
        assert_eq!(found("京").len(), 2);
        assert_eq!(store.count(&[search("\"layer two\"")]).unwrap(), 2);
        let either = [search("\"layer two\""), search("東京タワー")];
        assert_eq!(store.count(&either).unwrap(), 3);
        let of_ids =
            |event: &Event| Filter { ids: Some(vec![*event.id()]), ..search("\"layer two\"") };
        assert_eq!(store.count(&[of_ids(&yes[0])]).unwrap(), 1);
        assert_eq!(store.count(&[of_ids(&no[0])]).unwrap(), 0);
        let plan = store.explain(&[search("\"layer two\"")]).unwrap();
        store.engine().flush().unwrap();
        assert!(place == 0 || plan.contains("check the rest on each record"), "{plan}");
    }
}

#[test]
fn filters_with_a_search_come_first_and_no_event_twice() {
    let (env, ..) = simulated(2, Faults::default());
    let store = open(&env, None);
    let events: Vec<Event> = ["one", "one one one", "two", "one two two two", "else", "other"]
        .iter()
        .zip(0..)
        .map(|(text, n)| note(100 + n, text))
        .collect();
    events.iter().for_each(|event| insert(&store, event));
    let texts = |filters: &[Filter], order| {
        let mut found = store.query_at(&store.snapshot(), filters, order).unwrap();
        let mut texts = Vec::new();
        while let Some(event) = found.next().unwrap() {
            texts.push(event.content().to_string());
        }
        texts
    };
    let all = Filter { limit: Some(4), ..Filter::default() };
    let mixed = [all.clone(), search("two"), search("one")];
    let expected = ["one two two two", "two", "one one one", "one", "other", "else"];
    assert_eq!(texts(&mixed, Order::Newest), expected);
    let oldest = texts(&mixed, Order::Oldest);
    assert_eq!(oldest[..4], expected[..4]);
    // What asks for nothing is in order of time.
    let nothing = Filter { limit: Some(2), ..search("language:en ...") };
    assert_eq!(texts(&[nothing], Order::Newest), ["other", "else"]);
    assert_eq!(texts(&[Filter { limit: Some(0), ..search("one") }], Order::Newest), [""; 0]);
    assert_eq!(texts(&[Filter { kinds: Some(vec![]), ..search("one") }], Order::Newest), [""; 0]);
}

#[test]
fn of_many_matches_the_newest_are_ranked_and_without_a_limit_all() {
    let (env, ..) = simulated(3, Faults::default());
    let store = open(&env, None);
    let best = note(1, "word word word word");
    insert(&store, &best);
    let second = note(2, "word word");
    insert(&store, &second);
    let filler = "and much more that makes it a long note ".repeat(2);
    for n in 1..SCORED_MIN as u64 {
        insert(&store, &note(2 + n % 100, &format!("{filler} word {n}")));
    }
    let first = |limit| ids(&store, &[Filter { limit, ..search("word") }])[0];
    // One more than are looked at: the oldest is not.
    assert_eq!(first(Some(1)), *second.id());
    assert_eq!(first(Some(SCORED_MIN as u64 / 4 + 1)), *best.id());
    assert_eq!(first(None), *best.id());
    assert_eq!(store.count(&[search("word")]).unwrap(), SCORED_MIN as u64 + 1);
}

#[test]
fn a_store_keeps_its_choice_and_another_is_refused_by_name() {
    let (env, ..) = simulated(4, Faults::default());
    let store = open(&env, Some(&[1]));
    insert(&store, &note(1, "word"));
    store.close().unwrap();
    drop(store);
    for other in ["off", "default", "1,11"] {
        let other: SearchKinds = other.parse().unwrap();
        let options = EventOptions::from(&Options::tiny());
        let options = EventOptions { search: Some(other.clone()), ..options };
        let refused = EventStore::open_with(dir(), &options, env.clone());
        match refused.map(drop) {
            Err(Error::Mismatch { what: "search", stored, asked, .. }) => {
                assert_eq!((stored, asked), ("1".into(), other.to_string()));
            }
            other => panic!("{other:?}"),
        }
        // The engine sees it too, if somebody brings another model.
        let model = Arc::new(EventModel::new(other));
        let refused = crate::store::Store::open(dir(), model, &Options::tiny(), env.clone());
        assert!(matches!(refused.map(drop), Err(Error::Mismatch { what: "model settings", .. })));
    }
    let store = open(&env, None);
    assert_eq!(store.search_kinds().kinds(), [1]);
    assert_eq!(ids(&store, &[search("word")]).len(), 1);
}

#[test]
fn a_store_without_words_says_so() {
    let (env, ..) = simulated(5, Faults::default());
    let store = open(&env, Some(&[]));
    let event = note(1, "word");
    insert(&store, &event);
    for refused in [
        store.query(&[search("word")]).map(drop),
        store.count(&[search("word")]).map(drop),
        store.explain(&[search("word")]).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Invalid { what: "search", .. })));
    }
    assert_eq!(ids(&store, &[search("language:en")]).len(), 1);
    let model = EventModel::of_store(dir(), None, &env).unwrap();
    let mut terms = crate::base::Terms::new();
    model.terms(event.as_ref().record(), &mut terms);
    assert!(terms.iter().all(|term| term[0] != crate::nostr::terms::WORD));
}

#[test]
fn what_expires_is_not_ranked_counted_or_given_from_a_held_answer() {
    let (env, _disk, clock) = simulated(6, Faults::default());
    let store = open(&env, None);
    let over = (store.now() + 10).to_string();
    let short = Event::from_parts([1; 32], 5, 1, &[["expiration", &over]], "word");
    insert(&store, &short);
    insert(&store, &note(4, "word"));
    for _ in 0..2 {
        assert_eq!(
            (ids(&store, &[search("word")]).len(), store.count(&[search("word")]).unwrap()),
            (2, 2)
        );
        store.engine().flush().unwrap();
    }
    let mut held = store.query(&[search("word")]).unwrap();
    clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(
        (ids(&store, &[search("word")]).len(), store.count(&[search("word")]).unwrap()),
        (1, 1)
    );
    assert_eq!(store.count(&[search("\"word\"")]).unwrap(), 1);
    held.pass_time(store.now());
    assert_eq!(held.next().unwrap().unwrap().created_at(), 4);
    assert!(held.next().unwrap().is_none());
}
