//! What a gathered shard has forgotten of its dead, found again: the records that killed are still stored.
//!
//! ```text
//!   gathered shard: all its records, newest first -- probes, decide, dies --> dead again, in the same shard
//!   every shard:    all its records, and its log --- far_probes, dies_far --> dead again, in gathered shards
//! ```
//!
//! I1. A record was let in by what was there when it came. So what would refuse it is not asked; what came later and
//!     killed it says so itself.
//! I2. A record kills also if another one killed it: else what it replaced would come back once it was deleted.
//!     Who was replaced need not, since its successor kills what it killed: newest first, that bounds the work.
//!
//! Costs: the body of each record of a gathered shard; with one, those of all other shards.

use super::Bench;
use super::shard::Plan;
use crate::base::{Key, Ordinal, Result, ShardId, Terms, hash64};
use crate::io::Disk;
use crate::maintain::log::Log;
use crate::model::{Decision, Probes, Record};
use crate::segment::{Body, Segment};
use crate::shard::format::{EntryKind, Manifest, read_entry};
use crate::shard::{Config, manifest};
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

/// The segments of a shard, and what of them is dead.
struct Held {
    segments: Vec<(Arc<Segment>, HashSet<Ordinal>)>,
    /// What died of something newer of its own kind (I2).
    replaced: HashSet<Place>,
}

/// A segment's index and an ordinal in it.
type Place = (usize, Ordinal);

/// Lets the rules say again who is dead in the shards whose manifests were gathered.
pub fn settle(bench: &mut Bench<'_>, plans: &mut [Plan]) -> Result<()> {
    let gathered: Vec<usize> = (0..plans.len()).filter(|&i| plans[i].guessed).collect();
    // A dry run has no new files to look into.
    if gathered.is_empty() || bench.dry_run {
        return Ok(());
    }
    let mut held: Vec<Held> = Vec::new();
    for &i in &gathered {
        held.push(Held::open(bench, &plans[i].config, &plans[i].manifest));
    }
    let before: Vec<usize> = held.iter().map(Held::dead).collect();
    far(bench, plans, &mut held)?;
    for held in &mut held {
        near(bench, held)?;
    }
    for ((&i, held), before) in gathered.iter().zip(&held).zip(before) {
        let plan = &mut plans[i];
        held.write_into(&mut plan.manifest);
        let path = plan.config.dir.join(manifest::name(plan.manifest.generation));
        bench.act(&path, format!("{} records are dead by the rules", held.dead() - before));
    }
    Ok(())
}

impl Held {
    fn open(bench: &Bench<'_>, config: &Config, manifest: &Manifest) -> Held {
        let open = |one: &crate::shard::format::ManifestSegment| {
            let segment = bench.scene.open(config, one.id).ok()?;
            Some((segment, one.dead.iter().copied().collect()))
        };
        let segments = manifest.segments.iter().filter_map(open).collect();
        Held { segments, replaced: HashSet::new() }
    }

    fn dead(&self) -> usize {
        self.segments.iter().map(|(_, dead)| dead.len()).sum()
    }

    fn is_dead(&self, (segment, ordinal): Place) -> bool {
        self.segments[segment].1.contains(&ordinal)
    }

    fn kill(&mut self, (segment, ordinal): Place) {
        self.segments[segment].1.insert(ordinal);
    }

    fn write_into(&self, manifest: &mut Manifest) {
        for (segment, dead) in &self.segments {
            let of_it = manifest.segments.iter_mut().filter(|one| one.id == segment.info().id);
            for one in of_it {
                one.dead = dead.iter().copied().collect();
                one.dead.sort_unstable();
            }
        }
    }

    fn read<T>(&self, (segment, ordinal): Place, read: impl FnOnce(Record<'_>) -> T) -> Result<T> {
        let segment = &self.segments[segment].0;
        let body = segment.body(ordinal, Body::default())?;
        Ok(read(Record { key: segment.key(ordinal)?, body: &body }))
    }

    /// The living under `term` up to a time.
    fn under(&self, term: &[u8], until: u64, out: &mut Vec<Place>) -> Result<()> {
        let hash = hash64(term);
        for (i, (segment, dead)) in self.segments.iter().enumerate() {
            if !segment.may_have_term_hash(hash) {
                continue;
            }
            let Some(list) = segment.term(term)? else { continue };
            let (mut cursor, mut end) = (list.cursor(segment), segment.bounds(0, until)?.end);
            while end > 0
                && let Some(o) = cursor.seek_le(end - 1)?
            {
                if !dead.contains(&o) {
                    out.push((i, o));
                }
                end = o;
            }
        }
        Ok(())
    }

    /// Kills those of the living whom `probes` names as dying, if `dies` says so.
    fn kill_dying(&mut self, probes: &Probes, dies: impl Fn(Record<'_>) -> bool) -> Result<()> {
        let mut found = Vec::new();
        for id in &probes.dying_ids {
            for (i, (segment, dead)) in self.segments.iter().enumerate() {
                if segment.may_have_id(id)
                    && let Some(o) = segment.find(id)?.filter(|o| !dead.contains(o))
                {
                    found.push((i, o));
                }
            }
        }
        for term in probes.dying_terms.iter() {
            self.under(term, probes.dying_until, &mut found)?;
        }
        for place in found {
            if self.read(place, &dies)? {
                self.kill(place);
            }
        }
        Ok(())
    }

    /// All that is not dead, newest first; `visit` may kill.
    fn each(
        &mut self,
        mut visit: impl FnMut(&mut Held, Place, Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let (mut heap, mut dead) = (BinaryHeap::<(Key, Place)>::new(), Vec::new());
        let below = |segment: &Segment, end: Ordinal, dead: &HashSet<Ordinal>| {
            let next = (0..end).rev().find(|o| !dead.contains(o));
            next.map(|o| segment.key(o).map(|key| (key, o))).transpose()
        };
        // Who was dead before, as against who dies on the way (I2).
        dead.extend(self.segments.iter().map(|(_, dead)| dead.clone()));
        for (i, (segment, _)) in self.segments.iter().enumerate() {
            let first = below(segment, segment.records(), &dead[i])?;
            heap.extend(first.map(|(key, o)| (key, (i, o))));
        }
        // Of each segment the body read last: its neighbours may come with it.
        let mut bodies: Vec<Body> = self.segments.iter().map(|_| Body::default()).collect();
        while let Some((key, (i, o))) = heap.pop() {
            let segment = self.segments[i].0.clone();
            if !self.replaced.contains(&(i, o)) {
                bodies[i] = segment.body(o, std::mem::take(&mut bodies[i]))?;
                visit(self, (i, o), Record { key, body: &bodies[i] })?;
            }
            heap.extend(below(&segment, o, &dead[i])?.map(|(key, o)| (key, (i, o))));
        }
        Ok(())
    }
}

/// What the records of one shard kill there.
fn near(bench: &Bench<'_>, held: &mut Held) -> Result<()> {
    let model = bench.scene.model.clone();
    let mut probes = Probes::default();
    held.each(|held, own, record| {
        probes.clear();
        model.probes(record, &mut probes);
        replace(&**bench.scene.model, held, own, record, &probes.all)?;
        held.kill_dying(&probes, |found| found.key.id != record.key.id && model.dies(record, found))
    })
}

/// What a record replaces, found under `all`.
fn replace(
    model: &dyn crate::model::Model,
    held: &mut Held,
    own: Place,
    record: Record<'_>,
    all: &Terms,
) -> Result<()> {
    let mut found = Vec::new();
    for term in all.iter() {
        held.under(term, u64::MAX, &mut found)?;
    }
    found.retain(|place| *place != own);
    if found.is_empty() {
        return Ok(());
    }
    let copy = |record: Record<'_>| (record.key, record.body.to_vec());
    let copies: Vec<(Key, Vec<u8>)> =
        found.iter().map(|&place| held.read(place, copy)).collect::<Result<_>>()?;
    let hits: Vec<Record<'_>> =
        copies.iter().map(|(key, body)| Record { key: *key, body }).collect();
    // The time of day is not what was lost.
    let gone = match model.decide(record, &hits, 0) {
        Decision::Store { kills } => kills.into_iter().map(|i| found[i]).collect(),
        Decision::Refuse { .. } if held.is_dead(own) => Vec::new(),
        Decision::Refuse { .. } => vec![own],
    };
    for place in gone {
        held.kill(place);
        held.replaced.insert(place);
    }
    Ok(())
}

/// What the records of all shards kill in gathered ones.
fn far(bench: &Bench<'_>, plans: &[Plan], gathered: &mut [Held]) -> Result<()> {
    let model = bench.scene.model.clone();
    let mut probes = Probes::default();
    let mut reach = |record: Record<'_>| -> Result<()> {
        probes.clear();
        model.far_probes(record, &mut probes);
        if probes.dying_ids.is_empty() && probes.dying_terms.is_empty() {
            return Ok(());
        }
        let dies = |found: Record<'_>| model.dies_far(record, found);
        gathered.iter_mut().try_for_each(|held| held.kill_dying(&probes, dies))
    };
    for shard in 0..bench.scene.site.shards {
        let config = bench.scene.site.config(shard as ShardId);
        let planned = plans.iter().find(|plan| plan.config.shard == config.shard);
        let manifest = match planned {
            Some(plan) => Some(plan.manifest.clone()),
            None => manifest::read(&*bench.scene.disk, &config)?,
        };
        let Some(manifest) = manifest else { continue };
        Held::open(bench, &config, &manifest).each(|_, _, record| reach(record))?;
        let disk: Arc<dyn Disk> = bench.scene.disk.clone();
        let files = bench.scene.site.files(&disk, config.shard, 0);
        Log::read(&files, &manifest)?.visit(&mut |_, block| {
            let entries = block.unwrap_or_default();
            let mut entries = entries.iter().filter_map(|bytes| read_entry(bytes).ok());
            entries.try_for_each(|entry| match entry.kind {
                EntryKind::Put => reach(entry.record),
                EntryKind::Remove => Ok(()),
            })
        })?;
    }
    Ok(())
}
