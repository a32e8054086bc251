//! The block device: a file of a FUSE file system with one file, in memory, and the log of what was done to it.

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// The name of the one file.
pub const NAME: &str = "disk";
const INODE: u64 = 2;
const LIVES: Duration = Duration::from_secs(3600);

/// What happened, in order.
pub enum Entry {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    /// All writes before it are on the medium.
    Flush,
    /// The store answered this.
    Answer(String),
}

impl Entry {
    pub fn answer(&self) -> Option<&str> {
        match self {
            Entry::Answer(text) => Some(text),
            _ => None,
        }
    }
}

/// All that happened.
#[derive(Default)]
pub struct Log(pub Vec<Entry>);

impl Log {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes and flushes.
    pub fn counts(&self) -> (usize, usize) {
        let writes = self.0.iter().filter(|e| matches!(e, Entry::Write { .. })).count();
        (writes, self.0.iter().filter(|e| matches!(e, Entry::Flush)).count())
    }

    /// The last answer of all; of a run without any, the first number.
    pub fn last_answer(&self) -> String {
        self.0.iter().rev().find_map(Entry::answer).unwrap_or("0").into()
    }

    /// So many points behind writes, from `begin` on, in order.
    pub fn points(&self, begin: usize, count: u64, rng: &mut Rng) -> Vec<usize> {
        let is_write = |at: &usize| matches!(self.0[*at], Entry::Write { .. });
        let writes: Vec<usize> = (begin..self.len()).filter(is_write).collect();
        let pick = |_| writes[rng.below(writes.len() as u64) as usize] + 1;
        let mut points: Vec<usize> = (0..count).map(pick).collect();
        points.sort_unstable();
        points
    }
}

/// What the file system shares with the run.
#[derive(Default)]
pub struct State {
    bytes: Vec<u8>,
    pub log: Log,
    /// Writes after which all writes and flushes fail.
    pub fails_after: Option<usize>,
}

/// The device, held by the file system and by the run.
#[derive(Clone)]
pub struct Device(Arc<Mutex<State>>);

impl Device {
    pub fn new(bytes: usize) -> Device {
        Device(Arc::new(Mutex::new(State { bytes: vec![0; bytes], ..State::default() })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, size) = match u64::from(inode) {
            1 => (FileType::Directory, 0),
            INODE => (FileType::RegularFile, self.state().bytes.len() as u64),
            _ => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl State {
    /// Whether the device still works; counts a write.
    fn works(&mut self, is_write: bool) -> bool {
        match &mut self.fails_after {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= usize::from(is_write);
                true
            }
        }
    }
}

impl Filesystem for Device {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(INodeNo(INODE)) {
            Some(found) if parent == INodeNo::ROOT && name == NAME => {
                reply.entry(&LIVES, &found, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(found) => reply.attr(&LIVES, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(1), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.state();
        let begin = (offset as usize).min(state.bytes.len());
        let end = (begin + size as usize).min(state.bytes.len());
        reply.data(&state.bytes[begin..end]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let (begin, end) = (offset as usize, offset as usize + data.len());
        if end > state.bytes.len() {
            return reply.error(Errno::ENOSPC);
        }
        if !state.works(true) {
            return reply.error(Errno::EIO);
        }
        state.bytes[begin..end].copy_from_slice(data);
        state.log.0.push(Entry::Write { offset: begin, bytes: data.to_vec() });
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        if !state.works(false) {
            return reply.error(Errno::EIO);
        }
        state.log.0.push(Entry::Flush);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// Numbers that follow from a seed.
pub struct Rng(pub u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
