//! One shard: what stays, what is made anew, and the manifest that says so.
//!
//! ```text
//!   plan        damaged files linked to quarantine; new segments and log files written     (nothing counts yet)
//!   carry_out   manifest N + 1 durable; then the damaged leave their places
//! ```

use super::manifest::{Base, base, settle_log};
use super::{Bench, Lost, log, segment};
use crate::base::{Result, ShardId};
use crate::io::Disk;
use crate::maintain::log::Log;
use crate::segment::file_name;
use crate::shard::format::Manifest;
use crate::shard::{Config, manifest};
use std::path::PathBuf;
use std::sync::Arc;

/// A shard's future.
pub struct Plan {
    pub config: Config,
    pub manifest: Manifest,
    /// Whether the manifest was put together from what is there: what of it is dead is not all known.
    pub guessed: bool,
    /// Damaged files, kept in quarantine, that have no more business here.
    leave: Vec<PathBuf>,
}

/// Makes everything new that shard `shard` needs; `None` if it needs nothing.
pub fn plan(bench: &mut Bench<'_>, shard: ShardId) -> Result<Option<Plan>> {
    let config = bench.scene.site.config(shard);
    let damaged = &bench.done.before.damaged;
    let own: Vec<PathBuf> =
        damaged.iter().filter(|p| p.starts_with(&config.dir)).cloned().collect();
    if own.is_empty() {
        return Ok(None);
    }
    bench.env.disk.create_dir(&config.dir)?;
    let names = bench.env.disk.list(&config.dir)?;
    let here = |path: &PathBuf| {
        path.file_name().and_then(|n| n.to_str()).is_some_and(|n| names.iter().any(|has| has == n))
    };
    let leave: Vec<PathBuf> = own.iter().filter(|path| here(path)).cloned().collect();
    for path in &leave {
        bench.quarantine.keep(path)?;
        bench.act(path, "moved to quarantine");
    }
    let Base { manifest: mut next, highest, guessed } = base(bench, &config)?;
    // The segments first: what the log kills is looked up in those that stay.
    mend_segments(bench, &config, &mut next, &own)?;
    mend_log(bench, &config, &mut next, &own, guessed)?;
    next.generation = highest + 1;
    Ok(Some(Plan { config, manifest: next, guessed, leave }))
}

fn mend_segments(
    bench: &mut Bench<'_>,
    config: &Config,
    next: &mut Manifest,
    own: &[PathBuf],
) -> Result<()> {
    let mut segments = Vec::new();
    let names = bench.env.disk.list(&config.dir)?;
    for old in std::mem::take(&mut next.segments) {
        let path = config.dir.join(file_name(old.id));
        if !names.contains(&file_name(old.id)) {
            bench.done.lost.push(Lost {
                path: path.clone(),
                offset: None,
                records: u64::from(old.records),
                ordinal: None,
                time: None,
                id: None,
                dead: false,
                what: "the file is not there".into(),
            });
            bench.act(&path, "dropped from the manifest");
        } else if own.contains(&path) {
            segments.extend(segment::rebuild(bench, config, &old)?);
        } else {
            segments.push(old);
        }
    }
    next.segments = segments;
    Ok(())
}

fn mend_log(
    bench: &mut Bench<'_>,
    config: &Config,
    next: &mut Manifest,
    own: &[PathBuf],
    guessed: bool,
) -> Result<()> {
    let disk: Arc<dyn Disk> = bench.scene.disk.clone();
    let files = bench.scene.site.files(&disk, config.shard, 0);
    let found = Log::read(&files, next)?;
    let is_log = |path: &PathBuf| crate::wal::survey::number_of(path).is_some();
    if !guessed && !found.is_damaged() && !own.iter().any(is_log) {
        return Ok(());
    }
    if found.is_damaged() {
        log::name_losses(bench, &found);
    }
    let skip = match guessed {
        true => settle_log(bench, config, next, &found)?,
        false => Default::default(),
    };
    let (range, unreadable) = log::rewrite(bench, config, &found, &skip)?;
    (next.log_start, next.log_end) = (range.start, range.end);
    if unreadable > 0 {
        bench.done.lost.push(Lost {
            path: config.dir.clone(),
            offset: None,
            records: unreadable,
            ordinal: None,
            time: None,
            id: None,
            dead: false,
            what: "entries of the log that the model does not know".into(),
        });
    }
    Ok(())
}

/// Makes the plan the truth.
pub fn carry_out(bench: &mut Bench<'_>, plan: Plan) -> Result<()> {
    let disk = &*bench.env.disk;
    manifest::write(disk, &plan.config, &plan.manifest)?;
    let names = disk.list(&plan.config.dir)?;
    for path in &plan.leave {
        // The manifest's writer has removed what is older than the one before.
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| names.iter().any(|has| has == name)) {
            disk.remove(path)?;
        }
    }
    disk.sync_dir(&plan.config.dir)
}
