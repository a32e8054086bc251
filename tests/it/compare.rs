//! Compares a store's answers with those of the literal rules.

use crate::naive::random::World;
use crate::naive::{Ask, Ev, Naive};
use ratite::nostr::{
    Event, EventStore, Events, Filter, FilterError, Inserted, parse_filters, write_event,
};
use ratite::query::Order;
use ratite::{base::Result, io::Rng};
use serde_json::Value;
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    /// Answers of stores to queries that this thread has compared.
    pub static ANSWERS: Cell<u64> = const { Cell::new(0) };
}

/// Inserts and waits.
pub fn insert(store: &EventStore, event: &Event) -> Result<Inserted> {
    store.insert(&event.as_ref())?.wait()
}

/// The filters of `asks`, by way of JSON as a client sends it.
pub fn filters(asks: &[Ask], rng: &mut Rng) -> Vec<Filter> {
    let values: Vec<Value> = asks.iter().map(Ask::value).collect();
    let whole =
        if values.len() == 1 && rng.chance(2) { values[0].clone() } else { Value::Array(values) };
    let text = if rng.chance(8) { format!("{whole:#}") } else { whole.to_string() };
    let parsed: std::result::Result<_, FilterError> = parse_filters(text.as_bytes());
    parsed.unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The ids of the answer; every event in it is compared to the letter if `whole`.
pub fn collect(mut events: Events, naive: &Naive, whole: bool) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut json = Vec::new();
    while let Some(event) = events.next()? {
        let id: String = event.id().iter().map(|b| format!("{b:02x}")).collect();
        if whole {
            json.clear();
            write_event(&event, &mut json);
            let found: Value = serde_json::from_slice(&json).expect("JSON");
            let stored = naive.find(&id).unwrap_or_else(|| panic!("{id} is not stored"));
            assert_eq!(found, stored.value());
        }
        ids.push(id);
    }
    assert!(events.next()?.is_none(), "an answer goes on behind its end");
    Ok(ids)
}

pub fn ids(events: &[Arc<Ev>]) -> Vec<String> {
    events.iter().map(|ev| ev.id.clone()).collect()
}

/// Everything that the store holds, newest first, compared to the letter with what `naive` knows.
pub fn everything(store: &EventStore, naive: &Naive) -> Result<Vec<String>> {
    collect(store.query(&[Filter::default()])?, naive, true)
}

/// The store holds exactly what `naive` does.
pub fn same(store: &EventStore, naive: &Naive) {
    let expected = ids(&naive.answer(&[Ask::default()], false));
    assert_eq!(everything(store, naive).unwrap(), expected, "all events");
}

/// Asks the store `count` random queries.
pub fn check(store: &EventStore, naive: &Naive, world: &mut World, count: usize) {
    for _ in 0..count {
        let asks = world.query(naive);
        one(store, naive, &asks, &mut world.rng).unwrap();
    }
    for _ in 0..count / 10 {
        let Some(ev) = world.any() else { return };
        let found = store.get(&ev.id_bytes()).unwrap().map(|event| event.to_json());
        let found: Option<Value> = found.map(|json| serde_json::from_slice(&json).expect("JSON"));
        assert_eq!(found, naive.find(&ev.id).map(|ev| ev.value()), "get {}", ev.id);
    }
    assert!(store.get(&world.no_id()).unwrap().is_none());
}

/// Compares the store's answers to one query: both orders, count, plan.
///
/// # Errors
/// Whatever the store meets.
pub fn one(store: &EventStore, naive: &Naive, asks: &[Ask], rng: &mut Rng) -> Result<()> {
    let filters = filters(asks, rng);
    let oldest = rng.chance(3);
    let order = if oldest { Order::Oldest } else { Order::Newest };
    let expected = ids(&naive.answer(asks, oldest));
    let events = store.query_at(&store.snapshot(), &filters, order)?;
    let found = collect(events, naive, rng.chance(12))?;
    let show = || serde_json::to_string(&asks.iter().map(Ask::value).collect::<Vec<_>>());
    assert_eq!(found, expected, "{order:?} of {}", show().unwrap());
    if rng.chance(3) {
        assert_eq!(store.count(&filters)?, naive.count(asks), "count of {}", show().unwrap());
    }
    if rng.chance(16) {
        assert!(store.explain(&filters)?.contains("selection 1 of"));
    }
    ANSWERS.set(ANSWERS.get() + 1);
    Ok(())
}
