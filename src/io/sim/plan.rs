//! Failures that a test plans: the n-th operation that can fail in a given way fails so, whichever it is.
//!
//! ```text
//!   fail_nth(n, Failure) ---> each operation: can it fail so? ---> the n-th does, with its error
//!   power_lasts(steps)   ---> each operation and each wait is a step; when they are used up, the machine is off
//! ```
//!
//! Beside the knobs of `faults.rs`, which fail by chance: with a plan, every operation of a run can be failed in
//! turn. What a failed operation leaves behind is as `faults.rs` says of the same failure.

use super::disk::State;
use super::lies::{Misplaced, Written};
use crate::base::Error;
use std::io::ErrorKind;
use std::path::Path;

/// A way in which an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// `EIO`. Any operation.
    Eio,
    /// `ENOSPC`, once. What takes space: writes, and new names.
    NoSpace,
    /// `ENOSPC`, from that operation on, until [`SimDisk::mend`](super::SimDisk::mend). What takes space.
    Full,
    /// `EDQUOT`, from that operation on, until it is mended. What takes space.
    Quota,
    /// `EROFS`, from that operation on, until it is mended: the file system turned read-only, as one does that met an
    /// error. Writes, new names, and removals.
    ReadOnly,
    /// `EMFILE`, from that operation on, until it is mended: the process may open no more files. What opens one.
    Files,
    /// Fewer bytes than were asked for. Reads and writes.
    Short,
    /// `EAGAIN`, and nothing was done. Reads, writes and syncs of files.
    Again,
    /// No error, and nothing was written. Writes of bytes.
    Lost,
    /// No error, and another place was written. Writes of bytes.
    Misdirected,
}

/// What an operation is to a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Looks at names, opens, locks, syncs a directory.
    Other,
    Read,
    Write,
    /// Makes a new file as long as it is to be.
    Fill,
    Sync,
    /// Makes or changes a name.
    Name,
    Remove,
}

impl Failure {
    fn can(self, act: Act) -> bool {
        match self {
            Failure::Eio => true,
            Failure::NoSpace | Failure::Full | Failure::Quota => {
                matches!(act, Act::Write | Act::Fill | Act::Name)
            }
            Failure::ReadOnly => matches!(act, Act::Write | Act::Fill | Act::Name | Act::Remove),
            // Each but a rename or a removal, which make no file: where those fail too, more is asked of the store.
            Failure::Files => matches!(act, Act::Other | Act::Fill | Act::Name),
            Failure::Short => matches!(act, Act::Read | Act::Write | Act::Fill),
            Failure::Again => matches!(act, Act::Read | Act::Write | Act::Fill | Act::Sync),
            Failure::Lost | Failure::Misdirected => act == Act::Write,
        }
    }

    /// Whether whatever can fail so fails so from then on.
    fn lasts(self) -> bool {
        matches!(self, Failure::Full | Failure::Quota | Failure::ReadOnly | Failure::Files)
    }

    /// Whether nobody is told.
    pub(super) fn is_a_lie(self) -> bool {
        matches!(self, Failure::Lost | Failure::Misdirected)
    }

    /// The error of an operation that fails so.
    pub(super) fn error(self, op: &'static str, path: &Path) -> Error {
        let code = match self {
            // A lie has no error.
            Failure::Eio | Failure::Lost | Failure::Misdirected => libc::EIO,
            Failure::NoSpace | Failure::Full => libc::ENOSPC,
            Failure::Quota => libc::EDQUOT,
            Failure::ReadOnly => libc::EROFS,
            Failure::Files => libc::EMFILE,
            Failure::Again => libc::EAGAIN,
            Failure::Short if op == "read" => {
                return Error::corrupt(path, 0, "file ends early: planned");
            }
            Failure::Short => {
                let text = "only some of the bytes were taken";
                return Error::io(op, path, std::io::Error::new(ErrorKind::WriteZero, text));
            }
        };
        Error::io(op, path, std::io::Error::from_raw_os_error(code))
    }
}

/// What a test has planned, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    next: Option<(Failure, u64)>,
    /// The operation that failed as planned.
    pub met: Option<String>,
    /// What fails until it is mended.
    lasting: Option<Failure>,
    /// If that was a lie.
    pub misplaced: Option<Misplaced>,
    /// The other writes of bytes since a lie was planned.
    pub written: Vec<Written>,
    /// Operations and waits until the machine is switched off.
    steps: Option<u64>,
}

impl Plan {
    pub fn fail_nth(&mut self, n: u64, failure: Failure) {
        (self.next, self.met, self.lasting) = ((n > 0).then_some((failure, n)), None, None);
        self.misplaced = None;
        self.written.clear();
    }

    pub fn mend(&mut self) {
        (self.next, self.lasting) = (None, None);
    }

    pub fn power_lasts(&mut self, steps: Option<u64>) {
        self.steps = steps;
    }

    /// Takes note of a write, where lies count.
    pub fn wrote(&mut self, path: &Path, offset: u64, len: usize) {
        let is_planned = self.next.is_some_and(|(failure, _)| failure.is_a_lie());
        if is_planned || self.misplaced.is_some() {
            self.written.push(Written::of(path, offset, len));
        }
    }
}

impl State {
    /// A step is done; the machine is switched off if it was the last that was granted.
    pub fn step(&mut self) {
        let Some(left) = self.plan.steps.as_mut() else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.plan.steps = None;
            self.off = true;
            self.kill();
        }
    }

    /// Whether an operation that is about to be done fails as planned.
    pub fn planned(&mut self, act: Act, op: &str, path: &Path) -> Option<Failure> {
        self.step();
        if let Some(failure) = self.plan.lasting.filter(|failure| failure.can(act)) {
            return Some(failure);
        }
        let (failure, left) = self.plan.next.as_mut().filter(|(failure, _)| failure.can(act))?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        let failure = *failure;
        self.plan.lasting = Some(failure).filter(|failure| failure.lasts());
        self.plan.next = None;
        self.plan.met = Some(format!("{failure:?} of {op} {}", path.display()));
        Some(failure)
    }

    /// As [`State::planned`], as the error of an operation that has done nothing then.
    pub fn fails(&mut self, act: Act, op: &'static str, path: &Path) -> crate::base::Result<()> {
        self.planned(act, op, path).map_or(Ok(()), |failure| Err(failure.error(op, path)))
    }
}
