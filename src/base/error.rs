//! The one error type of the crate: variants that a caller can act on, each with a stable code.
//!
//! What a caller treats as an answer (a duplicate, a replaced event) is no error: it is an outcome.
//! A `Display` text is a sentence that names what and where and, where there is one, the remedy.

use super::{Lsn, ShardId};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `sync`, `create` ...
        op: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bytes on disk are not what was written.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Byte offset of the damaged unit (page, block, header) in the file.
        offset: u64,
        /// What does not hold.
        what: String,
    },
    /// A file was written by another version of the format.
    #[error("{} has format version {found}; this program reads {supported}", path.display())]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// A setting disagrees with what the store was created with.
    #[error("the store at {} was created with {what} {stored}, not {asked}", path.display())]
    Mismatch {
        /// The store's directory or file.
        path: PathBuf,
        /// The name of the setting.
        what: &'static str,
        /// What the store keeps.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// Another process, or another handle in this one, has the store open.
    #[error("the store at {} is in use by {holder}; close it first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// A write or sync failed earlier; the shard takes no writes until the store is opened again.
    #[error("the shard stopped taking writes when {stage} failed ({why}); reopen the store")]
    Poisoned {
        /// The step that failed first.
        stage: &'static str,
        /// The text of the first failure.
        why: String,
    },
    /// There is no room for what would have to be written: no space, or no more files may be open. Nothing of it is
    /// stored, what was stored is there, and writes are taken again, by themselves, when there is room.
    #[error("{why} ({}); make room, and writes are taken again by themselves", path.display())]
    DiskFull {
        /// The file or directory that there is no room for.
        path: PathBuf,
        /// What there is too little of, and what the system said or how much is left.
        why: String,
    },
    /// A documented limit is reached.
    #[error("{what} is full: the limit is {limit}")]
    Full {
        /// What is full, with its unit: `record bytes`, `requests in flight` ...
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An argument or input is not acceptable.
    #[error("invalid {what}: {why}")]
    Invalid {
        /// Which input.
        what: &'static str,
        /// Why, with the offending value.
        why: String,
    },
    /// A subscriber took its events too slowly; what was queued for it was still given.
    #[error(
        "the subscription fell behind: its queue of {limit} {what} was full; subscribe again from the last event seen"
    )]
    Lagged {
        /// What its queue was full of: `events` or `bytes`.
        what: &'static str,
        /// How many fit.
        limit: u64,
    },
    /// The log no longer reaches back to a position of a change feed.
    #[error(
        "shard {shard} no longer has its log from {position} on; begin again from all that is stored"
    )]
    ChangesGone {
        /// The shard.
        shard: ShardId,
        /// The position.
        position: Lsn,
    },
    /// What a position or a resume token leads to was removed.
    #[error("{what} is gone: {why}; begin again")]
    Gone {
        /// What led there.
        what: &'static str,
        /// What is not there any more.
        why: String,
    },
    /// The caller cancelled it.
    #[error("{what} was cancelled")]
    Cancelled {
        /// What was cancelled.
        what: &'static str,
    },
    /// The store is closing or closed.
    #[error("the store is closed")]
    Closed,
}

/// Whether the process, or the system, may open no more files.
fn is_out_of_files(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Compares a setting that the store keeps with what is asked for; formats neither if they are the same.
///
/// # Errors
/// `Mismatch`.
pub(crate) fn check_same<T: PartialEq + Display>(
    path: &Path,
    what: &'static str,
    stored: T,
    asked: T,
) -> Result<()> {
    match stored == asked {
        true => Ok(()),
        false => Err(Error::mismatch(path, what, stored, asked)),
    }
}

impl Error {
    /// A stable code for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "ERR_IO",
            Error::Corrupt { .. } => "ERR_CORRUPT",
            Error::WrongVersion { .. } => "ERR_WRONG_VERSION",
            Error::Mismatch { .. } => "ERR_MISMATCH",
            Error::Locked { .. } => "ERR_LOCKED",
            Error::Poisoned { .. } => "ERR_POISONED",
            Error::DiskFull { .. } => "ERR_DISK_FULL",
            Error::Full { .. } => "ERR_FULL",
            Error::Invalid { .. } => "ERR_INVALID",
            Error::Lagged { .. } => "ERR_LAGGED",
            Error::ChangesGone { .. } => "ERR_CHANGES_GONE",
            Error::Gone { .. } => "ERR_GONE",
            Error::Cancelled { .. } => "ERR_CANCELLED",
            Error::Closed => "ERR_CLOSED",
        }
    }

    /// An I/O failure on `path`.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { op, path: path.into(), source }
    }

    /// Whether there was no room for it: the file system is full, a quota or its largest file is reached, or no more
    /// files may be open, which ends as a full disk does.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match self {
            Error::DiskFull { .. } => true,
            Error::Io { source, .. } => {
                matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
                    || is_out_of_files(source)
            }
            _ => false,
        }
    }

    /// The error of who finds no room, `path` if this one names none.
    pub(crate) fn into_disk_full(self, path: &Path) -> Error {
        match self {
            Error::DiskFull { .. } => self,
            Error::Io { path, source, .. } if is_out_of_files(&source) => {
                Error::DiskFull { path, why: format!("no more files can be opened: {source}") }
            }
            Error::Io { path, source, .. } => {
                Error::DiskFull { path, why: format!("the disk is full: {source}") }
            }
            other => Error::DiskFull { path: path.into(), why: other.to_string() },
        }
    }

    /// The same for one more who waits for it: of a full disk and of damage as it is, else that `stage` failed, and why.
    pub(crate) fn once_more(&self, stage: &'static str) -> Error {
        match self {
            Error::DiskFull { path, why } => {
                Error::DiskFull { path: path.clone(), why: why.clone() }
            }
            Error::Corrupt { path, offset, what } => Error::corrupt(path, *offset, what),
            other => Error::Poisoned { stage, why: other.to_string() },
        }
    }

    /// Damage found at `offset` of `path`.
    pub fn corrupt(path: impl Into<PathBuf>, offset: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { path: path.into(), offset, what: what.into() }
    }

    /// A setting that is another than the store's.
    pub fn mismatch(
        path: impl Into<PathBuf>,
        what: &'static str,
        stored: impl Display,
        asked: impl Display,
    ) -> Error {
        let (stored, asked) = (stored.to_string(), asked.to_string());
        Error::Mismatch { path: path.into(), what, stored, asked }
    }

    /// A refused input.
    pub fn invalid(what: &'static str, why: impl Into<String>) -> Error {
        Error::Invalid { what, why: why.into() }
    }
}
