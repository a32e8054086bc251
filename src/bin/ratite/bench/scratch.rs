//! The directory that a run works in: made or found empty, and gone or empty again when it is dropped.
//!
//! 1. Only what the run put there is removed, by its name: `store` and `device`.
//! 2. The directory itself goes only if it was made here.

use super::Args;
use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::stats::mib;
use ratite::io::{Env, threads};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Bytes on disk of an event while merges have their inputs and outputs side by side, with some to spare.
const EVENT_BYTES: u64 = 4096;

/// Log files that a shard may have at once.
const LOG_FILES: u64 = 3;

/// The device file, per event and within bounds: some as large as the store will be.
const DEVICE_EVENT_BYTES: u64 = 2048;
const DEVICE_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=256 << 20;

/// A directory of the run's own.
pub struct Scratch {
    dir: PathBuf,
    is_made: bool,
}

impl Scratch {
    /// In `dir`, which is new or empty, or in a new directory in the current one.
    pub fn make(dir: Option<&Path>) -> Outcome<Scratch> {
        let default = PathBuf::from(format!("ratite-bench-{}", std::process::id()));
        let path = dir.unwrap_or(&default);
        let shown = path.display();
        let is_made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => false,
            Err(error) => {
                let remedy = match dir {
                    Some(_) => "",
                    None => "; --data names another place",
                };
                let sentence = format!("cannot make the directory {shown}: {error}{remedy}");
                return Err(Failure::Sentence(sentence));
            }
        };
        // Of what was there before nothing may be lost, so nothing may have been there.
        let mut entries = fs::read_dir(path)
            .map_err(|error| Failure::Sentence(format!("cannot read {shown}: {error}")))?;
        if entries.next().is_some() {
            let sentence = format!("{shown} is not empty; bench works in a directory of its own");
            return Err(Failure::Sentence(sentence));
        }
        Ok(Scratch { dir: path.into(), is_made })
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the store is.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// The file that the device is measured by.
    pub fn device(&self) -> PathBuf {
        self.dir.join("device")
    }

    /// Refuses a disk that is too full, before anything is written to it.
    pub fn has_room(&self, args: &Args, env: &Env) -> Outcome<()> {
        let options = args.store.options()?;
        let shards = options.shards.unwrap_or(threads::cores()) as u64;
        let logs = shards * LOG_FILES * options.log_file_bytes as u64;
        let needed = device_bytes(args.events) + args.events * EVENT_BYTES + logs;
        match env.disk.space(&self.dir) {
            Some(space) if space.free_bytes < needed => Err(Failure::Sentence(format!(
                "{} has {} free, and {} events take up to {}; --events takes fewer, --data another place",
                self.dir.display(),
                mib(space.free_bytes),
                args.events,
                mib(needed)
            ))),
            _ => Ok(()),
        }
    }

    fn remove(&self) -> io::Result<()> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        gone(fs::remove_dir_all(self.store()))?;
        gone(fs::remove_file(self.device()))?;
        match self.is_made {
            true => fs::remove_dir(&self.dir),
            false => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            say(format_args!("ratite: cannot remove {}: {error}", self.dir.display()));
        }
    }
}

/// Bytes of the device file of a run.
pub fn device_bytes(events: u64) -> u64 {
    (events * DEVICE_EVENT_BYTES).clamp(*DEVICE_BYTES.start(), *DEVICE_BYTES.end())
}
