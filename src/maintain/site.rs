//! Whose store it is: what STORE says, or, if that is damaged, what all other files say together.
//!
//! ```text
//!   STORE whole  ----------------------------> store id, page size, shards
//!   STORE damaged: manifests -> store id; segments -> page size; directories -> shards
//! ```
//!
//! I1. A settlement without STORE is one only if all files that say something say the same.

use crate::base::limits::SHARDS_MAX;
use crate::base::{Error, PageSize, Result, SegmentId, ShardId, StoreId};
use crate::io::{Buf, Disk};
use crate::model::Model;
use crate::segment::format as seg;
use crate::shard::{Config, format as shard, manifest};
use crate::store::{self, Options, birth};
use crate::wal::{Files, survey::Survey};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every file of a store carries or depends on.
#[derive(Clone, Debug)]
pub struct Site {
    pub dir: PathBuf,
    pub store: StoreId,
    pub page: PageSize,
    pub shards: usize,
}

/// The bytes of a small file, `None` if it has more than `most`.
pub fn small_file(disk: &dyn Disk, path: &Path, most: u64) -> Result<Option<Buf>> {
    let file = disk.open_read(path)?;
    let align = file.align();
    let bytes = file.len() - file.len() % align as u64;
    if bytes > most {
        return Ok(None);
    }
    let mut buf = Buf::zeroed(bytes as usize, align);
    file.read_at(0, &mut buf)?;
    Ok(Some(buf))
}

impl Site {
    /// As STORE says.
    pub fn read(disk: &dyn Disk, dir: &Path, model: &dyn Model) -> Result<Site> {
        let Some(birth) = birth::read(disk, dir)? else {
            return Err(Error::corrupt(dir.join(birth::STORE), 0, "it is not there"));
        };
        let (page, shards) = birth.check(dir, model, &Options::default())?;
        Ok(Site { dir: dir.into(), store: birth.id(), page, shards })
    }

    /// As all other files say, if there are some and they agree (I1).
    pub fn settle(disk: &dyn Disk, dir: &Path, model: &dyn Model) -> Option<Site> {
        let mut here = Vec::new();
        for n in 0..SHARDS_MAX {
            // One that cannot be looked at is not one that is not there.
            here.extend(holds_shard(disk, dir, n).ok()?.then_some(n));
        }
        let shards = here.len();
        if !shards.is_power_of_two() || here.last() != Some(&(shards - 1)) {
            return None;
        }
        let (mut stores, mut pages) = (Vec::new(), Vec::new());
        for shard in 0..shards {
            let dir = shard_dir(dir, shard);
            for name in disk.list(&dir).ok()? {
                stores.extend(store_in(disk, &dir.join(&name)));
                pages.extend(page_in(disk, &dir.join(&name), model)?);
            }
        }
        let store = *stores.first()?;
        // Without a segment, no file depends on the page size.
        let page = pages.first().copied().unwrap_or_default();
        let agree = stores.iter().all(|s| *s == store) && pages.iter().all(|p| *p == page);
        agree.then(|| Site { dir: dir.into(), store, page, shards })
    }

    /// The settings of a shard.
    pub fn config(&self, shard: ShardId) -> Config {
        store::config_of_files(&self.dir, self.store, self.page, usize::from(shard))
    }

    /// The log files of a shard.
    pub fn files(&self, disk: &Arc<dyn Disk>, shard: ShardId, file_bytes: u32) -> Files {
        let dir = shard_dir(&self.dir, usize::from(shard));
        Files { disk: disk.clone(), dir, file_bytes, store: self.store, shard }
    }
}

/// The directory of a shard.
pub fn shard_dir(dir: &Path, shard: usize) -> PathBuf {
    dir.join(format!("shard-{shard:02}"))
}

fn holds_shard(disk: &dyn Disk, dir: &Path, shard: usize) -> Result<bool> {
    match disk.list(&shard_dir(dir, shard)) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
        names => Ok(!names?.is_empty()),
    }
}

/// The store that a whole manifest or log file names.
fn store_in(disk: &dyn Disk, path: &Path) -> Option<StoreId> {
    let name = path.file_name()?.to_str()?;
    if manifest::generation(name).is_some() {
        let bytes = small_file(disk, path, u64::MAX).ok()??;
        return shard::belongs_to(&bytes).map(|(store, _)| store);
    }
    let number = crate::wal::survey::number_of(path)?;
    let header = Survey::open(disk, path, number).ok()?.header().ok()??;
    // One that waits to be written again may be left from the store that a reshard has replaced.
    (header.whole && header.number == number).then_some(header.store)
}

/// The page size of a segment whose header is whole, nothing if it is not; `None` if the segment is of
/// another model.
fn page_in(disk: &dyn Disk, path: &Path, model: &dyn Model) -> Option<Option<PageSize>> {
    let name = path.file_name()?.to_str()?;
    let Some(id) = crate::segment::parse_file_name(name) else { return Some(None) };
    let Some((header, page)) = whole_header(disk, path, id) else { return Some(None) };
    let of = (header.model_name().ok()?, header.model_version.get());
    (of == (model.name(), model.version())).then_some(Some(page))
}

/// The header of the segment `id`, if its page is whole.
pub fn whole_header(
    disk: &dyn Disk,
    path: &Path,
    id: SegmentId,
) -> Option<(seg::Header, PageSize)> {
    let file = disk.open_read(path).ok()?;
    PageSize::ALL.into_iter().find_map(|page| {
        let mut buf = Buf::zeroed(page.bytes(), file.align().max(page.bytes()));
        file.read_at(0, &mut buf).ok()?;
        crate::pool::format::check_page(&buf, &id.0, 0).ok()?;
        Some((seg::Header::parse(&buf).ok()?, page))
    })
}
