//! Verification: every byte that a checksum covers, and every claim that one file makes of another.
//!
//! ```text
//!   STORE -> each shard: manifests -> segments (verify/segment.rs) -> log (verify/shard.rs) -> texts (texts.rs)
//! ```
//!
//! I1. It changes nothing: it sees the disk through `ReadOnly`, takes no lock, and so may run beside a
//!     process that has the store open. What vanishes meanwhile, because a newer manifest no longer
//!     needs it, is looked up again there; what is only just being written is looked at twice.
//! I2. Memory is bounded: a pool, and what a shard has of manifests and log blocks.
//!
//! Costs: each segment is read twice, once page by page and once by its records and terms.

mod exact;
mod segment;
mod shard;
mod sum;

use super::readonly::ReadOnly;
use super::report::{Notebook, Report, Witness};
use super::site::{Site, shard_dir, small_file};
use super::texts;
use crate::base::limits::SHARDS_MAX;
use crate::base::{Error, PageSize, Result, SegmentId, ShardId};
use crate::io::{Disk, Env};
use crate::model::{Model, Record};
use crate::pool::Pool;
use crate::segment::Segment;
use crate::shard::Config;
use crate::shard::format::ManifestSegment;
use crate::store::{self, STORE_BYTES, birth};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the pool that record and term walks read through.
const POOL_BYTES: usize = 64 << 20;

/// What the parts of a verification, and of a repair, share.
pub(super) struct Scene<'a> {
    pub(super) disk: Arc<ReadOnly>,
    pub(super) site: Site,
    pub(super) model: &'a Arc<dyn Model>,
    pub(super) pool: Arc<Pool>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(env: &Env, site: Site, model: &'a Arc<dyn Model>) -> Scene<'a> {
        let pool = Pool::new(POOL_BYTES, site.page);
        Scene { disk: Arc::new(ReadOnly(env.disk.clone())), site, model, pool }
    }

    /// Opens a segment of a shard.
    pub(super) fn open(&self, config: &Config, id: SegmentId) -> Result<Arc<Segment>> {
        let expect = (config.store, config.shard, self.model.name(), self.model.version());
        Segment::open(&self.pool, &*self.disk, &config.dir, id, expect, None)
    }

    /// Whether the model knows the record, and it belongs to this shard.
    pub(super) fn check_record(
        &self,
        config: &Config,
        record: Record<'_>,
    ) -> std::result::Result<(), String> {
        self.model.check(record)?;
        let shard = self.model.route(record) & (self.site.shards as u64 - 1);
        match shard == u64::from(config.shard) {
            true => Ok(()),
            false => Err(format!("a record of shard {shard} lies in shard {}", config.shard)),
        }
    }

    /// Whether nothing is wrong with one segment of a shard.
    ///
    /// # Errors
    /// What is no finding.
    pub(super) fn is_whole(&self, config: &Config, listed: &ManifestSegment) -> Result<bool> {
        let mut book = Notebook { report: Report::default(), witness: &mut (), total: 0 };
        Ok(segment::check(self, config, listed, &mut book)? && book.report.is_healthy())
    }
}

/// Looks at all of the store in `dir`, and tells `witness` on the way.
///
/// # Errors
/// `Io` if a directory cannot be read; `Mismatch` and `WrongVersion` if the store is none of this
/// program's; `Corrupt` if neither STORE nor the other files say whose store it is. Damage is no error:
/// it is in the report.
pub fn run(
    env: &Env,
    dir: &Path,
    model: &Arc<dyn Model>,
    witness: &mut dyn Witness,
) -> Result<Report> {
    let begun = env.clock.monotonic_nanos();
    let disk = ReadOnly(env.disk.clone());
    let mut book = Notebook { report: Report::default(), witness, total: bytes_of(&disk, dir) };
    let site = check_store(&disk, dir, &**model, &mut book)?;
    let scene = Scene::new(env, site, model);
    for shard in 0..scene.site.shards {
        shard::check(&scene, shard as ShardId, &mut book)?;
    }
    for shard in scene.site.shards..SHARDS_MAX {
        let dir = shard_dir(dir, shard);
        if scene.disk.list(&dir).is_ok_and(|names| !names.is_empty()) {
            book.note(&dir, None, "unknown", "the store has fewer shards than this");
        }
    }
    texts::check(&disk, dir, &mut book)?;
    let mut report = book.report;
    report.nanos = env.clock.monotonic_nanos().saturating_sub(begun);
    Ok(report)
}

/// Whose store it is, and whether STORE is whole.
fn check_store(
    disk: &dyn Disk,
    dir: &Path,
    model: &dyn Model,
    book: &mut Notebook<'_>,
) -> Result<Site> {
    let path = dir.join(birth::STORE);
    let names = disk.list(dir)?;
    for name in &names {
        let known = [birth::STORE, "LOCK"].contains(&name.as_str());
        match name.as_str() {
            _ if known => {}
            "STORE.new" => {
                book.note(&dir.join(name), None, "orphan", "a creation was interrupted");
            }
            _ => book.note(&dir.join(name), None, "unknown", "the store has no such file"),
        }
    }
    book.report.counts.files += 1;
    match Site::read(disk, dir, model) {
        Ok(site) => {
            check_padding(disk, &path, STORE_BYTES, book)?;
            Ok(site)
        }
        // Another program's store is not damaged; but one flipped byte must not make it one.
        Err(error @ Error::WrongVersion { .. }) if birth::is_whole(disk, dir)? => Err(error),
        Err(error @ (Error::WrongVersion { .. } | Error::Corrupt { .. })) => {
            let site = Site::settle(disk, dir, model).ok_or_else(|| unsettled(&error, &path))?;
            let offset = if let Error::Corrupt { offset, .. } = error { offset } else { 0 };
            book.problem(&path, offset, "store", what_of(&error));
            Ok(site)
        }
        Err(error) => Err(error),
    }
}

/// The error of a store that nobody can say whose it is.
fn unsettled(error: &Error, path: &Path) -> Error {
    match error {
        Error::WrongVersion { path, found, supported } => {
            let (path, found, supported) = (path.clone(), *found, *supported);
            Error::WrongVersion { path, found, supported }
        }
        error => {
            let what = what_of(error);
            Error::corrupt(path, 0, format!("{what}, and the other files do not say whose it is"))
        }
    }
}

/// Whether nothing but zeros stands behind the first `used` bytes of a small file.
fn check_padding(disk: &dyn Disk, path: &Path, used: usize, book: &mut Notebook<'_>) -> Result<()> {
    let Some(bytes) = small_file(disk, path, u64::MAX)? else { return Ok(()) };
    book.read(bytes.len() as u64);
    let padding = bytes.get(used..).unwrap_or(&[]);
    if let Some(at) = padding.iter().position(|&byte| byte != 0) {
        book.problem(path, (used + at) as u64, "padding", "the padding is not zero");
    }
    Ok(())
}

/// What an error says beside file and offset.
fn what_of(error: &Error) -> String {
    match error {
        Error::Corrupt { what, .. } => what.clone(),
        Error::Io { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

/// Takes an error that is a finding for one: damage, and files that the system does not give.
pub(super) fn found(
    error: Error,
    path: &Path,
    kind: &'static str,
    book: &mut Notebook<'_>,
) -> Result<()> {
    let offset = match &error {
        Error::Corrupt { offset, .. } => Some(*offset),
        Error::WrongVersion { .. } | Error::Mismatch { .. } => Some(0),
        Error::Io { .. } => None,
        _ => return Err(error),
    };
    book.problem(path, offset, kind, what_of(&error));
    Ok(())
}

/// Bytes of all files, for progress.
fn bytes_of(disk: &dyn Disk, dir: &Path) -> u64 {
    let dirs = (0..SHARDS_MAX).map(|shard| shard_dir(dir, shard)).chain([store::texts::dir(dir)]);
    let files = dirs.flat_map(|dir| {
        let names = disk.list(&dir).unwrap_or_default();
        names.into_iter().map(move |name| dir.join(name))
    });
    files.filter_map(|path| disk.open_read(&path).ok()).map(|file| file.len()).sum()
}

/// Bytes of a page, for offsets.
fn page_bytes(page: PageSize) -> u64 {
    page.bytes() as u64
}
