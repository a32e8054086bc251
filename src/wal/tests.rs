//! What the tests of the log share: a disk in memory that forgets what was not synced, and a log on it
//! beside a list of what it should hold.
//!
//! The disk keeps each write that is not durable as pending. `crash` lets chance decide, sector by
//! sector, which of them reach the medium.

mod crash;
mod damage;
mod log;
mod scan;
mod sim;
mod survey;

use super::format::{self, SECTOR_BYTES};
use super::{Files, Group, Placed, Replayed, Writer, replay};
use crate::base::{Error, Lsn, Result, StoreId, hash64};
use crate::io::{Disk, File, Guard, Op, Queue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A disk of one directory. Names are durable at once; bytes when the test says so.
#[derive(Debug)]
struct MemDisk {
    align: usize,
    files: Mutex<BTreeMap<PathBuf, Arc<MemFile>>>,
    full: AtomicBool,
}

#[derive(Debug)]
struct MemFile {
    path: PathBuf,
    align: usize,
    bytes: Mutex<Vec<u8>>,
    syncs: AtomicUsize,
    /// Where something was written, in order.
    written: Mutex<Vec<std::ops::Range<u64>>>,
}

impl MemDisk {
    fn file(&self, path: &Path) -> Result<Arc<MemFile>> {
        let none = || Error::io("open", path, std::io::ErrorKind::NotFound.into());
        self.files.lock().unwrap().get(path).cloned().ok_or_else(none)
    }

    /// A disk with the same bytes.
    fn copy(&self) -> MemDisk {
        let files = self.files.lock().unwrap();
        let copy = |file: &MemFile| MemFile {
            path: file.path.clone(),
            align: file.align,
            bytes: Mutex::new(file.bytes.lock().unwrap().clone()),
            syncs: AtomicUsize::new(0),
            written: Mutex::default(),
        };
        let files = files.iter().map(|(p, f)| (p.clone(), Arc::new(copy(f)))).collect();
        MemDisk { align: self.align, files: Mutex::new(files), full: AtomicBool::new(false) }
    }
}

impl Disk for MemDisk {
    fn backend(&self) -> &'static str {
        "test"
    }

    fn create_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let files = self.files.lock().unwrap();
        let name = |path: &Path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_string();
        Ok(files.keys().map(|path| name(path)).collect())
    }

    fn create(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>> {
        let full = self.full.load(Ordering::Relaxed);
        let file = Arc::new(MemFile {
            path: path.into(),
            align: self.align,
            bytes: Mutex::new(vec![0; if full { 512 } else { bytes as usize }]),
            syncs: AtomicUsize::new(0),
            written: Mutex::default(),
        });
        let old = self.files.lock().unwrap().insert(path.into(), file.clone());
        assert!(old.is_none(), "{} exists", path.display());
        match full {
            true => Err(Error::io("create", path, std::io::ErrorKind::StorageFull.into())),
            false => Ok(file),
        }
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        Ok(self.file(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let file = self.file(from)?;
        let mut files = self.files.lock().unwrap();
        files.remove(from);
        files.insert(to.into(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.file(path)?;
        self.files.lock().unwrap().remove(path);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        let file = self.file(from)?;
        self.files.lock().unwrap().insert(to.into(), file);
        Ok(())
    }

    fn remove_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> Result<Box<dyn Guard>> {
        Err(Error::Closed)
    }

    fn queue(&self, _: usize) -> Result<Box<dyn Queue>> {
        Err(Error::Closed)
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn align(&self) -> usize {
        self.align
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.check(offset, buf);
        let bytes = self.bytes.lock().unwrap();
        buf.copy_from_slice(&bytes[offset as usize..offset as usize + buf.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.check(offset, buf);
        let mut bytes = self.bytes.lock().unwrap();
        bytes[offset as usize..offset as usize + buf.len()].copy_from_slice(buf);
        self.written.lock().unwrap().push(offset..offset + buf.len() as u64);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl MemFile {
    /// I5 of `io`.
    fn check(&self, offset: u64, buf: &[u8]) {
        let numbers = [offset as usize, buf.len(), buf.as_ptr() as usize];
        assert!(numbers.iter().all(|n| n.is_multiple_of(self.align)), "{numbers:x?}");
    }
}

/// What a replay visited.
type Entries = Vec<(Lsn, Vec<u8>)>;

/// Files of `file_bytes` on a new disk.
fn new_files(align: usize, file_bytes: u32) -> (Arc<MemDisk>, Files) {
    let disk = Arc::new(MemDisk { align, files: Mutex::default(), full: AtomicBool::new(false) });
    let store = StoreId([7; 16]);
    let files = Files { disk: disk.clone(), dir: "/log".into(), file_bytes, store, shard: 3 };
    (disk, files)
}

/// The log read from `from`.
fn read(files: &Files, from: Lsn) -> Result<(Entries, Replayed)> {
    let mut entries = Vec::new();
    let replayed = replay(files, from, &mut |lsn, entry| {
        entries.push((lsn, entry.to_vec()));
        Ok(())
    })?;
    assert_eq!(replayed.entries, entries.len() as u64);
    assert_eq!(replayed.bytes, entries.iter().map(|(_, e)| e.len() as u64).sum::<u64>());
    Ok((entries, replayed))
}

/// A group as the log should hold it.
#[derive(Clone, Debug)]
struct Twin {
    start: Lsn,
    end: Lsn,
    entries: Vec<Vec<u8>>,
    durable: bool,
}

/// A log and its twin.
struct Log {
    disk: Arc<MemDisk>,
    files: Files,
    writer: Writer,
    next_number: u32,
    /// All groups since the log's beginning.
    twin: Vec<Twin>,
    /// Replay begins here.
    from: Lsn,
    /// Writes that no sync covers yet, with their files.
    pending: Vec<(Arc<dyn File>, u64, Vec<u8>)>,
    spare: Option<Group>,
}

impl Log {
    fn new(align: usize, file_bytes: u32) -> Log {
        let (disk, files) = new_files(align, file_bytes);
        let file = files.prepare(1, None).unwrap();
        let writer = Writer::new(&files, file, 1, Lsn(0));
        let (twin, pending) = (Vec::new(), Vec::new());
        Log { disk, files, writer, next_number: 2, twin, from: Lsn(0), pending, spare: None }
    }

    /// A group of these entries, in the buffer of an earlier one if there is one.
    fn group(&mut self, entries: &[Vec<u8>]) -> Group {
        let capacity = self.files.group_bytes_max();
        let mut group = self.spare.take().unwrap_or_else(|| Group::new(capacity, self.disk.align));
        for entry in entries {
            let (a, b) = entry.split_at(entry.len() / 3);
            assert!(group.push(&[a, b]));
        }
        assert_eq!(group.entries() as usize, entries.len());
        group
    }

    /// Commits a group, in the next file if need be.
    fn append(&mut self, entries: &[Vec<u8>], durable: bool) {
        let group = self.group(entries);
        if !self.writer.fits(&group) {
            self.rotate();
        }
        let start = self.place(group, entries, durable);
        self.finish(start);
    }

    /// Places a group and notes it; the write is left to the caller.
    fn place(&mut self, group: Group, entries: &[Vec<u8>], durable: bool) -> Placed {
        assert!(self.writer.fits(&group));
        let position = self.writer.position();
        let placed = self.writer.place(group, durable);
        assert_eq!((placed.start, placed.end), (position, self.writer.position()));
        let Placed { start, end, .. } = placed;
        self.twin.push(Twin { start, end, entries: entries.to_vec(), durable });
        placed
    }

    /// Does the write.
    fn finish(&mut self, placed: Placed) {
        let Op::Write { file, offset, buf, durable } = placed.op else { panic!("no write") };
        self.pending.push((file, offset, buf.to_vec()));
        self.spare = Some(Group::reuse(buf));
        if durable {
            self.sync();
        }
    }

    /// Writes what is pending to the medium.
    fn sync(&mut self) {
        for (file, offset, bytes) in self.pending.drain(..) {
            write_sectors(&*file, offset, &bytes, &mut |_| true);
        }
        self.twin.iter_mut().for_each(|group| group.durable = true);
    }

    /// Goes on in a new file, made of the oldest one that is not needed any more if there is one.
    fn rotate(&mut self) {
        let oldest = self.files.list().unwrap()[0];
        let recycle = (oldest < self.from.file()).then_some(oldest);
        let file = self.files.prepare(self.next_number, recycle).unwrap();
        let unsynced = !self.pending.is_empty();
        let sync = self.writer.rotate(file, self.next_number);
        assert_eq!(sync.is_some(), unsynced);
        if sync.is_some() {
            self.sync();
        }
        self.next_number += 1;
    }

    /// Loses power: of what is pending, the sectors for which `keep` says so reach the medium. Then
    /// replays, checks against the twin, and goes on in a new file. Returns how many groups were lost.
    fn crash(&mut self, keep: &mut dyn FnMut(usize) -> bool) -> usize {
        for (file, offset, bytes) in self.pending.drain(..) {
            write_sectors(&*file, offset, &bytes, keep);
        }
        let (entries, found) = read(&self.files, self.from).unwrap();
        let kept = self.twin.iter().take_while(|group| group.end <= found.end).count();
        let lost = self.twin.split_off(kept);
        assert!(lost.iter().all(|group| !group.durable), "lost of {lost:?} at {found:?}");
        self.twin.iter_mut().for_each(|group| group.durable = true);
        assert_eq!(entries, self.expected());
        assert!(self.files.list().unwrap().iter().all(|&n| n < found.next_number));
        // Rule 4 of replay: the same again.
        assert_eq!(read(&self.files, self.from).unwrap(), (entries, found));
        self.next_number = found.next_number + 1;
        let file = self.files.prepare(found.next_number, None).unwrap();
        self.writer = Writer::new(&self.files, file, found.next_number, found.end);
        lost.len()
    }

    /// What replay should visit.
    fn expected(&self) -> Entries {
        let groups = self.twin.iter().filter(|group| group.start >= self.from);
        groups.flat_map(|g| g.entries.iter().map(|e| (g.start, e.clone()))).collect()
    }
}

/// Writes the sectors for which `keep` says so.
fn write_sectors(file: &dyn File, offset: u64, bytes: &[u8], keep: &mut dyn FnMut(usize) -> bool) {
    for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
        if keep(i) {
            write_raw(file, offset as usize + i * SECTOR_BYTES, sector);
        }
    }
}

/// Overwrites bytes of a file, aligned or not.
fn write_raw(file: &dyn File, at: usize, bytes: &[u8]) {
    let align = file.align();
    let start = at / align * align;
    let end = (at + bytes.len()).next_multiple_of(align);
    let mut buf = crate::io::Buf::zeroed(end - start, align);
    file.read_at(start as u64, &mut buf).unwrap();
    buf[at - start..at - start + bytes.len()].copy_from_slice(bytes);
    file.write_at(start as u64, &buf).unwrap();
}

/// An entry of `len` bytes that differs from those of other seeds, and no sector from another.
fn entry(len: usize, seed: usize) -> Vec<u8> {
    let word = |i: usize| hash64(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).to_le_bytes();
    (0..len.div_ceil(8)).flat_map(word).take(len).collect()
}
