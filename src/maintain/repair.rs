//! Repair: what is damaged is made anew from what is whole; the damaged is kept, and losses are named.
//!
//! ```text
//!   1 lock, verify: nothing wrong -> nothing done      4 the report of what is lost, durable
//!   2 STORE from what all other files say              5 manifests that name the new files
//!   3 each shard: the damaged linked to quarantine,    6 the damaged removed from their old places
//!     new segments and a new log beside the old;       7 verify again
//!     who is dead by the rules, where that was lost
//! ```
//!
//! I1. No byte of an existing file is written, STORE aside, which is replaced whole.
//! I2. Whatever leaves its place has a name in DIR/quarantine before.
//!     A damaged text of whoever serves the store keeps its place: nothing says what it said, and to do without it
//!     would let in what it kept out. That is for a person to decide.
//! I3. A crash before 5 leaves the store as it was, and new files that no manifest names; after it, the
//!     store is whole. Either way another run finishes.
//!
//! What becomes of each kind: segments in `repair/segment.rs`, the log in `repair/log.rs`, a shard and its
//! manifest in `repair/shard.rs`, the dead of a lost manifest in `repair/rules.rs`.

mod log;
mod manifest;
mod quarantine;
mod rules;
mod segment;
mod shard;

use super::report::{Report, Witness};
use super::site::{Site, shard_dir};
use super::verify::{self, Scene};
use crate::base::{Error, Result, ShardId};
use crate::io::Env;
use crate::model::Model;
use crate::store::{birth, texts};
use quarantine::Quarantine;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that could not be saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The file that it was in, by its old name.
    pub path: PathBuf,
    /// Where in the file the damage is, if it is in one place.
    pub offset: Option<u64>,
    /// How many records; 0 if that is not known.
    pub records: u64,
    /// Its ordinal, if it is one record of a segment.
    pub ordinal: Option<u32>,
    /// Its time, if that can be read.
    pub time: Option<u64>,
    /// Its id, if that can be read.
    pub id: Option<[u8; 32]>,
    /// Whether it had been removed anyway.
    pub dead: bool,
    /// What is damaged.
    pub what: String,
}

impl Lost {
    /// The loss as a line of JSON, with its line feed: what stands in the report.
    pub fn to_json_line(&self) -> String {
        quarantine::line_of(self)
    }
}

/// One thing that was done, or in a dry run would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// The file.
    pub path: PathBuf,
    /// What became of it.
    pub what: String,
}

/// What a repair did.
#[derive(Debug, Default)]
pub struct Repaired {
    /// What was wrong.
    pub before: Report,
    /// What was done about it.
    pub actions: Vec<Action>,
    /// What could not be saved.
    pub lost: Vec<Lost>,
    /// Where the losses are written down.
    pub report: Option<PathBuf>,
    /// What a second look found; `None` if nothing was done.
    pub after: Option<Report>,
}

/// What the parts of a repair share.
struct Bench<'a> {
    env: &'a Env,
    scene: Scene<'a>,
    dry_run: bool,
    quarantine: Quarantine,
    done: Repaired,
}

impl Bench<'_> {
    fn act(&mut self, path: &Path, what: impl Into<String>) {
        self.done.actions.push(Action { path: path.into(), what: what.into() });
    }
}

/// Makes the store in `dir` whole again. With `dry_run` only says what it would do.
///
/// # Errors
/// `Locked` if the store is open; as [`verify::run`]; `Io` and `Full` from writing.
pub fn run(
    env: &Env,
    dir: &Path,
    model: &Arc<dyn Model>,
    dry_run: bool,
    witness: &mut dyn Witness,
) -> Result<Repaired> {
    // Looked for before the lock, which would leave a file behind.
    if env.disk.list(dir)?.is_empty() && env.disk.list(&shard_dir(dir, 0)).is_err() {
        let why = format!("{} holds no store", dir.display());
        return Err(Error::invalid("data directory", why));
    }
    // 1
    let _lock = env.disk.lock(&dir.join("LOCK"))?;
    let before = verify::run(env, dir, model, witness)?;
    if before.is_healthy() {
        return Ok(Repaired { before, ..Repaired::default() });
    }
    let store = dir.join(birth::STORE);
    let site = match before.is_damaged(&store) {
        true => {
            Site::settle(&*env.disk, dir, &**model).or(Site::read(&*env.disk, dir, &**model).ok())
        }
        false => Some(Site::read(&*env.disk, dir, &**model)?),
    };
    let site =
        site.ok_or_else(|| Error::corrupt(&store, 0, "no other file says whose store it is"))?;
    let scene = Scene::new(env, site, model);
    let quarantine = Quarantine::new(env.disk.clone(), dir, dry_run);
    let done = Repaired { before, ..Repaired::default() };
    let mut bench = Bench { env, scene, dry_run, quarantine, done };
    // 2
    if bench.done.before.is_damaged(&store) {
        mend_store(&mut bench, &store)?;
    }
    leave_texts(&mut bench);
    // 3
    let mut plans = Vec::new();
    for shard in 0..bench.scene.site.shards {
        plans.extend(shard::plan(&mut bench, shard as ShardId)?);
    }
    rules::settle(&mut bench, &mut plans)?;
    if dry_run {
        return Ok(bench.done);
    }
    // 4
    let stamp = env.clock.unix_micros() / 1_000_000;
    bench.done.report = bench.quarantine.report(stamp, &bench.done)?;
    // 5, 6
    for plan in plans {
        shard::carry_out(&mut bench, plan)?;
    }
    // 7
    let mut done = bench.done;
    done.after = Some(verify::run(env, dir, model, &mut ())?);
    Ok(done)
}

/// Reads, and once more if that fails: the device may be able to in a moment, or give all of the bytes, and what is given
/// up here leaves the store.
fn insist<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    read().or_else(|_| read())
}

/// Says that damaged texts stay where they are (I2).
fn leave_texts(bench: &mut Bench<'_>) {
    let texts = texts::dir(&bench.scene.site.dir);
    let damaged = &bench.done.before.damaged;
    let left: Vec<PathBuf> = damaged.iter().filter(|p| p.starts_with(&texts)).cloned().collect();
    for path in left {
        bench.act(&path, "left as it is: no other file says what it said");
    }
}

/// STORE made anew from what was settled.
fn mend_store(bench: &mut Bench<'_>, path: &Path) -> Result<()> {
    let site = bench.scene.site.clone();
    if bench.env.disk.list(&site.dir)?.iter().any(|name| name == birth::STORE) {
        bench.quarantine.keep(path)?;
    }
    if !bench.dry_run {
        let birth = birth::Birth::of(site.store, site.page, site.shards, &**bench.scene.model)?;
        birth::write(&*bench.env.disk, &site.dir, &birth)?;
    }
    let (store, page, shards) = (site.store, site.page.bytes(), site.shards);
    bench.act(path, format!("written anew: store {store}, pages of {page} bytes, {shards} shards"));
    Ok(())
}
