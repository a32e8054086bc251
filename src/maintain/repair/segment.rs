//! A damaged segment made anew from the records that can still be read whole.
//!
//! ```text
//!   old: key(o), body(o) whole, in order, known to the model? -- yes --> new segment, terms by the model
//!                                                             \- no ---> named as lost
//! ```
//!
//! I1. The dead stay dead: their ordinals are mapped. None is dropped here, so that this is no compaction.

use super::{Bench, Lost, insist};
use crate::base::{Error, Key, Ordinal, Result, SegmentId, Terms};
use crate::model::Record;
use crate::segment::{Body, Builder, NewSegment, Segment, file_name};
use crate::shard::Config;
use crate::shard::format::ManifestSegment;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The old segment's records on their way.
struct Salvage<'a> {
    segment: Arc<Segment>,
    config: &'a Config,
    path: PathBuf,
    dead: HashSet<Ordinal>,
    last: Option<Key>,
}

/// Builds a new segment of what can be read of `old`; `None` if that is nothing. In a dry run, nothing is
/// built, and the new one is listed under the old name.
pub fn rebuild(
    bench: &mut Bench<'_>,
    config: &Config,
    old: &ManifestSegment,
) -> Result<Option<ManifestSegment>> {
    let path = config.dir.join(file_name(old.id));
    let segment = match insist(|| bench.scene.open(config, old.id)) {
        Ok(segment) => segment,
        Err(error) => {
            all_lost(bench, config, old, &error);
            return Ok(None);
        }
    };
    let dead = old.dead.iter().copied().collect();
    let mut salvage = Salvage { segment, config, path: path.clone(), dead, last: None };
    let id = if bench.dry_run { old.id } else { new_id(bench) };
    let mut builder = if bench.dry_run { None } else { Some(salvage.create(bench, id)?) };
    let mut new = ManifestSegment { id, records: 0, dead: Vec::new() };
    let (mut terms, mut previous) = (Terms::new(), Body::default());
    for ordinal in 0..salvage.segment.records() {
        let (key, body) = match salvage.read(bench, ordinal, std::mem::take(&mut previous)) {
            Ok(read) => read,
            Err(lost) => {
                bench.done.lost.push(*lost);
                continue;
            }
        };
        salvage.last = Some(key);
        if let Some(builder) = &mut builder {
            terms.clear();
            bench.scene.model.terms(Record { key, body: &body }, &mut terms);
            terms.seal();
            builder.add(key, &body, &terms)?;
        }
        if salvage.dead.contains(&ordinal) {
            new.dead.push(new.records);
        }
        new.records += 1;
        previous = body;
    }
    if let Some(builder) = builder {
        builder.finish()?;
        bench.env.disk.sync_dir(&config.dir)?;
    }
    let (saved, of) = (new.records, salvage.segment.records());
    bench.act(&path, format!("made anew as {}: {saved} of {of} records", file_name(id)));
    Ok((new.records > 0).then_some(new))
}

fn new_id(bench: &Bench<'_>) -> SegmentId {
    let mut random = [0; 10];
    bench.env.entropy.fill(&mut random);
    SegmentId::v7(bench.env.clock.unix_micros() / 1000, random)
}

fn all_lost(bench: &mut Bench<'_>, config: &Config, old: &ManifestSegment, error: &Error) {
    let path = config.dir.join(file_name(old.id));
    let records = u64::from(old.records);
    bench.done.lost.push(Lost {
        path: path.clone(),
        offset: offset_of(error),
        records,
        ordinal: None,
        time: None,
        id: None,
        dead: old.dead.len() as u64 == records,
        what: format!("the whole segment: {error}"),
    });
    bench.act(&path, "dropped from the manifest");
}

fn offset_of(error: &Error) -> Option<u64> {
    if let Error::Corrupt { offset, .. } = error { Some(*offset) } else { None }
}

impl Salvage<'_> {
    fn create(&self, bench: &Bench<'_>, id: SegmentId) -> Result<Builder> {
        let (config, model) = (self.config, &bench.scene.model);
        let new = NewSegment {
            id,
            store: config.store,
            shard: config.shard,
            page: config.page,
            model: (model.name(), model.version()),
            ids: model.ids(),
            mark: model.mark(),
            compression: self.segment.info().compression,
        };
        Builder::create(&*bench.env.disk, &config.dir, new)
    }

    /// Record `ordinal`, if it is whole.
    fn read(
        &self,
        bench: &Bench<'_>,
        ordinal: Ordinal,
        mut previous: Body,
    ) -> std::result::Result<(Key, Body), Box<Lost>> {
        let unread = |error| self.lost(ordinal, offset_of(&error), &error);
        let key = insist(|| self.segment.key(ordinal)).map_err(unread)?;
        let body = insist(|| self.segment.body(ordinal, std::mem::take(&mut previous)));
        let body = body.map_err(unread)?;
        if self.last.is_some_and(|last| last >= key) {
            return Err(self.lost(ordinal, None, &"its key does not ascend"));
        }
        let checked = bench.scene.check_record(self.config, Record { key, body: &body });
        checked.map_err(|what| self.lost(ordinal, None, &what))?;
        Ok((key, body))
    }

    fn lost(&self, ordinal: Ordinal, offset: Option<u64>, what: &dyn ToString) -> Box<Lost> {
        Box::new(Lost {
            path: self.path.clone(),
            offset,
            records: 1,
            ordinal: Some(ordinal),
            time: self.segment.time(ordinal).ok(),
            id: self.segment.id(ordinal).ok(),
            dead: self.dead.contains(&ordinal),
            what: what.to_string(),
        })
    }
}
