//! Segments, what is not sealed yet, and what retention takes of them; and who follows.

use super::ask::{expected, said, same};
use super::machine::{Following, Machine};
use super::naive::{Ask, Line};
use ratite::base::SegmentId;
use ratite::logs::{LogRetention, Position, SegmentMeta};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Which records are in which segment.
pub type Contents = BTreeMap<SegmentId, BTreeSet<Position>>;

impl Machine {
    /// Looks at each segment with a cursor of its own: together they are the list.
    pub fn segments(&self) -> Contents {
        let (store, list) = (self.store(), self.naive.sorted());
        let metas = store.segments().unwrap();
        assert!(metas.is_sorted_by_key(|meta| (meta.start, meta.id)), "in order of time");
        let known: BTreeMap<Position, &Arc<Line>> =
            list.iter().map(|line| (line.position, line)).collect();
        let mut contents = Contents::new();
        for meta in &metas {
            assert_eq!(store.segment(meta.id).unwrap().as_ref(), Some(meta));
            contents.insert(meta.id, self.look_into(meta, &known));
        }
        let all: Vec<Position> = contents.values().flatten().copied().collect();
        let different: BTreeSet<Position> = all.iter().copied().collect();
        assert_eq!(all.len(), different.len(), "a record is in two segments");
        assert!(different.iter().eq(known.keys()), "the segments are not the list");
        let active: Vec<SegmentId> = store.active().unwrap().iter().map(|meta| meta.id).collect();
        let unsealed = metas.iter().filter(|meta| !meta.sealed).map(|meta| meta.id);
        assert!(unsealed.eq(active.iter().copied()));
        contents
    }

    fn look_into(
        &self,
        meta: &SegmentMeta,
        known: &BTreeMap<Position, &Arc<Line>>,
    ) -> BTreeSet<Position> {
        let mut cursor = self.store().cursor_of(meta.id).unwrap();
        assert!(cursor.prev().unwrap().is_none());
        let (mut found, mut raw_bytes) = (Vec::new(), 0);
        while let Some(record) = cursor.next().unwrap() {
            let record = said(record);
            raw_bytes += record.2.len() as u64;
            let line = known.get(&record.0).unwrap_or_else(|| panic!("{record:?} is not known"));
            assert_eq!(record, expected(line));
            found.push(record.0);
        }
        assert!(found.is_sorted());
        // And back again.
        for position in found.iter().rev().take(20) {
            assert_eq!(cursor.prev().unwrap().map(|record| record.position()), Some(*position));
        }
        let times = (found[0].ts, found[found.len() - 1].ts);
        assert_eq!((meta.start, meta.end, meta.records), (times.0, times.1, found.len() as u64));
        assert!(meta.bytes > 0 && meta.raw_bytes >= raw_bytes, "{meta:?}, {raw_bytes} raw bytes");
        assert!(meta.sealed || meta.raw_bytes == raw_bytes, "{meta:?}, {raw_bytes} raw bytes");
        found.into_iter().collect()
    }

    pub fn seal(&self) {
        let store = self.store();
        let in_memory: u64 = store.active().unwrap().iter().map(|meta| meta.records).sum();
        let writes = self.disk.writes_and_syncs();
        let sealed = store.seal().unwrap();
        assert!(store.active().unwrap().is_empty());
        assert!(sealed.iter().all(|meta| meta.sealed));
        assert!(sealed.iter().map(|meta| meta.records).sum::<u64>() >= in_memory);
        if in_memory == 0 {
            assert_eq!((sealed.len(), self.disk.writes_and_syncs()), (0, writes), "it did nothing");
        }
    }

    /// What goes by the rules, read to the letter: the oldest segment by its newest record, as long as a rule says so.
    pub fn doomed(&self, rules: &LogRetention) -> Vec<SegmentMeta> {
        let mut left = self.store().segments().unwrap();
        left.sort_by_key(|meta| (meta.end, meta.start, meta.id));
        let mut doomed = Vec::new();
        while let Some(first) = left.iter().position(|meta| meta.sealed) {
            let age = rules.age.map(|age| age.as_micros() as u64);
            let is_old =
                age.is_some_and(|age| self.now() >= age && left[first].end < self.now() - age);
            let bytes: u64 = left.iter().filter(|meta| meta.sealed).map(|meta| meta.bytes).sum();
            let records: u64 = left.iter().map(|meta| meta.records).sum();
            let goes = is_old
                || rules.bytes.is_some_and(|most| bytes > most)
                || rules.records.is_some_and(|most| records > most);
            if !goes {
                break;
            }
            doomed.push(left.remove(first));
        }
        doomed
    }

    pub fn retain(&mut self, rules: &LogRetention) {
        let contents = self.segments();
        let doomed = self.doomed(rules);
        let (store, now) = (self.store(), self.now());
        assert_eq!(store.retain_dry_run(rules, now).unwrap().segments, doomed, "{rules:?}");
        let gone = store.retain(rules, now).unwrap();
        let left = store.segments().unwrap();
        if gone.segments != doomed {
            // One was merged before its turn, and what it became is not as old.
            let merged = |id| left.iter().all(|meta| meta.id != id);
            let late = doomed.iter().filter(|meta| !gone.segments.contains(meta));
            assert!(
                late.clone().count() > 0 && late.clone().all(|meta| merged(meta.id)),
                "{rules:?}"
            );
        }
        assert!(self.doomed(rules).is_empty(), "what is left is as {rules:?} say");
        let mut forgotten: BTreeSet<Position> = contents.into_values().flatten().collect();
        for meta in &left {
            let mut cursor = self.store().cursor_of(meta.id).unwrap();
            while let Some(record) = cursor.next().unwrap() {
                assert!(forgotten.remove(&record.position()));
            }
        }
        assert_eq!(gone.records(), forgotten.len() as u64);
        if !gone.segments.is_empty() {
            self.naive.marked = self.naive.last;
        }
        self.forget(std::iter::once(&forgotten));
        self.segments();
    }

    /// Takes records out of the list.
    pub fn forget<'a>(&mut self, gone: impl Iterator<Item = &'a BTreeSet<Position>>) {
        let gone: BTreeSet<Position> = gone.flatten().copied().collect();
        self.naive.lines.retain(|line| !gone.contains(&line.position));
    }

    pub fn follow(&mut self, slot: usize, ask: &Ask) {
        let ask = Ask { reverse: false, ..ask.clone() };
        let stored = self.naive.matching(&ask);
        let skipped = if ask.limit == 0 { 0 } else { stored.len().saturating_sub(ask.limit) };
        let left: VecDeque<_> = stored[skipped..].iter().cloned().collect();
        let follow = self.store().follow(&ask.query()).unwrap();
        self.follows[slot] = Some(Following { follow, ask, left });
    }

    /// What a follower is given next: `most` records, or all that there are.
    pub fn followed(&mut self, slot: usize, most: usize) {
        let Some(Following { follow, ask, left }) = &mut self.follows[slot] else { return };
        let (mut found, mut wanted) = (Vec::new(), Vec::new());
        while found.len() < most {
            let Some(record) = follow.next(Duration::ZERO).unwrap() else { break };
            found.push(said(record));
            wanted.extend(left.pop_front());
        }
        same(&found, &wanted, &|| format!("who follows {ask:?}"));
        assert!(found.len() == most || left.is_empty(), "{} are missing of {ask:?}", left.len());
    }
}
