//! A disk with a gate, behind which all file operations of shards wait; and one that is chatty: its operations are events.

use ratite::base::Result;
use ratite::io::{Disk, Done, File, Guard, Op, Queue, Wait, Wake};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

/// Open at first.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    /// Where the operations are told as events, as if it were the process's.
    pub listener: OnceLock<tracing::Dispatch>,
}

impl Gate {
    pub fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        if let Some(dispatch) = self.listener.get() {
            tracing::dispatcher::with_default(dispatch, || tracing::info!("the disk works"));
        }
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }
}

/// Another disk, behind a gate.
#[derive(Debug)]
pub struct GatedDisk {
    pub disk: Arc<dyn Disk>,
    pub gate: Arc<Gate>,
}

impl GatedDisk {
    fn gated(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile { file, gate: self.gate.clone() })
    }
}

/// A file whose writes go through the gate: a lone record is written without a queue.
#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl File for GatedFile {
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
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.gate.pass();
        self.file.write_at(offset, buf)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn raw_fd(&self) -> Option<i32> {
        self.file.raw_fd()
    }
}

impl Disk for GatedDisk {
    fn backend(&self) -> &'static str {
        self.disk.backend()
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>> {
        Ok(self.gated(self.disk.create(path, bytes)?))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        Ok(self.gated(self.disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Guard>> {
        self.disk.lock(path)
    }

    fn queue(&self, depth: usize) -> Result<Box<dyn Queue>> {
        Ok(Box::new(GatedQueue { queue: self.disk.queue(depth)?, gate: self.gate.clone() }))
    }
}

struct GatedQueue {
    queue: Box<dyn Queue>,
    gate: Arc<Gate>,
}

impl Queue for GatedQueue {
    fn push(&mut self, token: u64, op: Op) -> std::result::Result<(), Op> {
        self.queue.push(token, op)
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> Result<()> {
        // Who waits for a wake alone does not work.
        if self.queue.in_flight() > 0 {
            self.gate.pass();
        }
        self.queue.wait(wait, done)
    }

    fn in_flight(&self) -> usize {
        self.queue.in_flight()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.queue.waker()
    }
}
