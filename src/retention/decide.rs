//! The decision: a cut for each rule, on one snapshot.
//!
//! ```text
//!   1 what has expired            terms of past times --> a cut of its own; its share of each rule noted
//!   2 what the selection holds    count: posting lists; bytes: a walk; disk: figures of the segments
//!   3 the excess, the cut         a walk over what goes, and no further
//! ```
//!
//! Costs: an age costs nothing; a count the ranks of its lists (a walk, if several lists intersect); bytes a walk over the
//! whole selection; bytes of the disk no more than what goes. For each author: the leaves with authors' terms, and then
//! the same for each author who may have too much.

use super::authors;
use super::keep::{Excess, Held};
use super::rule::{Keep, RECORD_OVERHEAD_BYTES, Rule, Rules, bytes_of, of_authors};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Key, Result};
use crate::model::Record;
use crate::query::{Expired, Order, Select, Side};
use crate::store::{Space, Store, StoreSnapshot};
use std::collections::HashMap;
use std::sync::Arc;

/// What goes by one rule, or by expiry.
pub(super) struct Cut {
    /// The rule's index; `None` for what has expired.
    pub(super) rule: Option<usize>,
    /// Where to look. Its function is asked too.
    pub(super) select: Select,
    upto: Upto,
}

/// How far.
enum Upto {
    End,
    Key(Key),
    /// By author.
    Each(HashMap<Vec<u8>, Key>),
}

impl Cut {
    /// Whether `record` goes.
    pub(super) fn takes(&self, rules: &Rules, record: Record<'_>) -> bool {
        let upto = match &self.upto {
            Upto::End => None,
            Upto::Key(key) => Some(key),
            Upto::Each(keys) => {
                match author_of(rules, record).and_then(|author| keys.get(author)) {
                    Some(key) => Some(key),
                    None => return false,
                }
            }
        };
        upto.is_none_or(|key| record.key <= *key) && (self.select.matches)(record)
    }
}

fn author_of<'a>(rules: &Rules, record: Record<'a>) -> Option<&'a [u8]> {
    rules.words.author.and_then(|author| (author.of)(record))
}

/// What has expired of a rule's records: in all, or by author.
#[derive(Default)]
struct Over {
    all: Held,
    each: HashMap<Vec<u8>, Held>,
}

struct Decision<'a> {
    store: &'a Store,
    snapshot: &'a StoreSnapshot,
    rules: &'a Rules,
    now: u64,
    space: Space,
}

/// What goes at `now`, of what is in `snapshot`, which is of now.
///
/// # Errors
/// `Corrupt` or `Io` from what is read.
pub(super) fn decide(
    store: &Store,
    snapshot: &StoreSnapshot,
    rules: &Rules,
    now: u64,
) -> Result<Vec<Cut>> {
    let decision = Decision { store, snapshot, rules, now, space: store.space() };
    let mut cuts = Vec::new();
    // 1
    let over = match decision.expired() {
        Some(select) => {
            let over = decision.over(&select)?;
            cuts.push(Cut { rule: None, select, upto: Upto::End });
            over
        }
        None => rules.rules.iter().map(|_| Over::default()).collect(),
    };
    for (i, (rule, over)) in rules.rules.iter().zip(over).enumerate() {
        let upto = match rule.each_author && matches!(rule.keep, Keep::Count(_) | Keep::Bytes(_)) {
            true => decision.each(rule, &over)?,
            false => decision.one(rule, &rule.what, over.all)?.map(Upto::Key),
        };
        cuts.extend(upto.map(|upto| decision.cut(i, rule, upto)));
    }
    Ok(cuts)
}

impl Decision<'_> {
    fn cut(&self, i: usize, rule: &Rule, upto: Upto) -> Cut {
        let mut select = self.rules.removable(&rule.what, self.now);
        let last = match &upto {
            Upto::End => u64::MAX,
            Upto::Key(key) => key.time,
            Upto::Each(keys) => keys.values().map(|key| key.time).max().unwrap_or(0),
        };
        select.until = select.until.min(last);
        if let (Upto::Each(keys), Some(author)) = (&upto, self.rules.words.author) {
            let mut terms: Vec<Vec<u8>> =
                keys.keys().map(|key| [&[author.prefix], &key[..]].concat()).collect();
            terms.sort_unstable();
            select.all_of.push(terms.into());
        }
        Cut { rule: Some(i), select, upto }
    }

    // --- 1 ---

    /// What has expired, if anything can.
    fn expired(&self) -> Option<Select> {
        let (expiry, now) = (self.rules.words.expiry?, self.now);
        let matches = Arc::new(move |record: Record<'_>| (expiry.is_over)(record, now));
        let expired = Some(Expired { expiry, now, side: Side::Only });
        Some(Select { expired, matches, ..Select::all() })
    }

    /// For each rule, what has expired of its records.
    fn over(&self, expired: &Select) -> Result<Vec<Over>> {
        let mut over: Vec<Over> = self.rules.rules.iter().map(|_| Over::default()).collect();
        let all = std::slice::from_ref(expired);
        let mut cursor = self.store.walk_at(self.snapshot, all, Order::Oldest)?;
        while let Some(record) = cursor.next()? {
            if !(expired.matches)(record) {
                continue;
            }
            for (rule, over) in self.rules.rules.iter().zip(&mut over) {
                if !(rule.what.matches)(record) {
                    continue;
                }
                let bytes = self.bytes_of(rule, record);
                over.all.add(bytes);
                if let Some(author) = author_of(self.rules, record).filter(|_| rule.each_author) {
                    over.each.entry(author.to_vec()).or_default().add(bytes);
                }
            }
        }
        Ok(over)
    }

    // --- 2, 3 ---

    /// The cut of `what`, which is the rule's selection or one author's part of it.
    fn one(&self, rule: &Rule, what: &Select, over: Held) -> Result<Option<Key>> {
        let held = self.held(rule, what)?.without(over);
        let excess = rule.keep.excess(held, self.space.garbage_percent, self.now);
        if matches!(excess, Excess::Records(0) | Excess::Bytes(0)) {
            return Ok(None);
        }
        let select = self.rules.removable(what, self.now);
        let mut cursor = None;
        excess.cut(|| {
            let cursor = match &mut cursor {
                Some(cursor) => cursor,
                none => none.insert(self.walk(&select)?),
            };
            while let Some(record) = cursor.next()? {
                if (select.matches)(record) {
                    return Ok(Some((record.key, self.bytes_of(rule, record))));
                }
            }
            Ok(None)
        })
    }

    fn walk(&self, select: &Select) -> Result<crate::query::Cursor> {
        self.store.walk_at(self.snapshot, std::slice::from_ref(select), Order::Oldest)
    }

    /// What `what` holds, as far as the rule asks.
    fn held(&self, rule: &Rule, what: &Select) -> Result<Held> {
        let mut held = Held::default();
        match rule.keep {
            Keep::Age(_) => {}
            Keep::Count(_) => {
                held.records = self.store.count_at(self.snapshot, std::slice::from_ref(what))?;
            }
            Keep::DiskBytes(_) => held.bytes = self.space.live_bytes,
            Keep::Bytes(_) => {
                let select = Select { limit: None, ..what.clone() };
                let mut cursor = self.walk(&select)?;
                while let Some(record) = cursor.next()? {
                    held.add(bytes_of(record));
                }
            }
        }
        Ok(held)
    }

    /// Bytes that a record counts for under `rule`.
    fn bytes_of(&self, rule: &Rule, record: Record<'_>) -> u64 {
        let (accounted, space) = (bytes_of(record), &self.space);
        match rule.keep {
            // Its share of the files, which may be compressed.
            Keep::DiskBytes(_) if space.segment_records > 0 => {
                let all = space.segment_raw_bytes + space.segment_records * RECORD_OVERHEAD_BYTES;
                let share = u128::from(accounted) * u128::from(space.segment_bytes);
                (share / u128::from(all.max(1))) as u64
            }
            _ => accounted,
        }
    }

    /// The cuts of all authors who have too much.
    fn each(&self, rule: &Rule, over: &Over) -> Result<Option<Upto>> {
        let Some(author) = self.rules.words.author else { return Ok(None) };
        let least = match rule.keep {
            Keep::Count(records) => records,
            // So many at least, if each were as large as records can be.
            Keep::Bytes(bytes) => bytes / (RECORD_BYTES_MAX as u64 + RECORD_OVERHEAD_BYTES),
            Keep::Age(_) | Keep::DiskBytes(_) => return Ok(None),
        };
        let mut keys = HashMap::new();
        for (number, shard) in (0u64..).zip(self.snapshot.shards()) {
            for term in authors::above(shard, author.prefix, least)? {
                let key = term[1..].to_vec();
                let (what, mine) = (rule.what.matches.clone(), key.clone());
                let matches = Arc::new(move |record: Record<'_>| {
                    (author.of)(record) == Some(&mine[..]) && what(record)
                });
                let mut select = of_authors(&rule.what, vec![term], matches);
                select.routes = Some(vec![number]);
                let over = over.each.get(&key).copied().unwrap_or_default();
                if let Some(upto) = self.one(rule, &select, over)? {
                    keys.insert(key, upto);
                }
            }
        }
        Ok((!keys.is_empty()).then_some(Upto::Each(keys)))
    }
}
