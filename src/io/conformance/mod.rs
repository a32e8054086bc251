//! One suite of checks that every backend must pass: I1 to I5 of `io`, and what its traits document.
//!
//! ```text
//!   checks: names.rs  transfers.rs  wakes.rs
//!      x    io_uring | pread/pwrite | simulated (many seeds)
//!      x    alone | beside a busy loop on every core | as an ordinary user
//! ```
//!
//! Nothing here measures time or sleeps: a check that hangs has failed.

mod names;
mod transfers;
mod wakes;

use super::{Backend, Buf, Done, Env, File, Op, Queue, Wait, simulated, system, threads};
use crate::base::Error;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a block in the checks: a multiple of every alignment that is met.
const BLOCK: usize = 4096;

/// Tells the re-executed test binary where to work.
const CHILD_DIR: &str = "RATITE_CONFORMANCE_DIR";

type Check = (&'static str, fn(&Env, &Path));

fn run_all(env: &Env, dir: &Path, seed: u64, random_operations: u64) {
    let checks: [&[Check]; 3] = [&names::CHECKS, &transfers::CHECKS, &wakes::CHECKS];
    for (name, check) in checks.concat() {
        let dir = dir.join(name);
        env.disk.create_dir(&dir).unwrap();
        check(env, &dir);
    }
    let dir = dir.join("random");
    env.disk.create_dir(&dir).unwrap();
    transfers::random_operations_agree_with_memory(env, &dir, seed, random_operations);
}

/// The backend, or `None` (said aloud) where the system has no io_uring.
fn real(backend: Backend) -> Option<Env> {
    match system(backend) {
        Ok(env) => Some(env),
        Err(error) => {
            println!("skipped {backend:?}: {error}");
            None
        }
    }
}

fn run_real(backend: Backend, parent: &Path, random_operations: u64) {
    let Some(env) = real(backend) else { return };
    let dir = tempfile::tempdir_in(parent).unwrap();
    run_all(&env, dir.path(), 1, random_operations);
    println!("passed: {} in {}", env.disk.backend(), parent.display());
}

/// Spins on every core until dropped.
struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<threads::Thread<()>>,
}

impl Hogs {
    fn on_every_core() -> Hogs {
        let stop = Arc::new(AtomicBool::new(false));
        let hog = |_| {
            let stop = stop.clone();
            threads::spawn("hog", move || while !stop.load(Ordering::Relaxed) {})
        };
        let threads = (0..threads::cores()).map(hog).collect();
        Hogs { stop, threads }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.clear();
    }
}

#[test]
fn io_uring() {
    run_real(Backend::Uring, &std::env::temp_dir(), 10_000);
}

#[test]
fn pread_and_pwrite() {
    run_real(Backend::Posix, &std::env::temp_dir(), 10_000);
}

#[test]
fn without_direct_io() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        println!("skipped: no file system in memory here");
        return;
    }
    run_real(Backend::Uring, memory, 10_000);
    run_real(Backend::Posix, memory, 10_000);
}

#[test]
fn a_simulated_disk() {
    for seed in 0..10 {
        let (env, _, _) = simulated(seed, Default::default());
        run_all(&env, Path::new("/conformance"), seed, 10_000 / (seed + 1));
    }
}

#[test]
fn beside_busy_loops_on_every_core() {
    let _hogs = Hogs::on_every_core();
    run_real(Backend::Uring, &std::env::temp_dir(), 1_000);
    run_real(Backend::Posix, &std::env::temp_dir(), 1_000);
    let (env, _, _) = simulated(99, Default::default());
    run_all(&env, Path::new("/conformance"), 99, 1_000);
}

/// Also right where rings are refused: run the test under a seccomp filter to see it.
#[test]
fn auto_takes_rings_where_they_can_be_built() {
    let expected = match real(Backend::Uring) {
        Some(_) => "io_uring",
        None => "pread/pwrite",
    };
    assert_eq!(system(Backend::Auto).unwrap().disk.backend(), expected);
    assert_eq!(system(Backend::Posix).unwrap().disk.backend(), "pread/pwrite");
}

/// Does nothing unless `as_an_ordinary_user` started it.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("Uid:")).unwrap());
    run_real(Backend::Uring, Path::new(&dir), 1_000);
    run_real(Backend::Posix, Path::new(&dir), 1_000);
}

/// Root is exempt from limits on locked memory and open files, and may read everything: what works
/// for root may not work for a service.
#[test]
fn as_an_ordinary_user() {
    const NOBODY: u32 = 65534;
    let dir = tempfile::tempdir().unwrap();
    if std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).is_err() {
        println!("skipped: only root can become someone else");
        return;
    }
    // A copy, because the target directory may be closed to others.
    let program = dir.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "io::conformance::child", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .env("TMPDIR", dir.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains(&format!("Uid:\t{NOBODY}\t{NOBODY}")), "{text}");
    assert!(text.contains("passed: pread/pwrite"), "{text}");
    if real(Backend::Uring).is_some() && !text.contains("skipped Uring") {
        assert!(text.contains("passed: io_uring"), "{text}");
    }
}

// ---------------------------------------------------------------------- helpers of the checks

/// A buffer of `blocks` blocks, each filled with `byte`.
fn blocks(blocks: usize, byte: u8) -> Buf {
    let mut buf = Buf::zeroed(blocks * BLOCK, BLOCK);
    buf.fill(byte);
    buf
}

fn create(env: &Env, path: &Path, blocks: usize) -> Arc<dyn File> {
    env.disk.create(path, (blocks * BLOCK) as u64).unwrap()
}

fn at(block: usize) -> u64 {
    (block * BLOCK) as u64
}

fn read(file: &Arc<dyn File>, block: usize, count: usize) -> Op {
    Op::Read { file: file.clone(), offset: at(block), buf: blocks(count, 0xEE) }
}

fn write(file: &Arc<dyn File>, block: usize, buf: Buf, durable: bool) -> Op {
    Op::Write { file: file.clone(), offset: at(block), buf, durable }
}

/// Waits until nothing is in flight; completions in order of their tokens.
fn finish(queue: &mut dyn Queue) -> Vec<Done> {
    let mut done = Vec::new();
    while queue.in_flight() > 0 {
        queue.wait(Wait::Forever, &mut done).unwrap();
    }
    done.sort_by_key(|done| done.token);
    done
}

/// What the file holds, read past every queue.
fn contents(file: &Arc<dyn File>) -> Buf {
    let mut buf = Buf::zeroed(file.len() as usize, BLOCK);
    file.read_at(0, &mut buf).unwrap();
    buf
}

fn is_corrupt_at(error: &Error, end: u64) -> bool {
    matches!(error, Error::Corrupt { offset, what, .. } if *offset == end && what.contains("ends early"))
}
