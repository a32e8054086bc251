//! What words cost and how fast searches are, on generated events and a real disk. Prints; run by hand:
//! `cargo test --lib nostr::ranked::tests::measure -- --ignored --nocapture --test-threads 1`.

use super::{open_in, search};
use crate::base::Terms;
use crate::io::{self, Backend};
use crate::model::Model;
use crate::nostr::generate::{Config, Generator};
use crate::nostr::{Event, EventModel, EventStore, Filter, SearchKinds};
use crate::shard::SyncMode;
use crate::store::Options;
use std::path::Path;

const EVENTS: u64 = 100_000;

fn events() -> Vec<Event> {
    let mut generator = Generator::new(1, &Config { events: EVENTS, ..Config::default() });
    (0..EVENTS).map(|_| generator.next_unsigned().into_event()).collect()
}

/// CPU time of this thread and of the process, in nanoseconds, as coarse as a tick of the kernel.
fn cpu() -> (u64, u64) {
    let number = |text: &str, at: usize| -> u64 {
        text.rsplit(')').next().unwrap().split_whitespace().nth(at).unwrap().parse().unwrap()
    };
    let thread = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let process = std::fs::read_to_string("/proc/self/stat").unwrap();
    (number(&thread, 0), (number(&process, 11) + number(&process, 12)) * 10_000_000)
}

fn segment_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let bytes = |path: std::path::PathBuf| match path.is_dir() {
        true => segment_bytes(&path),
        false if path.extension().is_some_and(|ext| ext == "seg") => path.metadata().unwrap().len(),
        false => 0,
    };
    entries.map(bytes).sum()
}

/// A store of `events`, loaded and merged; the CPU time that loading took.
fn loaded(dir: &Path, events: &[Event], kinds: &SearchKinds) -> (EventStore, u64) {
    let options = Options {
        shards: Some(1),
        sync: SyncMode::Never,
        memory_bytes: 512 << 20,
        ..Options::default()
    };
    let store = open_in(dir, &options, io::system(Backend::Auto).unwrap(), Some(kinds));
    let before = cpu().1;
    for group in events.chunks(1000) {
        let pending: Vec<_> = group.iter().map(|e| store.insert(&e.as_ref()).unwrap()).collect();
        pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    }
    store.engine().flush().unwrap();
    let took = cpu().1 - before;
    store.engine().compact().unwrap();
    (store, took)
}

#[test]
#[ignore = "measures and prints"]
fn words_cost_bytes_and_cpu() {
    let events = events();
    for kinds in [SearchKinds::off(), SearchKinds::default()] {
        let model = EventModel::new(kinds.clone());
        let (mut terms, mut count) = (Terms::new(), 0);
        let before = cpu().0;
        for event in &events {
            terms.clear();
            model.terms(event.as_ref().record(), &mut terms);
            terms.seal();
            count += terms.len();
        }
        let each = (cpu().0 - before) / EVENTS;
        let dir = tempfile::tempdir().unwrap();
        let (store, load) = loaded(dir.path(), &events, &kinds);
        store.close().unwrap();
        println!(
            "search {kinds}: {count} terms, {each} ns an event for them; load {} ns CPU an event; {} bytes an event in segments",
            load / EVENTS,
            segment_bytes(dir.path()) / EVENTS,
        );
    }
}

#[test]
#[ignore = "measures and prints"]
fn a_note_costs_cpu_until_it_is_answered_and_in_its_flush() {
    let mut notes = events();
    notes.retain(|event| event.kind() == 1);
    notes.truncate(40_000);
    let options = Options {
        shards: Some(1),
        sync: SyncMode::Never,
        memory_bytes: 1 << 30,
        ..Options::default()
    };
    for (kinds, round) in [SearchKinds::off(), SearchKinds::default()]
        .into_iter()
        .flat_map(|kinds| (0..3).map(move |round| (kinds.clone(), round)))
    {
        let dir = tempfile::tempdir().unwrap();
        let env = io::system(Backend::Auto).unwrap();
        let store = open_in(dir.path(), &options, env, Some(&kinds));
        let (start, own) = (cpu().1, cpu().0);
        for group in notes.chunks(1000) {
            let pending: Vec<_> =
                group.iter().map(|e| store.insert(&e.as_ref()).unwrap()).collect();
            pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
        }
        let (answered, own) = (cpu().1, cpu().0 - own);
        let flushes = store.engine().stats()[0].flushes;
        store.engine().flush().unwrap();
        let each = |nanos: u64| nanos / notes.len() as u64;
        println!(
            "search {kinds}, round {round}: {} ns CPU a note until it is answered, {} of them the caller's, after {flushes} flushes; {} ns in the last flush",
            each(answered - start),
            each(own),
            each(cpu().1 - answered),
        );
        store.close().unwrap();
    }
}

#[test]
#[ignore = "measures and prints"]
fn a_count_that_leaves_kinds_out_is_no_walk() {
    let events = events();
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = loaded(dir.path(), &events, &SearchKinds::off());
    let filters = [Filter { not_kinds: vec![4, 13, 14, 1059], ..Filter::default() }];
    let mut took = [0; 2];
    for _ in 0..20 {
        let start = cpu().0;
        let walked = store.engine().count_at(&store.snapshot(), &store.selects(&filters)).unwrap();
        took[0] += cpu().0 - start;
        let start = cpu().0;
        assert_eq!(store.count(&filters).unwrap(), walked);
        took[1] += cpu().0 - start;
    }
    let [walked, counted] = took.map(|nanos| nanos / 20_000);
    println!("of {EVENTS} events: {walked} us CPU by the difference, {counted} us by counts");
    store.close().unwrap();
}

#[test]
#[ignore = "measures and prints"]
fn ascii_takes_the_fast_path() {
    let words: Vec<String> = (0..20_000).map(|n| format!("Word{}", n % 977)).collect();
    let (fast, slow) = (words.join(" "), words.join("\u{ad} "));
    for (name, text) in [("fast", fast), ("slow", slow)] {
        let before = cpu().0;
        let mut found = 0;
        for _ in 0..200 {
            let mut units = crate::nostr::search::Units::new(usize::MAX);
            units.add(&text);
            found += units.units().len();
        }
        println!("{name}: {} ns a word of 7 letters, {found}", (cpu().0 - before) / found as u64);
    }
}

#[test]
#[ignore = "measures and prints"]
fn searches_are_quick() {
    let events = events();
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = loaded(dir.path(), &events, &SearchKinds::default());
    let clock = io::system(Backend::Auto).unwrap().clock;
    let by_count: Vec<(u64, String)> = {
        let mut words: Vec<String> = events
            .iter()
            .filter(|event| event.kind() == 1)
            .take(3_000)
            .flat_map(|event| event.content().split(' ').map(str::to_lowercase).collect::<Vec<_>>())
            .filter(|word| word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase()))
            .collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().map(|word| (store.count(&[search(&word)]).unwrap(), word)).collect()
    };
    let between = |least, most| {
        let some = by_count.iter().filter(move |(n, _)| (least..most).contains(n)).take(40);
        some.map(|(_, word)| word.clone()).collect::<Vec<_>>()
    };
    let (frequent, rare) = (between(5_000, 90_000), between(2, 60));
    let pairs = frequent.iter().zip(between(500, 5_000)).map(|(a, b)| format!("{a} {b}"));
    let phrases: Vec<String> = events
        .iter()
        .filter(|event| event.kind() == 1 && event.content().is_ascii())
        .filter_map(|event| {
            let words: Vec<&str> = event.content().split(' ').skip(2).take(2).collect();
            (words.len() == 2 && !words.concat().contains('"'))
                .then(|| format!("\"{}\"", words.join(" ")))
        })
        .take(40)
        .collect();
    for (name, queries) in [
        ("one frequent word", frequent.clone()),
        ("one rare word", rare),
        ("two words", pairs.collect()),
        ("phrase of two", phrases),
    ] {
        let (mut took, mut rows, mut start) = (Vec::new(), 0, 0);
        for round in 0..5 {
            if round == 1 {
                start = cpu().0;
            }
            for query in &queries {
                let before = clock.monotonic_nanos();
                let filter = Filter { limit: Some(50), ..search(query) };
                let mut found = store.query(&[filter]).unwrap();
                while found.next().unwrap().is_some() {
                    rows += usize::from(round > 0);
                }
                took.extend((round > 0).then(|| (clock.monotonic_nanos() - before) / 1000));
            }
        }
        let cpu = (cpu().0 - start) / 1000 / (took.len() as u64).max(1);
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
        println!(
            "{name}: {cpu} us CPU on average, p50 {:?} us, p99 {:?} us wall, {} queries, {rows} rows",
            at(50),
            at(99),
            took.len()
        );
    }
    store.close().unwrap();
}
