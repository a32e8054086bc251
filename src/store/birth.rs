//! The STORE file: what a store was created with, written last and never changed.
//!
//! I1. A directory is a store when STORE is there; it is made into one only if it holds nothing else.
//!
//! Errors: `Corrupt` and `WrongVersion` name the file; `Mismatch` names the setting that disagrees.

use super::budget::Plan;
use super::{Options, config};
use crate::base::limits::{SETTINGS_BYTES_MAX, SHARDS_MAX};
use crate::base::{Crc64, Error, PageSize, Result, StoreId, check_same, planted};
use crate::io::{Buf, Disk, Env, threads};
use crate::model::Model;
use crate::shard::Shard;
use std::path::Path;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of the STORE file.
pub const VERSION: u32 = 2;
pub(crate) const MAGIC: [u8; 8] = *b"RATSTOR1";
/// Name of the file.
pub(crate) const STORE: &str = "STORE";
const STORE_NEW: &str = "STORE.new";

/// The STORE file: what can never change, padded with zeros to the file's alignment.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Birth {
    magic: [u8; 8],
    version: U32,
    page_bytes: U32,
    store: [u8; 16],
    shards: U32,
    model_version: U32,
    /// Name of the model, padded with zeros.
    model: [u8; 16],
    /// How many bytes of the model's settings there are.
    settings_bytes: u8,
    /// The model's settings, padded with zeros.
    settings: [u8; 63],
    /// Of all before it.
    crc: U64,
}

/// Bytes of the STORE file that count.
pub const STORE_BYTES: usize = size_of::<Birth>();
const _: () = assert!(SETTINGS_BYTES_MAX == 63);
const _: () = assert!(STORE_BYTES == 128 && std::mem::offset_of!(Birth, crc) == 120);

/// Makes `dir`, which holds nothing else, a store with empty shards.
pub(super) fn create(dir: &Path, model: &dyn Model, options: &Options, env: &Env) -> Result<Birth> {
    let own = ["LOCK", STORE_NEW];
    if let Some(foreign) = env.disk.list(dir)?.into_iter().find(|n| !own.contains(&n.as_str())) {
        let why = format!("{} holds no store, but the file {foreign}", dir.display());
        return Err(Error::invalid("data directory", why));
    }
    let (page, shards) = layout_of_new(options);
    let mut random = [0; 10];
    let plan = Plan::new(options, page, shards)?;
    env.entropy.fill(&mut random);
    let id = StoreId::v7(env.clock.unix_micros() / 1000, random);
    for shard in 0..SHARDS_MAX {
        let config = config(dir, id, shard, options, &plan);
        clear_unborn(&*env.disk, &config.dir)?;
        if shard < shards {
            Shard::create(env, &config)?;
        }
    }
    let birth = Birth::of(id, page, shards, model)?;
    write(&*env.disk, dir, &birth)?;
    Ok(birth)
}

/// The page size and the number of shards of a store that `options` make.
fn layout_of_new(options: &Options) -> (PageSize, usize) {
    let of_cores = || threads::cores().next_power_of_two().min(SHARDS_MAX);
    (options.page.unwrap_or_default(), options.shards.unwrap_or_else(of_cores))
}

/// The page size and the number of shards of the store in `dir`, or of the one that `options` make there.
///
/// # Errors
/// As [`Birth::check_layout`]; `Io`; `Corrupt` and `WrongVersion` of STORE.
pub(super) fn layout_in(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
) -> Result<(PageSize, usize)> {
    let birth = match read(disk, dir) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        birth => birth?,
    };
    birth.map_or(Ok(layout_of_new(options)), |birth| birth.check_layout(dir, options))
}

/// Removes what an interrupted creation left. Log files and segments are never left by one: a
/// directory with those has lost its STORE file.
fn clear_unborn(disk: &dyn Disk, shard: &Path) -> Result<()> {
    let names = match disk.list(shard) {
        Ok(names) => names,
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if let Some(name) = names.iter().find(|n| !n.starts_with("manifest-")) {
        let what = format!("{} holds {name}, but the STORE file is missing", shard.display());
        return Err(Error::corrupt(shard, 0, what));
    }
    names.iter().try_for_each(|name| disk.remove(&shard.join(name)))
}

/// Makes `dir` a store: durable on return.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, birth: &Birth) -> Result<()> {
    write_as(disk, dir, STORE, birth)
}

/// Writes `birth` as the file `name` of `dir`: durable on return.
pub(crate) fn write_as(disk: &dyn Disk, dir: &Path, name: &str, birth: &Birth) -> Result<()> {
    let new = dir.join(STORE_NEW);
    if disk.list(dir)?.iter().any(|n| n == STORE_NEW) {
        disk.remove(&new)?;
    }
    let file = disk.create(&new, 0)?;
    file.write_at(0, &Buf::padded(birth.as_bytes(), file.align()))?;
    file.sync()?;
    // Renamed only now, so that it is whole whenever it is there.
    disk.rename(&new, &dir.join(name))?;
    if planted!(StoreNameNotSynced) { Ok(()) } else { disk.sync_dir(dir) }
}

/// Whether `dir` is a store.
pub(crate) fn holds_store(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    Ok(disk.list(dir)?.iter().any(|n| n == STORE))
}

/// The STORE file of `dir`, if there is one.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Birth>> {
    read_as(disk, dir, STORE)
}

/// The model's settings that the store in `dir` keeps; `None` if there is no store, or none that says.
pub fn settings_of(disk: &dyn Disk, dir: &Path) -> Option<Vec<u8>> {
    // Whoever opens the store meets the failure, and says so.
    read(disk, dir).ok()?.map(|birth| birth.settings().to_vec())
}

/// The name of the model of the store in `dir`; `None` if there is no store, or none that says.
pub fn model_name_of(disk: &dyn Disk, dir: &Path) -> Option<String> {
    // As above.
    let birth = read(disk, dir).ok()??;
    let name = birth.model.split(|b| *b == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The file `name` of `dir`, written by [`write_as`], if there is one.
pub(crate) fn read_as(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Option<Birth>> {
    if !disk.list(dir)?.iter().any(|n| n == name) {
        return Ok(None);
    }
    let path = dir.join(name);
    let file = disk.open_read(&path)?;
    let align = file.align();
    let mut buf = Buf::zeroed(STORE_BYTES.next_multiple_of(align), align);
    file.read_at(0, &mut buf)?;
    Birth::parse(&path, &buf).map(Some)
}

/// Whether the STORE file of `dir` is what was written, be it of another version.
pub(crate) fn is_whole(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    let file = disk.open_read(&dir.join(STORE))?;
    let mut buf = Buf::zeroed(STORE_BYTES.next_multiple_of(file.align()), file.align());
    file.read_at(0, &mut buf)?;
    let birth = Birth::read_from_prefix(&buf).ok();
    Ok(birth.is_some_and(|(birth, _)| birth.magic == MAGIC && birth.crc.get() == birth.checksum()))
}

/// The fields of a STORE file as text, and whether it is whole. For tools.
pub(crate) fn fields(bytes: &[u8]) -> (Vec<(&'static str, String)>, bool) {
    let Ok((birth, _)) = Birth::read_from_prefix(bytes) else { return (Vec::new(), false) };
    let fields = vec![
        ("version", birth.version.to_string()),
        ("store", birth.id().to_string()),
        ("page_bytes", birth.page_bytes.to_string()),
        ("shards", birth.shards.to_string()),
        ("model", String::from_utf8_lossy(&birth.model).trim_end_matches('\0').to_string()),
        ("model_version", birth.model_version.to_string()),
        ("settings", birth.settings().iter().map(|byte| format!("{byte:02x}")).collect()),
    ];
    (fields, birth.magic == MAGIC && birth.crc.get() == birth.checksum())
}

impl Birth {
    /// What the file `path` says, whose contents begin with `bytes`.
    ///
    /// # Errors
    /// `Corrupt` and `WrongVersion`.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Birth> {
        let short = |_| Error::corrupt(path, 0, "it is too short");
        let (birth, _) = Birth::read_from_prefix(bytes).map_err(short)?;
        if birth.magic != MAGIC {
            return Err(Error::corrupt(path, 0, "it does not begin like a STORE file"));
        }
        if birth.version.get() != VERSION {
            let found = birth.version.get();
            return Err(Error::WrongVersion { path: path.into(), found, supported: VERSION });
        }
        if birth.crc.get() != birth.checksum() {
            return Err(Error::corrupt(path, 0, "its checksum does not match"));
        }
        Ok(birth)
    }

    /// Of a store with these settings.
    ///
    /// # Errors
    /// `Invalid` if the model's settings do not fit.
    pub(crate) fn of(
        id: StoreId,
        page: PageSize,
        shards: usize,
        model: &dyn Model,
    ) -> Result<Birth> {
        let own = model.settings();
        if own.len() > SETTINGS_BYTES_MAX {
            let why = format!("{} bytes are more than {SETTINGS_BYTES_MAX}", own.len());
            return Err(Error::invalid("settings of the model", why));
        }
        let mut settings = [0; SETTINGS_BYTES_MAX];
        settings[..own.len()].copy_from_slice(&own);
        let mut name = [0; 16];
        name[..model.name().len()].copy_from_slice(model.name().as_bytes());
        let mut birth = Birth {
            magic: MAGIC,
            version: U32::new(VERSION),
            page_bytes: U32::new(page.bytes() as u32),
            store: id.0,
            shards: U32::new(shards as u32),
            model_version: U32::new(model.version()),
            model: name,
            settings_bytes: own.len() as u8,
            settings,
            crc: U64::ZERO,
        };
        birth.crc = U64::new(birth.checksum());
        Ok(birth)
    }

    /// The model's settings.
    fn settings(&self) -> &[u8] {
        &self.settings[..usize::from(self.settings_bytes).min(SETTINGS_BYTES_MAX)]
    }

    /// The store's id.
    pub(crate) fn id(&self) -> StoreId {
        StoreId(self.store)
    }

    /// Compares what the store was created with to what is asked for now.
    pub(crate) fn check(
        &self,
        dir: &Path,
        model: &dyn Model,
        options: &Options,
    ) -> Result<(PageSize, usize)> {
        let name = String::from_utf8_lossy(&self.model);
        check_same(dir, "the model", name.trim_end_matches('\0'), model.name())?;
        check_same(dir, "model version", self.model_version.get(), model.version())?;
        if self.settings() != model.settings() {
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let (stored, asked) = (hex(self.settings()), hex(&model.settings()));
            return Err(Error::mismatch(dir, "model settings", stored, asked));
        }
        self.check_layout(dir, options)
    }

    /// Compares what the store was created with to the page size and the shards that are asked for now.
    fn check_layout(&self, dir: &Path, options: &Options) -> Result<(PageSize, usize)> {
        let (page, shards) = self.layout(dir)?;
        let asked = options.page.unwrap_or(page);
        check_same(dir, "page size", page.bytes(), asked.bytes())?;
        check_same(dir, "a number of shards of", shards, options.shards.unwrap_or(shards))?;
        Ok((page, shards))
    }

    /// The page size and the number of shards.
    pub(crate) fn layout(&self, dir: &Path) -> Result<(PageSize, usize)> {
        let page_bytes = self.page_bytes.get() as usize;
        let Some(page) = PageSize::from_bytes(page_bytes) else {
            let what = format!("{page_bytes} is no page size");
            return Err(Error::corrupt(dir.join(STORE), 12, what));
        };
        let shards = self.shards.get() as usize;
        if !shards.is_power_of_two() || shards > SHARDS_MAX {
            let what = format!("{shards} is no number of shards");
            return Err(Error::corrupt(dir.join(STORE), 32, what));
        }
        Ok((page, shards))
    }

    fn checksum(&self) -> u64 {
        Crc64::new().update(&self.as_bytes()[..std::mem::offset_of!(Birth, crc)]).finish()
    }
}
