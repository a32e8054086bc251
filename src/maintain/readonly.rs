//! A disk that cannot be written, and that reads ahead where a reader goes in order.
//!
//! ```text
//!   segment reader -- 4 KiB at a time --> window of 512 KiB, filled where two reads followed each other
//! ```
//!
//! I1. Whatever is built on it changes no byte and no name: every call that would is an error.
//! I2. A window is kept for each of the regions that a walk over records goes through at once.

use crate::base::{Error, Result};
use crate::io::{Buf, Disk, File, Guard, Queue};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read ahead.
const AHEAD_BYTES: u64 = 512 << 10;

/// Windows of one file.
const WINDOWS: usize = 8;

/// A disk that is only read.
#[derive(Debug)]
pub struct ReadOnly(pub Arc<dyn Disk>);

fn refused<T>(op: &'static str, path: &Path) -> Result<T> {
    Err(Error::io(op, path, ErrorKind::ReadOnlyFilesystem.into()))
}

impl Disk for ReadOnly {
    fn backend(&self) -> &'static str {
        self.0.backend()
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        refused("create the directory", dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create(&self, path: &Path, _bytes: u64) -> Result<Arc<dyn File>> {
        refused("create", path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.open_read(path)
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = self.0.open_read(path)?;
        Ok(Arc::new(Ahead { file, state: Mutex::default() }))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<()> {
        refused("rename", from)
    }

    fn hard_link(&self, from: &Path, _to: &Path) -> Result<()> {
        refused("link", from)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        refused("remove the directory", dir)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        refused("remove", path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        refused("sync the directory", dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Guard>> {
        refused("lock", path)
    }

    fn queue(&self, depth: usize) -> Result<Box<dyn Queue>> {
        self.0.queue(depth)
    }
}

#[derive(Debug)]
struct Ahead {
    file: Arc<dyn File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the byte of the file at which it begins.
    windows: Vec<(u64, Buf)>,
    oldest: usize,
    /// Where recent reads ended: who begins there goes in order.
    ends: [u64; 2 * WINDOWS],
    next_end: usize,
}

impl State {
    fn ended(&mut self, at: u64) {
        self.ends[self.next_end] = at;
        self.next_end = (self.next_end + 1) % self.ends.len();
    }
}

impl File for Ahead {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn align(&self) -> usize {
        self.file.align()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = offset.saturating_add(buf.len() as u64);
        let holds = |(start, window): &&(u64, Buf)| {
            *start <= offset && end <= start.saturating_add(window.len() as u64)
        };
        if let Some((start, window)) = state.windows.iter().find(holds) {
            let at = (offset - start) as usize;
            buf.copy_from_slice(&window[at..][..buf.len()]);
            return Ok(());
        }
        let align = self.file.align() as u64;
        let bytes = AHEAD_BYTES.min(self.file.len().saturating_sub(offset));
        let bytes = bytes - bytes % align;
        let in_order = state.ends.contains(&offset) && bytes > buf.len() as u64;
        if !in_order || !offset.is_multiple_of(align) {
            state.ended(end);
            return self.file.read_at(offset, buf);
        }
        let mut window = Buf::zeroed(bytes as usize, self.file.align());
        self.file.read_at(offset, &mut window)?;
        buf.copy_from_slice(&window[..buf.len()]);
        state.ended(offset + bytes);
        let oldest = state.oldest;
        match state.windows.get_mut(oldest) {
            Some(slot) => *slot = (offset, window),
            None => state.windows.push((offset, window)),
        }
        state.oldest = (oldest + 1) % WINDOWS;
        Ok(())
    }

    fn write_at(&self, _offset: u64, _buf: &[u8]) -> Result<()> {
        refused("write", self.path())
    }

    fn sync(&self) -> Result<()> {
        refused("sync", self.path())
    }
}
