//! What is imported: files one after the other, or standard input, packed or not.
//!
//! 1. Files are opened once before the first is read, so that a wrong name is said at once.
//! 2. An input that fails ends the import: of what follows nobody knows how it hangs together.

use super::lines::{self, Chunk};
use crate::failure::{Failure, Outcome};
use crate::packed::unpacked;
use crossbeam::channel::Sender;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is called standard input.
const STDIN: &str = "-";

/// The inputs, by their numbers.
pub struct Inputs {
    paths: Vec<PathBuf>,
    /// Bytes of all of them, as they lie there, if each is a file.
    bytes: Option<u64>,
    /// Bytes that were read.
    read: Arc<AtomicU64>,
    /// Bytes of the longest line that is not skipped, line feed included.
    line_bytes_max: usize,
}

impl Inputs {
    /// These files, or standard input if there is none.
    pub fn new(paths: &[PathBuf], line_bytes_max: usize) -> Outcome<Inputs> {
        let mut paths = paths.to_vec();
        if paths.is_empty() {
            paths.push(STDIN.into());
        }
        if paths.iter().filter(|path| is_stdin(path)).nth(1).is_some() {
            return Err(Failure::Usage("standard input can be read only once".into()));
        }
        let mut bytes = Some(0);
        for path in &paths {
            let found = match is_stdin(path) {
                true => stdin_bytes(),
                false => {
                    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
                    let found = file.metadata().map_err(|error| cannot_read(path, &error))?;
                    found.is_file().then_some(found.len())
                }
            };
            bytes = bytes.zip(found).map(|(sum, more)| sum + more);
        }
        Ok(Inputs { paths, bytes, read: Arc::default(), line_bytes_max })
    }

    /// Whether a person types it.
    pub fn is_typed(&self) -> bool {
        self.paths.iter().any(|path| is_stdin(path)) && io::stdin().is_terminal()
    }

    /// How much there is to read, if that is known.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// How much of it was read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// The name of an input, unless it is the only one and has none.
    pub fn name(&self, number: usize) -> Option<&Path> {
        let path = self.paths.get(number)?;
        (!is_stdin(path) || self.paths.len() > 1).then_some(path)
    }

    /// All of them, by their numbers.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reads all of them, in their order.
    pub fn read(&self, chunks: &Sender<(usize, Chunk)>) -> Outcome<()> {
        for (number, path) in self.paths.iter().enumerate() {
            let read = self.open(path);
            let read =
                read.and_then(|input| lines::read(input, number, self.line_bytes_max, chunks));
            read.map_err(|error| cannot_read(path, &error))?;
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let read = self.read.clone();
        match is_stdin(path) {
            true => unpacked(Counted { input: io::stdin(), read }),
            false => unpacked(Counted { input: File::open(path)?, read }),
        }
    }
}

/// Whether this means standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    match is_stdin(path) {
        true => Failure::input(error),
        false => Failure::Sentence(format!("cannot read {}: {error}", path.display())),
    }
}

/// How much there is to read, if standard input is a file.
fn stdin_bytes() -> Option<u64> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let found = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(found.len().saturating_sub(file.stream_position().ok()?))
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(out)?;
        self.read.fetch_add(bytes as u64, Relaxed);
        Ok(bytes)
    }
}
