//! A query of a row, and every event of its answer looked at.

use super::workload::{Answer, Facts, Row};
use crate::base::Result;
use crate::nostr::{EventStore, Filter, write_event};
use crate::query::Order;
use std::hint::black_box;

/// Asks, and looks at every event of the answer; returns how many there were. `json` is for rows that want it.
///
/// # Errors
/// Of the store.
pub fn answer(store: &EventStore, row: &Row, filter: &Filter, json: &mut Vec<u8>) -> Result<u64> {
    let filters = std::slice::from_ref(filter);
    if row.answer == Answer::Count {
        return store.count(filters);
    }
    if let (Answer::Get, Some(&[id])) = (row.answer, filter.ids.as_deref()) {
        return Ok(u64::from(black_box(store.get(&id)?).is_some()));
    }
    json.clear();
    let mut rows = 0;
    let mut events = store.query(filters)?;
    while let Some(event) = events.next()? {
        match row.answer {
            Answer::Json => write_event(&event, json),
            _ => {
                black_box((event.id(), event.pubkey(), event.content_bytes().len()));
            }
        }
        rows += 1;
    }
    black_box(&json);
    Ok(rows)
}

/// Lets `facts` see every event of a store.
///
/// # Errors
/// Of the store.
pub fn gather(store: &EventStore, mut facts: Facts) -> Result<Facts> {
    let mut events = store.query_at(&store.snapshot(), &[Filter::default()], Order::Oldest)?;
    while let Some(event) = events.next()? {
        facts.see(&event);
    }
    Ok(facts)
}
