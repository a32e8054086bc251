//! Files and directories of the operating system: what the ring and the `pread`/`pwrite` backend share.
//!
//! ```text
//!   open --> statx(DIOALIGN) --> alignment known: O_DIRECT, past the page cache
//!                            \-> none (tmpfs, old kernels): buffered, align 1, one warning
//! ```
//!
//! Invariants:
//! 1. Every transfer is whole or an error (I2): signals and short transfers are seen to here.
//! 2. Offsets, lengths and addresses are multiples of the file's alignment (I5): asserted in debug
//!    builds, `Invalid` in release builds.
//! 3. A directory whose creation was reported is reachable after power loss: every parent is synced,
//!    also those that were there, because a killed process may have made them and not synced them.
//!
//! Errors: `Io` with the system's reason; `Corrupt` where a file ends before what should be in it;
//! `Locked` with the text that the holder left in the lock file.
#![expect(unsafe_code, reason = "statx, statvfs, fcntl and flock have no safe form in std")]

use super::{Buf, Disk, DiskSpace, File, GONE, Guard, Op, Queue, posix, uring};
use crate::base::{Error, Result};
use std::ffi::{CString, OsStr};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

/// Bytes of one write of zeros: large enough for the device's full speed.
const ZERO_CHUNK_BYTES: usize = 1 << 20;

/// Bytes of a file given back at once: a device that is told of them stalls for 2 ms, and for no less by smaller
/// pieces.
const FREED_CHUNK_BYTES: u64 = 1 << 20;

/// Pauses for which a removal by parts waits for who has the file open.
const LOOKS_MAX: u32 = 100;

/// The operating system's files, with queues on io_uring or without.
#[derive(Debug)]
pub(super) struct SystemDisk {
    rings: bool,
}

impl SystemDisk {
    pub fn new(rings: bool) -> SystemDisk {
        SystemDisk { rings }
    }
}

impl Disk for SystemDisk {
    fn backend(&self) -> &'static str {
        if self.rings { "io_uring" } else { "pread/pwrite" }
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        let mut outermost_first: Vec<&Path> = dir.ancestors().collect();
        outermost_first.reverse();
        for path in outermost_first {
            if path.as_os_str().is_empty() {
                continue;
            }
            let made = match fs::create_dir(path) {
                Ok(()) => true,
                Err(_) if path.is_dir() => false,
                Err(error) => return Err(Error::io("create the directory", path, error)),
            };
            let Some(parent) = path.parent() else { continue };
            match sync_dir(parent) {
                // A parent that was there and that we may not read is somebody else's to sync.
                Err(Error::Io { source, .. })
                    if !made && source.kind() == ErrorKind::PermissionDenied => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let failed = |error| Error::io("list", dir, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !entry.file_type().map_err(failed)?.is_file() {
                continue;
            }
            // Names that are not UTF-8 are none of ours.
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>> {
        let file = OsFile::open(path, Mode::Create)?;
        let filled = file.fill_with_zeros(bytes);
        if let Err(error) = filled {
            // Half a file under this name would only be in the way of the next try.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile::open(path, Mode::Write)?))
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile::open(path, Mode::Read)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        check_same_dir(from, to)?;
        fs::rename(from, to).map_err(|error| Error::io("rename", from, error))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::hard_link(from, to).map_err(|error| Error::io("link", from, error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
    }

    fn remove_by_parts(&self, path: &Path, pause: &mut dyn FnMut() -> bool) -> Result<()> {
        let gone = path.with_extension(GONE);
        let mut cut = || -> std::io::Result<()> {
            // Under another name first: who links it by its name, as a backup does, has done so by now and
            // is counted, or finds it gone.
            fs::rename(path, &gone)?;
            let file = OpenOptions::new().write(true).open(&gone)?;
            let mut looks = 0;
            // Who has it open, here or in another process, keeps all of it.
            while !flock(&file, libc::LOCK_EX).is_ok_and(|taken| taken) {
                looks += 1;
                if looks > LOOKS_MAX || !pause() {
                    return Ok(());
                }
            }
            let data = file.metadata()?;
            let mut left = data.len();
            while data.nlink() == 1 && left > FREED_CHUNK_BYTES && pause() {
                left -= FREED_CHUNK_BYTES;
                file.set_len(left)?;
                // Without it the pieces of five seconds are freed together.
                file.sync_data()?;
            }
            Ok(())
        };
        cut().map_err(|error| Error::io("shorten", path, error))?;
        self.remove(&gone)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        fs::remove_dir(dir).map_err(|error| Error::io("remove the directory", dir, error))
    }

    fn space(&self, dir: &Path) -> Option<DiskSpace> {
        let dir = CString::new(dir.as_os_str().as_bytes()).ok()?;
        // SAFETY: `statvfs` consists of integers, for which zero is a value.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the path is a string, and the call fills `found`.
        let got = unsafe { libc::statvfs(dir.as_ptr(), &mut found) };
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let (size_bytes, free_bytes) = (bytes(found.f_blocks), bytes(found.f_bavail));
        (got == 0).then_some(DiskSpace { size_bytes, free_bytes })
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Guard>> {
        let failed = |error| Error::io("lock", path, error);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(failed)?;
        if !flock(&file, libc::LOCK_EX).map_err(failed)? {
            let mut holder = String::new();
            if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
                holder = "a process that has not said which".into();
            }
            return Err(Error::Locked { path: path.into(), holder });
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let holder = format!("pid {} on {}", std::process::id(), host.trim());
        // Who holds it is said for people: on a full disk it cannot be, and the lock is held all the same.
        let _said = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(Box::new(Lock { file }))
    }

    fn queue(&self, depth: usize) -> Result<Box<dyn Queue>> {
        match self.rings {
            true => Ok(Box::new(uring::Ring::new(depth)?)),
            false => Ok(Box::new(posix::Line::new(depth))),
        }
    }
}

/// The system releases the lock when the descriptor is closed, also by a kill.
#[derive(Debug)]
struct Lock {
    file: fs::File,
}

impl Guard for Lock {}

impl Drop for Lock {
    /// Not left to the close of the descriptor: a process that another thread forks may have a copy of it
    /// until it executes its program, and the lock would last as long.
    fn drop(&mut self) {
        // If this fails, the close is left.
        let _unlocked = flock(&self.file, libc::LOCK_UN);
    }
}

/// Takes or gives back the lock of an open file, without waiting; false if another has it.
fn flock(file: &fs::File, how: i32) -> std::io::Result<bool> {
    // SAFETY: the descriptor is open; no pointers are passed. (std's try_lock needs Rust 1.89.)
    if unsafe { libc::flock(file.as_raw_fd(), how | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    match std::io::Error::last_os_error() {
        error if error.kind() == ErrorKind::WouldBlock => Ok(false),
        error => Err(error),
    }
}

/// Shares `file`, so that nobody shortens it while it is open; false if its removal has begun.
fn share(file: &fs::File) -> bool {
    // Where files cannot be locked they are not shortened either.
    let shared = flock(file, libc::LOCK_SH).unwrap_or(true);
    shared && file.metadata().is_ok_and(|data| data.nlink() > 0)
}

#[derive(Debug)]
struct OsFile {
    file: fs::File,
    path: PathBuf,
    align: usize,
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
    Create,
}

impl OsFile {
    fn open(path: &Path, mode: Mode) -> Result<OsFile> {
        let new = mode == Mode::Create;
        let op = if new { "create" } else { "open" };
        let write = mode != Mode::Read;
        let file = OpenOptions::new().read(true).write(write).create_new(new).open(path);
        let file = file.map_err(|error| Error::io(op, path, error))?;
        if !new && !share(&file) {
            return Err(Error::io(op, path, ErrorKind::NotFound.into()));
        }
        let align = go_direct(&file).unwrap_or_else(|| {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| {
                tracing::warn!(path = %path.display(), "no O_DIRECT here; files go through the page cache");
            });
            1
        });
        Ok(OsFile { file, path: path.into(), align })
    }

    fn fill_with_zeros(&self, bytes: u64) -> Result<()> {
        let align = self.align as u64;
        let whole = bytes.next_multiple_of(align);
        let zeros = Buf::zeroed(ZERO_CHUNK_BYTES.min(whole as usize), self.align);
        let mut done = 0;
        while done < whole {
            let len = (zeros.len() as u64).min(whole - done);
            self.write_at(done, &zeros[..len as usize])?;
            done += len;
        }
        if whole != bytes {
            let cut = self.file.set_len(bytes);
            cut.map_err(|error| Error::io("create", &self.path, error))?;
        }
        // Not only the data: the length and the extents must be there, too.
        self.file.sync_all().map_err(|error| Error::io("sync", &self.path, error))
    }
}

impl File for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        // fstat of an open descriptor fails only where the file system is gone; reads then say so.
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    fn align(&self) -> usize {
        self.align
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_aligned(self, offset, buf)?;
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset.saturating_add(done as u64)) {
                // A direct read stops off the grid only at the end of the file.
                Ok(n) if n == 0 || !n.is_multiple_of(self.align) => {
                    done += n;
                    if done < buf.len() {
                        return Err(ends_early(self, offset, done, buf.len()));
                    }
                }
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path, error)),
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        check_aligned(self, offset, buf)?;
        let mut done = 0;
        while done < buf.len() {
            match self.file.write_at(&buf[done..], offset.saturating_add(done as u64)) {
                Ok(n) if n == 0 || !n.is_multiple_of(self.align) => {
                    return Err(short_write(self, done + n, buf.len()));
                }
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("write", &self.path, error)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::io("sync", &self.path, error))
    }

    fn raw_fd(&self) -> Option<i32> {
        Some(self.file.as_raw_fd())
    }
}

/// Switches the file to O_DIRECT, and returns the alignment that it then asks for. `None`, and
/// nothing changed, if the file system does not say that it can.
fn go_direct(file: &fs::File) -> Option<usize> {
    let fd = file.as_raw_fd();
    // SAFETY: `statx` consists of integers, for which zero is a value.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, the path is a string, and the call fills `stat`.
    let got = unsafe {
        libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, &mut stat)
    };
    let told = got == 0 && stat.stx_mask & libc::STATX_DIOALIGN != 0;
    if !told || stat.stx_dio_offset_align == 0 || stat.stx_dio_mem_align == 0 {
        return None;
    }
    // SAFETY: the descriptor is open; no pointers are passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: as above.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_DIRECT) };
    if flags < 0 || set < 0 {
        return None;
    }
    let align = stat.stx_dio_mem_align.max(stat.stx_dio_offset_align).max(512);
    Some(align.next_power_of_two() as usize)
}

fn sync_dir(dir: &Path) -> Result<()> {
    // The parent of a bare name is the empty path.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| Error::io("sync the directory", dir, error))
}

/// A rename stays in its directory: only then does one `sync_dir` make it durable.
pub(super) fn check_same_dir(from: &Path, to: &Path) -> Result<()> {
    let in_place = from.parent() == to.parent() && to.file_name() != Some(OsStr::new(""));
    if in_place && to.file_name().is_some() {
        return Ok(());
    }
    Err(Error::invalid("rename", format!("{} to {}", from.display(), to.display())))
}

/// I5 for one transfer.
pub(super) fn check_aligned(file: &dyn File, offset: u64, bytes: &[u8]) -> Result<()> {
    let checked = aligned(file, offset, bytes);
    debug_assert!(checked.is_ok(), "{checked:?}");
    checked
}

/// I5 for a queued operation.
pub(super) fn check_op_aligned(op: &Op) -> Result<()> {
    match op {
        Op::Read { file, offset, buf } | Op::Write { file, offset, buf, .. } => {
            check_aligned(&**file, *offset, buf)
        }
        Op::Sync { .. } => Ok(()),
    }
}

fn aligned(file: &dyn File, offset: u64, bytes: &[u8]) -> Result<()> {
    let (align, len, address) = (file.align(), bytes.len(), bytes.as_ptr().addr());
    // An empty slice has no address to speak of.
    if len == 0 || offset.is_multiple_of(align as u64) && (len | address) & (align - 1) == 0 {
        return Ok(());
    }
    let why = format!(
        "{len} bytes at offset {offset} of {}, in memory at {address:#x}: all must be multiples of {align}",
        file.path().display()
    );
    Err(Error::invalid("file operation", why))
}

/// The error of a read of `asked` bytes at `offset` that got only `done`.
pub(super) fn ends_early(file: &dyn File, offset: u64, done: usize, asked: usize) -> Error {
    let end = offset.saturating_add(done as u64);
    Error::corrupt(
        file.path(),
        end,
        format!("file ends early: {done} of {asked} bytes at {offset}"),
    )
}

/// The error of a write that took only `done` of `asked` bytes.
pub(super) fn short_write(file: &dyn File, done: usize, asked: usize) -> Error {
    let text = format!("only {done} of {asked} bytes were taken");
    Error::io("write", file.path(), std::io::Error::new(ErrorKind::WriteZero, text))
}
