//! What another store has to do to be asked beside Ratite.

use super::lines::Lines;
use super::questions::{Digest, Question};
use crate::Result;
use crate::clock::{Meter, process_cpu, wall};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Nanoseconds of an answer, by a clock and on all cores.
#[derive(Clone, Copy)]
pub struct Took {
    pub wall: u64,
    pub cpu: u64,
}

/// A store that was loaded with the same lines.
pub trait Peer {
    fn name(&self) -> &str;

    /// Whether it can answer at all.
    fn answers(&self, question: &Question) -> bool;

    /// Whether its answer must be the same; some know the order of arrival only.
    fn is_exact(&self, question: &Question) -> bool {
        let _every_question = question;
        true
    }

    /// Asks, and looks at every row.
    fn ask(&mut self, lines: &Lines, question: &Question) -> Result<Digest>;

    /// Calls of a row, after those that warm up: slow ones are asked less often.
    fn calls_max(&self) -> usize {
        usize::MAX
    }

    /// What counts as its CPU time.
    fn clock(&self) -> fn() -> u64 {
        process_cpu
    }

    /// What the last answer took, of a peer that measures itself.
    fn took(&self) -> Option<Took> {
        None
    }

    /// Where its files are.
    fn files(&self) -> PathBuf;

    /// Forgets what it has in memory, the kernel's pages aside.
    fn reopen(&mut self) -> Result<()>;
}

/// Asks a peer, and meters it.
pub fn ask(
    peer: &mut dyn Peer,
    lines: &Lines,
    question: &Question,
    meter: &mut Meter,
) -> Result<Digest> {
    let (began, cpu) = (wall(), peer.clock()());
    let digest = peer.ask(lines, question)?;
    let took = Took { cpu: peer.clock()() - cpu, wall: wall() - began };
    let took = peer.took().unwrap_or(took);
    meter.record(took.wall, took.cpu, digest.rows);
    Ok(digest)
}

/// Has the kernel forget the pages of a file, or of all files below a directory.
pub fn drop_pages(path: &Path) -> io::Result<()> {
    match forget(path) {
        // A peer removes what it has merged away.
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn forget(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            drop_pages(&entry?.path())?;
        }
        return Ok(());
    }
    let file = File::open(path)?;
    // What is not written yet cannot be forgotten.
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
