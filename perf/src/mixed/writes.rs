//! The writes of a mixed run: single inserts at a low rate, many at once, removals.

use super::shared::{BUSY, DONE, RETENTION, ROUNDS, Removal, STAGES, Schedule, Shared};
use crate::Result;
use crate::clock::{Meter, thread_cpu};
use crate::events::{Batch, Events};
use ratite::base::Key;
use ratite::nostr::{Class, EventRef, Filter, Inserted, Pending, class, select};
use ratite::query::{Order, Select};
use ratite::retention::{Keep, Limits, Rule, Rules, apply};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// One of so many events that were inserted in bulk is remembered.
const REMEMBERED: u64 = 32;

/// Removals between two looks at the clock, as many as retention makes at a time.
const GROUP: usize = 128;
/// Events that are read before some are removed.
const PASS: usize = 4_096;

/// Inserts one event after the other until all is done; a meter for each stage. Only stored ones count.
pub fn publish(shared: &Shared<'_>, mut events: Events, per_second: f64) -> Result<Vec<Meter>> {
    let mut stages: Vec<Meter> = STAGES.iter().map(|_| Meter::new()).collect();
    let mut schedule = Schedule::new(per_second);
    let mut batch = Batch::default();
    while events.next(&mut batch)? {
        for event in batch.events() {
            let event = event?;
            let (due, stage) = schedule.wait(shared);
            if stage == DONE {
                return Ok(stages);
            }
            let cpu = thread_cpu();
            let outcome = shared.store.insert(&event)?.wait()?;
            let (wall, cpu) = (due.elapsed().as_nanos() as u64, thread_cpu() - cpu);
            if matches!(outcome, Inserted::Stored | Inserted::Replaced) {
                remember(shared, &event);
                if let Some(meter) = stages.get_mut(stage) {
                    meter.record(wall, cpu, 1);
                }
            }
        }
    }
    eprintln!("the file has no more events to publish");
    Ok(stages)
}

fn remember(shared: &Shared<'_>, event: &EventRef<'_>) {
    if class(event.kind()) == Class::Regular {
        shared.keep(Key { time: event.created_at(), id: *event.id() });
    }
}

/// Inserts with `outstanding` answers open while the stage is busy; returns how many were stored.
pub fn insert(
    shared: &Shared<'_>,
    mut events: Events,
    outstanding: usize,
    per_second: Option<f64>,
) -> Result<u64> {
    let mut under_way: VecDeque<(Option<Key>, Pending<'_>)> = VecDeque::new();
    let mut batch = Batch::default();
    let (mut stored, mut handed, mut began) = (0, 0, None);
    let mut settle = |(key, pending): (Option<Key>, Pending<'_>)| -> Result<()> {
        if matches!(pending.wait()?, Inserted::Stored | Inserted::Replaced) {
            stored += 1;
            key.into_iter().for_each(|key| shared.keep(key));
        }
        Ok(())
    };
    'all: loop {
        match shared.stage() {
            BUSY => {}
            _ if began.is_some() => break,
            DONE => break,
            _ => {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
        }
        let began = *began.get_or_insert_with(Instant::now);
        if !events.next(&mut batch)? {
            eprintln!("the file has no more events to insert");
            break;
        }
        for event in batch.events() {
            let event = event?;
            if under_way.len() >= outstanding {
                under_way.pop_front().map_or(Ok(()), &mut settle)?;
            }
            let remembered = handed % REMEMBERED == 0 && class(event.kind()) == Class::Regular;
            let key = remembered.then(|| Key { time: event.created_at(), id: *event.id() });
            under_way.push_back((key, shared.store.insert(&event)?));
            handed += 1;
            if let Some(rate) = per_second {
                let due = began + Duration::from_secs_f64(handed as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            if shared.stage() != BUSY {
                break 'all;
            }
        }
    }
    under_way.into_iter().try_for_each(&mut settle)?;
    Ok(stored)
}

/// Removes one round's group of the older half; returns how many there were.
pub fn remove(shared: &Shared<'_>, round: u64, per_second: f64) -> Result<u64> {
    let (store, removal) = (shared.store.engine(), &shared.removal);
    removal.begun.store(round + 1, SeqCst);
    let (started, mut removed, mut since, mut last) = (Instant::now(), 0, 0, None);
    loop {
        let what = select(&Filter { since, until: removal.until, ..Filter::default() });
        let mut ids = vec![Vec::new(); store.shard_count()];
        let (mut count, mut more) = (0, false);
        let mut cursor = store.walk_at(&store.snapshot(), &[what], Order::Oldest)?;
        while let Some(record) = cursor.next()? {
            if last.is_some_and(|last| record.key <= last) {
                continue;
            }
            (since, last) = (record.key.time, Some(record.key));
            if Removal::group(&record.key.id) == round % ROUNDS {
                ids[store.shard_number(record)].push(record.key.id);
                count += 1;
            }
            if count == PASS {
                more = true;
                break;
            }
        }
        drop(cursor);
        for (shard, ids) in ids.iter().enumerate() {
            for group in ids.chunks(GROUP) {
                removed += remove_group(shared, shard, group)?;
                let due = started + Duration::from_secs_f64(removed as f64 / per_second);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        if !more {
            removal.done.store(round + 1, SeqCst);
            return Ok(removed);
        }
    }
}

/// As retention does it: looked up first, so that the shard finds the pages in memory.
fn remove_group(shared: &Shared<'_>, shard: usize, ids: &[[u8; 32]]) -> Result<u64> {
    let store = shared.store.engine();
    for id in ids {
        store.get(id, |_| ())?;
    }
    Ok(store.remove(shard as u64, ids)?)
}

/// Has a rule of retention take what is older than it keeps, at the pace that it has by default; returns how many went.
pub fn retain(shared: &Shared<'_>) -> Result<u64> {
    let (store, removal) = (shared.store.engine(), &shared.removal);
    let (name, what, keep) = ("age".to_string(), Select::all(), Keep::Age(1));
    let rules = vec![Rule { name, what, keep, each_author: false }];
    let rules = Rules { rules, ..Rules::default() };
    removal.begun.store(RETENTION, SeqCst);
    // What is more than a second older than this is older than `aged`.
    let now = removal.aged + 1;
    let report = apply(store, &rules, now, Limits::default(), &AtomicBool::new(false))?;
    removal.done.store(RETENTION, SeqCst);
    Ok(report.removed())
}
