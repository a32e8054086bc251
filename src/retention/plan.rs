//! The dry run: what would go, in figures.

use super::decide::decide;
use super::rule::{Rules, bytes_of};
use crate::base::Result;
use crate::model::Record;
use crate::query::{Order, Select};
use crate::store::Store;
use std::collections::BTreeMap;

/// What would go at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The time it was made for, in the unit of the records.
    pub now: u64,
    /// What has expired.
    pub expired: Going,
    /// What goes by each rule, in the rules' order. A record can go by several.
    pub rules: Vec<Going>,
    /// What goes in all, each record once.
    pub all: Going,
}

/// Figures of what goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Going {
    /// The rule's name.
    pub name: String,
    /// How many records.
    pub records: u64,
    /// Their bytes as rules account them.
    pub bytes: u64,
    /// The lowest and the highest time of them.
    pub times: Option<(u64, u64)>,
    /// How many of each kind, if the model names kinds.
    pub kinds: BTreeMap<u64, u64>,
}

impl Going {
    fn new(name: &str) -> Going {
        Going { name: name.into(), ..Going::default() }
    }

    fn add(&mut self, record: Record<'_>, kind: Option<u64>) {
        self.records += 1;
        self.bytes += bytes_of(record);
        let time = record.key.time;
        let (oldest, newest) = self.times.unwrap_or((time, time));
        self.times = Some((oldest.min(time), newest.max(time)));
        if let Some(kind) = kind {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }
}

/// What would go at `now`; nothing does. Reads every record that would go.
///
/// # Errors
/// `Corrupt` or `Io`.
pub fn plan(store: &Store, rules: &Rules, now: u64) -> Result<Plan> {
    let snapshot = store.snapshot();
    let cuts = decide(store, &snapshot, rules, now)?;
    let mut plan = Plan {
        now,
        expired: Going::new("expired"),
        rules: rules.rules.iter().map(|rule| Going::new(&rule.name)).collect(),
        all: Going::new("all"),
    };
    let selects: Vec<Select> = cuts.iter().map(|cut| cut.select.clone()).collect();
    let mut cursor = store.walk_at(&snapshot, &selects, Order::Oldest)?;
    while let Some(record) = cursor.next()? {
        let kind = rules.words.kind.map(|kind| kind(record));
        let mut goes = false;
        for cut in cuts.iter().filter(|cut| cut.takes(rules, record)) {
            let going = cut.rule.map_or(&mut plan.expired, |i| &mut plan.rules[i]);
            going.add(record, kind);
            goes = true;
        }
        if goes {
            plan.all.add(record, kind);
        }
    }
    Ok(plan)
}
