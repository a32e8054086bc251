//! The engine under a toy model: a record replaces, kills by id, kills by term, or does none of it.
//!
//! ```text
//!   body   slot u64 | value u64 | kind u8 | target 32 bytes | padding
//!   kind   0 stands beside others      1 replaces the older of its slot
//!          2 kills the record `target`  3 kills all of kind 0 of its slot that are not newer
//! ```
//!
//! The rules stand here twice: as a `Model` for the engine, and as `apply` over a list.

use super::history::Rows;
use super::subject::{Answer, Step, Subject, Told, any_of, small_options};
use crate::base::{Key, Result, Terms, hash64};
use crate::io::{Env, Rng};
use crate::model::{ByBlock, Decision, Model, Probes, Record};
use crate::query::{Order, Select};
use crate::shard::Outcome;
use crate::store::{Options, Pending, Store};
use std::path::Path;
use std::sync::Arc;

/// Where stores are.
pub const DIR: &str = "/store";
const OLDER: u8 = 7;
/// Slots that records share.
const SLOTS: u64 = 6;
const VALUES: u64 = 5;
/// Bytes of a body without padding.
const HEAD: usize = 49;

struct Rules;

impl Model for Rules {
    fn name(&self) -> &'static str {
        "toy"
    }
    fn version(&self) -> u32 {
        1
    }
    fn route(&self, record: Record<'_>) -> u64 {
        hash64(&record.body[..8])
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        terms_of(record.body).iter().for_each(|term| out.push(&[term]));
    }
    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        let [slot, ..] = terms_of(record.body);
        match record.body[16] {
            1 => out.all.push(&[&slot]),
            2 => out.dying_ids.extend(record.body[17..HEAD].first_chunk().copied()),
            3 => {
                out.dying_terms.push(&[&slot]);
                out.dying_until = record.key.time;
            }
            _ => {}
        }
    }
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], _now: u64) -> Decision {
        let rivals = || hits.iter().enumerate().filter(|(_, hit)| hit.body[16] == 1);
        if rivals().any(|(_, hit)| hit.key > record.key) {
            return Decision::Refuse { reason: OLDER };
        }
        Decision::Store { kills: rivals().map(|(i, _)| i).collect() }
    }
    fn dies(&self, record: Record<'_>, found: Record<'_>) -> bool {
        found.body[16] == 0 || record.body[16] == 2 && found.body[16] == 1
    }
}

/// Of slot, value and kind, in this order.
fn terms_of(body: &[u8]) -> [Vec<u8>; 3] {
    let slot = u64::from_le_bytes(*body.first_chunk().unwrap());
    [
        [&b"s"[..], &slot.to_be_bytes()].concat(),
        [&b"v"[..], &body[8..16]].concat(),
        vec![b'k', body[16]],
    ]
}

/// What is done to the store.
#[derive(Clone, Debug)]
pub enum Deed {
    Insert(Key, Arc<[u8]>),
    /// Records of one slot, by id.
    Remove(u64, Vec<[u8; 32]>),
}

/// The model of the toy, and what a seed makes of it.
#[derive(Clone)]
pub struct Toy {
    options: Options,
    by_block: bool,
    /// What was drawn before: it comes again now and then.
    past: Vec<(Key, Arc<[u8]>)>,
}

impl Toy {
    pub fn set_sync(&mut self, sync: crate::shard::SyncMode) {
        self.options.sync = sync;
    }

    pub fn model(&self) -> Arc<dyn Model> {
        if self.by_block { Arc::new(ByBlock(Rules)) } else { Arc::new(Rules) }
    }

    fn item(&mut self, rng: &mut Rng, now: u64) -> (Key, Arc<[u8]>) {
        if rng.chance(8) && !self.past.is_empty() {
            return self.past[rng.below(self.past.len() as u64) as usize].clone();
        }
        let mut id = [0; 32];
        rng.fill(&mut id);
        let late = if rng.chance(4) { rng.below(40) } else { 0 };
        let kind = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3][rng.below(10) as usize];
        let mut body = rng.below(SLOTS).to_le_bytes().to_vec();
        body.extend_from_slice(&rng.below(VALUES).to_le_bytes());
        body.push(kind);
        body.extend_from_slice(&[0; 32]);
        if kind == 2 && !self.past.is_empty() {
            let recent = self.past.len().min(30) as u64;
            let target = &self.past[self.past.len() - 1 - rng.below(recent) as usize];
            body[..8].copy_from_slice(&target.1[..8]);
            body[17..HEAD].copy_from_slice(&target.0.id);
        }
        let padding = if rng.chance(12) { rng.below(1_500) } else { rng.below(60) };
        body.resize(HEAD + padding as usize, now as u8);
        let item = (Key { time: now.saturating_sub(late), id }, body.into());
        self.past.push(item.clone());
        item
    }
}

impl Subject for Toy {
    type Open = Store;
    type Deed = Deed;
    const NAME: &'static str = "toy";

    fn new(rng: &mut Rng) -> Toy {
        let shards = if rng.chance(8) { 2 } else { 1 };
        let mut options = Options { shards: Some(shards), ..small_options(rng) };
        options.memory_bytes = options.memory_bytes_min(shards).max(1 << 20);
        Toy { options, by_block: rng.chance(3), past: Vec::new() }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn open(&self, env: &Env) -> Result<Store> {
        Store::open(Path::new(DIR), self.model(), &self.options, env.clone())
    }

    fn store(open: &Store) -> &Store {
        open
    }

    fn shard(&self, body: &[u8]) -> usize {
        (hash64(&body[..8]) & (self.options.shards.unwrap_or(1) as u64 - 1)) as usize
    }

    fn draw(&mut self, rng: &mut Rng, now: u64, rows: &[Rows]) -> Deed {
        let rows = &rows[rng.below(rows.len() as u64) as usize];
        let crowded = rows.len() > 30;
        if rows.is_empty() || !rng.chance(if crowded { 3 } else { 14 }) {
            let (key, body) = self.item(rng, now);
            return Deed::Insert(key, body);
        }
        let any = rng.below(rows.len() as u64) as usize;
        let slot = rows.values().nth(any).map_or(0, |body| slot_of(body));
        let of_slot = rows.iter().filter(|(_, body)| slot_of(body) == slot);
        let mut ids: Vec<[u8; 32]> = of_slot.map(|(key, _)| key.id).collect();
        ids.truncate(1 + rng.below(if crowded { 12 } else { 3 }) as usize);
        if rng.chance(4) {
            ids.push([0xee; 32]);
        }
        Deed::Remove(slot, ids)
    }

    fn apply(&self, deed: &Deed, _: u64, rows: &mut [Rows], step: &mut Step<'_>) -> Answer {
        let shard = match deed {
            Deed::Insert(_, body) => self.shard(body),
            Deed::Remove(slot, _) => self.shard(&slot.to_le_bytes()),
        };
        let answer = apply(deed, &mut rows[shard]);
        step(shard, &rows[shard]);
        answer
    }

    fn perform(&self, store: &Store, deeds: &[Deed], told: &mut dyn FnMut(Told)) {
        let mut waiting = Vec::new();
        let answered = |waiting: &mut Vec<(usize, Result<Pending<'_>>)>,
                        told: &mut dyn FnMut(Told)| {
            for (nth, pending) in waiting.drain(..) {
                told(Told::Answered(nth, pending.and_then(Pending::wait).map(answer)));
            }
        };
        for (nth, deed) in deeds.iter().enumerate() {
            told(Told::Submitted(nth));
            match deed {
                Deed::Insert(key, body) => {
                    waiting.push((nth, store.insert(Record { key: *key, body })));
                }
                Deed::Remove(slot, ids) => {
                    let removed = store.remove(hash64(&slot.to_le_bytes()), ids);
                    // What was handed over before has its answer before.
                    answered(&mut waiting, told);
                    let removed = removed.map(|count| Answer::Removed(count as usize));
                    told(Told::Answered(nth, removed));
                }
            }
        }
        answered(&mut waiting, told);
    }

    fn probe(&self, store: &Store, rows: &Rows, rng: &mut Rng) -> std::result::Result<(), String> {
        let terms = [
            vec![vec![b'k', rng.below(4) as u8]],
            vec![
                [&b"s"[..], &rng.below(SLOTS).to_be_bytes()].concat(),
                [&b"v"[..], &rng.below(VALUES).to_le_bytes()].concat(),
            ],
            vec![[&b"s"[..], &rng.below(SLOTS).to_be_bytes()].concat(), vec![b'k', 1]],
        ];
        for (nth, all_of) in terms.into_iter().enumerate() {
            let expected = rows.iter().filter(|(_, body)| {
                let has = terms_of(body);
                all_of.iter().all(|term| has.contains(term))
            });
            let mut expected: Vec<Key> = expected.map(|(key, _)| *key).collect();
            let order = if nth == 1 { Order::Oldest } else { Order::Newest };
            if order == Order::Newest {
                expected.reverse();
            }
            let select = select(all_of.clone());
            if nth == 0 {
                let count =
                    store.count(std::slice::from_ref(&select)).map_err(|e| e.to_string())?;
                if count != expected.len() as u64 {
                    return Err(format!(
                        "{count} counted under {all_of:?}, not {}",
                        expected.len()
                    ));
                }
            }
            let found = keys(store, select, order).map_err(|error| error.to_string())?;
            if found != expected {
                return Err(format!("under {all_of:?}: {found:?}, not {expected:?}"));
            }
        }
        for _ in 0..2 {
            let Some((key, body)) = any_of(rng, &self.past) else { break };
            let found = store.get(&key.id, |record| record.body == &body[..]);
            let expected = rows.contains_key(key).then_some(true);
            match found {
                Ok(found) if found == expected => {}
                Err(error) => return Err(format!("by its id {key:?}: {error}")),
                found => return Err(format!("by its id {key:?} is {found:?}, not {expected:?}")),
            }
        }
        Ok(())
    }
}

fn apply(deed: &Deed, rows: &mut Rows) -> Answer {
    let before = rows.len();
    match deed {
        Deed::Remove(_, ids) => {
            rows.retain(|key, _| !ids.contains(&key.id));
            Answer::Removed(before - rows.len())
        }
        Deed::Insert(key, body) => {
            if rows.keys().any(|other| other.id == key.id) {
                return Answer::Duplicate;
            }
            let (slot, kind) = (slot_of(body), body[16]);
            let rival = |other: &[u8]| other[16] == 1 && slot_of(other) == slot;
            if kind == 1 && rows.iter().any(|(k, other)| k > key && rival(other)) {
                return Answer::Refused;
            }
            rows.retain(|k, other| match kind {
                1 => !rival(other),
                2 => k.id != body[17..HEAD] || other[16] > 1,
                3 => other[16] != 0 || slot_of(other) != slot || k.time > key.time,
                _ => true,
            });
            let replaced = before - rows.len();
            rows.insert(*key, body.clone());
            Answer::Stored(replaced)
        }
    }
}

fn slot_of(body: &[u8]) -> u64 {
    u64::from_le_bytes(*body.first_chunk().unwrap())
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Stored { replaced, .. } => Answer::Stored(replaced as usize),
        Outcome::Duplicate => Answer::Duplicate,
        Outcome::Refused(_) => Answer::Refused,
        Outcome::Removed { records } => Answer::Removed(records as usize),
        Outcome::Done => Answer::Removed(0),
    }
}

fn select(all_of: Vec<Vec<u8>>) -> Select {
    let wanted = all_of.clone();
    Select {
        all_of: all_of.into_iter().map(|term| vec![term].into()).collect(),
        matches: Arc::new(move |record| {
            let has = terms_of(record.body);
            wanted.iter().all(|term| has.contains(term))
        }),
        ..Select::all()
    }
}

fn keys(store: &Store, select: Select, order: Order) -> Result<Vec<Key>> {
    let mut cursor = store.query(&[select], order)?;
    let mut keys = Vec::new();
    while let Some(record) = cursor.next()? {
        keys.push(record.key);
    }
    Ok(keys)
}
