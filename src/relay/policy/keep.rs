//! The file in which the decisions over NIP-86 are kept: `relay/policy.json` in the store's directory.
//!
//! 1. Write it whole under another name, sync it, rename it, sync the directory: a crash leaves the old
//!    file or the new one.
//! 2. It is padded with blanks to whole blocks, which JSON allows and direct writes ask for.

use super::managed::Managed;
use crate::base::{Error, Result};
use crate::io::{Buf, Disk};
use std::path::Path;

/// The file's name.
const NAME: &str = "policy.json";

/// Its name while it is written.
const NEW: &str = "policy.json.new";

/// What it is padded to: the block of every disk that it may be moved to.
const BLOCK_BYTES: usize = 4096;

/// Bytes of the file, at most. Ten thousand rules with the longest reasons, escaped, stay below.
const BYTES_MAX: u64 = 128 << 20;

/// What is kept in `dir`; nothing if nothing was.
///
/// # Errors
/// `Corrupt`, `WrongVersion`, `Io`.
pub(super) fn load(disk: &dyn Disk, dir: &Path) -> Result<Managed> {
    if !names(disk, dir)?.iter().any(|name| name == NAME) {
        return Ok(Managed::default());
    }
    let path = dir.join(NAME);
    let file = disk.open_read(&path)?;
    let bytes = file.len();
    if bytes > BYTES_MAX || !bytes.is_multiple_of(file.align() as u64) {
        let what =
            format!("{bytes} bytes are not what was written: whole blocks, {BYTES_MAX} at most");
        return Err(Error::corrupt(path, bytes, what));
    }
    let mut buf = Buf::zeroed(bytes as usize, file.align());
    file.read_at(0, &mut buf[..bytes as usize])?;
    Managed::from_bytes(&path, &buf[..bytes as usize])
}

/// Keeps `managed` in `dir`: durable on return (1).
///
/// # Errors
/// `Io`; then what was kept before still is.
pub(super) fn save(disk: &dyn Disk, dir: &Path, managed: &Managed) -> Result<()> {
    disk.create_dir(dir)?;
    let new = dir.join(NEW);
    if names(disk, dir)?.iter().any(|name| name == NEW) {
        disk.remove(&new)?;
    }
    let bytes = managed.to_bytes();
    let file = disk.create(&new, 0)?;
    let padded = bytes.len().next_multiple_of(file.align().max(BLOCK_BYTES));
    let mut buf = Buf::zeroed(padded, file.align());
    buf[..bytes.len()].copy_from_slice(&bytes);
    buf[bytes.len()..].fill(b' '); // 2.
    file.write_at(0, &buf)?;
    file.sync()?;
    disk.rename(&new, &dir.join(NAME))?;
    disk.sync_dir(dir)
}

fn names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Backend, Faults, simulated, system};

    fn managed(n: u16) -> Managed {
        let mut managed = Managed::default();
        let reason = "why ".repeat(usize::from(n) % 300);
        managed.set(format!("deny kind {n}").parse().unwrap(), reason).unwrap();
        managed
    }

    #[test]
    fn what_is_kept_is_there_again_on_every_backend() {
        for backend in [Backend::Auto, Backend::Posix] {
            let dir = tempfile::tempdir().unwrap();
            let (disk, dir) = (system(backend).unwrap().disk, dir.path().join("relay"));
            assert_eq!(load(&*disk, &dir).unwrap(), Managed::default());
            for n in [1, 299, 2] {
                save(&*disk, &dir, &managed(n)).unwrap();
                assert_eq!(load(&*disk, &dir).unwrap(), managed(n));
            }
            std::fs::write(dir.join(NAME), "{").unwrap();
            assert!(matches!(load(&*disk, &dir), Err(Error::Corrupt { .. })));
        }
    }

    #[test]
    fn a_crash_leaves_the_old_file_or_the_new_one() {
        let mut left_new = 0;
        for seed in 0..60 {
            let (env, sim, _) = simulated(seed, Faults::default());
            let dir = Path::new("/store/relay");
            env.disk.create_dir(Path::new("/store")).unwrap();
            save(&*env.disk, dir, &managed(1)).unwrap();
            sim.crash_after(seed % 12);
            let saved = save(&*env.disk, dir, &managed(2));
            sim.power_loss();
            let found = load(&*env.disk, dir).unwrap();
            assert!(found == managed(1) && saved.is_err() || found == managed(2), "seed {seed}");
            left_new += u32::from(found == managed(2));
            save(&*env.disk, dir, &managed(3)).unwrap();
            assert_eq!(load(&*env.disk, dir).unwrap(), managed(3));
        }
        assert!((1..60).contains(&left_new));
    }
}
